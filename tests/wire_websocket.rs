//! WebSocket after RFC 6455: the handshake, and a table of frames. Each case is fed whole, byte by byte and in pieces;
//! all must tell the same events, write the same bytes and end alike.
//!
//! The frames are made by a client that is written here and shares nothing with the code under test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;

use oneloop::base::{Full, Outbox, Pressure};
use oneloop::limits::{KIB, Limits, MIB};
use oneloop::wire::http1::{RequestEvent, Server};
use oneloop::wire::websocket::{
    CloseCode, Endpoint, SendError, UpgradeError, WebSocketError, WebSocketEvent, accept_key,
};

#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/random.rs"]
mod random;
#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/websocket.rs"]
mod websocket;

use random::Random;
use websocket::{Outcome, outcome};

// --- The handshake ------------------------------------------------------------------------------------------------

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const V13: &str = "Sec-WebSocket-Version: 13";
const UP: &str = "Upgrade: websocket";
const CONN: &str = "Connection: Upgrade";
const GET: &str = "GET /ws HTTP/1.1";

/// A request line and fields, without `Host`, and what they are answered.
type Handshake = (&'static str, &'static [&'static str], Result<&'static str, (u16, UpgradeError)>);

const fn bad(error: UpgradeError) -> Result<&'static str, (u16, UpgradeError)> {
    Err((400, error))
}

const fn required(error: UpgradeError) -> Result<&'static str, (u16, UpgradeError)> {
    Err((426, error))
}

const HANDSHAKES: &[Handshake] = &[
    (GET, &[UP, CONN, V13, KEY], Ok(ACCEPT)),
    (GET, &[KEY, V13, CONN, UP], Ok(ACCEPT)),
    (GET, &["UPGRADE: WebSocket", "connection: uPGRADE", V13, KEY], Ok(ACCEPT)),
    (GET, &[UP, "Connection: keep-alive, Upgrade", V13, KEY], Ok(ACCEPT)),
    (GET, &[UP, "Connection: ,, upgrade ,close", V13, KEY], Ok(ACCEPT)),
    (GET, &[UP, "Connection: keep-alive", CONN, V13, KEY], Ok(ACCEPT)),
    (GET, &["Upgrade: h2c, websocket", CONN, V13, KEY], Ok(ACCEPT)),
    (GET, &[UP, CONN, V13, KEY, "Content-Length: 0"], Ok(ACCEPT)),
    (GET, &[UP, CONN, V13, KEY, "Sec-WebSocket-Protocol: chat, superchat"], Ok(ACCEPT)),
    (
        GET,
        &[UP, CONN, V13, KEY, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
        Ok(ACCEPT),
    ),
    (GET, &[UP, CONN, V13, KEY, "Origin: http://example.com"], Ok(ACCEPT)),
    ("GET http://a/ws?x=1 HTTP/1.1", &[UP, CONN, V13, KEY], Ok(ACCEPT)),
    ("GET /ws HTTP/1.2", &[UP, CONN, V13, KEY], Ok(ACCEPT)),
    // The example of RFC 6455 §4.1, whose last character is not as an encoder would write it.
    (
        GET,
        &[UP, CONN, V13, "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="],
        Ok("OfS0wDaT5NoxF2gqm7Zj2YtetzM="),
    ),
    ("POST /ws HTTP/1.1", &[UP, CONN, V13, KEY], bad(UpgradeError::NotGet)),
    ("HEAD /ws HTTP/1.1", &[UP, CONN, V13, KEY], bad(UpgradeError::NotGet)),
    ("get /ws HTTP/1.1", &[UP, CONN, V13, KEY], bad(UpgradeError::NotGet)),
    ("GET /ws HTTP/1.0", &[UP, CONN, V13, KEY], bad(UpgradeError::NotHttp11)),
    (GET, &[UP, CONN, V13, KEY, "Content-Length: 1"], bad(UpgradeError::HasBody)),
    (GET, &[UP, CONN, V13, KEY, "Transfer-Encoding: chunked"], bad(UpgradeError::HasBody)),
    (GET, &[], required(UpgradeError::UpgradeMissing)),
    (GET, &[CONN, V13, KEY], required(UpgradeError::UpgradeMissing)),
    (GET, &[UP, UP, CONN, V13, KEY], bad(UpgradeError::UpgradeRepeated)),
    (GET, &["Upgrade:", CONN, V13, KEY], required(UpgradeError::UpgradeUnknown)),
    (GET, &["Upgrade: h2c", CONN, V13, KEY], required(UpgradeError::UpgradeUnknown)),
    (GET, &["Upgrade: websockets", CONN, V13, KEY], required(UpgradeError::UpgradeUnknown)),
    (GET, &[UP, V13, KEY], bad(UpgradeError::ConnectionOptionMissing)),
    (GET, &[UP, "Connection: keep-alive", V13, KEY], bad(UpgradeError::ConnectionOptionMissing)),
    (GET, &[UP, "Connection: not-upgrade", V13, KEY], bad(UpgradeError::ConnectionOptionMissing)),
    (GET, &[UP, CONN, KEY], required(UpgradeError::VersionMissing)),
    (GET, &[UP, CONN, KEY, "Sec-WebSocket-Version: 8"], required(UpgradeError::VersionUnknown)),
    (GET, &[UP, CONN, KEY, "Sec-WebSocket-Version: 013"], required(UpgradeError::VersionUnknown)),
    (GET, &[UP, CONN, KEY, "Sec-WebSocket-Version: 13, 8"], required(UpgradeError::VersionUnknown)),
    (GET, &[UP, CONN, KEY, V13, V13], bad(UpgradeError::VersionRepeated)),
    (GET, &[UP, CONN, V13], bad(UpgradeError::KeyMissing)),
    (GET, &[UP, CONN, V13, KEY, KEY], bad(UpgradeError::KeyRepeated)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key:"], bad(UpgradeError::KeyInvalid)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], bad(UpgradeError::KeyInvalid)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"], bad(UpgradeError::KeyInvalid)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU="], bad(UpgradeError::KeyInvalid)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ?=="], bad(UpgradeError::KeyInvalid)),
    (GET, &[UP, CONN, V13, "Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ=="], bad(UpgradeError::KeyInvalid)),
];

