//! From a request's head to what it asks for: the table of routes.
//!
//! Checked in this order, each with its own answer: the doors (421, 403), the path (404), the method (405 with
//! `Allow`), the kind of body (415), the parameters (422). All of it is known from the head, so a body that is not
//! wanted is never read.

mod query;

use std::time::Duration;

use uuid::Uuid;

use crate::limits::Limits;
use crate::store::SessionPlace;
use crate::wire::http1::{Head, Method, Target, decode_path};
use crate::wire::sse::parse_event_id;
use crate::wire::websocket;

use super::document::{Document, takes_gzip};
use super::doors::{Doors, Shut};
use super::mcp::Announced;
use super::note_files::{FileDeed, expected, note_path, versions};
use super::respond::{Invalid, Problem};
use super::sessions;
use super::views::Wanted;
use super::{openapi, page};
use query::{flag, parameter};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /health`
    Health,
    /// `GET /info`
    Info,
    /// `POST /chat`
    Chat,
    /// `POST /chat/stream`
    ChatStream,
    /// `POST /chat/async`
    ChatAsync {
        /// The client's own name for it (`Idempotency-Key`).
        key: Option<Box<str>>,
    },
    /// `GET /chat/task/{id}`
    Task {
        /// The run.
        id: Uuid,
        /// How long the answer may wait for the run to end.
        wait: Duration,
    },
    /// `GET /chat/task/{id}/stream`, from behind event number `after`.
    TaskStream {
        /// The run.
        id: Uuid,
        /// The last event that the reader has seen; 0 for none.
        after: u64,
    },
    /// `POST /sync`
    Sync {
        /// Every file is read, be it unchanged.
        force: bool,
    },
    /// Something of the notes to look at: `/notes` and `/knowledge`.
    View(Wanted),
    /// `/notes/file/{path}`
    File {
        /// The note.
        path: Box<str>,
        /// What is to be done with it.
        deed: FileDeed,
    },
    /// `POST /notes/undo`
    Undo,
    /// `GET /config/notes`
    NotesConfig,
    /// `GET /agent/info`
    Agent,
    /// `GET /agent/logs`
    AgentLogs {
        /// Runs at most.
        limit: usize,
    },
    /// `POST /agent/reset`
    AgentReset,
    /// `POST /verify`
    Verify,
    /// `GET /config/embeddings`
    Embeddings,
    /// `GET /cache/stats`
    CacheStats,
    /// `POST /cache/clear?confirm=true`
    CacheClear,
    /// `POST /cache/rebuild`
    CacheRebuild,
    /// `GET /tasks`
    Tasks {
        /// At most so many.
        limit: usize,
        /// Only those older than this one.
        before: Option<Uuid>,
    },
    /// `DELETE /tasks/{id}`
    CancelTask(Uuid),
    /// `GET /sessions`
    Sessions {
        /// At most so many.
        limit: usize,
        /// Only those behind this one.
        after: Option<SessionPlace>,
    },
    /// `GET /sessions/{id}`
    Session(Box<str>),
    /// `DELETE /sessions/{id}`
    DropSession(Box<str>),
    /// What is always the same: `GET /openapi.json`, `GET /docs`, `GET /` and `GET /page/{file}`.
    Document {
        /// It.
        document: &'static Document,
        /// The client takes it packed.
        packed: bool,
    },
    /// `POST /v1/chat/completions`
    Completions {
        /// The session that it belongs to.
        session: Option<Box<str>>,
    },
    /// `POST /v1/embeddings`
    Embed,
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    OneModel(Box<str>),
    /// `POST /mcp`
    Mcp(Box<Announced>),
    /// `GET /ws`
    Socket {
        /// What the answer's `Sec-WebSocket-Accept` says.
        accept: Box<str>,
    },
    /// `OPTIONS`: what is allowed there.
    Options(&'static str),
}

impl Route {
    /// Bytes of body that the route takes.
    pub fn body_bytes_max(&self, limits: &Limits) -> usize {
        match self {
            Route::Chat
            | Route::ChatStream
            | Route::ChatAsync { .. }
            | Route::Completions { .. }
            | Route::Mcp(_)
            | Route::Verify => limits.chat_body_bytes_max,
            Route::File { deed: FileDeed::Write { .. }, .. } => limits.note_bytes_max,
            _ => limits.body_bytes_max,
        }
    }

    /// The route looks at its body; others read and drop it.
    pub fn wants_body(&self) -> bool {
        self.wants_json() || matches!(self, Route::File { deed: FileDeed::Write { .. }, .. })
    }

    /// Its body is JSON.
    fn wants_json(&self) -> bool {
        matches!(
            self,
            Route::Chat
                | Route::ChatStream
                | Route::ChatAsync { .. }
                | Route::Completions { .. }
                | Route::Mcp(_)
                | Route::Embed
                | Route::Verify
                | Route::Undo
        )
    }
}

/// What a path names, whatever the method.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Resource {
    Health,
    Info,
    Chat,
    ChatStream,
    ChatAsync,
    Task(Uuid),
    TaskStream(Uuid),
    Sync,
    Verify,
    NotesConfig,
    Embeddings,
    CacheStats,
    CacheClear,
    CacheRebuild,
    Tasks,
    OneTask(Uuid),
    Sessions,
    OneSession(Box<str>),
    Notes,
    Structure,
    NotesFor,
    Undo,
    Category(Box<str>),
    File(Box<str>),
    Graph,
    Links,
    Categories,
    PassagesFor,
    Lines,
    Agent,
    AgentLogs,
    AgentReset,
    Document(&'static Document),
    Completions,
    Embed,
    Models,
    OneModel(Box<str>),
    Mcp,
    Socket,
}

const READ: &str = "GET, HEAD, OPTIONS";
const SOCKET: &str = "GET, OPTIONS";
const POST: &str = "POST, OPTIONS";
const DELETE: &str = "DELETE, OPTIONS";
const SESSION: &str = "GET, HEAD, DELETE, OPTIONS";
const FILE: &str = "GET, HEAD, PUT, DELETE, OPTIONS";

impl Resource {
    fn allow(&self) -> &'static str {
        match self {
            Resource::Health
            | Resource::Info
            | Resource::NotesConfig
            | Resource::Embeddings
            | Resource::CacheStats
            | Resource::Task(_)
            | Resource::TaskStream(_)
            | Resource::Tasks
            | Resource::Sessions
            | Resource::Notes
            | Resource::Structure
            | Resource::NotesFor
            | Resource::Category(_)
            | Resource::Graph
            | Resource::Links
            | Resource::Categories
            | Resource::PassagesFor
            | Resource::Lines
            | Resource::Agent
            | Resource::AgentLogs
            | Resource::Document(_)
            | Resource::Models
            | Resource::OneModel(_) => READ,
            Resource::Chat
            | Resource::ChatStream
            | Resource::ChatAsync
            | Resource::Sync
            | Resource::Verify
            | Resource::CacheClear
            | Resource::CacheRebuild
            | Resource::Undo
            | Resource::Completions
            | Resource::Mcp
            | Resource::Embed
            | Resource::AgentReset => POST,
            Resource::Socket => SOCKET,
            Resource::OneTask(_) => DELETE,
            Resource::OneSession(_) => SESSION,
            Resource::File(_) => FILE,
        }
    }
}

/// Finds the route of a request, or the answer that refuses it.
///
/// # Errors
/// The [`Problem`] to answer with.
pub fn route(head: &Head<'_>, doors: &Doors, limits: &Limits) -> Result<Route, Problem> {
    doors.pass(head).map_err(shut)?;
    let (path, query) = match head.target {
        Target::Path { path, query } => (path, query.unwrap_or("")),
        Target::Asterisk => return Ok(Route::Options("GET, HEAD, POST, PUT, DELETE, OPTIONS")),
        Target::Authority(_) => {
            return Err(Problem::new(501, "this server is no proxy: CONNECT is not supported"));
        }
    };
    let resource = if path.contains('%') {
        let mut decoded = String::new();
        decode_path(path, &mut decoded).map_err(|bad| Problem::new(400, bad.to_string()))?;
        find(&decoded)?
    } else {
        find(path)?
    };
    if resource == Resource::Socket {
        doors.pass_page(head).map_err(shut)?;
    }
    let route = with_method(resource, head, query, limits)?;
    if route.wants_json() && !has_type(head, &["application/json"]) {
        return Err(Problem::new(415, "the body must be application/json, and its Content-Type must say so"));
    }
    // A client that says nothing of what it sends means what the path says.
    let is_told = head.field("content-type").is_some();
    if route.wants_body() && !route.wants_json() && is_told && !has_type(head, &MARKDOWN) {
        return Err(Problem::new(415, "a note is text/markdown, text/plain or application/octet-stream"));
    }
    Ok(route)
}

fn shut(shut: Shut) -> Problem {
    match shut {
        Shut::Host => Problem::new(421, shut.detail()),
        Shut::Origin => Problem::new(403, shut.detail()),
    }
}

/// Every path that there is, in the form of the API's document, and what it names. The first that fits counts.
///
/// [`find`] looks nowhere else, so a path that is not here has no route, and a test holds those that are here against the
/// document.
static PATHS: [(&str, Named); 42] = [
    ("/", Named::One(Resource::Document(&page::PAGE))),
    ("/health", Named::One(Resource::Health)),
    ("/info", Named::One(Resource::Info)),
    ("/chat", Named::One(Resource::Chat)),
    ("/chat/stream", Named::One(Resource::ChatStream)),
    ("/chat/async", Named::One(Resource::ChatAsync)),
    ("/sync", Named::One(Resource::Sync)),
    ("/verify", Named::One(Resource::Verify)),
    ("/config/notes", Named::One(Resource::NotesConfig)),
    ("/config/embeddings", Named::One(Resource::Embeddings)),
    ("/cache/stats", Named::One(Resource::CacheStats)),
    ("/cache/clear", Named::One(Resource::CacheClear)),
    ("/cache/rebuild", Named::One(Resource::CacheRebuild)),
    ("/tasks", Named::One(Resource::Tasks)),
    ("/sessions", Named::One(Resource::Sessions)),
    ("/notes", Named::One(Resource::Notes)),
    ("/notes/structure", Named::One(Resource::Structure)),
    ("/notes/search", Named::One(Resource::NotesFor)),
    ("/notes/undo", Named::One(Resource::Undo)),
    ("/knowledge/graph", Named::One(Resource::Graph)),
    ("/knowledge/links", Named::One(Resource::Links)),
    ("/knowledge/categories", Named::One(Resource::Categories)),
    ("/knowledge/search", Named::One(Resource::PassagesFor)),
    ("/knowledge/search/content", Named::One(Resource::Lines)),
    ("/agent/info", Named::One(Resource::Agent)),
    ("/agent/logs", Named::One(Resource::AgentLogs)),
    ("/agent/reset", Named::One(Resource::AgentReset)),
    ("/openapi.json", Named::One(Resource::Document(&openapi::DESCRIPTION))),
    ("/docs", Named::One(Resource::Document(&openapi::PAGE))),
    ("/mcp", Named::One(Resource::Mcp)),
    ("/ws", Named::One(Resource::Socket)),
    ("/v1/chat/completions", Named::One(Resource::Completions)),
    ("/v1/embeddings", Named::One(Resource::Embed)),
    ("/v1/models", Named::One(Resource::Models)),
    ("/page/{file}", Named::By(page_file)),
    ("/v1/models/{model}", Named::By(|name| Ok(Resource::OneModel(name.into())))),
    ("/chat/task/{id}/stream", Named::By(|id| parse_id(id).map(Resource::TaskStream))),
    ("/chat/task/{id}", Named::By(|id| parse_id(id).map(Resource::Task))),
    ("/tasks/{id}", Named::By(|id| parse_id(id).map(Resource::OneTask))),
    ("/sessions/{id}", Named::By(|name| Ok(Resource::OneSession(name.into())))),
    ("/notes/file/{path}", Named::By(|note| note_path(note).map(Resource::File))),
    ("/notes/{category}", Named::By(category)),
];

/// What a path of the table names.
enum Named {
    /// This.
    One(Resource),
    /// What the part in braces says.
    By(fn(&str) -> Result<Resource, Problem>),
}

fn find(path: &str) -> Result<Resource, Problem> {
    for (template, named) in &PATHS {
        match named {
            Named::One(resource) if *template == path => return Ok(resource.clone()),
            Named::One(_) => {}
            Named::By(resource) => {
                if let Some(part) = part_in_braces(template, path) {
                    return resource(part);
                }
            }
        }
    }
    Err(no_such_path())
}

fn no_such_path() -> Problem {
    Problem::new(
        404,
        "no such path; GET / in a browser, GET /health, POST /chat and, for clients of OpenAI's API, POST /v1/chat/completions are good places to begin",
    )
}

/// What stands in a path where its template has braces. It may have slashes, as the path of a note has.
fn part_in_braces<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let (before, rest) = template.split_once('{')?;
    let (_, behind) = rest.split_once('}')?;
    path.strip_prefix(before)?.strip_suffix(behind)
}

fn page_file(name: &str) -> Result<Resource, Problem> {
    page::find(name).map(Resource::Document).ok_or_else(no_such_path)
}

fn category(name: &str) -> Result<Resource, Problem> {
    // Notes at the top have the empty category, and a path that says so would differ from another by a slash alone.
    if name.is_empty() { Err(no_such_path()) } else { Ok(Resource::Category(name.into())) }
}

fn parse_id(text: &str) -> Result<Uuid, Problem> {
    // Only the hyphenated form: a task has one address.
    if text.len() == uuid::fmt::Hyphenated::LENGTH
        && let Ok(id) = Uuid::try_parse(text)
    {
        return Ok(id);
    }
    Err(Problem::unknown_task())
}

fn with_method(resource: Resource, head: &Head<'_>, query: &str, limits: &Limits) -> Result<Route, Problem> {
    if head.method == Method::Options {
        return Ok(Route::Options(resource.allow()));
    }
    // What a path is said to allow is what it takes.
    if !resource.allow().split(", ").any(|method| method == head.method.as_str()) {
        return Err(Problem::method_not_allowed(resource.allow()));
    }
    Ok(match resource {
        Resource::Health => Route::Health,
        Resource::Info => Route::Info,
        Resource::NotesConfig => Route::NotesConfig,
        Resource::Embeddings => Route::Embeddings,
        Resource::CacheStats => Route::CacheStats,
        Resource::Task(id) => Route::Task { id, wait: task_wait(query, limits)? },
        Resource::TaskStream(id) => Route::TaskStream { id, after: stream_position(id, head, query)? },
        Resource::Tasks => {
            let (limit, before) = query::tasks_page(query)?;
            Route::Tasks { limit, before }
        }
        Resource::Notes => Route::View(query::notes(query, None)?),
        Resource::Category(category) => Route::View(query::notes(query, Some(category))?),
        Resource::Structure => Route::View(query::structure(query)?),
        Resource::NotesFor => Route::View(query::notes_for(query)?),
        Resource::Graph => Route::View(query::graph(query)?),
        Resource::Links => Route::View(query::links(query)?),
        Resource::Categories => Route::View(Wanted::Categories),
        Resource::PassagesFor => Route::View(query::passages_for(query)?),
        Resource::Lines => Route::View(query::lines(query)?),
        Resource::Agent => Route::Agent,
        Resource::AgentLogs => Route::AgentLogs { limit: query::number(query, "limit", 20, 1, 100)? },
        Resource::Chat => Route::Chat,
        Resource::ChatStream => Route::ChatStream,
        Resource::ChatAsync => Route::ChatAsync { key: idempotency_key(head, limits)? },
        Resource::Sync => Route::Sync { force: flag(query, "force_rebuild")? },
        Resource::Verify => Route::Verify,
        Resource::CacheClear => cache_clear(query)?,
        Resource::CacheRebuild => Route::CacheRebuild,
        Resource::AgentReset => Route::AgentReset,
        Resource::Undo => Route::Undo,
        Resource::Document(document) => Route::Document { document, packed: takes_gzip(head) },
        Resource::Completions => Route::Completions { session: openai_session(head, limits)? },
        Resource::Mcp => Route::Mcp(Box::new(Announced::of(head))),
        Resource::Socket => Route::Socket { accept: handshake(head)? },
        Resource::Embed => Route::Embed,
        Resource::Models => Route::Models,
        Resource::OneModel(name) => Route::OneModel(name),
        Resource::OneTask(id) => Route::CancelTask(id),
        Resource::Sessions => {
            let (limit, after) = query::sessions_page(query, limits)?;
            Route::Sessions { limit, after }
        }
        // What can't be a name was never one.
        Resource::OneSession(name) if !sessions::is_name(&name, limits) => return Err(sessions::unknown()),
        Resource::OneSession(name) if head.method == Method::Delete => Route::DropSession(name),
        Resource::OneSession(name) => Route::Session(name),
        Resource::File(path) => {
            let deed = match head.method {
                Method::Put => FileDeed::Write { expected: expected(head)? },
                Method::Delete => FileDeed::Remove { expected: expected(head)? },
                _ => FileDeed::Read { unless: versions(head, "if-none-match", true)?.unwrap_or_default() },
            };
            Route::File { path, deed }
        }
    })
}

/// Where a reader of a run's log wants to go on: `?after=` before `Last-Event-ID`, as it is the more deliberate one.
fn stream_position(id: Uuid, head: &Head<'_>, query: &str) -> Result<u64, Problem> {
    if let Some(after) = parameter(query, "after")? {
        return after.parse().map_err(|_| Problem::invalid(Invalid::not_an_integer("query", "after")));
    }
    let Some(last) = head.field("last-event-id") else { return Ok(0) };
    let last = std::str::from_utf8(last).ok().and_then(parse_event_id);
    match last {
        Some((run, sequence)) if Uuid::try_parse(run) == Ok(id) => Ok(sequence),
        Some(_) | None => Err(Problem::new(400, "Last-Event-ID is not the id of an event of this run")),
    }
}

/// How long a poller wants to wait for a task to end: `?wait=SECONDS`.
fn task_wait(query: &str, limits: &Limits) -> Result<Duration, Problem> {
    let Some(text) = parameter(query, "wait")? else { return Ok(Duration::ZERO) };
    let seconds_max = limits.task_wait_seconds_max;
    match text.parse::<u32>() {
        Ok(seconds) if seconds <= seconds_max => Ok(Duration::from_secs(seconds.into())),
        Ok(_) => Err(Problem::invalid(Invalid::out_of_range("query", "wait", 0, seconds_max as usize))),
        Err(_) => Err(Problem::invalid(Invalid::not_an_integer("query", "wait"))),
    }
}

/// The client's own name for its request. The draft of the field (draft-ietf-httpapi-idempotency-key-header) wants a
/// quoted string, most clients send the bare text: both name the same.
fn idempotency_key(head: &Head<'_>, limits: &Limits) -> Result<Option<Box<str>>, Problem> {
    let mut keys = head.fields("idempotency-key");
    let Some(key) = keys.next() else { return Ok(None) };
    let text = std::str::from_utf8(key).unwrap_or("");
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_in_bounds = (1..=limits.idempotency_key_bytes_max).contains(&text.len());
    if keys.next().is_some() || !is_printable || !is_in_bounds {
        let bytes_max = limits.idempotency_key_bytes_max;
        let detail =
            format!("Idempotency-Key must be one text of 1 to {bytes_max} printable ASCII characters");
        return Err(Problem::new(400, detail));
    }
    Ok(Some(text.into()))
}

/// What an opening handshake is answered with.
fn handshake(head: &Head<'_>) -> Result<Box<str>, Problem> {
    websocket::accept_key(head)
        .map(Into::into)
        .map_err(|error| Problem::new(error.status(), error.to_string()))
}

/// The session of a completion: Open WebUI tells which of its chats it asks for.
fn openai_session(head: &Head<'_>, limits: &Limits) -> Result<Option<Box<str>>, Problem> {
    let Some(name) = head.field("x-openwebui-chat-id") else { return Ok(None) };
    match std::str::from_utf8(name) {
        Ok("") => Ok(None),
        Ok(name) if sessions::is_name(name, limits) => Ok(Some(name.into())),
        _ => {
            let bytes_max = limits.session_name_bytes_max;
            let detail = format!(
                "X-OpenWebUI-Chat-Id names a session: 1 to {bytes_max} letters, digits or any of -._~:@+=, and no dot first"
            );
            Err(Problem::new(400, detail))
        }
    }
}

/// What takes long to fill again is not emptied by a slip.
fn cache_clear(query: &str) -> Result<Route, Problem> {
    match parameter(query, "confirm")?.as_deref() {
        Some("true") => Ok(Route::CacheClear),
        Some(_) | None => Err(Problem::new(400, "the caches are only emptied with ?confirm=true")),
    }
}

/// What a note may be sent as.
const MARKDOWN: [&str; 3] = ["text/markdown", "text/plain", "application/octet-stream"];

/// The body is of one of these types, with or without parameters (RFC 9110 §8.3.1: type and subtype in any case).
fn has_type(head: &Head<'_>, types: &[&str]) -> bool {
    let media_type = head.field("content-type").and_then(|value| std::str::from_utf8(value).ok());
    media_type.is_some_and(|value| {
        let essence = value.split_once(';').map_or(value, |(essence, _)| essence).trim();
        types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod described;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::{RequestEvent, Server};

    pub(super) fn routed(request: &str) -> Result<Route, u16> {
        let doors = Doors::new("127.0.0.1:8000".parse().unwrap(), &[], None);
        let text = format!("{request}\r\nHost: localhost\r\n\r\n");
        let (line, rest) =
            text.split_once('|').map_or((text.as_str(), None), |(line, rest)| (line, Some(rest)));
        let bytes = match rest {
            Some(fields) => format!("{line} HTTP/1.1\r\n{fields}"),
            None => text.replacen("\r\n", " HTTP/1.1\r\n", 1),
        };
        let mut server = Server::new();
        let step = server.receive(bytes.as_bytes(), &Limits::default()).unwrap();
        let Some(RequestEvent::Head(head)) = step.event else { panic!("no head in {request}") };
        route(&head, &doors, &Limits::default()).map_err(|problem| problem.status)
    }

    const ID: &str = "0198c0de-0000-7000-8000-000000000001";

    #[test]
    fn each_path_and_method_has_its_route() {
        let id = Uuid::try_parse(ID).unwrap();
        let json = "|Content-Type: application/json; charset=utf-8";
        let plain = |document| Route::Document { document, packed: false };
        for (request, expected) in [
            ("GET /health".to_owned(), Route::Health),
            ("HEAD /health".to_owned(), Route::Health),
            ("GET /%68ealth?x=1".to_owned(), Route::Health),
            ("GET /info".to_owned(), Route::Info),
            (format!("POST /chat{json}"), Route::Chat),
            (format!("POST /chat/stream{json}"), Route::ChatStream),
            (format!("POST /chat/async{json}"), Route::ChatAsync { key: None }),
            (
                format!("POST /chat/async{json}\r\nIdempotency-Key: \"a b\""),
                Route::ChatAsync { key: Some("a b".into()) },
            ),
            (format!("GET /chat/task/{ID}"), Route::Task { id, wait: Duration::ZERO }),
            (format!("GET /chat/task/{ID}?wait=9"), Route::Task { id, wait: Duration::from_secs(9) }),
            (format!("GET /chat/task/{ID}/stream"), Route::TaskStream { id, after: 0 }),
            (format!("GET /chat/task/{ID}/stream?after=7"), Route::TaskStream { id, after: 7 }),
            (format!("GET /chat/task/{ID}/stream|Last-Event-ID: {ID}-9"), Route::TaskStream { id, after: 9 }),
            ("POST /sync".to_owned(), Route::Sync { force: false }),
            (format!("POST /verify{json}"), Route::Verify),
            ("POST /sync?force_rebuild=true".to_owned(), Route::Sync { force: true }),
            ("GET /config/embeddings".to_owned(), Route::Embeddings),
            ("GET /cache/stats".to_owned(), Route::CacheStats),
            ("POST /cache/clear?confirm=true".to_owned(), Route::CacheClear),
            ("GET /tasks?limit=5".to_owned(), Route::Tasks { limit: 5, before: None }),
            (format!("DELETE /tasks/{ID}"), Route::CancelTask(id)),
            ("GET /sessions".to_owned(), Route::Sessions { limit: 100, after: None }),
            ("GET /sessions/a%3Ab".to_owned(), Route::Session("a:b".into())),
            ("DELETE /sessions/a".to_owned(), Route::DropSession("a".into())),
            (
                "GET /knowledge/links?path=a%2Fb%20c.md".to_owned(),
                Route::View(Wanted::Links { path: "a/b c.md".into() }),
            ),
            ("GET /openapi.json".to_owned(), plain(&openapi::DESCRIPTION)),
            ("GET /docs|Accept-Encoding: br".to_owned(), plain(&openapi::PAGE)),
            ("GET /".to_owned(), plain(&page::PAGE)),
            ("GET /page/main.mjs".to_owned(), plain(page::find("main.mjs").unwrap())),
            (
                "GET /|Accept-Encoding: gzip".to_owned(),
                Route::Document { document: &page::PAGE, packed: true },
            ),
            ("OPTIONS /chat".to_owned(), Route::Options(POST)),
        ] {
            assert_eq!(routed(&request), Ok(expected), "{request}");
        }
    }

    #[test]
    fn each_refusal_has_its_status() {
        let json = "|Content-Type: application/json";
        for (request, status) in [
            ("GET /page/".to_owned(), 404),
            ("GET /page/secret.mjs".to_owned(), 404),
            ("POST /".to_owned(), 405),
            ("GET /health/".to_owned(), 404),
            ("GET /notes/".to_owned(), 404),
            ("GET /notes/file/".to_owned(), 400),
            ("GET /chat/task/7".to_owned(), 404),
            ("POST /health".to_owned(), 405),
            ("GET /chat".to_owned(), 405),
            (format!("PATCH /tasks/{ID}"), 405),
            ("POST /chat".to_owned(), 415),
            ("POST /verify".to_owned(), 415),
            ("POST /cache/clear".to_owned(), 400),
            ("GET /cache/clear".to_owned(), 405),
            ("POST /chat|Content-Type: text/plain".to_owned(), 415),
            (format!("GET /chat/task/{ID}/stream?after=x"), 422),
            (format!("GET /chat/task/{ID}?wait=61"), 422),
            (format!("GET /chat/task/{ID}?wait=-1"), 422),
            (format!("POST /chat/async{json}\r\nIdempotency-Key: "), 400),
            (format!("POST /chat/async{json}\r\nIdempotency-Key: a\r\nIdempotency-Key: b"), 400),
            (format!("POST /chat/async{json}\r\nIdempotency-Key: {}", "x".repeat(256)), 400),
            ("GET /tasks?limit=0".to_owned(), 422),
            ("GET /sessions?after=x".to_owned(), 422),
            ("GET /sessions/".to_owned(), 404),
            ("GET /sessions/a%2Fb".to_owned(), 404),
            ("PUT /sessions/a".to_owned(), 405),
            ("GET /tasks?before=7".to_owned(), 422),
            ("GET /knowledge/links".to_owned(), 422),
            ("GET /knowledge/links?path=%20".to_owned(), 422),
            ("POST /knowledge/links?path=a.md".to_owned(), 405),
            ("GET /tasks?limit=%zz".to_owned(), 400),
            ("GET /%zz".to_owned(), 400),
            (
                format!("GET /chat/task/{ID}/stream|Last-Event-ID: 0198c0de-0000-7000-8000-000000000002-9"),
                400,
            ),
            (format!("POST /chat{json}\r\nOrigin: http://evil.example"), 403),
        ] {
            assert_eq!(routed(&request), Err(status), "{request}");
        }
    }
}
