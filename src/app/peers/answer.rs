//! Answering: whole answers, a run's answer once it has one, and event streams, whose buffer is the run's log.

use super::end::release_body;
use super::{Allowance, Exchange, Peer, Stepped, Told, serve};
use crate::app::access_log::Line;
use crate::app::health;
use crate::app::respond::Problem;
use crate::app::runs::Read;
use crate::app::service::Service;
use crate::base::Key;
use crate::base::planted::{Planted, is_planted};
use crate::notes::ScanReport;
use crate::reactor::Cx;
use crate::wire::http1::{Answer, AnswerBody};
use crate::wire::sse;

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

pub(super) fn send_whole(
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

pub(super) fn send_empty(
    peer: &mut Peer,
    fields: &[(&str, &str)],
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    answer(peer, 204, fields, None, AnswerBody::Empty, service, cx);
}

pub(super) fn refuse(peer: &mut Peer, problem: &Problem, service: &mut Service, cx: &mut Cx<'_, '_>) {
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
pub(super) fn finished(peer: &mut Peer, status: u16, service: &mut Service, cx: &mut Cx<'_, '_>) {
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

pub(super) fn watch(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let mut grace = service.runs.watch(run, peer.connection.key);
    cx.cancel_timer(&mut grace);
    tell_run(peer, run, service);
    if peer.connection.peer_closed() {
        service.runs.leaving(run, peer.connection.key);
        service.left(run, cx);
    }
}

/// `/chat`: the run's answer, once it has one.
pub(super) fn answer_run(peer: &mut Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
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

pub(super) fn begin_stream(
    peer: &mut Peer,
    run: Key,
    after: u64,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    answer(peer, 200, &STREAM_FIELDS, Some("text/event-stream"), AnswerBody::Stream, service, cx);
    if peer.connection.broken() {
        return;
    }
    if peer.by_head {
        end_stream(peer, service, cx);
        return;
    }
    watch(peer, run, service, cx);
    let after = match after {
        0 => 0,
        after if is_planted(Planted::RepeatsOnRejoin) => after - 1,
        after if is_planted(Planted::SkipsOnRejoin) => after + 1,
        after => after,
    };
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
pub(super) fn stream(
    peer: &mut Peer,
    run: Key,
    sent: u64,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &Allowance,
) -> Stepped {
    let Some(record) = service.runs.at(run) else {
        // Swept while this reader was slow: the stream is cut, and on coming back it is told that the run is gone.
        // What is owed already, earlier answers above all, goes out first.
        return if peer.connection.outbox.is_empty() { Stepped::Over } else { Stepped::Waits };
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
        peer.told = Some(Told { request: "-".into(), began: cx.now, bytes_before: peer.queued(), run: None });
    }
}
