//! JSON-RPC 2.0 as MCP has it: one message a body, read with bounds, and the errors that it is refused with.
//!
//! ```text
//! {"jsonrpc":"2.0","id":1,"method":"tools/list","params":{…}}     a request: it has an answer
//! {"jsonrpc":"2.0","method":"notifications/initialized"}          a notification: it has none
//! {"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"…"}}  a refusal
//! ```
//!
//! An id is a string or a whole number (MCP 2026-07-28, "Requests"). It is kept as its JSON text, and given back as such.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::app::chat::{object, string};
use crate::app::respond::{Detail, Problem, write_json};
use crate::limits::Limits;

/// What is no JSON: `-32700`.
pub const PARSE_ERROR: i32 = -32700;
/// What is JSON, and no message.
pub const INVALID_REQUEST: i32 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// There is, and its parameters are wrong.
pub const INVALID_PARAMS: i32 = -32602;
/// Something went wrong here.
pub const INTERNAL_ERROR: i32 = -32603;
/// The head says something else than the body, or not enough (MCP 2026-07-28, `HeaderMismatchError`).
pub const HEADER_MISMATCH: i32 = -32020;
/// The client has not declared what is needed (MCP 2026-07-28, `MissingRequiredClientCapabilityError`).
pub const MISSING_CAPABILITY: i32 = -32021;
/// The revision is none of ours (MCP 2026-07-28, `UnsupportedProtocolVersionError`).
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// A request's id, or the token of its progress: the JSON text of a string or of a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(Box<str>);

impl Id {
    /// The id that stands in `text`, if it is one and no longer than `bytes_max`.
    pub fn read(text: &RawValue, bytes_max: usize) -> Option<Id> {
        let text = text.get();
        let is_string = text.starts_with('"');
        let is_whole = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        ((is_string || is_whole) && text.len() <= bytes_max).then(|| Id(text.into()))
    }

    /// As JSON.
    pub fn json(&self) -> &str {
        &self.0
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // It was JSON when it came.
        <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(&self.0))
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

/// A message that is in order, its parameters still unread.
#[derive(Debug)]
pub struct Message<'b> {
    /// None for a notification.
    pub id: Option<Id>,
    /// What is wanted.
    pub method: String,
    /// With what: an object.
    pub params: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    jsonrpc: Option<&'b RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'b RawValue>,
    #[serde(borrow)]
    method: Option<&'b RawValue>,
    #[serde(borrow)]
    params: Option<&'b RawValue>,
}

/// `null` is a value here: an id that is null is no id that is missing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads the message that a body is.
///
/// # Errors
/// A [`Refusal`] with 400. Its id is known if the message has one that is in order.
pub fn read<'b>(body: &'b [u8], limits: &Limits) -> Result<Message<'b>, Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Refusal::new(PARSE_ERROR, format!("the body is not UTF-8, from byte {at} on"))
    })?;
    let text: &RawValue = serde_json::from_str(text)
        .map_err(|error| Refusal::new(PARSE_ERROR, format!("the body is not JSON: {error}")))?;
    if text.get().starts_with('[') {
        let message = "batches are not taken: send each message as a request of its own";
        return Err(Refusal::new(INVALID_REQUEST, message));
    }
    let invalid = |message: &'static str| Refusal::new(INVALID_REQUEST, message);
    let fields = object::<Fields<'_>>(text).ok_or_else(|| invalid("a message is a JSON object"))?;
    let fields = fields
        .map_err(|error| Refusal::new(INVALID_REQUEST, format!("this is no message of JSON-RPC: {error}")))?;
    let id = match fields.id {
        None => None,
        Some(id) => Some(Id::read(id, limits.rpc_id_bytes_max).ok_or_else(|| {
            let bytes_max = limits.rpc_id_bytes_max;
            let message = format!("an id is a string or a whole number, of at most {bytes_max} bytes");
            Refusal::new(INVALID_REQUEST, message)
        })?),
    };
    let refuse = |message: &'static str| Refusal { id: id.clone(), ..invalid(message) };
    if fields.jsonrpc.and_then(string).as_deref() != Some("2.0") {
        return Err(refuse("\"jsonrpc\" must be \"2.0\""));
    }
    let Some(method) = fields.method else {
        return Err(refuse(
            "a message needs a \"method\"; nothing is asked here that a response would answer",
        ));
    };
    let method = string(method).ok_or_else(|| refuse("\"method\" must be a string"))?;
    let params = fields.params.filter(|params| params.get() != "null");
    if params.is_some_and(|params| !params.get().starts_with('{')) {
        return Err(refuse("\"params\" must be an object"));
    }
    Ok(Message { id, method, params })
}

