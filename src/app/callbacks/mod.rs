//! Callbacks: the end of a run is told to whom its client has named, signed, and again until it is received.
//!
//! ```text
//!            its end is kept         there is a place       what to send         2xx, or given up          kept
//!  AwaitEnd ───────────────► Due ──────────────────► Fetching ─────────► Posting ────────────────► Over ──────► (gone)
//!                             ▲                                             │
//!                             └────────────── Pausing ◄─────────────────────┘ 5xx, 429, no answer
//! ```
//!
//! Nothing is told of a run before its end is kept, and what has become of a try is kept before the next one is made. So a
//! process that is killed is followed by one that goes on: a callback may be received twice, and is never forgotten. What
//! is sent is fetched from the store for each try, so that thousands may wait in little room.
//!
//! Each server has a queue and few places of its own. One that is slow, or gone, holds up nobody else.

mod door;
mod schedule;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::journal::Journal;
use super::record::Record;
use super::runs::Runs;
use super::tasks;
use crate::base::{Key, Kind, Slots, WallTime};
use crate::config::CallbackConfig;
use crate::limits::Limits;
use crate::net::exchange::{Failure, Patience};
use crate::net::outbound::{Ask, Lines, Origin, OriginId, Told};
use crate::reactor::{Cx, TimerId};
use crate::store::{CallState, Callback, Called, Job, KeptRun, Loaded, Trouble, Uncalled};
use crate::wire::webhook;

pub use door::{Target, invalid, target};
use schedule::Verdict;

/// Keys of callbacks.
pub const CALLBACK: Kind = Kind(14);

/// A server, by its scheme, its host and its port.
type Name = (bool, String, u16);

/// What was counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallbackCounts {
    /// Those that were received.
    pub delivered: u64,
    /// Tries that failed and were followed by a pause.
    pub retried: u64,
    /// Those that will not be tried any more.
    pub given_up: u64,
}

/// Where a callback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its run has not ended, or that is not kept yet.
    AwaitEnd,
    /// It may be tried, once there is a place and what became of the last try is kept.
    Due,
    /// The store is asked for what is to be sent.
    Fetching,
    /// This exchange tries it.
    Posting(Key),
    /// Waits for the next try.
    Pausing(TimerId),
    /// It was received or given up, and that is still to be kept.
    Over,
}

/// One callback.
#[derive(Debug)]
struct Entry {
    run: Uuid,
    url: Box<str>,
    path: Box<str>,
    server: Name,
    stage: Stage,
    called: Called,
    /// When its run ended.
    ended_at: Option<WallTime>,
    /// What has become of it is with the store.
    is_keeping: bool,
}

/// A server that is to be called.
#[derive(Debug, Default)]
struct Server {
    /// All of its callbacks.
    count: usize,
    /// Those that may be tried.
    due: VecDeque<Key>,
    under_way: usize,
    /// It stands in the queue of those that have something to do and a place for it.
    is_queued: bool,
}

/// All callbacks that are outstanding.
#[derive(Debug)]
pub struct Callbacks {
    config: Option<CallbackConfig>,
    entries: Slots<Entry>,
    by_run: BTreeMap<Uuid, Key>,
    by_exchange: BTreeMap<Key, Key>,
    servers: BTreeMap<Name, Server>,
    /// Servers that have something to do and a place for it, each once: they take turns.
    queue: VecDeque<Name>,
    under_way: usize,
    /// Servers among those that are asked, and whose places they are.
    places: Vec<(OriginId, Name)>,
    counts: CallbackCounts,
    limits: Limits,
}

impl Callbacks {
    /// None so far. Without `config` none is made, and those that were left by a process before this one are given up.
    pub fn new(config: Option<&CallbackConfig>, limits: &Limits) -> Callbacks {
        Callbacks {
            config: config.cloned(),
            entries: Slots::new(CALLBACK, limits.callbacks_max),
            by_run: BTreeMap::new(),
            by_exchange: BTreeMap::new(),
            servers: BTreeMap::new(),
            queue: VecDeque::new(),
            under_way: 0,
            places: Vec::new(),
            counts: CallbackCounts::default(),
            limits: limits.clone(),
        }
    }

