//! Keeps the list of files in step with the folder: what to read, what has gone, and what could not be read.
//!
//! ```text
//! Never ──begin──► Listing ──list_ended──► Settling ──all read, indexed, removed──► Settled
//!                     ▲                        │                                       │
//!                     └────────begin───────────┴───────────────begin───────────────────┘
//! ```
//!
//! A note counts as gone only if a complete listing lacks it, and not while its folder could not be read. A file
//! whose size and time are those of its last reading is not read again.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::ops::Bound;

use super::link::is_note_path;
use super::shelf::NoteId;
use crate::limits::Limits;

/// One file as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the folder, parts joined by `/`.
    pub path: Box<str>,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, in nanoseconds since 1970; only compared, so it may be any stamp.
    pub modified_ns: i64,
}

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// Its bytes, up to at least `note_bytes_max`.
    pub bytes: Vec<u8>,
    /// Its size on disk.
    pub total_bytes: u64,
    /// When it was last written, on the same clock as [`Entry::modified_ns`].
    pub modified_ns: i64,
}

/// Why a file or folder, or a part of it, is not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It went away between being listed and being read. Nothing is reported: it is as good as never listed.
    Gone,
    /// The system does not let us list or read it. What we knew of it, or below it, stays.
    Unreadable(ErrorKind),
    /// Its name is not UTF-8, so no answer could cite it.
    NameNotUtf8,
    /// A symbolic link that leads out of the folder; such links are not followed.
    LeadsOutside,
    /// A symbolic link to a folder; not followed, as it may lead in a circle.
    LeadsToFolder,
    /// Neither a file nor a folder.
    NotAFile,
    /// It is nested in more folders than are followed.
    TooDeep,
    /// The file has this many bytes; it is indexed up to `note_bytes_max`.
    TooLong(u64),
    /// It has more different links than `links_per_note_max`; the first ones are kept.
    TooManyLinks,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Gone => f.write_str("is gone"),
            Problem::Unreadable(kind) => write!(f, "can't be read: {kind}"),
            Problem::NameNotUtf8 => f.write_str("has a name that is not UTF-8"),
            Problem::LeadsOutside => f.write_str("is a link out of the folder, which is not followed"),
            Problem::LeadsToFolder => f.write_str("is a link to a folder, which is not followed"),
            Problem::NotAFile => f.write_str("is not a regular file"),
            Problem::TooDeep => f.write_str("is nested in too many folders"),
            Problem::TooLong(bytes) => write!(f, "has {bytes} bytes and is indexed only in part"),
            Problem::TooManyLinks => f.write_str("has too many links, of which the first are kept"),
        }
    }
}

/// What one scan found, once it and its indexing have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanReport {
    /// Notes that are new.
    pub added: usize,
    /// Notes whose text is another than before.
    pub changed: usize,
    /// Notes that are gone.
    pub removed: usize,
    /// The library's epoch after it.
    pub epoch: u64,
    /// Paths and what is wrong with each, up to `scan_problems_max`.
    pub problems: Vec<(Box<str>, Problem)>,
    /// Problems beyond that number.
    pub problems_untold: usize,
}

impl ScanReport {
    /// Notes added, changed and removed.
    pub fn changes(&self) -> usize {
        self.added + self.changed + self.removed
    }
}

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whether answers may lack what the folder holds.
    pub state: IndexState,
    /// Notes that the folder is known to hold.
    pub found: usize,
    /// Notes of these that are indexed, or could not be read.
    pub done: usize,
}

/// Whether the index holds all that is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// The first scan has not ended, or a later one has found notes that are not indexed yet.
    Indexing,
    /// It holds all.
    Ready,
}

/// The files of the folder and how far each is.
#[derive(Debug)]
pub(super) struct Scan {
    state: State,
    /// Counts scans; a file not seen in the newest is gone.
    number: u32,
    has_ended_once: bool,
    files: BTreeMap<Box<str>, File>,
    settled: usize,
    to_read: VecDeque<Box<str>>,
    reading: usize,
    bytes_waiting: usize,
    /// Folders that could not be listed in this scan: what we know below them stays.
    unlisted: Vec<Box<str>>,
    is_complete: bool,
    /// Files are read although they seem to be as they were.
    forces: bool,
    /// The last path that the search for gone files has looked at.
    checked: Option<Box<str>>,
    report: ScanReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Never,
    Listing,
    Settling,
    Settled,
}

#[derive(Debug)]
struct File {
    /// Size and time at its last reading.
    stamp: Option<(u64, i64)>,
    seen: u32,
    stage: Stage,
    note: Option<NoteId>,
    /// It was changed while it waited to be indexed: what it was read as is old by now.
    is_stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In `to_read`, with the size that the listing gave.
    ToRead(usize),
    /// Asked for; its share of `bytes_waiting`.
    Reading(usize),
    /// Read; its share of `bytes_waiting`.
    ToIndex(usize),
    Settled,
}

