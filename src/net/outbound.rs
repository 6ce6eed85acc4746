//! All that we ask of others: hosts, the connections that are kept for each, and the exchanges under way.
//!
//! An exchange takes one of its host's places; without one it waits. It takes over a connection that was kept, or has
//! the name looked up (an answer is good for a while), dials, and, when it is over, leaves its connection for the next.
//!
//! ```text
//!            begin                        news                 next: Head, Body…, End │ Failed
//!   owner ───────────► Outbound ───────────────────────► owner ────────────────────────────────► owner ─► finish │ abandon
//!                         ▲   ready, timer, names
//! ```
//!
//! The owner pulls: [`Outbound::take_news`] names exchanges about which something may be new, [`Outbound::next`] tells it.
//! A redirect is an answer like any other, and never followed: what we send holds a key.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::connection::{Connection, Fill};
use super::dialer::{self, Dialed, Dialer};
use super::exchange::{Ended, Exchange, Failure, Head, Patience, State, Step};
use crate::base::{Key, Kind, Pool, SideTable, Slots, Time};
use crate::limits::Limits;
use crate::os::{Lookup, NamesDone, Ready};
use crate::reactor::{Cx, TimerId};
use crate::wire::http1::{Request, Sent, write_request};
use crate::wire::proxy::Proxy;
use crate::wire::tls::{Tls, Trust};
use crate::wire::url::Url;

/// Keys of exchanges.
pub const EXCHANGE: Kind = Kind(7);
/// Keys of hosts, by their places.
const ORIGIN: Kind = Kind(8);

/// Names one host among those that were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginId(usize);

/// A host, and how it is reached.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its address; the path is the owner's.
    pub url: Url,
    /// Whom to trust, for `https`.
    pub trust: Option<Trust>,
    /// Through whom, if not directly.
    pub proxy: Option<Proxy>,
    /// Exchanges at once.
    pub connections_max: usize,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a str,
    /// The target, from `/` on.
    pub path: &'a str,
    /// Header fields beside `Host` and those that frame the body.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: Option<&'a [u8]>,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A field may be a secret.
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What an exchange tells next.
#[derive(Debug)]
pub enum Told<'o> {
    /// The response began.
    Head(Head),
    /// The next piece of its body.
    Body(&'o [u8]),
    /// All of it was told.
    End,
    /// It came to nothing, or not to its end.
    Failed(Failure),
}

/// What holds a socket.
#[derive(Debug, Clone, Copy)]
enum Holder {
    Exchange(Key),
    Kept(usize),
}

/// A connection that waits for another exchange.
#[derive(Debug)]
struct Kept {
    connection: Box<Connection>,
    timer: TimerId,
}

#[derive(Debug)]
struct Host {
    origin: Origin,
    /// The address that is dialed: the proxy's, or its own.
    name: (String, u16),
    addresses: Vec<SocketAddr>,
    /// Until when they are good.
    good_until: Time,
    is_looked_up: bool,
    kept: Vec<Kept>,
    in_use: usize,
    waiting: VecDeque<Key>,
    /// Exchanges that took over a connection.
    reused: u64,
}

impl Host {
    fn new(origin: Origin) -> Host {
        let name = match &origin.proxy {
            Some(proxy) => (proxy.host.clone(), proxy.port),
            None => (origin.url.host.clone(), origin.url.port),
        };
        Host {
            origin,
            name,
            addresses: Vec::new(),
            good_until: Time::ZERO,
            is_looked_up: false,
            kept: Vec::new(),
            in_use: 0,
            waiting: VecDeque::new(),
            reused: 0,
        }
    }
}

/// How many there are, for whoever wonders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboundCounts {
    /// Exchanges under way, waiting ones included.
    pub exchanges: usize,
    /// Connections that are kept for another exchange.
    pub kept: usize,
    /// Exchanges that took over a connection, since start.
    pub reused: u64,
}

/// What whoever asks other servers borrows: the exchanges of all, and spare buffers.
#[derive(Debug)]
pub struct Lines<'l> {
    /// All exchanges.
    pub outbound: &'l mut Outbound,
    /// Spare buffers.
    pub pool: &'l mut Pool,
}

