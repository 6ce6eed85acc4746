//! What happened in the world, as a hash that two runs must share, and as sentences for whoever reads along.
//!
//! Sentences are made only if someone wants them: a run that fails is run again from its seed, this time telling.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::base::Time;
use crate::os::faults::Strike;

/// Names a connection in the simulated network, for clients and for the trace; the server knows it by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(pub u32);

/// Lines from here on are of the server's making. They are counted apart, so that the others keep their numbers.
const FIRST_OUTBOUND: u32 = 1 << 31;

impl Line {
    /// The line of the server's connection number `index` to somebody else.
    pub(super) fn outbound(index: u32) -> Line {
        Line(FIRST_OUTBOUND + index)
    }

    /// It is the server that has connected.
    pub fn is_outbound(self) -> bool {
        self.0 >= FIRST_OUTBOUND
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(FIRST_OUTBOUND) {
            Some(index) => write!(f, "outbound line {index}"),
            None => write!(f, "line {}", self.0),
        }
    }
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// An actor's: the one that connected, but for an outbound line.
    Client,
    /// The server's own.
    Server,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// Who is at this side of a line.
fn who(side: Side, line: Line) -> &'static str {
    match side {
        Side::Client if line.is_outbound() => "peer",
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is written out as a sentence below")]
pub enum Happened {
    Sleeps { at_most: Option<u64> },
    Wakes { ready: usize, done: usize },
    Interrupted,
    Announced { line: Line, readable: bool, writable: bool, read_closed: bool, broken: bool },
    ListenerAnnounced,
    Connecting { line: Line, actor: usize },
    Connected { line: Line, waiting: usize },
    Refused { line: Line },
    Accepted { line: Line },
    NotAccepted { why: &'static str },
    TurnedAway { line: Line },
    Read { side: Side, line: Line, bytes: usize },
    ReadFailed { side: Side, line: Line, why: ErrorKind },
    Wrote { side: Side, line: Line, bytes: usize, offered: usize },
    WriteFailed { side: Side, line: Line, why: ErrorKind },
    Arrived { side: Side, line: Line, bytes: usize },
    EndArrived { side: Side, line: Line },
    ResetArrived { side: Side, line: Line },
    Shut { side: Side, line: Line },
    Closed { side: Side, line: Line, reset: bool },
    ListenerClosed,
    JobTaken { job: &'static str },
    JobRefused { job: &'static str },
    JobDone { news: &'static str, count: usize },
    Signalled { number: u8 },
    StoreTaken,
    StoreRefused,
    StoreDone { job: &'static str, failed: bool },
    Booted,
    Killed,
    ProcessOver { batch_survived: bool },
    FileChanged { path: Box<str>, bytes: usize },
    FileGone { path: Box<str> },
    Logged { bytes: usize, offered: usize },
    Struck { strike: Strike },
    Calm,
    Said { actor: usize, words: Box<str> },
    Dials { line: Line, address: SocketAddr },
    NotDialled { address: SocketAddr, why: ErrorKind },
    Stands { line: Line },
    DialFailed { line: Line, why: ErrorKind },
    NameAsked { host: Box<str> },
    NameRefused { host: Box<str> },
    NameFound { host: Box<str>, addresses: usize },
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Sleeps { at_most: None } => f.write_str("the loop sleeps until something happens"),
            Happened::Sleeps { at_most: Some(0) } => {
                f.write_str("the loop looks what is ready, without sleeping")
            }
            Happened::Sleeps { at_most: Some(nanos) } => {
                write!(f, "the loop sleeps, for at most {:.3} ms", *nanos as f64 / 1e6)
            }
            Happened::Wakes { ready, done } => write!(f, "the loop wakes: {ready} ready, {done} done"),
            Happened::Interrupted => f.write_str("the loop is woken by a signal handler (EINTR)"),
            Happened::Announced { line, readable, writable, read_closed, broken } => {
                write!(f, "the poller says of {line}:")?;
                let words = [
                    (*readable, " readable"),
                    (*writable, " writable"),
                    (*read_closed, " closed by the other side"),
                    (*broken, " broken"),
                ];
                words.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| f.write_str(word))
            }
            Happened::ListenerAnnounced => f.write_str("the poller says that somebody waits to be accepted"),
            Happened::Connecting { line, actor } => write!(f, "actor {actor} connects: {line}"),
            Happened::Connected { line, waiting } => {
                write!(f, "{line} is established and waits to be accepted ({waiting} wait)")
            }
            Happened::Refused { line } => write!(f, "{line} is refused: nobody listens"),
            Happened::Accepted { line } => write!(f, "the server accepts {line}"),
            Happened::NotAccepted { why } => write!(f, "the server accepts nobody: {why}"),
            Happened::TurnedAway { line } => write!(f, "the server turns {line} away"),
            Happened::Read { side, line, bytes: 0 } => {
                write!(f, "the {} reads the end of {line}", who(*side, *line))
            }
            Happened::Read { side, line, bytes } => {
                write!(f, "the {} reads {bytes} bytes of {line}", who(*side, *line))
            }
            Happened::ReadFailed { side, line, why } => {
                write!(f, "the {} can't read {line}: {why}", who(*side, *line))
            }
            Happened::Wrote { side, line, bytes, offered } => {
                write!(f, "the {} writes {bytes} of {offered} bytes to {line}", who(*side, *line))
            }
            Happened::WriteFailed { side, line, why } => {
                write!(f, "the {} can't write to {line}: {why}", who(*side, *line))
            }
            Happened::Arrived { side, line, bytes } => {
                write!(f, "{bytes} bytes arrive at the {} over {line}", who(*side, *line))
            }
            Happened::EndArrived { side, line } => {
                write!(f, "the end of input arrives at the {} over {line}", who(*side, *line))
            }
            Happened::ResetArrived { side, line } => {
                write!(f, "a reset arrives at the {} over {line}", who(*side, *line))
            }
            Happened::Shut { side, line } => {
                write!(f, "the {} will write no more to {line}", who(*side, *line))
            }
            Happened::Closed { side, line, reset: false } => {
                write!(f, "the {} closes {line}", who(*side, *line))
            }
            Happened::Closed { side, line, reset: true } => {
                write!(f, "the {} closes {line} with a reset", who(*side, *line))
            }
            Happened::ListenerClosed => f.write_str("the server listens no more"),
            Happened::JobTaken { job } => write!(f, "the disk helper takes a job: {job}"),
            Happened::JobRefused { job } => write!(f, "the disk helper's queue is full: no {job}"),
            Happened::JobDone { news, count } => write!(f, "the disk helper has news: {news} {count}"),
            Happened::Signalled { number } => write!(f, "signal {number} reaches the process"),
            Happened::StoreTaken => f.write_str("the store's helper takes a job"),
            Happened::StoreRefused => f.write_str("the store's helper takes no job"),
            Happened::StoreDone { job, failed: false } => write!(f, "in the store {job}"),
            Happened::StoreDone { job, failed: true } => write!(f, "in the store {job}: it FAILS"),
            Happened::Booted => f.write_str("a process starts"),
            Happened::Killed => f.write_str("the process is killed"),
            Happened::ProcessOver { batch_survived } => {
                let word = if *batch_survived { "; the batch under way is in the file" } else { "" };
                write!(f, "the process is no more{word}")
            }
            Happened::FileChanged { path, bytes } => write!(f, "someone saves {path}, {bytes} bytes"),
            Happened::FileGone { path } => write!(f, "someone deletes {path}"),
            Happened::Logged { bytes, offered } => {
                write!(f, "the log's pipe takes {bytes} of {offered} bytes")
            }
            Happened::Struck { strike } => write!(f, "FAULT {strike} ({})", strike.fault.words()),
            Happened::Calm => f.write_str("from here on nothing goes wrong any more"),
            Happened::Said { actor, words } => write!(f, "actor {actor} {words}"),
            Happened::Dials { line, address } => write!(f, "the server connects to {address}: {line}"),
            Happened::NotDialled { address, why } => {
                write!(f, "the server can't connect to {address}: {why}")
            }
            Happened::Stands { line } => write!(f, "{line} is established"),
            Happened::DialFailed { line, why } => write!(f, "{line} fails: {why}"),
            Happened::NameAsked { host } => write!(f, "the names helper takes a name: {host}"),
            Happened::NameRefused { host } => write!(f, "the names helper takes no name: {host}"),
            Happened::NameFound { host, addresses: 0 } => {
                write!(f, "the names helper has found no address of {host}")
            }
            Happened::NameFound { host, addresses } => {
                write!(f, "the names helper has found {addresses} addresses of {host}")
            }
        }
    }
}

/// What becomes of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// None are made.
    #[default]
    Nothing,
    /// The last so many are kept.
    Last(usize),
    /// Each is printed as it happens.
    All,
}

/// The hash, and the sentences.
#[derive(Debug)]
pub struct Trace {
    hasher: DefaultHasher,
    count: u64,
    telling: Telling,
    last: VecDeque<String>,
}

impl Trace {
    /// Nothing has happened yet.
    pub fn new(telling: Telling) -> Trace {
        Trace { hasher: DefaultHasher::new(), count: 0, telling, last: VecDeque::new() }
    }

    /// Notes what has happened.
    pub fn note(&mut self, now: Time, happened: &Happened) {
        // What actors say is said only if someone reads along, and must not make that another run.
        if !matches!(happened, Happened::Said { .. }) {
            self.count += 1;
            now.hash(&mut self.hasher);
            happened.hash(&mut self.hasher);
        }
        match self.telling {
            Telling::Nothing => {}
            Telling::Last(kept) => {
                if self.last.len() >= kept {
                    self.last.pop_front();
                }
                self.last.push_back(sentence(now, happened));
            }
            Telling::All => println!("{}", sentence(now, happened)),
        }
    }

    /// Notes what the server has told: the same in length is not the same in words.
    pub fn told(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }

    /// What two runs of one seed must share.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// How much has happened.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Actors' own words are worth making.
    pub fn is_telling(&self) -> bool {
        self.telling != Telling::Nothing
    }

    /// The sentences kept, oldest first.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}

fn sentence(now: Time, happened: &Happened) -> String {
    format!("{:>12.6} s  {happened}", now.as_nanos() as f64 / 1e9)
}
