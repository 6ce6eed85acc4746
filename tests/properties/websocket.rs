//! Frames from a client: cuts change nothing, and a reader that is written another way tells the same.

use oneloop::base::{Outbox, Pressure};
use oneloop::limits::{KIB, Limits};
use oneloop::wire::websocket::{Endpoint, WebSocketError, WebSocketEvent};

use super::random::Random;

/// Cuts change nothing; what is told and answered is what [`read_by_frames`] tells and answers; and a peer who reads
/// nothing can't make the answers grow.
pub fn websocket(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let small = Limits { websocket_message_bytes_max: 12, websocket_piece_bytes_max: 3, ..Limits::default() };
    let mut is_taken = false;
    for limits in [small, Limits::default()] {
        for out_bytes_high in [8, KIB] {
            let whole = outcome(&[bytes], out_bytes_high, &limits);
            let dripped: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(outcome(&dripped, out_bytes_high, &limits), whole, "byte by byte");
            let pieces = random.cut(bytes, 16);
            assert_eq!(outcome(&pieces, out_bytes_high, &limits), whole, "in pieces");
            assert!(whole.answered.len() < out_bytes_high + PONG_BYTES_MAX + CLOSE_BYTES_MAX, "answers grow");
        }
        let expected = read_by_frames(bytes, &limits);
        let told = outcome(&[bytes], 4 * bytes.len() + KIB, &limits);
        assert_eq!(told.events, expected.events, "another reader tells something else");
        assert_eq!(told.answered, expected.answered, "another reader answers something else");
        let code = told.error.map(|error| error.close_code().number());
        assert_eq!((code, told.is_over), (expected.code, expected.is_over), "another reader ends elsewhere");
        is_taken = told.error.is_none() && !told.events.is_empty();
    }
    is_taken
}

/// A Pong at its longest, less the byte before which there was room.
const PONG_BYTES_MAX: usize = 2 + 125;
/// A Close without a reason.
const CLOSE_BYTES_MAX: usize = 2 + 2;

/// What became of a client's bytes, however they were cut.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was told.
    pub events: Vec<WebSocketEvent>,
    /// What was written: pongs, and the Close that answers another or an error.
    pub answered: Vec<u8>,
    /// What the client did wrong.
    pub error: Option<WebSocketError>,
    /// The connection may be closed.
    pub is_over: bool,
    /// A message has begun and not ended.
    pub is_within_message: bool,
    /// Bytes that wait for more, unless something is wrong.
    pub unread: usize,
}

/// Feeds an endpoint as a connection does, and says Close when the client is wrong. Nothing of the answers leaves.
pub fn outcome(pieces: &[&[u8]], out_bytes_high: usize, limits: &Limits) -> Outcome {
    let mut out = Outbox::new(out_bytes_high, out_bytes_high + 2 * KIB);
    let (mut endpoint, mut inbox, mut events) = (Endpoint::new(), Vec::new(), Vec::new());
    for piece in pieces {
        inbox.extend_from_slice(piece);
        loop {
            let before = out.len();
            let step = match endpoint.receive(&inbox, &mut out, limits) {
                Ok(step) => step,
                Err(error) => {
                    assert!(!endpoint.is_open() && !endpoint.is_within_message());
                    assert_eq!(endpoint.receive(b"\x81\x80\0\0\0\0", &mut out, limits), Err(error), "mended");
                    assert_eq!(out.len(), before, "an error answers for itself");
                    endpoint.close(error.close_code(), "", &mut out).expect("there is room");
                    assert!(endpoint.is_over());
                    let answered = out.unsent().to_vec();
                    let (is_over, is_within_message) = (true, false);
                    return Outcome {
                        events,
                        answered,
                        error: Some(error),
                        is_over,
                        is_within_message,
                        unread: 0,
                    };
                }
            };
            inbox.drain(..step.consumed);
            let is_silent = step.event.is_none() && step.consumed == 0;
            if let Some(WebSocketEvent::Text(text)) = &step.event {
                assert!(text.len() <= limits.websocket_message_bytes_max);
            }
            events.extend(step.event);
            if is_silent {
                break;
            }
        }
        assert!(inbox.len() < 2 + 8 + 4 + 125, "more than a header or a control frame waits");
    }
    assert!(!endpoint.owes_answer() || out.pressure() == Pressure::High, "an answer waits without need");
    Outcome {
        events,
        answered: out.unsent().to_vec(),
        error: None,
        is_over: endpoint.is_over(),
        is_within_message: endpoint.is_within_message(),
        unread: inbox.len(),
    }
}

