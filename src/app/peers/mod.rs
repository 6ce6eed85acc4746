//! One client's connection and what is going on over it: the place where sockets, HTTP and runs meet.
//!
//! ```text
//!               Head, End                    (whole answer)
//!    Nothing ───────────────► Receiving ──────────────────────────────► Nothing
//!       ▲                        │ ├─ must be looked up ─► AwaitStore ─ found ─► as if it had been here
//!       │                        │ ├─ chat ────────────────► AwaitRun ──── ended ───┐
//!       │                        │ ├─ stream, async ─► AwaitKept ─ kept ─┬──────────┤
//!       │                        │ │                                     └► Streaming ─ read up ─┐
//!       │                        │ ├─ long poll, cancel ───► AwaitEnd ──── ended ───┤           │
//!       │                        │ ├─ a note's file ───────► AwaitFile ───── done ───┤           │
//!       │                        │ ├─ a look at the notes ─► AwaitView ───── made ───┤           │
//!       │                        │ ├─ texts to embed ──────► AwaitVectors ── given ──┤           │
//!       │                        │ ├─ sync ────────────────► AwaitSync ─── scanned ─┤           │
//!       │                        │ └─ ws ──────────────────► Socket ──► (closed)   │           │
//!       └────────────────────────────────────────────────────────────────────────┴───────────┘
//!    any of them ── last answer queued, or a peer that must go ──► Lingering ──► (closed)
//! ```
//!
//! [`serve`] is the one way forward: whatever has happened (bytes, room to send, news of a run, a timer), it goes
//! through the same short list until nothing can be done without waiting. What we owe goes out before more is taken
//! in, so a peer that doesn't read stops being read from: that is all the backpressure there is.
//!
//! The steps of the list are in the files beside this one: `receive`, `answer`, `file`, `write`, `vectors`, `mcp`, `socket`, `end`, and
//! `deadlines`.

mod answer;
mod deadlines;
mod end;
mod file;
mod mcp;
mod receive;
mod socket;
mod undo;
mod vectors;
mod write;

use std::net::SocketAddr;
use std::time::Duration;

use uuid::Uuid;

use super::dialect::Dialect;
use super::doors::Origin;
use super::note_files::Versions;
use super::openai::Form;
use super::routes::Route;
use super::service::Service;
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Pressure, Time};
use crate::limits::Limits;
use crate::net::Connection;
use crate::os::Ready;
use crate::reactor::{Cx, TimerId};
use crate::store::{Idempotency, KeptRun, KeptSession, Row, SessionPlace, SessionRow, Trouble};
use crate::wire::http1::{After, Server};

pub use answer::{not_synced, synced, viewed};
pub use deadlines::timer;
pub use end::{evict, over};
pub use file::{changed, fetched, not_changed};
pub use receive::found;
pub use vectors::embedded;

use answer::{answer_end, answer_kept, answer_run, stream};
use deadlines::arm;
use end::{hang_up, linger};
use receive::receive;
use socket::Socket;

/// What a connection is in the middle of.
#[derive(Debug)]
enum Exchange {
    /// Between requests, or within a head.
    Nothing,
    /// A request was routed; its body is arriving.
    Receiving { route: Route, body: Vec<u8> },
    /// `/chat`: the answer is the run's.
    AwaitRun { run: Key },
    /// What was asked for is done once it is kept that the run was accepted.
    AwaitKept { run: Key, then: Then },
    /// A task's state, once it is final or the wait is over. Without an end of the wait: a cancel.
    AwaitEnd { run: Key, until: Option<Time> },
    /// The store is asked for something first.
    AwaitStore { wish: Wish },
    /// An event stream, sent up to and with event number `sent`. Its reader was told whether it is `kept`.
    Streaming { run: Key, sent: u64, kept: bool },
    /// `/sync`: the answer is the scan's.
    AwaitSync,
    /// A look at the notes, which this task makes.
    AwaitView { task: Key },
    /// Vectors of what a client has sent, which are to be written so.
    AwaitVectors { request: Key, form: Form },
    /// A file that is read, or changed.
    AwaitFile { wanted: FileWanted },
    /// No more HTTP: messages both ways, and any number of runs.
    Socket(Box<Socket>),
    /// The last answer is out; what still arrives is dropped until the peer closes or the time is up.
    Lingering { bytes_left: usize },
}

/// What a client wants of a file.
#[derive(Debug)]
enum FileWanted {
    /// Its bytes, unless the client has them.
    Bytes { unless: Versions },
    /// Some of its text.
    Window {
        /// The note.
        path: Box<str>,
        /// Byte to begin at.
        start: u64,
        /// Bytes at most.
        length: usize,
    },
    /// That something is written as the agent's own tools write it.
    Edited(Box<write::Writing>),
    /// That it is written.
    Written,
    /// That it is gone.
    Gone,
    /// That a note which the agent has made is gone again.
    Undone {
        /// The change, by its id.
        id: Box<str>,
    },
}

