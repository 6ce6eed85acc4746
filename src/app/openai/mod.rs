//! OpenAI's dialect: `/v1/chat/completions`, `/v1/models`, `/v1/embeddings`, as the clients of that API speak it.
//!
//! A completion is a run like any other. It can be watched, resumed and cancelled in every other dialect by its `run_id`,
//! which stands in each answer, and in `id` behind `chatcmpl-`. What this API has no word for comes as extra fields, which
//! clients pass over: `run_id`, `sources`, `answered_by`, `degraded`.
//!
//! `ask` reads requests, `tell` writes answers, `models` says who answers, and `embeddings` does both for vectors.

mod ask;
mod embeddings;
mod models;
mod tell;

pub use ask::{Asked, parse};
pub use embeddings::{Form, embedded, embeddings_off, missing, to_embed};
pub use models::{list, one};
pub use tell::{Speaker, refuse};

/// The names under which the agent is asked: with a model if there is one, and without.
const NAMES: [&str; 2] = ["oneloop", "oneloop-notes"];
