//! Numbers that look random and are not: the same seed gives the same ones, on every machine.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014): one addition and three
//! mixing steps. Each thing that draws has a stream of its own, so that leaving one actor or one fault out does not
//! change what the others draw: only so can a failure be made smaller step by step.

/// One stream of numbers.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Stream number `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut mixed = Random { state: seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93) };
        // Neighbouring seeds must not give neighbouring streams.
        let state = mixed.number() ^ mixed.number().rotate_left(32);
        Random { state }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        // The bias of the remainder is of no interest at these sizes.
        (self.number() % end as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u16) -> bool {
        self.number() % 1000 < u64::from(per_mille)
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Small numbers often, large ones seldom, from 1 to `high`: each power of two is as likely as the next.
    pub fn spread(&mut self, high: usize) -> usize {
        let bits = usize::BITS - high.max(1).leading_zeros();
        let top = 1_usize << self.below(bits as usize + 1).min(usize::BITS as usize - 1);
        self.between(1, top).min(high.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_and_another_one_differs() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            (0..8).map(|_| random.number()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut random = Random::new(1, 1);
        for _ in 0..10_000 {
            assert!((3..=9).contains(&random.between(3, 9)));
            assert!((1..=100).contains(&random.spread(100)));
            assert_eq!(random.below(1), 0);
            assert!(!random.chance(0) && random.chance(1000));
        }
    }
}
