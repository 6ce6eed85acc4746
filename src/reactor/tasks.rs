//! Cooperative tasks: long work done in slices, each with its share of the turn's budget, in turn.
//!
//! A task is a key and nothing more; what a step of it does is the application's affair. Runnable tasks wait in a
//! ring. Each gets a slice and goes to the back, so no task waits longer than one slice of every other.

use std::collections::VecDeque;

use crate::base::planted::{Planted, is_planted};
use crate::base::{Budget, Key, Kind, Slots};

/// Keys of tasks.
pub const TASK: Kind = Kind(3);

/// How a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do: run again when its turn comes.
    Again,
    /// Nothing to do until [`TaskQueue::wake`].
    Blocked,
    /// The task is over; its key finds nothing from here on.
    Done,
}

#[derive(Debug)]
struct Task {
    queued: bool,
    /// The turn in which it became runnable.
    since_turn: u64,
}

/// The ring of runnable tasks, and the blocked ones beside it.
#[derive(Debug)]
pub struct TaskQueue {
    tasks: Slots<Task>,
    ring: VecDeque<Key>,
    slice_units: u32,
    turn: u64,
    slices: u64,
    longest_wait_turns: u64,
}

impl TaskQueue {
    /// For at most `tasks_max` tasks, each with slices of `slice_units`.
    pub fn new(tasks_max: usize, slice_units: u32) -> TaskQueue {
        TaskQueue {
            tasks: Slots::new(TASK, tasks_max),
            ring: VecDeque::new(),
            slice_units: slice_units.max(1),
            turn: 0,
            slices: 0,
            longest_wait_turns: 0,
        }
    }

    /// Adds a task, runnable at once. `None` when there are `tasks_max` already.
    pub fn spawn(&mut self) -> Option<Key> {
        let key = self.tasks.insert(Task { queued: true, since_turn: self.turn }).ok()?;
        self.ring.push_back(key);
        Some(key)
    }

    /// Makes a blocked task runnable. Waking it twice is waking it once.
    pub fn wake(&mut self, key: Key) {
        if let Some(task) = self.tasks.at_mut(key)
            && !task.queued
        {
            task.queued = true;
            task.since_turn = self.turn;
            self.ring.push_back(key);
        }
    }

    /// Ends a task, whatever its state.
    pub fn cancel(&mut self, key: Key) {
        // Its place in the ring stays and is passed over: the key finds nothing.
        self.tasks.remove(key);
    }

    /// Some task is runnable: the loop must not sleep.
    pub fn is_runnable(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Tasks, runnable and blocked.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// There is no task.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Slices that tasks have had so far.
    pub fn slices(&self) -> u64 {
        self.slices
    }

    /// The most turns that a runnable task has waited for its slice. Each turn runs one slice at least, and a task
    /// that has had one goes to the back: so it is below the number of tasks.
    pub fn longest_wait_turns(&self) -> u64 {
        self.longest_wait_turns
    }

    /// Runs slices until the budget is spent or no task is runnable; answers how many slices ran.
    ///
    /// A slice may overdraw by its last piece of work. What it overdraws is taken from the turn's budget, so that the
    /// turn ends earlier rather than later.
    pub fn run(&mut self, budget: &mut Budget, mut step: impl FnMut(Key, &mut Budget) -> Progress) -> u32 {
        let mut slices = 0;
        self.turn += 1;
        while !budget.is_spent() {
            let Some(key) = self.ring.pop_front() else { break };
            let Some(task) = self.tasks.at_mut(key) else { continue };
            task.queued = false;
            // One that goes on in the turn in which it became runnable has not waited at all.
            let waited = self.turn.saturating_sub(task.since_turn + 1);
            self.longest_wait_turns = self.longest_wait_turns.max(waited);
            let granted = self.slice_units.min(budget.left());
            let mut slice = Budget::new(granted);
            let progress = step(key, &mut slice);
            // A slice that spends nothing still costs its visit; without this, such tasks would hold the turn.
            budget.spend((granted - slice.left() + slice.overdrawn()).max(1));
            slices += 1;
            self.slices += 1;
            match progress {
                Progress::Again => {
                    self.wake(key);
                    if is_planted(Planted::StarvesTasks) {
                        self.ring.rotate_right(1);
                    }
                }
                Progress::Blocked => {}
                Progress::Done => self.cancel(key),
            }
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_take_turns_and_the_budget_ends_the_turn() {
        let mut queue = TaskQueue::new(8, 10);
        let (a, b) = (queue.spawn().unwrap(), queue.spawn().unwrap());
        let mut trace = Vec::new();
        let mut budget = Budget::new(35);
        queue.run(&mut budget, |key, slice| {
            trace.push((key, slice.left()));
            slice.spend(10);
            Progress::Again
        });
        assert_eq!(trace, [(a, 10), (b, 10), (a, 10), (b, 5)]);
        assert!(queue.is_runnable());
    }

    #[test]
    fn a_blocked_task_runs_again_only_when_woken_and_then_once() {
        let mut queue = TaskQueue::new(8, 10);
        let task = queue.spawn().unwrap();
        assert_eq!(queue.run(&mut Budget::new(100), |_, _| Progress::Blocked), 1);
        assert_eq!(queue.run(&mut Budget::new(100), |_, _| Progress::Blocked), 0);
        queue.wake(task);
        queue.wake(task);
        assert_eq!(queue.run(&mut Budget::new(100), |_, _| Progress::Blocked), 1);
    }

    #[test]
    fn a_cancelled_task_never_runs_and_its_key_wakes_nobody() {
        let mut queue = TaskQueue::new(8, 10);
        let gone = queue.spawn().unwrap();
        queue.cancel(gone);
        let next = queue.spawn().unwrap();
        queue.wake(gone);
        let mut ran = Vec::new();
        queue.run(&mut Budget::new(100), |key, _| {
            ran.push(key);
            Progress::Done
        });
        assert_eq!(ran, [next]);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_idle_spinner_cannot_hold_the_turn() {
        let mut queue = TaskQueue::new(8, 10);
        queue.spawn().unwrap();
        assert_eq!(queue.run(&mut Budget::new(7), |_, _| Progress::Again), 7);
    }

    #[test]
    fn an_overdraft_is_charged_to_the_turn() {
        let mut queue = TaskQueue::new(8, 10);
        queue.spawn().unwrap();
        let slices = queue.run(&mut Budget::new(100), |_, slice| {
            slice.spend(60);
            Progress::Again
        });
        assert_eq!(slices, 2);
    }
}
