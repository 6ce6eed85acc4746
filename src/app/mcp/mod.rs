//! MCP, the Model Context Protocol: the notes as tools for somebody else's model, at `POST /mcp`.
//!
//! ```text
//! head ─► Announced ─┐
//! body ─► Message ───┴─► Request: who asks, and the Deed ─► works, files, runs ─► a JSON-RPC response, or an event stream
//! ```
//!
//! Two eras share the address. Since revision 2026-07-28 each request says all that there is to know of it, in `_meta`, and
//! its client cancels it by closing the connection. Before, a connection began with `initialize`; no session is kept of that
//! here, so any request of that era stands alone, too. There a lost connection means nothing, and the run goes on.
//!
//! This module and those below it are pure: they read what is asked and write what is answered. `peers` does it.

pub mod announced;
pub mod ask;
pub mod rpc;
pub mod tell;
pub mod tools;

pub use announced::Announced;
pub use ask::{Asked, Caller, Deed, Request, read};
pub use rpc::Refusal;
pub use tell::{Form, Speaker};
pub use tools::ToolCall;

/// The revision in which each request stands alone.
pub const STATELESS: &str = "2026-07-28";

/// Revisions that begin with `initialize`, the newest first.
pub const HANDSHAKES: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// By which rules a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// By those of [`STATELESS`].
    Stateless,
    /// By those of [`HANDSHAKES`].
    Handshake,
}
