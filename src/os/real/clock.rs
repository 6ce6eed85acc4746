//! The system's clocks and randomness.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::base::{Time, WallTime};
use crate::os::{Clock, Entropy};

/// The system's clocks; its origin is the moment it was made.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock that starts at zero now.
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::ZERO.after(self.origin.elapsed())
    }

    fn wall(&self) -> WallTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        WallTime::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn cpu(&self) -> Duration {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
    }
}

/// `getrandom`, drawn a page at a time.
#[derive(Debug)]
pub struct SystemEntropy {
    reservoir: [u8; SystemEntropy::RESERVOIR_BYTES],
    used: usize,
}

impl SystemEntropy {
    const RESERVOIR_BYTES: usize = 256;

    fn refill(&mut self) {
        let mut filled = 0;
        while filled < self.reservoir.len() {
            match rustix::rand::getrandom(
                &mut self.reservoir[filled..],
                rustix::rand::GetRandomFlags::empty(),
            ) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => panic!("getrandom can't fail on Linux 3.17 or later, yet: {errno}"),
            }
        }
        self.used = 0;
    }
}

impl Default for SystemEntropy {
    fn default() -> SystemEntropy {
        SystemEntropy { reservoir: [0; SystemEntropy::RESERVOIR_BYTES], used: SystemEntropy::RESERVOIR_BYTES }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == self.reservoir.len() {
                self.refill();
            }
            *byte = std::mem::take(&mut self.reservoir[self.used]);
            self.used += 1;
        }
    }
}
