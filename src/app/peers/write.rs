//! A change of the notes that a client has called a tool for: planned, fetched for and written as a run would do it.
//!
//! ```text
//! Wish ─► a plan ── a new note ───────────────────────► Writing ─ written, indexed ─► told
//!           └────── a note that there is ─► Fetching ──────┘ └─ overtaken ─► planned anew
//! ```
//!
//! What a run writes is kept before it is written, as the run must go on in another process. Here there is a client that
//! waits, as with `PUT /notes/file`: if the process ends, it has no answer, and looks.

use serde::Serialize;

use super::answer::{refuse, send_whole};
use super::{Exchange, FileWanted, Peer};
use crate::agent::{Action, Added, Edit, Unwritten, Wish};
use crate::app::respond::{Problem, write_json};
use crate::app::service::Service;
use crate::app::writes::{self, Become, Begun, Wanted};
use crate::base::Key;
use crate::os::disk::{ChangeProblem, Fetched, Job};
use crate::reactor::Cx;

/// A change that is under way.
#[derive(Debug)]
pub(super) struct Writing {
    wish: Wish,
    /// How often somebody else was faster.
    overtaken: u32,
    step: Step,
}

/// What is waited for.
#[derive(Debug)]
enum Step {
    /// The note that something is to come into.
    Fetching(Wanted),
    /// That this is written.
    Writing(Edit),
}

/// Begins a change.
///
/// # Errors
/// 409 with why nothing will be written, 503 when too many wait.
pub(super) fn begin(
    wish: Wish,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<FileWanted, Problem> {
    go_on(wish, 0, asker, service, cx)
}

fn go_on(
    wish: Wish,
    overtaken: u32,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<FileWanted, Problem> {
    let (step, job) = match writes::begin(&wish, &service.library, cx.os.clock.wall()) {
        Begun::Planned(Err(why)) => return Err(not_written(&why)),
        Begun::Planned(Ok(edit)) => {
            let job = writes::job(asker, &edit);
            (Step::Writing(edit), job)
        }
        Begun::Fetch(wanted) => {
            let bytes_max = service.limits.note_bytes_max;
            let job = Job::Fetch { asker, path: wanted.path.clone(), bytes_max };
            (Step::Fetching(wanted), job)
        }
    };
    service.note_files.add(job, cx.os.disk)?;
    Ok(FileWanted::Edited(Box::new(Writing { wish, overtaken, step })))
}

/// The note that something is to come into was fetched, or not.
pub(super) fn fetched(
    peer: &mut Peer,
    writing: Writing,
    outcome: Result<Fetched, ChangeProblem>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let Writing { wish, overtaken, step } = writing;
    let planned = match step {
        Step::Fetching(wanted) => writes::plan(wanted, outcome, service.limits.note_bytes_max),
        Step::Writing(_) => Err("the disk has answered another question".to_owned()),
    };
    let added = planned.map_err(|why| not_written(&why)).and_then(|edit| {
        service.note_files.add(writes::job(peer.connection.key, &edit), cx.os.disk)?;
        Ok(edit)
    });
    match added {
        Ok(edit) => {
            let writing = Writing { wish, overtaken, step: Step::Writing(edit) };
            peer.exchange = Exchange::AwaitFile { wanted: FileWanted::Edited(Box::new(writing)) };
        }
        Err(problem) => refuse(peer, &problem, service, cx),
    }
}

/// It is written, and the index knows it.
pub(super) fn written(peer: &mut Peer, writing: &Writing, service: &mut Service, cx: &mut Cx<'_, '_>) {
    #[derive(Serialize)]
    struct Body<'w> {
        path: &'w str,
        title: &'w str,
        action: Action,
        hash: &'w str,
        added: Option<Added>,
    }
    let Step::Writing(edit) = &writing.step else {
        return refuse(peer, &Problem::new(500, "the disk has answered another question"), service, cx);
    };
    let told = Body {
        path: &edit.path,
        title: &edit.title,
        action: writing.wish.action(),
        hash: &edit.hash,
        added: edit.added(),
    };
    let mut body = Vec::new();
    write_json(&told, &mut body);
    send_whole(peer, 200, None, &body, service, cx);
}

/// It was not written. Where somebody else was faster, it is planned anew from what is there now.
pub(super) fn not_changed(
    peer: &mut Peer,
    writing: Writing,
    problem: &ChangeProblem,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let Writing { mut wish, overtaken, step } = writing;
    let outcome = match &step {
        Step::Writing(edit) => writes::outcome(edit, Err(problem.clone()), false),
        Step::Fetching(_) => Become::Known(Err(Unwritten::Refused(problem.to_string()))),
    };
    let refused = match outcome {
        Become::Known(Err(Unwritten::Overtaken)) if overtaken < service.limits.note_overtaken_max => {
            if let Wish::Create(note) = &mut wish {
                note.taken += 1;
            }
            match go_on(wish, overtaken + 1, peer.connection.key, service, cx) {
                Ok(wanted) => {
                    peer.exchange = Exchange::AwaitFile { wanted };
                    return;
                }
                Err(problem) => problem,
            }
        }
        Become::Known(Err(Unwritten::Refused(why))) => not_written(&why),
        Become::Known(Err(Unwritten::Overtaken) | Ok(())) | Become::Open => {
            not_written("others have changed the notes all the time")
        }
    };
    refuse(peer, &refused, service, cx);
}

fn not_written(why: &str) -> Problem {
    Problem::new(409, format!("Nothing was written, because {why}."))
}
