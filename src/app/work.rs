//! Work in slices: carrying out what runs ask for, and indexing, both as tasks of the check phase.
//!
//! A run asks for one effect at a time. Here a search, a tool or an answer in the making becomes a task; when it is done,
//! its result is the run's next input. A question to the model needs no task: what comes back is heard. Nothing here blocks and nothing calls back: a task's key finds its run.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::agent::{
    Asking, Brought, Effect, Findings, FoundTerm, Input, Outcome, Passage, Plan, RunEvent, SearchRequest,
    ToolUse, Unwritten,
};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Budget, Key, Lru, LruStats, SideTable};
use crate::limits::Limits;
use crate::net::outbound::Outbound;
use crate::notes::{Found, Hit, Library, Query, UnitVector};
use crate::os::disk::{ChangeProblem, Fetched, Job as DiskJob};
use crate::os::{Clock, Disk};
use crate::reactor::{Cx, Progress, TaskQueue};
use crate::store::{Job, KeptSession, Trouble};
use crate::text::Terms;

use super::embed::{Asked as Vector, Embedder};
use super::folder::Folder;
use super::journal::Journal;
use super::model::{Asked, Heard, Model};
use super::note_files::NoteFiles;
use super::respond::Problem;
use super::runs::{Left, Runs, Seek, Stage};
use super::sessions;
use super::tools::look_up;
use super::views::{View, Wanted};
use super::writes::{self, Become, Begun};

/// What a task does.
#[derive(Debug)]
enum Work {
    /// Takes a run further.
    Run(Key),
    /// Indexes what was read of the folder.
    Index,
    /// Looks through the notes for a client.
    View {
        /// Its connection.
        asker: Key,
        /// How far it has come.
        view: Box<View>,
    },
}

/// The task queue and what each of its tasks does.
pub struct Works {
    queue: TaskQueue,
    works: SideTable<Work>,
    index_task: Key,
    bench: Bench,
    views: usize,
    views_max: usize,
    /// Views that are whole.
    viewed: VecDeque<Viewed>,
}

/// What has become of a client's view: the body of its answer.
#[derive(Debug)]
pub struct Viewed {
    /// The connection that asked for it.
    pub asker: Key,
    /// The task that made it.
    pub task: Key,
    /// Its body, or why there is none.
    pub body: Result<Vec<u8>, Problem>,
}

/// What every step of a run borrows.
struct Bench {
    told: Vec<RunEvent>,
    terms: Terms,
    /// What was found lately, by what was looked for.
    found: Lru<Sought, Findings>,
    /// Runs that want to ask the model.
    to_ask: VecDeque<(Key, Box<Asking>)>,
    /// Runs that want the vector of what they look for, and that.
    to_embed: VecDeque<(Key, Seek)>,
    /// Runs that want to know what was said in their session before.
    to_recall: VecDeque<(Key, Box<str>)>,
    /// Runs that want a note to be fetched or written.
    to_write: VecDeque<Key>,
    /// There is an embedding server to ask for it.
    embeds: bool,
    tool_result_bytes_max: usize,
    note_bytes_max: usize,
}

/// A search, and the state of the index that it is made in.
type Sought = (u64, SearchRequest);

impl fmt::Debug for Works {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Works").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Seek {
    /// What is embedded: a follow-up with what it follows up.
    fn text(&self) -> String {
        match self {
            Seek::Answer(SearchRequest { text, context, .. }) if context.is_empty() => text.clone(),
            Seek::Answer(SearchRequest { text, context, .. }) => format!("{context} {text}"),
            Seek::Tool { query, .. } => query.clone(),
        }
    }
}

/// Why a search goes by words alone while the first passages are on their way to the embedding server.
const NO_VECTORS: &str =
    "The notes were searched by words alone, because none of them has been embedded so far.";

impl Works {
    /// One task for the index, one for each run at work, and one for each view.
    pub fn new(runs_max: usize, embeds: bool, limits: &Limits) -> Works {
        let tasks_max = runs_max.saturating_add(1).saturating_add(limits.views_max);
        let mut queue = TaskQueue::new(tasks_max, limits.units_per_slice);
        let index_task = queue.spawn().expect("a new queue has room for its first task");
        let mut works = SideTable::default();
        works.insert(index_task, Work::Index);
        let bench = Bench {
            told: Vec::new(),
            terms: Terms::default(),
            found: Lru::new(limits.search_cache_bytes_max),
            to_ask: VecDeque::new(),
            to_embed: VecDeque::new(),
            to_recall: VecDeque::new(),
            to_write: VecDeque::new(),
            embeds,
            tool_result_bytes_max: limits.tool_result_bytes_max,
            note_bytes_max: limits.note_bytes_max,
        };
        let (views_max, viewed) = (limits.views_max, VecDeque::new());
        Works { queue, works, index_task, bench, views: 0, views_max, viewed }
    }

