//! `/notes/file/{path}`: notes as files. Reading, writing and removing them goes through the disk helper, one after the other.
//!
//! ```text
//! a request ─► waits ─► with the helper ─► read: answered
//!                                      └─► changed: its note is read and indexed again ─► answered
//! ```
//!
//! A change names the version that it was made from (`If-Match`), or says that there is to be none (`If-None-Match: *`). So
//! of two who change the same version one is told that the other was faster, and nothing is overwritten unseen
//! (RFC 9110 §13.1). The helper does one job at a time, so the order of jobs is the order of changes.
//!
//! Who has changed a note is answered once the index holds the change: whoever asks next finds it.

use std::collections::VecDeque;

use serde::Serialize;

use super::respond::{Problem, write_json};
use super::runs::RUN;
use crate::base::Key;
use crate::base::planted::{Planted, is_planted};
use crate::limits::{Limits, NOTE_BYTES_MAX};
use crate::notes::{Library, is_note_path};
use crate::os::disk::{Change, ChangeProblem, Changed, Deed, Disk, Expected, FileHash, Job};
use crate::wire::http1::Head;

/// Jobs on single files, waiting and under way.
#[derive(Debug)]
pub struct NoteFiles {
    waiting: VecDeque<Job>,
    waiting_max: usize,
    under_way: usize,
    /// Bytes that are to be written and are not yet.
    bytes: usize,
    bytes_max: usize,
    /// Changes that were made, and whose notes are not indexed yet.
    settling: Vec<Settling>,
}

/// A change that was made.
#[derive(Debug)]
pub struct Settling {
    /// Who waits for it.
    pub asker: Key,
    /// The note.
    pub path: Box<str>,
    /// What it was and is.
    pub changed: Changed,
}

/// Bytes that one job writes at most, whoever wants it.
const JOB_BYTES_MAX: usize = NOTE_BYTES_MAX;

/// Jobs that may be with the helper at once.
const UNDER_WAY_MAX: usize = 4;

impl NoteFiles {
    /// Nothing to do.
    pub fn new(limits: &Limits) -> NoteFiles {
        NoteFiles {
            waiting: VecDeque::new(),
            waiting_max: limits.note_jobs_waiting_max,
            under_way: 0,
            bytes: 0,
            bytes_max: limits.note_bytes_to_write_max,
            settling: Vec::new(),
        }
    }

    /// Takes a job on.
    ///
    /// # Errors
    /// 503 when too many wait.
    pub fn add(&mut self, job: Job, disk: &mut dyn Disk) -> Result<(), Problem> {
        let bytes = bytes_of(&job);
        if self.waiting.len() >= self.waiting_max || bytes > self.bytes_max.saturating_sub(self.bytes) {
            return Err(Problem::busy("too many notes are being read or written at once; try again", 1));
        }
        self.bytes += bytes;
        self.waiting.push_back(job);
        self.send(disk);
        Ok(())
    }

    /// Hands the helper what it has room for.
    pub fn send(&mut self, disk: &mut dyn Disk) {
        while self.under_way < UNDER_WAY_MAX {
            let Some(job) = self.waiting.pop_front() else { return };
            let bytes = bytes_of(&job);
            match disk.submit(job) {
                Ok(()) => {
                    self.under_way += 1;
                    self.bytes -= bytes;
                }
                Err(job) => {
                    self.waiting.push_front(job);
                    return;
                }
            }
        }
    }

    /// The helper has done a job.
    pub fn done(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A change was made: its note is to be indexed before anybody is told.
    pub fn settle(&mut self, asker: Key, path: Box<str>, changed: Changed) {
        self.settling.push(Settling { asker, path, changed });
    }

    /// There is room for one more job.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < self.waiting_max && self.bytes_max.saturating_sub(self.bytes) >= JOB_BYTES_MAX
    }

    /// Some change is indexed by now.
    pub fn has_settled(&self, library: &Library) -> bool {
        self.settling.iter().any(|settling| library.is_settled(&settling.path))
    }

    /// A change whose note is indexed by now, each once.
    pub fn next_settled(&mut self, library: &Library) -> Option<Settling> {
        let place = self.settling.iter().position(|settling| {
            library.is_settled(&settling.path) || is_planted(Planted::AnswersBeforeIndexed)
        })?;
        Some(self.settling.remove(place))
    }

    /// Jobs that the helper has.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Jobs and changes that somebody waits for.
    pub fn count(&self) -> usize {
        self.waiting.len() + self.under_way + self.settling.len()
    }

    /// Jobs wait, and the helper has none of ours.
    pub fn is_stuck(&self) -> bool {
        !self.waiting.is_empty() && self.under_way == 0
    }

