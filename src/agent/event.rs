//! What a run tells its readers: numbered by the log that keeps them, served as JSON with the type inside.
//!
//! ```
//! use oneloop::agent::RunEvent;
//!
//! let event = RunEvent::Token { text: "Pending, ".to_owned() };
//! assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"type":"token","text":"Pending, "}"#);
//! ```

use serde::{Deserialize, Serialize};

use super::citations::Quote;
use super::effect::Outcome;
use super::model::Usage;
use super::support::Unsupported;

/// One thing that happened in a run.
///
/// In order: `status`+ → `sources` → `token`* → `complete` → `done`; an `update` may stand behind any `status`. A failure
/// puts `error` and `done` in the place of what is left, a cancel only `done`. `done` comes exactly once and is the last
/// event of every run.
///
/// Where a model answers, `status`, `sources` and `reasoning` may stand anywhere before `complete`, and a `revision` makes
/// every token before it void: the answer begins anew. The texts of the `token` events behind the last `revision` joined
/// are the `response` of the `complete` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// What the run does now.
    Status {
        /// For programs.
        status: Stage,
        /// For people: one sentence.
        detail: String,
    },
    /// What the answer rests on; empty when the notes hold none. The marks `[1]`, `[2]`, … in the answer count
    /// from its first entry.
    Sources {
        /// In the order of their marks.
        sources: Vec<Source>,
    },
    /// The next piece of the answer's text.
    Token {
        /// Appended as it is, white space included.
        text: String,
    },
    /// What the model thinks before it answers; no part of the answer.
    Reasoning {
        /// Appended as it is.
        text: String,
    },
    /// The answer begins anew: every token told before is void.
    Revision {
        /// For people: one sentence.
        detail: String,
    },
    /// A note was written: made, or added to.
    Update {
        /// What was done.
        update: KnowledgeUpdate,
    },
    /// The whole answer, once more in one piece.
    Complete {
        /// The same object that `POST /chat` answers with.
        response: Box<Response>,
    },
    /// Why the run failed.
    Error {
        /// For people: one sentence.
        detail: String,
    },
    /// The run has ended. No event follows.
    Done {
        /// How it ended.
        status: Outcome,
    },
}

/// What a run is doing, as `status` events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The notes are being searched.
    Searching,
    /// The answer is being put together from what was found.
    Composing,
    /// The model was asked.
    Asking,
    /// A tool is used for the model.
    UsingTool,
    /// A note is being written.
    Writing,
}

/// One quoted piece of a note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The note's path below the folder, with `/` between its parts.
    pub path: String,
    /// The note's title.
    pub title: String,
    /// The headings above the piece, outermost first; empty above the first heading.
    pub heading: String,
    /// Byte offset in the file at which the piece starts.
    pub start: u64,
    /// Byte offset in the file just behind it.
    pub end: u64,
    /// How well it fits the question; higher is better, comparable within one answer only.
    pub score: f32,
    /// Bytes `start..end` of the file, unchanged.
    pub text: String,
    /// SHA-256 of the note's content, in hexadecimal: while it is the same, so is what stands there.
    #[serde(default)]
    pub hash: String,
}

/// What a [`Composer`](super::Composer) made: an answer before it belongs to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Plain text with marks `[1]` that count into `sources`.
    pub response: String,
    /// The quoted pieces; empty when the notes hold no answer.
    pub sources: Vec<Source>,
    /// The distinct categories of the notes quoted, in the order of `sources`.
    pub categories: Vec<String>,
    /// What the reader could do next, as whole sentences.
    pub suggested_actions: Vec<String>,
}

/// The whole answer of a run: the body of `POST /chat` and the heart of the `complete` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Plain text with marks `[1]` that count into `sources`.
    pub response: String,
    /// The quoted pieces; empty when the notes hold no answer.
    pub sources: Vec<Source>,
    /// The distinct categories of the notes quoted, in the order of `sources`.
    pub categories: Vec<String>,
    /// Changes that the run has made to the notes, in their order.
    pub knowledge_updates: Vec<KnowledgeUpdate>,
    /// What the reader could do next, as whole sentences.
    pub suggested_actions: Vec<String>,
    /// Who wrote the answer.
    pub answered_by: AnsweredBy,
    /// What is not as it should be with it, as whole sentences: why the notes answer and not the model, what was left
    /// out or cut.
    #[serde(default)]
    pub degraded: Vec<String>,
    /// What the model has put in quotation marks, and whether it stands in a note.
    #[serde(default)]
    pub quotes: Vec<Quote>,
    /// Sentences of the model's that its sources do not support.
    #[serde(default)]
    pub unsupported: Vec<Unsupported>,
    /// The model, if it wrote the answer.
    #[serde(default)]
    pub model: Option<String>,
    /// What the model's server has counted, over all calls of this run.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// The model had answered the same before, and was not asked again.
    #[serde(default)]
    pub cached: bool,
    /// The run's id, which is also its task's id.
    pub run_id: String,
}

/// A change that a run has made to the notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeUpdate {
    /// The run's id, and which of its changes this is, from 1.
    pub id: String,
    /// What was done.
    pub action: Action,
    /// The note.
    pub path: String,
    /// Its title.
    pub title: String,
    /// SHA-256 of the note as it was written, in hexadecimal.
    pub hash: String,
    /// What has come into the note; none if all of it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Added>,
}

/// Bytes that have come into a note: without them it is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Byte offset in the file at which they start.
    pub start: u64,
    /// Byte offset in the file just behind them.
    pub end: u64,
}

/// What was done to a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Created,
    /// Something was added at its end.
    Appended,
    /// It links to another note now.
    Linked,
}

/// Who wrote an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The built-in answerer: every sentence stands in a note.
    Notes,
    /// A model, out of what stands in the notes if it does as it is told.
    Model,
}
