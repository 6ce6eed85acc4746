//! Everybody who is not a visitor: crowds, people who send nonsense, people who save notes, and a supervisor.

use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::Signal;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};

use super::parser::{Parser, Piece};
use super::town::Shared;

/// Many connections at once that say nothing, or half a word, and go away when they please.
#[derive(Debug)]
pub struct Crowd {
    random: Random,
    size: usize,
    lines: Vec<Line>,
    leaves_at: Option<Time>,
    has_left: bool,
    half_a_head: bool,
}

impl Crowd {
    /// A crowd of so many.
    pub fn new(random: Random, size: usize, half_a_head: bool) -> Crowd {
        Crowd { random, size, lines: Vec::new(), leaves_at: None, has_left: false, half_a_head }
    }
}

impl Actor for Crowd {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.has_left {
            return None;
        }
        let now = outside.now();
        let leaves_at =
            *self.leaves_at.get_or_insert(now.after(Duration::from_secs(self.random.between(1, 40) as u64)));
        if now >= leaves_at || outside.is_calm() {
            self.has_left = true;
            for line in self.lines.drain(..) {
                if self.random.chance(500) { outside.reset(line) } else { outside.close(line) }
            }
            return None;
        }
        if self.lines.len() < self.size {
            let line = outside.connect();
            self.lines.push(line);
            return Some(Duration::from_micros(self.random.spread(200_000) as u64));
        }
        if self.half_a_head {
            for line in &self.lines {
                if self.random.chance(100) {
                    outside.send(*line, b"GET /hea");
                }
            }
        }
        Some(leaves_at.since(now))
    }

    fn is_done(&self) -> bool {
        self.has_left
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn describe(&self) -> String {
        format!("a crowd of {}", self.size)
    }
}

/// Sends the same nonsense twice: once in one piece, once drop by drop. The answers must be the same.
#[derive(Debug)]
pub struct Twins {
    town: Shared,
    random: Random,
    rounds: usize,
    bytes: Vec<u8>,
    began: Time,
    /// How many processes had ended by then.
    began_ends: u32,
    twins: [Twin; 2],
    complaint: Option<String>,
    seen: Vec<&'static str>,
}

#[derive(Debug)]
struct Twin {
    line: Option<Line>,
    parser: Parser,
    sent: usize,
    next_write: Time,
    has_finished: bool,
    statuses: Vec<u16>,
    /// What refusals said.
    refusals: Vec<u8>,
    is_over: bool,
    /// Something happened to it that has nothing to do with what it sent.
    is_disturbed: bool,
}

impl Twin {
    fn new() -> Twin {
        let (statuses, refusals, next_write) = (Vec::new(), Vec::new(), Time::ZERO);
        let parser = Parser::new();
        let (has_finished, is_over, is_disturbed) = (false, false, false);
        let (line, sent) = (None, 0);
        Twin { line, parser, sent, next_write, has_finished, statuses, refusals, is_over, is_disturbed }
    }
}

/// What requests are made of, and what they are spoilt with.
const WHOLE: [&str; 10] = [
    "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /info HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "OPTIONS /chat HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n",
    "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: 1\r\n\r\n",
    "GET /tasks?limit=3 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    "GET /chat/task/7fffffff-ffff-7000-8000-000000000001 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "DELETE /tasks/7fffffff-ffff-7000-8000-000000000001 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
];
const SPOILERS: [&[u8]; 22] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"%",
    b"%zz",
    b"0",
    b"f",
    b"-1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b" folded\r\n",
    b"ffffffffffffffff",
];

impl Twins {
    /// Twins who play so many rounds.
    pub fn new(town: &Shared, random: Random, rounds: usize) -> Twins {
        let (bytes, seen) = (Vec::new(), Vec::new());
        let twins = [Twin::new(), Twin::new()];
        Twins {
            town: town.clone(),
            random,
            rounds,
            bytes,
            began: Time::ZERO,
            began_ends: 0,
            twins,
            complaint: None,
            seen,
        }
    }

