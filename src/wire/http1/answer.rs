//! What we answer: a status, some fields, and a body that is whole, streamed or absent.
//!
//! Where the answer ends and whether the connection goes on is not the route's to say: the server machine knows the
//! request's method and version and adds `Content-Length`, `Transfer-Encoding` and `Connection` itself.

use super::fields::{is_token, is_value_byte};
use crate::base::{Full, Outbox};

/// One answer, or the beginning of a streamed one.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status code, from 200 on.
    pub status: u16,
    /// The text of the `Date` field; the machine reads no clock.
    pub date: &'a str,
    /// The value of `Content-Type`, if there is a body to describe.
    pub content_type: Option<&'a str>,
    /// More fields. Those that say where the answer ends are not given here. A field whose name is no token, or whose
    /// value holds a control byte, is left out: text from outside that reached a value can't begin a new line.
    pub fields: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: AnswerBody<'a>,
    /// This answer is the connection's last one.
    pub close: bool,
}

/// How an answer's body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerBody<'a> {
    /// All of it is here.
    Whole(&'a [u8]),
    /// It follows piece by piece, to an end that is not known yet.
    Stream,
    /// There is none.
    Empty,
}

/// Where an answer's body ends, as told to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerFraming {
    /// The status itself says that there is no body (RFC 9110 §6.4.1).
    ByStatus,
    Length(usize),
    Chunked,
    /// With the connection, for HTTP/1.0.
    ByClose,
}

/// What the `Connection` field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionOption {
    /// Nothing: HTTP/1.1 goes on by default.
    Absent,
    KeepAlive,
    Close,
    /// With 101 (RFC 9110 §7.8).
    Upgrade,
}

/// An answer with everything the server machine decided about it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) answer: &'a Answer<'a>,
    pub(super) framing: AnswerFraming,
    pub(super) connection: ConnectionOption,
    /// The body bytes that follow the head at once; none for HEAD.
    pub(super) body: &'a [u8],
}

impl Draft<'_> {
    /// Queues head and body, or nothing.
    ///
    /// # Errors
    /// [`Full`] with the bytes wanted and free.
    pub(super) fn send(&self, out: &mut Outbox) -> Result<(), Full> {
        // Two passes over the pieces, one to count and one to queue, so that they need not be joined in a buffer.
        let (mut wanted, free) = (0, out.free());
        self.each_piece(&mut |piece| wanted += piece.len());
        if wanted > free {
            return Err(Full { wanted, free });
        }
        self.each_piece(&mut |piece| {
            out.push(piece).expect("there is room for all pieces, counted above");
        });
        Ok(())
    }

    fn each_piece(&self, take: &mut impl FnMut(&[u8])) {
        let mut digits = [0; DIGITS_MAX];
        take(b"HTTP/1.1 ");
        take(number(usize::from(self.answer.status), 10, &mut digits));
        take(b" ");
        take(reason(self.answer.status).as_bytes());
        take(b"\r\n");
        field("Date", self.answer.date, take);
        if let Some(content_type) = self.answer.content_type {
            field("Content-Type", content_type, take);
        }
        for (name, value) in self.answer.fields {
            debug_assert!(!is_ours(name), "{name} is the server machine's to add");
            field(name, value, take);
        }
        match self.framing {
            AnswerFraming::ByStatus | AnswerFraming::ByClose => {}
            AnswerFraming::Chunked => take(b"Transfer-Encoding: chunked\r\n"),
            AnswerFraming::Length(length) => {
                take(b"Content-Length: ");
                take(number(length, 10, &mut digits));
                take(b"\r\n");
            }
        }
        match self.connection {
            ConnectionOption::Absent => {}
            ConnectionOption::KeepAlive => take(b"Connection: keep-alive\r\n"),
            ConnectionOption::Close => take(b"Connection: close\r\n"),
            ConnectionOption::Upgrade => take(b"Connection: Upgrade\r\n"),
        }
        take(b"\r\n");
        take(self.body);
    }
}

fn field(name: &str, value: &str, take: &mut impl FnMut(&[u8])) {
    if is_token(name.as_bytes()) && value.bytes().all(is_value_byte) {
        take(name.as_bytes());
        take(b": ");
        take(value.as_bytes());
        take(b"\r\n");
    }
}

/// Fields that a route must not give: a second one would contradict the first.
fn is_ours(name: &str) -> bool {
    ["date", "content-type", "content-length", "transfer-encoding", "connection"]
        .iter()
        .any(|ours| name.eq_ignore_ascii_case(ours))
}

/// Digits of the longest number that is written: 2^64 - 1 in decimal.
pub(super) const DIGITS_MAX: usize = 20;

/// `value` in `base` 10 or 16, in the last bytes of `digits`.
pub(super) fn number(mut value: usize, base: usize, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[value % base];
        value /= base;
        if value == 0 {
            return &digits[start..];
        }
    }
}

/// The words that go with a status code. Peers ignore them; people reading a trace do not.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unassigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(fields: &[(&str, &str)]) -> String {
        let answer = Answer {
            status: 599,
            date: "now",
            content_type: Some("text/plain"),
            fields,
            body: AnswerBody::Whole(b"hello"),
            close: false,
        };
        let framing = AnswerFraming::Length(5);
        let draft =
            Draft { answer: &answer, framing, connection: ConnectionOption::KeepAlive, body: b"hello" };
        let mut out = Outbox::new(512, 512);
        draft.send(&mut out).unwrap();
        String::from_utf8(out.unsent().to_vec()).unwrap()
    }

    #[test]
    fn an_answer_is_written_in_this_order() {
        assert_eq!(
            sent(&[("Allow", "GET, HEAD"), ("X", "")]),
            "HTTP/1.1 599 Unassigned\r\n\
             Date: now\r\n\
             Content-Type: text/plain\r\n\
             Allow: GET, HEAD\r\n\
             X: \r\n\
             Content-Length: 5\r\n\
             Connection: keep-alive\r\n\
             \r\n\
             hello"
        );
    }

    #[test]
    fn a_field_that_could_begin_another_line_is_left_out() {
        let plain = sent(&[]);
        for (name, value) in
            [("A", "b\r\nC: d"), ("A", "b\nC: d"), ("A", "\r"), ("A", "\0"), ("A: b\r\nC", "d"), ("", "x")]
        {
            assert_eq!(sent(&[(name, value)]), plain, "{name:?}: {value:?}");
        }
    }

    #[test]
    fn numbers_are_written_in_both_bases() {
        let mut digits = [0; DIGITS_MAX];
        assert_eq!(number(0, 10, &mut digits), b"0");
        assert_eq!(number(usize::MAX, 10, &mut digits), usize::MAX.to_string().as_bytes());
        assert_eq!(number(0x1f0a, 16, &mut digits), b"1f0a");
    }
}
