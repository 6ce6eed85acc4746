//! A world made up from one number: network, clock, disk, randomness and everybody else in it.
//!
//! The server that runs here is the one that ships: it sees the same [`Os`] and can't tell the difference. All that
//! is not the server lives in here and is a function of the seed, so a run that went wrong goes wrong again.
//!
//! ```text
//!    App, Reactor, wire, … ──► Os { net, clock, disk, entropy, log, waiter }
//!                                     │ each a handle on
//!                                     ▼
//!                 Core: network, folder, clock, faults, trace, and a queue of what will happen when
//!                                     ▲
//!               actors ──► Outside ───┘
//! ```
//!
//! Time stands still while the server computes, but for a small cost of each call. It passes in [`Wait::wait`]: there
//! the queue is worked off, the actors act, and what they do reaches the server's sockets, until there is something to
//! announce or the timeout is over.

mod folder;
mod network;
mod outside;
mod random;
mod trace;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

pub use folder::Note;
pub use network::{State, Wires};
pub use outside::{Actor, Outside, Received};
pub use random::Random;
pub use trace::{Happened, Line, Side, Telling, Trace};

use super::faults::{Fault, Faults, Weather};
use super::{
    AcceptError, Accepted, Clock, Completion, Disk, DiskDone, Entropy, Job, LogSink, Net, NetCounters, Os,
    Ready, Signal, Wait, Woken,
};
use crate::base::{Key, Time, WallTime};
use crate::limits::Limits;
use crate::os::LISTENER;
use folder::Trouble;
use network::{Join, Network, News};

/// How a world is made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Where all its numbers come from.
    pub seed: u64,
    /// What goes wrong.
    pub weather: Weather,
    /// How connections are made.
    pub wires: Wires,
    /// What a turn of the loop costs at most, beside its calls: a slow machine, or a busy one.
    pub turn_cost_max: Duration,
    /// When everything stops going wrong, after the start.
    pub calm_after: Duration,
    /// When the world ends, after the start.
    pub ends_after: Duration,
    /// What becomes of the trace's sentences.
    pub telling: Telling,
}

/// Something that will happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    /// What is under way from one end of a line arrives.
    Delivery(Line, Side),
    /// A client's first packet arrives.
    Knock(Line),
    /// A reset arrives at one end.
    ResetAt(Line, Side),
    /// The disk helper finishes a piece of work.
    Helper,
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
struct Core {
    now: u64,
    /// What the wall clock is ahead of the monotonic one, in milliseconds.
    wall_ahead_ms: u64,
    coming: BinaryHeap<Reverse<(u64, u64, Coming)>>,
    sequence: u64,
    network: Network,
    disk: folder::Disk,
    completions: VecDeque<Completion>,
    faults: Faults,
    no_descriptors_until: u64,
    random: Random,
    entropy: Random,
    trace: Trace,
    log: Vec<u8>,
    log_dropped: usize,
    /// When each actor acts next. What the queue holds for other times is out of date.
    next_act: Vec<u64>,
    has_ended: bool,
    is_calm: bool,
    quiet_polls: u32,
    turn_cost_max: u64,
}

