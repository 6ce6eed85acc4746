//! Jobs for a storage, as plain values, and the news that comes back.

use uuid::Uuid;

use super::record::{Batch, Idempotency, KeptRun, KeptVector, Row, Sweep, Swept};
use super::storage::{Storage, Trouble};
use crate::base::Key;

/// Something for a storage to do. `asker` is who wants to know; it comes back with the answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// Keep these changes.
    Commit(Batch),
    /// Find a run.
    Find {
        /// Who asks.
        asker: Key,
        /// Its id.
        run: Uuid,
    },
    /// List runs, the newest first.
    List {
        /// Who asks.
        asker: Key,
        /// Only those with a smaller id.
        before: Option<Uuid>,
        /// At most so many.
        rows_max: usize,
    },
    /// Find the run that was accepted under an idempotency key.
    FindKey {
        /// Who asks.
        asker: Key,
        /// The key.
        key: Box<str>,
    },
    /// Let go of ended runs.
    Sweep(Sweep),
    /// Find vectors.
    FindVectors {
        /// Who asks.
        asker: Key,
        /// Their names.
        names: Vec<Uuid>,
    },
    /// Keep vectors.
    KeepVectors {
        /// Who wants them kept.
        asker: Key,
        /// The vectors.
        vectors: Vec<KeptVector>,
        /// How many are kept of all that ever come.
        vectors_max: u64,
    },
}

/// What a storage has done.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// The batch is kept, or it is uncertain whether it is.
    Committed(Result<(), Trouble>),
    /// The run, if it is kept.
    Found {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Option<KeptRun>, Trouble>,
    },
    /// Runs.
    Listed {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Vec<Row>, Trouble>,
    },
    /// The run under the key, if there is one.
    FoundKey {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Option<(Uuid, Idempotency)>, Trouble>,
    },
    /// Ended runs were let go of.
    Swept(Result<Swept, Trouble>),
    /// Vectors, each in the place of its name.
    FoundVectors {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Vec<Option<Box<[u8]>>>, Trouble>,
    },
    /// Vectors are kept, or not.
    KeptVectors {
        /// Who wanted them kept.
        asker: Key,
        /// Whether they are.
        kept: Result<(), Trouble>,
    },
}

/// Does a job.
pub fn carry_out(job: Job, storage: &mut dyn Storage) -> Done {
    match job {
        Job::Commit(batch) => Done::Committed(storage.commit(&batch)),
        Job::Find { asker, run } => Done::Found { asker, found: storage.find(run) },
        Job::List { asker, before, rows_max } => {
            Done::Listed { asker, found: storage.list(before, rows_max) }
        }
        Job::FindKey { asker, key } => Done::FoundKey { asker, found: storage.find_key(&key) },
        Job::Sweep(sweep) => Done::Swept(storage.sweep(sweep)),
        Job::FindVectors { asker, names } => {
            Done::FoundVectors { asker, found: storage.find_vectors(&names) }
        }
        Job::KeepVectors { asker, vectors, vectors_max } => {
            Done::KeptVectors { asker, kept: storage.keep_vectors(&vectors, vectors_max) }
        }
    }
}
