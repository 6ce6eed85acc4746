//! What all actors of one world share: the notes that everyone knows, and what anyone has learnt about a run.
//!
//! The oracle is where answers are compared with each other: two readers of one run must have been told the same.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use oneloop::base::Time;
use oneloop::config::Config;
use oneloop::limits::Limits;
use oneloop::os::sim::Random;
use serde_json::Value;

use super::ledger::Ledger;
use super::model::account::Account;
use super::receiver::Calls;
use super::talks::Talks;

/// Notes that nobody edits; each has a code that an answer about it must not confuse with another's.
pub const SUBJECTS: [&str; 12] = [
    "zebra", "quartz", "walrus", "juniper", "kelvin", "lantern", "magnet", "nectar", "orchid", "pebble",
    "raven", "saffron",
];

/// The code of a subject.
pub fn code(subject: usize) -> String {
    format!("QX{}", 1000 + subject * 37)
}

/// What everyone knows.
#[derive(Debug)]
pub struct Town {
    /// What its hash maps are seeded with.
    pub seed: u64,
    /// What the operator wants.
    pub config: Config,
    /// Bounds in force.
    pub limits: Limits,
    /// Ended runs may be forgotten while somebody still asks for them.
    pub forgets_runs: bool,
    /// Connections may be closed to make room for others.
    pub evicts: bool,
    /// Connections may be reset by the network, or on being accepted.
    pub resets: bool,
    /// A signal was sent.
    pub is_stopping: Cell<bool>,
    /// There is no server for now.
    pub is_down: Cell<bool>,
    /// Processes that have ended, or were killed.
    pub ends: Cell<u32>,
    /// A process that was told to stop is followed by another.
    pub comes_back: bool,
    /// The store may fail.
    pub store_fails: bool,
    /// Notes may not be written, for want of room or leave.
    pub notes_fail: bool,
    /// Notes may not be read.
    pub reads_fail: bool,
    /// A scan that was asked for in calm weather was answered: every subject's note is known from here on.
    pub is_indexed: Cell<bool>,
    /// A model answers, if it does.
    pub has_model: bool,
    /// Somebody may read many ended runs at once, over a WebSocket.
    pub has_sockets: bool,
    /// There is an embedding server to ask.
    pub embeds: bool,
    /// It is there, and answers in calm weather.
    pub is_embedded: bool,
    /// Whoever asks for vectors again and again has them some time: the server has sockets enough to ask for them.
    pub gives_vectors: bool,
    /// Its prompts have room for every passage that was found.
    pub has_roomy_prompts: bool,
    /// What it was asked and what it told.
    pub account: RefCell<Account>,
    /// What a receiver of callbacks was told.
    pub calls: RefCell<Calls>,
    /// What is known of runs.
    pub oracle: RefCell<Oracle>,
    /// Runs whose client can't come back and that nobody else has looked for, each with the processes that had ended when it was
    /// told of it.
    pub completions: RefCell<BTreeMap<String, u32>>,
    /// Somebody who waited for a completion has left, or shut its sending side, which ends a run of which it may not know.
    pub ends_completions: Cell<bool>,
    /// What is known of sessions.
    pub talks: RefCell<Talks>,
    /// What is known of the note that a model adds to.
    pub ledger: RefCell<Ledger>,
}

impl Town {
    /// A town with nobody in it yet.
    pub fn new(seed: u64, config: Config, limits: Limits) -> Town {
        Town {
            seed,
            forgets_runs: config.task_keep < 1000 || config.task_ttl < Duration::from_secs(10_000),
            evicts: limits.connections_max < 100,
            resets: false,
            is_stopping: Cell::new(false),
            is_down: Cell::new(false),
            ends: Cell::new(0),
            store_fails: false,
            notes_fail: false,
            reads_fail: false,
            comes_back: false,
            is_indexed: Cell::new(false),
            has_model: false,
            has_sockets: false,
            embeds: false,
            is_embedded: false,
            gives_vectors: false,
            has_roomy_prompts: false,
            account: RefCell::default(),
            completions: RefCell::default(),
            ends_completions: Cell::new(false),
            talks: RefCell::default(),
            calls: RefCell::default(),
            ledger: RefCell::default(),
            oracle: RefCell::new(Oracle { attempts_max: limits.run_attempts_max, ..Oracle::default() }),
            config,
            limits,
        }
    }
}

