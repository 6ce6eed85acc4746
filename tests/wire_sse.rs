//! Event streams: what we write, read back by a reader that follows the HTML Standard (9.2.6) to the letter; and what
//! others write, read by ours.
//!
//! The reader to the letter shares nothing with the writer, nor with our reader: what is written must come back, and
//! nothing else. Every stream that ours reads is fed whole, byte by byte, split at every point and cut short there.

use oneloop::limits::{Limits, SSE_MESSAGE_BYTES_MAX};
use oneloop::wire::sse::{
    EndOfStream, EventId, Message, Reader, SseError, comment, event, parse_event_id, retry,
};

#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/event_stream.rs"]
mod event_stream;
#[allow(dead_code, reason = "tests/properties uses more of it")]
#[path = "properties/random.rs"]
mod random;

use event_stream::{outcome, read_by_lines};

const RUN: &str = "0195a8c2-7d3e-7000-8000-00000000002a";

/// `lastEventId` and `data` of each message of a stream that this server wrote.
fn messages(stream: &[u8]) -> Vec<(String, String)> {
    let told = read_by_lines(stream);
    assert_eq!(told.strange, [""; 0]);
    assert!(told.messages.iter().all(|told| told.message.event.is_empty()), "no type is written");
    told.messages.into_iter().map(|told| (told.last_id, told.message.data)).collect()
}

// --- The writer ---------------------------------------------------------------------------------------------------