    fn invent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.random.between(1, 3) {
            bytes.extend(self.random.pick(&WHOLE).bytes());
        }
        for _ in 0..self.random.spread(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.random.below(bytes.len());
            match self.random.below(4) {
                0 => bytes[at] = self.random.number() as u8,
                1 => drop(bytes.splice(at..at, self.random.pick(&SPOILERS).iter().copied())),
                2 => drop(bytes.drain(at..(at + self.random.spread(8)).min(bytes.len()))),
                _ => bytes.truncate(at + 1),
            }
        }
        if self.random.chance(30) {
            let long = self.random.between(1, 40_000);
            let at = bytes.len().min(4);
            bytes.splice(at..at, std::iter::repeat_n(b'a', long));
        }
        bytes
    }

    fn play(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        let now = outside.now();
        if self.twins.iter().all(|twin| twin.is_over) {
            self.compare(outside);
            for twin in &mut self.twins {
                if let Some(line) = twin.line.take() {
                    outside.close(line);
                }
            }
            if self.rounds == 0 {
                return None;
            }
            self.rounds -= 1;
            self.bytes = self.invent();
            (self.began, self.began_ends) = (now, self.town.ends.get());
            self.twins = [Twin::new(), Twin::new()];
            return Some(Duration::from_millis(self.random.between(1, 500) as u64));
        }
        let mut wake: Option<Time> = None;
        for (index, twin) in self.twins.iter_mut().enumerate() {
            if twin.is_over {
                continue;
            }
            let line = *twin.line.get_or_insert_with(|| outside.connect());
            match outside.state(line) {
                State::Connecting => continue,
                State::Open => {}
                State::Refused | State::Reset => {
                    (twin.is_over, twin.is_disturbed) = (true, true);
                    continue;
                }
            }
            if twin.sent < self.bytes.len() && now >= twin.next_write {
                let most = if index == 0 { usize::MAX } else { self.random.between(1, 5) };
                let count = (self.bytes.len() - twin.sent).min(most);
                twin.sent += outside.send(line, &self.bytes[twin.sent..twin.sent + count]);
                twin.next_write = now.after(Duration::from_micros(self.random.spread(3000) as u64));
            }
            if twin.sent == self.bytes.len() && !twin.has_finished {
                twin.has_finished = true;
                outside.finish(line);
            }
            let mut received = Vec::new();
            let end = outside.receive(line, usize::MAX, &mut received);
            // A HEAD among the nonsense would look like a promise not kept; there is none.
            twin.parser.feed(&received);
            if let Err(wrong) = read_statuses(twin) {
                self.complaint.get_or_insert(wrong);
                return None;
            }
            match end {
                Received::Bytes => wake = Some(now),
                Received::Nothing if twin.sent < self.bytes.len() => {
                    wake = Some(wake.map_or(twin.next_write, |wake| wake.min(twin.next_write)));
                }
                Received::Nothing => {}
                Received::End => {
                    twin.is_over = true;
                    twin.is_disturbed |= self.town.ends.get() != self.began_ends;
                    if twin.parser.is_within_answer() && !twin.is_disturbed {
                        let wrong = "(twins) was sent the end of the connection in the middle of an answer";
                        self.complaint.get_or_insert(wrong.to_owned());
                    }
                }
                Received::Reset => (twin.is_over, twin.is_disturbed) = (true, true),
            }
        }
        if self.twins.iter().all(|twin| twin.is_over) {
            wake = Some(now);
        }
        Some(wake?.since(now).max(Outside::soon()))
    }

    fn compare(&mut self, outside: &mut Outside<'_>) {
        if self.bytes.is_empty() {
            return;
        }
        let [whole, drops] = &self.twins;
        let is_odd = |status: &u16| matches!(status, 408 | 503 | 507);
        let disturbed = [whole, drops].iter().any(|twin| {
            // An answer may be cut off by a reset that follows what was sent behind the last request. But whoever is
            // refused half-way, and so can't send the rest, must be refused in the same words.
            twin.is_disturbed || twin.statuses.iter().any(is_odd)
        });
        outside.say(|| format!("(twins) are answered {:?} and {:?}", whole.statuses, drops.statuses));
        // Whoever takes too long, or must make room for others, is closed without a word.
        let limits = &self.town.limits;
        let patience = limits.head_timeout.min(limits.idle_timeout).min(limits.body_gap_timeout);
        let is_slow = outside.now().since(self.began) >= patience.min(limits.linger_timeout);
        let ends = self.town.is_stopping.get() || self.town.ends.get() != self.began_ends;
        if disturbed || is_slow || self.town.evicts || ends {
            return;
        }
        self.seen.push("the same bytes were sent in one piece and drop by drop");
        if whole.statuses.iter().any(|status| *status >= 400) {
            self.seen.push("nonsense was refused");
        }
        if whole.statuses != drops.statuses || whole.refusals != drops.refusals {
            self.complaint.get_or_insert(format!(
                "sent the same bytes in one piece and drop by drop, and was answered {:?} {} and {:?} {}: {}",
                whole.statuses,
                whole.refusals.escape_ascii(),
                drops.statuses,
                drops.refusals.escape_ascii(),
                self.bytes.escape_ascii()
            ));
        }
    }
}

