//! What a request's head says of the message in its body, and whether the two agree.
//!
//! ```text
//! MCP-Protocol-Version: 2026-07-28     as _meta has it
//! Mcp-Method: tools/call               as method has it
//! Mcp-Name: read_note                  as params.name has it, or params.taskId
//! ```
//!
//! Proxies route by these fields, so a server that reads the body holds one against the other: otherwise two of them would
//! believe two things of one request (MCP 2026-07-28, "Server Validation").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rpc::{HEADER_MISMATCH, Refusal};
use crate::wire::http1::Head;

/// What a head says. It is bounded as heads are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announced {
    version: Field,
    method: Field,
    name: Field,
    /// The client reads event streams.
    pub takes_stream: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Field {
    #[default]
    Absent,
    Text(Box<str>),
    /// It stands there twice, or has bytes that are no visible ASCII.
    Wrong,
}

const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";

impl Announced {
    /// What this head says.
    pub fn of(head: &Head<'_>) -> Announced {
        let is_stream = |value: &[u8]| {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            ["text/event-stream", "text/*", "*/*"].iter().any(|taken| value.contains(taken))
        };
        Announced {
            version: field(head, "mcp-protocol-version"),
            method: field(head, "mcp-method"),
            name: field(head, "mcp-name"),
            takes_stream: head.field("accept").is_none() || head.fields("accept").any(is_stream),
        }
    }

    /// The revision that the head names; none if it names none.
    ///
    /// # Errors
    /// It can't be read, or names two.
    pub fn version(&self) -> Result<Option<&str>, Refusal> {
        match &self.version {
            Field::Absent => Ok(None),
            Field::Text(version) => Ok(Some(version)),
            Field::Wrong => Err(unreadable(VERSION)),
        }
    }

    /// Holds the revision against the body's.
    ///
    /// # Errors
    /// They differ, or the head names none.
    pub fn agrees_on_version(&self, version: &str) -> Result<(), Refusal> {
        agrees(VERSION, &self.version, version)
    }

    /// Holds the method against the body's.
    ///
    /// # Errors
    /// They differ, or the head names none.
    pub fn agrees_on_method(&self, method: &str) -> Result<(), Refusal> {
        agrees(METHOD, &self.method, method)
    }

    /// Holds what the request is about against the body. It may be encoded.
    ///
    /// # Errors
    /// They differ, or the head names none where it `must`.
    pub fn agrees_on_name(&self, name: &str, must: bool) -> Result<(), Refusal> {
        match &self.name {
            Field::Absent if !must => Ok(()),
            Field::Text(text) => {
                let decoded = decoded(text).ok_or_else(|| unreadable(NAME))?;
                agrees(NAME, &Field::Text(decoded), name)
            }
            field => agrees(NAME, field, name),
        }
    }
}

fn field(head: &Head<'_>, name: &str) -> Field {
    let mut values = head.fields(name);
    let Some(value) = values.next() else { return Field::Absent };
    match std::str::from_utf8(value) {
        Ok(text) if values.next().is_none() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Field::Text(text.trim().into())
        }
        Ok(_) | Err(_) => Field::Wrong,
    }
}

/// What a value stands for: some are given in base64 (MCP 2026-07-28, "Value Encoding").
fn decoded(text: &str) -> Option<Box<str>> {
    let Some(encoded) = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(text.into());
    };
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Into::into)
}

fn agrees(name: &str, field: &Field, body: &str) -> Result<(), Refusal> {
    let message = match field {
        Field::Text(text) if **text == *body => return Ok(()),
        Field::Text(_) => format!("the field {name} says something else than the body"),
        Field::Absent => format!("the field {name} is missing"),
        Field::Wrong => return Err(unreadable(name)),
    };
    Err(Refusal::new(HEADER_MISMATCH, message))
}

fn unreadable(name: &str) -> Refusal {
    Refusal::new(HEADER_MISMATCH, format!("the field {name} can't be read, or stands there twice"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::wire::http1::{RequestEvent, Server};

    /// What a head with these fields says.
    pub fn announced(fields: &str) -> Announced {
        let fields: String = fields.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        let request = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        let mut server = Server::new();
        let step = server.receive(request.as_bytes(), &Limits::default()).unwrap();
        let Some(RequestEvent::Head(head)) = step.event else { panic!("no head") };
        Announced::of(&head)
    }

    #[test]
    fn a_head_agrees_with_its_body_or_is_refused() {
        let head = announced("MCP-Protocol-Version: 2026-07-28\nmcp-method: tools/call\nMcp-Name: ask");
        assert_eq!(head.version(), Ok(Some("2026-07-28")));
        assert_eq!(head.agrees_on_method("tools/call"), Ok(()));
        assert_eq!(head.agrees_on_name("ask", true), Ok(()));
        for refused in [
            head.agrees_on_version("2025-11-25"),
            head.agrees_on_method("Tools/call"),
            head.agrees_on_name("read_note", true),
            announced("").agrees_on_version("2026-07-28"),
            announced("").agrees_on_name("ask", true),
            announced("Mcp-Method: ping\nMcp-Method: ping").agrees_on_method("ping"),
            announced("Mcp-Name: caf\u{e9}").agrees_on_name("caf\u{e9}", true),
            announced("Mcp-Name: =?base64?a?=").agrees_on_name("a", true),
        ] {
            let refusal = refused.unwrap_err();
            assert_eq!((refusal.code, refusal.status), (HEADER_MISMATCH, 400));
        }
        assert!(announced("MCP-Protocol-Version: a\nMCP-Protocol-Version: b").version().is_err());
        assert_eq!(announced("").agrees_on_name("a task", false), Ok(()));
    }

    #[test]
    fn a_name_may_be_given_in_base64() {
        let head = announced("Mcp-Name: =?base64?SGVsbG8sIOS4lueVjA==?=");
        assert_eq!(head.agrees_on_name("Hello, 世界", true), Ok(()));
    }

    #[test]
    fn only_who_reads_streams_is_sent_one() {
        assert!(announced("").takes_stream);
        assert!(announced("Accept: application/json, text/event-stream").takes_stream);
        assert!(announced("Accept: application/json\nAccept: Text/Event-Stream").takes_stream);
        assert!(!announced("Accept: application/json").takes_stream);
    }
}
