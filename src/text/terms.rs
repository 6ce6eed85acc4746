//! From a word to the term that stands for it in the index: lower case, no diacritics, stemmed.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;

use super::boundary::boundary_before;
use super::language::Language;
use super::words::is_unspaced;

/// Turns words into terms, in buffers that are used again.
pub struct Terms {
    language: Language,
    stemmer: Stemmer,
    lower: String,
    folded: String,
    term: String,
}

impl Terms {
    /// For English, until it is told otherwise.
    pub fn new() -> Terms {
        Terms {
            language: Language::English,
            stemmer: Stemmer::create(Algorithm::English),
            lower: String::new(),
            folded: String::new(),
            term: String::new(),
        }
    }

    /// From now on, words are words of this language.
    pub fn speak(&mut self, language: Language) {
        if self.language != language {
            self.language = language;
            self.stemmer = Stemmer::create(algorithm(language));
        }
    }

    /// The term of one word; two words with the same term are the same to a search.
    ///
    /// Plain words are stemmed by the rules of the language (for English, Porter 2); names with joiners or digits keep
    /// their form. A word is known by its first 64 bytes.
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
        if self.language != Language::English && word.chars().all(|c| c.is_alphabetic() && !is_unspaced(c)) {
            // Their rules look at the diacritics, which fall afterwards.
            self.lower.clear();
            self.lower.extend(word.nfc().flat_map(char::to_lowercase));
            fold(&self.stemmer.stem(&self.lower), &mut self.folded);
            std::mem::swap(&mut self.term, &mut self.folded);
            return;
        }
        if word.is_ascii() {
            self.folded
                .extend(word.bytes().filter(|byte| *byte != b',').map(|b| b.to_ascii_lowercase() as char));
        } else if word.chars().any(is_unspaced) {
            // Full and half width become one; marks stay, because が is not か.
            self.folded.extend(word.nfkc().flat_map(char::to_lowercase));
        } else {
            fold(word, &mut self.folded);
        }
        self.term.clear();
        let is_plain = self.folded.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'\'');
        if is_plain && self.folded.len() > 2 && self.language == Language::English {
            self.term.push_str(&self.stemmer.stem(&self.folded));
        } else {
            self.term.push_str(&self.folded);
        }
    }
}

/// Appends `word` in small letters and without diacritics.
fn fold(word: &str, folded: &mut String) {
    for c in word.nfkd().filter(|c| !is_diacritic(*c)).flat_map(char::to_lowercase) {
        match plain(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
}

fn algorithm(language: Language) -> Algorithm {
    match language {
        Language::English => Algorithm::English,
        Language::German => Algorithm::German,
        Language::French => Algorithm::French,
        Language::Spanish => Algorithm::Spanish,
        Language::Italian => Algorithm::Italian,
        Language::Portuguese => Algorithm::Portuguese,
        Language::Dutch => Algorithm::Dutch,
        Language::Swedish => Algorithm::Swedish,
        Language::Danish => Algorithm::Danish,
        Language::Norwegian => Algorithm::Norwegian,
        Language::Finnish => Algorithm::Finnish,
        Language::Hungarian => Algorithm::Hungarian,
        Language::Romanian => Algorithm::Romanian,
        Language::Turkish => Algorithm::Turkish,
        Language::Russian => Algorithm::Russian,
        Language::Greek => Algorithm::Greek,
        Language::Arabic => Algorithm::Arabic,
        Language::Tamil => Algorithm::Tamil,
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms::new()
    }
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
    fn each_language_has_its_own_inflections() {
        let mut terms = Terms::new();
        for (language, one, other) in [
            (Language::German, "Maschinen", "Maschine"),
            (Language::German, "Häuser", "Haus"),
            (Language::French, "développées", "développer"),
            (Language::Russian, "фильтры", "фильтра"),
            (Language::Spanish, "limpian", "limpiar"),
        ] {
            terms.speak(language);
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
}
