//! The store's helper in a simulated world: jobs one after the other, commits that take long or fail, and what is left
//! when the process is killed.
//!
//! The real store's file holds whole batches, and so does this one. A commit whose sync failed is uncertain: it may be in
//! the file all the same. So is one that was under way when the process died.

use std::collections::VecDeque;

use super::random::Random;
use crate::store::{Cause, Done, Job, Memory, Storage, Trouble, carry_out};

/// What is kept, and the helper that keeps it.
#[derive(Debug)]
pub(super) struct Store {
    /// What is in the file.
    pub kept: Memory,
    jobs: VecDeque<Job>,
    jobs_max: usize,
    /// When the job at the head of the queue is done.
    pub due: u64,
    /// Until then there is no room for more.
    pub full_until: u64,
    /// A record has contradicted what was kept: a mistake of the server's.
    pub contradiction: Option<String>,
}

/// What goes wrong with one job.
#[derive(Debug, Default)]
pub(super) struct Mishap {
    /// The disk is full.
    pub is_full: bool,
    /// The sync fails; the number says whether the batch is in the file all the same.
    pub sync_fails: Option<Random>,
    /// Nothing can be read.
    pub cant_read: bool,
}

impl Store {
    pub fn new(jobs_max: usize) -> Store {
        Store {
            kept: Memory::default(),
            jobs: VecDeque::new(),
            jobs_max: jobs_max.max(1),
            due: u64::MAX,
            full_until: 0,
            contradiction: None,
        }
    }

    /// Queues a job. `Ok(true)` if the helper was idle.
    pub fn submit(&mut self, job: Job) -> Result<bool, Job> {
        if self.jobs.len() >= self.jobs_max {
            return Err(job);
        }
        self.jobs.push_back(job);
        Ok(self.jobs.len() == 1)
    }

    /// There is something to do.
    pub fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// The job at the head of the queue would write.
    pub fn is_about_to_write(&self) -> bool {
        matches!(
            self.jobs.front(),
            Some(Job::Commit(_) | Job::Sweep(_) | Job::KeepVectors { .. } | Job::DropSession { .. })
        )
    }

    /// Does the job at the head of the queue; `None` when there is none.
    pub fn step(&mut self, mishap: Mishap) -> Option<Done> {
        let job = self.jobs.pop_front()?;
        let full = || Trouble::new(Cause::Full, "the disk is full");
        let failed = || Trouble::new(Cause::Failed, "the disk has failed");
        let done = match job {
            Job::Commit(_) if mishap.is_full => Done::Committed(Err(full())),
            Job::Sweep(_) if mishap.is_full => Done::Swept(Err(full())),
            Job::KeepVectors { asker, .. } if mishap.is_full => {
                Done::KeptVectors { asker, kept: Err(full()) }
            }
            Job::KeepVectors { asker, .. } if mishap.sync_fails.is_some() => {
                Done::KeptVectors { asker, kept: Err(failed()) }
            }
            Job::DropSession { asker, .. } if mishap.is_full || mishap.sync_fails.is_some() => {
                let trouble = if mishap.is_full { full() } else { failed() };
                Done::DroppedSession { asker, dropped: Err(trouble) }
            }
            Job::Commit(batch) => {
                let survives = mishap.sync_fails.map(|mut random| random.chance(500));
                let kept = if survives == Some(false) { Ok(()) } else { self.kept.commit(&batch) };
                Done::Committed(if survives.is_some() { kept.and(Err(failed())) } else { kept })
            }
            Job::Find { asker, .. } if mishap.cant_read => Done::Found { asker, found: Err(failed()) },
            Job::List { asker, .. } if mishap.cant_read => Done::Listed { asker, found: Err(failed()) },
            Job::FindKey { asker, .. } if mishap.cant_read => Done::FoundKey { asker, found: Err(failed()) },
            Job::ListSessions { asker, .. } if mishap.cant_read => {
                Done::ListedSessions { asker, found: Err(failed()) }
            }
            Job::FindSession { asker, .. } if mishap.cant_read => {
                Done::FoundSession { asker, found: Err(failed()) }
            }
            Job::FindVectors { asker, .. } if mishap.cant_read => {
                Done::FoundVectors { asker, found: Err(failed()) }
            }
            job => carry_out(job, &mut self.kept),
        };
        if let Done::Committed(Err(Trouble { cause: Cause::Contradiction, words })) = &done {
            self.contradiction.get_or_insert(words.clone());
        }
        Some(done)
    }

    /// The process dies: of what was under way, a batch may be in the file, and everything else is lost.
    pub fn crash(&mut self, mut random: Random) -> bool {
        let mut survived = false;
        // Only the one at the head can have been begun.
        if let Some(Job::Commit(batch)) = self.jobs.front()
            && random.chance(500)
        {
            survived = true;
            if let Err(trouble) = self.kept.commit(batch) {
                self.contradiction.get_or_insert(trouble.words);
            }
        }
        if let Some(Job::DropSession { name, .. }) = self.jobs.front()
            && random.chance(500)
        {
            // As any change, it is whole or not.
            let _ = self.kept.drop_session(name);
        }
        self.jobs.clear();
        self.due = u64::MAX;
        survived
    }
}
