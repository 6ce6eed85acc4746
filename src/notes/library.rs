//! Everything known of the folder, and the one queue of work that keeps it so.
//!
//! The caller lists and reads files and hands them in; [`Library::index_step`] does the work in slices, one job
//! after the other, so at any time there is one note half in and nothing else:
//!
//! ```text
//! a file read     Parse ─► Index ─► Link ─► published ─► (the version before:) Unlink ─► Unindex
//! a file gone                               withdrawn ─► Unlink ─► Unindex
//! many dead       Sweep, list by list
//! ```
//!
//! A changed note is found by its old text until the new one is whole, never by both or by half of one.

use std::collections::VecDeque;
use std::fmt;

use super::graph::Graph;
use super::index::{Index, PassageId};
use super::link::is_note_path;
use super::note::{Link, Note, Passage};
use super::parse::Parsing;
use super::scan::{Entry, Problem, Progress, ReadFile, Scan, ScanReport};
use super::search::{Query, Search};
use super::shelf::{NoteId, Shelf};
use super::vectors::{OtherDimension, UnitVector, Vectors};
use crate::base::{Budget, HashSeed};
use crate::limits::Limits;
use crate::text::Terms;

/// The notes, their graph and their index.
pub struct Library {
    limits: Limits,
    scan: Scan,
    shelf: Shelf,
    graph: Graph,
    index: Index,
    vectors: Vectors,
    terms: Terms,
    job: Option<Job>,
    to_index: VecDeque<(Box<str>, ReadFile)>,
    gone: VecDeque<Box<str>>,
    counts: Counts,
    epoch: u64,
    report: Option<ScanReport>,
}

/// What the library holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Notes.
    pub notes: usize,
    /// Links between them, dangling ones included.
    pub links: usize,
    /// Passages.
    pub passages: usize,
    /// Bytes of all texts.
    pub text_bytes: usize,
}

/// What a look for passages without a vector has found.
#[derive(Debug)]
pub enum ToEmbed<'l> {
    /// This one has none.
    Passage(PassageId, &'l Note, &'l Passage),
    /// None up to here: look on from this one.
    LookOn(PassageId),
    /// None up to the newest.
    Nothing(PassageId),
}

/// The one piece of work under way.
enum Job {
    Parse { parsing: Box<Parsing>, path: Box<str>, stamp: Stamp },
    Index { id: NoteId, first: PassageId, next: usize, stamp: Stamp },
    Link { id: NoteId, first: PassageId, next: usize, stamp: Stamp },
    Unlink { id: NoteId, first: PassageId, next: usize },
    Unindex { id: NoteId, first: PassageId, next: usize },
    Sweep { term: usize },
}

