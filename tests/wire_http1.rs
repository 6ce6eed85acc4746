//! HTTP/1.1 requests, good and bad, each cut in every way: what is told must not depend on where the cuts are.
//!
//! Every case is fed whole, byte by byte, in two pieces split at every point, and cut short at every point. A bad
//! request is written up to the byte that makes it bad, and must be refused at that byte: not before, and not later.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use oneloop::base::Outbox;
use oneloop::limits::{KIB, Limits, TARGET_BYTES_MAX};
use oneloop::wire::http1::{RequestError, RequestEvent, Server};

#[path = "properties/connection.rs"]
mod connection;

use connection::{Driver, Trace, answer, fed_whole, small_limits};

// --- The table ----------------------------------------------------------------------------------------------------

/// A named input and the exact trace it must leave.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    trace: Vec<String>,
}

/// Lines of `bytes` end in CRLF where the text has a newline; everything else stands as it is.
fn case(name: &'static str, bytes: &str, trace: &str) -> Case {
    raw(name, bytes.replace('\n', "\r\n").as_bytes(), trace)
}

/// The bytes exactly as they stand.
fn raw(name: &'static str, bytes: &[u8], trace: &str) -> Case {
    Case { name, bytes: bytes.to_vec(), trace: trace.split(" | ").map(String::from).collect() }
}

