//! HTTP/1.1 responses, good and bad, each cut in every way: what is told must not depend on where the cuts are.
//!
//! Every case is fed whole, byte by byte, in two pieces split at every point, and cut short at every point. A bad
//! response is written up to the byte that makes it bad, and must be refused at that byte: not before, and not later.

use oneloop::limits::Limits;
use oneloop::wire::http1::{Client, Request, ResponseError, ResponseEvent, Sent, write_request};

#[allow(dead_code, reason = "tests/wire_http1.rs uses more of it")]
#[path = "properties/connection.rs"]
mod connection;
#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/random.rs"]
mod random;
#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/responses.rs"]
mod responses;

use connection::{fed_whole, small_limits};
use responses::{ALL_SENT, Exchange, outcome};

// --- The table ----------------------------------------------------------------------------------------------------

/// What was sent, what comes back, and the exact trace it must leave.
struct Case {
    sent: Sent,
    bytes: Vec<u8>,
    trace: Vec<String>,
}

impl Case {
    fn name(&self) -> String {
        format!("{:?}: {}", self.sent, self.bytes.escape_ascii())
    }
}

/// The answer to a POST. Lines of `bytes` end in CRLF where the text has a newline; everything else stands as it is.
fn case(bytes: &str, trace: &str) -> Case {
    to(Sent::Post, bytes, trace)
}

fn to(sent: Sent, bytes: &str, trace: &str) -> Case {
    Case { sent, ..raw(bytes.replace('\n', "\r\n").as_bytes(), trace) }
}

/// The bytes exactly as they stand.
fn raw(bytes: &[u8], trace: &str) -> Case {
    Case { sent: Sent::Post, bytes: bytes.to_vec(), trace: trace.split(" | ").map(String::from).collect() }
}

