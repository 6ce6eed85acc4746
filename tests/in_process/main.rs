//! The server in the test's own thread, turn by turn: what things cost, and what runs out when.
#![expect(clippy::disallowed_methods, reason = "a test makes its own notes")]

mod callbacks;
mod cost;
mod embed;
mod fairness;
mod harness;
mod mcp;
mod model;
mod model_server;
mod timeouts;
mod trust;
mod writes;
