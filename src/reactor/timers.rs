//! Deadlines, soonest first. The loop asks `next_deadline` before it sleeps and `pop_due` after.
//!
//! Ties fire in the order in which they were set, so a simulated run replays exactly. A timer that is cancelled, even
//! by a handler that ran a moment before it in the same phase, does not fire: due timers are popped one by one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Kind, Slots, Time, room_to_keep, slots::SLOTS_MAX};

/// Keys of timers; they are used nowhere else.
const TIMER: Kind = Kind(255);

/// Cancelled entries that may stay in the heap before it is cleared of them, beside as many as there are live ones.
const DEAD_ENTRIES_MAX: usize = 64;

/// Names one timer that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(Key);

/// A point in the order of firing: everything set before it and due by then fires, the rest waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    now: Time,
    sequence: u64,
}

/// All deadlines.
#[derive(Debug)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Time, u64, TimerId)>>,
    owners: Slots<Key>,
    sequence: u64,
}

impl Timers {
    /// None set.
    pub fn new() -> Timers {
        Timers { heap: BinaryHeap::new(), owners: Slots::new(TIMER, SLOTS_MAX), sequence: 0 }
    }

    /// Fires once `deadline` is reached, in the timers phase, for `owner`.
    pub fn set(&mut self, deadline: Time, owner: Key) -> TimerId {
        let id =
            self.owners.insert(owner).expect("16 million timers are more than all tables can own together");
        let id = TimerId(id);
        self.heap.push(Reverse((deadline, self.sequence, id)));
        self.sequence += 1;
        id
    }

    /// The timer won't fire. One that has fired or was cancelled before is left alone.
    pub fn cancel(&mut self, id: TimerId) {
        if is_planted(Planted::CancelsNoTimer) {
            return;
        }
        self.owners.remove(id.0);
        if self.heap.len() > 2 * self.owners.len() + DEAD_ENTRIES_MAX {
            self.heap.retain(|Reverse((_, _, id))| self.owners.at(id.0).is_some());
        }
    }

    /// When the soonest timer is due.
    pub fn next_deadline(&mut self) -> Option<Time> {
        self.drop_dead();
        self.heap.peek().map(|Reverse((deadline, _, _))| *deadline)
    }

    /// The mark below which this phase fires. Timers set by its handlers lie above it, even if they are due at once:
    /// otherwise a handler that re-arms itself with no wait would never let the turn end.
    pub fn mark(&self, now: Time) -> Mark {
        Mark { now, sequence: self.sequence }
    }

    /// The next timer that is due below `mark`, taken out.
    pub fn pop_due(&mut self, mark: Mark) -> Option<(TimerId, Key)> {
        self.drop_dead();
        let Reverse((deadline, sequence, _)) = *self.heap.peek()?;
        let early = Duration::from_millis(if is_planted(Planted::FiresEarly) { 2 } else { 0 });
        if deadline > mark.now.after(early) || sequence >= mark.sequence {
            return None;
        }
        let Reverse((_, _, id)) = self.heap.pop()?;
        let owner = self.owners.remove(id.0)?;
        Some((id, owner))
    }

    /// Every timer that is set, with its deadline, in no particular order.
    pub fn deadlines(&self) -> impl Iterator<Item = (TimerId, Time)> {
        let live = self.heap.iter().filter(|Reverse((_, _, id))| self.owners.at(id.0).is_some());
        live.map(|Reverse((deadline, _, id))| (*id, *deadline))
    }

    /// Timers that are set.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// No timer is set.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Gives memory back if few timers are left of many.
    pub fn tidy(&mut self) {
        self.owners.tidy();
        if let Some(room) = room_to_keep(self.heap.len(), self.heap.capacity()) {
            self.heap.shrink_to(room);
        }
    }

    /// Clears the top of the heap of what was cancelled.
    fn drop_dead(&mut self) {
        while let Some(Reverse((_, _, id))) = self.heap.peek() {
            if self.owners.at(id.0).is_some() {
                break;
            }
            self.heap.pop();
        }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(index: u32) -> Key {
        Key::new(Kind(1), index, 0)
    }

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    fn fire(timers: &mut Timers, now: u64) -> Vec<usize> {
        let mark = timers.mark(at(now));
        std::iter::from_fn(|| timers.pop_due(mark)).map(|(_, owner)| owner.index()).collect()
    }

    #[test]
    fn the_soonest_fires_first_and_ties_fire_in_the_order_they_were_set() {
        let mut timers = Timers::new();
        for (deadline, index) in [(30, 1), (10, 2), (20, 3), (10, 4)] {
            timers.set(at(deadline), owner(index));
        }
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(fire(&mut timers, 20), [2, 4, 3]);
        assert_eq!(fire(&mut timers, 29), [0; 0]);
        assert_eq!(fire(&mut timers, 30), [1]);
    }

    #[test]
    fn a_timer_cancelled_by_an_earlier_one_of_the_same_phase_does_not_fire() {
        let mut timers = Timers::new();
        timers.set(at(1), owner(1));
        let victim = timers.set(at(1), owner(2));
        let mark = timers.mark(at(1));
        assert_eq!(timers.pop_due(mark).map(|(_, owner)| owner.index()), Some(1));
        timers.cancel(victim);
        assert_eq!(timers.pop_due(mark), None);
    }

    #[test]
    fn a_timer_set_while_others_fire_waits_for_the_next_turn() {
        let mut timers = Timers::new();
        timers.set(at(1), owner(1));
        let mark = timers.mark(at(5));
        assert!(timers.pop_due(mark).is_some());
        timers.set(at(0), owner(2));
        assert_eq!(timers.pop_due(mark), None);
        assert_eq!(fire(&mut timers, 5), [2]);
    }

    #[test]
    fn a_spent_id_cancels_nothing_even_when_its_place_is_taken_again() {
        let mut timers = Timers::new();
        let spent = timers.set(at(1), owner(1));
        assert_eq!(fire(&mut timers, 1), [1]);
        timers.set(at(2), owner(2));
        timers.cancel(spent);
        assert_eq!(fire(&mut timers, 2), [2]);
    }

    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let mut timers = Timers::new();
        for nanos in 0..100_000 {
            let id = timers.set(at(1_000_000 + nanos), owner(1));
            timers.cancel(id);
        }
        assert!(timers.is_empty());
        assert!(timers.heap.len() <= DEAD_ENTRIES_MAX + 1, "{} entries", timers.heap.len());
        assert_eq!(timers.next_deadline(), None);
    }
}