/// What is done once a run is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// 202, with the run's id.
    Accept,
    /// 200, with its task.
    Show,
    /// Its events are streamed, from the first.
    Stream,
}

/// What was asked for, while the store looks for what it is about.
#[derive(Debug)]
enum Wish {
    /// A run.
    About(Uuid, Deed),
    /// The list of tasks.
    List { limit: usize, before: Option<Uuid> },
    /// The list of sessions.
    Sessions { limit: usize, after: Option<SessionPlace> },
    /// A session.
    Session(Box<str>),
    /// That a session is gone.
    DropSession(Box<str>),
    /// A run that was begun under this idempotency key, or else a new one. The body counts as one that is being received.
    Begin { body: Vec<u8>, key: Idempotency },
}

/// What is to be done about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Show it, once it has ended or the wait is over.
    Show { wait: Duration },
    /// Stream its events from behind this one.
    Stream { after: u64 },
    /// Cancel it.
    Cancel,
    /// Say that it was accepted: it was asked for again under its idempotency key.
    Accept,
    /// Undo this one of the changes that it has made.
    Undo {
        /// From 1.
        number: u32,
    },
}

/// What the store has found.
#[derive(Debug)]
pub enum Found {
    /// The run that was asked for, if it is kept.
    Run(Option<KeptRun>),
    /// The runs of a list.
    Rows(Vec<Row>),
    /// The run under an idempotency key, if there is one.
    Key(Option<(Uuid, Idempotency)>),
    /// The sessions of a list.
    Sessions(Vec<SessionRow>),
    /// The session that was asked for, if it is kept.
    Session(Option<KeptSession>),
    /// Whether there was a session, which is gone now.
    Dropped(bool),
    /// It could not look.
    Nothing(Trouble),
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
    /// The request being answered was made by a page of this origin, which is welcome.
    origin: Option<Origin>,
    /// What the request being answered was made in.
    dialect: Dialect,
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

/// What a connection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// Bytes of memory for what has arrived.
    pub inbox_bytes: usize,
    /// Bytes of memory for what is to be sent.
    pub outbox_bytes: usize,
    /// Bytes that have arrived and are not used yet.
    pub unread_bytes: usize,
    /// Bytes that wait to be sent.
    pub unsent_bytes: usize,
    /// Bytes of a request's body so far.
    pub body_bytes: usize,
    /// Its timer is set.
    pub has_timer: bool,
    /// The runs that it reads.
    pub runs: Vec<Key>,
    /// It waits for a scan.
    pub awaits_sync: bool,
    /// It waits for a view.
    pub awaits_view: bool,
    /// It waits for vectors.
    pub awaits_vectors: bool,
    /// It waits for a file.
    pub awaits_file: bool,
}

