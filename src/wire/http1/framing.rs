//! Where a request body ends: by a declared length, or chunk by chunk.
//!
//! ```
//! use oneloop::base::step::Step;
//! use oneloop::limits::Limits;
//! use oneloop::wire::http1::{BodyDecoder, Framing};
//!
//! let bytes = b"5;name=value\r\nhello\r\n0\r\nTrailer: dropped\r\n\r\nGET";
//! let mut body = BodyDecoder::new(Framing::Chunked, 1024);
//! let limits = Limits::default();
//! assert_eq!(body.receive(bytes, &limits), Ok(Step::event(19, &b"hello"[..])));
//! assert_eq!(body.receive(&bytes[19..], &limits), Ok(Step::silent(25)));
//! assert!(body.is_over());
//! ```

use super::error::RequestError;
use super::fields::{FieldLines, LineEvent, is_value_byte, misplaced};
use crate::base::step::Step;
use crate::limits::Limits;

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, up to one of size zero.
    Chunked,
}

impl Framing {
    /// No byte of body follows the head.
    pub fn is_empty(self) -> bool {
        match self {
            Framing::None | Framing::Length(0) => true,
            Framing::Length(_) | Framing::Chunked => false,
        }
    }
}

/// Where in a body the next byte belongs.
///
/// ```text
/// Length ─────────────────────────────────────────────────────────────► Over
///
///              hex          CR                LF, size > 0         data ↺
/// ExpectSize ──────► InSize ────► ExpectSizeLf ────────────► InData ────► ExpectDataCr ─► ExpectDataLf ─► ExpectSize
///                  SP │  │ ;         ▲ │ LF, size = 0
///                     ▼  ▼        CR │ └────────► InTrailers ──► Over
///       BeforeExtension ─► InExtension
///                        ;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Length {
        left: u64,
    },
    ExpectSize,
    InSize {
        size: u64,
    },
    /// After a space, which may stand before a semicolon only (the `BWS` of RFC 9112 §7.1.1).
    BeforeExtension {
        size: u64,
    },
    InExtension {
        size: u64,
    },
    ExpectSizeLf {
        size: u64,
    },
    InData {
        left: u64,
    },
    ExpectDataCr,
    ExpectDataLf,
    InTrailers(FieldLines),
    Over,
}

/// Takes the framing off a body.
#[derive(Debug)]
pub struct BodyDecoder {
    place: Place,
    /// Body bytes that may still come before the body is too large.
    room: u64,
    /// Bytes of the chunk-size line or of the trailer section so far.
    line_bytes: usize,
}

impl BodyDecoder {
    /// A decoder before the first byte of a body of at most `body_bytes_max`. Whoever makes it has checked a declared
    /// length against that; the sum of the chunks is checked here.
    pub fn new(framing: Framing, body_bytes_max: u64) -> BodyDecoder {
        let place = match framing {
            Framing::None | Framing::Length(0) => Place::Over,
            Framing::Length(left) => Place::Length { left },
            Framing::Chunked => Place::ExpectSize,
        };
        BodyDecoder { place, room: body_bytes_max, line_bytes: 0 }
    }

