//! A shelf of spare buffers, so that an idle connection owns none and a busy one seldom allocates.

/// Keeps buffers of one size for reuse, up to a bound; beyond it they go back to the allocator.
#[derive(Debug)]
pub struct Pool {
    buffer_bytes: usize,
    spare_max: usize,
    spare: Vec<Vec<u8>>,
    freed_bytes: usize,
}

impl Pool {
    /// A shelf for at most `spare_max` buffers of `buffer_bytes` each.
    pub fn new(buffer_bytes: usize, spare_max: usize) -> Pool {
        Pool { buffer_bytes, spare_max, spare: Vec::new(), freed_bytes: 0 }
    }

    /// Bytes in each of its buffers.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// A buffer with room for `buffer_bytes`. It may hold its last user's bytes: clear it or overwrite them.
    pub fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.buffer_bytes))
    }

    /// Takes a buffer back. One that has grown or shrunk is let go instead.
    pub fn give(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() == self.buffer_bytes && self.spare.len() < self.spare_max {
            self.spare.push(buffer);
        } else {
            self.count_freed(buffer.capacity());
        }
    }

    /// Counts memory that went back to the allocator, which may keep it from the system.
    pub fn count_freed(&mut self, bytes: usize) {
        self.freed_bytes += bytes;
    }

    /// Bytes that nobody uses: those of spare buffers, and what went back to the allocator since [`tidy`](Pool::tidy).
    pub fn unused_bytes(&self) -> usize {
        self.freed_bytes + self.spare.len() * self.buffer_bytes
    }

    /// Lets go of all spare buffers, and counts anew.
    pub fn tidy(&mut self) {
        self.spare = Vec::new();
        self.freed_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_a_grown_one_is_not() {
        let mut pool = Pool::new(16, 2);
        let buffer = pool.take();
        let address = buffer.as_ptr();
        pool.give(buffer);
        let taken = pool.take();
        assert_eq!(taken.as_ptr(), address);
        pool.give(Vec::with_capacity(17));
        assert!(pool.spare.is_empty());
    }

    #[test]
    fn the_shelf_is_bounded() {
        let mut pool = Pool::new(16, 1);
        let (one, two) = (pool.take(), pool.take());
        pool.give(one);
        pool.give(two);
        assert_eq!(pool.spare.len(), 1);
        assert_eq!(pool.unused_bytes(), 32, "the spare one, and the one let go");
        pool.tidy();
        assert_eq!(pool.unused_bytes(), 0);
    }
}
