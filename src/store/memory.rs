//! A storage in memory: as forgetful as the process, and the plainest reading of the contract.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use super::record::{
    Admitted, Batch, CallState, Callback, Called, Ending, EventText, Idempotency, InputText, KeptRun,
    KeptSession, KeptVector, Loaded, Record, Row, Said, SessionPlace, SessionRow, Sweep, Swept, Uncalled,
    Unfinished,
};
use super::sessions::{Sessions, contradicts};
use super::storage::{Storage, Trouble};
use crate::base::WallTime;
use crate::base::planted::{Planted, is_planted};

/// Runs, kept in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    runs: BTreeMap<Uuid, Entry>,
    keys: BTreeMap<Box<str>, Uuid>,
    /// Ended runs that may be swept, in the order in which they ended.
    ended: BTreeSet<(WallTime, Uuid)>,
    swept_to: Option<Uuid>,
    sessions: Sessions,
    vectors: BTreeMap<Uuid, Box<[u8]>>,
    /// Their names, in the order in which they came.
    vector_names: VecDeque<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    admitted: Admitted,
    attempts: u32,
    inputs: Vec<InputText>,
    events: BTreeMap<u64, Box<str>>,
    ending: Option<Ending>,
    called: Called,
}

impl Memory {
    /// Runs that are kept, the oldest first.
    pub fn runs(&self) -> impl Iterator<Item = KeptRun> {
        self.runs.values().map(Entry::kept)
    }

    fn admit(&mut self, admitted: &Admitted) -> Result<(), Trouble> {
        let run = admitted.run;
        if let Some(entry) = self.runs.get(&run) {
            let is_same = entry.admitted.created_at == admitted.created_at
                && entry.admitted.key == admitted.key
                && entry.admitted.callback == admitted.callback
                && (entry.ending.is_some() || entry.admitted.question == admitted.question);
            return if is_same { Ok(()) } else { Err(other("another run", run)) };
        }
        if let Some(key) = &admitted.key {
            if self.keys.contains_key(&key.key) {
                return Err(other("another run under the idempotency key of", run));
            }
            self.keys.insert(key.key.clone(), run);
        }
        let (inputs, events) = (Vec::new(), BTreeMap::new());
        let (ending, called) = (None, Called::default());
        let entry = Entry { admitted: admitted.clone(), attempts: 0, inputs, events, ending, called };
        self.runs.insert(run, entry);
        Ok(())
    }

    fn apply(&mut self, record: &Record) -> Result<(), Trouble> {
        if let Record::Admitted(admitted) = record {
            return self.admit(admitted);
        }
        let Some(entry) = self.runs.get_mut(&record.run()) else { return Ok(()) };
        match record {
            Record::Admitted(_) => {}
            Record::Inputs { run, first, inputs } if entry.ending.is_none() => {
                let first = usize::try_from(*first).map_err(|_| other("another input", *run))?;
                for (place, input) in (first..).zip(inputs) {
                    match entry.inputs.get(place) {
                        Some(kept) if kept == input => {}
                        None if place == entry.inputs.len() => entry.inputs.push(input.clone()),
                        Some(_) | None => return Err(other("another input", *run)),
                    }
                }
            }
            Record::Events { run, events } => {
                for EventText { number, json } in events {
                    let kept = entry.events.entry(*number).or_insert_with(|| json.clone());
                    if kept != json {
                        return Err(other("another event under the same number", *run));
                    }
                }
            }
            Record::Bounds { reserved, attempts, .. } if entry.ending.is_none() => {
                entry.admitted.reserved = *reserved;
                entry.attempts = *attempts;
            }
            // They came with the run's end already.
            Record::Inputs { .. } | Record::Bounds { .. } => {}
            Record::Ended { run, ending } => match &entry.ending {
                Some(kept) if kept != ending => return Err(other("another end", *run)),
                Some(_) => {}
                None => {
                    entry.ending = Some(ending.clone());
                    entry.inputs = Vec::new();
                    entry.admitted.question = "".into();
                    if entry.may_be_swept() {
                        self.ended.insert((ending.at, *run));
                    }
                }
            },
            // They can't fail any more, and are kept once all the others are.
            Record::Said(_) => {}
            Record::Called { run, called } if entry.admitted.callback.is_some() => {
                let Some(ending) = &entry.ending else {
                    return Err(other("a run that has not ended", *run));
                };
                if entry.called.state == CallState::Outstanding {
                    entry.called = called.clone();
                    if entry.may_be_swept() {
                        self.ended.insert((ending.at, *run));
                    }
                } else if called.state != CallState::Outstanding && entry.called != *called {
                    return Err(other("another end of the callback", *run));
                }
            }
            Record::Called { .. } => {}
            Record::Forgotten { run } => self.remove(*run),
        }
        Ok(())
    }

    fn put_back(&mut self, entry: Entry) {
        let run = entry.admitted.run;
        if let Some(key) = &entry.admitted.key {
            self.keys.insert(key.key.clone(), run);
        }
        if let Some(ending) = entry.ending.as_ref().filter(|_| entry.may_be_swept()) {
            self.ended.insert((ending.at, run));
        }
        self.runs.insert(run, entry);
    }

    fn remove(&mut self, run: Uuid) {
        let Some(entry) = self.runs.remove(&run) else { return };
        if let Some(key) = entry.admitted.key {
            self.keys.remove(&key.key);
        }
        if let Some(ending) = entry.ending {
            self.ended.remove(&(ending.at, run));
        }
    }
}

impl Entry {
    fn events(&self) -> Vec<EventText> {
        let events = self.events.iter();
        events.map(|(number, json)| EventText { number: *number, json: json.clone() }).collect()
    }

