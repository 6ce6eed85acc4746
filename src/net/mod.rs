//! What stands between sockets and protocols: a connection's two halves, and the listener that accepts with care.
//!
//! Both know keys and bytes. What the bytes mean is the wire machines' affair, what to do about it the application's.

pub mod connection;
pub mod listener;
mod transport;

pub use connection::{Connection, Fill};
pub use listener::{Listener, Next};
