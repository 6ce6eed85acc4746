//! Tables whose keys never point at a successor.
//!
//! A [`Key`] is *kind*, *index* and *generation* in one `u64`, so it fits a `mio::Token`, travels through timers and
//! queues by value, and prints as `1#12.907`. The generation is unique to one insertion (it counts insertions and
//! wraps after 2^32 of them), so a key that outlived its value finds nothing instead of a stranger.

use std::fmt;

use slab::Slab;

use super::planted::{Planted, is_planted};
use super::room::room_to_keep;

/// What sort of thing a key names. Each table has its own kind, so keys of two tables never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

/// Names one value in one table: kind, index and generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;

/// Most values that one table can hold: the index has 24 bits.
pub const SLOTS_MAX: usize = 1 << INDEX_BITS;

impl Key {
    /// Puts a key together. Tests and tables do this; everyone else passes keys along.
    ///
    /// # Panics
    /// If `index` has more than 24 bits, which no table hands out.
    pub fn new(kind: Kind, index: u32, generation: u32) -> Key {
        assert!((index as usize) < SLOTS_MAX, "a table hands out indexes below SLOTS_MAX");
        let kind = u64::from(kind.0) << (INDEX_BITS + GENERATION_BITS);
        Key(kind | u64::from(index) << GENERATION_BITS | u64::from(generation))
    }

    /// The table that made this key.
    pub fn kind(self) -> Kind {
        Kind((self.0 >> (INDEX_BITS + GENERATION_BITS)) as u8)
    }

    /// The place in that table.
    pub fn index(self) -> usize {
        (self.0 >> GENERATION_BITS) as usize & (SLOTS_MAX - 1)
    }

    /// Which insertion into the table this key came from.
    pub fn generation(self) -> u32 {
        self.0 as u32
    }

    /// The key as one number, for a poller's token.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The key that [`to_bits`](Key::to_bits) gave. Any number is some key; a made-up one finds nothing.
    pub fn from_bits(bits: u64) -> Key {
        Key(bits)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}.{}", self.kind().0, self.index(), self.generation())
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: T,
}

/// A bounded table that mints a [`Key`] for each value put in.
#[derive(Debug)]
pub struct Slots<T> {
    kind: Kind,
    slots_max: usize,
    next_generation: u32,
    slab: Slab<Slot<T>>,
}

impl<T> Slots<T> {
    /// An empty table for at most `slots_max` values.
    pub fn new(kind: Kind, slots_max: usize) -> Slots<T> {
        Slots { kind, slots_max: slots_max.min(SLOTS_MAX), next_generation: 0, slab: Slab::new() }
    }

    /// Puts a value in.
    ///
    /// # Errors
    /// Gives the value back when the table is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.is_full() {
            return Err(value);
        }
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let index = self.slab.insert(Slot { generation, value });
        Ok(Key::new(self.kind, index as u32, generation))
    }

    /// The value that `key` named, if it is still there.
    pub fn at(&self, key: Key) -> Option<&T> {
        let slot = self.slab.get(self.index_of(key)?)?;
        Some(&slot.value)
    }

    /// The value that `key` named, to change it.
    pub fn at_mut(&mut self, key: Key) -> Option<&mut T> {
        let index = self.index_of(key)?;
        Some(&mut self.slab.get_mut(index)?.value)
    }

    /// Takes the value out; its key finds nothing from here on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let index = self.index_of(key)?;
        Some(self.slab.remove(index).value)
    }

    /// From here on so many values fit at least.
    pub fn widen(&mut self, slots_max: usize) {
        self.slots_max = self.slots_max.max(slots_max.min(SLOTS_MAX));
    }

    /// Values in the table.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// No value is in the table.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The next insertion would be refused.
    pub fn is_full(&self) -> bool {
        self.slab.len() >= self.slots_max
    }

    /// Keys and values, by index.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let kind = self.kind;
        self.slab
            .iter()
            .map(move |(index, slot)| (Key::new(kind, index as u32, slot.generation), &slot.value))
    }

    /// Gives memory back if the table is mostly empty. Values stay in their places, so one in a high place keeps the
    /// room below it.
    pub fn tidy(&mut self) {
        if room_to_keep(self.slab.len(), self.slab.capacity()).is_some() {
            self.slab.shrink_to_fit();
        }
    }

    fn index_of(&self, key: Key) -> Option<usize> {
        let slot = self.slab.get(key.index())?;
        let is_same = slot.generation == key.generation() || is_planted(Planted::HonoursStaleKeys);
        (key.kind() == self.kind && is_same).then_some(key.index())
    }
}

