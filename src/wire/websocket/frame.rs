//! The header before each payload, checked as soon as it is whole; and the frames we write.
//!
//! ```text
//!  0 1 2 3 4 5 6 7   0 1 2 3 4 5 6 7
//! ┌─┬─────┬───────┐ ┌─┬─────────────┐ ┌───────────────────┐ ┌──────┐ ┌─────────┐
//! │F│ RSV │opcode │ │M│   length    │ │ 0, 2 or 8 bytes   │ │ mask │ │ payload │
//! └─┴─────┴───────┘ └─┴─────────────┘ └───────────────────┘ └──────┘ └─────────┘
//!                    126: in 2 bytes, 127: in 8              4, from clients alone
//! ```

use std::io::Cursor;

use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::error::WebSocketError;
use crate::base::{Full, Outbox, Pressure};

/// Most bytes of payload in a control frame (RFC 6455 §5.5).
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// Most bytes of a header.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    fn is_control(self) -> bool {
        match self {
            Kind::Close | Kind::Ping | Kind::Pong => true,
            Kind::Continuation | Kind::Text | Kind::Binary => false,
        }
    }

    /// As tungstenite calls it.
    pub(super) fn opcode(self) -> OpCode {
        match self {
            Kind::Continuation => OpCode::Data(Data::Continue),
            Kind::Text => OpCode::Data(Data::Text),
            Kind::Binary => OpCode::Data(Data::Binary),
            Kind::Close => OpCode::Control(Control::Close),
            Kind::Ping => OpCode::Control(Control::Ping),
            Kind::Pong => OpCode::Control(Control::Pong),
        }
    }

    fn of(opcode: OpCode) -> Option<Kind> {
        match opcode {
            OpCode::Data(Data::Continue) => Some(Kind::Continuation),
            OpCode::Data(Data::Text) => Some(Kind::Text),
            OpCode::Data(Data::Binary) => Some(Kind::Binary),
            OpCode::Control(Control::Close) => Some(Kind::Close),
            OpCode::Control(Control::Ping) => Some(Kind::Ping),
            OpCode::Control(Control::Pong) => Some(Kind::Pong),
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => None,
        }
    }
}

/// A header that is in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The last frame of its message.
    pub(super) is_final: bool,
    pub(super) mask: [u8; 4],
    /// Bytes of the header itself.
    pub(super) header_bytes: usize,
    /// Bytes of payload that follow it.
    pub(super) payload_bytes: u64,
}

impl Header {
    /// Reads the header at the beginning of `bytes`; `None` as long as it is not whole.
    ///
    /// Checked here and not left to tungstenite is what it would see only after the payload (mask, reserved bits, control
    /// frames) and what it takes: a length that is not minimal, and one of 2^63 and more, which it calls too big.
    ///
    /// # Errors
    /// [`WebSocketError`] by cause; the bound of a message is not looked at.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, WebSocketError> {
        let mut cursor = Cursor::new(bytes);
        let (parsed, payload_bytes) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(Error::Protocol(ProtocolError::InvalidOpcode(_))) => {
                return Err(WebSocketError::ReservedOpcode);
            }
            Err(_) => return Err(WebSocketError::Refused),
        };
        let kind = Kind::of(parsed.opcode).ok_or(WebSocketError::ReservedOpcode)?;
        let mask = parsed.mask.ok_or(WebSocketError::Unmasked)?;
        if parsed.rsv1 || parsed.rsv2 || parsed.rsv3 {
            return Err(WebSocketError::ReservedBit);
        }
        if payload_bytes >> 63 != 0 {
            return Err(WebSocketError::LengthInvalid);
        }
        let header_bytes = usize::try_from(cursor.position()).map_err(|_| WebSocketError::Refused)?;
        // What we would write for this length is as short as can be.
        if header_bytes != parsed.len(payload_bytes) {
            return Err(WebSocketError::LengthNotMinimal);
        }
        if kind.is_control() && !parsed.is_final {
            return Err(WebSocketError::ControlFragmented);
        }
        if kind.is_control() && payload_bytes > CONTROL_PAYLOAD_BYTES_MAX as u64 {
            return Err(WebSocketError::ControlTooLong);
        }
        Ok(Some(Header { kind, is_final: parsed.is_final, mask, header_bytes, payload_bytes }))
    }
}

/// The payload of a control frame with its mask taken off (RFC 6455 §5.3).
pub(super) fn unmasked(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// Queues one whole frame whose payload is `first` and then `second`, or nothing. Servers do not mask.
///
/// It goes straight into the outbox: tungstenite's own way would copy the payload twice, and could keep a part of it.
///
/// # Errors
/// [`Full`] with the bytes wanted and free.
pub(super) fn send(kind: Kind, first: &[u8], second: &[u8], out: &mut Outbox) -> Result<Pressure, Full> {
    let header = FrameHeader { opcode: kind.opcode(), ..FrameHeader::default() };
    let payload_bytes = (first.len() + second.len()) as u64;
    let mut buffer = [0; HEADER_BYTES_MAX];
    let mut space = &mut buffer[..];
    header.format(payload_bytes, &mut space).expect("no header is longer than the longest");
    let unused = space.len();
    out.push_all(&[&buffer[..HEADER_BYTES_MAX - unused], first, second])
}
