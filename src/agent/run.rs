//! One question on its way to an answer: a machine that is resumed, never called back.
//!
//! ```text
//!               Start, StartWith / search         Found / compose
//!  ExpectStart ───────────────────► AwaitFindings ──────────────────────► AwaitAnswer ──────────► Ended
//!                                        │   │                                ▲    Composed / finish ▲
//!                        fast-first:     │   │ Found / ask        Unanswered  │                      │
//!                        Found / compose │   ▼                    / compose   │                      │
//!                                        │  AwaitModel ◄──────┬───────────────┤                      │
//!                                        ▼   ▲  ▲ │ Refused   │ Answered with calls / use            │
//!                                   AwaitFirst │  └─┘ / ask    │               │ Answered / finish     │
//!                                     Composed │               ▼               └───────────────────────┤
//!                                     / ask    └─────────── AwaitTool ◄─┐                              │
//!                                                Used / ask      └──────┘ Used / use                   │
//!
//!  in a session:    ExpectStart ── Start, StartWith / recall ──► AwaitHistory ── Recalled / search ──► AwaitFindings
//!
//!  of a statement:  AwaitFindings ── Found / plan ──► AwaitPlan ── Planned / write ──► AwaitWrite ── Wrote / finish ──► Ended
//!                                                       ▲                               │
//!                                                       └─── Wrote (overtaken) / plan ──┘
//!
//!  of a tool that writes:  AwaitModel, AwaitTool, AwaitWrite ── plan ──► AwaitPlan ── Planned / write ──► AwaitWrite,
//!                          and from either of these two back to AwaitModel ── ask, or to AwaitTool ── use
//!
//!  every state but the last: Failed / error, done      Cancel / done ──────────────────────────────────┘
//! ```
//!
//! Every arrow is one [`Input`]; every state but the last has exactly one effect outstanding (`ExpectStart` waits
//! for the app to have room). The log of a run and the numbers of its events are kept by whoever resumes it.
//!
//! What a model says is told while it says it ([`Run::hear`]): no input, as it moves nothing. Only the whole reply is
//! one. So a run that is made again from its inputs tells the same, but for pieces of replies: those are void
//! when the process ends before the reply is whole.

mod modelled;
mod writing;

use std::fmt;

use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;

use super::answer::Composer;
use super::citations::quotes;
use super::effect::{Asking, Brought, Effect, Findings, Input, Outcome, Refusal};
use super::event::{Answer, AnsweredBy, KnowledgeUpdate, Response, RunEvent, Stage};
use super::model::{Finish, ModelReply, ModelRequest};
use super::prompt::{self, Prompt, Round};
use super::question::{Asked, Question, Strategy, Turn};
use super::support::unsupported;
use super::tools::{self, ToolUse};
use modelled::Modelled;
use writing::Writing;

/// The machine of one question.
#[derive(Debug)]
pub struct Run {
    run_id: String,
    question: Question,
    /// What is asked, made out once.
    asked: Asked,
    limits: Box<Limits>,
    state: State,
    /// What a model is asked with, if one is.
    modelled: Option<Box<Modelled>>,
    /// How the search fell short.
    degraded: Vec<String>,
    /// What is to be written, while it is not.
    writing: Option<Box<Writing>>,
    /// What was written.
    updates: Vec<KnowledgeUpdate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is outstanding; the run waits for its turn.
    ExpectStart,
    /// What was said in the session before is looked up.
    AwaitHistory,
    /// A search is outstanding.
    AwaitFindings,
    /// A composer is at work on an answer that the model's will replace.
    AwaitFirst,
    /// The model was asked.
    AwaitModel,
    /// A tool is at work.
    AwaitTool,
    /// A composer is at work.
    AwaitAnswer,
    /// It is being found out how something can be written.
    AwaitPlan,
    /// Something is being written.
    AwaitWrite,
    /// The last event was told.
    Ended,
}