/// The world.
pub struct World {
    core: RefCell<Core>,
    actors: RefCell<Vec<Box<dyn Actor>>>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// What one call costs, in nanoseconds, so that busy turns take time.
const CALL_COST: u64 = 1_000;
const CLOCK_COST: u64 = 20;

/// The wall clock at the start: 2026-01-01.
const WALL_START_MS: u64 = 1_767_225_600_000;

/// Bytes of log that are kept.
const LOG_BYTES_MAX: usize = 256 * 1024;

/// The address that the server is bound to, whatever it asked for: there is one machine in this world.
const BOUND: ([u8; 4], u16) = ([127, 0, 0, 1], 8000);

/// Things that happen in one world at most; a usual one has fifty thousand.
const HAPPENINGS_MAX: u64 = 20_000_000;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

impl World {
    /// A world before anything happens in it. Actors act first in their order, at the start.
    pub fn new(plan: &Plan, limits: &Limits, actors: Vec<Box<dyn Actor>>) -> World {
        let mut wires = plan.wires.clone();
        wires.events_per_wait = wires.events_per_wait.min(limits.events_per_wait_max);
        let mut core = Core {
            now: SECOND,
            wall_ahead_ms: WALL_START_MS,
            coming: BinaryHeap::new(),
            sequence: 0,
            network: Network::new(wires, Random::new(plan.seed, 1)),
            disk: folder::Disk::new(limits.disk_jobs_max),
            completions: VecDeque::new(),
            faults: Faults::new(plan.seed, &plan.weather),
            no_descriptors_until: 0,
            random: Random::new(plan.seed, 2),
            entropy: Random::new(plan.seed, 3),
            trace: Trace::new(plan.telling),
            log: Vec::new(),
            log_dropped: 0,
            next_act: vec![u64::MAX; actors.len()],
            has_ended: false,
            is_calm: false,
            quiet_polls: 0,
            turn_cost_max: nanos(plan.turn_cost_max).max(1),
        };
        for actor in 0..actors.len() {
            core.call(actor);
        }
        core.plan(core.now + nanos(plan.calm_after), Coming::Calm);
        core.plan(core.now + nanos(plan.ends_after), Coming::End);
        World { core: RefCell::new(core), actors: RefCell::new(actors) }
    }

    /// Handles on every part, which [`Handles::os`] lends.
    pub fn handles(&self) -> Handles<'_> {
        let handle = || Handle { world: self };
        Handles {
            net: handle(),
            clock: handle(),
            disk: handle(),
            entropy: handle(),
            log: handle(),
            waiter: handle(),
        }
    }

    /// A note that is there from the start.
    pub fn put_note(&self, path: &str, bytes: Vec<u8>) {
        let mut core = self.core.borrow_mut();
        let modified_ns = core.now as i64;
        core.disk.notes.insert(path.to_owned(), Note { bytes, modified_ns });
    }

    /// The world has ended: whoever turns the loop should stop.
    pub fn has_ended(&self) -> bool {
        self.core.borrow().has_ended
    }

    /// Ends the world now.
    pub fn end(&self) {
        self.core.borrow_mut().has_ended = true;
    }

