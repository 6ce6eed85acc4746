//! `POST /notes/undo {"id"}`: a note that the agent has made is taken away again, and what it has added to one is.
//!
//! What was done stands in the run's events, and those are kept as long as the run is, however it has ended. It is undone only
//! while the note is byte for byte what the agent has left: what somebody has done to it since is not undone with it. So of
//! two changes of one note the later is undone first.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::answer::send_whole;
use super::{FileWanted, Peer};
use crate::agent::{Added, KnowledgeUpdate};
use crate::app::chat::{read_object, string};
use crate::app::note_files::{self, hash_of_text};
use crate::app::respond::{Invalid, Place, Problem, write_json};
use crate::app::runs::Record;
use crate::app::service::Service;
use crate::base::Key;
use crate::os::disk::{Change, ChangeProblem, Deed, Expected, Job};
use crate::reactor::Cx;

/// The run and the number of the change that are to be undone.
///
/// # Errors
/// 422 for a body without an id, 404 for an id that no change has.
pub(super) fn parse(body: &[u8]) -> Result<(Uuid, u32), Problem> {
    #[derive(Deserialize)]
    struct Fields<'b> {
        #[serde(borrow)]
        id: Option<&'b RawValue>,
    }
    let place = [Place::Name("body"), Place::Name("id")];
    let fields: Fields<'_> = read_object(body).map_err(Problem::invalid)?;
    let Some(id) = fields.id else {
        return Err(Problem::invalid(Invalid::new("missing", &place, "Field required")));
    };
    let Some(id) = string(id) else {
        return Err(Problem::invalid(Invalid::new("string_type", &place, "Input should be a valid string")));
    };
    let parts = id.rsplit_once('-').and_then(|(run, number)| {
        let is_plain = run.len() == uuid::fmt::Hyphenated::LENGTH;
        Some((Uuid::try_parse(run).ok().filter(|_| is_plain)?, number.parse().ok()?))
    });
    parts.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::new(404, "no such change; knowledge_updates of an answer names those that there are")
}

/// What the disk is to do for it.
///
/// # Errors
/// 404 if the run has made no such change, 409 while it is at work.
pub(super) fn job(record: &Record, number: u32, asker: Key) -> Result<(Job, FileWanted), Problem> {
    #[derive(Deserialize)]
    struct Made {
        update: KnowledgeUpdate,
    }
    if !record.shown().is_final() {
        return Err(Problem::new(
            409,
            "the run is still at work; its changes can be undone when it has ended",
        ));
    }
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let made = place.and_then(|place| record.updates().nth(place));
    let made = made.and_then(|event| serde_json::from_str::<Made>(event).ok()).ok_or_else(unknown)?;
    let KnowledgeUpdate { id, path, hash, added, .. } = made.update;
    let expected = Expected::Present(vec![hash_of_text(&hash).ok_or_else(unknown)?]);
    let deed = match added {
        None => Deed::Remove,
        Some(Added { start, end }) => Deed::Cut { start, end },
    };
    let change = Change { asker, path: path.into(), deed, expected };
    Ok((Job::Change(change), FileWanted::Undone { id: id.into() }))
}

/// The note is gone, and the index knows it.
pub(super) fn answer_undone(
    peer: &mut Peer,
    id: &str,
    path: &str,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    #[derive(Serialize)]
    struct Body<'u> {
        id: &'u str,
        action: &'static str,
        path: &'u str,
    }
    let mut body = Vec::new();
    write_json(&Body { id, action: "undone", path }, &mut body);
    send_whole(peer, 200, None, &body, service, cx);
}

/// Why a change was not undone.
pub(super) fn not_undone(problem: &ChangeProblem) -> Problem {
    match problem {
        ChangeProblem::Absent => Problem::new(409, "the note is gone already"),
        ChangeProblem::Stale(_) => Problem::new(409, "the note was changed since; nothing was undone"),
        other => note_files::not_changed(other),
    }
}
