//! The blocks of a Markdown passage, one at a time, as byte ranges into it.
//!
//! Shallower than a Markdown parser on purpose: it goes line by line, so that it can stop between two blocks, and
//! knows only what can be quoted as a whole: paragraphs, lists, tables and code. What it misreads (a list inside a
//! quote, a table without outer bars and delimiter row) comes out as a paragraph, still as an exact range.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

/// One block. Ranges have no white space at their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// `## Heading`, or a line underlined with `=` or `-`.
    Heading(Range<usize>),
    /// Running text; also a block quote.
    Paragraph(Range<usize>),
    /// A list: each item from its marker to the end of all that is indented below it.
    List { items: Vec<Range<usize>>, ordered: bool },
    /// A table with a delimiter row.
    Table { header: Range<usize>, rows: Vec<Range<usize>> },
    /// Code with its fences, or indented.
    Code(Range<usize>),
}

impl Block {
    /// From its first byte to its last.
    pub(super) fn range(&self) -> Range<usize> {
        match self {
            Block::Heading(range) | Block::Paragraph(range) | Block::Code(range) => range.clone(),
            Block::List { items, .. } => {
                items.first().map_or(0, |item| item.start)..items.last().map_or(0, |item| item.end)
            }
            Block::Table { header, rows } => header.start..rows.last().unwrap_or(header).end,
        }
    }
}

impl Block {
    /// A list with items longer than `item_bytes_max` in parts: each of these as a paragraph of its own, unless it
    /// holds blocks itself, and what stands between them as shorter lists. Any other block as it is.
    pub(super) fn split(self, text: &str, item_bytes_max: usize) -> VecDeque<Block> {
        let Block::List { items, ordered } = self else {
            return VecDeque::from([self]);
        };
        let mut parts = VecDeque::new();
        let mut short = Vec::new();
        for item in items {
            if item.len() <= item_bytes_max || holds_blocks(&text[item.clone()]) {
                short.push(item);
                continue;
            }
            if !short.is_empty() {
                parts.push_back(Block::List { items: mem::take(&mut short), ordered });
            }
            let start = item.start + marker_length(&text[item.clone()]);
            parts.push_back(Block::Paragraph(start..item.end));
        }
        if !short.is_empty() {
            parts.push_back(Block::List { items: short, ordered });
        }
        parts
    }
}

/// A list item that holds more than the lines of one paragraph.
pub(super) fn holds_blocks(item: &str) -> bool {
    let opens = |line: &str| line.trim().is_empty() || marker_of(line).is_some() || fence_of(line).is_some();
    item.lines().skip(1).any(opens)
}

/// Bytes of the bullet or number that a list item begins with, and of the white space behind it.
pub(super) fn marker_length(item: &str) -> usize {
    let number = item.trim_start_matches(|character: char| character.is_ascii_digit());
    let words = number.strip_prefix(['-', '*', '+', '.', ')']).unwrap_or(item);
    item.len() - words.trim_start().len()
}

/// Where the next block is looked for.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    at: usize,
}

impl Blocks {
    /// The next block of `text`, which must be the same text at every call.
    pub(super) fn next(&mut self, text: &str) -> Option<Block> {
        loop {
            let line = line_at(text, self.at)?;
            let content = text[line.clone()].trim();
            let begins_file = self.at == 0 && content == "---";
            if begins_file && let Some(end) = front_matter_end(text, line.end) {
                self.at = end;
            } else if content.is_empty() || is_rule(content) {
                self.at = line.end;
            } else if content.starts_with("<!--") {
                self.at =
                    text[line.start..].find("-->").map_or(text.len(), |end| line.start + end + "-->".len());
            } else {
                let (block, end) = block_at(text, line);
                self.at = end;
                return Some(block);
            }
        }
    }
}

