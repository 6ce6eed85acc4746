//! What a visitor comes for, and the bytes that it asks with.

use std::cell::Cell;

use oneloop::base::Time;
use oneloop::os::sim::Outside;
use serde_json::json;

use super::super::embeddings;
use super::super::judge::Question;
use super::super::parser::EventReader;
use super::super::receiver;
use super::super::town::SUBJECTS;
use super::completion::{Completion, Left};
use super::{Sent, Visitor, tool};

/// One request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// `GET /health`.
    Health,
    /// `HEAD /health`.
    HeadOnly,
    /// `GET /info`.
    Info,
    /// `OPTIONS /chat`.
    Options,
    /// A path that does not exist.
    Nowhere,
    /// A chat request whose JSON is broken.
    BrokenJson,
    /// A body that is declared larger than is taken.
    TooLarge,
    /// `GET /tasks`.
    Tasks,
    /// `POST /sync`.
    Sync,
    /// Saves a note, syncs, and asks for what it has just written.
    Write,
    /// `POST /sync`, after which the note with this name, and its code, must be known.
    SyncNote { name: String },
    /// `POST /chat` about it.
    ChatNote { name: String, ends: u32 },
    /// `POST /verify` of a source that such a chat has named, or of one that is like it; what it must be told.
    Verify { source: String, wanted: Verdict, ends: u32 },
    /// `POST /cache/clear`, then a look at what is left.
    ClearCaches,
    /// `GET /cache/stats`.
    CacheStats,
    /// Something to write into the note that all scribes share, once its time comes.
    Scribble,
    /// The same by an editor that knows nothing of the server.
    Edit,
    /// `GET /notes/file/shared/tally.md`, to write a token behind what it holds.
    Add { token: String },
    /// `PUT` of what was read with the token behind it, on condition that it still is what was read.
    Put { token: String, etag: Option<String>, text: String },
    /// `GET /knowledge/search/content` of a token that was written in this process.
    Find { token: String, ends: u32 },
    /// A note of its own, which is made, read, removed and missed.
    Own { token: String, step: OwnStep, etag: Option<String> },
    /// `POST /chat/async` of something that the agent is to keep.
    Keep { token: String },
    /// What has become of it.
    Kept { token: String, id: String },
    /// `POST /notes/undo` of the note that was made of it.
    Undo { token: String, id: String },
    /// `POST /chat/async` of a message in a session.
    Say { session: usize, token: String, on_busy: &'static str, asked: Asked },
    /// What has become of it.
    Said { session: usize, token: String, id: String, drops: Option<u32> },
    /// `GET /sessions/{id}`, in which these must be found: runs, and what they were asked.
    Hear { session: usize, wanted: Vec<(String, String)> },
    /// `DELETE /sessions/{id}`.
    Drop { session: usize, token: String },
    /// `GET /sessions`, page by page.
    Sessions { after: Option<String> },
    /// `GET /notes`, page by page.
    Page { after: Option<String> },
    /// Another look at the notes.
    Look { place: usize },
    /// `POST /v1/embeddings` of a text about each of so many subjects, one after the other.
    Embed { texts: usize },
    /// `POST /chat`.
    Chat { subject: usize },
    /// `POST /chat/async`, then what becomes of it. With a key it is the same task however often it is asked.
    Begin { subject: usize, cancels: bool, key: Option<u32> },
    /// The same with a callback to one of the receiver's servers.
    Call { subject: usize, cancels: bool, server: usize },
    /// `GET /chat/task/{id}`, until it has ended, and once more.
    Poll { id: String, again: u8 },
    /// `DELETE /tasks/{id}`.
    Cancel { id: String },
    /// Joins the stream of a run that somebody else may have begun.
    Follow,
    /// Cancels such a run.
    Meddle,
    /// `POST /chat/stream`.
    Stream { subject: usize },
    /// `POST /v1/chat/completions`; it leaves after so many chunks.
    Complete { subject: usize, streams: bool, leaves_after: Option<usize>, by: Words },
    /// `GET /chat/task/{id}` of a completion that it has left.
    Left(Left),
    /// `GET /chat/task/{id}/stream` from behind event `after`; `done` if its last event was seen.
    Rejoin { id: String, after: u64, done: bool },
}

/// In which words something is asked whose run ends with its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    OpenAi,
    Mcp,
}

/// Whether a message was asked before, the answer being lost, and when first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Never,
    /// When so many had had the session dropped; `None` if somebody was about it.
    After {
        drops: Option<u32>,
    },
}

