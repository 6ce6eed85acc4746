//! The tools that a model may call, and the check of what it wrote in a call.
//!
//! A tool only looks: it searches, reads and lists notes. What a note says can't add one, as the four are written
//! here. A call that is wrong is answered with one sentence that says how to put it right, and the model goes on.
//!
//! ```
//! use oneloop::agent::tools::{Lookup, ToolUse};
//! use oneloop::limits::Limits;
//!
//! let limits = Limits::default();
//! let used = ToolUse::parse("read_note", r#"{"path":"kitchen/coffee.md"}"#, &limits);
//! assert_eq!(used, Ok(ToolUse::Look(Lookup::Read { path: "kitchen/coffee.md".to_owned(), start: 0 })));
//! let wrong = ToolUse::parse("read_note", "{}", &limits);
//! assert_eq!(wrong, Err("read_note needs the argument \"path\" (a string).".to_owned()));
//! ```

use serde_json::{Map, Value};

use crate::limits::{Limits, PASSAGES_MAX};

use super::head;

/// A tool as a model is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// What a call names.
    pub name: &'static str,
    /// What it does and when to use it, for the model.
    pub description: &'static str,
    /// Its arguments, as a JSON Schema. Only what every server's grammar knows: no patterns, no lengths but of one.
    pub schema: &'static str,
}

/// The tools. Their text is a part of every prompt that offers them, so it is short.
pub const TOOLS: [Tool; 4] = [
    Tool {
        name: "search_notes",
        description: "Search the notes for passages, best first.",
        schema: r#"{"type":"object","properties":{"query":{"type":"string","minLength":1,"description":"Words to search for"},"limit":{"type":"integer","minimum":1,"maximum":12,"description":"Most passages, 5 if not given"}},"required":["query"],"additionalProperties":false}"#,
    },
    Tool {
        name: "read_note",
        description: "Read the text of one note.",
        schema: r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"},"start":{"type":"integer","minimum":0,"description":"Byte to begin at, 0 if not given"}},"required":["path"],"additionalProperties":false}"#,
    },
    Tool {
        name: "list_links",
        description: "List the notes that a note links to, and those that link to it.",
        schema: r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"}},"required":["path"],"additionalProperties":false}"#,
    },
    Tool {
        name: "list_notes",
        description: "List the paths and titles of notes.",
        schema: r#"{"type":"object","properties":{"folder":{"type":"string","description":"Only notes below this folder; all if not given"},"offset":{"type":"integer","minimum":0,"description":"Notes to pass over, 0 if not given"}},"required":[],"additionalProperties":false}"#,
    },
];

/// Most passages that a model may ask for; the schema of `search_notes` says the same.
const SEARCH_LIMIT_MAX: u64 = 12;
const _: () =
    assert!(SEARCH_LIMIT_MAX as usize <= PASSAGES_MAX, "a tool's search finds no more than any other");

/// Passages that a search gives if the model does not say how many: what a small context has room for.
const SEARCH_LIMIT: u64 = 5;

/// A call that is in order, with what was not said filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolUse {
    /// Search for passages.
    Search {
        /// At most `query_bytes_max` long: more is not read, as with any question.
        query: String,
        /// From 1 to `passages_max`.
        limit: usize,
    },
    /// Look something up.
    Look(Lookup),
}

/// A look that needs no search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Read a note.
    Read {
        /// As the model wrote it: there may be no such note.
        path: String,
        /// Byte offset in the note; it may lie inside a character or behind the end.
        start: u64,
    },
    /// List a note's links in both directions.
    Links {
        /// As the model wrote it: there may be no such note.
        path: String,
    },
    /// List notes.
    List {
        /// As the model wrote it; empty for all notes.
        folder: String,
        /// Notes to pass over; it may lie behind the last.
        offset: u64,
    },
}

