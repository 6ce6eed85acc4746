//! From a message and its head to what is to be done.
//!
//! Checked in this order, each with its own error: the message (`-32700`, `-32600`), the revision (`-32602` where it should
//! stand and does not, `-32020` where the head says another, `-32022` where it is none of ours), what else `_meta` must
//! have (`-32602`), the rest of the head (`-32020`), the method (`-32601`) and its parameters (`-32602`).

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::announced::Announced;
use super::rpc::{
    self, INVALID_PARAMS, Id, METHOD_NOT_FOUND, MISSING_CAPABILITY, Message, Refusal, UNSUPPORTED_VERSION,
};
use super::tools::{self, ToolCall};
use super::{Era, HANDSHAKES, STATELESS};
use crate::agent::Writes;
use crate::app::chat::{object, string};
use crate::limits::Limits;

/// What a body asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Something that has an answer.
    Request(Request),
    /// Nothing: it tells something, and there is nothing that would have to be done about it.
    Notified,
}

/// A request that is in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Who waits for the answer.
    pub caller: Caller,
    /// What is to be done.
    pub deed: Deed,
}

/// Whoever waits for an answer, and how it is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The request's id.
    pub id: Id,
    /// By which rules it was made.
    pub era: Era,
    /// Under this token the client wants to hear how far it has come, and it reads streams.
    pub progress: Option<Id>,
    /// It takes the handle of a task for an answer.
    pub takes_tasks: bool,
}

/// What is to be done for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Deed {
    /// `server/discover`
    Discover,
    /// `initialize`: this revision is the one that both know.
    Initialize(&'static str),
    /// `ping`
    Ping,
    /// `tools/list`
    ListTools,
    /// `tools/call`
    Call(Box<ToolCall>),
    /// `tools/call`, with arguments that won't do: one sentence for the model.
    Wrong(String),
    /// `tasks/get`
    ShowTask(Uuid),
    /// `tasks/cancel`
    CancelTask(Uuid),
    /// `tasks/update`: no task here ever waits for input, so what is sent is for none.
    UpdateTask(Uuid),
}

#[derive(Deserialize, Default)]
struct Params<'b> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'b RawValue>,
    #[serde(borrow)]
    name: Option<&'b RawValue>,
    #[serde(borrow)]
    arguments: Option<&'b RawValue>,
    #[serde(borrow)]
    cursor: Option<&'b RawValue>,
    #[serde(borrow, rename = "taskId")]
    task: Option<&'b RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    version: Option<&'b RawValue>,
}

#[derive(Deserialize, Default)]
struct Meta<'b> {
    #[serde(borrow, rename = "progressToken")]
    progress: Option<&'b RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'b RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'b RawValue>,
}

#[derive(Deserialize, Default)]
struct Capabilities<'b> {
    #[serde(borrow)]
    extensions: Option<&'b RawValue>,
}

#[derive(Deserialize, Default)]
struct Extensions<'b> {
    #[serde(borrow, rename = "io.modelcontextprotocol/tasks")]
    tasks: Option<&'b RawValue>,
}

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// Reads what is asked for where this may be written.
///
/// # Errors
/// A [`Refusal`], ready to be answered.
pub fn read(body: &[u8], head: &Announced, writes: Writes, limits: &Limits) -> Result<Asked, Refusal> {
    let Message { id, method, params } = rpc::read(body, limits)?;
    let message = (&*method, params);
    let asked = match &id {
        Some(id) => request(id, message, head, writes, limits).map(Asked::Request),
        // What a notification's head must say is not laid down, and there is none that would be heeded.
        None => params_of(message, head).map(|_| Asked::Notified),
    };
    asked.map_err(|refusal| Refusal { id, ..refusal })
}

fn request(
    id: &Id,
    message: (&str, Option<&RawValue>),
    head: &Announced,
    writes: Writes,
    limits: &Limits,
) -> Result<Request, Refusal> {
    let (params, meta, era) = params_of(message, head)?;
    let (method, _) = message;
    let takes_tasks = match era {
        Era::Stateless => {
            let capabilities = meta.capabilities.ok_or_else(|| missing(CAPABILITIES_KEY))?;
            head.agrees_on_method(method)?;
            takes_tasks(capabilities)?
        }
        Era::Handshake => false,
    };
    let progress = meta.progress.map(|token| {
        Id::read(token, limits.rpc_id_bytes_max)
            .ok_or_else(|| wrong("params._meta.progressToken must be a string or a whole number, and short"))
    });
    let progress = progress.transpose()?.filter(|_| head.takes_stream);
    let caller = Caller { id: id.clone(), era, progress, takes_tasks };
    let deed = deed(method, &params, &caller, head, writes, limits);
    match era {
        Era::Stateless => Ok(Request { deed: deed?, caller }),
        // Clients of that era take another status for a failure of the transport, and drop the words.
        Era::Handshake => {
            let deed = deed.map_err(|refusal| Refusal { status: 200, ..refusal })?;
            Ok(Request { deed, caller })
        }
    }
}

