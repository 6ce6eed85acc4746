//! What a search finds, as passages or as the notes that these stand in.
//!
//! It goes by words alone: nobody's question is embedded for a list.

use std::fmt;

use serde::Serialize;

use super::{NoteView, VIEW_BYTES_MAX, written_units};
use crate::app::respond::Items;
use crate::base::Budget;
use crate::notes::{Found, Hit, Library, Query, Search};

/// A search on its way.
pub struct Ranked {
    search: Search,
    form: Form,
    query: String,
    limit: usize,
}

/// What is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Passages,
    Notes,
}

impl fmt::Debug for Ranked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranked").field("query", &self.query).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize)]
struct PassageView<'h> {
    path: &'h str,
    title: &'h str,
    heading: &'h str,
    category: &'h str,
    tags: &'h [String],
    start: usize,
    end: usize,
    score: f32,
    text: &'h str,
    hash: &'h str,
}

impl Ranked {
    pub(super) fn passages(query: String, limit: usize, library: &Library) -> Ranked {
        Ranked::new(Form::Passages, query, limit, limit, library)
    }

    pub(super) fn notes(query: String, limit: usize, library: &Library) -> Ranked {
        // Of one note there may be several among the best passages.
        Ranked::new(Form::Notes, query, limit, limit.saturating_mul(PASSAGES_PER_NOTE), library)
    }

    fn new(form: Form, query: String, limit: usize, hits_max: usize, library: &Library) -> Ranked {
        let wanted = Query { text: query.clone(), hits_max, ..Query::default() };
        Ranked { search: library.search(wanted), form, query, limit }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Vec<u8>> {
        let found = self.search.step(library, slice)?;
        let body = match self.form {
            Form::Passages => self.tell_passages(&found),
            Form::Notes => self.tell_notes(&found, library),
        };
        slice.spend(written_units(body.len()));
        Some(body)
    }

    fn tell_passages(&self, found: &Found) -> Vec<u8> {
        let mut items = Items::default();
        for hit in found.hits.iter().take(self.limit) {
            if items.json.len() > VIEW_BYTES_MAX {
                break;
            }
            let Hit { path, title, heading, category, tags, start, end, score, text, hash, .. } = hit;
            let (start, end, score) = (*start, *end, *score);
            let view = PassageView { path, title, heading, category, tags, start, end, score, text, hash };
            items.push(&view);
        }
        self.close(items, "results", found)
    }

    /// Each note once, where its best passage stands. One that has gone since is left out.
    fn tell_notes(&self, found: &Found, library: &Library) -> Vec<u8> {
        let (mut items, mut told) = (Items::default(), Vec::new());
        for hit in &found.hits {
            if items.count == self.limit || items.json.len() > VIEW_BYTES_MAX {
                break;
            }
            if told.contains(&hit.path.as_str()) {
                continue;
            }
            told.push(hit.path.as_str());
            if let Some(note) = library.note(&hit.path) {
                items.push(&NoteView { score: Some(hit.score), ..NoteView::of(note, false, library) });
            }
        }
        self.close(items, "notes", found)
    }

    fn close(&self, items: Items, name: &str, found: &Found) -> Vec<u8> {
        #[derive(Serialize)]
        struct Rest<'r> {
            query: &'r str,
            complete: bool,
        }
        items.close(name, &Rest { query: &self.query, complete: found.complete })
    }
}

/// Passages of one note among the best, reckoned with when notes are wanted.
const PASSAGES_PER_NOTE: usize = 4;
