//! Quoted Markdown as plain text: links by their words, emphasis without its marks, code as it is.

use std::borrow::Cow;
use std::ops::Range;

/// Appends `markdown` to `out` as text that reads well without being rendered.
///
/// Code spans and fenced code stay unchanged. A number in brackets becomes one in parentheses, because `[1]` is
/// how an answer cites. Of Markdown's finer rules only those are kept that matter to a reader.
///
/// ```text
/// See [[Loop#Phases|the phases]] and [the **book**](https://x.y).   →   See the phases and the book.
/// ```
pub(super) fn plain(markdown: &str, out: &mut String) {
    let mut is_fenced = false;
    for (index, line) in markdown.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let content = line.trim_start();
        let is_fence = content.starts_with("```") || content.starts_with("~~~");
        if is_fence || is_fenced {
            out.push_str(line);
            is_fenced ^= is_fence;
        } else {
            inline(without_quote_mark(line), out);
        }
    }
    if is_fenced {
        out.push_str("\n```");
    }
}

/// The same for running text: its line breaks are spaces.
pub(super) fn plain_line(markdown: &str, out: &mut String) {
    let mut is_first = true;
    for line in markdown.lines().map(|line| without_quote_mark(line).trim()).filter(|line| !line.is_empty()) {
        if !is_first {
            out.push(' ');
        }
        inline(line, out);
        is_first = false;
    }
}

/// Appends a table row with the names of its columns: `Phase: poll — Does: waits`.
pub(super) fn row(header: &str, cells: &str, out: &mut String) {
    let mut names = table_cells(header);
    let mut is_first = true;
    for cell in table_cells(cells) {
        let name = names.next().unwrap_or("");
        if cell.is_empty() {
            continue;
        }
        if !is_first {
            out.push_str(" — ");
        }
        if !name.is_empty() {
            inline(name, out);
            out.push_str(": ");
        }
        inline(cell, out);
        is_first = false;
    }
}

/// Appends a whole table, one line a row.
pub(super) fn table(markdown: &str, out: &mut String) {
    let mut lines = markdown.lines();
    let header = lines.next().unwrap_or("");
    // The delimiter row says nothing.
    for (index, line) in lines.skip(1).enumerate() {
        if index > 0 {
            out.push('\n');
        }
        row(header, line, out);
    }
}

/// The cells of a table line, trimmed. An escaped bar, and one inside a code span or wikilink, ends no cell.
fn table_cells(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let mut rest = Some(line.strip_suffix('|').filter(|kept| !kept.ends_with('\\')).unwrap_or(line));
    std::iter::from_fn(move || {
        let text = rest?;
        let end = cell_end(text);
        rest = text.get(end + 1..);
        Some(text[..end].trim())
    })
}

fn cell_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut in_code = false;
    let mut links = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'`' => in_code = !in_code,
            b'[' if bytes.get(at + 1) == Some(&b'[') => links += 1,
            b']' if bytes.get(at + 1) == Some(&b']') => links = links.saturating_sub(1),
            b'|' if !in_code && links == 0 && (at == 0 || bytes[at - 1] != b'\\') => return at,
            _ => {}
        }
    }
    // An open code span or link was none after all.
    if in_code || links > 0 { memchr::memchr(b'|', bytes).unwrap_or(bytes.len()) } else { bytes.len() }
}

fn without_quote_mark(line: &str) -> &str {
    let content = line.trim_start();
    match content.strip_prefix('>') {
        Some(quoted) => quoted.trim_start_matches([' ', '>']),
        None => line,
    }
}

/// Appends one line, or a piece of one.
fn inline(text: &str, out: &mut String) {
    // What is left to do, the next on top: a link's words may hold marks of their own.
    let mut open: Vec<&str> = vec![text];
    while let Some(piece) = open.pop() {
        let Some(at) = piece.find(['`', '[', '!', '*', '_', '\\', '<', '=', '~']) else {
            out.push_str(piece);
            continue;
        };
        out.push_str(&piece[..at]);
        let rest = &piece[at..];
        if let Some((number, length)) = bracketed_number(rest) {
            out.push('(');
            out.push_str(number);
            out.push(')');
            open.push(&rest[length..]);
            continue;
        }
        let (shown, inner, length) = mark(rest, out);
        out.push_str(shown);
        open.push(&rest[length..]);
        if let Some(inner) = inner.filter(|_| open.len() < DEPTH_MAX) {
            open.push(inner);
        }
    }
}

