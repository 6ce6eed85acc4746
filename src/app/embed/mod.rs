//! The embedding server: where the passages of the notes lie in its model's space, and where a question does.
//!
//! ```text
//!   a passage without a vector ─► kept in the store? ─ no ─► asked, with others ─► put into the library, kept
//!                                        └── yes ──────────────────────────────►─┘
//!   a question ─► asked lately? ─ no ─► asked alone, with a deadline ─► the search goes on with its vector,
//!                                                                       or without it and says why
//!   a client's texts ─► asked some at a time, over connections of their own ─► told to it, or why not
//! ```
//!
//! Passages are embedded in the background (`passages`), one batch under way at a time. A batch is only as large as the server
//! answers soon, for many servers do one thing after the other and a question would wait behind it.
//!
//! A question has `--embed-timeout`; its call goes on behind that, and what comes late is there for the next who asks. A
//! server that fails in a row is left alone for a while, by all of them alike (`super::breaker`).
//!
//! What clients want embedded (`requests`) they get as the server gave it. What is kept of a question is a byte a component, which
//! is enough to search by and no answer to give, so their texts are asked for whatever was asked lately.

mod passages;
mod requests;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::agent::model::error_message;
use crate::base::planted::{Planted, is_planted};
use crate::base::{Budget, Key, Kind, Lru, LruStats, Slots};
use crate::config::{EmbedConfig, Secret};
use crate::limits::Limits;
use crate::net::exchange::{Failure, Head, Patience};
use crate::net::outbound::{Ask, Lines, Origin, OriginId, Outbound, Told};
use crate::notes::{Library, UnitVector};
use crate::reactor::{Cx, TimerId};
use crate::store::Trouble;

use super::breaker::{Admission, Breaker};
use super::journal::Journal;
use super::model::{tellable, with_reason};
use passages::Passages;
use requests::Requests;
pub use requests::{Given, Missing, Outcome, Wanted};

/// Keys of questions that are on their way to the embedding server.
pub const EMBEDDING: Kind = Kind(10);

/// The key of the one who embeds passages: for its timers, and for what it asks the store.
pub const EMBEDDER: Kind = Kind(11);

/// Keys of clients' requests for vectors.
pub const VECTORS: Kind = Kind(15);

/// What becomes of a question's wish for its vector.
#[derive(Debug)]
pub enum Asked {
    /// This call answers it in time, or says that it does not.
    Call(Key),
    /// The vector, or why there is none.
    Now(Result<Arc<UnitVector>, String>),
}

/// A run, and what became of its wish.
pub type Granted = (Key, Result<Arc<UnitVector>, String>);

/// What was counted since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmbedCounts {
    /// Questions whose vector was wanted.
    pub questions: u64,
    /// Of these, those that joined a call under way.
    pub shared: u64,
    /// Of these, those that had been asked lately.
    pub cached: u64,
    /// Of these, those that did without.
    pub without: u64,
    /// Passages that the server has embedded.
    pub embedded: u64,
    /// Passages whose vector was kept from before.
    pub kept: u64,
    /// Passages that the server will not embed.
    pub refused: u64,
    /// Texts of clients whose vectors they were told.
    pub given: u64,
    /// Requests that failed.
    pub failed: u64,
}

/// A question on its way.
#[derive(Debug)]
struct Call {
    name: Uuid,
    trip: Trip,
    /// Runs that wait for it.
    askers: Vec<Key>,
    /// When they go on without it; the call itself goes on.
    deadline: Option<TimerId>,
}

/// One request under way, and what came back of it.
#[derive(Debug, Default)]
struct Trip {
    head: Option<Head>,
    body: Vec<u8>,
    /// The breaker waits for what becomes of it.
    is_probe: bool,
}

/// Whom an exchange belongs to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Question(Key),
    Batch,
    /// A client's.
    Request(Key),
}

/// How a request ended.
enum End<V> {
    Vectors(V),
    /// It answers, but not this.
    Refused(Refusal),
    /// It came to nothing.
    Missed(Missed),
}

/// Why there is no answer to read. No sentence yet: it goes behind "the embedding server".
enum Missed {
    /// It did not answer, or not so that it could be used.
    Failed(String),
    /// It was not done when whoever asked had to have it.
    Late(String),
    /// We had no room to ask it, for which it can't be blamed.
    NotAsked(String),
}