    /// There may be something to index.
    pub fn wake_index(&mut self) {
        self.queue.wake(self.index_task);
    }

    /// The loop must not sleep.
    pub fn is_runnable(&self) -> bool {
        self.queue.is_runnable()
            || !self.bench.to_ask.is_empty()
            || !self.bench.to_embed.is_empty()
            || !self.viewed.is_empty()
    }

    /// Begins to make a view for a client; the task that does. `None` while too many are being made.
    pub fn view(&mut self, asker: Key, wanted: Wanted, library: &Library) -> Option<Key> {
        if self.views >= self.views_max {
            return None;
        }
        let task = self.queue.spawn()?;
        self.views += 1;
        self.works.insert(task, Work::View { asker, view: Box::new(View::new(wanted, library)) });
        Some(task)
    }

    /// Nobody wants the view any more.
    pub fn drop_view(&mut self, task: Key) {
        if self.works.at(task).is_some() {
            self.queue.cancel(task);
            self.works.remove(task);
            self.views -= 1;
        }
        self.viewed.retain(|viewed| viewed.task != task);
    }

    /// A view that is whole, each once.
    pub fn next_viewed(&mut self) -> Option<Viewed> {
        self.viewed.pop_front()
    }

    /// Views in the making.
    pub fn views(&self) -> usize {
        self.views
    }

    /// What is kept of searches.
    pub fn found_stats(&self) -> LruStats {
        self.bench.found.stats()
    }

    /// Lets go of all that is kept of searches.
    pub fn forget_found(&mut self) {
        self.bench.found.clear();
    }

    /// Tasks, the index's own included.
    pub fn tasks(&self) -> usize {
        self.queue.len()
    }

    /// Slices that tasks have had so far.
    pub fn slices(&self) -> u64 {
        self.queue.slices()
    }

    /// The most turns that a runnable task has waited for its slice.
    pub fn longest_wait_turns(&self) -> u64 {
        self.queue.longest_wait_turns()
    }

    /// Places for runs that wait, and then one turn's share of slices.
    pub fn check(
        &mut self,
        plan: Option<&Plan>,
        runs: &mut Runs,
        library: &mut Library,
        folder: &mut Folder,
        cx: &mut Cx<'_, '_>,
    ) {
        let clock = cx.os.clock;
        self.begin_waiting(plan, runs, library, clock);
        let Works { queue, works, bench, views, viewed, .. } = self;
        queue.run(cx.budget, |task, slice| match works.at_mut(task) {
            Some(Work::Run(run)) => {
                let run = *run;
                let progress = step_run(run, slice, bench, runs, library, clock);
                if progress == Progress::Done {
                    works.remove(task);
                }
                progress
            }
            Some(Work::Index) => step_index(slice, library, folder, cx.os.disk),
            Some(Work::View { asker, view }) => {
                let Some(body) = view.step(library, slice) else { return Progress::Again };
                viewed.push_back(Viewed { asker: *asker, task, body });
                works.remove(task);
                *views -= 1;
                Progress::Done
            }
            None => Progress::Done,
        });
        // A place that was freed in this turn is taken in this turn, so that the loop can see that work is left.
        self.begin_waiting(plan, runs, library, clock);
    }

    /// Asks the model for the runs that want it to be asked.
    pub fn ask(
        &mut self,
        model: &mut Option<Model>,
        outbound: &mut Outbound,
        runs: &mut Runs,
        library: &Library,
        cx: &mut Cx<'_, '_>,
    ) {
        let clock = cx.os.clock;
        while let Some((run, asking)) = self.bench.to_ask.pop_front() {
            // It may have ended meanwhile.
            let Some(record) = runs.at_mut(run).filter(|record| matches!(record.stage, Stage::ToAsk)) else {
                continue;
            };
            let asked = match model {
                Some(model) => model.ask(run, &asking, outbound, cx),
                None => Asked::Now(Box::new(Input::Unanswered {
                    why: "no model is configured any more".to_owned(),
                    said: false,
                })),
            };
            match asked {
                Asked::Call(call) => {
                    record.stage = Stage::Asking(call);
                    let said = model.as_ref().map_or("", |model| model.said(call));
                    self.hear(run, Heard::Text(said), runs, library, clock);
                }
                Asked::Now(input) => self.hear(run, Heard::Over(*input), runs, library, clock),
            }
        }
    }

