//! One request head: found by a scanner as it drips in, then read once when it is whole.
//!
//! The scanner remembers how far it came, so a head that arrives byte by byte costs the same as one that arrives at
//! once, and an error is found at the same byte either way. It takes nothing that two readers might read in two ways:
//! no bare line feed, no fold, no space before a colon, no control byte. What it passes, `httparse` cuts into fields;
//! what the fields mean for the connection (host, framing, keep-alive, expectation) is decided here.
//!
//! ```
//! use oneloop::limits::Limits;
//! use oneloop::wire::http1::{Framing, Method, RequestEvent, Server, Target, Version};
//!
//! let bytes = b"POST /chat?dev=1 HTTP/1.1\r\nHost: localhost:8000\r\nContent-Length: 2\r\n\r\n{}";
//! let mut server = Server::new();
//! let part = server.receive(&bytes[..30], &Limits::default()).unwrap();
//! assert!(part.event.is_none() && part.consumed == 0);
//!
//! let whole = server.receive(bytes, &Limits::default()).unwrap();
//! assert_eq!(&bytes[whole.consumed..], b"{}");
//! let Some(RequestEvent::Head(head)) = whole.event else { panic!("the head is whole") };
//! assert_eq!((head.method, head.version), (Method::Post, Version::Http11));
//! assert_eq!(head.target, Target::Path { path: "/chat", query: Some("dev=1") });
//! assert_eq!((head.authority, head.framing), (Some("localhost:8000"), Framing::Length(2)));
//! assert_eq!(head.field("host"), Some(&b"localhost:8000"[..]));
//! ```

use super::error::RequestError;
use super::fields::{FieldIter, HeadFields, is_token, is_token_byte, misplaced, trimmed};
use super::framing::Framing;
use super::target::{Target, host_and_port};
use crate::base::planted::{Planted, is_planted};
use crate::limits::{HEADER_FIELDS_MAX, Limits};

/// A request's method (RFC 9110 §9.1). Methods are case-sensitive: `get` is [`Method::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum Method<'b> {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Connect,
    Trace,
    /// Any other token.
    Other(&'b str),
}

impl<'b> Method<'b> {
    fn parse(text: &'b str) -> Method<'b> {
        match text {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            "CONNECT" => Method::Connect,
            "TRACE" => Method::Trace,
            other => Method::Other(other),
        }
    }

    /// The method as it stands in a request line.
    pub fn as_str(self) -> &'b str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Patch => "PATCH",
            Method::Connect => "CONNECT",
            Method::Trace => "TRACE",
            Method::Other(text) => text,
        }
    }
}

/// The version a request is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no chunks, no `100 Continue`, closed after the answer unless asked otherwise.
    Http10,
    /// HTTP/1.1, and any higher minor version, which RFC 9110 §2.5 has us read as the highest that we know.
    Http11,
}

impl Version {
    /// Reads `HTTP/` digit `.` digit (RFC 9112 §2.3).
    pub(super) fn parse(text: &[u8]) -> Result<Version, RequestError> {
        let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = text else {
            return Err(RequestError::BadVersion);
        };
        match (major, minor) {
            (b'1', b'0') => Ok(Version::Http10),
            (b'1', b'1'..=b'9') => Ok(Version::Http11),
            (b'0'..=b'9', b'0'..=b'9') => Err(RequestError::UnsupportedVersion),
            _ => Err(RequestError::BadVersion),
        }
    }
}

/// Bytes of a version: a longer one is wrong before its end is seen.
pub(super) const VERSION_BYTES: usize = "HTTP/1.1".len();

/// What a scanner made of the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// The head is not whole yet. The first `skipped` bytes were empty lines and are done with.
    More {
        /// Bytes that are no part of the head.
        skipped: usize,
    },
    /// The head is the `len` bytes after the first `skipped`.
    Head {
        /// Bytes that are no part of the head.
        skipped: usize,
        /// Bytes of the head, its last empty line included.
        len: usize,
    },
}

/// Where in a head the next byte belongs.
///
/// ```text
///              token             SP             SP               CR                   LF
/// ExpectMethod ─────► InMethod ────► InTarget ────► InVersion ────► ExpectLineLf ────► InFields ──► (whole)
///   │  ▲ LF: one empty line skipped
///   ▼ CR
/// ExpectEmptyLf
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    ExpectMethod,
    ExpectEmptyLf,
    InMethod,
    InTarget { start: usize },
    InVersion { start: usize },
    ExpectLineLf,
    InFields(HeadFields),
}

