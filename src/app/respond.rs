//! What answers look like: JSON, and every refusal in the shapes that FastAPI's clients know.
//!
//! ```text
//! {"detail":"no such task"}
//! {"detail":[{"type":"missing","loc":["body","message"],"msg":"Field required"}]}
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::store::{Cause, Trouble};

/// Why a request is refused, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// What was wrong.
    pub detail: Detail,
    /// The `Allow` field of a 405.
    pub allow: Option<&'static str>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// The version that is there, for whoever has named another.
    pub etag: Option<String>,
}

/// What was wrong with a request: a sentence, or a list of invalid fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// A sentence.
    Text(Cow<'static, str>),
    /// Fields that are missing or wrong.
    Fields(Vec<Invalid>),
}

/// One invalid field, in FastAPI's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    /// What kind of error, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where: `["body", "message"]`.
    pub loc: Vec<Place>,
    /// What kind of error, for people.
    pub msg: Cow<'static, str>,
}

/// One step on the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// A name.
    Name(&'static str),
    /// A place in a list, or in the text.
    Index(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Name(name) => f.write_str(name),
            Place::Index(index) => write!(f, "{index}"),
        }
    }
}

impl Invalid {
    /// An error of `kind` at `loc`.
    pub fn new(kind: &'static str, loc: &[Place], msg: impl Into<Cow<'static, str>>) -> Invalid {
        Invalid { kind, loc: loc.to_vec(), msg: msg.into() }
    }

    /// As one sentence without its full stop: `strategy: Input should be 'model', 'fast-first' or 'notes'`.
    pub fn in_words(&self) -> String {
        let place: Vec<String> = self.loc.iter().skip(1).map(Place::to_string).collect();
        if place.is_empty() { self.msg.to_string() } else { format!("{}: {}", place.join("."), self.msg) }
    }

    /// A parameter that should be a whole number.
    pub fn not_an_integer(part: &'static str, name: &'static str) -> Invalid {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        Invalid::new("int_parsing", &[Place::Name(part), Place::Name(name)], msg)
    }

    /// A parameter that should be within bounds.
    pub fn out_of_range(part: &'static str, name: &'static str, min: usize, max: usize) -> Invalid {
        let msg = format!("Input should be between {min} and {max}");
        Invalid::new("out_of_range", &[Place::Name(part), Place::Name(name)], msg)
    }

    /// A parameter that should be a task's id.
    pub fn not_an_id(part: &'static str, name: &'static str) -> Invalid {
        Invalid::new("uuid_parsing", &[Place::Name(part), Place::Name(name)], "Input should be a valid UUID")
    }
}

impl Problem {
    /// A refusal with a sentence.
    pub fn new(status: u16, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { status, detail: Detail::Text(detail.into()), allow: None, retry_after: None, etag: None }
    }

    /// 422 for one invalid field.
    pub fn invalid(field: Invalid) -> Problem {
        Problem {
            status: 422,
            detail: Detail::Fields(vec![field]),
            allow: None,
            retry_after: None,
            etag: None,
        }
    }

    /// 404 for an id that no run has.
    pub fn unknown_task() -> Problem {
        Problem::new(404, "no such task")
    }

    /// 410 for a run that is no longer kept.
    pub fn expired_task() -> Problem {
        Problem::new(410, "this task ended so long ago that it is no longer kept")
    }

    /// 405 with what is allowed instead.
    pub fn method_not_allowed(allow: &'static str) -> Problem {
        let detail = format!("this path takes {allow}");
        Problem {
            status: 405,
            detail: Detail::Text(detail.into()),
            allow: Some(allow),
            retry_after: None,
            etag: None,
        }
    }

    /// 503 with a hint when to come back.
    pub fn busy(detail: impl Into<Cow<'static, str>>, retry_after: u32) -> Problem {
        Problem {
            status: 503,
            detail: Detail::Text(detail.into()),
            allow: None,
            retry_after: Some(retry_after),
            etag: None,
        }
    }

    /// 422: an idempotency key was used before, for something else.
    pub fn key_taken() -> Problem {
        Problem::new(422, "this Idempotency-Key was used for another request")
    }

    /// 507 (RFC 4918 §11.5) for want of room, else 503: something can't be kept for now.
    pub fn not_kept(trouble: &Trouble) -> Problem {
        let status = match trouble.cause {
            Cause::Full => 507,
            Cause::Failed | Cause::Contradiction => 503,
        };
        let detail = format!("this can't be kept for now: {trouble}");
        Problem { status, detail: Detail::Text(detail.into()), allow: None, retry_after: Some(1), etag: None }
    }

    /// 503: what is kept can't be looked into for now.
    pub fn not_read(trouble: &Trouble) -> Problem {
        Problem::busy(format!("what is kept can't be read for now: {trouble}"), 1)
    }

    /// The body of the answer, appended to `body`.
    pub fn write(&self, body: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Body<'a> {
            detail: &'a Detail,
        }
        write_json(&Body { detail: &self.detail }, body);
    }
}

/// A whole answer whose body stands in the scratch buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Where what was made can be found.
    pub location: Option<String>,
}

impl Reply {
    /// 200.
    pub const OK: Reply = Reply { status: 200, location: None };
}

/// Appends `value` as JSON.
pub fn write_json(value: &impl Serialize, body: &mut Vec<u8>) {
    serde_json::to_writer(body, value).expect("our own types have string keys, and a Vec takes every write");
}

/// Puts JSON values behind one another, parted by commas.
#[derive(Debug, Default)]
pub struct Items {
    /// So far.
    pub json: Vec<u8>,
    /// Values.
    pub count: usize,
}

impl Items {
    /// Appends a value.
    pub fn push(&mut self, item: &impl Serialize) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        write_json(item, &mut self.json);
    }

    /// `{"name":[…],` and what `rest` says, which is an object of its own.
    pub fn close(self, name: &str, rest: &impl Serialize) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.json.len() + 64);
        body.extend_from_slice(b"{\"");
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(b"\":[");
        body.extend_from_slice(&self.json);
        body.push(b']');
        let mut tail = Vec::new();
        write_json(rest, &mut tail);
        if tail.len() > b"{}".len() {
            tail[0] = b',';
            body.extend_from_slice(&tail);
        } else {
            body.push(b'}');
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem) -> String {
        let mut body = Vec::new();
        problem.write(&mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_refusal_is_a_detail() {
        assert_eq!(body(&Problem::unknown_task()), r#"{"detail":"no such task"}"#);
    }

    #[test]
    fn a_validation_error_has_fastapis_list_shape() {
        let invalid =
            Invalid::new("missing", &[Place::Name("body"), Place::Name("message")], "Field required");
        assert_eq!(
            body(&Problem::invalid(invalid)),
            r#"{"detail":[{"type":"missing","loc":["body","message"],"msg":"Field required"}]}"#
        );
    }
}
