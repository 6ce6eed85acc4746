//! Taking requests in: from bytes to a route, from a route and its body to what is done about it.

use uuid::Uuid;

use super::answer::{
    HEAD_ROOM, accept, begin_stream, refuse, send_allowed, send_document, send_empty, send_noted, send_whole,
    tell_malformed, watch,
};
use super::{
    Allowance, Deed, Exchange, FileWanted, Found, Peer, Stepped, Then, Told, Wish, file, mcp, serve, socket,
    undo, vectors,
};
use crate::agent::Question;
use crate::app::access_log::shown;
use crate::app::callbacks::{self, Target};
use crate::app::chat::{Asking, Chat};
use crate::app::dialect::Dialect;
use crate::app::document::Document;
use crate::app::openai::Form;
use crate::app::respond::{Problem, Reply};
use crate::app::routes::{Route, route};
use crate::app::runs::{OnDisconnect, Read};
use crate::app::service::Service;
use crate::app::sessions::{self, OnBusy};
use crate::app::{about, caches, chat, health, openai, step_log, tasks, verify};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Time};
use crate::net::Fill;
use crate::reactor::Cx;
use crate::store::{Idempotency, Job, KeptRun, KeptSession};
use crate::wire::http1::{AdmitError, Method, RequestEvent};

/// What a request is answered with, once all of it was read.
pub(super) enum Outcome {
    /// With the scratch buffer's bytes.
    Whole(Reply),
    /// With a refusal.
    Refuse(Problem),
    /// With what is always the same.
    Document(&'static Document, bool),
    /// With nothing but fields: 204, and what is allowed there.
    Allowed(&'static str),
    /// With nothing: 204.
    NoContent,
    /// With nothing: 202, as nothing was asked.
    Noted,
    /// With the id of a run that was accepted before, and where it is.
    Accepted(Uuid, &'static str),
    /// With a run's answer, when there is one.
    Run(Key),
    /// Once it is kept that there is such a run.
    Kept(Key, Then),
    /// With a task's state, once it has ended or the wait is over.
    End(Key, Option<Time>),
    /// With a run's events from behind this one.
    Stream(Key, u64),
    /// With what the store has to say first.
    Store(Wish),
    /// With a scan's report.
    Sync,
    /// With what this task makes of the notes.
    View(Key),
    /// With the vectors of this request, in this form.
    Vectors(Key, Form),
    /// With a file, once it is read or changed.
    File(FileWanted),
    /// With another protocol, which this accepts.
    Socket(Box<str>),
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
            let routed = route(&head, &service.doors, &service.limits);
            peer.by_head = head.method == Method::Head;
            peer.origin = service.doors.origin(&head);
            peer.dialect = Dialect::of(&head);
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

pub(super) fn fill(
    peer: &mut Peer,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    allowance: &mut Allowance,
) -> Stepped {
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
    let Exchange::Receiving { route, mut body } = std::mem::replace(&mut peer.exchange, Exchange::Nothing)
    else {
        return;
    };
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let Peer { connection, dialect, .. } = peer;
    let outcome = perform(route, &mut body, connection.key, dialect, service, cx, &mut scratch);
    service.drop_body(body);
    conclude(peer, outcome, scratch, service, cx);
}

/// Answers, or begins to wait for what the answer depends on.
fn conclude(peer: &mut Peer, outcome: Outcome, scratch: Vec<u8>, service: &mut Service, cx: &mut Cx<'_, '_>) {
    match outcome {
        Outcome::Whole(reply) => {
            send_whole(peer, reply.status, reply.location.as_deref(), &scratch, service, cx);
        }
        Outcome::Refuse(problem) => refuse(peer, &problem, service, cx),
        Outcome::Document(document, packed) => send_document(peer, document, packed, service, cx),
        Outcome::Allowed(allow) => send_allowed(peer, allow, service, cx),
        Outcome::NoContent => send_empty(peer, &[], service, cx),
        Outcome::Noted => send_noted(peer, service, cx),
        Outcome::Accepted(id, status) => accept(peer, id, status, service, cx),
        Outcome::Run(run) => {
            peer.exchange = Exchange::AwaitRun { run };
            watch(peer, run, service, cx);
        }
        Outcome::Kept(run, then) => {
            peer.exchange = Exchange::AwaitKept { run, then };
            watch(peer, run, service, cx);
        }
        Outcome::End(run, until) => {
            peer.exchange = Exchange::AwaitEnd { run, until };
            watch(peer, run, service, cx);
        }
        Outcome::Stream(run, after) => {
            watch(peer, run, service, cx);
            begin_stream(peer, run, after, true, service, cx);
        }
        Outcome::Store(wish) => ask_store(peer, wish, service, cx),
        Outcome::Sync => peer.exchange = Exchange::AwaitSync,
        Outcome::File(wanted) => peer.exchange = Exchange::AwaitFile { wanted },
        Outcome::Socket(accept) => socket::begin(peer, &accept, service, cx),
        Outcome::View(task) => peer.exchange = Exchange::AwaitView { task },
        Outcome::Vectors(request, form) => {
            peer.exchange = Exchange::AwaitVectors { request, form };
            if peer.connection.peer_closed() {
                vectors::leaving(peer, service, cx);
            }
        }
    }
    service.scratch = scratch;
}

fn ask_store(peer: &mut Peer, wish: Wish, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let asker = peer.connection.key;
    let job = match &wish {
        Wish::About(run, _) => Job::Find { asker, run: *run },
        // One more than is shown tells whether there is a next page.
        Wish::List { limit, before } => Job::List { asker, before: *before, rows_max: limit + 1 },
        Wish::Sessions { limit, after } => {
            Job::ListSessions { asker, after: after.clone(), rows_max: limit + 1 }
        }
        Wish::Session(name) => Job::FindSession { asker, name: name.clone() },
        Wish::DropSession(name) => Job::DropSession { asker, name: name.clone() },
        Wish::Begin { key, .. } => Job::FindKey { asker, key: key.key.clone() },
    };
    peer.exchange = Exchange::AwaitStore { wish };
    match service.journal.read(job) {
        Ok(()) => {}
        Err(_) => refuse(peer, &Problem::busy("too many look into what is kept; try again", 1), service, cx),
    }
}

/// The store has looked for what a client waits for.
pub fn found(peer: &mut Peer, found: Found, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.gone {
        return;
    }
    if matches!(peer.exchange, Exchange::Socket(_)) {
        return socket::found(peer, found, service, cx);
    }
    if !matches!(peer.exchange, Exchange::AwaitStore { .. }) {
        return;
    }
    let Exchange::AwaitStore { mut wish } = std::mem::replace(&mut peer.exchange, Exchange::Nothing) else {
        return;
    };
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    let chat = match &mut wish {
        Wish::Begin { body, .. } => {
            let body = std::mem::take(body);
            let chat = chat::parse(&body, &service.limits);
            service.drop_body(body);
            chat.ok()
        }
        _ => None,
    };
    let outcome = match (wish, found) {
        (_, Found::Nothing(trouble)) => Err(Problem::not_read(&trouble)),
        (Wish::About(id, deed), Found::Run(kept)) => {
            let asker = peer.connection.key;
            fetched(id, kept, service).and_then(|run| about(run, deed, asker, service, cx, &mut scratch))
        }
        (Wish::List { limit, .. }, Found::Rows(mut rows)) => {
            rows.retain(|row| !service.runs.is_refused(row.run));
            let bytes_max = service.limits.list_bytes_max;
            Ok(Outcome::Whole(tasks::list(limit, bytes_max, &rows, &service.runs, &mut scratch)))
        }
        (Wish::Begin { key, .. }, Found::Key(kept)) => {
            // It was read before, when it was complete.
            chat.ok_or_else(|| Problem::new(500, "the question can't be read any more"))
                .and_then(|chat| begin_once(&chat, key, kept, service, cx))
        }
        (Wish::Sessions { limit, .. }, Found::Sessions(rows)) => {
            let Service { runs, limits, .. } = &*service;
            Ok(Outcome::Whole(sessions::list(limit, &rows, runs, limits, &mut scratch)))
        }
        (Wish::Session(name), Found::Session(kept)) => {
            let room = peer.connection.outbox.free().saturating_sub(HEAD_ROOM);
            show_session(&name, kept.as_ref(), room, service, &mut scratch)
        }
        (Wish::DropSession(_), Found::Dropped(true)) => Ok(Outcome::NoContent),
        (Wish::DropSession(_), Found::Dropped(false)) => Err(sessions::unknown()),
        (_, _) => Err(Problem::new(500, "the store has answered another question")),
    };
    conclude(peer, outcome.unwrap_or_else(Outcome::Refuse), scratch, service, cx);
    serve(peer, service, cx);
}

/// A session, if an answer has room for it: of control characters, each becomes six.
fn show_session(
    name: &str,
    kept: Option<&KeptSession>,
    room: usize,
    service: &Service,
    scratch: &mut Vec<u8>,
) -> Result<Outcome, Problem> {
    let reply = sessions::show(name, kept, &service.runs, scratch)?;
    if scratch.len() > room {
        return Err(Problem::new(507, "this session is more than one answer has room for"));
    }
    Ok(Outcome::Whole(reply))
}

/// A session is let go of, unless something is still to be said in it.
fn drop_session(name: Box<str>, service: &Service) -> Result<Outcome, Problem> {
    let unanswered = service.runs.in_session(&name).find_map(|run| service.runs.at(run));
    match unanswered {
        Some(record) => Err(Problem::new(
            409,
            format!("a message of this session is not answered yet: cancel task {}, or wait", record.id),
        )),
        None => Ok(Outcome::Store(Wish::DropSession(name))),
    }
}

/// The run with this id, which was not here: it may be by now, or is brought here for as long as somebody reads it.
pub(super) fn fetched(id: Uuid, kept: Option<KeptRun>, service: &mut Service) -> Result<Key, Problem> {
    // One that was refused may have got into the store all the same; nobody is told of it.
    let kept = kept.filter(|_| !service.runs.is_refused(id));
    match (service.runs.find(id), kept) {
        (Some(run), _) => Ok(run),
        (None, Some(kept)) if kept.ending.is_some() => {
            service.runs.revive(&kept).map_err(|busy| Problem::busy(busy.to_string(), 1))
        }
        (None, None) if service.journal.may_have_swept(id) => Err(Problem::expired_task()),
        (None, Some(_)) => Err(Problem::busy("this task has not been taken up yet", 1)),
        (None, None) => Err(Problem::unknown_task()),
    }
}

fn perform(
    route: Route,
    body: &mut Vec<u8>,
    connection: Key,
    dialect: &mut Dialect,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    scratch: &mut Vec<u8>,
) -> Outcome {
    let done = match route {
        Route::Health => {
            let Service { library, journal, .. } = &service;
            Ok(Outcome::Whole(health::health(library, journal, service.is_stopping(), scratch)))
        }
        Route::Info => Ok(Outcome::Whole(health::info(service, cx, scratch))),
        Route::Chat => begin(body, service, cx).map(Outcome::Run),
        Route::ChatStream => begin(body, service, cx).map(|run| Outcome::Kept(run, Then::Stream)),
        Route::ChatAsync { key: None } => {
            begin_later(body, service, cx).map(|run| Outcome::Kept(run, Then::Accept))
        }
        Route::ChatAsync { key: Some(key) } => look_for_key(body, key, service),
        Route::Task { id, wait } => look_for(id, Deed::Show { wait }, connection, service, cx, scratch),
        Route::TaskStream { id, after } => {
            look_for(id, Deed::Stream { after }, connection, service, cx, scratch)
        }
        Route::CancelTask(id) => look_for(id, Deed::Cancel, connection, service, cx, scratch),
        Route::Sync { force } => Ok(sync(connection, force, service, cx)),
        Route::CacheRebuild => {
            clear_caches(service, scratch);
            Ok(sync(connection, true, service, cx))
        }
        Route::View(wanted) => {
            let Service { works, library, .. } = service;
            let task = works.view(connection, wanted, library);
            task.map(Outcome::View).ok_or_else(too_many_views)
        }
        Route::File { path, deed } => file::ask(connection, path, deed, body, service, cx).map(Outcome::File),
        Route::Undo => undo::parse(body)
            .and_then(|(run, number)| look_for(run, Deed::Undo { number }, connection, service, cx, scratch)),
        Route::NotesConfig => Ok(Outcome::Whole(about::notes(service, scratch))),
        Route::Agent => Ok(Outcome::Whole(about::agent(service, scratch))),
        Route::AgentLogs { limit } => Ok(Outcome::Whole(step_log::show(limit, &service.runs, scratch))),
        Route::AgentReset => {
            clear_caches(service, scratch);
            scratch.clear();
            Ok(Outcome::Whole(about::reset(&mut service.runs, scratch)))
        }
        Route::Verify => {
            let Service { library, limits, .. } = &service;
            verify::verify(body, library, limits, scratch).map(Outcome::Whole)
        }
        Route::Embeddings => {
            let Service { embedder, library, .. } = &service;
            Ok(Outcome::Whole(health::embeddings(embedder.as_ref(), library, scratch)))
        }
        Route::CacheStats => {
            let Service { works, model, embedder, .. } = &service;
            Ok(Outcome::Whole(caches::stats(works, model.as_ref(), embedder.as_ref(), scratch)))
        }
        Route::CacheClear => Ok(Outcome::Whole(clear_caches(service, scratch))),
        Route::Sessions { limit, after } => Ok(Outcome::Store(Wish::Sessions { limit, after })),
        Route::Session(name) => Ok(Outcome::Store(Wish::Session(name))),
        Route::DropSession(name) => drop_session(name, service),
        Route::Tasks { limit, before } => Ok(Outcome::Store(Wish::List { limit, before })),
        Route::Document { document, packed } => Ok(Outcome::Document(document, packed)),
        Route::Completions { session } => complete(body, session.as_deref(), dialect, service, cx),
        Route::Socket { accept } => Ok(Outcome::Socket(accept)),
        Route::Embed => vectors::want(connection, body, service, cx)
            .map(|(request, form)| Outcome::Vectors(request, form)),
        Route::Models => Ok(Outcome::Whole(openai::list(service.embedder.as_ref(), scratch))),
        Route::OneModel(name) => openai::one(&name, service.embedder.as_ref(), scratch).map(Outcome::Whole),
        Route::Mcp(head) => mcp::act(&head, body, connection, dialect, service, cx, scratch),
        Route::Options(allow) => Ok(Outcome::Allowed(allow)),
    };
    done.unwrap_or_else(Outcome::Refuse)
}

pub(super) fn too_many_views() -> Problem {
    Problem::busy("too many look through the notes at once; try again in a moment", 1)
}

fn clear_caches(service: &mut Service, scratch: &mut Vec<u8>) -> Reply {
    let Service { works, model, embedder, pool, .. } = service;
    caches::clear(works, model.as_mut(), embedder.as_mut(), pool, scratch)
}

/// Reads the folder again.
fn sync(connection: Key, force: bool, service: &mut Service, cx: &mut Cx<'_, '_>) -> Outcome {
    let Service { folder, library, works, .. } = service;
    folder.sync(Some(connection), force, library, cx.os.disk);
    works.wake_index();
    Outcome::Sync
}

/// Does something about a run that is here, or has the store look for it.
pub(super) fn look_for(
    id: Uuid,
    deed: Deed,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    scratch: &mut Vec<u8>,
) -> Result<Outcome, Problem> {
    match service.runs.find(id) {
        Some(run) => about(run, deed, asker, service, cx, scratch),
        None => Ok(Outcome::Store(Wish::About(id, deed))),
    }
}

/// Does something about a run that is here.
fn about(
    run: Key,
    deed: Deed,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    scratch: &mut Vec<u8>,
) -> Result<Outcome, Problem> {
    let record = service.runs.at(run).ok_or_else(Problem::expired_task)?;
    let is_final = record.shown().is_final();
    let outcome = match deed {
        Deed::Show { wait } if is_final || wait.is_zero() => {
            tasks::show(run, &service.runs, &service.callbacks, scratch).map(Outcome::Whole)
        }
        Deed::Show { wait } => return Ok(Outcome::End(run, Some(cx.now.after(wait)))),
        Deed::Cancel if is_final => {
            tasks::show(run, &service.runs, &service.callbacks, scratch).map(Outcome::Whole)
        }
        Deed::Cancel => {
            service.cancel(run, cx);
            return Ok(Outcome::End(run, None));
        }
        Deed::Accept => Ok(Outcome::Accepted(record.id, record.shown().name())),
        Deed::Undo { number } => undo::job(record, number, asker).and_then(|(job, wanted)| {
            service.note_files.add(job, cx.os.disk)?;
            Ok(Outcome::File(wanted))
        }),
        Deed::Stream { after } if record.read(after) == Read::End => Ok(Outcome::NoContent),
        Deed::Stream { after } => return Ok(Outcome::Stream(run, after)),
    };
    // It may have been fetched for this answer alone.
    service.retire(run, cx);
    outcome
}

/// Reads a question that comes under the client's own name for it. Asked for anew, it is asked once.
fn look_for_key(body: &mut Vec<u8>, key: Box<str>, service: &mut Service) -> Result<Outcome, Problem> {
    let chat = chat::parse(body, &service.limits)?;
    let target = callback_of(&chat, service)?;
    let key = chat::idempotency(key, &chat.question, target.as_ref().map(|target| &*target.text));
    if let Some(again) = asked_before(&key, service) {
        return again;
    }
    Ok(Outcome::Store(Wish::Begin { body: std::mem::take(body), key }))
}

/// The run that is here under this key, if there is one, unless something else was asked under it.
fn asked_before(key: &Idempotency, service: &Service) -> Option<Result<Outcome, Problem>> {
    let (run, before) = service.runs.find_key(&key.key)?;
    let is_same = before.fingerprint == key.fingerprint;
    Some(if is_same { Ok(Outcome::Kept(run, Then::Accept)) } else { Err(Problem::key_taken()) })
}

/// Begins the run of a question under a key, unless there is one.
fn begin_once(
    chat: &Chat,
    key: Idempotency,
    kept: Option<(Uuid, Idempotency)>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Outcome, Problem> {
    // Somebody may have asked under the same key while the store was looking.
    if let Some(again) = asked_before(&key, service) {
        return again;
    }
    // One that was refused may have got into the store all the same, and is about to be forgotten there.
    let kept = kept.filter(|(id, _)| !service.runs.is_refused(*id));
    match kept {
        Some((id, before)) if before.fingerprint == key.fingerprint => {
            Ok(Outcome::Store(Wish::About(id, Deed::Accept)))
        }
        Some(_) => Err(Problem::key_taken()),
        None => {
            let target = callback_of(chat, service)?;
            begin_run(chat, OnDisconnect::Continue, Some(key), target, service, cx)
                .map(|run| Outcome::Kept(run, Then::Accept))
        }
    }
}

/// Reads a question whose client waits for the answer, and begins its run.
pub(super) fn begin(body: &[u8], service: &mut Service, cx: &mut Cx<'_, '_>) -> Result<Key, Problem> {
    let chat = chat::parse(body, &service.limits)?;
    if chat.callback_url.is_some() {
        let msg = "callback_url is for POST /chat/async alone: here the answer itself is waited for";
        return Err(Problem::invalid(callbacks::invalid("extra_forbidden", msg)));
    }
    let on_disconnect = chat.on_disconnect.unwrap_or(OnDisconnect::Cancel);
    begin_run(&chat, on_disconnect, None, None, service, cx)
}

/// Reads a request for a completion and begins its run, which nobody can come back to in that dialect.
fn complete(
    body: &[u8],
    session: Option<&str>,
    dialect: &mut Dialect,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Outcome, Problem> {
    let asked = openai::parse(body, session, &service.limits)?;
    *dialect = Dialect::OpenAi(openai::Speaker::of(&asked));
    let streams = asked.streams;
    let chat =
        Chat { question: asked.question, on_disconnect: None, on_busy: OnBusy::Queue, callback_url: None };
    let run = begin_run(&chat, OnDisconnect::Cancel, None, None, service, cx)?;
    Ok(if streams { Outcome::Kept(run, Then::Stream) } else { Outcome::Run(run) })
}

/// Reads a question and begins its run, which goes on whatever the client wishes: there is none to wait for.
fn begin_later(body: &[u8], service: &mut Service, cx: &mut Cx<'_, '_>) -> Result<Key, Problem> {
    let chat = chat::parse(body, &service.limits)?;
    let target = callback_of(&chat, service)?;
    begin_run(&chat, OnDisconnect::Continue, None, target, service, cx)
}

/// Where the end of the run is to be told, if that may be.
fn callback_of(chat: &Chat, service: &Service) -> Result<Option<Target>, Problem> {
    let target = chat.callback_url.as_deref().map(|url| service.callbacks.target(url));
    target.transpose().map_err(Problem::invalid)
}

pub(super) fn begin_run(
    chat: &Chat,
    on_disconnect: OnDisconnect,
    key: Option<Idempotency>,
    target: Option<Target>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Key, Problem> {
    if service.is_stopping() {
        return Err(Problem::busy("the server is shutting down", 1));
    }
    if let Some(trouble) = service.journal.trouble() {
        return Err(Problem::not_kept(trouble));
    }
    let Service { runs, callbacks, limits, writes, .. } = service;
    if target.as_ref().is_some_and(|target| !callbacks.has_room(target)) {
        return Err(Problem::busy("too many callbacks are outstanding already; try again in a moment", 1));
    }
    let question = &Question { writes: *writes, ..chat.question.clone() };
    let before = sessions::before(question, chat.on_busy, runs, limits)?;
    let callback = target.as_ref().map(|target| target.text.clone());
    let asking = Asking { on_disconnect, key, callback };
    let run = chat::begin(question, asking, runs, limits, cx.os.clock, cx.os.entropy)?;
    if let (Some(target), Some(record)) = (target, runs.at(run)) {
        callbacks.expect(record.id, target);
    }
    for run in before {
        service.cancel(run, cx);
    }
    Ok(run)
}
