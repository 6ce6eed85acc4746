//! A chunked body: a decoder that is written another way agrees on where it ends and on what it holds.

use oneloop::limits::{KIB, Limits};
use oneloop::wire::http1::{BodyDecoder, Framing, RequestError};

use super::connection::small_limits;
use super::random::Random;

/// Cuts change nothing; what is taken is what [`read_by_lines`] takes, to the byte, and nothing behind it is touched.
pub fn chunked_body(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let mut is_taken = false;
    for (limits, body_bytes_max) in [(small_limits(), 16), (Limits::default(), 64 * KIB)] {
        let whole = decoded(&[bytes], &limits, body_bytes_max);
        let dripped: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decoded(&dripped, &limits, body_bytes_max), whole, "byte by byte");
        let pieces = random.cut(bytes, 16);
        assert_eq!(decoded(&pieces, &limits, body_bytes_max), whole, "in pieces");

        let expected = read_by_lines(bytes, &limits, body_bytes_max);
        match whole {
            Outcome::Over { body, consumed } => {
                assert_eq!(expected, Some((body, consumed)), "another reader finds another end");
                is_taken = true;
            }
            Outcome::More { body } | Outcome::Bad { body, .. } => {
                assert!(body.len() <= body_bytes_max, "a body grows beyond its bound");
                assert_eq!(expected, None, "another reader finds an end");
            }
        }
    }
    is_taken
}

/// What became of a body, however its bytes were cut.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Over { body: Vec<u8>, consumed: usize },
    More { body: Vec<u8> },
    Bad { body: Vec<u8>, error: RequestError },
}

fn decoded(pieces: &[&[u8]], limits: &Limits, body_bytes_max: usize) -> Outcome {
    let mut decoder = BodyDecoder::new(Framing::Chunked, body_bytes_max as u64);
    let (mut body, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && !decoder.is_over() {
            match decoder.receive(rest, limits) {
                Ok(step) => {
                    assert_ne!(step.consumed, 0, "the decoder stands still");
                    assert!(
                        step.event.is_none_or(|data| !data.is_empty()),
                        "a piece of a body is never empty"
                    );
                    body.extend_from_slice(step.event.unwrap_or_default());
                    consumed += step.consumed;
                    rest = rest.get(step.consumed..).expect("no more is consumed than was given");
                }
                Err(error) => return Outcome::Bad { body, error },
            }
        }
    }
    if !decoder.is_over() {
        assert_eq!(consumed, pieces.concat().len(), "a byte is left lying");
        return Outcome::More { body };
    }
    let after = decoder.receive(b"GET / HTTP/1.1\r\n", limits).map(|step| (step.consumed, step.event));
    assert_eq!(after, Ok((0, None)), "what follows the body is taken for a part of it");
    Outcome::Over { body, consumed }
}

/// RFC 9112 §7.1 read line by line from whole bytes: the body and its length with all framing, if it is all there,
/// nothing is wrong with it, and it keeps the bounds.
fn read_by_lines(bytes: &[u8], limits: &Limits, body_bytes_max: usize) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let (line, after) = line_of(rest, limits.chunk_line_bytes_max)?;
        rest = after;
        let size = chunk_size(line)?;
        if size == 0 {
            break;
        }
        if size > body_bytes_max - body.len() {
            return None;
        }
        let (data, after) = rest.split_at_checked(size)?;
        body.extend_from_slice(data);
        rest = after.strip_prefix(b"\r\n")?;
    }
    let mut trailer_bytes = limits.trailer_bytes_max;
    loop {
        let (line, after) = line_of(rest, trailer_bytes)?;
        trailer_bytes -= line.len() + 2;
        rest = after;
        if line.is_empty() {
            return Some((body, bytes.len() - rest.len()));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if colon == 0 || !line[..colon].iter().all(is_name) || !line[colon..].iter().all(is_text) {
            return None;
        }
    }
}

/// The bytes before the first end of line, which with it are at most `bytes_max`, and those behind it.
fn line_of(bytes: &[u8], bytes_max: usize) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    (end + 2 <= bytes_max).then(|| (&bytes[..end], &bytes[end + 2..]))
}

/// The size that a chunk's first line tells.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let (digits, extension) = match line.iter().position(|byte| *byte == b';') {
        Some(at) => line.split_at(at),
        None => (line, &[][..]),
    };
    if !digits.iter().all(u8::is_ascii_graphic) && extension.is_empty() || !extension.iter().all(is_text) {
        return None;
    }
    // Spaces may stand before a semicolon only; a sign, which Rust would read, nowhere.
    let digits = std::str::from_utf8(digits).ok()?.trim_end_matches([' ', '\t']);
    usize::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

/// Visible, a space, a tab or beyond ASCII.
fn is_text(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}
