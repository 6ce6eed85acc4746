//! What an English text is about, as a direction: texts that speak of one matter point much the same way, whatever their
//! words.
//!
//! Each of some thousand common words has a direction of its own, and a text points where the sum of its words does.
//! That is a sketch of what an embedding model gives, without one: order and context count for nothing, and what
//! is no common word, such as a name or a code, says nothing. It tells a question about the fridge from one about the
//! ferry, where they share no word with the note.
//!
//! ```text
//! sense.bin    (term, 12 bytes, padded with zeros │ length, 2 bytes, lowest first │ 128 components, a signed byte each)*
//! ```
//!
//! The table is in order of the terms, lies in the binary and is searched where it lies: nothing is read or built at start.
//! `benches/answers/kin/sense.py` makes it.

use std::cmp::Ordering;

use super::kin::Kinship;

/// A word of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordId(u16);

impl WordId {
    /// The word whose term this is, as [`Terms`](super::Terms) makes it for English; `None` if it is no common one.
    ///
    /// ```
    /// use oneloop::text::WordId;
    ///
    /// let [old, aged, ferry] = ["old", "age", "ferri"].map(|term| WordId::of(term).unwrap());
    /// assert!(old.likeness(aged) > old.likeness(ferry) + 0.2);
    /// assert_eq!(WordId::of("qwertz"), None);
    /// ```
    pub fn of(term: &str) -> Option<WordId> {
        if term.len() > TERM_BYTES {
            return None;
        }
        let mut wanted = [0; TERM_BYTES];
        wanted[..term.len()].copy_from_slice(term.as_bytes());
        let (mut first, mut end) = (0, WORDS);
        while first < end {
            let middle = first + (end - first) / 2;
            match record(middle)[..TERM_BYTES].cmp(&wanted[..]) {
                Ordering::Less => first = middle + 1,
                Ordering::Greater => end = middle,
                Ordering::Equal => return u16::try_from(middle).ok().map(WordId),
            }
        }
        None
    }

    /// How much the two mean the same: the cosine of the angle between them, from -1 to 1.
    pub fn likeness(self, other: WordId) -> f32 {
        let products = self.components().iter().zip(other.components());
        let sum: i32 = products.map(|(one, other)| i32::from(*one as i8) * i32::from(*other as i8)).sum();
        sum as f32 / (self.length() * other.length())
    }

    /// Which kin the two are, if they are that.
    pub fn kinship(self, other: WordId) -> Option<Kinship> {
        match self.likeness(other) {
            CLOSE.. => Some(Kinship::Close),
            LESS.. => Some(Kinship::Less),
            SOME.. => Some(Kinship::Some),
            _ => None,
        }
    }

    fn components(self) -> &'static [u8] {
        &record(usize::from(self.0))[TERM_BYTES + LENGTH_BYTES..]
    }

    fn length(self) -> f32 {
        let record = record(usize::from(self.0));
        f32::from(u16::from_le_bytes([record[TERM_BYTES], record[TERM_BYTES + 1]])).max(1.0)
    }
}

/// The direction of a text, and the words that it was made of.
#[derive(Clone)]
pub struct Sense {
    sum: [i32; DIMENSION],
    /// What it was made of: each word counts once.
    words: Vec<WordId>,
}

impl Sense {
    /// Of a text without words.
    pub fn new() -> Sense {
        Sense { sum: [0; DIMENSION], words: Vec::new() }
    }

    /// Adds a word.
    ///
    /// ```
    /// use oneloop::text::{Sense, WordId};
    ///
    /// let of = |terms: &[&str]| {
    ///     let mut sense = Sense::new();
    ///     terms.iter().filter_map(|term| WordId::of(term)).for_each(|word| sense.add(word));
    ///     sense
    /// };
    /// let question = of(&["fridg", "chilli"]);
    /// let near = question.likeness(&of(&["refriger", "cold"])).unwrap();
    /// let far = question.likeness(&of(&["passeng", "ferri"])).unwrap();
    /// assert!(near > far + 0.2, "{near} {far}");
    /// assert_eq!(question.likeness(&of(&["qwertz"])), None);
    /// ```
    pub fn add(&mut self, word: WordId) {
        if self.words.len() >= WORDS_MAX || self.words.contains(&word) {
            return;
        }
        self.words.push(word);
        for (sum, component) in self.sum.iter_mut().zip(word.components()) {
            *sum += i32::from(*component as i8);
        }
    }

    /// The cosine of the angle between the two, from -1 to 1; `None` if one of them has no direction.
    pub fn likeness(&self, other: &Sense) -> Option<f32> {
        let both = self.length() * other.length();
        (both > 0.0).then(|| dot(&self.sum, &other.sum) / both)
    }

    /// Has no word that says anything.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn length(&self) -> f32 {
        dot(&self.sum, &self.sum).sqrt()
    }
}

impl Default for Sense {
    fn default() -> Sense {
        Sense::new()
    }
}

impl std::fmt::Debug for Sense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sense").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

fn dot(one: &[i32; DIMENSION], other: &[i32; DIMENSION]) -> f32 {
    one.iter().zip(other).map(|(one, other)| *one as f32 * *other as f32).sum()
}

fn record(number: usize) -> &'static [u8] {
    &TABLE[number * RECORD_BYTES..(number + 1) * RECORD_BYTES]
}

const TABLE: &[u8] = include_bytes!("sense.bin");

/// Words in the table are no longer.
const TERM_BYTES: usize = 12;
/// How long its direction is, so that it need not be worked out.
const LENGTH_BYTES: usize = 2;
const DIMENSION: usize = 128;
const RECORD_BYTES: usize = TERM_BYTES + LENGTH_BYTES + DIMENSION;
const WORDS: usize = TABLE.len() / RECORD_BYTES;
const _: () = assert!(TABLE.len().is_multiple_of(RECORD_BYTES) && WORDS < u16::MAX as usize);

/// From where on two words are kin, and which (`benches/answers.rs`).
const CLOSE: f32 = 0.65;
const LESS: f32 = 0.5;
const SOME: f32 = 0.3;

/// Different words of one text that count: what it is about is told by then.
const WORDS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_table_is_found_and_is_as_long_as_it_says() {
        let mut last: &[u8] = &[];
        for number in 0..WORDS {
            let term = &record(number)[..TERM_BYTES];
            assert!(last < term, "in order of the terms");
            last = term;
            let term = std::str::from_utf8(term).expect("it is a word").trim_end_matches('\0');
            let word = WordId::of(term).expect("it is in the table");
            assert_eq!(usize::from(word.0), number);
            assert!((word.likeness(word) - 1.0).abs() < 0.05, "{term} {}", word.likeness(word));
        }
        assert_eq!(
            (WordId::of(""), WordId::of("zzzz"), WordId::of("far too long a term")),
            (None, None, None)
        );
    }

    #[test]
    fn a_word_counts_once_and_order_for_nothing() {
        let of = |terms: &[&str]| {
            let mut sense = Sense::new();
            terms.iter().for_each(|term| sense.add(WordId::of(term).expect("it is common")));
            sense
        };
        assert_eq!(of(&["boat", "water", "boat"]).sum, of(&["water", "boat"]).sum);
        assert!(of(&["boat"]).sum != of(&["water"]).sum);
    }
}
