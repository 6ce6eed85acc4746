//! What clients were told, and so what must hold from then on, whatever happens to the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// What was told, shared by all clients.
#[derive(Debug, Default)]
pub struct Oracle {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    runs: BTreeMap<String, Run>,
    /// The same, in the order in which they became known.
    order: Vec<String>,
    keys: BTreeMap<String, Asked>,
    events: BTreeMap<(String, u64), String>,
    counts: Counts,
}

/// A run that was acknowledged.
#[derive(Debug, Default)]
struct Run {
    /// The process that did.
    process: u32,
    /// Somebody was told that it is at work.
    has_begun: bool,
    /// How it ended, if anybody was told.
    outcome: Option<String>,
    /// Its answer, likewise.
    result: Option<Value>,
    /// What `GET /chat/task/{id}` says of its end.
    view: Option<Value>,
}

/// What is asked under a key.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The body.
    pub body: Value,
    /// The process that was asked first, at the earliest.
    pub process: u32,
    /// The run that it is, once anybody was told.
    run: Option<String>,
}

/// How far a run had come, by what anybody was told.
#[derive(Debug, Default, Clone, Copy)]
pub struct Known {
    /// It is at work.
    pub has_begun: bool,
    /// It has ended.
    pub is_over: bool,
}

/// What has happened, to see that it did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Streams that were joined again after a break.
    pub rejoined: usize,
    /// Restarts that readers were told.
    pub restarts: usize,
    /// Events that these made void.
    pub voided: usize,
    /// Requests under a key that was used before.
    pub asked_again: usize,
    /// Tasks that were cancelled.
    pub cancels: usize,
    /// Streams that were read to their end.
    pub streams: usize,
}

/// How the error of a run begins that was at work in too many processes.
const TOO_MANY_ATTEMPTS: &str = "the process ended 3 times while this run was at work";
/// That many must have been killed meanwhile.
const ATTEMPTS_MAX: u32 = 3;

impl Oracle {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Whoever found a fault has said so; the others need not say it again.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run was acknowledged by this process at the earliest.
    pub fn acknowledged(&self, run: &str, process: u32) {
        let mut tables = self.tables();
        // Somebody else may have been told of its end before its own client has read that it was accepted.
        if !tables.order.iter().any(|known| known == run) {
            tables.runs.entry(run.to_owned()).or_default().process = process;
            tables.order.push(run.to_owned());
        }
    }

    /// This is asked under that key, of this process at the earliest.
    pub fn asks(&self, key: &str, body: Value, process: u32) {
        self.tables().keys.insert(key.to_owned(), Asked { body, process, run: None });
    }

    /// What was asked under the key is this run, now and ever.
    pub fn keyed(&self, key: &str, run: &str) {
        let mut tables = self.tables();
        let asked = tables.keys.get_mut(key).expect("it was asked under this key");
        let known = asked.run.get_or_insert_with(|| run.to_owned());
        assert_eq!(known, run, "another run under the key {key}");
    }

    /// What was asked under this key.
    pub fn asked(&self, key: &str) -> Asked {
        self.tables().keys.get(key).cloned().expect("it was asked under this key")
    }

    /// One of the keys, the `pick`th.
    pub fn key(&self, pick: usize) -> Option<String> {
        let tables = self.tables();
        tables.keys.keys().nth(pick % tables.keys.len().max(1)).cloned()
    }

    /// One of the acknowledged runs, the `pick`th from the newest.
    pub fn run(&self, pick: usize) -> Option<String> {
        let tables = self.tables();
        tables.order.iter().rev().nth(pick % tables.order.len().max(1)).cloned()
    }

    /// All acknowledged runs.
    pub fn runs(&self) -> Vec<String> {
        self.tables().order.clone()
    }

    /// How far the run has come, as far as anybody was told.
    pub fn known(&self, run: &str) -> Known {
        let tables = self.tables();
        let known = tables.runs.get(run);
        known.map_or(Known::default(), |run| Known {
            has_begun: run.has_begun,
            is_over: run.outcome.is_some(),
        })
    }