impl Missed {
    fn why(self) -> String {
        match self {
            Missed::Failed(why) | Missed::Late(why) | Missed::NotAsked(why) => why,
        }
    }
}

impl Missed {
    /// The same for a client's request. Its time is for all of it, so nobody is to blame when that is over.
    fn of_request(self, limits: &Limits) -> Missed {
        match self {
            Missed::Late(_) => {
                let why =
                    format!("was not done with all texts within {} s", limits.vector_timeout.as_secs_f64());
                Missed::NotAsked(why)
            }
            other => other,
        }
    }
}

impl From<&Failure> for Missed {
    fn from(failure: &Failure) -> Missed {
        match failure {
            Failure::NoRoom => Missed::NotAsked(failure.to_string()),
            Failure::TotalTimeout(_) => Missed::Late(failure.to_string()),
            // The resolver's words may hold an address.
            Failure::NoName(_) => Missed::Failed("has no address".to_owned()),
            other => Missed::Failed(other.to_string()),
        }
    }
}

/// An answer that is no success, and may have to do with what was asked.
#[derive(Debug)]
struct Refusal {
    why: String,
    /// A text is longer than the model takes.
    is_too_long: bool,
    /// It is the server's fault (5xx), not ours.
    is_failure: bool,
}

/// The embedding server, as the application sees it.
pub struct Embedder {
    name: String,
    key: Option<Secret>,
    path: String,
    authority: String,
    origin: OriginId,
    /// The same server, for clients' requests.
    origin_of_requests: OriginId,
    deadline: Duration,
    /// The server takes `encoding_format`.
    takes_base64: bool,
    calls: Slots<Call>,
    by_name: BTreeMap<Uuid, Key>,
    by_exchange: BTreeMap<Key, Owner>,
    answers: Lru<Uuid, Arc<UnitVector>>,
    passages: Passages,
    requests: Requests,
    breaker: Breaker,
    /// Requests that could not begin, and why.
    unbegun: Vec<(Owner, Failure)>,
    /// What went wrong last, until something went well.
    trouble: Option<String>,
    counts: EmbedCounts,
    limits: Limits,
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Embedder {
    /// The server that `config` names; nothing is asked yet. Vectors are kept in the store if that `is_durable`.
    pub fn new(config: &EmbedConfig, is_durable: bool, outbound: &mut Outbound, limits: &Limits) -> Embedder {
        let mut add = |connections_max: usize| {
            outbound.add(Origin {
                url: config.url.clone(),
                trust: config.trust.clone(),
                proxy: config.proxy.clone(),
                connections_max: connections_max.min(limits.outbound_sockets_max),
            })
        };
        let origin = add(limits.embed_connections_max);
        let origin_of_requests = add(limits.vector_connections_max);
        Embedder {
            name: config.name.clone(),
            key: config.key.clone(),
            path: format!("{}/embeddings", config.url.path),
            authority: config.url.authority(),
            origin,
            origin_of_requests,
            deadline: config.timeout,
            takes_base64: true,
            calls: Slots::new(EMBEDDING, limits.embed_calls_max),
            by_name: BTreeMap::new(),
            by_exchange: BTreeMap::new(),
            answers: Lru::new(limits.embed_cache_bytes_max),
            passages: Passages::new(&config.name, is_durable, limits),
            requests: Requests::new(limits),
            breaker: Breaker::new(limits),
            unbegun: Vec::new(),
            trouble: None,
            counts: EmbedCounts::default(),
            limits: limits.clone(),
        }
    }

    // --- Questions ------------------------------------------------------------------------------------------------

    /// A run wants the vector of its question.
    pub fn ask(&mut self, run: Key, text: &str, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) -> Asked {
        self.counts.questions += 1;
        let name = passages::name_of(&self.name, text);
        if let Some(vector) = self.answers.get(&name) {
            self.counts.cached += 1;
            return Asked::Now(Ok(Arc::clone(vector)));
        }
        if let Some(key) = self.by_name.get(&name).copied()
            && let Some(call) = self.calls.at_mut(key)
        {
            self.counts.shared += 1;
            call.askers.push(run);
            // The one who asked before may have gone on without it.
            if call.deadline.is_none() {
                call.deadline = Some(cx.set_timer(cx.now.after(self.deadline), key));
            }
            return Asked::Call(key);
        }
        let is_probe = match self.breaker.admit(cx.now) {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Wait(_) => {
                let why = format!("has failed {} times in a row", self.breaker.in_a_row());
                return Asked::Now(Err(self.without(&why)));
            }
        };
        let trip = Trip { is_probe, ..Trip::default() };
        let call = Call { name, trip, askers: vec![run], deadline: None };
        let Ok(key) = self.calls.insert(call) else {
            if is_probe {
                self.breaker.abandoned(cx.now);
            }
            return Asked::Now(Err(self.without("is asked too much at once")));
        };
        self.by_name.insert(name, key);
        self.send(&[text], Owner::Question(key), self.limits.embed_answer_timeout, outbound, cx);
        if let Some(call) = self.calls.at_mut(key) {
            call.deadline = Some(cx.set_timer(cx.now.after(self.deadline), key));
        }
        Asked::Call(key)
    }

    /// A run does not wait any more. The call goes on: its answer may be wanted again.
    pub fn leave(&mut self, key: Key, run: Key, cx: &mut Cx<'_, '_>) {
        let Some(call) = self.calls.at_mut(key) else { return };
        if !is_planted(Planted::KeepsVectorAskers) {
            call.askers.retain(|asker| *asker != run);
        }
        if call.askers.is_empty() {
            cx.cancel_timer(&mut call.deadline);
        }
    }

    /// A timer of ours: a question has waited long enough, or the next batch may be tried.
    pub fn timer(&mut self, id: TimerId, owner: Key, cx: &Cx<'_, '_>, granted: &mut Vec<Granted>) {
        if owner.kind() == EMBEDDER {
            self.passages.timer(id);
            return;
        }
        let Some(call) = self.calls.at_mut(owner).filter(|call| call.deadline == Some(id)) else { return };
        call.deadline = None;
        let (askers, is_probe) = (std::mem::take(&mut call.askers), call.trip.is_probe);
        // Who is always late is soon not waited for.
        self.breaker.failed(is_probe, cx.now);
        let why = format!("did not answer within {} ms", self.deadline.as_millis());
        self.told_trouble(&why);
        for run in askers {
            let why = self.without(&why);
            granted.push((run, Err(why)));
        }
    }

    /// Why a search has to do without the question's vector, in one sentence.
    fn without(&mut self, why: &str) -> String {
        self.counts.without += 1;
        format!("The notes were searched by words alone, because the embedding server {why}.")
    }

    // --- Passages -------------------------------------------------------------------------------------------------

    /// There may be passages to embed.
    pub fn could_work(&self, library: &Library) -> bool {
        self.passages.could_work(library)
    }

    /// Takes the embedding of passages further: gathers the next batch, and looks for it in the store or sends it.
    pub fn work(
        &mut self,
        library: &Library,
        journal: &mut Journal,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
    ) {
        let mut budget = Budget::new(self.limits.units_per_slice);
        if self.passages.gather(library, journal, &mut budget) {
            self.send_batch(outbound, cx);
        }
    }

    /// The store has looked for vectors.
    pub fn found(
        &mut self,
        found: Result<Vec<Option<Box<[u8]>>>, Trouble>,
        library: &mut Library,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
    ) {
        self.counts.kept += self.passages.found(found, library);
        if self.passages.has_batch() {
            self.send_batch(outbound, cx);
        }
    }

    /// The store has kept vectors, or not.
    pub fn kept(&mut self, kept: Result<(), Trouble>) {
        self.passages.kept(kept);
    }

    /// Sends what is to be asked next of the batch.
    fn send_batch(&mut self, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) {
        let is_probe = match self.breaker.admit(cx.now) {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Wait(left) => return self.passages.pause(left, cx),
        };
        let texts = self.passages.take_turn(cx.now);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.send(&texts, Owner::Batch, self.limits.embed_answer_timeout, outbound, cx);
        self.passages.sent(Trip { is_probe, ..Trip::default() });
    }

    // --- Asking ---------------------------------------------------------------------------------------------------

    /// Asks for the vectors of `texts`, which are to be there within `total`.
    fn send(
        &mut self,
        texts: &[&str],
        owner: Owner,
        total: Duration,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
    ) {
        let body = wire::request(&self.name, texts, self.takes_base64);
        let authorization = self.key.as_ref().map(|key| format!("Bearer {}", key.reveal()));
        let mut fields = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("User-Agent", concat!("oneloop/", env!("CARGO_PKG_VERSION"))),
        ];
        fields.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let ask = Ask { method: "POST", path: &self.path, fields: &fields, body: Some(body.as_bytes()) };
        let patience = Patience {
            connect: self.limits.embed_connect_timeout,
            first_byte: self.limits.embed_answer_timeout,
            gap: self.limits.embed_answer_timeout,
            total,
        };
        let origin = match owner {
            Owner::Question(_) | Owner::Batch => self.origin,
            Owner::Request(_) => self.origin_of_requests,
        };
        match outbound.begin(origin, ask, patience, &self.limits, cx) {
            Ok(exchange) => {
                self.by_exchange.insert(exchange, owner);
            }
            Err(failure) => self.unbegun.push((owner, failure)),
        }
    }