/// The parameters of a message, what stands in their `_meta`, and by which rules it was made.
fn params_of<'b>(
    (method, params): (&str, Option<&'b RawValue>),
    head: &Announced,
) -> Result<(Params<'b>, Meta<'b>, Era), Refusal> {
    let params: Params<'b> = fields(params, "params")?;
    let meta: Meta<'b> = fields(params.meta, "params._meta")?;
    let era = era(method, &meta, head)?;
    Ok((params, meta, era))
}

/// By which rules the client asks: a revision in the body says so, else the head's. Who names none is of the first
/// revision that did not have to.
fn era(method: &str, meta: &Meta<'_>, head: &Announced) -> Result<Era, Refusal> {
    if let Some(version) = meta.version {
        let version = string(version).ok_or_else(|| wrong("the protocol version must be a string"))?;
        head.agrees_on_version(&version)?;
        return if version == STATELESS { Ok(Era::Stateless) } else { Err(unsupported(&version)) };
    }
    match head.version()? {
        _ if method == "initialize" => Ok(Era::Handshake),
        None => Ok(Era::Handshake),
        Some(version) if HANDSHAKES.contains(&version) => Ok(Era::Handshake),
        Some(STATELESS) => Err(missing(VERSION_KEY)),
        Some(version) => Err(unsupported(version)),
    }
}

fn deed(
    method: &str,
    params: &Params<'_>,
    caller: &Caller,
    head: &Announced,
    writes: Writes,
    limits: &Limits,
) -> Result<Deed, Refusal> {
    match (method, caller.era) {
        ("server/discover", Era::Stateless) => Ok(Deed::Discover),
        ("initialize", Era::Handshake) => {
            let wanted = params.version.and_then(string);
            let wanted = wanted.ok_or_else(|| wrong("initialize needs params.protocolVersion"))?;
            // Whoever wants another is offered the newest, and goes away if that won't do.
            let known = HANDSHAKES.into_iter().find(|known| *known == wanted);
            Ok(Deed::Initialize(known.unwrap_or(HANDSHAKES[0])))
        }
        ("ping", Era::Handshake) => Ok(Deed::Ping),
        ("tools/list", _) if params.cursor.is_some() => {
            Err(wrong("all tools stand in one list, so no cursor was given out"))
        }
        ("tools/list", _) => Ok(Deed::ListTools),
        ("tools/call", _) => {
            let name = params.name.and_then(string);
            let name = name.ok_or_else(|| wrong("tools/call needs params.name, a string"))?;
            if caller.era == Era::Stateless {
                head.agrees_on_name(&name, true)?;
            }
            let arguments = params.arguments.map_or("{}", |arguments| arguments.get());
            if !arguments.starts_with('{') {
                return Err(wrong("params.arguments must be an object"));
            }
            let read = tools::read(&name, arguments, writes, limits)
                .ok_or_else(|| wrong("there is no such tool; tools/list names those that there are"))?;
            Ok(read.map_or_else(Deed::Wrong, |call| Deed::Call(Box::new(call))))
        }
        ("tasks/get" | "tasks/cancel" | "tasks/update", Era::Stateless) => {
            if !caller.takes_tasks {
                return Err(needs_tasks());
            }
            let task = params.task.and_then(string);
            let task = task.ok_or_else(|| wrong("params.taskId must be the id of a task"))?;
            head.agrees_on_name(&task, false)?;
            let id = task_id(&task).ok_or_else(|| wrong("there is no such task"))?;
            Ok(match method {
                "tasks/get" => Deed::ShowTask(id),
                "tasks/cancel" => Deed::CancelTask(id),
                _ => Deed::UpdateTask(id),
            })
        }
        _ => Err(Refusal::new(METHOD_NOT_FOUND, "this server does not know the method")),
    }
}

/// Only the hyphenated form, as everywhere: a task has one name.
fn task_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

/// The fields of an object that may be left out.
fn fields<'b, T: Deserialize<'b> + Default>(text: Option<&'b RawValue>, place: &str) -> Result<T, Refusal> {
    let Some(text) = text else { return Ok(T::default()) };
    let fields = object(text).ok_or_else(|| wrong(format!("{place} must be an object")))?;
    fields.map_err(|error| wrong(format!("{place} can't be read: {error}")))
}

