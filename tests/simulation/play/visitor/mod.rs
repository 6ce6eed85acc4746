//! A client: it has errands, sends requests for them in its own manner, and looks closely at the answers.
//!
//! One actor covers those who behave, who pipeline, who are slow to write or to read, who vanish, who half-close, who
//! follow a stream and come back to it, who poll and who cancel: they differ in their [`Temper`] and their errands.
//! Whatever happens to its connection, it goes on with its errands over another one. Once the weather is calm it must
//! get all of them done.

mod answers;
mod completion;
mod errand;
mod tool;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::limits::Limits;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};

use super::judge::Question;
use super::parser::{EventReader, Head, Parser};
use super::town::{Shared, Town};
use completion::Completion;

pub use errand::{Asked, Errand, LOOKS, OwnStep, TALLY, Words, told};

/// How a client behaves while the weather is rough. In calm weather all behave well.
#[derive(Debug, Clone)]
pub struct Temper {
    /// What it is called in a report.
    pub name: &'static str,
    /// Most bytes that it writes at once.
    pub write_bytes: usize,
    /// Its pause between two writes.
    pub write_gap: Duration,
    /// Most bytes that it reads at once.
    pub read_bytes: usize,
    /// Its pause between two reads.
    pub read_gap: Duration,
    /// Its longest pause between two errands.
    pub think: Duration,
    /// Requests that it sends ahead of their answers.
    pub pipeline: usize,
    /// How often, in a thousand acts, it drops its connection.
    pub vanish_per_mille: u16,
    /// It shuts its sending side behind its last request.
    pub half_closes: bool,
    /// How often, in a thousand events, it drops a stream to come back to it.
    pub quit_stream_per_mille: u16,
}

impl Temper {
    /// The best of clients.
    pub fn good() -> Temper {
        Temper {
            name: "visitor",
            write_bytes: usize::MAX,
            write_gap: Duration::ZERO,
            read_bytes: usize::MAX,
            read_gap: Duration::ZERO,
            think: Duration::from_millis(50),
            pipeline: 1,
            vanish_per_mille: 0,
            half_closes: false,
            quit_stream_per_mille: 0,
        }
    }
}

/// A request that was sent, at least in part.
#[derive(Debug)]
struct Sent {
    errand: Errand,
    /// What was asked in it, and whether a model is to answer.
    question: Option<Question>,
    began: Time,
    head: Option<Head>,
    body: Vec<u8>,
    events: EventReader,
    /// Of a stream: the run and the last event that was read.
    position: Option<(String, u64)>,
    /// It was told that the server restarts.
    restarts: bool,
    is_done: bool,
    /// Of a completion: what has come of it.
    completion: Completion,
    /// `100 Continue` may come, once; it does not wait for it.
    expects: bool,
    /// It was asked in calm weather.
    in_calm: bool,
    /// How many processes had ended when it was asked.
    asked_ends: u32,
    /// It was asked when every subject's note was known.
    is_indexed: bool,
}

impl Sent {
    /// The client hears no more, or seems to: if it waits for a completion, that is the end of its run.
    fn ends_a_completion(&self, town: &Town) {
        if matches!(self.errand, Errand::Complete { .. }) {
            town.ends_completions.set(true);
        }
    }
}

/// A client.
#[derive(Debug)]
pub struct Visitor {
    town: Shared,
    temper: Temper,
    random: Random,
    agenda: VecDeque<Errand>,
    sent: VecDeque<Sent>,
    line: Option<Line>,
    connected_at: Time,
    /// How many processes had ended when it connected.
    connected_ends: u32,
    /// Bytes sent over this connection.
    sent_bytes: usize,
    parser: Parser,
    outgoing: Vec<u8>,
    next_write: Time,
    next_read: Time,
    next_errand: Time,
    has_finished: bool,
    /// The connection was begun in calm weather, so nothing excuses the server.
    line_is_calm: bool,
    /// Answers that came over it.
    line_answers: usize,
    complaint: Option<String>,
    seen: Vec<&'static str>,
    done_count: usize,
    /// How far each run was when it was last asked for.
    told: BTreeMap<String, u8>,
}

impl Visitor {
    /// A client with these errands.
    pub fn new(town: &Shared, temper: Temper, random: Random, agenda: Vec<Errand>) -> Visitor {
        Visitor {
            town: town.clone(),
            temper,
            random,
            agenda: agenda.into(),
            sent: VecDeque::new(),
            line: None,
            connected_at: Time::ZERO,
            connected_ends: 0,
            sent_bytes: 0,
            parser: Parser::new(),
            outgoing: Vec::new(),
            next_write: Time::ZERO,
            next_read: Time::ZERO,
            next_errand: Time::ZERO,
            has_finished: false,
            line_is_calm: false,
            line_answers: 0,
            complaint: None,
            seen: Vec::new(),
            done_count: 0,
            told: BTreeMap::new(),
        }
    }

