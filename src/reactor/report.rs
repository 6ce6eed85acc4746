//! What the loop says of itself: how many turns, how long the longest, how much of the time it was busy.
//!
//! *Busy* is the time between two waits, because for so long nobody else is served. The figure that matters is CPU
//! time: on a shared machine a turn may stand still without its own fault. But reading the thread's CPU clock is a
//! true system call, and two for each request would cost more than the request. So a turn is timed by the cheap
//! monotonic clock, and the CPU clock is read only after a stretch of busy time of [`CPU_MARK_EVERY`]. A turn's CPU
//! time is then at most the smaller of its elapsed time and the CPU time used since the last reading: never too
//! small, and too large by less than that stretch.

use std::time::Duration;

use crate::base::Time;
use crate::os::Clock;

/// Busy time after which the thread's CPU clock is read again.
pub const CPU_MARK_EVERY: Duration = Duration::from_millis(1);

/// What one turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnReport {
    /// Events handled in the pending phase: readiness carried over, ended jobs, signals.
    pub pending: u32,
    /// Readiness handled in the poll phase.
    pub ready: u32,
    /// Sockets closed.
    pub closed: u32,
    /// Timers fired.
    pub timers: u32,
    /// The poll was allowed to sleep.
    pub slept: bool,
}

/// What all turns so far add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoopFigures {
    /// Turns begun.
    pub turns: u64,
    /// Waits, one a turn, those that found the loop interrupted included.
    pub waits: u64,
    /// Time spent between waits.
    pub busy: Duration,
    /// The longest time between two waits, in CPU time of this thread (see the module's header for its error).
    pub longest_turn: Duration,
    /// The same in elapsed time, in which the system may have run others.
    pub longest_turn_elapsed: Duration,
    woke: Time,
    cpu_mark: Duration,
    busy_since_mark: Duration,
}

impl LoopFigures {
    /// The loop has just come out of its wait.
    pub(super) fn woke(&mut self, now: Time) {
        self.woke = now;
    }

    /// The loop is about to wait: closes the account of the time since it woke.
    pub(super) fn rests(&mut self, clock: &dyn Clock) -> Time {
        let now = clock.now();
        let elapsed = now.since(self.woke);
        self.busy += elapsed;
        self.busy_since_mark += elapsed;
        self.longest_turn_elapsed = self.longest_turn_elapsed.max(elapsed);
        let mut cpu = elapsed;
        if self.busy_since_mark >= CPU_MARK_EVERY {
            let mark = clock.cpu();
            cpu = elapsed.min(mark.saturating_sub(self.cpu_mark));
            self.cpu_mark = mark;
            self.busy_since_mark = Duration::ZERO;
        }
        self.longest_turn = self.longest_turn.max(cpu);
        now
    }

    /// Starts the account over: what came before the first turn is no turn of ours.
    pub(super) fn begin(&mut self, clock: &dyn Clock) {
        self.woke = clock.now();
        self.cpu_mark = clock.cpu();
    }
}