    /// Some request could not begin, or some client's is over, and nobody has heard of it.
    pub fn has_news(&self) -> bool {
        !self.unbegun.is_empty() || self.requests.has_over()
    }

    /// This exchange has news; nothing happens if it is none of ours.
    pub fn tell(
        &mut self,
        exchange: Key,
        library: &mut Library,
        journal: &mut Journal,
        lines: &mut Lines<'_>,
        cx: &mut Cx<'_, '_>,
        granted: &mut Vec<Granted>,
    ) {
        let Some(owner) = self.by_exchange.get(&exchange).copied() else { return };
        let trip = match owner {
            Owner::Question(key) => self.calls.at_mut(key).map(|call| &mut call.trip),
            Owner::Batch => self.passages.trip(),
            Owner::Request(key) => self.requests.trip(key),
        };
        let Some(trip) = trip else { return };
        let Some(end) = pull(trip, exchange, lines, &self.limits, cx) else { return };
        self.by_exchange.remove(&exchange);
        match end {
            // What is left of the response is read, so that its connection can be used again.
            Ok(_) => lines.outbound.finish(exchange, lines.pool, &self.limits, cx),
            Err(_) => lines.outbound.abandon(exchange, lines.pool, &self.limits, cx),
        }
        self.ended(owner, end, library, journal, lines.outbound, cx, granted);
    }

