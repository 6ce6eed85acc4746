//! Questions: what a chat request may hold, and the run that it begins.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::agent::{Question, Role, Run, Strategy, Turn, Writes};
use crate::base::Key;
use crate::limits::Limits;
use crate::os::{Clock, Entropy};

use super::callbacks;
use super::record::json;
use super::respond::{Detail, Invalid, Place, Problem};
use super::runs::{Asked, OnDisconnect, Runs};
use super::sessions::{self, OnBusy};
use crate::store::{Idempotency, Subject};
use crate::text::excerpt;

/// Seconds after which a client that was refused for want of a place may try again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A chat request that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// What is asked, with what was said before. What may be written for it is not the client's to say.
    pub question: Question,
    /// What the client wants for the case that it goes away; `None` if it did not say.
    pub on_disconnect: Option<OnDisconnect>,
    /// What happens to it while another message of its session is not answered yet.
    pub on_busy: OnBusy,
    /// Where its end is to be told; nobody has looked whether that may be.
    pub callback_url: Option<String>,
}

/// What comes with a question whose run is to begin.
#[derive(Debug)]
pub struct Asking {
    /// What happens when its last reader goes.
    pub on_disconnect: OnDisconnect,
    /// The client's own name for its request.
    pub key: Option<Idempotency>,
    /// Where its end is to be told.
    pub callback: Option<Box<str>>,
}

/// A chat request's fields, each still as its text: a body of a quarter of a megabyte must not become as many little
/// values before we know that we want them. Fields that we don't know are passed over.
#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    message: Option<&'b RawValue>,
    #[serde(borrow)]
    conversation_history: Option<&'b RawValue>,
    #[serde(borrow)]
    on_disconnect: Option<&'b RawValue>,
    #[serde(borrow)]
    strategy: Option<&'b RawValue>,
    #[serde(borrow)]
    session_id: Option<&'b RawValue>,
    #[serde(borrow)]
    on_busy: Option<&'b RawValue>,
    #[serde(borrow)]
    callback_url: Option<&'b RawValue>,
}

/// One turn of a history, likewise.
#[derive(Deserialize)]
struct TurnFields<'b> {
    #[serde(borrow)]
    role: Option<&'b RawValue>,
    #[serde(borrow)]
    content: Option<&'b RawValue>,
}

/// Reads a chat request.
///
/// # Errors
/// 422 with every field that is missing or wrong, in FastAPI's shape.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Chat, Problem> {
    let fields: Fields<'_> = read_object(body).map_err(Problem::invalid)?;
    let mut wrong = Vec::new();
    let message = message(fields.message, limits).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        String::new()
    });
    let history = history(fields.conversation_history, limits).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        Vec::new()
    });
    let on_disconnect = on_disconnect(fields.on_disconnect).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        None
    });
    let strategy = strategy(fields.strategy).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        Strategy::default()
    });
    let session = session(fields.session_id, limits).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        None
    });
    let on_busy = on_busy(fields.on_busy).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        OnBusy::default()
    });
    let callback_url = callback_url(fields.callback_url).unwrap_or_else(|invalid| {
        wrong.push(invalid);
        None
    });
    if wrong.is_empty() {
        return Ok(Chat {
            question: Question { message, history, session, strategy, writes: Writes::Off },
            on_disconnect,
            on_busy,
            callback_url,
        });
    }
    Err(Problem { status: 422, detail: Detail::Fields(wrong), allow: None, retry_after: None, etag: None })
}

/// A client's own name for what it asks, with a digest of that: the same name for something else is a mistake.
///
/// Two bodies that ask the same are the same, however they are written.
pub fn idempotency(key: Box<str>, question: &Question, callback_url: Option<&str>) -> Idempotency {
    let mut asked = json(question);
    if let Some(url) = callback_url {
        asked.extend(["\n", url]);
    }
    // A name-based UUID (RFC 9562 §5.5) is a digest of 122 bits that any later version of this program makes again.
    let fingerprint = Uuid::new_v5(&Uuid::NAMESPACE_OID, asked.as_bytes());
    Idempotency { key, fingerprint }
}

