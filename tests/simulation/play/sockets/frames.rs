//! Frames as a client writes and reads them (RFC 6455 §5), written once more: the server's own are not to check themselves.

use oneloop::os::sim::Random;
use ring::digest;

use super::super::receiver::base64;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The first bit of a frame: it is the last of its message.
pub const LAST: u8 = 0x80;

/// What a server has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Asks for a WebSocket.
pub const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// What a server says to that key (§4.2.2).
pub fn accepts() -> String {
    let text = b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    base64(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text).as_ref())
}

/// One frame of a client's, masked. `first` is its opcode, with [`LAST`] or without.
pub fn frame(first: u8, payload: &[u8], mask: [u8; 4], bytes: &mut Vec<u8>) {
    bytes.push(first);
    match payload.len() {
        short @ 0..126 => bytes.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A text message, perhaps in several fragments with a pong between them that nobody has asked for.
pub fn message(text: &str, random: &mut Random, bytes: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let mut opcode = TEXT;
    let fragments = if random.chance(250) { random.between(2, 4) } else { 1 };
    for _ in 1..fragments {
        let (fragment, left) = rest.split_at(random.below(rest.len()));
        frame(opcode, fragment, mask(random), bytes);
        (rest, opcode) = (left, 0);
        if random.chance(300) {
            frame(LAST | PONG, b"unasked", mask(random), bytes);
        }
    }
    frame(LAST | opcode, rest, mask(random), bytes);
}

pub fn mask(random: &mut Random) -> [u8; 4] {
    (random.number() as u32).to_be_bytes()
}

/// Reads what a server sends, as strictly as can be.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
    /// A message of several fragments.
    begun: Option<Vec<u8>>,
    has_closed: bool,
}

impl FrameReader {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, if it is whole; a message counts as one.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn next(&mut self) -> Result<Option<Frame>, String> {
        loop {
            let [first, second, ..] = self.bytes[..] else { return Ok(None) };
            if self.has_closed {
                return Err("a frame behind the one that closes".to_owned());
            }
            let (is_last, opcode) = (first & LAST != 0, first & 0x0f);
            if first & 0x70 != 0 {
                return Err("a frame with a reserved bit".to_owned());
            }
            if second & 0x80 != 0 {
                return Err("a frame that is masked".to_owned());
            }
            let more = match second {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let Some(length) = self.bytes.get(2..2 + more) else { return Ok(None) };
            let length = length.iter().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
            let length = if more == 0 { u64::from(second) } else { length };
            if (more == 2 && length < 126) || (more == 8 && length < 0x1_0000) {
                return Err(format!("a length of {length} in {more} bytes"));
            }
            if opcode >= CLOSE && (!is_last || length > 125) {
                return Err(format!("a control frame of {length} bytes, the last: {is_last}"));
            }
            let end = 2 + more + usize::try_from(length).map_err(|error| error.to_string())?;
            if self.bytes.len() < end {
                return Ok(None);
            }
            let payload: Vec<u8> = self.bytes.drain(..end).skip(2 + more).collect();
            match (opcode, self.begun.take()) {
                (TEXT, None) => self.begun = Some(payload),
                (0, Some(mut begun)) => {
                    begun.extend(payload);
                    self.begun = Some(begun);
                }
                (PING, begun) => {
                    self.begun = begun;
                    return Ok(Some(Frame::Ping(payload)));
                }
                (PONG, begun) => {
                    self.begun = begun;
                    return Ok(Some(Frame::Pong(payload)));
                }
                (CLOSE, _) => {
                    self.has_closed = true;
                    let code = match payload[..] {
                        [] => None,
                        [high, low, ..] => Some(u16::from_be_bytes([high, low])),
                        [_] => return Err("half a close code".to_owned()),
                    };
                    return Ok(Some(Frame::Close(code)));
                }
                (opcode, begun) => {
                    return Err(format!(
                        "a frame with opcode {opcode}, within a message: {}",
                        begun.is_some()
                    ));
                }
            }
            if is_last && let Some(text) = self.begun.take() {
                let text = String::from_utf8(text).map_err(|_| "a text that is not UTF-8".to_owned())?;
                return Ok(Some(Frame::Text(text)));
            }
        }
    }

    /// Part of a frame has been read.
    pub fn is_within_frame(&self) -> bool {
        !self.bytes.is_empty() || self.begun.is_some()
    }
}
