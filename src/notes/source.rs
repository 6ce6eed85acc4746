//! From the bytes of a file to text whose offsets are those of the file.
//!
//! A citation names a byte range, so nothing may move: a byte order mark and carriage returns stay, and each byte
//! that is not UTF-8 becomes one `?`. A file in another encoding is thus readable where it is ASCII.

use ring::digest::{Context, SHA256};

/// SHA-256 (FIPS 180-4) of the bytes of a note.
pub type NoteHash = [u8; 32];

/// Decodes one file in slices. The end is cut at `bytes_max`, before a character that would not fit.
pub struct Decoding {
    bytes: Vec<u8>,
    /// Of everything before `at`.
    hash: Context,
    /// Everything before it is in `text`.
    at: usize,
    text: String,
}

impl Decoding {
    /// For these bytes, of which at most `bytes_max` become text.
    pub fn new(mut bytes: Vec<u8>, bytes_max: usize, is_cut: bool) -> Decoding {
        let is_cut = is_cut || bytes.len() > bytes_max;
        bytes.truncate(bytes_max);
        if is_cut {
            bytes.truncate(whole_characters(&bytes));
        }
        Decoding { hash: Context::new(&SHA256), at: 0, text: String::with_capacity(bytes.len()), bytes }
    }

    /// Bytes that the next [`step`](Decoding::step) will look at.
    pub fn step_bytes(&self) -> usize {
        (self.bytes.len() - self.at).min(WINDOW_BYTES)
    }

    /// Decodes the next window; the text once all of it is decoded, and the hash of the bytes that it was made from.
    pub fn step(&mut self) -> Option<(String, NoteHash)> {
        let begin = self.at;
        let end = self.bytes.len().min(self.at + WINDOW_BYTES);
        let is_last = end == self.bytes.len();
        for chunk in self.bytes[self.at..end].utf8_chunks() {
            self.text.push_str(chunk.valid());
            self.at += chunk.valid().len();
            // A character may only be cut by the window: then the next one begins with it.
            let is_cut =
                self.at + chunk.invalid().len() == end && whole_characters(&self.bytes[..end]) == self.at;
            if !is_cut || is_last {
                self.text.extend(std::iter::repeat_n(PLACEHOLDER, chunk.invalid().len()));
                self.at += chunk.invalid().len();
            }
        }
        self.hash.update(&self.bytes[begin..self.at]);
        (self.at == self.bytes.len()).then(|| {
            let mut hash = NoteHash::default();
            hash.copy_from_slice(self.hash.clone().finish().as_ref());
            (std::mem::take(&mut self.text), hash)
        })
    }
}

/// Length of `bytes` without a character that its end cuts.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(4);
    for start in (tail..bytes.len()).rev() {
        let needed = match bytes[start] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return bytes.len(),
        };
        return if start + needed > bytes.len() { start } else { bytes.len() };
    }
    bytes.len()
}

/// Stands for one byte that is not UTF-8.
const PLACEHOLDER: char = '?';
/// Bytes of one step: 0.3 ms at worst, when none of them is UTF-8.
const WINDOW_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], bytes_max: usize) -> String {
        let mut decoding = Decoding::new(bytes.to_vec(), bytes_max, false);
        loop {
            if let Some((text, _)) = decoding.step() {
                return text;
            }
        }
    }

    #[test]
    fn every_byte_keeps_its_place() {
        assert_eq!(decode(b"\xEF\xBB\xBFa\r\nb", 100), "\u{FEFF}a\r\nb");
        assert_eq!(decode(b"caf\xE9 \xF0\x9F ok \xFF", 100), "caf? ?? ok ?");
        assert_eq!(decode(b"", 100), "");
    }

    #[test]
    fn a_long_file_is_cut_before_the_character_that_does_not_fit() {
        assert_eq!(decode("aé".as_bytes(), 2), "a");
        assert_eq!(decode("a日b".as_bytes(), 3), "a");
        assert_eq!(decode("a日b".as_bytes(), 4), "a日");
    }

    #[test]
    fn a_character_across_two_windows_is_whole() {
        let text = format!("{}é{}", "x".repeat(WINDOW_BYTES - 1), "é".repeat(WINDOW_BYTES));
        assert_eq!(decode(text.as_bytes(), usize::MAX), text);
    }

    #[test]
    fn the_hash_is_that_of_the_file_however_it_is_cut() {
        let bytes: Vec<u8> = (0..3 * WINDOW_BYTES + 5).map(|number| (number % 251) as u8).collect();
        let mut decoding = Decoding::new(bytes.clone(), usize::MAX, false);
        let hash = std::iter::from_fn(|| Some(decoding.step())).flatten().next().map(|(_, hash)| hash);
        assert_eq!(hash.as_ref().map(|hash| &hash[..]), Some(ring::digest::digest(&SHA256, &bytes).as_ref()));
    }

    #[test]
    fn a_file_of_nothing_but_bad_bytes_is_as_many_placeholders() {
        assert_eq!(decode(&[0xFF; 40_000], usize::MAX), "?".repeat(40_000));
    }
}
