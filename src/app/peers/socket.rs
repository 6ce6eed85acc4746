//! A WebSocket: messages both ways, and any number of runs over one connection.
//!
//! In come `chat`, `cancel`, `resume` and `ping`, each a JSON object of its own; out come the events of the runs as they
//! stand in their logs, each with `run_id` and `seq`, and the answers to what was asked. A run is read as an event stream
//! reads it: by a cursor, a little at a time, and none while the outbox is full. So a slow client costs offsets, however many
//! runs it reads, and what it sends is not read either until it has taken what it is owed.
//!
//! ```text
//! {"type":"chat","message":"…","id":1} ──► {"type":"accepted","id":1,"run_id":"…","seq":0}
//!                                          {"type":"token","text":"…","run_id":"…","seq":3} …
//! {"type":"resume","run_id":"…","after":3} ──► {"type":"state","status":"running",…} and what comes behind 3
//! {"type":"cancel","run_id":"…"} ──► its `done` if it is read here; its state if it is not, or if the message has an id
//! {"type":"ping"} ──► {"type":"pong"}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::{finished, leave, storage_note};
use super::end::{hang_up, over};
use super::receive::{self, fetched, fill};
use super::{Allowance, Exchange, Found, Peer, Stepped, leaving, serve};
use crate::app::chat::{read_object, string};
use crate::app::record::json;
use crate::app::respond::{Detail, Invalid, Place, Problem};
use crate::app::runs::{Read, Record};
use crate::app::service::Service;
use crate::app::tasks;
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Time};
use crate::limits::Limits;
use crate::reactor::Cx;
use crate::store::Job;
use crate::wire::websocket::{CloseCode, Endpoint, WebSocketEvent};

/// What there is of a client that speaks WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    wire: Endpoint,
    readings: Vec<Reading>,
    /// The store looks for a run. What the client sends next has to wait.
    asked: Option<Asked>,
    /// When it was pinged last.
    pinged: Option<Time>,
    /// Bytes of a message that is not whole yet, as they are counted among all bodies, and when it began.
    held_bytes: usize,
    began: Option<Time>,
    /// Messages that were refused since one was not, and not for want of room.
    refusals: u32,
    /// The last frame is queued.
    is_over: bool,
}

/// A run that is read.
#[derive(Debug)]
struct Reading {
    run: Key,
    /// The last event that was sent.
    after: u64,
    /// The reader was told whether it is kept.
    kept: bool,
    state: State,
    /// It was cancelled from here, by a message of this name, which is answered once it has ended.
    cancel: Option<Box<RawValue>>,
}

#[derive(Debug)]
enum State {
    /// It is not kept yet that there is such a run. The client has given its request this name.
    Accepting(Option<Box<RawValue>>),
    /// Its events are sent.
    Reading,
    /// Only its end is of interest: somebody else reads it, and it was cancelled from here.
    Ending,
}

/// What was asked of a run that is not here.
#[derive(Debug)]
struct Asked {
    run: Uuid,
    deed: Deed,
    id: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Resume { after: u64 },
    Cancel,
}

/// A client's message, its values still as their text.
#[derive(Deserialize)]
struct Fields<'m> {
    #[serde(borrow)]
    r#type: Option<&'m RawValue>,
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    #[serde(borrow)]
    run_id: Option<&'m RawValue>,
    #[serde(borrow)]
    after: Option<&'m RawValue>,
}

impl Socket {
    /// The runs that it reads.
    pub(super) fn runs(&self) -> impl Iterator<Item = Key> {
        self.readings.iter().map(|reading| reading.run)
    }

    /// When its client is to be asked whether it is still there, or is taken for gone. Only while it is read from, which it
    /// is not while the store looks for something: its pong may have long arrived.
    pub(super) fn ping_due(&self, received_at: Time, limits: &Limits) -> Option<Time> {
        let heard = self.pinged.map_or(received_at, |pinged| pinged.max(received_at));
        let is_read = !self.is_over && self.asked.is_none();
        is_read.then(|| heard.after(limits.websocket_ping_interval))
    }

    /// When a message that has begun must be whole.
    pub(super) fn message_due(&self, limits: &Limits) -> Option<Time> {
        self.began.filter(|_| !self.is_over).map(|began| began.after(limits.body_timeout))
    }

