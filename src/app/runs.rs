//! Runs that are at work, wait, or are being read: each owns one log of numbered events, and everything that reads it is
//! a cursor.
//!
//! An event is kept as the JSON that readers get, so a reader costs a number: where it is. Events are numbered from 1,
//! and a reader that has seen event *n* asks for what comes after *n*.
//!
//! ```text
//!            admit                    begin                     finish
//!   (asked) ───────► Pending ─────────────────► Running ─────────────────► Completed │ Failed │ Cancelled
//!                      └── cancel ─────────────────┴─────────────────────────────────────────────▲
//! ```
//!
//! What a run is and what a client may be told of it are two things: that it was accepted, that it is at work and how it
//! ended is told once it is kept ([`Record::shown`]). A run whose end is kept, and that nobody reads, is let go of here;
//! whoever asks for it later has it fetched ([`Runs::revive`]).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use uuid::Uuid;

use super::keeping::{Keeping, Marks, Told};
use super::record::Watcher;
use super::run_log::Log;
use super::sessions::{self, SessionLines, Spoken};
use super::step_log::StepLog;
use crate::agent::{Input, Outcome, Run, RunEvent};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Kind, Slots, WallTime, tidy_queue};
use crate::limits::Limits;
use crate::os::{Clock, Entropy};
use crate::reactor::TimerId;
use crate::store::{
    self, Batch, Callback, Called, Idempotency, KeptRun, SessionBounds, Subject, Trouble, Uncalled,
    Unfinished,
};

pub use super::record::{Left, OnDisconnect, Record, Seek, Stage, Status};
pub use super::run_log::Read;

/// Keys of runs.
pub const RUN: Kind = Kind(4);

/// Runs by state, as `/info` shows them. Ended ones are counted since start, kept or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunCounts {
    /// Waiting for a place.
    pub pending: usize,
    /// At work.
    pub running: usize,
    /// Ended with an answer.
    pub completed: u64,
    /// Ended without one.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

/// Why no run was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Runs that are waiting already, for a place or for their end to be kept.
    pub waiting: usize,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs are waiting already, for a place or to be kept; try again in a moment",
            self.waiting
        )
    }
}

/// What comes with a run that is to be accepted.
#[derive(Debug)]
pub struct Asked {
    /// What happens when its last reader goes.
    pub on_disconnect: OnDisconnect,
    /// What is asked, as JSON.
    pub question: Box<str>,
    /// How that begins, and the session that it belongs to, if any.
    pub subject: Subject,
    /// The client's own name for its request.
    pub key: Option<Idempotency>,
    /// Where its end is to be told.
    pub callback: Option<Box<str>>,
}

/// What has become of a run's callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKept {
    /// The run.
    pub run: Uuid,
    /// When it ended.
    pub ended_at: WallTime,
    /// What has.
    pub called: Called,
}

/// All runs that are not over and done with.
#[derive(Debug)]
pub struct Runs {
    records: Slots<Record>,
    records_max: usize,
    /// Runs that are over and here, beyond which none is fetched.
    over_max: usize,
    by_id: BTreeMap<Uuid, Key>,
    by_idempotency_key: BTreeMap<Box<str>, Key>,
    waiting: VecDeque<Key>,
    /// Runs of sessions.
    lines: SessionLines,
    /// Of these, those that have others of their session before them.
    held: usize,
    session_bounds: SessionBounds,
    /// Runs that a process before this one has left, and that wait as well: they come first.
    left: VecDeque<Key>,
    /// They wait for more than a place.
    holds_left: bool,
    /// Runs of an earlier process that may be set to work: that they are is kept.
    ready: VecDeque<Key>,
    counts: RunCounts,
    runs_max: usize,
    waiting_max: usize,
    unkept_max: usize,
    batch_bytes: usize,
    events_reserved: u64,
    newest: Option<Uuid>,
    /// Runs whose readers have news.
    news: Vec<Key>,
    /// Runs that have something to keep.
    unkept: VecDeque<Key>,
    /// Runs that the batch under way is about.
    in_flight: Vec<Key>,
    /// Runs that were refused and may be kept all the same.
    to_forget: Vec<Uuid>,
    /// Of these, how many the batch under way has.
    forgetting: usize,
    /// What has become of callbacks, to be kept.
    called: Vec<CallKept>,
    /// Of these, how many the batch under way has.
    calling: usize,
    /// Runs with a callback whose end is kept, and who have nobody yet who tells it.
    uncalled: Vec<Uncalled>,
    /// Runs that have ended, and whose end is not kept yet.
    ended_unkept: usize,
    /// Bytes of questions that are not kept yet.
    question_bytes: usize,
    question_bytes_max: usize,
    scratch: String,
    /// What the last of them have done.
    steps: StepLog,
}