    /// Some run wants to know what was said in its session, and can ask.
    pub fn could_recall(&self, journal: &Journal) -> bool {
        !self.bench.to_recall.is_empty() && journal.takes_reads()
    }

    /// Asks the store what was said in sessions, for the runs that go on in them. Who can't ask now does when others have
    /// been answered.
    pub fn recall(&mut self, journal: &mut Journal, runs: &mut Runs) {
        while journal.takes_reads() {
            let Some((run, session)) = self.bench.to_recall.pop_front() else { return };
            // It may have ended meanwhile.
            let Some(record) = runs.at_mut(run).filter(|record| matches!(record.stage, Stage::ToRecall))
            else {
                continue;
            };
            if journal.read(Job::FindSession { asker: run, name: session }).is_ok() {
                record.stage = Stage::Recalling;
            }
        }
    }

    /// The store has told what was said in a run's session, or why it can't.
    pub fn hear_session(
        &mut self,
        run: Key,
        found: Result<Option<KeptSession>, Trouble>,
        runs: &mut Runs,
        library: &Library,
        limits: &Limits,
        clock: &dyn Clock,
    ) {
        let Some(record) = runs.at_mut(run) else { return };
        if !matches!(record.stage, Stage::Recalling) {
            return;
        }
        record.stage = Stage::None;
        let history = found.map(|session| sessions::history(session.as_ref(), limits));
        let input = Input::Recalled(history.map_err(|trouble| trouble.words));
        let effect = resume(run, input, &mut self.bench.told, runs, clock);
        self.set_to_work(run, effect, runs, library, clock);
    }

    /// Some run wants a note to be fetched or written, and that can be handed on.
    pub fn could_write(&self, files: &NoteFiles, runs: &Runs) -> bool {
        let is_due = |run: &Key| match runs.at(*run) {
            Some(record) => match record.stage {
                Stage::ToWrite(_) => record.keeping.has_kept_inputs(),
                _ => true,
            },
            None => true,
        };
        files.has_room() && self.bench.to_write.iter().any(is_due)
    }

    /// Hands on what runs want to be fetched, or written once it is kept that they do. What can't be handed on now is tried
    /// again when there is news of the store or the disk.
    pub fn write(&mut self, files: &mut NoteFiles, runs: &mut Runs, cx: &mut Cx<'_, '_>) {
        for _ in 0..self.bench.to_write.len() {
            let Some(run) = self.bench.to_write.pop_front() else { return };
            // It may have ended meanwhile.
            let Some(record) = runs.at_mut(run) else { continue };
            let bytes_max = self.bench.note_bytes_max;
            let fetch = |path: &str| DiskJob::Fetch { asker: run, path: path.into(), bytes_max };
            let job = match &record.stage {
                Stage::ToFetch(wanted) => Some(fetch(&wanted.path)),
                Stage::ToLook(edit) => Some(fetch(&edit.path)),
                Stage::ToWrite(edit) if record.keeping.has_kept_inputs() => Some(writes::job(run, edit)),
                Stage::ToWrite(_) => None,
                _ => continue,
            };
            if job.is_none_or(|job| files.add(job, cx.os.disk).is_err()) {
                self.bench.to_write.push_back(run);
                continue;
            }
            record.stage = match std::mem::replace(&mut record.stage, Stage::None) {
                Stage::ToFetch(wanted) => Stage::Fetching(wanted),
                Stage::ToLook(edit) => Stage::Looking(edit),
                Stage::ToWrite(edit) => Stage::Writing(edit),
                other => other,
            };
        }
    }

    /// A note that a run wanted to see was fetched, or not.
    pub fn hear_file(
        &mut self,
        run: Key,
        outcome: Result<Fetched, ChangeProblem>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        let Some(record) = runs.at_mut(run) else { return };
        match std::mem::replace(&mut record.stage, Stage::None) {
            Stage::Fetching(wanted) => {
                record.stage = Stage::Fetched(wanted, Box::new(outcome));
                self.spawn(run, runs);
            }
            Stage::Looking(edit) => self.wrote(run, writes::found(&edit, outcome), runs, library, clock),
            other => record.stage = other,
        }
    }