/// Finds the end of a request head, and its errors, in bytes that arrive in any pieces.
#[derive(Debug)]
pub(super) struct HeadScanner {
    place: Place,
    /// Bytes of this head that were looked at; they are not looked at again.
    position: usize,
    empty_lines: usize,
}

impl HeadScanner {
    /// A scanner before the first byte of a head.
    pub(super) fn new() -> HeadScanner {
        HeadScanner { place: Place::ExpectMethod, position: 0, empty_lines: 0 }
    }

    /// No byte of a head was seen yet, apart from empty lines.
    pub(super) fn is_fresh(&self) -> bool {
        self.position == 0
    }

    /// Looks at what is new in `bytes`, which begin where the head begins (or where the empty lines before it begin).
    /// As long as the head is not whole the next call must be handed the same bytes again, less those `skipped`, and
    /// those that have arrived since.
    ///
    /// A head of `head_bytes_max` bytes is accepted. One that is not whole by then is refused without waiting for the
    /// next byte, so an inbox of that size is enough.
    ///
    /// # Errors
    /// [`RequestError`], at the first byte after which no valid head can follow.
    pub(super) fn receive(&mut self, bytes: &[u8], limits: &Limits) -> Result<Scan, RequestError> {
        let mut skipped = 0;
        while let Some(&byte) = bytes.get(skipped + self.position) {
            let event = self.take(byte, bytes.get(skipped..).unwrap_or_default(), limits)?;
            self.position += 1;
            match event {
                ByteEvent::Within => {}
                ByteEvent::EmptyLine => {
                    skipped += self.position;
                    self.position = 0;
                    self.empty_lines += 1;
                }
                ByteEvent::HeadRead => return Ok(Scan::Head { skipped, len: self.position }),
            }
            if self.position >= limits.head_bytes_max {
                return Err(RequestError::HeadTooLong);
            }
        }
        if is_planted(Planted::ScansPastTheEnd) && bytes.ends_with(b"\n\r") {
            self.position += 1;
        }
        Ok(Scan::More { skipped })
    }

    fn take(&mut self, byte: u8, head: &[u8], limits: &Limits) -> Result<ByteEvent, RequestError> {
        let position = self.position;
        self.place = match (self.place, byte) {
            (Place::ExpectMethod, b'\r') if self.empty_lines < limits.empty_lines_max => Place::ExpectEmptyLf,
            (Place::ExpectMethod, b'\r') => return Err(RequestError::TooManyEmptyLines),
            (Place::ExpectMethod, b' ' | b'\t') => return Err(RequestError::LeadingWhitespace),
            (Place::ExpectMethod, byte) if is_token_byte(byte) => Place::InMethod,
            (Place::ExpectMethod, byte) => return Err(misplaced(byte, RequestError::BadRequestLine)),

            (Place::ExpectEmptyLf, b'\n') => {
                self.place = Place::ExpectMethod;
                return Ok(ByteEvent::EmptyLine);
            }
            (Place::ExpectEmptyLf, _) => return Err(RequestError::BareCarriageReturn),

            (Place::InMethod, b' ') => Place::InTarget { start: position + 1 },
            (Place::InMethod, byte) if is_token_byte(byte) => Place::InMethod,
            (Place::InMethod, byte) => return Err(misplaced(byte, RequestError::BadRequestLine)),

            (Place::InTarget { start }, b' ') if position > start => Place::InVersion { start: position + 1 },
            (Place::InTarget { start }, b'!'..=b'~') if position - start >= limits.target_bytes_max => {
                return Err(RequestError::TargetTooLong);
            }
            (Place::InTarget { start }, b'!'..=b'~') => Place::InTarget { start },
            (Place::InTarget { .. }, byte) => return Err(misplaced(byte, RequestError::BadRequestLine)),

            (Place::InVersion { start }, b'\r') => {
                Version::parse(head.get(start..position).unwrap_or_default())?;
                Place::ExpectLineLf
            }
            (Place::InVersion { start }, b'!'..=b'~') if position - start < VERSION_BYTES => {
                Place::InVersion { start }
            }
            (Place::InVersion { .. }, byte) => return Err(misplaced(byte, RequestError::BadVersion)),

            (Place::ExpectLineLf, b'\n') => Place::InFields(HeadFields::BEGIN),
            (Place::ExpectLineLf, _) => return Err(RequestError::BareCarriageReturn),

            (Place::InFields(mut fields), byte) => {
                if fields.receive(byte, limits)? {
                    return Ok(ByteEvent::HeadRead);
                }
                Place::InFields(fields)
            }
        };
        Ok(ByteEvent::Within)
    }
}

