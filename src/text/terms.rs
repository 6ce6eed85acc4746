//! From a word to the term that stands for it in the index: lower case, no diacritics, stemmed.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

use super::boundary::boundary_before;
use super::words::is_unspaced;

/// Turns words into terms, in buffers that are used again.
pub struct Terms {
    stemmer: Stemmer,
    folded: String,
    term: String,
}

impl Terms {
    /// For English, whose stemmer leaves most words of other languages alone or does them no harm.
    pub fn new() -> Terms {
        Terms { stemmer: Stemmer::create(Algorithm::English), folded: String::new(), term: String::new() }
    }

    /// The term of one word; two words with the same term are the same to a search.
    ///
    /// Plain English words are stemmed (Porter 2); names with joiners or digits keep their form. A word is known
    /// by its first 64 bytes.
    ///
    /// ```
    /// let mut terms = oneloop::text::Terms::new();
    /// assert_eq!(terms.term("Phases"), "phase");
    /// assert_eq!(terms.term("Café"), "cafe");
    /// assert_eq!(terms.term("1,024"), "1024");
    /// ```
    pub fn term(&mut self, word: &str) -> &str {
        self.derive(word);
        &self.term
    }

    /// Fills `term`.
    fn derive(&mut self, word: &str) {
        self.folded.clear();
        let word = singular(&word[..boundary_before(word, WORD_BYTES_MAX)]);
        if word.is_ascii() {
            self.folded
                .extend(word.bytes().filter(|byte| *byte != b',').map(|b| b.to_ascii_lowercase() as char));
        } else if word.chars().any(is_unspaced) {
            // Full and half width become one; marks stay, because が is not か.
            self.folded.extend(word.nfkc().flat_map(char::to_lowercase));
        } else {
            word.nfkd().filter(|c| !is_diacritic(*c)).flat_map(char::to_lowercase).for_each(
                |c| match plain(c) {
                    Some(letters) => self.folded.push_str(letters),
                    None => self.folded.push(c),
                },
            );
        }
        self.term.clear();
        let is_plain = self.folded.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'\'');
        if is_plain && self.folded.len() > 2 {
            self.term.push_str(&self.stemmer.stem(&self.folded));
        } else {
            self.term.push_str(&self.folded);
        }
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms::new()
    }
}

/// A word that holds a sentence together and says nothing of its subject, in English: `the`, `which`, `does`.
///
/// Asked of the word itself, in lower case. A search weighs these by almost nothing, which frequency alone
/// would not do in a folder of ten notes. Other languages go by frequency.
pub fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// `GPUs` as `GPU`: the stemmer, which sees small letters only, takes `gpus` for a word like `bus`.
fn singular(word: &str) -> &str {
    let is_acronym = |one: &str| one.len() > 1 && one.bytes().all(|byte| byte.is_ascii_uppercase());
    word.strip_suffix('s').filter(|one| is_acronym(one)).unwrap_or(word)
}

/// Accents, and the vowel points of Hebrew and Arabic. Vowel signs of Indic scripts are letters and stay.
fn is_diacritic(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF)
}

/// Letters that decomposition leaves alone, as people type them without the key for it.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ı' => "i",
        'þ' => "th",
        '’' => "'",
        _ => return None,
    })
}

const WORD_BYTES_MAX: usize = 64;

/// Sorted, for the binary search.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "between", "both", "but", "by", "can", "can't", "could", "did", "do", "does",
    "doesn't", "doing", "don't", "each", "explain", "for", "from", "give", "had", "has", "have", "he", "her",
    "here", "him", "his", "how", "i", "i'm", "if", "in", "into", "is", "isn't", "it", "it's", "its", "just",
    "know", "let", "like", "many", "may", "me", "might", "more", "most", "much", "must", "my", "no", "not",
    "of", "off", "on", "one", "only", "or", "other", "our", "out", "over", "please", "s", "shall", "she",
    "should", "so", "some", "such", "tell", "than", "that", "that's", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "too", "under", "up", "us", "very", "was", "we", "were",
    "what", "what's", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with",
    "would", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_meet_in_one_term() {
        let mut terms = Terms::new();
        for (one, other) in [
            ("phases", "phase"),
            ("GPUs", "gpu"),
            ("Running", "runs"),
            ("server's", "servers"),
            ("server’s", "server"),
            ("cafés", "cafe"),
            ("Größe", "grosse"),
            ("ＡＢＣ", "abc"),
        ] {
            assert_eq!(terms.term(one).to_owned(), terms.term(other), "{one} and {other}");
        }
    }

    #[test]
    fn names_and_numbers_keep_their_form() {
        let mut terms = Terms::new();
        assert_eq!(terms.term("Last-Event-ID"), "last-event-id");
        assert_eq!(terms.term("tick_ms"), "tick_ms");
        assert_eq!(terms.term("1,024"), "1024");
    }

    #[test]
    fn marks_that_make_another_letter_stay() {
        let mut terms = Terms::new();
        assert_ne!(terms.term("がが").to_owned(), terms.term("かか"));
        assert_eq!(terms.term("हिंदी"), "हिंदी");
    }

    #[test]
    fn the_function_words_are_sorted_for_their_search() {
        assert!(FUNCTION_WORDS.is_sorted());
        assert!(is_function_word("which") && !is_function_word("loop"));
    }
}