/// What RFC 6455 has an endpoint do with a client's bytes.
#[derive(Debug, Default)]
struct Expected {
    events: Vec<WebSocketEvent>,
    answered: Vec<u8>,
    code: Option<u16>,
    is_over: bool,
}

/// RFC 6455 §5 from whole bytes, frame after frame.
fn read_by_frames(bytes: &[u8], limits: &Limits) -> Expected {
    let mut expected = Expected::default();
    let mut rest = bytes;
    let mut message: Option<(bool, Vec<u8>)> = None;
    let code = loop {
        let Some((first, second, length, after)) = header(rest) else { return expected };
        let (opcode, is_final, is_control) = (first & 0x0f, first & 0x80 != 0, first & 0x08 != 0);
        let is_minimal = match second & 0x7f {
            126 => length >= 126,
            127 => (65_536..1 << 63).contains(&length),
            _ => true,
        };
        let is_in_order = match opcode {
            0 => message.is_some(),
            1 | 2 => message.is_none(),
            8..=10 => is_final && length <= 125,
            _ => false,
        };
        if second & 0x80 == 0 || first & 0x70 != 0 || !is_minimal || !is_in_order {
            break 1002;
        }
        let held = message.as_ref().map_or(0, |(_, held)| held.len() as u64);
        if !is_control && length > limits.websocket_message_bytes_max as u64 - held {
            break 1009;
        }
        let (mask, after) = after.split_at(4);
        let here = after.len().min(length as usize);
        let is_whole = here as u64 == length;
        let payload = after[..here].iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
        let payload: Vec<u8> = payload.collect();
        rest = &after[here..];
        match opcode {
            _ if is_control && !is_whole => return expected,
            8 => match close(&payload) {
                Ok((code, reason)) => {
                    let answer = payload.get(..2).unwrap_or_default();
                    expected.answered.extend([0x88, answer.len() as u8]);
                    expected.answered.extend(answer);
                    expected.events.push(WebSocketEvent::Close { code, reason });
                    expected.is_over = true;
                    return expected;
                }
                Err(code) => break code,
            },
            9 => {
                expected.answered.extend([0x8a, payload.len() as u8]);
                expected.answered.extend(payload);
            }
            10 => expected.events.push(WebSocketEvent::Pong(payload)),
            _ => {
                let (is_text, held) = message.get_or_insert((opcode == 1, Vec::new()));
                held.extend(payload);
                let is_end = is_final && is_whole;
                match std::str::from_utf8(held) {
                    // Cut within a character, which is no fault before the end.
                    Err(error) if *is_text && (is_end || error.error_len().is_some()) => break 1007,
                    Err(_) | Ok(_) if !is_end => {}
                    Ok(text) if *is_text => expected.events.push(WebSocketEvent::Text(text.to_owned())),
                    Err(_) | Ok(_) => expected.events.push(WebSocketEvent::Binary(held.clone())),
                }
                if is_end {
                    message = None;
                }
            }
        }
    };
    expected.answered.extend([0x88, 2]);
    expected.answered.extend(u16::to_be_bytes(code));
    (expected.code, expected.is_over) = (Some(code), true);
    expected
}

/// Both bytes of a whole header, the length, and the bytes from the mask on, if there is to be one.
fn header(bytes: &[u8]) -> Option<(u8, u8, u64, &[u8])> {
    let (&[first, second], after) = bytes.split_first_chunk()?;
    let (length, after) = match second & 0x7f {
        126 => after
            .split_first_chunk()
            .map(|(length, after)| (u64::from(u16::from_be_bytes(*length)), after))?,
        127 => after.split_first_chunk().map(|(length, after)| (u64::from_be_bytes(*length), after))?,
        length => (u64::from(length), after),
    };
    (second & 0x80 == 0 || after.len() >= 4).then_some((first, second, length, after))
}

fn close(payload: &[u8]) -> Result<(Option<u16>, String), u16> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok((None, String::new())) } else { Err(1002) };
    };
    let code = u16::from_be_bytes(*code);
    if code < 1000 || (1004..1007).contains(&code) || (1015..3000).contains(&code) || code >= 5000 {
        return Err(1002);
    }
    Ok((Some(code), String::from_utf8(reason.to_vec()).map_err(|_| 1007_u16)?))
}
