//! From a word to the term that stands for it in the index: lower case, no diacritics, stemmed.

use rust_stemmers::{Algorithm, Stemmer};

/// Turns words into terms; keeps its buffers, so that a term costs no allocation.
pub struct Terms {
    stemmer: Stemmer,
    folded: String,
}

impl Terms {
    /// For English, whose stemmer leaves most words of other languages alone or does them no harm.
    pub fn new() -> Terms {
        Terms { stemmer: Stemmer::create(Algorithm::English), folded: String::new() }
    }

    /// The term of one word; two words with the same term are the same to a search.
    pub fn term(&mut self, word: &str) -> &str {
        self.folded = word.to_lowercase();
        self.folded = self.stemmer.stem(&self.folded).into_owned();
        &self.folded
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms::new()
    }
}
