//! A connection without a socket: what a server tells of the bytes it is fed, as lines that can be compared.
//!
//! Also the driver of `tests/wire_http1.rs`. Whatever is fed, it watches that the server keeps its word: no more is
//! consumed than was given, the fields of a head are those that `httparse` finds, and a broken machine stays broken.

use std::fmt::Write;

use oneloop::base::Outbox;
use oneloop::limits::{HEADER_FIELDS_MAX, KIB, Limits};
use oneloop::wire::http1::{
    AdmitError, After, Answer, AnswerBody, EndOfInput, Framing, Head, RequestError, RequestEvent, Server,
    Target, Version,
};

/// What happened on a connection, as lines to compare: a head, its body if it has one, its end; or the error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// One a happening.
    pub lines: Vec<String>,
    /// Body bytes told since the last line; pieces are joined because cuts may part them.
    body: Vec<u8>,
}

impl Trace {
    /// The next piece of a body.
    pub fn piece(&mut self, piece: &[u8]) {
        assert!(!piece.is_empty(), "a piece of a body is never empty");
        self.body.extend_from_slice(piece);
    }

    /// The next line, behind the body that was told before it.
    pub fn line(&mut self, line: impl Into<String>) {
        if !self.body.is_empty() {
            self.lines.push(format!("body {}", self.body.escape_ascii()));
            self.body.clear();
        }
        self.lines.push(line.into());
    }
}

/// Feeds a server as a connection does, and answers every request when its end is told.
pub struct Driver<'a> {
    limits: &'a Limits,
    server: Server,
    inbox: Vec<u8>,
    /// All that was answered.
    pub out: Outbox,
    /// All that was told.
    pub trace: Trace,
    /// Heads that were read.
    pub heads: usize,
    /// What ended the connection, if it was the peer's fault.
    pub error: Option<RequestError>,
}

impl<'a> Driver<'a> {
    /// Before the first byte.
    pub fn new(limits: &'a Limits) -> Driver<'a> {
        Driver {
            limits,
            server: Server::new(),
            inbox: Vec::new(),
            out: Outbox::new(64 * KIB, 4 * 1024 * KIB),
            trace: Trace::default(),
            heads: 0,
            error: None,
        }
    }

    /// Some more bytes have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        while self.server.after() == After::Next {
            let step = match self.server.receive(&self.inbox, self.limits) {
                Ok(step) => step,
                Err(error) => {
                    self.error = Some(error);
                    self.trace.line(format!("{} {error:?}", error.status()));
                    assert_stays_broken(&mut self.server, error, self.limits);
                    answer(&mut self.server, error.status(), &mut self.trace, &mut self.out);
                    break;
                }
            };
            assert!(step.consumed <= self.inbox.len(), "more is consumed than was given");
            let stalled = step.consumed == 0 && step.event.is_none();
            match step.event {
                None => {}
                Some(RequestEvent::Head(head)) => {
                    self.heads += 1;
                    assert_fields_agree_with_httparse(&self.inbox[..step.consumed], |name| {
                        head.fields(name).collect()
                    });
                    assert_framing_has_one_reading(&head, &self.inbox[..step.consumed]);
                    self.trace.line(in_short(&head));
                    match self.server.admit(self.limits.body_bytes_max, &mut self.out) {
                        Ok(()) => {}
                        Err(AdmitError::TooLarge { .. }) => {
                            self.trace.line("413 declared");
                            answer(&mut self.server, 413, &mut self.trace, &mut self.out);
                        }
                        Err(AdmitError::Full(full)) => panic!("{full}"),
                    }
                }
                Some(RequestEvent::Body(piece)) => self.trace.piece(piece),
                Some(RequestEvent::End) => {
                    self.trace.line("end");
                    answer(&mut self.server, 200, &mut self.trace, &mut self.out);
                }
            }
            self.inbox.drain(..step.consumed);
            if stalled {
                break;
            }
        }
    }

    /// The trace if the peer sent no more from here on, and all that was answered.
    pub fn outcome(&self) -> (Trace, Vec<u8>) {
        let mut trace = self.trace.clone();
        match (self.server.after(), self.server.end_of_input()) {
            (After::Close, _) => {}
            (After::Next, EndOfInput::Clean) => trace.line("clean"),
            (After::Next, EndOfInput::MidRequest) => trace.line("cut short"),
        }
        (trace, self.out.unsent().to_vec())
    }
}

/// The outcome of bytes that arrive all at once.
pub fn fed_whole(bytes: &[u8], limits: &Limits) -> (Trace, Vec<u8>) {
    let mut driver = Driver::new(limits);
    driver.feed(bytes);
    driver.outcome()
}

