//! The model behind the agent: who asks it, what it answers, and what is done when it does not.
//!
//! A run asks ([`Model::ask`]) and is told by way of its key: pieces of the reply while it is made, and then one input.
//! Runs that ask the same share one call, and each of them may leave it; the last one that does ends it. What was answered
//! once is kept for whoever asks the same of the same notes.
//!
//! Everything that fails before an answer begins is tried again, if that may help; a model that fails in a row is left
//! alone for a while (`breaker`). What is told to a run is one sentence without an address or a key in it; the log
//! says more.

mod call;
pub(super) mod retry;

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use crate::agent::model::{Deltas, Finish, LengthField, ModelReply, ReplyError, error_message};
use crate::agent::{Asking, Input, Plan, Refusal};
use crate::base::planted::{Planted, is_planted};
use crate::base::{Key, Kind, Lru, LruStats, Slots};
use crate::config::{AgentMode, ModelConfig, Secret};
use crate::limits::Limits;
use crate::net::exchange::{Failure, Head, Patience};
use crate::net::outbound::{Ask, Lines, Origin, OriginId, Outbound, Told};
use crate::reactor::{Cx, TimerId};

use super::breaker::{Admission, Breaker};
use call::{Call, Stage};

/// Keys of calls.
pub const CALL: Kind = Kind(9);

/// What becomes of a question to the model.
#[derive(Debug)]
pub enum Asked {
    /// This call answers it in time. What was said so far is to be heard.
    Call(Key),
    /// The answer, or why there is none.
    Now(Box<Input>),
}

/// What a run hears.
#[derive(Debug)]
pub enum Heard<'h> {
    /// The next piece of the reply.
    Text(&'h str),
    /// The next piece of what the model thinks.
    Reasoning(&'h str),
    /// What becomes of its question. The call is over; for its input, `said` is the run's to say.
    Over(Input),
}

/// What was counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelCounts {
    /// Questions of runs.
    pub asked: u64,
    /// Of these, those that joined a call under way.
    pub shared: u64,
    /// Of these, those that had been answered before.
    pub cached: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Tries beyond the first.
    pub retried: u64,
    /// Calls that were not answered.
    pub failed: u64,
    /// Calls that nobody waited for any more.
    pub left: u64,
}

/// A model, as the application sees it.
pub struct Model {
    /// How a run that begins now is to ask it.
    plan: Plan,
    key: Option<Secret>,
    path: String,
    authority: String,
    origin: OriginId,
    mode: AgentMode,
    length_field: LengthField,
    patience: Patience,
    calls: Slots<Call>,
    by_identity: BTreeMap<Uuid, Key>,
    by_exchange: BTreeMap<Key, Key>,
    answers: Lru<Uuid, ModelReply>,
    breaker: Breaker,
    counts: ModelCounts,
    /// Calls whose exchange could not begin, and why.
    unbegun: Vec<(Key, Failure)>,
    limits: Limits,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.plan.model).finish_non_exhaustive()
    }
}

impl Model {
    /// The model that `config` names; nothing is asked yet.
    pub fn new(config: &ModelConfig, outbound: &mut Outbound, limits: &Limits) -> Model {
        let origin = outbound.add(Origin {
            url: config.url.clone(),
            trust: config.trust.clone(),
            proxy: config.proxy.clone(),
            // Beyond that there is no socket for it, and it fails where it could have waited.
            connections_max: config.connections_max.min(limits.outbound_sockets_max),
        });
        Model {
            plan: Plan {
                model: config.name.clone(),
                offers_tools: config.agent != AgentMode::Rag,
                falls_back: config.falls_back,
                context_tokens: config.context_tokens,
            },
            key: config.key.clone(),
            path: format!("{}/chat/completions", config.url.path),
            authority: config.url.authority(),
            origin,
            mode: config.agent,
            length_field: LengthField::default(),
            patience: Patience {
                connect: config.connect_timeout,
                first_byte: config.first_byte_timeout,
                gap: config.gap_timeout,
                total: config.total_timeout,
            },
            calls: Slots::new(CALL, limits.model_calls_max),
            by_identity: BTreeMap::new(),
            by_exchange: BTreeMap::new(),
            answers: Lru::new(config.cache_bytes_max),
            breaker: Breaker::new(limits),
            counts: ModelCounts::default(),
            unbegun: Vec::new(),
            limits: limits.clone(),
        }
    }

