//! The one door between the loop and the application: an [`Event`] goes in, requests come back through [`Cx`].
//!
//! There are no callbacks. What is registered is a key, so "what happens when this socket is readable?" is answered
//! by one `match` in the application, and nothing can be called while something else is half done. That is also why
//! Node's `process.nextTick` and promise queues have no counterpart here: they run what a *callback* left behind
//! before the loop goes on, and no callback is ever called.

use crate::base::{Budget, Key, Time};
use crate::os::{Completion, Os, Ready};

use super::report::LoopFigures;
use super::timers::{TimerId, Timers};
use super::turn::Queues;

/// What the loop tells the application.
#[derive(Debug)]
pub enum Event {
    /// A timer came due; the key is the one it was set for.
    Timer(TimerId, Key),
    /// A socket is ready, or it asked for another go (then nothing in it is set).
    Ready(Ready),
    /// A helper's job has news, or a signal came.
    Done(Completion),
    /// Once a turn: the time for work in slices.
    Check,
    /// The socket is closed; what was kept for it can go.
    Closed(Key),
}

/// The application.
pub trait Host {
    /// Handles one event, without blocking.
    fn handle(&mut self, event: Event, cx: &mut Cx<'_, '_>);

    /// Some task is runnable, so the coming poll must not sleep.
    ///
    /// The loop asks before every poll. Handlers that make a task runnable need not say so, and can't forget to.
    fn is_runnable(&self) -> bool;
}

/// What a handler may use and ask for.
#[derive(Debug)]
pub struct Cx<'a, 'w> {
    /// The world.
    pub os: &'a mut Os<'w>,
    /// The time at which this phase began; the same for all its events.
    pub now: Time,
    /// Work that tasks may still do in this turn.
    pub budget: &'a mut Budget,
    pub(super) queues: &'a mut Queues,
    pub(super) figures: &'a LoopFigures,
}

impl Cx<'_, '_> {
    /// Handles `ready` again in the next turn's pending phase: for a handler that stopped at its budget with work
    /// left, which an edge-triggered poller will not announce again.
    pub fn again(&mut self, ready: Ready) {
        self.queues.pending.push_back(ready);
    }

    /// The same, ahead of all who asked for it so: for a handler that could do nothing because others had taken what a
    /// turn has to give.
    pub fn again_first(&mut self, ready: Ready) {
        self.queues.passed_over.push_back(ready);
    }

    /// Closes the socket in this turn's close phase; [`Event::Closed`] follows.
    pub fn close(&mut self, key: Key) {
        self.queues.closing.push_back(key);
    }

    /// Sets a timer: [`Event::Timer`] for `owner` once `deadline` is reached.
    pub fn set_timer(&mut self, deadline: Time, owner: Key) -> TimerId {
        self.queues.timers.set(deadline, owner)
    }

    /// Cancels a timer, if there is one, and forgets it.
    pub fn cancel_timer(&mut self, timer: &mut Option<TimerId>) {
        if let Some(timer) = timer.take() {
            self.queues.timers.cancel(timer);
        }
    }

    /// Deadlines that are set.
    pub fn timers(&self) -> &Timers {
        &self.queues.timers
    }

    /// Gives memory back that a crowd needed and nobody needs now: the queues', the sockets', and the allocator's.
    /// Whoever calls it has let go of his own before.
    pub fn tidy(&mut self) {
        self.queues.tidy();
        self.os.net.tidy();
    }

    /// What the loop knows of itself.
    pub fn figures(&self) -> &LoopFigures {
        self.figures
    }
}
