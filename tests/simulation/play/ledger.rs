//! The note that a model adds to for many runs, while somebody who knows nothing of the server adds to it as well.
//!
//! Nobody takes anything out of it. So what a run has reported to have added stands where it said for as long as the world lasts, no
//! two runs have added the same bytes, and every line of the other writer is there, in order.

use std::collections::BTreeMap;
use std::time::Duration;

use oneloop::app::note_files::hexadecimal;
use oneloop::os::disk::hash_of;
use oneloop::os::sim::{Actor, Outside, Random, World};
use serde_json::Value;

use super::town::Shared;

/// Its path.
pub const LEDGER: &str = "ledger.md";

/// What the titles of notes begin with that a model makes for itself.
pub const ENTRY: &str = "Entry ";

/// What is known of it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Lines that were saved from outside.
    saved: Vec<String>,
    /// Changes that somebody was told of, by their ids.
    updates: BTreeMap<String, Value>,
}

impl Ledger {
    /// Somebody was told of a change, be it for the second time.
    ///
    /// # Errors
    /// In words, if it was another before.
    pub fn told(&mut self, update: &Value) -> Result<(), String> {
        let id = update["id"].as_str().ok_or("an update without an id")?;
        match self.updates.insert(id.to_owned(), update.clone()) {
            Some(before) if before != *update => Err(format!("the update was {before} and is {update}")),
            Some(_) | None => Ok(()),
        }
    }

    /// All that was reported is in the folder, once, and nothing from outside is lost. `is_shared`: some reply of the
    /// model's was made for several runs, each of which has carried it out.
    ///
    /// # Errors
    /// In words, what is missing, or there twice.
    pub fn check(&self, world: &World, is_shared: bool) -> Result<Vec<&'static str>, String> {
        let Some(bytes) = world.saved(LEDGER) else { return Ok(Vec::new()) };
        let text = String::from_utf8(bytes).map_err(|_| "the ledger is not UTF-8 any more")?;
        let mut seen = Vec::new();
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        for update in self.updates.values() {
            let path = update["path"].as_str().ok_or("an update of no note")?;
            match update["action"].as_str() {
                Some("appended") => {
                    let place = |name| update["added"][name].as_u64().ok_or("an addition without a place");
                    let (start, end) = (place("start")?, place("end")?);
                    let added = text.get(start as usize..end as usize).unwrap_or("");
                    if path != LEDGER || !added.contains("- entry ") || added.trim().lines().count() != 1 {
                        return Err(format!("was told {update}, and there stands {added:?}"));
                    }
                    if taken.insert(start, end).is_some() {
                        return Err(format!("two have reported what stands at {start}"));
                    }
                    seen.push("a model added to a note");
                }
                Some("created") if path.contains(ENTRY) => {
                    let hash = world.saved(path).map(|bytes| hexadecimal(&hash_of(&bytes)));
                    if hash.as_deref() != update["hash"].as_str() {
                        return Err(format!("was told {update}, and the note is {hash:?}"));
                    }
                    seen.push("a model made a note");
                }
                _ => {}
            }
        }
        let ends: Vec<(u64, u64)> = taken.into_iter().collect();
        if ends.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(format!("additions lie in each other: {ends:?}"));
        }
        let lines = |what: &'static str| text.lines().filter(move |line| line.starts_with(what));
        let mut entries: Vec<&str> = lines("- entry ").collect();
        let count = entries.len();
        entries.sort_unstable();
        entries.dedup();
        if !is_shared && entries.len() < count {
            return Err(format!("some entry stands in the ledger twice: {text}"));
        }
        let saved: Vec<&str> = lines("- saved ").collect();
        if saved != self.saved {
            return Err(format!("{:?} were saved in the ledger, and there stand {saved:?}", self.saved));
        }
        if !saved.is_empty() && count > 0 {
            seen.push("a model and somebody else added to one note");
        }
        Ok(seen)
    }
}

/// Adds lines to the ledger from outside, each time to what it finds there.
#[derive(Debug)]
pub struct Bookkeeper {
    town: Shared,
    random: Random,
    left: usize,
    pause_max: Duration,
}

impl Bookkeeper {
    /// Somebody who will add so many lines, with a pause behind each.
    pub fn new(town: &Shared, random: Random, left: usize, pause_max: Duration) -> Bookkeeper {
        Bookkeeper { town: town.clone(), random, left, pause_max }
    }
}

impl Actor for Bookkeeper {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let line = format!("- saved {}", self.left);
        let mut text = outside.saved(LEDGER).unwrap_or_default();
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
        // Not every editor ends a file with its line.
        if self.random.chance(700) {
            text.push(b'\n');
        }
        outside.save(LEDGER, text);
        self.town.ledger.borrow_mut().saved.push(line);
        Some(Duration::from_millis(self.random.between(1, self.pause_max.as_millis() as usize) as u64))
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn describe(&self) -> String {
        format!("a bookkeeper with {} more lines to add", self.left)
    }
}
