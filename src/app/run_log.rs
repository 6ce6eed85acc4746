//! A run's log: its events as the JSON that readers get, one text and where each event ends in it.
//!
//! Numbers go up, but not always by one: a process that takes over a run goes on above every number that the one before
//! may have told, so a number never stands for two different events.

use crate::store::EventText;

/// The events of one run.
#[derive(Debug)]
pub struct Log {
    text: String,
    entries: Vec<Entry>,
    next: u64,
    /// The first event that tells of the run's end.
    end_from: Option<usize>,
    /// Where in the text the answer's object stands.
    response: Option<(usize, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    /// Where its JSON ends in the text.
    end: usize,
}

/// What a cursor finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'l> {
    /// The next event: its number and its JSON.
    Event(u64, &'l str),
    /// The reader has seen all that may be told so far.
    CaughtUp,
    /// The reader has seen all, and the run has ended.
    End,
}

/// How a `complete` event begins. Behind it stand the answer's object, which `/chat` answers with alone, and a brace.
const COMPLETE: &str = "{\"type\":\"complete\",\"response\":";

/// What tells of a run's end: nothing of it leaves before the end is kept.
const ENDINGS: [&str; 3] = [COMPLETE, "{\"type\":\"error\"", "{\"type\":\"done\""];

impl Log {
    /// A log without events.
    pub fn new() -> Log {
        Log { text: String::new(), entries: Vec::new(), next: 1, end_from: None, response: None }
    }

    /// The log that was kept.
    pub fn kept(events: &[EventText]) -> Log {
        let mut log = Log::new();
        for event in events {
            log.next = event.number.max(log.next);
            log.append(&event.json);
        }
        log
    }

    /// The number of the last event; 0 for none.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.number)
    }

    /// Events.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There is no event.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends an event with the next number.
    pub fn append(&mut self, json: &str) {
        let start = self.text.len();
        self.text.push_str(json);
        if ENDINGS.iter().any(|ending| json.starts_with(ending)) {
            self.end_from.get_or_insert(self.entries.len());
        }
        if json.starts_with(COMPLETE) {
            self.response = Some((start + COMPLETE.len(), self.text.len() - 1));
        }
        self.entries.push(Entry { number: self.next, end: self.text.len() });
        self.next += 1;
    }

    /// Appends the answer's event around its object.
    pub fn append_complete(&mut self, response: &str, scratch: &mut String) {
        scratch.clear();
        scratch.extend([COMPLETE, response, "}"]);
        self.append(scratch);
    }

    /// No number up to and with this one is given any more.
    pub fn skip_to(&mut self, number: u64) {
        self.next = self.next.max(number.saturating_add(1));
    }

    /// What comes after event number `after`, of the first `visible` events.
    pub fn read(&self, after: u64, visible: usize) -> Option<(u64, &str)> {
        let index = self.entries.partition_point(|entry| entry.number <= after);
        if index >= visible.min(self.entries.len()) {
            return None;
        }
        Some((self.entries[index].number, self.event(index)?))
    }

    /// Nothing comes after event number `after`, visible or not.
    pub fn ends_at(&self, after: u64) -> bool {
        self.last() <= after
    }

    /// How many of the events may be told if numbers up to `reserved` may, and the run's end only if `with_end`.
    pub fn visible(&self, reserved: u64, with_end: bool) -> usize {
        let count = self.entries.partition_point(|entry| entry.number <= reserved);
        match self.end_from {
            Some(end_from) if !with_end => count.min(end_from),
            Some(_) | None => count,
        }
    }

    /// The events from this place on, to be kept.
    pub fn from(&self, place: usize) -> impl Iterator<Item = EventText> {
        (place..self.entries.len()).filter_map(|index| {
            Some(EventText { number: self.entries[index].number, json: self.event(index)?.into() })
        })
    }

    /// The events that begin like this.
    pub fn of_kind(&self, beginning: &str) -> impl Iterator<Item = &str> {
        let all = (0..self.entries.len()).filter_map(|index| self.event(index));
        all.filter(move |json| json.starts_with(beginning))
    }

    /// The answer, as the JSON object of `POST /chat`.
    pub fn response(&self) -> Option<&str> {
        let (start, end) = self.response?;
        self.text.get(start..end)
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Gives back room for events that will not come.
    pub fn close(&mut self) {
        self.text.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    fn event(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].end);
        self.text.get(start..self.entries[index].end)
    }
}

impl Default for Log {
    fn default() -> Log {
        Log::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(log: &Log, visible: usize) -> Vec<u64> {
        let mut numbers = vec![0];
        while let Some((number, _)) = log.read(*numbers.last().unwrap(), visible) {
            numbers.push(number);
        }
        numbers.split_off(1)
    }

    #[test]
    fn a_reader_finds_what_comes_after_its_position_across_numbers_that_were_skipped() {
        let mut log = Log::new();
        log.append("{\"a\":1}");
        log.skip_to(100);
        log.append("{\"b\":2}");
        assert_eq!(numbers(&log, usize::MAX), [1, 101]);
        for ahead in [1, 50, 100] {
            assert_eq!(log.read(ahead, usize::MAX), Some((101, "{\"b\":2}")));
        }
        assert_eq!(log.read(101, usize::MAX), None);
    }

    #[test]
    fn what_is_not_reserved_and_a_runs_end_are_not_visible() {
        let mut log = Log::new();
        log.append("{\"type\":\"token\"}");
        log.append_complete("{\"x\":1}", &mut String::new());
        log.append("{\"type\":\"done\"}");
        assert_eq!(log.visible(10, false), 1);
        assert_eq!(log.visible(0, false), 0);
        assert_eq!(log.visible(2, true), 2);
        assert_eq!(log.visible(10, true), 3);
        assert_eq!(log.response(), Some("{\"x\":1}"));
    }

    #[test]
    fn a_kept_log_reads_as_it_was_and_goes_on_behind() {
        let mut log = Log::new();
        log.append("{\"a\":1}");
        log.skip_to(7);
        log.append_complete("{}", &mut String::new());
        let events: Vec<EventText> = log.from(0).collect();
        let mut kept = Log::kept(&events);
        assert_eq!(numbers(&kept, usize::MAX), [1, 8]);
        assert_eq!(kept.response(), Some("{}"));
        kept.append("{}");
        assert_eq!(kept.last(), 9);
    }
}
