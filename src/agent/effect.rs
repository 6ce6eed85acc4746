//! The two sides of a run: the inputs that move it and the effects that it asks for.
//!
//! An input is recorded before it is applied, so it is plain data that survives a round trip through JSON.

use serde::{Deserialize, Serialize};

use super::answer::Composer;
use super::event::Answer;

/// What a run is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The run's turn has come.
    Start,
    /// The search is over: the answer to [`Effect::Search`].
    Found(Findings),
    /// The answer stands: the answer to [`Effect::Compose`].
    Composed(Answer),
    /// The outstanding effect could not be carried out; the text says why, in one sentence for the reader.
    Failed(String),
    /// Nobody wants the answer any more.
    Cancel,
}

/// What a run asks for next. There is never more than one outstanding.
#[derive(Debug)]
pub enum Effect {
    /// Search the notes; answered by [`Input::Found`].
    Search(SearchRequest),
    /// Step this composer until it gives its answer; answered by [`Input::Composed`].
    Compose(Box<Composer>),
    /// Nothing more: the run has ended and wants no further input.
    Finish(Outcome),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer, even if it is that the notes hold none.
    Completed,
    /// Without one; an `error` event says why.
    Failed,
    /// By request.
    Cancelled,
}

/// A search for passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRequest {
    /// What is asked, in the asker's words: the message up to its `query_words_max`th distinct word.
    pub text: String,
    /// Words from earlier turns that a follow-up is about; empty for a question that stands alone. They lend
    /// weight to a passage but should not outweigh `text`.
    pub context: String,
    /// How many passages to give back, best first.
    pub passages_max: usize,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Best first.
    pub passages: Vec<Passage>,
    /// The distinct terms of the request, from its text and then from its context.
    pub terms: Vec<FoundTerm>,
    /// The state of the index that was searched; it moves when a note changes.
    pub epoch: u64,
    /// Every note of the folder was indexed.
    pub complete: bool,
    /// Notes in the index.
    pub notes_indexed: usize,
    /// Notes in the folder, as far as it has been listed.
    pub notes_found: usize,
}

/// One term of a search, as the index knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundTerm {
    /// The word as it was asked.
    pub text: String,
    /// The term searched for: folded and stemmed, after any correction.
    pub term: String,
    /// How much it tells (inverse document frequency): high for a rare word.
    pub weight: f32,
    /// Some note holds it, or holds what it was corrected to.
    pub known: bool,
    /// The word that was searched for instead, if no note holds `text` but one holds a close spelling.
    pub corrected: Option<String>,
}

/// A part of a note: a section, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The note's path below the folder, with `/` between its parts.
    pub path: String,
    /// The note's title.
    pub title: String,
    /// The headings above the passage, outermost first; empty above the first heading.
    pub heading: String,
    /// Byte offset in the file at which it starts.
    pub start: u64,
    /// Byte offset in the file just behind it.
    pub end: u64,
    /// How well it fits the request; higher is better, comparable within one search only.
    pub score: f32,
    /// Bytes `start..end` of the file as they are stored, so `text.len()` is `end - start`. A passage for which
    /// that does not hold (bytes that are no UTF-8 and had to be replaced) is never quoted: its ranges would lie.
    pub text: String,
    /// What kind of note it is from, such as its folder; empty if unknown.
    pub category: String,
    /// Notes that this note links to and that do not exist.
    pub dangling: Vec<String>,
}