/// Values kept beside another table's slots, found by that table's keys.
///
/// The sockets belong to `Net`, the connections to the application: both are found by the one key.
#[derive(Debug)]
pub struct SideTable<T> {
    entries: Vec<Option<(Key, T)>>,
    len: usize,
}

impl<T> Default for SideTable<T> {
    fn default() -> SideTable<T> {
        SideTable { entries: Vec::new(), len: 0 }
    }
}

impl<T> SideTable<T> {
    /// Puts `value` beside `key`. What an older generation left at this index is dropped: its slot is gone.
    pub fn insert(&mut self, key: Key, value: T) {
        let index = key.index();
        if index >= self.entries.len() {
            self.entries.resize_with(index + 1, || None);
        }
        if self.entries[index].replace((key, value)).is_none() {
            self.len += 1;
        }
    }

    /// The value beside `key`.
    pub fn at(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.index()) {
            Some(Some((held, value))) if *held == key => Some(value),
            _ => None,
        }
    }

    /// The value beside `key`, to change it.
    pub fn at_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.index()) {
            Some(Some((held, value))) if *held == key => Some(value),
            _ => None,
        }
    }

    /// Takes the value beside `key` out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index())?;
        if entry.as_ref()?.0 != key {
            return None;
        }
        self.len -= 1;
        entry.take().map(|(_, value)| value)
    }

    /// Values in the table.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No value is in the table.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keys and values, by index.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().flatten().map(|(key, value)| (*key, value))
    }

    /// Gives memory back if the table is mostly empty. Values stay in their places, so one in a high place keeps the
    /// room below it.
    pub fn tidy(&mut self) {
        if let Some(room) = room_to_keep(self.len, self.entries.capacity()) {
            let end = self.entries.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            self.entries.truncate(end);
            self.entries.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind(7);

    #[test]
    fn a_key_keeps_its_parts() {
        let key = Key::new(KIND, 0x00ab_cdef, 0xdead_beef);
        assert_eq!((key.kind(), key.index(), key.generation()), (KIND, 0x00ab_cdef, 0xdead_beef));
        assert_eq!(Key::from_bits(key.to_bits()), key);
    }

    #[test]
    fn a_stale_key_never_reaches_the_successor() {
        let mut slots = Slots::new(KIND, 4);
        let first = slots.insert("first").unwrap();
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second").unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(slots.at(first), None);
        assert_eq!(slots.at(second), Some(&"second"));
    }

    #[test]
    fn a_key_of_another_kind_finds_nothing() {
        let mut slots = Slots::new(KIND, 4);
        let key = slots.insert(1).unwrap();
        assert_eq!(slots.at(Key::new(Kind(8), key.index() as u32, key.generation())), None);
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut slots = Slots::new(KIND, 1);
        slots.insert(1).unwrap();
        assert_eq!(slots.insert(2), Err(2));
    }

    #[test]
    fn a_side_table_checks_the_generation() {
        let mut side = SideTable::default();
        let old = Key::new(KIND, 3, 1);
        let new = Key::new(KIND, 3, 2);
        side.insert(old, "old");
        side.insert(new, "new");
        assert_eq!((side.at(old), side.at(new), side.len()), (None, Some(&"new"), 1));
        assert_eq!(side.remove(old), None);
        assert_eq!(side.remove(new), Some("new"));
        assert!(side.is_empty());
    }

    #[test]
    fn when_a_crowd_has_left_its_room_is_given_back_and_whoever_stays_is_found() {
        let (mut slots, mut side) = (Slots::new(KIND, 10_000), SideTable::default());
        let keys: Vec<Key> = (0..10_000).map(|number| slots.insert(number).unwrap()).collect();
        keys.iter().for_each(|key| side.insert(*key, ()));
        for key in keys.iter().filter(|key| key.index() != 7) {
            slots.remove(*key);
            side.remove(*key);
        }
        slots.tidy();
        side.tidy();
        assert!(slots.slab.capacity() < 100, "{}", slots.slab.capacity());
        assert!(side.entries.capacity() < 100, "{}", side.entries.capacity());
        assert_eq!((slots.at(keys[7]), side.at(keys[7])), (Some(&7), Some(&())));
        let next = slots.insert(1).unwrap();
        assert!(next.index() < 7, "the places below are free, not forgotten");
        assert_eq!(slots.at(keys[3]), None);
    }
}