impl Run {
    /// A run that waits for its start. `run_id` goes into the answer and is not looked at.
    pub fn new(run_id: String, question: &Question, limits: &Limits) -> Run {
        Run {
            run_id,
            question: question.clone(),
            asked: Asked::make_out(question, limits),
            limits: Box::new(limits.clone()),
            state: State::ExpectStart,
            modelled: None,
            degraded: Vec::new(),
            writing: None,
            updates: Vec::new(),
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
            (State::ExpectStart, Input::Start) => self.begin(told),
            (State::ExpectStart, Input::StartWith(plan)) => {
                if self.question.strategy != Strategy::Notes && self.statement().is_none() {
                    self.modelled = Some(Box::new(Modelled::new(plan)));
                }
                self.begin(told)
            }
            (State::AwaitHistory, Input::Recalled(history)) => self.recalled(history, told),
            (State::AwaitFindings, Input::Found(findings)) => self.found(findings, told),
            (State::AwaitFirst, Input::Composed(answer)) => self.composed_first(answer, told),
            (State::AwaitModel, Input::Answered { reply, cached }) => self.answered(reply, cached, told),
            (State::AwaitModel, Input::Refused(refusal)) => self.refused(refusal, told),
            (State::AwaitModel, Input::Unanswered { why, said }) => self.unanswered(why, said, told),
            (State::AwaitTool, Input::Used(brought)) => self.used(brought, told),
            (State::AwaitAnswer, Input::Composed(answer)) => self.complete_from_notes(answer, true, told),
            (State::AwaitPlan, Input::Planned(planned)) => self.planned(planned, told),
            (State::AwaitWrite, Input::Wrote(wrote)) => self.wrote(wrote, told),

            (
                State::ExpectStart
                | State::AwaitHistory
                | State::AwaitFindings
                | State::AwaitFirst
                | State::AwaitModel
                | State::AwaitTool
                | State::AwaitAnswer
                | State::AwaitPlan
                | State::AwaitWrite,
                Input::Failed(why),
            ) => fail(why, told),
            (
                State::ExpectStart
                | State::AwaitHistory
                | State::AwaitFindings
                | State::AwaitFirst
                | State::AwaitModel
                | State::AwaitTool
                | State::AwaitAnswer
                | State::AwaitPlan
                | State::AwaitWrite,
                Input::Cancel,
            ) => (State::Ended, finish(Outcome::Cancelled, told)),

            (state, input) => return Err(Unexpected::of(state, &input)),
        };
        self.state = state;
        Ok(effect)
    }

    /// A piece of the reply that the model is making. Told at once, if it can be told.
    pub fn hear(&mut self, text: &str, told: &mut Vec<RunEvent>) {
        if self.state != State::AwaitModel || text.is_empty() {
            return;
        }
        if let Some(modelled) = &mut self.modelled {
            modelled.hear(text, told);
        }
    }

    /// A piece of what the model thinks before it replies.
    pub fn hear_reasoning(&mut self, text: &str, told: &mut Vec<RunEvent>) {
        if self.state == State::AwaitModel && !text.is_empty() {
            told.push(RunEvent::Reasoning { text: text.to_owned() });
        }
    }

    /// Some of the reply that the model is making was told.
    pub fn has_said(&self) -> bool {
        self.modelled.as_ref().is_some_and(|modelled| modelled.heard_bytes > 0)
    }

    /// What is asked.
    pub fn message(&self) -> &str {
        &self.question.message
    }

    /// The last event was told; every further input is [`Unexpected`].
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    fn begin(&self, told: &mut Vec<RunEvent>) -> (State, Effect) {
        match &self.question.session {
            Some(session) if self.question.history.is_empty() => {
                (State::AwaitHistory, Effect::Recall(session.clone()))
            }
            Some(_) | None => self.search(told),
        }
    }

    /// What the message follows up is known.
    fn recalled(&mut self, history: Result<Vec<Turn>, String>, told: &mut Vec<RunEvent>) -> (State, Effect) {
        match history {
            Ok(history) => self.question.history = history,
            Err(why) => return fail(format!("what was said in this session can't be read: {why}"), told),
        }
        self.asked = Asked::make_out(&self.question, &self.limits);
        self.search(told)
    }

    fn search(&self, told: &mut Vec<RunEvent>) -> (State, Effect) {
        told.push(RunEvent::Status { status: Stage::Searching, detail: "Searching the notes.".to_owned() });
        (State::AwaitFindings, Effect::Search(self.asked.request.clone()))
    }

    fn found(&mut self, findings: Findings, told: &mut Vec<RunEvent>) -> (State, Effect) {
        self.degraded = findings.degraded.clone();
        if let Some(statement) = self.statement() {
            let (wish, suggested_actions) = self.keep(statement, &findings);
            return self.plan(wish, "Writing a note.".to_owned(), suggested_actions, told);
        }
        let Some(modelled) = &mut self.modelled else {
            return (State::AwaitAnswer, self.compose(findings, told));
        };
        for passage in &findings.passages {
            modelled.cite(passage, self.limits.cited_sources_max);
        }
        modelled.found = modelled.sources.len();
        if self.question.strategy == Strategy::FastFirst {
            modelled.findings = Some(findings.clone());
            return (State::AwaitFirst, self.compose(findings, told));
        }
        modelled.findings = Some(findings);
        self.ask(true, told)
    }