impl Runs {
    /// No runs. At most `runs_max` at work (with 0, none ever begins) and `waiting_max` waiting, and of what was said in sessions
    /// `sessions_max` are kept.
    pub fn new(runs_max: usize, waiting_max: usize, sessions_max: usize, limits: &Limits) -> Runs {
        let live_max = runs_max.saturating_add(waiting_max).saturating_add(limits.unkept_runs_max);
        // Those that are over are kept here while someone reads them, a WebSocket several of them. Beyond one for each
        // connection none is fetched: that many logs would be much memory, and a client can try again.
        let read_max = limits.connections_max.saturating_mul(limits.websocket_runs_max.max(1));
        let records_max = live_max.saturating_add(read_max).saturating_add(2);
        let over_max = limits.unkept_runs_max.saturating_add(limits.connections_max).saturating_add(2);
        Runs {
            records: Slots::new(RUN, records_max),
            records_max,
            over_max,
            by_id: BTreeMap::new(),
            by_idempotency_key: BTreeMap::new(),
            waiting: VecDeque::new(),
            lines: SessionLines::default(),
            held: 0,
            session_bounds: sessions::bounds(sessions_max, limits),
            left: VecDeque::new(),
            holds_left: false,
            ready: VecDeque::new(),
            counts: RunCounts::default(),
            runs_max,
            waiting_max,
            unkept_max: limits.unkept_runs_max,
            batch_bytes: limits.batch_bytes,
            events_reserved: limits.events_reserved,
            newest: None,
            news: Vec::new(),
            unkept: VecDeque::new(),
            in_flight: Vec::new(),
            to_forget: Vec::new(),
            forgetting: 0,
            called: Vec::new(),
            calling: 0,
            uncalled: Vec::new(),
            ended_unkept: 0,
            question_bytes: 0,
            question_bytes_max: limits.question_bytes_unkept_max,
            scratch: String::new(),
            steps: StepLog::new(limits.logged_runs_max, limits.logged_steps_max),
        }
    }

    /// Accepts a run; it waits for its place, and nobody is told of it before it is kept. `machine` makes it from its id.
    ///
    /// # Errors
    /// [`Busy`] when too many wait, for a place or for their end to be kept.
    pub fn admit(
        &mut self,
        asked: Asked,
        clock: &dyn Clock,
        entropy: &mut dyn Entropy,
        machine: impl FnOnce(String) -> Run,
    ) -> Result<Key, Busy> {
        // Runs begin in the check phase: of those that are pending now, so many will not have to wait.
        let places = self.runs_max.saturating_sub(self.counts.running);
        let one_more = usize::from(is_planted(Planted::QueuesOneMore));
        let is_full = self.counts.pending >= self.waiting_max.saturating_add(places + one_more);
        let busy = Busy { waiting: self.counts.pending + self.ended_unkept };
        if is_full || self.ended_unkept >= self.unkept_max {
            return Err(busy);
        }
        // A slow store must not fill the memory with questions.
        if asked.question.len() > self.question_bytes_max.saturating_sub(self.question_bytes) {
            return Err(busy);
        }
        self.question_bytes += asked.question.len();
        let created_at = clock.wall();
        let id = self.next_id(created_at, entropy);
        let Asked { on_disconnect, question, subject, key: idempotency, callback } = asked;
        let name = idempotency.as_ref().map(|idempotency| idempotency.key.clone());
        let session = subject.session.clone();
        let keeping = Keeping::new(question, subject, idempotency, self.events_reserved);
        let mut record = Record::new(id, created_at, on_disconnect, keeping);
        record.machine = Some(machine(id.to_string()));
        record.spoken = session.map(Spoken::new);
        record.callback = callback.map(not_called);
        let key = self.records.insert(record).map_err(|_| busy)?;
        self.by_id.insert(id, key);
        if let Some(name) = name {
            self.by_idempotency_key.insert(name, key);
        }
        if !self.hold(key) {
            self.waiting.push_back(key);
        }
        self.counts.pending += 1;
        self.keep(key);
        Ok(key)
    }