/// What the mark at the start of `rest` shows as it is, what it shows after more reading, and its length in bytes.
fn mark<'t>(rest: &'t str, out: &str) -> (&'t str, Option<&'t str>, usize) {
    let bytes = rest.as_bytes();
    let run = bytes.iter().take_while(|byte| **byte == bytes[0]).count();
    match bytes[0] {
        b'`' => match code_span(rest, run) {
            Some(end) => (&rest[..end], None, end),
            None => (&rest[..run], None, run),
        },
        b'[' => link(rest).map_or(("[", None, 1), |(inner, length)| ("", Some(inner), length)),
        b'!' => match rest.strip_prefix('!').and_then(link) {
            Some((inner, length)) => ("", Some(inner), length + 1),
            None => ("!", None, 1),
        },
        b'\\' => match rest[1..].chars().next().filter(char::is_ascii_punctuation) {
            Some(escaped) => (&rest[1..1 + escaped.len_utf8()], None, 2),
            None => ("\\", None, 1),
        },
        b'<' => html(rest),
        // An underscore inside a word is part of it, and a star between spaces multiplies.
        b'_' if out.ends_with(char::is_alphanumeric) && rest[run..].starts_with(char::is_alphanumeric) => {
            (&rest[..run], None, run)
        }
        b'*' | b'_' if run <= 3 && !is_between_spaces(out, &rest[run..]) => ("", None, run),
        b'=' | b'~' if run == 2 && !is_between_spaces(out, &rest[run..]) => ("", None, run),
        _ => (&rest[..run], None, run),
    }
}

/// `markdown` with spaces in place of what its links point to, so that only their words are read; every byte that
/// stays keeps its place. Links with brackets inside are left as they are.
pub(super) fn without_targets(markdown: &str) -> Cow<'_, str> {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(found) = markdown[at..].find("[[") {
        let start = at + found + "[[".len();
        // Without a partner for this one there is none for any later one.
        let Some(length) = markdown[start..].find("]]") else { break };
        let target = &markdown[start..start + length];
        hidden.extend(match (target.find('|'), target.find('#')) {
            (Some(bar), _) => Some(start..start + bar + 1),
            (None, Some(hash)) if hash > 0 => Some(start + hash..start + length),
            (None, _) => None,
        });
        at = start + length;
    }
    at = 0;
    while let Some(found) = markdown[at..].find("](") {
        let start = at + found + "](".len();
        let Some(length) = markdown[start..].find(')') else { break };
        hidden.push(start..start + length);
        at = start + length;
    }
    if hidden.is_empty() {
        return Cow::Borrowed(markdown);
    }
    hidden.sort_by_key(|range| range.start);
    let mut visible = String::with_capacity(markdown.len());
    for range in hidden {
        // One may stand inside the other.
        let start = range.start.max(visible.len());
        visible.push_str(&markdown[visible.len()..start]);
        visible.extend(std::iter::repeat_n(' ', range.end.saturating_sub(visible.len())));
    }
    visible.push_str(&markdown[visible.len()..]);
    Cow::Owned(visible)
}

fn is_between_spaces(before: &str, after: &str) -> bool {
    let opens = before.is_empty() || before.ends_with(char::is_whitespace);
    opens && (after.is_empty() || after.starts_with(char::is_whitespace))
}

/// The end of the code span that `run` backticks open.
fn code_span(rest: &str, run: usize) -> Option<usize> {
    let mut at = run;
    while let Some(found) = rest[at..].find('`') {
        let start = at + found;
        let length = rest[start..].bytes().take_while(|byte| *byte == b'`').count();
        if length == run {
            return Some(start + length);
        }
        at = start + length;
    }
    None
}

/// The words that the link at the start of `rest` shows, and its length.
fn link(rest: &str) -> Option<(&str, usize)> {
    if let Some(inside) = rest.strip_prefix("[[") {
        let end = inside.find("]]").filter(|end| *end <= LINK_BYTES_MAX)?;
        let target = &inside[..end];
        let shown = match target.split_once('|') {
            Some((_, alias)) => alias,
            None => target
                .split_once('#')
                .map_or(target, |(note, heading)| if note.is_empty() { heading } else { note }),
        };
        return Some((shown.trim_end_matches('\\').trim(), end + "[[]]".len()));
    }
    let inside = bracketed(rest, b'[', b']')?;
    let behind = &rest[inside.end + 1..];
    let words = &rest[inside.clone()];
    if words.starts_with('^') {
        return Some(("", inside.end + 1));
    }
    match behind.as_bytes().first() {
        Some(b'(') => {
            let target = bracketed(behind, b'(', b')')?;
            Some((words, inside.end + 1 + target.end + 1))
        }
        Some(b'[') => {
            let reference = bracketed(behind, b'[', b']')?;
            Some((words, inside.end + 1 + reference.end + 1))
        }
        _ => None,
    }
}

