//! Server-Sent Events (HTML Standard, 9.2): the frames we write and the id we are asked to go on from; and a reader of the
//! streams that others write.

pub mod reader;
pub mod writer;

pub use reader::{EndOfStream, Message, Reader, SseError};
pub use writer::{EventId, comment, event, parse_event_id, retry};
