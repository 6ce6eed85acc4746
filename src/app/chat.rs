//! Questions: what a chat request may hold, and the run that it begins.

use serde_json::Value;

use crate::agent::{Question, Role, Run, Turn};
use crate::base::Key;
use crate::limits::Limits;
use crate::os::{Clock, Entropy};

use super::respond::{Detail, Invalid, Place, Problem};
use super::runs::{OnDisconnect, Runs};

/// Seconds after which a client that was refused for want of a place may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A chat request that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// What is asked, with what was said before.
    pub question: Question,
    /// What the client wants for the case that it goes away; `None` if it did not say.
    pub on_disconnect: Option<OnDisconnect>,
}

/// Reads a chat request.
///
/// # Errors
/// 422 with every field that is missing or wrong, in FastAPI's shape.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Chat, Problem> {
    let mut fields = match read_object(body) {
        Ok(fields) => fields,
        Err(invalid) => return Err(Problem::invalid(invalid)),
    };
    let mut wrong = Vec::new();
    let message = message(fields.remove("message"), limits).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        String::new()
    });
    let history = history(fields.remove("conversation_history"), &mut wrong);
    let on_disconnect = on_disconnect(fields.get("on_disconnect")).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        None
    });
    if wrong.is_empty() {
        return Ok(Chat { question: Question { message, history }, on_disconnect });
    }
    Err(Problem { status: 422, detail: Detail::Fields(wrong), allow: None, retry_after: None })
}

/// Begins the run of a question.
///
/// # Errors
/// 503 when too many wait already.
pub fn begin(
    question: &Question,
    on_disconnect: OnDisconnect,
    runs: &mut Runs,
    limits: &Limits,
    clock: &dyn Clock,
    entropy: &mut dyn Entropy,
) -> Result<Key, Problem> {
    let machine = |id| Run::new(id, question, limits);
    runs.admit(on_disconnect, clock, entropy, machine)
        .map_err(|busy| Problem::busy(busy.to_string(), RETRY_AFTER_SECONDS))
}

fn read_object(body: &[u8]) -> Result<serde_json::Map<String, Value>, Invalid> {
    if body.is_empty() {
        return Err(Invalid::new("missing", &[Place::Name("body")], "Field required"));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Invalid::new("model_type", &[Place::Name("body")], "Input should be a JSON object")),
        Err(error) => {
            let place = [Place::Name("body"), Place::Index(offset(body, &error))];
            Err(Invalid::new("json_invalid", &place, format!("JSON decode error: {error}")))
        }
    }
}

/// Where in the text a JSON error was found.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines_before.map(<[u8]>::len).sum::<usize>() + error.column()
}

fn message(value: Option<Value>, limits: &Limits) -> Result<String, Invalid> {
    let place = [Place::Name("body"), Place::Name("message")];
    let message = match value {
        None => return Err(Invalid::new("missing", &place, "Field required")),
        Some(Value::String(message)) => message,
        Some(_) => return Err(Invalid::new("string_type", &place, "Input should be a valid string")),
    };
    if message.trim().is_empty() {
        return Err(Invalid::new("string_too_short", &place, "String should have at least 1 character"));
    }
    if message.len() > limits.message_bytes_max {
        let msg = format!("String should have at most {} bytes in UTF-8", limits.message_bytes_max);
        return Err(Invalid::new("string_too_long", &place, msg));
    }
    Ok(message)
}

fn history(value: Option<Value>, wrong: &mut Vec<Invalid>) -> Vec<Turn> {
    let place = [Place::Name("body"), Place::Name("conversation_history")];
    let turns = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(turns)) => turns,
        Some(_) => {
            wrong.push(Invalid::new("list_type", &place, "Input should be a valid list"));
            return Vec::new();
        }
    };
    let mut history = Vec::with_capacity(turns.len());
    for (index, value) in turns.into_iter().enumerate() {
        // The first wrong turn says enough: a client that builds one wrong builds them all so.
        match turn(value, index) {
            Ok(turn) => history.push(turn),
            Err(invalid) => {
                wrong.push(invalid);
                break;
            }
        }
    }
    history
}

