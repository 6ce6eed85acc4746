//! Where the sentences of a text begin and end.
//!
//! A small rule set over lines, because notes are not clean prose: a blank line, a list marker, a heading mark or
//! a table row ends what came before it, and a line break inside a paragraph is a space. Within a paragraph a
//! sentence ends at `.`, `!`, `?` and white space, unless the stop belongs to an abbreviation, an initial, a number
//! or a quotation that the sentence goes on behind; the full stops of Chinese and Japanese need no space.

use std::ops::Range;

/// Byte ranges of the sentences of `text`, in order, without the white space around them.
///
/// A list item, a table row, a heading and a line of code each stand alone; marks such as `- ` stay in the range.
///
/// ```
/// let text = "It waits, e.g. for 3.5 ms. Then\nit runs.";
/// let found: Vec<&str> = oneloop::text::sentences(text).map(|range| &text[range]).collect();
/// assert_eq!(found, ["It waits, e.g. for 3.5 ms.", "Then\nit runs."]);
/// ```
pub fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    Sentences { text, at: 0, in_code: false }
}

/// `at` is where the next sentence is looked for; always on a character boundary.
struct Sentences<'t> {
    text: &'t str,
    at: usize,
    /// Inside a fenced block every line stands alone.
    in_code: bool,
}

impl Iterator for Sentences<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let rest = &self.text[self.at..];
            let start = self.at + (rest.len() - rest.trim_start().len());
            if start == self.text.len() {
                return None;
            }
            if is_fence(&self.text[start..]) {
                self.in_code = !self.in_code;
                self.at = line_end(self.text, start);
                continue;
            }
            let end = if self.in_code { line_end(self.text, start) } else { sentence_end(self.text, start) };
            self.at = end;
            let sentence = self.text[start..end].trim_end();
            return Some(start..start + sentence.len());
        }
    }
}

