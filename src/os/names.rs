//! Names for the names helper to look up, as plain values, and what comes back.
//!
//! `getaddrinfo` blocks for as long as the resolver takes, and there is no readiness for it, so the loop never calls it.

use std::net::SocketAddr;

use crate::base::Key;

/// A name whose addresses are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Who wants to know.
    pub asker: Key,
    /// The name of a host, or an address in words.
    pub host: String,
    /// Goes into each of the addresses.
    pub port: u16,
}

/// A name was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesDone {
    /// Who wanted to know.
    pub asker: Key,
    /// Its addresses, in the order in which they are to be tried, never empty; or the resolver's own words.
    pub found: Result<Vec<SocketAddr>, String>,
}

/// The front of the thread that resolves names.
pub trait Names {
    /// Hands a name over. Its news comes through `Wait::wait`.
    ///
    /// # Errors
    /// Gives the lookup back when the queue is full (`limits::LOOKUPS_MAX`), or when the helper can't be started.
    fn resolve(&mut self, lookup: Lookup) -> Result<(), Lookup>;
}
