//! The disk helper: one thread that lists, reads and changes files, started by its first job.
//!
//! Every path is opened beneath one descriptor of the notes folder with `openat2` and `RESOLVE_BENEATH`, so that no
//! `..`, absolute path or symbolic link leads out of it, not even one that is swapped in while we look.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat, openat2};
use rustix::io::Errno;

use super::change;
use super::poller::{LoopGone, Mailbox};
use crate::base::Key;
use crate::limits::Limits;
use crate::os::Completion;
use crate::os::disk::{
    Change, ChangeProblem, Disk, DiskDone, Fetched, File, FileProblem, FileText, Job, hash_of,
};

/// Files told at once while listing.
const FILES_PER_LISTING_MAX: usize = 512;

/// Folders below the notes folder that may be nested; deeper ones are reported.
const DEPTH_MAX: usize = 64;

/// The front of the helper; the thread itself starts with the first job.
#[derive(Debug)]
pub struct DiskHelper {
    notes: PathBuf,
    mailbox: Mailbox,
    jobs_max: usize,
    jobs: Option<SyncSender<Job>>,
    /// That the thread can't be started was told: once for each time that it begins to be so.
    trouble_told: bool,
}

impl DiskHelper {
    /// For the notes folder at this path; the thread is not started yet.
    ///
    /// # Errors
    /// The folder is missing, is not a folder or can't be entered.
    pub fn new(notes: &Path, mailbox: Mailbox, limits: &Limits) -> io::Result<DiskHelper> {
        open_root(notes)?;
        // Whoever changes the working directory later does not change what is meant.
        let notes = std::path::absolute(notes)?;
        Ok(DiskHelper { notes, mailbox, jobs_max: limits.disk_jobs_max, jobs: None, trouble_told: false })
    }

    fn start(&mut self) -> io::Result<&SyncSender<Job>> {
        if self.jobs.is_none() {
            let (sender, jobs) = sync_channel(self.jobs_max);
            let (notes, mailbox) = (self.notes.clone(), self.mailbox.clone());
            thread::Builder::new().name("disk".into()).spawn(move || serve(&notes, &jobs, &mailbox))?;
            if std::mem::take(&mut self.trouble_told) {
                log::info!("the disk helper could be started: the notes folder is read");
            }
            self.jobs = Some(sender);
        }
        Ok(self.jobs.as_ref().expect("it was set in the lines above"))
    }
}

impl Disk for DiskHelper {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        let jobs = match self.start() {
            Ok(jobs) => jobs,
            Err(error) => {
                if !std::mem::replace(&mut self.trouble_told, true) {
                    log::error!(
                        "the disk helper can't be started, so the notes folder can't be read for now: {error}"
                    );
                }
                return Err(job);
            }
        };
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) => job,
            TrySendError::Disconnected(job) => {
                // Its thread is gone; the next try starts another.
                self.jobs = None;
                job
            }
        })
    }
}

/// Checks that `notes` is a folder that can be listed, before anything else is started.
///
/// # Errors
/// The system's own reason, for the one line that `main` prints.
pub fn check_folder(notes: &Path) -> io::Result<()> {
    std::fs::read_dir(notes)?.next().transpose().map(|_| ())
}