    /// Nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.core.borrow().is_calm
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time::from_nanos(self.core.borrow().now)
    }

    /// Sockets that the server has open.
    pub fn sockets(&self) -> usize {
        self.core.borrow().network.sockets()
    }

    /// What went wrong, and when.
    pub fn struck(&self) -> Vec<(Time, super::faults::Strike)> {
        self.core.borrow().faults.struck().to_vec()
    }

    /// What two runs of one seed must share, and how much has happened.
    pub fn trace_hash(&self) -> (u64, u64) {
        let core = self.core.borrow();
        (core.trace.hash(), core.trace.count())
    }

    /// The sentences kept.
    pub fn last_sentences(&self) -> Vec<String> {
        self.core.borrow().trace.last().map(str::to_owned).collect()
    }

    /// What the server wrote to its log, as far as the pipe took it, and how many bytes it did not take.
    pub fn log(&self) -> (Vec<u8>, usize) {
        let core = self.core.borrow();
        (core.log.clone(), core.log_dropped)
    }

    /// Consecutive waits up to now that were told not to sleep and found nothing.
    pub fn quiet_polls(&self) -> u32 {
        self.core.borrow().quiet_polls
    }

    /// Looks at the actors, once the loop stands still.
    pub fn with_actors<T>(&self, look: impl FnOnce(&[Box<dyn Actor>]) -> T) -> T {
        look(&self.actors.borrow())
    }

    /// Lets what happens up to `until` happen, as far as that is one thing; `false` if there is nothing.
    fn next_happening(&self, until: u64) -> bool {
        let actor = {
            let mut core = self.core.borrow_mut();
            match core.take_due(until) {
                None => return false,
                Some((due, Coming::Act(actor))) if core.next_act[actor] == due => actor,
                Some((_, coming)) => {
                    core.happen(coming);
                    return true;
                }
            }
        };
        let mut core = self.core.borrow_mut();
        core.next_act[actor] = u64::MAX;
        let mut actors = self.actors.borrow_mut();
        let wake_in = actors[actor].act(&mut Outside::new(&mut core, actor));
        if let Some(wait) = wake_in {
            let due = core.now + nanos(wait).max(1);
            core.plan_act(actor, due);
        }
        true
    }

    fn wait(&self, timeout: Option<Duration>, woken: &mut Woken) -> io::Result<()> {
        let mut interrupted_at = None;
        let deadline = {
            let mut core = self.core.borrow_mut();
            let turn_cost = core.random.number() % core.turn_cost_max;
            core.spend(CALL_COST + turn_cost);
            let at_most = timeout.map(nanos);
            core.note(&Happened::Sleeps { at_most });
            if let Some(mut random) = core.strikes(Fault::Descheduled) {
                core.spend(random.between(1, 20_000) as u64 * 1000);
            }
            if let Some(mut random) = core.strikes(Fault::ClockLeap) {
                core.now += random.between(1, 100) as u64 * SECOND;
            }
            if let Some(mut random) = core.strikes(Fault::WallClockSet) {
                core.wall_ahead_ms = WALL_START_MS / 2 + random.number() % WALL_START_MS;
            }
            if let Some(mut random) = core.strikes(Fault::InterruptedWait) {
                let within = at_most.unwrap_or(SECOND).clamp(1, SECOND);
                interrupted_at = Some(core.now + random.number() % within);
            }
            // `mio` rounds up to whole milliseconds, so that a timer is never found not yet due.
            at_most.map(|nanos| core.now.saturating_add(nanos.div_ceil(MILLI).saturating_mul(MILLI)))
        };
        loop {
            let now = self.core.borrow().now;
            while self.next_happening(now) {}
            let mut core = self.core.borrow_mut();
            if core.collect(woken) || core.has_ended {
                core.quiet_polls = 0;
                return Ok(());
            }
            let next = core.coming.peek().map(|Reverse((due, _, _))| *due);
            let soonest = next.into_iter().chain(deadline).min();
            if let Some(moment) =
                interrupted_at.filter(|moment| soonest.is_none_or(|soonest| *moment <= soonest))
            {
                core.now = core.now.max(moment);
                core.quiet_polls = 0;
                core.note(&Happened::Interrupted);
                return Err(ErrorKind::Interrupted.into());
            }
            match (next, deadline) {
                (Some(next), Some(deadline)) if next <= deadline => core.now = core.now.max(next),
                (Some(next), None) => core.now = core.now.max(next),
                (_, Some(deadline)) => {
                    core.now = core.now.max(deadline);
                    core.quiet_polls = if timeout == Some(Duration::ZERO) { core.quiet_polls + 1 } else { 0 };
                    core.note(&Happened::Wakes { ready: 0, done: 0 });
                    return Ok(());
                }
                // Unreachable while the world's end is in the queue.
                (None, None) => {
                    core.has_ended = true;
                    return Ok(());
                }
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

impl Core {
    fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    fn note(&mut self, happened: &Happened) {
        assert!(self.trace.count() < HAPPENINGS_MAX, "this goes on without end");
        self.trace.note(Time::from_nanos(self.now), happened);
    }

    fn strikes(&mut self, fault: Fault) -> Option<Random> {
        let (strike, random) = self.faults.strike(fault, Time::from_nanos(self.now))?;
        self.note(&Happened::Struck { strike });
        Some(random)
    }

    /// A call of the server takes its time, and meanwhile the network goes on.
    fn spend(&mut self, cost: u64) {
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

    fn plan(&mut self, due: u64, coming: Coming) {
        self.coming.push(Reverse((due, self.sequence, coming)));
        self.sequence += 1;
    }

    fn take_due(&mut self, until: u64) -> Option<(u64, Coming)> {
        let Reverse((due, _, coming)) = self.coming.peek().copied()?;
        if due > until {
            return None;
        }
        self.coming.pop();
        Some((due, coming))
    }

    /// The actor acts soon, once, however many things call for it.
    fn call(&mut self, actor: usize) {
        self.plan_act(actor, self.now);
    }

    fn plan_act(&mut self, actor: usize, due: u64) {
        if due < self.next_act[actor] {
            self.next_act[actor] = due;
            self.plan(due, Coming::Act(actor));
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Delivery(line, side) => self.deliver(News { line, side }),
            Coming::Knock(line) => self.knock(line),
            Coming::ResetAt(line, side) => {
                if self.network.break_end(line, side) {
                    self.note(&Happened::ResetArrived { side, line });
                    self.pass_on();
                }
            }
            Coming::Helper => self.help(),
            Coming::Announce(key) => self.network.requeue(key),
            // It was called sooner meanwhile, and has said anew when it wants to be called.
            Coming::Act(_) => {}
            Coming::Calm => {
                self.faults.calm();
                self.is_calm = true;
                self.turn_cost_max = 1;
                self.no_descriptors_until = 0;
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

    fn delay(&mut self) -> u64 {
        1 + self.random.number() % self.network.wires.delay_max.max(1)
    }

    fn knock(&mut self, line: Line) {
        match self.network.join_backlog(line) {
            Ok(waiting) => self.note(&Happened::Connected { line, waiting }),
            Err(Join::Refused) => self.note(&Happened::Refused { line }),
            // The packet is dropped, and the client's system sends it again after a second (RFC 6298 §2).
            Err(Join::Full) => self.plan(self.now + SECOND, Coming::Knock(line)),
            Err(Join::GaveUp) => {}
        }
        self.pass_on();
    }

    fn deliver(&mut self, from: News) {
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
    fn pass_on(&mut self) {
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

    fn close(&mut self, line: Line, side: Side, reset: bool) {
        let reset = self.network.close(line, side, reset);
        self.note(&Happened::Closed { side, line, reset });
        if reset {
            let due = self.now + self.delay();
            self.plan(due, Coming::ResetAt(line, side.other()));
        }
        self.pass_on();
    }

    // --- The disk -------------------------------------------------------------------------------------------------

    fn plan_help(&mut self) {
        let mut due = self.now + 10_000 + self.random.number() % (2 * MILLI);
        if let Some(mut random) = self.strikes(Fault::SlowHelper) {
            due += random.between(1, 8000) as u64 * MILLI;
        }
        self.plan(due, Coming::Helper);
    }

    fn help(&mut self) {
        let mut trouble = Trouble::default();
        if let Some(mut random) = self.strikes(Fault::UnreadableFile) {
            trouble.unreadable = Some(random.below(8));
        }
        trouble.incomplete = self.strikes(Fault::BrokenListing).is_some();
        let Some(news) = self.disk.step(trouble) else { return };
        let (words, count) = match &news {
            DiskDone::Listed { files, problems } => ("files listed:", files.len() + problems.len()),
            DiskDone::ListEnded { complete } => ("the listing has ended, complete:", usize::from(*complete)),
            DiskDone::Read(files) => ("files read:", files.len()),
        };
        self.note(&Happened::JobDone { news: words, count });
        self.completions.push_back(Completion::Disk(news));
        if self.disk.is_busy() {
            self.plan_help();
        }
    }

    // --- The poller -----------------------------------------------------------------------------------------------

    /// Takes what there is to announce; `true` if there is anything.
    fn collect(&mut self, woken: &mut Woken) -> bool {
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

    fn announce(&mut self, woken: &mut Woken) {
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
}

/// The six parts, each a handle on the same world.
#[derive(Debug)]
pub struct Handles<'w> {
    net: Handle<'w>,
    clock: Handle<'w>,
    disk: Handle<'w>,
    entropy: Handle<'w>,
    log: Handle<'w>,
    waiter: Handle<'w>,
}

impl Handles<'_> {
    /// Lends all parts.
    pub fn os(&mut self) -> Os<'_> {
        Os {
            net: &mut self.net,
            clock: &self.clock,
            disk: &mut self.disk,
            entropy: &mut self.entropy,
            log: &mut self.log,
            waiter: &mut self.waiter,
        }
    }
}

/// One way into the world.
#[derive(Debug)]
struct Handle<'w> {
    world: &'w World,
}

impl Handle<'_> {
    fn core(&self) -> std::cell::RefMut<'_, Core> {
        self.world.core.borrow_mut()
    }
}

impl Clock for Handle<'_> {
    fn now(&self) -> Time {
        let mut core = self.core();
        core.now += CLOCK_COST;
        core.time()
    }

    fn wall(&self) -> WallTime {
        let core = self.core();
        WallTime::from_millis(core.wall_ahead_ms + core.now / MILLI)
    }

    fn cpu(&self) -> Duration {
        // Only ever compared with itself: what the whole world takes is an upper bound of what the server does.
        Duration::from_nanos(self.core().now)
    }
}

impl Entropy for Handle<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut core = self.core();
        for chunk in bytes.chunks_mut(8) {
            let number = core.entropy.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

impl LogSink for Handle<'_> {
    fn write(&mut self, lines: &[u8]) -> usize {
        let mut core = self.core();
        let mut taken = lines.len().min(LOG_BYTES_MAX.saturating_sub(core.log.len()));
        if let Some(mut random) = core.strikes(Fault::FullLogPipe) {
            taken = random.below(taken + 1);
        }
        core.log.extend_from_slice(&lines[..taken]);
        core.log_dropped += lines.len() - taken;
        core.note(&Happened::Logged { bytes: taken, offered: lines.len() });
        taken
    }
}

impl Disk for Handle<'_> {
    fn submit(&mut self, job: Job) -> Result<(), Job> {
        let mut core = self.core();
        let words = match &job {
            Job::List { .. } => "listing",
            Job::Read { .. } => "reading",
        };
        if core.strikes(Fault::NoHelper).is_some() {
            return Err(job);
        }
        match core.disk.submit(job) {
            Ok(was_idle) => {
                core.note(&Happened::JobTaken { job: words });
                if was_idle {
                    core.plan_help();
                }
                Ok(())
            }
            Err(job) => {
                core.note(&Happened::JobRefused { job: words });
                Err(job)
            }
        }
    }
}

impl Wait for Handle<'_> {
    fn wait(&mut self, timeout: Option<Duration>, woken: &mut Woken) -> io::Result<()> {
        self.world.wait(timeout, woken)
    }
}

impl Net for Handle<'_> {
    fn listen(&mut self, _address: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        let key = self.core().network.listen().ok_or(ErrorKind::AddrInUse)?;
        Ok((key, SocketAddr::from(BOUND)))
    }

    fn accept(&mut self, listener: Key) -> Result<Accepted, AcceptError> {
        let mut core = self.core();
        core.spend(CALL_COST);
        if core.network.is_listening()
            && let Some(mut random) = core.strikes(Fault::NoDescriptors)
        {
            core.no_descriptors_until = core.now + random.between(1, 2000) as u64 * MILLI;
        }
        if core.now < core.no_descriptors_until {
            core.note(&Happened::NotAccepted { why: "no descriptors (EMFILE)" });
            return Err(AcceptError::Exhausted(ErrorKind::Other.into()));
        }
        match core.network.accept(listener) {
            None => {
                core.note(&Happened::NotAccepted { why: "nobody waits" });
                Err(AcceptError::WouldBlock)
            }
            Some(Err(())) => {
                core.note(&Happened::NotAccepted { why: "no descriptors (EMFILE)" });
                Err(AcceptError::Exhausted(ErrorKind::Other.into()))
            }
            Some(Ok((key, line))) => {
                core.note(&Happened::Accepted { line });
                if core.strikes(Fault::AbortedAccept).is_some() {
                    core.network.forget_key(key);
                    core.close(line, Side::Server, true);
                    return Err(AcceptError::ClientGone);
                }
                Ok(Accepted { key, peer: SocketAddr::from(([127, 0, 0, 1], line.0 as u16 | 0x8000)) })
            }
        }
    }

    fn turn_away(&mut self, _listener: Key) -> bool {
        let mut core = self.core();
        core.spend(CALL_COST);
        let Some(line) = core.network.next_waiting() else { return false };
        core.network.counters.turned_away += 1;
        core.note(&Happened::TurnedAway { line });
        core.close(line, Side::Server, false);
        true
    }

    fn read(&mut self, key: Key, space: &mut [u8]) -> io::Result<usize> {
        let mut core = self.core();
        core.spend(CALL_COST);
        core.network.counters.reads += 1;
        let line = core.network.line(key).ok_or(ErrorKind::NotConnected)?;
        let side = Side::Server;
        if core.strikes(Fault::InterruptedCall).is_some() {
            core.note(&Happened::ReadFailed { side, line, why: ErrorKind::Interrupted });
            return Err(ErrorKind::Interrupted.into());
        }
        let arrived = core.network.arrived(line, side);
        if arrived > 1
            && let Some(mut random) = core.strikes(Fault::ShortRead)
        {
            core.network.unarrive(line, side, random.between(1, arrived - 1));
            // The rest is on its way again, and will be announced.
            core.network.to_deliver.push_back(News { line, side: Side::Client });
        }
        let read = core.network.read(line, side, space);
        core.note(&match &read {
            Ok(bytes) => Happened::Read { side, line, bytes: *bytes },
            Err(error) => Happened::ReadFailed { side, line, why: error.kind() },
        });
        core.pass_on();
        read
    }

    fn write(&mut self, key: Key, bytes: &[u8]) -> io::Result<usize> {
        let mut core = self.core();
        core.spend(CALL_COST);
        core.network.counters.writes += 1;
        let line = core.network.line(key).ok_or(ErrorKind::NotConnected)?;
        let side = Side::Server;
        if core.strikes(Fault::InterruptedCall).is_some() {
            core.note(&Happened::WriteFailed { side, line, why: ErrorKind::Interrupted });
            return Err(ErrorKind::Interrupted.into());
        }
        let mut taken_max = usize::MAX;
        if let Some(mut random) = core.strikes(Fault::ShortWrite) {
            taken_max = random.between(1, bytes.len().max(2) - 1);
        }
        let wrote = core.network.write(line, side, bytes, taken_max);
        core.trace.told(&bytes[..*wrote.as_ref().unwrap_or(&0)]);
        core.note(&match &wrote {
            Ok(count) => Happened::Wrote { side, line, bytes: *count, offered: bytes.len() },
            Err(error) => Happened::WriteFailed { side, line, why: error.kind() },
        });
        core.pass_on();
        wrote
    }

    fn shutdown_write(&mut self, key: Key) {
        let mut core = self.core();
        core.spend(CALL_COST);
        let Some(line) = core.network.line(key) else { return };
        if core.network.shut(line, Side::Server) {
            core.note(&Happened::Shut { side: Side::Server, line });
        }
        core.pass_on();
    }

    fn reset_on_close(&mut self, key: Key) {
        let mut core = self.core();
        if let Some(line) = core.network.line(key) {
            core.network.reset_on_close(line);
        }
    }

    fn close(&mut self, key: Key) {
        let mut core = self.core();
        core.spend(CALL_COST);
        if key.kind() == LISTENER {
            let left = core.network.close_listener(key);
            core.note(&Happened::ListenerClosed);
            for line in left {
                // Whoever was not accepted yet is reset (listen(2) says nothing of it, Linux does it).
                core.close(line, Side::Server, true);
            }
        } else if let Some((line, reset)) = core.network.forget_key(key) {
            core.close(line, Side::Server, reset);
        }
    }

    fn counters(&self) -> NetCounters {
        self.core().network.counters
    }
}

/// Hands a signal to the process, as the poller tells it.
fn signal(core: &mut Core, signal: Signal) {
    core.note(&Happened::Signalled { number: signal.number() });
    core.completions.push_back(Completion::Signal(signal));
}