/// How far a scribe has come with a note of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnStep {
    Make,
    Read,
    Remove,
    Miss,
}

/// Looks at the notes whose answers are only checked for being JSON.
pub const LOOKS: [&str; 7] = [
    "/notes/structure",
    "/notes/codes?content=true&limit=3",
    "/notes/search?query=code",
    "/knowledge/categories",
    "/knowledge/search?query=pebble&limit=2",
    "/knowledge/graph?limit=2",
    "/knowledge/graph?around=codes/pebble.md&depth=2&limit=5",
];

/// The note that all scribes share.
pub const TALLY: &str = "shared/tally.md";

/// What the agent is told. Whatever note has it as its heading was made of it; others may link to that one.
pub fn told(token: &str) -> String {
    format!("The ticket {token} is kept")
}

/// What a session is called.
pub fn session_name(session: usize) -> String {
    format!("talk-{session}")
}

/// What is said in a session.
pub fn said(token: &str) -> String {
    format!("What is the code of pebble? Ticket {token}.")
}

/// A text that is to be embedded: the one with this number.
fn to_embed(number: usize) -> String {
    format!("Text {number} is about {}.", SUBJECTS[number % SUBJECTS.len()])
}

/// What a scribe's own note says.
pub fn own_text(token: &str) -> String {
    format!("# {token}\n\nSee [[pebble]].\n")
}

/// What has become of a source, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub state: &'static str,
    pub start: u64,
    pub end: u64,
}

impl Errand {
    /// What it asks for has to be looked up in the store, or kept there.
    pub(super) fn needs_the_store(&self) -> bool {
        match self {
            Errand::Tasks | Errand::Poll { .. } | Errand::Cancel { .. } | Errand::Rejoin { .. } => true,
            Errand::Chat { .. } | Errand::ChatNote { .. } => true,
            Errand::Complete { .. } | Errand::Left(_) => true,
            Errand::Begin { .. } | Errand::Call { .. } | Errand::Stream { .. } => true,
            Errand::Health | Errand::HeadOnly | Errand::Info | Errand::Options | Errand::Nowhere => false,
            Errand::BrokenJson | Errand::TooLarge | Errand::Sync | Errand::SyncNote { .. } => false,
            Errand::Verify { .. } | Errand::ClearCaches | Errand::CacheStats => false,
            Errand::Embed { .. } | Errand::Follow | Errand::Meddle | Errand::Write => false,
            Errand::Keep { .. } | Errand::Kept { .. } | Errand::Undo { .. } => true,
            errand => {
                debug_assert!(errand.is_a_scribes() || errand.is_a_talkers());
                errand.is_a_talkers()
            }
        }
    }

    /// It is about a session.
    pub(super) fn is_a_talkers(&self) -> bool {
        matches!(
            self,
            Errand::Say { .. }
                | Errand::Said { .. }
                | Errand::Hear { .. }
                | Errand::Drop { .. }
                | Errand::Sessions { .. }
        )
    }

    /// It is about notes as files, or looks at them.
    pub(super) fn is_a_scribes(&self) -> bool {
        matches!(
            self,
            Errand::Scribble
                | Errand::Edit
                | Errand::Add { .. }
                | Errand::Put { .. }
                | Errand::Find { .. }
                | Errand::Own { .. }
                | Errand::Keep { .. }
                | Errand::Kept { .. }
                | Errand::Undo { .. }
                | Errand::Page { .. }
                | Errand::Look { .. }
        )
    }

    /// Its answer is no JSON, even if all is well.
    pub(super) fn is_answered_with_a_note(&self) -> bool {
        matches!(self, Errand::Add { .. } | Errand::Own { step: OwnStep::Read | OwnStep::Miss, .. })
    }

    /// The server may have too much to do for it: it takes room for a body, a run or a scan.
    pub(super) fn may_be_too_much(&self) -> bool {
        match self {
            Errand::BrokenJson | Errand::Sync | Errand::SyncNote { .. } | Errand::ChatNote { .. } => true,
            Errand::Chat { .. } | Errand::Begin { .. } | Errand::Stream { .. } | Errand::Verify { .. } => {
                true
            }
            Errand::Call { .. } | Errand::Embed { .. } | Errand::Complete { .. } => true,
            Errand::Left(_) => false,
            Errand::Health | Errand::HeadOnly | Errand::Info | Errand::Options | Errand::Nowhere => false,
            Errand::ClearCaches | Errand::CacheStats => false,
            Errand::TooLarge | Errand::Tasks | Errand::Follow | Errand::Meddle | Errand::Write => false,
            Errand::Poll { .. } | Errand::Cancel { .. } | Errand::Rejoin { .. } => false,
            errand => errand.is_a_scribes() || errand.is_a_talkers(),
        }
    }

