//! The world behind traits: sockets, clock, disk, entropy, the access log, and the one place to sleep.
//!
//! Everything above takes an [`Os`]: eight borrowed parts that the real world ([`real`]) or a made-up one ([`sim`])
//! provides.
//! A connection holds a *key*, never a socket, so the same application runs on `mio` and in a simulated world with
//! no generics above this module.
//!
//! | part | real | what it may do |
//! |---|---|---|
//! | [`Net`] | `mio` sockets, non-blocking | never blocks |
//! | [`Clock`] | monotonic, wall and thread CPU clock | never blocks |
//! | [`Disk`] | a helper thread, started at first use | takes a job, answers later as a [`Completion`] |
//! | [`Names`] | a helper thread of its own, started at first use | takes a name, answers later as a [`Completion`] |
//! | [`Store`] | a helper thread of its own, started at first use | takes a job, answers later as a [`Completion`] |
//! | [`Entropy`] | `getrandom` | never blocks after boot |
//! | [`LogSink`] | standard error | drops rather than blocks |
//! | [`Wait`] | `epoll_wait` | the only sleep |
#![allow(clippy::disallowed_methods, reason = "this layer is where the clock, threads and files are")]

pub mod disk;
pub mod faults;
pub mod names;
pub mod real;
#[allow(clippy::disallowed_types, reason = "eight handles share one world, on one thread")]
pub mod sim;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use disk::{Disk, DiskDone, Job};
pub use names::{Lookup, Names, NamesDone};

use crate::base::{Key, Kind, Time, WallTime};
use crate::store;

/// Keys of listening sockets.
pub const LISTENER: Kind = Kind(1);
/// Keys of connected sockets.
pub const STREAM: Kind = Kind(2);
/// Keys of sockets that we connected to somebody else.
pub const OUTBOUND: Kind = Kind(6);

/// What a poll said of one socket. Edge-triggered: said once, then silent until something new happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The socket. It may be gone by the time this is looked at; then its key finds nothing.
    pub key: Key,
    /// Bytes, a connection or an end of input have arrived since the last time.
    pub readable: bool,
    /// There is room to send again.
    pub writable: bool,
    /// The peer has shut its sending side (FIN), behind whatever bytes are still unread; or everything is over.
    pub read_closed: bool,
    /// Nothing can be sent any more: the connection was reset or failed.
    pub broken: bool,
    /// Urgent data (RFC 9293 §3.8.5) is among what has arrived: a read ends before it, with more behind.
    pub urgent: bool,
}

impl Ready {
    /// No news of `key`: what a handler asks for when it wants another go by itself.
    pub fn quiet(key: Key) -> Ready {
        Ready { key, readable: false, writable: false, read_closed: false, broken: false, urgent: false }
    }
}

/// A job that has ended, or something else that came from outside and not through a socket.
#[derive(Debug)]
pub enum Completion {
    /// The disk helper's news.
    Disk(DiskDone),
    /// What the store's helper has done.
    Store(store::Done),
    /// What the names helper has found.
    Names(NamesDone),
    /// The process was told something.
    Signal(Signal),
}

/// The signals we handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, from a keyboard.
    Interrupt,
    /// SIGTERM, from a supervisor.
    Terminate,
}

impl Signal {
    /// Its number, for the exit code that shells expect (128 + number).
    pub fn number(self) -> u8 {
        match self {
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
        }
    }
}

/// What one wait brought. The vectors are reused from turn to turn.
#[derive(Debug, Default)]
pub struct Woken {
    /// Readiness, in the order in which it was told.
    pub ready: Vec<Ready>,
    /// Ended jobs and signals.
    pub done: Vec<Completion>,
}

/// A connection that was just accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its key.
    pub key: Key,
    /// Who connected.
    pub peer: SocketAddr,
}

/// Why there was nothing to accept.
#[derive(Debug)]
pub enum AcceptError {
    /// The backlog is empty; the next arrival will be announced.
    WouldBlock,
    /// This one client gave up while it waited (`ECONNABORTED` and its like). The next may be fine.
    ClientGone,
    /// Nothing can be accepted now: descriptors (`EMFILE`, `ENFILE`) or memory ran out. Try again after a while.
    Exhausted(io::Error),
}

/// Non-blocking sockets, by key.
pub trait Net {
    /// Binds and listens; answers the address really bound (port 0 picks one).
    ///
    /// # Errors
    /// The system's own: address in use, not available, not permitted.
    fn listen(&mut self, address: SocketAddr) -> io::Result<(Key, SocketAddr)>;

    /// Takes one connection from the backlog.
    ///
    /// # Errors
    /// [`AcceptError`] says whether to go on, to wait for an announcement, or to back off.
    fn accept(&mut self, listener: Key) -> Result<Accepted, AcceptError>;