    /// So many runs are to be taken over: there is room for them, however few this process lets wait.
    pub fn expect_left(&mut self, count: usize) {
        self.records.widen(self.records_max.saturating_add(count));
    }

    /// Takes over a run that a process before this one has left: `machine` has been given its inputs again, and `left` is
    /// where that leaves it. It waits for its place, ahead of those that had not begun, and until
    /// [`release_left`](Runs::release_left). `stands` is the number of the last event that counts for it.
    pub fn take_over(
        &mut self,
        unfinished: &Unfinished,
        machine: Run,
        session: Option<Box<str>>,
        left: Left,
        stands: u64,
    ) -> Option<Key> {
        let Unfinished { admitted, attempts, inputs, events } = unfinished;
        let marks = Marks {
            admitted: true,
            inputs: inputs.len() as u64,
            events: events.len(),
            reserved: admitted.reserved,
            attempts: *attempts,
            ended: false,
        };
        let on_disconnect =
            if admitted.ends_when_left { OnDisconnect::Cancel } else { OnDisconnect::Continue };
        let keeping = Keeping::all(marks, admitted.key.clone());
        let mut record = Record::new(admitted.run, admitted.created_at, on_disconnect, keeping);
        record.machine = Some(machine);
        record.callback = admitted.callback.clone().map(not_called);
        record.log = Log::kept(events);
        let keep = record.log.last().min(stands);
        if keep < admitted.reserved && !is_planted(Planted::ReusesNumbers) {
            // What was told beyond the last event that stands is void, and so are the numbers of it.
            record.log.skip_to(admitted.reserved);
            record.log.append(&format!("{{\"type\":\"restart\",\"keep\":{keep}}}"));
        }
        record.keeping.reserve(record.log.last(), self.events_reserved);
        let has_begun = matches!(left, Left::At(_));
        record.left = Some(left);
        record.taken_over = true;
        record.spoken = session.map(Spoken::new);
        let key = self.records.insert(record).ok()?;
        self.by_id.insert(admitted.run, key);
        if let Some(idempotency) = &admitted.key {
            self.by_idempotency_key.insert(idempotency.key.clone(), key);
        }
        if !self.hold(key) {
            let place = if has_begun { self.left_at_work() } else { self.left.len() };
            self.left.insert(place, key);
        }
        self.holds_left = true;
        self.counts.pending += 1;
        self.keep(key);
        Some(key)
    }

    /// A run stands in its session's line. Answers whether others are before it there.
    fn hold(&mut self, key: Key) -> bool {
        let Some(record) = self.records.at_mut(key) else { return false };
        let Some(Spoken { session, .. }) = &record.spoken else { return false };
        record.is_held = !self.lines.enter(session, key) && !is_planted(Planted::TalksAtOnce);
        self.held += usize::from(record.is_held);
        record.is_held
    }

    /// A run is not held any more. Answers whether it was.
    fn unhold(&mut self, key: Key) -> bool {
        let was_held = self.records.at_mut(key).is_some_and(|record| std::mem::take(&mut record.is_held));
        self.held -= usize::from(was_held);
        was_held
    }

