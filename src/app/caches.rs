//! `GET /cache/stats` and `POST /cache/clear`: what is kept so as not to be asked or searched again.

use serde::Serialize;

use crate::base::{LruStats, Pool};

use super::embed::Embedder;
use super::model::Model;
use super::respond::{Reply, write_json};
use super::work::Works;

/// One cache, as its numbers tell.
#[derive(Debug, Serialize)]
struct CacheView {
    entries: usize,
    bytes: usize,
    bytes_max: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
}

impl From<LruStats> for CacheView {
    fn from(stats: LruStats) -> CacheView {
        let LruStats { entries, bytes, bytes_max, hits, misses, evictions } = stats;
        CacheView { entries, bytes, bytes_max, hits, misses, evictions }
    }
}

/// What was let go of.
#[derive(Debug, Serialize)]
struct DroppedView {
    entries: usize,
    bytes: usize,
}

impl From<LruStats> for DroppedView {
    fn from(LruStats { entries, bytes, .. }: LruStats) -> DroppedView {
        DroppedView { entries, bytes }
    }
}

/// Something of each cache; of one that is not there nothing.
#[derive(Debug, Serialize)]
struct Caches<V> {
    searches: V,
    model_answers: Option<V>,
    question_vectors: Option<V>,
}

impl<V: From<LruStats>> Caches<V> {
    fn of(works: &Works, model: Option<&Model>, embedder: Option<&Embedder>) -> Caches<V> {
        Caches {
            searches: works.found_stats().into(),
            model_answers: model.map(|model| model.answers_stats().into()),
            question_vectors: embedder.map(|embedder| embedder.answers_stats().into()),
        }
    }
}

/// What each cache holds and has done since start.
pub fn stats(works: &Works, model: Option<&Model>, embedder: Option<&Embedder>, body: &mut Vec<u8>) -> Reply {
    write_json(&Caches::<CacheView>::of(works, model, embedder), body);
    Reply::OK
}

/// Empties them all, and says of how much.
pub fn clear(
    works: &mut Works,
    model: Option<&mut Model>,
    embedder: Option<&mut Embedder>,
    pool: &mut Pool,
    body: &mut Vec<u8>,
) -> Reply {
    let all = [
        Some(works.found_stats()),
        model.as_ref().map(|model| model.answers_stats()),
        embedder.as_ref().map(|embedder| embedder.answers_stats()),
    ];
    pool.count_freed(all.into_iter().flatten().map(|stats| stats.bytes).sum());
    write_json(&Caches::<DroppedView>::of(works, model.as_deref(), embedder.as_deref()), body);
    works.forget_found();
    if let Some(model) = model {
        model.forget_answers();
    }
    if let Some(embedder) = embedder {
        embedder.forget_answers();
    }
    Reply::OK
}
