//! What goes to the store and what comes back: batches, reads and sweeps, with at most one batch under way.
//!
//! ```text
//!              something to keep                       kept
//!   Resting ───────────────────────► one batch under way ───────► Resting
//!      ▲                                  │ not kept
//!      │ the pause is over                ▼
//!      └────────────────────────── Failing: new work is refused, what was not kept waits in the runs themselves
//! ```
//!
//! While a batch is under way the next one gathers, so that one sync of the disk serves everybody who came meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::runs::Runs;
use crate::base::{Key, WallTime, tidy_queue};
use crate::limits::Limits;
use crate::os::Store;
use crate::reactor::{Cx, TimerId};
use crate::store::{Cause, Job, Loaded, Record, Sweep, Swept, Trouble};

/// The traffic with the store.
#[derive(Debug)]
pub struct Journal {
    /// What is kept outlives the process.
    is_durable: bool,
    /// A batch is under way.
    commits: bool,
    /// It is not with the helper yet: its queue was full.
    unsent: Option<Job>,
    /// The sweep that is under way.
    sweeps: Option<Sweep>,
    /// Why the last batch could not be kept.
    trouble: Option<Trouble>,
    /// The last trouble that the log was told of, until something was kept after it.
    told: Option<Trouble>,
    /// The batch under way shows, if it is kept, that there is room for runs.
    proves: bool,
    /// Ends the pause before the next try.
    retry: Option<TimerId>,
    reads: VecDeque<Job>,
    reads_under_way: usize,
    /// The helper has taken no more jobs, and has some.
    is_full: bool,
    /// Ended runs that are kept.
    ended: u64,
    oldest_end: Option<WallTime>,
    swept_to: Option<Uuid>,
    /// Fires when the next ended run is past its time, or ends a pause before the next try.
    sweep_timer: Option<TimerId>,
    /// Sweeping pauses.
    sweeps_later: bool,
    keep_max: u64,
    ttl: Duration,
    reads_max: usize,
    reads_waiting_max: usize,
    runs_per_sweep: usize,
    runs_per_sweep_max: usize,
    backoff: Duration,
    batches: u64,
    records: u64,
}

/// What the journal tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalFigures {
    /// Batches that were sent.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Ended runs that are kept.
    pub ended: u64,
}

impl Journal {
    /// A store that was not looked into yet; it keeps the newest `keep_max` ended runs for `ttl`.
    pub fn new(is_durable: bool, keep_max: usize, ttl: Duration, limits: &Limits) -> Journal {
        Journal {
            is_durable,
            commits: false,
            unsent: None,
            sweeps: None,
            trouble: None,
            told: None,
            proves: false,
            retry: None,
            reads: VecDeque::new(),
            reads_under_way: 0,
            is_full: false,
            ended: 0,
            oldest_end: None,
            swept_to: None,
            sweep_timer: None,
            sweeps_later: false,
            keep_max: keep_max as u64,
            ttl,
            reads_max: limits.store_reads_max.max(1),
            reads_waiting_max: limits.store_reads_waiting_max,
            runs_per_sweep: limits.runs_per_sweep.max(1),
            runs_per_sweep_max: limits.runs_per_sweep_max.max(1),
            backoff: limits.store_backoff,
            batches: 0,
            records: 0,
        }
    }

    /// Remembers what a new process has found in the store.
    pub fn loaded(&mut self, loaded: &Loaded) {
        self.ended = loaded.ended;
        self.oldest_end = loaded.oldest_end;
        self.swept_to = loaded.swept_to;
    }

    /// What is kept outlives the process.
    pub fn is_durable(&self) -> bool {
        self.is_durable
    }

    /// Why nothing can be kept for now.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// What it tells of itself.
    pub fn figures(&self) -> JournalFigures {
        JournalFigures { batches: self.batches, records: self.records, ended: self.ended }
    }

    /// Timers that it believes to have set.
    pub fn timers(&self) -> usize {
        usize::from(self.retry.is_some()) + usize::from(self.sweep_timer.is_some())
    }

    /// A run with this id may have been kept once.
    pub fn may_have_swept(&self, id: Uuid) -> bool {
        id.get_version_num() == 7 && Some(id) <= self.swept_to
    }

    /// Nothing is under way, and nothing waits to be kept.
    pub fn is_at_rest(&self, runs: &Runs) -> bool {
        !self.commits && !runs.has_unkept()
    }

    /// Nobody waits for an answer of the store's either.
    pub fn is_quiet(&self, runs: &Runs) -> bool {
        self.is_at_rest(runs) && self.reads.is_empty() && self.reads_under_way == 0
    }