    /// It asks about a run, which may be forgotten, or has one that may be forgotten before its end is told.
    pub(super) fn is_about_a_run(&self) -> bool {
        match self {
            Errand::Chat { .. } | Errand::Begin { .. } | Errand::Stream { .. } => true,
            Errand::Call { .. } | Errand::Complete { .. } | Errand::Left(_) => true,
            Errand::Poll { .. } | Errand::Cancel { .. } | Errand::Rejoin { .. } | Errand::ChatNote { .. } => {
                true
            }
            Errand::Health | Errand::HeadOnly | Errand::Info | Errand::Options | Errand::Nowhere => false,
            Errand::BrokenJson | Errand::TooLarge | Errand::Tasks | Errand::Sync => false,
            Errand::Verify { .. } | Errand::ClearCaches | Errand::CacheStats => false,
            Errand::Embed { .. } => false,
            Errand::Follow | Errand::Meddle | Errand::Write | Errand::SyncNote { .. } => false,
            Errand::Keep { .. } | Errand::Kept { .. } | Errand::Undo { .. } => true,
            Errand::Say { .. } | Errand::Said { .. } => true,
            errand => {
                debug_assert!(errand.is_a_scribes() || errand.is_a_talkers());
                false
            }
        }
    }
}

impl Visitor {
    /// What others have begun is known only when the time comes.
    pub(super) fn decide(&mut self, errand: Errand, outside: &mut Outside<'_>) -> Option<Errand> {
        match errand {
            Errand::Write => {
                let name = format!("zq{}", self.random.between(100_000, 999_999));
                let text = format!("# {name}\n\nThe code of {name} is {}.\n", note_code(&name));
                outside.save(&format!("written/{name}.md"), text.into_bytes());
                Some(Errand::SyncNote { name })
            }
            Errand::Scribble => Some(Errand::Add { token: format!("k{:016x}", self.random.number()) }),
            Errand::Edit => {
                let token = format!("e{:016x}", self.random.number());
                let mut text = outside.saved(TALLY).unwrap_or_default();
                text.extend_from_slice(format!("{token}\n").as_bytes());
                outside.save(TALLY, text);
                self.town.oracle.borrow_mut().wrote(&token);
                None
            }
            Errand::Say { session, token, on_busy, asked: Asked::Never } => {
                let drops = self.town.talks.borrow_mut().drops(&session_name(session));
                Some(Errand::Say { session, token, on_busy, asked: Asked::After { drops } })
            }
            Errand::Hear { session, .. } => {
                let wanted = self.town.talks.borrow_mut().wanted(&session_name(session));
                Some(Errand::Hear { session, wanted })
            }
            Errand::Follow => {
                let id = self.town.oracle.borrow().any_run(&mut self.random)?;
                Some(Errand::Rejoin { id, after: 0, done: false })
            }
            Errand::Meddle => {
                let id = self.town.oracle.borrow().any_run(&mut self.random)?;
                Some(Errand::Cancel { id })
            }
            errand => Some(errand),
        }
    }

