//! One response head: found by a scanner as it drips in, then read once when it is whole, as `head` does for requests.
//!
//! What a response may do that a request may not is little: it may have no reason phrase, nor the space before one; it
//! may repeat one `Content-Length`, as long as it is the same; and its body may go on until the connection ends. All
//! else is as strict as for requests, folded fields and bare line feeds included, which RFC 9112 would let us mend: a
//! server that sends them is none that we want to guess about.

use super::error::{RequestError, ResponseError};
use super::fields::{FieldIter, HeadFields, is_value_byte, misplaced, trimmed};
use super::framing::Framing;
use super::head::{
    VERSION_BYTES, Version, content_length, keep_alive, split_at_byte, tokenise, transfer_coding, values,
};
use crate::limits::{HEADER_FIELDS_MAX, Limits};

/// What was asked, as far as it decides where the response ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// `GET`, and any method without a rule of its own.
    Get,
    /// `POST`.
    Post,
    /// `HEAD`: there is no body, whatever the fields say.
    Head,
    /// `CONNECT`: after a 2xx the connection is a tunnel and no longer HTTP.
    Connect,
}

/// How a response's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// As a request's is, or there is none.
    Delimited(Framing),
    /// By the end of the connection: no one can tell whether it is all there.
    UntilClose,
    /// A 2xx to CONNECT: no body, and what follows is not HTTP.
    Tunnel,
}

/// Where in a head the next byte belongs.
///
/// ```text
///               SP           3 digits, SP            CR                   LF
/// InVersion ─────► InStatus ──────────────► InReason ───► ExpectLineLf ────► InFields ──► (whole)
///                      │ 3 digits, CR                          ▲
///                      └───────────────────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InVersion,
    InStatus { digits: usize },
    InReason,
    ExpectLineLf,
    InFields(HeadFields),
}

/// Digits of a status code.
const STATUS_DIGITS: usize = 3;

/// Finds the end of a response head, and its errors, in bytes that arrive in any pieces.
#[derive(Debug)]
pub(super) struct ResponseScanner {
    place: Place,
    /// Bytes of this head that were looked at; they are not looked at again.
    position: usize,
}

impl ResponseScanner {
    /// A scanner before the first byte of a head.
    pub(super) fn new() -> ResponseScanner {
        ResponseScanner { place: Place::InVersion, position: 0 }
    }

    /// Looks at what is new in `bytes`, which begin where the head begins, and says how long the head is once it is
    /// whole. Until then the next call must be handed the same bytes again and those that have arrived since.
    ///
    /// A head of `head_bytes_max` bytes is accepted; one that is not whole by then is refused at once.
    ///
    /// # Errors
    /// [`ResponseError`], at the first byte after which no valid head can follow.
    pub(super) fn receive(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, ResponseError> {
        while let Some(&byte) = bytes.get(self.position) {
            let is_whole = self.take(byte, bytes, limits)?;
            self.position += 1;
            if is_whole {
                return Ok(Some(self.position));
            }
            if self.position >= limits.head_bytes_max {
                return Err(ResponseError::HeadTooLong);
            }
        }
        Ok(None)
    }

    /// Takes one byte, and says whether it is the last of the head.
    fn take(&mut self, byte: u8, head: &[u8], limits: &Limits) -> Result<bool, ResponseError> {
        self.place = match (self.place, byte) {
            (Place::InVersion, b' ') => {
                version(head.get(..self.position).unwrap_or_default())?;
                Place::InStatus { digits: 0 }
            }
            (Place::InVersion, byte) if may_stand_in_version(byte, self.position) => Place::InVersion,
            (Place::InVersion, _) => return Err(ResponseError::NotHttp),

            (Place::InStatus { digits: STATUS_DIGITS }, b' ') => Place::InReason,
            (Place::InStatus { digits: STATUS_DIGITS }, b'\r') => Place::ExpectLineLf,
            (Place::InStatus { digits: 0 }, b'1'..=b'9') => Place::InStatus { digits: 1 },
            (Place::InStatus { digits: digits @ 1..STATUS_DIGITS }, b'0'..=b'9') => {
                Place::InStatus { digits: digits + 1 }
            }
            (Place::InStatus { .. }, _) => return Err(ResponseError::BadStatusLine),

            (Place::InReason, b'\r') => Place::ExpectLineLf,
            (Place::InReason, byte) if is_value_byte(byte) => Place::InReason,
            (Place::InReason, byte) => return Err(misplaced(byte, RequestError::ControlByte).into()),

            (Place::ExpectLineLf, b'\n') => Place::InFields(HeadFields::BEGIN),
            (Place::ExpectLineLf, _) => return Err(RequestError::BareCarriageReturn.into()),

            (Place::InFields(mut fields), byte) => {
                if fields.receive(byte, limits)? {
                    return Ok(true);
                }
                Place::InFields(fields)
            }
        };
        Ok(false)
    }
}

/// So that whatever is not HTTP at all, be it TLS or a greeting of another protocol, is told at its first byte.
fn may_stand_in_version(byte: u8, position: usize) -> bool {
    match b"HTTP/".get(position) {
        Some(expected) => byte == *expected,
        None => position < VERSION_BYTES && (byte == b'.' || byte.is_ascii_digit()),
    }
}

fn version(text: &[u8]) -> Result<Version, ResponseError> {
    Version::parse(text).map_err(|error| match error {
        RequestError::UnsupportedVersion => ResponseError::UnsupportedVersion,
        _ => ResponseError::NotHttp,
    })
}

/// A response head that was read: what the connection needs is decided, the rest is looked up by name.
///
/// It borrows the bytes it was read from; copy what must outlive them.
#[derive(Debug, Clone)]
pub struct ResponseHead<'b> {
    /// The status code, of three digits and from 200 on. One over 599 means nothing to anyone and is to be taken for a
    /// server's error (RFC 9110 §15).
    pub status: u16,
    /// The version the response is read as.
    pub version: Version,
    /// Where the body ends.
    pub framing: ResponseFraming,
    /// The server lets the connection be used again after the response.
    pub keep_alive: bool,
    section: &'b [u8],
}