    /// It is not read from, as its client has not taken what it is owed: its message can't go on meanwhile.
    pub(super) fn is_not_read(&mut self, now: Time) {
        self.began = self.began.map(|_| now);
    }

    /// Bytes of a message that is not whole yet, as they are counted among all bodies.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Nothing is read over it, nothing is asked and nothing half said: nobody would miss it for a while.
    pub(super) fn is_idle(&self) -> bool {
        let is_quiet = self.readings.is_empty() && self.asked.is_none() && !self.is_over;
        is_quiet && !self.wire.is_within_message() && !self.wire.owes_answer()
    }

    /// What it holds of a message is not counted any more.
    pub(super) fn let_go(&mut self, service: &mut Service) {
        service.count_held(std::mem::take(&mut self.held_bytes), 0);
        self.began = None;
    }

    fn is_reading(&self, run: Key) -> bool {
        self.readings.iter().any(|reading| reading.run == run)
    }
}

/// From here on the connection speaks WebSocket. What its client has sent already is still in the inbox.
pub(super) fn begin(peer: &mut Peer, accept: &str, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let date = service.date.text(cx.os.clock.wall());
    let fields = [("Sec-WebSocket-Accept", accept)];
    if peer.connection.outbox.is_empty() {
        peer.sent_at = cx.now;
    }
    if let Err(full) = peer.server.switch("websocket", date, &fields, &mut peer.connection.outbox) {
        log::error!("a handshake was dropped: {full}");
        return peer.connection.give_up();
    }
    if is_planted(Planted::LosesEarlyFrames) {
        peer.connection.inbox.consume(peer.connection.inbox.unread().len());
    }
    let socket = Socket {
        wire: Endpoint::new(),
        readings: Vec::new(),
        asked: None,
        pinged: None,
        held_bytes: 0,
        began: None,
        refusals: 0,
        is_over: false,
    };
    peer.exchange = Exchange::Socket(Box::new(socket));
    peer.since = cx.now;
}

/// Goes on with a WebSocket by one message, in or out.
pub(super) fn step(
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
    with(peer, |socket, peer| {
        if socket.is_over {
            let readings = std::mem::take(&mut socket.readings);
            for reading in readings.into_iter().filter(|_| !is_planted(Planted::KeepsReadings)) {
                leave(peer, reading.run, service, cx);
            }
            socket.let_go(service);
            finished(peer, 101, service, cx);
            return None;
        }
        peer.connection.outbox.prepare(&mut service.pool);
        Some(go_on(socket, peer, service, cx, allowance))
    })
    .unwrap_or_else(|| hang_up(peer, service, cx))
}

/// Lends the socket of a connection out beside it.
fn with<T>(peer: &mut Peer, deed: impl FnOnce(&mut Socket, &mut Peer) -> Option<T>) -> Option<T> {
    let exchange = std::mem::replace(&mut peer.exchange, Exchange::Nothing);
    let Exchange::Socket(mut socket) = exchange else {
        peer.exchange = exchange;
        return None;
    };
    let done = deed(&mut socket, peer);
    peer.exchange = Exchange::Socket(socket);
    done
}