    /// The whole body was read.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Takes framing bytes up to the next piece of the body, and as much of the piece as there is. Pieces are never
    /// empty. Nothing is consumed once the body is over.
    ///
    /// # Errors
    /// [`RequestError`], at the first byte that can't belong to the body; the decoder is of no use after it.
    pub fn receive<'b>(&mut self, bytes: &'b [u8], limits: &Limits) -> Result<Step<&'b [u8]>, RequestError> {
        let mut consumed = 0;
        while let Some(&byte) = bytes.get(consumed) {
            let rest = bytes.get(consumed..).unwrap_or_default();
            match self.place {
                Place::Over => break,
                Place::Length { left } => {
                    let (piece, left) = cut(rest, left);
                    self.place = if left == 0 { Place::Over } else { Place::Length { left } };
                    return Ok(Step::event(consumed + piece.len(), piece));
                }
                Place::InData { left } => {
                    let (piece, left) = cut(rest, left);
                    self.place = if left == 0 { Place::ExpectDataCr } else { Place::InData { left } };
                    return Ok(Step::event(consumed + piece.len(), piece));
                }
                Place::ExpectSize
                | Place::InSize { .. }
                | Place::BeforeExtension { .. }
                | Place::InExtension { .. }
                | Place::ExpectSizeLf { .. }
                | Place::ExpectDataCr
                | Place::ExpectDataLf
                | Place::InTrailers(_) => {
                    self.place = self.after_framing_byte(byte, limits)?;
                    consumed += 1;
                }
            }
        }
        Ok(Step::silent(consumed))
    }

    fn after_framing_byte(&mut self, byte: u8, limits: &Limits) -> Result<Place, RequestError> {
        self.count_line_byte(limits)?;
        Ok(match (self.place, byte) {
            (Place::ExpectSize, byte) => Place::InSize { size: with_digit(0, byte)? },

            (Place::InSize { size }, b'\r') => Place::ExpectSizeLf { size },
            (Place::InSize { size }, b';') => Place::InExtension { size },
            (Place::InSize { size }, b' ' | b'\t') => Place::BeforeExtension { size },
            (Place::InSize { size }, byte) => Place::InSize { size: with_digit(size, byte)? },

            (Place::BeforeExtension { size }, b';') => Place::InExtension { size },
            (Place::BeforeExtension { size }, b' ' | b'\t') => Place::BeforeExtension { size },
            (Place::BeforeExtension { .. }, byte) => {
                return Err(misplaced(byte, RequestError::ChunkSizeInvalid));
            }

            (Place::InExtension { size }, b'\r') => Place::ExpectSizeLf { size },
            (Place::InExtension { size }, byte) if is_value_byte(byte) => Place::InExtension { size },
            (Place::InExtension { .. }, byte) => return Err(misplaced(byte, RequestError::ControlByte)),

            (Place::ExpectSizeLf { size }, b'\n') => self.after_size_line(size)?,
            (Place::ExpectSizeLf { .. }, _) => return Err(RequestError::BareCarriageReturn),

            (Place::ExpectDataCr, b'\r') => Place::ExpectDataLf,
            (Place::ExpectDataCr, byte) => return Err(misplaced(byte, RequestError::ChunkEndMissing)),
            (Place::ExpectDataLf, b'\n') => Place::ExpectSize,
            (Place::ExpectDataLf, _) => return Err(RequestError::BareCarriageReturn),

            (Place::InTrailers(mut lines), byte) => match lines.receive(byte)? {
                LineEvent::Within | LineEvent::FieldBegun => Place::InTrailers(lines),
                LineEvent::SectionRead => Place::Over,
            },

            (place @ (Place::Length { .. } | Place::InData { .. } | Place::Over), _) => place,
        })
    }

    /// A size line or a trailer section of exactly its bound is accepted, its last line feed included.
    fn count_line_byte(&mut self, limits: &Limits) -> Result<(), RequestError> {
        let (bytes_max, error) = match self.place {
            Place::InTrailers(_) => (limits.trailer_bytes_max, RequestError::TrailersTooLong),
            Place::ExpectSize
            | Place::InSize { .. }
            | Place::BeforeExtension { .. }
            | Place::InExtension { .. }
            | Place::ExpectSizeLf { .. } => (limits.chunk_line_bytes_max, RequestError::ChunkLineTooLong),
            // Two bytes after a chunk's data, and places that read no framing: nothing to bound.
            Place::ExpectDataCr
            | Place::ExpectDataLf
            | Place::Length { .. }
            | Place::InData { .. }
            | Place::Over => return Ok(()),
        };
        if self.line_bytes >= bytes_max {
            return Err(error);
        }
        self.line_bytes += 1;
        Ok(())
    }

    fn after_size_line(&mut self, size: u64) -> Result<Place, RequestError> {
        self.line_bytes = 0;
        self.room = self.room.checked_sub(size).ok_or(RequestError::BodyTooLarge)?;
        Ok(match size {
            0 => Place::InTrailers(FieldLines::ExpectField),
            left => Place::InData { left },
        })
    }
}

/// The piece of `bytes` that belongs to a run of `left` body bytes, and how many are left after it.
fn cut(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let wanted = usize::try_from(left).unwrap_or(usize::MAX);
    let piece = bytes.get(..wanted).unwrap_or(bytes);
    (piece, left - piece.len() as u64)
}

