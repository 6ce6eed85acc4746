//! What a server sends us: a client's machine without a socket, and what must hold for it.
//!
//! Also the driver of `tests/wire_http1_client.rs`. Whatever is fed, it watches that the client keeps its word: no more
//! is consumed than was given, the fields of a head are those that `httparse` finds, the end of a response is where a
//! simpler reader sees it, and a broken machine stays broken.

use oneloop::limits::Limits;
use oneloop::wire::http1::{
    Client, Framing, ResponseError, ResponseEvent, ResponseFraming, ResponseHead, Sent, Version,
};

use super::connection::{Trace, assert_fields_agree_with_httparse, small_limits, values_by_lines};
use super::random::Random;

/// Every kind of request.
pub const ALL_SENT: [Sent; 4] = [Sent::Get, Sent::Post, Sent::Head, Sent::Connect];

/// Whatever was asked: whole, byte by byte and in pieces, the same response is told, with the same body, and the same
/// is made of the connection and of its end. What [`Exchange`] asserts of each step holds too.
pub fn responses(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let mut is_taken = false;
    for limits in [small_limits(), Limits::default()] {
        for sent in ALL_SENT {
            let whole = outcome(sent, &[bytes], &limits);
            let dripped: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(outcome(sent, &dripped, &limits), whole, "{sent:?}: byte by byte");
            let pieces = random.cut(bytes, 32);
            assert_eq!(outcome(sent, &pieces, &limits), whole, "{sent:?}: in pieces");

            let mut short = Exchange::new(sent, &limits);
            short.feed(&bytes[..random.below(bytes.len() + 1)]);
            let told = &short.trace.lines;
            assert_eq!(
                Some(&told[..]),
                whole.get(..told.len()),
                "{sent:?}: what follows changes what was told"
            );
            is_taken |= whole.len() > 1 && !whole.iter().any(|line| line.starts_with("error"));
        }
    }
    is_taken
}

/// What is told of a response that comes in these pieces, and of the end behind them.
pub fn outcome(sent: Sent, pieces: &[&[u8]], limits: &Limits) -> Vec<String> {
    let mut exchange = Exchange::new(sent, limits);
    pieces.iter().for_each(|piece| exchange.feed(piece));
    exchange.ended()
}

/// Feeds a client that has sent one request, as a connection does.
pub struct Exchange<'a> {
    limits: &'a Limits,
    sent: Sent,
    client: Client,
    inbox: Vec<u8>,
    /// All that was told.
    pub trace: Trace,
    /// Why the response can't be read.
    pub error: Option<ResponseError>,
}

impl<'a> Exchange<'a> {
    /// Before the first byte of the response.
    pub fn new(sent: Sent, limits: &'a Limits) -> Exchange<'a> {
        let mut client = Client::new();
        client.expect(sent);
        Exchange { limits, sent, client, inbox: Vec::new(), trace: Trace::default(), error: None }
    }

    /// Some more bytes have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        while self.error.is_none() {
            let step = match self.client.receive(&self.inbox, self.limits) {
                Ok(step) => step,
                Err(error) => {
                    self.error = Some(error);
                    self.trace.line(format!("error {error:?}"));
                    assert_stays_broken(&mut self.client, error, self.limits);
                    break;
                }
            };
            assert!(step.consumed <= self.inbox.len(), "more is consumed than was given");
            let stalled = step.consumed == 0 && step.event.is_none();
            match step.event {
                None => {}
                Some(ResponseEvent::Head(head)) => {
                    let bytes = &self.inbox[..step.consumed];
                    assert_fields_agree_with_httparse(bytes, |name| head.fields(name).collect());
                    assert_framing_has_one_reading(&head, self.sent, bytes);
                    self.trace.line(in_short(&head));
                }
                Some(ResponseEvent::Body(piece)) => self.trace.piece(piece),
                Some(ResponseEvent::End) => {
                    self.trace.line("end");
                    let is_rest_left = step.consumed < self.inbox.len();
                    assert!(self.client.is_over() && !(is_rest_left && self.client.may_be_reused()));
                }
            }
            self.inbox.drain(..step.consumed);
            if stalled {
                break;
            }
        }
    }

    /// All that was told, with what becomes of the connection and what its end would mean.
    pub fn ended(mut self) -> Vec<String> {
        if self.error.is_none() {
            let is_rest_left = !self.inbox.is_empty() && self.client.is_over();
            assert!(!is_rest_left || !self.client.may_be_reused(), "bytes came unasked and are passed over");
            let was_over = self.client.is_over();
            let may_be_reused = self.client.may_be_reused();
            self.trace.line(match (self.client.end_of_input(), was_over, may_be_reused) {
                (Ok(()), true, true) => "goes on",
                (Ok(()), true, false) => "is spent",
                (Ok(()), false, _) => "ended by the end",
                (Err(ResponseError::CutShort), false, false) => "cut short",
                (result, _, _) => panic!("{result:?} at the end of input"),
            });
            assert!(!self.client.may_be_reused(), "an ended connection is used again");
        }
        self.trace.lines
    }
}