/// Size and time of the file that a note was read from.
type Stamp = (u64, i64);

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Library {
    /// Knows nothing yet.
    pub fn new(seed: HashSeed, limits: &Limits) -> Library {
        Library {
            limits: limits.clone(),
            scan: Scan::new(),
            shelf: Shelf::new(),
            graph: Graph::default(),
            index: Index::new(seed),
            vectors: Vectors::default(),
            terms: Terms::new(),
            job: None,
            to_index: VecDeque::new(),
            gone: VecDeque::new(),
            counts: Counts::default(),
            epoch: 0,
            report: None,
        }
    }

    // --- reading the folder -----------------------------------------------------------------------------------------

    /// A listing of the folder begins. One that is under way is void; reads that were asked for still count.
    pub fn begin_scan(&mut self) {
        self.report = None;
        self.scan.begin(false);
    }

    /// The same, and every file is read again, whatever its size and time say.
    pub fn begin_full_scan(&mut self) {
        self.report = None;
        self.scan.begin(true);
    }

    /// Some files of the folder. Those that are no Markdown, or hidden, are passed over.
    /// About half a microsecond each, all at once: hand in a few hundred at a time.
    pub fn listed(&mut self, entries: Vec<Entry>) {
        entries.into_iter().for_each(|entry| self.scan.listed(entry));
    }

    /// Something in the folder can't be listed. It goes into the report, and the rest goes on.
    pub fn list_problem(&mut self, path: &str, problem: Problem) {
        self.scan.problem(path, problem, &self.limits);
    }

    /// The listing has ended; unless it is complete, nothing is taken for gone.
    pub fn list_ended(&mut self, is_complete: bool) {
        self.scan.list_ended(is_complete);
    }

    /// The next files to read, each once; `None` while there are none, or while enough wait to be indexed.
    /// Ask again after [`read`](Library::read) and after [`index_step`](Library::index_step).
    pub fn next_reads(&mut self) -> Option<Vec<Box<str>>> {
        self.scan.next_reads(&self.limits)
    }

    /// A file was read, or not. Any order will do; a path that was not asked for is passed over.
    pub fn read(&mut self, path: &str, outcome: Result<ReadFile, Problem>) {
        let length = outcome.as_ref().ok().map(|file| file.bytes.len());
        if !self.scan.read(path, length) {
            return;
        }
        match outcome {
            Ok(file) => self.to_index.push_back((path.into(), file)),
            Err(Problem::Gone) => {
                self.scan.vanished(path);
                self.gone.push_back(path.into());
            }
            Err(problem) => self.scan.problem(path, problem, &self.limits),
        }
    }

    /// A file was changed, written or removed by us: it is read again, whatever a listing says of it.
    pub fn file_changed(&mut self, path: &str) {
        if is_note_path(path) {
            self.scan.changed(path);
        }
    }

    /// The index holds what the last reading of this file has brought, and no other is to come.
    pub fn is_settled(&self, path: &str) -> bool {
        self.scan.is_settled(path) && !self.gone.iter().any(|gone| **gone == *path)
    }

    /// Whether [`index_step`](Library::index_step) would do anything.
    pub fn has_work(&self) -> bool {
        self.job.is_some()
            || !self.to_index.is_empty()
            || !self.gone.is_empty()
            || self.scan.is_settling()
            || self.needs_sweep()
    }

    /// Works until the budget is spent or nothing is left to do.
    pub fn index_step(&mut self, budget: &mut Budget) {
        while !budget.is_spent() {
            match self.job.take() {
                Some(job) => self.job = self.work(job, budget),
                None if self.begin_job(budget) => {}
                None => return,
            }
        }
    }

    /// How far the index is.
    pub fn progress(&self) -> Progress {
        self.scan.progress()
    }

    /// The report of a scan, once after each has ended with all of its indexing.
    pub fn take_scan_report(&mut self) -> Option<ScanReport> {
        self.report.take()
    }

    // --- asking -----------------------------------------------------------------------------------------------------

    /// Moves when a scan has changed anything. Zero until the first has.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the library holds now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The note at `path`.
    pub fn note(&self, path: &str) -> Option<&Note> {
        self.shelf.note(self.scan.note(path)?)
    }

    /// Some note has this path, be it in another case, another composition or with the other extension.
    pub fn has_name(&self, path: &str) -> bool {
        self.graph.has_path(path)
    }

    /// All notes, in path order.
    pub fn notes(&self) -> impl Iterator<Item = &Note> {
        self.notes_after(None)
    }

    /// The notes behind a path, in path order: whoever looks at them a few at a time goes on from the last.
    pub fn notes_after<'l>(&'l self, after: Option<&str>) -> impl Iterator<Item = &'l Note> + use<'l> {
        self.scan.notes_after(after).filter_map(|id| self.shelf.note(id))
    }

    /// When a note's file was last written, in nanoseconds since 1970, as its last reading has told.
    pub fn modified_ns(&self, path: &str) -> Option<i64> {
        self.scan.modified_ns(path)
    }

    /// The links of a note in the order of its text, each with the note that it means, if that exists.
    pub fn links<'l>(&'l self, note: &'l Note) -> impl Iterator<Item = (&'l Link, Option<&'l Note>)> {
        note.links.iter().map(|link| {
            let target = self.graph.resolve(link, &self.shelf).and_then(|id| self.shelf.note(id));
            (link, target)
        })
    }

    /// Targets that a note links to and that do not exist, as written.
    pub fn dangling<'l>(&'l self, note: &'l Note) -> impl Iterator<Item = &'l str> {
        self.links(note).filter(|(_, target)| target.is_none()).map(|(link, _)| &*link.target)
    }

    /// The notes that link to the note at `path`, in path order.
    pub fn backlinks(&self, path: &str) -> Vec<&Note> {
        self.scan.note(path).map_or_else(Vec::new, |id| self.graph.backlinks(id, &self.shelf))
    }

    /// Some of the notes that link to the note at `path`, and whether there may be more: looks at so many links of others
    /// at most.
    pub fn some_backlinks(&self, path: &str, links_max: usize) -> (Vec<&Note>, bool) {
        let id = self.scan.note(path);
        id.map_or((Vec::new(), false), |id| self.graph.some_backlinks(id, &self.shelf, links_max))
    }

    /// The notes below a folder, in path order; all of them for an empty one.
    pub fn notes_below<'l>(&'l self, folder: &'l str) -> impl Iterator<Item = &'l Note> {
        self.scan.notes_below(folder).filter_map(|id| self.shelf.note(id))
    }

    /// A search for `query`, to be stepped until it ends.
    pub fn search(&self, query: Query) -> Search {
        Search::new(query, self.epoch, &self.limits)
    }

    // --- vectors ----------------------------------------------------------------------------------------------------

    /// The vectors of passages.
    pub fn vectors(&self) -> &Vectors {
        &self.vectors
    }

    /// One past the newest passage. Those of a note that is not whole yet are no passages so far.
    pub fn passages_end(&self) -> PassageId {
        match self.job {
            Some(Job::Index { first, .. } | Job::Link { first, .. }) => first,
            _ => self.index.end(),
        }
    }

    /// Looks for the first passage from `from` on that has no vector. Passages are numbered in the order in which they
    /// came, so who has seen to all up to one need not look at them again.
    pub fn to_embed(&self, from: PassageId, budget: &mut Budget) -> ToEmbed<'_> {
        let end = self.passages_end();
        for number in from.0..end.0 {
            let id = PassageId(number);
            if budget.is_spent() {
                return ToEmbed::LookOn(id);
            }
            budget.spend(1);
            let entry = self.index.passage(id).filter(|_| !self.vectors.has(id));
            let note = entry.and_then(|entry| Some((entry.ordinal, self.shelf.note(entry.note)?)));
            if let Some((ordinal, note)) = note
                && let Some(passage) = note.passages.get(ordinal as usize)
            {
                return ToEmbed::Passage(id, note, passage);
            }
        }
        ToEmbed::Nothing(end)
    }

    /// Gives a passage its vector; false if no current note holds the passage any more.
    ///
    /// # Errors
    /// [`OtherDimension`]
    pub fn put_vector(&mut self, passage: PassageId, vector: &UnitVector) -> Result<bool, OtherDimension> {
        if self.index.passage(passage).is_none() {
            return Ok(false);
        }
        self.vectors.put(passage, vector).map(|()| true)
    }

    /// Lets go of all vectors: the model is another now.
    pub fn forget_vectors(&mut self) {
        self.vectors.clear();
    }

    /// Terms in the vocabulary: a figure for those who watch its size.
    pub fn terms(&self) -> usize {
        self.index.terms()
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    // --- the work -----------------------------------------------------------------------------------------------------

    /// Takes up the next job; false if there is nothing to do.
    fn begin_job(&mut self, budget: &mut Budget) -> bool {
        budget.spend(1);
        if let Some((path, file)) = self.to_index.pop_front() {
            let is_cut = file.total_bytes > file.bytes.len() as u64;
            let stamp = (file.total_bytes, file.modified_ns);
            let parsing = Box::new(Parsing::new(path.clone(), file.bytes, is_cut, &self.limits));
            self.job = Some(Job::Parse { parsing, path, stamp });
        } else if let Some(path) = self.gone.pop_front() {
            self.job = self.scan.remove(&path).map(|id| self.withdraw(id));
        } else if self.scan.is_settling() {
            budget.spend(CHECK_UNITS);
            match self.scan.next_gone() {
                Some(paths) => self.gone.extend(paths),
                None => self.end_scan(),
            }
        } else if self.needs_sweep() {
            self.job = Some(Job::Sweep { term: 0 });
        } else {
            return false;
        }
        true
    }

    /// Does one bounded piece of a job; what is left of it.
    fn work(&mut self, job: Job, budget: &mut Budget) -> Option<Job> {
        match job {
            Job::Parse { mut parsing, path, stamp } => match parsing.step(budget) {
                None => Some(Job::Parse { parsing, path, stamp }),
                Some(note) => self.place(note, stamp),
            },
            Job::Index { id, first, next, stamp } => {
                let note = self.shelf.note(id)?;
                let Some(passage) = note.passages.get(next) else {
                    return Some(Job::Link { id, first, next: 0, stamp });
                };
                budget.spend(passage_units(passage.end - passage.start));
                self.index.add(id, note, next, &mut self.terms);
                Some(Job::Index { id, first, next: next + 1, stamp })
            }
            Job::Link { id, first, next, stamp } => {
                let note = self.shelf.note(id)?;
                let Some(link) = note.links.get(next) else {
                    return self.publish(id, first, stamp);
                };
                budget.spend(LINK_UNITS);
                self.graph.want(id, link);
                Some(Job::Link { id, first, next: next + 1, stamp })
            }
            Job::Unlink { id, first, next } => {
                let note = self.shelf.note(id)?;
                let Some(link) = note.links.get(next) else {
                    return Some(Job::Unindex { id, first, next: 0 });
                };
                budget.spend(LINK_UNITS);
                self.graph.forget(id, link);
                Some(Job::Unlink { id, first, next: next + 1 })
            }
            Job::Unindex { id, first, next } => {
                let note = self.shelf.note(id)?;
                let Some(passage) = note.passages.get(next) else {
                    self.shelf.take(id);
                    return None;
                };
                budget.spend(passage_units(passage.end - passage.start));
                self.index.remove(note, next, &mut self.terms);
                self.vectors.remove(PassageId(first.0.saturating_add(next as u32)));
                Some(Job::Unindex { id, first, next: next + 1 })
            }
            Job::Sweep { term } => {
                let bytes = self.index.sweep(term)?;
                budget.spend(u32::try_from(bytes / SWEPT_PER_UNIT).unwrap_or(u32::MAX).saturating_add(1));
                Some(Job::Sweep { term: term + 1 })
            }
        }
    }

    /// A note is parsed: its problems are told and, unless nothing has changed, its indexing begins.
    fn place(&mut self, note: Note, stamp: Stamp) -> Option<Job> {
        if note.cut.text {
            self.scan.problem(&note.path, Problem::TooLong(stamp.0), &self.limits);
        }
        if note.cut.links {
            self.scan.problem(&note.path, Problem::TooManyLinks, &self.limits);
        }
        let before = self.scan.note(&note.path);
        if before.and_then(|id| self.shelf.note(id)).is_some_and(|before| before.text == note.text) {
            self.scan.settle(&note.path, before, stamp);
            return None;
        }
        let first = self.index.end();
        Some(Job::Index { id: self.shelf.put(note), first, next: 0, stamp })
    }

    /// A note is whole: it takes the place of its version before, which is the next job.
    fn publish(&mut self, id: NoteId, first: PassageId, stamp: Stamp) -> Option<Job> {
        let note = self.shelf.note(id)?;
        let before = self.scan.note(&note.path);
        self.counts.notes += 1;
        self.counts.links += note.links.len();
        self.counts.passages += note.passages.len();
        self.counts.text_bytes += note.text.len();
        self.scan.settle(&note.path, Some(id), stamp);
        self.index.publish(id, first);
        self.graph.publish(id, &self.shelf);
        before.map(|before| self.withdraw(before))
    }

    /// From now on the note is not found; taking it apart is the next job.
    fn withdraw(&mut self, id: NoteId) -> Job {
        if let Some(note) = self.shelf.note(id) {
            self.counts.notes -= 1;
            self.counts.links -= note.links.len();
            self.counts.passages -= note.passages.len();
            self.counts.text_bytes -= note.text.len();
        }
        // A note has one passage at least, so a current one has a first.
        let first = self.index.first_passage(id).unwrap_or(self.index.end());
        self.index.withdraw(id);
        self.graph.withdraw(id, &self.shelf);
        Job::Unlink { id, first, next: 0 }
    }

    fn end_scan(&mut self) {
        self.epoch += u64::from(self.scan.changes() > 0);
        self.report = Some(self.scan.end(self.epoch));
    }

    fn needs_sweep(&self) -> bool {
        let totals = self.index.totals();
        let dead = totals.dead_postings;
        dead > self.limits.dead_postings_min as u64 && dead * 4 > totals.postings + dead
    }
}

fn passage_units(bytes: u32) -> u32 {
    bytes / INDEXED_PER_UNIT + PASSAGE_UNITS
}

/// What pieces of work cost, in units (`benches/units.rs`).
const INDEXED_PER_UNIT: u32 = 20;
const PASSAGE_UNITS: u32 = 2;
const LINK_UNITS: u32 = 1;
const CHECK_UNITS: u32 = 20;
const SWEPT_PER_UNIT: usize = 100;
