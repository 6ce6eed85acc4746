//! Event-stream frames, read back by a reader that follows the HTML Standard (9.2.6) to the letter.
//!
//! The reader is this file's own and shares nothing with the writer: what is written must come back, and nothing else.

use oneloop::wire::sse::{EventId, comment, event, parse_event_id, retry};

const RUN: &str = "0195a8c2-7d3e-7000-8000-00000000002a";

/// What an `EventSource` would be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Told {
    /// `lastEventId` and `data` of each message.
    messages: Vec<(String, String)>,
    retry_ms: Option<u64>,
    /// Names of fields that a reader does not know, or that this server never writes.
    strange: Vec<String>,
}

fn read(stream: &[u8]) -> Told {
    let text = std::str::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    let mut told = Told::default();
    let (mut last_id, mut data) = (String::new(), String::new());
    // What stands behind the last line end is no line yet, so it is not interpreted.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in complete.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                if let Some(message) = data.strip_suffix('\n') {
                    told.messages.push((last_id.clone(), message.to_string()));
                }
                data.clear();
            }
            "" => {}
            "data" => data.extend([value, "\n"]),
            "id" => last_id = value.to_string(),
            "retry" => told.retry_ms = value.parse().ok(),
            other => told.strange.push(other.to_string()),
        }
    }
    told
}

fn messages(stream: &[u8]) -> Vec<(String, String)> {
    let told = read(stream);
    assert_eq!(told.strange, [""; 0]);
    told.messages
}

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
    let told = read(&stream);
    assert_eq!(told, Told { retry_ms: Some(2_500), ..Told::default() });
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