#[rustfmt::skip] // A case is a line or two, not five.
fn good_requests() -> Vec<Case> {
    vec![
        case("a request", "GET / HTTP/1.1\nHost: a\n\n", "GET / 1.1 a keep | end | clean"),
        case("nothing at all", "", "clean"),
        case("path and query", "GET /a/b?c=d&e HTTP/1.1\nHost: a:80\n\n",
            "GET /a/b?c=d&e 1.1 a:80 keep | end | clean"),
        case("an empty query", "GET /? HTTP/1.1\nHost: a\n\n", "GET /? 1.1 a keep | end | clean"),
        case("any visible byte in a target", "GET /{|}^`<>\"\\% HTTP/1.1\nHost: a\n\n",
            "GET /{|}^`<>\"\\% 1.1 a keep | end | clean"),
        case("an unknown method", "PURGE / HTTP/1.1\nHost: a\n\n", "PURGE / 1.1 a keep | end | clean"),
        case("a method in small letters is another", "get / HTTP/1.1\nHost: a\n\n",
            "get / 1.1 a keep | end | clean"),
        case("HEAD", "HEAD / HTTP/1.1\nHost: a\n\n", "HEAD / 1.1 a keep | end | clean"),
        case("DELETE", "DELETE /tasks/1 HTTP/1.1\nHost: a\n\n", "DELETE /tasks/1 1.1 a keep | end | clean"),
        case("OPTIONS *", "OPTIONS * HTTP/1.1\nHost: a\n\n", "OPTIONS * 1.1 a keep | end | clean"),
        case("OPTIONS * through a proxy", "OPTIONS http://b HTTP/1.1\nHost: a\n\n",
            "OPTIONS * 1.1 b keep | end | clean"),
        case("OPTIONS of a path", "OPTIONS /chat HTTP/1.1\nHost: a\n\n",
            "OPTIONS /chat 1.1 a keep | end | clean"),
        case("absolute-form overrides Host", "GET http://b:1/c?d HTTP/1.1\nHost: a\n\n",
            "GET /c?d 1.1 b:1 keep | end | clean"),
        case("absolute-form without a path", "GET HTTPS://b HTTP/1.1\nHost: a\n\n",
            "GET / 1.1 b keep | end | clean"),
        case("absolute-form with a query only", "GET http://b?c HTTP/1.1\nHost: a\n\n",
            "GET /?c 1.1 b keep | end | clean"),
        case("absolute-form in HTTP/1.0 needs no Host", "GET http://b/ HTTP/1.0\n\n",
            "GET / 1.0 b close | end | close"),
        case("CONNECT is told, to be refused", "CONNECT b:443 HTTP/1.1\nHost: b\n\n",
            "CONNECT to b:443 1.1 b:443 keep | end | clean"),
        case("an IPv6 host", "GET / HTTP/1.1\nHost: [::1]:8000\n\n",
            "GET / 1.1 [::1]:8000 keep | end | clean"),
        case("whitespace around a value", "GET / HTTP/1.1\nHost:\t a \t\n\n",
            "GET / 1.1 a keep | end | clean"),
        case("names in any case", "GET / HTTP/1.1\nhOST:a\n\n", "GET / 1.1 a keep | end | clean"),
        raw("obs-text in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n",
            "GET / 1.1 a keep | end | clean"),
        case("an empty value", "GET / HTTP/1.1\nX:\nHost: a\n\n", "GET / 1.1 a keep | end | clean"),
        case("any token as a name", "GET / HTTP/1.1\nHost: a\n!#$%&'*+-.^_`|~1: x\n\n",
            "GET / 1.1 a keep | end | clean"),
        // Versions and keep-alive.
        case("HTTP/1.0 without Host", "GET / HTTP/1.0\n\n", "GET / 1.0 nobody close | end | close"),
        case("HTTP/1.0 with Host", "GET / HTTP/1.0\nHost: a\n\n", "GET / 1.0 a close | end | close"),
        case("HTTP/1.0 kept", "GET / HTTP/1.0\nConnection: Keep-Alive\n\n",
            "GET / 1.0 nobody keep | end | clean"),
        case("HTTP/1.0 with a body", "PUT / HTTP/1.0\nContent-Length: 2\n\nab",
            "PUT / 1.0 nobody length 2 close | body ab | end | close"),
        case("HTTP/1.0 expects nothing", "PUT / HTTP/1.0\nExpect: 100-continue\nContent-Length: 1\n\na",
            "PUT / 1.0 nobody length 1 close | body a | end | close"),
        case("a later minor version is 1.1", "GET / HTTP/1.2\nHost: a\n\n", "GET / 1.1 a keep | end | clean"),
        case("close", "GET / HTTP/1.1\nHost: a\nConnection: close\n\n", "GET / 1.1 a close | end | close"),
        case("close among other options", "GET / HTTP/1.1\nHost: a\nConnection: x , CLOSE\n\n",
            "GET / 1.1 a close | end | close"),
        case("what follows close is not read",
            "GET / HTTP/1.1\nHost: a\nConnection: close\n\nGET / HTTP/1.1\nHost: a\n\n",
            "GET / 1.1 a close | end | close"),
        // Empty lines.
        case("empty lines before a request", "\n\nGET / HTTP/1.1\nHost: a\n\n",
            "GET / 1.1 a keep | end | clean"),
        case("empty lines alone", "\n\n", "clean"),
        case("an empty line after a body",
            "PUT / HTTP/1.1\nHost: a\nContent-Length: 1\n\na\nGET / HTTP/1.1\nHost: b\n\n",
            "PUT / 1.1 a length 1 keep | body a | end | GET / 1.1 b keep | end | clean"),
        // Bodies.
        case("a body by length", "PUT / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
            "PUT / 1.1 a length 5 keep | body hello | end | clean"),
        case("a body of nothing", "PUT / HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
            "PUT / 1.1 a length 0 keep | end | clean"),
        case("a length with leading zeros", "PUT / HTTP/1.1\nHost: a\nContent-Length: 0001\n\na",
            "PUT / 1.1 a length 1 keep | body a | end | clean"),
        case("a body in a GET", "GET / HTTP/1.1\nHost: a\nContent-Length: 1\n\na",
            "GET / 1.1 a length 1 keep | body a | end | clean"),
        raw("a body of any bytes", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\0\n\r\xff",
            "PUT / 1.1 a length 4 keep | body \\x00\\n\\r\\xff | end | clean"),
        case("a body that waits for continue",
            "PUT / HTTP/1.1\nHost: a\nExpect: 100-Continue\nContent-Length: 1\n\na",
            "PUT / 1.1 a length 1 keep continue | body a | end | clean"),
        case("a body of exactly its bound", "PUT / HTTP/1.1\nHost: a\nContent-Length: 16\n\n0123456789abcdef",
            "PUT / 1.1 a length 16 keep | body 0123456789abcdef | end | clean"),
        case("a declared body over its bound", "PUT / HTTP/1.1\nHost: a\nContent-Length: 17\n\n",
            "PUT / 1.1 a length 17 keep | 413 declared | close"),
        // Chunks.
        case("chunks", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n0a\n0123456789\n0\n\n",
            "PUT / 1.1 a chunked keep | body abc0123456789 | end | clean"),
        case("no chunk", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n0\n\n",
            "PUT / 1.1 a chunked keep | end | clean"),
        case("a size in both cases",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nA\n0123456789\n00\n\n",
            "PUT / 1.1 a chunked keep | body 0123456789 | end | clean"),
        case("chunk extensions",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1;a=\";\"\nx\n1 ;b\ny\n0;\n\n",
            "PUT / 1.1 a chunked keep | body xy | end | clean"),
        case("chunk data that looks like a chunk",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5\n0\n\n\n0\n\n",
            "PUT / 1.1 a chunked keep | body 0\\r\\n\\r\\n | end | clean"),
        case("trailers", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\nx\n0\nA: b\nC:\n\n",
            "PUT / 1.1 a chunked keep | body x | end | clean"),
        case("a trailer changes nothing",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\nContent-Length: 9\n\nG / HTTP/1.1\nHost: b\n\n",
            "PUT / 1.1 a chunked keep | end | G / 1.1 b keep | end | clean"),
        case("chunks of exactly their bound",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n8\n01234567\n8\n89abcdef\n0\n\n",
            "PUT / 1.1 a chunked keep | body 0123456789abcdef | end | clean"),
        case("a size line of exactly its bound",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1;23456789\nx\n0\n\n",
            "PUT / 1.1 a chunked keep | body x | end | clean"),
        case("trailers of exactly their bound",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\nA: 34567890123456789\n\n",
            "PUT / 1.1 a chunked keep | end | clean"),
        // Pipelines.
        case("three in a row",
            "GET /1 HTTP/1.1\nHost: a\n\nHEAD /2 HTTP/1.1\nHost: a\n\nGET /3 HTTP/1.1\nHost: a\n\n",
            "GET /1 1.1 a keep | end | HEAD /2 1.1 a keep | end | GET /3 1.1 a keep | end | clean"),
        case("a request right after a body",
            "PUT / HTTP/1.1\nHost: a\nContent-Length: 2\n\nabGET / HTTP/1.1\nHost: b\n\n",
            "PUT / 1.1 a length 2 keep | body ab | end | GET / 1.1 b keep | end | clean"),
        case("a request right after chunks",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n1\nx\n0\n\nGET / HTTP/1.1\nHost: b\n\n",
            "PUT / 1.1 a chunked keep | body x | end | GET / 1.1 b keep | end | clean"),
        // Bounds, met exactly.
        case("a target of exactly its bound", "GET /2345678901234567890123456789012 HTTP/1.1\nHost: a\n\n",
            "GET /2345678901234567890123456789012 1.1 a keep | end | clean"),
        case("as many fields as allowed", "GET / HTTP/1.1\nHost: a\nA:\nB:\nC:\n\n",
            "GET / 1.1 a keep | end | clean"),
        case("a head of exactly its bound",
            &format!("GET / HTTP/1.1\nHost: a\nA: {}\n\n", "x".repeat(128 - 32)),
            "GET / 1.1 a keep | end | clean"),
    ]
}

