//! Cuts a long note into pieces that can be parsed one at a time.
//!
//! The parser cannot pause, so what it gets must be short. A cut is looked for where Markdown starts afresh: before
//! a heading that follows a blank line, else at a blank line, else at a line end, else between two characters; the
//! first two never inside fenced code. A fence that is longer than a piece goes on as a piece of code.
//!
//! What this gives up, in notes beyond one piece only: a link definition is not seen from other pieces, a list or
//! table across a cut loses its frame (its words are found all the same).

use std::ops::Range;

use crate::text::{boundary_before, boundary_behind};

/// What a piece holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Markdown from its start.
    Markdown,
    /// The rest, or more, of fenced code that an earlier piece opened.
    Code,
}

/// Where the next cut is, from left to right; it remembers an open fence.
#[derive(Debug, Default)]
pub struct Cutter {
    fence: Option<Fence>,
}

/// The marker that opened a code block: only a line of as many of the same closes it (CommonMark 0.31.2 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence {
    mark: u8,
    length: usize,
}

impl Cutter {
    /// The piece that begins at `start`, at most `bytes_max` long (but at least one character).
    pub fn next_piece(&mut self, text: &str, start: usize, bytes_max: usize) -> (Range<usize>, PieceKind) {
        let kind = if self.fence.is_some() { PieceKind::Code } else { PieceKind::Markdown };
        let limit = boundary_before(text, start + parsed_at_once(&text.as_bytes()[start..], bytes_max));
        let limit = if limit > start { limit } else { boundary_behind(text, start + 1) };
        let mut best = Cut { at: limit, rank: Rank::Character, fence: self.fence };
        let mut fence = self.fence;
        let mut line = start;
        let mut was_blank = false;
        while line < limit {
            let content = line_at(text, line, limit);
            let is_blank = content.trim().is_empty();
            if line > start {
                let is_heading = content.starts_with('#');
                let rank = match (fence, was_blank) {
                    (None, true) if is_heading => Rank::Heading,
                    (None, true) if !content.starts_with([' ', '\t']) => Rank::Blank,
                    _ => Rank::Line,
                };
                if rank.allows(line - start, bytes_max) && rank >= best.rank {
                    best = Cut { at: line, rank, fence };
                }
            }
            let was_open = fence.is_some();
            fence = fence_after(fence, content);
            line += content.len();
            was_blank = is_blank;
            if kind == PieceKind::Code && was_open && fence.is_none() {
                self.fence = None;
                return (start..line, kind);
            }
        }
        if limit == text.len() {
            self.fence = fence;
            return (start..limit, kind);
        }
        // A cut inside a line leaves the fence as it was before that line: a marker is shorter than a piece.
        self.fence = if best.rank == Rank::Character { fence } else { best.fence };
        (start..best.at, kind)
    }
}

/// Length of what may be parsed without a pause: its time goes by its marks and table cells more than by its bytes.
fn parsed_at_once(bytes: &[u8], bytes_max: usize) -> usize {
    let window = &bytes[..bytes.len().min(bytes_max)];
    let is_mark = |byte: &u8| byte.is_ascii_punctuation() || matches!(byte, b'\n' | b'\r');
    let length = window
        .chunks(MARKS_COUNTED)
        .scan(0, |marks, chunk| {
            *marks += chunk.iter().filter(|byte| is_mark(byte)).count();
            Some((*marks, chunk.len()))
        })
        .take_while(|(marks, _)| *marks <= MARKS_MAX)
        .map(|(_, length)| length)
        .sum();
    filled_at_once(&window[..length])
}

/// Length up to which tables have at most `MARKS_MAX` cells. The parser fills a short row up to the columns of its
/// table, so a line of one letter can be hundreds of cells.
fn filled_at_once(window: &[u8]) -> usize {
    let (mut length, mut columns, mut cells) = (0, 0, 0);
    for line in window.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let ends_last = line == b"\n" && window[..length].ends_with(b"\r");
        length += line.len();
        if !ends_last {
            cells += columns;
            columns = columns_after(columns, line);
        }
        if cells > MARKS_MAX {
            return length - line.len();
        }
    }
    length
}

/// Columns that a line may be filled up to, if it follows `line`: a blank line ends a table, a ruler begins one.
fn columns_after(columns: usize, line: &[u8]) -> usize {
    let outside = |byte: &u8| matches!(byte, b' ' | b'\t' | b'>' | b'\r' | b'\n');
    let Some(first) = line.iter().position(|byte| !outside(byte)) else { return 0 };
    let content = &line[first..];
    let is_ruler = content.iter().all(|byte| matches!(byte, b'|' | b'-' | b':') || outside(byte));
    let bars = if is_ruler { content.iter().filter(|byte| **byte == b'|').count() } else { 0 };
    if bars > 0 { columns.max(bars + 1) } else { columns }
}

