//! What the agent and its notes are: `GET /agent/info`, `GET /config/notes`, and `POST /agent/reset`.

use serde::Serialize;

use crate::agent::tools;

use super::model::Model;
use super::respond::{Reply, write_json};
use super::runs::Runs;
use super::service::Service;

/// `GET /agent/info`: what answers, and with what.
pub fn agent(service: &Service, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Agent<'s> {
        name: &'static str,
        version: &'static str,
        /// `model`, or `notes` where the built-in answerer is the only one.
        mode: &'static str,
        model: Option<&'s str>,
        embeddings: Option<&'s str>,
        /// What a model may call.
        tools: Vec<ToolView>,
        /// What a chat request may ask for.
        strategies: [&'static str; 3],
        running: usize,
        pending: usize,
        completed: u64,
        failed: u64,
        cancelled: u64,
    }
    #[derive(Serialize)]
    struct ToolView {
        name: &'static str,
        description: &'static str,
    }
    let Service { model, embedder, runs, writes, .. } = service;
    let counts = runs.counts();
    let offers = model.as_ref().is_some_and(Model::offers_tools);
    let tools = tools::offered(*writes).iter().filter(|_| offers);
    let agent = Agent {
        name: super::health::SERVICE,
        version: super::health::VERSION,
        mode: if model.is_some() { "model" } else { "notes" },
        model: model.as_ref().map(Model::name),
        embeddings: embedder.as_ref().map(super::embed::Embedder::name),
        tools: tools.map(|tool| ToolView { name: tool.name, description: tool.description }).collect(),
        strategies: ["model", "fast-first", "notes"],
        running: counts.running,
        pending: counts.pending,
        completed: counts.completed,
        failed: counts.failed,
        cancelled: counts.cancelled,
    };
    write_json(&agent, body);
    Reply::OK
}

/// `GET /config/notes`: which folder is served, and within which bounds.
pub fn notes(service: &Service, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Notes<'s> {
        /// As it was named at start.
        folder: &'s str,
        notes: usize,
        links: usize,
        passages: usize,
        bytes: usize,
        /// Moves whenever a note comes, goes or changes.
        epoch: u64,
        /// What a file must be called to be a note. No part of its path may begin with a dot.
        extensions: [&'static str; 2],
        notes_max: usize,
        note_bytes_max: usize,
    }
    let Service { library, limits, notes_folder, .. } = service;
    let counts = library.counts();
    let notes = Notes {
        folder: notes_folder,
        notes: counts.notes,
        links: counts.links,
        passages: counts.passages,
        bytes: counts.text_bytes,
        epoch: library.epoch(),
        extensions: ["md", "markdown"],
        notes_max: limits.notes_max,
        note_bytes_max: limits.note_bytes_max,
    };
    write_json(&notes, body);
    Reply::OK
}

/// `POST /agent/reset`, once the caches are empty: forgets what is only remembered. Runs go on, and what is kept stays.
pub fn reset(runs: &mut Runs, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Reset {
        status: &'static str,
        /// Runs whose steps were forgotten.
        logs_cleared: usize,
    }
    write_json(&Reset { status: "reset", logs_cleared: runs.steps_mut().clear() }, body);
    Reply::OK
}
