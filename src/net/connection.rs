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
//!
//! Only `fill` and `flush` know whether bytes go through TLS ([`secure`](Connection::secure)). Inbox and outbox hold
//! plaintext either way.

use std::io::{self, ErrorKind};

use super::transport::{Opened, Secure, Transport};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Inbox, Key, Outbox, Pool};
use crate::limits::Limits;
use crate::os::{Net, Ready};
use crate::wire::tls::{Tls, TlsError};

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
    /// What lies between these two and the socket.
    transport: Transport,
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
            transport: Transport::Plain,
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

    /// Speaks TLS from here on; a flush sends its hello. Unread bytes are taken for the peer's first ciphertext.
    ///
    /// # Panics
    /// If plain bytes still wait to be sent.
    pub fn secure(&mut self, tls: Tls) {
        assert!(self.outbox.is_empty(), "what is said in plain has left before TLS begins");
        let arrived = std::mem::take(&mut self.inbox);
        self.transport = Transport::Tls(Box::new(Secure::new(tls, arrived)));
    }

    /// Receives once into the inbox, at most what is left of `allowance`.
    ///
    /// With TLS it receives until there is something for the inbox, and what has been received can be more than the
    /// inbox takes: the rest comes with the next calls, whether the poller says so or not. What was received may also be
    /// a reason to flush; see [`may_write`](Connection::may_write).
    pub fn fill(&mut self, net: &mut dyn Net, pool: &mut Pool, allowance: &mut usize) -> Fill {
        if self.broken {
            return Fill::Broken;
        }
        if self.ended {
            return Fill::Ended;
        }
        match self.transport {
            Transport::Plain => self.fill_plain(net, pool, allowance),
            Transport::Tls(_) => self.fill_secure(net, pool, allowance),
        }
    }

    fn fill_plain(&mut self, net: &mut dyn Net, pool: &mut Pool, allowance: &mut usize) -> Fill {
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
        let read = net.read(self.key, space);
        if let Ok(count) = read {
            self.inbox.filled(count);
        }
        self.sort_read(read, wanted, allowance)
    }

    fn fill_secure(&mut self, net: &mut dyn Net, pool: &mut Pool, allowance: &mut usize) -> Fill {
        loop {
            let Transport::Tls(secure) = &mut self.transport else { return Fill::Nothing };
            // What is inside comes first: nobody will announce it.
            match secure.open(&mut self.inbox, pool) {
                Opened::Some => return Fill::Received,
                Opened::Full => return Fill::Full,
                Opened::Ended => {
                    self.ended = true;
                    self.readable = false;
                    return Fill::Ended;
                }
                Opened::Failed => return self.fail(net),
                Opened::Nothing => {}
            }
            if !self.readable {
                return Fill::Nothing;
            }
            if *allowance == 0 {
                return Fill::Spent;
            }
            let space = secure.space(pool);
            let wanted = space.len();
            let read = net.read(self.key, space);
            if let Ok(count) = read {
                secure.filled(count);
            }
            match self.sort_read(read, wanted, allowance) {
                // Open it. It may be all of a record, or of a handshake's message, or not.
                Fill::Received => {}
                Fill::Ended => return self.end_secure(net),
                other => return other,
            }
        }
    }

    /// What a read says of the socket.
    fn sort_read(&mut self, read: io::Result<usize>, wanted: usize, allowance: &mut usize) -> Fill {
        match read {
            Ok(0) => {
                self.ended = true;
                self.readable = false;
                Fill::Ended
            }
            Ok(count) => {
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

    /// The socket has ended. Whether TLS had, too, [`tls_error`](Connection::tls_error) tells from here on.
    fn end_secure(&mut self, net: &mut dyn Net) -> Fill {
        let Transport::Tls(secure) = &mut self.transport else { return Fill::Ended };
        match secure.tls.end_of_input() {
            Ok(()) | Err(TlsError::CutShort) => Fill::Ended,
            Err(_) => self.fail(net),
        }
    }

    /// TLS can't go on.
    fn fail(&mut self, net: &mut dyn Net) -> Fill {
        // The alert that tells the peer, if there is room for it.
        self.flush(net);
        log::debug!("connection {:?} fails: {:?}", self.key, self.tls_error());
        self.broken = true;
        Fill::Broken
    }

    /// Sends what waits, until it is all gone or the socket takes no more. Answers how many bytes it took.
    pub fn flush(&mut self, net: &mut dyn Net) -> usize {
        let mut taken = 0;
        while self.writable && !self.broken {
            let bytes = match &mut self.transport {
                Transport::Plain => self.outbox.unsent(),
                Transport::Tls(secure) => secure.seal(&self.outbox),
            };
            if bytes.is_empty() {
                break;
            }
            let offered = bytes.len();
            let written = net.write(self.key, bytes);
            let Some(count) = self.sort_write(written, offered) else { break };
            match &mut self.transport {
                Transport::Plain => self.outbox.sent(count),
                Transport::Tls(secure) => secure.sent(count, &mut self.outbox),
            }
            taken += count;
        }
        taken
    }

    /// What a write says of the socket: how many bytes it took, or `None` if it is of no use to go on.
    fn sort_write(&mut self, written: io::Result<usize>, offered: usize) -> Option<usize> {
        match written {
            Ok(count) => {
                let count = if is_planted(Planted::CountsUnsent) { offered } else { count };
                self.writable = count == offered && !is_planted(Planted::WritesOnce);
                return Some(count);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
            // Nothing was sent and nothing is lost; the pending queue or the next event tries again.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                log::debug!("connection {:?} can't be written: {error}", self.key);
                self.broken = true;
            }
        }
        None
    }

    /// With TLS, has it told that nothing more will be sent, behind all that waits; a flush sends it. What comes after that
    /// is passed over. In plain there is nothing to tell.
    pub fn close_output(&mut self) {
        if let Transport::Tls(secure) = &mut self.transport {
            secure.close();
        }
    }

    /// Gives back what buffers are not needed while waiting.
    pub fn settle(&mut self, pool: &mut Pool) {
        self.inbox.settle(pool);
        self.outbox.settle(pool);
        if let Transport::Tls(secure) = &mut self.transport {
            secure.settle(pool);
        }
    }

    /// Bytes wait and the socket may take some: a flush was interrupted, or TLS has something to say of itself.
    pub fn may_write(&self) -> bool {
        self.writable
            && !self.broken
            && match &self.transport {
                Transport::Plain => !self.outbox.is_empty(),
                Transport::Tls(secure) => secure.has_to_send(&self.outbox),
            }
    }

    /// TLS is being agreed on: nothing of the outbox has left yet.
    pub fn is_handshaking(&self) -> bool {
        match &self.transport {
            Transport::Plain => false,
            Transport::Tls(secure) => secure.tls.is_handshaking(),
        }
    }

    /// What TLS could not forgive; then the connection is broken. Or that its end was not told by the peer
    /// ([`TlsError::CutShort`]): then it has [`ended`](Connection::ended), and a body that ends with it may not be whole.
    pub fn tls_error(&self) -> Option<&TlsError> {
        match &self.transport {
            Transport::Plain => None,
            Transport::Tls(secure) => secure.tls.error(),
        }
    }

    /// Gives all buffers back, with whatever is in them: the connection is over.
    pub fn release(&mut self, pool: &mut Pool) {
        self.discard_input();
        self.outbox.sent(self.outbox.len());
        if let Transport::Tls(secure) = &mut self.transport {
            secure.release(pool);
        }
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
