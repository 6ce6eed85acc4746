//! Where the sentences of a text begin and end.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Byte ranges of the sentences of `text`, in order, without the white space around them.
pub fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.split_sentence_bound_indices().filter_map(|(start, piece)| {
        let trimmed = piece.trim();
        let lead = piece.len() - piece.trim_start().len();
        (!trimmed.is_empty()).then(|| start + lead..start + lead + trimmed.len())
    })
}
