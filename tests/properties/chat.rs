//! The JSON of a chat request.

use oneloop::agent::Role;
use oneloop::app::chat::{Chat, parse};
use oneloop::app::respond::{Detail, Place, Problem};
use oneloop::app::runs::OnDisconnect;
use oneloop::limits::Limits;
use serde_json::{Value, json};

/// What is taken keeps its bounds, is what another reader of JSON finds, and is the same when it is written and read
/// again; what is not taken is told as 422 with places that are in the body; half a body is never taken.
pub fn chat_body(bytes: &[u8]) -> bool {
    let mut is_taken = false;
    let small = Limits { message_bytes_max: 10, history_turns_max: 2, ..Limits::default() };
    for limits in [small, Limits::default()] {
        match parse(bytes, &limits) {
            Ok(chat) => {
                assert_keeps_its_bounds(&chat, &limits);
                assert_is_what_stands_there(&chat, bytes);
                assert_eq!(parse(written(&chat).to_string().as_bytes(), &limits), Ok(chat), "read again");
                let cut = bytes.trim_ascii_end().split_last().map_or(&[][..], |(_, cut)| cut);
                assert!(parse(cut, &limits).is_err(), "a body is taken without its last byte");
                is_taken = true;
            }
            Err(problem) => assert_is_told(&problem, bytes),
        }
    }
    is_taken
}

fn assert_keeps_its_bounds(chat: &Chat, limits: &Limits) {
    let message = &chat.question.message;
    assert!(!message.trim().is_empty() && message.len() <= limits.message_bytes_max);
    assert!(chat.question.history.len() <= limits.history_turns_max);
}

/// A general reader finds the same. In a field that we pass over it may meet what it can't hold, and we need not: an
/// array too deep, a number too large, half a surrogate pair.
fn assert_is_what_stands_there(chat: &Chat, bytes: &[u8]) {
    assert!(std::str::from_utf8(bytes).is_ok(), "bytes are taken that are no JSON");
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            let why = error.to_string();
            let is_spared = ["recursion limit", "number out of range", "hex escape"];
            assert!(is_spared.iter().any(|spared| why.contains(spared)), "a general reader finds: {why}");
            return;
        }
    };
    let mut expected = written(chat);
    for field in ["message", "conversation_history", "on_disconnect"] {
        let told = expected[field].take();
        match &value[field] {
            Value::Null => assert!(matches!(&told, Value::Null) || told == json!([]), "{field} is made up"),
            Value::Array(turns) => assert_turns_are_the_same(turns, &told),
            there => assert_eq!(&told, there, "{field} is another"),
        }
    }
}

/// Turns may have fields that are passed over.
fn assert_turns_are_the_same(turns: &[Value], told: &Value) {
    assert_eq!(told.as_array().map(Vec::len), Some(turns.len()), "a turn is lost");
    for (index, turn) in turns.iter().enumerate() {
        for field in ["role", "content"] {
            assert_eq!(told[index][field], turn[field], "turn {index} is another");
        }
    }
}

/// The request as a client would write it.
fn written(chat: &Chat) -> Value {
    let history: Vec<Value> = chat
        .question
        .history
        .iter()
        .map(|turn| {
            let role = match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System => "system",
            };
            json!({"role": role, "content": turn.content})
        })
        .collect();
    let on_disconnect = chat.on_disconnect.map(|wish| match wish {
        OnDisconnect::Cancel => "cancel",
        OnDisconnect::Continue => "continue",
    });
    json!({"message": chat.question.message, "conversation_history": history, "on_disconnect": on_disconnect})
}

fn assert_is_told(problem: &Problem, bytes: &[u8]) {
    assert_eq!((problem.status, problem.allow, problem.retry_after), (422, None, None));
    let Detail::Fields(fields) = &problem.detail else { panic!("not a validation error: {problem:?}") };
    assert!((1..=3).contains(&fields.len()), "one wrong field each is told");
    for field in fields {
        assert_eq!(field.loc.first(), Some(&Place::Name("body")));
        assert!(field.kind.is_ascii() && !field.msg.is_empty());
        for place in &field.loc {
            assert!(!matches!(place, Place::Index(at) if *at > bytes.len()), "{place:?} is behind the body");
        }
    }
    let mut body = Vec::new();
    problem.write(&mut body);
    let told: Value = serde_json::from_slice(&body).expect("a problem is told in JSON");
    assert_eq!(told["detail"].as_array().map(Vec::len), Some(fields.len()));
}
