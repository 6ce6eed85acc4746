//! Not asking somebody who does not answer: after some failures in a row nobody asks for a while, then one does, and what
//! becomes of that one decides for all.
//!
//! ```text
//!            failures in a row              the pause is over           it answers
//!   Closed ────────────────────► Open ─────────────────────► Probing ──────────────► Closed
//!                                 ▲   a pause twice as long     │
//!                                 └─────────────────────────────┘ it fails
//! ```

use std::time::Duration;

use crate::base::Time;
use crate::limits::Limits;

/// Whether one more may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Go,
    /// Yes, and all others wait for what becomes of it.
    Probe,
    /// No, for so long.
    Wait(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Time },
    Probing,
}

/// Counts failures, and decides.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    in_a_row: u32,
    pause: Duration,
    failures_max: u32,
    pause_min: Duration,
    pause_max: Duration,
    opened: u64,
}

impl Breaker {
    /// A closed one.
    pub fn new(limits: &Limits) -> Breaker {
        Breaker {
            state: State::Closed,
            in_a_row: 0,
            pause: limits.breaker_pause_min,
            failures_max: limits.breaker_failures_max.max(1),
            pause_min: limits.breaker_pause_min,
            pause_max: limits.breaker_pause_max,
            opened: 0,
        }
    }

    /// Whether one more may ask. After [`Admission::Probe`] one of [`succeeded`](Breaker::succeeded),
    /// [`failed`](Breaker::failed) and [`abandoned`](Breaker::abandoned) must follow.
    pub fn admit(&mut self, now: Time) -> Admission {
        match self.state {
            State::Closed => Admission::Go,
            State::Open { until } if now >= until => {
                self.state = State::Probing;
                Admission::Probe
            }
            State::Open { until } => Admission::Wait(until.since(now)),
            State::Probing => Admission::Wait(self.pause_min),
        }
    }

    /// It answers.
    pub fn succeeded(&mut self) {
        self.state = State::Closed;
        self.in_a_row = 0;
        self.pause = self.pause_min;
    }

    /// It does not. Those that had been let in before it opened count no more.
    pub fn failed(&mut self, was_probe: bool, now: Time) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match self.state {
            State::Closed if self.in_a_row >= self.failures_max => self.open(now),
            State::Probing if was_probe => {
                self.pause = self.pause.saturating_mul(2).min(self.pause_max);
                self.open(now);
            }
            State::Closed | State::Open { .. } | State::Probing => {}
        }
    }

    /// The one that was let in to see whether it answers was called off: the next may see.
    pub fn abandoned(&mut self, now: Time) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, now: Time) {
        self.state = State::Open { until: now.after(self.pause) };
        self.opened += 1;
    }

    /// `closed`, `open` or `half-open`, as others call it.
    pub fn name(&self) -> &'static str {
        match self.state {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::Probing => "half-open",
        }
    }

    /// Failures in a row.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// How often it has opened since start.
    pub fn opened(&self) -> u64 {
        self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(seconds))
    }

    fn opened() -> Breaker {
        let limits = Limits {
            breaker_failures_max: 3,
            breaker_pause_min: Duration::from_secs(5),
            breaker_pause_max: Duration::from_secs(15),
            ..Limits::default()
        };
        let mut breaker = Breaker::new(&limits);
        for _ in 0..3 {
            assert_eq!(breaker.admit(at(0)), Admission::Go);
            breaker.failed(false, at(0));
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_probe_through() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(2)), Admission::Wait(Duration::from_secs(3)));
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        assert!(matches!(breaker.admit(at(5)), Admission::Wait(_)));
        breaker.succeeded();
        assert_eq!((breaker.admit(at(5)), breaker.name()), (Admission::Go, "closed"));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut breaker = Breaker::new(&Limits { breaker_failures_max: 2, ..Limits::default() });
        for _ in 0..10 {
            breaker.failed(false, at(0));
            breaker.succeeded();
        }
        assert_eq!(breaker.admit(at(0)), Admission::Go);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_up_to_a_bound() {
        let mut breaker = opened();
        let mut now = 5;
        for pause in [10, 15, 15] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            breaker.failed(true, at(now));
            assert_eq!(breaker.admit(at(now)), Admission::Wait(Duration::from_secs(pause)));
            now += pause;
        }
    }

    #[test]
    fn failures_of_those_that_were_let_in_before_do_not_decide_for_the_probe() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(5)), Admission::Probe);
        breaker.failed(false, at(5));
        assert_eq!(breaker.name(), "half-open");
        breaker.abandoned(at(6));
        assert_eq!(breaker.admit(at(6)), Admission::Probe);
    }
}
