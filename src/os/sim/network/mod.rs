//! Connections as Linux keeps them and `epoll` announces them, edge-triggered, in memory.
//!
//! ```text
//!   writer ──► unsent ──(a delivery, some time later)──► arrived ──► reader
//!              bounded: a write takes what fits           bounded: what does not fit stays unsent
//! ```
//!
//! What is modelled, because servers get it wrong:
//!
//! - An announcement follows an *arrival*, never a state: what was left unread is not announced again (epoll(7),
//!   `EPOLLET`). It carries everything that is so when the poller is asked, room to write included.
//! - Room is announced only to a writer that has found none, and only when a third of the buffer is free
//!   (`sk_stream_write_space`).
//! - Closing with unread bytes sends a reset instead of an end, and a reset throws away what was not delivered.
//! - Bytes that arrive at a closed socket are answered with a reset.
//! - After a reset, what had arrived can still be read; then comes the error, once; then the end. Behind an end that
//!   has arrived there is no error to read, only one to write (`SOCK_DONE` in `tcp_recvmsg`).
//! - Shutting one's own side announces whatever is so, again (`inet_shutdown` calls `sk_state_change`).
//! - A fresh socket is announced as writable when it is registered.
//!
//! Connections that the server makes to others are in `outbound`.

mod outbound;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::random::Random;
use super::trace::{Line, Side};
use crate::base::{Key, Slots};
use crate::os::{LISTENER, NetCounters, OUTBOUND, Ready, STREAM};
use outbound::Outbound;

pub(super) use outbound::Reached;

/// How this world's connections are made.
#[derive(Debug, Clone)]
pub struct Wires {
    /// Room in each of the four buffers of a connection, in bytes: a number up to this is drawn for each.
    pub buffer_bytes: usize,
    /// All buffers have that much room.
    pub is_even: bool,
    /// Longest usual delay of a delivery, in nanoseconds.
    pub delay_max: u64,
    /// Most bytes of one delivery.
    pub segment_bytes: usize,
    /// Clients that may wait to be accepted.
    pub backlog: usize,
    /// Sockets that the server's process may have at once.
    pub descriptors: usize,
    /// Announcements that one wait brings at most.
    pub events_per_wait: usize,
}

impl Default for Wires {
    fn default() -> Wires {
        Wires {
            buffer_bytes: 64 * 1024,
            is_even: false,
            delay_max: 2_000_000,
            segment_bytes: 16 * 1024,
            backlog: 128,
            descriptors: 1024,
            events_per_wait: 1024,
        }
    }
}

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet answered.
    Connecting,
    /// Both can write, as far as they have not shut.
    Open,
    /// Nobody listens.
    Refused,
    /// It was reset.
    Reset,
}

/// Something to be told to the end's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    pub line: Line,
    pub side: Side,
}

#[derive(Debug)]
struct End {
    unsent: VecDeque<u8>,
    unsent_max: usize,
    arrived: VecDeque<u8>,
    arrived_max: usize,
    /// Its owner writes no more; the end follows the unsent bytes.
    shut: bool,
    /// That end has been delivered.
    shut_told: bool,
    /// The other side's end has arrived.
    ended: bool,
    /// A reset has arrived or was sent: nothing goes in or out.
    dead: bool,
    /// To be told to the next call, once.
    error: Option<ErrorKind>,
    /// Its owner has closed it.
    closed: bool,
    /// A write has found no room, or too little (`SOCK_NOSPACE`).
    wants_room: bool,
    /// Bytes of it are under way: the event that delivers them is queued.
    delivery_queued: bool,
    /// No delivery before this time.
    clogged_until: u64,
}

impl End {
    fn new(room: impl Fn(&mut Random) -> usize, random: &mut Random) -> End {
        End {
            unsent: VecDeque::new(),
            unsent_max: room(random),
            arrived: VecDeque::new(),
            arrived_max: room(random),
            shut: false,
            shut_told: false,
            ended: false,
            dead: false,
            error: None,
            closed: false,
            wants_room: false,
            delivery_queued: false,
            clogged_until: 0,
        }
    }

    fn free(&self) -> usize {
        self.unsent_max.saturating_sub(self.unsent.len())
    }

    /// Enough room that a writer who waits is told (`sk_stream_is_writeable`).
    fn is_writable(&self) -> bool {
        self.free() * 3 >= self.unsent_max && self.free() > 0
    }

    fn die(&mut self, error: Option<ErrorKind>) {
        self.dead = true;
        self.error = error;
        self.unsent.clear();
    }
}

