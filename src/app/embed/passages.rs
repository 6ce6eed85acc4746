//! Embedding the passages of the notes, in the background: one batch after the other.
//!
//! ```text
//!            gathered             not all kept             answered
//!   Idle ──────────────► Finding ──────────────► Asking ───────────────► Idle
//!    ▲  (no store: ─────────────────────────────►  │ │                     (kept in the store on the way)
//!    │                                             │ └─ will not do one: half of it, then without it
//!    └──────────────── Pausing ◄───────────────────┘ fails
//! ```
//!
//! A passage is known in the store by a digest of the model's name and of the text that is embedded: the text of a changed note
//! is embedded where it has changed, and a restart asks for nothing again.

use std::collections::VecDeque;
use std::time::Duration;

use ring::digest::{Context, SHA256};
use uuid::Uuid;

use crate::base::{Budget, Key, Time};
use crate::limits::Limits;
use crate::notes::{Library, Note, Passage, PassageId, ToEmbed, UnitVector};
use crate::reactor::{Cx, TimerId};
use crate::store::{Job, KeptVector, Trouble};
use crate::text::boundary_before;

use super::{EMBEDDER, Refusal, Trip};
use crate::app::journal::Journal;

/// Where a batch is.
#[derive(Debug)]
enum Stage {
    /// The next one is gathered when there is something for it.
    Idle,
    /// The store is asked for it.
    Finding,
    /// It waits to be sent: the store has answered, or a part of it is done.
    Ready,
    /// A request for the head of it is under way.
    Asking(Trip),
    /// The server is left alone for a while.
    Pausing(TimerId),
}

/// A passage that is to be embedded.
#[derive(Debug)]
struct Item {
    passage: PassageId,
    name: Uuid,
    text: String,
    /// How often it was asked for alone and refused.
    refusals: u32,
}

/// The passages, and how far they are.
#[derive(Debug)]
pub(super) struct Passages {
    model: String,
    is_durable: bool,
    /// All passages before this one have been seen to.
    next: PassageId,
    stage: Stage,
    batch: VecDeque<Item>,
    /// How many of its head are asked for at once.
    asked: usize,
    /// Of this batch, one after the other is asked for: the server does not want one of them.
    singly: bool,
    asked_at: Time,
    /// How many are asked for at most: fewer of a slow server.
    batch_max: usize,
    /// Of the vectors that the server answered with last.
    dimension: Option<usize>,
    /// Slices of looking for passages so far.
    pub(super) steps: u64,
    /// Why vectors are not kept, once that was told.
    store_trouble: Option<Trouble>,
    limits: Limits,
}

impl Passages {
    pub(super) fn new(model: &str, is_durable: bool, limits: &Limits) -> Passages {
        Passages {
            model: model.to_owned(),
            is_durable,
            next: PassageId(0),
            stage: Stage::Idle,
            batch: VecDeque::new(),
            asked: 0,
            singly: false,
            asked_at: Time::ZERO,
            batch_max: limits.embed_batch_max,
            dimension: None,
            steps: 0,
            store_trouble: None,
            limits: limits.clone(),
        }
    }

    /// There is something to do that needs nobody else.
    pub(super) fn could_work(&self, library: &Library) -> bool {
        match self.stage {
            Stage::Idle => !self.batch.is_empty() || self.next < library.passages_end(),
            Stage::Ready => true,
            Stage::Finding | Stage::Asking(_) | Stage::Pausing(_) => false,
        }
    }

    /// Nothing is left to do.
    pub(super) fn is_done(&self, library: &Library) -> bool {
        matches!(self.stage, Stage::Idle) && self.batch.is_empty() && self.next >= library.passages_end()
    }