fn takes_tasks(capabilities: &RawValue) -> Result<bool, Refusal> {
    let declared: Capabilities<'_> = fields(Some(capabilities), CAPABILITIES_KEY)?;
    let extensions: Extensions<'_> = fields(declared.extensions, "extensions")?;
    Ok(extensions.tasks.is_some())
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(INVALID_PARAMS, message)
}

fn missing(key: &str) -> Refusal {
    wrong(format!("params._meta needs {key}"))
}

fn unsupported(version: &str) -> Refusal {
    let supported: Vec<&str> = std::iter::once(STATELESS).chain(HANDSHAKES).collect();
    let data = serde_json::json!({ "supported": supported, "requested": version });
    let message = if HANDSHAKES.contains(&version) {
        "this protocol version begins with initialize, and says nothing in _meta"
    } else {
        "this server does not speak that protocol version"
    };
    Refusal { data: Some(data.to_string().into()), ..Refusal::new(UNSUPPORTED_VERSION, message) }
}

fn needs_tasks() -> Refusal {
    let data = r#"{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;
    let message = "the client has not declared the extension io.modelcontextprotocol/tasks";
    Refusal { data: Some(data.into()), ..Refusal::new(MISSING_CAPABILITY, message) }
}

#[cfg(test)]
mod tests {
    use super::super::announced::tests::announced;
    use super::*;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    const TASKS: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#;

    fn asked(head: &str, body: &str) -> Result<Asked, (i32, u16)> {
        let read = read(body.as_bytes(), &announced(head), Writes::Off, &Limits::default());
        read.map_err(|refusal| {
            assert!(refusal.id.is_some() || !body.contains("\"id\""), "{body}");
            (refusal.code, refusal.status)
        })
    }