#[derive(Debug)]
struct Link {
    client: End,
    server: End,
    state: State,
    /// The actor at the client's end; nobody as long as the server tries to connect to it.
    owner: Option<usize>,
    key: Option<Key>,
    /// Where the server connects to, if it is the server that connects.
    target: Option<SocketAddr>,
    reset_on_close: bool,
}

impl Link {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// The server tries to connect, and has not been answered yet.
    fn still_connects(&self) -> bool {
        self.target.is_some() && self.state == State::Connecting && !self.server.dead
    }

    fn both(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }
}

/// What one delivery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Delivered {
    /// Bytes that have arrived.
    pub bytes: usize,
    /// The end has arrived behind them.
    pub ended: bool,
    /// Nobody is there any more: a reset goes back.
    pub refused: bool,
}

/// The listening socket.
#[derive(Debug, Default)]
struct Listening {
    key: Option<Key>,
    backlog: VecDeque<Line>,
    is_announced: bool,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Network {
    pub wires: Wires,
    links: BTreeMap<Line, Link>,
    next_line: u32,
    listeners: Slots<()>,
    listening: Listening,
    streams: Slots<Line>,
    outbound: Outbound,
    /// What the poller will announce, in the order in which it happened, each key once.
    ready: VecDeque<Key>,
    /// What the poller keeps back: news of these joins the announcement that is to come.
    withheld: BTreeSet<Key>,
    /// Sockets that were closed lately, for announcements that come too late.
    pub closed: VecDeque<Key>,
    /// Told to nobody yet.
    pub news: VecDeque<News>,
    /// Ends whose bytes want to be delivered.
    pub to_deliver: VecDeque<News>,
    pub counters: NetCounters,
    random: Random,
    is_calm: bool,
}

/// Sockets closed lately that are remembered.
const CLOSED_KEPT_MAX: usize = 8;

impl Network {
    pub fn new(wires: Wires, random: Random, outbound_max: usize, outbound_random: Random) -> Network {
        Network {
            links: BTreeMap::new(),
            next_line: 0,
            listeners: Slots::new(LISTENER, 1),
            listening: Listening::default(),
            streams: Slots::new(STREAM, wires.descriptors),
            outbound: Outbound::new(outbound_max, outbound_random),
            ready: VecDeque::new(),
            withheld: BTreeSet::new(),
            closed: VecDeque::new(),
            news: VecDeque::new(),
            to_deliver: VecDeque::new(),
            counters: NetCounters::default(),
            random,
            is_calm: false,
            wires,
        }
    }

    // --- The server's calls ---------------------------------------------------------------------------------------

    pub fn listen(&mut self) -> Option<Key> {
        let key = self.listeners.insert(()).ok()?;
        self.listening.key = Some(key);
        self.counters.registrations += 1;
        Some(key)
    }

    pub fn is_listening(&self) -> bool {
        self.listening.key.is_some()
    }

    /// The next client of the backlog.
    pub fn next_waiting(&mut self) -> Option<Line> {
        self.listening.backlog.pop_front()
    }

    /// Gives the server's end of a waiting connection a key; `None` if there is no descriptor for it.
    pub fn accept(&mut self, listener: Key) -> Option<Result<(Key, Line), ()>> {
        if self.listening.key != Some(listener) {
            return None;
        }
        let line = self.listening.backlog.front().copied()?;
        if self.sockets() >= self.wires.descriptors {
            return Some(Err(()));
        }
        let Ok(key) = self.streams.insert(line) else { return Some(Err(())) };
        self.listening.backlog.pop_front();
        self.counters.accepts += 1;
        self.counters.registrations += 1;
        if let Some(link) = self.links.get_mut(&line) {
            link.key = Some(key);
        }
        // A socket is looked at when it is registered, and a fresh one is writable.
        self.ready.push_back(key);
        Some(Ok((key, line)))
    }

    pub fn line(&self, key: Key) -> Option<Line> {
        let table = if key.kind() == OUTBOUND { &self.outbound.streams } else { &self.streams };
        table.at(key).copied()
    }

    pub fn close_listener(&mut self, key: Key) -> Vec<Line> {
        if self.listeners.remove(key).is_none() {
            return Vec::new();
        }
        (self.listening.key, self.listening.is_announced) = (None, false);
        self.ready.retain(|ready| *ready != key);
        self.listening.backlog.drain(..).collect()
    }

    /// Closes whatever listens; answers who waited to be accepted.
    pub fn close_listeners(&mut self) -> Vec<Line> {
        self.listening.key.map_or_else(Vec::new, |key| self.close_listener(key))
    }

