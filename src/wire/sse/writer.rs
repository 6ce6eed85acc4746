//! Writes event-stream frames. Each is appended whole to the caller's buffer, which then leaves as one chunk.
//!
//! No `event:` line is written: a browser's `EventSource` hands frames without one to its plain `onmessage`, and the
//! type stands inside the JSON anyway.
//!
//! ```
//! use oneloop::wire::sse::{EventId, comment, event, retry};
//!
//! let mut frames = Vec::new();
//! retry(2_000, &mut frames);
//! let id = EventId { run: "0195a8c2-7d3e-7000-8000-00000000002a", sequence: 7 };
//! event(Some(id), "{\"type\":\"token\",\n\"text\":\"Hi\"}", &mut frames);
//! comment("still here", &mut frames);
//! assert_eq!(
//!     String::from_utf8(frames).unwrap(),
//!     "retry: 2000\n\n\
//!      id: 0195a8c2-7d3e-7000-8000-00000000002a-7\n\
//!      data: {\"type\":\"token\",\n\
//!      data: \"text\":\"Hi\"}\n\n\
//!      : still here\n\n"
//! );
//! ```

use memchr::memchr2;

/// Which event of which run: written as `<run>-<sequence>`, read back by [`parse_event_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId<'a> {
    /// The run's id.
    pub run: &'a str,
    /// The event's number in the run's log.
    pub sequence: u64,
}

/// Appends one event as `id` and `data` lines and a blank line.
///
/// `data` may hold newlines of any kind; each begins another `data:` line, and the reader joins them with line feeds.
/// An id that could not stand in a line is left out, as is the id of an event that needs none.
pub fn event(id: Option<EventId<'_>>, data: &str, out: &mut Vec<u8>) {
    if let Some(EventId { run, sequence }) = id
        && !run.bytes().any(|byte| byte.is_ascii_control())
    {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(run.as_bytes());
        out.push(b'-');
        push_decimal(sequence, out);
        out.push(b'\n');
    }
    push_lines(b"data: ", data, out);
    out.push(b'\n');
}

/// Appends a comment, which readers ignore: a heartbeat through proxies that cut silent connections.
pub fn comment(text: &str, out: &mut Vec<u8>) {
    push_lines(b": ", text, out);
    out.push(b'\n');
}

/// Appends the time in milliseconds that a reader waits before it connects again.
pub fn retry(millis: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"retry: ");
    push_decimal(millis, out);
    out.extend_from_slice(b"\n\n");
}

/// Each line of `text` behind `prefix`. CRLF, LF and CR end a line, as they do for the reader.
fn push_lines(prefix: &[u8], text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let end = memchr2(b'\r', b'\n', rest);
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend_from_slice(prefix);
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = match after {
            [] => return,
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => next,
        };
    }
}

fn push_decimal(mut value: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b"0123456789"[(value % 10) as usize]);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// Reads `<run>-<sequence>` from `Last-Event-ID`: the run is a UUID in its hyphenated form, the sequence a decimal
/// number as [`event`] writes it. `None` for anything else.
///
/// ```
/// use oneloop::wire::sse::parse_event_id;
///
/// let run = "0195a8c2-7d3e-7000-8000-00000000002a";
/// assert_eq!(parse_event_id(&format!("{run}-7")), Some((run, 7)));
/// assert_eq!(parse_event_id(run), None);
/// assert_eq!(parse_event_id(&format!("{run}-+7")), None);
/// ```
pub fn parse_event_id(text: &str) -> Option<(&str, u64)> {
    let (run, sequence) = text.rsplit_once('-')?;
    let is_plain = sequence == "0" || !sequence.starts_with('0');
    if !is_uuid(run) || !is_plain || !sequence.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((run, sequence.parse().ok()?))
}

const UUID_CHARS: usize = 36;

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_CHARS
        && text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(data: &str) -> String {
        let mut out = Vec::new();
        event(None, data, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_kind_of_newline_begins_a_data_line() {
        assert_eq!(written("a\nb\rc\r\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(written("a\n\r"), "data: a\ndata: \ndata: \n\n");
        assert_eq!(written("a\r\n"), "data: a\ndata: \n\n");
    }

    #[test]
    fn empty_data_is_still_an_event() {
        assert_eq!(written(""), "data: \n\n");
    }

    #[test]
    fn an_id_that_would_begin_a_line_is_left_out() {
        let mut out = Vec::new();
        event(Some(EventId { run: "a\ndata: x", sequence: 1 }), "y", &mut out);
        assert_eq!(out, b"data: y\n\n");
    }

    #[test]
    fn a_comment_can_not_become_an_event() {
        let mut out = Vec::new();
        comment("a\ndata: b", &mut out);
        assert_eq!(out, b": a\n: data: b\n\n");
    }

    #[test]
    fn the_largest_numbers_are_written_and_read() {
        let run = "0195a8c2-7d3e-7000-8000-00000000002A";
        let mut out = Vec::new();
        event(Some(EventId { run, sequence: u64::MAX }), "", &mut out);
        assert_eq!(out, format!("id: {run}-18446744073709551615\ndata: \n\n").as_bytes());
        assert_eq!(parse_event_id(&format!("{run}-18446744073709551615")), Some((run, u64::MAX)));
        assert_eq!(parse_event_id(&format!("{run}-18446744073709551616")), None);
    }

    #[test]
    fn an_id_is_read_only_in_the_form_it_is_written() {
        let run = "0195a8c2-7d3e-7000-8000-00000000002a";
        assert_eq!(parse_event_id(&format!("{run}-0")), Some((run, 0)));
        for text in [
            "".to_string(),
            "-".to_string(),
            "-7".to_string(),
            format!("{run}-"),
            format!("{run}-07"),
            format!("{run}-7 "),
            format!("{run}--7"),
            format!("{{{run}}}-7"),
            format!("{}-7", run.replace('-', "")),
            format!("{}-7", run.replace('a', "g")),
            format!("{run}-7é"),
        ] {
            assert_eq!(parse_event_id(&text), None, "{text:?}");
        }
    }
}
