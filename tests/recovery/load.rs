//! The clients. Each does one thing over and over and takes every break for what it is; none of them ever sleeps.
//!
//! They keep few runs at work, so that a run seldom is at work in three processes that are killed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::oracle::{Known, Oracle};
use crate::random::Random;
use crate::reader::Reader;
use crate::wire::{Answer, Broken, Wire};

/// What all clients share.
pub struct World {
    /// Where every process listens.
    pub address: SocketAddr,
    /// Which process is there.
    pub gate: Gate,
    /// What was told.
    pub oracle: Oracle,
}

/// What a client needs to talk to whichever process there is.
pub struct Client {
    world: Arc<World>,
    random: Random,
    wire: Option<Wire>,
    /// The process that it talks to. Who is slow may have met the next one already.
    process: u32,
    /// The one that was killed under it.
    lost: u32,
    /// Hears of everything that is told: the moments of killing are chosen by it.
    news: Sender<()>,
}

impl Client {
    /// A client with randomness of its own.
    pub fn new(world: &Arc<World>, seed: u64, news: Sender<()>) -> Client {
        Client { world: Arc::clone(world), random: Random::new(seed), wire: None, process: 0, lost: 0, news }
    }

    /// Asks for tasks, in bursts and alone, with and without a key. A key is used until its 202 has come, and again
    /// later. Some go to be cancelled.
    pub fn submit(mut self, to_cancel: &Sender<String>) {
        while !self.is_last() {
            let begun = match self.random.below(4) {
                0 => {
                    let count = 2 + self.random.below(4);
                    self.submit_many(count)
                }
                1 => self.submit_again().into_iter().collect(),
                _ => vec![self.submit_with_key()],
            };
            for run in &begun {
                if self.random.below(4) == 0 {
                    // Who cancels may have ended before us.
                    let _ = to_cancel.send(run.clone());
                }
            }
            // So that there are never many at work.
            for run in begun {
                self.await_end(&run);
            }
        }
    }

    /// Without a key, all in one write: those that are not acknowledged may be or not.
    fn submit_many(&mut self, count: usize) -> Vec<String> {
        let bodies: Vec<Value> = (0..count).map(|_| self.question()).collect();
        let answers = self.talk(|wire, answers: &mut Vec<Answer>| {
            for body in &bodies {
                wire.send("POST", "/chat/async", "", Some(body))?;
            }
            for _ in &bodies {
                answers.push(wire.answer()?);
            }
            Ok(())
        });
        let process = self.process;
        let begun: Vec<String> = answers.iter().map(accepted).collect();
        begun.iter().for_each(|run| self.world.oracle.acknowledged(run, process));
        begun
    }

    fn submit_with_key(&mut self) -> String {
        let key = format!("{:016x}", self.random.below(usize::MAX));
        let body = self.question();
        self.world.oracle.asks(&key, body, self.world.gate.newest());
        self.ask_under(&key)
    }

    /// Under a key that was used before, be it by another client that still waits for its 202.
    fn submit_again(&mut self) -> Option<String> {
        let pick = self.random.below(1 << 20);
        let key = self.world.oracle.key(pick)?;
        self.world.oracle.count(|counts| counts.asked_again += 1);
        Some(self.ask_under(&key))
    }

    fn ask_under(&mut self, key: &str) -> String {
        let (asked, fields) = (self.world.oracle.asked(key), format!("Idempotency-Key: {key}\r\n"));
        loop {
            if let Some(answer) = self.ask("POST", "/chat/async", &fields, Some(&asked.body)) {
                let run = accepted(&answer);
                self.world.oracle.keyed(key, &run);
                self.world.oracle.acknowledged(&run, asked.process);
                return run;
            }
            self.world.oracle.count(|counts| counts.asked_again += 1);
        }
    }

    /// Waits for the end of a run, over as many processes as that takes.
    pub fn await_end(&mut self, run: &str) {
        let target = format!("/chat/task/{run}?wait=10");
        loop {
            let before = self.world.oracle.known(run);
            let Some(answer) = self.ask("GET", &target, "", None) else { continue };
            self.show(run, &answer, before);
            if self.world.oracle.known(run).is_over {
                return;
            }
        }
    }

    /// Cancels tasks. One whose cancelling was not confirmed may end either way.
    pub fn cancel(mut self, tasks: &Receiver<String>) {
        for run in tasks {
            let before = self.world.oracle.known(&run);
            if let Some(answer) = self.ask("DELETE", &format!("/tasks/{run}"), "", None) {
                self.show(&run, &answer, before);
                assert!(
                    self.world.oracle.known(&run).is_over,
                    "{run}: DELETE answered 200 and it is not over"
                );
                self.world.oracle.count(|counts| counts.cancels += 1);
            }
        }
    }

    /// Asks and waits. Whose answer does not come may ask anew; what has become of the first is nobody's business.
    pub fn chat(mut self) {
        while !self.is_last() {
            let body = self.question();
            let Some(answer) = self.ask("POST", "/chat", "", Some(&body)) else { continue };
            assert_eq!(answer.status, 200, "{}", answer.json());
            let response = answer.json();
            let run = response["run_id"].as_str().expect("an answer names its run");
            self.world.oracle.acknowledged(run, self.process);
            self.world.oracle.ended(run, "completed", Some(&response));
        }
    }

