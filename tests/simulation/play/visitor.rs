//! A client: it has errands, sends requests for them in its own manner, and looks closely at the answers.
//!
//! One actor covers those who behave, who pipeline, who are slow to write or to read, who vanish, who half-close, who
//! follow a stream and come back to it, who poll and who cancel: they differ in their [`Temper`] and their errands.
//! Whatever happens to its connection, it goes on with its errands over another one. Once the weather is calm it must
//! get all of them done.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::limits::Limits;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};
use serde_json::{Value, json};

use super::parser::{EventReader, Head, Parser, Piece, show};
use super::town::{SUBJECTS, Shared, code, is_terminal, rank};

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

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// `GET /health`.
    Health,
    /// `HEAD /health`.
    HeadOnly,
    /// `GET /info`.
    Info,
    /// `OPTIONS /chat`.
    Options,
    /// A path that does not exist.
    Nowhere,
    /// A chat request whose JSON is broken.
    BrokenJson,
    /// A body that is declared larger than is taken.
    TooLarge,
    /// `GET /tasks`.
    Tasks,
    /// `POST /sync`.
    Sync,
    /// Saves a note, syncs, and asks for what it has just written.
    Write,
    /// `POST /sync`, after which the note with this name, and its code, must be known.
    SyncNote { name: String },
    /// `POST /chat` about it.
    ChatNote { name: String },
    /// `POST /chat`.
    Chat { subject: usize },
    /// `POST /chat/async`, then what becomes of it.
    Begin { subject: usize, cancels: bool },
    /// `GET /chat/task/{id}`, until it has ended, and once more.
    Poll { id: String, again: u8 },
    /// `DELETE /tasks/{id}`.
    Cancel { id: String },
    /// Joins the stream of a run that somebody else may have begun.
    Follow,
    /// Cancels such a run.
    Meddle,
    /// `POST /chat/stream`.
    Stream { subject: usize },
    /// `GET /chat/task/{id}/stream` from behind event `after`; `done` if its last event was seen.
    Rejoin { id: String, after: u64, done: bool },
}

impl Errand {
    /// The server may have too much to do for it: it takes room for a body, a run or a scan.
    fn may_be_too_much(&self) -> bool {
        match self {
            Errand::BrokenJson | Errand::Sync | Errand::SyncNote { .. } | Errand::ChatNote { .. } => true,
            Errand::Chat { .. } | Errand::Begin { .. } | Errand::Stream { .. } => true,
            Errand::Health | Errand::HeadOnly | Errand::Info | Errand::Options | Errand::Nowhere => false,
            Errand::TooLarge | Errand::Tasks | Errand::Follow | Errand::Meddle | Errand::Write => false,
            Errand::Poll { .. } | Errand::Cancel { .. } | Errand::Rejoin { .. } => false,
        }
    }

    /// It asks about a run, which may be forgotten, or has one that may be forgotten before its end is told.
    fn is_about_a_run(&self) -> bool {
        match self {
            Errand::Chat { .. } | Errand::Begin { .. } | Errand::Stream { .. } => true,
            Errand::Poll { .. } | Errand::Cancel { .. } | Errand::Rejoin { .. } | Errand::ChatNote { .. } => {
                true
            }
            Errand::Health | Errand::HeadOnly | Errand::Info | Errand::Options | Errand::Nowhere => false,
            Errand::BrokenJson | Errand::TooLarge | Errand::Tasks | Errand::Sync => false,
            Errand::Follow | Errand::Meddle | Errand::Write | Errand::SyncNote { .. } => false,
        }
    }
}

/// A request that was sent, at least in part.
#[derive(Debug)]
struct Sent {
    errand: Errand,
    began: Time,
    head: Option<Head>,
    body: Vec<u8>,
    events: EventReader,
    /// Of a stream: the run and the last event that was read.
    position: Option<(String, u64)>,
    is_done: bool,
    /// `100 Continue` may come, once; it does not wait for it.
    expects: bool,
    /// It was asked in calm weather.
    in_calm: bool,
    /// It was asked when every subject's note was known.
    is_indexed: bool,
}