#[test]
fn every_handshake_is_answered_as_rfc_6455_has_it_however_it_is_cut() {
    assert!(HANDSHAKES.len() >= 40, "{} handshakes", HANDSHAKES.len());
    let limits = Limits::default();
    for (line, fields, expected) in HANDSHAKES {
        let mut bytes = format!("{line}\r\nHost: a\r\n");
        for field in *fields {
            bytes.extend([field, "\r\n"]);
        }
        bytes.push_str("\r\n");
        let told = |cut: usize| {
            let mut server = Server::new();
            for end in (cut..bytes.len()).chain([bytes.len()]) {
                if let Some(event) = server.receive(&bytes.as_bytes()[..end], &limits).unwrap().event {
                    let RequestEvent::Head(head) = event else { panic!("a head comes first") };
                    return accept_key(&head);
                }
            }
            panic!("the head is whole")
        };
        let expected = expected.map(str::to_owned);
        assert_eq!(told(bytes.len()).map_err(|error| (error.status(), error)), expected, "{bytes}");
        assert_eq!(told(1).map_err(|error| (error.status(), error)), expected, "{bytes}: byte by byte");
    }
}

// --- A client -----------------------------------------------------------------------------------------------------

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const FINAL: u8 = 0x80;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How many bits a length is written in.
#[derive(Clone, Copy)]
enum Form {
    Bits7,
    Bits16,
    Bits64,
}

/// A frame as a client may or may not send it: `first` is its first byte.
fn frame_of(first: u8, form: Form, length: u64, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    match form {
        Form::Bits7 => bytes.push(mask_bit | length as u8),
        Form::Bits16 => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        Form::Bits64 => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// A masked frame with its length as short as can be.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, MASK, payload)
}

fn masked(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let form = match payload.len() {
        0..=125 => Form::Bits7,
        126..=65_535 => Form::Bits16,
        _ => Form::Bits64,
    };
    frame_of(first, form, payload.len() as u64, Some(mask), payload)
}

fn text_frame(text: &str) -> Vec<u8> {
    frame(FINAL | TEXT, text.as_bytes())
}

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A frame as a server sends it.
fn answer(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame_of(FINAL | opcode, Form::Bits7, payload.len() as u64, None, payload)
}

fn text(text: &str) -> WebSocketEvent {
    WebSocketEvent::Text(text.to_owned())
}

fn close(code: u16, reason: &str) -> WebSocketEvent {
    WebSocketEvent::Close { code: Some(code), reason: reason.to_owned() }
}

// --- The table ----------------------------------------------------------------------------------------------------

/// How a case ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Between messages, with so many bytes that wait for the rest of a frame.
    Open(usize),
    /// Within a message.
    Within,
    /// With both sides' Close.
    Over,
    /// With an error, and a Close that tells it.
    Failed(WebSocketError),
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    events: Vec<WebSocketEvent>,
    /// What is answered, the Close that tells an error aside.
    answered: Vec<u8>,
    end: End,
}

/// Cases as they are told one after the other.
#[derive(Default)]
struct Table(Vec<Case>);

impl Table {
    fn add(
        &mut self,
        name: &str,
        frames: &[Vec<u8>],
        events: &[WebSocketEvent],
        answered: &[Vec<u8>],
        end: End,
    ) {
        let (bytes, answered) = (frames.concat(), answered.concat());
        self.0.push(Case { name: name.to_owned(), bytes, events: events.to_vec(), answered, end });
    }

    fn told(&mut self, name: &str, frames: &[Vec<u8>], events: &[WebSocketEvent]) {
        self.add(name, frames, events, &[], End::Open(0));
    }

    fn failed(&mut self, name: &str, frames: &[Vec<u8>], error: WebSocketError) {
        self.add(name, frames, &[], &[], End::Failed(error));
    }
}

fn limits() -> Limits {
    Limits { websocket_message_bytes_max: 70_000, ..Limits::default() }
}

