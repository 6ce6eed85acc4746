//! The agent: from a question to an answer with its sources, as machines that are resumed and never call back.
//!
//! It does not know that notes exist. It says what it needs next ([`Effect`]), is told what came of it
//! ([`Input`]), and tells its readers what happened ([`RunEvent`]). Who carries the effects out, keeps the events
//! and serves the readers is the app's business. Nothing here reads a clock, a file, a socket or a random number,
//! so the same inputs give the same events, and recorded inputs rebuild a run.
//!
//! Reading order: [`run`] is the machine of one question. [`effect`] and [`event`] are its two sides. [`question`]
//! makes out what is asked, with the turns before it. [`answer`] is the built-in answerer: it reads the passages
//! that a search found, block by block (`blocks`), looks for what this kind of question wants (`kind`, `marks`),
//! weighs what each piece covers (`evidence`), leaves out repeats (`sketch`) and the question itself (`echo`), and
//! writes what it picked as plain text (`render`). What a message tells instead of asking becomes a note ([`organise`]).

pub mod answer;
mod blocks;
pub mod citations;
mod echo;
pub mod effect;
pub mod event;
mod evidence;
mod kind;
mod marks;
pub mod model;
pub mod organise;
pub mod prompt;
pub mod question;
mod reading;
mod render;
pub mod run;
mod sketch;
pub mod support;
pub mod tools;

pub use answer::Composer;
pub use effect::{
    Asking, Before, Brought, Edit, Effect, Findings, FoundTerm, Input, NewNote, Outcome, Passage, Plan,
    Refusal, SearchRequest, Unwritten, Wish,
};
pub use event::{Action, Added, Answer, AnsweredBy, KnowledgeUpdate, Response, RunEvent, Source, Stage};
pub use model::{Finish, Message, ModelReply, ModelRequest, ToolCall, Usage};
pub use prompt::{Prompt, Round};
pub use question::{Question, Role, Strategy, Turn, Writes};
pub use run::{Run, Unexpected};
pub use support::Unsupported;
pub use tools::ToolUse;

/// The longest head of `text` of at most `bytes_max` bytes that ends between two characters.
fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
