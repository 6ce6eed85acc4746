//! Bytes that wait to be sent: the one type that carries backpressure.
//!
//! Whoever produces bytes pushes them here and is told the [`Pressure`]. Under `High` it stops producing until the
//! peer has read; nothing that was pushed is ever dropped or cut.

use std::fmt;

use super::buffer::Pool;

/// How full an outbox is after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// Go on producing.
    Low,
    /// Stop until the peer has read some: more is still accepted, up to the bound, to finish what was begun.
    High,
}

/// A push that did not fit. All or nothing: none of its bytes were queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Bytes in the push.
    pub wanted: usize,
    /// Bytes there was room for.
    pub free: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes do not fit into an outbox with room for {}", self.wanted, self.free)
    }
}

impl std::error::Error for Full {}

/// Bytes on their way out, oldest first.
#[derive(Debug)]
pub struct Outbox {
    buffer: Vec<u8>,
    start: usize,
    bytes_high: usize,
    bytes_max: usize,
}

impl Outbox {
    /// An outbox that reports [`Pressure::High`] from `bytes_high` on and takes no more than `bytes_max`.
    pub fn new(bytes_high: usize, bytes_max: usize) -> Outbox {
        Outbox { buffer: Vec::new(), start: 0, bytes_high, bytes_max }
    }

    /// Queues all of `bytes`, or none.
    ///
    /// # Errors
    /// [`Full`] when they would exceed the bound.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Pressure, Full> {
        self.push_all(&[bytes])
    }

    /// Queues the pieces one after the other as if they were one, without joining them first.
    ///
    /// # Errors
    /// [`Full`] when all of them together would exceed the bound; then none is queued.
    pub fn push_all(&mut self, pieces: &[&[u8]]) -> Result<Pressure, Full> {
        let wanted = pieces.iter().map(|piece| piece.len()).sum();
        let free = self.free();
        if wanted > free {
            return Err(Full { wanted, free });
        }
        for piece in pieces {
            self.buffer.extend_from_slice(piece);
        }
        Ok(self.pressure())
    }

    /// Bytes there is room for.
    pub fn free(&self) -> usize {
        self.bytes_max.saturating_sub(self.len())
    }

    /// How full it is now.
    pub fn pressure(&self) -> Pressure {
        if self.len() >= self.bytes_high { Pressure::High } else { Pressure::Low }
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that wait, oldest first.
    pub fn unsent(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Marks the first `count` waiting bytes as sent.
    ///
    /// # Panics
    /// If there are not so many: a socket can't have taken more than it was offered.
    pub fn sent(&mut self, count: usize) {
        assert!(count <= self.len(), "no more is sent than was waiting");
        self.start += count;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start >= self.buffer.len() / 2 {
            // Moving at most as many bytes as were sent keeps the work linear and the memory within the bound.
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Lends a pool buffer if it owns none, so that the pushes to come do not allocate.
    pub fn prepare(&mut self, pool: &mut Pool) {
        if self.buffer.capacity() == 0 {
            self.buffer = pool.take();
            self.buffer.clear();
        }
    }

    /// Gives the buffer back when nothing waits in it.
    pub fn settle(&mut self, pool: &mut Pool) {
        if self.is_empty() && self.buffer.capacity() > 0 {
            pool.give(std::mem::take(&mut self.buffer));
            self.start = 0;
        }
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_that_does_not_fit_queues_nothing() {
        let mut outbox = Outbox::new(4, 8);
        assert_eq!(outbox.push(b"abc"), Ok(Pressure::Low));
        assert_eq!(outbox.push_all(&[b"def", b"ghi"]), Err(Full { wanted: 6, free: 5 }));
        assert_eq!(outbox.unsent(), b"abc");
        assert_eq!(outbox.push_all(&[b"d", b"e"]), Ok(Pressure::High));
    }

    #[test]
    fn sent_bytes_make_room_and_the_rest_stays_in_order() {
        let mut outbox = Outbox::new(4, 8);
        outbox.push(b"abcdefgh").unwrap();
        outbox.sent(5);
        assert_eq!(outbox.pressure(), Pressure::Low);
        outbox.push(b"ijklm").unwrap();
        assert_eq!(outbox.unsent(), b"fghijklm");
        outbox.sent(8);
        assert!(outbox.is_empty());
    }

    #[test]
    fn memory_stays_within_twice_the_bound_however_often_it_is_refilled() {
        let mut outbox = Outbox::new(1024, 1024);
        for _ in 0..10_000 {
            while outbox.push(&[7; 100]).is_ok() {}
            outbox.sent(300);
        }
        assert!(outbox.capacity() <= 4096, "capacity {}", outbox.capacity());
    }

    #[test]
    fn an_idle_outbox_owns_no_buffer() {
        let mut pool = Pool::new(64, 4);
        let mut outbox = Outbox::new(64, 64);
        outbox.prepare(&mut pool);
        outbox.push(b"abc").unwrap();
        outbox.settle(&mut pool);
        assert_eq!(outbox.unsent(), b"abc");
        outbox.sent(3);
        outbox.settle(&mut pool);
        assert_eq!(outbox.capacity(), 0);
    }
}
