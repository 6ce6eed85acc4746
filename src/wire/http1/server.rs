//! One connection as HTTP/1.1 sees it: requests in, answers out, one at a time and so in order.
//!
//! While a request is open, the bytes after it stay in the caller's inbox: a peer that pipelines waits its turn, and
//! whatever is wrong with a later request is found only once the earlier ones are answered.
//!
//! ```
//! use oneloop::base::Outbox;
//! use oneloop::limits::Limits;
//! use oneloop::wire::http1::{After, Answer, AnswerBody, RequestEvent, Server};
//!
//! let (mut server, mut out) = (Server::new(), Outbox::new(64, 1024));
//! let step = server.receive(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", &Limits::default()).unwrap();
//! assert!(matches!(step.event, Some(RequestEvent::Head(_))));
//!
//! let answer = Answer {
//!     status: 200,
//!     date: "Sun, 01 Mar 2026 09:30:00 GMT",
//!     content_type: Some("application/json"),
//!     fields: &[],
//!     body: AnswerBody::Whole(b"{}"),
//!     close: false,
//! };
//! server.begin(&answer, &mut out).unwrap();
//! assert_eq!(
//!     out.unsent(),
//!     b"HTTP/1.1 200 OK\r\n\
//!       Date: Sun, 01 Mar 2026 09:30:00 GMT\r\n\
//!       Content-Type: application/json\r\n\
//!       Content-Length: 2\r\n\
//!       \r\n\
//!       {}"
//! );
//! assert_eq!(server.after(), After::Next);
//! ```

use std::fmt;

use super::answer::{Answer, AnswerBody, AnswerFraming, ConnectionOption, DIGITS_MAX, Draft, number};
use super::error::RequestError;
use super::framing::{BodyDecoder, Framing};
use super::head::{Head, HeadScanner, Method, Scan, Version};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Full, Outbox, Pressure, Step};
use crate::limits::Limits;

/// What a request's bytes made happen, in this order: a head, pieces of its body, its end.
///
/// `Body` and `End` come only after [`Server::admit`].
#[derive(Debug, Clone)]
pub enum RequestEvent<'b> {
    /// A request was begun. Nothing more is read until it is admitted or answered.
    Head(Head<'b>),
    /// The next piece of its body, never empty.
    Body(&'b [u8]),
    /// All of its body was read, which may be none.
    End,
}

/// Why a body is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmitError {
    /// The declared length is over what the route takes: answer 413.
    TooLarge {
        /// Bytes that were declared.
        declared: u64,
        /// Bytes that the route takes.
        body_bytes_max: u64,
    },
    /// `100 Continue` does not fit into the outbox; nothing was changed.
    Full(Full),
}

impl fmt::Display for AdmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdmitError::TooLarge { declared, body_bytes_max } => {
                write!(
                    f,
                    "a body of {declared} bytes is declared and at most {body_bytes_max} are taken here"
                )
            }
            AdmitError::Full(full) => full.fmt(f),
        }
    }
}

impl std::error::Error for AdmitError {}

/// What the connection does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Goes on: hands over what arrives, or waits for the answer.
    Next,
    /// The last answer is queued: flush it and close, but not at once. The peer may still be sending, if only a stray
    /// empty line, and closing on that resets the connection before it has read the answer. So close the writing half
    /// and drop what arrives for a while (RFC 9112 §9.6).
    Close,
}

/// What it means that the peer will send no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfInput {
    /// It stopped between requests or after a whole one, whose answer it may still want.
    Clean,
    /// It stopped within a head or a body. There is nothing to answer.
    MidRequest,
}

/// What an answer must know of its request.
#[derive(Debug, Clone, Copy)]
struct Asked {
    version: Version,
    by_head: bool,
    keep_alive: bool,
    expect_continue: bool,
}

/// As long as no head was read.
const NOTHING_ASKED: Asked =
    Asked { version: Version::Http11, by_head: false, keep_alive: false, expect_continue: false };

/// How pieces of a streamed body are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapping {
    Chunks,
    /// HTTP/1.0: the bytes as they are, up to the close.
    Bare,
    /// Answer to HEAD, or a status without body: nothing is sent.
    Dropped,
}

