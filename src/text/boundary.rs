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

/// The first `chars_max` characters of a text in one line: a space stands for whatever blanks and control characters part its
/// words. No more of the text is read than that takes.
///
/// ```
/// assert_eq!(oneloop::text::excerpt(" Où est\n\tle thé ?", 9), "Où est le");
/// ```
pub fn excerpt(text: &str, chars_max: usize) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = parts.filter(|part| !part.is_empty());
    let mut line: String =
        words.flat_map(|word| std::iter::once(' ').chain(word.chars())).skip(1).take(chars_max).collect();
    line.truncate(line.trim_end().len());
    line
}

/// The first boundary at or behind `at`; the end of the text if that is beyond it.
pub fn boundary_behind(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
