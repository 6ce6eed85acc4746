//! Opening a database: what is refused, what is made, and what is not believed before it was written anew.
//!
//! A file is looked at before SQLite may touch it, because even closing a foreign database can change it. A new one is
//! made under another name and renamed, so a file under its own name is whole and says in its head that it is ours.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::ffi::Error as Failure;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{APPLICATION_ID, STEPS, migrate};
use crate::store::{Cause, Trouble};

/// Bytes in a page, SQLite's default.
const PAGE_BYTES: u64 = 4096;

/// Another process that just ends may hold its lock for a moment; longer, and it is refused.
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// The log is cut back to this many bytes once it has been copied into the database: what it takes between two such
/// copies (`wal_autocheckpoint`, 1000 pages), so that it is cut only after an extraordinary batch.
const LOG_BYTES_KEPT: u64 = 1000 * (PAGE_BYTES + 24) + 32;

/// Pages of the database that are held in memory, in KiB. What is written was read a moment before, and what is found is
/// small; the system's own cache has the rest.
const CACHE_KIB_MAX: u64 = 512;

/// Prepared statements that are kept; there are fewer.
const STATEMENTS_MAX: usize = 64;

/// Why a database was not opened.
#[derive(Debug)]
pub enum OpenTrouble {
    /// The file is something else, or what is left of a database.
    NotADatabase,
    /// A database that has lost or changed some of its bytes.
    Damaged(rusqlite::Error),
    /// A database of another program.
    Foreign {
        /// What it says it belongs to (`PRAGMA application_id`).
        application_id: u32,
    },
    /// A database that a later version of this program has written.
    Newer {
        /// Its schema's version.
        found: u64,
        /// The newest version that we know.
        known: u64,
    },
    /// Another process has it open.
    InUse,
    /// The system refused.
    System(io::Error),
    /// SQLite refused.
    Sqlite(rusqlite::Error),
}

impl OpenTrouble {
    /// For a call of a storage that had to open its file again.
    pub(super) fn as_trouble(&self) -> Trouble {
        let is_full = match self {
            OpenTrouble::System(error) => has_no_room(error),
            OpenTrouble::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            OpenTrouble::NotADatabase
            | OpenTrouble::Damaged(_)
            | OpenTrouble::Foreign { .. }
            | OpenTrouble::Newer { .. }
            | OpenTrouble::InUse => false,
        };
        Trouble::new(if is_full { Cause::Full } else { Cause::Failed }, self.to_string())
    }
}

impl fmt::Display for OpenTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenTrouble::NotADatabase => f.write_str("the file is not a database"),
            OpenTrouble::Damaged(error) => write!(f, "the database is damaged: {error}"),
            OpenTrouble::Foreign { application_id } => {
                write!(f, "the database belongs to another program (application id {application_id:#010x})")
            }
            OpenTrouble::Newer { found, known } => write!(
                f,
                "the database was written by a newer version of this program: \
                 its schema is {found}, and {known} is the newest that this one knows"
            ),
            OpenTrouble::InUse => f.write_str("another process has the database open"),
            OpenTrouble::System(error) => write!(f, "the database can't be opened: {error}"),
            OpenTrouble::Sqlite(error) => write!(f, "the database can't be opened: {error}"),
        }
    }
}

impl std::error::Error for OpenTrouble {}

impl From<io::Error> for OpenTrouble {
    fn from(error: io::Error) -> OpenTrouble {
        OpenTrouble::System(error)
    }
}

impl From<rusqlite::Error> for OpenTrouble {
    fn from(error: rusqlite::Error) -> OpenTrouble {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenTrouble::NotADatabase,
            Some(ErrorCode::DatabaseCorrupt) => OpenTrouble::Damaged(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenTrouble::InUse,
            _ => OpenTrouble::Sqlite(error),
        }
    }
}