/// Where the one open request stands.
///
/// ```text
///                HeadRead              admit               End               begin, streamed
/// ExpectHead ─────────────► AwaitRoute ─────► ExpectBody ─────► AwaitAnswer ─────────────────► SendBody
///     ▲                         │                 │                  │                             │
///     │                         └────── begin, ───┴─────── whole ────┤                             │ finish
///     │                                                              ▼                             │
///     └───────────────────── goes on ─────────────────────── (answer finished) ◄───────────────────┘
///                                                                    │ ends
///  any error ──► Broken ──────────────── begin ──────────────────────┴──────────────────────────► Closed
/// ```
///
/// An answer can be streamed from wherever it can be begun. One that was begun before the body was read ends the
/// connection: what is left of the body would have to be read to find the next request.
#[derive(Debug)]
enum State {
    ExpectHead(HeadScanner),
    AwaitRoute(Framing),
    ExpectBody(BodyDecoder),
    AwaitAnswer,
    SendBody { wrapping: Wrapping, then: After },
    Broken(RequestError),
    Closed,
}

/// The server's side of one connection. Holds no bytes: a head stays in the inbox until it is whole.
#[derive(Debug)]
pub struct Server {
    state: State,
    asked: Asked,
    error: Option<RequestError>,
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl Server {
    /// A connection before its first byte.
    pub fn new() -> Server {
        Server { state: State::ExpectHead(HeadScanner::new()), asked: NOTHING_ASKED, error: None }
    }

    /// Takes the next bytes; call it until it has no event and has consumed nothing, then when more have arrived.
    /// An event may be owed without new bytes, so call it with none as well.
    ///
    /// While a request awaits its route or its answer, and once the connection is to be closed, nothing is consumed.
    ///
    /// # Errors
    /// [`RequestError`], at the first byte that makes the request invalid. The machine stays broken and gives the
    /// same error until one last answer was begun.
    pub fn receive<'b>(
        &mut self,
        bytes: &'b [u8],
        limits: &Limits,
    ) -> Result<Step<RequestEvent<'b>>, RequestError> {
        let step = match &mut self.state {
            State::ExpectHead(scanner) => match scanner.receive(bytes, limits) {
                Ok(Scan::More { skipped }) => Ok(Step::silent(skipped)),
                Ok(Scan::Head { skipped, len }) => self.read_head(bytes, skipped, len),
                Err(error) => Err(error),
            },
            State::ExpectBody(decoder) if decoder.is_over() => {
                self.state = State::AwaitAnswer;
                Ok(Step::event(0, RequestEvent::End))
            }
            State::ExpectBody(decoder) => decoder
                .receive(bytes, limits)
                .map(|step| Step { consumed: step.consumed, event: step.event.map(RequestEvent::Body) }),
            State::Broken(error) => Err(*error),
            State::AwaitRoute(_) | State::AwaitAnswer | State::SendBody { .. } | State::Closed => {
                Ok(Step::MORE)
            }
        };
        step.inspect_err(|error| {
            self.state = State::Broken(*error);
            self.error = Some(*error);
        })
    }

    fn read_head<'b>(
        &mut self,
        bytes: &'b [u8],
        skipped: usize,
        len: usize,
    ) -> Result<Step<RequestEvent<'b>>, RequestError> {
        let head = Head::parse(bytes.get(skipped..skipped + len).unwrap_or_default())?;
        self.asked = Asked {
            version: head.version,
            by_head: head.method == Method::Head,
            keep_alive: head.keep_alive,
            expect_continue: head.expect_continue,
        };
        self.state = State::AwaitRoute(head.framing);
        Ok(Step::event(skipped + len, RequestEvent::Head(head)))
    }

    /// Takes the open request's body, of at most `body_bytes_max`. If the client waits for `100 Continue` and has a
    /// body to send, that is queued, whether or not the body is already on its way: the answer does not depend on
    /// how its bytes were cut.
    ///
    /// # Errors
    /// [`AdmitError`]; the request stays open and can be answered or admitted again.
    ///
    /// # Panics
    /// If no request awaits its route.
    pub fn admit(&mut self, body_bytes_max: usize, out: &mut Outbox) -> Result<(), AdmitError> {
        let State::AwaitRoute(framing) = self.state else {
            panic!("a request is admitted once, after its head");
        };
        let body_bytes_max = u64::try_from(body_bytes_max).unwrap_or(u64::MAX);
        if let Framing::Length(declared) = framing
            && declared > body_bytes_max
        {
            return Err(AdmitError::TooLarge { declared, body_bytes_max });
        }
        if self.asked.expect_continue && !framing.is_empty() {
            out.push(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(AdmitError::Full)?;
        }
        self.state = State::ExpectBody(BodyDecoder::new(framing, body_bytes_max));
        Ok(())
    }

    /// Begins the answer to the open request: all of it, or the head of a streamed one.
    ///
    /// Without an open request (a head timed out, or was refused) it is the connection's last word. The connection
    /// also ends when the request's body was not read to its end, when the client asked for it, and when an HTTP/1.0
    /// client is sent a stream.
    ///
    /// # Errors
    /// [`Full`] when head and body do not fit together; nothing was queued or changed.
    ///
    /// # Panics
    /// If an answer was begun already.
    pub fn begin(&mut self, answer: &Answer<'_>, out: &mut Outbox) -> Result<(), Full> {
        let request_read = match &self.state {
            State::ExpectHead(_) | State::Broken(_) => false,
            State::AwaitRoute(framing) => framing.is_empty(),
            State::ExpectBody(decoder) => decoder.is_over(),
            State::AwaitAnswer => true,
            State::SendBody { .. } | State::Closed => panic!("a request is answered once"),
        };
        let framing = self.answer_framing(answer);
        let goes_on =
            request_read && self.asked.keep_alive && !answer.close && framing != AnswerFraming::ByClose;
        let connection = match (goes_on, self.asked.version) {
            // `Upgrade` has to be among its options (RFC 9110 §7.8, §15.5.22).
            (true, Version::Http11) if answer.status == 426 => ConnectionOption::Upgrade,
            (true, Version::Http11) => ConnectionOption::Absent,
            (true, Version::Http10) => ConnectionOption::KeepAlive,
            (false, _) => ConnectionOption::Close,
        };
        let body = match (answer.body, framing) {
            (AnswerBody::Whole(body), AnswerFraming::Length(_)) if !self.asked.by_head => body,
            (AnswerBody::Whole(_) | AnswerBody::Stream | AnswerBody::Empty, _) => &[],
        };
        Draft { answer, framing, connection, body }.send(out)?;

        let then = if goes_on { After::Next } else { After::Close };
        match (answer.body, framing) {
            (AnswerBody::Whole(_) | AnswerBody::Empty, _) => self.finished(then),
            (AnswerBody::Stream, _) if self.asked.by_head => self.stream(Wrapping::Dropped, then),
            (AnswerBody::Stream, AnswerFraming::Chunked) => self.stream(Wrapping::Chunks, then),
            (AnswerBody::Stream, AnswerFraming::ByClose) => self.stream(Wrapping::Bare, then),
            (AnswerBody::Stream, AnswerFraming::ByStatus | AnswerFraming::Length(_)) => {
                self.stream(Wrapping::Dropped, then);
            }
        }
        Ok(())
    }

    /// RFC 9112 §6.3 and RFC 9110 §8.6, from the sender's side.
    fn answer_framing(&self, answer: &Answer<'_>) -> AnswerFraming {
        match (answer.status, answer.body, self.asked.version) {
            (100..=199 | 204 | 304, _, _) => AnswerFraming::ByStatus,
            (_, AnswerBody::Whole(body), _) => {
                let one_more = usize::from(is_planted(Planted::PromisesOneByteMore) && body.len() % 5 == 0);
                AnswerFraming::Length(body.len() + one_more)
            }
            (_, AnswerBody::Empty, _) => AnswerFraming::Length(0),
            (_, AnswerBody::Stream, Version::Http11) => AnswerFraming::Chunked,
            (_, AnswerBody::Stream, Version::Http10) => AnswerFraming::ByClose,
        }
    }

    fn stream(&mut self, wrapping: Wrapping, then: After) {
        self.state = State::SendBody { wrapping, then };
    }

    fn finished(&mut self, then: After) {
        self.asked = NOTHING_ASKED;
        self.state = match then {
            After::Next => State::ExpectHead(HeadScanner::new()),
            After::Close => State::Closed,
        };
    }

    /// Answers the open request with 101: what follows in both directions is another protocol's (RFC 9110 §7.8). Nothing is
    /// read here any more; what the peer has sent behind its request is still the caller's.
    ///
    /// # Errors
    /// [`Full`] when the head does not fit; nothing was queued or changed.
    ///
    /// # Panics
    /// If no request was read to its end that awaits its answer.
    pub fn switch(
        &mut self,
        protocol: &str,
        date: &str,
        fields: &[(&str, &str)],
        out: &mut Outbox,
    ) -> Result<(), Full> {
        assert!(matches!(self.state, State::AwaitAnswer), "a request is read before its protocol is left");
        let upgrade = [("Upgrade", protocol)];
        let fields = [&upgrade[..], fields].concat();
        let answer = Answer {
            status: 101,
            date,
            content_type: None,
            fields: &fields,
            body: AnswerBody::Empty,
            close: false,
        };
        let framing = AnswerFraming::ByStatus;
        Draft { answer: &answer, framing, connection: ConnectionOption::Upgrade, body: &[] }.send(out)?;
        self.finished(After::Close);
        Ok(())
    }

    /// Sends the next piece of a streamed answer, as one chunk where there are chunks. An empty piece is nothing.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; none of it was queued.
    ///
    /// # Panics
    /// If no streamed answer was begun.
    pub fn send_body(&mut self, bytes: &[u8], out: &mut Outbox) -> Result<Pressure, Full> {
        let State::SendBody { wrapping, .. } = self.state else {
            panic!("a body is streamed after its answer was begun");
        };
        match wrapping {
            Wrapping::Chunks if bytes.is_empty() => Ok(out.pressure()),
            Wrapping::Chunks => {
                let mut digits = [0; DIGITS_MAX];
                out.push_all(&[number(bytes.len(), 16, &mut digits), b"\r\n", bytes, b"\r\n"])
            }
            Wrapping::Bare => out.push(bytes),
            Wrapping::Dropped => Ok(out.pressure()),
        }
    }

    /// Ends a streamed answer.
    ///
    /// # Errors
    /// [`Full`] when the last chunk does not fit; the answer is not finished then.
    ///
    /// # Panics
    /// If no streamed answer was begun.
    pub fn finish(&mut self, out: &mut Outbox) -> Result<(), Full> {
        let State::SendBody { wrapping, then } = self.state else {
            panic!("a streamed answer is finished once");
        };
        match wrapping {
            Wrapping::Chunks => out.push(b"0\r\n\r\n").map(drop)?,
            Wrapping::Bare | Wrapping::Dropped => {}
        }
        self.finished(then);
        Ok(())
    }

    /// What the connection does next: [`After::Close`] once its last answer is queued to the end.
    pub fn after(&self) -> After {
        match self.state {
            State::Closed => After::Close,
            State::ExpectHead(_)
            | State::AwaitRoute(_)
            | State::ExpectBody(_)
            | State::AwaitAnswer
            | State::SendBody { .. }
            | State::Broken(_) => After::Next,
        }
    }

    /// What is wrong with the last request, from when it was found on.
    pub fn error(&self) -> Option<RequestError> {
        self.error
    }

    /// Between requests: no byte of the next one was seen, apart from empty lines.
    pub fn is_idle(&self) -> bool {
        matches!(&self.state, State::ExpectHead(scanner) if scanner.is_fresh())
    }

    /// Within a head: some of it was seen and not all.
    pub fn awaits_head(&self) -> bool {
        matches!(&self.state, State::ExpectHead(scanner) if !scanner.is_fresh())
    }

    /// Within a body that was admitted.
    pub fn awaits_body(&self) -> bool {
        matches!(&self.state, State::ExpectBody(decoder) if !decoder.is_over())
    }

    /// A head was read, and its answer is not finished.
    pub fn request_open(&self) -> bool {
        match self.state {
            State::AwaitRoute(_) | State::ExpectBody(_) | State::AwaitAnswer | State::SendBody { .. } => true,
            State::ExpectHead(_) | State::Broken(_) | State::Closed => false,
        }
    }

    /// A streamed answer was begun and is not finished.
    pub fn is_streaming(&self) -> bool {
        matches!(self.state, State::SendBody { .. })
    }

    /// What it means if the peer sends no more. Ask when [`receive`](Server::receive) has no use for what is there.
    pub fn end_of_input(&self) -> EndOfInput {
        let within = match &self.state {
            State::ExpectHead(scanner) => !scanner.is_fresh(),
            State::AwaitRoute(framing) => !framing.is_empty(),
            State::ExpectBody(decoder) => !decoder.is_over(),
            State::AwaitAnswer | State::SendBody { .. } | State::Broken(_) | State::Closed => false,
        };
        if within { EndOfInput::MidRequest } else { EndOfInput::Clean }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const GET_1_0: &str = "GET / HTTP/1.0\r\n\r\n";
    const KEPT_1_0: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const POST_3: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";

    fn answer(status: u16, body: AnswerBody<'_>) -> Answer<'_> {
        Answer { status, date: "now", content_type: None, fields: &[], body, close: false }
    }

    fn outbox() -> Outbox {
        Outbox::new(1024, 1024)
    }

    fn text(out: &Outbox) -> &str {
        std::str::from_utf8(out.unsent()).unwrap()
    }

    /// What `receive` told, in short.
    fn told(server: &mut Server, bytes: &str) -> Result<(usize, &'static str), RequestError> {
        server.receive(bytes.as_bytes(), &Limits::default()).map(|step| {
            let event = match step.event {
                None => "more",
                Some(RequestEvent::Head(_)) => "head",
                Some(RequestEvent::Body(_)) => "body",
                Some(RequestEvent::End) => "end",
            };
            (step.consumed, event)
        })
    }

    /// A server that was told of this head and nothing else.
    fn after_head(head: &str) -> Server {
        let mut server = Server::new();
        assert_eq!(told(&mut server, head), Ok((head.len(), "head")));
        server
    }

    fn answered(head: &str, answer: &Answer<'_>) -> (String, After) {
        let (mut server, mut out) = (after_head(head), outbox());
        server.begin(answer, &mut out).unwrap();
        (text(&out).to_string(), server.after())
    }

    fn states(server: &Server) -> [bool; 4] {
        [server.is_idle(), server.awaits_head(), server.awaits_body(), server.request_open()]
    }

    #[test]
    fn a_connection_costs_little() {
        assert!(size_of::<Server>() <= 80, "{}", size_of::<Server>());
    }

    #[test]
    fn nothing_is_read_until_the_route_decides() {
        let mut server = after_head(POST_3);
        assert_eq!(told(&mut server, "abc"), Ok((0, "more")));
        server.admit(3, &mut outbox()).unwrap();
        assert_eq!(told(&mut server, "abcGET"), Ok((3, "body")));
        assert_eq!(told(&mut server, "GET"), Ok((0, "end")));
        assert_eq!(told(&mut server, "GET"), Ok((0, "more")));
    }

    #[test]
    fn a_request_without_body_ends_at_once_when_admitted() {
        let (mut server, mut out) = (after_head(GET), outbox());
        server.admit(0, &mut out).unwrap();
        assert!(!server.awaits_body());
        assert_eq!(told(&mut server, ""), Ok((0, "end")));
    }

    #[test]
    fn each_state_tells_the_timers_what_is_awaited() {
        let (mut server, mut out) = (Server::new(), outbox());
        assert_eq!(states(&server), [true, false, false, false], "before the first byte");
        told(&mut server, "\r\n").unwrap();
        assert_eq!(states(&server), [true, false, false, false], "after an empty line");
        told(&mut server, "P").unwrap();
        assert_eq!(states(&server), [false, true, false, false], "within a head");
        told(&mut server, POST_3).unwrap();
        assert_eq!(states(&server), [false, false, false, true], "at the route");
        server.admit(3, &mut out).unwrap();
        assert_eq!(states(&server), [false, false, true, true], "before the body");
        told(&mut server, "abc").unwrap();
        assert_eq!(states(&server), [false, false, false, true], "after the body");
        told(&mut server, "").unwrap();
        server.begin(&answer(200, AnswerBody::Stream), &mut out).unwrap();
        assert_eq!(
            (states(&server), server.is_streaming()),
            ([false, false, false, true], true),
            "streaming"
        );
        server.finish(&mut out).unwrap();
        assert_eq!(
            (states(&server), server.is_streaming()),
            ([true, false, false, false], false),
            "answered"
        );
    }

    #[test]
    fn the_end_of_input_is_clean_between_requests_and_after_whole_ones() {
        let mut server = Server::new();
        assert_eq!(server.end_of_input(), EndOfInput::Clean);
        told(&mut server, "G").unwrap();
        assert_eq!(server.end_of_input(), EndOfInput::MidRequest);

        assert_eq!(after_head(GET).end_of_input(), EndOfInput::Clean);
        let mut server = after_head(POST_3);
        assert_eq!(server.end_of_input(), EndOfInput::MidRequest);
        server.admit(3, &mut outbox()).unwrap();
        told(&mut server, "ab").unwrap();
        assert_eq!(server.end_of_input(), EndOfInput::MidRequest);
        told(&mut server, "c").unwrap();
        assert_eq!(server.end_of_input(), EndOfInput::Clean);
    }

    #[test]
    fn a_declared_length_over_what_the_route_takes_is_refused_before_continue() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        let (mut server, mut out) = (after_head(head), outbox());
        let refused = server.admit(3, &mut out);
        assert_eq!(refused, Err(AdmitError::TooLarge { declared: 4, body_bytes_max: 3 }));
        assert!(out.is_empty());
        server.begin(&answer(413, AnswerBody::Empty), &mut out).unwrap();
        assert!(text(&out).contains("\r\nConnection: close\r\n"));
        assert_eq!(server.after(), After::Close);
    }

    #[test]
    fn continue_is_sent_to_those_who_wait_with_a_body() {
        let continued = |version: &str, fields: &str| {
            let head = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
            let (mut server, mut out) = (after_head(&head), outbox());
            server.admit(9, &mut out).unwrap();
            text(&out).to_string()
        };
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(continued("1.1", "Expect: 100-continue\r\nContent-Length: 3\r\n"), interim);
        assert_eq!(continued("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), interim);
        assert_eq!(continued("1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n"), "");
        assert_eq!(continued("1.1", "Expect: 100-continue\r\n"), "");
        assert_eq!(continued("1.1", "Content-Length: 3\r\n"), "");
        assert_eq!(continued("1.0", "Expect: 100-continue\r\nContent-Length: 3\r\n"), "");
    }

    #[test]
    fn continue_that_does_not_fit_can_be_tried_again() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        let mut server = after_head(head);
        let refused = server.admit(4, &mut Outbox::new(8, 8));
        assert_eq!(refused, Err(AdmitError::Full(Full { wanted: 25, free: 8 })));
        assert_eq!(server.admit(4, &mut outbox()), Ok(()));
    }

    #[test]
    fn a_whole_answer_has_its_length_and_the_connection_goes_on() {
        let (text, after) = answered(GET, &answer(200, AnswerBody::Whole(b"hello")));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(after, After::Next);
    }

    #[test]
    fn an_answer_to_head_has_the_length_and_no_body() {
        let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (text, after) = answered(head, &answer(200, AnswerBody::Whole(b"hello")));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(after, After::Next);
    }

    #[test]
    fn a_streamed_answer_to_head_is_its_head() {
        let (mut server, mut out) = (after_head("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), outbox());
        server.begin(&answer(200, AnswerBody::Stream), &mut out).unwrap();
        assert_eq!(server.send_body(b"hello", &mut out), Ok(Pressure::Low));
        server.finish(&mut out).unwrap();
        assert_eq!(text(&out), "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(server.after(), After::Next);
    }

    #[test]
    fn a_status_without_body_has_neither_length_nor_body() {
        for (status, words) in [(204, "No Content"), (304, "Not Modified")] {
            for body in [AnswerBody::Empty, AnswerBody::Whole(b"dropped")] {
                let (text, after) = answered(GET, &answer(status, body));
                assert_eq!(text, format!("HTTP/1.1 {status} {words}\r\nDate: now\r\n\r\n"));
                assert_eq!(after, After::Next);
            }
        }
        let (text, _) = answered(GET, &answer(202, AnswerBody::Empty));
        assert_eq!(text, "HTTP/1.1 202 Accepted\r\nDate: now\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn http_1_0_goes_on_only_when_it_asked_to() {
        let (text, after) = answered(KEPT_1_0, &answer(200, AnswerBody::Empty));
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(after, After::Next);
        let (text, after) = answered(GET_1_0, &answer(200, AnswerBody::Empty));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(after, After::Close);
    }

    #[test]
    fn a_stream_leaves_in_chunks() {
        let (mut server, mut out) = (after_head(GET), outbox());
        server.begin(&answer(200, AnswerBody::Stream), &mut out).unwrap();
        assert_eq!(text(&out), "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n");
        out.sent(out.len());
        server.send_body(b"0123456789abcdef", &mut out).unwrap();
        server.send_body(b"", &mut out).unwrap();
        server.send_body(b"!", &mut out).unwrap();
        assert_eq!(server.after(), After::Next);
        server.finish(&mut out).unwrap();
        assert_eq!(text(&out), "10\r\n0123456789abcdef\r\n1\r\n!\r\n0\r\n\r\n");
        assert_eq!(server.after(), After::Next);
    }

    #[test]
    fn a_stream_to_http_1_0_ends_with_the_connection() {
        let (mut server, mut out) = (after_head(KEPT_1_0), outbox());
        server.begin(&answer(200, AnswerBody::Stream), &mut out).unwrap();
        server.send_body(b"hello", &mut out).unwrap();
        server.finish(&mut out).unwrap();
        assert_eq!(text(&out), "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n\r\nhello");
        assert!(matches!(server.after(), After::Close));
    }

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let (mut server, mut small) = (after_head(GET), Outbox::new(50, 50));
        let whole = answer(200, AnswerBody::Whole(b"hello"));
        assert_eq!(server.begin(&whole, &mut small), Err(Full { wanted: 54, free: 50 }));
        assert!(small.is_empty() && server.request_open());
        assert_eq!(server.begin(&whole, &mut Outbox::new(54, 54)), Ok(()));
    }

    #[test]
    fn a_chunk_that_does_not_fit_leaves_the_stream_whole() {
        let (mut server, mut out) = (after_head(GET), outbox());
        server.begin(&answer(200, AnswerBody::Stream), &mut out).unwrap();
        let mut small = Outbox::new(4, 4);
        assert_eq!(server.send_body(b"hello", &mut small), Err(Full { wanted: 10, free: 4 }));
        assert_eq!(server.finish(&mut small), Err(Full { wanted: 5, free: 4 }));
        assert!(small.is_empty() && server.is_streaming());
    }

    #[test]
    fn an_answer_before_the_end_of_the_body_ends_the_connection() {
        for admitted in [false, true] {
            let (mut server, mut out) = (after_head(POST_3), outbox());
            if admitted {
                server.admit(3, &mut out).unwrap();
                assert_eq!(told(&mut server, "ab"), Ok((2, "body")));
            }
            server.begin(&answer(200, AnswerBody::Empty), &mut out).unwrap();
            assert!(text(&out).contains("\r\nConnection: close\r\n"));
            assert_eq!(server.after(), After::Close);
            assert_eq!(told(&mut server, "GET / HTTP/1.1\r\n"), Ok((0, "more")), "what follows is not read");
        }
    }

    #[test]
    fn a_broken_machine_stays_broken_and_says_one_last_word() {
        let (mut server, mut out) = (Server::new(), outbox());
        for _ in 0..2 {
            assert_eq!(told(&mut server, "\n"), Err(RequestError::BareLineFeed));
        }
        assert_eq!((server.after(), server.request_open()), (After::Next, false));
        server.begin(&answer(400, AnswerBody::Whole(b"{}")), &mut out).unwrap();
        assert_eq!(
            text(&out),
            "HTTP/1.1 400 Bad Request\r\nDate: now\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        );
        assert_eq!(server.after(), After::Close);
        assert_eq!(server.error(), Some(RequestError::BareLineFeed));
        assert_eq!(told(&mut server, GET), Ok((0, "more")));
    }

    #[test]
    fn a_slow_head_can_be_answered() {
        let (mut server, mut out) = (Server::new(), outbox());
        told(&mut server, "HEAD / HTTP/1.0\r\n").unwrap();
        server.begin(&answer(408, AnswerBody::Whole(b"{}")), &mut out).unwrap();
        assert_eq!(
            text(&out),
            "HTTP/1.1 408 Request Timeout\r\nDate: now\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        );
        assert_eq!(server.after(), After::Close);
    }

    #[test]
    fn what_one_request_asked_for_is_forgotten_with_its_answer() {
        let (mut server, mut out) = (after_head("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), outbox());
        server.begin(&answer(200, AnswerBody::Empty), &mut out).unwrap();
        out.sent(out.len());
        assert_eq!(told(&mut server, "\n"), Err(RequestError::BareLineFeed));
        server.begin(&answer(400, AnswerBody::Whole(b"{}")), &mut out).unwrap();
        assert!(text(&out).ends_with("\r\n\r\n{}"), "the answer to HEAD had no body, this one has");
    }
}