    fn stateless(method: &str, params: &str, name: &str) -> Result<Deed, (i32, u16)> {
        let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}") };
        let head = format!("MCP-Protocol-Version: 2026-07-28\nMcp-Method: {method}\n{name}");
        deed_of(asked(&head, &body(method, params)))
    }

    fn handshake(method: &str, params: &str) -> Result<Deed, (i32, u16)> {
        deed_of(asked("MCP-Protocol-Version: 2025-06-18", &body(method, params)))
    }

    fn body(method: &str, params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
    }

    fn deed_of(asked: Result<Asked, (i32, u16)>) -> Result<Deed, (i32, u16)> {
        asked.map(|asked| match asked {
            Asked::Request(request) => request.deed,
            Asked::Notified => panic!("that is a request"),
        })
    }

    #[test]
    fn each_method_of_either_era_has_its_deed() {
        let id = Uuid::from_u128(7);
        let task = |rest: &str| format!(r#""taskId":"{id}",{rest}"#);
        assert_eq!(stateless("server/discover", META, ""), Ok(Deed::Discover));
        assert_eq!(stateless("tools/list", META, ""), Ok(Deed::ListTools));
        assert_eq!(stateless("tasks/get", &task(TASKS), &id.to_string()), Ok(Deed::ShowTask(id)));
        assert_eq!(stateless("tasks/get", &task(TASKS), ""), Ok(Deed::ShowTask(id)));
        assert_eq!(stateless("tasks/cancel", &task(TASKS), &id.to_string()), Ok(Deed::CancelTask(id)));
        assert_eq!(stateless("tasks/update", &task(TASKS), &id.to_string()), Ok(Deed::UpdateTask(id)));
        let call = format!(r#""name":"list_links","arguments":{{"path":"a.md"}},{META}"#);
        let links = || Ok(Deed::Call(Box::new(ToolCall::Links { path: "a.md".to_owned() })));
        assert_eq!(stateless("tools/call", &call, "list_links"), links());
        assert_eq!(
            handshake("tools/call", r#""name":"list_links","arguments":{"path":"a.md"},"task":{}"#),
            links()
        );
        assert!(matches!(handshake("tools/call", r#""name":"ask""#), Ok(Deed::Wrong(_))));
        assert_eq!(handshake("tools/list", ""), Ok(Deed::ListTools));
        assert_eq!(handshake("ping", ""), Ok(Deed::Ping));
        for (wanted, known) in
            [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25")]
        {
            let params = format!(r#""protocolVersion":"{wanted}","capabilities":{{}}"#);
            assert_eq!(handshake("initialize", &params), Ok(Deed::Initialize(known)));
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_code_and_the_status_of_its_era() {
        let id = Uuid::from_u128(7);
        let call = |name: &str| format!(r#""name":"{name}",{META}"#);
        for (refused, expected) in [
            (stateless("ping", META, ""), (-32601, 404)),
            (stateless("initialize", META, ""), (-32601, 404)),
            (stateless("subscriptions/listen", META, ""), (-32601, 404)),
            (handshake("server/discover", ""), (-32601, 200)),
            (handshake("tasks/get", ""), (-32601, 200)),
            (stateless("tools/list", "", ""), (-32602, 400)),
            (
                stateless(
                    "tools/list",
                    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
                    "",
                ),
                (-32602, 400),
            ),
            (stateless("tools/list", r#""_meta":[]"#, ""), (-32602, 400)),
            (stateless("tools/list", &format!(r#""cursor":"x",{META}"#), ""), (-32602, 400)),
            (stateless("tools/call", &call("no_such"), "no_such"), (-32602, 400)),
            (stateless("tools/call", &call("create_note"), "create_note"), (-32602, 400)),
            (stateless("tools/call", META, ""), (-32602, 400)),
            (stateless("tools/call", &call("ask"), ""), (-32020, 400)),
            (stateless("tools/call", &call("ask"), "read_note"), (-32020, 400)),
            (handshake("tools/call", r#""name":"no_such""#), (-32602, 200)),
            (handshake("tools/call", r#""name":"ask","arguments":[]"#), (-32602, 200)),
            (handshake("initialize", ""), (-32602, 200)),
            (stateless("tasks/get", &format!(r#""taskId":"{id}",{META}"#), ""), (-32021, 400)),
            (stateless("tasks/get", &format!(r#""taskId":"7",{TASKS}"#), "7"), (-32602, 400)),
            (stateless("tasks/get", &format!(r#""taskId":"{id}",{TASKS}"#), "other"), (-32020, 400)),
            (
                stateless("tools/list", &format!(r#""_meta":{{"progressToken":{{}},{}"#, &META[9..]), ""),
                (-32602, 400),
            ),
        ] {
            assert_eq!(refused, Err(expected));
        }
    }

    #[test]
    fn the_revision_stands_in_the_body_and_the_head_alike() {
        let list = |params: &str| body("tools/list", params);
        let other = META.replace("2026-07-28", "2099-01-01");
        let before = META.replace("2026-07-28", "2025-11-25");
        for (head, body, expected) in [
            ("Mcp-Method: tools/list", list(META), (-32020, 400)),
            ("MCP-Protocol-Version: 2025-11-25", list(META), (-32020, 400)),
            ("MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call", list(META), (-32020, 400)),
            ("MCP-Protocol-Version: 2026-07-28", list(META), (-32020, 400)),
            ("MCP-Protocol-Version: 2099-01-01", list(&other), (-32022, 400)),
            ("MCP-Protocol-Version: 2025-11-25", list(&before), (-32022, 400)),
            ("MCP-Protocol-Version: 2099-01-01", list(""), (-32022, 400)),
            ("MCP-Protocol-Version: a\nMCP-Protocol-Version: b", list(""), (-32020, 400)),
        ] {
            assert_eq!(asked(head, &body), Err(expected), "{head} {body}");
        }
        // Whoever says nothing is of the first revision that did not have to.
        assert!(
            matches!(asked("", &list("")), Ok(Asked::Request(Request { caller, .. })) if caller.era == Era::Handshake)
        );
        let refusal = read(
            list(&other).as_bytes(),
            &announced("MCP-Protocol-Version: 2099-01-01"),
            Writes::Off,
            &Limits::default(),
        );
        let data = refusal.unwrap_err().data.unwrap();
        assert_eq!(
            &*data,
            r#"{"requested":"2099-01-01","supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"]}"#
        );
    }

    #[test]
    fn a_notification_is_noted_in_either_era() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        assert_eq!(asked("MCP-Protocol-Version: 2025-11-25", note), Ok(Asked::Notified));
        assert_eq!(asked("", note), Ok(Asked::Notified));
        let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{{META}}}}}"#);
        assert_eq!(asked("MCP-Protocol-Version: 2026-07-28", &note), Ok(Asked::Notified));
        assert_eq!(asked("MCP-Protocol-Version: 2099-01-01", &note), Err((-32020, 400)));
    }

    #[test]
    fn progress_is_told_to_those_who_read_streams() {
        let body = body("ping", r#""_meta":{"progressToken":"p"}"#);
        let progress = |head: &str| match asked(head, &body) {
            Ok(Asked::Request(request)) => request.caller.progress.map(|token| token.json().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(progress("Accept: application/json, text/event-stream").as_deref(), Some(r#""p""#));
        assert_eq!(progress("Accept: application/json"), None);
    }
}
