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
//!  every state but the last: Failed / error, done      Cancel / done ──────────────────────────────────┘
//! ```
//!
//! Every arrow is one [`Input`]; every state but the last has exactly one effect outstanding (`ExpectStart` waits
//! for the app to have room). The log of a run and the numbers of its events are kept by whoever resumes it.
//!
//! What a model says is told while it says it ([`Run::hear`]): no input, as it moves nothing. Only the whole reply is
//! one. So a run that is made again from its inputs tells the same, but for pieces of replies: those are void
//! when the process ends before the reply is whole.

use std::fmt;

use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;

use super::answer::Composer;
use super::citations::{self, Marks, quotes};
use super::effect::{
    Asking, Brought, Edit, Effect, Findings, Input, Outcome, Passage, Plan, Refusal, Unwritten, Wish,
};
use super::event::{Action, Answer, AnsweredBy, KnowledgeUpdate, Response, RunEvent, Source, Stage};
use super::model::{Finish, ModelReply, ModelRequest, ToolCall, Usage};
use super::organise;
use super::prompt::{self, Prompt, Round};
use super::question::{Asked, Question, Strategy, Turn, Writes};
use super::support::unsupported;
use super::tools::{self, ToolUse};

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

/// A change of the notes on its way.
#[derive(Debug)]
struct Writing {
    wish: Wish,
    planned: Option<Edit>,
    /// What could be done next, once it is written.
    suggested_actions: Vec<String>,
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

/// What a run needs that asks a model.
#[derive(Debug)]
struct Modelled {
    plan: Plan,
    /// For the built-in answerer, if the model fails.
    findings: Option<Findings>,
    /// What the answer may cite, in the order of its marks, with each one's category.
    sources: Vec<Source>,
    categories: Vec<String>,
    /// How many of them the search has found, before any tool.
    found: usize,
    /// Replies that asked for tools, with what those brought.
    rounds: Vec<Round>,
    /// Calls of the last round that are still to be made, the next one last.
    calls: Vec<ToolCall>,
    /// How often the prompt was halved because the model's server found it too long.
    shrinks: u32,
    /// Tools are offered no more: the model can't call them, or has called enough.
    without_tools: bool,
    /// The built-in answer that was told first.
    first: Option<Answer>,
    /// What is being said: bytes of it as the model has it, and as it was told.
    heard_bytes: usize,
    said: String,
    marks: Marks,
    /// The tokens of the first answer, if one was told, are void.
    is_revised: bool,
    degraded: Vec<String>,
    usage: Option<Usage>,
    cached: bool,
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
            return self.plan(wish, suggested_actions, told);
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

    // --- What is to be kept ---------------------------------------------------------------------------------------

    /// What the message wants to be kept, if that is what it wants and it may be.
    fn statement(&self) -> Option<&str> {
        if self.question.writes == Writes::Off { None } else { organise::statement(&self.question.message) }
    }

    /// The note that is made of a statement, and what could be done then.
    fn keep(&self, statement: &str, findings: &Findings) -> (Wish, Vec<String>) {
        let draft = organise::draft(statement, &findings.passages);
        let mut suggested_actions = Vec::new();
        if let Some(twin) = organise::near_duplicate(statement, &findings.passages) {
            suggested_actions
                .push(format!("Merge it with {} ({}), which says much the same.", twin.title, twin.path));
        }
        let near = findings
            .passages
            .iter()
            .filter(|passage| draft.related.iter().any(|(path, _)| *path == passage.path));
        if let Some((name, passage)) = near.filter_map(|near| Some((near.dangling.first()?, near))).next() {
            suggested_actions.push(format!("Write the note {name}, which {} links to.", passage.title));
        }
        let folder = match self.question.writes {
            Writes::All => draft.category.clone(),
            Writes::Off | Writes::Inbox => String::new(),
        };
        let folder = if folder.is_empty() { organise::INBOX.to_owned() } else { folder };
        (Wish { folder, draft, taken: 0 }, suggested_actions)
    }

    fn plan(
        &mut self,
        wish: Wish,
        suggested_actions: Vec<String>,
        told: &mut Vec<RunEvent>,
    ) -> (State, Effect) {
        told.push(RunEvent::Status { status: Stage::Writing, detail: "Writing a note.".to_owned() });
        let effect = Effect::Plan(wish.clone());
        self.writing = Some(Box::new(Writing { wish, planned: None, suggested_actions }));
        (State::AwaitPlan, effect)
    }

    fn planned(&mut self, planned: Result<Edit, String>, told: &mut Vec<RunEvent>) -> (State, Effect) {
        match (planned, &mut self.writing) {
            (Ok(planned), Some(writing)) => {
                writing.planned = Some(planned.clone());
                (State::AwaitWrite, Effect::Write(planned))
            }
            (Ok(_), None) => fail("nothing was to be written".to_owned(), told),
            (Err(why), _) => self.not_written(&why, told),
        }
    }