    /// Reads the address that a client has named.
    ///
    /// # Errors
    /// 422 in FastAPI's shape.
    pub fn target(&self, text: &str) -> Result<Target, super::respond::Invalid> {
        target(text, self.config.as_ref(), &self.limits)
    }

    /// One more to this server would be no more than may be outstanding.
    pub fn has_room(&self, target: &Target) -> bool {
        let count = self.servers.get(&name_of(target)).map_or(0, |server| server.count);
        !self.entries.is_full() && count < self.limits.callbacks_per_server_max
    }

    // --- From the run to its end ----------------------------------------------------------------------------------

    /// This run was accepted, and its end is to be told there.
    pub fn expect(&mut self, run: Uuid, target: Target) {
        self.insert(run, target, Called::default());
    }

    fn insert(&mut self, run: Uuid, target: Target, called: Called) -> Option<Key> {
        let server = name_of(&target);
        let Target { text: url, path, .. } = target;
        let (stage, ended_at, is_keeping) = (Stage::AwaitEnd, None, false);
        let entry = Entry { run, url, path, server: server.clone(), stage, called, ended_at, is_keeping };
        let key = self.entries.insert(entry).ok()?;
        self.by_run.insert(run, key);
        self.servers.entry(server).or_default().count += 1;
        Some(key)
    }

    /// The run was refused: it has no end to be told.
    pub fn forget(&mut self, run: Uuid) {
        if let Some(key) = self.by_run.get(&run).copied() {
            self.remove(key);
        }
    }

    /// Takes over what a process before this one has left: callbacks of runs that have not ended, and those of runs that
    /// have.
    pub fn take_over(&mut self, loaded: &Loaded, runs: &mut Runs, cx: &mut Cx<'_, '_>) {
        let unfinished = loaded.unfinished.iter();
        let expected = unfinished.filter_map(|run| Some((run.admitted.run, run.admitted.callback.as_ref()?)));
        let expected: Vec<_> = expected.collect();
        self.entries.widen(self.limits.callbacks_max.max(expected.len() + loaded.uncalled.len()));
        for (run, url) in expected {
            if let Ok(target) = self.target(url) {
                self.expect(run, target);
            }
        }
        for uncalled in &loaded.uncalled {
            self.ended(uncalled.clone(), runs, cx);
        }
    }

    /// The end of a run with a callback is kept: it may be told.
    pub fn ended(&mut self, uncalled: Uncalled, runs: &mut Runs, cx: &mut Cx<'_, '_>) {
        let Uncalled { run, ended_at, callback: Callback { url, called } } = uncalled;
        let known = self.by_run.get(&run).copied();
        let key = known.or_else(|| {
            let target = self.target(&url).ok()?;
            self.insert(run, target, called.clone())
        });
        let Some(key) = key else {
            // It was accepted by a process that might call there.
            log::warn!(
                "the callback of run {run} is given up: its server is not among those that may be called"
            );
            self.counts.given_up += 1;
            let error = Some("its server is not among those that may be called any more".into());
            let called = Called { state: CallState::GivenUp, due: None, error, ..called };
            runs.keep_called(run, ended_at, called);
            return;
        };
        let wait = called.due.map_or(Duration::ZERO, |due| {
            let millis = due.as_millis().saturating_sub(cx.os.clock.wall().as_millis());
            // The wall clock may have been set since.
            Duration::from_millis(millis).min(self.limits.callback_pause_max)
        });
        let Some(entry) = self.entries.at_mut(key) else { return };
        entry.ended_at = Some(ended_at);
        if wait.is_zero() {
            entry.stage = Stage::Due;
            self.enqueue(key);
        } else {
            entry.stage = Stage::Pausing(cx.set_timer(cx.now.after(wait), key));
        }
    }

    // --- Tries ----------------------------------------------------------------------------------------------------

