//! Lists of notes, page by page, and what categories there are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{NOTE_UNITS, NoteView, PAGE_BYTES, Page, VIEW_BYTES_MAX, is_complete, written_units};
use crate::app::respond::{Items, write_json};
use crate::base::Budget;
use crate::notes::{Library, Note};

/// A page of notes.
#[derive(Debug)]
pub struct Notes {
    category: Option<Box<str>>,
    tag: Option<Box<str>>,
    content: bool,
    page: Page,
    items: Items,
    /// The last note on the page.
    last: Option<Box<str>>,
}

impl Notes {
    pub(super) fn new(category: Option<Box<str>>, tag: Option<Box<str>>, content: bool, page: Page) -> Notes {
        Notes { category, tag, content, page, items: Items::default(), last: None }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Vec<u8>> {
        let from = self.page.after.take();
        let mut seen = None;
        for note in library.notes_after(from.as_deref()) {
            if slice.is_spent() {
                self.page.after = seen.map(|note: &Note| note.path.clone()).or(from);
                return None;
            }
            slice.spend(NOTE_UNITS);
            seen = Some(note);
            if !self.wants(note) {
                continue;
            }
            // There is one more than fits: the next page has something to show.
            if self.items.count == self.page.limit || self.items.json.len() > PAGE_BYTES {
                return Some(self.close(self.last.clone(), library));
            }
            let before = self.items.json.len();
            self.items.push(&NoteView::of(note, self.content, library));
            slice.spend(written_units(self.items.json.len() - before));
            self.last = Some(note.path.clone());
        }
        Some(self.close(None, library))
    }

    fn wants(&self, note: &Note) -> bool {
        let has_category = self.category.as_ref().is_none_or(|category| *category == note.category);
        let has_tag = |tag: &str| note.tags.iter().any(|other| other.eq_ignore_ascii_case(tag));
        has_category && self.tag.as_deref().is_none_or(has_tag)
    }

    fn close(&mut self, next: Option<Box<str>>, library: &Library) -> Vec<u8> {
        #[derive(Serialize)]
        struct Rest {
            /// What `?after=` takes for the next page.
            next: Option<Box<str>>,
            complete: bool,
        }
        std::mem::take(&mut self.items).close("notes", &Rest { next, complete: is_complete(library) })
    }
}

/// How many notes each category has, and the first of them.
#[derive(Debug)]
pub struct Tally {
    form: Form,
    after: Option<Box<str>>,
    categories: BTreeMap<Box<str>, Category>,
    bytes: usize,
    /// Notes are left out that would have been named, for want of room.
    is_truncated: bool,
}

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With so many notes of each.
    Structure(usize),
    /// By numbers alone.
    Categories,
}

#[derive(Debug, Default, Serialize)]
struct Category {
    count: usize,
    notes: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    title: Box<str>,
    path: Box<str>,
}

impl Tally {
    pub(super) fn structure(limit: usize) -> Tally {
        Tally::new(Form::Structure(limit))
    }

    pub(super) fn categories() -> Tally {
        Tally::new(Form::Categories)
    }

    fn new(form: Form) -> Tally {
        Tally { form, after: None, categories: BTreeMap::new(), bytes: 0, is_truncated: false }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Vec<u8>> {
        let from = self.after.take();
        let mut seen = None;
        for note in library.notes_after(from.as_deref()) {
            if slice.is_spent() {
                self.after = seen.map(|note: &Note| note.path.clone()).or(from);
                return None;
            }
            slice.spend(NOTE_UNITS + 1);
            seen = Some(note);
            self.count(note);
        }
        slice.spend(written_units(self.bytes));
        Some(self.close(library))
    }

    fn count(&mut self, note: &Note) {
        if !self.categories.contains_key(&note.category) {
            let bytes = note.category.len() + ENTRY_BYTES;
            if self.bytes + bytes > VIEW_BYTES_MAX / ESCAPED_MAX {
                self.is_truncated = true;
                return;
            }
            self.bytes += bytes;
        }
        let category = self.categories.entry(note.category.clone()).or_default();
        category.count += 1;
        let Form::Structure(limit) = self.form else { return };
        let bytes = note.path.len() + note.title.len() + ENTRY_BYTES;
        if category.notes.len() >= limit {
            return;
        }
        if self.bytes + bytes > VIEW_BYTES_MAX / ESCAPED_MAX {
            self.is_truncated = true;
            return;
        }
        self.bytes += bytes;
        category.notes.push(Named { title: note.title.clone(), path: note.path.clone() });
    }

    fn close(&mut self, library: &Library) -> Vec<u8> {
        #[derive(Serialize)]
        struct Structure<'t> {
            structure: &'t BTreeMap<Box<str>, Category>,
            truncated: bool,
            complete: bool,
        }
        #[derive(Serialize)]
        struct Counted<'t> {
            name: &'t str,
            count: usize,
        }
        #[derive(Serialize)]
        struct Categories<'t> {
            categories: Vec<Counted<'t>>,
            truncated: bool,
            complete: bool,
        }
        let (truncated, complete) = (self.is_truncated, is_complete(library));
        let mut body = Vec::new();
        match self.form {
            Form::Structure(_) => {
                write_json(&Structure { structure: &self.categories, truncated, complete }, &mut body);
            }
            Form::Categories => {
                let all = self.categories.iter();
                let categories =
                    all.map(|(name, category)| Counted { name, count: category.count }).collect();
                write_json(&Categories { categories, truncated, complete }, &mut body);
            }
        }
        body
    }
}

/// Bytes around a name and a path in JSON.
const ENTRY_BYTES: usize = 32;

/// A tally is told in one piece, so it is bounded by what its texts may come to in JSON: hardly any text takes more than
/// twice its bytes. The few that do are held back by the room of an answer.
const ESCAPED_MAX: usize = 2;
