//! All that is not the server and not an actor: what is, and what will happen when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::folder::{self, Trouble};
use super::names;
use super::network::{Join, Network, News, Reached};
use super::random::Random;
use super::store::{self, Mishap};
use super::trace::{Happened, Line, Side, Trace};
use crate::base::{Key, Time};
use crate::os::disk::ChangeProblem;
use crate::os::faults::{Fault, Faults};
use crate::os::{Completion, DiskDone, Ready, Signal, Woken};
use crate::store::Done;

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coming {
    /// What is under way from one end of a line arrives.
    Delivery(Line, Side),
    /// A client's first packet arrives.
    Knock(Line),
    /// A reset arrives at one end.
    ResetAt(Line, Side),
    /// An attempt of the server's to connect is answered: it fails, or as its address wants it.
    Reach(Line, Option<ErrorKind>),
    /// The names helper finishes a name.
    Names,
    /// The disk helper finishes a piece of work.
    Helper,
    /// The store's helper finishes a job.
    Store,
    /// An announcement that was kept back is made.
    Announce(Key),
    /// An actor's time has come.
    Act(usize),
    /// The weather clears up.
    Calm,
    /// The world ends.
    End,
}

/// All that is not the server and not an actor.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) now: u64,
    /// What the wall clock is ahead of the monotonic one, in milliseconds.
    pub(super) wall_ahead_ms: u64,
    pub(super) coming: BinaryHeap<Reverse<(u64, u64, Coming)>>,
    pub(super) sequence: u64,
    pub(super) network: Network,
    pub(super) names: names::Names,
    pub(super) disk: folder::Disk,
    pub(super) store: store::Store,
    /// After how many calls each coming process is killed.
    pub(super) crashes: VecDeque<u64>,
    /// Calls that this one has left.
    pub(super) calls_left: Option<u64>,
    /// Calls that were made.
    pub(super) calls: u64,
    /// There is no process.
    pub(super) is_down: bool,
    pub(super) completions: VecDeque<Completion>,
    pub(super) faults: Faults,
    pub(super) no_descriptors_until: u64,
    pub(super) random: Random,
    pub(super) entropy: Random,
    pub(super) trace: Trace,
    /// When each actor acts next. What the queue holds for other times is out of date.
    pub(super) next_act: Vec<u64>,
    pub(super) has_ended: bool,
    pub(super) is_calm: bool,
    pub(super) quiet_polls: u32,
    pub(super) turn_cost_max: u64,
}

/// What one call costs, in nanoseconds, so that busy turns take time.
pub(super) const CALL_COST: u64 = 1_000;
pub(super) const CLOCK_COST: u64 = 20;

/// The wall clock at the start: 2026-01-01.
pub(super) const WALL_START_MS: u64 = 1_767_225_600_000;

/// The address that the server is bound to, whatever it asked for: there is one machine in this world.
pub(super) const BOUND: ([u8; 4], u16) = ([127, 0, 0, 1], 8000);

/// Things that happen in one world at most; a usual one has fifty thousand.
pub(super) const HAPPENINGS_MAX: u64 = 20_000_000;

/// When the system gives an attempt to connect up: six packets, the first after a second and each twice as late as
/// the one before (`tcp_syn_retries`).
const CONNECT_GIVEN_UP: u64 = 127 * SECOND;

pub(super) const MILLI: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

/// A wait in nanoseconds; one without end is longer than any world.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

impl Core {
    pub(super) fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    pub(super) fn note(&mut self, happened: &Happened) {
        assert!(self.trace.count() < HAPPENINGS_MAX, "this goes on without end");
        self.trace.note(Time::from_nanos(self.now), happened);
    }

    pub(super) fn strikes(&mut self, fault: Fault) -> Option<Random> {
        let (strike, random) = self.faults.strike(fault, Time::from_nanos(self.now))?;
        self.note(&Happened::Struck { strike });
        Some(random)
    }

    /// A call of the server takes its time, and meanwhile the network goes on.
    pub(super) fn spend(&mut self, cost: u64) {
        self.now += cost;
        // Actors act, and the world ends, in a wait only; what is due behind them happens now all the same.
        let mut left = Vec::new();
        while let Some(Reverse((due, sequence, coming))) = self.coming.peek().copied() {
            if due > self.now {
                break;
            }
            self.coming.pop();
            if matches!(coming, Coming::Act(_) | Coming::End | Coming::Calm) {
                left.push(Reverse((due, sequence, coming)));
            } else {
                self.happen(coming);
            }
        }
        self.coming.extend(left);
    }