    /// The process that it was connected to is no more, or there was none.
    fn is_excused_by_an_end(&self) -> bool {
        self.town.is_down.get() || self.town.ends.get() != self.connected_ends
    }

    fn see(&mut self, what: &'static str) {
        if !self.seen.contains(&what) {
            self.seen.push(what);
        }
    }

    fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    // --- The connection -------------------------------------------------------------------------------------------

    /// Goes on with its connection. Answers when it wants to be called again at the latest.
    fn go_on(&mut self, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        let Some(line) = self.line else {
            if self.agenda.is_empty() {
                return None;
            }
            if now < self.next_errand {
                return Some(self.next_errand);
            }
            self.line = Some(outside.connect());
            self.line_is_calm = outside.is_calm() && !self.town.is_down.get();
            self.connected_ends = self.town.ends.get();
            self.line_answers = 0;
            (self.connected_at, self.sent_bytes) = (now, 0);
            self.parser = Parser::new();
            self.has_finished = false;
            return None;
        };
        match outside.state(line) {
            State::Connecting => return None,
            State::Refused => {
                if !self.town.is_stopping.get() && !self.is_excused_by_an_end() {
                    self.complain("was refused although the server listens".to_owned());
                }
                self.see("a client was refused");
                self.lose(outside, Loss::Refused);
                return Some(self.next_errand);
            }
            State::Open | State::Reset => {}
        }
        let calm = outside.is_calm();
        if !calm && self.random.chance(self.temper.vanish_per_mille) {
            self.see("a client vanished");
            if self.random.chance(500) {
                outside.reset(line)
            } else {
                outside.close(line)
            }
            self.lose(outside, Loss::Own);
            return Some(self.next_errand);
        }
        let mut wake = self.write(line, calm, outside);
        let read_wake = self.read(line, calm, outside);
        wake = soonest(wake, read_wake);
        if self.line.is_some() && self.sent.is_empty() && self.agenda.is_empty() && self.outgoing.is_empty() {
            self.line = None;
            outside.close(line);
        }
        if self.line.is_none() && !self.agenda.is_empty() {
            wake = soonest(wake, Some(self.next_errand));
        }
        wake
    }

    fn write(&mut self, line: Line, calm: bool, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        let pipeline = if calm { 1 } else { self.temper.pipeline };
        while self.sent.len() < pipeline && now >= self.next_errand && !self.has_finished {
            let Some(errand) = self.agenda.pop_front() else { break };
            let Some(errand) = self.decide(errand, outside) else { continue };
            outside.say(|| format!("({}) asks: {errand:?}", self.temper.name));
            self.request(errand, now, calm);
            if !calm && pipeline == 1 {
                let think = self.random.below(self.temper.think.as_millis() as usize + 1);
                self.next_errand = now.after(Duration::from_millis(think as u64));
            }
        }
        if self.outgoing.is_empty() {
            let wants_to_finish =
                self.temper.half_closes && !calm && !self.sent.is_empty() && self.agenda.is_empty();
            if wants_to_finish && !self.has_finished {
                self.has_finished = true;
                for sent in &self.sent {
                    sent.ends_a_completion(&self.town);
                    let run = sent.position.as_ref().map(|(id, _)| id).or(sent.completion.id.as_ref());
                    if let Some(id) = run {
                        self.town.oracle.borrow_mut().may_be_cancelled(id);
                    }
                }
                outside.finish(line);
                self.see("a client shut its sending side and went on reading");
            }
            let idle = self.sent.len() < pipeline && !self.agenda.is_empty() && !self.has_finished;
            return idle.then_some(self.next_errand);
        }
        if !calm && now < self.next_write {
            return Some(self.next_write);
        }
        let most = if calm { usize::MAX } else { self.temper.write_bytes };
        let count = self.outgoing.len().min(most);
        let taken = outside.send(line, &self.outgoing[..count]);
        self.outgoing.drain(..taken);
        self.sent_bytes += taken;
        self.next_write = now.after(self.temper.write_gap);
        (taken > 0 && !self.outgoing.is_empty()).then_some(if calm { now } else { self.next_write })
    }