fn go_on(
    socket: &mut Socket,
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
    let is_spent = allowance.requests == 0
        || allowance.frames == 0
        || service.has_spent_requests()
        || service.has_spent_frames();
    if socket.asked.is_none() && !is_spent {
        let connection = &mut peer.connection;
        let received =
            socket.wire.receive(connection.inbox.unread(), &mut connection.outbox, &service.limits);
        if let Ok(step) = &received
            && step.consumed > 0
        {
            connection.inbox.consume(step.consumed);
            allowance.frames -= 1;
            service.frames_this_turn += 1;
        }
        if !hold(socket, service, cx.now) {
            close(socket, peer, CloseCode::TryAgainLater, "too many messages are being received at once");
            return Stepped::On;
        }
        match received.map(|step| (step.consumed, step.event)) {
            Ok((0, None)) => {}
            Ok((_, None | Some(WebSocketEvent::Pong(_)))) => return Stepped::On,
            Ok((_, Some(WebSocketEvent::Text(text)))) => {
                allowance.requests -= 1;
                service.requests_this_turn += 1;
                peer.since = cx.now;
                hear(socket, peer, &text, service, cx);
                return Stepped::On;
            }
            Ok((_, Some(WebSocketEvent::Binary(_)))) => {
                close(socket, peer, CloseCode::Unsupported, "messages are text, each a JSON object");
                return Stepped::On;
            }
            Ok((_, Some(WebSocketEvent::Close { .. }))) => {
                socket.is_over = true;
                return Stepped::On;
            }
            Err(violation) => {
                log::debug!("{}: its WebSocket is closed: {violation}", peer.address);
                close(socket, peer, violation.close_code(), &violation.to_string());
                return Stepped::On;
            }
        }
    }
    let mut has_told = false;
    for index in (0..socket.readings.len()).rev() {
        if peer.queued() >= allowance.queued_to {
            return Stepped::Spent;
        }
        has_told |= tell(socket, index, peer, service, cx);
    }
    if has_told {
        peer.since = cx.now;
        return Stepped::On;
    }
    if service.is_stopping() && socket.readings.is_empty() && socket.asked.is_none() {
        close(socket, peer, CloseCode::GoingAway, "the server is shutting down");
        return Stepped::On;
    }
    match (is_spent, &socket.asked) {
        (_, Some(_)) => Stepped::Waits,
        (true, None) => Stepped::Spent,
        (false, None) => fill(peer, service, cx, allowance),
    }
}

/// Counts what has arrived of a message; answers whether there is room for it beside all other bodies.
fn hold(socket: &mut Socket, service: &mut Service, now: Time) -> bool {
    let held_bytes = socket.wire.message_bytes();
    let had_bytes = std::mem::replace(&mut socket.held_bytes, held_bytes);
    socket.began = socket.wire.is_within_message().then(|| socket.began.unwrap_or(now));
    service.count_held(had_bytes, held_bytes)
}

/// Somebody else needs its place.
pub(super) fn evict(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    with(peer, |socket, peer| {
        let reason = "there are too many connections, and this one was idle for longest";
        close(socket, peer, CloseCode::TryAgainLater, reason);
        Some(())
    });
    serve(peer, service, cx);
}

/// A message has begun long ago and is still not whole.
pub(super) fn too_slow(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    with(peer, |socket, peer| {
        close(socket, peer, CloseCode::PolicyViolation, "the message took too long");
        Some(())
    });
    serve(peer, service, cx);
}

/// Its client was silent for long: asks whether it is there, or takes it for gone if it was asked.
pub(super) fn ping(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Exchange::Socket(socket) = &mut peer.exchange else { return };
    let is_silent = socket.pinged.is_some_and(|pinged| peer.received_at < pinged);
    if is_silent && !is_planted(Planted::KeepsTheSilent) {
        log::debug!("{}: no pong", peer.address);
        cx.os.net.reset_on_close(peer.connection.key);
        return over(peer, service, cx);
    }
    socket.pinged = Some(cx.now);
    peer.sent_at = cx.now;
    peer.connection.outbox.prepare(&mut service.pool);
    if let Err(full) = socket.wire.ping(b"", &mut peer.connection.outbox) {
        log::error!("a ping was dropped: {full}");
    }
    serve(peer, service, cx);
}

/// Queues the last frame.
fn close(socket: &mut Socket, peer: &mut Peer, code: CloseCode, reason: &str) {
    socket.is_over = true;
    if let Err(full) = socket.wire.close(code, reason, &mut peer.connection.outbox) {
        log::error!("a close was dropped: {full}");
    }
}

// --- What a client says -------------------------------------------------------------------------------------------

/// Does what a message asks for.
fn hear(socket: &mut Socket, peer: &mut Peer, text: &str, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let (id, done) = match read_object::<Fields<'_>>(text.as_bytes()) {
        Ok(fields) => match named(fields.id, &service.limits) {
            Ok(id) => (id.clone(), obey(socket, peer, &fields, id, text, service, cx)),
            Err(invalid) => (None, Err(Problem::invalid(invalid))),
        },
        Err(invalid) => (None, Err(Problem::invalid(invalid))),
    };
    let Err(problem) = done else {
        socket.refusals = 0;
        return;
    };
    refuse(socket, peer, &problem, id.as_deref(), None, cx);
    // What there is no room for now is no fault of the client's.
    socket.refusals += u32::from(problem.retry_after.is_none());
    if socket.refusals > service.limits.websocket_refusals_max {
        close(socket, peer, CloseCode::PolicyViolation, "too many messages were refused one after the other");
    }
}

