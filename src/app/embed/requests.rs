//! Vectors that clients want: some texts at a time, until there is one for each.
//!
//! ```text
//!             wanted                answered, and there are more
//!   (client) ────────► Asking ─────────────────────────────────┐
//!                       │ ▲ └──────────────────────────────────┘
//!                       │ │ all answered, refused, failed, too late
//!                       ▼ └─────────────────────────────────────────► Over ── told ──► (gone)
//!                     (gone) when the client is
//! ```
//!
//! A request goes to the server in pieces of `embed_batch_max` texts, one after the other, so that what is read of an answer in
//! one go stays small. It has one deadline for all of them. That it was not done by then is held against nobody: it may have
//! waited for a connection all the time.

use std::collections::VecDeque;

use super::wire::Answer;
use super::{Admission, Embedder, End, Owner, Refusal, Trip, VECTORS};
use crate::base::{Key, Slots, Time};
use crate::limits::Limits;
use crate::net::outbound::{Lines, Outbound};
use crate::reactor::Cx;

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// These texts as vectors; at least one.
    pub texts: Vec<String>,
    /// Of so many components, if that matters.
    pub dimensions: Option<usize>,
    /// All of them together have at most so many.
    pub components_max: usize,
}

impl Wanted {
    /// Vectors of so many components will do.
    ///
    /// # Errors
    /// Why they will not.
    fn fits(&self, dimension: usize) -> Result<(), Missing> {
        if self.dimensions.is_some_and(|wanted| wanted != dimension) {
            return Err(Missing::OtherDimension(dimension));
        }
        let vectors_max = self.components_max / dimension.max(1);
        if self.texts.len() > vectors_max {
            return Err(Missing::TooMany { dimension, vectors_max });
        }
        Ok(())
    }
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// In the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// What the server has counted in them.
    pub tokens: u64,
}

/// Why it gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The server does not want these texts; behind "the embedding server".
    Refused(String),
    /// Not now, but perhaps after so many seconds; likewise.
    NotNow(String, u32),
    /// Vectors have so many components, and others were wanted.
    OtherDimension(usize),
    /// Of vectors with so many components, only so many find room in an answer.
    TooMany {
        /// Components of one.
        dimension: usize,
        /// Vectors.
        vectors_max: usize,
    },
}

/// How a request ended.
pub type Outcome = Result<Given, Missing>;

/// A client's request.
#[derive(Debug)]
struct Request {
    asker: Key,
    wanted: Wanted,
    given: Given,
    until: Time,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The server is asked for the next so many texts.
    Asking { texts: usize, trip: Trip },
    /// The client is to be told.
    Over(Option<Missing>),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Requests {
    slots: Slots<Request>,
    /// Those that are over, in the order in which they ended; some of their clients may have gone.
    over: VecDeque<Key>,
}

impl Requests {
    pub(super) fn new(limits: &Limits) -> Requests {
        Requests { slots: Slots::new(VECTORS, limits.vector_requests_max), over: VecDeque::new() }
    }

    pub(super) fn has_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// The trip of a request that is under way.
    pub(super) fn trip(&mut self, key: Key) -> Option<&mut Trip> {
        match &mut self.slots.at_mut(key)?.stage {
            Stage::Asking { trip, .. } => Some(trip),
            Stage::Over(_) => None,
        }
    }

    /// Texts that it has asked for and has no answer to.
    pub(super) fn asked(&self, key: Key) -> usize {
        match self.slots.at(key).map(|request| &request.stage) {
            Some(Stage::Asking { texts, .. }) => *texts,
            Some(Stage::Over(_)) | None => 0,
        }
    }

    fn end(&mut self, key: Key, missing: Option<Missing>) {
        if let Some(request) = self.slots.at_mut(key) {
            request.stage = Stage::Over(missing);
            self.over.push_back(key);
        }
    }

    pub(super) fn tidy(&mut self) {
        self.slots.tidy();
    }
}

impl Embedder {
    /// A client wants vectors. It is told by [`take_over`](Embedder::take_over), unless it is [left](Embedder::leave_request).
    ///
    /// # Errors
    /// Why it is not even begun.
    pub fn want(
        &mut self,
        asker: Key,
        wanted: Wanted,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
    ) -> Result<Key, Missing> {
        let is_probe = self.admitted(cx)?;
        let until = cx.now.after(self.limits.vector_timeout);
        let stage = Stage::Asking { texts: 0, trip: Trip { is_probe, ..Trip::default() } };
        let request = Request { asker, wanted, given: Given::default(), until, stage };
        let Ok(key) = self.requests.slots.insert(request) else {
            if is_probe {
                self.breaker.abandoned(cx.now);
            }
            return Err(Missing::NotNow("has too many requests of clients to answer already".to_owned(), 1));
        };
        self.ask_on(key, outbound, cx);
        Ok(key)
    }

