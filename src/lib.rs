//! `oneloop`: a knowledge agent over a folder of Markdown notes, served by one event-loop thread.
//!
//! > Pure machines inside, one small loop around them, the world behind a few traits.
//!
//! # Layers: who may import whom
//!
//! ```text
//! main ─► cli ─► app ─► net ─► reactor ─► os ─► store, base
//!                 │      └───► wire ──────────► base     wire, text, notes, agent and store are pure: bytes, values
//!                 ├─► agent ──► text ─────────► base     and the time in, events and bytes out. No socket, no file,
//!                 ├─► notes ──► text ─────────► base     no clock, no randomness.
//!                 └─► store ──────────────────► base
//! limits: read by everyone, imports nothing.  config: read by cli and app.
//! ```
//!
//! Siblings never import siblings: the agent does not know that notes exist, it asks for a search, and the application
//! carries it out. `tests/layers.rs` fails on an arrow that points the wrong way.
//!
//! # In which order to read
//!
//! 1. [`reactor::turn`]: the loop, a page of it, and [`reactor::host`], the one door into the application.
//! 2. [`os`]: the world as traits; [`os::real`] is `mio`, a helper thread for the disk and one for the store, and
//!    the system's clocks.
//! 3. [`net::connection`]: what an edge-triggered poller makes one remember.
//! 4. [`wire::http1::server`]: a protocol as a pure machine.
//! 5. [`app`]: what the events mean. `app/events.rs` is the one `match`, [`app::peers`] a client's way through it.
//! 6. [`agent::run`]: a question as a machine that is resumed, and [`app::work`], which carries out what it asks for
//!    in slices ([`reactor::tasks`]).
//! 7. [`notes`]: the index that those slices search.
//! 8. [`store`]: what is kept of runs, and what whoever keeps it promises.
//! 9. [`limits`]: every bound, with its reason.
//!
//! `docs/` tells the same as a book, and is also the folder of notes that the examples serve.

pub mod agent;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod limits;
pub mod net;
pub mod notes;
pub mod os;
pub mod reactor;
pub mod store;
pub mod text;
pub mod wire;
