//! What carries a connection's bytes: the socket itself, or TLS on it.
//!
//! TLS keeps bytes of its own on both sides, and the poller knows of none of them:
//!
//! ```text
//!    socket ──► arrived ──► Tls ──► inbox          opened as far as the inbox has room
//!    socket ◄── leaving ◄── Tls ◄── outbox         sealed a piece at a time, and kept in the outbox until it has left
//! ```
//!
//! So a drained socket does not mean that nothing is left to read, nor a full outbox that anything can be sent: during
//! a handshake it waits for the peer. And an empty outbox means, with TLS as without, that all of it has left.

use std::mem;

use crate::base::{Inbox, Outbox, Pool};
use crate::wire::tls::{Read, Tls};

/// How bytes get from the socket to the inbox, and from the outbox to the socket.
#[derive(Debug)]
pub(super) enum Transport {
    /// As they are.
    Plain,
    /// Through TLS.
    Tls(Box<Secure>),
}

/// What opening brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// Plaintext: look at the inbox.
    Some,
    /// Nothing is left inside. More ciphertext is wanted.
    Nothing,
    /// Plaintext may be there, and the inbox is full.
    Full,
    /// The peer has said that no more will come.
    Ended,
    /// All that could be read has been; then came what TLS does not forgive.
    Failed,
}

/// TLS and the ciphertext on both sides of it.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) tls: Tls,
    /// Ciphertext that was received and not opened yet.
    arrived: Inbox,
    /// Ciphertext on its way out; its first `left` bytes have left. At most one sealed piece and what a handshake adds.
    leaving: Vec<u8>,
    left: usize,
    /// Bytes at the outbox's beginning that are sealed in `leaving`.
    sealed: usize,
    /// `close_notify` is wanted behind all that waits.
    closes: bool,
}

impl Secure {
    /// Before the handshake. `arrived` is what the peer may have said already.
    pub(super) fn new(tls: Tls, arrived: Inbox) -> Secure {
        Secure { tls, arrived, leaving: Vec::new(), left: 0, sealed: 0, closes: false }
    }

    /// Room to receive ciphertext into; never empty after [`open`](Secure::open) has found nothing.
    pub(super) fn space(&mut self, pool: &mut Pool) -> &mut [u8] {
        self.arrived.space(pool)
    }

    /// Counts ciphertext that was received.
    pub(super) fn filled(&mut self, count: usize) {
        self.arrived.filled(count);
    }

    /// Moves plaintext into `inbox`, as much as is there and has room.
    pub(super) fn open(&mut self, inbox: &mut Inbox, pool: &mut Pool) -> Opened {
        let before = inbox.unread().len();
        let found = loop {
            if self.arrived.is_empty()
                && !self.tls.has_plaintext()
                && self.tls.error().is_none()
                && !self.tls.ended()
            {
                break Opened::Nothing;
            }
            let space = inbox.space(pool);
            if space.is_empty() {
                break Opened::Full;
            }
            match self.tls.read(space) {
                Read::Bytes(count) => inbox.filled(count),
                Read::Ended => break Opened::Ended,
                Read::Nothing => match self.tls.receive(self.arrived.unread()) {
                    Ok(taken) => self.arrived.consume(taken),
                    // What it opened before the error is read first.
                    Err(_) if self.tls.has_plaintext() => {}
                    Err(_) => break Opened::Failed,
                },
            }
        };
        if inbox.unread().len() > before { Opened::Some } else { found }
    }

    /// The ciphertext to be sent next; seals what `outbox` holds when all before has left. Empty when nothing can be sent.
    pub(super) fn seal(&mut self, outbox: &Outbox) -> &[u8] {
        if self.leaving.is_empty() {
            self.tls.take(&mut self.leaving);
            self.sealed = self.tls.send(outbox.unsent());
            if self.closes && self.sealed == outbox.len() {
                self.tls.close();
            }
            self.tls.take(&mut self.leaving);
        }
        &self.leaving[self.left..]
    }

    /// Counts ciphertext that has left; the plaintext in it leaves `outbox` with its last byte.
    pub(super) fn sent(&mut self, count: usize, outbox: &mut Outbox) {
        self.left += count;
        if self.left == self.leaving.len() {
            self.leaving.clear();
            self.left = 0;
            outbox.sent(mem::take(&mut self.sealed));
        }
    }

    /// A call of [`seal`](Secure::seal) would give something.
    pub(super) fn has_to_send(&self, outbox: &Outbox) -> bool {
        let sealable = outbox.len() > self.sealed && self.tls.may_send();
        let goodbye = self.closes && outbox.is_empty() && self.tls.may_close();
        !self.leaving.is_empty() || self.tls.has_ciphertext() || sealable || goodbye
    }

    /// Has `close_notify` sent behind all that waits.
    pub(super) fn close(&mut self) {
        self.closes = true;
    }

    /// Gives back what buffers are not needed while waiting.
    pub(super) fn settle(&mut self, pool: &mut Pool) {
        self.arrived.settle(pool);
        if self.leaving.is_empty() && self.leaving.capacity() > 0 {
            pool.give(mem::take(&mut self.leaving));
        }
    }

    /// Forgets what is on its way in both directions.
    pub(super) fn release(&mut self, pool: &mut Pool) {
        self.arrived.consume(self.arrived.unread().len());
        self.leaving.clear();
        (self.left, self.sealed) = (0, 0);
        self.settle(pool);
    }
}
