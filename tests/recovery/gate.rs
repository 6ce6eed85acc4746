//! Where clients wait while there is no server: nobody sleeps, the next process opens the gate.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::common::PATIENCE;

/// Which process of the server is there.
#[derive(Debug, Default)]
pub struct Gate {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Phase {
    /// The newest process, counted from 1.
    process: u32,
    /// It accepts connections, as far as we know.
    is_open: bool,
    /// It is the last one: nobody will kill it, and nothing new is begun.
    is_last: bool,
}

impl Gate {
    /// Another process is about to be started.
    pub fn announce(&self, process: u32) {
        self.change(|phase| phase.process = process);
    }

    /// It accepts connections.
    pub fn open(&self) {
        self.change(|phase| phase.is_open = true);
    }

    /// The process is about to be killed.
    pub fn close(&self) {
        self.change(|phase| phase.is_open = false);
    }

    /// The next process to come is the last: what was begun is to be brought to its end.
    pub fn announce_last(&self) {
        self.change(|phase| phase.is_last = true);
    }

    /// Nothing new is begun.
    pub fn is_last(&self) -> bool {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).is_last
    }

    /// The newest process, which may not listen yet, or not any more.
    pub fn newest(&self) -> u32 {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).process
    }

    /// Waits for a process later than `known`; answers which it is.
    pub fn process_after(&self, known: u32) -> u32 {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let (phase, waited) = self
            .changed
            .wait_timeout_while(phase, PATIENCE, |phase| !phase.is_open || phase.process <= known)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "process {known} cut a connection, and was not killed");
        phase.process
    }

    fn change(&self, change: impl FnOnce(&mut Phase)) {
        change(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}
