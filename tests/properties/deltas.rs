//! What a model server streams.

use oneloop::agent::Writes;
use oneloop::agent::model::{
    Deltas, LengthField, Message, ModelReply, ModelRequest, ReplyError, error_message,
};
use oneloop::agent::tools::ToolUse;
use oneloop::limits::Limits;
use serde_json::Value;

/// What is told on the way is what is kept, and no more than may be; an error stays; a reply survives being recorded
/// and being told to a server again, whatever the model wrote into its calls.
///
/// Each line is the data of one event, and all of it one answer that is no stream. Bytes that are no UTF-8 are read as
/// the reader of the stream replaces them. A reply without an error counts as taken.
pub fn deltas(bytes: &[u8]) -> bool {
    let text = &*String::from_utf8_lossy(bytes);
    let small = Limits { model_answer_bytes_max: 40, tool_calls_max: 1, ..Limits::default() };
    let mut is_taken = false;
    for limits in [small, Limits::default()] {
        let lines: Vec<&str> = text.lines().collect();
        is_taken = match heard(&lines, &limits) {
            Ok(reply) => {
                assert_keeps_its_bounds(&reply, &limits);
                assert_can_be_told_again(&reply);
                true
            }
            Err(_) => false,
        };
        let mut whole = Deltas::new(&limits);
        let told = whole.whole(text);
        match (told, whole.finish()) {
            (Ok(delta), Ok(reply)) => {
                assert_eq!(delta.text, reply.content);
                assert_keeps_its_bounds(&reply, &limits);
            }
            (Err(told), Err(last)) => assert_eq!(told, last, "an error stays"),
            (told, last) => panic!("{told:?} is told, and then {last:?}"),
        }
    }
    for bytes_max in [0, 1, 2, 3, 10, 400] {
        let message = error_message(bytes, bytes_max);
        assert!(message.len() <= bytes_max, "{} bytes of {bytes_max}", message.len());
        assert!(!message.contains(char::is_control), "a message of one line: {message:?}");
    }
    is_taken
}

/// The reply, heard twice.
fn heard(lines: &[&str], limits: &Limits) -> Result<ModelReply, ReplyError> {
    let hear = || {
        let mut deltas = Deltas::new(limits);
        let mut content = String::new();
        let mut broken: Option<ReplyError> = None;
        for line in lines {
            let was_over = deltas.is_over();
            match deltas.receive(line) {
                Ok(None) => {}
                Ok(Some(delta)) => {
                    assert!(!was_over, "something is told behind the end");
                    assert!(!delta.text.is_empty() || !delta.reasoning.is_empty(), "nothing is told");
                    content.push_str(&delta.text);
                }
                Err(error) => {
                    assert!(broken.as_ref().is_none_or(|first| *first == error), "an error stays");
                    broken = Some(error);
                    continue;
                }
            }
            assert_eq!(broken, None, "a broken reply goes on");
            assert_eq!(deltas.content(), content, "what is kept is not what was told");
        }
        let reply = deltas.finish();
        match (&broken, &reply) {
            (Some(error), reply) => assert_eq!(reply.as_ref(), Err(error)),
            (None, Ok(reply)) => assert_eq!(reply.content, content),
            (None, Err(error)) => assert_eq!(*error, ReplyError::CutShort),
        }
        reply
    };
    let reply = hear();
    assert_eq!(hear(), reply, "the same pieces make another reply");
    reply
}

fn assert_keeps_its_bounds(reply: &ModelReply, limits: &Limits) {
    assert!(reply.tool_calls.len() <= limits.tool_calls_max);
    let calls = reply.tool_calls.iter();
    let bytes = calls.map(|call| call.name.len() + call.arguments.len()).sum::<usize>() + reply.content.len();
    assert!(bytes <= limits.model_answer_bytes_max, "{bytes} bytes are kept");
    for (at, call) in reply.tool_calls.iter().enumerate() {
        assert!(!call.id.is_empty() && reply.tool_calls[..at].iter().all(|other| other.id != call.id));
        if let Err(sentence) = ToolUse::parse(&call.name, &call.arguments, Writes::All, limits) {
            assert!(!sentence.contains('\n') && sentence.len() < 600, "no sentence for a model: {sentence}");
        }
    }
}

fn assert_can_be_told_again(reply: &ModelReply) {
    let record = serde_json::to_string(reply).expect("a reply is plain data");
    assert_eq!(serde_json::from_str::<ModelReply>(&record).ok().as_ref(), Some(reply), "a record lies");
    let ModelReply { content, tool_calls, .. } = reply.clone();
    let messages = vec![Message::Assistant { content, tool_calls }];
    let request = ModelRequest { messages, tools: Some(Writes::Off), answer_tokens_max: None };
    let body: Value =
        serde_json::from_str(&request.body("m", LengthField::MaxTokens)).expect("a body is JSON");
    let told = &body["messages"][0];
    assert_eq!(told["content"].as_str().unwrap_or_default(), reply.content);
    let calls = told["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(calls.len(), reply.tool_calls.len());
    for call in calls {
        let function = &call["function"];
        let name = function["name"].as_str().expect("a name");
        assert!((1..=64).contains(&name.len()) && name.is_ascii());
        let arguments = function["arguments"].as_str().expect("text");
        let value: Value = serde_json::from_str(arguments).expect("arguments that a server can read");
        assert!(value.is_object(), "a server reads {arguments} and refuses");
    }
}
