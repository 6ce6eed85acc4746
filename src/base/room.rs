//! When a table gives memory back: once it is mostly empty.
//!
//! A crowd makes every table grow, and tables keep their room. The owner of one asks [`room_to_keep`] now and then,
//! when it has become quiet. What is asked for lies well above what is held, so a table that is in use is left alone,
//! and one that has shrunk must lose half of its entries again before it moves them again: a constant amount of work
//! for each entry that has left.

use std::collections::VecDeque;

/// Entries for which every table may keep room.
const ROOM_KEPT_MIN: usize = 64;

/// The capacity that a table of `len` entries should shrink to; `None` for one that is in use.
pub fn room_to_keep(len: usize, capacity: usize) -> Option<usize> {
    let keep = ROOM_KEPT_MIN.max(2 * len);
    (capacity / 2 > keep).then_some(keep)
}

/// Gives a queue's memory back if it is mostly empty.
pub fn tidy_queue<T>(queue: &mut VecDeque<T>) {
    if let Some(room) = room_to_keep(queue.len(), queue.capacity()) {
        queue.shrink_to(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_in_use_or_small_is_left_alone() {
        assert_eq!(room_to_keep(2500, 10_000), None);
        assert_eq!(room_to_keep(0, 128), None);
    }

    #[test]
    fn a_table_that_is_mostly_empty_keeps_room_for_twice_what_it_holds() {
        assert_eq!(room_to_keep(1000, 10_000), Some(2000));
        assert_eq!(room_to_keep(1, 10_000), Some(64));
        assert_eq!(room_to_keep(1000, 2000), None, "and asking again changes nothing");
    }
}