/// What became of a case, as it is told in the table.
fn told(pieces: &[&[u8]]) -> (Vec<WebSocketEvent>, Vec<u8>, End) {
    let Outcome { events, answered, error, is_over, is_within_message, unread } =
        outcome(pieces, MIB, &limits());
    let end = match error {
        Some(error) => End::Failed(error),
        None if is_over => End::Over,
        None if is_within_message => End::Within,
        None => End::Open(unread),
    };
    (events, answered, end)
}

fn check(table: &Table) {
    for Case { name, bytes, events, answered, end } in &table.0 {
        let mut expected_answer = answered.clone();
        if let End::Failed(error) = end {
            expected_answer.extend(answer(CLOSE, &error.close_code().number().to_be_bytes()));
        }
        let expected = (events.clone(), expected_answer, *end);
        assert_eq!(told(&[bytes]), expected, "{name}");
        let dripped: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(told(&dripped), expected, "{name}: byte by byte");
        // A long one is split near its ends, where the headers are.
        let near = if bytes.len() > KIB { 20 } else { bytes.len() };
        for cut in (0..near).chain(bytes.len() - near..bytes.len()) {
            let (before, after) = bytes.split_at(cut);
            assert_eq!(told(&[before, after]), expected, "{name}: split at {cut}");
        }
        let mut random = Random::of(bytes);
        for _ in 0..8 {
            assert_eq!(told(&random.cut(bytes, 4 * KIB)), expected, "{name}: in pieces");
        }
    }
}

#[test]
fn every_case_ends_as_rfc_6455_has_it_however_it_is_cut() {
    let mut table = Table::default();
    for add in [messages, masks, first_bytes, lengths, fragments, control_frames, characters, closes, sizes] {
        add(&mut table);
    }
    println!("{} cases", table.0.len());
    assert!(table.0.len() >= 250, "{} cases", table.0.len());
    check(&table);
}

fn messages(table: &mut Table) {
    table.told("nothing", &[], &[]);
    table.told("an empty text", &[text_frame("")], &[text("")]);
    table.told("a text", &[text_frame("Hello")], &[text("Hello")]);
    table.told(
        "the example of section 5.7",
        &[b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec()],
        &[text("Hello")],
    );
    table.told(
        "three texts",
        &[text_frame("a"), text_frame(""), text_frame("b")],
        &[text("a"), text(""), text("b")],
    );
    table.told("a text with a NUL", &[text_frame("a\0b")], &[text("a\0b")]);
    table.told("an empty binary", &[frame(FINAL | BINARY, b"")], &[WebSocketEvent::Binary(vec![])]);
    table.told(
        "bytes that are no text",
        &[frame(FINAL | BINARY, b"\xff\0\xc0")],
        &[WebSocketEvent::Binary(b"\xff\0\xc0".to_vec())],
    );
    let whole = text_frame("Hello");
    for length in 1..6 {
        table.add("a header cut short", &[whole[..length].to_vec()], &[], &[], End::Open(length));
    }
    for length in 6..whole.len() {
        table.add("a text cut short", &[whole[..length].to_vec()], &[], &[], End::Within);
    }
}

fn masks(table: &mut Table) {
    for mask in [[0; 4], [0xff; 4], [1, 2, 3, 4], *b"Hell", [0, 0, 0, 1], [0x80, 0, 0, 0]] {
        for length in [1, 3, 4, 5, 8, 13] {
            let sent = &"Hello, world!"[..length];
            table.told(
                &format!("mask {mask:x?}"),
                &[masked(FINAL | TEXT, mask, sent.as_bytes())],
                &[text(sent)],
            );
        }
    }
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        for payload in [&b""[..], b"\x03\xe8"] {
            let bytes = frame_of(FINAL | opcode, Form::Bits7, payload.len() as u64, None, payload);
            table.failed(&format!("opcode {opcode:x} without a mask"), &[bytes], WebSocketError::Unmasked);
        }
    }
    let bare = frame_of(FINAL | CONTINUATION, Form::Bits7, 1, None, b"b");
    table.failed("a continuation without a mask", &[frame(TEXT, b"a"), bare], WebSocketError::Unmasked);
    let bare = frame_of(FINAL | TEXT, Form::Bits16, 300, None, b"");
    table.failed("a mask is missed before the payload comes", &[bare], WebSocketError::Unmasked);
}

fn first_bytes(table: &mut Table) {
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        for bits in 1..8 {
            let bytes = frame(FINAL | (bits << 4) | opcode, b"");
            table.failed(
                &format!("reserved bits {bits:03b} on {opcode:x}"),
                &[bytes],
                WebSocketError::ReservedBit,
            );
        }
    }
    let second = frame(FINAL | 0x40 | CONTINUATION, b"b");
    table.failed(
        "a reserved bit on a continuation",
        &[frame(TEXT, b"a"), second],
        WebSocketError::ReservedBit,
    );
    for opcode in (0x3..=0x7).chain(0xb..=0xf) {
        for payload in [&b""[..], b"abc"] {
            let bytes = frame(FINAL | opcode, payload);
            table.failed(&format!("opcode {opcode:x}"), &[bytes], WebSocketError::ReservedOpcode);
        }
        let within = [frame(TEXT, b"a"), frame(opcode, b"")];
        table.failed(&format!("opcode {opcode:x} within a message"), &within, WebSocketError::ReservedOpcode);
    }
}