impl<'b> ResponseHead<'b> {
    /// Reads a whole head, as [`ResponseScanner`] found it.
    ///
    /// # Errors
    /// [`ResponseError`], if it contradicts itself about where the body ends.
    pub(super) fn parse(bytes: &'b [u8], sent: Sent) -> Result<ResponseHead<'b>, ResponseError> {
        let line = StatusLine::split(bytes).ok_or(ResponseError::BadStatusLine)?;
        let version = version(line.version)?;
        let mut storage = [httparse::EMPTY_HEADER; HEADER_FIELDS_MAX];
        let fields = tokenise(line.section, &mut storage)?;
        let framing = framing(fields, version, line.status, sent)?;
        let is_kept = match framing {
            ResponseFraming::Delimited(_) => keep_alive(fields, version),
            ResponseFraming::UntilClose | ResponseFraming::Tunnel => false,
        };
        Ok(ResponseHead {
            status: line.status,
            version,
            framing,
            keep_alive: is_kept && !(line.status == 204 && announces_body(fields)),
            section: line.section,
        })
    }

    /// The value of the first field of this name, in any case; whitespace around it is cut off.
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        FieldIter::named(self.section, name).next()
    }

    /// The values of all fields of this name, in any case, in order.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        FieldIter::named(self.section, name)
    }
}

struct StatusLine<'b> {
    version: &'b [u8],
    status: u16,
    /// The field lines and the empty line after them.
    section: &'b [u8],
}

impl<'b> StatusLine<'b> {
    fn split(bytes: &'b [u8]) -> Option<StatusLine<'b>> {
        let (line, section) = split_at_byte(bytes, b'\r')?;
        let (version, rest) = split_at_byte(line, b' ')?;
        let status = std::str::from_utf8(rest.get(..STATUS_DIGITS)?).ok()?;
        Some(StatusLine { version, status: status.parse().ok()?, section: section.get(1..)? })
    }
}

/// RFC 9112 §6.3 from the client's side, in its order. Where it says what overrides what, we refuse instead.
fn framing(
    fields: &[httparse::Header<'_>],
    version: Version,
    status: u16,
    sent: Sent,
) -> Result<ResponseFraming, ResponseError> {
    match (status, sent) {
        (100..=199 | 204 | 304, _) | (_, Sent::Head) => {
            return Ok(ResponseFraming::Delimited(Framing::None));
        }
        (200..=299, Sent::Connect) => return Ok(ResponseFraming::Tunnel),
        (_, Sent::Get | Sent::Post | Sent::Connect) => {}
    }
    let has_coding = values(fields, "transfer-encoding").next().is_some();
    match (length(fields)?, has_coding) {
        (None, false) => Ok(ResponseFraming::UntilClose),
        (Some(_), true) => Err(ResponseError::LengthWithTransferCoding),
        (Some(length), false) => Ok(ResponseFraming::Delimited(Framing::Length(length))),
        (None, true) if version == Version::Http10 => Err(RequestError::TransferCodingInHttp10.into()),
        (None, true) => {
            let framing = transfer_coding(values(fields, "transfer-encoding"))?;
            Ok(ResponseFraming::Delimited(framing))
        }
    }
}

/// The one length that all `Content-Length` fields and the members of their lists tell (RFC 9110 §8.6).
fn length(fields: &[httparse::Header<'_>]) -> Result<Option<u64>, ResponseError> {
    let mut told = None;
    for text in values(fields, "content-length").flat_map(|value| value.split(|byte| *byte == b',')) {
        let length = content_length(trimmed(text))?;
        if told.is_some_and(|before| before != length) {
            return Err(ResponseError::LengthsDiffer);
        }
        told = Some(length);
    }
    Ok(told)
}

/// A 204 has no body and must not speak of one (RFC 9110 §8.6). From a server that does, the bytes of that body may
/// still come, and would be read as the next response.
fn announces_body(fields: &[httparse::Header<'_>]) -> bool {
    values(fields, "transfer-encoding").next().is_some()
        || values(fields, "content-length").any(|length| length != b"0")
}
