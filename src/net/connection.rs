//! One connection: a key, an inbox, an outbox, and a memory of what the poller has said.
//!
//! The poller is edge-triggered: it says *readable* once and is then silent until something new arrives. So what it
//! said is kept here until a read has shown that nothing is left. Two rules save system calls (mio, "Draining
//! readiness"; epoll(7)): a read that brings less than it had space for has drained the socket, and a write that takes
//! less than it was given has filled it. Two exceptions: once the peer has closed its side, the end is still to be
//! read behind the last bytes, and no second announcement will come; and a read ends before urgent data.
//!
//! ```text
//!    poll says readable ──► readable ──► fill ──► inbox ──► a machine
//!                              ▲          │
//!                              │          ├─ short read, no FIN seen ──► not readable
//!                              └──────────┴─ budget spent ──► still readable: ask the loop for another go
//! ```

use std::io::{self, ErrorKind};

use crate::base::planted::{Planted, is_planted};
use crate::base::{Inbox, Key, Outbox, Pool};
use crate::limits::Limits;
use crate::os::{Net, Ready};

/// What a try to receive brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Bytes: look at the inbox.
    Received,
    /// Nothing has arrived; the poller will say when.
    Nothing,
    /// The allowance for this turn is spent and more may be there: ask for another go.
    Spent,
    /// The inbox is full of bytes that nobody uses.
    Full,
    /// The peer has shut its sending side; no byte will follow.
    Ended,
    /// The connection is gone.
    Broken,
}

/// A connection's state that is not a protocol's.
#[derive(Debug)]
pub struct Connection {
    /// Names its socket.
    pub key: Key,
    /// Received and not used yet.
    pub inbox: Inbox,
    /// On its way out.
    pub outbox: Outbox,
    /// The poller said readable and no read since has come back short.
    readable: bool,
    /// The poller said writable (a fresh socket is) and no write since has come back short.
    writable: bool,
    /// The peer has shut its sending side, behind what is still unread.
    peer_closed: bool,
    /// Urgent data has arrived: a short read proves nothing.
    has_urgent: bool,
    /// The end of input has been read.
    ended: bool,
    /// A reset, or an error of a read or write. Final.
    broken: bool,
    /// A place in the loop's pending queue is taken.
    waits_in_pending: bool,
}

impl Connection {
    /// For a socket that was just accepted. Bytes may be there already, and the poller will say so.
    pub fn new(key: Key, limits: &Limits) -> Connection {
        Connection {
            key,
            inbox: Inbox::default(),
            outbox: Outbox::new(limits.outbox_bytes_high, limits.outbox_bytes_max),
            readable: false,
            writable: true,
            peer_closed: false,
            has_urgent: false,
            ended: false,
            broken: false,
            waits_in_pending: false,
        }
    }

    /// Remembers what the poller said, or that the pending queue gave us our go.
    pub fn note(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        if ready.read_closed {
            self.peer_closed = true;
            // The end itself has to be read, even if the bytes before it have all been.
            self.readable = true;
        }
        self.broken |= ready.broken;
        self.has_urgent |= ready.urgent;
        if ready == Ready::quiet(self.key) {
            self.waits_in_pending = false;
        }
    }

    /// Receives once into the inbox, at most what is left of `allowance`.
    pub fn fill(&mut self, net: &mut dyn Net, pool: &mut Pool, allowance: &mut usize) -> Fill {
        if self.broken {
            return Fill::Broken;
        }
        if self.ended {
            return Fill::Ended;
        }
        if !self.readable {
            return Fill::Nothing;
        }
        if *allowance == 0 {
            return Fill::Spent;
        }
        let space = self.inbox.space(pool);
        if space.is_empty() {
            return Fill::Full;
        }
        let wanted = space.len();
        match net.read(self.key, space) {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
                Fill::Ended
            }
            Ok(count) => {
                self.inbox.filled(count);
                *allowance = allowance.saturating_sub(count);
                self.readable = self.has_urgent
                    || (count == wanted && !is_planted(Planted::ReadsOnce))
                    || (self.peer_closed && !is_planted(Planted::MissesTheEnd));
                Fill::Received
            }
            Err(error) => self.sort_read_error(&error),
        }
    }

    fn sort_read_error(&mut self, error: &io::Error) -> Fill {
        match error.kind() {
            ErrorKind::WouldBlock => {
                // Spurious readiness: allowed, and paid with this one call.
                self.readable = false;
                Fill::Nothing
            }
            // Still readable: the next go repeats the call.
            ErrorKind::Interrupted => Fill::Spent,
            _ => {
                log::debug!("connection {:?} can't be read: {error}", self.key);
                self.broken = true;
                Fill::Broken
            }
        }
    }

    /// Sends what waits, until it is all gone or the socket takes no more. Answers how many bytes it took.
    pub fn flush(&mut self, net: &mut dyn Net) -> usize {
        let mut taken = 0;
        while self.writable && !self.broken && !self.outbox.is_empty() {
            let offered = self.outbox.len();
            match net.write(self.key, self.outbox.unsent()) {
                Ok(count) => {
                    let count = if is_planted(Planted::CountsUnsent) { offered } else { count };
                    self.outbox.sent(count);
                    taken += count;
                    self.writable = count == offered && !is_planted(Planted::WritesOnce);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                // Nothing was sent and nothing is lost; the pending queue or the next event tries again.
                Err(error) if error.kind() == ErrorKind::Interrupted => break,
                Err(error) => {
                    log::debug!("connection {:?} can't be written: {error}", self.key);
                    self.broken = true;
                }
            }
        }
        taken
    }

    /// Gives back what buffers are not needed while waiting.
    pub fn settle(&mut self, pool: &mut Pool) {
        self.inbox.settle(pool);
        self.outbox.settle(pool);
    }

    /// Bytes wait and the socket may take some: a flush was interrupted.
    pub fn may_write(&self) -> bool {
        self.writable && !self.broken && !self.outbox.is_empty()
    }

    /// Gives all buffers back, with whatever is in them: the connection is over.
    pub fn release(&mut self, pool: &mut Pool) {
        self.discard_input();
        self.outbox.sent(self.outbox.len());
        self.settle(pool);
    }

    /// The peer has shut its sending side. It may still be reading.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed || self.ended
    }

    /// Everything that the peer sent has been taken from the socket.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The connection is gone for good.
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// Treats the connection as gone: what was to be sent can't be.
    pub fn give_up(&mut self) {
        self.broken = true;
    }

    /// The request to make when this connection wants another go; `None` when it has asked already.
    pub fn ask_again(&mut self) -> Option<Ready> {
        if self.waits_in_pending {
            return None;
        }
        self.waits_in_pending = true;
        Some(Ready::quiet(self.key))
    }

    /// Forgets what is unread: it comes from a peer whose words no longer matter.
    pub fn discard_input(&mut self) -> usize {
        let count = self.inbox.unread().len();
        self.inbox.consume(count);
        count
    }
}