    fn wrote(&mut self, wrote: Result<(), Unwritten>, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let Some(mut writing) = self.writing.take() else {
            return fail("nothing was to be written".to_owned(), told);
        };
        match (wrote, writing.planned.take()) {
            (Ok(()), Some(planned)) => {
                let Edit { path, title, hash, .. } = planned;
                let id = format!("{}-{}", self.run_id, self.updates.len() + 1);
                let update = KnowledgeUpdate { id, action: Action::Created, path, title, hash };
                told.push(RunEvent::Update { update: update.clone() });
                self.updates.push(update);
                self.kept(*writing, told)
            }
            (Ok(()), None) => fail("nothing was planned".to_owned(), told),
            (Err(Unwritten::Overtaken), _) if writing.wish.taken < OVERTAKEN_MAX => {
                writing.wish.taken += 1;
                let effect = Effect::Plan(writing.wish.clone());
                self.writing = Some(writing);
                (State::AwaitPlan, effect)
            }
            (Err(Unwritten::Overtaken), _) => {
                self.not_written("every name for it was taken by others meanwhile", told)
            }
            (Err(Unwritten::Refused(why)), _) => self.not_written(&why, told),
        }
    }

    /// A statement is kept, and its asker told where.
    fn kept(&mut self, writing: Writing, told: &mut Vec<RunEvent>) -> (State, Effect) {
        let path = self.updates.last().map_or("", |update| &*update.path);
        let mut response = format!("Noted in {path}.");
        let draft = &writing.wish.draft;
        if !draft.category.is_empty() {
            response.push_str(&format!(" Its category is {}.", draft.category));
        }
        let related: Vec<&str> = draft.related.iter().map(|(_, title)| &**title).collect();
        if !related.is_empty() {
            response.push_str(&format!(" It is linked to {}.", related.join(", ")));
        }
        let suggested_actions = writing.suggested_actions;
        let answer = Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions };
        self.complete_from_notes(answer, true, told)
    }