    /// What a run wanted to be written is, and is indexed; or it is not.
    pub fn hear_change(
        &mut self,
        run: Key,
        outcome: Result<(), ChangeProblem>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        let Some(record) = runs.at_mut(run) else { return };
        let edit = match std::mem::replace(&mut record.stage, Stage::None) {
            Stage::Writing(edit) => edit,
            other => {
                record.stage = other;
                return;
            }
        };
        match writes::outcome(&edit, outcome, record.taken_over) {
            Become::Known(outcome) => self.wrote(run, outcome, runs, library, clock),
            Become::Open => {
                record.stage = Stage::ToLook(edit);
                self.bench.to_write.push_back(run);
            }
        }
    }

    /// What has become of what a run wanted to be written.
    fn wrote(
        &mut self,
        run: Key,
        outcome: Result<(), Unwritten>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        if let Some(record) = runs.at_mut(run) {
            // What it wants next no process before this one can have done.
            record.taken_over = false;
        }
        let effect = resume(run, Input::Wrote(outcome), &mut self.bench.told, runs, clock);
        self.set_to_work(run, effect, runs, library, clock);
    }

    /// Asks the embedding server for the runs that want the vector of what they look for.
    pub fn embed(
        &mut self,
        embedder: &mut Option<Embedder>,
        outbound: &mut Outbound,
        runs: &mut Runs,
        library: &Library,
        cx: &mut Cx<'_, '_>,
    ) {
        while let Some((run, seek)) = self.bench.to_embed.pop_front() {
            // It may have ended meanwhile.
            let Some(record) = runs.at_mut(run).filter(|record| matches!(record.stage, Stage::ToEmbed))
            else {
                continue;
            };
            let asked = match embedder {
                Some(_) if library.vectors().is_empty() => Vector::Now(Err(NO_VECTORS.to_owned())),
                Some(embedder) => embedder.ask(run, &seek.text(), outbound, cx),
                None => Vector::Now(Err(NO_VECTORS.to_owned())),
            };
            match asked {
                Vector::Call(call) => record.stage = Stage::Embedding(call, seek),
                Vector::Now(vector) => self.search(run, seek, vector, runs, library),
            }
        }
    }

    /// The vector that a run waits for is there, or why it is not: the search begins.
    pub fn hear_vector(
        &mut self,
        run: Key,
        vector: Result<Arc<UnitVector>, String>,
        runs: &mut Runs,
        library: &Library,
    ) {
        let Some(record) = runs.at_mut(run) else { return };
        match std::mem::replace(&mut record.stage, Stage::None) {
            Stage::Embedding(_, seek) => self.search(run, seek, vector, runs, library),
            other => record.stage = other,
        }
    }

    fn search(
        &mut self,
        run: Key,
        seek: Seek,
        vector: Result<Arc<UnitVector>, String>,
        runs: &mut Runs,
        library: &Library,
    ) {
        let (with, of) = (library.vectors().len(), library.counts().passages);
        let (vector, degraded) = match vector {
            Ok(vector) if with < of => {
                let why = format!(
                    "Only {with} of {of} passages have vectors; the rest was searched by words alone."
                );
                (Some(vector), vec![why])
            }
            Ok(vector) => (Some(vector), Vec::new()),
            Err(why) => (None, vec![why]),
        };
        let Some(record) = runs.at_mut(run) else { return };
        record.stage = begin_search(seek, vector, degraded, library);
        self.spawn(run, runs);
    }

    /// A run hears from the model.
    pub fn hear(
        &mut self,
        run: Key,
        heard: Heard<'_>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        let Some(machine) = runs.machine(run) else { return };
        let told = &mut self.bench.told;
        told.clear();
        let input = match heard {
            Heard::Text(text) => {
                machine.hear(text, told);
                return runs.told(run, told);
            }
            Heard::Reasoning(text) => {
                machine.hear_reasoning(text, told);
                return runs.told(run, told);
            }
            Heard::Over(Input::Unanswered { why, .. }) => Input::Unanswered { why, said: machine.has_said() },
            Heard::Over(input) => input,
        };
        if let Some(record) = runs.at_mut(run) {
            record.stage = Stage::None;
        }
        let effect = resume(run, input, &mut self.bench.told, runs, clock);
        self.set_to_work(run, effect, runs, library, clock);
    }

