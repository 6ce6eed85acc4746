//! Two rankings made one: what a passage shares with a question in words, and what in meaning.
//!
//! Both have sure hits that the other does not see. Words are sure of names, figures and rare terms, which an embedding
//! blurs; an embedding is sure of a passage that says the same in other words. So each is put on a scale on which a sure hit
//! is near 1, and the two are added: a passage that one of them is sure of stays ahead of all that neither is sure of,
//! and of two such the one that both find good comes first.

/// What a likeness is worth beside words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Texts that have nothing in common still are so like.
    none: f32,
    /// Texts that are liker are surely about the same.
    sure: f32,
    /// What a sure likeness gives of the best score that there can be; words give the rest.
    share: f32,
}

impl Scale {
    /// Of the vectors of a model: measured with all-MiniLM-L6-v2 (`benches/answers.rs`).
    pub(super) const MODEL: Scale = Scale { none: 0.1, sure: 0.5, share: 0.4 };
    /// Of the built-in sense of words, which is a weaker witness.
    pub(super) const SENSE: Scale = Scale { none: 0.05, sure: 0.6, share: 0.25 };
}

/// Blends: each score becomes one of both. The best score of words stays what it was, so that what is made of scores later
/// holds with vectors and without.
pub(super) fn blend<'c>(candidates: impl Iterator<Item = (&'c mut f32, Option<f32>)>, scale: Scale) {
    let candidates: Vec<(&mut f32, Option<f32>)> = candidates.collect();
    let likest = candidates.iter().filter_map(|(_, likeness)| *likeness).fold(scale.sure, f32::max);
    let top = candidates.iter().map(|(score, _)| **score).fold(0.0, f32::max);
    let whole = if top > 0.0 { top } else { 1.0 };
    for (score, likeness) in candidates {
        let words = *score / whole;
        // One without a vector is what its words say.
        let meaning = likeness
            .map_or(words, |likeness| ((likeness - scale.none) / (likest - scale.none)).clamp(0.0, 1.0));
        *score = whole * ((1.0 - scale.share) * words + scale.share * meaning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blended(candidates: &[(f32, Option<f32>)]) -> Vec<f32> {
        let mut candidates = candidates.to_vec();
        blend(candidates.iter_mut().map(|(score, likeness)| (score, *likeness)), Scale::MODEL);
        candidates.iter().map(|(score, _)| *score).collect()
    }

    #[test]
    fn sure_hits_of_both_stay_ahead_of_all_that_neither_is_sure_of() {
        let scores = blended(&[(8.0, Some(0.2)), (1.0, Some(0.7)), (2.0, Some(0.3)), (0.0, Some(0.3))]);
        assert!(scores[0] > scores[2] && scores[1] > scores[2] && scores[2] > scores[3], "{scores:?}");
    }

    #[test]
    fn without_a_vector_a_passage_is_what_its_words_say() {
        let scores = blended(&[(8.0, None), (4.0, Some(0.9)), (0.0, Some(0.9))]);
        assert!(scores[0] > scores[1] && scores[1] > scores[2], "{scores:?}");
        assert_eq!(blended(&[(8.0, None), (2.0, None)]), [8.0, 2.0]);
    }

    #[test]
    fn where_no_word_is_shared_the_likest_comes_first() {
        let scores = blended(&[(0.0, Some(0.3)), (0.0, Some(0.4))]);
        assert!(scores[1] > scores[0] && scores[0] > 0.0, "{scores:?}");
    }
}
