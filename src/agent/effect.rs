//! The two sides of a run: the inputs that move it and the effects that it asks for.
//!
//! An input is recorded before it is applied, so it is plain data that survives a round trip through JSON.

use serde::{Deserialize, Serialize};

use super::answer::Composer;
use super::event::Answer;
use super::event::{Action, Added};
use super::model::{ModelReply, ModelRequest};
use super::organise::Draft;
use super::question::Turn;
use super::tools::ToolUse;

/// How a run comes to its answer, if it is not to be put together from the notes alone. It is a part of the first input,
/// as a process that takes the run over may have been started with other wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The model's name.
    pub model: String,
    /// Tools are offered to it.
    pub offers_tools: bool,
    /// When the model fails, the built-in answerer answers.
    pub falls_back: bool,
    /// Tokens that a prompt and its answer may have together.
    pub context_tokens: u32,
}

/// What a run is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The run's turn has come, and it is answered from the notes alone.
    Start,
    /// The run's turn has come, and a model is asked.
    StartWith(Plan),
    /// What was said in the session before, the oldest first, or why that can't be told: the answer to [`Effect::Recall`].
    Recalled(Result<Vec<Turn>, String>),
    /// The search is over: the answer to [`Effect::Search`].
    Found(Findings),
    /// The answer stands: the answer to [`Effect::Compose`].
    Composed(Answer),
    /// The model has answered: the answer to [`Effect::Ask`].
    Answered {
        /// What it said, whole, whatever of it [`Run::hear`](super::Run::hear) was told before.
        reply: ModelReply,
        /// It had said so before, to the same prompt.
        cached: bool,
    },
    /// The model can't be asked like that: another answer to [`Effect::Ask`].
    Refused(Refusal),
    /// The model does not answer: another answer to [`Effect::Ask`].
    Unanswered {
        /// One sentence for the reader.
        why: String,
        /// Something of an answer had been told ([`Run::has_said`](super::Run::has_said)), which is void now.
        said: bool,
    },
    /// What a tool has brought: the answer to [`Effect::Use`].
    Used(Brought),
    /// How a wish can be fulfilled, or why not: the answer to [`Effect::Plan`].
    Planned(Result<Edit, String>),
    /// It was written, or why not: the answer to [`Effect::Write`].
    Wrote(Result<(), Unwritten>),
    /// The outstanding effect could not be carried out; the text says why, in one sentence for the reader.
    Failed(String),
    /// Nobody wants the answer any more.
    Cancel,
}

/// What a run asks for next. There is never more than one outstanding.
#[derive(Debug)]
pub enum Effect {
    /// Look up what was said in the session of this name before; answered by [`Input::Recalled`].
    Recall(String),
    /// Search the notes; answered by [`Input::Found`].
    Search(SearchRequest),
    /// Step this composer until it gives its answer; answered by [`Input::Composed`].
    Compose(Box<Composer>),
    /// Ask the model; answered by [`Input::Answered`], [`Input::Refused`] or [`Input::Unanswered`].
    Ask(Box<Asking>),
    /// Use this tool; answered by [`Input::Used`].
    Use(ToolUse),
    /// Find out how this can be written, without writing; answered by [`Input::Planned`].
    Plan(Wish),
    /// Write this, once it is kept that it is to be written; answered by [`Input::Wrote`]. Whoever is asked again, because a
    /// process has ended meanwhile, may find it written, and then does not write it twice.
    Write(Edit),
    /// Nothing more: the run has ended and wants no further input.
    Finish(Outcome),
}

/// A question to the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// The model's name.
    pub model: String,
    /// What is sent.
    pub request: ModelRequest,
    /// Two with the same identity may share one answer: they ask the same of the same notes after the same was said.
    pub identity: String,
}

impl Asking {
    /// Bytes of its messages.
    pub fn bytes(&self) -> usize {
        self.request.bytes()
    }
}