    /// A run is over and that is kept, or it was refused: the next one of its session may begin.
    fn leave_line(&mut self, key: Key) {
        let Some(Record { spoken: Some(Spoken { session, .. }), .. }) = self.records.at(key) else { return };
        let Some(next) = self.lines.leave(session, key) else { return };
        if self.unhold(next) {
            let is_left = self.records.at(next).is_some_and(|record| record.left.is_some());
            if is_left { self.left.push_back(next) } else { self.waiting.push_back(next) }
        }
    }

    /// Runs of a session whose end is not kept, in the order in which they were accepted.
    pub fn in_session(&self, session: &str) -> impl Iterator<Item = Key> {
        self.lines.of(session)
    }

    /// How many at the head of the queue had begun in a process before this one.
    fn left_at_work(&self) -> usize {
        let has_begun =
            |key: &&Key| matches!(self.records.at(**key), Some(Record { left: Some(Left::At(_)), .. }));
        self.left.iter().take_while(has_begun).count()
    }

    /// Runs that a process before this one has left are held back: what they are to look for may not be known yet.
    pub fn holds_left(&self) -> bool {
        self.holds_left
    }

    /// They may begin from here on.
    pub fn release_left(&mut self) {
        self.holds_left = false;
    }

    /// The newest id that was given out; every further one is above it.
    pub fn skip_ids_to(&mut self, newest: Option<Uuid>) {
        self.newest = self.newest.max(newest);
    }

    /// Brings back a run that had ended and was kept, for whoever asks for it.
    ///
    /// # Errors
    /// [`Busy`] when there are too many.
    pub fn revive(&mut self, kept: &KeptRun) -> Result<Key, Busy> {
        if let Some(key) = self.by_id.get(&kept.run) {
            return Ok(*key);
        }
        let busy = Busy { waiting: self.records.len() };
        let over = self.records.len().saturating_sub(self.counts.pending + self.counts.running);
        if over >= self.over_max {
            return Err(busy);
        }
        let Some(record) = Record::kept(kept) else { return Err(busy) };
        let key = self.records.insert(record).map_err(|_| busy)?;
        self.by_id.insert(kept.run, key);
        Ok(key)
    }

    /// Lets go of a run that is over and that nobody reads; otherwise it does nothing. Whoever gets the record cancels its
    /// grace.
    pub fn retire(&mut self, key: Key) -> Option<Record> {
        if !self.records.at(key)?.is_settled() {
            return None;
        }
        let record = self.records.remove(key)?;
        self.forget_names(&record, key);
        Some(record)
    }

    fn forget_names(&mut self, record: &Record, key: Key) {
        if self.by_id.get(&record.id) == Some(&key) {
            self.by_id.remove(&record.id);
        }
        if let Some(idempotency) = record.keeping.key()
            && self.by_idempotency_key.get(&idempotency.key) == Some(&key)
        {
            self.by_idempotency_key.remove(&idempotency.key);
        }
    }

    /// A UUIDv7 (RFC 9562 §5.7) above every earlier one, even when the clock stands still or goes back.
    fn next_id(&mut self, now: WallTime, entropy: &mut dyn Entropy) -> Uuid {
        let mut random = [0; 10];
        entropy.fill(&mut random);
        let drawn = uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid();
        let id = match self.newest {
            // One above the newest in the 62 random bits behind the variant; they start random and can't run out.
            Some(newest) if drawn <= newest => Uuid::from_u128(newest.as_u128().wrapping_add(1)),
            Some(_) | None => drawn,
        };
        self.newest = Some(id);
        id
    }

    // --- At work --------------------------------------------------------------------------------------------------

    /// Takes the next waiting run if there is a place for it, as running. One that was left by a process before this one
    /// is not to be worked on before [`take_ready`](Runs::take_ready) says so.
    pub fn begin_next(&mut self) -> Option<Key> {
        while self.counts.running < self.runs_max {
            let left = if self.holds_left { None } else { self.left.pop_front() };
            let key = left.or_else(|| self.waiting.pop_front())?;
            let Some(record) = self.records.at_mut(key) else { continue };
            record.status = Status::Running;
            record.keeping.attempts += 1;
            self.counts.pending -= 1;
            self.counts.running += 1;
            let is_left = record.left.is_some();
            self.keep(key);
            if !is_left {
                return Some(key);
            }
        }
        None
    }