    /// Some callback may be tried, and there is a place for it.
    pub fn could_begin(&self) -> bool {
        self.under_way < self.limits.callbacks_at_once_max.max(1) && !self.queue.is_empty()
    }

    /// Begins as many tries as there are places for, server by server.
    pub fn begin(&mut self, runs: &Runs, journal: &mut Journal, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        while self.could_begin() {
            let Some(key) = self.take_due() else { return };
            let Some(entry) = self.entries.at_mut(key) else { continue };
            let run = entry.run;
            entry.stage = Stage::Fetching;
            // It may be here still, for whoever reads it.
            if let Some(record) = runs.find(run).and_then(|key| runs.at(key)) {
                self.post(key, record, lines, cx);
            } else if journal.read(Job::Find { asker: key, run }).is_err() {
                self.put_off(key, self.limits.callback_backoff, cx);
            }
        }
    }

    /// The next callback of the next server, which has a place from here on.
    fn take_due(&mut self) -> Option<Key> {
        let name = self.queue.pop_front()?;
        let server = self.servers.get_mut(&name)?;
        server.is_queued = false;
        let key = server.due.pop_front()?;
        server.under_way += 1;
        self.under_way += 1;
        self.queue_server(&name);
        Some(key)
    }

    /// The store has looked for a run whose end is to be told.
    pub fn found(
        &mut self,
        key: Key,
        found: Result<Option<KeptRun>, Trouble>,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some(Entry { stage: Stage::Fetching, run, .. }) = self.entries.at(key) else { return };
        match found.map(|kept| kept.as_ref().and_then(Record::kept)) {
            Ok(Some(record)) => self.post(key, &record, lines, cx),
            Ok(None) => {
                log::error!("run {run} is not kept any more, so its end can't be told");
                self.leave_place(key);
                self.remove(key);
            }
            Err(_) => self.put_off(key, self.limits.store_backoff, cx),
        }
    }

    fn post(&mut self, key: Key, record: &Record, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        let origin = self.place_for(key, lines, cx);
        let (Some(config), Some(entry)) = (&self.config, self.entries.at_mut(key)) else { return };
        let Some(origin) = origin else {
            let pause = self.limits.callback_backoff;
            return self.put_off(key, pause, cx);
        };
        let mut body = Vec::new();
        tasks::tell(record, &mut body);
        let (id, timestamp) = (entry.run.to_string(), cx.os.clock.wall().as_seconds());
        let signature = config.key.sign(&id, timestamp, &body);
        let timestamp = timestamp.to_string();
        let fields = [
            ("Content-Type", "application/json"),
            ("User-Agent", concat!("oneloop/", env!("CARGO_PKG_VERSION"))),
            (webhook::ID, &*id),
            (webhook::TIMESTAMP, &*timestamp),
            (webhook::SIGNATURE, &*signature),
        ];
        let ask = Ask { method: "POST", path: &entry.path, fields: &fields, body: Some(&body) };
        let all = self.limits.callback_timeout;
        let connect = self.limits.callback_connect_timeout;
        let patience = Patience { connect, first_byte: all, gap: all, total: all };
        match lines.outbound.begin(origin, ask, patience, &self.limits, cx) {
            Ok(exchange) => {
                entry.stage = Stage::Posting(exchange);
                self.by_exchange.insert(exchange, key);
            }
            Err(_) => self.put_off(key, self.limits.callback_backoff, cx),
        }
    }