/// What one connection may do in one turn before others have theirs.
#[derive(Debug)]
struct Allowance {
    read_bytes: usize,
    requests: usize,
    frames: usize,
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

impl Peer {
    /// A client that has just connected.
    pub fn new(key: Key, address: SocketAddr, now: Time, limits: &Limits) -> Peer {
        Peer {
            connection: Connection::new(key, limits),
            address,
            server: Server::new(),
            exchange: Exchange::Nothing,
            by_head: false,
            origin: None,
            dialect: Dialect::Own,
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
        let has_idle_socket = matches!(&self.exchange, Exchange::Socket(socket) if socket.is_idle())
            && self.connection.inbox.is_empty()
            && self.connection.outbox.is_empty();
        let is_idle = self.is_idle() || has_idle_socket || is_planted(Planted::EvictsTheBusy);
        (is_idle && !self.gone).then_some(self.since)
    }

    /// What it holds, for the census.
    pub fn holds(&self) -> Holds {
        let body_bytes = match &self.exchange {
            Exchange::Receiving { body, .. } | Exchange::AwaitStore { wish: Wish::Begin { body, .. } } => {
                body.len()
            }
            Exchange::Nothing
            | Exchange::AwaitRun { .. }
            | Exchange::AwaitKept { .. }
            | Exchange::AwaitEnd { .. }
            | Exchange::AwaitStore { .. }
            | Exchange::Streaming { .. }
            | Exchange::AwaitSync
            | Exchange::AwaitView { .. }
            | Exchange::AwaitVectors { .. }
            | Exchange::AwaitFile { .. }
            | Exchange::Lingering { .. } => 0,
            Exchange::Socket(socket) => socket.held_bytes(),
        };
        Holds {
            inbox_bytes: self.connection.inbox.capacity(),
            outbox_bytes: self.connection.outbox.capacity(),
            unread_bytes: self.connection.inbox.unread().len(),
            unsent_bytes: self.connection.outbox.len(),
            body_bytes,
            has_timer: self.timer.is_some(),
            runs: if self.gone { Vec::new() } else { self.runs() },
            awaits_sync: !self.gone && matches!(self.exchange, Exchange::AwaitSync),
            awaits_view: !self.gone && matches!(self.exchange, Exchange::AwaitView { .. }),
            awaits_vectors: !self.gone && matches!(self.exchange, Exchange::AwaitVectors { .. }),
            awaits_file: !self.gone && matches!(self.exchange, Exchange::AwaitFile { .. }),
        }
    }

    /// Bytes of answers since the connection began, sent or waiting.
    fn queued(&self) -> u64 {
        self.bytes_sent + self.connection.outbox.len() as u64
    }

    /// The runs that it reads.
    fn runs(&self) -> Vec<Key> {
        match &self.exchange {
            Exchange::AwaitRun { run }
            | Exchange::AwaitKept { run, .. }
            | Exchange::AwaitEnd { run, .. }
            | Exchange::Streaming { run, .. } => vec![*run],
            Exchange::Socket(socket) => socket.runs().collect(),
            Exchange::Nothing
            | Exchange::Receiving { .. }
            | Exchange::AwaitStore { .. }
            | Exchange::AwaitSync
            | Exchange::AwaitView { .. }
            | Exchange::AwaitVectors { .. }
            | Exchange::AwaitFile { .. }
            | Exchange::Lingering { .. } => Vec::new(),
        }
    }
}

/// Takes what the poller said of a client, and goes on with it.
pub fn ready(peer: &mut Peer, ready: Ready, service: &mut Service, cx: &mut Cx<'_, '_>) {
    peer.connection.note(ready);
    if peer.gone {
        return;
    }
    if peer.connection.peer_closed() {
        // It may be half-closed and still read, or it may be gone: only a write could tell, and there is none to make.
        for run in peer.runs() {
            leaving(peer, run, service, cx);
        }
        vectors::leaving(peer, service, cx);
    }
    serve(peer, service, cx);
}

/// The client has shut its sending side, and may be gone.
fn leaving(peer: &Peer, run: Key, service: &mut Service, cx: &mut Cx<'_, '_>) {
    service.runs.leaving(run, peer.connection.key);
    if peer.dialect.can_come_back() { service.left(run, cx) } else { service.lost(run, cx) }
}

/// Goes on with a client until nothing can be done without waiting.
pub fn serve(peer: &mut Peer, service: &mut Service, cx: &mut Cx<'_, '_>) {
    if peer.gone {
        return;
    }
    let mut allowance = Allowance {
        read_bytes: service.limits.read_bytes_per_turn,
        requests: service.limits.requests_per_turn_max,
        frames: service.limits.websocket_frames_per_turn_max,
        queued_to: peer.queued() + service.limits.answer_bytes_per_turn as u64,
    };
    let ended = loop {
        match step(peer, service, cx, &mut allowance) {
            Stepped::On => {}
            // That what is owed went out may be all that was waited for.
            Stepped::Waits if flush(peer, cx) > 0 => {}
            ended => break ended,
        }
    };
    if ended == Stepped::Spent {
        flush(peer, cx);
    }
    let unwanted = ended == Stepped::Waits && service.is_stopping() && peer.is_idle();
    if ended == Stepped::Over || unwanted || peer.connection.broken() {
        over(peer, service, cx);
        return;
    }
    // What is left to do here nobody will announce: a budget ended it, or a flush was interrupted.
    if (ended == Stepped::Spent || peer.connection.may_write() || is_planted(Planted::AsksForEver))
        && !is_planted(Planted::ForgetsAnotherGo)
        && let Some(again) = peer.connection.ask_again()
    {
        let had_none = allowance.requests == service.limits.requests_per_turn_max;
        if had_none && service.has_spent_requests() { cx.again_first(again) } else { cx.again(again) }
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
            if let Exchange::Socket(socket) = &mut peer.exchange {
                socket.is_not_read(cx.now);
            }
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
        Exchange::AwaitKept { run, then } => answer_kept(peer, run, then, service, cx),
        Exchange::AwaitEnd { run, until } => answer_end(peer, run, until, service, cx),
        Exchange::Streaming { run, sent, kept } => stream(peer, run, sent, kept, service, cx, allowance),
        Exchange::AwaitVectors { request, .. } => vectors::waits(peer, request, service, cx),
        Exchange::AwaitSync
        | Exchange::AwaitStore { .. }
        | Exchange::AwaitView { .. }
        | Exchange::AwaitFile { .. } => Stepped::Waits,
        Exchange::Socket(_) => socket::step(peer, service, cx, allowance),
        Exchange::Lingering { bytes_left } => linger(peer, bytes_left, service, cx, allowance),
    }
}

/// Sends what waits, as far as there is room; answers how many bytes went out.
fn flush(peer: &mut Peer, cx: &mut Cx<'_, '_>) -> usize {
    let taken = peer.connection.flush(cx.os.net);
    if taken > 0 {
        peer.sent_at = cx.now;
        peer.bytes_sent += taken as u64;
        // The silence between requests begins when the answer is out, not when it was queued.
        if peer.is_idle() {
            peer.since = cx.now;
        }
    }
    taken
}
