//! All runs: each owns one log of numbered events, and everything that reads it is a cursor.
//!
//! A log is one text arena and the offset at which each event ends. An event is kept as the JSON that readers get, so
//! a reader costs a number: where it is. Events are numbered from 1, and a reader that has seen event *n* asks for
//! what comes after *n*.
//!
//! ```text
//!            admit                    begin                     finish
//!   (asked) ───────► Pending ─────────────────► Running ─────────────────► Completed │ Failed │ Cancelled
//!                      └── cancel ─────────────────┴─────────────────────────────────────────────▲
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::agent::{Composer, Outcome, Run, RunEvent};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Kind, Slots, Time, WallTime, tidy_queue};
use crate::notes::Search;
use crate::os::{Clock, Entropy};
use crate::reactor::TimerId;

/// Keys of runs.
pub const RUN: Kind = Kind(4);

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Accepted; waits for a place.
    Pending,
    /// At work.
    Running,
    /// Ended with an answer.
    Completed,
    /// Ended without one.
    Failed,
    /// Ended by request, or because nobody waited for it any more.
    Cancelled,
}

impl Status {
    /// As clients see it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// It won't change any more.
    pub fn is_final(self) -> bool {
        match self {
            Status::Pending | Status::Running => false,
            Status::Completed | Status::Failed | Status::Cancelled => true,
        }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Status {
        match outcome {
            Outcome::Completed => Status::Completed,
            Outcome::Failed => Status::Failed,
            Outcome::Cancelled => Status::Cancelled,
        }
    }
}

/// What a run does when its last reader goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It is cancelled after a grace.
    Cancel,
    /// It goes on.
    Continue,
}

/// What a run is at work on between two inputs.
#[derive(Debug)]
pub enum Stage {
    /// Nothing is outstanding: it waits for its place, or has ended.
    None,
    /// A search.
    Searching(Box<Search>),
    /// An answer in the making.
    Composing(Box<Composer>),
}

/// A run's events as the JSON that readers get.
#[derive(Debug, Default)]
pub struct Log {
    text: String,
    ends: Vec<usize>,
}

/// What a cursor finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'l> {
    /// The next event: its number and its JSON.
    Event(u64, &'l str),
    /// The reader has seen all there is so far.
    CaughtUp,
    /// The reader has seen all, and the run has ended.
    End,
}

impl Log {
    /// The number of the last event; 0 for none.
    pub fn last(&self) -> u64 {
        self.ends.len() as u64
    }

    fn append(&mut self, json: &str) {
        self.text.push_str(json);
        self.ends.push(self.text.len());
    }

    fn event(&self, number: u64) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start..end)
    }
}

/// One run: the machine, its log, and who reads it.
#[derive(Debug)]
pub struct Record {
    /// Its id, and its task's.
    pub id: Uuid,
    /// Where it is.
    pub status: Status,
    /// When it was accepted.
    pub created_at: WallTime,
    /// When it ended.
    pub completed_at: Option<WallTime>,
    /// What became of it when it failed.
    pub error: Option<String>,
    /// What it is at work on.
    pub stage: Stage,
    /// The task that works on it.
    pub task: Option<Key>,
    /// What happens when its last reader goes.
    pub on_disconnect: OnDisconnect,
    /// Runs out when nobody came back in time.
    pub grace: Option<TimerId>,
    machine: Option<Run>,
    log: Log,
    /// Where in the log the answer's object stands.
    response: Option<(usize, usize)>,
    watchers: Vec<Watcher>,
    told: bool,
}

/// A connection that wants to hear of a run's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watcher {
    connection: Key,
    /// Its peer has shut its sending side: it may be half-closed and still read, or it may be gone.
    leaving: bool,
}

