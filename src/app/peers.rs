//! One client's connection and what is going on over it: the place where sockets, HTTP and runs meet.
//!
//! ```text
//!               Head, End                    (whole answer)
//!    Nothing ───────────────► Receiving ──────────────────────► Nothing
//!       ▲                        │  └─ run begun ─► AwaitRun ─── ended ──┐
//!       │                        ├──── sync ──────► AwaitSync ─ scanned ─┤
//!       │                        └──── stream ────► Streaming ─ read up ─┤
//!       └───────────────────────────────────────────────────────────────┘
//!    any of them ── last answer queued, or a peer that must go ──► Lingering ──► (closed)
//! ```
//!
//! [`serve`] is the one way forward: whatever has happened (bytes, room to send, news of a run, a timer), it goes
//! through the same short list until nothing can be done without waiting. What we owe goes out before more is taken
//! in, so a peer that doesn't read stops being read from: that is all the backpressure there is.

use std::net::SocketAddr;

use uuid::Uuid;

use super::access_log::{Line, shown};
use super::respond::{Problem, Reply};
use super::routes::{Route, route};
use super::runs::{OnDisconnect, Read};
use super::service::Service;
use super::{chat, health, tasks};
use crate::base::{Key, Pressure, Time};
use crate::limits::Limits;
use crate::net::{Connection, Fill};
use crate::notes::ScanReport;
use crate::os::Ready;
use crate::reactor::{Cx, TimerId};
use crate::wire::http1::{AdmitError, After, Answer, AnswerBody, EndOfInput, Method, RequestEvent, Server};
use crate::wire::sse;

/// What a connection is in the middle of.
#[derive(Debug)]
enum Exchange {
    /// Between requests, or within a head.
    Nothing,
    /// A request was routed; its body is arriving.
    Receiving { route: Route, body: Vec<u8> },
    /// `/chat`: the answer is the run's.
    AwaitRun { run: Key },
    /// An event stream, sent up to and with event number `sent`.
    Streaming { run: Key, sent: u64 },
    /// `/sync`: the answer is the scan's.
    AwaitSync,
    /// The last answer is out; what still arrives is dropped until the peer closes or the time is up.
    Lingering { bytes_left: usize },
}

/// How a connection's request is told in the access log.
#[derive(Debug)]
struct Told {
    request: Box<str>,
    began: Time,
    bytes_before: u64,
    run: Option<Uuid>,
}

/// One client.
#[derive(Debug)]
pub struct Peer {
    connection: Connection,
    address: SocketAddr,
    server: Server,
    exchange: Exchange,
    /// The request being answered is a HEAD: a stream for it has a head and no events.
    by_head: bool,
    told: Option<Told>,
    bytes_sent: u64,
    /// Some request has been begun: from here on the silence between requests is idle time.
    has_asked: bool,
    /// When the present wait began: for a head its first byte (or the accept), for a body its head, for silence the
    /// end of the last answer.
    since: Time,
    /// When bytes last arrived.
    received_at: Time,
    /// When the peer last took bytes, or the first of those that wait were queued.
    sent_at: Time,
    timer: Option<(TimerId, Time)>,
    /// It is being closed; what still happens to it is of no interest.
    gone: bool,
}

/// What one connection may do in one turn before others have theirs.
#[derive(Debug)]
struct Allowance {
    read_bytes: usize,
    requests: usize,
    /// Where [`Peer::queued`] may be when the turn's share of answers is spent.
    queued_to: u64,
}

/// How one step of [`serve`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stepped {
    /// Something was done: look again.
    On,
    /// Nothing can be done until something happens.
    Waits,
    /// There is more to do, in the next turn.
    Spent,
    /// The connection is over.
    Over,
}

/// What a request is answered with, once all of it was read.
enum Outcome {
    /// With the scratch buffer's bytes.
    Whole(Reply),
    /// With a refusal.
    Refuse(Problem),
    /// With nothing but fields: 204, and what is allowed there.
    Allowed(&'static str),
    /// With nothing: 204.
    NoContent,
    /// With a run's answer, when there is one.
    Run(Key),
    /// With a run's events from behind this one.
    Stream(Key, u64),
    /// With a scan's report.
    Sync,
}

impl Peer {
    /// A client that has just connected.
    pub fn new(key: Key, address: SocketAddr, now: Time, limits: &Limits) -> Peer {
        Peer {
            connection: Connection::new(key, limits),
            address,
            server: Server::new(),
            exchange: Exchange::Nothing,
            by_head: false,
            told: None,
            bytes_sent: 0,
            has_asked: false,
            since: now,
            received_at: now,
            sent_at: now,
            timer: None,
            gone: false,
        }
    }