/// `200 1.1 length 3 keep`.
fn in_short(head: &ResponseHead<'_>) -> String {
    let version = match head.version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let framing = match head.framing {
        ResponseFraming::Delimited(Framing::None) => "".to_string(),
        ResponseFraming::Delimited(Framing::Length(length)) => format!(" length {length}"),
        ResponseFraming::Delimited(Framing::Chunked) => " chunked".to_string(),
        ResponseFraming::UntilClose => " until close".to_string(),
        ResponseFraming::Tunnel => " tunnel".to_string(),
    };
    format!("{} {version}{framing} {}", head.status, if head.keep_alive { "keep" } else { "close" })
}

/// Nothing mends a machine that met an error: no bytes, no good response and no end.
fn assert_stays_broken(client: &mut Client, error: ResponseError, limits: &Limits) {
    for bytes in [&b""[..], b"HTTP/1.1 204 No Content\r\n\r\n"] {
        assert_eq!(client.receive(bytes, limits).err(), Some(error), "it was broken and is mended");
    }
    assert_eq!(client.end_of_input(), Err(error));
    assert!(!client.is_over() && !client.may_be_reused());
}

/// A reader that knows nothing but lines and colons finds the same end of the body.
fn assert_framing_has_one_reading(head: &ResponseHead<'_>, sent: Sent, bytes: &[u8]) {
    let values = |wanted| values_by_lines(bytes, wanted);
    let (lengths, codings) = (values("content-length").join(","), values("transfer-encoding").join(","));
    let is_success = (200..300).contains(&head.status);
    assert!(head.status >= 200, "an interim response is told");
    match head.framing {
        ResponseFraming::Tunnel => assert!(sent == Sent::Connect && is_success),
        ResponseFraming::Delimited(Framing::None) => {
            assert!(sent == Sent::Head || matches!(head.status, 204 | 304), "a body is passed over");
        }
        ResponseFraming::Delimited(Framing::Length(length)) => {
            assert_eq!(codings, "", "a length that others may not see");
            assert!(lengths.split(',').all(|told| told.trim_matches([' ', '\t']).parse() == Ok(length)));
        }
        ResponseFraming::Delimited(Framing::Chunked) => {
            assert!(lengths.is_empty() && head.version == Version::Http11, "chunks that others may not see");
            assert_eq!(codings.to_ascii_lowercase(), "chunked");
        }
        ResponseFraming::UntilClose => {
            assert!(lengths.is_empty() && codings.is_empty(), "an end is passed over");
        }
    }
    if head.keep_alive {
        assert!(matches!(head.framing, ResponseFraming::Delimited(_)));
        let options = values("connection").join(",").to_ascii_lowercase();
        assert!(!options.split(',').any(|option| option.trim() == "close"), "it was told to close");
    }
}