fn lengths(table: &mut Table) {
    for length in [0, 1, 124, 125, 126, 127, 128, 255, 256, 1023, 1024, 1025, 1038, 65_535, 65_536, 70_000] {
        let sent = "0123456789abcdef".repeat(length / 16 + 1)[..length].to_owned();
        table.told(&format!("{length} bytes"), &[text_frame(&sent)], &[text(&sent)]);
        let bytes = sent.into_bytes();
        table.told(
            &format!("{length} bytes of binary"),
            &[frame(FINAL | BINARY, &bytes)],
            &[WebSocketEvent::Binary(bytes)],
        );
    }
    for (form, length) in [
        (Form::Bits16, 0),
        (Form::Bits16, 1),
        (Form::Bits16, 125),
        (Form::Bits64, 0),
        (Form::Bits64, 125),
        (Form::Bits64, 126),
        (Form::Bits64, 65_535),
    ] {
        for opcode in [TEXT, BINARY, PING] {
            let header = frame_of(FINAL | opcode, form, length, Some(MASK), b"");
            table.failed(&format!("{length} in too many bytes"), &[header], WebSocketError::LengthNotMinimal);
        }
    }
    for length in [1 << 63, u64::MAX, (1 << 63) | 5] {
        let header = frame_of(FINAL | BINARY, Form::Bits64, length, Some(MASK), b"");
        table.failed("the highest bit of a length", &[header], WebSocketError::LengthInvalid);
    }
}

fn fragments(table: &mut Table) {
    let (ping, pong) = (frame(FINAL | PING, b"p"), answer(PONG, b"p"));
    table.told("two fragments", &[frame(TEXT, b"Hel"), frame(FINAL, b"lo")], &[text("Hello")]);
    table.told(
        "the example of section 5.7 in two",
        &[frame(TEXT, b"Hel"), frame(0, b""), frame(FINAL, b"lo")],
        &[text("Hello")],
    );
    table.told("empty fragments alone", &[frame(TEXT, b""), frame(0, b""), frame(FINAL, b"")], &[text("")]);
    table.told("an empty first fragment", &[frame(TEXT, b""), frame(FINAL, b"a")], &[text("a")]);
    table.told("an empty last fragment", &[frame(TEXT, b"a"), frame(FINAL, b"")], &[text("a")]);
    let bytewise: Vec<_> =
        [frame(TEXT, b"H")].into_iter().chain("ello".bytes().map(|byte| frame(0, &[byte]))).collect();
    table.told("a fragment a byte", &[bytewise.concat(), frame(FINAL, b"")], &[text("Hello")]);
    table.told(
        "each fragment has its own mask",
        &[masked(TEXT, [1, 2, 3, 4], b"Hel"), masked(FINAL, [5, 6, 7, 8], b"lo")],
        &[text("Hello")],
    );
    table.told(
        "fragments of binary",
        &[frame(BINARY, b"\xff"), frame(FINAL, b"\xfe")],
        &[WebSocketEvent::Binary(b"\xff\xfe".to_vec())],
    );
    table.told(
        "two fragmented messages",
        &[frame(TEXT, b"a"), frame(FINAL, b"b"), frame(BINARY, b"c"), frame(FINAL, b"d")],
        &[text("ab"), WebSocketEvent::Binary(b"cd".to_vec())],
    );
    table.add(
        "a ping between fragments",
        &[frame(TEXT, b"Hel"), ping.clone(), frame(FINAL, b"lo")],
        &[text("Hello")],
        std::slice::from_ref(&pong),
        End::Open(0),
    );
    table.add(
        "pings between all fragments",
        &[ping.clone(), frame(TEXT, b"H"), ping.clone(), frame(0, b"i"), ping.clone(), frame(FINAL, b"")],
        &[text("Hi")],
        &[pong.clone(), pong.clone(), pong.clone()],
        End::Open(0),
    );
    table.told(
        "a pong between fragments",
        &[frame(TEXT, b"Hel"), frame(FINAL | PONG, b"x"), frame(FINAL, b"lo")],
        &[WebSocketEvent::Pong(b"x".to_vec()), text("Hello")],
    );
    table.add(
        "a close between fragments",
        &[frame(TEXT, b"Hel"), close_frame(1001, b"")],
        &[close(1001, "")],
        &[answer(CLOSE, &1001_u16.to_be_bytes())],
        End::Over,
    );
    table.add("a message that does not end", &[frame(TEXT, b"a"), frame(0, b"b")], &[], &[], End::Within);
    for first in [CONTINUATION, FINAL | CONTINUATION] {
        table.failed("a continuation of nothing", &[frame(first, b"a")], WebSocketError::NothingToContinue);
    }
    table.add(
        "a continuation behind a whole message",
        &[text_frame("a"), frame(FINAL, b"b")],
        &[text("a")],
        &[],
        End::Failed(WebSocketError::NothingToContinue),
    );
    table.add(
        "a continuation behind the last fragment",
        &[frame(TEXT, b"a"), frame(FINAL, b"b"), frame(0, b"c")],
        &[text("ab")],
        &[],
        End::Failed(WebSocketError::NothingToContinue),
    );
    for second in [TEXT, BINARY, FINAL | TEXT, FINAL | BINARY] {
        let frames = [frame(TEXT, b"a"), frame(second, b"b")];
        table.failed("a message within a message", &frames, WebSocketError::MessageInterrupted);
    }
    table.add(
        "a ping is answered before what is wrong behind it",
        &[frame(TEXT, b"a"), ping, frame(TEXT, b"b")],
        &[],
        &[pong],
        End::Failed(WebSocketError::MessageInterrupted),
    );
}