impl Scan {
    pub(super) fn new() -> Scan {
        Scan {
            state: State::Never,
            number: 0,
            has_ended_once: false,
            files: BTreeMap::new(),
            settled: 0,
            to_read: VecDeque::new(),
            reading: 0,
            bytes_waiting: 0,
            unlisted: Vec::new(),
            is_complete: true,
            forces: false,
            checked: None,
            report: ScanReport::default(),
        }
    }

    /// Starts over with the listing; reads under way go on. With `force` every file is read again, whatever its size and
    /// time say.
    pub(super) fn begin(&mut self, force: bool) {
        self.state = State::Listing;
        self.forces = force;
        self.number += 1;
        self.unlisted.clear();
        self.is_complete = true;
        self.checked = None;
    }

    pub(super) fn listed(&mut self, entry: Entry) {
        if self.state != State::Listing || !is_note_path(&entry.path) {
            return;
        }
        let stamp = Some((entry.bytes, entry.modified_ns));
        let bytes = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        match self.files.get_mut(&entry.path) {
            Some(file) => {
                file.seen = self.number;
                if (file.stamp == stamp && !self.forces) || file.stage != Stage::Settled {
                    return;
                }
                file.stage = Stage::ToRead(bytes);
                self.settled -= 1;
            }
            None => {
                let file = File {
                    stamp: None,
                    seen: self.number,
                    stage: Stage::ToRead(bytes),
                    note: None,
                    is_stale: false,
                };
                self.files.insert(entry.path.clone(), file);
            }
        }
        self.to_read.push_back(entry.path);
    }

    /// A file was changed, written or removed, and is to be read by itself. Between two scans this makes a small one of
    /// its own, which ends with a report and takes nothing for gone but what could not be read.
    pub(super) fn changed(&mut self, path: &str) {
        match self.files.get_mut(path) {
            Some(file) => {
                file.seen = self.number;
                match file.stage {
                    // It is read after the change: the disk does one thing after the other.
                    Stage::ToRead(_) | Stage::Reading(_) => {}
                    Stage::ToIndex(_) => file.is_stale = true,
                    Stage::Settled => {
                        file.stage = Stage::ToRead(1);
                        self.settled -= 1;
                        self.to_read.push_front(path.into());
                    }
                }
            }
            None => {
                let stage = Stage::ToRead(1);
                let file = File { stamp: None, seen: self.number, stage, note: None, is_stale: false };
                self.files.insert(path.into(), file);
                self.to_read.push_front(path.into());
            }
        }
        if self.state == State::Settled {
            self.state = State::Settling;
            self.is_complete = false;
        }
    }

    /// What is known of this file is in the index.
    pub(super) fn is_settled(&self, path: &str) -> bool {
        self.files.get(path).is_none_or(|file| file.stage == Stage::Settled)
    }

    pub(super) fn problem(&mut self, path: &str, problem: Problem, limits: &Limits) {
        if self.state == State::Listing && matches!(problem, Problem::Unreadable(_)) {
            match self.unlisted.len() < limits.scan_problems_max {
                true => self.unlisted.push(path.into()),
                // Too many to remember: then nothing is taken for gone.
                false => self.is_complete = false,
            }
        }
        if problem == Problem::Gone {
            return;
        }
        if self.report.problems.len() < limits.scan_problems_max {
            self.report.problems.push((path.into(), problem));
        } else {
            self.report.problems_untold += 1;
        }
    }

    pub(super) fn list_ended(&mut self, is_complete: bool) {
        if self.state == State::Listing {
            self.state = State::Settling;
            self.is_complete &= is_complete;
        }
    }