impl ToolUse {
    /// Checks a call against the tool's schema. `arguments` is JSON text; nothing at all counts as `{}`, as servers
    /// write it for a call without arguments, and `null` as an argument that was not given.
    ///
    /// # Errors
    /// One sentence for the model.
    pub fn parse(name: &str, arguments: &str, limits: &Limits) -> Result<ToolUse, String> {
        if !TOOLS.iter().any(|tool| tool.name == name) {
            return Err(unknown_tool(name));
        }
        let mut given = Arguments { tool: name, fields: read_object(name, arguments)? };
        let used = match name {
            "search_notes" => {
                let query = given.text("query")?;
                let limit = given.whole("limit", 1..=SEARCH_LIMIT_MAX)?.unwrap_or(SEARCH_LIMIT);
                let query = head(&query, limits.query_bytes_max).to_owned();
                let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits.passages_max);
                ToolUse::Search { query, limit }
            }
            "read_note" => ToolUse::Look(Lookup::Read {
                path: given.text("path")?,
                start: given.whole("start", 0..=u64::MAX)?.unwrap_or(0),
            }),
            "list_links" => ToolUse::Look(Lookup::Links { path: given.text("path")? }),
            "list_notes" => ToolUse::Look(Lookup::List {
                folder: given.text_if_given("folder")?.unwrap_or_default(),
                offset: given.whole("offset", 0..=u64::MAX)?.unwrap_or(0),
            }),
            _ => return Err(unknown_tool(name)),
        };
        given.expect_no_more()?;
        Ok(used)
    }
}

impl ToolUse {
    /// What is done, for people: one sentence.
    pub fn detail(&self) -> String {
        let named = |text: &str| head(text, TOLD_BYTES_MAX).to_owned();
        match self {
            ToolUse::Search { query, .. } => format!("Searching the notes for \"{}\".", named(query)),
            ToolUse::Look(Lookup::Read { path, .. }) => format!("Reading {}.", named(path)),
            ToolUse::Look(Lookup::Links { path }) => format!("Looking at the links of {}.", named(path)),
            ToolUse::Look(Lookup::List { folder, .. }) if folder.is_empty() => {
                "Listing the notes.".to_owned()
            }
            ToolUse::Look(Lookup::List { folder, .. }) => {
                format!("Listing the notes below {}.", named(folder))
            }
        }
    }
}

/// Longest part of an argument that readers are told.
const TOLD_BYTES_MAX: usize = 200;

fn unknown_tool(name: &str) -> String {
    let names = TOOLS.map(|tool| tool.name).join(", ");
    format!("There is no tool {}; the tools are {names}.", quoted(name))
}

fn read_object(tool: &str, arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(arguments) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(format!("The arguments of {tool} must be a JSON object.")),
        Err(error) => Err(format!("The arguments of {tool} are not valid JSON ({error}).")),
    }
}

/// The arguments of one call; each is taken out when it is read.
struct Arguments<'n> {
    tool: &'n str,
    fields: Map<String, Value>,
}

impl Arguments<'_> {
    /// A text that must be given and must not be empty.
    fn text(&mut self, name: &str) -> Result<String, String> {
        match self.text_if_given(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(format!("The argument \"{name}\" of {} must not be empty.", self.tool)),
            None => Err(format!("{} needs the argument \"{name}\" (a string).", self.tool)),
        }
    }

    fn text_if_given(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("The argument \"{name}\" of {} must be a string.", self.tool)),
        }
    }

    /// A whole number; `5.0` is one, too (JSON Schema, 6.1.1).
    fn whole(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, String> {
        let value = match self.fields.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        match whole_number(&value) {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            Some(_) | None => {
                let (least, most) = range.into_inner();
                let bounds = match most {
                    u64::MAX => format!("of at least {least}"),
                    _ => format!("from {least} to {most}"),
                };
                Err(format!("The argument \"{name}\" of {} must be a whole number {bounds}.", self.tool))
            }
        }
    }

    fn expect_no_more(&self) -> Result<(), String> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("{} has no argument {}.", self.tool, quoted(name))),
        }
    }
}

fn whole_number(value: &Value) -> Option<u64> {
    // The cast ends at `u64::MAX`: no note is that long, whichever of the two numbers was meant.
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    value.as_u64().or_else(|| float().map(|float| float as u64))
}

/// What a model wrote, short enough to be told back to it.
fn quoted(text: &str) -> String {
    format!("{:?}", head(text, QUOTED_BYTES_MAX))
}

/// Longest name that is told back in an error.
const QUOTED_BYTES_MAX: usize = 64;

/// `text` within `bytes_max`: cut between two characters, with a line behind it that says how much is left out.
///
/// The line counts, too; where there is no room for it, the text is cut without a word.
pub fn cap(mut text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text;
    }
    let remark = |left_out: usize| format!("\n[{left_out} more bytes are left out]");
    // As many digits as the remark can need.
    let room = bytes_max.saturating_sub(remark(text.len()).len());
    let end = head(&text, if room == 0 { bytes_max } else { room }).len();
    let left_out = text.len() - end;
    text.truncate(end);
    if room > 0 {
        text.push_str(&remark(left_out));
    }
    text
}