    fn compose(&self, findings: Findings, told: &mut Vec<RunEvent>) -> Effect {
        let detail = match findings.passages.len() {
            0 => "Found no passage.".to_owned(),
            1 => "Reading 1 passage.".to_owned(),
            count => format!("Reading {count} passages."),
        };
        told.push(RunEvent::Status { status: Stage::Composing, detail });
        let Limits { answer_bytes_max, sources_max, .. } = *self.limits;
        let composer = Composer::new(self.asked.clone(), findings, answer_bytes_max, sources_max);
        Effect::Compose(Box::new(composer))
    }

    /// The built-in answer is told, and the model asked all the same.
    fn composed_first(&mut self, answer: Answer, told: &mut Vec<RunEvent>) -> (State, Effect) {
        told.push(RunEvent::Sources { sources: answer.sources.clone() });
        tell_tokens(&answer.response, told);
        if let Some(modelled) = &mut self.modelled {
            modelled.first = Some(answer);
        }
        // What the model cites is told with its revision: until then the sources are the first answer's.
        self.ask(false, told)
    }

    // --- The model ------------------------------------------------------------------------------------------------

    fn ask(&mut self, tells_sources: bool, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let limits = &*self.limits;
        let Some(modelled) = &mut self.modelled else {
            return fail("no model is configured".to_owned(), told);
        };
        if tells_sources {
            told.push(RunEvent::Sources { sources: modelled.sources.clone() });
        }
        told.push(RunEvent::Status {
            status: Stage::Asking,
            detail: format!("Asking {}.", modelled.plan.model),
        });
        modelled.listen_anew();
        let offers_tools = modelled.offers_tools(limits.tool_rounds_max);
        let tools = offers_tools.then_some(self.question.writes);
        let context_tokens = (modelled.plan.context_tokens >> modelled.shrinks.min(31)).max(1);
        let share = context_tokens / limits.answer_tokens_share.max(1);
        let answer_tokens = share.clamp(1, limits.answer_tokens_max.max(1));
        let prompt = Prompt {
            question: &self.question,
            sources: &modelled.sources[..modelled.found],
            rounds: &modelled.rounds,
            tools,
        };
        let request = ModelRequest {
            messages: prompt.messages(prompt::room(context_tokens, answer_tokens, limits)),
            tools,
            answer_tokens_max: Some(answer_tokens),
        };
        let asking = Asking {
            model: modelled.plan.model.clone(),
            request,
            identity: modelled.identity(&self.question, tools),
        };
        (State::AwaitModel, Effect::Ask(Box::new(asking)))
    }

    fn answered(&mut self, reply: ModelReply, cached: bool, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let limits = &*self.limits;
        let Some(modelled) = &mut self.modelled else {
            return fail("no model is configured".to_owned(), told);
        };
        modelled.count(reply.usage, cached);
        if !reply.tool_calls.is_empty() && modelled.offers_tools(limits.tool_rounds_max) {
            if !reply.content.is_empty() {
                modelled.is_revised = true;
                let detail = "The model looks further before it answers.".to_owned();
                told.push(RunEvent::Revision { detail });
            }
            modelled.calls = reply.tool_calls.iter().rev().cloned().collect();
            modelled.rounds.push(Round { reply, results: Vec::new() });
            return self.use_next(told);
        }
        if modelled.leaves_nothing(&reply.content) {
            let said = modelled.heard_bytes > 0;
            return self.unanswered("the model answered with nothing".to_owned(), said, told);
        }
        self.complete_from_model(reply, told)
    }

    fn refused(&mut self, refusal: Refusal, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let Some(modelled) = &mut self.modelled else {
            return fail("no model is configured".to_owned(), told);
        };
        match refusal {
            Refusal::Tools if !modelled.without_tools => modelled.without_tools = true,
            Refusal::TooLong if modelled.shrinks < self.limits.prompt_shrinks_max => modelled.shrinks += 1,
            Refusal::Tools => {
                return self.unanswered(
                    "the model refused tools that it was not offered".to_owned(),
                    false,
                    told,
                );
            }
            Refusal::TooLong => {
                let why = "the prompt is longer than the model's context, however much of it is left out";
                return self.unanswered(why.to_owned(), false, told);
            }
        }
        self.ask(false, told)
    }

