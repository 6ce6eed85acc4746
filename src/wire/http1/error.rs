//! Everything a peer can do wrong in a request or in a response, one variant a cause.
//!
//! After any of these the place where the next message would begin is in doubt, so each ends the connection.

use std::fmt;

/// Why a request is refused. The text of its `Display` goes to the peer as `{"detail": ...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// More empty lines than we skip before a request line.
    TooManyEmptyLines,
    /// A line ended in a line feed alone.
    BareLineFeed,
    /// A carriage return without its line feed.
    BareCarriageReturn,
    /// A control byte where none may stand.
    ControlByte,
    /// Whitespace before the request line.
    LeadingWhitespace,
    /// The request line is not `method SP target SP version`.
    BadRequestLine,
    /// A target in none of the four forms of RFC 9112 §3.2, or in one that its method may not use.
    BadTarget,
    /// The target is over its bound.
    TargetTooLong,
    /// The version is not `HTTP/` digit `.` digit.
    BadVersion,
    /// A version that is well-formed but is not HTTP/1.
    UnsupportedVersion,
    /// The head is over its bound.
    HeadTooLong,
    /// More fields than the bound.
    TooManyFields,
    /// A line that begins with whitespace: an obsolete folded field.
    FoldedField,
    /// Whitespace between a field's name and its colon.
    SpaceBeforeColon,
    /// A field name that is empty or no token, or a line without a colon.
    BadFieldName,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A `Host` that names no host and optional port.
    HostInvalid,
    /// More than one `Content-Length`, equal or not.
    LengthRepeated,
    /// A `Content-Length` that is not a plain decimal number below 2^64.
    LengthInvalid,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthWithTransferCoding,
    /// A `Transfer-Encoding` that is no list of codings, or that names `chunked` twice or not last.
    TransferCodingInvalid,
    /// A well-formed transfer coding that we do not decode.
    TransferCodingUnknown,
    /// `Transfer-Encoding` in HTTP/1.0, which has none.
    TransferCodingInHttp10,
    /// An `Expect` other than `100-continue`.
    ExpectationUnknown,
    /// The chunks of a body add up to more than the route takes.
    BodyTooLarge,
    /// A chunk size that is no hexadecimal number below 2^64.
    ChunkSizeInvalid,
    /// A chunk-size line with its extensions is over its bound.
    ChunkLineTooLong,
    /// A chunk's data is not followed by an end of line.
    ChunkEndMissing,
    /// The trailer section is over its bound.
    TrailersTooLong,
}

