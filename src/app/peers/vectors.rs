//! `POST /v1/embeddings`: the embedding server is asked for a client's texts, and the client waits.

use super::answer::{refuse, send_whole};
use super::{Exchange, Peer, Stepped, serve};
use crate::app::embed;
use crate::app::openai::{self, Form};
use crate::app::respond::Problem;
use crate::app::service::Service;
use crate::base::Key;
use crate::reactor::Cx;

/// Reads what a client wants embedded, and asks for it. The request, and the form of its answer.
///
/// # Errors
/// What is wrong with it, that embeddings are off, or that there are none for now.
pub(super) fn want(
    connection: Key,
    body: &[u8],
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<(Key, Form), Problem> {
    if service.is_stopping() {
        return Err(Problem::busy("the server is shutting down", 1));
    }
    let Service { embedder, outbound, limits, .. } = service;
    let embedder = embedder.as_mut().ok_or_else(openai::embeddings_off)?;
    let (wanted, form) = openai::to_embed(body, embedder.name(), limits)?;
    let request =
        embedder.want(connection, wanted, outbound, cx).map_err(|missing| openai::missing(&missing))?;
    Ok((request, form))
}

/// The client has shut its sending side: whoever speaks this dialect is gone then, and its request goes with it.
pub(super) fn leaving(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Exchange::AwaitVectors { request, .. } = peer.exchange else { return };
    service.leave_vectors(request, cx);
    refuse(peer, &Problem::new(409, "the client has closed its side before it was answered"), service, cx);
}

/// The client waits. A process that ends tells it so, as there is nobody who could go on with its request.
pub(super) fn waits(peer: &mut Peer, request: Key, service: &mut Service, cx: &mut Cx<'_, '_>) -> Stepped {
    if !service.is_parked() {
        return Stepped::Waits;
    }
    service.leave_vectors(request, cx);
    refuse(peer, &Problem::busy("the server restarts", 1), service, cx);
    Stepped::On
}

/// The vectors are there, or it is known why not.
pub fn embedded(
    peer: &mut Peer,
    request: Key,
    outcome: embed::Outcome,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let form = match peer.exchange {
        Exchange::AwaitVectors { request: awaited, form } if awaited == request && !peer.gone => form,
        _ => return,
    };
    peer.exchange = Exchange::Nothing;
    match outcome {
        Ok(given) => {
            let mut body = Vec::new();
            let model = service.embedder.as_ref().map_or("", embed::Embedder::name);
            openai::embedded(&given, form, model, &mut body);
            send_whole(peer, 200, None, &body, service, cx);
        }
        Err(missing) => refuse(peer, &openai::missing(&missing), service, cx),
    }
    serve(peer, service, cx);
}