    /// Clients whose job was never begun, as the helper can't be started; they are forgotten here. Runs can wait.
    pub fn give_up(&mut self) -> Vec<Key> {
        let (gone, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<Job>, _>(|job| asker(job).is_some_and(|asker| asker.kind() != RUN));
        self.waiting = left;
        self.bytes = self.waiting.iter().map(bytes_of).sum();
        gone.iter().filter_map(asker).collect()
    }

    /// Changes that are made, although the index may not hold them for long.
    pub fn take_settling(&mut self) -> Vec<Settling> {
        std::mem::take(&mut self.settling)
    }
}

fn bytes_of(job: &Job) -> usize {
    match job {
        Job::Change(Change { deed: Deed::Write(bytes) | Deed::Insert { bytes, .. }, .. }) => bytes.len(),
        Job::Change(_) | Job::Fetch { .. } | Job::List { .. } | Job::Read { .. } => 0,
    }
}

fn asker(job: &Job) -> Option<Key> {
    match job {
        Job::Change(Change { asker, .. }) | Job::Fetch { asker, .. } => Some(*asker),
        Job::List { .. } | Job::Read { .. } => None,
    }
}

// --- What is asked ------------------------------------------------------------------------------------------------

/// What a client wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileDeed {
    /// `GET`
    Read {
        /// Unless it is one of these versions, which the client has.
        unless: Versions,
    },
    /// `PUT`
    Write {
        /// What it must be before.
        expected: Expected,
    },
    /// `DELETE`
    Remove {
        /// What it must be before.
        expected: Expected,
    },
}

/// Versions of a file, as a condition names them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Versions {
    /// None.
    #[default]
    None,
    /// `*`: whichever.
    Any,
    /// These.
    These(Vec<FileHash>),
}

impl Versions {
    /// This version is among them.
    pub fn has(&self, hash: &FileHash) -> bool {
        match self {
            Versions::None => false,
            Versions::Any => true,
            Versions::These(hashes) => hashes.contains(hash),
        }
    }
}