    /// The callback's server among those that are asked. One that is asked nothing makes room for it.
    fn place_for(&mut self, key: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) -> Option<OriginId> {
        let name = &self.entries.at(key)?.server;
        if let Some((place, _)) = self.places.iter().find(|(_, held)| held == name) {
            return Some(*place);
        }
        let config = self.config.as_ref()?;
        let url = target(&self.entries.at(key)?.url, Some(config), &self.limits).ok()?.server;
        let origin = Origin {
            trust: config.trust.clone().filter(|_| url.is_tls),
            proxy: config.proxies.proxy_for(&url).cloned(),
            connections_max: self.limits.callbacks_at_once_per_server_max.max(1),
            url,
        };
        if self.places.len() < self.limits.callback_servers_max.max(1) {
            let place = lines.outbound.add(origin);
            self.places.push((place, name.clone()));
            return Some(place);
        }
        let (place, holder) = self.places.iter_mut().find(|(place, holder)| {
            let is_called = self.servers.get(holder).is_some_and(|server| server.under_way > 0);
            !is_called && lines.outbound.is_unused(*place)
        })?;
        lines.outbound.replace(*place, origin, lines.pool, cx);
        *holder = name.clone();
        Some(*place)
    }

    /// This exchange has news; nothing happens if it is none of ours.
    pub fn tell(&mut self, exchange: Key, runs: &mut Runs, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        let Some(key) = self.by_exchange.get(&exchange).copied() else { return };
        loop {
            match lines.outbound.next(exchange, lines.pool, &self.limits, cx) {
                None => return,
                // The status says all, and comes first. The rest is read and dropped, so that the connection can be used
                // again.
                Some(Told::Head(head)) => {
                    self.by_exchange.remove(&exchange);
                    lines.outbound.finish(exchange, lines.pool, &self.limits, cx);
                    let why = match head.status {
                        300..=399 => format!("redirects ({}), which is not followed", head.status),
                        status => format!("answered {status}"),
                    };
                    let verdict = schedule::verdict(head.status);
                    return self.tried(key, verdict, why, head.retry_after.as_deref(), runs, cx);
                }
                Some(Told::Body(_) | Told::End) => {}
                Some(Told::Failed(failure)) => {
                    self.by_exchange.remove(&exchange);
                    lines.outbound.abandon(exchange, lines.pool, &self.limits, cx);
                    let why = match &failure {
                        // That is no fault of the receiver's.
                        Failure::NoRoom => return self.put_off(key, self.limits.callback_backoff, cx),
                        // The resolver's words may hold an address.
                        Failure::NoName(_) => "has no address".to_owned(),
                        other => other.to_string(),
                    };
                    return self.tried(key, Verdict::Later, why, None, runs, cx);
                }
            }
        }
    }

    /// A try has ended.
    fn tried(
        &mut self,
        key: Key,
        verdict: Verdict,
        why: String,
        retry_after: Option<&str>,
        runs: &mut Runs,
        cx: &mut Cx<'_, '_>,
    ) {
        self.leave_place(key);
        let Some(entry) = self.entries.at_mut(key) else { return };
        let called = &mut entry.called;
        called.attempts += 1;
        called.due = None;
        let wall = cx.os.clock.wall();
        let pause = match verdict {
            Verdict::Delivered | Verdict::Never => None,
            Verdict::Later => {
                let random = cx.os.entropy.number();
                schedule::pause(called.attempts, retry_after, random, wall, &self.limits)
            }
        };
        match pause {
            Some(pause) => {
                let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                called.due = Some(WallTime::from_millis(wall.as_millis().saturating_add(millis)));
                called.error = Some(why.into());
                entry.stage = Stage::Pausing(cx.set_timer(cx.now.after(pause), key));
                self.counts.retried += 1;
            }
            None if verdict == Verdict::Delivered => {
                called.state = CallState::Delivered;
                entry.stage = Stage::Over;
                self.counts.delivered += 1;
            }
            None => {
                let (run, (_, host, port), attempts) = (entry.run, &entry.server, called.attempts);
                let most = self.limits.callback_attempts_max;
                log::warn!(
                    "the callback of run {run} to {host}:{port} is given up after {attempts} of {most} tries: \
                     the server {why}"
                );
                called.state = CallState::GivenUp;
                called.error = Some(why.into());
                entry.stage = Stage::Over;
                self.counts.given_up += 1;
            }
        }
        entry.is_keeping = true;
        // Its run has ended, or there was nothing to tell.
        if let Some(ended_at) = entry.ended_at {
            runs.keep_called(entry.run, ended_at, entry.called.clone());
        }
    }