    /// How a run that begins now is to ask it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A run asks.
    pub fn ask(&mut self, run: Key, asking: &Asking, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) -> Asked {
        self.counts.asked += 1;
        if asking.model != self.plan.model {
            let why = format!("the model {} is not configured any more", asking.model);
            return Asked::Now(Box::new(unanswered(why)));
        }
        let identity = if is_planted(Planted::AnswersAnyQuestion) { "any" } else { asking.identity.as_str() };
        let identity = Uuid::new_v5(&Uuid::NAMESPACE_OID, identity.as_bytes());
        if let Some(reply) = self.answers.get(&identity) {
            self.counts.cached += 1;
            return Asked::Now(Box::new(Input::Answered { reply: reply.clone(), cached: true }));
        }
        if let Some(key) = self.by_identity.get(&identity)
            && let Some(call) = self.calls.at_mut(*key)
        {
            self.counts.shared += 1;
            call.askers.push(run);
            return Asked::Call(*key);
        }
        let is_probe = match self.breaker.admit(cx.now) {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Wait(left) => {
                let why = format!(
                    "the model has failed {} times in a row and is not asked for another {} s",
                    self.breaker.in_a_row(),
                    left.as_millis().div_ceil(1000)
                );
                return Asked::Now(Box::new(unanswered(why)));
            }
        };
        let mut call = Call::new(identity, asking.request.clone(), cx.now, &self.limits);
        call.is_probe = is_probe;
        call.askers.push(run);
        match self.calls.insert(call) {
            Ok(key) => {
                self.by_identity.insert(identity, key);
                self.try_once(key, outbound, cx);
                Asked::Call(key)
            }
            Err(_) => {
                if is_probe {
                    self.breaker.abandoned(cx.now);
                }
                Asked::Now(Box::new(unanswered("too many calls of the model are under way".to_owned())))
            }
        }
    }

    /// What a call has said so far, for a run that joins it.
    pub fn said(&self, call: Key) -> &str {
        // What is not told yet will be told to all.
        self.calls.at(call).map_or("", |call| {
            let all = call.deltas.content();
            all.get(..all.len().saturating_sub(call.text.len())).unwrap_or("")
        })
    }

    /// A run does not wait any more. Without another that does, the call is ended in this turn.
    pub fn leave(&mut self, key: Key, run: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        let Some(call) = self.calls.at_mut(key) else { return };
        call.askers.retain(|asker| *asker != run);
        if call.askers.is_empty() && !is_planted(Planted::KeepsCallOfNobody) {
            let is_probe = call.is_probe;
            self.counts.left += 1;
            self.end(key, lines, cx);
            if is_probe {
                self.breaker.abandoned(cx.now);
            }
        }
    }

    // --- What happens ---------------------------------------------------------------------------------------------

    /// A pause before the next try is over.
    pub fn timer(&mut self, id: TimerId, owner: Key, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) {
        let is_due = self
            .calls
            .at(owner)
            .is_some_and(|call| matches!(call.stage, Stage::Pausing(timer) if timer == id));
        if is_due {
            self.try_once(owner, outbound, cx);
        }
    }

    /// Some call could not be sent, and nobody has heard of it.
    pub fn has_unbegun(&self) -> bool {
        !self.unbegun.is_empty()
    }

    /// This exchange has news: if it is one of ours, the runs that wait for it are told.
    pub fn tell(
        &mut self,
        exchange: Key,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        if let Some(key) = self.by_exchange.get(&exchange).copied() {
            self.pull(key, exchange, lines, cx, hear);
        }
    }

    /// Tells the runs whose calls could not be sent.
    pub fn tell_unbegun(
        &mut self,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        for (key, failure) in std::mem::take(&mut self.unbegun) {
            self.broke(key, failure, lines, cx, hear);
        }
    }

    /// Gives memory back that a crowd needed.
    pub fn tidy(&mut self) {
        self.calls.tidy();
    }

    // --- One call -------------------------------------------------------------------------------------------------

