//! The loop: one page, five phases.
//!
//! ```text
//!        ┌──────────────────────────────────────────────────────────────┐
//!        ▼                                                              │
//!    pending ──► poll ──► check ──► close ──► timers ───────────────────┘
//!    carried     the one  work in   sockets   due ones, soonest first
//!    over, jobs  sleep    slices
//! ```
//!
//! This is the order of Node 20 and later (libuv 1.45): timers are the last phase, and due ones also run once before
//! the first turn. The loop knows keys and deadlines, not protocols: what an event means is the [`Host`]'s affair.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::host::{Cx, Event, Host};
use super::report::{LoopFigures, TurnReport};
use super::timers::Timers;
use crate::base::planted::{Planted, is_planted};
use crate::base::{Budget, Key, Time, tidy_queue};
use crate::limits::Limits;
use crate::os::{Completion, Os, Ready, Woken};

/// What handlers have asked for and the coming phases will do.
#[derive(Debug)]
pub struct Queues {
    /// Sockets that want another go. At most one entry for each: whoever asks remembers that it has asked.
    pub(super) pending: VecDeque<Ready>,
    /// Those of them that had no go because others had taken the turn's share: they come first in the next.
    pub(super) passed_over: VecDeque<Ready>,
    /// Ended jobs and signals, told in the pending phase.
    pub(super) completions: VecDeque<Completion>,
    /// Sockets to close.
    pub(super) closing: VecDeque<Key>,
    /// Deadlines.
    pub(super) timers: Timers,
}

impl Queues {
    /// Gives memory back if little is left of much. What has ended is no crowd: jobs are few.
    pub(super) fn tidy(&mut self) {
        tidy_queue(&mut self.pending);
        tidy_queue(&mut self.passed_over);
        tidy_queue(&mut self.closing);
        self.timers.tidy();
    }
}

/// The event loop.
#[derive(Debug)]
pub struct Reactor {
    queues: Queues,
    woken: Woken,
    figures: LoopFigures,
    units_per_turn: u32,
}

impl Reactor {
    /// A loop that has not turned yet.
    pub fn new(limits: &Limits) -> Reactor {
        let queues = Queues {
            pending: VecDeque::new(),
            passed_over: VecDeque::new(),
            completions: VecDeque::new(),
            closing: VecDeque::new(),
            timers: Timers::new(),
        };
        let (woken, figures) = (Woken::default(), LoopFigures::default());
        Reactor { queues, woken, figures, units_per_turn: limits.units_per_turn.max(1) }
    }

    /// Lets `host` act before the first turn (listen, start its tasks) with everything a handler has.
    pub fn enter<T>(&mut self, os: &mut Os<'_>, act: impl FnOnce(&mut Cx<'_, '_>) -> T) -> T {
        let now = os.clock.now();
        let mut budget = Budget::new(self.units_per_turn);
        let Reactor { queues, figures, .. } = self;
        act(&mut Cx { os, now, budget: &mut budget, queues, figures })
    }

    /// One turn: all five phases, sleeping in poll until there is something to do.
    ///
    /// # Errors
    /// The poller can't go on. Being interrupted is not an error.
    pub fn turn(&mut self, os: &mut Os<'_>, host: &mut impl Host) -> io::Result<TurnReport> {
        let mut report = TurnReport::default();
        let mut budget = Budget::new(self.units_per_turn);
        if self.figures.turns == 0 {
            self.figures.begin(os.clock);
            report.timers += self.run_timers(os, &mut budget, host);
        }
        self.figures.turns += 1;
        report.pending = self.run_pending(os, &mut budget, host);
        (report.ready, report.slept) = self.run_poll(os, &mut budget, host)?;
        self.run_check(os, &mut budget, host);
        report.closed = self.run_close(os, &mut budget, host);
        report.timers += self.run_timers(os, &mut budget, host);
        Ok(report)
    }

    /// What waits in the loop: sockets that want another go, news of helpers, and sockets to close.
    pub fn waiting(&self) -> usize {
        let queues = &self.queues;
        queues.pending.len() + queues.passed_over.len() + queues.completions.len() + queues.closing.len()
    }

    /// Sockets that the coming close phase closes.
    pub fn closing(&self) -> impl Iterator<Item = Key> {
        self.queues.closing.iter().copied()
    }

    /// Deadlines that are set.
    pub fn timers(&self) -> &Timers {
        &self.queues.timers
    }

    /// What the loop knows of itself.
    pub fn figures(&self) -> &LoopFigures {
        &self.figures
    }

