//! Protocol machines: bytes and the time in, events and bytes out. No socket, no clock, no randomness; what [`tls`] takes
//! of the latter two, it says itself.

pub mod http1;
pub mod proxy;
pub mod sse;
pub mod tls;
pub mod url;
pub mod webhook;
pub mod websocket;
