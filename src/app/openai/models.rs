//! `GET /v1/models`: who answers. All of it is in memory, so that a client that asks before each chat costs nothing.

use serde::Serialize;

use super::NAMES;
use crate::app::embed::Embedder;
use crate::app::respond::{Problem, Reply, write_json};

/// A model, as this API shows one.
#[derive(Serialize)]
struct Model<'m> {
    id: &'m str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl Model<'_> {
    fn named(id: &str) -> Model<'_> {
        // Nobody knows when a folder of notes was trained.
        Model { id, object: "model", created: 0, owned_by: "oneloop" }
    }
}

fn names(embedder: Option<&Embedder>) -> impl Iterator<Item = &str> {
    NAMES.into_iter().chain(embedder.map(Embedder::name))
}

/// `GET /v1/models`
pub fn list(embedder: Option<&Embedder>, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct List<'m> {
        object: &'static str,
        data: Vec<Model<'m>>,
    }
    write_json(&List { object: "list", data: names(embedder).map(Model::named).collect() }, body);
    Reply::OK
}

/// `GET /v1/models/{id}`
///
/// # Errors
/// 404 for a name that is not in the list.
pub fn one(name: &str, embedder: Option<&Embedder>, body: &mut Vec<u8>) -> Result<Reply, Problem> {
    let found = names(embedder).find(|known| *known == name);
    let known = found.ok_or_else(|| super::ask::unknown_model("path", name))?;
    write_json(&Model::named(known), body);
    Ok(Reply::OK)
}
