//! One connection after its handshake: frames in, at most one event a call; messages, pings and the Close written to an
//! outbox.
//!
//! Control frames are small and are read where they lie, once they are whole; the payload of messages is taken piece by
//! piece. Pings are answered here and not told.
//!
//! ```
//! use oneloop::base::Outbox;
//! use oneloop::limits::Limits;
//! use oneloop::wire::websocket::{Endpoint, WebSocketEvent};
//!
//! let limits = Limits::default();
//! let mut out = Outbox::new(limits.outbox_bytes_high, limits.outbox_bytes_max);
//! let mut endpoint = Endpoint::new();
//!
//! // The masked "Hello" of RFC 6455 §5.7, and the first two bytes of what follows it.
//! let bytes = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x85";
//! let step = endpoint.receive(bytes, &mut out, &limits).unwrap();
//! assert_eq!((step.consumed, step.event), (11, Some(WebSocketEvent::Text("Hello".into()))));
//!
//! // The rest of a ping with a body of "Hello", which is answered.
//! let ping = b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
//! let step = endpoint.receive(ping, &mut out, &limits).unwrap();
//! assert_eq!((step.consumed, step.event), (11, None));
//! endpoint.send_text("Hi", &mut out).unwrap();
//! assert_eq!(out.unsent(), b"\x8a\x05Hello\x81\x02Hi");
//! ```

use std::fmt;

use super::error::{CloseCode, WebSocketError, may_be_received};
use super::frame::{CONTROL_PAYLOAD_BYTES_MAX, Header, Kind, send, unmasked};
use super::message::Message;
use crate::base::{Full, Outbox, Pressure, Step};
use crate::limits::Limits;

/// Bytes of the code at the beginning of a Close frame; its reason has the rest.
const CODE_BYTES: usize = 2;

/// What a peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebSocketEvent {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A Pong, asked for or not, with its payload of at most [`CONTROL_PAYLOAD_BYTES_MAX`] bytes.
    Pong(Vec<u8>),
    /// A Close: nothing more will come. It is answered without being asked to.
    Close {
        /// Its code; one that must not be sent is an error instead.
        code: Option<u16>,
        /// Its reason, for a log, and never for a user to see.
        reason: String,
    },
}

/// Why something was not sent. Nothing of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// There is no room.
    Full(Full),
    /// One of the two sides has said Close, or the peer broke the protocol: no message may follow.
    Closing,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full(full) => full.fmt(f),
            SendError::Closing => f.write_str("the WebSocket is closing"),
        }
    }
}

impl std::error::Error for SendError {}

/// Which Close is awaited.
///
/// ```text
///            our Close              peer's Close
/// Open ──────────────────► CloseSent ──────────────────────────► Over
///  │ peer's Close                              room for ours       ▲
///  ├────────────► OweClose ────────────────────────────────────────┘
///  │ violation                     our Close
///  └────────────► Failed (untold) ───────────► Failed (told)         also from CloseSent, and told at once
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    CloseSent,
    /// The peer's Close has come, and there was no room yet to answer it.
    OweClose {
        code: Option<u16>,
    },
    Over,
    Failed {
        error: WebSocketError,
        /// The Close that tells the peer was sent.
        is_told: bool,
    },
}

/// The server's side of one WebSocket.
///
/// While nothing is in progress it owns no heap, and is itself below 128 bytes. While a message arrives it owns some 300
/// bytes, a buffer of `websocket_piece_bytes_max`, and room for at most twice what has arrived, whatever a header has
/// announced; three times for as long as that grows. A Ping that could not be answered yet takes its payload.
#[derive(Debug)]
pub struct Endpoint {
    state: State,
    message: Option<Message>,
    /// The payload of the newest Ping, if it is not answered yet.
    owed_pong: Option<Vec<u8>>,
}

impl Default for Endpoint {
    fn default() -> Endpoint {
        Endpoint::new()
    }
}

impl Endpoint {
    /// An endpoint right after the handshake.
    pub fn new() -> Endpoint {
        Endpoint { state: State::Open, message: None, owed_pong: None }
    }

