//! Reads an event stream as the HTML Standard has it (9.2.6), in bytes that arrive in any pieces.
//!
//! A line is bytes until it is whole, so a character may be cut anywhere; bytes that are not UTF-8 become U+FFFD then.
//! `id` and `retry` are passed over with the fields that nobody knows: a stream that answers a POST is not taken up
//! again.
//!
//! ```
//! use oneloop::limits::Limits;
//! use oneloop::wire::sse::{EndOfStream, Reader};
//!
//! let bytes = b"data: {\"text\":\ndata: \"Hi\"}\n\n: still here\n\nevent: end\ndata:[DO";
//! let (mut reader, limits) = (Reader::new(), Limits::default());
//! let first = reader.receive(bytes, &limits).unwrap();
//! assert_eq!(first.consumed, 28);
//! assert_eq!(first.event.unwrap().data, "{\"text\":\n\"Hi\"}");
//!
//! let rest = reader.receive(&bytes[28..], &limits).unwrap();
//! assert!(rest.event.is_none() && rest.consumed == 33);
//! assert_eq!(reader.end_of_input(), EndOfStream::MidMessage);
//!
//! let last = reader.receive(b"NE]\r\r", &limits).unwrap().event.unwrap();
//! assert_eq!((&*last.event, &*last.data), ("end", "[DONE]"));
//! ```

use std::fmt;

use memchr::memchr2;

use crate::base::Step;
use crate::limits::Limits;

/// One message of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Its type; empty if none was told, which means `message`.
    pub event: String,
    /// Its data, the lines joined with line feeds.
    pub data: String,
}

/// Why a stream is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SseError {
    /// A message is over its bound, or a line that belongs to none.
    MessageTooLong,
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SseError::MessageTooLong => f.write_str("a message of the event stream is too long"),
        }
    }
}

impl std::error::Error for SseError {}

/// What it means that no more of the stream will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfStream {
    /// It stopped between messages.
    Clean,
    /// It stopped within a message, or within a line that may belong to one. What there is of it is dropped, as the
    /// standard has it.
    MidMessage,
}

/// Where the next byte belongs.
///
/// ```text
///               CR
///  ┌► InLine ──────────► AfterCr ─┐
///  └─ LF, byte           LF, byte │   a line feed there is dropped
///  ▲                              │
///  └──────────────────────────────┘
/// ```
///
/// A carriage return ends its line at once: the line feed that may belong to it could be long in coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InLine,
    AfterCr,
    Broken(SseError),
}

/// The reader of one stream. It holds the message that is being read, and the line if it was cut.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    /// No line is whole yet: a byte order mark may stand before the first.
    is_first_line: bool,
    line: Vec<u8>,
    event: String,
    /// Each line of the data with a line feed behind it.
    data: String,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    /// A reader before the first byte of a stream.
    pub fn new() -> Reader {
        Reader {
            place: Place::InLine,
            is_first_line: true,
            line: Vec::new(),
            event: String::new(),
            data: String::new(),
        }
    }

    /// Takes bytes up to the end of the next message, or all of them.
    ///
    /// # Errors
    /// [`SseError`], when a message and the line after it would be longer than `sse_message_bytes_max`, whether that
    /// line belongs to the message or is a comment. The reader stays broken and gives the same error again.
    pub fn receive(&mut self, bytes: &[u8], limits: &Limits) -> Result<Step<Message>, SseError> {
        let mut consumed = 0;
        while let Some(rest) = bytes.get(consumed..)
            && let [first, ..] = rest
        {
            match (self.place, first) {
                (Place::Broken(error), _) => return Err(error),
                (Place::AfterCr, b'\n') => {
                    self.place = Place::InLine;
                    consumed += 1;
                    continue;
                }
                (Place::AfterCr | Place::InLine, _) => {}
            }
            let end = memchr2(b'\r', b'\n', rest);
            let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
            if self.held_bytes() + part.len() > limits.sse_message_bytes_max {
                self.place = Place::Broken(SseError::MessageTooLong);
                return Err(SseError::MessageTooLong);
            }
            consumed += part.len() + after.len().min(1);
            self.place = if after.first() == Some(&b'\r') { Place::AfterCr } else { Place::InLine };
            if after.is_empty() {
                self.line.extend_from_slice(part);
            } else if let Some(message) = self.end_line(part) {
                return Ok(Step::event(consumed, message));
            }
        }
        match self.place {
            Place::Broken(error) => Err(error),
            Place::InLine | Place::AfterCr => Ok(Step::silent(consumed)),
        }
    }

    /// What it means if the stream ends here.
    pub fn end_of_input(&self) -> EndOfStream {
        if self.held_bytes() > 0 { EndOfStream::MidMessage } else { EndOfStream::Clean }
    }

    fn held_bytes(&self) -> usize {
        self.line.len() + self.event.len() + self.data.len()
    }

    /// The line that was begun is whole with this last part of it.
    fn end_line(&mut self, part: &[u8]) -> Option<Message> {
        let mut begun = std::mem::take(&mut self.line);
        let line = if begun.is_empty() {
            part
        } else {
            begun.extend_from_slice(part);
            &begun
        };
        let mark = if std::mem::take(&mut self.is_first_line) { "\u{feff}" } else { "" };
        let line = line.strip_prefix(mark.as_bytes()).unwrap_or(line);
        let message = self.take_line(line);
        // Its memory serves the next line that is cut.
        begun.clear();
        self.line = begun;
        message
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Message> {
        if line.is_empty() {
            let (event, mut data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
            // A message without a `data` line is none; what is popped is the line feed of the last.
            data.pop()?;
            return Some(Message { event, data });
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (line.get(..colon)?, line.get(colon + 1..)?),
            None => (line, &[][..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => {
                self.data.push_str(&value);
                self.data.push('\n');
            }
            b"event" => self.event = value.into_owned(),
            // A comment has no name. The standard passes over what it does not know, and so do we.
            _ => {}
        }
        None
    }
}