/// The sentence that starts at `start` ends here: at a stop, or at a line that begins something new.
fn sentence_end(text: &str, start: usize) -> usize {
    let stands_alone = matches!(text.as_bytes()[start], b'#' | b'|');
    for (offset, c) in text[start..].char_indices() {
        let at = start + offset;
        match c {
            '\n' if stands_alone || begins_anew(&text[at + 1..]) => return at,
            '。' | '！' | '？' | '｡' => return after_closers(text, at + c.len_utf8()),
            '.' | '!' | '?' | '…' => {
                let end = after_closers(text, at + c.len_utf8());
                let next = text[end..].chars().next();
                if next.is_some_and(|c| !c.is_whitespace()) {
                    continue;
                }
                let goes_on = match c {
                    '.' => is_abbreviated(&text[start..at], &text[end..]),
                    _ => is_quotation(&text[at..end]) && begins_small(&text[end..]),
                };
                if !goes_on {
                    return end;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Past quotes and brackets that close behind a stop.
fn after_closers(text: &str, at: usize) -> usize {
    let closers = |c: char| {
        matches!(
            c,
            '.' | '!' | '?' | '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」' | '』' | '）' | '*' | '_' | '`'
        )
    };
    let rest = &text[at..];
    at + (rest.len() - rest.trim_start_matches(closers).len())
}

/// The stop after `before` is no end: `e.g.`, `Fig.`, the initial of a name, the number of a list item, the day before
/// a German month (`3. März`), or a small letter follows.
fn is_abbreviated(before: &str, after: &str) -> bool {
    let word =
        before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '*' | '"')).next().unwrap_or("");
    let next = after.trim_start().chars().next();
    if word.is_empty() || next.is_none() {
        return false;
    }
    let is_marker = word.len() == before.len() && word.bytes().all(|byte| byte.is_ascii_digit());
    // `5 V.` ends with a unit, `J. Smith` begins with an initial.
    let after_number = before[..before.len() - word.len()].trim_end().ends_with(|c: char| c.is_ascii_digit());
    let is_letter = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_alphabetic);
    let is_initial = is_letter(word) && word.chars().all(char::is_uppercase) && word != "I" && !after_number;
    let has_inner_stop = word.contains('.') && word.split('.').all(is_letter);
    let mut lower = [0u8; 8];
    let is_known = lower.get_mut(..word.len()).is_some_and(|lower| {
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        ABBREVIATIONS.contains(&&*lower)
    });
    let is_day = (1..=2).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit())
        && MONTHS.iter().any(|month| after.trim_start().starts_with(month));
    is_marker || is_initial || has_inner_stop || is_known || is_day || next.is_some_and(char::is_lowercase)
}

/// A stop with what closes behind it ends something quoted: `… take?" is resolved`.
fn is_quotation(stop: &str) -> bool {
    stop.ends_with(['"', '\'', '”', '’', '»', '`', ')', '*', '_'])
}

fn begins_small(after: &str) -> bool {
    after.trim_start().starts_with(char::is_lowercase)
}

/// What follows a line break is no continuation of the sentence: a blank line, a list item, a heading, a row, a quote.
fn begins_anew(rest: &str) -> bool {
    let line = rest[..line_end(rest, 0)].trim();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let numbered =
        digits > 0 && digits < 10 && (line[digits..].starts_with(". ") || line[digits..].starts_with(") "));
    let marked = ["- ", "* ", "+ ", "|", "# ", "## ", "### ", "#### ", "##### ", "###### ", "> "];
    line.is_empty() || numbered || is_fence(line) || marked.iter().any(|mark| line.starts_with(mark))
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

fn line_end(text: &str, start: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |length| start + length)
}

/// Only those that a capital letter or a number may follow; before a small letter no stop is an end anyway.
const ABBREVIATIONS: &[&[u8]] = &[
    b"al", b"approx", b"bzw", b"ca", b"cf", b"dr", b"eds", b"eq", b"esp", b"fig", b"figs", b"jr", b"mr",
    b"mrs", b"nr", b"pp", b"prof", b"resp", b"sr", b"vgl", b"viz", b"vol", b"vs",
];

/// The heads of their names; a sentence that begins with one behind a number is far rarer than a date.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<&str> {
        sentences(text).map(|range| &text[range]).collect()
    }

    #[test]
    fn abbreviations_decimals_and_initials_do_not_end_a_sentence() {
        assert_eq!(
            all("See e.g. Fig. 3 by J. Smith et al. at 3.5 V. It is 3.5. Does it hold? Yes."),
            ["See e.g. Fig. 3 by J. Smith et al. at 3.5 V.", "It is 3.5.", "Does it hold?", "Yes."]
        );
        assert_eq!(all("A wait of 2 ms. Then more."), ["A wait of 2 ms.", "Then more."]);
    }

    #[test]
    fn a_german_date_does_not_end_a_sentence() {
        assert_eq!(
            all("Es ist am 3. September. Am 18. März nicht."),
            ["Es ist am 3. September.", "Am 18. März nicht."]
        );
        assert_eq!(all("It has 12. It is big."), ["It has 12.", "It is big."]);
    }

    #[test]
    fn a_line_break_inside_a_paragraph_is_a_space() {
        assert_eq!(
            all("One sentence\r\nover lines.\r\n\r\nNext one"),
            ["One sentence\r\nover lines.", "Next one"]
        );
    }

    #[test]
    fn list_items_rows_and_headings_stand_alone() {
        assert_eq!(all("Order:\n- first\n- second\n1. third"), ["Order:", "- first", "- second", "1. third"]);
        assert_eq!(all("# Title\ntext\n| a | b |\n| 1 | 2 |"), ["# Title", "text", "| a | b |", "| 1 | 2 |"]);
    }

    #[test]
    fn a_line_of_code_stands_alone_and_the_fences_are_none() {
        assert_eq!(all("Run:\n```sh\na. B\nc\n```\nDone."), ["Run:", "a. B", "c", "Done."]);
    }

    #[test]
    fn full_stops_of_chinese_and_japanese_need_no_space() {
        assert_eq!(all("これは。「あれ。」です"), ["これは。", "「あれ。」", "です"]);
    }

    #[test]
    fn closing_quotes_belong_to_the_sentence() {
        assert_eq!(all("He said \"stop.\" Then left."), ["He said \"stop.\"", "Then left."]);
    }

    #[test]
    fn a_question_quoted_inside_a_sentence_does_not_end_it() {
        let text = "A follow-up such as \"how long does it take?\" is resolved. \"Who?\" It asks.";
        assert_eq!(
            all(text),
            ["A follow-up such as \"how long does it take?\" is resolved.", "\"Who?\"", "It asks."]
        );
    }

    #[test]
    fn nothing_but_space_has_no_sentence() {
        assert_eq!(all(" \n\t\r\n"), Vec::<&str>::new());
    }
}