    /// Takes the server's key away from a connection; what becomes of the connection, `close` says.
    pub fn forget_key(&mut self, key: Key) -> Option<(Line, bool)> {
        let table = if key.kind() == OUTBOUND { &mut self.outbound.streams } else { &mut self.streams };
        let line = table.remove(key)?;
        self.ready.retain(|ready| *ready != key);
        self.withheld.remove(&key);
        self.closed.push_back(key);
        if self.closed.len() > CLOSED_KEPT_MAX {
            self.closed.pop_front();
        }
        let link = self.links.get_mut(&line)?;
        link.key = None;
        Some((line, link.reset_on_close))
    }

    pub fn reset_on_close(&mut self, line: Line) {
        if let Some(link) = self.links.get_mut(&line) {
            link.reset_on_close = true;
        }
    }

    pub fn live_keys(&self) -> impl Iterator<Item = Key> {
        self.streams.iter().chain(self.outbound.streams.iter()).map(|(key, _)| key)
    }

    /// Descriptors in use.
    pub fn sockets(&self) -> usize {
        self.streams.len() + self.outbound.streams.len()
    }

    /// Those of them that the server has connected to others.
    pub fn outbound_sockets(&self) -> usize {
        self.outbound.streams.len()
    }

    // --- Both sides' calls ----------------------------------------------------------------------------------------

    pub fn connect(&mut self, owner: usize) -> Line {
        let line = Line(self.next_line);
        self.next_line += 1;
        let room = self.room();
        let (client, server) = (End::new(&room, &mut self.random), End::new(&room, &mut self.random));
        let (state, owner, key, target) = (State::Connecting, Some(owner), None, None);
        let link = Link { client, server, state, owner, key, target, reset_on_close: false };
        self.links.insert(line, link);
        line
    }

    /// Draws the room in one buffer of a connection.
    fn room(&self) -> impl Fn(&mut Random) -> usize + use<> {
        let (most, is_even) = (self.wires.buffer_bytes, self.wires.is_even || self.is_calm);
        move |random| if is_even { most } else { random.spread(most) }
    }

    /// The client's first packet arrives: how many wait then, or why not. A full backlog answers nothing at all.
    pub fn join_backlog(&mut self, line: Line) -> Result<usize, Join> {
        let Some(link) = self.links.get_mut(&line).filter(|link| !link.client.closed) else {
            return Err(Join::GaveUp);
        };
        let Some(listener) = self.listening.key else {
            link.state = State::Refused;
            link.client.die(None);
            self.news.push_back(News { line, side: Side::Client });
            return Err(Join::Refused);
        };
        if self.listening.backlog.len() >= self.wires.backlog {
            return Err(Join::Full);
        }
        link.state = State::Open;
        self.listening.backlog.push_back(line);
        self.news.push_back(News { line, side: Side::Client });
        self.queue_ready(listener);
        Ok(self.listening.backlog.len())
    }

    pub fn state(&self, line: Line) -> State {
        self.links.get(&line).map_or(State::Reset, |link| link.state)
    }

    pub fn owner(&self, line: Line) -> Option<usize> {
        self.links.get(&line).and_then(|link| link.owner)
    }

