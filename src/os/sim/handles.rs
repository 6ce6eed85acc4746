//! The server's way into the world: eight handles, each of which is one part of [`Os`].

use std::cell::RefMut;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::World;
use super::core::{BOUND, CALL_COST, CLOCK_COST, Core, MILLI};
use super::network::News;
use super::trace::{Happened, Side};
use crate::base::{Key, Time, WallTime};
use crate::os::faults::Fault;
use crate::os::{
    AcceptError, Accepted, Clock, Disk, Entropy, Job, LISTENER, LogSink, Lookup, Names, Net, NetCounters, Os,
    Store, Wait, Woken,
};
use crate::store;

/// The eight parts, each a handle on the same world.
#[derive(Debug)]
pub struct Handles<'w> {
    net: Handle<'w>,
    clock: Handle<'w>,
    disk: Handle<'w>,
    names: Handle<'w>,
    store: Handle<'w>,
    entropy: Handle<'w>,
    log: Handle<'w>,
    waiter: Handle<'w>,
}

impl<'w> Handles<'w> {
    /// Eight handles on one world.
    pub(super) fn new(world: &'w World) -> Handles<'w> {
        let handle = || Handle { world };
        Handles {
            net: handle(),
            clock: handle(),
            disk: handle(),
            names: handle(),
            store: handle(),
            entropy: handle(),
            log: handle(),
            waiter: handle(),
        }
    }

    /// Lends all parts.
    pub fn os(&mut self) -> Os<'_> {
        Os {
            net: &mut self.net,
            clock: &self.clock,
            disk: &mut self.disk,
            names: &mut self.names,
            store: &mut self.store,
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
    fn core(&self) -> RefMut<'_, Core> {
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
        let mut taken = lines.len();
        if let Some(mut random) = core.strikes(Fault::FullLogPipe) {
            taken = random.below(taken + 1);
        }
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
            Job::Fetch { .. } => "fetching a file",
            Job::Change(_) => "changing a file",
        };
        if core.call_is_last() || core.strikes(Fault::NoHelper).is_some() {
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

impl Names for Handle<'_> {
    fn resolve(&mut self, lookup: Lookup) -> Result<(), Lookup> {
        let mut core = self.core();
        let host: Box<str> = lookup.host.as_str().into();
        if core.call_is_last() || core.strikes(Fault::NoNamesHelper).is_some() {
            core.note(&Happened::NameRefused { host });
            return Err(lookup);
        }
        let taken = core.names.submit(lookup);
        core.note(&if taken.is_ok() { Happened::NameAsked { host } } else { Happened::NameRefused { host } });
        if taken? {
            core.begin_lookup();
        }
        Ok(())
    }
}

impl Store for Handle<'_> {
    fn submit(&mut self, job: store::Job) -> Result<(), store::Job> {
        let mut core = self.core();
        if core.call_is_last() || core.strikes(Fault::NoStoreHelper).is_some() {
            core.note(&Happened::StoreRefused);
            return Err(job);
        }
        let taken = core.store.submit(job);
        core.note(if taken.is_ok() { &Happened::StoreTaken } else { &Happened::StoreRefused });
        if taken? {
            core.begin_store_job();
        }
        core.is_killed();
        Ok(())
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
        if core.call_is_last() {
            return Err(AcceptError::WouldBlock);
        }
        core.spend(CALL_COST);
        if core.network.is_listening() && core.lacks_descriptors() {
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
        if core.call_is_last() {
            return false;
        }
        core.spend(CALL_COST);
        let Some(line) = core.network.next_waiting() else { return false };
        core.network.counters.turned_away += 1;
        core.note(&Happened::TurnedAway { line });
        core.close(line, Side::Server, false);
        true
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<Key> {
        let mut core = self.core();
        if core.call_is_last() {
            return Err(ErrorKind::NotConnected.into());
        }
        core.spend(CALL_COST);
        core.dial(address)
    }

    fn connected(&mut self, key: Key) -> io::Result<()> {
        let mut core = self.core();
        if core.call_is_last() {
            return Err(ErrorKind::NotConnected.into());
        }
        core.spend(CALL_COST);
        let line = core.network.line(key).ok_or(ErrorKind::NotConnected)?;
        core.network.connected(line)
    }

    fn read(&mut self, key: Key, space: &mut [u8]) -> io::Result<usize> {
        let mut core = self.core();
        if core.call_is_last() {
            return Err(ErrorKind::NotConnected.into());
        }
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
        if core.call_is_last() {
            return Err(ErrorKind::NotConnected.into());
        }
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
        if core.call_is_last() {
            return;
        }
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
        if core.call_is_last() {
            return;
        }
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