    /// There is something to hand to the helper, and it may take it.
    pub fn could_send(&self, runs: &Runs) -> bool {
        if self.is_full {
            return false;
        }
        let batch = !self.commits && self.retry.is_none() && runs.has_unkept();
        batch
            || self.unsent.is_some()
            || self.wants_sweep()
            || (!self.reads.is_empty() && self.reads_under_way < self.reads_max)
    }

    /// One more may ask the store for something.
    pub fn takes_reads(&self) -> bool {
        self.reads.len() < self.reads_waiting_max
    }

    /// Asks the store for something, when its turn has come.
    ///
    /// # Errors
    /// Gives the job back when too many wait.
    pub fn read(&mut self, job: Job) -> Result<(), Job> {
        if !self.takes_reads() {
            return Err(job);
        }
        self.reads.push_back(job);
        Ok(())
    }

    // --- Sending --------------------------------------------------------------------------------------------------

    /// Sends what this turn and those before it have gathered, unless a batch is under way.
    ///
    /// # Errors
    /// The helper takes nothing: what was gathered is not kept.
    pub fn send_batch(&mut self, runs: &mut Runs, store: &mut dyn Store) -> Result<(), Trouble> {
        if !self.commits && self.retry.is_none() && runs.has_unkept() {
            let batch = runs.gather();
            self.batches += 1;
            self.records += batch.records.len() as u64;
            // To forget what was refused takes no room.
            self.proves = batch.records.iter().any(|record| !matches!(record, Record::Forgotten { .. }));
            self.commits = true;
            self.unsent = Some(Job::Commit(batch));
        }
        let Some(job) = self.unsent.take_if(|_| !self.is_full) else { return Ok(()) };
        match store.submit(job) {
            Ok(()) => Ok(()),
            Err(job) if self.sweeps.is_some() || self.reads_under_way > 0 => {
                // The helper's next news says that there is room.
                self.unsent = Some(job);
                self.is_full = true;
                Ok(())
            }
            Err(_) => {
                self.commits = false;
                Err(Trouble::new(Cause::Failed, NO_HELPER))
            }
        }
    }

    /// Hands reads to the helper. Answers those for whom there is nothing to wait for: it can't be started.
    pub fn send_reads(&mut self, store: &mut dyn Store) -> Vec<Key> {
        while !self.is_full && self.reads_under_way < self.reads_max {
            let Some(job) = self.reads.pop_front() else { break };
            match store.submit(job) {
                Ok(()) => self.reads_under_way += 1,
                Err(job) if self.commits || self.sweeps.is_some() || self.reads_under_way > 0 => {
                    // As above.
                    self.reads.push_front(job);
                    self.is_full = true;
                }
                Err(job) => {
                    self.reads.push_front(job);
                    return self.reads.drain(..).filter_map(|job| asker(&job)).collect();
                }
            }
        }
        Vec::new()
    }

    /// Has ended runs swept away that are too many or past their time, or sets a timer for when they are.
    ///
    /// Not while the store fails, but while it is full: nothing else would make room.
    pub fn sweep(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.wants_sweep() {
            return;
        }
        let excess = self.excess();
        let now = cx.os.clock.wall().as_millis();
        let ttl = self.ttl_ms();
        let oldest_end = self.oldest_end.map(|oldest_end| oldest_end.as_millis().saturating_add(ttl));
        let due = match oldest_end {
            Some(due) => due,
            None if excess > 0 => now,
            None => return,
        };
        if excess == 0 && due > now {
            // The wall clock may be set meanwhile, so it is looked at again after a while.
            let wait = Duration::from_millis(due - now).min(LOOK_AT_THE_CLOCK);
            self.sweep_timer = Some(cx.set_timer(cx.now.after(wait), super::own_key()));
            return;
        }
        let ended_before = WallTime::from_millis(now.saturating_sub(ttl).saturating_add(1));
        let too_many = usize::try_from(excess).unwrap_or(usize::MAX).min(self.runs_per_sweep_max);
        let sweep = Sweep { ended_before, excess, runs_max: self.runs_per_sweep.max(too_many) };
        match cx.os.store.submit(Job::Sweep(sweep)) {
            Ok(()) => self.sweeps = Some(sweep),
            Err(_) if self.commits || self.reads_under_way > 0 => self.is_full = true,
            Err(_) => self.sweep_later(cx),
        }
    }

    /// Ended runs that are too many. A few are let be, so that not every run that ends costs a sweep.
    fn excess(&self) -> u64 {
        let slack = (self.keep_max / 8).min(self.runs_per_sweep as u64);
        let excess = self.ended.saturating_sub(self.keep_max);
        if excess > slack { excess } else { 0 }
    }

