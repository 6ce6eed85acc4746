//! The tools that a model may call, and the check of what it wrote in a call.
//!
//! Four of them look: they search, read and list notes. Three write, and which of those there are is the operator's to
//! say. What a note says can't add one, as all are written here. A call that is wrong is answered with one sentence that
//! says how to put it right, and the model goes on.
//!
//! ```
//! use oneloop::agent::Writes;
//! use oneloop::agent::tools::{Lookup, ToolUse};
//! use oneloop::limits::Limits;
//!
//! let limits = Limits::default();
//! let used = ToolUse::parse("read_note", r#"{"path":"kitchen/coffee.md"}"#, Writes::Off, &limits);
//! assert_eq!(used, Ok(ToolUse::Look(Lookup::Read { path: "kitchen/coffee.md".to_owned(), start: 0 })));
//! let wrong = ToolUse::parse("read_note", "{}", Writes::Off, &limits);
//! assert_eq!(wrong, Err("read_note needs the argument \"path\" (a string).".to_owned()));
//! ```

use serde_json::{Map, Value};

use crate::limits::{Limits, PASSAGES_MAX};

use super::effect::{NewNote, Wish};
use super::head;
use super::organise::{Draft, INBOX, TITLE_BYTES_MAX};
use super::question::Writes;

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

/// The tools that a model is offered where this may be written. Their text is a part of every prompt that offers them, so
/// it is short.
pub const fn offered(writes: Writes) -> &'static [Tool] {
    match writes {
        Writes::Off => &[SEARCH, READ, LINKS, LIST],
        Writes::Inbox => &[SEARCH, READ, LINKS, LIST, CREATE_IN_INBOX],
        Writes::All => &[SEARCH, READ, LINKS, LIST, CREATE, APPEND, LINK],
    }
}

const SEARCH: Tool = Tool {
    name: "search_notes",
    description: "Search the notes for passages, best first.",
    schema: r#"{"type":"object","properties":{"query":{"type":"string","minLength":1,"description":"Words to search for"},"limit":{"type":"integer","minimum":1,"maximum":12,"description":"Most passages, 5 if not given"}},"required":["query"],"additionalProperties":false}"#,
};

const READ: Tool = Tool {
    name: "read_note",
    description: "Read the text of one note.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"},"start":{"type":"integer","minimum":0,"description":"Byte to begin at, 0 if not given"}},"required":["path"],"additionalProperties":false}"#,
};

const LINKS: Tool = Tool {
    name: "list_links",
    description: "List the notes that a note links to, and those that link to it.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"}},"required":["path"],"additionalProperties":false}"#,
};

const LIST: Tool = Tool {
    name: "list_notes",
    description: "List the paths and titles of notes.",
    schema: r#"{"type":"object","properties":{"folder":{"type":"string","description":"Only notes below this folder; all if not given"},"offset":{"type":"integer","minimum":0,"description":"Notes to pass over, 0 if not given"}},"required":[],"additionalProperties":false}"#,
};

const CREATE_IN_INBOX: Tool = Tool {
    name: "create_note",
    description: "Write a new note into the folder Inbox.",
    schema: r#"{"type":"object","properties":{"title":{"type":"string","minLength":1,"description":"Title, which becomes the file's name"},"content":{"type":"string","minLength":1,"description":"Markdown, without the title"},"tags":{"type":"array","items":{"type":"string"},"description":"Tags, without #"}},"required":["title","content"],"additionalProperties":false}"#,
};

const CREATE: Tool = Tool {
    name: "create_note",
    description: "Write a new note.",
    schema: r#"{"type":"object","properties":{"title":{"type":"string","minLength":1,"description":"Title, which becomes the file's name"},"content":{"type":"string","minLength":1,"description":"Markdown, without the title"},"tags":{"type":"array","items":{"type":"string"},"description":"Tags, without #"},"folder":{"type":"string","description":"Folder, Inbox if not given"}},"required":["title","content"],"additionalProperties":false}"#,
};

const APPEND: Tool = Tool {
    name: "append_note",
    description: "Add text at the end of a note.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","minLength":1,"description":"Path as a passage or a list shows it"},"content":{"type":"string","minLength":1,"description":"Markdown to add"}},"required":["path","content"],"additionalProperties":false}"#,
};

