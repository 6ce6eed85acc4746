//! One run: its machine, its log, who reads it, and how much of it is kept.

use uuid::Uuid;

use super::keeping::{Keeping, Marks};
use super::run_log::{Log, Read};
use super::sessions::Spoken;
use super::writes::Wanted;
use crate::agent::tools::Lookup;
use crate::agent::{Composer, Edit, Effect, Findings, Outcome, Run, RunEvent, SearchRequest};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, WallTime};
use crate::notes::Search;
use crate::os::disk::{ChangeProblem, Fetched};
use crate::reactor::TimerId;
use crate::store::{self, KeptRun, Trouble};

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

impl From<store::Outcome> for Status {
    fn from(outcome: store::Outcome) -> Status {
        match outcome {
            store::Outcome::Completed => Status::Completed,
            store::Outcome::Failed => Status::Failed,
            store::Outcome::Cancelled => Status::Cancelled,
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
    /// What was said in its session is to be looked up.
    ToRecall,
    /// The store looks it up.
    Recalling,
    /// The embedding server is to be asked in this turn.
    ToEmbed,
    /// The embedding server was asked, by this call, for the sake of this search.
    Embedding(Key, Seek),
    /// A search for this, and why it falls short of what it could be.
    Searching(Box<Search>, SearchRequest, Vec<String>),
    /// What was found before, for the same.
    Found(Box<Findings>),
    /// An answer in the making.
    Composing(Box<Composer>),
    /// The model is to be asked in this turn.
    ToAsk,
    /// The model was asked, by this call.
    Asking(Key),
    /// A search that the model wants.
    SearchingMore(Box<Search>),
    /// Something else that the model wants to see.
    LookingUp(Lookup),
    /// How something can be written.
    Planned(Box<Result<Edit, String>>),
    /// The note that something is to come into is to be fetched.
    ToFetch(Box<Wanted>),
    /// The disk helper fetches it.
    Fetching(Box<Wanted>),
    /// It is here, or not: how it is changed can be planned.
    Fetched(Box<Wanted>, Box<Result<Fetched, ChangeProblem>>),
    /// It is written once it is kept that it is to be.
    ToWrite(Box<Edit>),
    /// It is with the disk helper, or behind it with the index.
    Writing(Box<Edit>),
    /// The note was changed meanwhile. It may have been by the process before this one: that is to be looked at.
    ToLook(Box<Edit>),
    /// The disk helper fetches the note for that.
    Looking(Box<Edit>),
}

impl Stage {
    /// A note is fetched or written for it, and no task is at work.
    pub fn is_writing(&self) -> bool {
        matches!(
            self,
            Stage::ToFetch(_)
                | Stage::Fetching(_)
                | Stage::ToWrite(_)
                | Stage::Writing(_)
                | Stage::ToLook(_)
                | Stage::Looking(_)
        )
    }
}

/// What a search is for.
#[derive(Debug)]
pub enum Seek {
    /// For the run's answer.
    Answer(SearchRequest),
    /// For the model, which wants to see so many passages.
    Tool {
        /// What is looked for.
        query: String,
        /// Passages at most.
        limit: usize,
    },
}

/// How far the process before this one had come with a run.
#[derive(Debug)]
pub enum Left {
    /// It waited for its place.
    NotBegun,
    /// This was outstanding, and is to be done again.
    At(Effect),
}

/// One run.
#[derive(Debug)]
pub struct Record {
    /// Its id, and its task's.
    pub id: Uuid,
    /// Where it is. What may be told of that is [`shown`](Record::shown).
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
    /// How much of it is kept.
    pub keeping: Keeping,
    /// Where its end is to be told, and how far that had come when it was looked up.
    pub callback: Option<store::Callback>,
    /// Why it could not be kept at all; then nobody hears of it but those who asked for it.
    pub refused: Option<Trouble>,
    /// What it says in its session, if it belongs to one.
    pub spoken: Option<Spoken>,
    /// Others of its session come first: it stands in line there, and not in the queue for a place.
    pub is_held: bool,
    pub(super) machine: Option<Run>,
    pub(super) log: Log,
    /// A process before this one had begun it, and may have done more than is kept.
    pub taken_over: bool,
    /// Where that process left it, until it is set to work again.
    pub(super) left: Option<Left>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) told: bool,
}

/// A connection that wants to hear of a run's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watcher {
    pub(super) connection: Key,
    /// Its peer has shut its sending side: it may be half-closed and still read, or it may be gone.
    pub(super) leaving: bool,
}

impl Record {
    /// A run of which nothing has happened yet.
    pub(super) fn new(
        id: Uuid,
        created_at: WallTime,
        on_disconnect: OnDisconnect,
        keeping: Keeping,
    ) -> Record {
        Record {
            id,
            status: Status::Pending,
            created_at,
            completed_at: None,
            error: None,
            stage: Stage::None,
            task: None,
            on_disconnect,
            grace: None,
            keeping,
            callback: None,
            refused: None,
            spoken: None,
            is_held: false,
            machine: None,
            log: Log::new(),
            taken_over: false,
            left: None,
            watchers: Vec::new(),
            told: false,
        }
    }

