//! The tools that are offered, and what a call of one asks for.
//!
//! They are the model's own (`agent::tools`), with the same names, words and bounds, and `ask`, which has the agent answer.
//! What a client is told beside that stands here: titles, hints, and the shape of what is given back.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::rpc::in_words;
use crate::agent::tools::{self as own, Lookup};
use crate::agent::{ToolUse, Wish, Writes};
use crate::app::chat::{self, Chat};
use crate::limits::Limits;

/// What a call asks for, once it is in order.
#[derive(Debug, PartialEq, Eq)]
pub enum ToolCall {
    /// Passages for these words.
    Search {
        /// The words.
        query: String,
        /// Passages at most.
        limit: usize,
    },
    /// A window of a note.
    Read {
        /// As the client wrote it: there may be no such note.
        path: String,
        /// Byte to begin at; it may lie inside a character or behind the end.
        start: u64,
        /// Bytes at most.
        length: usize,
    },
    /// A note's links in both directions.
    Links {
        /// As the client wrote it: there may be no such note.
        path: String,
    },
    /// An answer.
    Ask(Box<Chat>),
    /// A change of the notes.
    Write(Wish),
}

/// What a tool does to the notes, for clients that ask their user first (MCP 2026-07-28, `ToolAnnotations`).
#[derive(Debug, Clone, Copy)]
enum Hints {
    /// It changes nothing.
    Reads,
    /// It adds something, and adds it again when it is called again.
    Adds,
    /// It adds something once.
    AddsOnce,
}

/// What is told of a tool, beside its name, its words and its arguments.
struct Told {
    name: &'static str,
    title: &'static str,
    hints: Hints,
    output: &'static str,
}

const TOLD: [Told; 6] = [
    Told { name: "search_notes", title: "Search the notes", hints: Hints::Reads, output: SEARCHED },
    Told { name: "read_note", title: "Read a note", hints: Hints::Reads, output: READ },
    Told { name: "list_links", title: "List a note's links", hints: Hints::Reads, output: LINKED },
    Told { name: "create_note", title: "Write a new note", hints: Hints::Adds, output: WRITTEN },
    Told { name: "append_note", title: "Add to a note", hints: Hints::Adds, output: WRITTEN },
    Told { name: "link_notes", title: "Link two notes", hints: Hints::AddsOnce, output: WRITTEN },
];

const ASK: &str = "ask";

const ASK_DESCRIPTION: &str = "Ask a question about the notes and get an answer with its sources, put together by this \
    server's own agent. It may take minutes where a model answers.";

const ASK_SCHEMA: &str = r#"{"type":"object","properties":{"message":{"type":"string","minLength":1,"description":"The question"},"session_id":{"type":"string","minLength":1,"description":"A conversation to go on with, by a name of your choice: what was said in it before is known"},"strategy":{"type":"string","enum":["model","fast-first","notes"],"description":"Who answers: the model (if not given), the notes first and then the model, or the notes alone"}},"required":["message"],"additionalProperties":false}"#;

/// What `ask` takes. More than these `POST /chat` takes, and a model has no use for.
const ASK_FIELDS: [&str; 3] = ["message", "session_id", "strategy"];

/// The model's own tool reads as much as fits into its context; here the client says how much.
const READ_SCHEMA: &str = r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"},"start":{"type":"integer","minimum":0,"description":"Byte to begin at, 0 if not given"},"length":{"type":"integer","minimum":1,"maximum":65536,"description":"Most bytes, 16384 if not given"}},"required":["path"],"additionalProperties":false}"#;

/// Most bytes of a note that one call may read; the schema of `read_note` says the same. In JSON a byte may become six, and
/// all of it stands in an answer twice.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a call reads if it does not say how many: five pages.
const READ_BYTES: usize = 16 * 1024;

const SEARCHED: &str = r#"{"type":"object","properties":{"results":{"type":"array","items":{"type":"object","properties":{"path":{"type":"string"},"title":{"type":"string"},"heading":{"type":"string"},"category":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}},"start":{"type":"integer"},"end":{"type":"integer"},"score":{"type":"number"},"text":{"type":"string"},"hash":{"type":"string"}},"required":["path","title","start","end","text"]}},"query":{"type":"string"},"complete":{"type":"boolean","description":"False while notes are still being indexed"}},"required":["results","query","complete"]}"#;

const READ: &str = r#"{"type":"object","properties":{"path":{"type":"string"},"start":{"type":"integer"},"end":{"type":"integer"},"bytes":{"type":"integer","description":"Of the whole note"},"next":{"type":["integer","null"],"description":"The start that goes on from here; null at the end"},"text":{"type":"string"},"hash":{"type":"string","description":"SHA-256 of the whole file"}},"required":["path","start","end","bytes","next","text","hash"]}"#;

