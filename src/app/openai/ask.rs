//! What a request for a completion may hold, and the question that it is.
//!
//! Parameters that only tune a model (`temperature`, `top_p`, `max_tokens`, `seed`, …) are passed over, as are those that
//! nobody knows: the answer is still an answer. One that would change what the answer *is* (`tools`, `n`, a schema, `stop`)
//! is refused, as its asker would take what comes back for something else.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAMES;
use crate::agent::{Question, Role, Strategy, Turn, Writes};
use crate::app::chat::{object, read_object, string};
use crate::app::respond::{Detail, Invalid, Place, Problem};
use crate::limits::Limits;

/// A request for a completion that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What is asked, with what was said before.
    pub question: Question,
    /// The name under which it is asked.
    pub model: String,
    /// The answer comes as a stream of chunks.
    pub streams: bool,
    /// What was counted comes as the last of them.
    pub counts: bool,
}

#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    model: Option<&'b RawValue>,
    #[serde(borrow)]
    messages: Option<&'b RawValue>,
    #[serde(borrow)]
    stream: Option<&'b RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'b RawValue>,
    #[serde(borrow)]
    n: Option<&'b RawValue>,
    #[serde(borrow)]
    tools: Option<&'b RawValue>,
    #[serde(borrow)]
    functions: Option<&'b RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'b RawValue>,
    #[serde(borrow)]
    response_format: Option<&'b RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'b RawValue>,
    #[serde(borrow)]
    stop: Option<&'b RawValue>,
    #[serde(borrow)]
    modalities: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct MessageFields<'b> {
    #[serde(borrow)]
    role: Option<&'b RawValue>,
    #[serde(borrow)]
    content: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct PartFields<'b> {
    #[serde(borrow)]
    r#type: Option<&'b RawValue>,
    #[serde(borrow)]
    text: Option<&'b RawValue>,
    #[serde(borrow)]
    refusal: Option<&'b RawValue>,
}

/// Reads a request for a completion, for the session of that name, if there is one.
///
/// # Errors
/// 422 with what is missing, wrong or not to be had, and where; 404 for a model that there is not.
pub fn parse(body: &[u8], session: Option<&str>, limits: &Limits) -> Result<Asked, Problem> {
    let fields: Fields<'_> = read_object(body).map_err(Problem::invalid)?;
    let model = model(fields.model)?;
    unsupported(&fields).map_err(Problem::invalid)?;
    let (message, history) = messages(fields.messages, limits).map_err(Problem::invalid)?;
    let streams = flag(fields.stream, "stream").map_err(Problem::invalid)?;
    let counts = counts(fields.stream_options).map_err(Problem::invalid)?;
    let strategy = if model == NAMES[1] { Strategy::Notes } else { Strategy::Model };
    let session = session.map(ToOwned::to_owned);
    let question = Question { message, history, session, strategy, writes: Writes::Off };
    Ok(Asked { question, model, streams, counts })
}

/// 404 for a name that no model has.
pub(super) fn unknown_model(part: &'static str, name: &str) -> Problem {
    let known = NAMES.join(" and ");
    let msg = format!("there is no model {name:.100?} here, but there are {known}; see GET /v1/models");
    not_found("model_not_found", part, msg)
}

/// 404 for a model.
pub(super) fn not_found(
    kind: &'static str,
    part: &'static str,
    msg: impl Into<Cow<'static, str>>,
) -> Problem {
    let place = [Place::Name(part), Place::Name("model")];
    let detail = Detail::Fields(vec![Invalid::new(kind, &place, msg)]);
    Problem { status: 404, detail, allow: None, retry_after: None, etag: None }
}

pub(super) fn invalid(kind: &'static str, place: &[Place], msg: impl Into<Cow<'static, str>>) -> Invalid {
    Invalid::new(kind, &[&[Place::Name("body")], place].concat(), msg)
}

/// The name of the model that is asked.
pub(super) fn model_name(text: Option<&RawValue>) -> Result<String, Invalid> {
    let place = [Place::Name("model")];
    let text = text.ok_or_else(|| invalid("missing", &place, "Field required"))?;
    string(text).ok_or_else(|| invalid("string_type", &place, "Input should be a valid string"))
}