    /// Gathers the next batch; true once it is to be sent. What may be in the store is looked for there first.
    pub(super) fn gather(&mut self, library: &Library, journal: &mut Journal, budget: &mut Budget) -> bool {
        match self.stage {
            Stage::Ready => return true,
            Stage::Finding | Stage::Asking(_) | Stage::Pausing(_) => return false,
            Stage::Idle => {}
        }
        self.steps += u64::from(self.next < library.passages_end());
        while self.batch.len() < self.batch_max {
            match library.to_embed(self.next, budget) {
                ToEmbed::Passage(passage, note, part) => {
                    let text = text_of(note, part, self.limits.embed_text_bytes_max);
                    budget.spend(u32::try_from(text.len() / BYTES_PER_UNIT).unwrap_or(u32::MAX) + 1);
                    self.next = PassageId(passage.0 + 1);
                    self.batch.push_back(Item {
                        passage,
                        name: name_of(&self.model, &text),
                        text,
                        refusals: 0,
                    });
                }
                ToEmbed::LookOn(next) => {
                    self.next = next;
                    return false;
                }
                ToEmbed::Nothing(end) => {
                    self.next = end;
                    break;
                }
            }
        }
        if self.batch.is_empty() {
            return false;
        }
        self.singly = false;
        if self.is_durable {
            let names = self.batch.iter().map(|item| item.name).collect();
            if journal.read(Job::FindVectors { asker: own_key(), names }).is_ok() {
                self.stage = Stage::Finding;
                return false;
            }
        }
        self.stage = Stage::Ready;
        true
    }

    /// What the store has of the batch is put into the library; how many that are. The rest is to be asked for.
    pub(super) fn found(
        &mut self,
        found: Result<Vec<Option<Box<[u8]>>>, Trouble>,
        library: &mut Library,
    ) -> u64 {
        if !matches!(self.stage, Stage::Finding) {
            return 0;
        }
        let mut found = found.unwrap_or_default().into_iter();
        let dimension = self.dimension;
        let before = self.batch.len();
        self.batch.retain(|item| {
            let vector = found.next().flatten().and_then(|bytes| UnitVector::from_bytes(&bytes));
            // One of another dimension is of another model that had this name, and is asked for again.
            let vector = vector.filter(|vector| dimension.is_none_or(|known| known == vector.dimension()));
            vector.is_none_or(|vector| library.put_vector(item.passage, &vector).is_err())
        });
        self.stage = if self.batch.is_empty() { Stage::Idle } else { Stage::Ready };
        (before - self.batch.len()) as u64
    }