const LINKED: &str = r#"{"type":"object","properties":{"path":{"type":"string"},"title":{"type":"string"},"links":{"type":"array","items":{"type":"object","properties":{"target":{"type":"string","description":"As the note has it"},"path":{"type":["string","null"],"description":"Null if there is no such note"},"title":{"type":["string","null"]}},"required":["target","path","title"]}},"linked_from":{"type":"array","items":{"type":"object","properties":{"path":{"type":"string"},"title":{"type":"string"}},"required":["path","title"]}},"truncated":{"type":"boolean"},"complete":{"type":"boolean","description":"False while notes are still being indexed"}},"required":["path","title","links","linked_from","truncated","complete"]}"#;

const WRITTEN: &str = r#"{"type":"object","properties":{"path":{"type":"string"},"title":{"type":"string"},"action":{"type":"string","enum":["created","appended","linked"]},"hash":{"type":"string","description":"SHA-256 of the file as it is now"},"added":{"type":["object","null"],"description":"The bytes that came in, of a note that was there before","properties":{"start":{"type":"integer"},"end":{"type":"integer"}},"required":["start","end"]}},"required":["path","title","action","hash","added"]}"#;

const ANSWERED: &str = r#"{"type":"object","properties":{"response":{"type":"string","description":"The answer; marks like [1] count into sources"},"sources":{"type":"array","items":{"type":"object","properties":{"path":{"type":"string"},"title":{"type":"string"},"heading":{"type":"string"},"start":{"type":"integer"},"end":{"type":"integer"},"text":{"type":"string"}},"required":["path","title","start","end","text"]}},"answered_by":{"type":"string","enum":["notes","model"]},"degraded":{"type":"array","items":{"type":"string"}},"knowledge_updates":{"type":"array","items":{"type":"object"}},"run_id":{"type":"string","description":"Also the id of its task"}},"required":["response","sources","run_id"]}"#;

/// Reads a call. `None`: there is no such tool where this may be written.
///
/// The inner error is one sentence, from which a model can learn how to call it.
pub fn read(
    name: &str,
    arguments: &str,
    writes: Writes,
    limits: &Limits,
) -> Option<Result<ToolCall, String>> {
    if name == ASK {
        return Some(read_ask(arguments, limits));
    }
    let is_offered = TOLD.iter().any(|told| told.name == name)
        && own::offered(writes).iter().any(|tool| tool.name == name);
    is_offered.then(|| read_own(name, arguments, writes, limits))
}

fn read_ask(arguments: &str, limits: &Limits) -> Result<ToolCall, String> {
    let given: Map<String, Value> = serde_json::from_str(arguments)
        .map_err(|error| format!("The arguments of ask can't be read ({error})."))?;
    if let Some(name) = given.keys().find(|name| !ASK_FIELDS.contains(&name.as_str())) {
        let name: String = name.chars().take(64).collect();
        return Err(format!("ask has no argument {name:?}; it takes {}.", ASK_FIELDS.join(", ")));
    }
    let chat = chat::parse(arguments.as_bytes(), limits);
    chat.map(|chat| ToolCall::Ask(Box::new(chat))).map_err(|problem| format!("{}.", in_words(&problem)))
}

fn read_own(name: &str, arguments: &str, writes: Writes, limits: &Limits) -> Result<ToolCall, String> {
    let (arguments, length) = match name {
        "read_note" => own::take_whole(name, arguments, "length", 1..=READ_BYTES_MAX as u64)?,
        _ => (arguments.to_owned(), None),
    };
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(READ_BYTES);
    Ok(match ToolUse::parse(name, &arguments, writes, limits)? {
        ToolUse::Search { query, limit } => ToolCall::Search { query, limit },
        ToolUse::Look(Lookup::Read { path, start }) => ToolCall::Read { path, start, length },
        ToolUse::Look(Lookup::Links { path }) => ToolCall::Links { path },
        // It is not offered here, so none comes this way.
        ToolUse::Look(Lookup::List { .. }) => return Err(format!("{name} is not offered here.")),
        ToolUse::Write(wish) => ToolCall::Write(wish),
    })
}

/// All tools where this may be written. Their order is always the same.
pub fn list(writes: Writes) -> Vec<ToolView<'static>> {
    let offered = own::offered(writes);
    let with_words =
        TOLD.iter().filter_map(|told| Some((told, offered.iter().find(|tool| tool.name == told.name)?)));
    let mut tools: Vec<ToolView<'static>> = with_words
        .map(|(told, tool)| {
            let input = if tool.name == "read_note" { READ_SCHEMA } else { tool.schema };
            view(tool.name, told.title, tool.description, input, told.output, told.hints)
        })
        .collect();
    let hints = if writes == Writes::Off { Hints::Reads } else { Hints::Adds };
    tools.insert(0, view(ASK, "Ask the notes", ASK_DESCRIPTION, ASK_SCHEMA, ANSWERED, hints));
    tools
}