/// Makes a database where there is none, or an empty file.
pub(super) fn make_if_missing(file: &Path) -> Result<(), OpenTrouble> {
    match std::fs::metadata(file) {
        Ok(found) if found.len() > 0 || !found.is_file() => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    // A log without its database is what is left of one that was lost: not ours to throw away.
    for suffix in ["-wal", "-journal"] {
        if std::fs::metadata(beside(file, suffix)).is_ok_and(|log| log.len() > 0) {
            return Err(OpenTrouble::NotADatabase);
        }
    }
    let unnamed = beside(file, "-new");
    // Left over from a process that ended here; and the logs of a database that is gone are of no use to any other.
    for suffix in ["-new", "-new-journal", "-wal", "-shm", "-journal"] {
        match std::fs::remove_file(beside(file, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    // SQLite gives its logs the permissions of the database.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed)?;
    let connection = Connection::open_with_flags(&unnamed, flags())?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID};"
    ))?;
    migrate(&connection, 0, STEPS)?;
    connection.close().map_err(|(_, error)| error)?;
    std::fs::rename(&unnamed, file)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Opens a database that is there.
pub(super) fn open(file: &Path, bytes_max: u64) -> Result<Connection, OpenTrouble> {
    check_head(file)?;
    let connection = Connection::open_with_flags(file, flags())?;
    connection.busy_timeout(BUSY_WAIT)?;
    // Until it is known that the database is good, closing it must not copy anything into it.
    checkpoint_on_close(&connection, false)?;
    // The file may come from anywhere: its schema may not call functions of ours or of SQLite's that do harm, and its
    // pages are checked as they are read. Exclusive, so that nobody's open transaction holds up a commit; also the
    // log's index is then in memory, and no file that is mapped can be cut short under us. Nothing is put into
    // temporary files elsewhere.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = OFF; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // The log may say more than the file's head, which was looked at before.
    let number = |row: &rusqlite::Row<'_>| row.get::<_, i32>(0);
    let application_id = connection.query_row("PRAGMA application_id", (), number)?;
    let version = connection.query_row("PRAGMA user_version", (), number)?;
    let version = check_owner(application_id.cast_unsigned(), version.cast_unsigned())?;
    // Reads all of the schema.
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), number)?;
    if connection.is_readonly("main")? {
        return Err(io::Error::from(ErrorKind::PermissionDenied).into());
    }
    // Only now, when the lock is ours; and still before anything was written or copied.
    write_log_anew(&beside(file, "-wal"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0))?;
    if mode != "wal" {
        return Err(io::Error::new(ErrorKind::Unsupported, "no write-ahead log is possible here").into());
    }
    migrate(&connection, version, STEPS)?;
    let pages_max = (bytes_max / PAGE_BYTES).clamp(1, u64::from(u32::MAX - 1));
    connection.execute_batch(&format!(
        "PRAGMA max_page_count = {pages_max}; PRAGMA journal_size_limit = {LOG_BYTES_KEPT};
         PRAGMA cache_size = -{CACHE_KIB_MAX};"
    ))?;
    checkpoint_on_close(&connection, true)?;
    Ok(connection)
}

/// Closes a connection that has failed, with nothing more done to the database.
pub(super) fn abandon(connection: Connection) {
    // What it would copy out of the log now, the next connection will.
    let _ = checkpoint_on_close(&connection, false);
    drop(connection);
}

/// The system's error behind the last one of this connection.
pub(super) fn system_error(connection: &Connection) -> Option<io::Error> {
    #[expect(unsafe_code, reason = "the library does not wrap this one")]
    // SAFETY: the handle is open as long as `connection` is borrowed, and the call only reads a number from it.
    let errno = unsafe { rusqlite::ffi::sqlite3_system_errno(connection.handle()) };
    (errno != 0).then(|| io::Error::from_raw_os_error(errno))
}

/// The disk is full, or as full as it may be for us.
pub(super) fn has_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// For an existing file alone, with no locks between threads, since one thread at a time has the connection.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn checkpoint_on_close(connection: &Connection, is_wanted: bool) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted)
}

/// Looks at the first bytes of a database (SQLite, "Database File Format", 1.3), and whether the last are there.
fn check_head(file: &Path) -> Result<(), OpenTrouble> {
    let opened = File::open(file)?;
    let bytes = opened.metadata()?.len();
    let mut head = Vec::with_capacity(100);
    opened.take(100).read_to_end(&mut head)?;
    let Some(head) = head.first_chunk::<100>().filter(|head| head.starts_with(b"SQLite format 3\0")) else {
        return Err(OpenTrouble::NotADatabase);
    };
    let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    check_owner(number(68), number(60))?;
    // SQLite takes a last page that was cut for one that ends in zeros. With a log, pages may be in it alone.
    let log_bytes = std::fs::metadata(beside(file, "-wal")).map_or(0, |log| log.len());
    if log_bytes == 0 && bytes < u64::from(number(28)) * PAGE_BYTES {
        return Err(rusqlite::Error::SqliteFailure(Failure::new(rusqlite::ffi::SQLITE_CORRUPT), None).into());
    }
    Ok(())
}

/// Answers the schema's version.
fn check_owner(application_id: u32, version: u32) -> Result<usize, OpenTrouble> {
    let known = STEPS.len();
    // We never write version 0 together with our id.
    if application_id != APPLICATION_ID || version == 0 {
        return Err(OpenTrouble::Foreign { application_id });
    }
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        Ok(_) | Err(_) => Err(OpenTrouble::Newer { found: u64::from(version), known: known as u64 }),
    }
}

/// Writes each byte of a log that a process has left behind over itself, and syncs it.
///
/// That process may have been told that a sync failed. Then the log holds a batch which can be read, but which is not
/// on the disk, and which no later sync would take there: its pages count as clean. Whoever found it kept would answer
/// so, and copying it into the database before it is in the log for sure could tear the database in a power cut. Writing
/// makes the pages dirty, so that this sync tells the truth. The same bytes again can't hurt what is there already.
fn write_log_anew(log: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().read(true).write(true).open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut block = vec![0; 64 * 1024];
    let mut offset = 0;
    loop {
        let count = match file.read_at(&mut block, offset) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.write_all_at(&block[..count], offset)?;
        offset += count as u64;
    }
    file.sync_all()
}

/// The file beside `file` with this after its name.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}