    /// The notes answer in the model's place, unless that is not wanted.
    fn unanswered(&mut self, why: String, said: bool, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let Some(modelled) = &mut self.modelled else { return fail(why, told) };
        if !modelled.plan.falls_back {
            return fail(why, told);
        }
        let is_void = said || modelled.is_revised;
        // It may be somebody else's sentence to its end.
        let why = why.trim_end_matches(['.', ' ']);
        modelled.degraded.push(format!("The notes answer, because {why}."));
        if is_void && !is_planted(Planted::ForgetsRevision) {
            let detail = "The model's answer has failed; the notes answer.".to_owned();
            told.push(RunEvent::Revision { detail });
        }
        if let Some(first) = modelled.first.take() {
            return self.complete_from_notes(first, is_void, told);
        }
        let findings = modelled.findings.take().unwrap_or_default();
        (State::AwaitAnswer, self.compose(findings, told))
    }

    // --- Tools ----------------------------------------------------------------------------------------------------

    /// Makes the next call of the round, or, if all were made, asks the model again.
    fn use_next(&mut self, told: &mut Vec<RunEvent>) -> (State, Effect) {
        loop {
            let Some(modelled) = &mut self.modelled else {
                return fail("no model is configured".to_owned(), told);
            };
            let Some(call) = modelled.calls.last() else { return self.ask(false, told) };
            match ToolUse::parse(&call.name, &call.arguments, self.question.writes, &self.limits) {
                Ok(ToolUse::Write(_)) if self.updates.len() >= self.limits.note_writes_per_run_max => {
                    let most = self.limits.note_writes_per_run_max;
                    modelled.bring(format!(
                        "error: a run makes at most {most} changes, and this one has made them."
                    ));
                }
                Ok(ToolUse::Write(wish)) => {
                    let detail = ToolUse::Write(wish.clone()).detail();
                    return self.plan(wish, detail, Vec::new(), told);
                }
                Ok(wish) => {
                    told.push(RunEvent::Status { status: Stage::UsingTool, detail: wish.detail() });
                    return (State::AwaitTool, Effect::Use(wish));
                }
                // The model is told, and may do better in the next round.
                Err(why) => modelled.bring(format!("error: {why}")),
            }
        }
    }

    /// What has become of a change that the model wanted.
    fn used_to_write(&mut self, result: &str, told: &mut Vec<RunEvent>) -> (State, Effect) {
        if let Some(modelled) = &mut self.modelled {
            modelled
                .bring(tools::cap(prompt::as_data(result).into_owned(), self.limits.tool_result_bytes_max));
        }
        self.use_next(told)
    }

    fn used(&mut self, brought: Brought, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let limits = &*self.limits;
        if let Some(modelled) = &mut self.modelled {
            let text = match brought {
                Brought::Text(text) => {
                    tools::cap(prompt::as_data(&text).into_owned(), limits.tool_result_bytes_max)
                }
                Brought::Passages(passages) => {
                    let known = modelled.sources.len();
                    let shown = modelled.show(&passages, limits);
                    // Until its answer replaces the first, the sources are that one's.
                    let is_shown = modelled.first.is_none() || modelled.is_revised;
                    if modelled.sources.len() > known && is_shown {
                        told.push(RunEvent::Sources { sources: modelled.sources.clone() });
                    }
                    shown
                }
            };
            modelled.bring(text);
        }
        self.use_next(told)
    }

    // --- The end --------------------------------------------------------------------------------------------------

