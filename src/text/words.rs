//! Where the words of a text begin and end.
//!
//! Three kinds of text, each with its own rule:
//!
//! ```text
//! letters with spaces    Unicode Standard Annex #29                    naïve café      → naïve · café
//! names made of parts    the whole, then each part                     Last-Event-ID   → Last-Event-ID · Last · Event · ID
//! scripts without spaces overlapping pairs of characters (bigrams)     日本語           → 日本 · 本語
//! ```
//!
//! Both sides of a search use the same rule, so `10ms` (whole, `10`, `ms`) and `10 ms` meet in their parts.
//! We do not segment Chinese, Japanese or Thai by dictionary: pairs find more than is meant, and the ranking sorts it out.

use unicode_segmentation::{UnicodeSegmentation, UnicodeWordIndices};

/// One word as it stands in the text. Words of unspaced scripts come as overlapping pairs of characters, and a
/// name made of parts is followed by its parts, so words may overlap; their starts are not always in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'t> {
    /// Byte offset of its first character.
    pub start: usize,
    /// The characters, unchanged.
    pub text: &'t str,
}

/// The words of `text`: in order, a name before its parts.
///
/// ```
/// let found: Vec<&str> = oneloop::text::words("Wait 10ms, then tick_ms.").map(|word| word.text).collect();
/// assert_eq!(found, ["Wait", "10ms", "10", "ms", "then", "tick_ms", "tick", "ms"]);
/// ```
pub fn words(text: &str) -> Words<'_> {
    Words { text, at: 0, parts: 0..0, pairs: 0..0, segments: None }
}

/// The iterator that [`words`] gives. It allocates nothing and reads the text once.
#[derive(Debug)]
pub struct Words<'t> {
    text: &'t str,
    /// Everything before it has been given out or waits in the fields below.
    at: usize,
    /// What is left of a name whose parts are being given out.
    parts: std::ops::Range<usize>,
    /// What is left of a run of an unspaced script.
    pairs: std::ops::Range<usize>,
    /// A stretch without white space that holds a character beyond ASCII, and where it starts.
    segments: Option<(usize, UnicodeWordIndices<'t>)>,
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        loop {
            if let Some(word) = self.next_part() {
                return Some(word);
            }
            if let Some(word) = self.next_pair() {
                return Some(word);
            }
            if let Some((base, segments)) = &mut self.segments {
                match segments.next() {
                    Some((offset, text)) => {
                        let Some(word) = trim_joiners(*base + offset, text) else { continue };
                        if has_parts(word.text.as_bytes()) {
                            self.parts = word.start..word.start + word.text.len();
                        }
                        return Some(word);
                    }
                    None => self.segments = None,
                }
            }
            if let Some(word) = self.next_run()? {
                return Some(word);
            }
        }
    }
}

impl<'t> Words<'t> {
    /// Finds the next run of anything: gives an ASCII word, or prepares `pairs` or `segments`. `None` at the end.
    fn next_run(&mut self) -> Option<Option<Word<'t>>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        let start = self.at;
        if start == bytes.len() {
            return None;
        }
        let (end, is_ascii) = ascii_run(bytes, start);
        if is_ascii {
            self.at = end;
            if !has_parts(&bytes[start..end]) {
                return Some(Some(Word { start, text: &self.text[start..end] }));
            }
            self.parts = start..end;
            let whole = (end - start <= NAME_BYTES_MAX).then(|| Word { start, text: &self.text[start..end] });
            return Some(whole);
        }
        let unspaced = run_end(self.text, start, is_unspaced);
        if unspaced > start {
            self.pairs = start..unspaced;
            self.at = unspaced;
        } else {
            self.at = run_end(self.text, start, |c| !c.is_ascii_whitespace() && !is_unspaced(c));
            self.segments = Some((start, self.text[start..self.at].unicode_word_indices()));
        }
        Some(None)
    }

    /// The next part of a name: between joiners, at `aB`, at `ABc`, and at the one border of digits and letters.
    fn next_part(&mut self) -> Option<Word<'t>> {
        let bytes = self.text.as_bytes();
        while self.parts.start < self.parts.end && is_joiner(bytes[self.parts.start]) {
            self.parts.start += 1;
        }
        if self.parts.is_empty() {
            return None;
        }
        let start = self.parts.start;
        let rest = &bytes[start..self.parts.end];
        let segment = rest.iter().position(|byte| is_joiner(*byte)).map_or(rest, |length| &rest[..length]);
        // A long segment is no name: it stays whole, or looking for its parts would take the square of its length.
        let is_name = segment.len() <= NAME_BYTES_MAX;
        let end = start + if is_name { first_part(segment) } else { segment.len() };
        self.parts.start = end;
        Some(Word { start, text: &self.text[start..end] })
    }

    /// The next pair of an unspaced run; a run of one character gives that character.
    fn next_pair(&mut self) -> Option<Word<'t>> {
        let run = self.text.get(self.pairs.clone())?;
        let mut ends = run.char_indices().map(|(at, c)| at + c.len_utf8());
        let first = ends.next()?;
        let start = self.pairs.start;
        match ends.next() {
            Some(second) => {
                // The last pair ends the run; otherwise its second character begins the next pair.
                self.pairs.start =
                    if start + second == self.pairs.end { self.pairs.end } else { start + first };
                Some(Word { start, text: &run[..second] })
            }
            None => {
                self.pairs.start = self.pairs.end;
                Some(Word { start, text: run })
            }
        }
    }
}

