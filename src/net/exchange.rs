//! One request to somebody else and its response, from the first look for an address to the last byte.
//!
//! ```text
//!              place, none kept      addresses        stands, https by proxy        200
//!  AwaitPlace ────────────► AwaitNames ───► AwaitConnect ───────────► AwaitTunnel ─────┐
//!      │                                         │ stands, http    stands, https │     │
//!      │ place, a connection was kept            │                               ▼     ▼
//!      └──────────────────────────► AwaitHead ◄──┴─────────────────────────── AwaitHandshake
//!                                       │ head      │ the kept connection was closed before a byte came back:
//!                                       ▼           └──► AwaitNames, once
//!                                    InBody ──► Over
//! ```
//!
//! Whoever owns the exchange pulls: `step` says what has happened next, and nothing is kept of a body
//! that was told. Each state has its deadline (`deadline`); the one timer is the table's.

use std::fmt;
use std::time::Duration;

use super::connection::{Connection, Fill};
use super::dialer::Dialer;
use crate::base::{Pool, Time};
use crate::limits::Limits;
use crate::reactor::Cx;
use crate::wire::http1::{Client, ResponseError, ResponseEvent, ResponseHead, Sent};
use crate::wire::tls::TlsError;

/// How long the parts of an exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first look for an address until a request can be sent: names, connecting, a proxy's tunnel and TLS.
    pub connect: Duration,
    /// From then on to the first byte of the response's body.
    pub first_byte: Duration,
    /// The longest silence after that.
    pub gap: Duration,
    /// All of it, the wait for a place included.
    pub total: Duration,
}

/// Why an exchange came to nothing, or not to its end. Its words continue a sentence that begins with the host's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The resolver knows no address.
    NoName(String),
    /// No address answers.
    NotReached(String),
    /// It took too long to reach it.
    ConnectTimeout(Duration),
    /// The proxy does not open a tunnel.
    ProxyRefused(u16),
    /// TLS could not be spoken, or went wrong.
    Tls(String),
    /// The connection broke before anything was answered.
    Broken,
    /// The connection broke within the answer.
    BrokeOff,
    /// What came is no response.
    NoResponse(ResponseError),
    /// No answer began in time.
    FirstByteTimeout(Duration),
    /// The answer stopped.
    GapTimeout(Duration),
    /// The answer took too long.
    TotalTimeout(Duration),
    /// Too many exchanges wait, or there is no descriptor.
    NoRoom,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoName(why) => write!(f, "has no address: {why}"),
            Failure::NotReached(why) => write!(f, "can't be reached: {why}"),
            Failure::ConnectTimeout(limit) => write!(f, "could not be reached within {}", seconds(*limit)),
            Failure::ProxyRefused(407) => {
                f.write_str("can't be reached: the proxy wants another name and password (407)")
            }
            Failure::ProxyRefused(status) => write!(f, "can't be reached: the proxy answered {status}"),
            Failure::Tls(why) => write!(f, "can't be trusted: {why}"),
            Failure::Broken => f.write_str("closed the connection before it had answered"),
            Failure::BrokeOff => f.write_str("closed the connection within its answer"),
            Failure::NoResponse(error) => write!(f, "does not answer in HTTP: {error}"),
            Failure::FirstByteTimeout(limit) => {
                write!(f, "did not begin to answer within {}", seconds(*limit))
            }
            Failure::GapTimeout(limit) => write!(f, "fell silent for {} within its answer", seconds(*limit)),
            Failure::TotalTimeout(limit) => write!(f, "was not done answering within {}", seconds(*limit)),
            Failure::NoRoom => f.write_str("was not asked: too many requests are under way already"),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// What is told of a response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code, never 1xx.
    pub status: u16,
    /// `Content-Type`, in lower case and without parameters.
    pub content_type: String,
    /// `Retry-After` as it stands there.
    pub retry_after: Option<String>,
}

impl Head {
    fn of(head: &ResponseHead<'_>) -> Head {
        let text = |name| head.field(name).and_then(|value| std::str::from_utf8(value).ok());
        let content_type = text("content-type").unwrap_or("").split(';').next().unwrap_or("");
        Head {
            status: head.status,
            content_type: content_type.trim().to_ascii_lowercase(),
            retry_after: text("retry-after").map(str::to_owned),
        }
    }
}

/// What has happened next.
#[derive(Debug)]
pub(super) enum Step {
    /// The response began.
    Head(Head),
    /// So many bytes of its body are at hand ([`Exchange::piece`]) until the next step.
    Body,
    /// All of it was told.
    End,
    /// It came to nothing.
    Failed(Failure),
    /// A connection that was kept had been closed at the other end: a fresh one is needed.
    Stale,
    /// The tunnel through the proxy stands: TLS is to be begun on it.
    Secure(Box<Connection>),
    /// Nothing for now.
    Nothing,
}

