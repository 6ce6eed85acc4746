//! What a client speaks: how a refusal, an answer and the events of a run are put for it.
//!
//! There is one kind of run, and one log to each. What differs from client to client is words, so whoever serves a request
//! does the same for all of them and has it said here: `peers` asks the dialect of the request, and knows none itself.

use uuid::Uuid;

use super::mcp;
use super::openai;
use super::record::Record;
use super::respond::Problem;
use crate::base::planted::{Planted, is_planted};
use crate::wire::http1::{Head, Target, decode_path};
use crate::wire::sse;

/// The dialect of the request that is being answered.
#[derive(Debug, Default)]
pub enum Dialect {
    /// Our own: what stands in the log is what readers get.
    #[default]
    Own,
    /// OpenAI's: everything below `/v1`, also what there is not.
    OpenAi(openai::Speaker),
    /// MCP's: JSON-RPC, at one address.
    Mcp(mcp::Speaker),
}

/// What a client is told of one event.
#[derive(Debug, Clone, Copy)]
pub struct Told<'l> {
    /// The run, in lower case with hyphens.
    pub run: &'l str,
    /// When it was accepted, in seconds of Unix time.
    pub created: u64,
    /// The event's number.
    pub number: u64,
    /// The event, as it stands in the log.
    pub json: &'l str,
}

impl Dialect {
    /// The dialect that is spoken at a path, be there something or not.
    pub fn of(head: &Head<'_>) -> Dialect {
        let Target::Path { path, .. } = head.target else { return Dialect::Own };
        let mut decoded = String::new();
        // Escapes are rare, and one that is none is refused by whoever looks for the path.
        let path = match path.contains('%') {
            true if decode_path(path, &mut decoded).is_ok() => &decoded,
            true | false => path,
        };
        if path.starts_with("/v1/") {
            Dialect::OpenAi(openai::Speaker::default())
        } else if path == "/mcp" {
            Dialect::Mcp(mcp::Speaker::default())
        } else {
            Dialect::Own
        }
    }

    /// A reader that was cut off can find its place again. One that can't has nobody left who wants the answer: its run is
    /// cancelled without a grace.
    pub fn can_come_back(&self) -> bool {
        match self {
            Dialect::Own => true,
            Dialect::OpenAi(_) => is_planted(Planted::GracesCompletions),
            Dialect::Mcp(speaker) => !speaker.cancels_by_leaving(),
        }
    }

    /// What is wrong, appended to `body`. Answers the status to say it with, and a field of the head beside those that every
    /// refusal has.
    pub fn refuse(
        &self,
        problem: &Problem,
        body: &mut Vec<u8>,
    ) -> (u16, Option<(&'static str, &'static str)>) {
        match self {
            Dialect::Own => {
                problem.write(body);
                (problem.status, None)
            }
            Dialect::OpenAi(_) => openai::refuse(problem, body),
            Dialect::Mcp(speaker) => (speaker.refuse(problem, body), None),
        }
    }

    /// The answer of a run that was waited for, appended to `body`.
    ///
    /// # Errors
    /// 500 for an answer that can't be read.
    pub fn answer(&self, record: &Record, response: &str, body: &mut Vec<u8>) -> Result<(), Problem> {
        match self {
            Dialect::Own | Dialect::Mcp(_) => {
                body.extend_from_slice(response.as_bytes());
                Ok(())
            }
            Dialect::OpenAi(speaker) => {
                speaker.answer(record.id, record.created_at.as_seconds(), response, body)
            }
        }
    }

    /// What the body of an answer is wrapped in, for those who have an envelope for all of them; it has `room` bytes.
    pub fn wrapped(&self, body: &[u8], room: usize) -> Option<Vec<u8>> {
        match self {
            Dialect::Own | Dialect::OpenAi(_) => None,
            Dialect::Mcp(speaker) => Some(speaker.whole(body, room)),
        }
    }

    /// A stream begins, of a run that its reader has begun.
    pub fn begins(&self, run: Uuid, frames: &mut Vec<u8>) {
        match self {
            Dialect::Own | Dialect::OpenAi(_) => {}
            Dialect::Mcp(speaker) => speaker.begins(run, frames),
        }
    }

    /// An event of a stream, appended to `frames`; one message more has `room` bytes.
    pub fn event(&mut self, told: Told<'_>, room: usize, frames: &mut Vec<u8>) {
        match self {
            Dialect::Own => {
                let id = sse::EventId { run: told.run, sequence: told.number };
                sse::event(Some(id), told.json, frames);
            }
            Dialect::OpenAi(speaker) => speaker.event(told, frames),
            Dialect::Mcp(speaker) => speaker.event(told, room, frames),
        }
    }

    /// A stream hears nothing more of its run, as the process ends and the next one goes on with it.
    pub fn restarting(&mut self, run: Uuid, retry_ms: u64, frames: &mut Vec<u8>) {
        match self {
            Dialect::Own => {
                // Whoever has had no event yet learns here what to come back for.
                let restarting = format!("{{\"type\":\"restarting\",\"run_id\":\"{run}\"}}");
                sse::event(None, &restarting, frames);
                sse::retry(retry_ms, frames);
            }
            Dialect::OpenAi(speaker) => speaker.restarting(run, frames),
            Dialect::Mcp(speaker) => speaker.restarting(run, frames),
        }
    }

    /// Something that is no event of the run's, for those who know such.
    pub fn note(&self, json: &str, frames: &mut Vec<u8>) {
        match self {
            Dialect::Own => sse::event(None, json, frames),
            Dialect::OpenAi(_) | Dialect::Mcp(_) => {}
        }
    }
}
