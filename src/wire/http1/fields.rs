//! The lines of a field section, byte by byte: header fields and trailer fields are checked by the same machine.
//!
//! It keeps no text. It says where lines end and refuses what a stricter or laxer reader might take for a line end,
//! a name or a fold.

use memchr::memchr;

use super::error::RequestError;
use crate::limits::{HEADER_FIELDS_MAX, Limits};

/// A byte of a token: a method, a field name, a coding (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A byte of a field value: visible, space, tab, or obs-text, which is passed on unread (RFC 9110 §5.5).
pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Text that is a token, and so not empty.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// What a byte that may not stand here is called.
pub(super) fn misplaced(byte: u8, otherwise: RequestError) -> RequestError {
    match byte {
        b'\n' => RequestError::BareLineFeed,
        // An end of line in the middle of something: what is missing says more than the byte does.
        b'\r' => otherwise,
        b'\t' | b' '..=0x7e | 0x80..=0xff => otherwise,
        0..=0x1f | 0x7f => RequestError::ControlByte,
    }
}

/// Spaces and tabs cut off both ends (the `OWS` of RFC 9110 §5.6.3).
pub(super) fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What a byte finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEvent {
    /// Nothing yet.
    Within,
    /// This byte is the first of a field's name.
    FieldBegun,
    /// This byte ended the empty line that ends the section.
    SectionRead,
}

/// Where in a field section the next byte belongs.
///
/// ```text
///               token           ':'            CR             LF
/// ExpectField ─────────► InName ────► InValue ────► ExpectLf ────► ExpectField
///      │ CR                           value byte ↺
///      └────► ExpectLastLf ─LF─► ExpectField (SectionRead)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldLines {
    ExpectField,
    InName,
    InValue,
    ExpectLf,
    ExpectLastLf,
}

impl FieldLines {
    /// Takes one byte.
    ///
    /// # Errors
    /// [`RequestError`], at the first byte that can't belong to a field section.
    pub(super) fn receive(&mut self, byte: u8) -> Result<LineEvent, RequestError> {
        let (next, event) = match (*self, byte) {
            (FieldLines::ExpectField, b'\r') => (FieldLines::ExpectLastLf, LineEvent::Within),
            (FieldLines::ExpectField, b' ' | b'\t') => return Err(RequestError::FoldedField),
            (FieldLines::ExpectField, byte) if is_token_byte(byte) => {
                (FieldLines::InName, LineEvent::FieldBegun)
            }
            (FieldLines::ExpectField, byte) => return Err(misplaced(byte, RequestError::BadFieldName)),

            (FieldLines::InName, b':') => (FieldLines::InValue, LineEvent::Within),
            (FieldLines::InName, b' ' | b'\t') => return Err(RequestError::SpaceBeforeColon),
            (FieldLines::InName, byte) if is_token_byte(byte) => (FieldLines::InName, LineEvent::Within),
            (FieldLines::InName, byte) => return Err(misplaced(byte, RequestError::BadFieldName)),

            (FieldLines::InValue, b'\r') => (FieldLines::ExpectLf, LineEvent::Within),
            (FieldLines::InValue, byte) if is_value_byte(byte) => (FieldLines::InValue, LineEvent::Within),
            (FieldLines::InValue, byte) => return Err(misplaced(byte, RequestError::ControlByte)),

            (FieldLines::ExpectLf, b'\n') => (FieldLines::ExpectField, LineEvent::Within),
            (FieldLines::ExpectLastLf, b'\n') => (FieldLines::ExpectField, LineEvent::SectionRead),
            (FieldLines::ExpectLf | FieldLines::ExpectLastLf, _) => {
                return Err(RequestError::BareCarriageReturn);
            }
        };
        *self = next;
        Ok(event)
    }
}

/// The field section of a head: its lines, and how many fields they are. Requests and responses have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadFields {
    lines: FieldLines,
    fields: usize,
}

impl HeadFields {
    /// Before the first byte of the section.
    pub(super) const BEGIN: HeadFields = HeadFields { lines: FieldLines::ExpectField, fields: 0 };