fn model(text: Option<&RawValue>) -> Result<String, Problem> {
    let name = model_name(text).map_err(Problem::invalid)?;
    if NAMES.contains(&&*name) { Ok(name) } else { Err(unknown_model("body", &name)) }
}

/// What a value says, where null is as good as none.
pub(super) fn given<'b, T: Deserialize<'b>>(
    text: Option<&'b RawValue>,
) -> Result<Option<T>, serde_json::Error> {
    text.map_or(Ok(None), |text| serde_json::from_str(text.get()))
}

fn flag(text: Option<&RawValue>, name: &'static str) -> Result<bool, Invalid> {
    given::<bool>(text)
        .map(Option::unwrap_or_default)
        .map_err(|_| invalid("bool_type", &[Place::Name(name)], "Input should be a valid boolean"))
}

fn counts(text: Option<&RawValue>) -> Result<bool, Invalid> {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let options = given::<Options>(text).map_err(|_| {
        let place = [Place::Name("stream_options")];
        invalid("model_type", &place, "Input should be an object with a boolean include_usage")
    })?;
    Ok(options.and_then(|options| options.include_usage).unwrap_or_default())
}

/// Finds what is asked for that the answer would not be.
fn unsupported(fields: &Fields<'_>) -> Result<(), Invalid> {
    let refused = |name: &'static str, msg: &'static str| {
        Err(invalid("unsupported_parameter", &[Place::Name(name)], msg))
    };
    let is_one_of = |text: Option<&RawValue>, usual: &[&str]| {
        text.is_none_or(|text| text.get() == "null" || usual.contains(&text.get()))
    };
    if !is_one_of(fields.n, &["1"]) {
        return refused("n", "there is one answer to a question: only 1 is taken");
    }
    // Whoever forbids the call of what it offers only wants an answer.
    let forbids = fields.tool_choice.and_then(string).is_some_and(|choice| choice == "none");
    if !forbids && !is_one_of(fields.tools, &["[]"]) {
        return refused("tools", "the agent uses its own tools and calls none of a client's");
    }
    if !forbids && !is_one_of(fields.functions, &["[]"]) {
        return refused("functions", "the agent uses its own tools and calls none of a client's");
    }
    if !is_one_of(fields.logprobs, &["false"]) {
        return refused("logprobs", "there are no probabilities to tell");
    }
    if !is_one_of(fields.stop, &["[]", "\"\""]) {
        return refused("stop", "an answer is not cut at a word");
    }
    let modalities = given::<Vec<String>>(fields.modalities);
    if !matches!(&modalities, Ok(None)) && !matches!(&modalities, Ok(Some(kinds)) if kinds == &["text"]) {
        return refused("modalities", "answers are text alone");
    }
    #[derive(Deserialize)]
    struct Format {
        r#type: String,
    }
    match given::<Format>(fields.response_format) {
        Ok(None) => Ok(()),
        Ok(Some(format)) if format.r#type == "text" => Ok(()),
        _ => refused("response_format", "answers are prose: only {\"type\":\"text\"} is taken"),
    }
}

/// The question, which is the last that the user says, and what was said before.
fn messages(text: Option<&RawValue>, limits: &Limits) -> Result<(String, Vec<Turn>), Invalid> {
    let place = [Place::Name("messages")];
    let text = text.ok_or_else(|| invalid("missing", &place, "Field required"))?;
    let texts: Vec<&RawValue> = serde_json::from_str(text.get())
        .map_err(|_| invalid("list_type", &place, "Input should be a valid list"))?;
    // A long conversation goes on: what is oldest in it is passed over.
    let passed_over = texts.len().saturating_sub(limits.history_turns_max.saturating_add(1));
    let mut turns = Vec::new();
    for (index, text) in texts.into_iter().enumerate().skip(passed_over) {
        turns.extend(turn(text, index)?.map(|turn| (index, turn)));
    }
    let last = turns.iter().rposition(|(_, turn)| turn.role != Role::System);
    let asked = last.filter(|last| turns[*last].1.role == Role::User).map(|last| turns.remove(last));
    let Some((index, Turn { content: message, .. })) = asked else {
        return Err(invalid("value_error", &place, "the last message must be the user's"));
    };
    let place = [Place::Name("messages"), Place::Index(index), Place::Name("content")];
    if message.trim().is_empty() {
        return Err(invalid("string_too_short", &place, "there is nothing asked in it"));
    }
    if message.len() > limits.message_bytes_max {
        let msg = format!("it should have at most {} bytes in UTF-8", limits.message_bytes_max);
        return Err(invalid("string_too_long", &place, msg));
    }
    Ok((message, turns.into_iter().map(|(_, turn)| turn).collect()))
}

