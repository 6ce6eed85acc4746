//! Random numbers for tests: the same on every machine, from a seed or from the bytes under test.

/// xorshift64* (Vigna 2014): enough to pick bytes.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    /// The sequence that belongs to these bytes. Cuts are chosen with it, so an input needs no byte to say where it
    /// is cut: it stays what a peer would send, and whoever changes it moves the cuts.
    pub fn of(bytes: &[u8]) -> Random {
        // FNV-1a.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Random::new(bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() >> 16) as usize % bound.max(1)
    }

    /// One of `items`, of which there is one at least.
    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }

    /// `bytes` in pieces of at most `piece_bytes_max`, none empty.
    pub fn cut<'b>(&mut self, bytes: &'b [u8], piece_bytes_max: usize) -> Vec<&'b [u8]> {
        let (mut pieces, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + self.below(rest.len().min(piece_bytes_max)));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