/// What one byte of a head finished.
enum ByteEvent {
    Within,
    EmptyLine,
    HeadRead,
}

/// A request head that was read: what the connection needs is decided, the rest is looked up by name.
///
/// It borrows the bytes it was read from; copy what must outlive them.
#[derive(Debug, Clone)]
pub struct Head<'b> {
    /// What to do.
    pub method: Method<'b>,
    /// To what.
    pub target: Target<'b>,
    /// The version the request is read as.
    pub version: Version,
    /// Whom the client thinks it talks to: a valid host and optional port, from an absolute-form target or from
    /// `Host`. `None` only in HTTP/1.0.
    pub authority: Option<&'b str>,
    /// Where the body ends.
    pub framing: Framing,
    /// The client wants to go on using the connection after the answer.
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body. Never so in HTTP/1.0, where it is ignored
    /// (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    section: &'b [u8],
}

impl<'b> Head<'b> {
    /// Reads a whole head, as [`HeadScanner`] found it.
    ///
    /// # Errors
    /// [`RequestError`] by cause: the target, the host, the framing or the expectation.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Head<'b>, RequestError> {
        let line = RequestLine::split(bytes).ok_or(RequestError::BadRequestLine)?;
        let version = Version::parse(line.version)?;
        let method = Method::parse(line.method);
        let (target, target_authority) = Target::parse(method, line.target).ok_or(RequestError::BadTarget)?;

        let mut storage = [httparse::EMPTY_HEADER; HEADER_FIELDS_MAX];
        let fields = tokenise(line.section, &mut storage)?;
        let host = host(fields, version)?;
        let expect_continue = expect_continue(fields)? && version == Version::Http11;
        Ok(Head {
            method,
            target,
            version,
            // The target overrides Host, which must be valid all the same (RFC 9112 §3.2.2).
            authority: target_authority.or(host),
            framing: framing(fields, version)?,
            keep_alive: keep_alive(fields, version),
            expect_continue,
            section: line.section,
        })
    }

    /// The value of the first field of this name, in any case; whitespace around it is cut off.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields(name).next()
    }

    /// The values of all fields of this name, in any case, in order.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        FieldIter::named(self.section, name)
    }
}

struct RequestLine<'b> {
    method: &'b str,
    target: &'b str,
    version: &'b [u8],
    /// The field lines and the empty line after them.
    section: &'b [u8],
}

impl<'b> RequestLine<'b> {
    /// Cuts the head where the scanner saw the two spaces and the end of line. httparse could do this too, but it
    /// knows no HTTP/1.2.
    fn split(bytes: &'b [u8]) -> Option<RequestLine<'b>> {
        let (line, section) = split_at_byte(bytes, b'\r')?;
        let (method, rest) = split_at_byte(line, b' ')?;
        let (target, version) = split_at_byte(rest, b' ')?;
        Some(RequestLine {
            method: std::str::from_utf8(method).ok()?,
            target: std::str::from_utf8(target).ok()?,
            version,
            section: section.get(1..)?,
        })
    }
}

/// What stands before the first `byte`, and what stands after it.
pub(super) fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = bytes.split_at_checked(memchr::memchr(byte, bytes)?)?;
    Some((before, rest.get(1..)?))
}

pub(super) fn tokenise<'h, 'b>(
    section: &'b [u8],
    storage: &'h mut [httparse::Header<'b>],
) -> Result<&'h [httparse::Header<'b>], RequestError> {
    match httparse::parse_headers(section, storage) {
        Ok(httparse::Status::Complete((_, fields))) => Ok(fields),
        Err(httparse::Error::TooManyHeaders) => Err(RequestError::TooManyFields),
        // The scanner has passed this section, so these are two readers who disagree: refused.
        Ok(httparse::Status::Partial) | Err(_) => Err(RequestError::BadFieldName),
    }
}