/// Why a message is not done what it says: a JSON-RPC error, and the status that it comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of the request, as far as that is known.
    pub id: Option<Id>,
    /// The status of the answer.
    pub status: u16,
    /// For programs.
    pub code: i32,
    /// For people: one sentence.
    pub message: Cow<'static, str>,
    /// More for programs: JSON.
    pub data: Option<Box<str>>,
}

impl Refusal {
    /// A refusal that nobody has an id of yet, with the status that goes with its code.
    pub fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { id: None, status: status(code), code, message: message.into(), data: None }
    }

    /// What HTTP itself refuses, before there is a message or behind it.
    pub fn of_problem(problem: &Problem) -> Refusal {
        let code = if problem.status < 500 { INVALID_REQUEST } else { INTERNAL_ERROR };
        Refusal { status: problem.status, ..Refusal::new(code, in_words(problem)) }
    }

    /// The body of the answer, appended to `body`.
    pub fn write(&self, body: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Body<'r> {
            jsonrpc: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'r Id>,
            error: Error<'r>,
        }
        #[derive(Serialize)]
        struct Error<'r> {
            code: i32,
            message: &'r str,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<&'r RawValue>,
        }
        let data = self.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
        let error = Error { code: self.code, message: &self.message, data };
        write_json(&Body { jsonrpc: "2.0", id: self.id.as_ref(), error }, body);
    }
}

/// The status that goes with an error of the stateless era (MCP 2026-07-28, "Streamable HTTP").
fn status(code: i32) -> u16 {
    match code {
        METHOD_NOT_FOUND => 404,
        INTERNAL_ERROR => 200,
        _ => 400,
    }
}

/// A problem as one sentence or several: each field that is wrong with its name.
pub fn in_words(problem: &Problem) -> String {
    match &problem.detail {
        Detail::Text(text) => text.to_string(),
        Detail::Fields(fields) => {
            let told: Vec<String> = fields.iter().map(|field| field.in_words()).collect();
            told.join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: impl AsRef<[u8]>) -> (i32, Option<String>) {
        let refusal = read(body.as_ref(), &Limits::default()).unwrap_err();
        assert_eq!(refusal.status, 400, "{}", refusal.message);
        (refusal.code, refusal.id.map(|id| id.json().to_owned()))
    }

    #[test]
    fn a_request_has_an_id_and_a_notification_has_none() {
        let body = br#"{"jsonrpc":"2.0","id":"a\n","method":"tools/list","params":{"x":[1]}}"#;
        let message = read(body, &Limits::default()).unwrap();
        assert_eq!((message.id.unwrap().json(), &*message.method), (r#""a\n""#, "tools/list"));
        assert_eq!(message.params.unwrap().get(), r#"{"x":[1]}"#);
        let body = br#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#;
        let message = read(body, &Limits::default()).unwrap();
        assert!(message.id.is_none() && message.params.is_none());
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_id_where_there_is_one() {
        let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(300));
        for (body, code, id) in [
            ("", PARSE_ERROR, None),
            ("{\"jsonrpc\":", PARSE_ERROR, None),
            ("[]", INVALID_REQUEST, None),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, INVALID_REQUEST, None),
            ("7", INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, INVALID_REQUEST, None),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, INVALID_REQUEST, None),
            (&long, INVALID_REQUEST, None),
            (r#"{"id":1,"method":"ping"}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"2.0","id":-1}"#, INVALID_REQUEST, Some("-1")),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"2.0","id":1,"method":2}"#, INVALID_REQUEST, Some("1")),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, INVALID_REQUEST, Some("1")),
        ] {
            assert_eq!(refused(body), (code, id.map(ToOwned::to_owned)), "{body}");
        }
        assert_eq!(refused(b"{\"jsonrpc\":\"2.0\",\"x\":\"\xff\"}"), (PARSE_ERROR, None));
        assert_eq!(refused("[".repeat(100_000)), (PARSE_ERROR, None));
    }

    #[test]
    fn a_refusal_is_a_json_rpc_error() {
        let id = Id(r#""a\n""#.into());
        let data = Some(r#"{"supported":[]}"#.into());
        let refusal = Refusal { id: Some(id), data, ..Refusal::new(UNSUPPORTED_VERSION, "no \"such\" one") };
        let mut body = Vec::new();
        refusal.write(&mut body);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"jsonrpc":"2.0","id":"a\n","error":{"code":-32022,"message":"no \"such\" one","data":{"supported":[]}}}"#
        );
    }

    #[test]
    fn what_http_refuses_keeps_its_status() {
        let mut body = Vec::new();
        let refusal = Refusal::of_problem(&Problem::new(403, "not from here"));
        refusal.write(&mut body);
        assert_eq!(refusal.status, 403);
        assert_eq!(body, br#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"not from here"}}"#);
        let refusal = Refusal::of_problem(&Problem::busy("later", 1));
        assert_eq!((refusal.status, refusal.code), (503, INTERNAL_ERROR));
    }
}