/// A word with hyphens as it is written by those who leave them out: `set-up` as `setup`.
pub fn joined(word: &str) -> Option<String> {
    let is_joined = word.contains('-') && word.chars().all(|c| c == '-' || c.is_alphabetic());
    is_joined.then(|| word.replace('-', ""))
}

/// A character of a script that is written without spaces, or with words so long that pairs serve better (Hangul).
pub fn is_unspaced(c: char) -> bool {
    let code = u32::from(c);
    code >= 0x0E00
        && matches!(code,
            0x0E00..=0x0EFF            // Thai, Lao
            | 0x1000..=0x109F          // Myanmar
            | 0x1100..=0x11FF          // Hangul Jamo
            | 0x1780..=0x17FF          // Khmer
            | 0x3005..=0x3007          // 々〆〇
            | 0x3041..=0x3096 | 0x3099..=0x309A | 0x309D..=0x309F // Hiragana and its sound marks
            | 0x30A1..=0x30FA | 0x30FC..=0x30FF // Katakana
            | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
            | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF
            | 0xFF66..=0xFF9F | 0x20000..=0x3134F)
}

/// Where the run of ASCII letters, digits and joiners from `start` ends, and whether no other script touches it.
fn ascii_run(bytes: &[u8], start: usize) -> (usize, bool) {
    let mut end = start;
    while let Some(&byte) = bytes.get(end) {
        if byte.is_ascii_alphanumeric() {
            end += 1;
            continue;
        }
        if !byte.is_ascii() {
            return (end, false);
        }
        if !joins(bytes, start, end) {
            break;
        }
        end += 1;
    }
    // An underscore may repeat, so the run may end with one.
    while end > start && bytes[end - 1] == b'_' {
        end -= 1;
    }
    (end, true)
}

/// The joiner at `at` stands between the right neighbours: `tick_ms`, `first-class`, `node.js`, `isn't`, `1,024`.
fn joins(bytes: &[u8], start: usize, at: usize) -> bool {
    let (Some(before), Some(after)) = (at.checked_sub(1).filter(|at| *at >= start), bytes.get(at + 1)) else {
        return false;
    };
    let before = bytes[before];
    match bytes[at] {
        b'_' => *after == b'_' || after.is_ascii_alphanumeric(),
        b'-' | b'.' => before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric(),
        b'\'' => before.is_ascii_alphabetic() && after.is_ascii_alphabetic(),
        b',' => before.is_ascii_digit() && after.is_ascii_digit() && bytes[start].is_ascii_digit(),
        _ => false,
    }
}

/// A name is worth taking apart: it has a joiner (a decimal point or an apostrophe is none), or cases or digits mix.
fn has_parts(word: &[u8]) -> bool {
    if !word.iter().any(|byte| is_joiner(*byte)) {
        return first_part(word) < word.len();
    }
    word.iter().any(|byte| !byte.is_ascii_digit() && !matches!(byte, b'.' | b','))
        // `e.g` and `U.S` have parts of one letter, which say nothing.
        && word.split(|byte| is_joiner(*byte)).any(|part| part.len() > 1)
}

fn is_joiner(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.')
}