/// Begins the run of a question.
///
/// # Errors
/// 503 when too many wait already.
pub fn begin(
    question: &Question,
    asking: Asking,
    runs: &mut Runs,
    limits: &Limits,
    clock: &dyn Clock,
    entropy: &mut dyn Entropy,
) -> Result<Key, Problem> {
    let machine = |id| Run::new(id, question, limits);
    let subject = Subject {
        message: excerpt(&question.message, limits.task_message_chars_max).into(),
        session: question.session.as_deref().map(Box::from),
    };
    let Asking { on_disconnect, key, callback } = asking;
    let asked = Asked { on_disconnect, question: json(question).into_boxed_str(), subject, key, callback };
    runs.admit(asked, clock, entropy, machine)
        .map_err(|busy| Problem::busy(busy.to_string(), RETRY_AFTER_SECONDS))
}

/// A body that is a JSON object with these fields.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn read_object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Invalid> {
    if body.is_empty() {
        return Err(Invalid::new("missing", &[Place::Name("body")], "Field required"));
    }
    // JSON is UTF-8 (RFC 8259 §8.1), in the fields that are passed over as well, and there serde_json does not look.
    let text = std::str::from_utf8(body).map_err(|error| {
        let place = [Place::Name("body"), Place::Index(error.valid_up_to())];
        Invalid::new("json_invalid", &place, "JSON decode error: the text is not UTF-8")
    })?;
    // One pass over the text: a list would do for the derived struct too, so the brace is looked at first.
    let fields = if text.trim_ascii_start().starts_with('{') {
        serde_json::from_str(text).map(Some)
    } else {
        serde_json::from_str::<IgnoredAny>(text).map(|_| None)
    };
    match fields {
        Ok(Some(fields)) => Ok(fields),
        Ok(None) => Err(Invalid::new("model_type", &[Place::Name("body")], "Input should be a JSON object")),
        Err(error) => {
            let place = [Place::Name("body"), Place::Index(offset(body, &error))];
            Err(Invalid::new("json_invalid", &place, format!("JSON decode error: {error}")))
        }
    }
}

/// The fields of a JSON object; `None` for another value. (A derived struct alone would take a list for one, too.)
pub(super) fn object<'b, T: Deserialize<'b>>(text: &'b RawValue) -> Option<serde_json::Result<T>> {
    text.get().starts_with('{').then(|| serde_json::from_str(text.get()))
}

/// Where in the text a JSON error was found.
fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = body.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines_before.map(<[u8]>::len).sum::<usize>() + error.column()
}

/// The string that a JSON text is, if it is one.
pub(super) fn string(text: &RawValue) -> Option<String> {
    serde_json::from_str(text.get()).ok()
}

fn message(text: Option<&RawValue>, limits: &Limits) -> Result<String, Invalid> {
    let place = [Place::Name("body"), Place::Name("message")];
    let Some(text) = text else { return Err(Invalid::new("missing", &place, "Field required")) };
    let Some(message) = string(text) else {
        return Err(Invalid::new("string_type", &place, "Input should be a valid string"));
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

/// The turns of a conversation. The first wrong one says enough: a client that builds one wrong builds them all so.
fn history(text: Option<&RawValue>, limits: &Limits) -> Result<Vec<Turn>, Invalid> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let place = [Place::Name("body"), Place::Name("conversation_history")];
    let turns: Vec<&RawValue> = match serde_json::from_str(text.get()) {
        Ok(Some(turns)) => turns,
        Ok(None) => return Ok(Vec::new()),
        Err(_) => return Err(Invalid::new("list_type", &place, "Input should be a valid list")),
    };
    if turns.len() > limits.history_turns_max {
        let msg = format!("List should have at most {} items", limits.history_turns_max);
        return Err(Invalid::new("too_long", &place, msg));
    }
    turns.into_iter().enumerate().map(|(index, text)| turn(text, index)).collect()
}

fn turn(text: &RawValue, index: usize) -> Result<Turn, Invalid> {
    let at = |name: Option<&'static str>| {
        let mut place = vec![Place::Name("body"), Place::Name("conversation_history"), Place::Index(index)];
        place.extend(name.map(Place::Name));
        place
    };
    let Some(Ok(TurnFields { role, content })) = object(text) else {
        return Err(Invalid::new("model_type", &at(None), "Input should be a JSON object"));
    };
    let Some(role) = role else { return Err(Invalid::new("missing", &at(Some("role")), "Field required")) };
    let role = match string(role).as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) | None => {
            let msg = "Input should be 'user', 'assistant' or 'system'";
            return Err(Invalid::new("literal_error", &at(Some("role")), msg));
        }
    };
    let Some(content) = content else {
        return Err(Invalid::new("missing", &at(Some("content")), "Field required"));
    };
    let content = string(content)
        .ok_or_else(|| Invalid::new("string_type", &at(Some("content")), "Input should be a valid string"))?;
    Ok(Turn { role, content })
}

