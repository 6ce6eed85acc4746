//! A storage that outlives the process: SQLite, in one file beside its write-ahead log.
//!
//! ```text
//!   commit ──► begin ─ record ─ record ─ … ─ commit (the log is synced) ──► Ok
//!                 │                             │
//!                 └─ contradiction, full ─► rolled back, the connection is kept
//!                 └─ anything else ───────► the connection is dropped; the next call opens another
//! ```
//!
//! A failed `fsync` is reported once: the kernel then marks the pages clean although the disk never took them, and the
//! next `fsync` succeeds ("fsyncgate", PostgreSQL 2018; `fsync(2)`, "EIO"). So after such a failure nothing is believed
//! that a connection remembers, and opening writes the log's bytes anew (see [`open`]) before anything in it counts.
//!
//! What is deleted makes room inside the file; the file itself never becomes smaller. A bound on its bytes does not
//! count the log, which takes some 4 MiB more, and as much as the largest batch.

mod callbacks;
mod open;
mod records;
mod schema;
mod sessions;
mod vectors;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use uuid::Uuid;

pub use open::OpenTrouble;

use crate::store::{
    Batch, Cause, Idempotency, KeptRun, KeptSession, KeptVector, Loaded, Row, SessionPlace, SessionRow,
    Storage, Sweep, Swept, Trouble,
};

/// Runs, kept in a file of SQLite's.
///
/// One process alone has the file open, and in it one value: closing any descriptor of a file gives up all POSIX locks
/// that its process has on it (`fcntl(2)`), and opening looks at the file's head through a descriptor of its own. The
/// lock on the state folder sees to that.
pub struct Sqlite {
    file: PathBuf,
    bytes_max: u64,
    /// `None` after a failure: the next call opens another.
    connection: Option<Connection>,
}

impl Sqlite {
    /// Opens the database in `file`, which may take up to `bytes_max` bytes, and makes it if there is none.
    ///
    /// A file that is larger already stays as it is, and grows no more. Older schemas are brought up to date.
    ///
    /// # Errors
    /// [`OpenTrouble`]; what is in the file is as it was.
    pub fn open(file: &Path, bytes_max: u64) -> Result<Sqlite, OpenTrouble> {
        // Whoever changes the working directory later does not change what is meant.
        let file = std::path::absolute(file).map_err(OpenTrouble::System)?;
        open::make_if_missing(&file)?;
        let connection = open::open(&file, bytes_max)?;
        Ok(Sqlite { file, bytes_max, connection: Some(connection) })
    }

    /// Does `work` over a connection that is trusted.
    fn call<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Halt>) -> Result<T, Trouble> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            // A file that is missing now was taken away from under us. It is not made anew: that would pass for a
            // storage that never heard of the runs that we know.
            None => open::open(&self.file, self.bytes_max).map_err(|trouble| trouble.as_trouble())?,
        };
        let outcome = work(&connection);
        let is_trusted = match &outcome {
            Ok(_) | Err(Halt::Contradiction(_)) => true,
            Err(Halt::Sqlite(error)) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
        };
        // A transaction that is still open could not be rolled back.
        if is_trusted && connection.is_autocommit() {
            self.connection = Some(connection);
            return outcome.map_err(Halt::into_trouble);
        }
        let outcome = outcome.map_err(|halt| match halt {
            Halt::Sqlite(error) => trouble(&error, open::system_error(&connection)),
            Halt::Contradiction(trouble) => trouble,
        });
        open::abandon(connection);
        outcome
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.file.display())
    }
}

impl Storage for Sqlite {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        self.call(records::load)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        self.call(|connection| {
            whole(connection, || {
                batch.records.iter().try_for_each(|record| records::apply(connection, record))
            })
        })
    }

    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        self.call(|connection| records::find(connection, run))
    }

    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        self.call(|connection| records::list(connection, before, rows_max))
    }

    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        self.call(|connection| records::find_key(connection, key))
    }

    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        self.call(|connection| sessions::list(connection, after, rows_max))
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        self.call(|connection| sessions::find(connection, name))
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        self.call(|connection| whole(connection, || sessions::forget(connection, name)))
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        self.call(|connection| whole(connection, || records::sweep(connection, sweep)))
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        self.call(|connection| vectors::find(connection, names))
    }

    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        let bytes_max = self.bytes_max / 2;
        self.call(|connection| {
            // A file that is half full has its other half for runs.
            if vectors::file_bytes(connection)? >= bytes_max {
                let words = "half of the room for what is kept is taken, and the rest is for runs";
                return Ok(Err(Trouble::new(Cause::Full, words)));
            }
            whole(connection, || vectors::keep(connection, vectors, vectors_max)).map(Ok)
        })?
    }
}

/// Does `work` in one transaction.
fn whole<T>(connection: &Connection, work: impl FnOnce() -> Result<T, Halt>) -> Result<T, Halt> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
    let outcome = work().and_then(|done| {
        connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(done)
    });
    if outcome.is_err() && !connection.is_autocommit() {
        // If it fails, the transaction stays open, and `call` sees that.
        let _ = connection.execute_batch("ROLLBACK");
    }
    outcome
}

/// Why a call went no further.
#[derive(Debug)]
enum Halt {
    Contradiction(Trouble),
    Sqlite(rusqlite::Error),
}

impl Halt {
    fn into_trouble(self) -> Trouble {
        match self {
            Halt::Contradiction(trouble) => trouble,
            Halt::Sqlite(error) => trouble(&error, None),
        }
    }
}

impl From<rusqlite::Error> for Halt {
    fn from(error: rusqlite::Error) -> Halt {
        Halt::Sqlite(error)
    }
}

/// What an error of SQLite's means. `system` is the system's own error behind it, if there was one.
fn trouble(error: &rusqlite::Error, system: Option<io::Error>) -> Trouble {
    // SQLite says FULL when a write meets ENOSPC or a bound of its own, and IOERR when it meets a quota, or when it is a
    // sync that finds no room.
    let has_no_room = system.as_ref().is_some_and(open::has_no_room);
    let reason = system.map(|system| format!(" ({system})")).unwrap_or_default();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::new(Cause::Full, format!("there is no room for more: {error}")),
        Some(ErrorCode::SystemIoFailure) if has_no_room => {
            Trouble::new(Cause::Full, format!("the disk has no room for more: {error}{reason}"))
        }
        Some(ErrorCode::ConstraintViolation) => {
            Trouble::contradiction(format!("something else is kept: {error}"))
        }
        _ => Trouble::new(Cause::Failed, format!("the database failed: {error}{reason}")),
    }
}