/// Length of the first part of a segment without joiners: `last|Event`, `HTTP|Server`, `10|ms`, `utf|8`.
///
/// Digits and letters part only where they meet once, or hashes and keys would fall into confetti.
fn first_part(segment: &[u8]) -> usize {
    let mut meetings = 0;
    let mut meeting = segment.len();
    for at in 1..segment.len() {
        let (before, here) = (segment[at - 1], segment[at]);
        let rises = before.is_ascii_lowercase() && here.is_ascii_uppercase();
        let acronym_ends = before.is_ascii_uppercase()
            && here.is_ascii_uppercase()
            && at > 1
            && segment.get(at + 1).is_some_and(u8::is_ascii_lowercase)
            // `GPUs` are several of one kind.
            && segment[at + 1..] != *b"s";
        if (rises || acronym_ends) && meetings == 0 {
            return at;
        }
        if before.is_ascii_digit() != here.is_ascii_digit()
            && before.is_ascii_alphanumeric()
            && here.is_ascii_alphanumeric()
        {
            meetings += 1;
            if meetings == 1 {
                meeting = at;
            }
        }
    }
    if meetings == 1 { meeting } else { segment.len() }
}

/// UAX #29 keeps the underscores of `_emphasis_`; Markdown does not mean them.
fn trim_joiners(start: usize, text: &str) -> Option<Word<'_>> {
    let trimmed = text.trim_start_matches('_');
    let lead = text.len() - trimmed.len();
    let trimmed = trimmed.trim_end_matches('_');
    (!trimmed.is_empty()).then_some(Word { start: start + lead, text: trimmed })
}

fn run_end(text: &str, start: usize, belongs: impl Fn(char) -> bool) -> usize {
    text[start..].char_indices().find(|(_, c)| !belongs(*c)).map_or(text.len(), |(length, _)| start + length)
}

/// Longest name that is a word as a whole, in bytes; of a longer one (a path, a key) only the parts are words.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<&str> {
        words(text).map(|word| word.text).collect()
    }

    #[test]
    fn plain_prose_falls_at_spaces_and_punctuation() {
        assert_eq!(all("The loop (one page) isn't big."), ["The", "loop", "one", "page", "isn't", "big"]);
    }

    #[test]
    fn a_name_is_given_whole_and_in_its_parts() {
        assert_eq!(all("Last-Event-ID"), ["Last-Event-ID", "Last", "Event", "ID"]);
        assert_eq!(all("tick_ms"), ["tick_ms", "tick", "ms"]);
        assert_eq!(all("WouldBlock"), ["WouldBlock", "Would", "Block"]);
        assert_eq!(all("HTTPServer"), ["HTTPServer", "HTTP", "Server"]);
        assert_eq!(all("utf8 10ms"), ["utf8", "utf", "8", "10ms", "10", "ms"]);
        assert_eq!(all("node.js"), ["node.js", "node", "js"]);
        assert_eq!(all("SIGTERM URLs"), ["SIGTERM", "URLs"]);
    }

    #[test]
    fn numbers_and_hashes_stay_whole() {
        assert_eq!(all("3.5 and 1,024 or 9f86d081"), ["3.5", "and", "1,024", "or", "9f86d081"]);
        assert_eq!(all("e.g. this"), ["e.g", "this"]);
    }

    #[test]
    fn markdown_marks_are_no_part_of_a_word() {
        assert_eq!(all("_soft_ **hard** `code` __init__"), ["soft", "hard", "code", "init"]);
        assert_eq!(all("_ça_"), ["ça"]);
    }

    #[test]
    fn unspaced_scripts_come_as_overlapping_pairs() {
        assert_eq!(all("日本語のloop"), ["日本", "本語", "語の", "loop"]);
        assert_eq!(all("猫。"), ["猫"]);
        assert_eq!(all("이벤트 루프"), ["이벤", "벤트", "루프"]);
    }

    #[test]
    fn other_scripts_follow_the_annex() {
        assert_eq!(all("naïve café’s Übergröße—gut"), ["naïve", "café’s", "Übergröße", "gut"]);
        assert_eq!(all("Цикл событий"), ["Цикл", "событий"]);
    }

    #[test]
    fn starts_are_byte_offsets_of_the_text_itself() {
        let text = "é tick_ms 日本語 x";
        for word in words(text) {
            assert_eq!(&text[word.start..word.start + word.text.len()], word.text);
        }
    }

    #[test]
    fn a_long_run_without_joiners_is_one_word() {
        let long = "aB".repeat(40);
        assert_eq!(all(&long), [long.as_str()]);
    }

    #[test]
    fn a_name_beyond_its_bound_is_only_its_parts() {
        let long = ["ab"; 40].join("-");
        assert_eq!(all(&long), vec!["ab"; 40]);
    }
}
