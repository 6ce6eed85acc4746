//! The words in which runs are kept: what a batch changes, and what can be asked for later.
//!
//! The texts of questions, inputs and events are JSON that the store does not look into.

use uuid::Uuid;

use crate::base::WallTime;

/// One change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A run was accepted.
    Admitted(Admitted),
    /// Inputs that a run was given, in order.
    Inputs {
        /// The run.
        run: Uuid,
        /// The place of the first one among all inputs of the run, counted from 0.
        first: u64,
        /// Each as JSON.
        inputs: Vec<InputText>,
    },
    /// Events that a run has told.
    Events {
        /// The run.
        run: Uuid,
        /// In the order of their numbers.
        events: Vec<EventText>,
    },
    /// What a run may still do.
    Bounds {
        /// The run.
        run: Uuid,
        /// Event numbers up to this one may have been told. None above it has.
        reserved: u64,
        /// How often it was set to work since a process last ended in good order.
        attempts: u32,
    },
    /// A run has ended. Its question and its inputs are not needed any more.
    Ended {
        /// The run.
        run: Uuid,
        /// How.
        ending: Ending,
    },
    /// A message of a session was answered.
    Said(Said),
    /// What has become of a run's callback so far. A run that has not ended has none to tell of.
    Called {
        /// The run.
        run: Uuid,
        /// What has.
        called: Called,
    },
    /// A run that was accepted is not to be, after all: it was refused before anybody heard of it.
    Forgotten {
        /// The run.
        run: Uuid,
    },
}

/// A run as it is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its id.
    pub run: Uuid,
    /// When.
    pub created_at: WallTime,
    /// What is asked, as JSON.
    pub question: Box<str>,
    /// What lists tell of it.
    pub subject: Subject,
    /// It is cancelled when its last reader has left for good.
    pub ends_when_left: bool,
    /// The client's own name for its request.
    pub key: Option<Idempotency>,
    /// Event numbers that may be told.
    pub reserved: u64,
    /// Where its end is to be told, as a URL.
    pub callback: Option<Box<str>>,
}

/// What a run is about, in short. It stays as long as the run does, while the question goes with the run's end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// How the message begins; empty for a run that was accepted before this was kept.
    pub message: Box<str>,
    /// The session that it belongs to.
    pub session: Option<Box<str>>,
}

/// A message of a session and its answer, which become the newest of the session. What is too much then is let go of, the
/// oldest first: but never the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The run that has answered.
    pub run: Uuid,
    /// The session's name; it comes into being with the first of them.
    pub session: Box<str>,
    /// When the message was accepted.
    pub asked_at: WallTime,
    /// When the answer was there.
    pub answered_at: WallTime,
    /// The message.
    pub message: Box<str>,
    /// The answer.
    pub answer: Box<str>,
    /// How much is kept.
    pub bounds: SessionBounds,
}

/// How much is kept of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionBounds {
    /// Messages with their answers, of one session.
    pub messages_max: u64,
    /// Bytes of all these, of one session.
    pub bytes_max: u64,
    /// Sessions; those that nobody has spoken in for longest make room.
    pub sessions_max: u64,
}

/// A client's own name for a request, so that asking twice is asking once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The name.
    pub key: Box<str>,
    /// A digest of what was asked: another under the same name is a mistake of the client's.
    pub fingerprint: Uuid,
}

/// An input as JSON.
pub type InputText = Box<str>;

/// An event's number and its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText {
    /// Its number in the run's log.
    pub number: u64,
    /// What readers get.
    pub json: Box<str>,
}

/// How and when a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// When.
    pub at: WallTime,
    /// Why it failed.
    pub error: Option<Box<str>>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Completed,
    /// Without one.
    Failed,
    /// By request.
    Cancelled,
}

/// How far the callback of a run has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Called {
    /// Whether it is over.
    pub state: CallState,
    /// Tries that have ended.
    pub attempts: u32,
    /// When the next try may be made; `None` for at once.
    pub due: Option<WallTime>,
    /// Why the last try that failed did.
    pub error: Option<Box<str>>,
}

/// Whether a callback is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallState {
    /// It is not. Its run is not swept meanwhile.
    #[default]
    Outstanding,
    /// It was received.
    Delivered,
    /// It will not be tried any more.
    GivenUp,
}

/// Where the end of a run is to be told, and how far that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Where.
    pub url: Box<str>,
    /// How far.
    pub called: Called,
}

/// A run that has ended, and whose end is still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncalled {
    /// The run.
    pub run: Uuid,
    /// When it ended.
    pub ended_at: WallTime,
    /// Where that is to be told.
    pub callback: Callback,
}

/// Changes that are kept together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// In the order in which they are made.
    pub records: Vec<Record>,
}