/// The name that a client has given to its message; a number or a string, as a rule.
fn named(text: Option<&RawValue>, limits: &Limits) -> Result<Option<Box<RawValue>>, Invalid> {
    match text {
        Some(text) if text.get().len() > limits.websocket_id_bytes_max => {
            let msg = format!("Input should have at most {} bytes as JSON", limits.websocket_id_bytes_max);
            Err(Invalid::new("too_long", &[Place::Name("body"), Place::Name("id")], msg))
        }
        text => Ok(text.map(ToOwned::to_owned)),
    }
}

fn obey(
    socket: &mut Socket,
    peer: &mut Peer,
    fields: &Fields<'_>,
    id: Option<Box<RawValue>>,
    text: &str,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<(), Problem> {
    let kind = fields.r#type.map_or(Some("chat".to_owned()), string);
    match kind.as_deref() {
        Some("chat") => {
            has_room(socket, &service.limits)?;
            let run = receive::begin(text.as_bytes(), service, cx)?;
            read(socket, peer, run, 0, State::Accepting(id), service, cx);
            Ok(())
        }
        Some("ping") => {
            send(socket, peer, &json(&Pong { r#type: "pong", id: id.as_deref() }), cx);
            Ok(())
        }
        Some("cancel") => about(socket, peer, fields, Deed::Cancel, id, service, cx),
        Some("resume") => {
            let place = [Place::Name("body"), Place::Name("after")];
            let after = fields.after.map_or(Ok(Some(0)), |text| serde_json::from_str(text.get()));
            let after = after.map_err(|_| {
                let msg = "Input should be a whole number: the seq of the last event that was seen";
                Problem::invalid(Invalid::new("int_type", &place, msg))
            })?;
            let deed = Deed::Resume { after: after.unwrap_or_default() };
            about(socket, peer, fields, deed, id, service, cx)
        }
        _ => {
            let msg = "Input should be 'chat', 'cancel', 'resume' or 'ping'";
            let place = [Place::Name("body"), Place::Name("type")];
            Err(Problem::invalid(Invalid::new("literal_error", &place, msg)))
        }
    }
}

fn has_room(socket: &Socket, limits: &Limits) -> Result<(), Problem> {
    if socket.readings.len() < limits.websocket_runs_max {
        return Ok(());
    }
    let detail = format!("this WebSocket reads {} runs already", limits.websocket_runs_max);
    Err(Problem { retry_after: Some(1), ..Problem::new(429, detail) })
}

/// Does something about a run that the message names, or has the store look for it.
fn about(
    socket: &mut Socket,
    peer: &mut Peer,
    fields: &Fields<'_>,
    deed: Deed,
    id: Option<Box<RawValue>>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<(), Problem> {
    let place = [Place::Name("body"), Place::Name("run_id")];
    let text =
        fields.run_id.ok_or_else(|| Problem::invalid(Invalid::new("missing", &place, "Field required")))?;
    let run = string(text)
        .and_then(|text| Uuid::try_parse(&text).ok())
        .ok_or_else(|| Problem::invalid(Invalid::not_an_id("body", "run_id")))?;
    if let Some(run) = service.runs.find(run) {
        return do_about(socket, peer, run, deed, id, service, cx);
    }
    service
        .journal
        .read(Job::Find { asker: peer.connection.key, run })
        .map_err(|_| Problem::busy("too many look into what is kept; try again", 1))?;
    socket.asked = Some(Asked { run, deed, id });
    Ok(())
}

/// The store has looked for the run that a message has named.
pub(super) fn found(peer: &mut Peer, found: Found, service: &mut Service, cx: &mut Cx<'_, '_>) {
    with(peer, |socket, peer| {
        let Asked { run, deed, id } = socket.asked.take()?;
        let done = match found {
            Found::Run(kept) => fetched(run, kept, service).and_then(|run| {
                let done = do_about(socket, peer, run, deed, id.clone(), service, cx);
                // It may have been fetched for a refusal.
                if !is_planted(Planted::KeepsFetched) {
                    service.retire(run, cx);
                }
                done
            }),
            Found::Nothing(trouble) => Err(Problem::not_read(&trouble)),
            _ => Err(Problem::new(500, "the store has answered another question")),
        };
        if let Err(problem) = done {
            refuse(socket, peer, &problem, id.as_deref(), Some(run), cx);
        }
        Some(())
    });
    serve(peer, service, cx);
}

/// Does something about a run that is here.
fn do_about(
    socket: &mut Socket,
    peer: &mut Peer,
    run: Key,
    deed: Deed,
    id: Option<Box<RawValue>>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<(), Problem> {
    let record = service.runs.at(run).ok_or_else(Problem::expired_task)?;
    let is_final = record.shown().is_final();
    match deed {
        Deed::Resume { after } => {
            if !socket.is_reading(run) {
                has_room(socket, &service.limits)?;
                read(socket, peer, run, after, State::Reading, service, cx);
            }
            for reading in socket.readings.iter_mut().filter(|reading| reading.run == run) {
                let skipped = u64::from(after > 0 && is_planted(Planted::SkipsOnResume));
                reading.after = after + skipped;
                reading.state = State::Reading;
            }
            send_state(socket, peer, run, after, id.as_deref(), service, cx);
        }
        Deed::Cancel if is_final => {
            let last = record.last_event();
            send_state(socket, peer, run, last, id.as_deref(), service, cx);
            // It may have been fetched for this answer alone.
            service.retire(run, cx);
        }
        Deed::Cancel => {
            if !socket.is_reading(run) {
                has_room(socket, &service.limits)?;
                read(socket, peer, run, 0, State::Ending, service, cx);
            }
            for reading in socket.readings.iter_mut().filter(|reading| reading.run == run) {
                reading.cancel.clone_from(&id);
            }
            service.cancel(run, cx);
        }
    }
    Ok(())
}

/// Reads a run from here on.
fn read(
    socket: &mut Socket,
    peer: &Peer,
    run: Key,
    after: u64,
    state: State,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let mut grace = service.runs.watch(run, peer.connection.key);
    cx.cancel_timer(&mut grace);
    socket.readings.push(Reading { run, after, kept: true, state, cancel: None });
    if peer.connection.peer_closed() {
        leaving(peer, run, service, cx);
    }
}

// --- What a client is told ----------------------------------------------------------------------------------------

#[derive(Serialize)]
struct Pong<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Accepted<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    run_id: Uuid,
    seq: u64,
}

/// Why something was not done. It is no event of a run's: those are called `error` and have a `seq`.
#[derive(Serialize)]
struct Refused<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<Uuid>,
    /// What HTTP would have answered with.
    status: u16,
    detail: &'a Detail,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
}

/// What is read of one run next, if there is something. Answers whether there was.
fn tell(
    socket: &mut Socket,
    index: usize,
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> bool {
    let Socket { wire, readings, .. } = socket;
    let Reading { run, after, kept, state, cancel } = &mut readings[index];
    let run = *run;
    let mut out = Out { wire, peer, now: cx.now };
    let Some(record) = service.runs.at(run) else {
        readings.swap_remove(index);
        return true;
    };
    let (has_told, has_ended) = match state {
        State::Accepting(id) => match &record.refused {
            Some(trouble) => {
                out.refuse(&Problem::not_kept(trouble), id.as_deref(), None);
                (true, true)
            }
            None if !record.is_admitted() => (false, false),
            None => {
                let accepted = Accepted { r#type: "accepted", id: id.as_deref(), run_id: record.id, seq: 0 };
                out.send(&json(&accepted));
                *state = State::Reading;
                (true, false)
            }
        },
        State::Ending if record.shown().is_final() => {
            out.state(run, record.last_event(), cancel.as_deref(), service);
            (true, true)
        }
        State::Ending => match service.journal.trouble() {
            // It is cancelled, but a process that takes over might not know.
            Some(trouble) => {
                out.refuse(&Problem::not_kept(trouble), cancel.as_deref(), Some(record.id));
                (true, true)
            }
            None if service.is_parked() => {
                let problem =
                    Problem::busy("the server restarts before it is kept that this is cancelled", 1);
                out.refuse(&problem, cancel.as_deref(), Some(record.id));
                (true, true)
            }
            None => (false, false),
        },
        State::Reading => {
            let is_kept = service.journal.trouble().is_none();
            let has_changed = std::mem::replace(kept, is_kept) != is_kept;
            if has_changed {
                out.event(record, *after, &storage_note(service.journal.trouble()));
            }
            let (told, ended) = out.events(record, after, service);
            if ended && cancel.is_some() && record.shown().is_final() {
                out.state(run, record.last_event(), cancel.as_deref(), service);
            }
            (has_changed || told, ended)
        }
    };
    if has_ended {
        readings.swap_remove(index);
        leave(peer, run, service, cx);
    }
    has_told || has_ended
}

/// Bytes of a frame that holds an event, beside the event itself.
const EVENT_ROOM: usize = 128;

/// The way out of one socket.
struct Out<'s> {
    wire: &'s mut Endpoint,
    peer: &'s mut Peer,
    now: Time,
}

impl Out<'_> {
    fn send(&mut self, text: &str) {
        if self.peer.connection.outbox.is_empty() {
            self.peer.sent_at = self.now;
        }
        if let Err(full) = self.wire.send_text(text, &mut self.peer.connection.outbox) {
            log::error!("a message was dropped and its WebSocket with it: {full}");
            self.peer.connection.give_up();
        }
    }

    /// An event as it stands in the log, with its run and its number in front.
    fn event(&mut self, record: &Record, number: u64, json: &str) {
        let rest = json.strip_prefix('{').unwrap_or(json);
        self.send(&format!("{{\"run_id\":\"{}\",\"seq\":{number},{rest}", record.id));
    }

    /// As many of a run's events as are framed at a time. Answers whether there were some, and whether those were the last.
    fn events(&mut self, record: &Record, after: &mut u64, service: &Service) -> (bool, bool) {
        let mut bytes = 0;
        while bytes < service.limits.stream_bytes_per_fill {
            match record.read(*after) {
                Read::Event(_, json) if json.len() + EVENT_ROOM > self.peer.connection.outbox.free() => {
                    if !self.peer.connection.outbox.is_empty() {
                        break;
                    }
                    let detail = "this run's answer is more than one message has room for";
                    self.refuse(&Problem::new(507, detail), None, Some(record.id));
                    return (true, true);
                }
                Read::Event(number, json) => {
                    self.event(record, number, json);
                    bytes += json.len();
                    *after = number;
                }
                Read::End => return (bytes > 0, true),
                Read::CaughtUp if service.is_parked() && !record.status.is_final() => {
                    self.event(record, *after, "{\"type\":\"restarting\"}");
                    return (true, true);
                }
                Read::CaughtUp => break,
            }
        }
        (bytes > 0, false)
    }

    fn state(&mut self, run: Key, seq: u64, id: Option<&RawValue>, service: &Service) {
        let Some(state) = tasks::state(run, &service.runs) else { return };
        let id = id.map_or(String::new(), |id| format!("\"id\":{id},"));
        let rest = state.strip_prefix('{').unwrap_or(&state);
        self.send(&format!("{{{id}\"seq\":{seq},{rest}"));
    }

    fn refuse(&mut self, problem: &Problem, id: Option<&RawValue>, run_id: Option<Uuid>) {
        let Problem { status, detail, retry_after, .. } = problem;
        let refused =
            Refused { r#type: "refused", id, run_id, status: *status, detail, retry_after: *retry_after };
        self.send(&json(&refused));
    }
}

fn send(socket: &mut Socket, peer: &mut Peer, text: &str, cx: &Cx<'_, '_>) {
    Out { wire: &mut socket.wire, peer, now: cx.now }.send(text);
}

fn refuse(
    socket: &mut Socket,
    peer: &mut Peer,
    problem: &Problem,
    id: Option<&RawValue>,
    run: Option<Uuid>,
    cx: &Cx<'_, '_>,
) {
    Out { wire: &mut socket.wire, peer, now: cx.now }.refuse(problem, id, run);
}

fn send_state(
    socket: &mut Socket,
    peer: &mut Peer,
    run: Key,
    seq: u64,
    id: Option<&RawValue>,
    service: &Service,
    cx: &Cx<'_, '_>,
) {
    Out { wire: &mut socket.wire, peer, now: cx.now }.state(run, seq, id, service);
}
