//! Bytes that have arrived and are not used yet.
//!
//! The buffer comes from a [`Pool`] when there is something to read and goes back once all of it is used, so an idle
//! connection owns none. A small rest (half a head, say) is moved to a buffer of just its size, so that a thousand
//! clients who send one byte each do not hold a thousand full buffers.

use super::buffer::Pool;
use super::planted::{Planted, is_planted};

/// A rest of at most so many bytes is moved out of its pool buffer by [`Inbox::settle`].
const SMALL_REST_BYTES_MAX: usize = 1024;

/// Received bytes, oldest first.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// The bytes not used yet.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// No byte waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks the first `count` unread bytes as used.
    ///
    /// # Panics
    /// If there are not so many: a parser claimed bytes that it was not given.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "a parser consumes at most what it was given");
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room to receive into; empty only when a whole buffer of bytes waits unused.
    /// The bytes in it are left-overs: only what [`filled`](Inbox::filled) counts is data.
    pub fn space(&mut self, pool: &mut Pool) -> &mut [u8] {
        if self.buffer.len() < pool.buffer_bytes() {
            let mut buffer = pool.take();
            // A pool buffer keeps its length and old bytes, so this clears memory only the first time.
            buffer.resize(pool.buffer_bytes(), 0);
            let rest = self.end - self.start;
            buffer[..rest].copy_from_slice(&self.buffer[self.start..self.end]);
            (self.buffer, self.start, self.end) = (buffer, 0, rest);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Counts `count` bytes that were received into [`space`](Inbox::space).
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.buffer.len() - self.end, "no more is received than there was space");
        self.end += count;
    }

    /// Gives the buffer back if it is not needed while waiting for the next arrival.
    pub fn settle(&mut self, pool: &mut Pool) {
        if is_planted(Planted::LosesSmallRest) && self.unread().len() == 1 {
            self.consume(1);
        }
        let rest = self.end - self.start;
        if self.buffer.len() < pool.buffer_bytes() || rest > SMALL_REST_BYTES_MAX {
            return;
        }
        let small = self.unread().to_vec();
        pool.give(std::mem::replace(&mut self.buffer, small));
        (self.start, self.end) = (0, rest);
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(inbox: &mut Inbox, pool: &mut Pool, bytes: &[u8]) {
        inbox.space(pool)[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    #[test]
    fn an_idle_inbox_owns_no_buffer() {
        let mut pool = Pool::new(4096, 4);
        let mut inbox = Inbox::default();
        receive(&mut inbox, &mut pool, b"abc");
        inbox.consume(3);
        inbox.settle(&mut pool);
        assert_eq!(inbox.capacity(), 0);
    }

    #[test]
    fn a_small_rest_is_kept_in_a_small_buffer_and_goes_on() {
        let mut pool = Pool::new(4096, 4);
        let mut inbox = Inbox::default();
        receive(&mut inbox, &mut pool, b"abcdef");
        inbox.consume(4);
        inbox.settle(&mut pool);
        assert_eq!((inbox.unread(), inbox.capacity()), (&b"ef"[..], 2));
        receive(&mut inbox, &mut pool, b"gh");
        assert_eq!(inbox.unread(), b"efgh");
    }

    #[test]
    fn space_is_made_by_moving_the_rest_to_the_front() {
        let mut pool = Pool::new(8, 4);
        let mut inbox = Inbox::default();
        receive(&mut inbox, &mut pool, b"12345678");
        assert!(inbox.space(&mut pool).is_empty());
        inbox.consume(6);
        receive(&mut inbox, &mut pool, b"abcdef");
        assert_eq!(inbox.unread(), b"78abcdef");
    }
}