    /// Deals with requests that could not begin.
    pub fn tell_unbegun(
        &mut self,
        library: &mut Library,
        journal: &mut Journal,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
        granted: &mut Vec<Granted>,
    ) {
        for (owner, failure) in std::mem::take(&mut self.unbegun) {
            self.ended(owner, Err(Missed::from(&failure)), library, journal, outbound, cx, granted);
        }
    }

    /// A request has ended: with a response, or without.
    #[expect(clippy::too_many_arguments, reason = "an answer may be put into any of these tables")]
    fn ended(
        &mut self,
        owner: Owner,
        end: Result<(Head, Vec<u8>), Missed>,
        library: &mut Library,
        journal: &mut Journal,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
        granted: &mut Vec<Granted>,
    ) {
        match owner {
            Owner::Question(key) => {
                let is_probe = self.calls.at(key).is_some_and(|call| call.trip.is_probe);
                let end = self.read(end, |body| wire::directions(body, 1));
                self.judge(&end, is_probe, cx);
                self.answered(key, end, cx, granted);
            }
            Owner::Batch => {
                let is_probe = self.passages.trip().is_some_and(|trip| trip.is_probe);
                let texts = self.passages.asked();
                let end = self.read(end, |body| wire::directions(body, texts));
                self.judge(&end, is_probe, cx);
                self.batch_ended(end, library, journal, cx);
            }
            Owner::Request(key) => {
                let is_probe = self.requests.trip(key).is_some_and(|trip| trip.is_probe);
                let texts = self.requests.asked(key);
                let end = end.map_err(|missed| missed.of_request(&self.limits));
                let end = self.read(end, |body| wire::answer(body, texts));
                self.judge_request(&end, is_probe, cx);
                self.request_ended(key, end, outbound, cx);
            }
        }
    }