/// A message, if something is said in it.
fn turn(text: &RawValue, index: usize) -> Result<Option<Turn>, Invalid> {
    let at = |kind, name: Option<&'static str>, msg| {
        let mut place = vec![Place::Name("messages"), Place::Index(index)];
        place.extend(name.map(Place::Name));
        invalid(kind, &place, msg)
    };
    let fields: MessageFields<'_> = object(text)
        .and_then(Result::ok)
        .ok_or_else(|| at("model_type", None, "Input should be an object with role and content"))?;
    let role = match fields.role.and_then(string).as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system" | "developer") => Role::System,
        Some("tool" | "function") => {
            let msg = "the agent uses its own tools and reads no results of a client's";
            return Err(at("unsupported_value", Some("role"), msg));
        }
        _ => {
            let msg = "Input should be 'user', 'assistant', 'system' or 'developer'";
            return Err(at("literal_error", Some("role"), msg));
        }
    };
    let content = match fields.content {
        // An assistant that only called tools has said nothing.
        None if role == Role::Assistant => return Ok(None),
        Some(text) if role == Role::Assistant && text.get() == "null" => return Ok(None),
        None => return Err(at("missing", Some("content"), "Field required")),
        Some(text) if text.get().starts_with('[') => {
            parts(text).map_err(|(kind, msg)| at(kind, Some("content"), msg))?
        }
        Some(text) => string(text).ok_or_else(|| {
            at("string_type", Some("content"), "Input should be a valid string or a list of parts")
        })?,
    };
    Ok(Some(Turn { role, content }))
}

