//! Jobs for a storage, as plain values, and the news that comes back.

use uuid::Uuid;

use super::record::{
    Batch, Idempotency, KeptRun, KeptSession, KeptVector, Row, SessionPlace, SessionRow, Sweep, Swept,
};
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
    /// List sessions, the one that was spoken in last first.
    ListSessions {
        /// Who asks.
        asker: Key,
        /// From behind this one on.
        after: Option<SessionPlace>,
        /// At most so many.
        rows_max: usize,
    },
    /// Find what was said in a session.
    FindSession {
        /// Who asks.
        asker: Key,
        /// Its name.
        name: Box<str>,
    },
    /// Let go of a session.
    DropSession {
        /// Who wants it gone.
        asker: Key,
        /// Its name.
        name: Box<str>,
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
    /// Sessions.
    ListedSessions {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Vec<SessionRow>, Trouble>,
    },
    /// The session, if there is one.
    FoundSession {
        /// Who asked.
        asker: Key,
        /// What was found.
        found: Result<Option<KeptSession>, Trouble>,
    },
    /// The session is gone.
    DroppedSession {
        /// Who wanted it gone.
        asker: Key,
        /// Whether there was one.
        dropped: Result<bool, Trouble>,
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
        Job::ListSessions { asker, after, rows_max } => {
            Done::ListedSessions { asker, found: storage.list_sessions(after.as_ref(), rows_max) }
        }
        Job::FindSession { asker, name } => Done::FoundSession { asker, found: storage.find_session(&name) },
        Job::DropSession { asker, name } => {
            Done::DroppedSession { asker, dropped: storage.drop_session(&name) }
        }
        Job::Sweep(sweep) => Done::Swept(storage.sweep(sweep)),
        Job::FindVectors { asker, names } => {
            Done::FoundVectors { asker, found: storage.find_vectors(&names) }
        }
        Job::KeepVectors { asker, vectors, vectors_max } => {
            Done::KeptVectors { asker, kept: storage.keep_vectors(&vectors, vectors_max) }
        }
    }
}