    pub(super) fn plan(&mut self, due: u64, coming: Coming) {
        self.coming.push(Reverse((due, self.sequence, coming)));
        self.sequence += 1;
    }

    pub(super) fn take_due(&mut self, until: u64) -> Option<(u64, Coming)> {
        let Reverse((due, _, coming)) = self.coming.peek().copied()?;
        if due > until {
            return None;
        }
        self.coming.pop();
        Some((due, coming))
    }

    /// The actor acts soon, once, however many things call for it.
    pub(super) fn call(&mut self, actor: usize) {
        self.plan_act(actor, self.now);
    }

    pub(super) fn plan_act(&mut self, actor: usize, due: u64) {
        if due < self.next_act[actor] {
            self.next_act[actor] = due;
            self.plan(due, Coming::Act(actor));
        }
    }

    pub(super) fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Delivery(line, side) => self.deliver(News { line, side }),
            Coming::Knock(line) => self.knock(line),
            Coming::ResetAt(line, side) => {
                if self.network.break_end(line, side) {
                    self.note(&Happened::ResetArrived { side, line });
                    self.pass_on();
                }
            }
            Coming::Reach(line, failure) => self.reach(line, failure),
            // It was given another time meanwhile.
            Coming::Names if self.now < self.names.due => {}
            Coming::Names => self.name(),
            Coming::Helper => self.help(),
            // It was given another time meanwhile.
            Coming::Store if self.now < self.store.due => {}
            Coming::Store => self.keep(),
            Coming::Announce(key) => self.network.requeue(key),
            // It was called sooner meanwhile, and has said anew when it wants to be called.
            Coming::Act(_) => {}
            Coming::Calm => {
                self.faults.calm();
                self.is_calm = true;
                self.turn_cost_max = 1;
                self.no_descriptors_until = 0;
                (self.calls_left, self.store.full_until) = (None, 0);
                self.crashes.clear();
                if self.store.is_busy() {
                    self.plan_store(0);
                }
                if self.names.is_busy() {
                    self.plan_name(0);
                }
                self.network.calm();
                self.note(&Happened::Calm);
                self.pass_on();
                for actor in 0..self.next_act.len() {
                    self.call(actor);
                }
            }
            Coming::End => self.has_ended = true,
        }
    }

    // --- The network ----------------------------------------------------------------------------------------------

    pub(super) fn delay(&mut self) -> u64 {
        1 + self.random.number() % self.network.wires.delay_max.max(1)
    }

    pub(super) fn knock(&mut self, line: Line) {
        match self.network.join_backlog(line) {
            Ok(waiting) => self.note(&Happened::Connected { line, waiting }),
            Err(Join::Refused) => self.note(&Happened::Refused { line }),
            // The packet is dropped, and the client's system sends it again after a second (RFC 6298 §2).
            Err(Join::Full) => self.plan(self.now + SECOND, Coming::Knock(line)),
            Err(Join::GaveUp) => {}
        }
        self.pass_on();
    }

    /// Descriptors have run out for a while, be it just now.
    pub(super) fn lacks_descriptors(&mut self) -> bool {
        if let Some(mut random) = self.strikes(Fault::NoDescriptors) {
            self.no_descriptors_until = self.now + random.between(1, 2000) as u64 * MILLI;
        }
        self.now < self.no_descriptors_until
    }

    /// The server begins to connect to somebody.
    pub(super) fn dial(&mut self, address: SocketAddr) -> io::Result<Key> {
        let lacks_descriptors = self.lacks_descriptors();
        let mut failure = None;
        if let Some(mut random) = self.strikes(Fault::ConnectRefused) {
            let unreachable = [ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
            failure = Some(random.pick(&[ErrorKind::ConnectionRefused, unreachable[0], unreachable[1]]));
        }
        let at_once = match failure {
            // `EMFILE` has no kind of its own.
            _ if lacks_descriptors => Some(ErrorKind::Other),
            // A route is looked for before anything is sent.
            Some(ErrorKind::NetworkUnreachable) => failure,
            Some(_) | None => None,
        };
        let begun = match at_once {
            Some(why) => Err(why),
            None => self.network.dial(address).ok_or(ErrorKind::Other),
        };
        let (key, line) = begun.inspect_err(|why| self.note(&Happened::NotDialled { address, why: *why }))?;
        self.note(&Happened::Dials { line, address });
        let mut due = self.now + self.delay();
        if let Some(mut random) = self.strikes(Fault::ConnectLate) {
            due += random.between(1, 5000) as u64 * MILLI;
        }
        if let Some(mut random) = self.strikes(Fault::ConnectHangs) {
            if random.chance(500) {
                due += random.between(1, 60) as u64 * SECOND;
            } else {
                (due, failure) = (due + CONNECT_GIVEN_UP, Some(ErrorKind::TimedOut));
            }
        }
        self.plan(due, Coming::Reach(line, failure));
        Ok(key)
    }

    fn reach(&mut self, line: Line, failure: Option<ErrorKind>) {
        match self.network.reach(line, failure) {
            Reached::Stands => self.note(&Happened::Stands { line }),
            Reached::Failed(why) => self.note(&Happened::DialFailed { line, why }),
            // Sent again after a second, like a client's.
            Reached::Full => self.plan(self.now + SECOND, Coming::Reach(line, None)),
            Reached::GaveUp => {}
        }
        self.pass_on();
    }

    pub(super) fn deliver(&mut self, from: News) {
        let wires = &self.network.wires;
        let mut segment_bytes = wires.segment_bytes;
        if let Some(mut random) = self.strikes(Fault::TinySegment) {
            segment_bytes = random.between(1, 3);
        }
        let News { line, side } = from;
        let delivered = self.network.deliver(from, segment_bytes);
        if delivered.bytes > 0 {
            self.note(&Happened::Arrived { side: side.other(), line, bytes: delivered.bytes });
        }
        if delivered.ended {
            self.note(&Happened::EndArrived { side: side.other(), line });
        }
        if delivered.refused {
            let due = self.now + self.delay();
            self.plan(due, Coming::ResetAt(line, side));
        }
        self.pass_on();
    }

    /// Sends on its way what can go, and calls whom the network has news for.
    pub(super) fn pass_on(&mut self) {
        while let Some(from) = self.network.to_deliver.pop_front() {
            let News { line, side } = from;
            let Some(clogged_until) = self.network.begin_delivery(from) else { continue };
            let mut due = self.now + self.delay();
            if let Some(mut random) = self.strikes(Fault::SlowDelivery) {
                due += random.between(1, 3000) as u64 * MILLI;
            }
            if let Some(mut random) = self.strikes(Fault::Clog) {
                due += random.between(1, 30) as u64 * SECOND;
                self.network.clog(line, side, due);
            }
            if let Some(mut random) = self.strikes(Fault::Reset) {
                // Whoever resets it from in between may tell one end only: the other learns when it next sends, or late.
                let late = due + random.between(1, 30_000) as u64 * MILLI;
                let (client, server) = random.pick(&[(due, due), (due, due), (due, late), (late, due)]);
                self.plan(client, Coming::ResetAt(line, Side::Client));
                self.plan(server, Coming::ResetAt(line, Side::Server));
            }
            let clogged_until = if self.is_calm { 0 } else { clogged_until };
            self.plan(due.max(clogged_until), Coming::Delivery(line, side));
        }
        while let Some(News { line, .. }) = self.network.news.pop_front() {
            if let Some(owner) = self.network.owner(line) {
                self.call(owner);
            }
        }
    }

    pub(super) fn close(&mut self, line: Line, side: Side, reset: bool) {
        let reset = self.network.close(line, side, reset);
        self.note(&Happened::Closed { side, line, reset });
        if reset {
            let due = self.now + self.delay();
            self.plan(due, Coming::ResetAt(line, side.other()));
        }
        self.pass_on();
    }

    // --- Names ----------------------------------------------------------------------------------------------------

    /// The name at the head of the queue is answered after the usual time, and so much more.
    pub(super) fn plan_name(&mut self, late: u64) {
        self.names.due = self.now + 20_000 + self.names.random.number() % (20 * MILLI) + late;
        self.plan(self.names.due, Coming::Names);
    }

    pub(super) fn begin_lookup(&mut self) {
        let slow = self.strikes(Fault::NameSlow);
        let late = slow.map_or(0, |mut random| random.between(1, 30_000) as u64 * MILLI);
        self.plan_name(late);
    }

    fn name(&mut self) {
        if !self.names.is_busy() {
            return;
        }
        let fails = self.strikes(Fault::NameFails).is_some();
        let Some((host, done)) = self.names.step(fails) else { return };
        let addresses = done.found.as_ref().map_or(0, Vec::len);
        self.note(&Happened::NameFound { host, addresses });
        self.completions.push_back(Completion::Names(done));
        if self.names.is_busy() {
            self.begin_lookup();
        }
    }

    // --- The disk -------------------------------------------------------------------------------------------------

    pub(super) fn plan_help(&mut self) {
        let mut due = self.now + 10_000 + self.random.number() % (2 * MILLI);
        if let Some(mut random) = self.strikes(Fault::SlowHelper) {
            due += random.between(1, 8000) as u64 * MILLI;
        }
        self.plan(due, Coming::Helper);
    }

    pub(super) fn help(&mut self) {
        let mut trouble = Trouble::default();
        if let Some(mut random) = self.strikes(Fault::UnreadableFile) {
            trouble.unreadable = Some(random.below(8));
        }
        trouble.incomplete = self.strikes(Fault::BrokenListing).is_some();
        let unwritable = self.strikes(Fault::NotesUnwritable);
        trouble.unwritable = unwritable.map(|mut random| match random.below(2) {
            0 => ChangeProblem::Full,
            _ => ChangeProblem::Denied,
        });
        let Some(news) = self.disk.step(trouble, self.now as i64) else { return };
        let (words, count) = match &news {
            DiskDone::Listed { files, problems } => ("files listed:", files.len() + problems.len()),
            DiskDone::ListEnded { complete } => ("the listing has ended, complete:", usize::from(*complete)),
            DiskDone::Read(files) => ("files read:", files.len()),
            DiskDone::Fetched { outcome, .. } => {
                ("a file fetched, bytes:", outcome.as_ref().map_or(0, |file| file.bytes.len()))
            }
            DiskDone::Changed { outcome, .. } => ("a file changed:", usize::from(outcome.is_ok())),
        };
        self.note(&Happened::JobDone { news: words, count });
        self.completions.push_back(Completion::Disk(news));
        if self.disk.is_busy() {
            self.plan_help();
        }
    }

    // --- The store ------------------------------------------------------------------------------------------------

    /// The job at the head of the store's queue is done after the usual time, and so much more.
    pub(super) fn plan_store(&mut self, late: u64) {
        self.store.due = self.now + 20_000 + self.random.number() % (3 * MILLI) + late;
        self.plan(self.store.due, Coming::Store);
    }

    pub(super) fn begin_store_job(&mut self) {
        let slow = self.strikes(Fault::SlowStore);
        let late = slow.map_or(0, |mut random| random.between(1, 8000) as u64 * MILLI);
        self.plan_store(late);
    }

    fn keep(&mut self) {
        if !self.store.is_busy() || self.is_killed() {
            return;
        }
        let mut mishap = Mishap::default();
        if self.store.is_about_to_write() {
            if let Some(mut random) = self.strikes(Fault::StoreFull) {
                self.store.full_until = self.now + random.between(1, 5000) as u64 * MILLI;
            }
            mishap.is_full = self.now < self.store.full_until;
            mishap.sync_fails = self.strikes(Fault::SyncFails);
        } else {
            mishap.cant_read = self.strikes(Fault::StoreUnreadable).is_some();
        }
        let Some(done) = self.store.step(mishap) else { return };
        let (job, failed) = match &done {
            Done::Committed(done) => ("a batch is kept", done.is_err()),
            Done::Found { found, .. } => ("a run was looked for", found.is_err()),
            Done::Listed { found, .. } => ("runs are listed", found.is_err()),
            Done::FoundKey { found, .. } => ("a key was looked for", found.is_err()),
            Done::ListedSessions { found, .. } => ("sessions are listed", found.is_err()),
            Done::FoundSession { found, .. } => ("a session was looked for", found.is_err()),
            Done::DroppedSession { dropped, .. } => ("a session is dropped", dropped.is_err()),
            Done::FoundVectors { found, .. } => ("vectors were looked for", found.is_err()),
            Done::KeptVectors { kept, .. } => ("vectors are kept", kept.is_err()),
            Done::Swept(swept) => ("ended runs are swept away", swept.is_err()),
        };
        self.note(&Happened::StoreDone { job, failed });
        self.completions.push_back(Completion::Store(done));
        if self.store.is_busy() {
            self.begin_store_job();
        }
    }

    // --- The process ----------------------------------------------------------------------------------------------

    /// The server makes a call. `true` if there is no process to make it: it may have been killed just now.
    pub(super) fn call_is_last(&mut self) -> bool {
        self.calls += 1;
        match &mut self.calls_left {
            Some(0) if !self.is_down => {
                self.note(&Happened::Killed);
                self.end_process();
            }
            Some(left) => *left = left.saturating_sub(1),
            None => {}
        }
        self.is_down
    }

    /// Whether the process is killed just now, while its store is at work.
    pub(super) fn is_killed(&mut self) -> bool {
        let is_killed = !self.is_down && self.strikes(Fault::Killed).is_some();
        if is_killed {
            self.note(&Happened::Killed);
            self.end_process();
        }
        is_killed
    }

    /// The system closes the sockets of a process that is no more; what its helpers were at is lost, or nearly done.
    pub(super) fn end_process(&mut self) {
        self.is_down = true;
        self.calls_left = None;
        for line in self.network.close_listeners() {
            self.close(line, Side::Server, true);
        }
        for key in self.network.live_keys().collect::<Vec<Key>>() {
            if let Some((line, reset)) = self.network.forget_key(key) {
                self.close(line, Side::Server, reset);
            }
        }
        self.names.crash();
        self.disk.crash();
        let branch = Random::new(self.random.number(), 0);
        let survived = self.store.crash(branch);
        self.completions.clear();
        self.note(&Happened::ProcessOver { batch_survived: survived });
    }

    // --- The poller -----------------------------------------------------------------------------------------------

    /// Takes what there is to announce; `true` if there is anything.
    pub(super) fn collect(&mut self, woken: &mut Woken) -> bool {
        if self.network.has_ready() || !self.completions.is_empty() {
            self.announce(woken);
        }
        let done = self.completions.len();
        woken.done.extend(self.completions.drain(..));
        if woken.ready.is_empty() && done == 0 {
            return false;
        }
        if self.strikes(Fault::StaleToken).is_some()
            && let Some(key) = self.network.closed.back().copied()
        {
            let (readable, writable, read_closed, broken) = (true, true, true, true);
            woken.ready.push(Ready { readable, writable, read_closed, broken, ..Ready::quiet(key) });
        }
        if let Some(mut random) = self.strikes(Fault::SpuriousReady) {
            let keys: Vec<Key> = self.network.live_keys().collect();
            if !keys.is_empty() {
                let key = random.pick(&keys);
                // Never what is so: to announce that again would save a server that has forgotten it. Nor nothing.
                let (input, room) = self.network.would_find(key);
                let (readable, writable) = (random.chance(700) && !input, random.chance(500) && !room);
                if readable || writable {
                    woken.ready.push(Ready { readable, writable, ..Ready::quiet(key) });
                }
            }
        }
        if let Some(mut random) = self.strikes(Fault::ShuffledReady) {
            for index in (1..woken.ready.len()).rev() {
                woken.ready.swap(index, random.below(index + 1));
            }
        }
        self.note(&Happened::Wakes { ready: woken.ready.len(), done });
        true
    }

    pub(super) fn announce(&mut self, woken: &mut Woken) {
        while woken.ready.len() < self.network.wires.events_per_wait {
            let Some((key, ready)) = self.network.next_ready() else { return };
            let Some(ready) = ready else { continue };
            if let Some(mut random) = self.strikes(Fault::WithheldReady) {
                let due = self.now + random.between(1, 20) as u64 * MILLI;
                self.network.withhold(key);
                self.plan(due, Coming::Announce(key));
                continue;
            }
            let happened = match self.network.line(key) {
                None => Happened::ListenerAnnounced,
                Some(line) => {
                    let Ready { readable, writable, read_closed, broken, .. } = ready;
                    Happened::Announced { line, readable, writable, read_closed, broken }
                }
            };
            self.note(&happened);
            woken.ready.push(ready);
        }
    }

    /// Hands a signal to the process, as the poller tells it.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.is_down {
            return;
        }
        self.note(&Happened::Signalled { number: signal.number() });
        self.completions.push_back(Completion::Signal(signal));
    }
}