    pub(super) fn request(&mut self, errand: Errand, now: Time, in_calm: bool) {
        if let Errand::Cancel { id } = &errand {
            self.town.oracle.borrow_mut().want_end(id);
        }
        let question = Cell::new(None);
        let ask = |visitor: &mut Visitor, subject: &str, is_noted: bool| {
            let (asked, body) = Question::draw(&visitor.town, &mut visitor.random, subject, is_noted);
            question.set(Some(asked));
            Some(body.to_string())
        };
        let (method, path, body) = match &errand {
            Errand::Health => ("GET", "/health".to_owned(), None),
            Errand::HeadOnly => ("HEAD", "/health".to_owned(), None),
            Errand::Info => ("GET", "/info".to_owned(), None),
            Errand::Options => ("OPTIONS", "/chat".to_owned(), None),
            Errand::Nowhere => ("GET", "/no/such/path?x=%20".to_owned(), None),
            Errand::BrokenJson => ("POST", "/chat".to_owned(), Some("{\"message\": ".to_owned())),
            Errand::TooLarge => ("POST", "/chat".to_owned(), None),
            Errand::Tasks => ("GET", format!("/tasks?limit={}", self.random.between(1, 20)), None),
            Errand::Sync => ("POST", "/sync".to_owned(), Some(String::new())),
            Errand::Embed { texts } => {
                let texts: Vec<String> = (0..*texts).map(to_embed).collect();
                let body = json!({ "model": embeddings::MODEL, "input": texts });
                ("POST", "/v1/embeddings".to_owned(), Some(body.to_string()))
            }
            Errand::Chat { subject } => ("POST", "/chat".to_owned(), ask(self, SUBJECTS[*subject], false)),
            Errand::Begin { subject, key: Some(_), .. } => {
                // Whoever asks again asks in the same words.
                let name = SUBJECTS[*subject];
                let question = json!({ "message": format!("What is the code of {name}?") });
                ("POST", "/chat/async".to_owned(), Some(question.to_string()))
            }
            Errand::Begin { subject, .. } => {
                ("POST", "/chat/async".to_owned(), ask(self, SUBJECTS[*subject], false))
            }
            Errand::Call { subject, server, .. } => {
                let body = ask(self, SUBJECTS[*subject], false).unwrap_or_default();
                let url = format!("http://{}{}", receiver::ADDRESSES[*server], receiver::PATH);
                let body = body.replacen('{', &format!("{{\"callback_url\":\"{url}\","), 1);
                ("POST", "/chat/async".to_owned(), Some(body))
            }
            Errand::Complete { subject, streams, by: Words::Mcp, .. } => {
                let (asked, body) = self.tool_question(*subject, *streams);
                question.set(Some(asked));
                ("POST", "/mcp".to_owned(), Some(body))
            }
            Errand::Complete { subject, streams, .. } => {
                let (asked, body) = self.completion_question(*subject, *streams);
                question.set(Some(asked));
                ("POST", "/v1/chat/completions".to_owned(), Some(body))
            }
            Errand::Left(Left { id, .. }) => ("GET", format!("/chat/task/{id}"), None),
            Errand::Stream { subject } => {
                ("POST", "/chat/stream".to_owned(), ask(self, SUBJECTS[*subject], false))
            }
            Errand::Follow | Errand::Meddle | Errand::Write => unreachable!("decided before"),
            Errand::Scribble | Errand::Edit => unreachable!("decided before"),
            Errand::Add { .. } => ("GET", format!("/notes/file/{TALLY}"), None),
            Errand::Put { token, text, .. } => {
                ("PUT", format!("/notes/file/{TALLY}"), Some(format!("{text}{token}\n")))
            }
            Errand::Find { token, .. } => {
                ("GET", format!("/knowledge/search/content?query={token}&case_sensitive=true"), None)
            }
            Errand::Own { token, step, .. } => {
                let path = format!("/notes/file/scribes/{token}.md");
                match step {
                    OwnStep::Make => ("PUT", path, Some(own_text(token))),
                    OwnStep::Read | OwnStep::Miss => ("GET", path, None),
                    OwnStep::Remove => ("DELETE", path, None),
                }
            }
            Errand::Keep { token } => {
                let message = json!({ "message": format!("Note: {}.", told(token)) });
                ("POST", "/chat/async".to_owned(), Some(message.to_string()))
            }
            Errand::Kept { id, .. } => ("GET", format!("/chat/task/{id}"), None),
            Errand::Undo { id, .. } => {
                ("POST", "/notes/undo".to_owned(), Some(json!({ "id": id }).to_string()))
            }
            Errand::Say { session, token, on_busy, .. } => {
                let name = session_name(*session);
                if *on_busy == "cancel" {
                    self.town.talks.borrow_mut().will_cancel(&name);
                }
                let body = json!({
                    "message": said(token), "session_id": name, "on_busy": on_busy, "strategy": "notes",
                });
                ("POST", "/chat/async".to_owned(), Some(body.to_string()))
            }
            Errand::Said { id, .. } => ("GET", format!("/chat/task/{id}"), None),
            Errand::Hear { session, .. } => ("GET", format!("/sessions/{}", session_name(*session)), None),
            Errand::Drop { session, token } => {
                let name = session_name(*session);
                self.town.talks.borrow_mut().will_drop(&name, token);
                ("DELETE", format!("/sessions/{name}"), None)
            }
            Errand::Sessions { after: None } => ("GET", "/sessions?limit=1".to_owned(), None),
            Errand::Sessions { after: Some(after) } => {
                ("GET", format!("/sessions?limit=1&after={after}"), None)
            }
            Errand::Page { after: None } => ("GET", "/notes?limit=3".to_owned(), None),
            Errand::Page { after: Some(after) } => {
                ("GET", format!("/notes?limit=3&after={}", after.replace(' ', "%20")), None)
            }
            Errand::Look { place } => ("GET", LOOKS[*place].to_owned(), None),
            Errand::SyncNote { .. } => ("POST", "/sync".to_owned(), Some(String::new())),
            Errand::Verify { source, .. } => {
                ("POST", "/verify".to_owned(), Some(format!("{{\"sources\":[{source}]}}")))
            }
            Errand::ClearCaches => ("POST", "/cache/clear?confirm=true".to_owned(), Some(String::new())),
            Errand::CacheStats => ("GET", "/cache/stats".to_owned(), None),
            Errand::ChatNote { name, .. } => ("POST", "/chat".to_owned(), ask(self, name, true)),
            Errand::Poll { id, .. } if in_calm || self.random.chance(700) => {
                ("GET", format!("/chat/task/{id}"), None)
            }
            Errand::Poll { id, .. } => {
                ("GET", format!("/chat/task/{id}?wait={}", self.random.below(5)), None)
            }
            Errand::Cancel { id } => ("DELETE", format!("/tasks/{id}"), None),
            Errand::Rejoin { id, after, .. } if self.random.chance(500) => {
                ("GET", format!("/chat/task/{id}/stream?after={after}"), None)
            }
            Errand::Rejoin { id, .. } => ("GET", format!("/chat/task/{id}/stream"), None),
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        if let Errand::Rejoin { id, after, .. } = &errand
            && !path.contains('?')
            && *after > 0
        {
            head += &format!("Last-Event-ID: {id}-{after}\r\n");
        }
        if let Errand::Begin { key: Some(key), .. } = &errand {
            head += &format!("Idempotency-Key: visit-{key}\r\n");
        }
        match &errand {
            Errand::Put { etag: Some(etag), .. }
            | Errand::Own { step: OwnStep::Remove, etag: Some(etag), .. } => {
                head += &format!("If-Match: {etag}\r\n");
            }
            Errand::Own { step: OwnStep::Remove, .. } => head += "If-Match: *\r\n",
            Errand::Put { .. } | Errand::Own { step: OwnStep::Make, .. } => head += "If-None-Match: *\r\n",
            _ => {}
        }
        if let Errand::Keep { token } | Errand::Say { token, .. } = &errand {
            head += &format!("Idempotency-Key: {token}\r\n");
        }
        if let Errand::Complete { by: Words::Mcp, .. } = &errand {
            head += tool::HEAD;
        }
        if method == "POST" {
            head += "Content-Type: application/json\r\n";
        }
        if errand == Errand::TooLarge {
            head += &format!("Content-Length: {}\r\n", self.town.limits.chat_body_bytes_max + 1);
        }
        let expects = body.is_some() && self.random.chance(150);
        if expects {
            head += "Expect: 100-continue\r\n";
        }
        let mut bytes = head.into_bytes();
        match body {
            None if errand == Errand::TooLarge => {
                // It does not wait to hear that nobody wants all that.
                bytes.extend(b"\r\n");
                bytes.resize(bytes.len() + self.random.spread(2000), b'x');
            }
            None => bytes.extend(b"\r\n"),
            Some(body) if self.random.chance(700) => {
                bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).bytes());
            }
            Some(body) => {
                bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
                let mut rest = body.as_bytes();
                while !rest.is_empty() {
                    let (chunk, left) = rest.split_at(self.random.between(1, rest.len()));
                    bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    bytes.extend(chunk);
                    bytes.extend(b"\r\n");
                    rest = left;
                }
                bytes.extend(b"0\r\n\r\n");
            }
        }
        self.parser.sent(method == "HEAD");
        self.outgoing.extend(bytes);
        let position = match &errand {
            Errand::Rejoin { id, after, .. } => {
                // Whoever has joined may come back.
                self.town.completions.borrow_mut().remove(id);
                Some((id.clone(), *after))
            }
            _ => None,
        };
        let is_done = matches!(errand, Errand::Rejoin { done: true, .. });
        let (body, events) = (Vec::new(), EventReader::default());
        self.sent.push_back(Sent {
            errand,
            question: question.take(),
            began: now,
            head: None,
            body,
            events,
            position,
            is_done,
            restarts: false,
            completion: Completion::default(),
            expects,
            in_calm,
            asked_ends: self.town.ends.get(),
            is_indexed: self.town.is_indexed.get(),
        });
    }
}

/// The code that a visitor's own note tells.
pub(super) fn note_code(name: &str) -> String {
    format!("{}-{}", name.to_uppercase(), name.len())
}