impl Record {
    /// What comes after event number `after`.
    pub fn read(&self, after: u64) -> Read<'_> {
        match self.log.event(after.saturating_add(1)) {
            Some(json) => Read::Event(after + 1, json),
            None if self.status.is_final() => Read::End,
            None => Read::CaughtUp,
        }
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        self.log.last()
    }

    /// The answer, as the JSON object of `POST /chat`.
    pub fn response(&self) -> Option<&str> {
        let (start, end) = self.response?;
        self.log.text.get(start..end)
    }

    /// Someone still wants its events, and has not begun to leave.
    pub fn is_attended(&self) -> bool {
        self.watchers.iter().any(|watcher| !watcher.leaving)
    }

    /// Bytes of memory in its log.
    pub fn log_bytes(&self) -> usize {
        self.log.text.capacity() + self.log.ends.capacity() * size_of::<usize>()
    }

    /// Connections that want to hear of it, leaving ones included.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }

    fn append(&mut self, event: &RunEvent, scratch: &mut String) {
        scratch.clear();
        match event {
            RunEvent::Complete { response } => {
                // Written by hand around the object, so that its place is known: `/chat` answers with the object alone.
                scratch.push_str("{\"type\":\"complete\",\"response\":");
                let start = scratch.len();
                push_json(response, scratch);
                let base = self.log.text.len();
                self.response = Some((base + start, base + scratch.len()));
                scratch.push('}');
            }
            RunEvent::Error { detail } => {
                self.error = Some(detail.clone());
                push_json(event, scratch);
            }
            RunEvent::Status { .. }
            | RunEvent::Sources { .. }
            | RunEvent::Token { .. }
            | RunEvent::Done { .. } => {
                push_json(event, scratch);
            }
        }
        self.log.append(scratch);
    }
}

fn push_json(value: &impl serde::Serialize, text: &mut String) {
    let json =
        serde_json::to_string(value).expect("our own types have string keys and no failing serializers");
    text.push_str(&json);
}

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
    /// Runs that are waiting already.
    pub waiting: usize,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs are waiting already; try again in a moment", self.waiting)
    }
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// A run, kept.
    Known(Key),
    /// It may have been a run; what was kept of it is gone.
    Expired,
    /// No run had it.
    Unknown,
}

/// All runs.
#[derive(Debug)]
pub struct Runs {
    records: Slots<Record>,
    by_id: BTreeMap<Uuid, Key>,
    waiting: VecDeque<Key>,
    ended: VecDeque<(Time, Key)>,
    counts: RunCounts,
    runs_max: usize,
    waiting_max: usize,
    keep_max: usize,
    ttl: Duration,
    /// The newest id of what was swept. Ids grow with time, so an id above it was never given out.
    swept_to: Option<Uuid>,
    newest: Option<Uuid>,
    /// Runs whose readers have news.
    news: Vec<Key>,
    scratch: String,
}

impl Runs {
    /// No runs. At most `runs_max` at work (with 0, none ever begins), `waiting_max` waiting, and `keep_max` ended ones kept for `ttl`.
    pub fn new(runs_max: usize, waiting_max: usize, keep_max: usize, ttl: Duration) -> Runs {
        let records_max = runs_max.saturating_add(waiting_max).saturating_add(keep_max).saturating_add(1);
        Runs {
            records: Slots::new(RUN, records_max),
            by_id: BTreeMap::new(),
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            counts: RunCounts::default(),
            runs_max,
            waiting_max,
            keep_max,
            ttl,
            swept_to: None,
            newest: None,
            news: Vec::new(),
            scratch: String::new(),
        }
    }