    /// Cancels a run in whatever state it is; one that has ended stays as it is.
    pub fn cancel(&mut self, run: Key, runs: &mut Runs, clock: &dyn Clock) {
        self.drop_task(run, runs);
        if runs.machine(run).is_some() {
            let effect = resume(run, Input::Cancel, &mut self.bench.told, runs, clock);
            debug_assert!(matches!(effect, Some(Effect::Finish(_))), "a cancelled run wants nothing more");
            if is_planted(Planted::EndsTwice) {
                runs.told(run, &[RunEvent::Done { status: Outcome::Cancelled }]);
            }
            runs.finish(run, Outcome::Cancelled, clock.wall());
        }
    }

    /// Fails a run that is not at work.
    pub fn fail(&mut self, run: Key, why: String, runs: &mut Runs, clock: &dyn Clock) {
        if runs.machine(run).is_some() {
            resume(run, Input::Failed(why), &mut self.bench.told, runs, clock);
            runs.finish(run, Outcome::Failed, clock.wall());
        }
    }

    /// No further work is done on a run.
    pub fn drop_task(&mut self, run: Key, runs: &mut Runs) {
        if let Some(task) = runs.at_mut(run).and_then(|record| record.task.take())
            && !is_planted(Planted::KeepsCancelledTask)
        {
            self.queue.cancel(task);
            self.works.remove(task);
        }
    }

    fn begin_waiting(&mut self, plan: Option<&Plan>, runs: &mut Runs, library: &Library, clock: &dyn Clock) {
        while let Some((run, left)) = runs.take_ready() {
            match left {
                Left::NotBegun => self.start(run, plan, runs, library, clock),
                Left::At(effect) => self.set_to_work(run, Some(effect), runs, library, clock),
            }
        }
        while let Some(run) = runs.begin_next() {
            self.start(run, plan, runs, library, clock);
        }
    }

    fn start(
        &mut self,
        run: Key,
        plan: Option<&Plan>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        let input = plan.map_or(Input::Start, |plan| Input::StartWith(plan.clone()));
        let effect = resume(run, input, &mut self.bench.told, runs, clock);
        self.set_to_work(run, effect, runs, library, clock);
    }

    fn set_to_work(
        &mut self,
        run: Key,
        effect: Option<Effect>,
        runs: &mut Runs,
        library: &Library,
        clock: &dyn Clock,
    ) {
        if carry_out(run, effect, &mut self.bench, runs, library, clock) == Progress::Again {
            self.spawn(run, runs);
        }
    }

    /// A task for what a run wants done.
    fn spawn(&mut self, run: Key, runs: &mut Runs) {
        let task = self.queue.spawn().expect("there is a task for each run that may be at work");
        self.works.insert(task, Work::Run(run));
        if let Some(record) = runs.at_mut(run) {
            record.task = Some(task);
        }
    }
}