    /// Takes one byte, and says whether it is the last of the section.
    ///
    /// # Errors
    /// [`RequestError`], at the first byte that can't belong to a field section or that begins a field too many.
    pub(super) fn receive(&mut self, byte: u8, limits: &Limits) -> Result<bool, RequestError> {
        match self.lines.receive(byte)? {
            LineEvent::Within => Ok(false),
            LineEvent::FieldBegun if self.fields >= limits.header_fields_max.min(HEADER_FIELDS_MAX) => {
                Err(RequestError::TooManyFields)
            }
            LineEvent::FieldBegun => {
                self.fields += 1;
                Ok(false)
            }
            LineEvent::SectionRead => Ok(true),
        }
    }
}

/// Names and trimmed values of a field section that [`FieldLines`] has passed.
///
/// httparse's array of fields is 3 KiB and would travel with every head; the raw bytes are a pointer and a length.
#[derive(Debug, Clone)]
pub(super) struct FieldIter<'b> {
    rest: &'b [u8],
}

impl<'b> FieldIter<'b> {
    pub(super) fn new(section: &'b [u8]) -> FieldIter<'b> {
        FieldIter { rest: section }
    }

    /// The values of all fields of this name, in any case, in order.
    pub(super) fn named(section: &'b [u8], name: &str) -> impl Iterator<Item = &'b [u8]> {
        FieldIter::new(section)
            .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl<'b> Iterator for FieldIter<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let end = memchr(b'\r', self.rest)?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(2..)?;
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((name, trimmed(value.get(1..)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(section: &[u8]) -> Result<usize, (usize, RequestError)> {
        let mut lines = FieldLines::ExpectField;
        let mut fields = 0;
        for (position, byte) in section.iter().enumerate() {
            match lines.receive(*byte).map_err(|error| (position, error))? {
                LineEvent::Within => {}
                LineEvent::FieldBegun => fields += 1,
                LineEvent::SectionRead => return Ok(fields),
            }
        }
        Err((section.len(), RequestError::HeadTooLong))
    }

    #[test]
    fn fields_are_counted_up_to_the_empty_line() {
        assert_eq!(outcome(b"\r\n"), Ok(0));
        assert_eq!(outcome(b"A: 1\r\nB:\r\nC:\t\xff \r\n\r\nX"), Ok(3));
    }

    #[test]
    fn every_error_is_found_at_its_byte() {
        assert_eq!(outcome(b"A: 1\n"), Err((4, RequestError::BareLineFeed)));
        assert_eq!(outcome(b"A: 1\rB"), Err((5, RequestError::BareCarriageReturn)));
        assert_eq!(outcome(b"\rA"), Err((1, RequestError::BareCarriageReturn)));
        assert_eq!(outcome(b"A: \0"), Err((3, RequestError::ControlByte)));
        assert_eq!(outcome(b"A\x7f"), Err((1, RequestError::ControlByte)));
        assert_eq!(outcome(b"A :"), Err((1, RequestError::SpaceBeforeColon)));
        assert_eq!(outcome(b"A: 1\r\n\t2"), Err((6, RequestError::FoldedField)));
        assert_eq!(outcome(b": 1"), Err((0, RequestError::BadFieldName)));
        assert_eq!(outcome(b"A\r\n"), Err((1, RequestError::BadFieldName)));
        assert_eq!(outcome(b"\xc3\xa4: 1"), Err((0, RequestError::BadFieldName)));
    }

    #[test]
    fn names_and_trimmed_values_are_read_again_from_the_raw_bytes() {
        let fields: Vec<_> = FieldIter::new(b"A: 1\r\nB:\r\nC:\t x y \t\r\n\r\n").collect();
        assert_eq!(fields, [(&b"A"[..], &b"1"[..]), (b"B", b""), (b"C", b"x y")]);
    }

    #[test]
    fn a_value_of_spaces_is_empty() {
        assert_eq!(trimmed(b" \t "), b"");
    }
}