#[rustfmt::skip] // A case is a line or two, not five.
fn bad_requests() -> Vec<Case> {
    vec![
        // Lines and bytes.
        raw("a bare line feed after the request line", b"GET / HTTP/1.1\n", "400 BareLineFeed | close"),
        raw("a bare line feed after a field", b"GET / HTTP/1.1\r\nHost: a\n", "400 BareLineFeed | close"),
        raw("a bare line feed at the end of a head", b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            "400 BareLineFeed | close"),
        raw("a bare line feed before a request", b"\n", "400 BareLineFeed | close"),
        raw("a bare line feed in a method", b"G\n", "400 BareLineFeed | close"),
        raw("a bare line feed in a target", b"GET /\n", "400 BareLineFeed | close"),
        raw("a bare line feed in a name", b"GET / HTTP/1.1\r\nHo\n", "400 BareLineFeed | close"),
        raw("a bare carriage return after the request line", b"GET / HTTP/1.1\rH",
            "400 BareCarriageReturn | close"),
        raw("a bare carriage return in a value", b"GET / HTTP/1.1\r\nHost: a\rb",
            "400 BareCarriageReturn | close"),
        raw("a bare carriage return at the end of a head", b"GET / HTTP/1.1\r\nHost: a\r\n\rG",
            "400 BareCarriageReturn | close"),
        raw("a bare carriage return before a request", b"\rG", "400 BareCarriageReturn | close"),
        raw("two carriage returns", b"GET / HTTP/1.1\r\r", "400 BareCarriageReturn | close"),
        raw("NUL in a value", b"GET / HTTP/1.1\r\nHost: a\0", "400 ControlByte | close"),
        raw("DEL in a value", b"GET / HTTP/1.1\r\nHost: a\x7f", "400 ControlByte | close"),
        raw("vertical tab in a value", b"GET / HTTP/1.1\r\nTransfer-Encoding: \x0b",
            "400 ControlByte | close"),
        raw("NUL in a name", b"GET / HTTP/1.1\r\nHo\0", "400 ControlByte | close"),
        raw("NUL in a target", b"GET /\0", "400 ControlByte | close"),
        raw("a TLS hello", b"\x16", "400 ControlByte | close"),
        case("one empty line too many", "\n\n\r", "400 TooManyEmptyLines | close"),
        // The request line.
        case("whitespace before a request line", " ", "400 LeadingWhitespace | close"),
        case("a tab before a request line", "\t", "400 LeadingWhitespace | close"),
        raw("a method that is no token", b"G@", "400 BadRequestLine | close"),
        raw("a method beyond ASCII", b"\xc3", "400 BadRequestLine | close"),
        raw("a method and no target", b"GET\r", "400 BadRequestLine | close"),
        raw("two spaces before a target", b"GET  ", "400 BadRequestLine | close"),
        raw("a tab after a method", b"GET\t", "400 BadRequestLine | close"),
        raw("a target beyond ASCII", b"GET /\xc3", "400 BadRequestLine | close"),
        raw("a tab in a target", b"GET /\t", "400 BadRequestLine | close"),
        raw("HTTP/0.9 without a version", b"GET /\r", "400 BadRequestLine | close"),
        raw("a space in a target", b"GET /a b ", "400 BadVersion | close"),
        raw("a space after the version", b"GET / HTTP/1.1 ", "400 BadVersion | close"),
        raw("a version in small letters", b"GET / http/1.1\r", "400 BadVersion | close"),
        raw("a version of two digits", b"GET / HTTP/1.10", "400 BadVersion | close"),
        raw("a version without a minor", b"GET / HTTP/1\r", "400 BadVersion | close"),
        raw("no version after the space", b"GET / \r", "400 BadVersion | close"),
        raw("HTTP/0.9", b"GET / HTTP/0.9\r", "505 UnsupportedVersion | close"),
        raw("the preface of HTTP/2", b"PRI * HTTP/2.0\r", "505 UnsupportedVersion | close"),
        raw("HTTP/3.0", b"GET / HTTP/3.0\r", "505 UnsupportedVersion | close"),
        case("a target with a fragment", "GET /a#b HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("a target that is no path", "GET a HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("an asterisk for another method", "GET * HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("authority-form for another method", "GET a:80 HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("CONNECT to a path", "CONNECT / HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("CONNECT without a port", "CONNECT a HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("another scheme", "GET ftp://a/ HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("absolute-form without a host", "GET http:///a HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        case("absolute-form with a user", "GET http://u@a/ HTTP/1.1\nHost: a\n\n", "400 BadTarget | close"),
        // Field lines.
        raw("a folded first field", b"GET / HTTP/1.1\r\n ", "400 FoldedField | close"),
        raw("a field folded with a space", b"GET / HTTP/1.1\r\nHost: a\r\n ", "400 FoldedField | close"),
        raw("a field folded with a tab", b"GET / HTTP/1.1\r\nHost: a\r\n\t", "400 FoldedField | close"),
        raw("a space before the colon", b"GET / HTTP/1.1\r\nHost ", "400 SpaceBeforeColon | close"),
        raw("a tab before the colon", b"GET / HTTP/1.1\r\nContent-Length\t", "400 SpaceBeforeColon | close"),
        raw("a field without a name", b"GET / HTTP/1.1\r\n:", "400 BadFieldName | close"),
        raw("a field without a colon", b"GET / HTTP/1.1\r\nHost\r", "400 BadFieldName | close"),
        raw("a name that is no token", b"GET / HTTP/1.1\r\nHo(", "400 BadFieldName | close"),
        raw("a name beyond ASCII", b"GET / HTTP/1.1\r\nH\xc3", "400 BadFieldName | close"),
        // Host.
        case("no Host", "GET / HTTP/1.1\n\n", "400 HostMissing | close"),
        case("no Host in absolute-form", "GET http://a/ HTTP/1.1\n\n", "400 HostMissing | close"),
        case("no Host in a later minor version", "GET / HTTP/1.2\n\n", "400 HostMissing | close"),
        case("two Hosts", "GET / HTTP/1.1\nHost: a\nhost: b\n\n", "400 HostRepeated | close"),
        case("two equal Hosts", "GET / HTTP/1.1\nHost: a\nHost: a\n\n", "400 HostRepeated | close"),
        case("two Hosts in HTTP/1.0", "GET / HTTP/1.0\nHost: a\nHost: a\n\n", "400 HostRepeated | close"),
        case("an empty Host", "GET / HTTP/1.1\nHost:\n\n", "400 HostInvalid | close"),
        case("a Host with a path", "GET / HTTP/1.1\nHost: a/b\n\n", "400 HostInvalid | close"),
        case("a Host with a user", "GET / HTTP/1.1\nHost: u@a\n\n", "400 HostInvalid | close"),
        case("a Host with a space", "GET / HTTP/1.1\nHost: a b\n\n", "400 HostInvalid | close"),
        case("a list of Hosts", "GET / HTTP/1.1\nHost: a,b\n\n", "400 HostInvalid | close"),
        case("a port that does not fit", "GET / HTTP/1.1\nHost: a:65536\n\n", "400 HostInvalid | close"),
        raw("a Host beyond ASCII", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", "400 HostInvalid | close"),
        case("a bad Host in absolute-form", "GET http://a/ HTTP/1.1\nHost: b/c\n\n",
            "400 HostInvalid | close"),
        // Smuggling.
        case("a length and a coding",
            "PUT / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
            "400 LengthWithTransferCoding | close"),
        case("a coding and a length",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 1\n\n",
            "400 LengthWithTransferCoding | close"),
        case("a length and an unknown coding",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: x\nContent-Length: 1\n\n",
            "400 LengthWithTransferCoding | close"),
        case("a length and an empty coding",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding:\nContent-Length: 1\n\n",
            "400 LengthWithTransferCoding | close"),
        case("a length and a coding in HTTP/1.0",
            "PUT / HTTP/1.0\nTransfer-Encoding: chunked\nContent-Length: 1\n\n",
            "400 LengthWithTransferCoding | close"),
        case("two lengths", "PUT / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 2\n\n",
            "400 LengthRepeated | close"),
        case("two equal lengths", "PUT / HTTP/1.1\nHost: a\nContent-Length: 1\ncontent-length: 1\n\n",
            "400 LengthRepeated | close"),
        case("a list of lengths", "PUT / HTTP/1.1\nHost: a\nContent-Length: 1, 1\n\n",
            "400 LengthInvalid | close"),
        case("a length with a plus", "PUT / HTTP/1.1\nHost: a\nContent-Length: +1\n\n",
            "400 LengthInvalid | close"),
        case("a length with a minus", "PUT / HTTP/1.1\nHost: a\nContent-Length: -1\n\n",
            "400 LengthInvalid | close"),
        case("a length with a space inside", "PUT / HTTP/1.1\nHost: a\nContent-Length: 1 1\n\n",
            "400 LengthInvalid | close"),
        case("a length in hexadecimal", "PUT / HTTP/1.1\nHost: a\nContent-Length: 0x1\n\n",
            "400 LengthInvalid | close"),
        case("an empty length", "PUT / HTTP/1.1\nHost: a\nContent-Length:\n\n", "400 LengthInvalid | close"),
        case("a length that does not fit",
            "PUT / HTTP/1.1\nHost: a\nContent-Length: 18446744073709551616\n\n",
            "400 LengthInvalid | close"),
        case("an empty coding", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding:\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked twice", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, chunked\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked in two fields",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked not last", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, gzip\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked with a parameter", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked;a=b\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked in quotes", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: \"chunked\"\n\n",
            "400 TransferCodingInvalid | close"),
        case("chunked and a comma", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked,\n\n",
            "400 TransferCodingInvalid | close"),
        case("an unknown coding", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip\n\n",
            "501 TransferCodingUnknown | close"),
        case("an unknown coding before chunked",
            "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n",
            "501 TransferCodingUnknown | close"),
        case("almost chunked", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n",
            "501 TransferCodingUnknown | close"),
        case("identity", "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: identity\n\n",
            "501 TransferCodingUnknown | close"),
        case("a coding in HTTP/1.0", "PUT / HTTP/1.0\nTransfer-Encoding: chunked\n\n",
            "400 TransferCodingInHttp10 | close"),
        case("an unknown expectation", "PUT / HTTP/1.1\nHost: a\nExpect: 200-ok\n\n",
            "417 ExpectationUnknown | close"),
        // Bounds, one over.
        case("a target one over its bound", &format!("GET /{}", "x".repeat(32)), "414 TargetTooLong | close"),
        case("one field too many", "GET / HTTP/1.1\nHost: a\nA:\nB:\nC:\nD", "431 TooManyFields | close"),
        case("a head that is not whole at its bound",
            &format!("GET / HTTP/1.1\nHost: a\nA: {}\n\r", "x".repeat(128 - 31)),
            "431 HeadTooLong | close"),
        case("a name without end", &format!("GET / HTTP/1.1\n{}", "x".repeat(128 - 16)),
            "431 HeadTooLong | close"),
        case("a method without end", &"x".repeat(128), "431 HeadTooLong | close"),
    ]
}

/// Bad bodies; the head before them is in every trace.
fn bad_chunks() -> Vec<Case> {
    let bad = |name, body: &str, error: &str| {
        let head = "PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n".replace('\n', "\r\n");
        let mut lines: Vec<_> = vec!["PUT / 1.1 a chunked keep".to_string()];
        if body.contains('x') {
            lines.push("body x".to_string());
        }
        lines.extend([error.to_string(), "close".to_string()]);
        Case { name, bytes: format!("{head}{body}").into_bytes(), trace: lines }
    };
    vec![
        bad("a size that is none", "g", "400 ChunkSizeInvalid"),
        bad("no size", "\r", "400 ChunkSizeInvalid"),
        bad("a size with a minus", "-", "400 ChunkSizeInvalid"),
        bad("a size with a plus", "+", "400 ChunkSizeInvalid"),
        bad("a space before a size", " ", "400 ChunkSizeInvalid"),
        bad("a space after a size", "1 \r", "400 ChunkSizeInvalid"),
        bad("a size with a space inside", "1 1", "400 ChunkSizeInvalid"),
        bad("a size in C's notation", "0X", "400 ChunkSizeInvalid"),
        bad("a bare line feed after a size", "1\n", "400 BareLineFeed"),
        bad("a bare line feed in an extension", "1;a\n", "400 BareLineFeed"),
        bad("a bare carriage return after a size", "1\r1", "400 BareCarriageReturn"),
        bad("a bare carriage return in an extension", "1;\ra", "400 BareCarriageReturn"),
        bad("a control byte in an extension", "1;\0", "400 ControlByte"),
        bad("a bare line feed after data", "1\r\nx\n", "400 BareLineFeed"),
        bad("a bare carriage return after data", "1\r\nx\r0", "400 BareCarriageReturn"),
        bad("more data than the size", "1\r\nxy", "400 ChunkEndMissing"),
        bad("one chunk too large", "11\r\n", "413 BodyTooLarge"),
        bad("the largest size", "ffffffff\r\n", "413 BodyTooLarge"),
        bad("chunks too large together", "1\r\nx\r\n10\r\n", "413 BodyTooLarge"),
        bad("a size line one over its bound", "1;2345678901\r", "400 ChunkLineTooLong"),
        bad("a size of zeros without end", "0000000000000", "400 ChunkLineTooLong"),
        bad("trailers one over their bound", "0\r\nA: 345678901234567890\r\n\r\n", "431 TrailersTooLong"),
        bad("a folded trailer", "0\r\nA: b\r\n ", "400 FoldedField"),
        bad("a space before a trailer's colon", "0\r\nA ", "400 SpaceBeforeColon"),
        bad("a bare line feed in trailers", "0\r\nA: b\n", "400 BareLineFeed"),
        bad("a bare line feed at the end", "0\r\n\n", "400 BareLineFeed"),
    ]
}

fn all_cases() -> Vec<Case> {
    let mut cases = good_requests();
    cases.extend(bad_requests());
    cases.extend(bad_chunks());
    cases
}

// --- Claims about every case --------------------------------------------------------------------------------------

fn assert_trace(case: &Case, limits: &Limits) {
    let (trace, _) = fed_whole(&case.bytes, limits);
    assert_eq!(trace.lines, case.trace, "{}", case.name);
}

/// Whole, byte by byte, split at each of `cuts`, and cut short there: all agree, or ask for more.
fn assert_cuts_change_nothing(name: &str, bytes: &[u8], limits: &Limits, cuts: impl Fn(usize) -> bool) {
    let whole = fed_whole(bytes, limits);
    let mut dripped = Driver::new(limits);
    for cut in 0..=bytes.len() {
        if cuts(cut) {
            assert_eq!(fed_whole(&bytes[..cut], limits), dripped.outcome(), "{name}: cut short at {cut}");
            let mut split = Driver::new(limits);
            split.feed(&bytes[..cut]);
            split.feed(&bytes[cut..]);
            assert_eq!(split.outcome(), whole, "{name}: split at {cut}");
        }
        dripped.feed(bytes.get(cut..cut + 1).unwrap_or_default());
    }
    assert_eq!(dripped.outcome(), whole, "{name}: byte by byte");
}

#[test]
fn the_table_is_as_large_as_it_claims() {
    let cases = all_cases();
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "no name twice");
    assert!(good_requests().len() >= 50 && bad_requests().len() + bad_chunks().len() >= 100);
}

#[test]
fn every_good_request_is_read_as_it_was_meant() {
    for case in good_requests() {
        assert_trace(&case, &small_limits());
    }
}

#[test]
fn every_bad_request_is_refused_by_its_cause() {
    for case in bad_requests().iter().chain(&bad_chunks()) {
        assert_trace(case, &small_limits());
    }
}

#[test]
fn no_cut_changes_what_is_told_or_answered() {
    for case in all_cases() {
        assert_cuts_change_nothing(case.name, &case.bytes, &small_limits(), |_| true);
    }
}

#[test]
fn a_good_request_cut_short_asks_for_more() {
    let limits = small_limits();
    for case in good_requests() {
        for cut in 0..case.bytes.len() {
            let mut driver = Driver::new(&limits);
            driver.feed(&case.bytes[..cut]);
            assert_eq!(driver.error, None, "{}: cut at {cut}", case.name);
            let told = &driver.trace.lines;
            assert_eq!(told[..], case.trace[..told.len()], "{}: cut at {cut}", case.name);
        }
    }
}

#[test]
fn a_bad_request_is_refused_at_the_byte_that_makes_it_bad() {
    let limits = small_limits();
    for case in bad_requests().iter().chain(&bad_chunks()) {
        let mut driver = Driver::new(&limits);
        let (last, before) = case.bytes.split_last().unwrap();
        driver.feed(before);
        assert_eq!(driver.error, None, "{}: one byte before", case.name);
        driver.feed(&[*last]);
        assert!(driver.error.is_some(), "{}: at the byte", case.name);
    }
}

#[test]
fn nothing_behind_a_bad_request_is_read() {
    let limits = small_limits();
    for case in bad_requests().iter().chain(&bad_chunks()) {
        let mut bytes = case.bytes.clone();
        bytes.extend_from_slice(b"\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(fed_whole(&bytes, &limits), fed_whole(&case.bytes, &limits), "{}", case.name);
    }
}

#[test]
fn valid_requests_before_a_bad_one_are_answered_first() {
    let limits = small_limits();
    let good = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\nPUT /second HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
    for case in bad_requests() {
        let bytes = [good, &case.bytes[..]].concat();
        let mut driver = Driver::new(&limits);
        driver.feed(&bytes);
        let mut expected: Vec<_> =
            ["GET /first 1.1 a keep", "end", "PUT /second 1.1 a length 1 keep", "body x", "end"]
                .map(String::from)
                .into();
        expected.extend(case.trace.iter().cloned());
        assert_eq!(driver.trace.lines, expected, "{}", case.name);

        let answers = String::from_utf8(driver.out.unsent().to_vec()).unwrap();
        let statuses: Vec<_> =
            answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
        assert_eq!(statuses, ["200", "200", &case.trace[0][..3]], "{}", case.name);
    }
}

#[test]
fn every_refusal_says_what_is_wrong_in_plain_words() {
    let limits = small_limits();
    let mut texts: Vec<(RequestError, String)> = Vec::new();
    for case in bad_requests().iter().chain(&bad_chunks()) {
        let mut driver = Driver::new(&limits);
        driver.feed(&case.bytes);
        let error = driver.error.unwrap();
        let text = error.to_string();
        assert!(text.len() >= 20 && text.is_ascii() && !text.contains('"'), "{error:?}: {text}");
        if !texts.iter().any(|(known, _)| *known == error) {
            assert!(!texts.iter().any(|(_, known)| *known == text), "{text:?} names two causes");
            texts.push((error, text));
        }
    }
    assert_eq!(texts.len(), 30, "the table meets every cause");
}

// --- The bounds that are in force by default ----------------------------------------------------------------------

/// Every cut near either end, and some between: these heads are thousands of bytes long.
fn edges_and_some_between(len: usize) -> impl Fn(usize) -> bool {
    move |cut| cut < 64 || cut + 64 > len || cut % 211 == 0
}

fn told_by_default(bytes: &[u8]) -> Vec<String> {
    let limits = Limits::default();
    assert_cuts_change_nothing("default limits", bytes, &limits, edges_and_some_between(bytes.len()));
    fed_whole(bytes, &limits).0.lines
}

#[test]
fn ninety_nine_fields_and_a_long_target_are_accepted() {
    let target = format!("/{}", "x".repeat(7_899));
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(98));
    assert_eq!(
        told_by_default(head.as_bytes()),
        [format!("GET {target} 1.1 a keep"), "end".into(), "clean".into()]
    );
}

#[test]
fn a_hundred_fields_are_accepted_and_one_more_is_not() {
    let head = |fields| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(fields));
    assert_eq!(told_by_default(head(99).as_bytes()), ["GET / 1.1 a keep", "end", "clean"]);
    assert_eq!(told_by_default(head(100).as_bytes()), ["431 TooManyFields", "close"]);
}

#[test]
fn a_target_at_its_bound_is_accepted_and_a_longer_one_is_not() {
    let head = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(told_by_default(head(TARGET_BYTES_MAX).as_bytes())[1..], ["end", "clean"]);
    assert_eq!(told_by_default(head(TARGET_BYTES_MAX + 1).as_bytes()), ["414 TargetTooLong", "close"]);
}

#[test]
fn a_head_at_its_bound_is_accepted_and_a_longer_one_is_not() {
    let head = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nA: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(length - rest))
    };
    let bound = Limits::default().head_bytes_max;
    assert_eq!(told_by_default(head(bound).as_bytes()), ["GET / 1.1 a keep", "end", "clean"]);
    assert_eq!(told_by_default(head(bound + 1).as_bytes()), ["431 HeadTooLong", "close"]);
}

// --- Memory -------------------------------------------------------------------------------------------------------

/// The system's allocator, counting what each thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "an allocator can't be counted from safe code")]
// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain thread-local number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn requests_and_their_answers_allocate_nothing_once_the_outbox_is_warm() {
    let limits = Limits::default();
    let bytes = b"PUT /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
                  3\r\nabc\r\n0\r\n\r\n";
    let (mut server, mut out) = (Server::new(), Outbox::new(KIB, KIB));
    let mut told = Trace::default();
    let mut allocated = [0; 8];
    for count in &mut allocated {
        let before = ALLOCATIONS.get();
        let (mut rest, mut ended) = (&bytes[..], false);
        while !ended {
            let step = server.receive(rest, &limits).unwrap();
            rest = &rest[step.consumed..];
            match step.event {
                Some(RequestEvent::Head(head)) => {
                    assert_eq!(head.field("Host"), Some(&b"a"[..]));
                    server.admit(3, &mut out).unwrap();
                }
                Some(RequestEvent::Body(piece)) => assert_eq!(piece, b"abc"),
                Some(RequestEvent::End) => ended = true,
                None => assert_ne!(step.consumed, 0, "the request is whole"),
            }
        }
        answer(&mut server, 200, &mut told, &mut out);
        out.sent(out.len());
        *count = ALLOCATIONS.get() - before;
    }
    assert_ne!(allocated[0], 0, "the counter counts: a cold outbox grows");
    assert_eq!(allocated[1..], [0; 7]);
}
