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
///                     │ ;   ▲ CR    │ LF, size = 0
///                     ▼     │       └────► InTrailers ──► Over
///       BeforeExtension ─► InExtension
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
            (Place::ExpectDataLf, b'\n') => {
                self.line_bytes = 0;
                Place::ExpectSize
            }
            (Place::ExpectDataLf, _) => return Err(RequestError::BareCarriageReturn),

            (Place::InTrailers(mut lines), byte) => match lines.receive(byte)? {
                LineEvent::Within | LineEvent::FieldBegun => Place::InTrailers(lines),
                LineEvent::SectionRead => Place::Over,
            },

            (place @ (Place::Length { .. } | Place::InData { .. } | Place::Over), _) => place,
        })
    }

    /// A size line or a trailer section of exactly its bound is accepted.
    fn count_line_byte(&mut self, limits: &Limits) -> Result<(), RequestError> {
        self.line_bytes += 1;
        match self.place {
            Place::InTrailers(_) if self.line_bytes > limits.trailer_bytes_max => {
                Err(RequestError::TrailersTooLong)
            }
            Place::ExpectSize
            | Place::InSize { .. }
            | Place::BeforeExtension { .. }
            | Place::InExtension { .. }
            | Place::ExpectSizeLf { .. }
                if self.line_bytes > limits.chunk_line_bytes_max =>
            {
                Err(RequestError::ChunkLineTooLong)
            }
            Place::InTrailers(_)
            | Place::ExpectSize
            | Place::InSize { .. }
            | Place::BeforeExtension { .. }
            | Place::InExtension { .. }
            | Place::ExpectSizeLf { .. }
            | Place::ExpectDataCr
            | Place::ExpectDataLf
            | Place::Length { .. }
            | Place::InData { .. }
            | Place::Over => Ok(()),
        }
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