fn turn(value: Value, index: usize) -> Result<Turn, Invalid> {
    let at = |name: Option<&'static str>| {
        let mut place = vec![Place::Name("body"), Place::Name("conversation_history"), Place::Index(index)];
        place.extend(name.map(Place::Name));
        place
    };
    let Value::Object(mut fields) = value else {
        return Err(Invalid::new("model_type", &at(None), "Input should be a JSON object"));
    };
    let role = match fields.get("role") {
        None => return Err(Invalid::new("missing", &at(Some("role")), "Field required")),
        Some(Value::String(role)) if role == "user" => Role::User,
        Some(Value::String(role)) if role == "assistant" => Role::Assistant,
        Some(Value::String(role)) if role == "system" => Role::System,
        Some(_) => {
            let msg = "Input should be 'user', 'assistant' or 'system'";
            return Err(Invalid::new("literal_error", &at(Some("role")), msg));
        }
    };
    match fields.remove("content") {
        None => Err(Invalid::new("missing", &at(Some("content")), "Field required")),
        Some(Value::String(content)) => Ok(Turn { role, content }),
        Some(_) => Err(Invalid::new("string_type", &at(Some("content")), "Input should be a valid string")),
    }
}

fn on_disconnect(value: Option<&Value>) -> Result<Option<OnDisconnect>, Invalid> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(wish)) if wish == "cancel" => Ok(Some(OnDisconnect::Cancel)),
        Some(Value::String(wish)) if wish == "continue" => Ok(Some(OnDisconnect::Continue)),
        Some(_) => {
            let place = [Place::Name("body"), Place::Name("on_disconnect")];
            Err(Invalid::new("literal_error", &place, "Input should be 'cancel' or 'continue'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: &str) -> Vec<(&'static str, Vec<Place>)> {
        match parse(body.as_bytes(), &Limits { message_bytes_max: 10, ..Limits::default() }) {
            Ok(_) => Vec::new(),
            Err(Problem { detail: Detail::Fields(fields), status: 422, .. }) => {
                fields.into_iter().map(|field| (field.kind, field.loc)).collect()
            }
            Err(problem) => panic!("not a validation error: {problem:?}"),
        }
    }

    #[test]
    fn a_question_with_its_history_is_read() {
        let body = r#"{"message":"why?","conversation_history":[{"role":"user","content":"a"},
            {"role":"assistant","content":"b"}],"on_disconnect":"continue","unknown":1}"#;
        let chat = parse(body.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(chat.question.message, "why?");
        assert_eq!(chat.question.history.len(), 2);
        assert_eq!(chat.on_disconnect, Some(OnDisconnect::Continue));
    }

    #[test]
    fn every_wrong_field_is_named_with_its_place() {
        use Place::{Index, Name};
        let message = || vec![Name("body"), Name("message")];
        let history = |rest: &[Place]| [&[Name("body"), Name("conversation_history")], rest].concat();
        for (body, expected) in [
            ("", vec![("missing", vec![Name("body")])]),
            ("[]", vec![("model_type", vec![Name("body")])]),
            ("{}", vec![("missing", message())]),
            (r#"{"message":1}"#, vec![("string_type", message())]),
            (r#"{"message":" \n"}"#, vec![("string_too_short", message())]),
            (r#"{"message":"12345678901"}"#, vec![("string_too_long", message())]),
            (r#"{"message":"a","conversation_history":{}}"#, vec![("list_type", history(&[]))]),
            (r#"{"message":"a","conversation_history":[1]}"#, vec![("model_type", history(&[Index(0)]))]),
            (
                r#"{"message":"a","conversation_history":[{"role":"user","content":"x"},{"role":"root","content":"x"}]}"#,
                vec![("literal_error", history(&[Index(1), Name("role")]))],
            ),
            (
                r#"{"conversation_history":[{"role":"user"}],"on_disconnect":"maybe"}"#,
                vec![
                    ("missing", message()),
                    ("missing", history(&[Index(0), Name("content")])),
                    ("literal_error", vec![Name("body"), Name("on_disconnect")]),
                ],
            ),
        ] {
            assert_eq!(kinds(body), expected, "{body}");
        }
    }

    #[test]
    fn broken_json_is_told_with_its_offset() {
        use Place::{Index, Name};
        assert_eq!(kinds("{\n \"message\": ?}"), [("json_invalid", vec![Name("body"), Index(15)])]);
    }

    #[test]
    fn json_a_hundred_thousand_deep_is_refused_and_not_followed() {
        let deep = "[".repeat(100_000);
        assert_eq!(kinds(&format!("{{\"message\":{deep}"))[0].0, "json_invalid");
    }
}
