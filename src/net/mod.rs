//! What stands between sockets and protocols: a connection's two halves, the listener that accepts with care, and what
//! it takes to ask somebody else.
//!
//! All of them know keys and bytes. What the bytes of a client mean is the wire machines' affair, what to do about it the
//! application's. For exchanges that we begin, [`outbound`] is the door: it finds addresses, dials ([`dialer`]), keeps
//! connections for the next, and reads responses ([`exchange`]).

pub mod connection;
pub mod dialer;
pub mod exchange;
pub mod listener;
pub mod outbound;
mod transport;

pub use connection::{Connection, Fill};
pub use listener::{Listener, Next};