fn open_root(notes: &Path) -> Result<OwnedFd, Errno> {
    open(notes, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn serve(notes: &Path, jobs: &Receiver<Job>, mailbox: &Mailbox) {
    let mut root = Err(Errno::NOENT);
    let mut next = None;
    // Ends when the loop drops its end of the queue, or can't be told any more.
    while let Some(job) = next.take().or_else(|| jobs.recv().ok()) {
        let told = match job {
            Job::List { files_max } => {
                // Opened anew for each listing: the folder may have been replaced by another of the same name.
                root = open_root(notes);
                match &root {
                    Ok(root) => {
                        Listing::new(notes, root, jobs, mailbox, files_max).run().map(|job| next = job)
                    }
                    Err(errno) => tell_no_root(*errno, mailbox),
                }
            }
            Job::Read { paths, bytes_max } => {
                let root = root.as_ref().map_err(|errno| *errno);
                read_files(root, paths, bytes_max, mailbox)
            }
            Job::Fetch { asker, path, bytes_max } => fetch(notes, asker, &path, bytes_max, mailbox),
            Job::Change(wanted) => make_change(notes, wanted, mailbox),
        };
        if told.is_err() {
            return;
        }
    }
}

fn read_files(
    root: Result<&OwnedFd, Errno>,
    paths: Vec<Box<str>>,
    bytes_max: usize,
    mailbox: &Mailbox,
) -> Result<(), LoopGone> {
    let read = paths.into_iter().map(|path| {
        let outcome = root.map_err(problem).and_then(|root| read_file(root, &path, bytes_max));
        (path, outcome)
    });
    mailbox.send(Completion::Disk(DiskDone::Read(read.collect())))
}

/// Reads one file as it is now, in the folder that has the name now.
fn fetch(notes: &Path, asker: Key, path: &str, bytes_max: usize, mailbox: &Mailbox) -> Result<(), LoopGone> {
    let outcome = open_root(notes).map_err(change::problem).and_then(|root| {
        let file = read_file(&root, path, bytes_max).map_err(|trouble| match trouble {
            FileProblem::Gone => ChangeProblem::Absent,
            FileProblem::NotAFile => ChangeProblem::NotAFile,
            FileProblem::LinkOut | FileProblem::LinkToFolder => ChangeProblem::Link,
            FileProblem::NameNotUtf8 | FileProblem::TooDeep => ChangeProblem::NotAFile,
            FileProblem::System(io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory) => {
                ChangeProblem::NotAFile
            }
            FileProblem::System(io::ErrorKind::InvalidFilename) => ChangeProblem::NameTooLong,
            FileProblem::System(kind) => ChangeProblem::System(kind),
        })?;
        if file.total_bytes > file.bytes.len() as u64 {
            return Err(ChangeProblem::TooLong(file.total_bytes));
        }
        Ok(Fetched { hash: hash_of(&file.bytes), bytes: file.bytes })
    });
    mailbox.send(Completion::Disk(DiskDone::Fetched { asker, outcome }))
}

fn make_change(notes: &Path, wanted: Change, mailbox: &Mailbox) -> Result<(), LoopGone> {
    let outcome = open_root(notes).map_err(change::problem).and_then(|root| change::change(&root, &wanted));
    let Change { asker, path, .. } = wanted;
    mailbox.send(Completion::Disk(DiskDone::Changed { asker, path, outcome }))
}

/// Without a folder nothing is known to be gone: what was read before stays.
fn tell_no_root(errno: Errno, mailbox: &Mailbox) -> Result<(), LoopGone> {
    let trouble = FileProblem::System(io::Error::from(errno).kind());
    mailbox.send(Completion::Disk(DiskDone::Listed {
        files: Vec::new(),
        problems: vec![(".".into(), trouble)],
    }))?;
    mailbox.send(Completion::Disk(DiskDone::ListEnded { complete: false }))
}

/// One walk over the folder, breadth first and without recursion.
struct Listing<'r> {
    notes: &'r Path,
    root: &'r OwnedFd,
    jobs: &'r Receiver<Job>,
    /// Another listing that is wanted meanwhile.
    next: Option<Job>,
    mailbox: &'r Mailbox,
    files_left: usize,
    folders: VecDeque<(String, usize)>,
    files: Vec<File>,
    problems: Vec<(Box<str>, FileProblem)>,
    complete: bool,
}

impl<'r> Listing<'r> {
    fn new(
        notes: &'r Path,
        root: &'r OwnedFd,
        jobs: &'r Receiver<Job>,
        mailbox: &'r Mailbox,
        files_max: usize,
    ) -> Listing<'r> {
        let folders = VecDeque::from([(String::new(), 0)]);
        let (files, problems) = (Vec::new(), Vec::new());
        let files_left = files_max;
        Listing {
            notes,
            root,
            jobs,
            next: None,
            mailbox,
            files_left,
            folders,
            files,
            problems,
            complete: true,
        }
    }

    /// Walks to the end; the job that is to be done next, if one was met on the way.
    fn run(mut self) -> Result<Option<Job>, LoopGone> {
        while let Some((folder, depth)) = self.folders.pop_front() {
            if let Err(errno) = self.list(&folder, depth)? {
                self.complete = false;
                self.problems.push((folder.into(), problem(errno)));
            }
            self.do_wanted()?;
        }
        self.tell()?;
        self.mailbox.send(Completion::Disk(DiskDone::ListEnded { complete: self.complete }))?;
        Ok(self.next)
    }

    /// Does what is wanted by now: the first notes need not wait until the last is listed, and neither need whoever
    /// writes one.
    fn do_wanted(&mut self) -> Result<(), LoopGone> {
        if self.next.is_none() {
            self.next = self.jobs.try_recv().ok();
        }
        match self.next.take() {
            Some(Job::Read { paths, bytes_max }) => read_files(Ok(self.root), paths, bytes_max, self.mailbox),
            Some(Job::Fetch { asker, path, bytes_max }) => {
                fetch(self.notes, asker, &path, bytes_max, self.mailbox)
            }
            Some(Job::Change(wanted)) => make_change(self.notes, wanted, self.mailbox),
            job @ (Some(Job::List { .. }) | None) => {
                self.next = job;
                Ok(())
            }
        }
    }

    /// Lists one folder. The outer error ends the walk, the inner one passes this folder over.
    fn list(&mut self, folder: &str, depth: usize) -> Result<Result<(), Errno>, LoopGone> {
        let entries = match self.open_folder(folder).and_then(|folder| Dir::read_from(&folder)) {
            Ok(entries) => entries,
            Err(errno) => return Ok(Err(errno)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return Ok(Err(errno)),
            };
            let name = entry.file_name().to_bytes();
            // Hidden files and folders (`.git`, `.obsidian`, our own state) are not notes; this covers `.` and `..`.
            if name.starts_with(b".") {
                if change::is_temporary(name)
                    && let Ok(here) = self.open_folder(folder)
                {
                    change::remove_left(&here, entry.file_name());
                }
                continue;
            }
            let Ok(name) = std::str::from_utf8(name) else {
                let parted = if folder.is_empty() { "" } else { "/" };
                let shown = format!("{folder}{parted}{}", String::from_utf8_lossy(name));
                self.problems.push((shown.into(), FileProblem::NameNotUtf8));
                continue;
            };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            self.sort_entry(path, entry.file_type(), depth);
            if self.files.len() + self.problems.len() >= FILES_PER_LISTING_MAX {
                self.tell()?;
                self.do_wanted()?;
            }
        }
        Ok(Ok(()))
    }

    fn sort_entry(&mut self, path: String, kind: FileType, depth: usize) {
        let is_note = is_markdown(&path);
        let stat = match kind {
            FileType::Directory => {
                self.queue_folder(path, depth);
                return;
            }
            FileType::RegularFile | FileType::Symlink | FileType::Unknown => self.stat(&path),
            _ if is_note => Err(FileProblem::NotAFile),
            _ => return,
        };
        let stat = match stat {
            Ok(stat) => stat,
            Err(problem) => {
                // Only a lost note is worth a word, and a link that tried to lead out.
                if is_note || problem == FileProblem::LinkOut {
                    self.problems.push((path.into(), problem));
                }
                return;
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            // Some file systems don't say in the listing what an entry is.
            FileType::Directory if kind == FileType::Unknown => self.queue_folder(path, depth),
            FileType::Directory => self.problems.push((path.into(), FileProblem::LinkToFolder)),
            FileType::RegularFile if is_note && self.files_left == 0 => self.complete = false,
            FileType::RegularFile if is_note => {
                self.files_left -= 1;
                self.files.push(File {
                    path: path.into(),
                    bytes: u64::try_from(stat.st_size).unwrap_or(0),
                    modified_ns: modified_ns(&stat),
                });
            }
            _ => {}
        }
    }

    fn queue_folder(&mut self, path: String, depth: usize) {
        if depth < DEPTH_MAX {
            self.folders.push_back((path, depth + 1));
        } else {
            self.complete = false;
            self.problems.push((path.into(), FileProblem::TooDeep));
        }
    }

    fn open_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if folder.is_empty() {
            return openat(self.root.as_fd(), ".", flags, Mode::empty());
        }
        open_beneath(self.root, folder, flags, ResolveFlags::NO_SYMLINKS)
    }

    fn stat(&self, path: &str) -> Result<Stat, FileProblem> {
        let opened = open_beneath(self.root, path, OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::empty());
        opened.and_then(fstat).map_err(problem)
    }

    fn tell(&mut self) -> Result<(), LoopGone> {
        let files = std::mem::take(&mut self.files);
        let problems = std::mem::take(&mut self.problems);
        if files.is_empty() && problems.is_empty() {
            return Ok(());
        }
        self.mailbox.send(Completion::Disk(DiskDone::Listed { files, problems }))
    }
}

