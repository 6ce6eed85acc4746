//! Everything a peer can do wrong in its frames, one variant a cause, and the close codes that we send.

use std::fmt;

/// A status code that we send in a Close frame (RFC 6455 §7.4.1, and the IANA registry that goes on from it). Codes that
/// must not be sent have no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: all is said.
    Normal,
    /// 1001: the server ends.
    GoingAway,
    /// 1002: the peer broke the protocol.
    ProtocolError,
    /// 1003: a kind of message that is not taken here.
    Unsupported,
    /// 1007: text that is not UTF-8, or other content that its kind does not allow.
    InvalidPayload,
    /// 1008: the peer did what is not allowed, and no other code says it better.
    PolicyViolation,
    /// 1009: a message over its bound.
    TooBig,
    /// 1011: something failed with us.
    InternalError,
    /// 1012: the server starts anew; the client may come back.
    ServiceRestart,
    /// 1013: too much to do at the moment.
    TryAgainLater,
}

impl CloseCode {
    /// The number that is sent.
    pub fn number(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::GoingAway => 1001,
            CloseCode::ProtocolError => 1002,
            CloseCode::Unsupported => 1003,
            CloseCode::InvalidPayload => 1007,
            CloseCode::PolicyViolation => 1008,
            CloseCode::TooBig => 1009,
            CloseCode::InternalError => 1011,
            CloseCode::ServiceRestart => 1012,
            CloseCode::TryAgainLater => 1013,
        }
    }
}

/// Whether a peer may send this code. 1004 to 1006 and 1015 must not stand in a frame (RFC 6455 §7.4.1), what lies below
/// 1000 is not used and what lies above 4999 has no meaning (§7.4.2). Between 1016 and 2999 nothing is defined as of today.
pub(super) fn may_be_received(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Why a connection is failed. The text of its `Display` may go to the peer as the reason of the Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocketError {
    /// A frame without a mask (RFC 6455 §5.1).
    Unmasked,
    /// A reserved bit is set, and no extension was agreed on that would use it (§5.2).
    ReservedBit,
    /// An opcode that means nothing (§5.2).
    ReservedOpcode,
    /// A length in more bytes than it needs (§5.2).
    LengthNotMinimal,
    /// A length of 64 bits with its highest bit set (§5.2).
    LengthInvalid,
    /// A control frame that is one fragment of several (§5.5).
    ControlFragmented,
    /// A control frame with more than 125 bytes of payload (§5.5).
    ControlTooLong,
    /// A continuation, and no message to be continued (§5.4).
    NothingToContinue,
    /// A new message before the last fragment of the one before (§5.4).
    MessageInterrupted,
    /// A Close frame of one byte, which is half a code (§5.5.1).
    CloseCodeCut,
    /// A Close frame with a code that must not be sent (§7.4).
    CloseCodeForbidden,
    /// A text message, or the reason of a Close frame, is not UTF-8 (§8.1).
    NotUtf8,
    /// A message over its bound, by what its frame headers announce.
    MessageTooBig,
    /// A frame that our own checks let pass and tungstenite did not: two readers who disagree.
    Refused,
}

impl WebSocketError {
    /// The code that tells the peer.
    pub fn close_code(self) -> CloseCode {
        match self {
            WebSocketError::Unmasked
            | WebSocketError::ReservedBit
            | WebSocketError::ReservedOpcode
            | WebSocketError::LengthNotMinimal
            | WebSocketError::LengthInvalid
            | WebSocketError::ControlFragmented
            | WebSocketError::ControlTooLong
            | WebSocketError::NothingToContinue
            | WebSocketError::MessageInterrupted
            | WebSocketError::CloseCodeCut
            | WebSocketError::CloseCodeForbidden
            | WebSocketError::Refused => CloseCode::ProtocolError,
            WebSocketError::NotUtf8 => CloseCode::InvalidPayload,
            WebSocketError::MessageTooBig => CloseCode::TooBig,
        }
    }
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WebSocketError::Unmasked => "a frame is not masked",
            WebSocketError::ReservedBit => "a reserved bit is set, and no extension was agreed on",
            WebSocketError::ReservedOpcode => "a frame has a reserved opcode",
            WebSocketError::LengthNotMinimal => "a payload length takes more bytes than it needs",
            WebSocketError::LengthInvalid => "a payload length is not below 2^63",
            WebSocketError::ControlFragmented => "a control frame is fragmented",
            WebSocketError::ControlTooLong => "a control frame has more than 125 bytes of payload",
            WebSocketError::NothingToContinue => "a continuation frame continues no message",
            WebSocketError::MessageInterrupted => "a message begins before the one before it has ended",
            WebSocketError::CloseCodeCut => "a close frame has only half a code",
            WebSocketError::CloseCodeForbidden => "a close frame has a code that must not be sent",
            WebSocketError::NotUtf8 => "a text is not UTF-8",
            WebSocketError::MessageTooBig => "a message is too big",
            WebSocketError::Refused => "a frame can not be read",
        })
    }
}

impl std::error::Error for WebSocketError {}
