//! Jobs for the disk helper, as plain values, and the news that comes back.
//!
//! Reading a file can block however it is opened (there is no readiness for a disk), so the loop never does it.

use std::fmt;

use crate::base::Key;

/// Something for the disk helper to do within the notes folder. Paths are relative to it, parted by `/`.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// List every Markdown file: answered by any number of [`DiskDone::Listed`] and one [`DiskDone::ListEnded`].
    List {
        /// Files listed at most; beyond it the listing ends incomplete.
        files_max: usize,
    },
    /// Read these files: answered by one [`DiskDone::Read`].
    Read {
        /// Which.
        paths: Vec<Box<str>>,
        /// Bytes read of each at most.
        bytes_max: usize,
    },
    /// Read one whole file for somebody: answered by one [`DiskDone::Fetched`].
    Fetch {
        /// Who asks.
        asker: Key,
        /// Which.
        path: Box<str>,
        /// A longer one is not read.
        bytes_max: usize,
    },
    /// Write or remove one file: answered by one [`DiskDone::Changed`].
    Change(Change),
}

/// A change of one file, all of it or nothing: whoever reads meanwhile, or after a crash, finds the file as it was or as
/// it is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Who asks.
    pub asker: Key,
    /// Which file. Folders on the way to it are made.
    pub path: Box<str>,
    /// What it is to be.
    pub deed: Deed,
    /// What it must be before. Nothing else is ever overwritten or removed.
    pub expected: Expected,
}

/// What is to become of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Deed {
    /// It holds these bytes.
    Write(Vec<u8>),
    /// It holds these as well, from this byte on; what stood there comes behind them.
    Insert {
        /// No further than its end.
        at: u64,
        /// What comes in.
        bytes: Vec<u8>,
    },
    /// It holds these bytes no more; what stood behind them closes up.
    Cut {
        /// The first of them.
        start: u64,
        /// The one behind the last, no further than its end.
        end: u64,
    },
    /// It is gone.
    Remove,
}

impl Deed {
    /// What a file is to hold that holds `before`. `None` if it is to be gone, or has no such bytes as are named.
    pub fn after(&self, before: &[u8]) -> Option<Vec<u8>> {
        let place = |at: &u64| usize::try_from(*at).ok();
        match self {
            Deed::Write(bytes) => Some(bytes.clone()),
            Deed::Insert { at, bytes } => {
                let (head, tail) = before.split_at_checked(place(at)?)?;
                Some([head, bytes, tail].concat())
            }
            Deed::Cut { start, end } => {
                let (start, end) = (place(start)?, place(end)?);
                let (head, tail) = (before.get(..start)?, before.get(end..).filter(|_| start <= end)?);
                Some([head, tail].concat())
            }
            Deed::Remove => None,
        }
    }
}

/// What a file must be for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Not there, be it under a name that differs in nothing but case or composition.
    Absent,
    /// There, in one of these versions; in any if there are none.
    Present(Vec<FileHash>),
}

/// SHA-256 of a file's bytes.
pub type FileHash = [u8; 32];

/// The hash of these bytes.
pub fn hash_of(bytes: &[u8]) -> FileHash {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// What the disk helper has done.
#[derive(Debug)]
pub enum DiskDone {
    /// Some of the files.
    Listed {
        /// Files found, in no particular order.
        files: Vec<File>,
        /// What could not be listed, and why.
        problems: Vec<(Box<str>, FileProblem)>,
    },
    /// No more files follow.
    ListEnded {
        /// Every folder could be read to its end. If not, an absent file may still exist.
        complete: bool,
    },
    /// The files of one [`Job::Read`], each with its outcome.
    Read(Vec<(Box<str>, Result<FileText, FileProblem>)>),
    /// The file of one [`Job::Fetch`].
    Fetched {
        /// Who has asked.
        asker: Key,
        /// The file, or why not.
        outcome: Result<Fetched, ChangeProblem>,
    },
    /// One [`Job::Change`] was made, or not.
    Changed {
        /// Who has asked.
        asker: Key,
        /// The file.
        path: Box<str>,
        /// What it was and is, or why nothing was changed.
        outcome: Result<Changed, ChangeProblem>,
    },
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub hash: FileHash,
}

/// A change that was made, and that a loss of power does not undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// What the file was before; `None` if there was none.
    pub before: Option<FileHash>,
    /// What it is now; `None` if there is none.
    pub after: Option<FileHash>,
}