/// The chunk size with one more hexadecimal digit.
fn with_digit(size: u64, byte: u8) -> Result<u64, RequestError> {
    let digit = char::from(byte).to_digit(16).ok_or(misplaced(byte, RequestError::ChunkSizeInvalid))?;
    let size = size.checked_mul(16).ok_or(RequestError::ChunkSizeInvalid)?;
    Ok(size | u64::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and how many bytes it took with its framing.
    fn decoded(framing: Framing, bytes: &[u8], limits: &Limits) -> Result<(Vec<u8>, usize), RequestError> {
        let mut decoder = BodyDecoder::new(framing, 16);
        let (mut body, mut consumed) = (Vec::new(), 0);
        while !decoder.is_over() {
            let step = decoder.receive(&bytes[consumed..], limits)?;
            assert_ne!(step.consumed, 0, "the body is cut short");
            consumed += step.consumed;
            body.extend_from_slice(step.event.unwrap_or_default());
        }
        Ok((body, consumed))
    }

    fn chunked(bytes: &[u8]) -> Result<(Vec<u8>, usize), RequestError> {
        decoded(Framing::Chunked, bytes, &Limits::default())
    }

    #[test]
    fn a_length_takes_exactly_its_bytes() {
        assert_eq!(decoded(Framing::Length(3), b"abcGET", &Limits::default()), Ok((b"abc".to_vec(), 3)));
        assert!(BodyDecoder::new(Framing::Length(0), 16).is_over());
        assert!(BodyDecoder::new(Framing::None, 16).is_over());
    }

    #[test]
    fn chunks_are_joined_and_their_framing_dropped() {
        assert_eq!(chunked(b"0\r\n\r\nGET"), Ok((vec![], 5)));
        assert_eq!(chunked(b"1\r\na\r\n02\r\nbc\r\n000\r\n\r\n"), Ok((b"abc".to_vec(), 21)));
        assert_eq!(chunked(b"a\r\n0123456789\r\n0\r\n\r\n"), Ok((b"0123456789".to_vec(), 20)));
    }

    #[test]
    fn extensions_are_skipped() {
        assert_eq!(chunked(b"1;a=\"b;c\"\r\nx\r\n0;z\r\n\r\n").unwrap().0, b"x");
        assert_eq!(chunked(b"1 \t;\ta\r\nx\r\n0\r\n\r\n").unwrap().0, b"x");
        assert_eq!(chunked(b"1;\xff\r\nx\r\n0\r\n\r\n").unwrap().0, b"x");
    }

    #[test]
    fn trailers_are_checked_and_dropped() {
        assert_eq!(chunked(b"0\r\nA: b\r\nContent-Length: 9\r\n\r\nGET"), Ok((vec![], 30)));
        assert_eq!(chunked(b"0\r\nA : b"), Err(RequestError::SpaceBeforeColon));
        assert_eq!(chunked(b"0\r\n A: b"), Err(RequestError::FoldedField));
        assert_eq!(chunked(b"0\r\nA: b\n"), Err(RequestError::BareLineFeed));
    }

    #[test]
    fn every_line_end_is_a_carriage_return_and_a_line_feed() {
        assert_eq!(chunked(b"1\n"), Err(RequestError::BareLineFeed));
        assert_eq!(chunked(b"1\rx"), Err(RequestError::BareCarriageReturn));
        assert_eq!(chunked(b"1;a\n"), Err(RequestError::BareLineFeed));
        assert_eq!(chunked(b"1;a\rb"), Err(RequestError::BareCarriageReturn));
        assert_eq!(chunked(b"1;\0"), Err(RequestError::ControlByte));
        assert_eq!(chunked(b"1\r\nx\n"), Err(RequestError::BareLineFeed));
        assert_eq!(chunked(b"1\r\nx\rx"), Err(RequestError::BareCarriageReturn));
        assert_eq!(chunked(b"1\r\nxy"), Err(RequestError::ChunkEndMissing));
        assert_eq!(chunked(b"1\r\nx0\r\n"), Err(RequestError::ChunkEndMissing));
    }

    #[test]
    fn a_size_is_hexadecimal_digits_that_fit() {
        for bad in ["\r\n", ";a", " 1", "-1", "+1", "0x1", "g", "1 1", "1 \r\n", "1_0", "10000000000000000"] {
            assert_eq!(chunked(bad.as_bytes()), Err(RequestError::ChunkSizeInvalid), "{bad:?}");
        }
        assert_eq!(chunked(b"ffffffffffffffff\r\n"), Err(RequestError::BodyTooLarge));
    }

    #[test]
    fn the_sum_of_the_chunks_is_bounded() {
        assert_eq!(chunked(b"8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n").unwrap().0.len(), 16);
        assert_eq!(chunked(b"8\r\n01234567\r\n9\r\n"), Err(RequestError::BodyTooLarge));
    }

    #[test]
    fn size_lines_and_trailers_are_accepted_at_their_bounds_and_refused_over_them() {
        let limits = Limits { chunk_line_bytes_max: 5, trailer_bytes_max: 8, ..Limits::default() };
        let outcome = |bytes: &[u8]| decoded(Framing::Chunked, bytes, &limits);
        assert_eq!(outcome(b"1;a\r\nx\r\n0;b\r\nA: b\r\n\r\n").unwrap().0, b"x");
        assert_eq!(outcome(b"1;ab\r\n"), Err(RequestError::ChunkLineTooLong));
        assert_eq!(outcome(b"000000"), Err(RequestError::ChunkLineTooLong));
        assert_eq!(outcome(b"0\r\nA: bc\r\n\r\n"), Err(RequestError::TrailersTooLong));
    }
}