fn on_disconnect(text: Option<&RawValue>) -> Result<Option<OnDisconnect>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<Option<String>>(text.get()) {
        Ok(None) => Ok(None),
        Ok(Some(wish)) if wish == "cancel" => Ok(Some(OnDisconnect::Cancel)),
        Ok(Some(wish)) if wish == "continue" => Ok(Some(OnDisconnect::Continue)),
        Ok(Some(_)) | Err(_) => {
            let place = [Place::Name("body"), Place::Name("on_disconnect")];
            Err(Invalid::new("literal_error", &place, "Input should be 'cancel' or 'continue'"))
        }
    }
}

fn callback_url(text: Option<&RawValue>) -> Result<Option<String>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    serde_json::from_str::<Option<String>>(text.get())
        .map_err(|_| callbacks::invalid("string_type", "Input should be a valid string"))
}

fn strategy(text: Option<&RawValue>) -> Result<Strategy, Invalid> {
    let Some(text) = text else { return Ok(Strategy::default()) };
    serde_json::from_str::<Option<Strategy>>(text.get()).map(Option::unwrap_or_default).map_err(|_| {
        let place = [Place::Name("body"), Place::Name("strategy")];
        Invalid::new("literal_error", &place, "Input should be 'model', 'fast-first' or 'notes'")
    })
}

fn session(text: Option<&RawValue>, limits: &Limits) -> Result<Option<String>, Invalid> {
    let place = [Place::Name("body"), Place::Name("session_id")];
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<Option<String>>(text.get()) {
        Ok(None) => Ok(None),
        Ok(Some(name)) if sessions::is_name(&name, limits) => Ok(Some(name)),
        Ok(Some(_)) => {
            let bytes_max = limits.session_name_bytes_max;
            let msg = format!(
                "String should be 1 to {bytes_max} letters, digits or any of -._~:@+=, and no dot first"
            );
            Err(Invalid::new("string_pattern_mismatch", &place, msg))
        }
        Err(_) => Err(Invalid::new("string_type", &place, "Input should be a valid string")),
    }
}

fn on_busy(text: Option<&RawValue>) -> Result<OnBusy, Invalid> {
    let Some(text) = text else { return Ok(OnBusy::default()) };
    serde_json::from_str::<Option<OnBusy>>(text.get()).map(Option::unwrap_or_default).map_err(|_| {
        let place = [Place::Name("body"), Place::Name("on_busy")];
        Invalid::new("literal_error", &place, "Input should be 'queue', 'reject' or 'cancel'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: impl AsRef<[u8]>) -> Vec<(&'static str, Vec<Place>)> {
        match parse(body.as_ref(), &Limits { message_bytes_max: 10, ..Limits::default() }) {
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
            (r#"["a",null,null]"#, vec![("model_type", vec![Name("body")])]),
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
            (
                r#"{"message":"a","session_id":"a/b","on_busy":"wait"}"#,
                vec![
                    ("string_pattern_mismatch", vec![Name("body"), Name("session_id")]),
                    ("literal_error", vec![Name("body"), Name("on_busy")]),
                ],
            ),
            (
                r#"{"message":"a","session_id":7,"on_busy":null}"#,
                vec![("string_type", vec![Name("body"), Name("session_id")])],
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
    fn a_body_that_is_no_utf_8_is_refused_wherever_it_is_not() {
        use Place::{Index, Name};
        for body in [&b"{\"message\":\"\xff\"}"[..], b"{\"x\":[\"y\",\"\xff\"],\"message\":\"a\"}"] {
            let at = body.iter().position(|byte| *byte == 0xff).unwrap();
            assert_eq!(kinds(body), [("json_invalid", vec![Name("body"), Index(at)])]);
        }
    }

    #[test]
    fn json_a_hundred_thousand_deep_is_refused_and_not_followed() {
        let deep = "[".repeat(100_000);
        assert_eq!(kinds(format!("{{\"message\":{deep}"))[0].0, "json_invalid");
    }
}