fn control_frames(table: &mut Table) {
    for length in [0, 1, 4, 64, 124, 125] {
        let payload: Vec<u8> = (0..length).map(|byte: u8| byte.wrapping_mul(37)).collect();
        let ping = frame(FINAL | PING, &payload);
        table.add(&format!("a ping of {length}"), &[ping], &[], &[answer(PONG, &payload)], End::Open(0));
        let pong = frame(FINAL | PONG, &payload);
        table.told(
            &format!("a pong of {length} that nobody asked for"),
            &[pong],
            &[WebSocketEvent::Pong(payload)],
        );
    }
    let pings: Vec<_> = (0..10).map(|byte| frame(FINAL | PING, &[byte])).collect();
    let pongs: Vec<_> = (0..10).map(|byte| answer(PONG, &[byte])).collect();
    table.add("ten pings", &pings, &[], &pongs, End::Open(0));
    for opcode in [CLOSE, PING, PONG] {
        let name = format!("control {opcode:x}");
        table.failed(&name, &[frame(opcode, b"")], WebSocketError::ControlFragmented);
        table.failed(
            &name,
            &[frame(opcode, b"\x03\xe8"), frame(FINAL, b"x")],
            WebSocketError::ControlFragmented,
        );
        table.failed(&name, &[frame(TEXT, b"a"), frame(opcode, b"")], WebSocketError::ControlFragmented);
        table.failed(&name, &[frame(FINAL | opcode, &[b'x'; 126])], WebSocketError::ControlTooLong);
        let header = frame_of(FINAL | opcode, Form::Bits16, 126, Some(MASK), b"");
        table.failed(
            "a long control frame is refused before it comes",
            &[header],
            WebSocketError::ControlTooLong,
        );
        let header = frame_of(FINAL | opcode, Form::Bits64, 65_536, Some(MASK), b"");
        table.failed("so is a longer one", &[header], WebSocketError::ControlTooLong);
    }
    let cut = frame(FINAL | PING, b"ping")[..8].to_vec();
    table.add("a ping cut short waits", &[cut], &[], &[], End::Open(8));
}

/// Sequences that are UTF-8, by length.
const CHARACTERS: [&str; 9] =
    ["\u{80}", "é", "\u{7ff}", "\u{800}", "日", "\u{d7ff}", "\u{ffff}", "😀", "\u{10ffff}"];

