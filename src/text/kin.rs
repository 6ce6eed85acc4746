//! Words of English that say much the same: a question may use one and a note another.
//!
//! A built-in thesaurus lies in `kin.txt`, sorted, and is searched where it lies: nothing is read or built at start.
//! `benches/answers/kin/make.py` makes it, from a sentence encoder's idea of which words are close and from a list by
//! hand. Kin lie beyond what stems bring together (`buy`, `bought`, `purchase`); they are weaker evidence than the word
//! itself, and those who ask here weigh them so.

use std::cmp::Ordering;

/// How close two kin are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// One mostly can stand for the other: `fridge`, `refrigerator`.
    Close,
    /// They speak of one matter: `password`, `login`.
    Less,
    /// They have something in common: `ferry`, `port`. Too many words do for a list.
    Some,
}

/// The kin of a term, itself excepted: terms as [`Terms`](super::Terms) makes them for English.
///
/// ```
/// use oneloop::text::{Kinship, kin};
///
/// assert!(kin("fridg").any(|found| found == ("refriger", Kinship::Close)));
/// assert_eq!(kin("qwertz").count(), 0);
/// ```
pub fn kin(term: &str) -> impl Iterator<Item = (&'static str, Kinship)> {
    let (close, less) = line_of(term).and_then(|line| line.split_once('|')).unwrap_or(("", ""));
    let words = |part: &'static str, kinship| part.split_ascii_whitespace().map(move |word| (word, kinship));
    words(close, Kinship::Close).chain(words(less, Kinship::Less))
}

/// What stands behind `term` in its line.
fn line_of(term: &str) -> Option<&'static str> {
    let (mut first, mut end) = (0, TEXT.len());
    while first < end {
        // The text ends with a line feed, and `end` is always the beginning of a line.
        let middle = TEXT.as_bytes()[..first + (end - first) / 2].iter().rposition(|byte| *byte == b'\n');
        let start = middle.map_or(0, |feed| feed + 1).max(first);
        let line = &TEXT[start..start + TEXT[start..].find('\n')?];
        let (name, rest) = line.split_once(' ')?;
        match name.cmp(term) {
            Ordering::Less => first = start + line.len() + 1,
            Ordering::Greater => end = start,
            Ordering::Equal => return Some(rest),
        }
    }
    None
}

const TEXT: &str = include_str!("kin.txt");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_is_found_by_its_term() {
        for line in TEXT.lines() {
            let (term, rest) = line.split_once(' ').expect("a term and its kin");
            assert_eq!(line_of(term), Some(rest));
        }
        assert_eq!((line_of(""), line_of("zzz"), line_of("buyx")), (None, None, None));
    }

    #[test]
    fn kin_go_both_ways_and_nothing_is_its_own() {
        let mut pairs = BTreeSet::new();
        for line in TEXT.lines() {
            let term = line.split(' ').next().unwrap_or("");
            pairs.extend(kin(term).map(|(other, _)| (term, other)));
        }
        for (one, other) in &pairs {
            assert!(one != other && pairs.contains(&(*other, *one)), "{one} and {other}");
        }
    }

    #[test]
    fn its_terms_are_those_of_the_index() {
        let mut terms = crate::text::Terms::new();
        for (word, other) in [("buying", "purchases"), ("refrigerators", "fridge"), ("salaries", "wages")] {
            let other = terms.term(other).to_owned();
            assert!(kin(terms.term(word)).any(|(found, _)| found == other), "{word}");
        }
    }
}
