//! How much a word of English says before any note is looked at: `come` little, `port` nearly all it can.
//!
//! A search weighs a word by how few passages hold it, but in a small folder chance decides that. `common.txt` has the
//! commonest words of English with what they say, in tenths; `benches/answers/kin/common.py` makes it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What an English term says at most, from 0 to 1.
///
/// ```
/// assert!(oneloop::text::says("come") < 0.6 && oneloop::text::says("kettl") == 1.0);
/// ```
pub fn says(term: &str) -> f32 {
    SAYS.get(term).map_or(1.0, |tenths| f32::from(*tenths) / 10.0)
}

static SAYS: LazyLock<BTreeMap<&'static str, u8>> = LazyLock::new(|| {
    let parts = include_str!("common.txt").lines().filter_map(|line| line.split_once(' '));
    parts.filter_map(|(term, tenths)| Some((term, tenths.parse().ok()?))).collect()
});