#[rustfmt::skip] // A case is a line or two, not five.
fn good_responses() -> Vec<Case> {
    vec![
        // Status lines.
        case("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "200 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.1 200 \nContent-Length: 0\n\n", "200 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.1 200\nContent-Length: 0\n\n", "200 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.1 404 Not  Found \t!\nContent-Length: 0\n\n", "404 1.1 length 0 keep | end | goes on"),
        raw(b"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n", "200 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.9 200 OK\nContent-Length: 0\n\n", "200 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.1 599 x\nContent-Length: 0\n\n", "599 1.1 length 0 keep | end | goes on"),
        case("HTTP/1.1 999 x\nContent-Length: 0\n\n", "999 1.1 length 0 keep | end | goes on"),
        // Bodies.
        case("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "200 1.1 length 5 keep | body hello | end | goes on"),
        case("HTTP/1.1 500 x\ncontent-length:\t2 \n\n{}", "500 1.1 length 2 keep | body {} | end | goes on"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n1;x=y\nd\n0\nA: b\n\n",
            "200 1.1 chunked keep | body abcd | end | goes on"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n0\n\n", "200 1.1 chunked keep | end | goes on"),
        case("HTTP/1.1 200 OK\n\nhello", "200 1.1 until close close | body hello | ended by the end"),
        case("HTTP/1.1 200 OK\n\n", "200 1.1 until close close | ended by the end"),
        case("HTTP/1.1 200 OK\nConnection: keep-alive\n\nab",
            "200 1.1 until close close | body ab | ended by the end"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\0\n\r\xff",
            "200 1.1 length 4 keep | body \\x00\\n\\r\\xff | end | goes on"),
        // One length, told more than once (RFC 9110 §8.6).
        case("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 01\n\na",
            "200 1.1 length 1 keep | body a | end | goes on"),
        case("HTTP/1.1 200 OK\nContent-Length: 1 , 1\n\na", "200 1.1 length 1 keep | body a | end | goes on"),
        // No bound on a body here: whoever keeps it has one.
        case("HTTP/1.1 200 OK\nContent-Length: 20\n\n01234567890123456789",
            "200 1.1 length 20 keep | body 01234567890123456789 | end | goes on"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n14\n01234567890123456789\n0\n\n",
            "200 1.1 chunked keep | body 01234567890123456789 | end | goes on"),
        // Versions and keep-alive.
        case("HTTP/1.0 200 OK\nContent-Length: 1\n\na", "200 1.0 length 1 close | body a | end | is spent"),
        case("HTTP/1.0 200 OK\nContent-Length: 1\nConnection: Keep-Alive\n\na",
            "200 1.0 length 1 keep | body a | end | goes on"),
        case("HTTP/1.0 200 OK\n\na", "200 1.0 until close close | body a | ended by the end"),
        case("HTTP/1.1 200 OK\nContent-Length: 1\nConnection: x, CLOSE\n\na",
            "200 1.1 length 1 close | body a | end | is spent"),
        // No body, whatever the fields say.
        to(Sent::Head, "HTTP/1.1 200 OK\nContent-Length: 5\n\n", "200 1.1 keep | end | goes on"),
        to(Sent::Head, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n", "200 1.1 keep | end | goes on"),
        to(Sent::Head, "HTTP/1.1 200 OK\n\n", "200 1.1 keep | end | goes on"),
        to(Sent::Head, "HTTP/1.1 404 x\nContent-Length: 1, 2\n\n", "404 1.1 keep | end | goes on"),
        to(Sent::Get, "HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", "304 1.1 keep | end | goes on"),
        case("HTTP/1.1 204 No Content\n\n", "204 1.1 keep | end | goes on"),
        case("HTTP/1.1 204 x\nContent-Length: 0\n\n", "204 1.1 keep | end | goes on"),
        case("HTTP/1.1 204 x\nContent-Length: 5\n\n", "204 1.1 close | end | is spent"),
        case("HTTP/1.1 204 x\nTransfer-Encoding: chunked\n\n0\n\n", "204 1.1 close | end | is spent"),
        // What comes unasked is not read.
        case("HTTP/1.1 200 OK\nContent-Length: 1\n\nab", "200 1.1 length 1 keep | body a | end | is spent"),
        case("HTTP/1.1 200 OK\nContent-Length: 0\n\nHTTP/1.1 200 OK\n\n",
            "200 1.1 length 0 keep | end | is spent"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n0\n\n\n", "200 1.1 chunked keep | end | is spent"),
        to(Sent::Head, "HTTP/1.1 200 OK\nContent-Length: 1\n\na", "200 1.1 keep | end | is spent"),
        // Tunnels.
        to(Sent::Connect, "HTTP/1.1 200 Connection established\n\n", "200 1.1 tunnel close | end | is spent"),
        to(Sent::Connect, "HTTP/1.0 200 OK\n\n\x16\x03", "200 1.0 tunnel close | end | is spent"),
        to(Sent::Connect, "HTTP/1.1 299 x\nContent-Length: 5\nTransfer-Encoding: x\n\n",
            "299 1.1 tunnel close | end | is spent"),
        to(Sent::Connect, "HTTP/1.1 407 x\nContent-Length: 2\n\nno",
            "407 1.1 length 2 keep | body no | end | goes on"),
        to(Sent::Connect, "HTTP/1.1 502 x\n\nno", "502 1.1 until close close | body no | ended by the end"),
        // Interim responses.
        case("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 1\n\na",
            "200 1.1 length 1 keep | body a | end | goes on"),
        case("HTTP/1.1 102\n\nHTTP/1.1 103 Hints\nLink: x\nContent-Length: 9\n\nHTTP/1.1 204 x\n\n",
            "204 1.1 keep | end | goes on"),
        to(Sent::Head, "HTTP/1.1 100 x\nConnection: close\n\nHTTP/1.1 200 x\n\n", "200 1.1 keep | end | goes on"),
        to(Sent::Connect, "HTTP/1.1 199 x\n\nHTTP/1.1 200 x\n\n", "200 1.1 tunnel close | end | is spent"),
        // Bounds, met exactly.
        case("HTTP/1.1 204 x\nA:\nB:\nC:\nD:\n\n", "204 1.1 keep | end | goes on"),
        case(&format!("HTTP/1.1 204 x\nA: {}\n\n", "x".repeat(128 - 23)), "204 1.1 keep | end | goes on"),
    ]
}

#[rustfmt::skip] // A case is a line or two, not five.
fn bad_responses() -> Vec<Case> {
    vec![
        // Not HTTP at all, told at the first byte that says so.
        raw(b"\x15", "error NotHttp"),
        raw(b"S", "error NotHttp"),
        raw(b"\r", "error NotHttp"),
        raw(b"\n", "error NotHttp"),
        raw(b" ", "error NotHttp"),
        raw(b"h", "error NotHttp"),
        raw(b"HTTP/x", "error NotHttp"),
        raw(b"HTTP/1.12", "error NotHttp"),
        raw(b"HTTP/1.1\r", "error NotHttp"),
        raw(b"HTTP/1.1\t", "error NotHttp"),
        raw(b"HTTP/2 ", "error NotHttp"),
        raw(b"HTTP/1. ", "error NotHttp"),
        raw(b"HTTP/111 ", "error NotHttp"),
        raw(b"HTTP/2.0 ", "error UnsupportedVersion"),
        raw(b"HTTP/0.9 ", "error UnsupportedVersion"),
        // The status.
        raw(b"HTTP/1.1 \r", "error BadStatusLine"),
        raw(b"HTTP/1.1  ", "error BadStatusLine"),
        raw(b"HTTP/1.1 0", "error BadStatusLine"),
        raw(b"HTTP/1.1 x", "error BadStatusLine"),
        raw(b"HTTP/1.1 -", "error BadStatusLine"),
        raw(b"HTTP/1.1 2\r", "error BadStatusLine"),
        raw(b"HTTP/1.1 20 ", "error BadStatusLine"),
        raw(b"HTTP/1.1 2000", "error BadStatusLine"),
        raw(b"HTTP/1.1 200\t", "error BadStatusLine"),
        raw(b"HTTP/1.1 200O", "error BadStatusLine"),
        raw(b"HTTP/1.1 200\n", "error BadStatusLine"),
        // Lines and bytes.
        raw(b"HTTP/1.1 200 OK\n", "error Shared(BareLineFeed)"),
        raw(b"HTTP/1.1 200 O\0", "error Shared(ControlByte)"),
        raw(b"HTTP/1.1 200 OK\rA", "error Shared(BareCarriageReturn)"),
        raw(b"HTTP/1.1 200\r\r", "error Shared(BareCarriageReturn)"),
        raw(b"HTTP/1.1 200 OK\r\nA: b\n", "error Shared(BareLineFeed)"),
        raw(b"HTTP/1.1 200 OK\r\n\n", "error Shared(BareLineFeed)"),
        raw(b"HTTP/1.1 200 OK\r\nA: b\rc", "error Shared(BareCarriageReturn)"),
        raw(b"HTTP/1.1 200 OK\r\nA: \x0b", "error Shared(ControlByte)"),
        raw(b"HTTP/1.1 200 OK\r\n ", "error Shared(FoldedField)"),
        raw(b"HTTP/1.1 200 OK\r\nA: b\r\n\t", "error Shared(FoldedField)"),
        raw(b"HTTP/1.1 200 OK\r\nA ", "error Shared(SpaceBeforeColon)"),
        raw(b"HTTP/1.1 200 OK\r\nA\r", "error Shared(BadFieldName)"),
        raw(b"HTTP/1.1 200 OK\r\n:", "error Shared(BadFieldName)"),
        // Where the body ends.
        case("HTTP/1.1 200 OK\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", "error LengthWithTransferCoding"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: x\nContent-Length: 1\n\n", "error LengthWithTransferCoding"),
        case("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\n", "error LengthsDiffer"),
        case("HTTP/1.1 200 OK\nContent-Length: 1, 2\n\n", "error LengthsDiffer"),
        case("HTTP/1.1 200 OK\nContent-Length: 1,\n\n", "error Shared(LengthInvalid)"),
        case("HTTP/1.1 200 OK\nContent-Length:\n\n", "error Shared(LengthInvalid)"),
        case("HTTP/1.1 200 OK\nContent-Length: +1\n\n", "error Shared(LengthInvalid)"),
        case("HTTP/1.1 200 OK\nContent-Length: 18446744073709551616\n\n", "error Shared(LengthInvalid)"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: gzip\n\n", "error Shared(TransferCodingUnknown)"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n", "error Shared(TransferCodingUnknown)"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: identity\n\n", "error Shared(TransferCodingUnknown)"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked\n\n", "error Shared(TransferCodingInvalid)"),
        case("HTTP/1.1 200 OK\nTransfer-Encoding:\n\n", "error Shared(TransferCodingInvalid)"),
        case("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n", "error Shared(TransferCodingInHttp10)"),
        to(Sent::Connect, "HTTP/1.1 403 x\nContent-Length: 1, 2\n\n", "error LengthsDiffer"),
        // Chunks.
        case("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nx",
            "200 1.1 chunked keep | error Shared(ChunkSizeInvalid)"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\n",
            "200 1.1 chunked keep | error Shared(BareLineFeed)"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
            "200 1.1 chunked keep | body x | error Shared(ChunkEndMissing)"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000",
            "200 1.1 chunked keep | error Shared(ChunkLineTooLong)"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: 345678901234567890\r\n\r\n",
            "200 1.1 chunked keep | error Shared(TrailersTooLong)"),
        // Interim responses.
        case("HTTP/1.1 101 Switching Protocols\n\n", "error UpgradeUnasked"),
        case("HTTP/1.1 100 x\n\nHTTP/1.1 101 x\n\n", "error UpgradeUnasked"),
        case("HTTP/1.1 100 x\n\nHTTP/1.1 103 x\n\nHTTP/1.1 100 x\n\n", "error TooManyInterim"),
        raw(b"HTTP/1.1 100 x\r\n\r\n\r", "error NotHttp"),
        // Bounds.
        raw(b"HTTP/1.1 200 x\r\nA:\r\nB:\r\nC:\r\nD:\r\nE", "error TooManyFields"),
        raw(format!("HTTP/1.1 200 x\r\nA: {}", "x".repeat(128 - 19)).as_bytes(), "error HeadTooLong"),
        raw(format!("HTTP/1.1 200 {}", "x".repeat(128 - 13)).as_bytes(), "error HeadTooLong"),
    ]
}

fn all_cases() -> Vec<Case> {
    let mut cases = good_responses();
    cases.extend(bad_responses());
    cases
}

// --- Claims about every case --------------------------------------------------------------------------------------

#[test]
fn every_response_is_read_as_it_was_meant_or_refused_by_its_cause() {
    for case in all_cases() {
        assert_eq!(outcome(case.sent, &[&case.bytes], &small_limits()), case.trace, "{}", case.name());
    }
}

#[test]
fn no_cut_changes_what_is_told() {
    let limits = small_limits();
    for case in all_cases() {
        let dripped: Vec<&[u8]> = case.bytes.chunks(1).collect();
        assert_eq!(outcome(case.sent, &dripped, &limits), case.trace, "{}: byte by byte", case.name());
        for cut in 0..=case.bytes.len() {
            let (before, after) = case.bytes.split_at(cut);
            let told = outcome(case.sent, &[before, after], &limits);
            assert_eq!(told, case.trace, "{}: split at {cut}", case.name());
        }
    }
}

#[test]
fn a_good_response_cut_short_asks_for_more() {
    let limits = small_limits();
    for case in good_responses() {
        for cut in 0..case.bytes.len() {
            let mut exchange = Exchange::new(case.sent, &limits);
            exchange.feed(&case.bytes[..cut]);
            assert_eq!(exchange.error, None, "{}: cut at {cut}", case.name());
            let told = &exchange.trace.lines;
            assert_eq!(told[..], case.trace[..told.len()], "{}: cut at {cut}", case.name());
        }
    }
}

#[test]
fn a_response_cut_short_is_told_from_a_whole_one_unless_the_connection_delimits_it() {
    let limits = small_limits();
    for case in good_responses() {
        for cut in 0..case.bytes.len() {
            let told = outcome(case.sent, &[&case.bytes[..cut]], &limits);
            let is_whole = told.iter().any(|line| line == "end");
            let is_delimited = !told.iter().any(|line| line.contains("until close"));
            let is_cut_short = told.last().is_some_and(|line| line == "cut short");
            assert_eq!(is_cut_short, is_delimited && !is_whole, "{}: cut at {cut}: {told:?}", case.name());
        }
    }
}

#[test]
fn a_bad_response_is_refused_at_the_byte_that_makes_it_bad() {
    let limits = small_limits();
    for case in bad_responses() {
        let mut exchange = Exchange::new(case.sent, &limits);
        let (last, before) = case.bytes.split_last().unwrap();
        exchange.feed(before);
        assert_eq!(exchange.error, None, "{}: one byte before", case.name());
        exchange.feed(&[*last]);
        assert!(exchange.error.is_some(), "{}: at the byte", case.name());
    }
}

#[test]
fn nothing_behind_a_bad_response_is_read() {
    for case in bad_responses() {
        let mut bytes = case.bytes.clone();
        bytes.extend_from_slice(b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(outcome(case.sent, &[&bytes], &small_limits()), case.trace, "{}", case.name());
    }
}

#[test]
fn every_refusal_says_what_is_wrong_in_plain_words() {
    let limits = small_limits();
    let mut texts: Vec<(ResponseError, String)> =
        vec![(ResponseError::CutShort, ResponseError::CutShort.to_string())];
    for case in bad_responses() {
        let mut exchange = Exchange::new(case.sent, &limits);
        exchange.feed(&case.bytes);
        let error = exchange.error.unwrap();
        let text = error.to_string();
        assert!(text.len() >= 20 && text.is_ascii() && !text.contains("request"), "{error:?}: {text}");
        if !texts.iter().any(|(known, _)| *known == error) {
            assert!(!texts.iter().any(|(_, known)| *known == text), "{text:?} names two causes");
            texts.push((error, text));
        }
    }
    assert_eq!(texts.len(), 24, "the table meets every cause: {texts:?}");
}

// --- One connection after the other -------------------------------------------------------------------------------

/// A client that has read this response to its end.
fn after(sent: Sent, response: &str) -> Client {
    let mut client = Client::new();
    client.expect(sent);
    read_on(&mut client, response);
    client
}

/// Feeds what was sent, and says how many responses it told.
fn read_on(client: &mut Client, response: &str) -> usize {
    let (limits, mut rest, mut ends) = (Limits::default(), response.as_bytes(), 0);
    loop {
        let step = client.receive(rest, &limits).unwrap();
        rest = &rest[step.consumed..];
        match step.event {
            Some(ResponseEvent::End) => ends += 1,
            Some(ResponseEvent::Head(_) | ResponseEvent::Body(_)) => {}
            None if step.consumed == 0 => return ends,
            None => {}
        }
    }
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let mut client = Client::new();
    for sent in [Sent::Get, Sent::Head, Sent::Post, Sent::Get] {
        assert!(client.is_over() && client.may_be_reused());
        client.expect(sent);
        assert!(!client.is_over() && !client.may_be_reused());
        let body = if sent == Sent::Head { "" } else { "ab" };
        assert_eq!(read_on(&mut client, &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}")), 1);
    }
}

#[test]
fn interim_responses_are_counted_for_each_response_anew() {
    let mut client = Client::new();
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(Limits::default().interim_responses_max);
    for _ in 0..2 {
        client.expect(Sent::Post);
        assert_eq!(read_on(&mut client, &format!("{interim}{EMPTY}")), 1);
    }
}

#[test]
fn what_comes_unasked_spends_the_connection_before_between_and_after() {
    let mut fresh = Client::new();
    read_on(&mut fresh, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    assert!(fresh.is_over() && !fresh.may_be_reused(), "before the first request");
    assert!(!after(Sent::Get, &format!("{EMPTY}H")).may_be_reused(), "behind a response");
    let mut idle = after(Sent::Get, EMPTY);
    read_on(&mut idle, "\r\n");
    assert!(idle.is_over() && !idle.may_be_reused(), "between requests");
}

#[test]
fn an_end_between_responses_is_no_error_and_spends_the_connection() {
    for mut client in [Client::new(), after(Sent::Get, EMPTY)] {
        assert_eq!(client.end_of_input(), Ok(()));
        assert!(client.is_over() && !client.may_be_reused());
    }
}

#[test]
fn an_end_before_the_first_byte_of_a_response_cuts_it_short() {
    let mut client = Client::new();
    client.expect(Sent::Post);
    assert_eq!(client.end_of_input(), Err(ResponseError::CutShort));
    assert_eq!(client.receive(EMPTY.as_bytes(), &Limits::default()).err(), Some(ResponseError::CutShort));
    assert!(!client.is_over());
}

#[test]
fn an_end_that_overtakes_the_end_of_a_whole_body_is_one() {
    let mut client = Client::new();
    client.expect(Sent::Post);
    let head = client.receive(EMPTY.as_bytes(), &Limits::default()).unwrap();
    assert!(matches!(head.event, Some(ResponseEvent::Head(_))) && !client.is_over());
    assert_eq!(client.end_of_input(), Ok(()));
    assert!(client.is_over() && !client.may_be_reused());
}

#[test]
#[should_panic(expected = "a request follows a whole response")]
fn a_request_on_a_connection_that_is_spent_is_a_mistake_of_ours() {
    after(Sent::Get, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").expect(Sent::Get);
}

#[test]
fn a_hundred_fields_are_read_and_one_more_is_not() {
    let head = |fields| format!("HTTP/1.1 204 x\r\n{}\r\n", "A: b\r\n".repeat(fields));
    for sent in ALL_SENT {
        assert_eq!(outcome(sent, &[head(100).as_bytes()], &Limits::default()).len(), 3);
        assert_eq!(outcome(sent, &[head(101).as_bytes()], &Limits::default()), ["error TooManyFields"]);
    }
}

#[test]
fn a_client_costs_little() {
    assert!(size_of::<Client>() <= 64, "{}", size_of::<Client>());
}

// --- Requests -----------------------------------------------------------------------------------------------------

#[test]
fn what_we_write_our_server_reads() {
    let limits = Limits::default();
    for (method, target, host, body, trace) in [
        ("GET", "/a?b", "a", None, "GET /a?b 1.1 a keep | end | clean"),
        (
            "POST",
            "/v1/chat/completions",
            "[::1]:80",
            Some("{}"),
            "POST /v1/chat/completions 1.1 [::1]:80 length 2 keep | body {} | end | clean",
        ),
        ("POST", "/", "a", Some(""), "POST / 1.1 a length 0 keep | end | clean"),
        ("GET", "http://b/c", "b", None, "GET /c 1.1 b keep | end | clean"),
        ("CONNECT", "b:443", "b:443", None, "CONNECT to b:443 1.1 b:443 keep | end | clean"),
    ] {
        let body = body.map(str::as_bytes);
        let fields = [("Authorization", "Bearer x"), ("Accept", "text/event-stream")];
        let mut bytes = Vec::new();
        write_request(&Request { method, target, host, fields: &fields, body }, &mut bytes).unwrap();
        assert_eq!(fed_whole(&bytes, &limits).0.lines.join(" | "), trace);
    }
}