/// All exchanges, and what they share.
#[derive(Debug)]
pub struct Outbound {
    hosts: Vec<Host>,
    exchanges: Slots<Exchange>,
    holders: SideTable<Holder>,
    news: Vec<Key>,
    /// Bytes that may still be read in this turn, by all together.
    bytes_left: usize,
}

impl Outbound {
    /// Nobody to ask yet.
    pub fn new(limits: &Limits) -> Outbound {
        Outbound {
            hosts: Vec::new(),
            exchanges: Slots::new(EXCHANGE, limits.exchanges_max),
            holders: SideTable::default(),
            news: Vec::new(),
            bytes_left: limits.outbound_bytes_per_turn_all,
        }
    }

    /// Somebody to ask.
    pub fn add(&mut self, origin: Origin) -> OriginId {
        self.hosts.push(Host::new(origin));
        OriginId(self.hosts.len() - 1)
    }

    /// Nothing is under way with this one, so that another may take its place.
    pub fn is_unused(&self, origin: OriginId) -> bool {
        let host = &self.hosts[origin.0];
        host.in_use == 0 && host.waiting.is_empty() && !host.is_looked_up
    }

    /// Somebody else to ask, in the place of one that [is unused](Outbound::is_unused). Connections that were kept to that
    /// one are closed in this turn.
    pub fn replace(&mut self, place: OriginId, origin: Origin, pool: &mut Pool, cx: &mut Cx<'_, '_>) {
        debug_assert!(self.is_unused(place), "what is under way belongs to the one before");
        let before = std::mem::replace(&mut self.hosts[place.0], Host::new(origin));
        for kept in before.kept {
            self.close_kept(kept, pool, cx);
        }
    }

    /// Asks. The exchange has news whenever [`take_news`](Outbound::take_news) names it, and is the owner's to
    /// [`finish`](Outbound::finish) or [`abandon`](Outbound::abandon).
    ///
    /// # Errors
    /// [`Failure::NoRoom`] when too many are under way, or a field can't be sent.
    pub fn begin(
        &mut self,
        origin: OriginId,
        ask: Ask<'_>,
        patience: Patience,
        limits: &Limits,
        cx: &mut Cx<'_, '_>,
    ) -> Result<Key, Failure> {
        let host = &mut self.hosts[origin.0];
        let url = &host.origin.url;
        // A proxy that is asked for the thing itself wants the whole address (RFC 9112 §3.2.2).
        let is_forwarded = host.origin.proxy.is_some() && !url.is_tls;
        let target = if is_forwarded {
            format!("http://{}{}", url.authority(), ask.path)
        } else {
            ask.path.to_owned()
        };
        let mut fields = ask.fields.to_vec();
        if let Some(Proxy { authorization: Some(authorization), .. }) = &host.origin.proxy
            && is_forwarded
        {
            fields.push(("Proxy-Authorization", authorization));
        }
        let mut bytes = Vec::new();
        let request = Request {
            method: ask.method,
            target: &target,
            host: &url.authority(),
            fields: &fields,
            body: ask.body,
        };
        write_request(&request, &mut bytes).map_err(|_| Failure::NoRoom)?;
        let sent = if ask.method == "POST" { Sent::Post } else { Sent::Get };
        let exchange = Exchange::new(origin.0, sent, bytes, patience, cx.now);
        let key = self.exchanges.insert(exchange).map_err(|_| Failure::NoRoom)?;
        host.waiting.push_back(key);
        self.arm(key, cx);
        self.give_places(origin.0, limits, cx);
        Ok(key)
    }

    /// Exchanges about which something may be new. What is left of those that are finished is read and dropped here.
    pub fn take_news(
        &mut self,
        exchanges: &mut Vec<Key>,
        pool: &mut Pool,
        limits: &Limits,
        cx: &mut Cx<'_, '_>,
    ) {
        let mut news = std::mem::take(&mut self.news);
        for key in news.drain(..) {
            match self.exchanges.at(key) {
                Some(exchange) if exchange.is_finished() => self.read_rest(key, pool, limits, cx),
                Some(_) => exchanges.push(key),
                None => {}
            }
        }
        // Its room is used again, unless something was added meanwhile.
        if self.news.is_empty() {
            self.news = news;
        }
    }