impl Town {
    /// Somebody was told an event of a run.
    ///
    /// # Errors
    /// In words, how it contradicts what was told before, or what the model has told.
    pub fn event(&self, run: &str, number: u64, data: &str, now: Time) -> Result<(), String> {
        if data.starts_with("{\"type\":\"complete\"") {
            let event: Value = serde_json::from_str(data).map_err(|error| format!("an event: {error}"))?;
            self.account.borrow().check_answer(None, &event["response"])?;
        }
        if data.starts_with("{\"type\":\"update\"") {
            let event: Value = serde_json::from_str(data).map_err(|error| format!("an event: {error}"))?;
            self.ledger.borrow_mut().told(&event["update"])?;
        }
        self.oracle.borrow_mut().event(run, number, data, now)
    }
}

/// A town that many share.
pub type Shared = Rc<Town>;

/// What is known of one run.
#[derive(Debug, Default)]
struct Known {
    status: Option<String>,
    /// When somebody was first told how it ended.
    ended_known: Option<Time>,
    response: Option<String>,
    events: BTreeMap<u64, String>,
    ended_at: Option<u64>,
    may_be_cancelled: bool,
    has_end_wanted: bool,
    /// Somebody was told that it was accepted.
    is_accepted: bool,
    /// Events between the first number and the second are void.
    void: Vec<(u64, u64)>,
}

/// What anyone has learnt about runs.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Processes that have ended.
    pub ends: u32,
    /// Processes after which a run is given up.
    attempts_max: u32,
    /// The task that each idempotency key has named.
    by_key: BTreeMap<u32, String>,
    /// What somebody was told to be written into the note that all share.
    written: BTreeSet<String>,
    /// Of what the agent was told: whether it stands in a note, or was taken away again.
    noted: BTreeMap<String, bool>,
    runs: BTreeMap<String, Known>,
}

const TERMINAL: [&str; 3] = ["completed", "failed", "cancelled"];

/// How far a status is on its way; `None` if it is none.
pub fn rank(status: &str) -> Option<u8> {
    match status {
        "pending" => Some(0),
        "running" => Some(1),
        status if is_terminal(status) => Some(2),
        _ => None,
    }
}

/// A status that does not change any more.
pub fn is_terminal(status: &str) -> bool {
    TERMINAL.contains(&status)
}

impl Oracle {
    /// Somebody has cancelled this run, or was away for so long that the server may have.
    pub fn may_be_cancelled(&mut self, run: &str) {
        self.runs.entry(run.to_owned()).or_default().may_be_cancelled = true;
    }

    /// Somebody was told that this run was accepted: from here on it is never lost.
    pub fn accepted(&mut self, run: &str) {
        self.runs.entry(run.to_owned()).or_default().is_accepted = true;
    }

