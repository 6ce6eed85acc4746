//! What must hold for any bytes at all: one function for each parser that reads what a stranger wrote.
//!
//! The fuzz targets call these with bytes that a fuzzer bred, `tests/mutations.rs` with mutations of the corpus. Each
//! panics if a property does not hold, and otherwise says whether the parser took the bytes, so that a test can see
//! that it met good ones and bad ones.
//!
//! ```text
//! http_head      a connection's bytes, several requests      requests
//! chunked_body   a chunked body and what follows it          framing
//! note           a file in the folder                        parse, index, search, answer
//! query          a path, a query, a host, a question         target, question, search
//! chat_body      the JSON of a chat request                  chat
//! mcp_message    the body of an MCP request              mcp
//! responses      what a server sends us for one request      responses
//! event_stream   a stream of events that a server sends us   event_stream
//! deltas         what a model server streams                 deltas
//! websocket      frames that a client sends                  websocket
//! ```

#[allow(dead_code, reason = "tests/wire_http1.rs uses more of it")]
pub mod connection;
#[allow(dead_code, reason = "tests/wire_sse.rs uses more of it")]
pub mod event_stream;
pub mod random;
#[allow(dead_code, reason = "tests/wire_http1_client.rs uses more of it")]
pub mod responses;
#[allow(dead_code, reason = "tests/wire_websocket.rs uses more of it")]
pub mod websocket;

mod chat;
mod deltas;
mod framing;
mod mcp;
mod note;
mod query;
mod requests;

pub use chat::chat_body;
pub use deltas::deltas;
pub use event_stream::event_stream;
pub use framing::chunked_body;
pub use mcp::mcp_message;
pub use note::note;
pub use query::query;
pub use requests::http_head;
pub use responses::responses;
pub use websocket::websocket;

/// Checks bytes: panics if they break the property, else says whether the parser took them.
pub type Property = fn(&[u8]) -> bool;

/// Every property by the name of its target, which is also the name of its folder in the corpus.
pub const ALL: [(&str, Property); 10] = [
    ("chat_body", chat_body),
    ("chunked_body", chunked_body),
    ("deltas", deltas),
    ("event_stream", event_stream),
    ("http_head", http_head),
    ("mcp_message", mcp_message),
    ("note", note),
    ("query", query),
    ("responses", responses),
    ("websocket", websocket),
];