    /// Accepts a run; it waits for its place. `machine` makes it from its id.
    ///
    /// # Errors
    /// [`Busy`] when too many wait.
    pub fn admit(
        &mut self,
        on_disconnect: OnDisconnect,
        clock: &dyn Clock,
        entropy: &mut dyn Entropy,
        machine: impl FnOnce(String) -> Run,
    ) -> Result<Key, Busy> {
        // Runs begin in the check phase: of those that are pending now, so many will not have to wait.
        let places = self.runs_max.saturating_sub(self.counts.running);
        let one_more = usize::from(is_planted(Planted::QueuesOneMore));
        if self.counts.pending >= self.waiting_max.saturating_add(places + one_more) {
            return Err(Busy { waiting: self.counts.pending });
        }
        let created_at = clock.wall();
        let id = self.next_id(created_at, entropy);
        let record = Record {
            id,
            status: Status::Pending,
            created_at,
            completed_at: None,
            error: None,
            stage: Stage::None,
            task: None,
            on_disconnect,
            grace: None,
            machine: Some(machine(id.to_string())),
            log: Log::default(),
            response: None,
            watchers: Vec::new(),
            told: false,
        };
        let Ok(key) = self.records.insert(record) else {
            return Err(Busy { waiting: self.counts.pending });
        };
        self.by_id.insert(id, key);
        self.waiting.push_back(key);
        self.counts.pending += 1;
        Ok(key)
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

    /// Takes the next waiting run if there is a place for it, as running.
    pub fn begin_next(&mut self) -> Option<Key> {
        while self.counts.running < self.runs_max {
            let key = self.waiting.pop_front()?;
            let Some(record) = self.records.at_mut(key) else { continue };
            record.status = Status::Running;
            self.counts.pending -= 1;
            self.counts.running += 1;
            return Some(key);
        }
        None
    }

    /// The machine of a run that has not ended, to resume it; [`told`](Runs::told) takes what it said.
    pub fn machine(&mut self, key: Key) -> Option<&mut Run> {
        self.records.at_mut(key)?.machine.as_mut()
    }

    /// Appends what a run has told to its log.
    pub fn told(&mut self, key: Key, events: &[RunEvent]) {
        let Some(record) = self.records.at_mut(key) else { return };
        for event in events {
            record.append(event, &mut self.scratch);
        }
        if !events.is_empty() && !record.told {
            record.told = true;
            self.news.push(key);
        }
    }

    /// Ends a run. What it can't need any more is let go; its log stays until it is swept.
    pub fn finish(&mut self, key: Key, outcome: Outcome, now: Time, wall: WallTime) {
        let Some(record) = self.records.at_mut(key) else { return };
        match record.status {
            Status::Pending => {
                self.counts.pending -= 1;
                // Otherwise whoever asks and cancels in turn makes the queue grow while all places are taken.
                if !is_planted(Planted::KeepsCancelledInQueue) {
                    self.waiting.retain(|waiting| *waiting != key);
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
        record.machine = None;
        record.stage = Stage::None;
        record.task = None;
        record.log.text.shrink_to_fit();
        record.log.ends.shrink_to_fit();
        if !record.told {
            record.told = true;
            self.news.push(key);
        }
        self.ended.push_back((now, key));
    }

    /// Lets go of ended runs that are past their time or too many, each by way of `let_go`; answers when the next one
    /// will be.
    pub fn sweep(&mut self, now: Time, mut let_go: impl FnMut(Record)) -> Option<Time> {
        while let Some((ended_at, key)) = self.ended.front().copied() {
            let due = ended_at.after(self.ttl);
            if due > now && self.ended.len() <= self.keep_max {
                return Some(due);
            }
            self.ended.pop_front();
            if let Some(record) = self.records.remove(key) {
                self.by_id.remove(&record.id);
                self.swept_to = self.swept_to.max(Some(record.id));
                let_go(record);
            }
        }
        None
    }

    /// What is known of an id.
    pub fn lookup(&self, id: Uuid) -> Lookup {
        match self.by_id.get(&id) {
            Some(key) => Lookup::Known(*key),
            None if id.get_version_num() == 7 && Some(id) <= self.swept_to => Lookup::Expired,
            None => Lookup::Unknown,
        }
    }

    /// The run that `key` names, if it is kept.
    pub fn at(&self, key: Key) -> Option<&Record> {
        self.records.at(key)
    }

    /// The run that `key` names, to change it.
    pub fn at_mut(&mut self, key: Key) -> Option<&mut Record> {
        self.records.at_mut(key)
    }

    /// Runs, the newest first, from the one before `before` on.
    pub fn newest(&self, before: Option<Uuid>) -> impl Iterator<Item = &Record> {
        let end = before.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = self.by_id.range((std::ops::Bound::Unbounded, end));
        range.rev().filter_map(|(_, key)| self.records.at(*key))
    }

    /// Keys of all runs that have not ended.
    pub fn unfinished(&self) -> Vec<Key> {
        let unfinished = self.records.iter().filter(|(_, record)| !record.status.is_final());
        unfinished.map(|(key, _)| key).collect()
    }

    /// Place in the queue of a waiting run, counted from 1; `None` once it is at work.
    pub fn place(&self, key: Key) -> Option<usize> {
        self.waiting.iter().position(|waiting| *waiting == key).map(|index| index + 1)
    }

    /// Runs that stand in the queue for a place.
    pub fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// How many there are in each state.
    pub fn counts(&self) -> RunCounts {
        self.counts
    }

    /// Some run waits for a place that is free.
    pub fn could_begin(&self) -> bool {
        let is_forgotten = is_planted(Planted::ForgetsToBegin);
        !is_forgotten && self.counts.pending > 0 && self.counts.running < self.runs_max
    }

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

    /// The connection no longer wants to hear.
    pub fn unwatch(&mut self, run: Key, connection: Key) {
        if let Some(record) = self.records.at_mut(run) {
            record.watchers.retain(|watcher| watcher.connection != connection);
        }
    }

    /// Gives memory back if few runs are left of many.
    pub fn tidy(&mut self) {
        self.records.tidy();
        tidy_queue(&mut self.waiting);
        tidy_queue(&mut self.ended);
    }

    /// Some run has told something that its readers have not been told of.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
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