    /// Whether this is the request by which it is seen how the server does.
    fn admitted(&mut self, cx: &Cx<'_, '_>) -> Result<bool, Missing> {
        match self.breaker.admit(cx.now) {
            Admission::Go => Ok(false),
            Admission::Probe => Ok(true),
            Admission::Wait(left) => {
                let why = format!("has failed {} times in a row", self.breaker.in_a_row());
                let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Err(Missing::NotNow(why, seconds))
            }
        }
    }

    /// Asks for the next texts of a request, which was admitted.
    fn ask_on(&mut self, key: Key, outbound: &mut Outbound, cx: &mut Cx<'_, '_>) {
        let batch_max = self.limits.embed_batch_max;
        let Some(Request { wanted, given, until, stage, .. }) = self.requests.slots.at_mut(key) else {
            return;
        };
        let Stage::Asking { texts: asked, .. } = stage else { return };
        let left = until.since(cx.now);
        let texts: Vec<String> =
            wanted.texts.iter().skip(given.vectors.len()).take(batch_max).cloned().collect();
        *asked = texts.len();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.send(&texts, Owner::Request(key), left, outbound, cx);
    }

    /// The server has answered for some texts of a request, or has not.
    pub(super) fn request_ended(
        &mut self,
        key: Key,
        end: End<Answer>,
        outbound: &mut Outbound,
        cx: &mut Cx<'_, '_>,
    ) {
        match self.take_in(key, end, cx) {
            Ok(true) => self.requests.end(key, None),
            Ok(false) => self.ask_on(key, outbound, cx),
            Err(missing) => self.requests.end(key, Some(missing)),
        }
    }

    /// Adds an answer to what a request has; true if that is all. Otherwise it is admitted to ask on.
    fn take_in(&mut self, key: Key, end: End<Answer>, cx: &Cx<'_, '_>) -> Result<bool, Missing> {
        let answer = match end {
            End::Vectors(answer) => answer,
            End::Refused(Refusal { why, is_failure: true, is_too_long: false }) => {
                return Err(Missing::NotNow(why, 1));
            }
            End::Refused(Refusal { why, .. }) => return Err(Missing::Refused(why)),
            End::Missed(missed) => return Err(Missing::NotNow(missed.why(), 1)),
        };
        let Some(Request { wanted, given, .. }) = self.requests.slots.at_mut(key) else { return Ok(true) };
        let dimension = answer.vectors.first().map_or(0, Vec::len);
        wanted.fits(dimension)?;
        if given.vectors.first().is_some_and(|first| first.len() != dimension) {
            let why = "answered with vectors of different dimensions".to_owned();
            return Err(Missing::NotNow(why, 1));
        }
        given.vectors.extend(answer.vectors);
        given.tokens = given.tokens.saturating_add(answer.tokens);
        if given.vectors.len() >= wanted.texts.len() {
            return Ok(true);
        }
        let is_probe = self.admitted(cx)?;
        if let Some(request) = self.requests.slots.at_mut(key) {
            request.stage = Stage::Asking { texts: 0, trip: Trip { is_probe, ..Trip::default() } };
        }
        Ok(false)
    }

    /// The next client that is to be told, its request, and what became of that.
    pub fn take_over(&mut self) -> Option<(Key, Key, Outcome)> {
        loop {
            let key = self.requests.over.pop_front()?;
            let Some(request) = self.requests.slots.remove(key) else { continue };
            let outcome = match request.stage {
                Stage::Over(Some(missing)) => Err(missing),
                Stage::Over(None) | Stage::Asking { .. } => {
                    self.counts.given += request.given.vectors.len() as u64;
                    Ok(request.given)
                }
            };
            return Some((request.asker, key, outcome));
        }
    }

    /// Nobody waits for a request any more: the server is not kept busy with it.
    pub fn leave_request(&mut self, key: Key, lines: &mut Lines<'_>, cx: &mut Cx<'_, '_>) {
        let Some(request) = self.requests.slots.remove(key) else { return };
        if let Stage::Asking { trip: Trip { is_probe: true, .. }, .. } = request.stage {
            self.breaker.abandoned(cx.now);
        }
        let is_its = |owner: &Owner| matches!(owner, Owner::Request(of) if *of == key);
        self.unbegun.retain(|(owner, _)| !is_its(owner));
        let exchange =
            self.by_exchange.iter().find(|(_, owner)| is_its(owner)).map(|(exchange, _)| *exchange);
        if let Some(exchange) = exchange {
            self.by_exchange.remove(&exchange);
            lines.outbound.abandon(exchange, lines.pool, &self.limits, cx);
        }
    }

    /// Requests of clients that are not told yet.
    pub fn requests(&self) -> usize {
        self.requests.slots.len()
    }
}