    /// Somebody was told an event.
    pub fn told(&self, run: &str, number: u64, text: &str) {
        let mut tables = self.tables();
        let known = tables.events.entry((run.to_owned(), number)).or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "{run}: another event under number {number}");
    }

    /// Somebody was told how the run has ended: it never ends otherwise. An answer, if told, is the only one.
    pub fn ended(&self, run: &str, outcome: &str, result: Option<&Value>) {
        let mut tables = self.tables();
        let known = tables.runs.entry(run.to_owned()).or_default();
        let before = known.outcome.get_or_insert_with(|| outcome.to_owned());
        assert_eq!(before, outcome, "{run} has ended otherwise");
        if let Some(result) = result {
            let before = known.result.get_or_insert_with(|| result.clone());
            assert_eq!(before, result, "{run} has another answer");
        }
    }

    /// `GET /chat/task/{id}` or `DELETE /tasks/{id}` was answered with this, by this process at the latest.
    /// `before` is what was known before it was asked: a run never goes back.
    pub fn shown(&self, run: &str, view: &Value, before: Known, process: u32) {
        let status = view["status"].as_str().expect("a task has a status");
        assert_eq!(view["task_id"], run);
        if matches!(status, "pending" | "running") {
            assert!(!before.is_over, "{run} had ended and is {status} again");
            assert!(!before.has_begun || status == "running", "{run} was at work and is {status} again");
            if let Some(known) = self.tables().runs.get_mut(run) {
                known.has_begun |= status == "running";
            }
            return;
        }
        self.ended(run, status, Some(&view["result"]).filter(|result| !result.is_null()));
        let mut tables = self.tables();
        let known = tables.runs.get_mut(run).expect("it was entered in the line above");
        let before = known.view.get_or_insert_with(|| view.clone());
        assert_eq!(before, view, "{run} has ended otherwise");
        if status == "failed" {
            let error = view["error"].as_str().unwrap_or("");
            assert!(error.starts_with(TOO_MANY_ATTEMPTS), "{run} failed: {error}");
            let killed = process.saturating_sub(known.process);
            assert!(killed >= ATTEMPTS_MAX, "{run} was given up after {killed} kills");
        }
    }

    /// The file that a killed process has left holds every acknowledged run, and each end that was told.
    pub fn check_file(&self, kept: &BTreeMap<String, Option<&'static str>>) {
        for (run, known) in &self.tables().runs {
            let Some(outcome) = kept.get(run) else { panic!("{run} was acknowledged and is not kept") };
            if let Some(told) = &known.outcome {
                assert_eq!(*outcome, Some(told.as_str()), "{run}: its end was told and is not kept");
            }
        }
    }

    /// The whole log of a run, as a fresh reader has found it at last, holds all that was ever told of it, but for what
    /// it says is void.
    pub fn check_log(&self, run: &str, log: &BTreeMap<u64, Value>) {
        let tables = self.tables();
        let is_void = |number: u64| {
            log.range(number..).any(|(_, event)| event["keep"].as_u64().is_some_and(|keep| keep < number))
        };
        let from = (run.to_owned(), 0);
        for ((_, number), text) in tables.events.range(from..).take_while(|((of, _), _)| of == run) {
            assert!(log.contains_key(number) || is_void(*number), "{run}: {number} is gone: {text}");
        }
    }

    /// How many runs have ended so.
    pub fn outcomes(&self) -> BTreeMap<String, usize> {
        let mut outcomes = BTreeMap::new();
        for run in self.tables().runs.values() {
            *outcomes.entry(run.outcome.clone().unwrap_or_default()).or_default() += 1;
        }
        outcomes
    }

    /// Requests under a key, and the runs that they are.
    pub fn keys(&self) -> (usize, BTreeSet<String>) {
        let tables = self.tables();
        let runs = tables.keys.values().filter_map(|asked| asked.run.clone());
        (tables.keys.len(), runs.collect())
    }

    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.tables().counts);
    }

    /// What has happened.
    pub fn counts(&self) -> Counts {
        self.tables().counts
    }
}