/// Where an exchange is.
#[derive(Debug)]
pub(super) enum State {
    /// Waits until fewer exchanges with this host are under way.
    AwaitPlace,
    /// The host's name is being looked up.
    AwaitNames,
    /// Addresses are being tried.
    AwaitConnect(Dialer),
    /// The proxy was asked for a tunnel.
    AwaitTunnel(Box<Connection>),
    /// TLS is being agreed upon.
    AwaitHandshake(Box<Connection>),
    /// The request is on its way, or was sent.
    AwaitHead(Box<Connection>),
    /// The response has begun.
    InBody(Box<Connection>),
    /// Nothing more will be told.
    Over,
}

/// One request and its response.
pub struct Exchange {
    pub(super) origin: usize,
    pub(super) state: State,
    pub(super) timer: Option<(crate::reactor::TimerId, Time)>,
    sent: Sent,
    /// The whole request; it may hold a secret.
    request: Vec<u8>,
    /// Bytes of it that were handed to the connection.
    handed: usize,
    client: Client,
    patience: Patience,
    begun: Time,
    /// When the present stage began, or, in a body, when something was last heard.
    since: Time,
    /// Some byte of the body has come.
    has_body: bool,
    /// The connection had carried another exchange before.
    pub(super) is_reused: bool,
    /// Some byte of a response has come.
    has_response: bool,
    /// Bytes of the inbox that the last step has told of.
    told: usize,
    /// How many of them, at their end, are body.
    piece: usize,
    /// Bytes that may still be read in this turn.
    allowance: usize,
    pub(super) failure: Option<Failure>,
    is_finished: bool,
    has_ended: bool,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Exchange {
    /// One that waits for its place.
    pub(super) fn new(
        origin: usize,
        sent: Sent,
        request: Vec<u8>,
        patience: Patience,
        now: Time,
    ) -> Exchange {
        Exchange {
            origin,
            state: State::AwaitPlace,
            timer: None,
            sent,
            request,
            handed: 0,
            client: Client::new(),
            patience,
            begun: now,
            since: now,
            has_body: false,
            is_reused: false,
            has_response: false,
            told: 0,
            piece: 0,
            allowance: 0,
            failure: None,
            is_finished: false,
            has_ended: false,
        }
    }

    /// Its owner wants to hear no more of it: it has a little time to come to its end, however often something comes.
    pub(super) fn finish(&mut self, limits: &Limits, now: Time) {
        let soon = limits.outbound_rest_timeout;
        let total = now.since(self.begun).saturating_add(soon);
        self.patience = Patience { connect: soon, first_byte: soon, gap: soon, total };
        self.since = now;
        self.is_finished = true;
        self.allowance = self.allowance.max(limits.outbound_rest_bytes_max);
    }

    /// Its owner wants to hear no more of it.
    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Its end was told.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended
    }

    /// The moment at which it fails unless something happens, and why then.
    pub(super) fn deadline(&self) -> Option<(Time, Failure)> {
        let Patience { connect, first_byte, gap, total } = self.patience;
        let all_by = self.begun.after(total);
        let stage = match &self.state {
            // Others had all the places for all the time: that is not this host's fault.
            State::AwaitPlace => Some((all_by, Failure::NoRoom)),
            State::AwaitNames | State::AwaitConnect(_) | State::AwaitTunnel(_) | State::AwaitHandshake(_) => {
                Some((self.since.after(connect), Failure::ConnectTimeout(connect)))
            }
            State::AwaitHead(_) | State::InBody(_) if !self.has_body => {
                Some((self.since.after(first_byte), Failure::FirstByteTimeout(first_byte)))
            }
            State::AwaitHead(_) | State::InBody(_) => Some((self.since.after(gap), Failure::GapTimeout(gap))),
            State::Over => return None,
        };
        let all = (all_by, Failure::TotalTimeout(total));
        Some(match stage {
            Some(stage) if stage.0 <= all.0 => stage,
            Some(_) | None => all,
        })
    }