/// Most punctuation marks and line ends in a piece, and most table cells. Ordinary Markdown has some 50 in a KiB; a flood of list items,
/// quotes or brackets has 500, and each makes a node of the tree.
const MARKS_MAX: usize = 1000;
const MARKS_COUNTED: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Cut {
    at: usize,
    rank: Rank,
    fence: Option<Fence>,
}

/// How well the text takes being cut there, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Character,
    Line,
    Blank,
    Heading,
}

impl Rank {
    /// A good cut is not taken if the piece would be tiny, or the number of pieces would have no bound.
    fn allows(self, length: usize, bytes_max: usize) -> bool {
        match self {
            Rank::Character | Rank::Line => true,
            Rank::Blank | Rank::Heading => length >= bytes_max / 4,
        }
    }
}

/// The line from `start` with its end, cut at `limit`.
fn line_at(text: &str, start: usize, limit: usize) -> &str {
    let end =
        memchr::memchr(b'\n', &text.as_bytes()[start..limit]).map_or(limit, |length| start + length + 1);
    &text[start..end]
}

/// What fence is open after this line.
fn fence_after(open: Option<Fence>, line: &str) -> Option<Fence> {
    let content = line.trim_start_matches(' ');
    let indent = line.len() - content.len();
    let mark = content.bytes().next().unwrap_or(b' ');
    let length = content.bytes().take_while(|byte| *byte == mark).count();
    if indent > 3 || !matches!(mark, b'`' | b'~') || length < 3 {
        return open;
    }
    let info = content[length..].trim();
    match open {
        Some(fence) if fence.mark == mark && length >= fence.length && info.is_empty() => None,
        Some(fence) => Some(fence),
        None if mark == b'`' && info.contains('`') => None,
        None => Some(Fence { mark, length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, bytes_max: usize) -> Vec<(&str, PieceKind)> {
        let mut cutter = Cutter::default();
        let (mut found, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let (range, kind) = cutter.next_piece(text, at, bytes_max);
            at = range.end;
            found.push((&text[range], kind));
        }
        found
    }

    use PieceKind::{Code, Markdown};

    #[test]
    fn a_short_note_is_one_piece() {
        assert_eq!(pieces("# A\n\ntext", 100), [("# A\n\ntext", Markdown)]);
    }

    #[test]
    fn a_cut_prefers_the_blank_line_before_a_heading() {
        assert_eq!(
            pieces("one\n\ntwo\n\n# A\nx\n\nthree\n\nfour", 24),
            [("one\n\ntwo\n\n", Markdown), ("# A\nx\n\nthree\n\nfour", Markdown)]
        );
    }

    #[test]
    fn a_fence_longer_than_a_piece_goes_on_as_code() {
        let text = "```\n# no heading\n\n# none\nmore\n```\n# A\n";
        let found = pieces(text, 20);
        assert_eq!(found[0], ("```\n# no heading\n\n", Markdown));
        assert_eq!(found[1], ("# none\nmore\n```\n", Code));
        assert_eq!(found[2], ("# A\n", Markdown));
    }

    #[test]
    fn a_flood_of_marks_makes_shorter_pieces() {
        let text = "- a\n".repeat(2000);
        let found = pieces(&text, 8000);
        assert!(found.len() > 3 && found.iter().all(|(piece, _)| piece.len() <= 4 * MARKS_MAX));
    }

    #[test]
    fn short_rows_of_a_wide_table_make_shorter_pieces() {
        for end in ["\n", "\r\n", "\r"] {
            let (head, ruler) = ("|a".repeat(100), "|-".repeat(100));
            let text = format!("> {head}{end}> {ruler}{end}{}", format!("b{end}").repeat(200));
            let found = pieces(&text, 16_000);
            let rows = found[0].0.matches('b').count();
            assert!((MARKS_MAX / 101 - 1..=MARKS_MAX / 101).contains(&rows), "{rows} rows before {end:?}");
            // Without its head the rest is text, as the rows behind a blank line are.
            assert_eq!(found.len(), 2, "{end:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut_between_characters() {
        assert_eq!(pieces("éééé", 3), [("é", Markdown), ("é", Markdown), ("é", Markdown), ("é", Markdown)]);
        assert_eq!(pieces("日本", 1), [("日", Markdown), ("本", Markdown)]);
    }
}
