//! A text as it stands in the files: which lines hold it.
//!
//! Notes are looked through from the first to the last, a few kilobytes at a time. Upper and lower case are compared
//! by Unicode's simple lower case (Unicode 3.13), which leaves line ends where they are.

use memchr::memmem::Finder;
use serde::Serialize;

use super::{NOTE_UNITS, PAGE_BYTES, head, is_complete};
use crate::app::respond::Items;
use crate::base::Budget;
use crate::notes::{Library, Note};

/// A look through all texts.
#[derive(Debug)]
pub struct Grep {
    query: Box<str>,
    finder: Finder<'static>,
    case_sensitive: bool,
    limit: usize,
    after: Option<Box<str>>,
    /// The note that was not looked through to its end, from which byte on, and how many lines lie before.
    within: Option<(Box<str>, usize, usize)>,
    items: Items,
    is_cut: bool,
}

#[derive(Debug, Serialize)]
struct LineView<'n> {
    path: &'n str,
    title: &'n str,
    /// From 1.
    line: usize,
    text: &'n str,
}

impl Grep {
    pub(super) fn new(query: &str, case_sensitive: bool, limit: usize) -> Grep {
        let needle = if case_sensitive { query.to_owned() } else { query.to_lowercase() };
        Grep {
            query: query.into(),
            finder: Finder::new(needle.as_bytes()).into_owned(),
            case_sensitive,
            limit,
            after: None,
            within: None,
            items: Items::default(),
            is_cut: false,
        }
    }

    pub(super) fn step(&mut self, library: &Library, slice: &mut Budget) -> Option<Vec<u8>> {
        loop {
            if slice.is_spent() {
                return None;
            }
            slice.spend(NOTE_UNITS);
            let (note, from, lines) = match self.within.take() {
                Some((path, from, lines)) => match library.note(&path) {
                    // It may be another text than before; then a line may be missed or told by another number.
                    Some(note) => (note, from, lines),
                    None => continue,
                },
                None => match library.notes_after(self.after.as_deref()).next() {
                    Some(note) => (note, 0, 0),
                    None => return Some(self.close(library)),
                },
            };
            self.after = Some(note.path.clone());
            self.look_through(note, from, lines, slice);
            if self.is_cut {
                return Some(self.close(library));
            }
        }
    }

    fn look_through(&mut self, note: &Note, mut from: usize, mut lines: usize, slice: &mut Budget) {
        while let Some(rest) = note.text.get(from..).filter(|rest| !rest.is_empty()) {
            let piece = whole_lines(rest, PIECE_BYTES);
            slice
                .spend(u32::try_from(piece.len() / LOOKED_AT_PER_UNIT).unwrap_or(u32::MAX).saturating_add(1));
            self.look_at(note, piece, lines);
            lines += memchr::memchr_iter(b'\n', piece.as_bytes()).count();
            from += piece.len();
            // One piece at least, however small the slice is: or it would never go on.
            if self.is_cut || (slice.is_spent() && from < note.text.len()) {
                self.within = Some((note.path.clone(), from, lines));
                return;
            }
        }
    }

    /// Tells the lines of one piece. Most have none, and cost one look for the whole of it.
    fn look_at(&mut self, note: &Note, piece: &str, lines_before: usize) {
        if !self.holds(piece) {
            return;
        }
        for (number, line) in piece.lines().enumerate() {
            if !self.holds(line) {
                continue;
            }
            if self.items.count == self.limit || self.items.json.len() > PAGE_BYTES {
                self.is_cut = true;
                return;
            }
            let text = head(line, LINE_BYTES_MAX);
            let line = lines_before + number + 1;
            self.items.push(&LineView { path: &note.path, title: &note.title, line, text });
        }
    }

    fn holds(&self, text: &str) -> bool {
        let folded = (!self.case_sensitive).then(|| text.to_lowercase());
        self.finder.find(folded.as_deref().unwrap_or(text).as_bytes()).is_some()
    }

    fn close(&mut self, library: &Library) -> Vec<u8> {
        #[derive(Serialize)]
        struct Rest<'r> {
            query: &'r str,
            case_sensitive: bool,
            /// There are more lines than were asked for.
            truncated: bool,
            complete: bool,
        }
        let rest = Rest {
            query: &self.query,
            case_sensitive: self.case_sensitive,
            truncated: self.is_cut,
            complete: is_complete(library),
        };
        std::mem::take(&mut self.items).close("results", &rest)
    }
}

/// About so many bytes, up to the end of a line.
fn whole_lines(text: &str, bytes: usize) -> &str {
    let Some(behind) = text.as_bytes().get(bytes..) else { return text };
    let end = memchr::memchr(b'\n', behind).map_or(text.len(), |offset| bytes + offset + 1);
    // A line end is one byte in UTF-8, so this is the end of a character.
    text.get(..end).unwrap_or(text)
}

/// Bytes that are looked at without a pause: some microseconds.
const PIECE_BYTES: usize = 8 * 1024;

/// Bytes that are put into lower case and looked through in about a microsecond.
const LOOKED_AT_PER_UNIT: usize = 400;

/// Bytes of a line that are told.
const LINE_BYTES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_with_a_line() {
        assert_eq!(whole_lines("ab\ncd\nef", 1), "ab\n");
        assert_eq!(whole_lines("ab\ncd\nef", 4), "ab\ncd\n");
        assert_eq!(whole_lines("ab\ncd\nef", 6), "ab\ncd\nef");
        assert_eq!(whole_lines("ab", 900), "ab");
        assert_eq!(whole_lines("é\né", 1), "é\n");
    }
}
