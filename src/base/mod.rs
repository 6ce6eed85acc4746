//! The few types that every layer shares: time, keys, buffers, budgets and the shape of a parser's step.

pub mod budget;
pub mod buffer;
pub mod hash;
pub mod inbox;
pub mod lru;
pub mod outbox;
pub mod planted;
pub mod room;
pub mod slots;
pub mod step;
pub mod time;

pub use budget::Budget;
pub use buffer::Pool;
pub use hash::HashSeed;
pub use inbox::Inbox;
pub use lru::{Lru, LruStats};
pub use outbox::{Full, Outbox, Pressure};
pub use room::{room_to_keep, tidy_queue};
pub use slots::{Key, Kind, SideTable, Slots};
pub use step::Step;
pub use time::{Time, WallTime};
