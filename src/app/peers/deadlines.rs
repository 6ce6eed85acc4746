//! What runs out when on a connection, and what happens then.

use super::answer::{refuse, send_frames, tell_malformed};
use super::end::over;
use super::{Exchange, Peer, serve, socket};
use crate::app::respond::Problem;
use crate::app::service::Service;
use crate::base::Time;
use crate::limits::Limits;
use crate::reactor::{Cx, TimerId};
use crate::wire::http1::After;
use crate::wire::sse;

/// What runs out next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    WriteStall,
    Silence,
    Head,
    Body,
    Heartbeat,
    Ping,
    Message,
    Wait,
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
        // Whoever has not taken what it is owed is not read from either. It is given up for that, if it takes nothing.
        Exchange::Socket(_) if !peer.connection.outbox.is_empty() => None,
        Exchange::Socket(socket) => {
            let ping = socket.ping_due(peer.received_at, limits).map(|due| (due, Due::Ping));
            let message = socket.message_due(limits).map(|due| (due, Due::Message));
            ping.into_iter().chain(message).min_by_key(|(due, _)| *due)
        }
        Exchange::Lingering { .. } => Some((peer.since.after(limits.linger_timeout), Due::Linger)),
        Exchange::AwaitEnd { until, .. } => until.map(|until| (until, Due::Wait)),
        Exchange::AwaitRun { .. }
        | Exchange::AwaitKept { .. }
        | Exchange::AwaitStore { .. }
        | Exchange::AwaitSync
        | Exchange::AwaitView { .. }
        // The request for them has one of its own.
        | Exchange::AwaitVectors { .. }
        | Exchange::AwaitFile { .. } => None,
    };
    match (stall, wait) {
        (Some(stall), Some(wait)) => Some(if stall.0 <= wait.0 { stall } else { wait }),
        (stall, wait) => stall.or(wait),
    }
}

/// Sees to it that a timer fires no later than the deadline. One that fires earlier looks again, so a deadline that
/// only moves away (as with every request on a kept connection) costs nothing.
pub(super) fn arm(peer: &mut Peer, service: &Service, cx: &mut Cx<'_, '_>) {
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
        Due::Ping => socket::ping(peer, service, cx),
        Due::Message => socket::too_slow(peer, service, cx),
        // The answer is what is so by now.
        Due::Wait => serve(peer, service, cx),
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