/// A hash as answers show it.
pub fn hexadecimal(hash: &FileHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version that is meant, in the form of an entity tag.
pub fn entity_tag(hash: &FileHash) -> String {
    format!("\"{}\"", hexadecimal(hash))
}

/// The tags of a field like `If-Match` (RFC 9110 §8.8.3, §13.1.1). `weak` ones count only where the field compares weakly.
/// A tag that is none of ours matches nothing.
pub fn versions(head: &Head<'_>, field: &str, takes_weak: bool) -> Result<Option<Versions>, Problem> {
    let mut found = None;
    for value in head.fields(field) {
        // A tag may have bytes that are no UTF-8 (RFC 9110 §8.8.3, "obs-text"); it is none of ours then.
        let text = String::from_utf8_lossy(value);
        let text = text.trim();
        if text == "*" {
            return Ok(Some(Versions::Any));
        }
        let hashes = found.get_or_insert_with(Vec::new);
        let mut rest = text;
        while !rest.is_empty() {
            let (is_weak, opened) = match rest.strip_prefix("W/") {
                Some(behind) => (true, behind),
                None => (false, rest),
            };
            let tag = opened.strip_prefix('"').and_then(|behind| behind.split_once('"'));
            let Some((tag, behind)) = tag else {
                let detail = format!("{field} must be * or entity tags in quotation marks, parted by commas");
                return Err(Problem::new(400, detail));
            };
            if !is_weak || takes_weak {
                hashes.extend(hash_of_text(tag));
            }
            rest = behind.trim_start_matches([' ', '\t', ',']);
        }
    }
    Ok(found.map(Versions::These))
}

/// A hash that was written in hexadecimal.
pub fn hash_of_text(tag: &str) -> Option<FileHash> {
    let mut hash = [0; 32];
    if tag.len() != 2 * hash.len() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(tag.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// What must be there for a change: the condition that each must have.
///
/// # Errors
/// 428 (RFC 6585 §3) without one, 400 for two that contradict each other.
pub fn expected(head: &Head<'_>) -> Result<Expected, Problem> {
    let (if_match, if_none) = (versions(head, "if-match", false)?, versions(head, "if-none-match", true)?);
    match (if_match, if_none) {
        (Some(_), None) if is_planted(Planted::IgnoresTheVersion) => Ok(Expected::Present(Vec::new())),
        (Some(Versions::Any), None) => Ok(Expected::Present(Vec::new())),
        // A list of tags none of which can be ours is a condition that fails.
        (Some(Versions::These(hashes)), None) if hashes.is_empty() => Ok(Expected::Present(vec![[0; 32]])),
        (Some(Versions::These(hashes)), None) => Ok(Expected::Present(hashes)),
        (None, Some(Versions::Any)) => Ok(Expected::Absent),
        (Some(_), Some(_)) => Err(Problem::new(400, "If-Match and If-None-Match contradict each other here")),
        (Some(Versions::None), None) | (None, _) => Err(Problem::new(
            428,
            "say what is to be replaced: If-Match with the ETag that GET has answered, or If-None-Match: * for a new note",
        )),
    }
}

/// A path that a note may have: the rest of what makes one is the disk's to say.
///
/// # Errors
/// 400 with what is wrong.
pub fn note_path(path: &str) -> Result<Box<str>, Problem> {
    let wrong = |detail: &'static str| Err(Problem::new(400, detail));
    if !is_note_path(path) {
        return wrong(
            "a note's path ends with .md or .markdown, and no part of it is empty or begins with a dot",
        );
    }
    if path.chars().any(char::is_control) {
        return wrong("a note's path has no control characters");
    }
    if path.len() > PATH_BYTES_MAX || path.split('/').count() > PATH_PARTS_MAX {
        return wrong("a note's path has at most 1024 bytes and 64 parts");
    }
    if path.split('/').any(|name| name.len() > NAME_BYTES_MAX) {
        return wrong("each part of a note's path has at most 255 bytes in UTF-8");
    }
    Ok(path.into())
}

/// Longest path of a note that can be asked for, in bytes: an address must have room for it, and each byte may take three.
const PATH_BYTES_MAX: usize = 1024;

/// Parts of a path: a listing follows so many folders.
const PATH_PARTS_MAX: usize = 64;

/// Longest name on a file system of Linux, in bytes.
const NAME_BYTES_MAX: usize = 255;

// --- What is answered ---------------------------------------------------------------------------------------------

/// Why a file was not read.
pub fn not_read(problem: &ChangeProblem) -> Problem {
    match problem {
        ChangeProblem::Absent | ChangeProblem::NotAFile => {
            Problem::new(404, ChangeProblem::Absent.to_string())
        }
        other => refused(other, other.to_string()),
    }
}

/// Why a file was not changed.
pub fn not_changed(problem: &ChangeProblem) -> Problem {
    let etag = match problem {
        ChangeProblem::Exists(hash) | ChangeProblem::Stale(hash) => Some(entity_tag(hash)),
        _ => None,
    };
    Problem { etag, ..refused(problem, format!("{problem}; nothing was written")) }
}

fn refused(problem: &ChangeProblem, detail: String) -> Problem {
    match status(problem) {
        503 => Problem::busy(detail, 1),
        status => Problem::new(status, detail),
    }
}

fn status(problem: &ChangeProblem) -> u16 {
    match problem {
        ChangeProblem::Absent | ChangeProblem::Exists(_) | ChangeProblem::Stale(_) => 412,
        ChangeProblem::Similar(_) | ChangeProblem::NotAFile => 409,
        ChangeProblem::Link | ChangeProblem::Denied => 403,
        ChangeProblem::TooLong(_) => 413,
        ChangeProblem::NameTooLong => 400,
        ChangeProblem::Full => 507,
        ChangeProblem::System(_) => 503,
    }
}

/// What a change has made, as JSON.
pub fn changed(path: &str, changed: &Changed, body: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Body<'c> {
        path: &'c str,
        /// `created`, `replaced` or `deleted`.
        action: &'static str,
        etag: Option<String>,
    }
    let action = match (changed.before, changed.after) {
        (_, None) => "deleted",
        (None, Some(_)) => "created",
        (Some(_), Some(_)) => "replaced",
    };
    write_json(&Body { path, action, etag: changed.after.as_ref().map(entity_tag) }, body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{RequestEvent, Server};

    #[test]
    fn a_path_of_a_note_stays_below_its_folder() {
        assert_eq!(note_path("a/b c/é.md").as_deref(), Ok("a/b c/é.md"));
        let long = format!("{}.md", "x".repeat(253));
        for path in
            ["", "a.txt", "../a.md", "a/../b.md", "/a.md", "a//b.md", ".a.md", ".git/a.md", "a\n.md", &long]
        {
            assert!(note_path(path).is_err(), "{path:?}");
        }
    }

    /// What a change expects that is asked for with this field.
    fn expects(field: &[u8]) -> Result<Expected, u16> {
        let request = [b"PUT /notes/file/a.md HTTP/1.1\r\nHost: localhost\r\n", field, b"\r\n\r\n"].concat();
        let mut server = Server::new();
        let step = server.receive(&request, &Limits::default()).unwrap();
        let Some(RequestEvent::Head(head)) = step.event else { panic!("no head") };
        expected(&head).map_err(|problem| problem.status)
    }

    #[test]
    fn a_condition_that_names_nothing_is_told_from_one_that_names_no_version_of_ours() {
        assert_eq!(expects(b"If-Match: *"), Ok(Expected::Present(Vec::new())));
        assert_eq!(expects(b"If-None-Match: *"), Ok(Expected::Absent));
        for field in [&b"If-Match: \"abc\""[..], b"If-Match: \"\x84\"", b"If-Match: "] {
            assert_eq!(expects(field), Ok(Expected::Present(vec![[0; 32]])), "{field:?}");
        }
        for field in [&b"If-Match: abc"[..], b"If-Match: \x84", b"If-Match: \"abc"] {
            assert_eq!(expects(field), Err(400), "{field:?}");
        }
        assert_eq!(expects(b"If-None-Match: \"abc\""), Err(428));
    }

    #[test]
    fn an_entity_tag_is_the_hash_of_the_file() {
        let hash = [0xAB; 32];
        let tag = entity_tag(&hash);
        assert_eq!(hash_of_text(tag.trim_matches('"')), Some(hash));
        assert_eq!(hash_of_text("ab"), None);
        assert_eq!(hash_of_text(&"zz".repeat(32)), None);
    }
}