    /// Looks at tasks, the newest most of the time, and at the list of them.
    pub fn poll(mut self) {
        while !self.is_last() {
            if self.random.below(8) == 0 {
                self.list();
            }
            let newest = if self.random.below(4) == 0 { 1 << 20 } else { 20 };
            let pick = self.random.below(newest);
            match self.world.oracle.run(pick) {
                Some(run) => {
                    let before = self.world.oracle.known(&run);
                    if let Some(answer) = self.ask("GET", &format!("/chat/task/{run}"), "", None) {
                        self.show(&run, &answer, before);
                    }
                }
                None => drop(self.ask("GET", "/health", "", None)),
            }
        }
    }

    fn list(&mut self) {
        let Some(answer) = self.ask("GET", "/tasks?limit=50", "", None) else { return };
        let page = answer.json();
        for row in page["tasks"].as_array().expect("a list of tasks") {
            let (run, status) = (row["task_id"].as_str().expect("an id"), row["status"].as_str());
            if !row["completed_at"].is_null() {
                self.world.oracle.ended(run, status.expect("a status"), None);
            }
        }
    }

    /// Asks for streams and reads each to its end, over as many processes as that takes.
    pub fn stream(mut self) {
        while !self.is_last() {
            let mut reader = Reader::default();
            let body = self.question();
            self.read_on("POST", "/chat/stream", Some(&body), &mut reader);
            // Without one event it is not known which run it is.
            if reader.run.is_some() {
                self.read_to_end(&mut reader);
            }
        }
    }

    /// Reads the logs of tasks that others have asked for, from the start.
    pub fn follow(mut self) {
        while !self.is_last() {
            let pick = self.random.below(4);
            match self.world.oracle.run(pick) {
                Some(run) => self.read_to_end(&mut Reader::of(&run)),
                None => drop(self.ask("GET", "/health", "", None)),
            }
        }
    }

    /// Joins the run's stream until its last event has come.
    pub fn read_to_end(&mut self, reader: &mut Reader) {
        let run = reader.run.clone().expect("whoever joins knows what");
        while !reader.is_done {
            let joins = reader.position > 0;
            self.read_on("GET", &format!("/chat/task/{run}/stream"), None, reader);
            self.world.oracle.count(|counts| counts.rejoined += usize::from(joins));
        }
        let target = format!("/chat/task/{run}/stream");
        if let Some(answer) = self.ask("GET", &target, &reader.resume_fields(), None) {
            assert_eq!(answer.status, 204, "{run}: who has had all is told so");
        }
        let (voided, restarts) = (reader.voided, reader.restarts);
        self.world.oracle.count(|counts| {
            counts.voided += voided;
            counts.restarts += restarts;
            counts.streams += 1;
        });
    }

    /// One connection's worth of a stream.
    fn read_on(&mut self, method: &str, target: &str, body: Option<&Value>, reader: &mut Reader) {
        let world = Arc::clone(&self.world);
        let news = self.news.clone();
        let fields = reader.resume_fields();
        let mut is_known = reader.run.is_some();
        let process = self.process_there();
        let told = self.talk(|wire, told: &mut Vec<u16>| {
            wire.send(method, target, &fields, body)?;
            told.push(wire.stream_head()?);
            while let Some(event) = wire.event()? {
                reader.take(event, &world.oracle);
                if !std::mem::replace(&mut is_known, true) {
                    let run = reader.run.as_deref().expect("it has an event");
                    world.oracle.acknowledged(run, process);
                }
                let _ = news.send(());
            }
            assert!(reader.is_done, "a stream ended before its run did: {target}");
            Ok(())
        });
        assert!(matches!(told[..], [] | [200]), "{method} {target} was answered with {told:?}");
        // One stream to a connection.
        self.wire = None;
    }

    // --- Talking --------------------------------------------------------------------------------------------------

    /// One request and its answer; `None` if the process was killed meanwhile.
    fn ask(&mut self, method: &str, target: &str, fields: &str, body: Option<&Value>) -> Option<Answer> {
        let answers = self.talk(|wire, answers: &mut Vec<Answer>| {
            wire.send(method, target, fields, body)?;
            answers.push(wire.answer()?);
            Ok(())
        });
        answers.into_iter().next()
    }

    /// Says something to whichever process is there; answers what was heard before it was killed.
    fn talk<T>(&mut self, say: impl FnOnce(&mut Wire, &mut Vec<T>) -> Result<(), Broken>) -> Vec<T> {
        self.process_there();
        let mut heard = Vec::new();
        let outcome = match &mut self.wire {
            Some(wire) => say(wire, &mut heard),
            None => Err(Broken),
        };
        if outcome.is_err() {
            self.wire = None;
            self.lost = self.process;
        }
        for _ in &heard {
            // At last nobody listens.
            let _ = self.news.send(());
        }
        heard
    }

    /// The process that there is a connection to, if need be a new one.
    fn process_there(&mut self) -> u32 {
        while self.wire.is_none() {
            self.process = self.world.gate.process_after(self.lost);
            self.wire = Wire::connect(self.world.address).ok();
            if self.wire.is_none() {
                self.lost = self.process;
            }
        }
        self.process
    }

    fn is_last(&self) -> bool {
        self.world.gate.is_last()
    }

    fn show(&self, run: &str, answer: &Answer, before: Known) {
        assert_eq!(answer.status, 200, "{run} was acknowledged: {}", answer.json());
        self.world.oracle.shown(run, &answer.json(), before, self.world.gate.newest());
    }

    fn question(&mut self) -> Value {
        let mut word = || format!("word{}", self.random.below(WORDS));
        json!({ "message": format!("What do {}, {} and {} have in common?", word(), word(), word()) })
    }
}

/// Words in the notes.
pub const WORDS: usize = 500;

fn accepted(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["task_id"].as_str().expect("a task has an id").to_owned()
}