pub(super) fn values<'h, 'b>(
    fields: &'h [httparse::Header<'b>],
    name: &'h str,
) -> impl Iterator<Item = &'b [u8]> + 'h {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// RFC 9112 §3.2: exactly one valid `Host`; HTTP/1.0 may have none.
fn host<'b>(fields: &[httparse::Header<'b>], version: Version) -> Result<Option<&'b str>, RequestError> {
    let mut hosts = values(fields, "host");
    match (hosts.next(), hosts.next(), version) {
        (None, _, Version::Http10) => Ok(None),
        (None, _, Version::Http11) => Err(RequestError::HostMissing),
        (Some(_), Some(_), _) => Err(RequestError::HostRepeated),
        (Some(value), None, _) => {
            let host = std::str::from_utf8(value).map_err(|_| RequestError::HostInvalid)?;
            host_and_port(host).ok_or(RequestError::HostInvalid)?;
            Ok(Some(host))
        }
    }
}

/// RFC 9112 §6.3, with everything refused that it lets a server repair.
fn framing(fields: &[httparse::Header<'_>], version: Version) -> Result<Framing, RequestError> {
    let has_coding = values(fields, "transfer-encoding").next().is_some();
    let mut lengths = values(fields, "content-length");
    match (lengths.next(), lengths.next(), has_coding) {
        (None, _, false) => Ok(Framing::None),
        (Some(_), _, true) => Err(RequestError::LengthWithTransferCoding),
        (Some(_), Some(_), false) => Err(RequestError::LengthRepeated),
        (Some(value), None, false) => Ok(Framing::Length(content_length(value)?)),
        (None, _, true) if version == Version::Http10 => Err(RequestError::TransferCodingInHttp10),
        (None, _, true) => transfer_coding(values(fields, "transfer-encoding")),
    }
}

pub(super) fn content_length(value: &[u8]) -> Result<u64, RequestError> {
    // `u64::from_str` alone would take a leading plus.
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(RequestError::LengthInvalid);
    }
    let digits = std::str::from_utf8(value).map_err(|_| RequestError::LengthInvalid)?;
    digits.parse().map_err(|_| RequestError::LengthInvalid)
}

/// Several fields are one list (RFC 9110 §5.3). Only a list of exactly `chunked` is decoded.
pub(super) fn transfer_coding<'b>(values: impl Iterator<Item = &'b [u8]>) -> Result<Framing, RequestError> {
    let mut chunked_seen = false;
    let mut unknown_seen = false;
    for coding in values.flat_map(|value| value.split(|byte| *byte == b',')).map(trimmed) {
        let name = coding.split(|byte| *byte == b';').next().map(trimmed).unwrap_or_default();
        if chunked_seen || !is_token(name) || !parameters_are_plausible(coding) {
            return Err(RequestError::TransferCodingInvalid);
        }
        if !name.eq_ignore_ascii_case(b"chunked") {
            unknown_seen = true;
        } else if coding.len() == name.len() {
            chunked_seen = true;
        } else {
            // chunked takes no parameters (RFC 9112 §7.1).
            return Err(RequestError::TransferCodingInvalid);
        }
    }
    match (chunked_seen, unknown_seen) {
        (true, false) => Ok(Framing::Chunked),
        (true, true) | (false, true) => Err(RequestError::TransferCodingUnknown),
        (false, false) => Err(RequestError::TransferCodingInvalid),
    }
}

/// Each parameter of a coding is `token=token`. One with a quoted value is refused as malformed instead of as
/// unknown: nothing is decoded either way.
fn parameters_are_plausible(coding: &[u8]) -> bool {
    coding.split(|byte| *byte == b';').skip(1).all(|parameter| {
        let mut parts = parameter.splitn(2, |byte| *byte == b'=');
        parts.next().is_some_and(|name| is_token(trimmed(name)))
            && parts.next().is_some_and(|value| is_token(trimmed(value)))
    })
}