    pub(super) fn has_batch(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    /// The texts that are to be asked for now.
    pub(super) fn take_turn(&mut self, now: Time) -> Vec<String> {
        self.asked = if self.singly { 1 } else { self.batch.len().min(self.batch_max) };
        self.asked_at = now;
        self.batch.iter().take(self.asked).map(|item| item.text.clone()).collect()
    }

    pub(super) fn sent(&mut self, trip: Trip) {
        self.stage = Stage::Asking(trip);
    }

    /// The request under way.
    pub(super) fn trip(&mut self) -> Option<&mut Trip> {
        match &mut self.stage {
            Stage::Asking(trip) => Some(trip),
            Stage::Idle | Stage::Finding | Stage::Ready | Stage::Pausing(_) => None,
        }
    }

    /// Texts in it.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// The vectors of what was asked for. How many of them are in the library now.
    ///
    /// # Errors
    /// In words: they are not what the library holds.
    pub(super) fn answered(
        &mut self,
        vectors: Vec<UnitVector>,
        library: &mut Library,
        journal: &mut Journal,
        now: Time,
    ) -> Result<u64, String> {
        // The size of a batch follows the server's pace, so that a question never waits long behind one.
        let took = now.since(self.asked_at);
        if took > self.limits.embed_batch_time_max {
            self.batch_max = (self.batch_max / 2).max(1);
        } else if took * 2 < self.limits.embed_batch_time_max && self.asked == self.batch_max {
            self.batch_max = (self.batch_max * 2).min(self.limits.embed_batch_max);
        }
        self.dimension = vectors.first().map(UnitVector::dimension);
        let mut to_keep = Vec::new();
        for vector in vectors {
            let Some(item) = self.batch.front() else { break };
            if library.put_vector(item.passage, &vector).is_err() {
                let before = library.vectors().dimension();
                library.forget_vectors();
                self.begin_anew();
                return Err(format!(
                    "answers with {} dimensions instead of {before}: all passages are embedded anew",
                    vector.dimension(),
                ));
            }
            to_keep.push(KeptVector { name: item.name, bytes: vector.to_bytes() });
            self.batch.pop_front();
        }
        let count = to_keep.len() as u64;
        if self.is_durable {
            let vectors_max = self.limits.vectors_kept_max;
            // If too many wait for the store, they are asked for again after a restart.
            let _ = journal.read(Job::KeepVectors { asker: own_key(), vectors: to_keep, vectors_max });
        }
        self.go_on();
        Ok(count)
    }

    /// The server does not do what was asked. Of several texts it may be one, so they are asked for singly; of one that is
    /// too long, half may do. True if a passage has to do without.
    pub(super) fn refused(&mut self, refusal: &Refusal) -> bool {
        let mut is_given_up = false;
        if self.asked > 1 {
            self.singly = true;
        } else if let Some(mut item) = self.batch.pop_front() {
            item.refusals += 1;
            if refusal.is_too_long && item.text.len() > self.limits.embed_text_bytes_min {
                // What it is a vector of is still the whole: its name stays.
                item.text.truncate(boundary_before(&item.text, item.text.len() / 2));
                self.batch.push_front(item);
            } else if item.refusals < self.limits.embed_tries_max {
                self.batch.push_back(item);
            } else {
                is_given_up = true;
                log::warn!(
                    "a passage is found by its words alone until the next start: the embedding server {}",
                    refusal.why
                );
            }
        }
        self.go_on();
        is_given_up
    }

    /// All passages are to be embedded, whatever was done before.
    fn begin_anew(&mut self) {
        self.next = PassageId(0);
        self.batch.clear();
        self.go_on();
    }

    fn go_on(&mut self) {
        self.stage = if self.batch.is_empty() { Stage::Idle } else { Stage::Ready };
    }

    /// The server is not asked for so long.
    pub(super) fn pause(&mut self, wait: Duration, cx: &mut Cx<'_, '_>) {
        self.stage = Stage::Pausing(cx.set_timer(cx.now.after(wait), own_key()));
    }

    /// The pause is over, if this is its timer.
    pub(super) fn timer(&mut self, id: TimerId) {
        if matches!(self.stage, Stage::Pausing(timer) if timer == id) {
            self.go_on();
        }
    }

    /// Timers that are set.
    pub(super) fn timers(&self) -> usize {
        usize::from(matches!(self.stage, Stage::Pausing(_)))
    }

    /// The store has kept vectors, or not.
    pub(super) fn kept(&mut self, kept: Result<(), Trouble>) {
        match kept {
            Ok(()) => self.store_trouble = None,
            Err(trouble) if self.store_trouble.as_ref() != Some(&trouble) => {
                log::warn!("vectors are not kept, and are asked for again after a restart: {trouble}");
                self.store_trouble = Some(trouble);
            }
            Err(_) => {}
        }
    }
}

fn own_key() -> Key {
    Key::new(EMBEDDER, 0, 0)
}

/// What is embedded of a passage: what it stands under, and the head of it.
fn text_of(note: &Note, passage: &Passage, bytes_max: usize) -> String {
    let mut text = note.title.to_string();
    let heading = note.heading_line(passage);
    if !heading.is_empty() && heading != text {
        // Its first heading often is the title.
        let below = heading.strip_prefix(text.as_str()).and_then(|rest| rest.strip_prefix(" > "));
        text = match below {
            Some(below) => format!("{text} > {below}"),
            None => format!("{text} > {heading}"),
        };
    }
    text.push('\n');
    text.push_str(note.passage_text(passage).trim());
    text.truncate(boundary_before(&text, bytes_max.min(text.len())));
    text
}

/// What a text is called, embedded by this model: 16 bytes of SHA-256 of both.
pub(super) fn name_of(model: &str, text: &str) -> Uuid {
    let mut context = Context::new(&SHA256);
    context.update(model.as_bytes());
    context.update(&[0]);
    context.update(text.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&context.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(name).into_uuid()
}

/// Bytes that are put together and hashed in a unit.
const BYTES_PER_UNIT: usize = 128;