impl RequestError {
    /// The status code of the answer that tells the peer.
    pub fn status(self) -> u16 {
        match self {
            RequestError::TooManyEmptyLines
            | RequestError::BareLineFeed
            | RequestError::BareCarriageReturn
            | RequestError::ControlByte
            | RequestError::LeadingWhitespace
            | RequestError::BadRequestLine
            | RequestError::BadTarget
            | RequestError::BadVersion
            | RequestError::FoldedField
            | RequestError::SpaceBeforeColon
            | RequestError::BadFieldName
            | RequestError::HostMissing
            | RequestError::HostRepeated
            | RequestError::HostInvalid
            | RequestError::LengthRepeated
            | RequestError::LengthInvalid
            | RequestError::LengthWithTransferCoding
            | RequestError::TransferCodingInvalid
            | RequestError::TransferCodingInHttp10
            | RequestError::ChunkSizeInvalid
            | RequestError::ChunkLineTooLong
            | RequestError::ChunkEndMissing => 400,
            RequestError::BodyTooLarge => 413,
            RequestError::TargetTooLong => 414,
            RequestError::ExpectationUnknown => 417,
            RequestError::HeadTooLong | RequestError::TooManyFields | RequestError::TrailersTooLong => 431,
            RequestError::TransferCodingUnknown => 501,
            RequestError::UnsupportedVersion => 505,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestError::TooManyEmptyLines => "too many empty lines before the request line",
            RequestError::BareLineFeed => "a line ends in a line feed without a carriage return",
            RequestError::BareCarriageReturn => "a carriage return is not followed by a line feed",
            RequestError::ControlByte => "a control byte stands where none may",
            RequestError::LeadingWhitespace => "the request line begins with whitespace",
            RequestError::BadRequestLine => {
                "the request line is not a method, a target and a version with one space between them"
            }
            RequestError::BadTarget => "the request target has no form that its method may use",
            RequestError::TargetTooLong => "the request target is too long",
            RequestError::BadVersion => "the request line does not end in an HTTP version",
            RequestError::UnsupportedVersion => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            RequestError::HeadTooLong => "the request head is too long",
            RequestError::TooManyFields => "the request has too many header fields",
            RequestError::FoldedField => "a header line begins with whitespace",
            RequestError::SpaceBeforeColon => "a field name is followed by whitespace instead of a colon",
            RequestError::BadFieldName => "a header line does not begin with a field name and a colon",
            RequestError::HostMissing => "the Host field is missing",
            RequestError::HostRepeated => "the Host field is repeated",
            RequestError::HostInvalid => "the Host field is not a host name with an optional port",
            RequestError::LengthRepeated => "the Content-Length field is repeated",
            RequestError::LengthInvalid => "the Content-Length field is not one decimal number",
            RequestError::LengthWithTransferCoding => {
                "the request has both Content-Length and Transfer-Encoding"
            }
            RequestError::TransferCodingInvalid => {
                "the Transfer-Encoding field is malformed, or chunked is repeated or not last in it"
            }
            RequestError::TransferCodingUnknown => "no transfer coding but chunked is supported",
            RequestError::TransferCodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            RequestError::ExpectationUnknown => "no expectation but 100-continue can be met",
            RequestError::BodyTooLarge => "the request body is too large",
            RequestError::ChunkSizeInvalid => "a chunk size is not a hexadecimal number",
            RequestError::ChunkLineTooLong => "a chunk-size line is too long",
            RequestError::ChunkEndMissing => "the data of a chunk is not followed by an end of line",
            RequestError::TrailersTooLong => "the trailer section is too long",
        })
    }
}

impl std::error::Error for RequestError {}

/// Why a response can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseError {
    /// What came does not begin with an HTTP version: another protocol is spoken there, TLS perhaps.
    NotHttp,
    /// A version that is well-formed but is not HTTP/1.
    UnsupportedVersion,
    /// The version is not followed by a space and a status code of three digits from 100 on.
    BadStatusLine,
    /// The head is over its bound.
    HeadTooLong,
    /// More fields than the bound.
    TooManyFields,
    /// More interim responses than the bound.
    TooManyInterim,
    /// `101 Switching Protocols`, for which we never ask.
    UpgradeUnasked,
    /// Several `Content-Length` that do not agree.
    LengthsDiffer,
    /// Both `Content-Length` and `Transfer-Encoding`.
    LengthWithTransferCoding,
    /// Field lines, one `Content-Length`, transfer codings or chunks with a fault that a request can have as well.
    Shared(RequestError),
    /// The connection ended before the response did.
    CutShort,
}

impl From<RequestError> for ResponseError {
    /// Causes whose words speak of a request have a variant of their own here.
    fn from(error: RequestError) -> ResponseError {
        match error {
            RequestError::HeadTooLong => ResponseError::HeadTooLong,
            RequestError::TooManyFields => ResponseError::TooManyFields,
            RequestError::LengthWithTransferCoding => ResponseError::LengthWithTransferCoding,
            shared => ResponseError::Shared(shared),
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseError::NotHttp => "the response does not begin with an HTTP version",
            ResponseError::UnsupportedVersion => "the response is neither HTTP/1.0 nor HTTP/1.1",
            ResponseError::BadStatusLine => "the response has no status code of three digits",
            ResponseError::HeadTooLong => "the response head is too long",
            ResponseError::TooManyFields => "the response has too many header fields",
            ResponseError::TooManyInterim => "too many interim responses came before the response",
            ResponseError::UpgradeUnasked => "the response switches to a protocol that was not asked for",
            ResponseError::LengthsDiffer => "the response has several Content-Length that differ",
            ResponseError::LengthWithTransferCoding => {
                "the response has both Content-Length and Transfer-Encoding"
            }
            ResponseError::Shared(error) => return error.fmt(f),
            ResponseError::CutShort => "the connection ended before the response did",
        })
    }
}

impl std::error::Error for ResponseError {}