    /// Sends the request.
    fn try_once(&mut self, key: Key, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) {
        let Some(call) = self.calls.at_mut(key) else { return };
        call.tries += 1;
        call.length_field = self.length_field;
        call.stage = Stage::AwaitHead;
        let authorization = self.key.as_ref().map(|key| format!("Bearer {}", key.reveal()));
        let mut fields = vec![
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream, application/json"),
            ("User-Agent", concat!("oneloop/", env!("CARGO_PKG_VERSION"))),
        ];
        fields.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let body = call.request.body(&self.plan.model, call.length_field);
        let ask = Ask { method: "POST", path: &self.path, fields: &fields, body: Some(body.as_bytes()) };
        let spent = cx.now.since(call.begun);
        let patience = Patience { total: self.patience.total.saturating_sub(spent), ..self.patience };
        match outbound.begin(self.origin, ask, patience, &self.limits, cx) {
            Ok(exchange) => {
                call.exchange = Some(exchange);
                self.by_exchange.insert(exchange, key);
            }
            Err(failure) => self.unbegun.push((key, failure)),
        }
    }

    fn pull(
        &mut self,
        key: Key,
        exchange: Key,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        loop {
            let Some(call) = self.calls.at_mut(key) else { return };
            let told = lines.outbound.next(exchange, lines.pool, &self.limits, cx);
            let verdict = match told {
                None => {
                    tell_pieces(call, hear);
                    return;
                }
                Some(Told::Head(head)) => {
                    call.stage = begin_to_read(head);
                    Verdict::Reading
                }
                Some(Told::Body(bytes)) => read(call, bytes, &self.limits),
                Some(Told::End) => ended(call, &self.limits),
                Some(Told::Failed(failure)) => Verdict::Broke(failure),
            };
            match verdict {
                Verdict::Reading => {}
                Verdict::Answered(reply) => return self.answered(key, *reply, lines, cx, hear),
                Verdict::Refused(head, said) => return self.refused(key, &head, &said, lines, cx, hear),
                Verdict::Garbled(error) => return self.garbled(key, &error, lines, cx, hear),
                Verdict::Broke(failure) => return self.broke(key, failure, lines, cx, hear),
            }
        }
    }

    fn answered(
        &mut self,
        key: Key,
        reply: ModelReply,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        self.breaker.succeeded();
        self.counts.answered += 1;
        self.finish_exchange(key, lines, cx);
        if let Some(call) = self.calls.at_mut(key) {
            tell_pieces(call, hear);
            let says_something = !reply.content.trim().is_empty() || !reply.tool_calls.is_empty();
            if says_something && matches!(reply.finish, Finish::Stop | Finish::ToolCalls) {
                let bytes = bytes_of(&reply);
                self.answers.put(call.identity, reply.clone(), bytes);
            }
        }
        self.over(key, &Input::Answered { reply, cached: false }, lines, cx, hear);
    }

    /// The server has answered that it will not, with a reason.
    fn refused(
        &mut self,
        key: Key,
        head: &Head,
        said: &[u8],
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        self.finish_exchange(key, lines, cx);
        let reason = self.tellable(error_message(said, self.limits.refusal_bytes_max));
        let Some(call) = self.calls.at(key) else { return };
        let Head { status, retry_after, .. } = head;
        let is_hers = matches!(status, 400 | 413 | 422 | 500 | 501);
        // Another call may have found it out while this one was under way.
        if is_hers && call.length_field == LengthField::MaxTokens && reason.contains("max_completion_tokens")
        {
            self.length_field = LengthField::MaxCompletionTokens;
            return self.try_once(key, lines.outbound, cx);
        }
        let input = if is_hers && speaks_of_context(&reason) {
            Some(Input::Refused(Refusal::TooLong))
        } else if is_hers
            && call.request.tools.is_some()
            && speaks_of_tools(&reason)
            && self.mode == AgentMode::Auto
        {
            log::info!("the model's server does not take tools ({reason}): they are not offered any more");
            // Its server does not take them, and will not the next time.
            self.plan.offers_tools = false;
            Some(Input::Refused(Refusal::Tools))
        } else {
            None
        };
        if let Some(input) = input {
            // It has answered, and is well.
            self.breaker.succeeded();
            return self.over(key, &input, lines, cx, hear);
        }
        if may_pass(*status) {
            let why = with_reason(format!("the model's server answered {status}"), &reason);
            return self.try_again_or_fail(key, why, retry_after.as_deref(), true, lines, cx, hear);
        }
        self.breaker.succeeded();
        let why = match status {
            300..=399 => format!("the model's server redirects ({status}), which is not followed"),
            401 | 403 => with_reason(format!("the model's server refuses the key ({status})"), &reason),
            // Only a proxy answers so (RFC 9110 §15.5.8).
            407 => with_reason("the proxy wants another name and password (407)".to_owned(), &reason),
            _ => with_reason(format!("the model's server answered {status}"), &reason),
        };
        self.fail(key, why, lines, cx, hear);
    }