fn read_statuses(twin: &mut Twin) -> Result<(), String> {
    // How many requests the nonsense holds only the server knows: any number may be answered.
    twin.parser.sent(false);
    while let Some(piece) = twin.parser.next().map_err(|wrong| format!("(twins) was sent {wrong}"))? {
        match piece {
            Piece::Head(head) => {
                twin.statuses.push(head.status);
                twin.parser.sent(false);
            }
            Piece::Body(bytes) if twin.statuses.last() >= Some(&400) => twin.refusals.extend(bytes),
            Piece::Body(_) | Piece::Interim | Piece::End => {}
        }
    }
    Ok(())
}

impl Actor for Twins {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        if outside.is_calm() {
            // What was begun in rough weather may have been disturbed; what begins now is not.
            self.rounds = self.rounds.min(1);
        }
        self.play(outside)
    }

    fn is_done(&self) -> bool {
        self.rounds == 0 && self.twins.iter().all(|twin| twin.line.is_none())
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        format!("twins with {} more rounds to play", self.rounds)
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}

/// Saves, changes and deletes notes.
#[derive(Debug)]
pub struct Editor {
    random: Random,
    saves: usize,
}

impl Editor {
    /// Someone who will save a note so many times.
    pub fn new(random: Random, saves: usize) -> Editor {
        Editor { random, saves }
    }
}

impl Actor for Editor {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.saves == 0 {
            return None;
        }
        self.saves -= 1;
        let path = format!("diary/day-{}.md", self.random.below(20));
        if self.random.chance(250) {
            outside.delete(&path);
        } else {
            let words = self.random.spread(400);
            let mut text = String::from("# A day\n\n");
            for word in 0..words {
                text += [
                    "tea ",
                    "rain ",
                    "[[zebra]] ",
                    "#walks ",
                    "**bold** ",
                    "\n\n- item ",
                    "\n\n## Later\n\n",
                ][self.random.below(7)];
                text += &format!("{word} ");
            }
            outside.save(&path, text.into_bytes());
        }
        Some(Duration::from_millis(self.random.between(1, 3000) as u64))
    }

    fn is_done(&self) -> bool {
        self.saves == 0
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn describe(&self) -> String {
        format!("an editor with {} more notes to save", self.saves)
    }
}

/// In the place of an actor who is left out, so that the others keep their numbers.
#[derive(Debug)]
pub struct Nobody;

impl Actor for Nobody {
    fn act(&mut self, _: &mut Outside<'_>) -> Option<Duration> {
        None
    }

    fn is_done(&self) -> bool {
        true
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn describe(&self) -> String {
        "nobody".to_owned()
    }
}

/// Tells the process to stop, once or, impatient, twice.
#[derive(Debug)]
pub struct Supervisor {
    town: Shared,
    waits: Vec<Duration>,
    next: Option<Time>,
}

impl Supervisor {
    /// Sends a signal after each of these waits.
    pub fn new(town: &Shared, waits: Vec<Duration>) -> Supervisor {
        Supervisor { town: town.clone(), waits, next: None }
    }
}

impl Actor for Supervisor {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        let now = outside.now();
        if let Some(next) = self.next {
            if now < next {
                return Some(next.since(now));
            }
            self.town.is_stopping.set(true);
            outside.signal(Signal::Terminate);
            self.next = None;
        }
        let wait = if self.waits.is_empty() { None } else { Some(self.waits.remove(0)) };
        self.next = wait.map(|wait| now.after(wait));
        wait
    }

    fn is_done(&self) -> bool {
        self.waits.is_empty() && self.next.is_none()
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn describe(&self) -> String {
        "a supervisor".to_owned()
    }
}