    /// Somebody was told which task his key names.
    ///
    /// # Errors
    /// It has named another, and that was not forgotten.
    pub fn under_key(&mut self, key: u32, run: &str, forgets: bool) -> Result<(), String> {
        match self.by_key.insert(key, run.to_owned()) {
            Some(before) if before != run && !forgets => {
                Err(format!("the key {key} has named task {before}, and names {run} now"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Somebody was told that this stands in the note that all share: from here on it is never lost.
    pub fn wrote(&mut self, token: &str) {
        self.written.insert(token.to_owned());
    }

    /// Somebody was told that the agent has made a note of this, or that it is gone again.
    pub fn noted(&mut self, token: &str, is_there: bool) {
        self.noted.insert(token.to_owned(), is_there);
    }

    /// Somebody is about to have it taken away.
    pub fn forget_note(&mut self, token: &str) {
        self.noted.remove(token);
    }

    /// What the agent was told stands in one note, unless it was taken away again. `notes` are those with a text.
    ///
    /// # Errors
    /// In words, what is there in its place.
    pub fn check_noted(&self, notes: impl Fn(&str) -> Vec<String>) -> Result<(), String> {
        for (token, is_there) in &self.noted {
            let found = notes(token);
            if found.len() != usize::from(*is_there) {
                return Err(format!("{token} was noted ({is_there}), and stands in {found:?}"));
            }
        }
        Ok(())
    }

    /// The note that all share has all that was written into it, each once, and the rest of nobody's.
    ///
    /// # Errors
    /// In words, what it has not.
    pub fn check_tally(&self, text: &str) -> Result<(), String> {
        for token in &self.written {
            let count = text.lines().filter(|line| line == token).count();
            if count != 1 {
                return Err(format!(
                    "{token} was written into the shared note and stands there {count} times"
                ));
            }
        }
        Ok(())
    }

    /// Runs of which somebody was told that they were accepted.
    pub fn all_accepted(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().filter(|(_, known)| known.is_accepted).map(|(id, _)| id.as_str())
    }

    /// Somebody is about to ask for this run's end.
    pub fn want_end(&mut self, run: &str) {
        let known = self.runs.entry(run.to_owned()).or_default();
        (known.may_be_cancelled, known.has_end_wanted) = (true, true);
    }

    /// Somebody has asked for this run's end, or is about to.
    pub fn has_end_wanted(&self, run: &str) -> bool {
        self.runs.get(run).is_some_and(|known| known.has_end_wanted)
    }

    /// Somebody has heard of this run.
    pub fn knows(&self, run: &str) -> bool {
        self.runs.contains_key(run)
    }

    /// Some run that somebody has heard of: the newest are the most interesting.
    pub fn any_run(&self, random: &mut Random) -> Option<String> {
        let back = random.spread(4) - 1;
        self.runs.keys().rev().nth(back.min(self.runs.len().saturating_sub(1))).cloned()
    }

    /// Somebody who had asked at `asked` was told a run's status now.
    ///
    /// # Errors
    /// In words, how it contradicts what was told before.
    pub fn status(&mut self, run: &str, status: &str, asked: Time, now: Time) -> Result<(), String> {
        let known = self.runs.entry(run.to_owned()).or_default();
        if let Some(before) = known.status.as_ref().filter(|before| is_terminal(before)) {
            if is_terminal(status) && status != before {
                return Err(format!("run {run} was {before} and is {status} now"));
            }
            // Whoever reads slowly is told of what was when he asked, but no earlier.
            if !is_terminal(status) && known.ended_known.is_some_and(|ended| ended < asked) {
                return Err(format!("run {run} was {before} before somebody asked, and is {status}"));
            }
            return Ok(());
        }
        // Whoever was at work in so many processes that were killed is given up; nothing else fails.
        if status == "failed" && self.ends < self.attempts_max {
            return Err(format!("run {run} has failed"));
        }
        // One whose client was lost with the process that had just taken it on is nobody's, and may have been cancelled.
        let is_somebodys = known.is_accepted || self.ends == 0;
        if status == "cancelled" && !known.may_be_cancelled && is_somebodys {
            return Err(format!("run {run} is cancelled, and nobody wanted that"));
        }
        known.status = Some(status.to_owned());
        if is_terminal(status) {
            known.ended_known = Some(now);
        }
        Ok(())
    }

    /// Somebody was told a run's response.
    ///
    /// # Errors
    /// If another was told before.
    pub fn response(&mut self, run: &str, response: &str) -> Result<(), String> {
        let known = self.runs.entry(run.to_owned()).or_default();
        let before = known.response.get_or_insert_with(|| response.to_owned());
        if before == response {
            return Ok(());
        }
        Err(format!("the response of run {run} was {before} and is {response}"))
    }

    /// Somebody was told an event of a run.
    ///
    /// # Errors
    /// In words, how it contradicts what was told before.
    pub fn event(&mut self, run: &str, number: u64, data: &str, now: Time) -> Result<(), String> {
        let known = self.runs.entry(run.to_owned()).or_default();
        if known.ended_at.is_some_and(|end| number > end) {
            return Err(format!("run {run} has event {number} behind its last one"));
        }
        match known.events.get(&number) {
            Some(before) if before != data => {
                return Err(format!("event {number} of run {run} was {before} and is {data} now"));
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let event: Value =
            serde_json::from_str(data).map_err(|error| format!("an event: {error}: {data}"))?;
        known.events.insert(number, data.to_owned());
        if event["type"] == "complete" {
            let response =
                event["response"]["response"].as_str().ok_or("a complete event without a response")?;
            self.response(run, response)?;
        }
        let known = self.runs.entry(run.to_owned()).or_default();
        let is_given_up =
            event["detail"].as_str().is_some_and(|detail| detail.contains("it is not tried again"));
        if event["type"] == "error" && !is_given_up {
            return Err(format!("run {run} has failed: {data}"));
        }
        if event["type"] == "restart" {
            let keep = event["keep"].as_u64().ok_or("a restart that does not say what it keeps")?;
            if keep >= number {
                return Err(format!("run {run} keeps up to {keep} at its event {number}"));
            }
            known.void.push((keep, number));
        }
        if event["type"] == "done" {
            known.ended_at = Some(number);
            if known.events.range(number + 1..).next().is_some() {
                return Err(format!("run {run} is done at {number}, and there are later events"));
            }
            let status = event["status"].as_str().unwrap_or("?").to_owned();
            self.status(run, &status, now, now)?;
            return self.check_log(run);
        }
        Ok(())
    }

    /// The order of a whole log: `status`+ `sources` `token`* `complete` `done`, and the tokens are the response. Where the
    /// model was asked, there is more of it, and only the tokens behind the last `revision` count.
    fn check_log(&self, run: &str) -> Result<(), String> {
        let Some(known) = self.runs.get(run) else { return Ok(()) };
        let Some(end) = known.ended_at else { return Ok(()) };
        // What is void was told and is taken back; a reader that was away may not even have seen it.
        let is_void =
            |number: u64| known.void.iter().any(|(keep, restart)| *keep < number && number <= *restart);
        let stands = known.events.iter().filter(|(number, _)| !is_void(**number));
        let void: u64 = (1..=end).filter(|number| is_void(*number)).count() as u64;
        if stands.clone().count() as u64 + void != end {
            return Ok(());
        }
        let events: Vec<Value> =
            stands.map(|(_, data)| serde_json::from_str(data).unwrap_or(Value::Null)).collect();
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap_or("?")).collect();
        let is_asking = |event: &Value| event["type"] == "status" && event["status"] == "asking";
        let is_modelled = events.iter().any(is_asking);
        let rank = |kind: &str| match kind {
            "sources" | "token" | "reasoning" | "revision" | "update" if is_modelled => 0,
            "status" => 0,
            "sources" => 1,
            "token" => 2,
            "complete" | "error" => 3,
            "done" => 4,
            _ => 9,
        };
        let is_ordered = kinds.windows(2).all(|pair| {
            rank(pair[0]) < rank(pair[1])
                || (rank(pair[0]) == rank(pair[1]) && is_modelled && rank(pair[0]) == 0)
                || (pair[0] == pair[1] && rank(pair[0]) % 2 == 0 && rank(pair[0]) < 4)
        });
        if !is_ordered || kinds.contains(&"?") {
            return Err(format!("the events of run {run} are out of order: {kinds:?}"));
        }
        if events.last().is_some_and(|last| last["status"] == "completed") {
            let revised = kinds.iter().rposition(|kind| *kind == "revision").map_or(0, |at| at + 1);
            let tokens = events[revised..].iter().filter(|event| event["type"] == "token");
            let tokens: String = tokens.filter_map(|event| event["text"].as_str()).collect();
            let complete = events.iter().find(|event| event["type"] == "complete");
            let response = complete.and_then(|event| event["response"]["response"].as_str());
            if response != Some(tokens.as_str()) {
                return Err(format!("the tokens of run {run} are not its response: {tokens} / {response:?}"));
            }
        }
        Ok(())
    }

    /// Runs whose end somebody was told.
    pub fn ended(&self) -> impl Iterator<Item = (&str, &str)> {
        self.runs.iter().filter_map(|(id, known)| {
            let status = known.status.as_deref().filter(|status| is_terminal(status))?;
            Some((id.as_str(), status))
        })
    }
}
