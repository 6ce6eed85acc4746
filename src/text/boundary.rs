//! Where a text may be cut: between two characters.

/// The last boundary at or before `at`; the end of the text if that is beyond it.
///
/// ```
/// assert_eq!(oneloop::text::boundary_before("aé", 2), 1);
/// assert_eq!(oneloop::text::boundary_before("aé", 9), 3);
/// ```
pub fn boundary_before(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The first boundary at or behind `at`; the end of the text if that is beyond it.
pub fn boundary_behind(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