    /// What has become of this run's callback is kept. Answers where it went if that is over.
    pub fn kept(&mut self, run: Uuid) -> Option<Box<str>> {
        let key = self.by_run.get(&run).copied()?;
        let entry = self.entries.at_mut(key)?;
        entry.is_keeping = false;
        match entry.stage {
            Stage::Over => self.remove(key).map(|entry| entry.url),
            Stage::Due => {
                self.enqueue(key);
                None
            }
            Stage::AwaitEnd | Stage::Fetching | Stage::Posting(_) | Stage::Pausing(_) => None,
        }
    }

    /// A timer of ours: a pause is over.
    pub fn timer(&mut self, id: TimerId, key: Key) {
        if let Some(entry) = self.entries.at_mut(key)
            && entry.stage == Stage::Pausing(id)
        {
            entry.stage = Stage::Due;
            self.enqueue(key);
        }
    }

    /// A try that could not begin, which counts as none.
    fn put_off(&mut self, key: Key, pause: Duration, cx: &mut Cx<'_, '_>) {
        self.leave_place(key);
        if let Some(entry) = self.entries.at_mut(key) {
            entry.stage = Stage::Pausing(cx.set_timer(cx.now.after(pause), key));
        }
    }

    // --- Places ---------------------------------------------------------------------------------------------------

    /// It stands in its server's queue from here on, unless what became of the last try is still to be kept.
    fn enqueue(&mut self, key: Key) {
        let Some(entry) = self.entries.at(key).filter(|entry| !entry.is_keeping) else { return };
        let name = entry.server.clone();
        if let Some(server) = self.servers.get_mut(&name) {
            server.due.push_back(key);
            self.queue_server(&name);
        }
    }

    fn leave_place(&mut self, key: Key) {
        let Some(entry) = self.entries.at(key) else { return };
        let name = entry.server.clone();
        if let Some(server) = self.servers.get_mut(&name) {
            server.under_way -= 1;
            self.under_way -= 1;
            self.queue_server(&name);
        }
    }

    /// The server waits for its turn if it has something to do and a place for it.
    fn queue_server(&mut self, name: &Name) {
        let places = self.limits.callbacks_at_once_per_server_max.max(1);
        let Some(server) = self.servers.get_mut(name) else { return };
        if !server.is_queued && !server.due.is_empty() && server.under_way < places {
            server.is_queued = true;
            self.queue.push_back(name.clone());
        }
    }

    /// Only of those that neither wait for their turn nor have a place.
    fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.by_run.remove(&entry.run);
        if let Some(server) = self.servers.get_mut(&entry.server) {
            server.count -= 1;
            if server.count == 0 {
                self.servers.remove(&entry.server);
            }
        }
        Some(entry)
    }

    // --- For whoever wonders --------------------------------------------------------------------------------------

    /// How far the callback of this run has come, while it is outstanding.
    pub fn called(&self, run: Uuid) -> Option<&Called> {
        Some(&self.entries.at(*self.by_run.get(&run)?)?.called)
    }

    /// Some server may be called back.
    pub fn is_on(&self) -> bool {
        self.config.is_some()
    }

    /// Callbacks that are outstanding, those of runs that have not ended included, and tries under way.
    pub fn outstanding(&self) -> (usize, usize) {
        (self.entries.len(), self.under_way)
    }

    /// What was counted since start.
    pub fn counts(&self) -> CallbackCounts {
        self.counts
    }

    /// Timers that are set, and exchanges under way: for whoever checks that none is forgotten.
    pub fn holds(&self) -> (usize, usize) {
        let pauses = self.entries.iter().filter(|(_, entry)| matches!(entry.stage, Stage::Pausing(_)));
        (pauses.count(), self.by_exchange.len())
    }

    /// Gives memory back that a crowd needed.
    pub fn tidy(&mut self) {
        self.entries.tidy();
    }
}

fn name_of(target: &Target) -> Name {
    (target.server.is_tls, target.server.host.clone(), target.server.port)
}