/// Why a file was not read whole, or not changed. Whichever it is, nothing was lost: the file is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeProblem {
    /// There is no such file.
    Absent,
    /// There is one already, in this version.
    Exists(FileHash),
    /// It is another version than was expected.
    Stale(FileHash),
    /// There is one whose name differs in nothing but case or composition, which other systems take for the same.
    Similar(Box<str>),
    /// The path leads over a symbolic link, or out of the folder.
    Link,
    /// Something on the way to it is a file, or it is itself a folder.
    NotAFile,
    /// It has more bytes than are dealt with.
    TooLong(u64),
    /// A part of its path is longer than the file system takes.
    NameTooLong,
    /// The file system is full, or the quota used up.
    Full,
    /// The folder is read-only, or we may not write there.
    Denied,
    /// The system's own reason.
    System(std::io::ErrorKind),
}

impl fmt::Display for ChangeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeProblem::Absent => f.write_str("there is no such note"),
            ChangeProblem::Exists(_) => f.write_str("there is such a note already"),
            ChangeProblem::Stale(_) => f.write_str("the note was changed in the meantime"),
            ChangeProblem::Similar(name) => {
                write!(
                    f,
                    "there is {name:?}, which differs in case or composition alone and is the same file elsewhere"
                )
            }
            ChangeProblem::Link => f.write_str("the path leads over a symbolic link, which is not followed"),
            ChangeProblem::NotAFile => f.write_str("a part of the path is a file, or all of it is a folder"),
            ChangeProblem::TooLong(bytes) => write!(f, "the file has {bytes} bytes, which is too much"),
            ChangeProblem::NameTooLong => {
                f.write_str("a part of the path is longer than the file system takes")
            }
            ChangeProblem::Full => f.write_str("there is no room left on the disk"),
            ChangeProblem::Denied => f.write_str("the notes folder can't be written to"),
            ChangeProblem::System(kind) => write!(f, "the system says: {kind}"),
        }
    }
}

/// One file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path below the notes folder.
    pub path: Box<str>,
    /// Its size.
    pub bytes: u64,
    /// When it was last changed: nanoseconds since 1970, as the file system tells.
    pub modified_ns: i64,
}

/// What was read of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// The first `bytes_max` bytes of it, or all.
    pub bytes: Vec<u8>,
    /// The size of the whole file.
    pub total_bytes: u64,
    /// When it was last changed, taken before reading.
    pub modified_ns: i64,
}

/// Why a file or folder was passed over. None of these is fatal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileProblem {
    /// A symbolic link that leads out of the notes folder.
    LinkOut,
    /// A symbolic link to a folder: not followed, as it may lead in a circle.
    LinkToFolder,
    /// The name is not UTF-8.
    NameNotUtf8,
    /// Neither a file nor a folder.
    NotAFile,
    /// Nested in more folders than are followed.
    TooDeep,
    /// It vanished between listing and reading.
    Gone,
    /// The system's own reason.
    System(std::io::ErrorKind),
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileProblem::LinkOut => f.write_str("a symbolic link out of the notes folder, not followed"),
            FileProblem::LinkToFolder => f.write_str("a symbolic link to a folder, not followed"),
            FileProblem::NameNotUtf8 => f.write_str("its name is not UTF-8"),
            FileProblem::NotAFile => f.write_str("not a regular file"),
            FileProblem::TooDeep => f.write_str("nested in too many folders"),
            FileProblem::Gone => f.write_str("gone before it could be read"),
            FileProblem::System(kind) => write!(f, "{kind}"),
        }
    }
}

/// The front of the disk helper.
pub trait Disk {
    /// Hands a job over. Its news come through `Wait::wait`.
    ///
    /// # Errors
    /// Gives the job back when the queue is full (`limits::DISK_JOBS_MAX`): ask again after the next completion. Who
    /// has no job with the helper, and is refused all the same, has none to wait for: the helper can't be started, and
    /// the system may have room for it later.
    fn submit(&mut self, job: Job) -> Result<(), Job>;
}
