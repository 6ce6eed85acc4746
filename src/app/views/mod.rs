//! What can be seen of the notes: lists, structure, graph, search and grep, each made in slices.
//!
//! ```text
//! a request ─► Wanted ─► View ── step, step, step ──► the body of the answer, or a refusal
//! ```
//!
//! A look at every note takes as long as there are notes, so it is a task like any other: it yields when its slice is
//! spent and remembers the path it has come to. Notes may come and go meanwhile. What a view tells of each note was
//! true when it passed by; a page ends in a path, and the next begins behind it, whatever has changed.

mod graph;
mod grep;
mod links;
mod list;
mod ranked;

use serde::Serialize;

use crate::base::{Budget, WallTime};
use crate::notes::{IndexState, Library, Note};

use super::respond::Problem;

/// What a client wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `GET /notes`, `GET /notes/{category}`
    Notes {
        /// Only those of this category, which may be the empty one.
        category: Option<Box<str>>,
        /// Only those with this tag, without `#`.
        tag: Option<Box<str>>,
        /// With their texts.
        content: bool,
        /// Which of them.
        page: Page,
    },
    /// `GET /notes/structure`
    Structure {
        /// Notes named of each category.
        limit: usize,
    },
    /// `GET /knowledge/categories`
    Categories,
    /// `GET /notes/search`
    NotesFor {
        /// The words.
        query: Box<str>,
        /// Notes at most.
        limit: usize,
    },
    /// `GET /knowledge/search`
    PassagesFor {
        /// The words.
        query: Box<str>,
        /// Passages at most.
        limit: usize,
    },
    /// `GET /knowledge/search/content`
    Lines {
        /// The text, as it stands in the files.
        query: Box<str>,
        /// `A` is not `a`.
        case_sensitive: bool,
        /// Lines at most.
        limit: usize,
    },
    /// `GET /knowledge/links`: a note's links in both directions.
    Links {
        /// The note.
        path: Box<str>,
    },
    /// `GET /knowledge/graph`
    Graph(Page),
    /// `GET /knowledge/graph?around=`
    Around {
        /// The note in the middle.
        path: Box<str>,
        /// Links from there at most.
        depth: u32,
        /// Notes at most.
        limit: usize,
    },
}

/// Some of the notes, in path order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// Only those behind this path.
    pub after: Option<Box<str>>,
}

/// A view in the making.
#[derive(Debug)]
pub enum View {
    /// A list of notes.
    Notes(list::Notes),
    /// All categories.
    Tally(list::Tally),
    /// What a search finds.
    Ranked(Box<ranked::Ranked>),
    /// Lines with a text.
    Grep(Box<grep::Grep>),
    /// Notes in path order, with what they link to.
    Graph(graph::Pages),
    /// The neighbourhood of one note.
    Around(graph::Around),
    /// The links of this note.
    Links(Box<str>),
}

impl View {
    /// Begins to look.
    pub fn new(wanted: Wanted, library: &Library) -> View {
        match wanted {
            Wanted::Notes { category, tag, content, page } => {
                View::Notes(list::Notes::new(category, tag, content, page))
            }
            Wanted::Structure { limit } => View::Tally(list::Tally::structure(limit)),
            Wanted::Categories => View::Tally(list::Tally::categories()),
            Wanted::NotesFor { query, limit } => {
                View::Ranked(Box::new(ranked::Ranked::notes(query.into(), limit, library)))
            }
            Wanted::PassagesFor { query, limit } => {
                View::Ranked(Box::new(ranked::Ranked::passages(query.into(), limit, library)))
            }
            Wanted::Lines { query, case_sensitive, limit } => {
                View::Grep(Box::new(grep::Grep::new(&query, case_sensitive, limit)))
            }
            Wanted::Links { path } => View::Links(path),
            Wanted::Graph(page) => View::Graph(graph::Pages::new(page)),
            Wanted::Around { path, depth, limit } => View::Around(graph::Around::new(path, depth, limit)),
        }
    }

    /// Looks at some more notes; the body of the answer, once it is whole.
    pub fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Result<Vec<u8>, Problem>> {
        match self {
            View::Notes(view) => view.step(library, slice).map(Ok),
            View::Tally(view) => view.step(library, slice).map(Ok),
            View::Ranked(view) => view.step(library, slice).map(Ok),
            View::Grep(view) => view.step(library, slice).map(Ok),
            View::Graph(view) => view.step(library, slice).map(Ok),
            View::Around(view) => view.step(library, slice),
            View::Links(path) => Some(links::step(path, library, slice)),
        }
    }
}

/// One note in a list, as far as a list tells of it.
#[derive(Debug, Serialize)]
struct NoteView<'n> {
    title: &'n str,
    path: &'n str,
    category: &'n str,
    tags: &'n [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'n str>,
    /// The text is longer than what is told of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    content_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// As the front matter has it, else when the file was last written.
    created_at: String,
    updated_at: String,
}

impl<'n> NoteView<'n> {
    fn of(note: &'n Note, with_content: bool, library: &Library) -> NoteView<'n> {
        let updated_at = moment(library.modified_ns(&note.path).unwrap_or(0));
        let shown = head(&note.text, CONTENT_BYTES_MAX);
        NoteView {
            title: &note.title,
            path: &note.path,
            category: &note.category,
            tags: &note.tags,
            content: with_content.then_some(shown),
            content_truncated: with_content && shown.len() < note.text.len(),
            score: None,
            created_at: note.created.as_deref().map_or_else(|| updated_at.clone(), ToOwned::to_owned),
            updated_at,
        }
    }
}

/// Bytes of a note's text that a list shows. A character may take six bytes in JSON, and all of it must fit into an answer.
/// `GET /notes/file/{path}` has the whole.
const CONTENT_BYTES_MAX: usize = 96 * 1024;

/// Bytes of JSON from which on a page is full, be there fewer notes on it than were asked for.
const PAGE_BYTES: usize = 192 * 1024;

/// Bytes of JSON beyond which even what belongs to one note is left out.
const VIEW_BYTES_MAX: usize = 512 * 1024;

/// The first bytes of a text, up to the end of a character.
fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The state of the index as a whole word: a view of half of the notes says so.
fn is_complete(library: &Library) -> bool {
    library.progress().state == IndexState::Ready
}

/// The answer to whoever names a note that there is not.
fn no_such_note(library: &Library) -> Problem {
    if is_complete(library) {
        return Problem::new(404, "no such note; GET /notes lists those that there are");
    }
    Problem::busy("the notes are being indexed, and this one is not there yet", 1)
}

/// A file's time, as it is shown.
fn moment(modified_ns: i64) -> String {
    WallTime::from_millis(u64::try_from(modified_ns / 1_000_000).unwrap_or(0)).to_string()
}

/// What a look at one note costs, in units, beside what is written of it.
const NOTE_UNITS: u32 = 1;

/// Bytes of JSON that are written in about a microsecond.
const WRITTEN_PER_UNIT: usize = 500;

fn written_units(bytes: usize) -> u32 {
    u32::try_from(bytes / WRITTEN_PER_UNIT).unwrap_or(u32::MAX).saturating_add(1)
}