/// The block whose first line is `first`, and where to go on behind it.
fn block_at(text: &str, first: Range<usize>) -> (Block, usize) {
    let line = &text[first.clone()];
    if let Some(fence) = fence_of(line) {
        let end = fence_end(text, first.end, fence);
        return (Block::Code(trimmed(text, first.start..end)), end);
    }
    if is_heading(line) {
        return (Block::Heading(trimmed(text, first.clone())), first.end);
    }
    if let Some(marker) = marker_of(line) {
        return list_at(text, first, marker);
    }
    if is_indented_code(line) {
        let end = end_while(text, first.end, |line| line.trim().is_empty() || is_indented_code(line));
        // The indent of the first line belongs to the code.
        return (Block::Code(first.start..trimmed(text, first.start..end).end), end);
    }
    let is_table = line.contains('|')
        && line_at(text, first.end).is_some_and(|next| is_delimiter_row(text[next].trim()));
    if is_table { table_at(text, first) } else { paragraph_at(text, first) }
}

fn paragraph_at(text: &str, first: Range<usize>) -> (Block, usize) {
    let mut end = first.end;
    while let Some(next) = line_at(text, end) {
        let line = &text[next.clone()];
        let content = line.trim();
        if !content.is_empty()
            && (content.bytes().all(|byte| byte == b'=') || content.bytes().all(|byte| byte == b'-'))
        {
            return (Block::Heading(trimmed(text, first.start..end)), next.end);
        }
        let ends =
            content.is_empty() || is_heading(line) || fence_of(line).is_some() || marker_of(line).is_some();
        // A table may follow without a blank line; its delimiter row gives its header away.
        let is_table_header = content.starts_with('|')
            && line_at(text, next.end).is_some_and(|below| is_delimiter_row(text[below].trim()));
        if ends || is_table_header {
            break;
        }
        end = next.end;
    }
    (Block::Paragraph(trimmed(text, first.start..end)), end)
}

fn table_at(text: &str, header: Range<usize>) -> (Block, usize) {
    let mut end = line_at(text, header.end).map_or(header.end, |delimiter| delimiter.end);
    let mut rows = Vec::new();
    while let Some(row) = line_at(text, end) {
        if text[row.clone()].trim().is_empty() || !text[row.clone()].contains('|') {
            break;
        }
        end = row.end;
        rows.push(trimmed(text, row));
    }
    (Block::Table { header: trimmed(text, header), rows }, end)
}

fn list_at(text: &str, first: Range<usize>, marker: Marker) -> (Block, usize) {
    let mut items = Vec::new();
    let mut item = first.clone();
    let mut end = first.end;
    let mut was_blank = false;
    while let Some(next) = line_at(text, end) {
        let line = &text[next.clone()];
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let below = indent > marker.indent + 1;
        match marker_of(line) {
            _ if line.trim().is_empty() => was_blank = true,
            Some(new) if !below && new.ordered == marker.ordered => {
                items.push(trimmed(text, item.clone()));
                item = next.clone();
                was_blank = false;
            }
            Some(_) if !below => break,
            _ if below => {
                item.end = match fence_of(line) {
                    Some(fence) => fence_end(text, next.end, fence),
                    None => next.end,
                };
                was_blank = false;
            }
            // Without a blank line between, a line that opens nothing new goes on with the item.
            _ if !was_blank && !is_heading(line) && fence_of(line).is_none() => item.end = next.end,
            _ => break,
        }
        end = next.end.max(item.end);
    }
    items.push(trimmed(text, item));
    (Block::List { items, ordered: marker.ordered }, end)
}

/// What a list item begins with.
#[derive(Debug, Clone, Copy)]
struct Marker {
    indent: usize,
    ordered: bool,
}

fn marker_of(line: &str) -> Option<Marker> {
    let content = line.trim_start_matches([' ', '\t']);
    let indent = line.len() - content.len();
    let digits = content.bytes().take_while(u8::is_ascii_digit).count();
    let (rest, ordered) = match digits {
        0 => (content.strip_prefix(['-', '*', '+'])?, false),
        1..=9 => (content[digits..].strip_prefix(['.', ')'])?, true),
        _ => return None,
    };
    (rest.starts_with([' ', '\t']) && !rest.trim().is_empty()).then_some(Marker { indent, ordered })
}

