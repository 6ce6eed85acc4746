//! What is kept of runs, and what whoever keeps it must promise: records, jobs and the contract, without any disk.
//!
//! ```text
//!   app ── Job ──► a thread that may block ── Storage ──► SQLite, or memory, or the simulated one
//!    ▲                     │
//!    └────── Done ◄────────┘
//! ```
//!
//! The application gathers a turn's changes as [`Record`]s and sends them as one [`Batch`], which is kept whole or not
//! at all. [`Storage`] is the contract; `tests/store_contract` is the suite that each implementation must pass.
//! [`Memory`] is the plainest one: what `--state none` runs on, and what the simulated disk is made of.

pub mod job;
pub mod memory;
pub mod record;
mod sessions;
pub mod storage;

pub use job::{Done, Job, carry_out};
pub use memory::Memory;
pub use record::{
    Admitted, BEGINNING_BYTES_MAX, Batch, CallState, Callback, Called, Ending, EventText, Idempotency,
    InputText, KeptRun, KeptSaid, KeptSession, KeptVector, Loaded, Outcome, Record, Row, Said, SessionBounds,
    SessionPlace, SessionRow, Subject, Sweep, Swept, Uncalled, Unfinished, beginning,
};
pub use storage::{Cause, Storage, Trouble};