    /// Takes one frame, or one piece of one: the caller calls again until there is no event and nothing is consumed. It
    /// also calls again, with whatever bytes there are or none, when the outbox has room once more and
    /// [`owes_answer`](Endpoint::owes_answer).
    ///
    /// A Pong is queued only under [`Pressure::Low`], so that a peer who pings and does not read fills nothing; until then
    /// a newer Ping takes the place of the one before, as RFC 6455 §5.5.3 allows. Behind our Close no Pong follows: the
    /// peer drops what comes after a Close, or takes it for an error.
    ///
    /// What follows the peer's Close is consumed and dropped (§1.4). What the peer sends before it has seen ours is told
    /// as ever.
    ///
    /// # Errors
    /// [`WebSocketError`] by cause, at the header of the frame that is wrong or at the piece of text that is. The endpoint
    /// reads nothing after it (§7.1.7) and says so each time; the caller says [`close`](Endpoint::close) with its code.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        out: &mut Outbox,
        limits: &Limits,
    ) -> Result<Step<WebSocketEvent>, WebSocketError> {
        self.answer(out);
        match self.state {
            State::Failed { error, .. } => return Err(error),
            State::OweClose { .. } | State::Over => return Ok(Step::silent(bytes.len())),
            State::Open | State::CloseSent => {}
        }
        let taken = self.take_frame(bytes, limits);
        match taken {
            Ok(_) => self.answer(out),
            Err(error) => {
                self.state = State::Failed { error, is_told: self.state == State::CloseSent };
                self.let_go();
            }
        }
        taken
    }

    /// Queues a whole text message, or nothing.
    ///
    /// # Errors
    /// [`SendError::Full`] when there is no room for all of it, [`SendError::Closing`] once a message may not follow.
    pub fn send_text(&mut self, text: &str, out: &mut Outbox) -> Result<Pressure, SendError> {
        self.send(Kind::Text, text.as_bytes(), out)
    }

    /// Queues a Ping, or nothing. The peer answers with the same payload, unless another Ping has followed.
    ///
    /// # Errors
    /// As [`send_text`](Endpoint::send_text).
    ///
    /// # Panics
    /// If the payload is longer than [`CONTROL_PAYLOAD_BYTES_MAX`]: it is ours to choose.
    pub fn ping(&mut self, payload: &[u8], out: &mut Outbox) -> Result<Pressure, SendError> {
        assert!(payload.len() <= CONTROL_PAYLOAD_BYTES_MAX, "a ping has a payload that fits");
        self.send(Kind::Ping, payload, out)
    }

    /// Queues our Close, after which we send nothing: to end the connection, or to tell the peer of its error. A reason
    /// that is too long for a frame is cut. Nothing is queued if ours was sent already; if the peer's came first, ours
    /// answers it with its code, whatever is given here.
    ///
    /// # Errors
    /// [`Full`] when there is no room. The caller tries again, or drops the connection without a word.
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut Outbox) -> Result<Pressure, Full> {
        self.answer(out);
        let next = match self.state {
            State::Open => State::CloseSent,
            State::Failed { error, is_told: false } => State::Failed { error, is_told: true },
            State::OweClose { code } => {
                let pressure = send_close(code, "", out)?;
                self.state = State::Over;
                return Ok(pressure);
            }
            State::CloseSent | State::Over | State::Failed { is_told: true, .. } => return Ok(out.pressure()),
        };
        let pressure = send_close(Some(code.number()), cut(reason), out)?;
        self.state = next;
        self.owed_pong = None;
        Ok(pressure)
    }

    /// Messages and pings may be sent: nobody has said Close, and nothing is wrong.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// A Pong or a Close waits for room in the outbox.
    pub fn owes_answer(&self) -> bool {
        self.owed_pong.is_some() || matches!(self.state, State::OweClose { .. })
    }

    /// Nothing more is to be read or written: the connection may be closed once the outbox is empty. The server closes
    /// first (RFC 6455 §7.1.1).
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Failed { is_told: true, .. })
    }

    /// Bytes of payload that have arrived of a message which is not whole.
    pub fn message_bytes(&self) -> usize {
        self.message.as_ref().map_or(0, Message::arrived_bytes)
    }

    /// A message has begun to arrive and is not whole.
    pub fn is_within_message(&self) -> bool {
        self.message.is_some()
    }

    fn take_frame(&mut self, bytes: &[u8], limits: &Limits) -> Result<Step<WebSocketEvent>, WebSocketError> {
        if self.message.as_ref().is_some_and(Message::is_within_frame) {
            return self.take_piece(0, bytes, limits);
        }
        let Some(header) = Header::parse(bytes)? else { return Ok(Step::MORE) };
        let rest = bytes.get(header.header_bytes..).unwrap_or_default();
        match (header.kind, &mut self.message) {
            (Kind::Close | Kind::Ping | Kind::Pong, _) => self.take_control(&header, rest),
            (Kind::Text | Kind::Binary, Some(_)) => Err(WebSocketError::MessageInterrupted),
            (Kind::Continuation, None) => Err(WebSocketError::NothingToContinue),
            (Kind::Text | Kind::Binary, message @ None) => {
                message.insert(Message::new(header.kind, limits)).begin_frame(&header, limits)?;
                self.take_piece(header.header_bytes, rest, limits)
            }
            (Kind::Continuation, Some(message)) => {
                message.begin_frame(&header, limits)?;
                self.take_piece(header.header_bytes, rest, limits)
            }
        }
    }

    /// A piece of the message from `payload`, behind so many bytes of a header.
    fn take_piece(
        &mut self,
        header_bytes: usize,
        payload: &[u8],
        limits: &Limits,
    ) -> Result<Step<WebSocketEvent>, WebSocketError> {
        let Some(message) = &mut self.message else { return Ok(Step::MORE) };
        let (piece_bytes, event) = message.receive(payload, limits)?;
        if event.is_some() {
            self.message = None;
        }
        Ok(Step { consumed: header_bytes + piece_bytes, event })
    }

    fn take_control(&mut self, header: &Header, rest: &[u8]) -> Result<Step<WebSocketEvent>, WebSocketError> {
        let payload_bytes =
            usize::try_from(header.payload_bytes).map_err(|_| WebSocketError::ControlTooLong)?;
        let Some(payload) = rest.get(..payload_bytes) else { return Ok(Step::MORE) };
        let consumed = header.header_bytes + payload_bytes;
        let payload = unmasked(payload, header.mask);
        match (header.kind, self.state) {
            (Kind::Close, state) => {
                let (code, reason) = close_of(&payload)?;
                self.state = if state == State::CloseSent { State::Over } else { State::OweClose { code } };
                self.let_go();
                Ok(Step::event(consumed, WebSocketEvent::Close { code, reason }))
            }
            (Kind::Ping, State::Open) => {
                self.owed_pong = Some(payload);
                Ok(Step::silent(consumed))
            }
            (Kind::Ping, _) => Ok(Step::silent(consumed)),
            (Kind::Pong, _) => Ok(Step::event(consumed, WebSocketEvent::Pong(payload))),
            (Kind::Continuation | Kind::Text | Kind::Binary, _) => Err(WebSocketError::Refused),
        }
    }

    /// Pays what is owed, as far as there is room.
    fn answer(&mut self, out: &mut Outbox) {
        if let State::OweClose { code } = self.state
            && send_close(code, "", out).is_ok()
        {
            self.state = State::Over;
        }
        if let Some(payload) = &self.owed_pong
            && out.pressure() == Pressure::Low
            && send(Kind::Pong, payload, &[], out).is_ok()
        {
            self.owed_pong = None;
        }
    }

    fn send(&mut self, kind: Kind, payload: &[u8], out: &mut Outbox) -> Result<Pressure, SendError> {
        self.answer(out);
        if !self.is_open() {
            return Err(SendError::Closing);
        }
        send(kind, payload, &[], out).map_err(SendError::Full)
    }

    /// Nothing will be read any more.
    fn let_go(&mut self) {
        self.message = None;
        self.owed_pong = None;
    }
}

fn send_close(code: Option<u16>, reason: &str, out: &mut Outbox) -> Result<Pressure, Full> {
    match code {
        Some(code) => send(Kind::Close, &code.to_be_bytes(), reason.as_bytes(), out),
        None => send(Kind::Close, &[], &[], out),
    }
}

/// As much of a reason as fits into a Close frame, in whole characters.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(CONTROL_PAYLOAD_BYTES_MAX - CODE_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// The code and the reason of a Close frame (RFC 6455 §5.5.1): neither, or both.
fn close_of(payload: &[u8]) -> Result<(Option<u16>, String), WebSocketError> {
    match payload {
        [] => Ok((None, String::new())),
        [_] => Err(WebSocketError::CloseCodeCut),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_received(code) {
                return Err(WebSocketError::CloseCodeForbidden);
            }
            let reason = std::str::from_utf8(reason).map_err(|_| WebSocketError::NotUtf8)?;
            Ok((Some(code), reason.to_owned()))
        }
    }
}