    /// What came is no answer, or not a whole one.
    fn garbled(
        &mut self,
        key: Key,
        error: &ReplyError,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        let why = self.tellable(error.to_string());
        self.count_failure(key, cx);
        self.fail(key, why, lines, cx, hear);
    }

    fn broke(
        &mut self,
        key: Key,
        failure: Failure,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        if failure == Failure::NoRoom {
            // Our own fault, and nothing that it could be blamed for.
            if self.calls.at(key).is_some_and(|call| call.is_probe) {
                self.breaker.abandoned(cx.now);
            }
            return self.fail(key, format!("the model's server {failure}"), lines, cx, hear);
        }
        log::warn!("the model's server at {} {failure}", self.authority);
        // The resolver's, the system's and the certificate's words may hold an address.
        let why = match &failure {
            Failure::NoName(_) => "the model's server has no address".to_owned(),
            // The last try had what was left of the time for all.
            Failure::TotalTimeout(_) => {
                format!("the model's server {}", Failure::TotalTimeout(self.patience.total))
            }
            other => format!("the model's server {other}"),
        };
        let may_help = match failure {
            Failure::NoName(_)
            | Failure::NotReached(_)
            | Failure::ConnectTimeout(_)
            | Failure::Broken
            | Failure::BrokeOff
            | Failure::NoResponse(_) => true,
            Failure::ProxyRefused(status) => may_pass(status),
            // It has been waited for long enough; and who is not to be trusted now will not be in a second.
            Failure::Tls(_)
            | Failure::FirstByteTimeout(_)
            | Failure::GapTimeout(_)
            | Failure::TotalTimeout(_)
            | Failure::NoRoom => false,
        };
        self.try_again_or_fail(key, why, None, may_help, lines, cx, hear);
    }

    #[expect(clippy::too_many_arguments, reason = "the world, and whom to tell, in every one of these")]
    fn try_again_or_fail(
        &mut self,
        key: Key,
        why: String,
        retry_after: Option<&str>,
        may_help: bool,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        self.count_failure(key, cx);
        self.abandon_exchange(key, lines, cx);
        let Some(call) = self.calls.at_mut(key) else { return };
        let nothing_came = matches!(call.stage, Stage::AwaitHead | Stage::InRefusal(..));
        let pause = if may_help && nothing_came && !call.is_probe && self.breaker.name() == "closed" {
            let (random, wall) = (cx.os.entropy.number(), cx.os.clock.wall());
            retry::pause(call.tries, retry_after, random, wall, &self.limits)
        } else {
            None
        };
        let left = self.patience.total.saturating_sub(cx.now.since(call.begun));
        match pause.filter(|pause| *pause < left) {
            Some(pause) => {
                self.counts.retried += 1;
                log::info!("{why}; it is tried again in {} s", pause.as_secs_f32());
                call.stage = Stage::Pausing(cx.set_timer(cx.now.after(pause), key));
            }
            None => self.fail(key, why, lines, cx, hear),
        }
    }

    fn count_failure(&mut self, key: Key, cx: &Cx<'_, '_>) {
        let was_probe = self.calls.at(key).is_some_and(|call| call.is_probe);
        let was = self.breaker.name();
        self.breaker.failed(was_probe, cx.now);
        if was != self.breaker.name() {
            log::warn!(
                "the model is not asked for a while: it has failed {} times in a row",
                self.breaker.in_a_row()
            );
        }
    }

    fn fail(
        &mut self,
        key: Key,
        why: String,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        self.counts.failed += 1;
        if let Some(call) = self.calls.at_mut(key) {
            tell_pieces(call, hear);
        }
        self.over(key, &unanswered(why), lines, cx, hear);
    }