    /// Something is to be swept, or it is to be found out when.
    fn wants_sweep(&self) -> bool {
        let fails = self.trouble.as_ref().is_some_and(|trouble| trouble.cause != Cause::Full);
        let waits = self.sweeps.is_some() || self.sweeps_later || self.is_full;
        let has_no_time = self.oldest_end.is_some() && self.sweep_timer.is_none();
        !fails && !waits && (self.excess() > 0 || has_no_time)
    }

    fn sweep_later(&mut self, cx: &mut Cx<'_, '_>) {
        cx.cancel_timer(&mut self.sweep_timer);
        self.sweep_timer = Some(cx.set_timer(cx.now.after(self.backoff), super::own_key()));
        self.sweeps_later = true;
    }

    // --- News of the helper ---------------------------------------------------------------------------------------

    /// The batch under way is kept, with so many ends of runs, the first of them at that moment. Answers whether that is
    /// the end of a trouble.
    pub fn committed(&mut self, ends: u64, first_end: Option<WallTime>) -> bool {
        (self.commits, self.is_full) = (false, false);
        self.ended += ends;
        self.oldest_end = self.oldest_end.into_iter().chain(first_end).min();
        if self.proves && self.told.take().is_some() {
            log::info!("runs are kept again");
        }
        // If it proves nothing, whoever asks next finds out.
        self.trouble.take().is_some()
    }

    /// The batch under way may not be kept. The next try is made after a pause. Answers whether that is news.
    pub fn not_committed(&mut self, trouble: &Trouble, cx: &mut Cx<'_, '_>) -> bool {
        (self.commits, self.is_full) = (false, false);
        if self.told.as_ref() != Some(trouble) {
            log::error!("runs can't be kept, so new ones are refused: {trouble}");
            self.told = Some(trouble.clone());
        }
        let is_news = self.trouble.replace(trouble.clone()).as_ref() != Some(trouble);
        if self.retry.is_none() {
            self.retry = Some(cx.set_timer(cx.now.after(self.backoff), super::own_key()));
        }
        is_news
    }

    /// One of its timers has fired. Answers whether that is the end of a trouble: there is nothing that could be tried.
    pub fn timer(&mut self, id: TimerId, runs: &Runs) -> bool {
        if self.sweep_timer == Some(id) {
            self.sweep_timer = None;
            self.sweeps_later = false;
        }
        if self.retry != Some(id) {
            return false;
        }
        self.retry = None;
        !runs.has_unkept() && self.trouble.take().is_some()
    }

    /// This timer is one of its own.
    pub fn owns(&self, id: TimerId) -> bool {
        self.retry == Some(id) || self.sweep_timer == Some(id)
    }

    /// A read has its answer.
    pub fn read_done(&mut self) {
        self.reads_under_way = self.reads_under_way.saturating_sub(1);
        self.is_full = false;
    }

    /// A sweep has ended.
    pub fn swept(&mut self, swept: Result<Swept, Trouble>, cx: &mut Cx<'_, '_>) {
        self.is_full = false;
        let asked = self.sweeps.take().map_or(0, |sweep| sweep.excess.min(sweep.runs_max as u64));
        match swept {
            Ok(swept) => {
                // Fewer than were asked for is all there were: one whose commit had failed may have been counted twice.
                let left = if swept.runs < asked { 0 } else { self.ended.saturating_sub(swept.runs) };
                self.ended = left;
                self.swept_to = self.swept_to.max(swept.swept_to);
                // An end that was kept meanwhile is not older than those that were there.
                self.oldest_end = swept.oldest_end;
                cx.cancel_timer(&mut self.sweep_timer);
            }
            Err(trouble) => {
                log::warn!("ended runs can't be swept away for now: {trouble}");
                self.sweep_later(cx);
            }
        }
    }

    /// How long an ended run is kept, in milliseconds.
    pub fn ttl_ms(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives memory back if little is left of much.
    pub fn tidy(&mut self) {
        tidy_queue(&mut self.reads);
    }
}

/// Why nothing can be kept when the helper takes no job and has none.
pub const NO_HELPER: &str = "the store's helper can't be started";

/// The longest that we go without looking at the wall clock while ended runs wait for their time.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(600);

/// Who waits for a read.
fn asker(job: &Job) -> Option<Key> {
    match job {
        Job::Find { asker, .. }
        | Job::List { asker, .. }
        | Job::FindKey { asker, .. }
        | Job::ListSessions { asker, .. }
        | Job::FindSession { asker, .. }
        | Job::DropSession { asker, .. }
        | Job::FindVectors { asker, .. }
        | Job::KeepVectors { asker, .. } => Some(*asker),
        Job::Commit(_) | Job::Sweep(_) => None,
    }
}
