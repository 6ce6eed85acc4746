//! Taking requests in: from bytes to a route, from a route and its body to what is done about it.

use super::answer::{begin_stream, refuse, send_empty, send_whole, tell_malformed, tell_run, watch};
use super::{Allowance, Exchange, Peer, Stepped, Told};
use crate::app::access_log::shown;
use crate::app::respond::{Problem, Reply};
use crate::app::routes::{Route, route};
use crate::app::runs::{OnDisconnect, Read};
use crate::app::service::Service;
use crate::app::{chat, health, tasks};
use crate::base::Key;
use crate::base::planted::{Planted, is_planted};
use crate::net::Fill;
use crate::reactor::Cx;
use crate::wire::http1::{AdmitError, Method, RequestEvent};

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
    /// With the id of a run that goes on by itself.
    Accepted(Key),
    /// With a run's answer, when there is one.
    Run(Key),
    /// With a run's events from behind this one.
    Stream(Key, u64),
    /// With a scan's report.
    Sync,
}

pub(super) fn receive(
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
    let is_spent =
        allowance.requests == 0 || service.has_spent_requests() || peer.queued() >= allowance.queued_to;
    // A request that was counted may end: its bytes have a bound of their own.
    if is_spent && !matches!(peer.exchange, Exchange::Receiving { .. }) {
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
        // Answers that are still in the outbox go out first, be it that the last request was cut short: the peer may
        // only have shut its sending side.
        Fill::Ended if peer.connection.outbox.is_empty() || is_planted(Planted::DropsAnswersAtTheEnd) => {
            Stepped::Over
        }
        Fill::Ended => Stepped::Waits,
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
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let outcome = perform(route, &body, peer.connection.key, service, cx, &mut scratch);
    service.drop_body(body);
    match outcome {
        Outcome::Whole(reply) => {
            send_whole(peer, reply.status, reply.location.as_deref(), &scratch, service, cx);
        }
        Outcome::Refuse(problem) => refuse(peer, &problem, service, cx),
        Outcome::Allowed(allow) => send_empty(peer, &[("Allow", allow)], service, cx),
        Outcome::NoContent => send_empty(peer, &[], service, cx),
        Outcome::Accepted(run) => {
            tell_run(peer, run, service);
            match tasks::accepted(run, &service.runs, &mut scratch) {
                Ok(reply) => {
                    send_whole(peer, reply.status, reply.location.as_deref(), &scratch, service, cx);
                }
                Err(problem) => refuse(peer, &problem, service, cx),
            }
        }
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
        Route::ChatAsync => begin(body, OnDisconnect::Continue, service, cx).map(Outcome::Accepted),
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