    /// The next paths to read, unless enough bytes are waiting already.
    pub(super) fn next_reads(&mut self, limits: &Limits) -> Option<Vec<Box<str>>> {
        let mut batch = Vec::new();
        while batch.len() < limits.notes_per_read_max
            && (self.bytes_waiting < limits.note_bytes_waiting_max || self.bytes_waiting == 0)
        {
            let Some(path) = self.to_read.pop_front() else { break };
            let Some(file) = self.files.get_mut(&path) else { continue };
            let Stage::ToRead(bytes) = file.stage else { continue };
            // An empty file costs a read all the same.
            let share = bytes.clamp(1, limits.note_bytes_max);
            file.stage = Stage::Reading(share);
            self.bytes_waiting += share;
            self.reading += 1;
            batch.push(path);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// A read has ended; true if it was asked for.
    pub(super) fn read(&mut self, path: &str, bytes: Option<usize>) -> bool {
        let Some(file) = self.files.get_mut(path) else { return false };
        let Stage::Reading(share) = file.stage else { return false };
        self.reading -= 1;
        self.bytes_waiting -= share;
        match bytes {
            Some(bytes) => {
                file.stage = Stage::ToIndex(bytes);
                self.bytes_waiting += bytes;
            }
            None => {
                file.stage = Stage::Settled;
                self.settled += 1;
            }
        }
        true
    }

    /// The note of a file, if there is one.
    pub(super) fn note(&self, path: &str) -> Option<NoteId> {
        self.files.get(path)?.note
    }

    /// The file's bytes are in the index now, or need not be.
    pub(super) fn settle(&mut self, path: &str, note: Option<NoteId>, stamp: (u64, i64)) {
        let Some(file) = self.files.get_mut(path) else { return };
        if let Stage::ToIndex(bytes) = file.stage {
            self.bytes_waiting -= bytes;
            if std::mem::take(&mut file.is_stale) {
                file.stage = Stage::ToRead(bytes);
                self.to_read.push_front(path.into());
            } else {
                self.settled += 1;
                file.stage = Stage::Settled;
            }
        }
        match (file.note, note) {
            (None, Some(_)) => self.report.added += 1,
            (Some(old), Some(new)) if old != new => self.report.changed += 1,
            _ => {}
        }
        file.note = note;
        file.stamp = Some(stamp);
    }

    /// A file was listed and could not be found: it is gone unless it is listed again.
    pub(super) fn vanished(&mut self, path: &str) {
        if let Some(file) = self.files.get_mut(path) {
            file.seen = 0;
        }
    }

    /// Forgets a file that is gone; its note, if it had one. A file that has come back meanwhile stays.
    pub(super) fn remove(&mut self, path: &str) -> Option<NoteId> {
        let file = self.files.get(path)?;
        if file.seen == self.number || file.stage != Stage::Settled {
            return None;
        }
        let file = self.files.remove(path)?;
        self.settled -= 1;
        self.report.removed += usize::from(file.note.is_some());
        file.note
    }

    /// All is listed, read and indexed; what is left is to look for files that are gone.
    pub(super) fn is_settling(&self) -> bool {
        self.state == State::Settling && self.settled == self.files.len() && self.reading == 0
    }

    /// Looks at some more files; paths of those that are gone, or `None` if all have been looked at.
    pub(super) fn next_gone(&mut self) -> Option<Vec<Box<str>>> {
        if !self.is_complete {
            return None;
        }
        let from = match &self.checked {
            Some(path) => Bound::Excluded(path.clone()),
            None => Bound::Unbounded,
        };
        let (mut gone, mut last) = (Vec::new(), None);
        for (path, file) in self.files.range::<Box<str>, _>((from, Bound::Unbounded)).take(FILES_PER_CHECK) {
            last = Some(path);
            if file.seen != self.number && !self.unlisted.iter().any(|folder| is_below(path, folder)) {
                gone.push(path.clone());
            }
        }
        self.checked = Some(last?.clone());
        Some(gone)
    }

    /// The scan has ended.
    pub(super) fn end(&mut self, epoch: u64) -> ScanReport {
        self.state = State::Settled;
        self.has_ended_once = true;
        ScanReport { epoch, ..std::mem::take(&mut self.report) }
    }

    /// Changes made since the last report.
    pub(super) fn changes(&self) -> usize {
        self.report.changes()
    }

    pub(super) fn progress(&self) -> Progress {
        let is_ready = self.has_ended_once && self.settled == self.files.len();
        let state = if is_ready { IndexState::Ready } else { IndexState::Indexing };
        Progress { state, found: self.files.len(), done: self.settled }
    }

    /// Notes below a folder, in path order.
    pub(super) fn notes_below<'s>(&'s self, folder: &'s str) -> impl Iterator<Item = NoteId> + 's {
        let first = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let files = self.files.range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded));
        files.take_while(move |(path, _)| is_below(path, folder)).filter_map(|(_, file)| file.note)
    }

    /// Notes behind a path, in path order; all of them behind none.
    pub(super) fn notes_after<'s>(&'s self, after: Option<&str>) -> impl Iterator<Item = NoteId> + use<'s> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.files.range::<str, _>((from, Bound::Unbounded)).filter_map(|(_, file)| file.note)
    }

    /// When the file was last written, as its last reading has told.
    pub(super) fn modified_ns(&self, path: &str) -> Option<i64> {
        self.files.get(path)?.stamp.map(|(_, modified_ns)| modified_ns)
    }
}

/// `path` is `folder` or lies below it; the empty folder holds all.
fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Files that one step looks at in search of those that are gone.
const FILES_PER_CHECK: usize = 256;