    /// Some exchange has news that nobody has looked at.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What an exchange tells next; `None` for nothing, now.
    pub fn next(
        &mut self,
        key: Key,
        pool: &mut Pool,
        limits: &Limits,
        cx: &mut Cx<'_, '_>,
    ) -> Option<Told<'_>> {
        loop {
            let exchange = self.exchanges.at_mut(key)?;
            let was_awaited = std::mem::discriminant(&exchange.state);
            let step = exchange.step(pool, limits, cx);
            let is_new_stage = std::mem::discriminant(&exchange.state) != was_awaited;
            let told = match step {
                Step::Nothing => {
                    // What was not read others may read.
                    self.bytes_left += exchange.allow(0);
                    if is_new_stage {
                        self.arm(key, cx);
                    }
                    return None;
                }
                Step::Stale => {
                    self.start_again(key, pool, limits, cx);
                    continue;
                }
                Step::Secure(connection) => {
                    self.secure(key, connection);
                    continue;
                }
                Step::Body => None,
                Step::Head(head) => Some(Told::Head(head)),
                Step::End => Some(Told::End),
                Step::Failed(failure) => Some(Told::Failed(failure)),
            };
            self.arm(key, cx);
            return told.or_else(|| Some(Told::Body(self.exchanges.at_mut(key)?.piece())));
        }
    }

    /// Its owner has heard all that it wants. What is left of the response is read and dropped, as far as that is little
    /// and comes soon, so that the connection can carry another exchange.
    pub fn finish(&mut self, key: Key, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        if let Some(exchange) = self.exchanges.at_mut(key) {
            exchange.finish(limits, cx.now);
            self.arm(key, cx);
            self.read_rest(key, pool, limits, cx);
        }
    }

    /// Reads on in the response of an exchange that is finished, until it is over or too long.
    fn read_rest(&mut self, key: Key, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let mut bytes = 0;
        while !self.exchanges.at(key).is_some_and(Exchange::is_over) {
            match self.next(key, pool, limits, cx) {
                None => return,
                Some(Told::Head(_)) => {}
                Some(Told::Body(piece)) => {
                    bytes += piece.len();
                    if bytes > limits.outbound_rest_bytes_max {
                        break;
                    }
                }
                Some(Told::End | Told::Failed(_)) => break,
            }
        }
        self.abandon(key, pool, limits, cx);
    }

    /// Ends an exchange, over or not. Its connection is kept if it may carry another, else it is closed in this turn.
    pub fn abandon(&mut self, key: Key, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(mut exchange) = self.exchanges.remove(key) else { return };
        if let Some((timer, _)) = exchange.timer.take() {
            cx.cancel_timer(&mut Some(timer));
        }
        let place = exchange.origin;
        let ended = exchange.end();
        let had_place = self.let_go(ended, place, pool, limits, cx);
        let host = &mut self.hosts[place];
        host.waiting.retain(|waiting| *waiting != key);
        if had_place {
            host.in_use -= 1;
            self.give_places(place, limits, cx);
        }
    }

    /// Something was told of one of our sockets.
    pub fn ready(&mut self, ready: Ready, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        match self.holders.at(ready.key).copied() {
            Some(Holder::Exchange(key)) => self.exchange_ready(key, ready, limits, cx),
            Some(Holder::Kept(place)) => {
                let host = &mut self.hosts[place];
                let Some(index) = host.kept.iter().position(|kept| kept.connection.key == ready.key) else {
                    return;
                };
                let connection = &mut host.kept[index].connection;
                connection.note(ready);
                // Whatever comes unasked: an end, or a word too many. Either way it carries nothing more.
                let mut allowance = limits.read_bytes_per_turn;
                match connection.fill(cx.os.net, pool, &mut allowance) {
                    Fill::Nothing if connection.inbox.is_empty() => connection.settle(pool),
                    Fill::Nothing
                    | Fill::Received
                    | Fill::Spent
                    | Fill::Full
                    | Fill::Ended
                    | Fill::Broken => {
                        let kept = host.kept.swap_remove(index);
                        self.close_kept(kept, pool, cx);
                    }
                }
            }
            // It is closed already, or will be in this turn.
            None => {}
        }
    }

    /// A timer of ours: an exchange's deadline, the next address, or the end of a kept connection's time.
    pub fn timer(&mut self, id: TimerId, owner: Key, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        if owner.kind() != EXCHANGE {
            if let Some(Holder::Kept(place)) = self.holders.at(owner).copied() {
                let kept = &mut self.hosts[place].kept;
                if let Some(index) = kept.iter().position(|kept| kept.timer == id) {
                    let kept = kept.swap_remove(index);
                    self.close_kept(kept, pool, cx);
                }
            }
            return;
        }
        let Some(exchange) = self.exchanges.at_mut(owner) else { return };
        if exchange.timer.is_none_or(|(timer, _)| timer != id) {
            return;
        }
        exchange.timer = None;
        match exchange.deadline() {
            Some((deadline, failure)) if deadline <= cx.now => {
                exchange.failure = Some(failure);
                self.news.push(owner);
            }
            Some(_) | None => {
                if let State::AwaitConnect(dialer) = &mut exchange.state {
                    let dialed = dialer.due(limits, cx);
                    self.dialed(owner, dialed, limits, cx);
                }
                self.arm(owner, cx);
            }
        }
    }

    /// A name was looked up. `false` if it was not one of ours.
    pub fn named(&mut self, done: NamesDone, limits: &Limits, cx: &mut Cx<'_, '_>) -> bool {
        if done.asker.kind() != ORIGIN {
            return false;
        }
        let place = done.asker.index();
        let Some(host) = self.hosts.get_mut(place) else { return true };
        host.is_looked_up = false;
        let failure = match done.found {
            Ok(addresses) => {
                host.addresses = addresses;
                host.good_until = cx.now.after(limits.addresses_good_for);
                None
            }
            Err(why) => Some(Failure::NoName(why)),
        };
        let awaiting = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.origin == place && matches!(exchange.state, State::AwaitNames));
        for key in awaiting.map(|(key, _)| key).collect::<Vec<_>>() {
            match &failure {
                Some(failure) => self.fail(key, failure.clone()),
                None => self.dial(key, limits, cx),
            }
        }
        true
    }

    /// A turn is over: the next may read as much again.
    pub fn new_turn(&mut self, limits: &Limits) {
        self.bytes_left = limits.outbound_bytes_per_turn_all;
    }

    /// How many there are.
    pub fn counts(&self) -> OutboundCounts {
        OutboundCounts {
            exchanges: self.exchanges.len(),
            kept: self.hosts.iter().map(|host| host.kept.len()).sum(),
            reused: self.hosts.iter().map(|host| host.reused).sum(),
        }
    }

    /// The same of one server alone.
    pub fn counts_of(&self, origin: OriginId) -> OutboundCounts {
        let exchanges = self.exchanges.iter().filter(|(_, exchange)| exchange.origin == origin.0).count();
        let (kept, reused) = self.hosts.get(origin.0).map_or((0, 0), |host| (host.kept.len(), host.reused));
        OutboundCounts { exchanges, kept, reused }
    }

    /// Timers and sockets that are held, for whoever checks that none is forgotten.
    pub fn holds(&self) -> (usize, usize) {
        let timers = self.exchanges.iter().filter(|(_, exchange)| exchange.timer.is_some()).count();
        (timers + self.counts().kept, self.holders.len())
    }

    /// Gives memory back when little of it is used.
    pub fn tidy(&mut self) {
        self.exchanges.tidy();
        self.holders.tidy();
    }

    // --- Within ---------------------------------------------------------------------------------------------------

    fn exchange_ready(&mut self, key: Key, ready: Ready, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        if let State::AwaitConnect(dialer) = &mut exchange.state {
            // Some may be closed here. What is still tried, or stands, is held again below.
            for socket in dialer.sockets() {
                self.holders.remove(socket);
            }
            let dialed = dialer.ready(ready.key, limits, cx);
            self.dialed(key, dialed, limits, cx);
            // More may be told than that it stands: that something has come already, or its end. It is told but once.
            if let Some(connection) = self.exchanges.at_mut(key).and_then(Exchange::connection) {
                connection.note(ready);
            }
            return;
        }
        if let Some(connection) = exchange.connection() {
            connection.note(ready);
            self.lend(key, limits);
            self.news.push(key);
        }
    }

    /// Lets an exchange read its share, of what is left of this turn's.
    fn lend(&mut self, key: Key, limits: &Limits) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let share = limits.outbound_bytes_per_turn.min(self.bytes_left);
        self.bytes_left = self.bytes_left - share + exchange.allow(share);
    }

    /// Gives free places to those who wait for one.
    fn give_places(&mut self, place: usize, limits: &Limits, cx: &mut Cx<'_, '_>) {
        while self.hosts[place].in_use < self.hosts[place].origin.connections_max.max(1) {
            let Some(key) = self.hosts[place].waiting.pop_front() else { return };
            let Some(exchange) = self.exchanges.at_mut(key) else { continue };
            let host = &mut self.hosts[place];
            host.in_use += 1;
            match host.kept.pop() {
                Some(Kept { connection, timer }) => {
                    cx.cancel_timer(&mut Some(timer));
                    host.reused += 1;
                    self.holders.insert(connection.key, Holder::Exchange(key));
                    exchange.send(connection, cx.now);
                    exchange.is_reused = true;
                    self.wake(key, limits, cx);
                }
                None => self.look_for_host(key, limits, cx),
            }
        }
    }

    fn look_for_host(&mut self, key: Key, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        exchange.look_for_host(cx.now);
        let place = exchange.origin;
        self.arm(key, cx);
        let host = &mut self.hosts[place];
        let (name, port) = (&host.name.0, host.name.1);
        // An address needs no lookup.
        if let Ok(address) = name.parse::<IpAddr>() {
            host.addresses = vec![SocketAddr::new(address, port)];
            host.good_until = cx.now.after(limits.addresses_good_for);
        }
        if cx.now < host.good_until {
            return self.dial(key, limits, cx);
        }
        if !host.is_looked_up {
            let asker = Key::new(ORIGIN, u32::try_from(place).unwrap_or(0), 0);
            let lookup = Lookup { asker, host: name.clone(), port };
            host.is_looked_up = cx.os.names.resolve(lookup).is_ok();
            if !host.is_looked_up {
                self.fail(key, Failure::NoRoom);
            }
        }
    }

    fn dial(&mut self, key: Key, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let mut dialer = Dialer::new(&self.hosts[exchange.origin].addresses, limits);
        let dialed = dialer.begin(limits, cx);
        exchange.state = State::AwaitConnect(dialer);
        self.dialed(key, dialed, limits, cx);
        self.arm(key, cx);
    }

    fn dialed(&mut self, key: Key, dialed: Dialed, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let host = &mut self.hosts[exchange.origin];
        match dialed {
            Dialed::Trying(_) => {
                if let State::AwaitConnect(dialer) = &exchange.state {
                    for socket in dialer.sockets() {
                        self.holders.insert(socket, Holder::Exchange(key));
                    }
                }
                self.arm(key, cx);
            }
            Dialed::Connected(socket, _) => {
                self.holders.insert(socket, Holder::Exchange(key));
                let connection = Box::new(Connection::new(socket, limits));
                let url = &host.origin.url;
                match &host.origin.proxy {
                    Some(proxy) if url.is_tls => exchange.tunnel(connection, &connect_request(url, proxy)),
                    None if url.is_tls => self.secure(key, connection),
                    Some(_) | None => exchange.send(connection, cx.now),
                }
                self.wake(key, limits, cx);
            }
            Dialed::Failed(error) => {
                // Other addresses may be known by now.
                host.good_until = Time::ZERO;
                self.fail(key, Failure::NotReached(dialer::words(&error)));
            }
        }
    }

    /// Begins TLS on this connection of an exchange.
    fn secure(&mut self, key: Key, mut connection: Box<Connection>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let host = &self.hosts[exchange.origin];
        let begun = match &host.origin.trust {
            Some(trust) => Tls::new(trust, &host.origin.url.host).map_err(|error| error.to_string()),
            None => Err("no certificate authority is known".to_owned()),
        };
        match begun {
            Ok(tls) => connection.secure(tls),
            Err(why) => self.fail(key, Failure::Tls(why)),
        }
        if let Some(exchange) = self.exchanges.at_mut(key) {
            exchange.send_secured(connection);
        }
    }

    /// The connection that had been kept was of no use: begins anew, with a fresh one.
    fn start_again(&mut self, key: Key, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let place = exchange.origin;
        let ended = exchange.end();
        if let Ended::Connection { connection, .. } = ended {
            self.let_go(Ended::Connection { connection, is_fit: false }, place, pool, limits, cx);
        }
        self.look_for_host(key, limits, cx);
    }

    /// Keeps the connection of an exchange that is over, or closes what it held. `true` if it held a place.
    fn let_go(
        &mut self,
        ended: Ended,
        place: usize,
        pool: &mut Pool,
        limits: &Limits,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        match ended {
            Ended::Nothing { had_place } => return had_place,
            Ended::Dialer(mut dialer) => {
                for socket in dialer.sockets() {
                    self.holders.remove(socket);
                }
                dialer.give_up(cx);
            }
            Ended::Connection { mut connection, is_fit } => {
                let key = connection.key;
                let may_be_kept = is_fit
                    && connection.inbox.is_empty()
                    && connection.outbox.is_empty()
                    && !connection.peer_closed()
                    && !connection.broken();
                if may_be_kept {
                    connection.settle(pool);
                    let timer = cx.set_timer(cx.now.after(limits.outbound_idle_timeout), key);
                    self.holders.insert(key, Holder::Kept(place));
                    self.hosts[place].kept.push(Kept { connection, timer });
                } else {
                    connection.release(pool);
                    self.holders.remove(key);
                    cx.close(key);
                }
            }
        }
        true
    }

    fn close_kept(&mut self, mut kept: Kept, pool: &mut Pool, cx: &mut Cx<'_, '_>) {
        cx.cancel_timer(&mut Some(kept.timer));
        self.holders.remove(kept.connection.key);
        kept.connection.release(pool);
        cx.close(kept.connection.key);
    }

    fn fail(&mut self, key: Key, failure: Failure) {
        if let Some(exchange) = self.exchanges.at_mut(key) {
            exchange.failure = Some(failure);
            self.news.push(key);
        }
    }

    /// It can go on by itself: its request is to be sent.
    fn wake(&mut self, key: Key, limits: &Limits, cx: &mut Cx<'_, '_>) {
        self.lend(key, limits);
        self.arm(key, cx);
        self.news.push(key);
    }

    /// Sees to it that the timer fires no later than the next deadline. One that fires early only looks again: a
    /// deadline that moves with every byte costs nothing.
    fn arm(&mut self, key: Key, cx: &mut Cx<'_, '_>) {
        let Some(exchange) = self.exchanges.at_mut(key) else { return };
        let next_address = match &exchange.state {
            State::AwaitConnect(dialer) => dialer.next_at(),
            State::AwaitPlace
            | State::AwaitNames
            | State::AwaitTunnel(_)
            | State::AwaitHandshake(_)
            | State::AwaitHead(_)
            | State::InBody(_)
            | State::Over => None,
        };
        let deadline = exchange.deadline().map(|(deadline, _)| deadline);
        let Some(due) = deadline.into_iter().chain(next_address).min() else { return };
        if exchange.timer.is_some_and(|(_, set_for)| set_for <= due) {
            return;
        }
        if let Some((timer, _)) = exchange.timer.take() {
            cx.cancel_timer(&mut Some(timer));
        }
        exchange.timer = Some((cx.set_timer(due, key), due));
    }
}

/// What asks a proxy for a tunnel (RFC 9110 §9.3.6).
fn connect_request(url: &Url, proxy: &Proxy) -> Vec<u8> {
    let target = url.authority_with_port();
    let authorization = proxy.authorization.as_deref().map(|value| ("Proxy-Authorization", value));
    let fields: Vec<_> = authorization.into_iter().collect();
    let request = Request { method: "CONNECT", target: &target, host: &target, fields: &fields, body: None };
    let mut bytes = Vec::new();
    // Both were read by parsers of ours that refuse control bytes.
    let _ = write_request(&request, &mut bytes);
    bytes
}