fn read_file(root: &OwnedFd, path: &str, bytes_max: usize) -> Result<FileText, FileProblem> {
    // Non-blocking matters for a FIFO only, whose opening would otherwise wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = open_beneath(root, path, flags, ResolveFlags::empty()).map_err(problem)?;
    let stat = fstat(&opened).map_err(problem)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileProblem::NotAFile);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(bytes_max).min(bytes_max));
    let mut file = std::fs::File::from(opened).take(bytes_max as u64);
    file.read_to_end(&mut bytes).map_err(|error| FileProblem::System(error.kind()))?;
    let total_bytes = u64::try_from(stat.st_size).unwrap_or(0).max(bytes.len() as u64);
    Ok(FileText { bytes, total_bytes, modified_ns: modified_ns(&stat) })
}

pub(super) fn open_beneath(
    root: &OwnedFd,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A rename elsewhere in the tree can make the kernel give up with EAGAIN (openat2(2)); it asks for a retry.
    let mut opened = Err(Errno::AGAIN);
    for _ in 0..8 {
        opened = openat2(root, path, flags, Mode::empty(), resolve);
        if !matches!(opened, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    if !matches!(opened, Err(Errno::NOSYS)) {
        return opened;
    }
    open_stepwise(root, path, flags)
}

/// For kernels before 5.6, which have no `openat2`: one component at a time, following no link at all.
fn open_stepwise(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut folder: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let (name, below) = rest.split_once('/').map_or((rest, None), |(name, below)| (name, Some(below)));
        if name.is_empty() || name == ".." {
            return Err(Errno::XDEV);
        }
        let here = folder.as_ref().map_or(root.as_fd(), OwnedFd::as_fd);
        match below {
            None => return openat(here, name, flags | OFlags::NOFOLLOW, Mode::empty()),
            Some(below) => {
                let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                folder = Some(openat(here, name, step, Mode::empty())?);
                rest = below;
            }
        }
    }
}

fn problem(errno: Errno) -> FileProblem {
    match errno {
        Errno::XDEV | Errno::LOOP => FileProblem::LinkOut,
        Errno::NOENT => FileProblem::Gone,
        errno => FileProblem::System(io::Error::from(errno).kind()),
    }
}

fn modified_ns(stat: &Stat) -> i64 {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanos)
}

