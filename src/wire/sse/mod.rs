//! Server-Sent Events (HTML Standard, 9.2): the frames we write and the id we are asked to go on from.

pub mod writer;

pub use writer::{EventId, comment, event, parse_event_id, retry};