/// One slice of a run's outstanding effect; its result, once there, is the run's next input.
fn step_run(
    run: Key,
    slice: &mut Budget,
    bench: &mut Bench,
    runs: &mut Runs,
    library: &Library,
    clock: &dyn Clock,
) -> Progress {
    let Some(record) = runs.at_mut(run) else { return Progress::Done };
    let input = match &mut record.stage {
        Stage::None | Stage::ToAsk | Stage::Asking(_) | Stage::ToEmbed | Stage::Embedding(..) => {
            return Progress::Done;
        }
        Stage::ToRecall | Stage::Recalling => return Progress::Done,
        Stage::ToFetch(_) | Stage::Fetching(_) | Stage::ToLook(_) | Stage::Looking(_) => {
            return Progress::Done;
        }
        Stage::ToWrite(_) | Stage::Writing(_) => return Progress::Done,
        Stage::Fetched(..) => match std::mem::replace(&mut record.stage, Stage::None) {
            Stage::Fetched(wanted, file) => {
                let bytes = file.as_ref().as_ref().map_or(0, |file| file.bytes.len());
                slice.spend(PLAN_COST + u32::try_from(bytes / PLANNED_BYTES_PER_UNIT).unwrap_or(u32::MAX));
                Some(Input::Planned(writes::plan(*wanted, *file, bench.note_bytes_max)))
            }
            _ => return Progress::Done,
        },
        Stage::Planned(planned) => {
            slice.spend(PLAN_COST);
            let planned = std::mem::replace(&mut **planned, Err(String::new()));
            Some(Input::Planned(planned))
        }
        Stage::Searching(search, request, degraded) => search.step(library, slice).map(|found| {
            let findings = findings(found, std::mem::take(degraded), library);
            bench.keep(request, &findings);
            Input::Found(findings)
        }),
        Stage::Found(findings) => Some(Input::Found(std::mem::take(findings))),
        Stage::Composing(composer) => composer.step(&mut bench.terms, slice).map(Input::Composed),
        Stage::SearchingMore(search) => search.step(library, slice).map(|found| {
            let passages = found.hits.into_iter().map(passage).collect();
            Input::Used(Brought::Passages(passages))
        }),
        Stage::LookingUp(lookup) => {
            slice.spend(LOOKUP_COST);
            Some(Input::Used(look_up(lookup, library, bench.tool_result_bytes_max)))
        }
    };
    let Some(input) = input else { return Progress::Again };
    let effect = resume(run, input, &mut bench.told, runs, clock);
    if let Some(Effect::Ask(asking)) = &effect {
        slice.spend(u32::try_from(asking.bytes() / ASKED_BYTES_PER_UNIT).unwrap_or(u32::MAX));
    }
    carry_out(run, effect, bench, runs, library, clock)
}

/// Units that it costs to plan a note: its text is put together and hashed.
const PLAN_COST: u32 = 50;

/// Bytes of a note that are looked through, copied and hashed in about a microsecond.
const PLANNED_BYTES_PER_UNIT: usize = 256;

/// Units that a look at one note, or at a list, costs at most; about.
const LOOKUP_COST: u32 = 50;

/// Bytes of a prompt that are put together, written as JSON and copied in about a microsecond.
const ASKED_BYTES_PER_UNIT: usize = 256;

impl Bench {
    /// A search begins, or first the wish for its vector.
    fn seek(&mut self, run: Key, seek: Seek, library: &Library) -> Stage {
        if !self.embeds {
            return begin_search(seek, None, Vec::new(), library);
        }
        self.to_embed.push_back((run, seek));
        Stage::ToEmbed
    }

    /// Keeps what a search has found for whoever looks for the same. Not while notes are missing, or anything else that it
    /// could have found more with.
    fn keep(&mut self, request: &SearchRequest, findings: &Findings) {
        if findings.complete && findings.degraded.is_empty() {
            let sought = (findings.epoch, request.clone());
            let bytes = request.text.len() + request.context.len() + findings.bytes();
            self.found.put(sought, findings.clone(), bytes);
        }
    }
}

fn step_index(
    slice: &mut Budget,
    library: &mut Library,
    folder: &mut Folder,
    disk: &mut dyn Disk,
) -> Progress {
    library.index_step(slice);
    folder.ask_for_more(library, disk);
    if library.has_work() { Progress::Again } else { Progress::Blocked }
}

/// Gives a run its input and its log what it tells. `None` for a run that has ended.
///
/// The input is recorded with what it causes: both leave in the same batch, so a process that takes over finds both or
/// neither. An input that ends the run needs no record: nobody carries on behind an end.
fn resume(
    run: Key,
    input: Input,
    told: &mut Vec<RunEvent>,
    runs: &mut Runs,
    clock: &dyn Clock,
) -> Option<Effect> {
    told.clear();
    let recorded = input.clone();
    let effect = runs.machine(run)?.resume(input, told).expect("a run's stage here is the state it is in");
    if let Some(id) = runs.at(run).map(|record| record.id) {
        let step = step_name(&effect);
        log::debug!("run {id}: {} events told, then: {step}", told.len());
        runs.steps_mut().add(id, step, clock.wall());
    }
    if !matches!(effect, Effect::Finish(_)) && !is_planted(Planted::ForgetsAnInput) {
        runs.given(run, recorded);
    }
    runs.told(run, told);
    Some(effect)
}

/// What a run does next, for those who watch.
fn step_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Recall(_) => "recall_session",
        Effect::Search(_) => "search",
        Effect::Compose(_) => "compose",
        Effect::Ask(_) => "ask_model",
        Effect::Use(_) => "use_tool",
        Effect::Plan(_) => "plan_note",
        Effect::Write(_) => "write_note",
        Effect::Finish(Outcome::Completed) => "completed",
        Effect::Finish(Outcome::Failed) => "failed",
        Effect::Finish(Outcome::Cancelled) => "cancelled",
    }
}

