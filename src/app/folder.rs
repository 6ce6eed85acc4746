//! The notes folder: drives a scan through the disk helper, and answers who waits for one.
//!
//! ```text
//!            sync                 ListEnded, all read and indexed
//!   Resting ──────► Scanning ──────────────────────────────────────► Resting
//!                     │  ▲ Listed, Read: into the library, ask for more
//!                     └──┘
//! ```
//!
//! If the helper can't be started, no news will come of it: the scan is tried again after a while, and who waits for
//! it is told so instead of waiting along.
//!
//! A sync that is asked for during a scan waits for a scan of its own: the running one may have passed by the file
//! that was just saved.

use crate::base::Key;
use crate::base::planted::{Planted, is_planted};
use crate::notes::{Entry, Library, Problem, ReadFile, ScanReport};
use crate::os::disk::{ChangeProblem, Changed, Disk, DiskDone, FileProblem, Job};

/// Jobs that may be with the helper at once: one at work and one waiting keep it busy.
const READS_IN_FLIGHT_MAX: usize = 2;

/// Where the folder's scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    Scanning,
}

/// What a scan has come to.
#[derive(Debug)]
pub struct Ended {
    /// What it found.
    pub report: ScanReport,
    /// The whole folder was read, and not just what was written by us.
    pub is_whole: bool,
    /// Who waits to hear of it.
    pub waiting: Vec<Key>,
}

/// The driver of scans.
#[derive(Debug)]
pub struct Folder {
    state: State,
    notes_max: usize,
    note_bytes_max: usize,
    /// The listing has yet to be handed to the helper, whose queue was full.
    owes_listing: bool,
    /// The helper has the listing, and has not told its end.
    lists: bool,
    reads_in_flight: usize,
    /// A batch that the helper's queue had no room for.
    parked: Option<Job>,
    /// Connections that wait for the scan that is running.
    waiting: Vec<Key>,
    /// Connections that wait for the next.
    waiting_next: Vec<Key>,
    /// The next is to read every file, as somebody has asked for.
    forces_next: bool,
}

impl Folder {
    /// A folder that was not looked at yet.
    pub fn new(notes_max: usize, note_bytes_max: usize) -> Folder {
        Folder {
            state: State::Resting,
            notes_max,
            note_bytes_max,
            owes_listing: false,
            lists: false,
            reads_in_flight: 0,
            parked: None,
            waiting: Vec::new(),
            waiting_next: Vec::new(),
            forces_next: false,
        }
    }

    /// Reads the folder again, with `force` all of its files. `waiting` hears of the result.
    pub fn sync(&mut self, waiting: Option<Key>, force: bool, library: &mut Library, disk: &mut dyn Disk) {
        self.forces_next |= force;
        match self.state {
            State::Resting => {
                self.waiting.extend(waiting);
                self.begin(library, disk);
            }
            State::Scanning if is_planted(Planted::SyncJoinsRunning) => self.waiting.extend(waiting),
            State::Scanning => self.waiting_next.extend(waiting),
        }
    }

    /// The connection does not wait any more.
    pub fn forget(&mut self, connection: Key) {
        self.waiting.retain(|waiting| *waiting != connection);
        self.waiting_next.retain(|waiting| *waiting != connection);
    }

    /// Connections that wait for a scan, running or next.
    pub fn waiters(&self) -> usize {
        self.waiting.len() + self.waiting_next.len()
    }

    /// Takes the helper's news into the library.
    pub fn done(&mut self, news: DiskDone, library: &mut Library) {
        match news {
            DiskDone::Listed { files, problems } => {
                library.listed(files.into_iter().map(entry).collect());
                for (path, trouble) in problems {
                    library.list_problem(&path, problem(&trouble));
                }
            }
            DiskDone::ListEnded { complete } => {
                self.lists = false;
                library.list_ended(complete);
            }
            // These are for those who have asked for one file.
            DiskDone::Fetched { .. } | DiskDone::Changed { .. } => {}
            DiskDone::Read(files) => {
                self.reads_in_flight = self.reads_in_flight.saturating_sub(1);
                for (path, outcome) in files {
                    library.read(&path, outcome.map(read_file).map_err(|trouble| problem(&trouble)));
                }
            }
        }
    }