    fn run_pending(&mut self, os: &mut Os<'_>, budget: &mut Budget, host: &mut impl Host) -> u32 {
        let now = os.clock.now();
        let completions = self.queues.completions.len();
        for _ in 0..completions {
            let Some(done) = self.queues.completions.pop_front() else { break };
            self.tell(Event::Done(done), now, os, budget, host);
        }
        // Behind those who ask in each turn, whoever was passed over would be passed over again.
        while let Some(ready) = self.queues.passed_over.pop_back() {
            self.queues.pending.push_front(ready);
        }
        // Count first: readiness carried over by a handler below belongs to the next turn, otherwise one fast sender
        // would keep us here and no one else would be served.
        let carried_over = self.queues.pending.len();
        for _ in 0..carried_over {
            let Some(ready) = self.queues.pending.pop_front() else { break };
            self.tell(Event::Ready(ready), now, os, budget, host);
        }
        (completions + carried_over) as u32
    }

    fn run_poll(
        &mut self,
        os: &mut Os<'_>,
        budget: &mut Budget,
        host: &mut impl Host,
    ) -> io::Result<(u32, bool)> {
        let resting = self.figures.rests(os.clock);
        let timeout = self.timeout(resting, host.is_runnable());
        self.figures.waits += 1;
        match os.waiter.wait(timeout, &mut self.woken) {
            // A signal handler ran (EINTR). What it means arrives as a completion; this turn just goes on.
            Err(error)
                if error.kind() == io::ErrorKind::Interrupted
                    && !is_planted(Planted::FailsWhenInterrupted) => {}
            other => other?,
        }
        let now = os.clock.now();
        self.figures.woke(now);
        // Jobs that ended belong to the next pending phase, which comes before the next sleep.
        self.queues.completions.extend(self.woken.done.drain(..));
        let count = self.woken.ready.len();
        for index in 0..count {
            let ready = self.woken.ready[index];
            self.tell(Event::Ready(ready), now, os, budget, host);
        }
        self.woken.ready.clear();
        Ok((count as u32, timeout != Some(Duration::ZERO)))
    }

    fn run_check(&mut self, os: &mut Os<'_>, budget: &mut Budget, host: &mut impl Host) {
        let now = os.clock.now();
        self.tell(Event::Check, now, os, budget, host);
    }

    fn run_close(&mut self, os: &mut Os<'_>, budget: &mut Budget, host: &mut impl Host) -> u32 {
        let count = self.queues.closing.len();
        let now = os.clock.now();
        for _ in 0..count {
            let Some(key) = self.queues.closing.pop_front() else { break };
            os.net.close(key);
            self.tell(Event::Closed(key), now, os, budget, host);
        }
        count as u32
    }

    fn run_timers(&mut self, os: &mut Os<'_>, budget: &mut Budget, host: &mut impl Host) -> u32 {
        let now = os.clock.now();
        let mark = self.queues.timers.mark(now);
        let mut fired = 0;
        // One by one: a handler may cancel a timer that is due in this very phase, and then it must not fire.
        while let Some((id, owner)) = self.queues.timers.pop_due(mark) {
            self.tell(Event::Timer(id, owner), now, os, budget, host);
            fired += 1;
        }
        fired
    }

    /// How long poll may sleep: not at all while something waits for the next turn, else until the soonest deadline.
    fn timeout(&mut self, now: Time, host_is_runnable: bool) -> Option<Duration> {
        let queues = &mut self.queues;
        // Helpers' news need no look: they come with the poll, and the pending phase before this one has told them.
        let closes = !queues.closing.is_empty() && !is_planted(Planted::ForgetsToClose);
        let wants_a_go = !queues.pending.is_empty() || !queues.passed_over.is_empty();
        let waiting = wants_a_go || closes;
        if is_planted(Planted::ForgetsDeadlines) && queues.timers.len() > 3 {
            return None;
        }
        if waiting || host_is_runnable {
            return Some(Duration::ZERO);
        }
        // Waking early would find nothing due and poll again at once; `mio` rounds up to whole milliseconds for us.
        queues.timers.next_deadline().map(|deadline| deadline.since(now))
    }

    fn tell(&mut self, event: Event, now: Time, os: &mut Os<'_>, budget: &mut Budget, host: &mut impl Host) {
        let Reactor { queues, figures, .. } = self;
        host.handle(event, &mut Cx { os, now, budget, queues, figures });
    }
}