    fn not_written(&mut self, why: &str, told: &mut Vec<RunEvent>) -> (State, Effect) {
        self.writing = None;
        self.degraded.push(format!("Nothing was written, because {why}."));
        let response = format!("This could not be noted: {why}.");
        let answer =
            Answer { response, sources: Vec::new(), categories: Vec::new(), suggested_actions: Vec::new() };
        self.complete_from_notes(answer, true, told)
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
        let context_tokens = (modelled.plan.context_tokens >> modelled.shrinks.min(31)).max(1);
        let share = context_tokens / limits.answer_tokens_share.max(1);
        let answer_tokens = share.clamp(1, limits.answer_tokens_max.max(1));
        let prompt = Prompt {
            question: &self.question,
            sources: &modelled.sources[..modelled.found],
            rounds: &modelled.rounds,
            offers_tools,
        };
        let request = ModelRequest {
            messages: prompt.messages(prompt::room(context_tokens, answer_tokens, limits)),
            offers_tools,
            answer_tokens_max: Some(answer_tokens),
        };
        let asking = Asking {
            model: modelled.plan.model.clone(),
            request,
            identity: modelled.identity(&self.question, offers_tools),
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
            match ToolUse::parse(&call.name, &call.arguments, &self.limits) {
                Ok(wish) => {
                    told.push(RunEvent::Status { status: Stage::UsingTool, detail: wish.detail() });
                    return (State::AwaitTool, Effect::Use(wish));
                }
                // The model is told, and may do better in the next round.
                Err(why) => modelled.bring(format!("error: {why}")),
            }
        }
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

impl Modelled {
    fn new(plan: Plan) -> Modelled {
        Modelled {
            plan,
            findings: None,
            sources: Vec::new(),
            categories: Vec::new(),
            found: 0,
            rounds: Vec::new(),
            calls: Vec::new(),
            shrinks: 0,
            without_tools: false,
            first: None,
            heard_bytes: 0,
            said: String::new(),
            marks: Marks::new(),
            is_revised: false,
            degraded: Vec::new(),
            usage: None,
            cached: false,
        }
    }

    /// A reply begins.
    fn listen_anew(&mut self) {
        self.heard_bytes = 0;
        self.said.clear();
        self.marks = Marks::new();
    }

    fn hear(&mut self, text: &str, told: &mut Vec<RunEvent>) {
        let begins = self.heard_bytes == 0;
        self.heard_bytes += text.len();
        if self.first.is_some() && begins {
            if !std::mem::replace(&mut self.is_revised, true) {
                told.push(RunEvent::Revision { detail: "The model answers.".to_owned() });
            }
            // Tools may have brought some since its last words.
            told.push(RunEvent::Sources { sources: self.sources.clone() });
        }
        let before = self.said.len();
        self.marks.push(text, self.sources.len(), &mut self.said);
        self.tell_said(before, told);
    }

    /// What was held back because it might have become a mark.
    fn say_rest(&mut self, told: &mut Vec<RunEvent>) {
        let before = self.said.len();
        self.marks.finish(&mut self.said);
        self.tell_said(before, told);
    }

    fn tell_said(&self, before: usize, told: &mut Vec<RunEvent>) {
        if let Some(text) = self.said.get(before..).filter(|text| !text.is_empty()) {
            told.push(RunEvent::Token { text: text.to_owned() });
        }
    }

    /// Nothing of this reply is worth reading: white space, and marks that name no source.
    fn leaves_nothing(&self, content: &str) -> bool {
        let is_in_marks = |character: char| {
            character.is_whitespace() || character.is_ascii_digit() || "[],".contains(character)
        };
        if !content.chars().all(is_in_marks) {
            return false;
        }
        let (mut marks, mut shown) = (Marks::new(), String::new());
        marks.push(content, self.sources.len(), &mut shown);
        marks.finish(&mut shown);
        shown.trim().is_empty()
    }

    fn offers_tools(&self, rounds_max: usize) -> bool {
        self.plan.offers_tools && !self.without_tools && self.rounds.len() < rounds_max
    }

    /// The mark under which a passage is cited; it gets one if it has none. `None` if there are too many.
    fn cite(&mut self, passage: &Passage, sources_max: usize) -> Option<usize> {
        let is_this = |source: &Source| {
            source.path == passage.path && (source.start, source.end) == (passage.start, passage.end)
        };
        if let Some(index) = self.sources.iter().position(is_this) {
            return Some(index + 1);
        }
        if self.sources.len() >= sources_max {
            return None;
        }
        self.sources.push(Source {
            path: passage.path.clone(),
            title: passage.title.clone(),
            heading: passage.heading.clone(),
            start: passage.start,
            end: passage.end,
            score: passage.score,
            text: passage.text.clone(),
            hash: passage.hash.clone(),
        });
        self.categories.push(passage.category.clone());
        Some(self.sources.len())
    }

    /// Passages as a tool's result, each under its mark.
    fn show(&mut self, passages: &[Passage], limits: &Limits) -> String {
        let mut shown = String::new();
        for passage in passages {
            let known = self.sources.len();
            let mark = self.cite(passage, limits.cited_sources_max);
            let source = mark.and_then(|mark| self.sources.get(mark - 1).map(|source| (mark, source)));
            let room = limits.tool_result_bytes_max.saturating_sub(shown.len() + 1);
            match source.and_then(|(mark, source)| prompt::passage(mark, source, room)) {
                Some(text) => shown.extend([text.as_str(), "\n"]),
                // What the model has not seen it can't cite.
                None => {
                    self.sources.truncate(known);
                    self.categories.truncate(known);
                    break;
                }
            }
        }
        if shown.is_empty() {
            shown.push_str("Nothing was found.");
        }
        shown
    }

    /// The result of the call that is next.
    fn bring(&mut self, text: String) {
        if let (Some(call), Some(round)) = (self.calls.pop(), self.rounds.last_mut()) {
            round.results.push((call.id, text));
        }
    }

    fn count(&mut self, usage: Option<Usage>, cached: bool) {
        self.cached = cached;
        // What was counted when it was asked the first time costs nothing now.
        let Some(usage) = usage.filter(|_| !cached) else { return };
        let sum = self.usage.get_or_insert_with(Usage::default);
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(usage.prompt_tokens);
        sum.completion_tokens = sum.completion_tokens.saturating_add(usage.completion_tokens);
    }

    /// The categories of the sources that the answer cites, each once.
    fn cited_categories(&self) -> Vec<String> {
        let marks = citations::cited(&self.said, self.sources.len());
        let mut categories: Vec<String> = Vec::new();
        for category in marks.into_iter().filter_map(|mark| self.categories.get(mark - 1)) {
            if !category.is_empty() && !categories.contains(category) {
                categories.push(category.clone());
            }
        }
        categories
    }

    /// All that decides what the model should say, the question folded.
    fn identity(&self, question: &Question, offers_tools: bool) -> String {
        let words: Vec<&str> = question.message.split_whitespace().collect();
        let folded = words.join(" ");
        // A capital further on may be all that tells one word from another.
        let first = folded.chars().next().map_or(0, char::len_utf8);
        let (first, rest) = folded.split_at(first);
        let folded = (first.to_lowercase(), rest.trim_end_matches(['?', '!', '.', ' ']));
        let epoch = self.findings.as_ref().map_or(0, |findings| findings.epoch);
        // Their text as well: epochs begin anew with each process, and a run may be older than this one. What tools
        // have brought stands in their results.
        let passages: Vec<_> = self.sources[..self.found]
            .iter()
            .map(|source| (&source.path, source.start, source.end, &source.text))
            .collect();
        let calls: Vec<_> = self
            .rounds
            .iter()
            .map(|round| {
                let calls: Vec<_> =
                    round.reply.tool_calls.iter().map(|call| (&call.name, &call.arguments)).collect();
                (&round.reply.content, calls, round.results.iter().map(|(_, text)| text).collect::<Vec<_>>())
            })
            .collect();
        let plan = (&self.plan.model, self.plan.context_tokens, self.shrinks, offers_tools);
        serde_json::to_string(&(plan, folded, &question.history, epoch, passages, calls))
            .expect("strings and numbers have JSON")
    }
}

/// How often a note is planned anew because somebody else has taken its name.
const OVERTAKEN_MAX: u32 = 8;

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
