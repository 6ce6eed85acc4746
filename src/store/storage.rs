//! The contract: what a storage promises, whatever it is made of.
//!
//! 1. A batch is kept whole or not at all, and once [`commit`](Storage::commit) has answered `Ok` it survives the
//!    process, however that ends, if the storage is one that outlives processes.
//! 2. After an `Err` it is uncertain whether the batch is kept: a storage that failed may yet have written it. So
//!    commits can be repeated: what is kept already and is said again stays as it is.
//! 3. Nothing that is kept is ever changed into something else: an event keeps its text, an input its place, a run its
//!    end. A record that contradicts what is kept is refused ([`Cause::Contradiction`]), and its batch with it.
//! 4. What was to be told of a run's end, and has been, stays so: a callback that is over never becomes another.
//! 5. After an `Err` the next call starts afresh. A write that failed is written again from the start; no storage may
//!    take it for done because the system no longer reports the failure (`fsync` tells of an error once).

use std::fmt;

use uuid::Uuid;

use super::record::{
    Batch, Idempotency, KeptRun, KeptSession, KeptVector, Loaded, Row, SessionPlace, SessionRow, Sweep, Swept,
};

/// Somewhere to keep runs. Its calls may block, so only a thread that may block makes them.
pub trait Storage: Send {
    /// What a new process must know.
    ///
    /// # Errors
    /// [`Trouble`]
    fn load(&mut self) -> Result<Loaded, Trouble>;

    /// Keeps a batch. A record of a run that is not kept, and is not admitted in the same batch, is passed over: the run
    /// was forgotten meanwhile.
    ///
    /// # Errors
    /// [`Trouble`]; see above for what holds then.
    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble>;

    /// A run with its log; `None` if none is kept under this id.
    ///
    /// # Errors
    /// [`Trouble`]
    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble>;

    /// Runs, the newest id first, from the one before `before` on; at most `rows_max`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble>;

    /// The run that was accepted under this idempotency key, and the key as it was then.
    ///
    /// # Errors
    /// [`Trouble`]
    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble>;

    /// Sessions, the one that was spoken in last first, from behind `after` on; at most `rows_max`.
    ///
    /// # Errors
    /// [`Trouble`]
    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble>;

    /// What was said in a session; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`Trouble`]
    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble>;

    /// Lets go of a session and all that was said in it; the runs that have answered stay. Answers whether there was one.
    ///
    /// # Errors
    /// [`Trouble`]
    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble>;

    /// Lets go of ended runs, with their logs and keys, in the order in which they ended. Those whose callback is
    /// outstanding stay, and are not counted.
    ///
    /// # Errors
    /// [`Trouble`]; some may be gone and some not.
    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble>;

    /// The vectors that are kept under these names, each in the place of its name.
    ///
    /// # Errors
    /// [`Trouble`]
    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble>;

    /// Keeps vectors, and of all that are kept only the `vectors_max` that came last. One that is kept already
    /// is replaced, in its place. They can be had again, so they never take the room that runs need
    /// ([`Cause::Full`]).
    ///
    /// # Errors
    /// [`Trouble`]
    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble>;
}

/// Why a storage could not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of reason, for programs.
    pub cause: Cause,
    /// In words, for people: one sentence without a full stop.
    pub words: String,
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no room for more.
    Full,
    /// The disk, or what stands for it, failed.
    Failed,
    /// Something else is kept under this name: a mistake of ours, never the disk's.
    Contradiction,
}

impl Trouble {
    /// A reason in words.
    pub fn new(cause: Cause, words: impl Into<String>) -> Trouble {
        Trouble { cause, words: words.into() }
    }

    /// Something else is kept under this name.
    pub fn contradiction(words: impl Into<String>) -> Trouble {
        Trouble::new(Cause::Contradiction, words)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Trouble {}
