//! A model's reply out of the pieces of its stream, in the dialects that servers speak.

use oneloop::agent::model::{Deltas, Finish, ModelReply, ReplyError, ToolCall, Usage, error_message};
use oneloop::limits::Limits;

/// The reply that these pieces make, with all text and all reasoning that was told on the way.
fn heard_within(limits: &Limits, pieces: &[&str]) -> (Result<ModelReply, ReplyError>, String, String) {
    let mut deltas = Deltas::new(limits);
    let (mut text, mut reasoning) = (String::new(), String::new());
    for piece in pieces {
        if let Ok(Some(delta)) = deltas.receive(piece) {
            assert!(!delta.text.is_empty() || !delta.reasoning.is_empty(), "a delta of nothing is told");
            text.push_str(&delta.text);
            reasoning.push_str(&delta.reasoning);
        }
        assert_eq!(deltas.content(), text, "what is kept is what was told");
    }
    (deltas.finish(), text, reasoning)
}

fn heard(pieces: &[&str]) -> Result<ModelReply, ReplyError> {
    heard_within(&Limits::default(), pieces).0
}

fn reply(pieces: &[&str]) -> ModelReply {
    heard(pieces).unwrap_or_else(|error| panic!("{error:?} for {pieces:?}"))
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}

/// A piece with these tool calls.
fn calling(calls: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}},"finish_reason":null}}]}}"#)
}

fn calls_of(pieces: &[&str]) -> Vec<ToolCall> {
    let pieces: Vec<String> = pieces.iter().map(|piece| calling(piece)).collect();
    let mut pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    pieces.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#);
    let reply = reply(&pieces);
    assert_eq!(reply.finish, if reply.tool_calls.is_empty() { Finish::Stop } else { Finish::ToolCalls });
    reply.tool_calls
}

fn content(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{text:?}}},"finish_reason":null}}]}}"#)
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

// --- Text ---------------------------------------------------------------------------------------------------------

#[test]
fn openai_tells_the_role_then_text_then_why_it_stops_then_the_usage() {
    let (reply, text, reasoning) = heard_within(
        &Limits::default(),
        &[
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#,
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Mira"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" does. [1]"},"finish_reason":null}],"usage":null}"#,
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":0}}}"#,
            "[DONE]",
        ],
    );
    assert_eq!((text.as_str(), reasoning.as_str()), ("Mira does. [1]", ""));
    let usage = Some(Usage { prompt_tokens: 9, completion_tokens: 4 });
    let expected = ModelReply { content: text, tool_calls: Vec::new(), finish: Finish::Stop, usage };
    assert_eq!(reply, Ok(expected));
}

