//! The notes folder and the disk helper: jobs one after the other, news late, files that change in between.
//!
//! The real helper is one thread with a queue: its news come in the order of its jobs, and those of one job in order.
//! What it may do is take long, and find at each step another folder than at the last.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;

use crate::base::Key;
use crate::os::disk::{
    Change, ChangeProblem, Changed, Deed, DiskDone, Expected, Fetched, File, FileProblem, FileText, Job,
    hash_of,
};

/// One note on the simulated disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its text.
    pub bytes: Vec<u8>,
    /// When it was saved, in nanoseconds.
    pub modified_ns: i64,
}

/// Files told at once while listing.
const FILES_PER_LISTING_MAX: usize = 8;

/// What the helper is at.
#[derive(Debug)]
enum Work {
    /// Has told all files up to this one.
    Listing { after: Option<String>, files_left: usize, complete: bool },
    /// Is about to read these.
    Reading { paths: Vec<Box<str>>, bytes_max: usize },
    /// Is about to read one for somebody.
    Fetching { asker: Key, path: Box<str>, bytes_max: usize },
    /// Is about to change one.
    Changing(Change),
}

/// The folder and its helper.
#[derive(Debug)]
pub(super) struct Disk {
    pub notes: BTreeMap<String, Note>,
    jobs: VecDeque<Job>,
    jobs_max: usize,
    work: Option<Work>,
}

/// What goes wrong with one piece of the helper's work.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// Of the files to be read, this one can't be.
    pub unreadable: Option<usize>,
    /// The listing misses something.
    pub incomplete: bool,
    /// Why nothing can be written, if so.
    pub unwritable: Option<ChangeProblem>,
}

impl Disk {
    pub fn new(jobs_max: usize) -> Disk {
        Disk { notes: BTreeMap::new(), jobs: VecDeque::new(), jobs_max: jobs_max.max(1), work: None }
    }

    /// Queues a job. `Ok(true)` if the helper was idle.
    pub fn submit(&mut self, job: Job) -> Result<bool, Job> {
        if self.jobs.len() >= self.jobs_max {
            return Err(job);
        }
        let was_idle = self.work.is_none() && self.jobs.is_empty();
        self.jobs.push_back(job);
        Ok(was_idle)
    }

    /// Does one piece of work and answers its news; `None` when there is nothing to do.
    pub fn step(&mut self, trouble: Trouble, now_ns: i64) -> Option<DiskDone> {
        let work = match self.work.take() {
            Some(work) => work,
            None => match self.jobs.pop_front()? {
                Job::List { files_max } => {
                    Work::Listing { after: None, files_left: files_max, complete: true }
                }
                Job::Read { paths, bytes_max } => Work::Reading { paths, bytes_max },
                Job::Fetch { asker, path, bytes_max } => Work::Fetching { asker, path, bytes_max },
                Job::Change(change) => Work::Changing(change),
            },
        };
        Some(match work {
            Work::Listing { after, files_left, complete } => self.list(after, files_left, complete, trouble),
            Work::Reading { paths, bytes_max } => {
                let read = paths.into_iter().enumerate().map(|(index, path)| {
                    let outcome = match trouble.unreadable {
                        Some(bad) if bad == index => Err(FileProblem::System(ErrorKind::PermissionDenied)),
                        Some(_) | None => self.read(&path, bytes_max),
                    };
                    (path, outcome)
                });
                DiskDone::Read(read.collect())
            }
            Work::Fetching { asker, path, bytes_max } => {
                let outcome = match self.notes.get(&*path) {
                    Some(note) if note.bytes.len() > bytes_max => {
                        Err(ChangeProblem::TooLong(note.bytes.len() as u64))
                    }
                    Some(note) => Ok(Fetched { bytes: note.bytes.clone(), hash: hash_of(&note.bytes) }),
                    None => Err(ChangeProblem::Absent),
                };
                DiskDone::Fetched { asker, outcome }
            }
            Work::Changing(change) => {
                let outcome = match trouble.unwritable {
                    Some(problem) => Err(problem),
                    None => self.change(&change, now_ns),
                };
                DiskDone::Changed { asker: change.asker, path: change.path, outcome }
            }
        })
    }

    /// The process is no more.
    pub fn crash(&mut self) {
        self.jobs.clear();
        self.work = None;
    }

    /// There is something to do.
    pub fn is_busy(&self) -> bool {
        self.work.is_some() || !self.jobs.is_empty()
    }

    fn list(
        &mut self,
        after: Option<String>,
        mut files_left: usize,
        mut complete: bool,
        trouble: Trouble,
    ) -> DiskDone {
        let mut rest: Vec<&String> = match &after {
            Some(after) => self.notes.range::<String, _>((above(after), std::ops::Bound::Unbounded)),
            None => self.notes.range::<String, _>(..),
        }
        .map(|(path, _)| path)
        .collect();
        if rest.is_empty() {
            return DiskDone::ListEnded { complete };
        }
        rest.truncate(FILES_PER_LISTING_MAX);
        let last = rest.last().map(|path| (*path).clone());
        let mut problems = Vec::new();
        if trouble.incomplete {
            // A folder of which only its being there can be told: nothing in it is told, and nothing is taken for gone.
            complete = false;
            problems.push((rest[0].as_str().into(), FileProblem::System(ErrorKind::PermissionDenied)));
            rest.remove(0);
        }
        if rest.len() > files_left {
            rest.truncate(files_left);
            complete = false;
        }
        files_left -= rest.len();
        let files = rest.iter().map(|path| {
            let note = &self.notes[*path];
            File { path: path.as_str().into(), bytes: note.bytes.len() as u64, modified_ns: note.modified_ns }
        });
        let files = files.collect();
        self.work = Some(Work::Listing { after: last, files_left, complete });
        DiskDone::Listed { files, problems }
    }

    /// The real helper takes several steps, and each of them may be the last of the process. But between any two the
    /// file is whole, as it was or as it is to be: so one step does for all.
    fn change(&mut self, change: &Change, now_ns: i64) -> Result<Changed, ChangeProblem> {
        let before = self.notes.get(&*change.path).map(|note| hash_of(&note.bytes));
        match (&change.expected, before) {
            (Expected::Absent, Some(hash)) => return Err(ChangeProblem::Exists(hash)),
            (Expected::Present(_), None) => return Err(ChangeProblem::Absent),
            (Expected::Present(versions), Some(hash))
                if !versions.is_empty() && !versions.contains(&hash) =>
            {
                return Err(ChangeProblem::Stale(hash));
            }
            (Expected::Absent, None) | (Expected::Present(_), Some(_)) => {}
        }
        let there = self.notes.get(&*change.path).map_or(&[][..], |note| &note.bytes);
        let after = match (change.deed.after(there), before) {
            (Some(bytes), _) => {
                let hash = hash_of(&bytes);
                self.notes.insert(change.path.to_string(), Note { bytes, modified_ns: now_ns });
                Some(hash)
            }
            (None, Some(hash)) if change.deed != Deed::Remove => return Err(ChangeProblem::Stale(hash)),
            (None, _) => {
                self.notes.remove(&*change.path);
                None
            }
        };
        Ok(Changed { before, after })
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<FileText, FileProblem> {
        let note = self.notes.get(path).ok_or(FileProblem::Gone)?;
        let kept = note.bytes.len().min(bytes_max);
        Ok(FileText {
            bytes: note.bytes[..kept].to_vec(),
            total_bytes: note.bytes.len() as u64,
            modified_ns: note.modified_ns,
        })
    }
}

fn above(path: &str) -> std::ops::Bound<String> {
    std::ops::Bound::Excluded(path.to_owned())
}