    /// Tells everybody who waits, and ends the call.
    fn over(
        &mut self,
        key: Key,
        input: &Input,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        hear: &mut dyn FnMut(Key, Heard<'_>),
    ) {
        let Some(askers) = self.end(key, lines, cx) else { return };
        for run in askers {
            hear(run, Heard::Over(input.clone()));
        }
    }

    /// Ends a call, whatever state it is in; answers who waited for it.
    fn end(&mut self, key: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) -> Option<Vec<Key>> {
        self.abandon_exchange(key, lines, cx);
        let call = self.calls.remove(key)?;
        if let Stage::Pausing(timer) = call.stage {
            cx.cancel_timer(&mut Some(timer));
        }
        self.by_identity.remove(&call.identity);
        Some(call.askers)
    }

    /// The answer is whole: what is left of the response is read and dropped, so that its connection can be used again.
    fn finish_exchange(&mut self, key: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        if let Some(exchange) = self.calls.at_mut(key).and_then(|call| call.exchange.take()) {
            self.by_exchange.remove(&exchange);
            lines.outbound.finish(exchange, lines.pool, &self.limits, cx);
        }
    }

    fn abandon_exchange(&mut self, key: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        if let Some(exchange) = self.calls.at_mut(key).and_then(|call| call.exchange.take()) {
            self.by_exchange.remove(&exchange);
            lines.outbound.abandon(exchange, lines.pool, &self.limits, cx);
        }
    }

    /// The server's words as they may be told.
    fn tellable(&self, text: String) -> String {
        tellable(text, self.key.as_ref(), &self.limits)
    }

    // --- For whoever wonders --------------------------------------------------------------------------------------

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.plan.model
    }

    /// `closed`, `open` or `half-open`, and how often it has opened.
    pub fn breaker(&self) -> (&'static str, u64) {
        (self.breaker.name(), self.breaker.opened())
    }

    /// Tools are offered.
    pub fn offers_tools(&self) -> bool {
        self.plan.offers_tools
    }

    /// What was counted since start.
    pub fn counts(&self) -> ModelCounts {
        self.counts
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Its server, among all that are asked.
    pub fn origin(&self) -> OriginId {
        self.origin
    }

    /// The answers that are kept.
    pub fn answers_stats(&self) -> LruStats {
        self.answers.stats()
    }

    /// Lets go of all answers that are kept.
    pub fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// Runs that wait for a call, and timers that are set: for whoever checks that none is forgotten.
    pub fn holds(&self) -> (usize, usize) {
        let askers = self.calls.iter().map(|(_, call)| call.askers.len()).sum();
        let pauses = self.calls.iter().filter(|(_, call)| matches!(call.stage, Stage::Pausing(_))).count();
        (askers, pauses)
    }
}

/// A server's words as they may be told: one that repeats the key in its refusal does not make us repeat it.
pub(super) fn tellable(text: String, key: Option<&Secret>, limits: &Limits) -> String {
    // First the key, then the cut: behind it a part of the key could be left.
    let mut text = match key {
        Some(key) if key.reveal().len() >= SECRET_BYTES_MIN => text.replace(key.reveal(), "(the key)"),
        Some(_) | None => text,
    };
    let bytes_max = limits.model_error_bytes_max;
    if text.len() > bytes_max {
        text.truncate((0..=bytes_max).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0));
        text.push('…');
    }
    text
}

/// Shorter ones are no secret, and could stand anywhere in a text.
const SECRET_BYTES_MIN: usize = 6;

/// What a piece of an answer, or its end, makes of a call.
enum Verdict {
    Reading,
    Answered(Box<ModelReply>),
    Refused(Head, Vec<u8>),
    Garbled(ReplyError),
    Broke(Failure),
}

fn begin_to_read(head: Head) -> Stage {
    match head.status {
        200..=299 if head.content_type == "application/json" => Stage::InWhole(Vec::new()),
        // Some servers forget to say that it is a stream.
        200..=299 => Stage::InStream(Box::default()),
        _ => Stage::InRefusal(head, Vec::new()),
    }
}

