//! The folder in which a process keeps its state, and the lock that says whose it is.
//!
//! The lock is an `flock(2)`: it goes away with the process, however that ends, so nobody has to guess whether a lock
//! file is left over. The process id in the file is for people. The file stays when the lock is given up: who removed it
//! could remove it from under another that has just opened it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A folder that no other process keeps its state in, as long as the value lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// Held for its lock alone.
    _lock: File,
}

/// Why a folder can't be had.
#[derive(Debug)]
pub enum StateTrouble {
    /// It is not there and can't be made.
    NotMade(io::Error),
    /// Nothing can be written in it.
    NotWritable(io::Error),
    /// Another process has it.
    InUse {
        /// Its process id, if it has got round to writing it down.
        process: Option<u32>,
    },
    /// One of its files is a symbolic link: what would be written through it is another's.
    Link {
        /// The file.
        name: &'static str,
    },
    /// Its file system has no locks, or none left.
    NoLock(io::Error),
}

/// The files that a state folder has, at one time or another.
const NAMES: [&str; 8] = [
    "lock",
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "state.db-journal",
    "state.db-new",
    "state.db-new-wal",
    "state.db-new-journal",
];

impl StateFolder {
    /// Takes the folder at `path`. If it is missing it is made, for its owner's eyes only; the folder above must be
    /// there.
    ///
    /// # Errors
    /// [`StateTrouble`]; another process that has it is left in peace.
    pub fn open(path: &Path) -> Result<StateFolder, StateTrouble> {
        // Whoever changes the working directory later does not change what is meant.
        let path = std::path::absolute(path).map_err(StateTrouble::NotMade)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            // That it is there must outlive a power cut, or nothing in it does.
            Ok(()) => path.parent().map_or(Ok(()), |above| File::open(above)?.sync_all()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(StateTrouble::NotMade)?;
        // A folder of notes may come from anyone, and its hidden folder with it: what is in there must not lead out.
        for name in NAMES {
            if path.join(name).is_symlink() {
                return Err(StateTrouble::Link { name });
            }
        }
        let mut options = OpenOptions::new();
        // Not truncated: until the lock is ours, what is written there is another's.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join("lock")).map_err(StateTrouble::NotWritable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StateTrouble::InUse { process: process_in(&lock) }),
            Err(errno) => return Err(StateTrouble::NoLock(errno.into())),
        }
        let written = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        match written {
            // On a full disk the lock holds all the same, and the number is only for people.
            Err(error) if error.kind() != ErrorKind::StorageFull => Err(StateTrouble::NotWritable(error)),
            Ok(()) | Err(_) => Ok(StateFolder { path, _lock: lock }),
        }
    }

    /// Where the database is.
    pub fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }
}

/// The process id that is written down in a lock file.
fn process_in(lock: &File) -> Option<u32> {
    let mut text = String::new();
    // One byte more than the longest number and its line end.
    lock.take(12).read_to_string(&mut text).ok()?;
    text.strip_suffix('\n')?.parse().ok()
}

impl fmt::Display for StateTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateTrouble::NotMade(error) => write!(f, "the state folder can't be made: {error}"),
            StateTrouble::NotWritable(error) => write!(f, "the state folder can't be written to: {error}"),
            StateTrouble::InUse { process: Some(process) } => {
                write!(f, "the state folder is in use by process {process}")
            }
            StateTrouble::InUse { process: None } => {
                f.write_str("the state folder is in use by another process")
            }
            StateTrouble::Link { name } => write!(f, "{name} in the state folder is a symbolic link"),
            StateTrouble::NoLock(error) => write!(f, "the state folder can't be locked: {error}"),
        }
    }
}

impl std::error::Error for StateTrouble {}