/// What stands between the bracket `open`, if `rest` begins with it, and its partner.
fn bracketed(rest: &str, open: u8, close: u8) -> Option<Range<usize>> {
    if rest.as_bytes().first() != Some(&open) {
        return None;
    }
    let mut depth = 0_usize;
    for (at, byte) in rest.bytes().enumerate().take(LINK_BYTES_MAX) {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(1..at);
            }
        }
    }
    None
}

/// The number that stands alone in brackets at the start of `rest`, escaped or not, and the length of it all.
fn bracketed_number(rest: &str) -> Option<(&str, usize)> {
    let inside = rest.strip_prefix("\\[").or_else(|| rest.strip_prefix('['))?;
    let end = inside.find(']')?;
    let number = inside[..end].trim_matches(['*', '_', '~', '\\', ' ']);
    let is_link = inside[end + 1..].starts_with(['(', '[', ']']);
    let is_number =
        !number.is_empty() && number.len() <= 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !is_link).then(|| (number, rest.len() - inside.len() + end + 1))
}

/// `<https://…>` shows its address, `<br>` a space, any other tag nothing; what is no tag stays.
fn html(rest: &str) -> (&str, Option<&str>, usize) {
    let Some(end) = rest.find('>').filter(|end| *end <= LINK_BYTES_MAX) else {
        return ("<", None, 1);
    };
    let inside = &rest[1..end];
    if inside.contains("://") || (inside.contains('@') && !inside.contains(' ')) {
        return (inside, None, end + 1);
    }
    let name = inside.strip_prefix('/').unwrap_or(inside);
    match name.split([' ', '/']).next() {
        Some("br") => (" ", None, end + 1),
        Some(
            "b" | "i" | "em" | "strong" | "code" | "kbd" | "sub" | "sup" | "span" | "u" | "s" | "mark" | "a"
            | "p" | "div" | "small" | "img" | "details" | "summary",
        ) => ("", None, end + 1),
        _ => ("<", None, 1),
    }
}

/// A bracket whose partner is further away opens no link; so a line of brackets costs a bounded look for each.
const LINK_BYTES_MAX: usize = 512;

/// Links inside links inside links: deeper ones show nothing.
const DEPTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        let mut out = String::new();
        plain(markdown, &mut out);
        out
    }

    #[test]
    fn links_show_their_words() {
        assert_eq!(
            shown("See [[Loop#Phases|the phases]] and [the **book**](https://x.y/(z))."),
            "See the phases and the book."
        );
        assert_eq!(shown("[[Loop]] ![[a.png]] [[Loop#Phases]] <https://x.y>"), "Loop a.png Loop https://x.y");
    }

    #[test]
    fn targets_are_hidden_and_words_keep_their_place() {
        assert_eq!(
            without_targets("See [[a#B c|the door]], [[Loop#Phases]] or [it](x/y.md)."),
            "See [[      the door]], [[Loop       ]] or [it](      )."
        );
        for odd in ["[[", "](", "[[é|", "[[a](b|c]]d)e", "](é", "[[x]](y|z)"] {
            assert_eq!(without_targets(odd).len(), odd.len(), "{odd}");
        }
    }

    #[test]
    fn code_stays_as_it_is() {
        assert_eq!(shown("Call `a[[1]]*b*` *now*."), "Call `a[[1]]*b*` now.");
        assert_eq!(shown("```\n**x**\n```"), "```\n**x**\n```");
    }

    #[test]
    fn a_number_in_brackets_is_no_citation() {
        assert_eq!(shown("As said [1] and [^2]."), "As said (1) and .");
    }

    #[test]
    fn names_keep_their_underscores_and_sums_their_stars() {
        assert_eq!(shown("_Set_ head_bytes_max to 2 * 3."), "Set head_bytes_max to 2 * 3.");
    }

    #[test]
    fn a_row_names_its_columns() {
        let mut out = String::new();
        row("| Phase | Does |", "| `poll|wait` | waits for [[Sockets|sockets]] |", &mut out);
        assert_eq!(out, "Phase: `poll|wait` — Does: waits for sockets");
    }
}