    /// Between requests, with nothing to send: nobody would miss it.
    pub fn is_idle(&self) -> bool {
        matches!(self.exchange, Exchange::Nothing)
            && self.server.is_idle()
            && self.connection.outbox.is_empty()
    }

    /// When it became idle, if it is and nobody has begun to close it.
    pub fn idle_since(&self) -> Option<Time> {
        (self.is_idle() && !self.gone).then_some(self.since)
    }

    /// Bytes of answers since the connection began, sent or waiting.
    fn queued(&self) -> u64 {
        self.bytes_sent + self.connection.outbox.len() as u64
    }

    fn run(&self) -> Option<Key> {
        match self.exchange {
            Exchange::AwaitRun { run } | Exchange::Streaming { run, .. } => Some(run),
            Exchange::Nothing
            | Exchange::Receiving { .. }
            | Exchange::AwaitSync
            | Exchange::Lingering { .. } => None,
        }
    }
}

/// Takes what the poller said of a client, and goes on with it.
pub fn ready(peer: &mut Peer, ready: Ready, service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.connection.note(ready);
    if peer.gone {
        return;
    }
    if let Some(run) = peer.run()
        && peer.connection.peer_closed()
    {
        // It may be half-closed and still read, or it may be gone: only a write could tell, and there is none to make.
        service.runs.leaving(run, peer.connection.key);
        service.left(run, cx);
    }
    serve(peer, service, cx);
}

/// Goes on with a client until nothing can be done without waiting.
pub fn serve(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.gone {
        return;
    }
    let mut allowance = Allowance {
        read_bytes: service.limits.read_bytes_per_turn,
        requests: service.limits.requests_per_turn_max,
        queued_to: peer.queued() + service.limits.answer_bytes_per_turn as u64,
    };
    let ended = loop {
        match step(peer, service, cx, &mut allowance) {
            Stepped::On => {}
            ended => break ended,
        }
    };
    if ended != Stepped::Over {
        flush(peer, cx);
    }
    let unwanted = ended == Stepped::Waits && service.is_stopping() && peer.is_idle();
    if ended == Stepped::Over || unwanted || peer.connection.broken() {
        over(peer, service, cx);
        return;
    }
    // What is left to do here nobody will announce: a budget ended it, or a flush was interrupted.
    if (ended == Stepped::Spent || peer.connection.may_write())
        && let Some(again) = peer.connection.ask_again()
    {
        cx.again(again);
    }
    peer.connection.settle(&mut service.pool);
    arm(peer, service, cx);
}

/// The list: owed bytes, the end of the connection, what is being waited for, the next request.
fn step(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>, allowance: &mut Allowance) -> Stepped {
    if peer.connection.broken() {
        return Stepped::Over;
    }
    if peer.connection.outbox.pressure() == Pressure::High {
        flush(peer, cx);
        if peer.connection.outbox.pressure() == Pressure::High {
            return Stepped::Waits;
        }
    }
    match peer.exchange {
        Exchange::Nothing => match peer.server.after() {
            After::Close => hang_up(peer, service, cx),
            After::Next => receive(peer, service, cx, allowance),
        },
        Exchange::Receiving { .. } => receive(peer, service, cx, allowance),
        Exchange::AwaitRun { run } => answer_run(peer, run, service, cx),
        Exchange::Streaming { run, sent } => stream(peer, run, sent, service, cx, allowance),
        Exchange::AwaitSync => Stepped::Waits,
        Exchange::Lingering { bytes_left } => linger(peer, bytes_left, service, cx, allowance),
    }
}

fn flush(peer: &mut Peer, cx: &mut Cx<'_, '_>) {
    let taken = peer.connection.flush(cx.os.net);
    if taken > 0 {
        peer.sent_at = cx.now;
        peer.bytes_sent += taken as u64;
        // The silence between requests begins when the answer is out, not when it was queued.
        if peer.is_idle() {
            peer.since = cx.now;
        }
    }
}

// --- Taking requests in -------------------------------------------------------------------------------------------

fn receive(
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
    let all_spent = service.requests_this_turn >= service.limits.requests_per_turn_all_max;
    if allowance.requests == 0 || all_spent || peer.queued() >= allowance.queued_to {
        return Stepped::Spent;
    }
    let unread = peer.connection.inbox.unread();
    let begins = peer.server.is_idle();
    let step = match peer.server.receive(unread, &service.limits) {
        Ok(step) => step,
        Err(error) => {
            tell_malformed(peer, service, cx);
            refuse(peer, &Problem::new(error.status(), error.to_string()), service, cx);
            return Stepped::On;
        }
    };
    let consumed = step.consumed;
    match step.event {
        Some(RequestEvent::Head(head)) => {
            allowance.requests -= 1;
            service.requests_this_turn += 1;
            let routed = route(&head, &service.doors);
            peer.by_head = head.method == Method::Head;
            if !matches!(routed, Ok(Route::Health)) && service.access_log.is_on() {
                let request = shown(head.method.as_str(), head.target);
                peer.told = Some(Told { request, began: cx.now, bytes_before: peer.queued(), run: None });
            }
            peer.connection.inbox.consume(consumed);
            peer.has_asked = true;
            peer.since = cx.now;
            peer.connection.outbox.prepare(&mut service.pool);
            match routed {
                Ok(route) => admit(peer, route, service, cx),
                Err(problem) => refuse(peer, &problem, service, cx),
            }
            Stepped::On
        }
        Some(RequestEvent::Body(bytes)) => {
            let kept = match &mut peer.exchange {
                Exchange::Receiving { route, body } if route.wants_body() => service.keep_body(bytes, body),
                _ => true,
            };
            peer.connection.inbox.consume(consumed);
            if !kept {
                let detail = "too many request bodies are being received at once; try again in a moment";
                refuse(peer, &Problem::busy(detail, 1), service, cx);
            }
            Stepped::On
        }
        Some(RequestEvent::End) => {
            peer.connection.inbox.consume(consumed);
            act(peer, service, cx);
            Stepped::On
        }
        None => {
            if begins && !peer.server.is_idle() && peer.has_asked {
                peer.since = cx.now;
            }
            if consumed > 0 {
                peer.connection.inbox.consume(consumed);
                return Stepped::On;
            }
            fill(peer, service, cx, allowance)
        }
    }
}

fn fill(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>, allowance: &mut Allowance) -> Stepped {
    match peer.connection.fill(cx.os.net, &mut service.pool, &mut allowance.read_bytes) {
        Fill::Received => {
            peer.received_at = cx.now;
            Stepped::On
        }
        Fill::Nothing => Stepped::Waits,
        Fill::Spent => Stepped::Spent,
        Fill::Ended => match peer.server.end_of_input() {
            // Answers that are still in the outbox go out first; the peer may only have shut its sending side.
            EndOfInput::Clean if !peer.connection.outbox.is_empty() => {
                flush(peer, cx);
                if peer.connection.outbox.is_empty() { Stepped::Over } else { Stepped::Waits }
            }
            EndOfInput::Clean | EndOfInput::MidRequest => Stepped::Over,
        },
        // A whole buffer that the parser can do nothing with: it refuses a head that long, so this is a reset's twin.
        Fill::Full | Fill::Broken => Stepped::Over,
    }
}

fn admit(peer: &mut Peer, route: Route, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.connection.outbox.is_empty() {
        // `100 Continue` may be the first of what waits.
        peer.sent_at = cx.now;
    }
    match peer.server.admit(route.body_bytes_max(&service.limits), &mut peer.connection.outbox) {
        Ok(()) => peer.exchange = Exchange::Receiving { route, body: Vec::new() },
        Err(AdmitError::Full(_)) => {
            refuse(peer, &Problem::busy("this connection has too many unread answers", 1), service, cx);
        }
        Err(error @ AdmitError::TooLarge { .. }) => {
            refuse(peer, &Problem::new(413, error.to_string()), service, cx);
        }
    }
}

/// The request is complete: does what it asks for.
fn act(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Exchange::Receiving { route, body } = std::mem::replace(&mut peer.exchange, Exchange::Nothing) else {
        return;
    };
    service.body_bytes_in_flight = service.body_bytes_in_flight.saturating_sub(body.len());
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let outcome = perform(route, &body, peer.connection.key, service, cx, &mut scratch);
    match outcome {
        Outcome::Whole(reply) => {
            send_whole(peer, reply.status, reply.location.as_deref(), &scratch, service, cx);
        }
        Outcome::Refuse(problem) => refuse(peer, &problem, service, cx),
        Outcome::Allowed(allow) => send_empty(peer, &[("Allow", allow)], service, cx),
        Outcome::NoContent => send_empty(peer, &[], service, cx),
        Outcome::Run(run) => {
            watch(peer, run, service, cx);
            peer.exchange = Exchange::AwaitRun { run };
        }
        Outcome::Stream(run, after) => begin_stream(peer, run, after, service, cx),
        Outcome::Sync => peer.exchange = Exchange::AwaitSync,
    }
    service.scratch = scratch;
}

fn perform(
    route: Route,
    body: &[u8],
    connection: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    scratch: &mut Vec<u8>,
) -> Outcome {
    let done = match route {
        Route::Health => Ok(Outcome::Whole(health::health(&service.library, service.is_stopping(), scratch))),
        Route::Info => {
            let reply = health::info(&service.library, &service.runs, service.open_connections, cx, scratch);
            Ok(Outcome::Whole(reply))
        }
        Route::Chat => begin(body, OnDisconnect::Cancel, service, cx).map(Outcome::Run),
        Route::ChatStream => {
            begin(body, OnDisconnect::Cancel, service, cx).map(|run| Outcome::Stream(run, 0))
        }
        Route::ChatAsync => begin(body, OnDisconnect::Continue, service, cx)
            .and_then(|run| tasks::accepted(run, &service.runs, scratch))
            .map(Outcome::Whole),
        Route::Task(id) => tasks::show(id, &service.runs, scratch).map(Outcome::Whole),
        Route::TaskStream { id, after } => tasks::find(id, &service.runs).map(|run| {
            let read = service.runs.at(run).map(|record| record.read(after));
            if read == Some(Read::End) { Outcome::NoContent } else { Outcome::Stream(run, after) }
        }),
        Route::Sync => {
            service.folder.sync(Some(connection), &mut service.library, cx.os.disk);
            service.works.wake_index();
            Ok(Outcome::Sync)
        }
        Route::Tasks { limit, before } => {
            Ok(Outcome::Whole(tasks::list(limit, before, &service.runs, scratch)))
        }
        Route::CancelTask(id) => tasks::find(id, &service.runs).and_then(|run| {
            service.cancel(run, cx);
            tasks::show(id, &service.runs, scratch).map(Outcome::Whole)
        }),
        Route::Options(allow) => Ok(Outcome::Allowed(allow)),
    };
    done.unwrap_or_else(Outcome::Refuse)
}

/// Reads a question and begins its run. An async one goes on whatever the client wishes: there is none to wait for.
fn begin(
    body: &[u8],
    default: OnDisconnect,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Key, Problem> {
    if service.is_stopping() {
        return Err(Problem::busy("the server is shutting down", 1));
    }
    let chat = chat::parse(body, &service.limits)?;
    let on_disconnect = match default {
        OnDisconnect::Continue => OnDisconnect::Continue,
        OnDisconnect::Cancel => chat.on_disconnect.unwrap_or(default),
    };
    let Service { runs, limits, .. } = service;
    let run = chat::begin(&chat.question, on_disconnect, runs, limits, cx.os.clock, cx.os.entropy)?;
    Ok(run)
}

// --- Answering ----------------------------------------------------------------------------------------------------

fn answer(
    peer: &mut Peer,
    status: u16,
    fields: &[(&str, &str)],
    content_type: Option<&str>,
    body: AnswerBody<'_>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let close = service.is_stopping();
    let date = service.date.text(cx.os.clock.wall());
    let answer = Answer { status, date, content_type, fields, body, close };
    if peer.connection.outbox.is_empty() {
        peer.sent_at = cx.now;
    }
    let whole = !matches!(body, AnswerBody::Stream);
    if let Err(full) = peer.server.begin(&answer, &mut peer.connection.outbox) {
        // Bodies are bounded below an outbox's room, so this is our own mistake; the peer sees a closed connection
        // instead of half an answer.
        log::error!("an answer was dropped: {full}");
        peer.connection.give_up();
    }
    if whole {
        finished(peer, status, service, cx);
    }
}

fn send_whole(
    peer: &mut Peer,
    status: u16,
    location: Option<&str>,
    body: &[u8],
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let location = location.map(|location| ("Location", location));
    answer(peer, status, location.as_slice(), Some(JSON), AnswerBody::Whole(body), service, cx);
}

fn send_empty(peer: &mut Peer, fields: &[(&str, &str)], service: &mut Service, cx: &mut Cx<'_, '_>) {
    answer(peer, 204, fields, None, AnswerBody::Empty, service, cx);
}

fn refuse(peer: &mut Peer, problem: &Problem, service: &mut Service, cx: &mut Cx<'_, '_>) {
    release_body(peer, service);
    peer.exchange = Exchange::Nothing;
    let mut body = Vec::new();
    problem.write(&mut body);
    log::debug!("{}: refused with {}: {}", peer.address, problem.status, String::from_utf8_lossy(&body));
    let retry_after = problem.retry_after.map(|seconds| seconds.to_string());
    let mut fields = Vec::new();
    fields.extend(problem.allow.map(|allow| ("Allow", allow)));
    fields.extend(retry_after.as_deref().map(|seconds| ("Retry-After", seconds)));
    answer(peer, problem.status, &fields, Some(JSON), AnswerBody::Whole(&body), service, cx);
}

/// The answer is complete: tells it, and starts the wait for the next request.
fn finished(peer: &mut Peer, status: u16, service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.since = cx.now;
    if let Some(told) = peer.told.take() {
        let bytes = peer.queued().saturating_sub(told.bytes_before);
        service.access_log.add(&Line {
            peer: peer.address,
            request: &told.request,
            status,
            bytes,
            took: cx.now.since(told.began),
            run: told.run,
        });
    }
}

const JSON: &str = "application/json";

/// Fields of an event stream: it is never kept, never changed on its way, never gathered by a proxy.
const STREAM_FIELDS: [(&str, &str); 2] =
    [("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no")];

fn watch(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let mut grace = service.runs.watch(run, peer.connection.key);
    cx.cancel_timer(&mut grace);
    if let Some(told) = &mut peer.told {
        told.run = service.runs.at(run).map(|record| record.id);
    }
    if peer.connection.peer_closed() {
        service.runs.leaving(run, peer.connection.key);
        service.left(run, cx);
    }
}

/// `/chat`: the run's answer, once it has one.
fn answer_run(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let problem = match service.runs.at(run) {
        Some(record) if !record.status.is_final() => {
            service.scratch = scratch;
            return Stepped::Waits;
        }
        Some(record) => match (record.response(), &record.error) {
            (Some(response), _) => {
                scratch.extend_from_slice(response.as_bytes());
                None
            }
            (None, Some(error)) => Some(Problem::new(500, error.clone())),
            (None, None) => Some(Problem::new(409, "the run was cancelled")),
        },
        None => Some(Problem::expired_task()),
    };
    service.runs.unwatch(run, peer.connection.key);
    peer.exchange = Exchange::Nothing;
    match problem {
        None => send_whole(peer, 200, None, &scratch, service, cx),
        Some(problem) => refuse(peer, &problem, service, cx),
    }
    service.scratch = scratch;
    Stepped::On
}

/// `/sync`: the scan has ended.
pub fn synced(peer: &mut Peer, report: &ScanReport, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if !matches!(peer.exchange, Exchange::AwaitSync) || peer.gone {
        return;
    }
    peer.exchange = Exchange::Nothing;
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    health::synced(report, &mut scratch);
    send_whole(peer, 200, None, &scratch, service, cx);
    service.scratch = scratch;
    serve(peer, service, cx);
}

fn begin_stream(peer: &mut Peer, run: Key, after: u64, service: &mut Service, cx: &mut Cx<'_, '_>) {
    answer(peer, 200, &STREAM_FIELDS, Some("text/event-stream"), AnswerBody::Stream, service, cx);
    if peer.connection.broken() {
        return;
    }
    if peer.by_head {
        end_stream(peer, service, cx);
        return;
    }
    watch(peer, run, service, cx);
    peer.exchange = Exchange::Streaming { run, sent: after };
}

fn end_stream(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if let Err(full) = peer.server.finish(&mut peer.connection.outbox) {
        log::error!("a stream could not be ended: {full}");
        peer.connection.give_up();
    }
    peer.exchange = Exchange::Nothing;
    finished(peer, 200, service, cx);
}

/// An event stream: frames what the reader has not had yet, a little at a time. The log is the buffer.
fn stream(
    peer: &mut Peer,
    run: Key,
    sent: u64,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &Allowance,
) -> Stepped {
    let Some(record) = service.runs.at(run) else {
        // Swept while this reader was slow: the stream is cut, and on coming back it is told that the run is gone.
        return Stepped::Over;
    };
    if peer.queued() >= allowance.queued_to {
        return Stepped::Spent;
    }
    let mut id_text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id_text: &str = record.id.hyphenated().encode_lower(&mut id_text);
    let mut frames = std::mem::take(&mut service.scratch);
    frames.clear();
    let mut sequence = sent;
    let read = loop {
        match record.read(sequence) {
            Read::Event(number, json) if frames.len() < service.limits.stream_bytes_per_fill => {
                sse::event(Some(sse::EventId { run: id_text, sequence: number }), json, &mut frames);
                sequence = number;
            }
            read => break read,
        }
    };
    let ended = read == Read::End;
    let framed = !frames.is_empty();
    if framed {
        send_frames(peer, &frames, service, cx);
        peer.exchange = Exchange::Streaming { run, sent: sequence };
        peer.since = cx.now;
    }
    service.scratch = frames;
    if ended {
        service.runs.unwatch(run, peer.connection.key);
        end_stream(peer, service, cx);
        return Stepped::On;
    }
    if framed { Stepped::On } else { Stepped::Waits }
}

fn send_frames(peer: &mut Peer, frames: &[u8], service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.connection.outbox.prepare(&mut service.pool);
    if peer.connection.outbox.is_empty() {
        peer.sent_at = cx.now;
    }
    if let Err(full) = peer.server.send_body(frames, &mut peer.connection.outbox) {
        log::error!("events were dropped and their stream with them: {full}");
        peer.connection.give_up();
    }
}

// --- The end of a connection -------------------------------------------------------------------------------------

/// The last answer is queued. Closing at once could reset the connection under a peer that is still sending, and the
/// reset could overtake the answer; so our side is shut first and the rest is dropped for a while.
fn hang_up(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
    flush(peer, cx);
    if !peer.connection.outbox.is_empty() {
        return Stepped::Waits;
    }
    if peer.connection.ended() {
        return Stepped::Over;
    }
    cx.os.net.shutdown_write(peer.connection.key);
    peer.since = cx.now;
    peer.exchange = Exchange::Lingering { bytes_left: service.limits.linger_bytes_max };
    Stepped::On
}

fn linger(
    peer: &mut Peer,
    bytes_left: usize,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
    let dropped = peer.connection.discard_input();
    if dropped > bytes_left {
        return Stepped::Over;
    }
    peer.exchange = Exchange::Lingering { bytes_left: bytes_left - dropped };
    match peer.connection.fill(cx.os.net, &mut service.pool, &mut allowance.read_bytes) {
        Fill::Received => Stepped::On,
        Fill::Nothing => Stepped::Waits,
        Fill::Spent => Stepped::Spent,
        Fill::Ended | Fill::Full | Fill::Broken => Stepped::Over,
    }
}

/// Lets go of everything a connection had, and has it closed.
pub fn over(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.gone {
        return;
    }
    peer.gone = true;
    let mut timer = peer.timer.take().map(|(timer, _)| timer);
    cx.cancel_timer(&mut timer);
    release_body(peer, service);
    let key = peer.connection.key;
    if let Some(run) = peer.run() {
        service.runs.unwatch(run, key);
        // A reset is final: nobody can read the answer of `/chat` any more. A stream may be resumed.
        if peer.connection.broken() && matches!(peer.exchange, Exchange::AwaitRun { .. }) {
            service.lost(run, cx);
        } else {
            service.left(run, cx);
        }
    }
    if matches!(peer.exchange, Exchange::AwaitSync) {
        service.folder.forget(key);
    }
    if peer.told.is_some() {
        let status = if matches!(peer.exchange, Exchange::Streaming { .. }) { 200 } else { CLIENT_CLOSED };
        finished(peer, status, service, cx);
    }
    // Now and not with the close phase: when five hundred clients leave in one turn, one buffer serves them all.
    peer.connection.release(&mut service.pool);
    log::debug!("{}: closed after {} bytes of answers", peer.address, peer.bytes_sent);
    service.closing_connections += 1;
    cx.close(key);
}

/// Told in the access log for a request whose client went away before it was answered, as nginx does.
const CLIENT_CLOSED: u16 = 499;

fn release_body(peer: &mut Peer, service: &mut Service) {
    if let Exchange::Receiving { body, .. } = &mut peer.exchange {
        service.body_bytes_in_flight = service.body_bytes_in_flight.saturating_sub(body.len());
        *body = Vec::new();
    }
}

// --- Time ---------------------------------------------------------------------------------------------------------

/// What runs out next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    WriteStall,
    Silence,
    Head,
    Body,
    Heartbeat,
    Linger,
}

/// The soonest deadline of what a connection waits for.
fn deadline(peer: &Peer, limits: &Limits) -> Option<(Time, Due)> {
    let stall = (!peer.connection.outbox.is_empty())
        .then(|| (peer.sent_at.after(limits.write_stall_timeout), Due::WriteStall));
    let wait = match &peer.exchange {
        Exchange::Nothing if peer.server.is_idle() && !peer.connection.outbox.is_empty() => None,
        Exchange::Nothing if peer.server.is_idle() && peer.has_asked => {
            Some((peer.since.after(limits.idle_timeout), Due::Silence))
        }
        Exchange::Nothing if peer.server.is_idle() => {
            Some((peer.since.after(limits.head_timeout), Due::Silence))
        }
        // The last answer is queued, and only the peer can get it out.
        Exchange::Nothing if peer.server.after() != After::Next => None,
        Exchange::Nothing => Some((peer.since.after(limits.head_timeout), Due::Head)),
        Exchange::Receiving { .. } => {
            let gap = peer.since.max(peer.received_at).after(limits.body_gap_timeout);
            Some((gap.min(peer.since.after(limits.body_timeout)), Due::Body))
        }
        Exchange::Streaming { .. } => Some((peer.since.after(limits.heartbeat_interval), Due::Heartbeat)),
        Exchange::Lingering { .. } => Some((peer.since.after(limits.linger_timeout), Due::Linger)),
        Exchange::AwaitRun { .. } | Exchange::AwaitSync => None,
    };
    match (stall, wait) {
        (Some(stall), Some(wait)) => Some(if stall.0 <= wait.0 { stall } else { wait }),
        (stall, wait) => stall.or(wait),
    }
}

/// Sees to it that a timer fires no later than the deadline. One that fires earlier looks again, so a deadline that
/// only moves away (as with every request on a kept connection) costs nothing.
fn arm(peer: &mut Peer, service: &Service, cx: &mut Cx<'_, '_>) {
    let Some((due, _)) = deadline(peer, &service.limits) else { return };
    if let Some((timer, set_for)) = peer.timer {
        if set_for <= due {
            return;
        }
        cx.cancel_timer(&mut Some(timer));
    }
    peer.timer = Some((cx.set_timer(due, peer.connection.key), due));
}

/// A client's timer has fired.
pub fn timer(peer: &mut Peer, id: TimerId, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.gone || peer.timer.is_none_or(|(timer, _)| timer != id) {
        return;
    }
    peer.timer = None;
    let Some((due, what)) = deadline(peer, &service.limits) else { return };
    if due > cx.now {
        arm(peer, service, cx);
        return;
    }
    log::debug!("{}: time is up: {what:?}", peer.address);
    match what {
        Due::WriteStall => {
            // The peer has not read for so long that what it gets next can't be what it waits for.
            cx.os.net.reset_on_close(peer.connection.key);
            over(peer, service, cx);
        }
        Due::Silence | Due::Linger => over(peer, service, cx),
        Due::Head => time_out(peer, "the request head took too long", service, cx),
        Due::Body => time_out(peer, "the request body took too long", service, cx),
        Due::Heartbeat => {
            peer.since = cx.now;
            // Under a peer that reads slowly there is no silence, and no need to add to what waits.
            if peer.connection.outbox.is_empty() {
                let mut frames = std::mem::take(&mut service.scratch);
                frames.clear();
                sse::comment("", &mut frames);
                send_frames(peer, &frames, service, cx);
                service.scratch = frames;
            }
            serve(peer, service, cx);
        }
    }
}

fn time_out(peer: &mut Peer, detail: &'static str, service: &mut Service, cx: &mut Cx<'_, '_>) {
    tell_malformed(peer, service, cx);
    refuse(peer, &Problem::new(408, detail), service, cx);
    serve(peer, service, cx);
}

/// A request that has no head to tell of still has its line in the access log.
fn tell_malformed(peer: &mut Peer, service: &Service, cx: &Cx<'_, '_>) {
    if peer.told.is_none() && service.access_log.is_on() {
        peer.told = Some(Told { request: "-".into(), began: cx.now, bytes_before: peer.queued(), run: None });
    }
}