/// Sequences that are not, each by its kind.
const NOT_UTF8: [(&str, &[u8]); 20] = [
    ("a continuation byte alone", b"\x80"),
    ("the last continuation byte alone", b"\xbf"),
    ("two continuation bytes", b"\x80\xbf"),
    ("a byte that is never used", b"\xff"),
    ("another byte that is never used", b"\xfe"),
    ("an overlong slash in two bytes", b"\xc0\xaf"),
    ("an overlong slash in three", b"\xe0\x80\xaf"),
    ("an overlong slash in four", b"\xf0\x80\x80\xaf"),
    ("the longest overlong of two", b"\xc1\xbf"),
    ("the longest overlong of three", b"\xe0\x9f\xbf"),
    ("the longest overlong of four", b"\xf0\x8f\xbf\xbf"),
    ("an overlong NUL", b"\xc0\x80"),
    ("the first surrogate", b"\xed\xa0\x80"),
    ("the last surrogate", b"\xed\xbf\xbf"),
    ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("above 10FFFF", b"\xf4\x90\x80\x80"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("a letter within a character", b"\xe6\x97a"),
    ("a character within a character", b"\xf0\x9f\xc3\xa9"),
];

fn characters(table: &mut Table) {
    for character in CHARACTERS {
        let sent = format!("a{character}b");
        let bytes = sent.as_bytes();
        table.told("a character", &[text_frame(&sent)], &[text(&sent)]);
        for cut in 0..=bytes.len() {
            let frames = [frame(TEXT, &bytes[..cut]), frame(FINAL, &bytes[cut..])];
            table.told(&format!("{character:?} in fragments cut at {cut}"), &frames, &[text(&sent)]);
        }
        let one_each: Vec<_> = bytes.iter().map(|byte| frame(0, &[*byte])).collect();
        let frames = [frame(TEXT, b""), one_each.concat(), frame(FINAL, b"")];
        table.told(&format!("{character:?} in fragments of a byte"), &frames, &[text(&sent)]);
        for length in 1..character.len() {
            let cut = &character.as_bytes()[..length];
            table.failed(
                &format!("{character:?} cut short by the end"),
                &[frame(FINAL | TEXT, cut)],
                WebSocketError::NotUtf8,
            );
            let frames = [frame(TEXT, cut), frame(FINAL, b"")];
            table.failed(
                &format!("{character:?} cut short by an empty fragment"),
                &frames,
                WebSocketError::NotUtf8,
            );
            let frames = [frame(TEXT, cut), frame(0, b"")];
            table.add(&format!("{character:?} may go on"), &frames, &[], &[], End::Within);
        }
    }
    for (name, sequence) in NOT_UTF8 {
        table.failed(name, &[frame(FINAL | TEXT, sequence)], WebSocketError::NotUtf8);
        table.failed(name, &[frame(FINAL | TEXT, &[b"a", sequence, b"b"].concat())], WebSocketError::NotUtf8);
        table.failed(name, &[frame(TEXT, &[b"a", sequence].concat())], WebSocketError::NotUtf8);
        for cut in 1..sequence.len() {
            let frames = [frame(TEXT, &sequence[..cut]), frame(FINAL, &sequence[cut..])];
            table.failed(&format!("{name}, cut at {cut}"), &frames, WebSocketError::NotUtf8);
        }
        let binary = frame(FINAL | BINARY, sequence);
        table.told("binary may be anything", &[binary], &[WebSocketEvent::Binary(sequence.to_vec())]);
    }
    let unfinished = frame_of(FINAL | TEXT, Form::Bits16, 5000, Some(MASK), b"abc\xff");
    table.failed("what is no text is refused before its frame ends", &[unfinished], WebSocketError::NotUtf8);
}

fn closes(table: &mut Table) {
    let none = WebSocketEvent::Close { code: None, reason: String::new() };
    table.add(
        "a close without a code",
        &[frame(FINAL | CLOSE, b"")],
        &[none],
        &[answer(CLOSE, b"")],
        End::Over,
    );
    table.failed("a close of one byte", &[frame(FINAL | CLOSE, b"\x03")], WebSocketError::CloseCodeCut);
    let allowed = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    for code in allowed.into_iter().chain([3000, 3999, 4000, 4999]) {
        let echo = answer(CLOSE, &u16::to_be_bytes(code));
        table.add(&format!("code {code}"), &[close_frame(code, b"")], &[close(code, "")], &[echo], End::Over);
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65_535] {
        let frames = [close_frame(code, b"")];
        table.failed(&format!("code {code}"), &frames, WebSocketError::CloseCodeForbidden);
        let frames = [close_frame(code, b"why")];
        table.failed(&format!("code {code} with a reason"), &frames, WebSocketError::CloseCodeForbidden);
    }
    let normal = answer(CLOSE, &1000_u16.to_be_bytes());
    for reason in ["bye", "日本語", &"x".repeat(123)] {
        let frames = [close_frame(1000, reason.as_bytes())];
        table.add("a reason", &frames, &[close(1000, reason)], std::slice::from_ref(&normal), End::Over);
    }
    table.failed(
        "a reason that is too long",
        &[close_frame(1000, &[b'x'; 124])],
        WebSocketError::ControlTooLong,
    );
    for (name, sequence) in NOT_UTF8 {
        let frames = [close_frame(1000, sequence)];
        table.failed(&format!("a reason with {name}"), &frames, WebSocketError::NotUtf8);
    }
    table.failed("a reason cut in a character", &[close_frame(1000, b"\xe6\x97")], WebSocketError::NotUtf8);
    for (name, behind) in [
        ("a text", text_frame("x")),
        ("a ping", frame(FINAL | PING, b"x")),
        ("a close", close_frame(1000, b"")),
        ("what is no frame", b"\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
    ] {
        let frames = [text_frame("a"), close_frame(1000, b""), behind];
        let events = [text("a"), close(1000, "")];
        table.add(
            &format!("{name} behind a close"),
            &frames,
            &events,
            std::slice::from_ref(&normal),
            End::Over,
        );
    }
}

fn sizes(table: &mut Table) {
    let bound = limits().websocket_message_bytes_max;
    for length in [bound as u64 + 1, 1 << 32, (1 << 63) - 1] {
        for opcode in [TEXT, BINARY] {
            let header = frame_of(FINAL | opcode, Form::Bits64, length, Some(MASK), b"");
            table.failed(
                &format!("{length} bytes, by their header"),
                &[header],
                WebSocketError::MessageTooBig,
            );
        }
    }
    let most = vec![b'x'; bound - 1];
    let sum = [&most[..], b"y"].concat();
    let whole = String::from_utf8(sum).unwrap();
    table.told("fragments at the bound", &[frame(TEXT, &most), frame(FINAL, b"y")], &[text(&whole)]);
    let header = frame_of(FINAL, Form::Bits7, 2, Some(MASK), b"");
    table.failed("fragments above the bound", &[frame(TEXT, &most), header], WebSocketError::MessageTooBig);
    let header = frame_of(0, Form::Bits64, (1 << 63) - 1, Some(MASK), b"");
    table.failed(
        "fragments far above the bound",
        &[frame(BINARY, b"x"), header],
        WebSocketError::MessageTooBig,
    );
}

// --- What leaves --------------------------------------------------------------------------------------------------

/// Feeds all of `bytes`, and expects nothing to be told.
fn feed(endpoint: &mut Endpoint, bytes: &[u8], out: &mut Outbox) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let step = endpoint.receive(rest, out, &limits()).unwrap();
        assert!(step.event.is_none() && step.consumed > 0);
        rest = &rest[step.consumed..];
    }
}