    /// The socket that it holds, once there is one.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::AwaitTunnel(connection)
            | State::AwaitHandshake(connection)
            | State::AwaitHead(connection)
            | State::InBody(connection) => Some(connection),
            State::AwaitPlace | State::AwaitNames | State::AwaitConnect(_) | State::Over => None,
        }
    }

    /// So much may be read until the next call. Answers what was left.
    pub(super) fn allow(&mut self, bytes: usize) -> usize {
        std::mem::replace(&mut self.allowance, bytes)
    }

    /// Begins to reach the host.
    pub(super) fn look_for_host(&mut self, now: Time) {
        self.state = State::AwaitNames;
        self.since = now;
        (self.client, self.handed) = (Client::new(), 0);
        self.is_reused = false;
    }

    /// Asks the proxy for a tunnel, with this request.
    pub(super) fn tunnel(&mut self, mut connection: Box<Connection>, request: &[u8]) {
        self.client.expect(Sent::Connect);
        if connection.outbox.push(request).is_err() {
            self.failure = Some(Failure::NoRoom);
        }
        self.state = State::AwaitTunnel(connection);
    }

    /// Sends the request on this connection, which stands.
    pub(super) fn send(&mut self, connection: Box<Connection>, now: Time) {
        self.client = Client::new();
        self.client.expect(self.sent);
        self.handed = 0;
        self.state = State::AwaitHead(connection);
        self.since = now;
    }

    /// Sends the request on this connection once TLS is agreed upon.
    pub(super) fn send_secured(&mut self, connection: Box<Connection>) {
        self.state = State::AwaitHandshake(connection);
    }

    /// What has happened next, as far as it can be found out without waiting.
    pub(super) fn step(&mut self, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) -> Step {
        if let Some(failure) = self.failure.take() {
            return Step::Failed(failure);
        }
        self.forget_told();
        match &self.state {
            State::AwaitPlace | State::AwaitNames | State::AwaitConnect(_) | State::Over => Step::Nothing,
            State::AwaitHandshake(_) => self.shake_hands(pool, limits, cx),
            State::AwaitTunnel(_) | State::AwaitHead(_) | State::InBody(_) => self.converse(pool, limits, cx),
        }
    }

    /// The piece of the body that the last step told of.
    pub(super) fn piece(&mut self) -> &[u8] {
        let (told, piece) = (self.told, self.piece);
        let Some(connection) = self.connection() else { return &[] };
        connection.inbox.unread().get(told - piece..told).unwrap_or_default()
    }

    /// Ends it. What is left of its connection may carry another exchange if it says so.
    pub(super) fn end(&mut self) -> Ended {
        self.forget_told();
        let is_fit = self.client.may_be_reused() && self.handed == self.request.len();
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitHead(connection) | State::InBody(connection) => {
                Ended::Connection { connection, is_fit }
            }
            State::AwaitTunnel(connection) | State::AwaitHandshake(connection) => {
                Ended::Connection { connection, is_fit: false }
            }
            State::AwaitConnect(dialer) => Ended::Dialer(dialer),
            State::AwaitNames => Ended::Nothing { had_place: true },
            State::AwaitPlace | State::Over => Ended::Nothing { had_place: false },
        }
    }

    fn forget_told(&mut self) {
        let told = std::mem::take(&mut self.told);
        self.piece = 0;
        if let Some(connection) = self.connection() {
            connection.inbox.consume(told);
        }
    }

    /// Sends, receives, and reads the response.
    fn converse(&mut self, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) -> Step {
        loop {
            self.hand_request(cx);
            let is_tunnel = matches!(self.state, State::AwaitTunnel(_));
            let (State::AwaitTunnel(connection) | State::AwaitHead(connection) | State::InBody(connection)) =
                &mut self.state
            else {
                return Step::Nothing;
            };
            let step = match self.client.receive(connection.inbox.unread(), limits) {
                Ok(step) => step,
                Err(error) => return Step::Failed(Failure::NoResponse(error)),
            };
            self.has_response |= step.consumed > 0 && !is_tunnel;
            match step.event {
                Some(ResponseEvent::Head(head)) if is_tunnel => {
                    let status = head.status;
                    connection.inbox.consume(step.consumed);
                    // A proxy that answers what it has not read whole is none.
                    if !(200..=299).contains(&status) || !connection.outbox.is_empty() {
                        return Step::Failed(Failure::ProxyRefused(status));
                    }
                    return self.leave_tunnel();
                }
                Some(ResponseEvent::Head(head)) => {
                    let head = Head::of(&head);
                    self.told = step.consumed;
                    self.begin_body();
                    return Step::Head(head);
                }
                Some(ResponseEvent::Body(piece)) => {
                    (self.told, self.piece) = (step.consumed, piece.len());
                    self.since = cx.now;
                    self.has_body = true;
                    return Step::Body;
                }
                Some(ResponseEvent::End) => {
                    self.told = step.consumed;
                    self.has_ended = true;
                    return Step::End;
                }
                None if step.consumed > 0 => {
                    connection.inbox.consume(step.consumed);
                    continue;
                }
                None => {}
            }
            match connection.fill(cx.os.net, pool, &mut self.allowance) {
                Fill::Received => {}
                Fill::Nothing => {
                    // Within TLS what was received may have to be answered. Where a flush was interrupted the request has
                    // room again, which the poller will not tell.
                    if connection.may_write()
                        && connection.flush(cx.os.net) > 0
                        && self.handed < self.request.len()
                    {
                        continue;
                    }
                    ask_for_more(connection, connection.may_write(), cx);
                    connection.settle(pool);
                    return Step::Nothing;
                }
                Fill::Spent => {
                    ask_for_more(connection, true, cx);
                    return Step::Nothing;
                }
                // A head is bounded by less than an inbox, and everything else is used as it comes.
                Fill::Full => return Step::Failed(Failure::Broken),
                Fill::Ended | Fill::Broken => return self.ended(),
            }
        }
    }

    /// The other side sends no more, in good order or not.
    fn ended(&mut self) -> Step {
        let Some(connection) = self.connection() else { return Step::Nothing };
        // An end that TLS was not told of may be anybody's, so it ends no body; else it is what it would be without TLS.
        let (is_broken, tls_error) = match connection.tls_error() {
            Some(TlsError::CutShort) => (true, None),
            Some(error) => (connection.broken(), Some(error.to_string())),
            None => (connection.broken(), None),
        };
        if self.is_reused && !self.has_response {
            return Step::Stale;
        }
        let broken = if self.has_body { Failure::BrokeOff } else { Failure::Broken };
        if let Some(error) = tls_error {
            return Step::Failed(Failure::Tls(error));
        }
        if is_broken {
            return Step::Failed(broken);
        }
        match self.client.end_of_input() {
            Ok(()) => {
                self.has_ended = true;
                Step::End
            }
            Err(ResponseError::CutShort) => Step::Failed(broken),
            Err(error) => Step::Failed(Failure::NoResponse(error)),
        }
    }

    fn shake_hands(&mut self, pool: &mut Pool, limits: &Limits, cx: &mut Cx<'_, '_>) -> Step {
        loop {
            let State::AwaitHandshake(connection) = &mut self.state else { return Step::Nothing };
            connection.flush(cx.os.net);
            if !connection.is_handshaking() {
                if let State::AwaitHandshake(connection) = std::mem::replace(&mut self.state, State::Over) {
                    self.send(connection, cx.now);
                }
                return self.converse(pool, limits, cx);
            }
            match connection.fill(cx.os.net, pool, &mut self.allowance) {
                Fill::Received => {}
                Fill::Nothing => {
                    connection.flush(cx.os.net);
                    // The last message of a handshake may be the peer's (RFC 5246 §7.3): it waits for us then, and
                    // nothing will be announced any more.
                    if connection.is_handshaking() {
                        ask_for_more(connection, connection.may_write(), cx);
                        return Step::Nothing;
                    }
                }
                Fill::Spent => {
                    ask_for_more(connection, true, cx);
                    return Step::Nothing;
                }
                Fill::Full => return Step::Failed(Failure::Broken),
                Fill::Ended | Fill::Broken => return self.ended(),
            }
        }
    }

    /// Hands what there is room for of the request to the connection, and sends it.
    fn hand_request(&mut self, cx: &mut Cx<'_, '_>) {
        let request = match &self.state {
            State::AwaitHead(_) | State::InBody(_) => &self.request[..],
            // What asks for the tunnel was handed over whole.
            State::AwaitTunnel(_) => &[],
            State::AwaitPlace
            | State::AwaitNames
            | State::AwaitConnect(_)
            | State::AwaitHandshake(_)
            | State::Over => return,
        };
        let (State::AwaitTunnel(connection) | State::AwaitHead(connection) | State::InBody(connection)) =
            &mut self.state
        else {
            return;
        };
        loop {
            let left = request.get(self.handed..).unwrap_or_default();
            let part = &left[..left.len().min(connection.outbox.free())];
            if !part.is_empty() && connection.outbox.push(part).is_ok() {
                self.handed += part.len();
            }
            if connection.flush(cx.os.net) == 0 || self.handed == request.len() {
                return;
            }
        }
    }

    /// What lies behind the proxy's answer is the tunnel's.
    fn leave_tunnel(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitTunnel(connection) => Step::Secure(connection),
            other => {
                self.state = other;
                Step::Nothing
            }
        }
    }

    fn begin_body(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitHead(connection) => State::InBody(connection),
            other => other,
        };
    }
}

/// Another go in the next turn, for what the poller will not announce: a share that is spent, or a call that was
/// interrupted.
fn ask_for_more(connection: &mut Connection, is_wanted: bool, cx: &mut Cx<'_, '_>) {
    if is_wanted && let Some(ready) = connection.ask_again() {
        cx.again(ready);
    }
}

/// What an exchange held when it was ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// A connection; fit to carry another exchange, or not.
    Connection { connection: Box<Connection>, is_fit: bool },
    /// Attempts to connect.
    Dialer(Dialer),
    /// No socket.
    Nothing { had_place: bool },
}
