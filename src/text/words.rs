//! Where the words of a text begin and end.

use unicode_segmentation::{UnicodeSegmentation, UnicodeWordIndices};

/// One word as it stands in the text. Words of unspaced scripts come as overlapping pairs of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'t> {
    /// Byte offset of its first character.
    pub start: usize,
    /// The characters, unchanged.
    pub text: &'t str,
}

/// The words of `text`, in order (Unicode Standard Annex #29; CJK by bigrams).
pub fn words(text: &str) -> Words<'_> {
    Words { inner: text.unicode_word_indices() }
}

/// The iterator that [`words`] gives.
#[derive(Debug)]
pub struct Words<'t> {
    inner: UnicodeWordIndices<'t>,
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        self.inner.next().map(|(start, text)| Word { start, text })
    }
}