    /// What the end of a client's request says of the server: that it chokes on the client's texts, or is slow with many of
    /// them, is no reason not to ask it for anybody else. Whether it can be reached at all is the same for all.
    fn judge_request<V>(&mut self, end: &End<V>, is_probe: bool, cx: &Cx<'_, '_>) {
        match end {
            End::Refused(Refusal { is_failure: true, .. }) | End::Missed(Missed::Late(_)) if !is_probe => {
                self.counts.failed += 1;
            }
            end => self.judge(end, is_probe, cx),
        }
    }

    /// What the end of a request says of the server.
    fn judge<V>(&mut self, end: &End<V>, is_probe: bool, cx: &Cx<'_, '_>) {
        match end {
            End::Vectors(_) => {
                self.breaker.succeeded();
                if self.trouble.take().is_some() {
                    log::info!("the embedding server at {} answers again", self.authority);
                }
            }
            End::Refused(Refusal { why, is_failure: true, is_too_long: false })
            | End::Missed(Missed::Failed(why) | Missed::Late(why)) => {
                self.counts.failed += 1;
                self.breaker.failed(is_probe, cx.now);
                self.told_trouble(why);
            }
            // It is well, and does not want this text.
            End::Refused(_) => self.breaker.succeeded(),
            End::Missed(Missed::NotAsked(_)) if is_probe => self.breaker.abandoned(cx.now),
            End::Missed(Missed::NotAsked(_)) => {}
        }
    }

    fn answered(
        &mut self,
        key: Key,
        end: End<Vec<UnitVector>>,
        cx: &mut Cx<'_, '_>,
        granted: &mut Vec<Granted>,
    ) {
        let Some(mut call) = self.calls.remove(key) else { return };
        self.by_name.remove(&call.name);
        cx.cancel_timer(&mut call.deadline);
        let outcome = match end {
            // As many as there were texts.
            End::Vectors(vectors) => vectors.into_iter().next().map(Arc::new).ok_or_else(String::new),
            End::Refused(Refusal { why, .. }) => Err(why),
            End::Missed(missed) => Err(missed.why()),
        };
        match outcome {
            Ok(vector) => {
                let bytes = vector.dimension() + ENTRY_BYTES;
                self.answers.put(call.name, Arc::clone(&vector), bytes);
                granted.extend(call.askers.into_iter().map(|run| (run, Ok(Arc::clone(&vector)))));
            }
            Err(why) => {
                for run in call.askers {
                    let why = self.without(&why);
                    granted.push((run, Err(why)));
                }
            }
        }
    }

    fn batch_ended(
        &mut self,
        end: End<Vec<UnitVector>>,
        library: &mut Library,
        journal: &mut Journal,
        cx: &mut Cx<'_, '_>,
    ) {
        match end {
            End::Vectors(vectors) => {
                let outcome = self.passages.answered(vectors, library, journal, cx.now);
                match outcome {
                    Ok(count) => self.counts.embedded += count,
                    Err(why) => {
                        self.told_trouble(&why);
                        self.passages.pause(self.limits.embed_backoff, cx);
                    }
                }
            }
            End::Refused(refusal) => {
                if self.passages.refused(&refusal) {
                    self.counts.refused += 1;
                }
                if refusal.is_failure && !refusal.is_too_long {
                    self.passages.pause(self.limits.embed_backoff, cx);
                }
            }
            End::Missed(_) => self.passages.pause(self.limits.embed_backoff, cx),
        }
    }

    /// What a response says, in which `parse` finds the vectors.
    fn read<V>(
        &mut self,
        end: Result<(Head, Vec<u8>), Missed>,
        parse: impl FnOnce(&[u8]) -> Result<V, String>,
    ) -> End<V> {
        let (head, body) = match end {
            Ok(response) => response,
            Err(missed) => return End::Missed(missed),
        };
        if (200..=299).contains(&head.status) {
            return match parse(&body) {
                Ok(vectors) => End::Vectors(vectors),
                Err(why) => End::Missed(Missed::Failed(self.tellable(why))),
            };
        }
        let reason = self.tellable(error_message(&body, self.limits.refusal_bytes_max));
        let status = head.status;
        let why = match status {
            300..=399 => format!("redirects ({status}), which is not followed"),
            401 | 403 => with_reason(format!("refuses the key ({status})"), &reason),
            _ => with_reason(format!("answered {status}"), &reason),
        };
        if matches!(status, 400 | 422) && self.takes_base64 && reason.contains("encoding_format") {
            log::info!("the embedding server does not write base64 ({reason}): it is asked for numbers");
            self.takes_base64 = false;
            return End::Missed(Missed::Failed(why));
        }
        match status {
            // Whatever is asked, it would say so.
            300..=399 | 401 | 403 | 404 | 407 | 408 | 429 | 502..=504 => End::Missed(Missed::Failed(why)),
            _ => {
                let is_too_long = status == 413 || speaks_of_length(&reason);
                End::Refused(Refusal { why, is_too_long, is_failure: status >= 500 })
            }
        }
    }

