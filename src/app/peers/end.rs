//! The end of a connection: in good order, after its last answer, or because it must go.

use super::answer::finished;
use super::{Allowance, Exchange, Peer, Stepped, Wish, flush, socket};
use crate::app::service::Service;
use crate::base::planted::{Planted, is_planted};
use crate::net::Fill;
use crate::reactor::Cx;

/// The last answer is queued. Closing at once could reset the connection under a peer that is still sending, and the
/// reset could overtake the answer; so our side is shut first and the rest is dropped for a while.
pub(super) fn hang_up(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
    flush(peer, cx);
    if !peer.connection.outbox.is_empty() {
        return Stepped::Waits;
    }
    if peer.connection.ended() || is_planted(Planted::ClosesWithoutLingering) {
        return Stepped::Over;
    }
    cx.os.net.shutdown_write(peer.connection.key);
    peer.since = cx.now;
    peer.exchange = Exchange::Lingering { bytes_left: service.limits.linger_bytes_max };
    Stepped::On
}

pub(super) fn linger(
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
    for run in peer.runs() {
        if !is_planted(Planted::KeepsWatcher) {
            service.runs.unwatch(run, key);
        }
        // A reset is final: nobody can read the answer of `/chat` any more. A stream may be resumed.
        let is_final = peer.connection.broken() && matches!(peer.exchange, Exchange::AwaitRun { .. });
        if is_final || !peer.dialect.can_come_back() {
            service.lost(run, cx);
        } else {
            service.left(run, cx);
        }
        service.retire(run, cx);
    }
    if matches!(peer.exchange, Exchange::AwaitSync) && !is_planted(Planted::KeepsSyncWaiter) {
        service.folder.forget(key);
    }
    if let Exchange::AwaitView { task } = peer.exchange {
        service.works.drop_view(task);
    }
    if let Exchange::AwaitVectors { request, .. } = peer.exchange {
        service.leave_vectors(request, cx);
    }
    if peer.told.is_some() {
        let status = match peer.exchange {
            Exchange::Streaming { .. } => 200,
            Exchange::Socket(_) => 101,
            _ => CLIENT_CLOSED,
        };
        finished(peer, status, service, cx);
    }
    // Now and not with the close phase: when five hundred clients leave in one turn, one buffer serves them all.
    peer.connection.release(&mut service.pool);
    log::debug!("{}: closed after {} bytes of answers", peer.address, peer.bytes_sent);
    service.closing_connections += 1;
    cx.close(key);
}

/// Closes a connection that is idle, as somebody else needs its place.
pub fn evict(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    match peer.exchange {
        Exchange::Socket(_) => socket::evict(peer, service, cx),
        _ => over(peer, service, cx),
    }
}

/// Told in the access log for a request whose client went away before it was answered, as nginx does.
const CLIENT_CLOSED: u16 = 499;

pub(super) fn release_body(peer: &mut Peer, service: &mut Service) {
    if is_planted(Planted::LeaksBodyBytes) {
        return;
    }
    if let Exchange::Socket(socket) = &mut peer.exchange {
        socket.let_go(service);
    }
    if let Exchange::Receiving { body, .. } | Exchange::AwaitStore { wish: Wish::Begin { body, .. } } =
        &mut peer.exchange
    {
        service.drop_body(std::mem::take(body));
    }
}