#[test]
fn a_text_leaves_with_the_shortest_header_and_no_mask() {
    for (length, header) in [
        (0, &b"\x81\x00"[..]),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ] {
        let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
        let text = "x".repeat(length);
        endpoint.send_text(&text, &mut out).unwrap();
        assert_eq!(out.unsent(), [header, text.as_bytes()].concat());
    }
}

#[test]
fn a_text_for_which_there_is_no_room_leaves_nothing_behind() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(4, 10));
    assert_eq!(endpoint.send_text("12345678", &mut out), Ok(Pressure::High));
    out.sent(9);
    let full = Full { wanted: 10, free: 9 };
    assert_eq!(endpoint.send_text("abcdefgh", &mut out), Err(SendError::Full(full)));
    assert_eq!(endpoint.ping(b"abcdefgh", &mut out), Err(SendError::Full(full)));
    assert_eq!(endpoint.close(CloseCode::Normal, "abcdef", &mut out), Err(full));
    assert!(endpoint.is_open());
    out.sent(1);
    assert_eq!(endpoint.ping(b"ab", &mut out), Ok(Pressure::High));
    assert_eq!(out.unsent(), b"\x89\x02ab");
}

#[test]
fn our_close_ends_the_connection_once_the_peer_has_answered() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
    endpoint.close(CloseCode::GoingAway, "bye", &mut out).unwrap();
    assert_eq!(out.unsent(), b"\x88\x05\x03\xe9bye");
    assert!(!endpoint.is_open() && !endpoint.is_over());
    assert_eq!(endpoint.send_text("x", &mut out), Err(SendError::Closing));
    assert_eq!(endpoint.ping(b"", &mut out), Err(SendError::Closing));
    endpoint.close(CloseCode::Normal, "again", &mut out).unwrap();

    // What was under way is told; a ping is not answered any more.
    let step = endpoint.receive(&text_frame("late"), &mut out, &limits()).unwrap();
    assert_eq!(step.event, Some(text("late")));
    feed(&mut endpoint, &frame(FINAL | PING, b"x"), &mut out);
    let step = endpoint.receive(&close_frame(1001, b""), &mut out, &limits()).unwrap();
    assert_eq!(step.event, Some(close(1001, "")));
    assert_eq!(out.len(), 7, "one Close, and nothing behind it");
    assert!(endpoint.is_over());
}

#[test]
fn an_error_behind_our_close_is_over_at_once() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
    endpoint.close(CloseCode::Normal, "", &mut out).unwrap();
    let error = endpoint.receive(b"\x81\x00", &mut out, &limits()).unwrap_err();
    endpoint.close(error.close_code(), "", &mut out).unwrap();
    assert!(endpoint.is_over());
    assert_eq!(out.unsent(), b"\x88\x02\x03\xe8");
}

#[test]
fn an_error_is_told_as_soon_as_there_is_room() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(4, 4));
    out.push(b"....").unwrap();
    let error = endpoint.receive(b"\x81\x00", &mut out, &limits()).unwrap_err();
    assert_eq!(error, WebSocketError::Unmasked);
    assert!(endpoint.close(error.close_code(), "", &mut out).is_err());
    assert!(!endpoint.is_over() && !endpoint.is_open());
    assert_eq!(endpoint.send_text("", &mut out), Err(SendError::Closing));
    out.sent(4);
    endpoint.close(error.close_code(), "", &mut out).unwrap();
    assert!(endpoint.is_over());
    assert_eq!(out.unsent(), b"\x88\x02\x03\xea");
}

#[test]
fn a_reason_that_is_too_long_is_cut_in_whole_characters() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
    endpoint.close(CloseCode::PolicyViolation, &"日".repeat(50), &mut out).unwrap();
    assert_eq!(out.unsent(), [b"\x88\x7d\x03\xf0", "日".repeat(41).as_bytes()].concat());
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
    endpoint.close(CloseCode::PolicyViolation, &"é".repeat(62), &mut out).unwrap();
    assert_eq!(out.unsent(), [b"\x88\x7c\x03\xf0", "é".repeat(61).as_bytes()].concat());
}

#[test]
fn the_peers_close_is_answered_when_there_is_room() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(4, 4));
    out.push(b"...").unwrap();
    let step = endpoint.receive(&close_frame(1001, b"gone"), &mut out, &limits()).unwrap();
    assert_eq!(step.event, Some(close(1001, "gone")));
    assert!(endpoint.owes_answer() && !endpoint.is_over() && !endpoint.is_open());
    assert!(endpoint.close(CloseCode::Normal, "", &mut out).is_err());
    out.sent(3);
    assert_eq!(endpoint.receive(b"", &mut out, &limits()).unwrap().consumed, 0);
    assert!(endpoint.is_over() && !endpoint.owes_answer());
    assert_eq!(out.unsent(), b"\x88\x02\x03\xe9");
}

