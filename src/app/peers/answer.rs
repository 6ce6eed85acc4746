//! Answering: whole answers, a run's answer once it has one, and event streams, whose buffer is the run's log.

use serde::Serialize;
use uuid::Uuid;

use super::end::release_body;
use super::{Allowance, Exchange, Peer, Stepped, Then, leaving, serve};
use crate::app::access_log::Line;
use crate::app::dialect::{Dialect, Told};
use crate::app::document::Document;
use crate::app::record::json;
use crate::app::respond::Problem;
use crate::app::runs::{Read, Record};
use crate::app::service::Service;
use crate::app::{health, tasks};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Time};
use crate::notes::ScanReport;
use crate::reactor::Cx;
use crate::store::Trouble;
use crate::wire::http1::{Answer, AnswerBody};
use crate::wire::websocket::UPGRADE_FIELDS;

pub(super) fn answer(
    peer: &mut Peer,
    status: u16,
    fields: &[(&str, &str)],
    content_type: Option<&str>,
    body: AnswerBody<'_>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let close = service.is_stopping();
    // Only browsers ask for it, so only their answers cost the list.
    let mut with_origin = Vec::new();
    let fields = match peer.origin {
        Some(origin) => {
            with_origin.extend_from_slice(fields);
            with_origin.extend([
                ("Access-Control-Allow-Origin", service.doors.origin_text(origin)),
                ("Access-Control-Expose-Headers", EXPOSED),
                ("Vary", "Origin"),
            ]);
            &with_origin[..]
        }
        None => fields,
    };
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

pub(super) fn send_whole(
    peer: &mut Peer,
    status: u16,
    location: Option<&str>,
    body: &[u8],
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let location = location.map(|location| ("Location", location));
    let room = peer.connection.outbox.free().saturating_sub(HEAD_ROOM);
    let wrapped = peer.dialect.wrapped(body, room);
    let body = wrapped.as_deref().unwrap_or(body);
    answer(peer, status, location.as_slice(), Some(JSON), AnswerBody::Whole(body), service, cx);
}

pub(super) fn send_document(
    peer: &mut Peer,
    document: &'static Document,
    is_packed: bool,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let Document { media_type, fields, body } = document;
    let encoding: &[_] = if is_packed { &[VARIES, ("Content-Encoding", "gzip")] } else { &[VARIES] };
    let fields = [fields, encoding].concat();
    let mut packed = std::mem::take(&mut service.packed);
    let body = if is_packed { packed.of(document) } else { body.as_bytes() };
    answer(peer, 200, &fields, Some(media_type), AnswerBody::Whole(body), service, cx);
    service.packed = packed;
}

/// Who keeps an answer for others must know that they may get another (RFC 9110 §12.5.5).
const VARIES: (&str, &str) = ("Vary", "Accept-Encoding");

pub(super) fn send_empty(
    peer: &mut Peer,
    fields: &[(&str, &str)],
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    answer(peer, 204, fields, None, AnswerBody::Empty, service, cx);
}

/// What was sent needs no answer.
pub(super) fn send_noted(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    answer(peer, 202, &[], None, AnswerBody::Empty, service, cx);
}

/// What is allowed on a path; and, for a browser that asks before it sends a page's request, what pages may send there
/// (Fetch Standard, "CORS-preflight fetch").
pub(super) fn send_allowed(peer: &mut Peer, allow: &str, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let allowed = [
        ("Allow", allow),
        ("Access-Control-Allow-Methods", allow),
        ("Access-Control-Allow-Headers", SENT_BY_PAGES),
        ("Access-Control-Max-Age", "600"),
    ];
    let count = if peer.origin.is_some() { allowed.len() } else { 1 };
    send_empty(peer, &allowed[..count], service, cx);
}

/// Fields of a request that a page may set, beside those that it always may.
const SENT_BY_PAGES: &str = "Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Authorization, Cache-Control, \
     MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
     OpenAI-Organization, OpenAI-Project, X-OpenWebUI-Chat-Id, X-Stainless-Arch, X-Stainless-Async, X-Stainless-Helper-Method, \
     X-Stainless-Lang, X-Stainless-OS, X-Stainless-Package-Version, X-Stainless-Retry-Count, X-Stainless-Runtime, \
     X-Stainless-Runtime-Version, X-Stainless-Timeout";

/// Fields of an answer that a page may read, beside those that it always may.
const EXPOSED: &str = "Allow, ETag, Location, Retry-After, X-Should-Retry";

pub(super) fn refuse(peer: &mut Peer, problem: &Problem, service: &mut Service, cx: &mut Cx<'_, '_>) {
    release_body(peer, service);
    peer.exchange = Exchange::Nothing;
    let mut body = Vec::new();
    let (status, field) = peer.dialect.refuse(problem, &mut body);
    log::debug!("{}: refused with {status}: {}", peer.address, String::from_utf8_lossy(&body));
    let retry_after = problem.retry_after.map(|seconds| seconds.to_string());
    let mut fields = Vec::new();
    fields.extend(problem.allow.map(|allow| ("Allow", allow)));
    fields.extend(retry_after.as_deref().map(|seconds| ("Retry-After", seconds)));
    fields.extend(problem.etag.as_deref().map(|etag| ("ETag", etag)));
    fields.extend(field);
    if status == 426 {
        fields.extend(UPGRADE_FIELDS);
    }
    answer(peer, status, &fields, Some(JSON), AnswerBody::Whole(&body), service, cx);
}

/// The answer is complete: tells it, and starts the wait for the next request.
pub(super) fn finished(peer: &mut Peer, status: u16, service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.since = cx.now;
    // What comes next may be asked by somebody else, in other words.
    (peer.dialect, peer.origin) = (Dialect::Own, None);
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

pub(super) const JSON: &str = "application/json";

/// Fields of an event stream: it is never kept, never changed on its way, never gathered by a proxy.
const STREAM_FIELDS: [(&str, &str); 2] =
    [("Cache-Control", "no-cache, no-transform"), ("X-Accel-Buffering", "no")];

pub(super) fn watch(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let mut grace = service.runs.watch(run, peer.connection.key);
    cx.cancel_timer(&mut grace);
    tell_run(peer, run, service);
    if peer.connection.peer_closed() {
        leaving(peer, run, service, cx);
    }
}

/// `/chat`: the run's answer, once it has one and that is kept.
pub(super) fn answer_run(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let problem = match service.runs.at(run) {
        Some(Record { refused: Some(trouble), .. }) => Some(Problem::not_kept(trouble)),
        Some(record) if !record.shown().is_final() => {
            // One that has ended waits for its end to be kept, and then has its answer.
            if !service.is_parked() || record.status.is_final() {
                service.scratch = scratch;
                return Stepped::Waits;
            }
            let detail = "the server restarts, and this run goes on in the next process: GET /chat/task/";
            Some(Problem::busy(format!("{detail}{}", record.id), 1))
        }
        Some(record) => match (record.response(), &record.error) {
            (Some(response), _) => peer.dialect.answer(record, response, &mut scratch).err(),
            (None, Some(error)) => Some(Problem::new(500, error.clone())),
            (None, None) => Some(Problem::new(409, "the run was cancelled")),
        },
        None => Some(Problem::expired_task()),
    };
    leave(peer, run, service, cx);
    peer.exchange = Exchange::Nothing;
    match problem {
        None => send_whole(peer, 200, None, &scratch, service, cx),
        Some(problem) => refuse(peer, &problem, service, cx),
    }
    service.scratch = scratch;
    Stepped::On
}

/// `/chat/async` and `/chat/stream`: once it is kept that there is such a run.
pub(super) fn answer_kept(
    peer: &mut Peer,
    run: Key,
    then: Then,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Stepped {
    let problem = match service.runs.at(run) {
        Some(Record { refused: Some(trouble), .. }) => Problem::not_kept(trouble),
        Some(record) if !record.is_admitted() => return Stepped::Waits,
        Some(record) => {
            let (id, status) = (record.id, record.shown().name());
            peer.exchange = Exchange::Nothing;
            match then {
                Then::Accept => {
                    leave(peer, run, service, cx);
                    accept(peer, id, status, service, cx);
                }
                Then::Show => {
                    let mut scratch = std::mem::take(&mut service.scratch);
                    scratch.clear();
                    let shown = tasks::show(run, &service.runs, &service.callbacks, &mut scratch);
                    leave(peer, run, service, cx);
                    match shown {
                        Ok(reply) => send_whole(peer, reply.status, None, &scratch, service, cx),
                        Err(problem) => refuse(peer, &problem, service, cx),
                    }
                    service.scratch = scratch;
                }
                Then::Stream => begin_stream(peer, run, 0, false, service, cx),
            }
            return Stepped::On;
        }
        None => Problem::expired_task(),
    };
    leave(peer, run, service, cx);
    peer.exchange = Exchange::Nothing;
    refuse(peer, &problem, service, cx);
    Stepped::On
}

/// 202, and where the run can be found.
pub(super) fn accept(
    peer: &mut Peer,
    id: Uuid,
    status: &'static str,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let reply = tasks::accepted(id, status, &mut scratch);
    send_whole(peer, reply.status, reply.location.as_deref(), &scratch, service, cx);
    service.scratch = scratch;
}

/// `GET /chat/task/{id}?wait=` and `DELETE /tasks/{id}`: once the end is kept, or the wait is over.
pub(super) fn answer_end(
    peer: &mut Peer,
    run: Key,
    until: Option<Time>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Stepped {
    let is_final = service.runs.at(run).is_none_or(|record| record.shown().is_final());
    let problem = match until {
        None if is_final => None,
        // It is cancelled, but a process that takes over might not know.
        None => match service.journal.trouble() {
            Some(trouble) => Some(Problem::not_kept(trouble)),
            None => return Stepped::Waits,
        },
        Some(until) if is_final || until <= cx.now || service.is_parked() => None,
        Some(_) => return Stepped::Waits,
    };
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let shown = match problem {
        None => tasks::show(run, &service.runs, &service.callbacks, &mut scratch),
        Some(problem) => Err(problem),
    };
    leave(peer, run, service, cx);
    peer.exchange = Exchange::Nothing;
    match shown {
        Ok(reply) => send_whole(peer, reply.status, None, &scratch, service, cx),
        Err(problem) => refuse(peer, &problem, service, cx),
    }
    service.scratch = scratch;
    Stepped::On
}

/// The connection does not wait for the run any more. If it was the last, the run has its grace again: whoever only
/// looked in on it does not keep it going for good.
pub(super) fn leave(peer: &Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) {
    service.runs.unwatch(run, peer.connection.key);
    if !service.is_parked() {
        service.left(run, cx);
    }
    service.retire(run, cx);
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

/// `/sync`: there is no scan to wait for.
pub fn not_synced(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if !matches!(peer.exchange, Exchange::AwaitSync) || peer.gone {
        return;
    }
    refuse(
        peer,
        &Problem::busy("the notes folder can't be read for now; it will be tried again", 1),
        service,
        cx,
    );
    serve(peer, service, cx);
}

/// A look at the notes: it is whole, or there is nothing to look at.
pub fn viewed(
    peer: &mut Peer,
    task: Key,
    body: Result<Vec<u8>, Problem>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    if peer.gone || !matches!(peer.exchange, Exchange::AwaitView { task: awaited } if awaited == task) {
        return;
    }
    peer.exchange = Exchange::Nothing;
    match body {
        Ok(body) if body.len() > peer.connection.outbox.free().saturating_sub(HEAD_ROOM) => {
            let detail = "this is more than one answer has room for; ask for less with limit";
            refuse(peer, &Problem::new(507, detail), service, cx);
        }
        Ok(body) => send_whole(peer, 200, None, &body, service, cx),
        Err(problem) => refuse(peer, &problem, service, cx),
    }
    serve(peer, service, cx);
}

/// Bytes that the head of an answer may take.
pub(super) const HEAD_ROOM: usize = 1024;

/// The head of an event stream, and for a reader that joins in, where the run is. The connection is among the run's
/// watchers.
pub(super) fn begin_stream(
    peer: &mut Peer,
    run: Key,
    after: u64,
    joins: bool,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    answer(peer, 200, &STREAM_FIELDS, Some("text/event-stream"), AnswerBody::Stream, service, cx);
    let after = match after {
        0 => 0,
        after if is_planted(Planted::RepeatsOnRejoin) => after - 1,
        after if is_planted(Planted::SkipsOnRejoin) => after + 1,
        after => after,
    };
    peer.exchange = Exchange::Streaming { run, sent: after, kept: true };
    if peer.connection.broken() {
        return;
    }
    if peer.by_head {
        leave(peer, run, service, cx);
        end_stream(peer, service, cx);
        return;
    }
    if !joins && let Some(id) = service.runs.at(run).map(|record| record.id) {
        let mut frames = std::mem::take(&mut service.scratch);
        frames.clear();
        peer.dialect.begins(id, &mut frames);
        if !frames.is_empty() {
            send_frames(peer, &frames, service, cx);
        }
        service.scratch = frames;
    }
    if joins && let Some(state) = tasks::state(run, &service.runs) {
        send_note(peer, &state, service, cx);
    }
}

/// An event without a number: the reader's position stays where it is.
fn send_note(peer: &mut Peer, json: &str, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let mut frames = std::mem::take(&mut service.scratch);
    frames.clear();
    peer.dialect.note(json, &mut frames);
    send_frames(peer, &frames, service, cx);
    service.scratch = frames;
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
pub(super) fn stream(
    peer: &mut Peer,
    run: Key,
    sent: u64,
    kept: bool,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &Allowance,
) -> Stepped {
    let Some(record) = service.runs.at(run) else {
        // A run stays as long as somebody reads it; without one there is nothing to tell, and the stream is cut.
        return if peer.connection.outbox.is_empty() { Stepped::Over } else { Stepped::Waits };
    };
    if peer.queued() >= allowance.queued_to {
        return Stepped::Spent;
    }
    let mut id_text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id_text: &str = record.id.hyphenated().encode_lower(&mut id_text);
    let created = record.created_at.as_seconds();
    let mut frames = std::mem::take(&mut service.scratch);
    frames.clear();
    let is_kept = service.journal.trouble().is_none();
    if kept != is_kept {
        peer.dialect.note(&storage_note(service.journal.trouble()), &mut frames);
    }
    let mut sequence = sent;
    let read = loop {
        match record.read(sequence) {
            Read::Event(number, json) if frames.len() < service.limits.stream_bytes_per_fill => {
                let room = peer.connection.outbox.free().saturating_sub(frames.len() + HEAD_ROOM);
                peer.dialect.event(Told { run: id_text, created, number, json }, room, &mut frames);
                sequence = number;
            }
            read => break read,
        }
    };
    let restarts = read == Read::CaughtUp && service.is_parked() && !record.status.is_final();
    if restarts {
        peer.dialect.restarting(record.id, service.limits.stream_retry_ms, &mut frames);
    }
    let ended = read == Read::End || restarts;
    let framed = !frames.is_empty();
    if framed {
        send_frames(peer, &frames, service, cx);
        peer.exchange = Exchange::Streaming { run, sent: sequence, kept: is_kept };
        peer.since = cx.now;
    }
    service.scratch = frames;
    if ended {
        leave(peer, run, service, cx);
        end_stream(peer, service, cx);
        return Stepped::On;
    }
    if framed { Stepped::On } else { Stepped::Waits }
}

/// Whether what a stream tells is kept, when that has changed under it.
pub(super) fn storage_note(trouble: Option<&Trouble>) -> String {
    #[derive(Serialize)]
    struct Note {
        r#type: &'static str,
        kept: bool,
        detail: String,
    }
    let detail = match trouble {
        Some(trouble) => format!("what follows is not kept for now: {trouble}"),
        None => "what follows is kept again".to_owned(),
    };
    json(&Note { r#type: "storage", kept: trouble.is_none(), detail })
}

pub(super) fn send_frames(peer: &mut Peer, frames: &[u8], service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.connection.outbox.prepare(&mut service.pool);
    if peer.connection.outbox.is_empty() {
        peer.sent_at = cx.now;
    }
    if let Err(full) = peer.server.send_body(frames, &mut peer.connection.outbox) {
        log::error!("events were dropped and their stream with them: {full}");
        peer.connection.give_up();
    }
}

/// The request's line in the access log names the run.
pub(super) fn tell_run(peer: &mut Peer, run: Key, service: &Service) {
    if let Some(told) = &mut peer.told {
        told.run = service.runs.at(run).map(|record| record.id);
    }
}

/// A request that has no head to tell of still has its line in the access log.
pub(super) fn tell_malformed(peer: &mut Peer, service: &Service, cx: &Cx<'_, '_>) {
    if peer.told.is_none() && service.access_log.is_on() {
        peer.told =
            Some(super::Told { request: "-".into(), began: cx.now, bytes_before: peer.queued(), run: None });
    }
}