const LINK: Tool = Tool {
    name: "link_notes",
    description: "Add a link to another note to a note.",
    schema: r#"{"type":"object","properties":{"from":{"type":"string","minLength":1,"description":"Path of the note that gets the link"},"to":{"type":"string","minLength":1,"description":"Path of the note it links to"},"why":{"type":"string","description":"A few words on how they belong together"}},"required":["from","to"],"additionalProperties":false}"#,
};

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
    /// Change the notes.
    Write(Wish),
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
    pub fn parse(name: &str, arguments: &str, writes: Writes, limits: &Limits) -> Result<ToolUse, String> {
        if !offered(writes).iter().any(|tool| tool.name == name) {
            return Err(not_offered(name, writes));
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
            "create_note" => ToolUse::Write(Wish::Create(NewNote {
                draft: Draft {
                    title: given.line("title")?,
                    body: given.markdown("content")?,
                    category: String::new(),
                    tags: given.tags()?,
                    related: Vec::new(),
                },
                folder: match writes {
                    Writes::All => given.folder()?,
                    Writes::Off | Writes::Inbox => INBOX.to_owned(),
                },
                insists: true,
                taken: 0,
            })),
            "append_note" => ToolUse::Write(Wish::Append {
                path: given.text("path")?,
                content: format!("{}\n", given.markdown("content")?),
            }),
            "link_notes" => ToolUse::Write(Wish::Link {
                from: given.text("from")?,
                to: given.text("to")?,
                why: one_line(&given.text_if_given("why")?.unwrap_or_default(), WHY_BYTES_MAX),
            }),
            _ => return Err(not_offered(name, writes)),
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
            ToolUse::Write(Wish::Create(note)) => format!("Writing the note \"{}\".", note.draft.title),
            ToolUse::Write(Wish::Append { path, .. }) => format!("Adding to {}.", named(path)),
            ToolUse::Write(Wish::Link { from, to, .. }) => {
                format!("Linking {} to {}.", named(from), named(to))
            }
        }
    }
}

/// Longest part of an argument that readers are told.
const TOLD_BYTES_MAX: usize = 200;

/// Why a tool can't be used: it may be one that writes what may not be written here, or none at all.
fn not_offered(name: &str, writes: Writes) -> String {
    let is_ours = offered(Writes::All).iter().any(|tool| tool.name == name);
    match writes {
        Writes::Off if is_ours => format!("{name} can't be used: nothing may be written here."),
        Writes::Inbox if is_ours => {
            format!("{name} can't be used: only new notes may be written here, with create_note.")
        }
        Writes::Off | Writes::Inbox | Writes::All => {
            let names: Vec<&str> = offered(writes).iter().map(|tool| tool.name).collect();
            format!("There is no tool {}; the tools are {}.", quoted(name), names.join(", "))
        }
    }
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

/// Takes a whole number out of a call's arguments that the tool itself does not know; answers the others, and it.
///
/// # Errors
/// One sentence for whoever made the call.
pub fn take_whole(
    tool: &str,
    arguments: &str,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(String, Option<u64>), String> {
    let mut given = Arguments { tool, fields: read_object(tool, arguments)? };
    let number = given.whole(name, range)?;
    Ok((Value::Object(given.fields).to_string(), number))
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

    /// A text that must be given, as one line.
    fn line(&mut self, name: &str) -> Result<String, String> {
        let line = one_line(&self.text(name)?, TITLE_BYTES_MAX);
        // A heading, or a name, that is nothing but white space is given all the same: `Note` will do.
        Ok(if line.is_empty() { "Note".to_owned() } else { line })
    }

    /// A text that must be given, without white space around it, its lines ended by `\n`.
    fn markdown(&mut self, name: &str) -> Result<String, String> {
        let text = self.text(name)?.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end().trim_start_matches('\n');
        Ok(text.to_owned())
    }

    /// Tags, as far as they are any.
    fn tags(&mut self) -> Result<Vec<String>, String> {
        let wrong = || format!("The argument \"tags\" of {} must be a list of strings.", self.tool);
        let given = match self.fields.remove("tags") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(given)) => given,
            Some(_) => return Err(wrong()),
        };
        let mut tags: Vec<String> = Vec::new();
        for tag in &given {
            let tag = one_line(tag.as_str().ok_or_else(wrong)?.trim().trim_start_matches('#'), TAG_BYTES_MAX);
            if !tag.is_empty() && !tags.contains(&tag) && tags.len() < TAGS_MAX {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    /// A folder, below which it may lie in further ones.
    fn folder(&mut self) -> Result<String, String> {
        let given = self.text_if_given("folder")?.unwrap_or_default();
        let folder = given.trim().trim_start_matches("./").trim_end_matches('/');
        Ok(if folder.is_empty() { INBOX.to_owned() } else { folder.to_owned() })
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

/// `text` as one line of at most `bytes_max`.
fn one_line(text: &str, bytes_max: usize) -> String {
    let words: Vec<&str> =
        text.split(|character: char| character.is_whitespace() || character.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    head(&line, bytes_max).trim_end().to_owned()
}

/// Longest reason for a link, in bytes.
const WHY_BYTES_MAX: usize = 200;

/// Longest tag, in bytes.
const TAG_BYTES_MAX: usize = 64;

/// Tags that a new note gets at most; further ones are left out.
const TAGS_MAX: usize = 8;

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