    /// The log is told of each trouble once, until another comes or it is over.
    fn told_trouble(&mut self, why: &str) {
        if self.trouble.as_deref() != Some(why) {
            log::warn!("the embedding server at {} {why}", self.authority);
            self.trouble = Some(why.to_owned());
        }
    }

    /// The server's words as they may be told: without the key, and not too many of them.
    fn tellable(&self, text: String) -> String {
        tellable(text, self.key.as_ref(), &self.limits)
    }

    // --- For whoever wonders --------------------------------------------------------------------------------------

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its server, among all that are asked.
    pub fn origin(&self) -> OriginId {
        self.origin
    }

    /// The server's address, without anything secret.
    pub fn provider(&self) -> &str {
        &self.authority
    }

    /// Slices that looks for passages have had so far.
    pub fn steps(&self) -> u64 {
        self.passages.steps
    }

    /// Every passage has been seen to.
    pub fn is_done(&self, library: &Library) -> bool {
        self.passages.is_done(library)
    }

    /// How far the passages are: `ready`, `embedding`, or `waiting` for a server that does not answer.
    pub fn state(&self, library: &Library) -> &'static str {
        match () {
            () if self.trouble.is_some() => "waiting",
            () if self.passages.is_done(library) => "ready",
            () => "embedding",
        }
    }

    /// What went wrong last, until something went well.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// `closed`, `open` or `half-open`, and how often it has opened.
    pub fn breaker(&self) -> (&'static str, u64) {
        (self.breaker.name(), self.breaker.opened())
    }

    /// What was counted since start.
    pub fn counts(&self) -> EmbedCounts {
        self.counts
    }

    /// The question vectors that are kept.
    pub fn answers_stats(&self) -> LruStats {
        self.answers.stats()
    }

    /// Lets go of all question vectors that are kept.
    pub fn forget_answers(&mut self) {
        self.answers.clear();
    }

    /// Runs that wait, timers that are set and requests under way: for whoever checks that none is forgotten.
    pub fn holds(&self) -> (usize, usize, usize) {
        let askers = self.calls.iter().map(|(_, call)| call.askers.len()).sum();
        let deadlines = self.calls.iter().filter(|(_, call)| call.deadline.is_some()).count();
        (askers, deadlines + self.passages.timers(), self.by_exchange.len())
    }

    /// Gives memory back that a crowd needed.
    pub fn tidy(&mut self) {
        self.calls.tidy();
        self.requests.tidy();
    }
}

/// Reads what an exchange tells; its response once that is whole, or why there is none.
fn pull(
    trip: &mut Trip,
    exchange: Key,
    lines: &mut Lines<'_>,
    limits: &Limits,
    cx: &mut Cx<'_, '_>,
) -> Option<Result<(Head, Vec<u8>), Missed>> {
    loop {
        match lines.outbound.next(exchange, lines.pool, limits, cx)? {
            Told::Head(head) => trip.head = Some(head),
            Told::Body(bytes) => {
                if trip.body.len() + bytes.len() > limits.embed_answer_bytes_max {
                    let why = format!("answered with over {} bytes", limits.embed_answer_bytes_max);
                    return Some(Err(Missed::Failed(why)));
                }
                trip.body.extend_from_slice(bytes);
            }
            Told::End => {
                let head = trip.head.take()?;
                return Some(Ok((head, std::mem::take(&mut trip.body))));
            }
            Told::Failed(failure) => return Some(Err(Missed::from(&failure))),
        }
    }
}

/// Whether a refusal is about a text that is too long; llama.cpp says so with 500.
fn speaks_of_length(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["too long", "too large", "token", "context", "length"].iter().any(|words| reason.contains(words))
}

/// What an entry of the cache takes beside its components; about.
const ENTRY_BYTES: usize = 160;