    pub fn read(&mut self, line: Line, side: Side, space: &mut [u8]) -> io::Result<usize> {
        let Some(link) = self.links.get_mut(&line) else { return Err(ErrorKind::NotConnected.into()) };
        let (end, peer) = link.both(side);
        if !end.arrived.is_empty() {
            let count = space.len().min(end.arrived.len());
            for (place, byte) in space.iter_mut().zip(end.arrived.drain(..count)) {
                *place = byte;
            }
            // There is room again for what the other side could not send.
            if !peer.unsent.is_empty() || (peer.shut && !peer.shut_told) {
                self.to_deliver.push_back(News { line, side: side.other() });
            }
            return Ok(count);
        }
        if end.ended {
            return Ok(0);
        }
        match end.error.take() {
            Some(error) => Err(error.into()),
            None if end.dead => Ok(0),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Bytes that a read would find.
    pub fn arrived(&self, line: Line, side: Side) -> usize {
        self.links.get(&line).map_or(0, |link| match side {
            Side::Client => link.client.arrived.len(),
            Side::Server => link.server.arrived.len(),
        })
    }

    /// Takes back all but the first `kept` arrived bytes: they have not arrived yet. Not behind an end, which was told.
    pub fn unarrive(&mut self, line: Line, side: Side, kept: usize) -> bool {
        let Some(link) = self.links.get_mut(&line) else { return false };
        let (end, peer) = link.both(side);
        if end.ended || end.dead || peer.dead || end.arrived.len() <= kept {
            return false;
        }
        let mut back = end.arrived.split_off(kept);
        back.append(&mut peer.unsent);
        peer.unsent = back;
        true
    }

    pub fn write(&mut self, line: Line, side: Side, bytes: &[u8], taken_max: usize) -> io::Result<usize> {
        let Some(link) = self.links.get_mut(&line) else { return Err(ErrorKind::NotConnected.into()) };
        let still_connects = link.still_connects();
        let end = link.end(side);
        if let Some(error) = end.error.take() {
            return Err(error.into());
        }
        if still_connects {
            return Err(ErrorKind::WouldBlock.into());
        }
        if end.dead || end.shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(end.free()).min(taken_max);
        if count < bytes.len() {
            end.wants_room = true;
        }
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        end.unsent.extend(&bytes[..count]);
        self.to_deliver.push_back(News { line, side });
        Ok(count)
    }

    /// The owner writes no more.
    pub fn shut(&mut self, line: Line, side: Side) -> bool {
        let Some(link) = self.links.get_mut(&line) else { return false };
        let still_connects = link.still_connects();
        let end = link.end(side);
        if end.shut || end.dead {
            return false;
        }
        if still_connects {
            end.die(None);
        } else {
            end.shut = true;
            self.to_deliver.push_back(News { line, side });
        }
        if side == Side::Server {
            self.tell(line, side);
        }
        true
    }

    /// The owner has closed its end. Answers whether that resets the connection.
    pub fn close(&mut self, line: Line, side: Side, reset: bool) -> bool {
        let Some(link) = self.links.get_mut(&line) else { return false };
        if link.target.is_some() && link.state == State::Connecting {
            // Nobody has heard of it.
            self.links.remove(&line);
            return false;
        }
        let end = link.end(side);
        let resets = !end.dead && (reset || !end.arrived.is_empty());
        end.closed = true;
        end.arrived.clear();
        if resets {
            end.die(None);
        } else if !end.dead && !end.shut {
            end.shut = true;
            self.to_deliver.push_back(News { line, side });
        }
        if link.client.closed && link.server.closed {
            self.links.remove(&line);
        }
        resets
    }

    // --- What the network does ------------------------------------------------------------------------------------

    /// Notes that a delivery from `side` is under way; `false` if one is already, or there is nothing to deliver.
    pub fn begin_delivery(&mut self, news: News) -> Option<u64> {
        let end = self.links.get_mut(&news.line)?.end(news.side);
        let wanted = !end.unsent.is_empty() || (end.shut && !end.shut_told);
        if !wanted || end.delivery_queued || end.dead {
            return None;
        }
        end.delivery_queued = true;
        Some(end.clogged_until)
    }

    /// Lets nothing through from `side` until `time`.
    pub fn clog(&mut self, line: Line, side: Side, time: u64) {
        if let Some(link) = self.links.get_mut(&line) {
            link.end(side).clogged_until = time;
        }
    }

    /// From here on connections are as good as they get: nothing is clogged, and there is room.
    pub fn calm(&mut self) {
        self.is_calm = true;
        let Wires { descriptors, events_per_wait, .. } = self.wires;
        self.wires = Wires { descriptors, events_per_wait, ..Wires::default() };
        let lines: Vec<Line> = self.links.keys().copied().collect();
        for line in lines {
            for side in [Side::Client, Side::Server] {
                let Some(link) = self.links.get_mut(&line) else { continue };
                let end = link.end(side);
                end.clogged_until = 0;
                end.unsent_max = self.wires.buffer_bytes;
                end.arrived_max = self.wires.buffer_bytes;
                self.to_deliver.push_back(News { line, side });
                if std::mem::replace(&mut end.wants_room, false) && !end.closed {
                    self.tell(line, side);
                }
            }
        }
    }

    /// What was under way from `side` arrives, as far as there is room.
    pub fn deliver(&mut self, from: News, segment_bytes: usize) -> Delivered {
        let News { line, side } = from;
        let mut delivered = Delivered::default();
        let Some(link) = self.links.get_mut(&line) else { return delivered };
        let (sender, receiver) = link.both(side);
        sender.delivery_queued = false;
        if sender.dead {
            return delivered;
        }
        if receiver.closed || receiver.dead {
            delivered.refused = !sender.unsent.is_empty() || receiver.dead;
            sender.unsent.clear();
            sender.shut_told = sender.shut;
            return delivered;
        }
        let room = receiver.arrived_max.saturating_sub(receiver.arrived.len());
        delivered.bytes = sender.unsent.len().min(room).min(segment_bytes.max(1));
        receiver.arrived.extend(sender.unsent.drain(..delivered.bytes));
        if sender.unsent.is_empty() && sender.shut && !sender.shut_told {
            sender.shut_told = true;
            receiver.ended = true;
            delivered.ended = true;
        }
        let tells_sender = sender.wants_room && sender.is_writable() && !sender.closed;
        if tells_sender {
            sender.wants_room = false;
        }
        if !sender.unsent.is_empty() && delivered.bytes > 0 {
            self.to_deliver.push_back(from);
        }
        if delivered.bytes > 0 || delivered.ended {
            self.tell(line, side.other());
        }
        if tells_sender {
            self.tell(line, side);
        }
        delivered
    }

    /// A reset arrives at `side`.
    pub fn break_end(&mut self, line: Line, side: Side) -> bool {
        let Some(link) = self.links.get_mut(&line) else { return false };
        let end = link.end(side);
        if end.dead || end.closed {
            return false;
        }
        // `tcp_reset`: whoever has had the other side's end is told of a broken pipe.
        end.die(Some(if end.ended { ErrorKind::BrokenPipe } else { ErrorKind::ConnectionReset }));
        if side == Side::Client {
            link.state = State::Reset;
        }
        self.tell(line, side);
        true
    }

    /// The end's owner is to hear that something about it is new.
    fn tell(&mut self, line: Line, side: Side) {
        match side {
            Side::Client => self.news.push_back(News { line, side }),
            Side::Server => {
                if let Some(key) = self.links.get(&line).and_then(|link| link.key) {
                    self.queue_ready(key);
                }
            }
        }
    }

    // --- The poller -----------------------------------------------------------------------------------------------

    fn queue_ready(&mut self, key: Key) {
        if self.withheld.contains(&key) {
            return;
        }
        if key.kind() == LISTENER {
            if !std::mem::replace(&mut self.listening.is_announced, true) {
                self.ready.push_back(key);
            }
        } else if !self.ready.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// Keeps back what there is to announce of this key, and what is yet to come, until `requeue`. Not twice: what is
    /// announced later is no second announcement of what was told meanwhile.
    pub fn withhold(&mut self, key: Key) {
        self.withheld.insert(key);
    }

    /// Announces what was kept back.
    pub fn requeue(&mut self, key: Key) {
        self.withheld.remove(&key);
        if self.listening.key == Some(key) || self.line(key).is_some() {
            self.queue_ready(key);
        }
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next announcement, if what it says is still so.
    pub fn next_ready(&mut self) -> Option<(Key, Option<Ready>)> {
        let key = self.ready.pop_front()?;
        Some((key, self.look(key)))
    }

    /// Whether a read would find something, and whether a write would find room.
    pub fn would_find(&self, key: Key) -> (bool, bool) {
        let link =
            self.line(key).and_then(|line| self.links.get(&line)).filter(|link| !link.still_connects());
        link.map_or((false, false), |Link { server: end, .. }| {
            let input = end.ended || end.dead || !end.arrived.is_empty();
            (input, end.dead || end.shut || end.free() > 0)
        })
    }

    /// What is so of this socket now. Finding no room is remembered, as `tcp_poll` does, so that room will be told.
    pub fn look(&mut self, key: Key) -> Option<Ready> {
        if key.kind() == LISTENER {
            self.listening.is_announced = false;
            let readable = !self.listening.backlog.is_empty();
            return readable.then_some(Ready { readable, ..Ready::quiet(key) });
        }
        let line = self.line(key)?;
        let link = self.links.get_mut(&line)?;
        if link.still_connects() {
            return None;
        }
        let end = &mut link.server;
        let no_more_input = end.ended || end.dead;
        let hung_up = end.dead || (end.ended && end.shut);
        let readable = no_more_input || !end.arrived.is_empty();
        let writable = end.dead || end.shut || end.is_writable();
        if !writable {
            end.wants_room = true;
        }
        let ready = Ready {
            key,
            readable,
            writable,
            read_closed: no_more_input || hung_up,
            broken: end.error.is_some(),
            // Urgent data is not modelled.
            urgent: false,
        };
        (ready != Ready::quiet(key)).then_some(ready)
    }
}

/// Why a client does not join the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    Refused,
    Full,
    GaveUp,
}