/// Sets a run to work on what it asked for. `Done` once no task is needed for it.
fn carry_out(
    run: Key,
    effect: Option<Effect>,
    bench: &mut Bench,
    runs: &mut Runs,
    library: &Library,
    clock: &dyn Clock,
) -> Progress {
    let stage = match effect {
        Some(Effect::Recall(session)) => {
            bench.to_recall.push_back((run, session.into_boxed_str()));
            Stage::ToRecall
        }
        Some(Effect::Search(request)) => {
            let sought = (library.epoch(), request);
            match bench.found.get(&sought) {
                Some(findings) => Stage::Found(Box::new(findings.clone())),
                None => bench.seek(run, Seek::Answer(sought.1), library),
            }
        }
        Some(Effect::Compose(composer)) => Stage::Composing(composer),
        Some(Effect::Ask(asking)) => {
            bench.to_ask.push_back((run, asking));
            Stage::ToAsk
        }
        Some(Effect::Use(ToolUse::Look(lookup))) => Stage::LookingUp(lookup),
        Some(Effect::Use(ToolUse::Search { query, limit })) => {
            bench.seek(run, Seek::Tool { query, limit }, library)
        }
        Some(Effect::Plan(wish) | Effect::Use(ToolUse::Write(wish))) => {
            if let Some(record) = runs.at_mut(run) {
                // What is planned only now no process before this one can have written.
                record.taken_over = false;
            }
            match writes::begin(&wish, library, clock.wall()) {
                Begun::Planned(planned) => Stage::Planned(Box::new(planned)),
                Begun::Fetch(wanted) => {
                    bench.to_write.push_back(run);
                    Stage::ToFetch(Box::new(wanted))
                }
            }
        }
        Some(Effect::Write(planned)) => {
            bench.to_write.push_back(run);
            Stage::ToWrite(Box::new(planned))
        }
        Some(Effect::Finish(outcome)) => {
            runs.finish(run, outcome, clock.wall());
            return Progress::Done;
        }
        None => return Progress::Done,
    };
    let Some(record) = runs.at_mut(run) else { return Progress::Done };
    let needs_task = !matches!(stage, Stage::ToAsk | Stage::ToEmbed | Stage::ToRecall) && !stage.is_writing();
    record.stage = stage;
    if !needs_task {
        record.task = None;
        return Progress::Done;
    }
    Progress::Again
}

// The agent does not know that notes exist, nor the notes that there is an agent: here one's words become the other's.

/// Begins a search, with the vector of what it looks for if that is known.
fn begin_search(
    seek: Seek,
    vector: Option<Arc<UnitVector>>,
    degraded: Vec<String>,
    library: &Library,
) -> Stage {
    match seek {
        Seek::Answer(request) => {
            let (text, context) = (request.text.clone(), request.context.clone());
            let query = Query { text, context, hits_max: request.passages_max, vector };
            Stage::Searching(Box::new(library.search(query)), request, degraded)
        }
        Seek::Tool { query, limit } => {
            let query = Query { text: query, context: String::new(), hits_max: limit, vector };
            Stage::SearchingMore(Box::new(library.search(query)))
        }
    }
}

fn findings(found: Found, degraded: Vec<String>, library: &Library) -> Findings {
    let progress = library.progress();
    let terms = found.terms.into_iter().map(|term| FoundTerm {
        text: term.text,
        term: term.term,
        forms: term.forms,
        weight: term.weight,
        known: term.known,
        corrected: term.corrected_to,
    });
    Findings {
        passages: found.hits.into_iter().map(passage).collect(),
        terms: terms.collect(),
        epoch: found.epoch,
        complete: found.complete,
        notes_indexed: progress.done,
        notes_found: progress.found,
        degraded,
    }
}

fn passage(hit: Hit) -> Passage {
    Passage {
        path: hit.path,
        title: hit.title,
        heading: hit.heading,
        start: hit.start as u64,
        end: hit.end as u64,
        score: hit.score,
        text: hit.text,
        category: hit.category,
        dangling: hit.dangling,
        tags: hit.tags,
        hash: hit.hash,
        date: hit.date,
        lead: hit.lead,
        likeness: hit.likeness,
    }
}