    /// Takes a run that was left by a process before this one, now that it is kept that it is tried again, and where it
    /// was left. A run that kills the process would do so for ever if that were not kept first.
    pub fn take_ready(&mut self) -> Option<(Key, Left)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(record) = self.records.at_mut(key) else { continue };
            if record.status == Status::Running
                && let Some(left) = record.left.take()
            {
                return Some((key, left));
            }
        }
        None
    }

    /// The machine of a run that has not ended, to resume it; [`told`](Runs::told) takes what it said.
    pub fn machine(&mut self, key: Key) -> Option<&mut Run> {
        self.records.at_mut(key)?.machine.as_mut()
    }

    /// Remembers an input that a run was given and that did not end it.
    pub fn given(&mut self, key: Key, input: Input) {
        if let Some(record) = self.records.at_mut(key) {
            record.keeping.give(input);
            self.keep(key);
        }
    }

    /// Appends what a run has told to its log.
    pub fn told(&mut self, key: Key, events: &[RunEvent]) {
        let Some(record) = self.records.at_mut(key) else { return };
        for event in events {
            record.append(event, &mut self.scratch);
        }
        record.keeping.reserve(record.log.last(), self.events_reserved);
        if !events.is_empty() {
            self.tell(key);
            self.keep(key);
        }
    }

    /// Ends a run. What it can't need any more is let go.
    pub fn finish(&mut self, key: Key, outcome: Outcome, wall: WallTime) {
        let Some(record) = self.records.at_mut(key) else { return };
        let is_pending = record.status == Status::Pending;
        match record.status {
            Status::Pending => {
                self.counts.pending -= 1;
                // Otherwise whoever asks and cancels in turn makes the queue grow while all places are taken.
                if !is_planted(Planted::KeepsCancelledInQueue) {
                    self.waiting.retain(|waiting| *waiting != key);
                    self.left.retain(|left| *left != key);
                }
            }
            Status::Running => self.counts.running -= 1,
            Status::Completed | Status::Failed | Status::Cancelled => return,
        }
        match outcome {
            Outcome::Completed => self.counts.completed += 1,
            Outcome::Failed => self.counts.failed += 1,
            Outcome::Cancelled => self.counts.cancelled += 1,
        }
        record.status = outcome.into();
        record.completed_at = Some(wall);
        if let (Some(machine), Some(spoken)) = (record.machine.take(), &mut record.spoken) {
            spoken.message = machine.message().into();
        }
        record.stage = Stage::None;
        record.task = None;
        record.left = None;
        record.log.close();
        if let (true, Some(callback)) = (is_planted(Planted::TellsBeforeTheEnd), &record.callback) {
            let (run, callback) = (record.id, callback.clone());
            self.uncalled.push(Uncalled { run, ended_at: wall, callback });
        }
        if is_pending {
            self.unhold(key);
        }
        self.ended_unkept += 1;
        self.tell(key);
        self.keep(key);
    }

    /// What the last runs have done.
    pub fn steps(&self) -> &StepLog {
        &self.steps
    }

    /// The same, to add to it.
    pub fn steps_mut(&mut self) -> &mut StepLog {
        &mut self.steps
    }

    // --- Keeping --------------------------------------------------------------------------------------------------

    /// Some run has something to keep.
    pub fn has_unkept(&self) -> bool {
        !self.unkept.is_empty() || self.to_forget.len() > self.forgetting || self.called.len() > self.calling
    }

    /// What is to be kept, as one batch: as many runs as fit into it.
    pub fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        for run in &self.to_forget {
            batch.records.push(store::Record::Forgotten { run: *run });
        }
        self.forgetting = self.to_forget.len();
        let called = self.called.iter().map(|CallKept { run, called, .. }| (*run, called.clone()));
        batch.records.extend(called.map(|(run, called)| store::Record::Called { run, called }));
        self.calling = self.called.len();
        let mut bytes = 0;
        while bytes < self.batch_bytes.max(1) {
            let Some(key) = self.unkept.pop_front() else { break };
            let Some(record) = self.records.at_mut(key) else { continue };
            record.keeping.is_queued = false;
            let ending = record.ending();
            let said = ending.as_ref().and_then(|_| sessions::said(record, self.session_bounds));
            let told = Told {
                id: record.id,
                created_at: record.created_at,
                ends_when_left: record.on_disconnect == OnDisconnect::Cancel,
                callback: record.callback.as_ref().map(|callback| &*callback.url),
                log: &record.log,
                ending,
                said,
            };
            bytes += record.keeping.gather(&told, &mut batch.records).max(1);
            self.in_flight.push(key);
        }
        batch
    }

    /// The batch under way is kept. Whoever waits for what it says is told; `settled` hears of each run that may be let
    /// go of now. Answers how many ends it held of runs without a callback, and when the first of them was.
    pub fn kept(&mut self, mut settled: impl FnMut(Key)) -> (u64, Option<WallTime>) {
        let (mut ends, mut first_end) = (0, None);
        let mut over = Vec::new();
        self.to_forget.drain(..self.forgetting);
        self.forgetting = 0;
        for key in std::mem::take(&mut self.in_flight) {
            let Some(record) = self.records.at_mut(key) else { continue };
            self.question_bytes = self.question_bytes.saturating_sub(record.keeping.question_bytes());
            let before = record.keeping.confirm();
            let after = record.keeping.kept;
            if after.ended && !before.ended {
                match (&record.callback, record.completed_at) {
                    (Some(_), _) if is_planted(Planted::TellsBeforeTheEnd) => {}
                    (Some(callback), Some(ended_at)) => {
                        let (run, callback) = (record.id, callback.clone());
                        self.uncalled.push(Uncalled { run, ended_at, callback });
                    }
                    (_, ended_at) => {
                        ends += 1;
                        first_end = ended_at.into_iter().chain(first_end).min();
                    }
                }
                self.ended_unkept = self.ended_unkept.saturating_sub(1);
                over.extend(record.spoken.is_some().then_some(key));
            }
            if record.left.is_some() && record.status == Status::Running && after.attempts != before.attempts
            {
                self.ready.push_back(key);
            }
            let is_news = (after.admitted, after.ended, after.reserved)
                != (before.admitted, before.ended, before.reserved);
            if record.is_settled() {
                settled(key);
            } else if is_news {
                self.tell(key);
            }
        }
        over.into_iter().for_each(|key| self.leave_line(key));
        (ends, first_end)
    }

    /// Something has become of a run's callback, which is to be kept.
    pub fn keep_called(&mut self, run: Uuid, ended_at: WallTime, called: Called) {
        self.called.push(CallKept { run, ended_at, called });
    }

    /// Takes what is kept of callbacks now that the batch under way is.
    pub fn take_called(&mut self) -> Vec<CallKept> {
        self.called.drain(..std::mem::take(&mut self.calling)).collect()
    }

    /// Takes the runs with a callback whose end is kept.
    pub fn take_uncalled(&mut self) -> Vec<Uncalled> {
        std::mem::take(&mut self.uncalled)
    }

    /// The batch under way may not be kept. All of it is to be said again, but runs of which nobody was told yet are
    /// refused: `refused` hears of each. If the batch `was_sent`, the store may have them all the same.
    pub fn not_kept(&mut self, trouble: &Trouble, was_sent: bool, mut refused: impl FnMut(Key)) {
        (self.forgetting, self.calling) = (0, 0);
        for key in std::mem::take(&mut self.in_flight) {
            let Some(record) = self.records.at_mut(key) else { continue };
            record.keeping.withdraw();
            if was_sent && !record.keeping.kept.admitted && !is_planted(Planted::RefusesButKeeps) {
                self.to_forget.push(record.id);
            }
            self.keep(key);
        }
        let is_unadmitted =
            |key: &Key| self.records.at(*key).is_some_and(|record| !record.keeping.kept.admitted);
        let unadmitted: Vec<Key> = self.unkept.iter().copied().filter(is_unadmitted).collect();
        for key in unadmitted {
            self.refuse(key, trouble);
            refused(key);
        }
        // Once for all of them: they may be a thousand.
        let is_wanted = |key: &Key| self.records.at(*key).is_some_and(|record| record.refused.is_none());
        self.unkept.retain(is_wanted);
        self.waiting.retain(is_wanted);
    }

    /// All readers have something to look at: whether what they get is kept has changed.
    pub fn tell_readers(&mut self) {
        let read = self.records.iter().filter(|(_, record)| !record.watchers.is_empty());
        for key in read.map(|(key, _)| key).collect::<Vec<Key>>() {
            self.tell(key);
        }
    }

    /// Undoes an admission; whoever calls it takes the run out of the queues. What it was at work on it still is, as only
    /// that says which call of the model has to be left.
    fn refuse(&mut self, key: Key, trouble: &Trouble) {
        let Some(record) = self.records.at_mut(key) else { return };
        match record.status {
            Status::Pending => self.counts.pending -= 1,
            Status::Running => self.counts.running -= 1,
            Status::Completed | Status::Failed | Status::Cancelled => self.ended_unkept -= 1,
        }
        self.question_bytes = self.question_bytes.saturating_sub(record.keeping.question_bytes());
        record.status = Status::Failed;
        record.refused = Some(trouble.clone());
        record.machine = None;
        record.keeping.is_queued = false;
        let (id, name) = (record.id, record.keeping.key().map(|key| key.key.clone()));
        self.by_id.remove(&id);
        if let Some(name) = name {
            self.by_idempotency_key.remove(&name);
        }
        self.unhold(key);
        self.leave_line(key);
        self.tell(key);
    }

    /// Leaves a run to the next process.
    pub fn park(&mut self, key: Key) {
        let Some(record) = self.records.at_mut(key) else { return };
        let last = record.log.last();
        record.keeping.park(last);
        record.stage = Stage::None;
        record.task = None;
        self.keep(key);
        self.tell(key);
    }

    /// The run has something to keep.
    fn keep(&mut self, key: Key) {
        if let Some(record) = self.records.at_mut(key)
            && !std::mem::replace(&mut record.keeping.is_queued, true)
        {
            self.unkept.push_back(key);
        }
    }

    // --- Looking --------------------------------------------------------------------------------------------------

    /// The run with this id, if it is here and may be told of.
    pub fn find(&self, id: Uuid) -> Option<Key> {
        let key = *self.by_id.get(&id)?;
        self.records.at(key)?.is_admitted().then_some(key)
    }

    /// This run was refused, although the store may have it.
    pub fn is_refused(&self, id: Uuid) -> bool {
        self.to_forget.contains(&id)
    }

    /// The run that was accepted under this idempotency key, if it is here.
    pub fn find_key(&self, name: &str) -> Option<(Key, &Idempotency)> {
        let key = *self.by_idempotency_key.get(name)?;
        Some((key, self.records.at(key)?.keeping.key()?))
    }

    /// The run that `key` names, if it is here.
    pub fn at(&self, key: Key) -> Option<&Record> {
        self.records.at(key)
    }

    /// The run that `key` names, to change it.
    pub fn at_mut(&mut self, key: Key) -> Option<&mut Record> {
        self.records.at_mut(key)
    }

    /// Runs that are here, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map(|(_, record)| record)
    }

    /// Keys of all runs that have not ended.
    pub fn unfinished(&self) -> Vec<Key> {
        let unfinished = self.records.iter().filter(|(_, record)| !record.status.is_final());
        unfinished.map(|(key, _)| key).collect()
    }

    /// Place in the queue of a waiting run, counted from 1; `None` once it is at work, and while others of its session come
    /// first.
    pub fn place(&self, key: Key) -> Option<usize> {
        self.left.iter().chain(&self.waiting).position(|waiting| *waiting == key).map(|index| index + 1)
    }

    /// Runs that stand in the queue for a place, or in the line of their session.
    pub fn queued(&self) -> usize {
        self.left.len() + self.waiting.len() + self.held
    }

    /// How many there are in each state.
    pub fn counts(&self) -> RunCounts {
        self.counts
    }

    /// Some run waits for a place that is free, or is ready to go on.
    pub fn could_begin(&self) -> bool {
        let waits = !self.waiting.is_empty() || !(self.left.is_empty() || self.holds_left);
        let has_place = waits && self.counts.running < self.runs_max;
        has_place || !self.ready.is_empty()
    }

    // --- Readers --------------------------------------------------------------------------------------------------

    /// A connection wants to hear of this run. Answers the grace that its coming ended, to be cancelled.
    pub fn watch(&mut self, run: Key, connection: Key) -> Option<TimerId> {
        let record = self.records.at_mut(run)?;
        record.watchers.push(Watcher { connection, leaving: false });
        if is_planted(Planted::ForgetsThatSomeoneCame) {
            return None;
        }
        record.grace.take()
    }

    /// The connection's peer has shut its sending side.
    pub fn leaving(&mut self, run: Key, connection: Key) {
        if let Some(record) = self.records.at_mut(run) {
            for watcher in record.watchers.iter_mut().filter(|watcher| watcher.connection == connection) {
                watcher.leaving = true;
            }
        }
    }

    /// The connection no longer wants to hear. Whoever calls it sees to it that the run is let go of if it may be.
    pub fn unwatch(&mut self, run: Key, connection: Key) {
        if let Some(record) = self.records.at_mut(run) {
            record.watchers.retain(|watcher| watcher.connection != connection);
        }
    }

    /// Gives memory back if few runs are left of many.
    pub fn tidy(&mut self) {
        self.records.tidy();
        tidy_queue(&mut self.waiting);
        tidy_queue(&mut self.left);
        tidy_queue(&mut self.unkept);
    }

    /// Some run has told something that its readers have not been told of.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// The run's readers have something to look at.
    fn tell(&mut self, key: Key) {
        if let Some(record) = self.records.at_mut(key)
            && !std::mem::replace(&mut record.told, true)
        {
            self.news.push(key);
        }
    }

    /// Connections whose run has news since the last call, behind those in `connections`.
    pub fn take_news(&mut self, connections: &mut VecDeque<Key>) {
        for key in self.news.drain(..) {
            if let Some(record) = self.records.at_mut(key) {
                record.told = is_planted(Planted::TellsNewsOnce);
                connections.extend(record.watchers.iter().map(|watcher| watcher.connection));
            }
        }
    }
}

/// A callback of which nothing has become yet.
fn not_called(url: Box<str>) -> Callback {
    Callback { url, called: Called::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Ending, Outcome};

    #[test]
    fn whoever_reads_ended_runs_leaves_room_for_new_ones() {
        let limits =
            Limits { connections_max: 2, websocket_runs_max: 3, unkept_runs_max: 1, ..Limits::default() };
        let (runs_max, waiting_max) = (1, 1);
        let mut runs = Runs::new(runs_max, waiting_max, 1, &limits);
        let at = WallTime::from_millis(0);
        let ending = Ending { outcome: Outcome::Completed, at, error: None };
        let kept = |id| KeptRun {
            run: Uuid::from_u128(id),
            created_at: at,
            ending: Some(ending.clone()),
            events: Vec::new(),
            callback: None,
        };
        let revived = (1..100).take_while(|id| runs.revive(&kept(*id)).is_ok()).count();
        assert_eq!(revived, 5);
        // Two WebSockets may have three runs each that have ended under them, and beside these there is room for two more.
        assert!(runs.records_max - revived >= runs_max + waiting_max + limits.unkept_runs_max);
    }
}