    fn complete_from_model(&mut self, reply: ModelReply, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let Some(mut modelled) = self.modelled.take() else {
            return fail("no model is configured".to_owned(), told);
        };
        let unheard = reply.content.get(modelled.heard_bytes..).unwrap_or_default();
        if modelled.heard_bytes == 0 {
            // It is there all at once, as the notes' answers are.
            tokens(unheard).for_each(|text| modelled.hear(text, told));
        } else {
            modelled.hear(unheard, told);
        }
        modelled.say_rest(told);
        match reply.finish {
            Finish::Length => {
                modelled.degraded.push("The model's answer was cut at its longest length.".to_owned());
            }
            Finish::ContentFilter => {
                modelled.degraded.push("The model's server has left out parts of the answer.".to_owned());
            }
            Finish::Stop | Finish::ToolCalls | Finish::Unknown => {}
        }
        match modelled.marks.taken_out() {
            0 => {}
            1 => modelled.degraded.push("1 mark that names no source was taken out.".to_owned()),
            count => modelled.degraded.push(format!("{count} marks that name no source were taken out.")),
        }
        let response = Response {
            categories: modelled.cited_categories(),
            quotes: quotes(&modelled.said, &modelled.sources, &self.limits),
            unsupported: unsupported(&modelled.said, &modelled.sources, &self.limits),
            response: modelled.said,
            sources: modelled.sources,
            knowledge_updates: std::mem::take(&mut self.updates),
            suggested_actions: Vec::new(),
            answered_by: AnsweredBy::Model,
            degraded: [std::mem::take(&mut self.degraded), modelled.degraded].concat(),
            model: Some(modelled.plan.model),
            usage: modelled.usage,
            cached: modelled.cached,
            run_id: self.run_id.clone(),
        };
        told.push(RunEvent::Complete { response: Box::new(response) });
        (State::Ended, finish(Outcome::Completed, told))
    }

    /// `tells_it`: its tokens have not been told yet, or are void.
    fn complete_from_notes(
        &mut self,
        answer: Answer,
        tells_it: bool,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        if tells_it {
            told.push(RunEvent::Sources { sources: answer.sources.clone() });
            tell_tokens(&answer.response, told);
        }
        let mut degraded = std::mem::take(&mut self.degraded);
        degraded.extend(self.modelled.take().into_iter().flat_map(|modelled| modelled.degraded));
        let response = Response {
            response: answer.response,
            sources: answer.sources,
            categories: answer.categories,
            knowledge_updates: std::mem::take(&mut self.updates),
            suggested_actions: answer.suggested_actions,
            answered_by: AnsweredBy::Notes,
            degraded,
            quotes: Vec::new(),
            unsupported: Vec::new(),
            model: None,
            usage: None,
            cached: false,
            run_id: self.run_id.clone(),
        };
        told.push(RunEvent::Complete { response: Box::new(response) });
        (State::Ended, finish(Outcome::Completed, told))
    }
}

fn fail(why: String, told: &mut Vec<RunEvent>) -> (State, Effect) {
    told.push(RunEvent::Error { detail: why });
    (State::Ended, finish(Outcome::Failed, told))
}

fn finish(outcome: Outcome, told: &mut Vec<RunEvent>) -> Effect {
    told.push(RunEvent::Done { status: outcome });
    Effect::Finish(outcome)
}

fn tell_tokens(response: &str, told: &mut Vec<RunEvent>) {
    told.extend(tokens(response).map(|text| RunEvent::Token { text: text.to_owned() }));
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
    /// Something of a model, but none was asked.
    NotAsking,
    /// What a tool has brought, but none is at work.
    NotUsing,
    /// Something about a note that is written, but none is.
    NotWriting,
    /// The run has ended.
    Ended,
}

impl Unexpected {
    fn of(state: State, input: &Input) -> Unexpected {
        match (state, input) {
            (State::Ended, _) => Unexpected::Ended,
            (State::ExpectStart, _) => Unexpected::NotStarted,
            (_, Input::Start | Input::StartWith(_)) => Unexpected::AlreadyStarted,
            (_, Input::Found(_) | Input::Recalled(_)) => Unexpected::NotSearching,
            (_, Input::Answered { .. } | Input::Refused(_) | Input::Unanswered { .. }) => {
                Unexpected::NotAsking
            }
            (_, Input::Used(_)) => Unexpected::NotUsing,
            (_, Input::Planned(_) | Input::Wrote(_)) => Unexpected::NotWriting,
            (_, Input::Composed(_) | Input::Failed(_) | Input::Cancel) => Unexpected::NotComposing,
        }
    }
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unexpected::NotStarted => "the run has not been started",
            Unexpected::AlreadyStarted => "the run was started before",
            Unexpected::NotSearching => "the run awaits no findings",
            Unexpected::NotComposing => "the run awaits no answer",
            Unexpected::NotAsking => "the run awaits no model",
            Unexpected::NotUsing => "the run awaits no tool",
            Unexpected::NotWriting => "the run writes no note",
            Unexpected::Ended => "the run has ended",
        })
    }
}

impl std::error::Error for Unexpected {}
