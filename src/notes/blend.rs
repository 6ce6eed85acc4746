//! Two rankings made one: what a passage shares with a question in words, and what in meaning.
//!
//! Both have sure hits that the other does not see. Words are sure of names, figures and rare terms, which an embedding
//! blurs; an embedding is sure of a passage that says the same in other words. So each is put on a scale on which a sure hit
//! is near 1, and the two are added: a passage that one of them is sure of stays ahead of all that neither is sure of,
//! and of two such the one that both find good comes first.

/// Blends: each score becomes one of both. The best score of words stays what it was, so that what is made of scores later
/// holds with vectors and without.
pub(super) fn blend<'c>(candidates: impl Iterator<Item = (&'c mut f32, Option<f32>)>) {
    let candidates: Vec<(&mut f32, Option<f32>)> = candidates.collect();
    let likest = candidates.iter().filter_map(|(_, likeness)| *likeness).fold(LIKENESS_SURE, f32::max);
    let top = candidates.iter().map(|(score, _)| **score).fold(0.0, f32::max);
    let whole = if top > 0.0 { top } else { 1.0 };
    for (score, likeness) in candidates {
        let meaning = likeness
            .map_or(0.0, |likeness| ((likeness - LIKENESS_NONE) / (likest - LIKENESS_NONE)).clamp(0.0, 1.0));
        *score = whole * (WORDS_SHARE * *score / whole + MEANING_SHARE * meaning);
    }
}

/// Texts that have nothing in common still are so like, and texts that are liker are surely about the same: measured with
/// all-MiniLM-L6-v2 (`benches/answers.rs`).
const LIKENESS_NONE: f32 = 0.1;
const LIKENESS_SURE: f32 = 0.5;
/// What each of the two gives, where it is sure.
const WORDS_SHARE: f32 = 0.5;
const MEANING_SHARE: f32 = 0.5;