    fn read(&mut self, line: Line, calm: bool, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        if !calm && now < self.next_read {
            return Some(self.next_read);
        }
        let most = if calm { usize::MAX } else { self.temper.read_bytes };
        let mut bytes = Vec::new();
        let received = outside.receive(line, most, &mut bytes);
        self.parser.feed(&bytes);
        self.take_pieces(line, outside);
        // A complaint, or a whim, may have ended it.
        self.line?;
        match received {
            Received::Nothing => None,
            Received::Bytes => {
                self.next_read = now.after(self.temper.read_gap);
                Some(if calm { now } else { self.next_read })
            }
            Received::End => {
                self.check_end();
                self.check_unanswered(Loss::End, now);
                outside.close(line);
                self.lose(outside, Loss::End);
                Some(self.next_errand)
            }
            Received::Reset => {
                self.see("a client was reset");
                self.check_unanswered(Loss::Reset, now);
                outside.close(line);
                self.lose(outside, Loss::Reset);
                Some(self.next_errand)
            }
        }
    }

    /// The server has ended the connection. It may do so between answers, but never within one.
    fn check_end(&mut self) {
        let streams = self.sent.front().is_some_and(|sent| {
            matches!(sent.errand, Errand::Stream { .. } | Errand::Rejoin { .. } | Errand::Complete { .. })
        });
        let may_cut = (streams && self.town.forgets_runs) || self.is_excused_by_an_end();
        if self.parser.is_within_answer() && !may_cut {
            self.complain("was sent the end of the connection in the middle of an answer".to_owned());
        }
    }

    /// Whoever has asked is answered, unless an answer said that it is the last or there was a reason that needs no
    /// word: a timeout, for which a young connection has had no time, a lack of room, or a stop.
    fn check_unanswered(&mut self, loss: Loss, now: Time) {
        let Limits { head_timeout, idle_timeout, write_stall_timeout, linger_timeout, .. } = self.town.limits;
        let patience = head_timeout.min(idle_timeout).min(write_stall_timeout).min(linger_timeout);
        let is_young = now.since(self.connected_at) < patience;
        let ends = self.town.is_stopping.get() || self.is_excused_by_an_end();
        let may_close = self.town.evicts || self.town.forgets_runs || ends;
        let may_reset = self.town.resets || self.sent_bytes > self.town.limits.linger_bytes_max;
        let is_excused = match loss {
            Loss::End => may_close,
            Loss::Reset => may_close || may_reset,
            Loss::Refused | Loss::Own => true,
        };
        if is_young && !is_excused && !self.sent.is_empty() && !self.parser.closes() {
            self.complain(format!("lost its connection ({loss:?}) in place of an answer"));
        }
    }

    /// The connection is gone: what was not answered is to be asked again.
    fn lose(&mut self, outside: &mut Outside<'_>, loss: Loss) {
        outside.say(|| format!("({}) has lost its connection: {loss:?}", self.temper.name));
        let is_own = matches!(loss, Loss::Own | Loss::Refused);
        let ends = self.town.is_stopping.get() || self.is_excused_by_an_end();
        let excused = is_own || self.town.evicts || ends;
        if self.line_is_calm && self.line_answers == 0 && !excused {
            self.complain(format!("lost its connection before the first answer: {loss:?}"));
        }
        self.line = None;
        self.outgoing.clear();
        while let Some(sent) = self.sent.pop_back() {
            sent.ends_a_completion(&self.town);
            if let Some((id, after)) = sent.position.filter(|(id, _)| !id.is_empty()) {
                self.see("a stream was broken and joined again");
                // How long it will be away it can't know.
                self.town.oracle.borrow_mut().may_be_cancelled(&id);
                self.agenda.push_front(Errand::Rejoin { id, after, done: sent.is_done });
            } else if let Some(id) = sent.completion.id {
                self.leave(id, outside);
            } else {
                self.agenda.push_front(sent.errand);
            }
        }
        let most = self.random.pick(&[2, 20, 300, 2000]);
        let pause = if outside.is_calm() { 50 } else { self.random.between(1, most) as u64 };
        self.next_errand = outside.now().after(Duration::from_millis(pause));
    }
}

/// Why a connection is gone.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Refused,
    Own,
    End,
    Reset,
}

fn soonest(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Actor for Visitor {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        let wake = self.go_on(outside)?;
        Some(wake.since(outside.now()).max(Outside::soon()))
    }

    fn is_done(&self) -> bool {
        self.agenda.is_empty() && self.sent.is_empty() && self.line.is_none()
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        let waiting: Vec<&Errand> = self.sent.iter().map(|sent| &sent.errand).chain(&self.agenda).collect();
        format!(
            "{}, {} answers so far, {} more wanted: {waiting:?}",
            self.temper.name,
            self.done_count,
            waiting.len()
        )
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}
