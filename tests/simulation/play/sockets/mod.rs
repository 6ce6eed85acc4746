//! Clients that speak WebSocket: they ask for several things at once, lose their connection and go on over another one, say
//! nothing for long, or break the protocol. Once the weather is calm they must get all of it done.

pub mod frames;
mod hear;
mod wish;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use oneloop::base::Time;
use oneloop::os::sim::{Actor, Line, Outside, Random, Received, State};

use super::judge::Question;
use super::town::Shared;
use frames::{CLOSE, FrameReader, LAST, frame};

pub use wish::{BREACHES, NONSENSE, Wish};

/// How such a client behaves while the weather is rough.
#[derive(Debug, Clone)]
pub struct Manner {
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
    /// How often, in a thousand reads, it stops reading for a while.
    pub stops_per_mille: u16,
    /// How often, in a thousand acts, it drops its connection.
    pub vanish_per_mille: u16,
    /// What it asks for at once.
    pub at_once: usize,
    /// It speaks before its handshake is answered.
    pub hurries: bool,
}

impl Manner {
    /// The best of clients.
    pub fn good() -> Manner {
        Manner {
            name: "socket",
            write_bytes: usize::MAX,
            write_gap: Duration::ZERO,
            read_bytes: usize::MAX,
            read_gap: Duration::ZERO,
            stops_per_mille: 0,
            vanish_per_mille: 0,
            at_once: 1,
            hurries: false,
        }
    }
}

/// Where it is with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The handshake is not answered.
    Greeting,
    Open,
    /// It has said that it leaves, or broken the protocol: this is the code that it must be told.
    Leaving {
        code: u16,
    },
    /// It was told that this is the end.
    Ended,
}

/// What was asked over this connection and is not answered.
#[derive(Debug, Clone)]
struct Pending {
    asked: Asked,
    at: Time,
    in_calm: bool,
}

#[derive(Debug, Clone)]
enum Asked {
    Chat { wish: Wish, subject: usize, question: Question, is_indexed: bool, stays: bool, cancels: bool },
    Resume { run: String, after: u64 },
    Cancel { run: String },
    Pong,
    Nonsense { place: usize },
}

/// A run of its own.
#[derive(Debug, Clone)]
struct Own {
    subject: usize,
    question: Question,
    /// Every subject's note was known when it was asked, by the process after so many others.
    is_indexed: bool,
    ends: u32,
    /// It goes on without its reader.
    stays: bool,
    /// The last event that was read.
    after: u64,
    is_done: bool,
    /// It is read over this connection.
    is_read: bool,
    /// When it is tried again to read it.
    next_try: Time,
    /// When it was accepted, if that was in calm weather.
    accepted_in_calm: Option<Time>,
}

/// A client.
#[derive(Debug)]
pub struct Socket {
    town: Shared,
    manner: Manner,
    random: Random,
    agenda: VecDeque<Wish>,
    runs: BTreeMap<String, Own>,
    pending: BTreeMap<u64, Pending>,
    /// Cancels whose run has told its end: they may be answered in words, too.
    settled: BTreeSet<u64>,
    /// Pings that are not answered.
    pings: VecDeque<Vec<u8>>,
    next_id: u64,
    line: Option<Line>,
    /// The connection was begun in calm weather, so nothing excuses the server.
    line_is_calm: bool,
    connected_ends: u32,
    hurries: bool,
    phase: Phase,
    head: Vec<u8>,
    frames: FrameReader,
    outgoing: Vec<u8>,
    has_finished: bool,
    /// It has broken the protocol like this and was not told so yet.
    breach: Option<usize>,
    /// It says nothing from here on, whatever it is asked, and whether that was in calm weather.
    dead: Option<bool>,
    calm_since: Option<Time>,
    last_sent: Time,
    silent_until: Time,
    next_write: Time,
    next_read: Time,
    next_wish: Time,
    next_try: Time,
    complaint: Option<String>,
    seen: Vec<&'static str>,
}

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The client wanted it, or there is no server.
    Own,
    End,
    Reset,
}

/// How much longer than two ping intervals a silent client may be kept in calm weather: what is under way may take a while.
const KEPT_LONGER_MAX: Duration = Duration::from_secs(45);