/// A tool as `tools/list` tells of it.
#[derive(Debug, Serialize)]
pub struct ToolView<'t> {
    name: &'t str,
    title: &'t str,
    description: &'t str,
    #[serde(rename = "inputSchema")]
    input: Option<&'t RawValue>,
    #[serde(rename = "outputSchema")]
    output: Option<&'t RawValue>,
    annotations: Annotations,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    read_only_hint: bool,
    destructive_hint: bool,
    idempotent_hint: bool,
    open_world_hint: bool,
}

fn view<'t>(
    name: &'t str,
    title: &'t str,
    description: &'t str,
    input: &'t str,
    output: &'t str,
    hints: Hints,
) -> ToolView<'t> {
    let annotations = Annotations {
        read_only_hint: matches!(hints, Hints::Reads),
        // Nothing is ever taken away or replaced.
        destructive_hint: false,
        idempotent_hint: matches!(hints, Hints::Reads | Hints::AddsOnce),
        // There is nothing but the folder.
        open_world_hint: false,
    };
    // They are constants, and a test reads them.
    let (input, output) = (serde_json::from_str(input).ok(), serde_json::from_str(output).ok());
    ToolView { name, title, description, input, output, annotations }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(writes: Writes) -> Vec<Value> {
        list(writes).iter().map(|tool| serde_json::to_value(tool).unwrap()).collect()
    }

    fn names(writes: Writes) -> Vec<String> {
        listed(writes).iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn tools_that_write_are_offered_only_where_that_may_be_done() {
        let reading = ["ask", "search_notes", "read_note", "list_links"];
        assert_eq!(names(Writes::Off), reading);
        assert_eq!(names(Writes::Inbox), [&reading[..], &["create_note"]].concat());
        assert_eq!(
            names(Writes::All),
            [&reading[..], &["create_note", "append_note", "link_notes"]].concat()
        );
        for name in ["create_note", "list_notes", "no_such"] {
            assert!(read(name, "{}", Writes::Off, &Limits::default()).is_none(), "{name}");
        }
    }

    #[test]
    fn each_tool_says_what_it_takes_gives_and_does() {
        for tool in listed(Writes::All) {
            let name = tool["name"].as_str().unwrap();
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{name}");
                for required in tool[schema]["required"].as_array().unwrap() {
                    assert!(
                        tool[schema]["properties"].get(required.as_str().unwrap()).is_some(),
                        "{name}: {required}"
                    );
                }
            }
            assert!(tool["title"].is_string() && tool["description"].is_string(), "{name}");
            let writes = ["ask", "create_note", "append_note", "link_notes"].contains(&name);
            assert_eq!(tool["annotations"]["readOnlyHint"], !writes, "{name}");
            assert_eq!(tool["annotations"]["destructiveHint"], false, "{name}");
        }
        assert_eq!(listed(Writes::Off)[0]["annotations"]["readOnlyHint"], true);
    }

    fn call(name: &str, arguments: &str) -> Result<ToolCall, String> {
        read(name, arguments, Writes::All, &Limits::default()).unwrap()
    }

    #[test]
    fn a_call_is_read_with_what_was_not_said_filled_in() {
        assert_eq!(
            call("search_notes", r#"{"query":"tea"}"#),
            Ok(ToolCall::Search { query: "tea".to_owned(), limit: 5 })
        );
        let window = |start, length| Ok(ToolCall::Read { path: "a.md".to_owned(), start, length });
        assert_eq!(call("read_note", r#"{"path":"a.md"}"#), window(0, READ_BYTES));
        assert_eq!(call("read_note", r#"{"path":"a.md","start":3,"length":7}"#), window(3, 7));
        assert_eq!(call("list_links", r#"{"path":"a.md"}"#), Ok(ToolCall::Links { path: "a.md".to_owned() }));
        let Ok(ToolCall::Ask(chat)) = call("ask", r#"{"message":"why?","session_id":"s"}"#) else { panic!() };
        assert_eq!((&*chat.question.message, chat.question.session.as_deref()), ("why?", Some("s")));
        assert!(matches!(
            call("append_note", r#"{"path":"a","content":"b"}"#),
            Ok(ToolCall::Write(Wish::Append { .. }))
        ));
    }

    #[test]
    fn a_wrong_call_is_answered_with_how_to_put_it_right() {
        for (name, arguments, words) in [
            ("search_notes", "{}", "query"),
            ("search_notes", r#"{"query":"a","limit":13}"#, "from 1 to 12"),
            ("read_note", r#"{"path":"a.md","length":0}"#, "from 1 to 65536"),
            ("read_note", r#"{"path":"a.md","lenght":1}"#, "lenght"),
            ("list_links", r#"{"path":7}"#, "string"),
            ("ask", "{}", "message: Field required"),
            ("ask", r#"{"message":"a","callback_url":"http://x"}"#, "callback_url"),
            ("ask", r#"{"message":"a","strategy":"x"}"#, "strategy"),
            ("create_note", r#"{"title":"a"}"#, "content"),
        ] {
            let why = call(name, arguments).unwrap_err();
            assert!(why.contains(words) && why.ends_with('.'), "{name} {arguments}: {why}");
        }
    }
}