#[test]
fn pings_without_a_reader_are_answered_by_the_newest_alone() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(10, MIB));
    for byte in b'0'..=b'9' {
        feed(&mut endpoint, &frame(FINAL | PING, &[byte]), &mut out);
    }
    assert_eq!(out.unsent(), b"\x8a\x010\x8a\x011\x8a\x012\x8a\x013", "four fit below the mark of ten bytes");
    assert!(endpoint.owes_answer());
    endpoint.send_text("!", &mut out).unwrap();
    out.sent(12);
    endpoint.receive(b"", &mut out, &limits()).unwrap();
    assert_eq!(out.unsent(), b"\x81\x01!\x8a\x019", "messages do not wait for a Pong");
    assert!(!endpoint.owes_answer());
}

#[test]
fn a_flood_of_pings_fills_no_outbox() {
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, MIB));
    for _ in 0..10_000 {
        feed(&mut endpoint, &frame(FINAL | PING, &[7; 125]), &mut out);
    }
    assert!(out.len() < KIB + 127, "{}", out.len());
}

// --- Memory -------------------------------------------------------------------------------------------------------

/// The system's allocator, counting what each thread holds of it.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static HELD_MAX: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    HELD.set(HELD.get() + bytes);
    HELD_MAX.set(HELD_MAX.get().max(HELD.get()));
}

#[allow(unsafe_code, reason = "an allocator can't be counted from safe code")]
// SAFETY: every call goes to the system's allocator unchanged; the counters are plain thread-local numbers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What is held by the end of `work`, and the most that was held, beyond what was held before it.
fn held(work: impl FnOnce()) -> (isize, isize) {
    let before = HELD.get();
    HELD_MAX.set(before);
    work();
    (HELD.get() - before, HELD_MAX.get() - before)
}

/// Feeds the whole, its events dropped.
fn swallow(endpoint: &mut Endpoint, bytes: &[u8], out: &mut Outbox) -> usize {
    let (mut rest, mut told) = (bytes, 0);
    loop {
        let step = endpoint.receive(rest, out, &Limits::default()).unwrap();
        if step.event.is_none() && step.consumed == 0 {
            return told;
        }
        told += usize::from(step.event.is_some());
        rest = &rest[step.consumed..];
    }
}

#[test]
fn an_idle_endpoint_owns_no_heap_whatever_it_has_read() {
    let bound = Limits::default().websocket_message_bytes_max;
    let big = [frame(FINAL | TEXT, &vec![b'x'; bound]), frame(FINAL | BINARY, &vec![0; bound])].concat();
    let small =
        [frame(TEXT, b"a"), frame(FINAL | PING, b"p"), frame(FINAL, b"b"), frame(FINAL | PONG, b"")].concat();
    let mut out = Outbox::new(KIB, KIB);
    out.push(&[0; KIB]).unwrap();
    out.sent(KIB);
    let mut endpoint = Endpoint::new();
    let (left, most) = held(|| {
        assert_eq!(swallow(&mut endpoint, &small, &mut out), 2);
        assert_eq!(swallow(&mut endpoint, &big, &mut out), 2);
    });
    assert!(most > bound as isize, "the counter counts");
    assert_eq!(left, 0);
    assert!(size_of::<Endpoint>() <= 128, "{} bytes", size_of::<Endpoint>());
}

/// What is held when so much of a message has arrived, and the most on the way there.
fn held_within(header: &[u8], arrived: Range<usize>, piece: usize) -> (isize, isize) {
    let payload = vec![MASK[0]; arrived.len()];
    let (mut endpoint, mut out) = (Endpoint::new(), Outbox::new(KIB, KIB));
    let held = held(|| {
        swallow(&mut endpoint, header, &mut out);
        for piece in payload.chunks(piece) {
            swallow(&mut endpoint, piece, &mut out);
        }
    });
    assert!(endpoint.is_within_message());
    held
}

#[test]
fn a_header_that_announces_much_allocates_little() {
    let bound = Limits::default().websocket_message_bytes_max;
    let header = frame_of(FINAL | BINARY, Form::Bits64, bound as u64, Some(MASK), b"");
    let (left, most) = held_within(&header, 0..0, 1);
    println!("endpoint {} bytes, a header {left} bytes, at most {most}", size_of::<Endpoint>());
    assert!(most <= 1536, "{most}");
    let small = held_within(&header, 0..1, 1);
    println!("a header and a byte: {small:?}");
    assert!(small.1 <= 1700, "{small:?}");
}

#[test]
fn memory_grows_with_what_has_arrived() {
    let bound = Limits::default().websocket_message_bytes_max;
    let header = frame_of(FINAL | BINARY, Form::Bits64, bound as u64, Some(MASK), b"");
    for arrived in [10, 1000, 10_000, 100_000, bound - 1] {
        for piece in [7, 1000, 16 * KIB] {
            let (left, most) = held_within(&header, 0..arrived, piece);
            println!("{arrived} bytes in pieces of {piece}: {left}, at most {most}");
            assert!(left <= 2 * arrived as isize + 2 * KIB as isize, "{arrived} by {piece}: {left}");
            assert!(most <= 3 * arrived as isize + 3 * KIB as isize, "{arrived} by {piece}: {most}");
        }
    }
}