/// What a new process finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Runs that have not ended, the oldest first.
    pub unfinished: Vec<Unfinished>,
    /// Runs that have ended and whose callback is outstanding, the oldest first.
    pub uncalled: Vec<Uncalled>,
    /// Ended runs that are kept, without those whose callback is outstanding: those that may be swept.
    pub ended: u64,
    /// When the one of them that ended first did.
    pub oldest_end: Option<WallTime>,
    /// The newest id of a run that was swept away.
    pub swept_to: Option<Uuid>,
    /// The newest id of all that are kept.
    pub newest: Option<Uuid>,
}

/// A run that has not ended, with all that is needed to carry on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// How it was accepted; `reserved` is the newest bound.
    pub admitted: Admitted,
    /// How often it was set to work.
    pub attempts: u32,
    /// What it was given, in order.
    pub inputs: Vec<InputText>,
    /// What it has told, in order.
    pub events: Vec<EventText>,
}

/// A run as whoever asks for it finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRun {
    /// Its id.
    pub run: Uuid,
    /// When it was accepted.
    pub created_at: WallTime,
    /// How it ended; `None` if it has not.
    pub ending: Option<Ending>,
    /// What it has told, in order.
    pub events: Vec<EventText>,
    /// Its callback, if it has one.
    pub callback: Option<Callback>,
}

/// A vector of an embedding model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVector {
    /// A digest of the model's name and the text: what it is a vector of.
    pub name: Uuid,
    /// The vector.
    pub bytes: Box<[u8]>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub run: Uuid,
    /// When it was accepted.
    pub created_at: WallTime,
    /// How and when it ended; `None` if it has not.
    pub ended: Option<(Outcome, WallTime)>,
    /// What it is about.
    pub subject: Subject,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its name.
    pub name: Box<str>,
    /// When the first message of it was accepted.
    pub created_at: WallTime,
    /// When the newest answer was there.
    pub updated_at: WallTime,
    /// Messages that are kept, each with its answer.
    pub messages: u64,
    /// The [`beginning`] of the oldest of them.
    pub beginning: Box<str>,
}

/// A session with what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    /// When the first message of it was accepted.
    pub created_at: WallTime,
    /// When the newest answer was there.
    pub updated_at: WallTime,
    /// What was said, the oldest first.
    pub said: Vec<KeptSaid>,
}

/// A message of a session and its answer, as whoever asks finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSaid {
    /// The run that has answered.
    pub run: Uuid,
    /// When the message was accepted.
    pub asked_at: WallTime,
    /// When the answer was there.
    pub answered_at: WallTime,
    /// The message.
    pub message: Box<str>,
    /// The answer.
    pub answer: Box<str>,
}

/// Where a list of sessions goes on: behind the one that was updated then and has this name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionPlace {
    /// When.
    pub updated_at: WallTime,
    /// The name.
    pub name: Box<str>,
}

/// Which ended runs are to be let go of: the oldest ends first.
/// Which ended runs are to be let go of: the oldest ends first. One whose callback is outstanding is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Those that ended before this moment.
    pub ended_before: WallTime,
    /// And so many of the oldest in any case.
    pub excess: u64,
    /// But at most so many at once.
    pub runs_max: usize,
}

/// What a sweep has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Runs that were let go of.
    pub runs: u64,
    /// The newest id that was ever swept away.
    pub swept_to: Option<Uuid>,
    /// When the one that ended first of those that are left did.
    pub oldest_end: Option<WallTime>,
}

/// How a message begins, behind the blanks before it: what a list of sessions has of the oldest one. A message may be long, and a
/// list is to be made without reading it.
pub fn beginning(message: &str) -> &str {
    let message = message.trim_start();
    let mut end = message.len().min(BEGINNING_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// Bytes of a beginning: enough for a title, whatever blanks its words have between them.
pub const BEGINNING_BYTES_MAX: usize = 1024;

impl Loaded {
    /// Bytes of all its texts.
    pub fn bytes(&self) -> usize {
        let bytes = |run: &Unfinished| {
            let inputs: usize = run.inputs.iter().map(|input| input.len()).sum();
            let events: usize = run.events.iter().map(|event| event.json.len()).sum();
            run.admitted.question.len() + run.admitted.subject.message.len() + inputs + events
        };
        let uncalled = self.uncalled.iter().map(|uncalled| uncalled.callback.url.len());
        self.unfinished.iter().map(bytes).chain(uncalled).sum()
    }
}

impl Record {
    /// The run that it is about.
    pub fn run(&self) -> Uuid {
        match self {
            Record::Admitted(Admitted { run, .. })
            | Record::Said(Said { run, .. })
            | Record::Inputs { run, .. }
            | Record::Events { run, .. }
            | Record::Bounds { run, .. }
            | Record::Ended { run, .. }
            | Record::Called { run, .. }
            | Record::Forgotten { run } => *run,
        }
    }
}