/// Why the model can't be asked like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It can't call tools.
    Tools,
    /// The prompt is longer than its context.
    TooLong,
}

/// What a tool has brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brought {
    /// Parts of notes, which the answer may cite.
    Passages(Vec<Passage>),
    /// Something to read that is no part of a note: a list, or why there is nothing.
    Text(String),
}

/// A change of the notes that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A new note.
    Create(NewNote),
    /// Something more at the end of a note that there is.
    Append {
        /// As the model wrote it: there may be no such note.
        path: String,
        /// What comes behind the rest, as lines that end in `\n`.
        content: String,
    },
    /// A link in a note that there is to another.
    Link {
        /// The note that links, as the model wrote it.
        from: String,
        /// The note that is linked to, as the model wrote it.
        to: String,
        /// What stands behind the link: one line, or nothing.
        why: String,
    },
}

impl Wish {
    /// What is done when it is fulfilled.
    pub fn action(&self) -> Action {
        match self {
            Wish::Create(_) => Action::Created,
            Wish::Append { .. } => Action::Appended,
            Wish::Link { .. } => Action::Linked,
        }
    }
}

/// A new note that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNote {
    /// The folder that it goes to, if it may be one: it may come from a note, which is data.
    pub folder: String,
    /// It goes nowhere else. Whoever has named the folder is told if it can't be one.
    pub insists: bool,
    /// The note.
    pub draft: Draft,
    /// Names that were taken when it was tried before.
    pub taken: u32,
}

/// A note as it is to be written: the same bytes, whoever writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Where.
    pub path: String,
    /// Its title.
    pub title: String,
    /// All of a new note; of one that there is, what comes into it.
    pub text: String,
    /// The hash of the file as it is then, in hexadecimal.
    pub hash: String,
    /// The note that it comes into; none if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

impl Edit {
    /// What comes into a note that there was before.
    pub fn added(&self) -> Option<Added> {
        let before = self.before.as_ref()?;
        Some(Added { start: before.at, end: before.at + self.text.len() as u64 })
    }
}

/// A note before something comes into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The hash of the file, in hexadecimal.
    pub hash: String,
    /// The byte at which it comes in.
    pub at: u64,
    /// How often the same stood there already. Who finds it more often knows that it was written.
    pub times: u64,
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwritten {
    /// Somebody else has taken its name, or has changed the note, since it was planned.
    Overtaken,
    /// It can't be; one sentence for the reader, without a full stop.
    Refused(String),
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Why the search fell short of what it could have been, in whole sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<String>,
}

impl Findings {
    /// Bytes of memory that it takes; about.
    pub fn bytes(&self) -> usize {
        let texts = |passage: &Passage| {
            let dangling: usize = passage.dangling.iter().map(String::len).sum();
            passage.path.len()
                + passage.title.len()
                + passage.heading.len()
                + passage.text.len()
                + passage.category.len()
                + passage.lead.len()
                + passage.hash.len()
                + passage.tags.iter().map(String::len).sum::<usize>()
                + dangling
        };
        let passages: usize = self.passages.iter().map(|passage| size_of::<Passage>() + texts(passage)).sum();
        passages + self.terms.len() * (size_of::<FoundTerm>() + WORD_BYTES)
    }
}

/// What the words of a term take; about.
const WORD_BYTES: usize = 32;

/// One term of a search, as the index knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundTerm {
    /// The word as it was asked.
    pub text: String,
    /// The term searched for: folded and stemmed, after any correction.
    pub term: String,
    /// Other terms that stand for it in some notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<String>,
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
    /// The note's tags, without `#`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// SHA-256 of the note's content, in hexadecimal.
    #[serde(default)]
    pub hash: String,
    /// The date that its note gives itself, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The line of one of the best passages that links to this note, behind the title of its own note: what the passage says is
    /// said of that. Else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lead: String,
    /// How near it lies to the question in an embedding model's space: the cosine. None without such a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<f32>,
}
