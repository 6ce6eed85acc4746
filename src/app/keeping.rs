//! What is kept of one run: how far its records have come, and what is still to be sent.
//!
//! The run itself is the buffer. Nothing is queued for the store: when a batch leaves, what a run has beyond its `sent`
//! mark is put into words, and the mark is moved. A commit that fails moves it back, and all of it is said again.
//!
//! ```text
//!                 kept            sent           (now)
//!   inputs, events ─┼───────────────┼──────────────┤
//!    on disk        │ in the batch  │ in the next  │
//! ```

use std::collections::VecDeque;

use uuid::Uuid;

use super::run_log::Log;
use crate::agent::Input;
use crate::base::WallTime;
use crate::store::{Admitted, Ending, Idempotency, Record, Said, Subject};

/// How far the records of a run have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// That there is such a run.
    pub admitted: bool,
    /// Inputs.
    pub inputs: u64,
    /// Events, by their places in the log.
    pub events: usize,
    /// Event numbers that may be told.
    pub reserved: u64,
    /// How often it was set to work.
    pub attempts: u32,
    /// Its end.
    pub ended: bool,
}

/// What is kept of one run, and what is to be.
#[derive(Debug)]
pub struct Keeping {
    /// What a commit was confirmed for.
    pub kept: Marks,
    /// What was sent to be kept.
    sent: Marks,
    /// What is asked, as JSON; needed until the run is kept.
    question: Box<str>,
    /// What lists tell of it; needed as long.
    subject: Subject,
    key: Option<Idempotency>,
    /// What it was given behind `kept.inputs`.
    inputs: VecDeque<Input>,
    reserved: u64,
    /// How often it was set to work.
    pub attempts: u32,
    /// It stands in the queue of those that have something to keep.
    pub is_queued: bool,
}

impl Keeping {
    /// Nothing is kept yet of a run that asks this.
    pub fn new(question: Box<str>, subject: Subject, key: Option<Idempotency>, reserved: u64) -> Keeping {
        Keeping {
            kept: Marks::default(),
            sent: Marks::default(),
            question,
            subject,
            key,
            inputs: VecDeque::new(),
            reserved,
            attempts: 0,
            is_queued: false,
        }
    }

    /// All of it is kept, so far.
    pub fn all(marks: Marks, key: Option<Idempotency>) -> Keeping {
        Keeping {
            kept: marks,
            sent: marks,
            reserved: marks.reserved,
            attempts: marks.attempts,
            ..Keeping::new("".into(), Subject::default(), key, 0)
        }
    }

    /// Bytes of the question that is still to be kept.
    pub fn question_bytes(&self) -> usize {
        self.question.len()
    }

    /// The client's own name for its request.
    pub fn key(&self) -> Option<&Idempotency> {
        self.key.as_ref()
    }

    /// Remembers an input until it is kept.
    pub fn give(&mut self, input: Input) {
        self.inputs.push_back(input);
    }

    /// All that it was given is kept.
    pub fn has_kept_inputs(&self) -> bool {
        self.kept.admitted && self.inputs.is_empty()
    }

    /// Reserves `block` further event numbers when half of those before have been given.
    pub fn reserve(&mut self, last: u64, block: u64) {
        let block = block.max(1);
        let needed = last.saturating_add(block / 2);
        if let Some(missing) = needed.checked_sub(self.reserved) {
            let blocks = missing / block + 1;
            self.reserved = self.reserved.saturating_add(blocks.saturating_mul(block));
        }
    }

    /// The run is left to the next process, in good order: no number behind its last event was told, and it is not the
    /// run's fault that this process ends.
    pub fn park(&mut self, last: u64) {
        self.reserved = last;
        self.attempts = 0;
    }

    /// Puts into words what is to be kept beyond what was sent, and takes it for sent. Answers about how many bytes
    /// that was.
    pub fn gather(&mut self, run: &Told<'_>, records: &mut Vec<Record>) -> usize {
        let before = records.len();
        if !self.sent.admitted {
            records.push(Record::Admitted(Admitted {
                run: run.id,
                created_at: run.created_at,
                question: self.question.clone(),
                subject: self.subject.clone(),
                ends_when_left: run.ends_when_left,
                key: self.key.clone(),
                reserved: self.reserved,
                callback: run.callback.map(Box::from),
            }));
            self.sent.reserved = self.reserved;
        }
        // What only serves to carry on with a run is of no use once it has ended.
        if run.ending.is_none() {
            self.gather_progress(run.id, records);
        }
        // First, as it gives back the room of the question and the inputs: the events may need it.
        if let Some(ending) = run.ending.as_ref().filter(|_| !self.sent.ended) {
            records.push(Record::Ended { run: run.id, ending: ending.clone() });
            records.extend(run.said.clone().map(Record::Said));
        }
        let events: Vec<_> = run.log.from(self.sent.events).collect();
        if !events.is_empty() {
            records.push(Record::Events { run: run.id, events });
        }
        self.sent = Marks {
            admitted: true,
            inputs: self.kept.inputs + self.inputs.len() as u64,
            events: run.log.len(),
            reserved: self.reserved,
            attempts: self.attempts,
            ended: run.ending.is_some(),
        };
        records[before..].iter().map(bytes).sum()
    }

    fn gather_progress(&mut self, run: Uuid, records: &mut Vec<Record>) {
        let sent = usize::try_from(self.sent.inputs - self.kept.inputs).unwrap_or(usize::MAX);
        let inputs: Vec<Box<str>> = self.inputs.iter().skip(sent).map(json).collect();
        if !inputs.is_empty() {
            records.push(Record::Inputs { run, first: self.sent.inputs, inputs });
        }
        if (self.reserved, self.attempts) != (self.sent.reserved, self.sent.attempts) {
            records.push(Record::Bounds { run, reserved: self.reserved, attempts: self.attempts });
        }
    }

    /// What was sent is kept. Answers what was kept before.
    pub fn confirm(&mut self) -> Marks {
        let before = std::mem::replace(&mut self.kept, self.sent);
        let kept = usize::try_from(self.kept.inputs - before.inputs).unwrap_or(usize::MAX);
        self.inputs.drain(..kept.min(self.inputs.len()));
        self.question = "".into();
        self.subject = Subject::default();
        before
    }

    /// What was sent may not be kept: it is to be sent again.
    pub fn withdraw(&mut self) {
        self.sent = self.kept;
    }
}

/// A run as its records need it.
#[derive(Debug)]
pub struct Told<'r> {
    /// Its id.
    pub id: Uuid,
    /// When it was accepted.
    pub created_at: WallTime,
    /// It is cancelled when its last reader has left for good.
    pub ends_when_left: bool,
    /// Where its end is to be told.
    pub callback: Option<&'r str>,
    /// What it has told.
    pub log: &'r Log,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
    /// What its session has of it then.
    pub said: Option<Said>,
}

fn json(input: &Input) -> Box<str> {
    let json = serde_json::to_string(input);
    json.expect("our own types have string keys and no failing serializers").into_boxed_str()
}

fn bytes(record: &Record) -> usize {
    match record {
        Record::Admitted(admitted) => admitted.question.len() + admitted.subject.message.len(),
        Record::Inputs { inputs, .. } => inputs.iter().map(|input| input.len()).sum(),
        Record::Events { events, .. } => events.iter().map(|event| event.json.len()).sum(),
        Record::Said(said) => said.message.len() + said.answer.len(),
        Record::Bounds { .. } | Record::Ended { .. } => 0,
        Record::Called { .. } | Record::Forgotten { .. } => 0,
    }
}
