//! TLS by itself: our machine and our connection against the server side of `rustls`, in memory.
//!
//! It is not part of the simulated world, as it draws its own randomness and reads the clock. So seeds here decide where
//! bytes are cut and what goes wrong when, and no two runs have the same bytes. Certificates are made when they are
//! needed: no key lies among the sources.
//!
//! [`transfer`] moves bytes both ways, [`refusal`] names what a client must not accept, [`damage`] changes bytes on their
//! way, [`edges`] puts a connection on a socket that announces everything once, [`anchors`] reads files of certificates,
//! [`asked`] has the binary ask a server.
#![expect(clippy::disallowed_methods, reason = "tests that write files")]

mod anchors;
mod asked;
mod authority;
mod damage;
mod edges;
#[path = "../properties/random.rs"]
#[allow(dead_code, reason = "the properties use more of it")]
mod random;
mod refusal;
mod server;
mod transfer;