    /// One file was changed by us, or is not what we thought it to be: it is to be read again.
    pub fn changed(&self, path: &str, outcome: &Result<Changed, ChangeProblem>, library: &mut Library) {
        let is_other = match outcome {
            Ok(_) | Err(ChangeProblem::Stale(_) | ChangeProblem::Exists(_)) => true,
            Err(ChangeProblem::Absent) => library.note(path).is_some(),
            Err(_) => false,
        };
        if is_other {
            library.file_changed(path);
        }
    }

    /// Hands the helper what it has room for.
    pub fn ask_for_more(&mut self, library: &mut Library, disk: &mut dyn Disk) {
        if self.owes_listing {
            self.lists = disk.submit(Job::List { files_max: self.notes_max }).is_ok();
            self.owes_listing = !self.lists;
        }
        while self.reads_in_flight < READS_IN_FLIGHT_MAX {
            let next = self.parked.take().or_else(|| {
                let paths = library.next_reads()?;
                Some(Job::Read { paths, bytes_max: self.note_bytes_max })
            });
            let Some(job) = next else { return };
            match disk.submit(job) {
                Ok(()) => self.reads_in_flight += 1,
                Err(job) => {
                    self.parked = Some(job);
                    return;
                }
            }
        }
    }

    /// The helper has refused a job and has none of ours.
    pub fn is_stuck(&self) -> bool {
        (self.owes_listing || self.parked.is_some()) && !self.has_jobs()
    }

    /// The helper has jobs of ours.
    pub fn has_jobs(&self) -> bool {
        self.lists || self.reads_in_flight > 0
    }

    /// Who waits, for this scan or the next; they are forgotten here.
    pub fn take_waiting(&mut self) -> Vec<Key> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.append(&mut self.waiting_next);
        waiting
    }

    /// If a scan has ended since the last call: what it found, and who waits to hear. Begins the next if one is wanted.
    pub fn ended(&mut self, library: &mut Library, disk: &mut dyn Disk) -> Option<Ended> {
        let report = library.take_scan_report()?;
        let is_whole = self.state == State::Scanning;
        self.state = State::Resting;
        let waiting = std::mem::take(&mut self.waiting);
        if !self.waiting_next.is_empty() {
            self.waiting = std::mem::take(&mut self.waiting_next);
            self.begin(library, disk);
        }
        Some(Ended { report, is_whole, waiting })
    }

    fn begin(&mut self, library: &mut Library, disk: &mut dyn Disk) {
        self.state = State::Scanning;
        match std::mem::take(&mut self.forces_next) {
            true => library.begin_full_scan(),
            false => library.begin_scan(),
        }
        self.owes_listing = true;
        self.ask_for_more(library, disk);
    }
}

// The disk does not know what notes are, nor the library what a disk is: here one's words become the other's.

fn entry(file: crate::os::disk::File) -> Entry {
    Entry { path: file.path, bytes: file.bytes, modified_ns: file.modified_ns }
}

fn read_file(file: crate::os::disk::FileText) -> ReadFile {
    ReadFile { bytes: file.bytes, total_bytes: file.total_bytes, modified_ns: file.modified_ns }
}

fn problem(problem: &FileProblem) -> Problem {
    match problem {
        FileProblem::LinkOut => Problem::LeadsOutside,
        FileProblem::LinkToFolder => Problem::LeadsToFolder,
        FileProblem::NameNotUtf8 => Problem::NameNotUtf8,
        FileProblem::NotAFile => Problem::NotAFile,
        FileProblem::TooDeep => Problem::TooDeep,
        FileProblem::Gone => Problem::Gone,
        FileProblem::System(kind) => Problem::Unreadable(*kind),
    }
}