    fn kept(&self) -> KeptRun {
        let (created_at, ending) = (self.admitted.created_at, self.ending.clone());
        let callback = self.callback();
        KeptRun { run: self.admitted.run, created_at, ending, events: self.events(), callback }
    }

    fn callback(&self) -> Option<Callback> {
        let url = self.admitted.callback.clone()?;
        Some(Callback { url, called: self.called.clone() })
    }

    fn is_uncalled(&self) -> bool {
        self.admitted.callback.is_some() && self.called.state == CallState::Outstanding
    }

    fn may_be_swept(&self) -> bool {
        self.ending.is_some() && (!self.is_uncalled() || is_planted(Planted::SweepsTheUncalled))
    }
}

fn other(what: &str, run: Uuid) -> Trouble {
    Trouble::contradiction(format!("{what} is kept: run {run}"))
}

impl Storage for Memory {
    fn load(&mut self) -> Result<Loaded, Trouble> {
        let unfinished = self.runs.values().filter(|entry| entry.ending.is_none());
        let unfinished = unfinished.map(|entry| Unfinished {
            admitted: entry.admitted.clone(),
            attempts: entry.attempts,
            inputs: entry.inputs.clone(),
            events: entry.events(),
        });
        let uncalled = self.runs.values().filter(|entry| entry.is_uncalled()).filter_map(|entry| {
            let (run, ended_at) = (entry.admitted.run, entry.ending.as_ref()?.at);
            Some(Uncalled { run, ended_at, callback: entry.callback()? })
        });
        Ok(Loaded {
            unfinished: unfinished.collect(),
            uncalled: uncalled.collect(),
            ended: self.ended.len() as u64,
            oldest_end: self.ended.first().map(|(at, _)| *at),
            swept_to: self.swept_to,
            newest: self.runs.keys().next_back().copied(),
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Trouble> {
        // Only a mistake of ours is refused under way; then all is as it was before.
        let mut before = BTreeMap::new();
        for record in &batch.records {
            before.entry(record.run()).or_insert_with(|| self.runs.get(&record.run()).cloned());
        }
        let mut said: Vec<&Said> = Vec::new();
        let applied = batch.records.iter().try_for_each(|record| match record {
            Record::Said(new) if self.runs.contains_key(&new.run) => {
                if self.sessions.contradict(new) || said.iter().any(|other| contradicts(new, other)) {
                    return Err(other("another answer", new.run));
                }
                said.push(new);
                Ok(())
            }
            record => self.apply(record),
        });
        if applied.is_err() {
            // All are removed before any is put back: a key may have passed from one run to another on the way.
            before.keys().for_each(|run| self.remove(*run));
            before.into_values().flatten().for_each(|entry| self.put_back(entry));
        }
        if applied.is_ok() {
            said.into_iter().for_each(|said| self.sessions.keep(said));
        }
        applied
    }

    fn find(&mut self, run: Uuid) -> Result<Option<KeptRun>, Trouble> {
        Ok(self.runs.get(&run).map(Entry::kept))
    }

    fn list(&mut self, before: Option<Uuid>, rows_max: usize) -> Result<Vec<Row>, Trouble> {
        let end = before.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let runs = self.runs.range((std::ops::Bound::Unbounded, end)).rev().take(rows_max);
        let rows = runs.map(|(run, entry)| Row {
            run: *run,
            created_at: entry.admitted.created_at,
            ended: entry.ending.as_ref().map(|ending| (ending.outcome, ending.at)),
            subject: entry.admitted.subject.clone(),
        });
        Ok(rows.collect())
    }

    fn find_key(&mut self, key: &str) -> Result<Option<(Uuid, Idempotency)>, Trouble> {
        let run = self.keys.get(key).and_then(|run| self.runs.get(run));
        Ok(run.and_then(|entry| Some((entry.admitted.run, entry.admitted.key.clone()?))))
    }

    fn list_sessions(
        &mut self,
        after: Option<&SessionPlace>,
        rows_max: usize,
    ) -> Result<Vec<SessionRow>, Trouble> {
        Ok(self.sessions.list(after, rows_max))
    }

    fn find_session(&mut self, name: &str) -> Result<Option<KeptSession>, Trouble> {
        Ok(self.sessions.find(name))
    }

    fn drop_session(&mut self, name: &str) -> Result<bool, Trouble> {
        Ok(self.sessions.forget(name))
    }

    fn sweep(&mut self, sweep: Sweep) -> Result<Swept, Trouble> {
        let mut runs = 0;
        while runs < sweep.runs_max as u64 {
            let Some((at, run)) = self.ended.first().copied() else { break };
            if runs >= sweep.excess && at >= sweep.ended_before {
                break;
            }
            self.remove(run);
            self.swept_to = self.swept_to.max(Some(run));
            runs += 1;
        }
        let oldest_end = self.ended.first().map(|(at, _)| *at);
        Ok(Swept { runs, swept_to: self.swept_to, oldest_end })
    }

    fn find_vectors(&mut self, names: &[Uuid]) -> Result<Vec<Option<Box<[u8]>>>, Trouble> {
        Ok(names.iter().map(|name| self.vectors.get(name).cloned()).collect())
    }

    fn keep_vectors(&mut self, vectors: &[KeptVector], vectors_max: u64) -> Result<(), Trouble> {
        for KeptVector { name, bytes } in vectors {
            if self.vectors.insert(*name, bytes.clone()).is_none() {
                self.vector_names.push_back(*name);
            }
        }
        while self.vector_names.len() as u64 > vectors_max {
            let Some(name) = self.vector_names.pop_front() else { break };
            self.vectors.remove(&name);
        }
        Ok(())
    }
}