/// What is said in the parts of a message, a line each.
fn parts(text: &RawValue) -> Result<String, (&'static str, &'static str)> {
    let wrong = ("model_type", "a part should be an object like {\"type\":\"text\",\"text\":\"…\"}");
    let texts: Vec<&RawValue> = serde_json::from_str(text.get()).map_err(|_| wrong)?;
    let mut said = String::new();
    for text in texts {
        let part: PartFields<'_> = object(text).and_then(Result::ok).ok_or(wrong)?;
        let text = match part.r#type.and_then(string).as_deref() {
            Some("text") => part.text,
            Some("refusal") => part.refusal,
            Some("image_url" | "input_audio" | "file") => {
                return Err(("unsupported_value", "only text can be read here, no images, sounds or files"));
            }
            _ => return Err(wrong),
        };
        if !said.is_empty() {
            said.push('\n');
        }
        said.push_str(&text.and_then(string).ok_or(wrong)?);
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(rest: &str) -> Result<Asked, Problem> {
        let body = format!("{{\"model\":\"oneloop\",{rest}}}");
        parse(body.as_bytes(), None, &Limits::default())
    }

    fn refused(rest: &str) -> (u16, &'static str, Vec<Place>) {
        match asked(rest).unwrap_err() {
            Problem { status, detail: Detail::Fields(mut fields), .. } => {
                let Invalid { kind, loc, .. } = fields.remove(0);
                (status, kind, loc)
            }
            problem => panic!("{problem:?}"),
        }
    }

    const HELLO: &str = r#""messages":[{"role":"user","content":"hello"}]"#;

    #[test]
    fn the_last_thing_the_user_says_is_the_question_and_the_rest_its_history() {
        let messages = r#""messages":[{"role":"system","content":"be brief"},
            {"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]},
            {"role":"assistant","content":null,"tool_calls":[]},
            {"role":"assistant","content":"three"},
            {"role":"user","content":"four?"},{"role":"developer","content":"in English"}]"#;
        let question = asked(messages).unwrap().question;
        assert_eq!(question.message, "four?");
        let said: Vec<_> = question.history.iter().map(|turn| (turn.role, &*turn.content)).collect();
        assert_eq!(
            said,
            [
                (Role::System, "be brief"),
                (Role::User, "one\ntwo"),
                (Role::Assistant, "three"),
                (Role::System, "in English")
            ]
        );
    }

    #[test]
    fn what_only_tunes_a_model_or_is_unknown_is_passed_over() {
        let tuned = r#","temperature":0.2,"max_tokens":5,"seed":1,"n":1,"stop":null,"tools":[],"logprobs":false,
            "response_format":{"type":"text"},"modalities":["text"],"user":"me","whatever":{"a":[1]}"#;
        assert_eq!(asked(&format!("{HELLO}{tuned}")), asked(HELLO));
        let forbidden = r#","tools":[{"type":"function"}],"tool_choice":"none""#;
        assert_eq!(asked(&format!("{HELLO}{forbidden}")), asked(HELLO));
    }

    #[test]
    fn what_would_change_the_answers_meaning_is_refused_by_its_name() {
        for (name, value) in [
            ("n", "2"),
            ("tools", r#"[{"type":"function"}]"#),
            ("functions", r#"[{"name":"f"}]"#),
            ("logprobs", "true"),
            ("stop", r#"["a"]"#),
            ("modalities", r#"["audio"]"#),
            ("response_format", r#"{"type":"json_object"}"#),
            ("response_format", "7"),
        ] {
            let place = vec![Place::Name("body"), Place::Name(name)];
            let refused = refused(&format!("{HELLO},\"{name}\":{value}"));
            assert_eq!(refused, (422, "unsupported_parameter", place), "{name}: {value}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        use Place::{Index, Name};
        let messages = |rest: &[Place]| [&[Name("body"), Name("messages")], rest].concat();
        for (rest, kind, place) in [
            (r#""x":1"#, "missing", messages(&[])),
            (r#""messages":{}"#, "list_type", messages(&[])),
            (r#""messages":[]"#, "value_error", messages(&[])),
            (r#""messages":[7]"#, "model_type", messages(&[Index(0)])),
            (
                r#""messages":[{"role":"root","content":""}]"#,
                "literal_error",
                messages(&[Index(0), Name("role")]),
            ),
            (
                r#""messages":[{"role":"tool","content":"x"}]"#,
                "unsupported_value",
                messages(&[Index(0), Name("role")]),
            ),
            (r#""messages":[{"role":"user"}]"#, "missing", messages(&[Index(0), Name("content")])),
            (
                r#""messages":[{"role":"user","content":[{"type":"image_url"}]}]"#,
                "unsupported_value",
                messages(&[Index(0), Name("content")]),
            ),
            (
                r#""messages":[{"role":"user","content":" "}]"#,
                "string_too_short",
                messages(&[Index(0), Name("content")]),
            ),
            (
                r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
                "value_error",
                messages(&[]),
            ),
            (&format!("{HELLO},\"stream\":1"), "bool_type", vec![Name("body"), Name("stream")]),
            (
                &format!("{HELLO},\"stream_options\":1"),
                "model_type",
                vec![Name("body"), Name("stream_options")],
            ),
        ] {
            assert_eq!(refused(rest), (422, kind, place), "{rest}");
        }
    }

    #[test]
    fn a_model_that_there_is_not_is_not_found() {
        let body = format!("{{\"model\":\"gpt-4o\",{HELLO}}}");
        let problem = parse(body.as_bytes(), None, &Limits::default()).unwrap_err();
        assert_eq!(problem.status, 404);
    }

    #[test]
    fn a_conversation_that_is_too_long_loses_what_is_oldest() {
        let limits = Limits { history_turns_max: 2, ..Limits::default() };
        let said = |text: &str| format!("{{\"role\":\"user\",\"content\":\"{text}\"}}");
        let messages = ["a", "b", "c", "d"].map(said).join(",");
        let body = format!("{{\"model\":\"oneloop-notes\",\"messages\":[{messages}]}}");
        let asked = parse(body.as_bytes(), Some("s"), &limits).unwrap();
        assert_eq!(asked.question.history.len(), 2);
        assert_eq!(asked.question.strategy, Strategy::Notes);
        assert_eq!(asked.question.session.as_deref(), Some("s"));
    }
}