/// In calm weather whatever is asked for is done within this time, the disk helper's last slow job included; long
/// before some timeout wakes a loop that has forgotten it.
const PROMPT: Duration = Duration::from_secs(15);

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
            self.line_is_calm = outside.is_calm();
            self.line_answers = 0;
            (self.connected_at, self.sent_bytes) = (now, 0);
            self.parser = Parser::new();
            self.has_finished = false;
            return None;
        };
        match outside.state(line) {
            State::Connecting => return None,
            State::Refused => {
                if !self.town.is_stopping.get() {
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
                    if let Some((id, _)) = &sent.position {
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
        (taken > 0 && !self.outgoing.is_empty()).then(|| if calm { now } else { self.next_write })
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
        if self.line.is_none() {
            return None;
        }
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
        let streams = self
            .sent
            .front()
            .is_some_and(|sent| matches!(sent.errand, Errand::Stream { .. } | Errand::Rejoin { .. }));
        let may_cut = streams && self.town.forgets_runs;
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
        let may_close = self.town.evicts || self.town.forgets_runs || self.town.is_stopping.get();
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
        let excused = is_own || self.town.evicts || self.town.is_stopping.get();
        if self.line_is_calm && self.line_answers == 0 && !excused {
            self.complain(format!("lost its connection before the first answer: {loss:?}"));
        }
        self.line = None;
        self.outgoing.clear();
        while let Some(sent) = self.sent.pop_back() {
            if let Some((id, after)) = sent.position {
                self.see("a stream was broken and joined again");
                // How long it will be away it can't know.
                self.town.oracle.borrow_mut().may_be_cancelled(&id);
                self.agenda.push_front(Errand::Rejoin { id, after, done: sent.is_done });
            } else {
                self.agenda.push_front(sent.errand);
            }
        }
        let most = self.random.pick(&[2, 20, 300, 2000]);
        let pause = if outside.is_calm() { 50 } else { self.random.between(1, most) as u64 };
        self.next_errand = outside.now().after(Duration::from_millis(pause));
    }

    // --- Requests -------------------------------------------------------------------------------------------------

    /// What others have begun is known only when the time comes.
    fn decide(&mut self, errand: Errand, outside: &mut Outside<'_>) -> Option<Errand> {
        match errand {
            Errand::Write => {
                let name = format!("zq{}", self.random.between(100_000, 999_999));
                let text = format!("# {name}\n\nThe code of {name} is {}.\n", note_code(&name));
                outside.save(&format!("written/{name}.md"), text.into_bytes());
                Some(Errand::SyncNote { name })
            }
            Errand::Follow => {
                let id = self.town.oracle.borrow().any_run(&mut self.random)?;
                Some(Errand::Rejoin { id, after: 0, done: false })
            }
            Errand::Meddle => {
                let id = self.town.oracle.borrow().any_run(&mut self.random)?;
                Some(Errand::Cancel { id })
            }
            errand => Some(errand),
        }
    }

    fn request(&mut self, errand: Errand, now: Time, in_calm: bool) {
        if let Errand::Cancel { id } = &errand {
            self.town.oracle.borrow_mut().to_be_cancelled(id);
        }
        let (method, path, body) = match &errand {
            Errand::Health => ("GET", "/health".to_owned(), None),
            Errand::HeadOnly => ("HEAD", "/health".to_owned(), None),
            Errand::Info => ("GET", "/info".to_owned(), None),
            Errand::Options => ("OPTIONS", "/chat".to_owned(), None),
            Errand::Nowhere => ("GET", "/no/such/path?x=%20".to_owned(), None),
            Errand::BrokenJson => ("POST", "/chat".to_owned(), Some("{\"message\": ".to_owned())),
            Errand::TooLarge => ("POST", "/chat".to_owned(), None),
            Errand::Tasks => ("GET", format!("/tasks?limit={}", self.random.between(1, 20)), None),
            Errand::Sync => ("POST", "/sync".to_owned(), Some(String::new())),
            Errand::Chat { subject } => ("POST", "/chat".to_owned(), Some(self.question(SUBJECTS[*subject]))),
            Errand::Begin { subject, .. } => {
                ("POST", "/chat/async".to_owned(), Some(self.question(SUBJECTS[*subject])))
            }
            Errand::Stream { subject } => {
                ("POST", "/chat/stream".to_owned(), Some(self.question(SUBJECTS[*subject])))
            }
            Errand::Follow | Errand::Meddle | Errand::Write => unreachable!("decided before"),
            Errand::SyncNote { .. } => ("POST", "/sync".to_owned(), Some(String::new())),
            Errand::ChatNote { name } => ("POST", "/chat".to_owned(), Some(self.question(name))),
            Errand::Poll { id, .. } => ("GET", format!("/chat/task/{id}"), None),
            Errand::Cancel { id } => ("DELETE", format!("/tasks/{id}"), None),
            Errand::Rejoin { id, after, .. } if self.random.chance(500) => {
                ("GET", format!("/chat/task/{id}/stream?after={after}"), None)
            }
            Errand::Rejoin { id, .. } => ("GET", format!("/chat/task/{id}/stream"), None),
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        if let Errand::Rejoin { id, after, .. } = &errand
            && !path.contains('?')
            && *after > 0
        {
            head += &format!("Last-Event-ID: {id}-{after}\r\n");
        }
        if method == "POST" {
            head += "Content-Type: application/json\r\n";
        }
        if errand == Errand::TooLarge {
            head += &format!("Content-Length: {}\r\n", self.town.limits.chat_body_bytes_max + 1);
        }
        let expects = body.is_some() && self.random.chance(150);
        if expects {
            head += "Expect: 100-continue\r\n";
        }
        let mut bytes = head.into_bytes();
        match body {
            None if errand == Errand::TooLarge => {
                // It does not wait to hear that nobody wants all that.
                bytes.extend(b"\r\n");
                bytes.resize(bytes.len() + self.random.spread(2000), b'x');
            }
            None => bytes.extend(b"\r\n"),
            Some(body) if self.random.chance(700) => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).bytes());
            }
            Some(body) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = body.as_bytes();
                while !rest.is_empty() {
                    let (chunk, left) = rest.split_at(self.random.between(1, rest.len()));
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                    rest = left;
                }
                bytes.extend(b"0\r\n\r\n");
            }
        }
        self.parser.sent(method == "HEAD");
        self.outgoing.extend(bytes);
        let position = match &errand {
            Errand::Rejoin { id, after, .. } => Some((id.clone(), *after)),
            _ => None,
        };
        let is_done = matches!(errand, Errand::Rejoin { done: true, .. });
        let (body, events) = (Vec::new(), EventReader::default());
        self.sent.push_back(Sent {
            errand,
            began: now,
            head: None,
            body,
            events,
            position,
            is_done,
            expects,
            in_calm,
            is_indexed: self.town.is_indexed.get(),
        });
    }

    fn question(&mut self, name: &str) -> String {
        let mut question = json!({ "message": format!("What is the code of {name}?") });
        if self.random.chance(200) {
            question["conversation_history"] = json!([
                { "role": "user", "content": "Good morning." },
                { "role": "assistant", "content": "Grüße, 日本 ☂" },
            ]);
        }
        if self.random.chance(200) {
            question["padding"] = json!("x".repeat(self.random.spread(20_000)));
        }
        question.to_string()
    }

    // --- Answers --------------------------------------------------------------------------------------------------

    fn take_pieces(&mut self, line: Line, outside: &mut Outside<'_>) {
        loop {
            let piece = match self.parser.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(wrong) => return self.complain(format!("was sent {wrong}")),
            };
            if let Err(wrong) = self.take_piece(piece, line, outside) {
                let errand = self.sent.front().map(|sent| format!("{:?}", sent.errand));
                return self.complain(format!("{wrong}, when asked {}", errand.unwrap_or_default()));
            }
            if self.line.is_none() {
                return;
            }
        }
    }

    fn take_piece(&mut self, piece: Piece, line: Line, outside: &mut Outside<'_>) -> Result<(), String> {
        match piece {
            Piece::Interim => {
                let asked =
                    self.sent.front_mut().is_some_and(|sent| std::mem::replace(&mut sent.expects, false));
                if !asked {
                    return Err("was sent 100 and had not asked for it, or twice".to_owned());
                }
                self.see("a client was told to go on with its body");
                Ok(())
            }
            Piece::Head(head) => {
                let now = outside.now();
                let Some(sent) = self.sent.front_mut() else {
                    return self.unasked(&head);
                };
                if head.status == 408 {
                    let limits = &self.town.limits;
                    let least = limits.head_timeout.min(limits.body_gap_timeout).min(limits.body_timeout);
                    let took = now.since(sent.began);
                    if took < least {
                        return Err(format!("was timed out after {took:?}, before {least:?}"));
                    }
                }
                sent.head = Some(head);
                Ok(())
            }
            Piece::Body(bytes) => {
                let Some(sent) = self.sent.front_mut() else { return Ok(()) };
                let head = sent.head.as_ref().ok_or("has a body without a head")?;
                if head.status == 200 && head.field("content-type") == Some("text/event-stream") {
                    sent.events.feed(&bytes);
                    return self.take_events(line, outside);
                }
                sent.body.extend(bytes);
                Ok(())
            }
            Piece::End => {
                let Some(sent) = self.sent.pop_front() else { return Ok(()) };
                let errand = sent.errand.clone();
                self.answered(sent, outside).map_err(|wrong| format!("{wrong}, when asked {errand:?}"))
            }
        }
    }

    /// The server may refuse before anything is asked only for being too slow.
    fn unasked(&mut self, head: &Head) -> Result<(), String> {
        if head.status == 408 { Ok(()) } else { Err(format!("was answered {} unasked", head.status)) }
    }

    fn take_events(&mut self, line: Line, outside: &mut Outside<'_>) -> Result<(), String> {
        loop {
            let Some(sent) = self.sent.front_mut() else { return Ok(()) };
            let next = sent.events.next()?;
            let has_heartbeat = sent.events.heartbeats() > 0;
            let Some(event) = next else {
                if has_heartbeat {
                    self.see("a silent stream had a heartbeat");
                }
                return Ok(());
            };
            let (run, number) = event.id.ok_or("was sent an event without an id")?;
            let expected = match &sent.position {
                Some((known, _)) if *known != run => return Err(format!("was sent an event of {run}")),
                Some((_, last)) => last + 1,
                None => 1,
            };
            if number != expected {
                return Err(format!("was sent event {number} of run {run} in place of {expected}"));
            }
            if sent.is_done {
                return Err(format!("was sent event {number} behind the last of run {run}"));
            }
            sent.position = Some((run.clone(), number));
            sent.is_done = event.data.contains("\"type\":\"done\"");
            if self.has_finished || self.town.is_stopping.get() {
                self.town.oracle.borrow_mut().may_be_cancelled(&run);
            }
            self.town.oracle.borrow_mut().event(&run, number, &event.data, outside.now())?;
            if !outside.is_calm() && self.random.chance(self.temper.quit_stream_per_mille) {
                if self.random.chance(500) {
                    outside.reset(line)
                } else {
                    outside.close(line)
                }
                self.lose(outside, Loss::Own);
                return Ok(());
            }
        }
    }

    fn answered(&mut self, sent: Sent, outside: &mut Outside<'_>) -> Result<(), String> {
        let Sent { errand, began, head, body, position, is_done, events, in_calm, is_indexed, .. } = sent;
        let now = outside.now();
        let head = head.ok_or("was sent an answer without a head")?;
        let status = head.status;
        outside.say(|| format!("({}) is answered {status}", self.temper.name));
        let text = || show(&body);
        if let Some(length) = head.field("content-length")
            && length != body.len().to_string()
            && errand != Errand::HeadOnly
        {
            return Err(format!("was promised {length} bytes and sent {}", body.len()));
        }
        let calm = outside.is_calm();
        let took = outside.now().since(began);
        if self.line_is_calm && !self.town.evicts && took > PROMPT {
            return Err(format!("waited {took:?} in calm weather"));
        }
        match status {
            408 => {
                if self.line_is_calm {
                    return Err("was timed out although it said all at once".to_owned());
                }
                self.see("a slow request was answered 408");
                self.agenda.push_front(errand);
                return Ok(());
            }
            503 if errand.may_be_too_much() => {
                let seconds: u64 = head
                    .field("retry-after")
                    .and_then(|text| text.parse().ok())
                    .ok_or("503 without Retry-After")?;
                self.see("a request was answered 503");
                self.next_errand = outside.now().after(Duration::from_secs(seconds));
                self.agenda.push_front(errand);
                return Ok(());
            }
            410 if self.town.forgets_runs && errand.is_about_a_run() => {
                self.see("a run was forgotten while somebody asked for it");
                return Ok(());
            }
            _ => {}
        }
        let json: Value = match status {
            200 | 202 if errand != Errand::HeadOnly && position.is_none() => serde_json::from_slice(&body)
                .map_err(|error| format!("was sent broken JSON: {error}: {}", text()))?,
            _ => Value::Null,
        };
        self.done_count += 1;
        self.line_answers += 1;
        let expect = |wanted: u16| {
            if status == wanted {
                Ok(())
            } else {
                Err(format!("was answered {status} in place of {wanted}: {}", show(&body)))
            }
        };
        match errand {
            Errand::Health => {
                expect(200)?;
                let stopping = self.town.is_stopping.get();
                match json["status"].as_str() {
                    Some("healthy") => Ok(()),
                    Some("stopping") if stopping => {
                        self.see("a request was answered while stopping");
                        Ok(())
                    }
                    other => Err(format!("was told {other:?}")),
                }
            }
            Errand::HeadOnly | Errand::Info => expect(200),
            Errand::Options => expect(204),
            Errand::Nowhere => expect(404),
            Errand::BrokenJson => expect(422),
            Errand::TooLarge => {
                expect(413)?;
                self.see("a body was refused from its declared size");
                Ok(())
            }
            Errand::Tasks => {
                expect(200)?;
                let ids: Vec<&str> = json["tasks"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|task| task["task_id"].as_str())
                    .collect();
                if !ids.windows(2).all(|pair| pair[0] > pair[1]) {
                    return Err(format!("was told tasks out of order: {ids:?}"));
                }
                Ok(())
            }
            Errand::Sync => {
                expect(200)?;
                self.see("a sync was answered");
                if in_calm {
                    self.town.is_indexed.set(true);
                }
                if json["added"].as_u64() > Some(0) && json["removed"].as_u64() > Some(0) {
                    self.see("a sync found notes added and removed");
                }
                Ok(())
            }
            Errand::Chat { subject } => {
                if status == 409 && (self.has_finished || self.town.is_stopping.get()) {
                    self.see("a chat was cancelled under a client that had half-closed");
                    return Ok(());
                }
                expect(200)?;
                let run = json["run_id"].as_str().ok_or("was sent an answer without a run")?;
                self.town.oracle.borrow_mut().status(run, "completed", began, now)?;
                self.check_answer(run, subject, &json, is_indexed)
            }
            Errand::Begin { subject: _, cancels } => {
                expect(202)?;
                let id = json["task_id"].as_str().ok_or("was sent no task_id")?.to_owned();
                if head.field("location") != Some(&format!("/chat/task/{id}")) {
                    return Err(format!("was sent to {:?}", head.field("location")));
                }
                if json["status"] == "pending" {
                    self.see("a task was accepted");
                }
                self.agenda.push_front(Errand::Poll { id: id.clone(), again: 2 });
                if cancels {
                    self.agenda.push_front(Errand::Cancel { id });
                }
                Ok(())
            }
            Errand::Follow | Errand::Meddle | Errand::Write => Err("is undecided".to_owned()),
            Errand::SyncNote { name } => {
                expect(200)?;
                // What could not be read is told, and may be the note.
                if json["problems"] == json!([]) {
                    self.agenda.push_front(Errand::ChatNote { name });
                }
                Ok(())
            }
            Errand::ChatNote { name } => {
                if status == 409 && (self.has_finished || self.town.is_stopping.get()) {
                    return Ok(());
                }
                expect(200)?;
                if !json["response"].as_str().is_some_and(|answer| answer.contains(&note_code(&name))) {
                    return Err(format!(
                        "saved {name} and synced, and is not told of it: {}",
                        json["response"]
                    ));
                }
                self.see("a note was saved, synced and found");
                Ok(())
            }
            Errand::Cancel { id } => {
                expect(200)?;
                let status = self.check_task(&id, &json, began, now)?;
                if !is_terminal(&status) {
                    return Err(format!("cancelled {id}, which is {status}"));
                }
                if status == "cancelled" {
                    self.see("a run was cancelled by request");
                } else {
                    self.see("a cancel came too late");
                }
                Ok(())
            }
            Errand::Poll { id, again } => {
                expect(200)?;
                let status = self.check_task(&id, &json, began, now)?;
                match (status.as_str(), is_terminal(&status), again) {
                    (_, true, 0) => {}
                    (_, true, again) => self.agenda.push_front(Errand::Poll { id, again: again - 1 }),
                    (status, false, _) => {
                        if status == "pending" && json["place"].as_u64() > Some(1) {
                            self.see("a task waited behind another");
                        }
                        let pause = if calm { 20 } else { self.random.between(1, 300) as u64 };
                        self.next_errand = outside.now().after(Duration::from_millis(pause));
                        self.agenda.push_front(Errand::Poll { id, again });
                    }
                }
                Ok(())
            }
            Errand::Rejoin { done: true, .. } => {
                expect(204)?;
                self.see("a reader of an ended stream was told 204");
                Ok(())
            }
            Errand::Stream { .. } | Errand::Rejoin { .. } => {
                expect(200)?;
                if !is_done || events.is_within_event() {
                    return Err("was sent the end of a stream that is not done".to_owned());
                }
                let (id, after) = position.ok_or("was sent an empty stream")?;
                if self.random.chance(300) {
                    self.agenda.push_front(Errand::Rejoin { id, after, done: true });
                }
                Ok(())
            }
        }
    }

    fn check_task(&mut self, id: &str, json: &Value, asked: Time, now: Time) -> Result<String, String> {
        if json["task_id"] != id {
            return Err(format!("asked for {id} and was told of {}", json["task_id"]));
        }
        if self.town.is_stopping.get() {
            self.town.oracle.borrow_mut().may_be_cancelled(id);
        }
        let status = json["status"].as_str().unwrap_or("?").to_owned();
        let far = rank(&status).ok_or_else(|| format!("was told {status}, which is no status"))?;
        let before = self.told.insert(id.to_owned(), far);
        if before > Some(far) {
            return Err(format!("was told that {id} is {status}, after it had been told better"));
        }
        self.town.oracle.borrow_mut().status(id, &status, asked, now)?;
        if let Some(response) = json["result"]["response"].as_str() {
            self.town.oracle.borrow_mut().response(id, response)?;
        }
        if (status == "completed") != (json["result"]["run_id"] == id) {
            return Err(format!("was told {status} with the result {}", json["result"]));
        }
        if is_terminal(&status) != json["completed_at"].is_string() {
            return Err(format!("was told {status}, completed at {}", json["completed_at"]));
        }
        Ok(status)
    }

    /// An answer that names codes must name the one that was asked for.
    fn check_answer(
        &mut self,
        run: &str,
        subject: usize,
        json: &Value,
        is_indexed: bool,
    ) -> Result<(), String> {
        let answer = json["response"].as_str().ok_or("was sent an answer without words")?;
        self.town.oracle.borrow_mut().response(run, answer)?;
        if is_indexed && !answer.contains(&code(subject)) {
            return Err(format!("was not told what is in a note that is indexed: {answer}"));
        }
        let others =
            (0..SUBJECTS.len()).filter(|other| *other != subject).any(|other| answer.contains(&code(other)));
        if others && !answer.contains(&code(subject)) {
            return Err(format!("was told of another subject: {answer}"));
        }
        if answer.contains(&code(subject)) {
            self.see("a chat was answered out of the right note");
        } else {
            self.see("a chat was asked before its note was indexed");
        }
        Ok(())
    }
}

/// The code that a visitor's own note tells.
fn note_code(name: &str) -> String {
    format!("{}-{}", name.to_uppercase(), name.len())
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
