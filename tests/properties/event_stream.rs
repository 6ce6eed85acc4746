//! A stream of events: a reader that is written another way tells the same messages.
//!
//! That reader also reads what our writer writes, in `tests/wire_sse.rs`.

use oneloop::limits::Limits;
use oneloop::wire::sse::{EndOfStream, Message, Reader, SseError};

use super::random::Random;

/// Cuts change nothing; what is told is what [`read_by_lines`] tells; and with a small bound it is the beginning of that,
/// in messages that keep the bound.
pub fn event_stream(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let expected = read_by_lines(bytes);
    let messages: Vec<Message> = expected.messages.iter().map(|told| told.message.clone()).collect();
    for bound in [24, Limits::default().sse_message_bytes_max] {
        let whole = outcome(&[bytes], bound);
        let dripped: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(outcome(&dripped, bound), whole, "byte by byte");
        let pieces = random.cut(bytes, 16);
        assert_eq!(outcome(&pieces, bound), whole, "in pieces");

        let (told, end) = whole;
        assert_eq!(Some(&told[..]), messages.get(..told.len()), "another reader tells another message");
        assert!(told.iter().all(|message| message.event.len() + message.data.len() <= bound));
        match end {
            Ok(end) => {
                assert_eq!((told.len(), end), (messages.len(), expected.end), "another reader reads on");
            }
            Err(SseError::MessageTooLong) => assert!(bytes.len() > bound / 3, "a short stream is too long"),
        }
    }
    !messages.is_empty()
}

/// What is told of a stream that comes in these pieces, and what its end means.
pub fn outcome(pieces: &[&[u8]], bound: usize) -> (Vec<Message>, Result<EndOfStream, SseError>) {
    let limits = Limits { sse_message_bytes_max: bound, ..Limits::default() };
    let (mut reader, mut told) = (Reader::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.receive(rest, &limits) {
                Ok(step) => {
                    assert!(step.event.is_some() || step.consumed == rest.len(), "a byte is left lying");
                    told.extend(step.event);
                    rest = rest.get(step.consumed..).expect("no more is consumed than was given");
                }
                Err(error) => {
                    assert_eq!(reader.receive(b"\n\n", &limits), Err(error), "it was broken and is mended");
                    return (told, Err(error));
                }
            }
        }
    }
    (told, Ok(reader.end_of_input()))
}

/// What an `EventSource` would be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub messages: Vec<ToldMessage>,
    pub retry_ms: Option<u64>,
    /// Names of fields that a reader does not know.
    pub strange: Vec<String>,
    /// What it means that nothing follows.
    pub end: EndOfStream,
}

/// A message and the `lastEventId` that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldMessage {
    pub last_id: String,
    pub message: Message,
}

/// The HTML Standard, 9.2.6, to the letter: from the whole stream, decoded first.
pub fn read_by_lines(stream: &[u8]) -> Told {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut told =
        Told { messages: Vec::new(), retry_ms: None, strange: Vec::new(), end: EndOfStream::Clean };
    let (mut last_id, mut message) = (String::new(), Message::default());
    // What stands behind the last line end is no line yet, so it is not interpreted.
    let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
    for line in complete.split_terminator('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let Message { event, data } = std::mem::take(&mut message);
                if let Some(data) = data.strip_suffix('\n') {
                    let message = Message { event, data: data.to_string() };
                    told.messages.push(ToldMessage { last_id: last_id.clone(), message });
                }
            }
            "" => {}
            "data" => message.data.extend([value, "\n"]),
            "event" => message.event = value.to_string(),
            "id" => last_id = value.to_string(),
            "retry" => told.retry_ms = value.parse().ok(),
            other => told.strange.push(other.to_string()),
        }
    }
    let is_line_cut = !matches!(stream.last(), None | Some(b'\r' | b'\n'));
    if is_line_cut || message != Message::default() {
        told.end = EndOfStream::MidMessage;
    }
    told
}
