//! Hash maps whose seed is handed in: a peer can't guess it, and a simulated run repeats it.
//!
//! `RandomState` draws its own randomness, so it is not used here. The keyed function is std's SipHash, which
//! std exposes unkeyed only; feeding the seed first is the same as prefixing every key with a secret.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A secret drawn from `os::Entropy` at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSeed(pub u64);

impl BuildHasher for HashSeed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}
