//! Everybody who is not the server: what they are asked, and what they can do.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::core::{Coming, Core, MILLI};
use super::folder::Note;
use super::network::State;
use super::trace::{Happened, Line, Side};
use crate::base::Time;
use crate::os::Signal;

/// Someone in the world: a client, a person who saves notes, a supervisor who sends signals.
pub trait Actor {
    /// Acts: something about one of its lines is new, or its time has come, or the weather has cleared up.
    ///
    /// It may be called for nothing. Answers after what time it wants to be called whatever happens, if at all.
    fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration>;

    /// It has done what it came for.
    fn is_done(&self) -> bool;

    /// What it found wrong with the server, in words, if anything.
    fn complaint(&self) -> Option<&str>;

    /// What it is, for the report.
    fn describe(&self) -> String;

    /// Names of remarkable things that it has seen happen.
    fn seen(&self) -> &[&'static str] {
        &[]
    }
}

/// The world as an actor sees it.
#[derive(Debug)]
pub struct Outside<'c> {
    core: &'c mut Core,
    actor: usize,
}

impl<'c> Outside<'c> {
    pub(super) fn new(core: &'c mut Core, actor: usize) -> Outside<'c> {
        Outside { core, actor }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.core.time()
    }

    /// Nothing goes wrong any more: from here on everything that is asked for must be done.
    pub fn is_calm(&self) -> bool {
        self.core.is_calm
    }

    /// Says something for the trace. `words` is only asked if someone reads along.
    pub fn say(&mut self, words: impl FnOnce() -> String) {
        if self.core.trace.is_telling() {
            let words = words().into();
            let actor = self.actor;
            self.core.note(&Happened::Said { actor, words });
        }
    }

    // --- Connections ----------------------------------------------------------------------------------------------

    /// Begins to connect; [`state`](Outside::state) says when it has.
    pub fn connect(&mut self) -> Line {
        let line = self.core.network.connect(self.actor);
        let actor = self.actor;
        self.core.note(&Happened::Connecting { line, actor });
        let due = self.core.now + self.core.delay();
        self.core.plan(due, Coming::Knock(line));
        line
    }

    /// Where the connection is.
    pub fn state(&self, line: Line) -> State {
        self.core.network.state(line)
    }

    /// Sends as many of `bytes` as there is room for; answers how many that was, and 0 also for a connection that is
    /// gone. When there is room again, the actor is called.
    pub fn send(&mut self, line: Line, bytes: &[u8]) -> usize {
        let side = Side::Client;
        let wrote = self.core.network.write(line, side, bytes, usize::MAX);
        self.core.note(&match &wrote {
            Ok(count) => Happened::Wrote { side, line, bytes: *count, offered: bytes.len() },
            Err(error) => Happened::WriteFailed { side, line, why: error.kind() },
        });
        self.core.pass_on();
        wrote.unwrap_or(0)
    }

    /// Appends at most `bytes_max` received bytes to `received`.
    pub fn receive(&mut self, line: Line, bytes_max: usize, received: &mut Vec<u8>) -> Received {
        let count = self.core.network.arrived(line, Side::Client).min(bytes_max);
        let start = received.len();
        // An error and the end are told once what arrived before them has been read, and then by a call of their own.
        received.resize(start + count.max(1), 0);
        let read = self.core.network.read(line, Side::Client, &mut received[start..]);
        received.truncate(start + read.as_ref().map_or(0, |count| *count));
        let outcome = match read {
            // A write may have been told of the reset already.
            Ok(0) if self.state(line) == State::Reset => Received::Reset,
            Ok(0) => Received::End,
            Ok(_) => Received::Bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Nothing,
            Err(_) => Received::Reset,
        };
        if outcome == Received::Bytes {
            self.core.note(&Happened::Read { side: Side::Client, line, bytes: count });
        }
        self.core.pass_on();
        outcome
    }

    /// Sends no more; receiving goes on.
    pub fn finish(&mut self, line: Line) {
        if self.core.network.shut(line, Side::Client) {
            self.core.note(&Happened::Shut { side: Side::Client, line });
        }
        self.core.pass_on();
    }

    /// Closes the connection: in good order, unless received bytes are unread.
    pub fn close(&mut self, line: Line) {
        self.core.close(line, Side::Client, false);
    }

    /// Resets the connection.
    pub fn reset(&mut self, line: Line) {
        self.core.close(line, Side::Client, true);
    }

    // --- Connections of the server's making -----------------------------------------------------------------------

    /// From here on whoever connects to `address` reaches this actor, which is called for each.
    pub fn listen(&mut self, address: SocketAddr) {
        self.core.network.listen_outside(address, self.actor);
    }

    /// From here on whoever connects to `address` is refused. Connections that were not taken yet are reset.
    pub fn stop_listening(&mut self, address: SocketAddr) {
        for line in self.core.network.leave(address) {
            self.core.close(line, Side::Client, true);
        }
    }

    /// The next connection that was made to this actor, and to which of its addresses. Then it is written to and read
    /// like one of its own making.
    pub fn accept(&mut self) -> Option<(Line, SocketAddr)> {
        self.core.network.take_connection(self.actor)
    }

    /// From here on the resolver knows these addresses of `host`; none at all are an unknown name.
    pub fn name(&mut self, host: &str, addresses: Vec<IpAddr>) {
        self.core.names.known.insert(host.to_owned(), addresses);
    }

    // --- Notes and signals ----------------------------------------------------------------------------------------

    /// Saves a note.
    pub fn save(&mut self, path: &str, bytes: Vec<u8>) {
        self.core.note(&Happened::FileChanged { path: path.into(), bytes: bytes.len() });
        let modified_ns = self.core.now as i64;
        self.core.disk.notes.insert(path.to_owned(), Note { bytes, modified_ns });
    }

    /// The notes that hold a text, in path order.
    pub fn notes_with(&self, text: &str) -> Vec<String> {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let notes = &self.core.disk.notes;
        notes.iter().filter(|(_, note)| holds(&note.bytes)).map(|(path, _)| path.clone()).collect()
    }

    /// What a note holds now.
    pub fn saved(&self, path: &str) -> Option<Vec<u8>> {
        self.core.disk.notes.get(path).map(|note| note.bytes.clone())
    }

    /// Deletes a note.
    pub fn delete(&mut self, path: &str) {
        self.core.note(&Happened::FileGone { path: path.into() });
        self.core.disk.notes.remove(path);
    }

    /// Sends the process a signal.
    pub fn signal(&mut self, which: Signal) {
        self.core.signal(which);
    }

    /// The next moment that a clock of whole milliseconds can tell apart from now.
    pub fn soon() -> Duration {
        Duration::from_nanos(MILLI)
    }
}

/// What receiving brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Bytes; there may be more.
    Bytes,
    /// Nothing has arrived; the actor is called when something does.
    Nothing,
    /// The server has sent its end.
    End,
    /// The connection was reset.
    Reset,
}
