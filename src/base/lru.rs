//! A cache with a bound in bytes: what was used longest ago goes first.
//!
//! ```
//! use oneloop::base::Lru;
//!
//! let mut cache = Lru::new(10);
//! cache.put(1, "one", 4);
//! cache.put(2, "two", 4);
//! assert_eq!(cache.get(&1), Some(&"one"));
//! cache.put(3, "three", 4);
//! assert_eq!(cache.get(&2), None);
//! assert_eq!(cache.bytes(), 8);
//! ```

use std::collections::BTreeMap;

use super::planted::{Planted, is_planted};

/// Values by key, each with the bytes that it counts for.
#[derive(Debug)]
pub struct Lru<K, V> {
    bytes_max: usize,
    bytes: usize,
    entries: BTreeMap<K, Entry<V>>,
    /// Keys by their last use, oldest first.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
}

/// What a cache holds and has done since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LruStats {
    /// Values in it.
    pub entries: usize,
    /// Bytes that they count for.
    pub bytes: usize,
    /// Most bytes that it keeps.
    pub bytes_max: usize,
    /// Times a value was there.
    pub hits: u64,
    /// Times none was.
    pub misses: u64,
    /// Values that were let go of to make room.
    pub evictions: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Ord + Clone, V> Lru<K, V> {
    /// An empty cache; with no bytes it keeps nothing.
    pub fn new(bytes_max: usize) -> Lru<K, V> {
        Lru {
            bytes_max,
            bytes: 0,
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            hits: 0,
            misses: 0,
            evictions: 0,
        }
    }

    /// The value under `key`, which counts as a use.
    pub fn get(&mut self, key: &K) -> Option<&V> {
        let Some(entry) = self.entries.get_mut(key) else {
            self.misses += 1;
            return None;
        };
        self.hits += 1;
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(&entry.value)
    }

    /// Keeps `value`, in the place of what was there, and lets go of what there is no room for. A value larger than the
    /// whole cache is not kept.
    pub fn put(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes > self.bytes_max - bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.evictions += 1;
                self.bytes -= entry.bytes;
            }
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, bytes, used: self.uses });
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    /// Lets go of everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_use.clear();
        if !is_planted(Planted::CountsWhatIsGone) {
            self.bytes = 0;
        }
    }

    /// What it holds and has done.
    pub fn stats(&self) -> LruStats {
        LruStats {
            entries: self.entries.len(),
            bytes: self.bytes,
            bytes_max: self.bytes_max,
            hits: self.hits,
            misses: self.misses,
            evictions: self.evictions,
        }
    }

    /// Values in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No value is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that its values count for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first_and_the_bound_holds() {
        let mut cache = Lru::new(100);
        for number in 0..1000_usize {
            cache.put(number, number, 10 + number % 7);
            assert!(cache.bytes() <= 100);
            assert!(cache.get(&0).is_some(), "it is used each time");
        }
        assert!(cache.get(&998).is_some() && cache.get(&5).is_none());
    }

    #[test]
    fn what_it_did_is_counted() {
        let mut cache = Lru::new(100);
        cache.put("a", 1, 60);
        cache.put("b", 2, 60);
        assert_eq!(cache.get(&"a"), None);
        assert_eq!(cache.get(&"b"), Some(&2));
        let stats = LruStats { entries: 1, bytes: 60, bytes_max: 100, hits: 1, misses: 1, evictions: 1 };
        assert_eq!(cache.stats(), stats);
    }

    #[test]
    fn a_value_that_is_replaced_is_counted_once() {
        let mut cache = Lru::new(100);
        cache.put("a", 1, 60);
        cache.put("a", 2, 70);
        assert_eq!((cache.len(), cache.bytes(), cache.get(&"a")), (1, 70, Some(&2)));
    }

    #[test]
    fn a_value_larger_than_the_cache_is_not_kept_and_drives_nothing_out() {
        let mut cache = Lru::new(100);
        cache.put("a", 1, 60);
        cache.put("b", 2, 101);
        assert_eq!(cache.get(&"a"), Some(&1));
        assert_eq!(cache.get(&"b"), None);
    }
}
