//! Whether two texts say the same, without keeping their words.

use super::marks::is_number_word;

/// The words of a text as bits, to see whether two texts say the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    words: [u64; 4],
    numbers: u64,
}

impl Sketch {
    /// Adds one word by its term.
    pub(super) fn add(&mut self, term: &str) {
        // FNV-1a: a collision costs at worst a repeat.
        let hash = term.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        let mixed = hash ^ hash >> 29;
        self.words[(mixed >> 6 & 3) as usize] |= 1 << (mixed & 63);
        if term.bytes().any(|byte| byte.is_ascii_digit()) || is_number_word(term) {
            self.numbers |= 1 << (mixed & 63);
        }
    }

    /// Adds all words of `other`.
    pub(super) fn add_all(&mut self, other: &Sketch) {
        for (word, others) in self.words.iter_mut().zip(other.words) {
            *word |= others;
        }
        self.numbers |= other.numbers;
    }

    /// Their numbers are not the same.
    pub(super) fn differs_in_figures(&self, other: &Sketch) -> bool {
        self.numbers != other.numbers
    }

    /// Nearly all words of the shorter text stand in the other, and no number differs: notes that say
    /// `port 80` and `port 81` do not repeat but contradict each other.
    pub(super) fn repeats(&self, other: &Sketch) -> bool {
        let count = |sketch: &Sketch| sketch.words.iter().map(|word| word.count_ones()).sum::<u32>();
        let shorter = count(self).min(count(other));
        let shared: u32 =
            self.words.iter().zip(other.words).map(|(one, other)| (one & other).count_ones()).sum();
        self.numbers == other.numbers && shared as f32 >= REPEAT_SHARE * shorter as f32
    }
}

/// Two texts that share so much of the shorter one's words repeat each other.
const REPEAT_SHARE: f32 = 0.8;
