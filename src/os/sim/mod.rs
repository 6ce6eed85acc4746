//! A world made up from one number: network, clock, disk, randomness and everybody else in it.
//!
//! The server that runs here is the one that ships: it sees the same [`Os`](super::Os) and can't tell the difference.
//! All that is not the server lives in here and is a function of the seed, so a run that went wrong goes wrong again.
//!
//! ```text
//!    App, Reactor, wire, … ──► Os { net, clock, disk, names, store, entropy, log, waiter }
//!                                     │ each a handle on
//!                                     ▼
//!                 Core: network, folder, store, clock, faults, trace, and a queue of what will happen when
//!                                     ▲
//!               actors ──► Outside ───┘
//! ```
//!
//! Time stands still while the server computes, but for a small cost of each call. It passes in
//! [`wait`](super::Wait::wait): there the queue is worked off, the actors act, and what they do reaches the server's
//! sockets, until there is something to announce or the timeout is over.

mod core;
mod folder;
mod handles;
mod names;
mod network;
mod outside;
mod random;
mod store;
mod trace;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

pub use folder::Note;
pub use handles::Handles;
pub use network::{State, Wires};
pub use outside::{Actor, Outside, Received};
pub use random::Random;
pub use trace::{Happened, Line, Side, Telling, Trace};

use super::Woken;
use super::faults::{Fault, Faults, Weather};
use crate::base::Time;
use crate::limits::Limits;
use crate::store::{Loaded, Memory, Storage};
use core::{CALL_COST, Coming, Core, MILLI, SECOND, WALL_START_MS, nanos};
use network::Network;

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
    /// After how many calls of the server's each process is killed, one after the other. What is left of the list when
    /// the weather turns calm is left out.
    pub crashes: Vec<u64>,
    /// What becomes of the trace's sentences.
    pub telling: Telling,
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
            network: Network::new(
                wires,
                Random::new(plan.seed, 1),
                limits.outbound_sockets_max,
                Random::new(plan.seed, 4),
            ),
            names: names::Names::new(limits.lookups_max, Random::new(plan.seed, 5)),
            disk: folder::Disk::new(limits.disk_jobs_max),
            store: store::Store::new(limits.store_jobs_max),
            crashes: plan.crashes.iter().copied().collect(),
            calls_left: None,
            calls: 0,
            is_down: true,
            completions: VecDeque::new(),
            faults: Faults::new(plan.seed, &plan.weather),
            no_descriptors_until: 0,
            random: Random::new(plan.seed, 2),
            entropy: Random::new(plan.seed, 3),
            trace: Trace::new(plan.telling),
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
        Handles::new(self)
    }

    /// A note that is there from the start.
    pub fn put_note(&self, path: &str, bytes: Vec<u8>) {
        let mut core = self.core.borrow_mut();
        let modified_ns = core.now as i64;
        core.disk.notes.insert(path.to_owned(), Note { bytes, modified_ns });
    }

    /// The notes that hold a text, in path order.
    pub fn notes_with(&self, text: &str) -> Vec<String> {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
        let core = self.core.borrow();
        let notes = &core.disk.notes;
        notes.iter().filter(|(_, note)| holds(&note.bytes)).map(|(path, _)| path.clone()).collect()
    }

    /// What a note holds now.
    pub fn saved(&self, path: &str) -> Option<Vec<u8>> {
        self.core.borrow().disk.notes.get(path).map(|note| note.bytes.clone())
    }

    /// A host that the resolver knows from the start, and its addresses in the order in which they are told.
    pub fn put_name(&self, host: &str, addresses: Vec<IpAddr>) {
        self.core.borrow_mut().names.known.insert(host.to_owned(), addresses);
    }

    /// The world has ended: whoever turns the loop should stop.
    pub fn has_ended(&self) -> bool {
        self.core.borrow().has_ended
    }

    /// Nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.core.borrow().is_calm
    }

    /// A process starts: what it finds in the store.
    pub fn boot(&self) -> Loaded {
        let mut core = self.core.borrow_mut();
        core.is_down = false;
        core.calls_left = core.crashes.pop_front();
        core.note(&Happened::Booted);
        core.store.kept.load().expect("memory can be read")
    }

    /// The process is over, or was killed: its sockets are closed, and what it had not finished is lost.
    pub fn end_process(&self) {
        self.core.borrow_mut().end_process();
    }

    /// The process was killed.
    pub fn is_down(&self) -> bool {
        self.core.borrow().is_down
    }

    /// Calls that the server has made so far.
    pub fn calls(&self) -> u64 {
        self.core.borrow().calls
    }

    /// Time passes without a server, up to so much of it, or until the weather turns calm.
    pub fn pass(&self, time: Duration) {
        let until = self.core.borrow().now + nanos(time);
        while !self.is_calm() && !self.has_ended() {
            let now = self.core.borrow().now;
            if self.next_happening(now) {
                continue;
            }
            let mut core = self.core.borrow_mut();
            let next = core.coming.peek().map_or(until, |Reverse((due, _, _))| *due);
            if next > until {
                core.now = core.now.max(until);
                return;
            }
            core.now = core.now.max(next);
        }
    }

    /// Looks at what is kept.
    pub fn with_store<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.core.borrow().store.kept)
    }

    /// What the server has said to the store that contradicts what it had said before.
    pub fn contradiction(&self) -> Option<String> {
        self.core.borrow().store.contradiction.clone()
    }

    /// The time.
    pub fn now(&self) -> Time {
        Time::from_nanos(self.core.borrow().now)
    }

    /// Sockets that the server has open, those that connect or are connected to others included.
    pub fn sockets(&self) -> usize {
        self.core.borrow().network.sockets()
    }

    /// Sockets that the server connects, or has connected, to others.
    pub fn outbound_sockets(&self) -> usize {
        self.core.borrow().network.outbound_sockets()
    }

    /// A helper has done something that the server has not been told yet.
    pub fn has_untold_news(&self) -> bool {
        !self.core.borrow().completions.is_empty()
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
        if self.core.borrow_mut().call_is_last() {
            return Ok(());
        }
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
            while !self.is_down() && self.next_happening(now) {}
            let mut core = self.core.borrow_mut();
            // Whoever is killed in his sleep does not wake.
            if core.is_down {
                return Ok(());
            }
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
