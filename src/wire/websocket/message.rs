//! One message, put together from its fragments by tungstenite.
//!
//! tungstenite makes room for all of a frame once it has seen its header, so eight bytes from a stranger would take
//! 256 KiB. It is not shown such headers: what has arrived of a frame is handed on as a fragment of its own, as anyone
//! between the two ends may cut a message that uses no extension (RFC 6455 §5.4). So memory grows with what arrived,
//! and text that is not UTF-8 is found where it stands and not at the end of its frame.

use std::io::{self, Read, Write};

use tungstenite::Message as Assembled;
use tungstenite::error::Error;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::endpoint::WebSocketEvent;
use super::error::WebSocketError;
use super::frame::{HEADER_BYTES_MAX, Header, Kind};
use crate::limits::Limits;

/// A message that is not whole yet.
#[derive(Debug)]
pub(super) struct Message {
    /// What the next piece is for tungstenite: the message's kind, then a continuation.
    next: Kind,
    /// Bytes of payload that the headers so far have announced.
    announced_bytes: u64,
    /// The frame whose payload is arriving. `None` between two fragments.
    frame: Option<Frame>,
    /// Holds what arrived. Made with the message and dropped with it: it would keep its buffers, and an idle connection
    /// shall own none.
    context: Box<WebSocketContext>,
}

/// A data frame whose payload is not whole yet.
#[derive(Debug)]
struct Frame {
    is_final: bool,
    /// The mask, turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    left: u64,
}

impl Message {
    /// A message of which nothing is known yet but its kind.
    pub(super) fn new(kind: Kind, limits: &Limits) -> Message {
        // Room for one piece with its header, so that the buffer never grows. Nothing is ever written by the context.
        let config = WebSocketConfig::default()
            .read_buffer_size(piece_bytes_max(limits) + HEADER_BYTES_MAX)
            .write_buffer_size(0)
            .max_write_buffer_size(1)
            .max_frame_size(Some(piece_bytes_max(limits)))
            .max_message_size(Some(limits.websocket_message_bytes_max));
        let context = Box::new(WebSocketContext::new(Role::Server, Some(config)));
        Message { next: kind, announced_bytes: 0, frame: None, context }
    }

    /// Bytes of its payload that have arrived.
    pub(super) fn arrived_bytes(&self) -> usize {
        let left = self.frame.as_ref().map_or(0, |frame| frame.left);
        usize::try_from(self.announced_bytes.saturating_sub(left)).unwrap_or(usize::MAX)
    }

    /// The next bytes are payload, and no header.
    pub(super) fn is_within_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// Takes the header of its next fragment.
    ///
    /// # Errors
    /// [`WebSocketError::MessageTooBig`] if the message would be, before any of the payload is taken.
    pub(super) fn begin_frame(&mut self, header: &Header, limits: &Limits) -> Result<(), WebSocketError> {
        let room = (limits.websocket_message_bytes_max as u64).saturating_sub(self.announced_bytes);
        if header.payload_bytes > room {
            return Err(WebSocketError::MessageTooBig);
        }
        self.announced_bytes += header.payload_bytes;
        self.frame = Some(Frame { is_final: header.is_final, mask: header.mask, left: header.payload_bytes });
        Ok(())
    }

    /// Takes a piece of the payload from the beginning of `bytes`: how many bytes it is, and the message if it is whole.
    ///
    /// # Errors
    /// [`WebSocketError::NotUtf8`], or whatever tungstenite has against it.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<(usize, Option<WebSocketEvent>), WebSocketError> {
        let Some(frame) = &mut self.frame else { return Ok((0, None)) };
        let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
        let piece = bytes.get(..left.min(piece_bytes_max(limits))).unwrap_or(bytes);
        let is_end_of_frame = piece.len() == left;
        if piece.is_empty() && !is_end_of_frame {
            return Ok((0, None));
        }
        let header = FrameHeader {
            is_final: frame.is_final && is_end_of_frame,
            opcode: self.next.opcode(),
            mask: Some(frame.mask),
            ..FrameHeader::default()
        };
        frame.mask.rotate_left(piece.len() % 4);
        frame.left -= piece.len() as u64;
        if is_end_of_frame {
            self.frame = None;
        }
        self.next = Kind::Continuation;
        let event = assembled(self.context.read(&mut Piece::new(&header, piece)))?;
        Ok((piece.len(), event))
    }
}

/// A bound of none would stand still.
fn piece_bytes_max(limits: &Limits) -> usize {
    limits.websocket_piece_bytes_max.max(1)
}

/// What tungstenite made of a piece. It is copied out at its own size: the original shares a buffer, or has grown.
fn assembled(outcome: Result<Assembled, Error>) -> Result<Option<WebSocketEvent>, WebSocketError> {
    match outcome {
        Ok(Assembled::Text(text)) => Ok(Some(WebSocketEvent::Text(text.as_str().to_owned()))),
        Ok(Assembled::Binary(bytes)) => Ok(Some(WebSocketEvent::Binary(bytes.to_vec()))),
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(Error::Utf8(_)) => Err(WebSocketError::NotUtf8),
        Err(Error::Capacity(_)) => Err(WebSocketError::MessageTooBig),
        Ok(_) | Err(_) => Err(WebSocketError::Refused),
    }
}

/// A frame as a stream: its header, then its payload, then nothing as yet.
struct Piece<'b> {
    header: [u8; HEADER_BYTES_MAX],
    /// Bytes of the header that are not read yet stand at its end.
    header_left: usize,
    payload: &'b [u8],
}

impl<'b> Piece<'b> {
    fn new(header: &FrameHeader, payload: &'b [u8]) -> Piece<'b> {
        let mut buffer = [0; HEADER_BYTES_MAX];
        let header_left = header.len(payload.len() as u64);
        let mut space = &mut buffer[HEADER_BYTES_MAX - header_left..];
        header.format(payload.len() as u64, &mut space).expect("its length was asked for");
        Piece { header: buffer, header_left, payload }
    }
}

impl Read for Piece<'_> {
    /// The header alone first: tungstenite makes room for a payload behind whatever it has.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.header_left > 0 {
            let count = (&self.header[HEADER_BYTES_MAX - self.header_left..]).read(buffer)?;
            self.header_left -= count;
            return Ok(count);
        }
        match self.payload.read(buffer)? {
            // Zero would mean that the peer has closed.
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

/// tungstenite asks for a stream that it can write to, in case that it owes a Pong or a Close. It is shown neither a Ping
/// nor a Close.
impl Write for Piece<'_> {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