/// Answers the open request, or says the last word.
pub fn answer(server: &mut Server, status: u16, trace: &mut Trace, out: &mut Outbox) {
    let body = AnswerBody::Whole(b"{}");
    let answer = Answer { status, date: "now", content_type: None, fields: &[], body, close: false };
    server.begin(&answer, out).expect("the outbox holds the answers of a test");
    if let After::Close = server.after() {
        trace.line("close");
    }
}

/// `GET /path?query 1.1 host length 3 keep continue`.
fn in_short(head: &Head<'_>) -> String {
    let mut line = format!("{} ", head.method.as_str());
    match head.target {
        Target::Path { path, query: Some(query) } => write!(line, "{path}?{query}"),
        Target::Path { path, query: None } => write!(line, "{path}"),
        Target::Asterisk => write!(line, "*"),
        Target::Authority(authority) => write!(line, "to {authority}"),
    }
    .unwrap();
    line.push_str(match head.version {
        Version::Http10 => " 1.0 ",
        Version::Http11 => " 1.1 ",
    });
    line.push_str(head.authority.unwrap_or("nobody"));
    match head.framing {
        Framing::None => {}
        Framing::Length(length) => write!(line, " length {length}").unwrap(),
        Framing::Chunked => line.push_str(" chunked"),
    }
    line.push_str(if head.keep_alive { " keep" } else { " close" });
    line.push_str(if head.expect_continue { " continue" } else { "" });
    line
}

/// Nothing mends a machine that met an error: neither no bytes nor a good request.
fn assert_stays_broken(server: &mut Server, error: RequestError, limits: &Limits) {
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        assert_eq!(server.receive(bytes, limits).err(), Some(error), "it was broken and is mended");
    }
    assert_eq!(server.error(), Some(error));
}

/// The fields that are read again from the raw bytes are those that httparse found.
pub fn assert_fields_agree_with_httparse<'b>(head: &[u8], fields_of: impl Fn(&str) -> Vec<&'b [u8]>) {
    let mut section = head;
    while let Some(rest) = section.strip_prefix(b"\r\n") {
        section = rest;
    }
    let line_bytes = section.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    let mut storage = [httparse::EMPTY_HEADER; HEADER_FIELDS_MAX];
    let parsed = httparse::parse_headers(&section[line_bytes..], &mut storage).unwrap();
    let (_, fields) = parsed.unwrap();
    for field in fields.iter() {
        let same_name = fields.iter().filter(|other| other.name.eq_ignore_ascii_case(field.name));
        assert!(same_name.map(|other| other.value).eq(fields_of(field.name)), "{}", field.name);
    }
}

/// A reader that knows nothing but lines and colons finds the same host and the same end of the body, and nothing
/// that a third reader might take for another: this is what smuggling lives on (RFC 9112 §11.2).
fn assert_framing_has_one_reading(head: &Head<'_>, bytes: &[u8]) {
    let values = |wanted| values_by_lines(bytes, wanted);
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match head.framing {
        Framing::None => assert!(lengths.is_empty() && codings.is_empty(), "a body is passed over"),
        Framing::Length(length) => {
            assert!(codings.is_empty() && lengths.len() == 1, "a length that others may not see");
            assert_eq!(lengths[0].parse(), Ok(length));
        }
        Framing::Chunked => {
            assert!(lengths.is_empty() && head.version == Version::Http11, "chunks that others may not see");
            assert_eq!(codings.join(",").to_ascii_lowercase(), "chunked");
        }
    }
    let hosts = values("host");
    assert!(hosts.len() <= 1 && (head.version == Version::Http10 || hosts.len() == 1), "hosts: {hosts:?}");
}

/// The values of all fields of this name in a head, as they are found by lines and colons alone.
pub fn values_by_lines(head: &[u8], wanted: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text.split("\r\n").skip_while(|line| line.is_empty()).skip(1).collect();
    assert!(lines.ends_with(&["", ""]), "a head ends in an empty line");
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])), "a line holds half a line end");
    let fields = lines.iter().filter_map(|line| line.split_once(':'));
    // Trimmed, so that `Content-Length :` would count as well.
    let same = fields.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    same.map(|(_, value)| value.trim_matches([' ', '\t']).to_string()).collect()
}

/// Small bounds, so that every one of them can be met exactly and split at every point.
pub fn small_limits() -> Limits {
    Limits {
        head_bytes_max: 128,
        target_bytes_max: 32,
        header_fields_max: 4,
        empty_lines_max: 2,
        body_bytes_max: 16,
        chunk_line_bytes_max: 12,
        trailer_bytes_max: 24,
        interim_responses_max: 2,
        ..Limits::default()
    }
}