#[test]
fn reasoning_is_told_under_any_name_and_never_kept() {
    for (name, delta) in [
        ("DeepSeek", r#"{"content":null,"reasoning_content":"Hm."}"#),
        ("llama.cpp", r#"{"reasoning_content":"Hm."}"#),
        (
            "OpenRouter",
            r#"{"role":"assistant","content":"","reasoning":"Hm.","reasoning_details":[{"text":"Hm."}]}"#,
        ),
        ("both", r#"{"reasoning":"Hm.","reasoning_content":"Hm."}"#),
        ("one empty", r#"{"reasoning":"Hm.","reasoning_content":""}"#),
    ] {
        let piece = format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#);
        let (reply, text, reasoning) = heard_within(&Limits::default(), &[&piece, &content("Yes."), STOP]);
        assert_eq!((text.as_str(), reasoning.as_str()), ("Yes.", "Hm."), "{name}");
        assert_eq!(reply.map(|reply| reply.content), Ok("Yes.".to_owned()), "{name}");
    }
}

#[test]
fn content_may_be_a_list_of_parts_or_nothing() {
    for (told, expected) in [
        (r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "ab"),
        (r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"b"}]"#, "b"),
        (r#"[{"type":"text","text":null},7,"x",[]]"#, ""),
        ("null", ""),
        ("7", ""),
        ("{}", ""),
        (r#""\ud83d\ude00 \u0041""#, "😀 A"),
        (r#""a\ud83d""#, "a\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        let piece = format!(r#"{{"choices":[{{"delta":{{"content":{told}}}}}]}}"#);
        assert_eq!(reply(&[&piece, STOP]).content, expected, "{told}");
    }
}

#[test]
fn only_the_first_choice_is_heard() {
    let piece = r#"{"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"yes"}}]}"#;
    let other = r#"{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}"#;
    let reply = reply(&[piece, other, STOP]);
    assert_eq!((reply.content.as_str(), reply.finish), ("yes", Finish::Stop));
}

#[test]
fn a_message_beside_a_delta_is_no_news() {
    let piece = r#"{"choices":[{"delta":{"content":"b"},"message":{"role":"assistant","content":"ab"}}]}"#;
    assert_eq!(reply(&[&content("a"), piece, STOP]).content, "ab");
}

#[test]
fn nulls_and_unknown_fields_are_passed_over() {
    for piece in [
        "",
        "  ",
        "{}",
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[{}]}"#,
        r#"{"choices":[{"index":null,"delta":null,"finish_reason":null,"error":null}],"error":null,"usage":null}"#,
        r#"{"choices":[{"delta":{"content":null,"tool_calls":null,"reasoning":null}}],"object":null}"#,
        r#"{"choices":[{"delta":{"tool_calls":[]},"finish_reason":""}],"x":[{"y":{}}]}"#,
        r#"{"choices":[],"usage":7,"x_groq":"?","object":[]}"#,
        r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
    ] {
        let reply = reply(&[&content("a"), piece, &content("b"), STOP]);
        assert_eq!((reply.content.as_str(), reply.usage), ("ab", None), "{piece}");
    }
}

// --- Ends ---------------------------------------------------------------------------------------------------------

#[test]
fn every_reason_to_stop_is_known_or_unknown() {
    for (reason, finish) in [
        ("stop", Finish::Stop),
        ("eos", Finish::Stop),
        ("length", Finish::Length),
        ("model_length", Finish::Length),
        ("tool_calls", Finish::Stop),
        ("content_filter", Finish::ContentFilter),
        ("tired", Finish::Unknown),
    ] {
        let last = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        assert_eq!(reply(&[&content("a"), &last]).finish, finish, "{reason}");
    }
}

#[test]
fn tool_calls_are_why_it_stops_whatever_is_said() {
    let piece = calling(r#"{"index":0,"id":"a","function":{"name":"list_notes","arguments":"{}"}}"#);
    let finish_after = |last: &str| reply(&[&piece, last]).finish;
    assert_eq!(finish_after(STOP), Finish::ToolCalls);
    assert_eq!(finish_after("[DONE]"), Finish::ToolCalls);
    let cut = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    assert_eq!(finish_after(cut), Finish::Length, "the last call may be half a one");
}

#[test]
fn an_end_without_done_is_fine_behind_a_reason_to_stop_and_only_there() {
    assert_eq!(reply(&[&content("a"), STOP]).content, "a");
    let reply = reply(&[&content("a"), "[DONE]"]);
    assert_eq!((reply.content.as_str(), reply.finish), ("a", Finish::Unknown));
    assert_eq!(heard(&[&content("a")]), Err(ReplyError::CutShort));
    assert_eq!(heard(&[]), Err(ReplyError::CutShort));
}

#[test]
fn nothing_counts_behind_done() {
    assert_eq!(reply(&[&content("a"), STOP, " [DONE] ", &content("b"), "garbage"]).content, "a");
}

#[test]
fn the_usage_may_come_beside_or_behind_the_last_choice_or_from_groq() {
    for last in [
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"queue_time":0.1,"prompt_tokens":9,"completion_tokens":4}}}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"completion_tokens":4,"prompt_tokens":9},"timings":{"prompt_n":9}}"#,
    ] {
        let usage = reply(&[&content("a"), last, "[DONE]"]).usage;
        assert_eq!(usage, Some(Usage { prompt_tokens: 9, completion_tokens: 4 }), "{last}");
    }
    let odd = r#"{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":null}}"#;
    assert_eq!(reply(&[STOP, odd]).usage, Some(Usage::default()));
}

#[test]
fn a_whole_reply_is_as_good_as_a_stream() {
    let mut deltas = Deltas::new(&Limits::default());
    let told = deltas
        .whole(
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Mira.","reasoning_content":"Hm.",
            "tool_calls":[{"id":"a","type":"function","function":{"name":"list_notes","arguments":"{}"}}]},
            "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        )
        .expect("a reply");
    assert_eq!((told.text.as_str(), told.reasoning.as_str()), ("Mira.", "Hm."));
    assert!(deltas.is_over());
    let reply = deltas.finish().expect("a reply");
    assert_eq!(reply.tool_calls, [call("a", "list_notes", "{}")]);
    assert_eq!((reply.content.as_str(), reply.finish), ("Mira.", Finish::ToolCalls));

    let mut deltas = Deltas::new(&Limits::default());
    let told = deltas.whole(r#"{"choices":[{"index":1,"message":{"content":"a"},"finish_reason":"stop"}]}"#);
    assert_eq!(told.map(|delta| delta.text), Ok("a".to_owned()), "Gemini counts from 1");

    for no_reply in ["", "{}", "[]", "hello", r#"{"choices":[]}"#, r#"{"choices":[{"message":7}]}"#] {
        let mut deltas = Deltas::new(&Limits::default());
        assert_eq!(deltas.whole(no_reply), Err(ReplyError::Unreadable), "{no_reply}");
        assert_eq!(deltas.finish(), Err(ReplyError::Unreadable), "{no_reply}");
    }
}

// --- Tool calls ---------------------------------------------------------------------------------------------------

#[test]
fn openai_streams_the_arguments_of_each_call_by_its_index() {
    let calls = calls_of(&[
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"read_note","arguments":""}}"#,
        r#"{"index":0,"function":{"arguments":"{\"path\""}}"#,
        r#"{"index":0,"function":{"arguments":":\"a.md\"}"}}"#,
        r#"{"index":1,"id":"call_b","type":"function","function":{"name":"list_notes","arguments":""}}"#,
        r#"{"index":1,"function":{"arguments":"{}"}},{"index":0,"function":{"arguments":" "}}"#,
    ]);
    let expected = [call("call_a", "read_note", r#"{"path":"a.md"} "#), call("call_b", "list_notes", "{}")];
    assert_eq!(calls, expected);
}

#[test]
fn whole_calls_come_in_one_piece_with_or_without_an_index() {
    let expected =
        [call("a", "read_note", r#"{"path":"a.md"}"#), call("b", "read_note", r#"{"path":"b.md"}"#)];
    for (name, pieces) in [
        (
            "Mistral",
            &[
                r#"{"id":"a","function":{"name":"read_note","arguments":"{\"path\":\"a.md\"}"},"index":0},{"id":"b","function":{"name":"read_note","arguments":"{\"path\":\"b.md\"}"},"index":1}"#,
            ][..],
        ),
        (
            "no index",
            &[
                r#"{"id":"a","function":{"name":"read_note","arguments":"{\"path\":\"a.md\"}"}},{"id":"b","function":{"name":"read_note","arguments":"{\"path\":\"b.md\"}"}}"#,
            ],
        ),
        (
            "the same index, as Ollama and Gemini did",
            &[
                r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":"{\"path\":\"a.md\"}"}}"#,
                r#"{"index":0,"id":"b","function":{"name":"read_note","arguments":"{\"path\":\"b.md\"}"}}"#,
            ],
        ),
        (
            "no index, in pieces by id",
            &[
                r#"{"id":"a","function":{"name":"read_note","arguments":"{\"path\":"}}"#,
                r#"{"id":"a","function":{"name":"read_note","arguments":"\"a.md\"}"}}"#,
                r#"{"id":"b","function":{"name":"read_note","arguments":""}}"#,
                r#"{"id":"","function":{"name":"","arguments":"{\"path\":\"b.md\"}"}}"#,
            ],
        ),
        (
            "the same index and an id in each piece, as SGLang did",
            &[
                r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":""}}"#,
                r#"{"index":0,"id":"a","function":{"name":null,"arguments":"{\"path\":\"a.md\"}"}}"#,
                r#"{"index":0,"id":"b","function":{"name":"read_note","arguments":""}}"#,
                r#"{"index":0,"id":"b","function":{"name":null,"arguments":"{\"path\":\"b.md\"}"}}"#,
            ],
        ),
        (
            "the same index and an id in the first, as vLLM did",
            &[
                r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":""}}"#,
                r#"{"index":0,"id":"","function":{"name":null,"arguments":"{\"path\":\"a.md\"}"}}"#,
                r#"{"index":0,"id":"b","function":{"name":"read_note","arguments":""}}"#,
                r#"{"index":0,"id":"","function":{"name":null,"arguments":"{\"path\":\"b.md\"}"}}"#,
            ],
        ),
        (
            "an object for arguments",
            &[
                r#"{"id":"a","function":{"name":"read_note","arguments":{"path":"a.md"}}},{"id":"b","function":{"name":"read_note","arguments":{"path":"b.md"}}}"#,
            ],
        ),
    ] {
        assert_eq!(calls_of(pieces), expected, "{name}");
    }
}

#[test]
fn a_call_without_an_id_gets_one_of_its_own() {
    let whole = r#"{"index":0,"id":"","function":{"name":"list_notes","arguments":"{}"}}"#;
    assert_eq!(
        calls_of(&[whole, whole]),
        [call("call_1", "list_notes", "{}"), call("call_2", "list_notes", "{}")],
        "Gemini: one index for all, no ids"
    );
    let unnumbered =
        r#"{"function":{"name":"list_notes"}},{"id":null,"function":{"name":"list_notes","arguments":null}}"#;
    assert_eq!(calls_of(&[unnumbered]), [call("call_1", "list_notes", ""), call("call_2", "list_notes", "")]);
    let doubled = r#"{"index":0,"id":"call_1","function":{"name":"a"}},{"index":1,"id":"call_1","function":{"name":"b"}},{"index":2,"id":"call_2","function":{"name":"c"}}"#;
    assert_eq!(
        calls_of(&[doubled]),
        [call("call_1", "a", ""), call("call_3", "b", ""), call("call_2", "c", "")]
    );
    assert_eq!(calls_of(&[r#"{"id":17,"function":{"name":"a"}}"#]), [call("17", "a", "")]);
}

#[test]
fn an_id_or_a_name_that_is_said_again_is_said_once() {
    let expected = [call("a", "read_note", r#"{"path":"a.md"}"#)];
    for (name, id, function_name) in [
        ("both again", r#""a""#, r#""read_note""#),
        ("both empty", r#""""#, r#""""#),
        ("both null", "null", "null"),
        ("another id in each piece", r#""b""#, "null"),
    ] {
        let first = r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":"{\"path\":"}}"#;
        let second = format!(
            r#"{{"index":0,"id":{id},"function":{{"name":{function_name},"arguments":"\"a.md\"}}"}}}}"#
        );
        assert_eq!(calls_of(&[first, &second]), expected, "{name}");
    }
}

#[test]
fn arguments_that_are_said_whole_again_are_said_once() {
    let whole = r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":"{\"path\":\"a.md\"}"}}"#;
    assert_eq!(calls_of(&[whole, whole]), [call("a", "read_note", r#"{"path":"a.md"}"#)]);
    let empty = r#"{"index":0,"id":"a","function":{"name":"read_note","arguments":{}}}"#;
    let rest = r#"{"index":0,"function":{"arguments":"{\"path\":"}},{"index":0,"function":{"arguments":"\"a.md\"}"}}"#;
    assert_eq!(calls_of(&[empty, rest]), [call("a", "read_note", r#"{"path":"a.md"}"#)]);
}

#[test]
fn calls_beyond_the_bound_are_left_out_with_all_their_pieces() {
    let limits = Limits { tool_calls_max: 1, ..Limits::default() };
    let pieces = [
        calling(r#"{"index":0,"id":"a","function":{"name":"list_notes","arguments":"{}"}}"#),
        calling(r#"{"index":1,"id":"b","function":{"name":"read_note","arguments":""}}"#),
        calling(r#"{"index":1,"function":{"arguments":"{\"path\""}}"#),
        calling(r#"{"function":{"arguments":":1}"}}"#),
        STOP.to_owned(),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let reply = heard_within(&limits, &pieces).0.expect("a reply");
    assert_eq!(reply.tool_calls, [call("a", "list_notes", "{}")]);
}

// --- Errors -------------------------------------------------------------------------------------------------------

#[test]
fn an_error_in_the_middle_ends_it_in_the_servers_words() {
    for (name, piece) in [
        ("OpenAI", r#"{"error":{"message":"Out of\nluck.","type":"server_error","param":null,"code":null}}"#),
        ("llama.cpp", r#"{"error":{"code":500,"message":"Out of luck.","type":"server_error"}}"#),
        ("Ollama", r#"{"error":"Out of luck."}"#),
        ("vLLM", r#"{"object":"error","message":"Out of luck.","type":"BadRequestError","code":400}"#),
        (
            "OpenRouter",
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"Out of luck."}}"#,
        ),
        ("beside the choice", r#"{"choices":[{"delta":{},"error":{"code":502,"message":"Out of luck."}}]}"#),
    ] {
        let expected = Err(ReplyError::Server("Out of luck.".to_owned()));
        assert_eq!(heard(&[&content("a"), piece, STOP, "[DONE]"]), expected, "{name}");
    }
    let told = heard(&[r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#]).expect_err("an error");
    assert_eq!(told.to_string(), "the model server ended its answer with an error");
}

#[test]
fn what_is_no_piece_breaks_the_reply_for_good() {
    for piece in [
        "hello",
        "[1]",
        "7",
        "null",
        "{",
        r#"{"choices":[{"delta":{"content":"a"}}]"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[7]}"#,
        r#"{"choices":[{"delta":[]}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":{}}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[7]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":"f"}]}}]}"#,
    ] {
        assert_eq!(heard(&[piece, STOP, "[DONE]"]), Err(ReplyError::Unreadable), "{piece}");
    }
}

#[test]
fn a_reply_of_any_kind_is_bounded() {
    let limits = Limits { model_answer_bytes_max: 100, ..Limits::default() };
    for piece in [
        content("0123456789"),
        r#"{"choices":[{"delta":{"reasoning":"0123456789"}}]}"#.to_owned(),
        calling(r#"{"index":0,"function":{"arguments":"0123456789"}}"#),
        calling(r#"{"index":0,"function":{"arguments":{"a":9012}}}"#),
        calling(r#"{"id":"0123456789"}"#),
        calling(r#"{"index":0,"function":{"name":"0123456789"}}"#),
    ] {
        let mut pieces = vec![piece.as_str(); 10];
        pieces.push(STOP);
        assert!(heard_within(&limits, &pieces).0.is_ok(), "{piece}: at its bound");
        pieces.insert(0, &piece);
        assert_eq!(heard_within(&limits, &pieces).0, Err(ReplyError::TooLong), "{piece}: over it");
    }
}

#[test]
fn json_a_hundred_thousand_deep_is_not_followed() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for piece in [
            deep.clone(),
            format!(r#"{{"error":{deep}}}"#),
            format!(r#"{{"choices":{deep}}}"#),
            format!(r#"{{"choices":[{{"delta":{{"content":{deep}}}}}]}}"#),
            calling(&format!(r#"{{"function":{{"arguments":{deep}}}}}"#)),
        ] {
            let _ = heard(&[&piece, STOP]);
            assert!(error_message(piece.as_bytes(), 100).len() <= 100);
        }
    }
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    for (body, message) in [
        (r#"{"error":{"message":"Bad key.","type":"invalid_request_error"}}"#, "Bad key."),
        (r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, "Loading model"),
        (
            r#"{"error":"model \"x\" not found, try pulling it first"}"#,
            "model \"x\" not found, try pulling it first",
        ),
        (r#"{"object":"error","message":"Too long.","code":400}"#, "Too long."),
        (r#"{"message":"no Route matched"}"#, "no Route matched"),
        (r#"{"detail":"Not Found"}"#, "Not Found"),
        (r#"{"detail":[{"loc":["body"],"msg":"Field required"}]}"#, "Field required"),
        (r#"{"object":"error","message":{"detail":[{"msg":"Extra inputs"}]}}"#, "Extra inputs"),
        (r#"[{"error":{"code":400,"message":"API key not valid."}}]"#, "API key not valid."),
        (r#"{"error":null,"message":"m"}"#, "m"),
        ("  Internal\r\n\tServer  Error\n", "Internal Server Error"),
        ("<html><head><title>502 Bad\nGateway</title></head><body>…", "502 Bad Gateway"),
        ("<html>", ""),
        ("", ""),
        ("{\"error\":{\"message\":\"a\\u0000b\\u001b[31m\"}}", "a b [31m"),
        (r#"{"error":7}"#, "7"),
    ] {
        assert_eq!(error_message(body.as_bytes(), 400), message, "{body}");
    }
    assert_eq!(error_message(b"a\xff", 400), "a\u{fffd}");
    assert_eq!(error_message("é".repeat(900).as_bytes(), 20), format!("{}…", "é".repeat(8)));
    assert_eq!(error_message(b"word word word", 9), "word w…");
    assert_eq!(error_message(b"word word", 9), "word word");
    assert_eq!(error_message(b"word", 1), "");
}