/// RFC 9112 §9.3: `close` wins; HTTP/1.0 must ask to be kept.
pub(super) fn keep_alive(fields: &[httparse::Header<'_>], version: Version) -> bool {
    let has = |wanted: &[u8]| {
        values(fields, "connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|option| trimmed(option).eq_ignore_ascii_case(wanted))
    };
    match version {
        Version::Http11 => !has(b"close"),
        Version::Http10 => has(b"keep-alive") && !has(b"close"),
    }
}

fn expect_continue(fields: &[httparse::Header<'_>]) -> Result<bool, RequestError> {
    let mut expected = false;
    for value in values(fields, "expect") {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(RequestError::ExpectationUnknown);
        }
        expected = true;
    }
    Ok(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Head<'_>, RequestError> {
        let scan = HeadScanner::new().receive(head.as_bytes(), &Limits::default())?;
        assert_eq!(scan, Scan::Head { skipped: 0, len: head.len() }, "{head:?} is one whole head");
        Head::parse(head.as_bytes())
    }

    fn with_fields(fields: &str) -> Result<Head<'static>, RequestError> {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        parse(head.leak())
    }

    fn framed(fields: &str) -> Result<Framing, RequestError> {
        with_fields(fields).map(|head| head.framing)
    }

    #[test]
    fn bytes_that_were_scanned_are_not_looked_at_again() {
        let head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
        for cut in [30, 40, head.len() - 1] {
            let mut scanner = HeadScanner::new();
            assert_eq!(scanner.receive(&head[..cut], &Limits::default()), Ok(Scan::More { skipped: 0 }));
            let mut overwritten = head.to_vec();
            overwritten[..cut].fill(b'\n');
            let scan = scanner.receive(&overwritten, &Limits::default());
            assert_eq!(scan, Ok(Scan::Head { skipped: 0, len: head.len() }));
        }
    }

    #[test]
    fn empty_lines_are_skipped_up_to_their_bound() {
        let limits = Limits { empty_lines_max: 2, ..Limits::default() };
        let scan = |bytes: &[u8]| HeadScanner::new().receive(bytes, &limits);
        assert_eq!(scan(b"\r\n\r\n"), Ok(Scan::More { skipped: 4 }));
        assert_eq!(scan(b"\r\n\r"), Ok(Scan::More { skipped: 2 }));
        assert_eq!(scan(b"\r\n\r\n\r"), Err(RequestError::TooManyEmptyLines));
        assert_eq!(scan(b"\n"), Err(RequestError::BareLineFeed));
    }

    #[test]
    fn a_head_at_its_bound_is_accepted_and_a_longer_one_is_refused_at_the_bound() {
        let head = b"GET / HTTP/1.0\r\nA: b\r\n\r\n";
        let limits = |head_bytes_max| Limits { head_bytes_max, ..Limits::default() };
        let at_bound = HeadScanner::new().receive(head, &limits(head.len()));
        assert_eq!(at_bound, Ok(Scan::Head { skipped: 0, len: head.len() }));
        let short = &head[..head.len() - 1];
        assert_eq!(HeadScanner::new().receive(short, &limits(short.len())), Err(RequestError::HeadTooLong));
    }

    #[test]
    fn a_field_over_the_bound_is_refused_at_its_first_byte() {
        let limits = Limits { header_fields_max: 1, ..Limits::default() };
        let scan = |bytes: &[u8]| HeadScanner::new().receive(bytes, &limits);
        assert!(matches!(scan(b"GET / HTTP/1.0\r\nA: b\r\n\r\n"), Ok(Scan::Head { .. })));
        assert_eq!(scan(b"GET / HTTP/1.0\r\nA: b\r\nC"), Err(RequestError::TooManyFields));
    }

    #[test]
    fn no_limits_let_in_more_fields_than_the_array_holds() {
        let limits = Limits { header_fields_max: usize::MAX, ..Limits::default() };
        let head = format!("GET / HTTP/1.0\r\n{}", "A: b\r\n".repeat(HEADER_FIELDS_MAX + 1));
        assert_eq!(HeadScanner::new().receive(head.as_bytes(), &limits), Err(RequestError::TooManyFields));
    }

    #[test]
    fn a_higher_minor_version_is_read_as_1_1() {
        assert_eq!(Version::parse(b"HTTP/1.0"), Ok(Version::Http10));
        assert_eq!(Version::parse(b"HTTP/1.1"), Ok(Version::Http11));
        assert_eq!(Version::parse(b"HTTP/1.9"), Ok(Version::Http11));
    }

    #[test]
    fn an_unknown_major_version_is_told_from_nonsense() {
        for unsupported in ["HTTP/0.9", "HTTP/2.0", "HTTP/3.1"] {
            assert_eq!(Version::parse(unsupported.as_bytes()), Err(RequestError::UnsupportedVersion));
        }
        for bad in
            ["", "HTTP/1", "HTTP/1.", "HTTP/1.x", "HTTP/x.1", "http/1.1", "HTTP/1.10", "HTTP 1.1", "HTTP/11."]
        {
            assert_eq!(Version::parse(bad.as_bytes()), Err(RequestError::BadVersion), "{bad:?}");
        }
    }

    #[test]
    fn methods_are_case_sensitive() {
        assert_eq!(Method::parse("GET"), Method::Get);
        assert_eq!(Method::parse("get"), Method::Other("get"));
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PURGE"]
        {
            assert_eq!(Method::parse(name).as_str(), name);
        }
    }

    #[test]
    fn only_a_list_of_exactly_chunked_is_decoded() {
        assert_eq!(framed("Transfer-Encoding: chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framed("Transfer-Encoding: \tChunked \r\n"), Ok(Framing::Chunked));
        for unknown in ["gzip", "identity", "xchunked", "gzip, chunked", "a;b=c", "a ; b = c,chunked"] {
            let fields = format!("Transfer-Encoding: {unknown}\r\n");
            assert_eq!(framed(&fields), Err(RequestError::TransferCodingUnknown), "{unknown:?}");
        }
        for invalid in [
            "",
            ",",
            "chunked,",
            ",chunked",
            "chunked, chunked",
            "chunked, gzip",
            "chunked;",
            "chunked;a=b",
            "chunked;a",
            "\"chunked\"",
            "chun ked",
            "chunked\u{e9}",
            "gzip;a=\"b\"",
            "gzip;=b",
            "gzip;a=",
        ] {
            let fields = format!("Transfer-Encoding: {invalid}\r\n");
            assert_eq!(framed(&fields), Err(RequestError::TransferCodingInvalid), "{invalid:?}");
        }
    }

    #[test]
    fn several_transfer_coding_fields_are_one_list() {
        let two = |one, other| framed(&format!("Transfer-Encoding: {one}\r\nTransfer-Encoding: {other}\r\n"));
        assert_eq!(two("gzip", "chunked"), Err(RequestError::TransferCodingUnknown));
        assert_eq!(two("chunked", "chunked"), Err(RequestError::TransferCodingInvalid));
        assert_eq!(two("chunked", "gzip"), Err(RequestError::TransferCodingInvalid));
    }

    #[test]
    fn a_length_is_plain_digits_that_fit() {
        for (text, length) in [("0", 0), ("7", 7), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(framed(&format!("Content-Length: {text}\r\n")), Ok(Framing::Length(length)));
        }
        for text in ["", "+7", "-7", "7,7", "7, 7", "7 7", "0x7", "7.0", "seven", "18446744073709551616", "٣"]
        {
            let invalid = framed(&format!("Content-Length: {text}\r\n"));
            assert_eq!(invalid, Err(RequestError::LengthInvalid), "{text:?}");
        }
    }

    #[test]
    fn connection_options_are_a_list_in_any_case_and_close_wins() {
        let keep = |version: &str, fields: &str| {
            parse(format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n").leak()).unwrap().keep_alive
        };
        assert!(keep("1.1", ""));
        assert!(keep("1.1", "Connection: closed, upgrade\r\n"));
        assert!(!keep("1.1", "Connection: upgrade ,\tCLOSE\r\n"));
        assert!(!keep("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
        assert!(!keep("1.0", ""));
        assert!(keep("1.0", "Connection: Keep-Alive\r\n"));
        assert!(!keep("1.0", "Connection: keep-alive, close\r\n"));
    }

    #[test]
    fn one_expectation_is_known_and_http_1_0_has_none() {
        assert!(with_fields("Expect: 100-Continue\r\n").unwrap().expect_continue);
        assert!(!with_fields("").unwrap().expect_continue);
        assert!(!parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().expect_continue);
        for unknown in ["", "200-ok", "100-continue, x", "100-continue\r\nExpect: x"] {
            let error = with_fields(&format!("Expect: {unknown}\r\n")).unwrap_err();
            assert_eq!(error, RequestError::ExpectationUnknown, "{unknown:?}");
        }
    }

    #[test]
    fn fields_are_looked_up_in_any_case_and_in_order() {
        let head = with_fields("Accept: a \r\nX: \r\naccept:\tb\r\n").unwrap();
        assert_eq!(head.fields("ACCEPT").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(head.field("x"), Some(&b""[..]));
        assert_eq!(head.field("Accep"), None);
    }
}