impl Socket {
    /// A client with these wishes.
    pub fn new(town: &Shared, manner: Manner, random: Random, agenda: Vec<Wish>) -> Socket {
        Socket {
            town: town.clone(),
            manner,
            random,
            agenda: agenda.into(),
            runs: BTreeMap::new(),
            pending: BTreeMap::new(),
            settled: BTreeSet::new(),
            pings: VecDeque::new(),
            next_id: 1,
            line: None,
            line_is_calm: false,
            connected_ends: 0,
            hurries: false,
            phase: Phase::Greeting,
            head: Vec::new(),
            frames: FrameReader::default(),
            outgoing: Vec::new(),
            has_finished: false,
            breach: None,
            dead: None,
            calm_since: None,
            last_sent: Time::ZERO,
            silent_until: Time::ZERO,
            next_write: Time::ZERO,
            next_read: Time::ZERO,
            next_wish: Time::ZERO,
            next_try: Time::ZERO,
            complaint: None,
            seen: Vec::new(),
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

    /// The process that it was connected to is no more, or there was none.
    fn is_excused_by_an_end(&self) -> bool {
        self.town.is_down.get() || self.town.ends.get() != self.connected_ends
    }

    /// It has all that it came for.
    fn is_content(&self) -> bool {
        let has_all = self.agenda.is_empty() && self.pending.is_empty() && self.pings.is_empty();
        has_all && self.breach.is_none() && self.runs.values().all(|run| run.is_done)
    }

    // --- The connection -------------------------------------------------------------------------------------------

    /// Goes on with its connection. Answers when it wants to be called again at the latest.
    fn go_on(&mut self, outside: &mut Outside<'_>) -> Option<Time> {
        let (now, calm) = (outside.now(), outside.is_calm());
        if calm {
            self.calm_since.get_or_insert(now);
        }
        let Some(line) = self.line else {
            if self.is_content() {
                return None;
            }
            if now < self.next_try {
                return Some(self.next_try);
            }
            self.connect(outside);
            return None;
        };
        match outside.state(line) {
            State::Connecting => return None,
            State::Refused => {
                if !self.town.is_stopping.get() && !self.is_excused_by_an_end() {
                    self.complain("was refused although the server listens".to_owned());
                }
                self.lose(Loss::Own, outside);
                return Some(self.next_try);
            }
            State::Open | State::Reset => {}
        }
        if !calm && self.random.chance(self.manner.vanish_per_mille) {
            match self.random.below(3) {
                0 => outside.reset(line),
                1 => outside.close(line),
                // The rest is read; what was being written stays half a frame.
                _ if !self.has_finished => {
                    self.has_finished = true;
                    self.may_be_cancelled();
                    outside.finish(line);
                    return Some(now);
                }
                _ => outside.close(line),
            }
            self.see("a client vanished from its socket");
            self.lose(Loss::Own, outside);
            return Some(self.next_try);
        }
        let wake = self.write(line, calm, outside);
        let wake = soonest(wake, if self.line.is_some() { self.read(line, calm, outside) } else { None });
        if self.line.is_some() || self.is_content() { wake } else { soonest(wake, Some(self.next_try)) }
    }

    fn connect(&mut self, outside: &mut Outside<'_>) {
        self.line = Some(outside.connect());
        self.line_is_calm = outside.is_calm() && !self.town.is_down.get();
        self.connected_ends = self.town.ends.get();
        self.hurries = self.manner.hurries && self.random.chance(700);
        self.phase = Phase::Greeting;
        self.head.clear();
        self.frames = FrameReader::default();
        self.outgoing = frames::HANDSHAKE.as_bytes().to_vec();
        (self.has_finished, self.dead, self.last_sent) = (false, None, outside.now());
    }

    fn write(&mut self, line: Line, calm: bool, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        if self.dead.is_some() {
            return self.wait_dead(now);
        }
        if self.has_finished {
            return None;
        }
        let wake = self.ask(calm, outside);
        if self.outgoing.is_empty() && self.phase == Phase::Open && self.is_content() {
            if !calm && self.random.chance(300) {
                outside.close(line);
                self.line = None;
                return None;
            }
            let mask = frames::mask(&mut self.random);
            frame(LAST | CLOSE, &1000_u16.to_be_bytes(), mask, &mut self.outgoing);
            self.phase = Phase::Leaving { code: 1000 };
        }
        if self.outgoing.is_empty() {
            return wake;
        }
        if !calm && now < self.next_write {
            return soonest(wake, Some(self.next_write));
        }
        let most = if calm { usize::MAX } else { self.manner.write_bytes };
        let count = self.outgoing.len().min(most);
        let taken = outside.send(line, &self.outgoing[..count]);
        self.outgoing.drain(..taken);
        self.next_write = now.after(self.manner.write_gap);
        if taken > 0 {
            self.last_sent = now;
        }
        let goes_on = taken > 0 && !self.outgoing.is_empty();
        if goes_on { soonest(wake, Some(if calm { now } else { self.next_write })) } else { wake }
    }

    /// Whoever says nothing at all is given up, and not before it was asked and has had its time to answer.
    fn wait_dead(&mut self, now: Time) -> Option<Time> {
        let since = self.calm_since?.max(self.last_sent);
        let until = since.after(self.town.limits.websocket_ping_interval * 2 + KEPT_LONGER_MAX);
        if now >= until && !self.town.is_stopping.get() {
            self.complain("has said nothing for long, and is not given up".to_owned());
        }
        Some(until)
    }

    fn read(&mut self, line: Line, calm: bool, outside: &mut Outside<'_>) -> Option<Time> {
        let now = outside.now();
        if !calm && now < self.next_read {
            return Some(self.next_read);
        }
        let most = if calm { usize::MAX } else { self.manner.read_bytes };
        let mut bytes = Vec::new();
        let received = outside.receive(line, most, &mut bytes);
        if let Err(wrong) = self.take(&bytes, outside) {
            self.complain(wrong);
            return None;
        }
        match received {
            Received::Nothing => None,
            Received::Bytes => {
                self.next_read = now.after(self.manner.read_gap);
                if self.random.chance(self.manner.stops_per_mille) {
                    let pause = self.random.spread(30_000) as u64;
                    self.next_read = now.after(Duration::from_millis(pause));
                }
                Some(if calm { now } else { self.next_read })
            }
            Received::End => {
                self.check_end();
                outside.close(line);
                self.lose(Loss::End, outside);
                Some(self.next_try)
            }
            Received::Reset => {
                self.check_reset(now);
                outside.close(line);
                self.lose(Loss::Reset, outside);
                Some(self.next_try)
            }
        }
    }

    /// The server has ended the connection: it says so before, whatever the reason.
    fn check_end(&mut self) {
        if self.is_excused_by_an_end() {
            return;
        }
        let is_told = match self.phase {
            // It may have to make room for others, or have waited for too long.
            Phase::Greeting => !self.line_is_calm || self.town.evicts || self.town.is_stopping.get(),
            Phase::Open | Phase::Leaving { .. } => self.has_finished,
            Phase::Ended => true,
        };
        if !is_told || self.frames.is_within_frame() {
            self.complain(format!(
                "was sent the end of the connection in place of a close: {:?}",
                self.phase
            ));
        }
    }

    fn check_reset(&mut self, now: Time) {
        let is_excused = self.is_excused_by_an_end() || self.town.is_stopping.get();
        if let Some(began_in_calm) = self.dead {
            let least = self.last_sent.after(self.town.limits.websocket_ping_interval * 2);
            if began_in_calm && !is_excused && now < least {
                self.complain(format!("was given up after {:?} of silence", now.since(self.last_sent)));
            }
            self.see("a socket that does not answer was given up");
            return;
        }
        let may_evict = self.town.evicts && self.phase == Phase::Greeting;
        if self.line_is_calm && !is_excused && !may_evict {
            self.complain(format!("was reset in calm weather: {:?}", self.phase));
        }
    }

    /// Nobody is there for its runs for now, and how long that will be it can't know.
    fn may_be_cancelled(&self) {
        for (run, own) in self.runs.iter().filter(|(_, own)| !own.is_done) {
            if !own.stays || self.town.is_stopping.get() {
                self.town.oracle.borrow_mut().may_be_cancelled(run);
            }
        }
    }

    /// The connection is gone: what was not answered is to be asked again, and runs are gone on with over the next.
    fn lose(&mut self, loss: Loss, outside: &mut Outside<'_>) {
        outside.say(|| format!("({}) has lost its connection: {loss:?}", self.manner.name));
        self.line = None;
        self.outgoing.clear();
        self.settled.clear();
        self.pings.clear();
        self.dead = None;
        self.may_be_cancelled();
        for own in self.runs.values_mut() {
            own.is_read = false;
        }
        let pending = std::mem::take(&mut self.pending);
        for Pending { asked, .. } in pending.into_values().rev() {
            if let Some(wish) = asked.again() {
                self.agenda.push_front(wish);
            }
        }
        if let Some(place) = self.breach.take() {
            self.agenda.push_back(Wish::Breach { place });
        }
        let most = self.random.pick(&[2, 20, 300, 2000]);
        let pause = if outside.is_calm() { 50 } else { self.random.between(1, most) as u64 };
        self.next_try = outside.now().after(Duration::from_millis(pause));
    }
}

fn soonest(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}

impl Actor for Socket {
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
        if self.complaint.is_some() {
            return None;
        }
        let wake = self.go_on(outside)?;
        Some(wake.since(outside.now()).max(Outside::soon()))
    }

    fn is_done(&self) -> bool {
        self.is_content() && self.line.is_none()
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn describe(&self) -> String {
        let runs: Vec<(&str, u64, bool)> = self
            .runs
            .iter()
            .filter(|(_, own)| !own.is_done)
            .map(|(run, own)| (run.as_str(), own.after, own.is_read))
            .collect();
        format!(
            "{}, {:?}, with the runs {runs:?}, asked {:?}, {} more wanted: {:?}",
            self.manner.name,
            self.phase,
            self.pending.values().map(|pending| &pending.asked).collect::<Vec<_>>(),
            self.agenda.len(),
            self.agenda
        )
    }

    fn seen(&self) -> &[&'static str] {
        &self.seen
    }
}
