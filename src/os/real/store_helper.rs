//! The store's helper: one thread that keeps runs and finds them, started by its first job.
//!
//! It is not the disk's: a notes folder on a disk that hangs, or a listing of a hundred thousand files, must not hold
//! up the commit that a client's `202` waits for.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use super::poller::Mailbox;
use crate::limits::Limits;
use crate::os::{Completion, Store};
use crate::store::{Job, Storage, carry_out};

/// The front of the helper; the thread itself starts with the first job.
pub struct StoreHelper {
    /// Until the thread has it.
    storage: Option<Box<dyn Storage>>,
    mailbox: Mailbox,
    jobs_max: usize,
    jobs: Option<SyncSender<Job>>,
    /// Says that the thread has closed the storage, by being closed itself.
    closed: Option<Receiver<()>>,
    /// That the thread can't be started was told: once for each time that it begins to be so.
    trouble_told: bool,
}

impl fmt::Debug for StoreHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHelper").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl StoreHelper {
    /// A helper that will keep runs in `storage`.
    pub fn new(storage: Box<dyn Storage>, mailbox: Mailbox, limits: &Limits) -> StoreHelper {
        let jobs_max = limits.store_jobs_max;
        StoreHelper {
            storage: Some(storage),
            mailbox,
            jobs_max,
            jobs: None,
            closed: None,
            trouble_told: false,
        }
    }

    fn start(&mut self) -> io::Result<()> {
        if self.storage.is_none() {
            return Ok(());
        }
        let (sender, jobs) = sync_channel(self.jobs_max);
        // A thread that can't be started drops what it was to have: so it is handed the storage once it runs.
        let (hand_over, handed_over) = sync_channel(1);
        let (closing, closed) = sync_channel(0);
        let mailbox = self.mailbox.clone();
        let serve = move || {
            if let Ok(storage) = handed_over.recv() {
                serve(storage, &jobs, &mailbox);
            }
            drop(closing);
        };
        thread::Builder::new().name("store".into()).spawn(serve)?;
        (self.jobs, self.closed) = (Some(sender), Some(closed));
        if let Some(storage) = self.storage.take() {
            // Its first act is to take this; a channel of one place does not wait for it.
            let _ = hand_over.send(storage);
        }
        if std::mem::take(&mut self.trouble_told) {
            log::info!("the store's helper could be started");
        }
        Ok(())
    }
}

impl Store for StoreHelper {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        if let Err(error) = self.start() {
            if !std::mem::replace(&mut self.trouble_told, true) {
                log::error!("the store's helper can't be started, so nothing can be kept for now: {error}");
            }
            return Err(job);
        }
        let Some(jobs) = &self.jobs else { return Err(job) };
        jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }
}

/// Lets the thread put its storage in order, so that one file is left of it, but waits for no disk that hangs.
impl Drop for StoreHelper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(closed) = self.closed.take() {
            let _: Result<(), RecvTimeoutError> = closed.recv_timeout(CLOSING_MAX);
        }
    }
}

/// How long the end of the process waits for the storage to be closed. What is kept is kept without it.
const CLOSING_MAX: Duration = Duration::from_secs(2);

/// Looks for the next job so often before it sleeps, and lets others have the processor between two looks: 0.2 ms at most.
/// Under load the next batch comes as soon as the news of the last one is told, and to wake a sleeping thread for it is
/// most of what a commit costs the loop.
const LOOKS_BEFORE_SLEEP: u32 = 400;

/// The next job; `None` when the loop has dropped its end of the queue.
fn next(jobs: &Receiver<Job>) -> Option<Job> {
    for _ in 0..LOOKS_BEFORE_SLEEP {
        if let Ok(job) = jobs.try_recv() {
            return Some(job);
        }
        thread::yield_now();
    }
    jobs.recv().ok()
}

/// Ends when the loop drops its end of the queue, or can't be told any more.
fn serve(mut storage: Box<dyn Storage>, jobs: &Receiver<Job>, mailbox: &Mailbox) {
    while let Some(job) = next(jobs) {
        if mailbox.send(Completion::Store(carry_out(job, &mut *storage))).is_err() {
            return;
        }
    }
}