#[test]
fn an_event_comes_back_with_its_id_and_data() {
    let mut stream = Vec::new();
    event(Some(EventId { run: RUN, sequence: 1 }), r#"{"type":"token","text":"Hi"}"#, &mut stream);
    event(None, "second", &mut stream);
    let expected = [
        (format!("{RUN}-1"), r#"{"type":"token","text":"Hi"}"#.into()),
        (format!("{RUN}-1"), "second".into()),
    ];
    assert_eq!(messages(&stream), expected, "an event without an id keeps the one before");
}

#[test]
fn text_of_any_shape_comes_back_with_its_newlines_made_line_feeds() {
    for data in [
        "",
        " ",
        "  two spaces before",
        "\n",
        "\r",
        "\r\n",
        "\n\r",
        "\r\r\n\n",
        "a\n",
        "\na",
        "a\n\nb",
        "a\r\rb",
        "data: x\n\nid: 7\nevent: y\nretry: 1\n: z",
        ":",
        "\u{feff}bom",
        "日本\n語",
        "\0",
    ] {
        let mut stream = Vec::new();
        event(None, data, &mut stream);
        let expected = data.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(messages(&stream), [(String::new(), expected)], "{data:?}");
    }
}

#[test]
fn comments_and_waits_tell_a_reader_no_message() {
    let mut stream = Vec::new();
    comment("", &mut stream);
    comment("data: no\r\ndata: nor this\rid: 1", &mut stream);
    retry(2_500, &mut stream);
    let told = read_by_lines(&stream);
    assert_eq!(
        (told.messages, told.retry_ms, told.strange, told.end),
        (vec![], Some(2_500), vec![], EndOfStream::Clean)
    );
}

#[test]
fn a_heartbeat_between_events_changes_neither() {
    let mut stream = Vec::new();
    event(None, "one", &mut stream);
    comment("still here", &mut stream);
    event(None, "two", &mut stream);
    let data: Vec<_> = messages(&stream).into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, ["one", "two"]);
}

#[test]
fn a_frame_cut_short_tells_nothing() {
    let mut stream = Vec::new();
    event(Some(EventId { run: RUN, sequence: 9 }), "a\nb", &mut stream);
    for cut in 0..stream.len() {
        assert_eq!(messages(&stream[..cut]), [], "cut at {cut}");
    }
    assert_eq!(messages(&stream).len(), 1);
}

#[test]
fn frames_are_appended_behind_what_is_there() {
    let mut stream = b"before".to_vec();
    event(Some(EventId { run: RUN, sequence: 0 }), "x", &mut stream);
    assert_eq!(stream, format!("beforeid: {RUN}-0\ndata: x\n\n").into_bytes());
}

#[test]
fn an_id_that_a_reader_gives_back_names_the_event_it_came_with() {
    for sequence in [0, 1, 9, 10, 1 << 32, u64::MAX] {
        let mut stream = Vec::new();
        event(Some(EventId { run: RUN, sequence }), "", &mut stream);
        let (id, _) = &messages(&stream)[0];
        assert_eq!(parse_event_id(id), Some((RUN, sequence)));
    }
}

// --- The reader ---------------------------------------------------------------------------------------------------

/// A stream, and the type and data of each message in it.
type Stream = (&'static [u8], &'static [(&'static str, &'static str)]);

/// Each ends where a message or a line ends, so that nothing is left behind.
const STREAMS: &[Stream] = &[
    (b"", &[]),
    (b"data: a\n\n", &[("", "a")]),
    (b"data:a\n\n", &[("", "a")]),
    (b"data:  a \n\n", &[("", " a ")]),
    (b"data:\ta\n\n", &[("", "\ta")]),
    (b"data\n\n", &[("", "")]),
    (b"data:\n\n", &[("", "")]),
    (b"data: \n\n", &[("", "")]),
    (b"data\ndata\n\n", &[("", "\n")]),
    (b"data: a\ndata: b\n\n", &[("", "a\nb")]),
    (b"data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]),
    // The examples of the standard.
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", &[("", "YHOO\n+2\n10")]),
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        &[("", "first event"), ("", "second event"), ("", " third event")],
    ),
    (b"data\n\ndata\ndata\n\n", &[("", ""), ("", "\n")]),
    (b"data:test\n\ndata: test\n\n", &[("", "test"), ("", "test")]),
    // Line ends.
    (b"data: a\r\n\r\n", &[("", "a")]),
    (b"data: a\r\r", &[("", "a")]),
    (b"data: a\n\r\n", &[("", "a")]),
    (b"data: a\r\n\n", &[("", "a")]),
    (b"data: a\r\ndata: b\rdata: c\n\r", &[("", "a\nb\nc")]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
    (b"\n\r\n\r\n\n\r\rdata: a\n\n\n\n", &[("", "a")]),
    // Comments and other fields.
    (b": a\n:\n::data: b\n\n", &[]),
    (b"data: a\n: data: b\ndata: c\n\n", &[("", "a\nc")]),
    (b"id: 1\nretry: 10\ndata: a\n\n", &[("", "a")]),
    (b"Data: a\ndata : b\n data: c\ndatas: d\ndat\n\n", &[]),
    (b"{\"error\":{\"message\":\"no\"}}\n", &[]),
    (b"data: a: b\n\n", &[("", "a: b")]),
    (b"data: a\0b\n\n", &[("", "a\0b")]),
    // Types.
    (b"event: x\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
    (b"event: x\nevent: y\ndata: a\n\n", &[("y", "a")]),
    (b"event: x\nevent\ndata: a\n\n", &[("", "a")]),
    (b"event: x\n\ndata: a\n\n", &[("", "a")]),
    (b"data: a\nevent: x\n\n", &[("x", "a")]),
    // Characters.
    (b"\xef\xbb\xbfdata: a\n\n", &[("", "a")]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", &[]),
    (b"\n\xef\xbb\xbfdata: a\n\n", &[]),
    (b"\xef\xbb\xbf\ndata: a\n\n", &[("", "a")]),
    (b"\xef\xbbdata: a\n\ndata: b\n\n", &[("", "b")]),
    (b"data: \xef\xbb\xbfa\n\n", &[("", "\u{feff}a")]),
    (b"data: \xe6\x97\xa5\xf0\x9f\x98\x80\n\n", &[("", "日😀")]),
    (b"data: \xe6\x97\ndata: \xa5\xff\n\n", &[("", "\u{fffd}\n\u{fffd}\u{fffd}")]),
    (b"data: \xc0\xaf\xed\xa0\x80\n\n", &[("", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}")]),
    // What model servers send.
    (
        b": OPENROUTER PROCESSING\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n",
        &[("", "{\"choices\":[]}"), ("", "[DONE]")],
    ),
    (b"event: error\ndata: {\"error\":\"full\"}\n\n", &[("error", "{\"error\":\"full\"}")]),
];

const BOUND: usize = SSE_MESSAGE_BYTES_MAX;

fn owned(messages: &[(&str, &str)]) -> Vec<Message> {
    let owned = |(event, data): &(&str, &str)| Message { event: event.to_string(), data: data.to_string() };
    messages.iter().map(owned).collect()
}

#[test]
fn every_stream_is_read_as_it_was_meant_by_both_readers() {
    for (stream, expected) in STREAMS {
        let name = stream.escape_ascii();
        assert_eq!(outcome(&[stream], BOUND), (owned(expected), Ok(EndOfStream::Clean)), "{name}");
        let by_lines: Vec<_> = read_by_lines(stream).messages.into_iter().map(|told| told.message).collect();
        assert_eq!(by_lines, owned(expected), "{name}");
    }
}

#[test]
fn no_cut_changes_what_is_read() {
    for (stream, _) in STREAMS {
        let whole = outcome(&[stream], BOUND);
        let dripped: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(outcome(&dripped, BOUND), whole, "{}: byte by byte", stream.escape_ascii());
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            assert_eq!(outcome(&[before, after], BOUND), whole, "{}: split at {cut}", stream.escape_ascii());
        }
    }
}

#[test]
fn a_stream_cut_short_tells_its_whole_messages_and_drops_the_half_one() {
    for (stream, expected) in STREAMS {
        for cut in 0..stream.len() {
            let (told, end) = outcome(&[&stream[..cut]], BOUND);
            let by_lines = read_by_lines(&stream[..cut]);
            assert_eq!(told, owned(&expected[..told.len()]), "{}: cut at {cut}", stream.escape_ascii());
            assert_eq!(told.len(), by_lines.messages.len(), "{}: cut at {cut}", stream.escape_ascii());
            assert_eq!(end, Ok(by_lines.end), "{}: cut at {cut}", stream.escape_ascii());
        }
    }
}

#[test]
fn the_end_is_clean_between_messages_alone() {
    let end = |stream: &[u8]| outcome(&[stream], BOUND).1;
    for clean in ["", "data: a\n\n", "data: a\r\r", "data: a\r\n\r\n", ": a\n", "id: 1\n"] {
        assert_eq!(end(clean.as_bytes()), Ok(EndOfStream::Clean), "{clean:?}");
    }
    for half in ["data: a\n", "data\n", "event: a\n", "data: a", "d", ": a", "data: a\n\n:"] {
        assert_eq!(end(half.as_bytes()), Ok(EndOfStream::MidMessage), "{half:?}");
    }
}

#[test]
fn what_our_writer_writes_our_reader_reads() {
    let mut stream = Vec::new();
    retry(1, &mut stream);
    event(Some(EventId { run: RUN, sequence: 1 }), "a\nb\r\n", &mut stream);
    comment("still here", &mut stream);
    event(None, "", &mut stream);
    assert_eq!(outcome(&[&stream], BOUND).0, owned(&[("", "a\nb\n"), ("", "")]));
}

#[test]
fn a_message_of_exactly_its_bound_is_read_and_a_longer_one_is_not() {
    let too_long = Err(SseError::MessageTooLong);
    // The longest that is held: what is kept of the lines before, and the last one whole.
    for (stream, held) in [
        (&b"data: 89\n\n"[..], 8),
        (b"data: 89\r\n\r\n", 8),
        (b"data: a\ndata: b\n\n", 9),
        (b"event: ab\ndata: b\n\n", 9),
        (b"event: abcdef\nevent: a\ndata: b\n\n", 14),
        (b"data: \xff\xff\xff\n\n", 10),
        (b": a comment of 18.\n\n", 18),
    ] {
        let (told, end) = outcome(&[stream], held);
        let is_comment = stream[0] == b':';
        assert_eq!((told.len(), end), (usize::from(!is_comment), Ok(EndOfStream::Clean)));
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            assert_eq!(outcome(&[before, after], held - 1), (vec![], too_long), "{}", stream.escape_ascii());
        }
    }
}

#[test]
fn messages_before_one_that_is_too_long_are_told_and_none_behind_it() {
    let stream = b"data: a\n\ndata: too long a line\n\ndata: b\n\n";
    assert_eq!(outcome(&[stream], 10), (owned(&[("", "a")]), Err(SseError::MessageTooLong)));
}

#[test]
fn short_messages_without_end_are_never_too_long() {
    let stream = b"event: x\ndata: a\n: b\n\n".repeat(100);
    assert_eq!(outcome(&[&stream], 12).0.len(), 100);
}

#[test]
fn a_message_is_told_as_soon_as_its_blank_line_begins() {
    let (mut reader, limits) = (Reader::new(), Limits::default());
    let told = reader.receive(b"data: a\r\n\r", &limits).unwrap();
    assert_eq!((told.consumed, told.event), (10, Some(Message { event: String::new(), data: "a".into() })));
    let next = reader.receive(b"\ndata: b", &limits).unwrap();
    assert_eq!((next.consumed, next.event), (8, None), "the line feed that was cut off ends nothing more");
    assert_eq!(reader.end_of_input(), EndOfStream::MidMessage);
}
