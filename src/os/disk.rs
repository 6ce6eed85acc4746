//! Jobs for the disk helper, as plain values, and the news that comes back.
//!
//! Reading a file can block however it is opened (there is no readiness for a disk), so the loop never does it.

use std::fmt;

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
