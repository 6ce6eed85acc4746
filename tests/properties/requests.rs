//! A connection's bytes: what is told of them does not depend on how they were cut.

use oneloop::limits::Limits;

use super::connection::{Driver, small_limits};
use super::random::Random;

/// Whole, byte by byte and in pieces, the same requests are told, with the same bodies, the same error and the same
/// answers; what [`Driver`] asserts of each step holds too. With small bounds and with those of every day.
pub fn http_head(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let mut heads = 0;
    for limits in [small_limits(), Limits::default()] {
        let mut whole = Driver::new(&limits);
        whole.feed(bytes);
        let mut dripped = Driver::new(&limits);
        bytes.chunks(1).for_each(|byte| dripped.feed(byte));
        assert_eq!(dripped.outcome(), whole.outcome(), "byte by byte");
        for piece_bytes_max in [8, 64] {
            let mut parted = Driver::new(&limits);
            random.cut(bytes, piece_bytes_max).into_iter().for_each(|piece| parted.feed(piece));
            assert_eq!(parted.outcome(), whole.outcome(), "in pieces of up to {piece_bytes_max} bytes");
        }
        let mut short = Driver::new(&limits);
        short.feed(&bytes[..random.below(bytes.len() + 1)]);
        let (told, all) = (&short.trace.lines, &whole.trace.lines);
        assert_eq!(Some(&told[..]), all.get(..told.len()), "what follows changes what was told");
        heads += whole.heads;
    }
    heads > 0
}