fn is_markdown(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown")
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its own folder")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::os::real::poller::Poller;
    use crate::os::{Wait, Woken};

    #[test]
    fn what_is_wanted_is_read_between_two_folders_and_another_listing_waits() {
        let folder = std::env::temp_dir().join(format!("oneloop-helper-{}", std::process::id()));
        for name in ["one", "two"] {
            std::fs::create_dir_all(folder.join(name)).expect("the temporary folder can be written");
            std::fs::write(folder.join(name).join("note.md"), "# Note\n").expect("so can a note");
        }
        let mut poller = Poller::new(&Limits::default()).expect("it opens");
        let (sender, jobs) = sync_channel(2);
        let read = Job::Read { paths: vec!["one/note.md".into()], bytes_max: 100 };
        sender
            .try_send(read)
            .and_then(|()| sender.try_send(Job::List { files_max: 1 }))
            .expect("there is room");
        let root = open_root(&folder).expect("it is there");
        let next =
            Listing::new(&folder, &root, &jobs, &poller.mailbox(), 10).run().expect("the poller listens");
        assert!(matches!(next, Some(Job::List { files_max: 1 })));

        let mut woken = Woken::default();
        poller.wait(Some(Duration::ZERO), &mut woken).expect("it polls");
        let told: Vec<&str> = woken
            .done
            .iter()
            .map(|done| match done {
                Completion::Disk(DiskDone::Read(_)) => "read",
                Completion::Disk(DiskDone::Listed { .. }) => "listed",
                Completion::Disk(DiskDone::ListEnded { complete: true }) => "end",
                _ => "other",
            })
            .collect();
        assert_eq!(told, ["read", "listed", "end"]);
        std::fs::remove_dir_all(folder).expect("it is ours");
    }
}