fn read(call: &mut Call, bytes: &[u8], limits: &Limits) -> Verdict {
    match &mut call.stage {
        Stage::InStream(reader) => {
            let mut rest = bytes;
            loop {
                let step = match reader.receive(rest, limits) {
                    Ok(step) => step,
                    Err(_) => return Verdict::Garbled(ReplyError::TooLong),
                };
                rest = rest.get(step.consumed..).unwrap_or_default();
                let Some(message) = step.event else { return Verdict::Reading };
                match call.deltas.receive(&message.data) {
                    Ok(Some(delta)) => {
                        call.text.push_str(&delta.text);
                        call.reasoning.push_str(&delta.reasoning);
                    }
                    Ok(None) => {}
                    Err(error) => return Verdict::Garbled(error),
                }
                if call.deltas.is_over() {
                    return finished(call, limits);
                }
            }
        }
        Stage::InWhole(body) => {
            if body.len() + bytes.len() > limits.model_answer_bytes_max * WHOLE_FACTOR {
                return Verdict::Garbled(ReplyError::TooLong);
            }
            body.extend_from_slice(bytes);
            Verdict::Reading
        }
        Stage::InRefusal(head, body) => {
            let room = limits.refusal_bytes_max.saturating_sub(body.len());
            body.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if bytes.len() > room {
                return Verdict::Refused(head.clone(), std::mem::take(body));
            }
            Verdict::Reading
        }
        Stage::Pausing(_) | Stage::AwaitHead => Verdict::Reading,
    }
}

/// An answer in one piece is JSON, in which a byte may take six.
const WHOLE_FACTOR: usize = 6;

/// The response is over.
fn ended(call: &mut Call, limits: &Limits) -> Verdict {
    match &mut call.stage {
        Stage::InStream(_) => finished(call, limits),
        Stage::InWhole(body) => {
            let body = std::mem::take(body);
            let text = String::from_utf8_lossy(&body);
            match call.deltas.whole(&text) {
                Ok(delta) => {
                    call.reasoning.push_str(&delta.reasoning);
                    finished(call, limits)
                }
                Err(error) => Verdict::Garbled(error),
            }
        }
        Stage::InRefusal(head, body) => Verdict::Refused(head.clone(), std::mem::take(body)),
        Stage::Pausing(_) | Stage::AwaitHead => Verdict::Garbled(ReplyError::CutShort),
    }
}

fn finished(call: &mut Call, limits: &Limits) -> Verdict {
    match std::mem::replace(&mut call.deltas, Deltas::new(limits)).finish() {
        Ok(reply) => Verdict::Answered(Box::new(reply)),
        Err(error) => Verdict::Garbled(error),
    }
}

/// What has come since the last time is told to everybody who waits.
fn tell_pieces(call: &mut Call, hear: &mut dyn FnMut(Key, Heard<'_>)) {
    if !call.reasoning.is_empty() {
        call.askers.iter().for_each(|run| hear(*run, Heard::Reasoning(&call.reasoning)));
        call.reasoning.clear();
    }
    if !call.text.is_empty() {
        call.askers.iter().for_each(|run| hear(*run, Heard::Text(&call.text)));
        call.text.clear();
    }
}

fn bytes_of(reply: &ModelReply) -> usize {
    let calls: usize =
        reply.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len()).sum();
    size_of::<ModelReply>() + reply.content.len() + calls + ENTRY_BYTES
}

/// What an entry of the cache takes beside its value; about.
const ENTRY_BYTES: usize = 128;

fn unanswered(why: String) -> Input {
    Input::Unanswered { why, said: false }
}

/// Whether the same request may be answered otherwise in a moment.
fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What happened, and behind it what was said about it, if anything was.
pub(super) fn with_reason(happened: String, reason: &str) -> String {
    if reason.is_empty() { happened } else { format!("{happened}: {reason}") }
}

/// Whether a refusal is about tools as such, and not about one call of one: there is no code for it that two servers share.
fn speaks_of_tools(reason: &str) -> bool {
    const WHY_NOT: [&str; 8] =
        ["support", "require", "enable", "jinja", "not allowed", "unrecognized", "unknown", "extra inputs"];
    let reason = reason.to_lowercase();
    let is_about = reason.contains("tool") || reason.contains("function call");
    is_about && WHY_NOT.iter().any(|words| reason.contains(words))
}

/// Whether a refusal is about the length of the prompt.
fn speaks_of_context(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let is_context =
        ["context length", "context size", "context window", "maximum context", "context_length"];
    is_context.iter().any(|words| reason.contains(words)) || reason.contains("too many tokens")
}