/// The mark and length of the fence that `line` opens.
fn fence_of(line: &str) -> Option<(u8, usize)> {
    let content = line.trim_start();
    let mark = *content.as_bytes().first().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let length = content.bytes().take_while(|byte| *byte == mark).count();
    // A backtick behind the opening ones makes it a code span (CommonMark 0.31.2 §4.5).
    let is_span = mark == b'`' && content[length..].contains('`');
    (length >= 3 && !is_span).then_some((mark, length))
}

/// Behind the line that closes `fence`, or the end of the text.
fn fence_end(text: &str, start: usize, fence: (u8, usize)) -> usize {
    let (mark, length) = fence;
    let inside = end_while(text, start, |line| {
        let content = line.trim();
        !(content.len() >= length && content.bytes().all(|byte| byte == mark))
    });
    line_at(text, inside).map_or(text.len(), |closing| closing.end)
}

fn front_matter_end(text: &str, start: usize) -> Option<usize> {
    let inside = end_while(text, start, |line| !matches!(line.trim_end(), "---" | "..."));
    line_at(text, inside).map(|closing| closing.end)
}

fn end_while(text: &str, start: usize, holds: impl Fn(&str) -> bool) -> usize {
    let mut end = start;
    while let Some(line) = line_at(text, end) {
        if !holds(&text[line.clone()]) {
            break;
        }
        end = line.end;
    }
    end
}

fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with([' ', '\t'])
}

fn is_indented_code(line: &str) -> bool {
    (line.starts_with("    ") || line.starts_with('\t')) && !line.trim().is_empty()
}

fn is_rule(content: &str) -> bool {
    let marks = content.bytes().filter(|byte| *byte != b' ');
    marks.clone().count() >= 3
        && ["-", "*", "_"].iter().any(|mark| marks.clone().all(|byte| byte == mark.as_bytes()[0]))
}

fn is_delimiter_row(content: &str) -> bool {
    content.contains('-') && content.contains('|') && content.bytes().all(|byte| b"|:- \t".contains(&byte))
}

/// The line that begins at `at`, with its line feed.
fn line_at(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
    let length = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |feed| feed + 1);
    Some(at..at + length)
}

/// `range` without the white space at its ends.
pub(super) fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let lead = piece.len() - piece.trim_start().len();
    let start = range.start + lead;
    start..start + piece.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(text: &str) -> Vec<String> {
        let mut blocks = Blocks::default();
        std::iter::from_fn(|| blocks.next(text))
            .map(|block| match &block {
                Block::Heading(range) => format!("heading {}", &text[range.clone()]),
                Block::Paragraph(range) => format!("paragraph {}", &text[range.clone()]),
                Block::Code(range) => format!("code {}", &text[range.clone()]),
                Block::List { items, ordered } => {
                    let items: Vec<&str> = items.iter().map(|item| &text[item.clone()]).collect();
                    format!("list {ordered} {}", items.join("|"))
                }
                Block::Table { header, rows } => format!("table {} {}", &text[header.clone()], rows.len()),
            })
            .collect()
    }

    #[test]
    fn each_block_comes_out_whole_and_in_order() {
        let text = "---\ntitle: x\n---\n# One\nText\nmore.\n\n- a\n  b\n- c\n\n```sh\n# no heading\n```\n\n\
                    | A | B |\n|---|---|\n| 1 | 2 |\n\nTwo\n===\nEnd";
        assert_eq!(
            shapes(text),
            [
                "heading # One",
                "paragraph Text\nmore.",
                "list false - a\n  b|- c",
                "code ```sh\n# no heading\n```",
                "table | A | B | 1",
                "heading Two",
                "paragraph End"
            ]
        );
    }

    #[test]
    fn code_inside_an_item_stays_with_it() {
        let text = "1. Build:\n\n   ```sh\n   cargo build\n   ```\n2. Run.\n\nBehind.";
        assert_eq!(
            shapes(text),
            ["list true 1. Build:\n\n   ```sh\n   cargo build\n   ```|2. Run.", "paragraph Behind."]
        );
    }

    #[test]
    fn an_open_fence_goes_to_the_end() {
        assert_eq!(shapes("```\na\n\n- b"), ["code ```\na\n\n- b"]);
    }
}
