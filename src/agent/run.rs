//! One question on its way to an answer: a machine that is resumed, never called back.
//!
//! ```text
//!                 Start / search              Found / compose            Composed / finish
//!  ExpectStart ───────────────► AwaitFindings ───────────────► AwaitAnswer ───────────────► Ended
//!       │                             │                             │                        ▲
//!       └─────────────────────────────┴─────────────────────────────┴────────────────────────┘
//!                         Failed / error, done      Cancel / done
//! ```
//!
//! Every arrow is one [`Input`]; every state but the last has exactly one effect outstanding (`ExpectStart` waits
//! for the app to have room). The log of a run and the numbers of its events are kept by whoever resumes it.

use std::fmt;

use crate::limits::Limits;

use super::answer::Composer;
use super::effect::{Effect, Findings, Input, Outcome};
use super::event::{Answer, AnsweredBy, Response, RunEvent, Stage};
use super::question::{Asked, Question};

/// The machine of one question.
#[derive(Debug)]
pub struct Run {
    run_id: String,
    /// What is asked, made out once; the message itself is not kept.
    asked: Asked,
    answer_bytes_max: usize,
    sources_max: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is outstanding; the run waits for its turn.
    ExpectStart,
    /// A search is outstanding.
    AwaitFindings,
    /// A composer is at work.
    AwaitAnswer,
    /// The last event was told.
    Ended,
}

impl Run {
    /// A run that waits for its start. `run_id` goes into the answer and is not looked at.
    pub fn new(run_id: String, question: &Question, limits: &Limits) -> Run {
        Run {
            run_id,
            asked: Asked::make_out(question, limits),
            answer_bytes_max: limits.answer_bytes_max,
            sources_max: limits.sources_max,
            state: State::ExpectStart,
        }
    }

    /// Takes one input: appends the events it causes to `told` and gives back the one effect that is now outstanding.
    ///
    /// The same inputs give the same events and effects, so recorded inputs rebuild a run. The work is small
    /// and bounded whatever the input holds; what is heavy is left to the [`Composer`].
    ///
    /// # Errors
    /// [`Unexpected`] for an input that does not fit the state; the run and `told` stay as they are.
    pub fn resume(&mut self, input: Input, told: &mut Vec<RunEvent>) -> Result<Effect, Unexpected> {
        let (state, effect) = match (self.state, input) {
            (State::ExpectStart, Input::Start) => (State::AwaitFindings, self.search(told)),
            (State::AwaitFindings, Input::Found(findings)) => {
                (State::AwaitAnswer, self.compose(findings, told))
            }
            (State::AwaitAnswer, Input::Composed(answer)) => (State::Ended, self.complete(answer, told)),

            (State::ExpectStart | State::AwaitFindings | State::AwaitAnswer, Input::Failed(why)) => {
                told.push(RunEvent::Error { detail: why });
                (State::Ended, finish(Outcome::Failed, told))
            }
            (State::ExpectStart | State::AwaitFindings | State::AwaitAnswer, Input::Cancel) => {
                (State::Ended, finish(Outcome::Cancelled, told))
            }

            (State::ExpectStart, Input::Found(_) | Input::Composed(_)) => return Err(Unexpected::NotStarted),
            (State::AwaitFindings | State::AwaitAnswer, Input::Start) => {
                return Err(Unexpected::AlreadyStarted);
            }
            (State::AwaitFindings, Input::Composed(_)) => return Err(Unexpected::NotComposing),
            (State::AwaitAnswer, Input::Found(_)) => return Err(Unexpected::NotSearching),
            (
                State::Ended,
                Input::Start | Input::Found(_) | Input::Composed(_) | Input::Failed(_) | Input::Cancel,
            ) => return Err(Unexpected::Ended),
        };
        self.state = state;
        Ok(effect)
    }

    /// The last event was told; every further input is [`Unexpected`].
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn search(&self, told: &mut Vec<RunEvent>) -> Effect {
        told.push(RunEvent::Status { status: Stage::Searching, detail: "Searching the notes.".to_owned() });
        Effect::Search(self.asked.request.clone())
    }

    fn compose(&self, findings: Findings, told: &mut Vec<RunEvent>) -> Effect {
        let detail = match findings.passages.len() {
            0 => "Found no passage.".to_owned(),
            1 => "Reading 1 passage.".to_owned(),
            count => format!("Reading {count} passages."),
        };
        told.push(RunEvent::Status { status: Stage::Composing, detail });
        let composer = Composer::new(self.asked.clone(), findings, self.answer_bytes_max, self.sources_max);
        Effect::Compose(Box::new(composer))
    }

    fn complete(&self, answer: Answer, told: &mut Vec<RunEvent>) -> Effect {
        told.push(RunEvent::Sources { sources: answer.sources.clone() });
        told.extend(tokens(&answer.response).map(|text| RunEvent::Token { text: text.to_owned() }));
        let response = Response {
            response: answer.response,
            sources: answer.sources,
            categories: answer.categories,
            knowledge_updates: Vec::new(),
            suggested_actions: answer.suggested_actions,
            answered_by: AnsweredBy::Notes,
            run_id: self.run_id.clone(),
        };
        told.push(RunEvent::Complete { response });
        finish(Outcome::Completed, told)
    }
}

fn finish(outcome: Outcome, told: &mut Vec<RunEvent>) -> Effect {
    told.push(RunEvent::Done { status: outcome });
    Effect::Finish(outcome)
}

/// `response` cut behind white space into pieces of at least [`TOKEN_BYTES_MIN`]. Joined they are `response` again.
fn tokens(response: &str) -> impl Iterator<Item = &str> {
    let mut rest = response;
    std::iter::from_fn(move || {
        let mut ends = rest.char_indices().filter(|(_, character)| character.is_whitespace());
        let end = ends
            .find(|(at, _)| *at >= TOKEN_BYTES_MIN)
            .map_or(rest.len(), |(at, character)| at + character.len_utf8());
        let (token, left) = rest.split_at(end);
        rest = left;
        (!token.is_empty()).then_some(token)
    })
}

/// An answer that is there all at once gains nothing from an event a word; a line's worth keeps a log short and
/// still lets a reader draw as it comes.
const TOKEN_BYTES_MIN: usize = 32;

/// An input that does not fit the state a run is in: a mistake of the caller, or a result that came too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unexpected {
    /// A result, but the run has not been started.
    NotStarted,
    /// A second start.
    AlreadyStarted,
    /// Findings, but no search is outstanding.
    NotSearching,
    /// An answer, but no composer is at work.
    NotComposing,
    /// The run has ended.
    Ended,
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unexpected::NotStarted => "the run has not been started",
            Unexpected::AlreadyStarted => "the run was started before",
            Unexpected::NotSearching => "the run awaits no findings",
            Unexpected::NotComposing => "the run awaits no answer",
            Unexpected::Ended => "the run has ended",
        })
    }
}

impl std::error::Error for Unexpected {}
