//! The event loop: [`turn`] is the whole of it, the rest are its parts.
//!
//! Read in this order: [`turn`] (the five phases), [`host`] (the one door into the application), [`timers`],
//! [`tasks`] (cooperative work in slices), [`report`] (what the loop says of itself).

pub mod host;
pub mod report;
pub mod tasks;
pub mod timers;
pub mod turn;

pub use host::{Cx, Event, Host};
pub use report::{LoopFigures, TurnReport};
pub use tasks::{Progress, TaskQueue};
pub use timers::{TimerId, Timers};
pub use turn::Reactor;