    /// A run that has ended, as it was kept; `None` if it has not.
    pub(super) fn kept(kept: &KeptRun) -> Option<Record> {
        let ending = kept.ending.as_ref()?;
        let marks = Marks {
            admitted: true,
            events: kept.events.len(),
            reserved: u64::MAX,
            ended: true,
            ..Marks::default()
        };
        let keeping = Keeping::all(marks, None);
        let mut record = Record::new(kept.run, kept.created_at, OnDisconnect::Continue, keeping);
        record.status = ending.outcome.into();
        record.completed_at = Some(ending.at);
        record.error = ending.error.as_deref().map(str::to_owned);
        record.callback = kept.callback.clone();
        record.log = Log::kept(&kept.events);
        Some(record)
    }

    /// What comes after event number `after`, as far as it may be told.
    ///
    /// Nothing is told of a run that is not kept, no event under a number that a later process might give again, and
    /// nothing of its end before the end is kept.
    pub fn read(&self, after: u64) -> Read<'_> {
        let kept = &self.keeping.kept;
        let mut visible = self.log.visible(kept.reserved, kept.ended);
        if is_planted(Planted::AnswersBeforeCommit) {
            visible = self.log.len();
        }
        match self.log.read(after, visible) {
            Some((number, json)) => Read::Event(number, json),
            None if self.shown().is_final() && self.log.ends_at(after) => Read::End,
            None => Read::CaughtUp,
        }
    }

    /// Where it is, as far as that is kept: what a client may be told.
    pub fn shown(&self) -> Status {
        let kept = &self.keeping.kept;
        if self.status.is_final() && (kept.ended || is_planted(Planted::AnswersBeforeCommit)) {
            return self.status;
        }
        if kept.inputs > 0 { Status::Running } else { Status::Pending }
    }

    /// That there is such a run may be told.
    pub fn is_admitted(&self) -> bool {
        self.keeping.kept.admitted || is_planted(Planted::AnswersBeforeCommit)
    }

    /// The number of the last event, told or not.
    pub fn last_event(&self) -> u64 {
        self.log.last()
    }

    /// The answer, as the JSON object of `POST /chat`.
    pub fn response(&self) -> Option<&str> {
        self.log.response()
    }

    /// The events that tell of changes of the notes, in the order in which they were made.
    pub fn updates(&self) -> impl Iterator<Item = &str> {
        self.log.of_kind("{\"type\":\"update\"")
    }

    /// What is asked in its session.
    pub fn message(&self) -> &str {
        match (&self.machine, &self.spoken) {
            (Some(machine), _) => machine.message(),
            (None, Some(spoken)) => &spoken.message,
            (None, None) => "",
        }
    }

    /// Someone still wants its events, and has not begun to leave.
    pub fn is_attended(&self) -> bool {
        self.watchers.iter().any(|watcher| !watcher.leaving)
    }

    /// Bytes of memory in its log.
    pub fn log_bytes(&self) -> usize {
        self.log.bytes()
    }

    /// Connections that want to hear of it, leaving ones included.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }

    /// It is at work, or will be once that is kept.
    pub fn awaits_attempt(&self) -> bool {
        self.status == Status::Running && self.task.is_none() && self.left.is_some()
    }

    /// Nobody needs it here any more: its end is kept, or it was refused, and no one reads it.
    pub(super) fn is_settled(&self) -> bool {
        let is_over = self.keeping.kept.ended || self.refused.is_some();
        is_over && self.watchers.is_empty()
    }

    /// How it ended, to be kept.
    pub(super) fn ending(&self) -> Option<store::Ending> {
        let outcome = match self.status {
            Status::Pending | Status::Running => return None,
            Status::Completed => store::Outcome::Completed,
            Status::Failed => store::Outcome::Failed,
            Status::Cancelled => store::Outcome::Cancelled,
        };
        let error = self.error.as_deref().map(Box::from);
        Some(store::Ending { outcome, at: self.completed_at?, error })
    }

    pub(super) fn append(&mut self, event: &RunEvent, scratch: &mut String) {
        match event {
            RunEvent::Complete { response } => self.log.append_complete(&json(response), scratch),
            RunEvent::Error { detail } => {
                self.error = Some(detail.clone());
                self.log.append(&json(event));
            }
            RunEvent::Status { .. }
            | RunEvent::Sources { .. }
            | RunEvent::Token { .. }
            | RunEvent::Reasoning { .. }
            | RunEvent::Revision { .. }
            | RunEvent::Update { .. }
            | RunEvent::Done { .. } => self.log.append(&json(event)),
        }
    }
}

/// The JSON of our own types.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys and no failing serializers")
}
