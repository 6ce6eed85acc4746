//! One reader of one run, over however many connections and processes that takes.
//!
//! ```text
//!   1 2 3 4 ╳            the process dies, when 2 was the last event that was kept
//!         1025           the next one says: restart, keep 2. So 3 and 4 are void.
//!              1026 …    and the run goes on
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oracle::Oracle;
use crate::wire::Told;

/// What one reader has been told of a run.
#[derive(Debug, Default)]
pub struct Reader {
    /// The run, once its first event has come.
    pub run: Option<String>,
    /// The number of the last event.
    pub position: u64,
    /// Events that stand, with their numbers.
    pub standing: Vec<(u64, Told)>,
    /// All events, void or not, and restarts.
    pub log: BTreeMap<u64, Value>,
    /// Events that a restart made void.
    pub voided: usize,
    /// Restarts.
    pub restarts: usize,
    /// The last event has come.
    pub is_done: bool,
}

impl Reader {
    /// A reader of a run that it knows.
    pub fn of(run: &str) -> Reader {
        Reader { run: Some(run.to_owned()), ..Reader::default() }
    }

    /// The next event. Its number must follow the last one, or say what became of that.
    pub fn take(&mut self, told: Told, oracle: &Oracle) {
        let Some((run, number)) = told.id.clone() else {
            assert_eq!(told.kind(), "state", "an event without a number: {}", told.text);
            return;
        };
        let known = self.run.get_or_insert_with(|| run.clone());
        assert_eq!(*known, run, "a stream tells of another run");
        assert!(!self.is_done, "{run}: an event behind the last: {}", told.text);
        oracle.told(&run, number, &told.text);
        self.log.insert(number, told.json.clone());
        if told.kind() == "restart" {
            let keep = told.json["keep"].as_u64().expect("a restart says what it keeps");
            assert!(
                keep <= self.position && number > self.position,
                "{run}: restart {number} keeps {keep} after {}",
                self.position
            );
            let before = self.standing.len();
            self.standing.retain(|(number, _)| *number <= keep);
            self.voided += before - self.standing.len();
            self.restarts += 1;
        } else {
            assert_eq!(number, self.position + 1, "{run}: a gap or a repeat before {}", told.text);
            self.is_done = told.kind() == "done";
            self.standing.push((number, told));
        }
        self.position = number;
        if self.is_done {
            self.check_end(oracle);
        }
    }

    /// The header line with which it goes on where it was.
    pub fn resume_fields(&self) -> String {
        match (&self.run, self.position) {
            (Some(run), position) if position > 0 => format!("Last-Event-ID: {run}-{position}\r\n"),
            _ => String::new(),
        }
    }

    /// All that stands makes one whole run.
    fn check_end(&self, oracle: &Oracle) {
        let run = self.run.as_deref().expect("it has events");
        let events = || self.standing.iter().map(|(_, told)| told);
        let of_kind = |kind: &'static str| events().filter(move |told| told.kind() == kind);
        let done = events().next_back().expect("the last event stands");
        let outcome = done.json["status"].as_str().expect("the last event says how it ended");
        let completes: Vec<&Told> = of_kind("complete").collect();
        assert_eq!(completes.len(), usize::from(outcome == "completed"), "{run}: {outcome}");
        if let [complete] = completes[..] {
            let response = &complete.json["response"];
            let joined: String = of_kind("token").filter_map(|told| told.json["text"].as_str()).collect();
            assert_eq!(response["response"], joined, "{run}: the tokens that stand are the answer");
            oracle.ended(run, outcome, Some(response));
        } else {
            oracle.ended(run, outcome, None::<&Value>);
        }
    }
}