    /// Accepts one connection only to close it, with a descriptor that was kept for this. `false` if there is none to
    /// turn away, or not even that can be done.
    fn turn_away(&mut self, listener: Key) -> bool;

    /// Begins to connect to `address`; answers the key of the connection that is to be ([`OUTBOUND`]).
    ///
    /// The key is announced once the connection stands or has failed; which of the two, [`connected`](Net::connected)
    /// tells. From then on it is read, written and closed like any other.
    ///
    /// # Errors
    /// The system's own, when it knows at once that it can't be: no route, no descriptors.
    fn connect(&mut self, address: SocketAddr) -> io::Result<Key>;

    /// What became of a connection that was begun.
    ///
    /// # Errors
    /// `WouldBlock` while it is under way, `NotConnected` for a stale key, else why it failed.
    fn connected(&mut self, key: Key) -> io::Result<()>;

    /// Receives into `space`. `Ok(0)` is the end of input (for a `space` that is not empty).
    ///
    /// # Errors
    /// `WouldBlock` when nothing has arrived, `NotConnected` for a stale key, else what broke the connection.
    fn read(&mut self, key: Key, space: &mut [u8]) -> io::Result<usize>;

    /// Sends the first part of `bytes` that there is room for.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room, `NotConnected` for a stale key, else what broke the connection.
    fn write(&mut self, key: Key, bytes: &[u8]) -> io::Result<usize>;

    /// Sends FIN after what is queued; reading goes on.
    fn shutdown_write(&mut self, key: Key);

    /// Makes the coming close a reset: unsent bytes are thrown away and the peer is told.
    fn reset_on_close(&mut self, key: Key);

    /// Closes the socket. Its key finds nothing from here on.
    fn close(&mut self, key: Key);

    /// Gives memory back that was needed for many more connections than there are now. Costs up to some milliseconds.
    fn tidy(&mut self) {}

    /// How many calls were made so far, for `/info` and for tests that count them.
    fn counters(&self) -> NetCounters;
}

/// System calls made on sockets since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetCounters {
    /// Connections accepted.
    pub accepts: u64,
    /// Connections turned away for want of descriptors.
    pub turned_away: u64,
    /// Connections begun to somebody else.
    pub connects: u64,
    /// Calls to `read`, those that found nothing included.
    pub reads: u64,
    /// Calls to `write`, those that found no room included.
    pub writes: u64,
    /// Calls that changed what the poller watches.
    pub registrations: u64,
}

/// The clocks.
pub trait Clock {
    /// The time to wait by; never goes back.
    fn now(&self) -> Time;
    /// The time to show.
    fn wall(&self) -> WallTime;
    /// CPU time that the calling thread has used. A true system call, unlike the other two.
    fn cpu(&self) -> Duration;
}

/// The front of the thread that keeps runs.
pub trait Store {
    /// Hands a job over. Jobs are done in the order in which they were handed over, and their news come in that order
    /// through `Wait::wait`.
    ///
    /// # Errors
    /// Gives the job back when the queue is full (`limits::STORE_JOBS_MAX`), or when the helper can't be started.
    fn submit(&mut self, job: store::Job) -> Result<(), store::Job>;
}

/// Randomness that nobody can guess.
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);

    /// One random number.
    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Where access-log lines go.
pub trait LogSink {
    /// Writes what can be written without waiting and answers how many bytes that was; the rest is the caller's to
    /// drop and count.
    fn write(&mut self, lines: &[u8]) -> usize;
}

/// The one place to sleep.
pub trait Wait {
    /// Sleeps until a socket is ready, a job has ended, a signal came or `timeout` is over (`None`: without end).
    ///
    /// Appends to `woken`. It may wake early or for nothing, and an interrupted call (`EINTR`) is an error of kind
    /// `Interrupted` for the caller to shrug at.
    ///
    /// # Errors
    /// `Interrupted`, or a poller that can't go on.
    fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> io::Result<()>;
}

/// The world, lent for one turn: every part a plain borrow, so handlers may use two parts at once.
pub struct Os<'w> {
    /// Sockets.
    pub net: &'w mut dyn Net,
    /// Clocks.
    pub clock: &'w dyn Clock,
    /// The disk helper's front.
    pub disk: &'w mut dyn Disk,
    /// The names helper's front.
    pub names: &'w mut dyn Names,
    /// The store's front.
    pub store: &'w mut dyn Store,
    /// Randomness.
    pub entropy: &'w mut dyn Entropy,
    /// Where access-log lines go.
    pub log: &'w mut dyn LogSink,
    /// The sleeper. Only the reactor calls it.
    pub waiter: &'w mut dyn Wait,
}

impl std::fmt::Debug for Os<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Os")
    }
}
