//! HTTP/1.1 for a server: bytes in, each [`RequestEvent`] out, answers written to an outbox. And for a client: requests
//! written, bytes in, each [`ResponseEvent`] out.
//!
//! Read in this order: `fields` (what a byte may be, and the lines of a field section), `head` (one request head),
//! `target` (what the request is about), `framing` (where its body ends), `answer` (what we write), `server` (one
//! connection: one request at a time, in order). Then the other side: `request` (what we write), `response` (one
//! response head), `client` (one connection: one response at a time). `error` names everything a peer can do wrong.
//!
//! Wherever two readers of the same bytes might disagree about where a request ends, the request is refused and the
//! connection closed. A proxy in front of us that guesses differently is how requests are smuggled (RFC 9112 §11.2).

pub mod answer;
pub mod client;
pub mod error;
mod fields;
pub mod framing;
pub mod head;
pub mod request;
pub mod response;
pub mod server;
pub mod target;

pub use answer::{Answer, AnswerBody, reason};
pub use client::{Client, ResponseEvent};
pub use error::{RequestError, ResponseError};
pub use framing::{BodyDecoder, Framing};
pub use head::{Head, Method, Version};
pub use request::{BadField, Request, write_request};
pub use response::{ResponseFraming, ResponseHead, Sent};
pub use server::{AdmitError, After, EndOfInput, RequestEvent, Server};
pub use target::{BadEscape, QueryPairs, Target, decode_path, host_and_port};
