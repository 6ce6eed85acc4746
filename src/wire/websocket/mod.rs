//! WebSocket for a server (RFC 6455): the handshake in a request head, then frames in, events out, and frames written to
//! an outbox.
//!
//! Read in this order: `handshake` (is this request an upgrade, and what is the answer), `frame` (the header before each
//! payload, and the frames we write), `message` (fragments put together), `endpoint` (one connection after its handshake).
//! `error` names everything a peer can do wrong, with the close code that tells it so.
//!
//! Headers are parsed and messages put together by tungstenite. It takes no random numbers on a server's side, and it is
//! never handed a stream that could wait. What it lets pass that RFC 6455 forbids is refused before it, from the header.
//!
//! No subprotocol and no extension is ever agreed on, so a compressed message is a reserved bit and refused.

pub mod endpoint;
pub mod error;
mod frame;
pub mod handshake;
mod message;

pub use endpoint::{Endpoint, SendError, WebSocketEvent};
pub use error::{CloseCode, WebSocketError};
pub use frame::CONTROL_PAYLOAD_BYTES_MAX;
pub use handshake::{UPGRADE_FIELDS, UpgradeError, accept_key};
