//! A note's file: asking the disk helper for it, and answering with what has become of that.

use super::answer::{JSON, answer, refuse};
use super::{Exchange, FileWanted, Peer, serve, undo};
use crate::app::note_files::{self, FileDeed, entity_tag};
use crate::app::respond::{Invalid, Place, Problem};
use crate::app::service::Service;
use crate::base::Key;
use crate::os::disk::{Change, ChangeProblem, Changed, Deed, Fetched, Job};
use crate::reactor::Cx;
use crate::wire::http1::AnswerBody;

/// Begins what a client wants of a file.
///
/// # Errors
/// 422 for a text that is not UTF-8, and 503 when too many wait.
pub(super) fn ask(
    asker: Key,
    path: Box<str>,
    deed: FileDeed,
    body: &mut Vec<u8>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<FileWanted, Problem> {
    let (job, wanted) = match deed {
        FileDeed::Read { unless } => {
            let bytes_max = service.limits.note_file_bytes_max;
            (Job::Fetch { asker, path, bytes_max }, FileWanted::Bytes { unless })
        }
        FileDeed::Write { expected } => {
            if let Err(error) = std::str::from_utf8(body) {
                let place = [Place::Name("body"), Place::Index(error.valid_up_to())];
                return Err(Problem::invalid(Invalid::new("string_unicode", &place, "a note must be UTF-8")));
            }
            let deed = Deed::Write(service.take_body(body));
            (Job::Change(Change { asker, path, deed, expected }), FileWanted::Written)
        }
        FileDeed::Remove { expected } => {
            (Job::Change(Change { asker, path, deed: Deed::Remove, expected }), FileWanted::Gone)
        }
    };
    service.note_files.add(job, cx.os.disk)?;
    Ok(wanted)
}

/// A file was read, or not.
pub fn fetched(
    peer: &mut Peer,
    outcome: Result<Fetched, ChangeProblem>,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) {
    let Some(wanted) = awaited(peer) else { return };
    match (outcome, wanted) {
        (Err(problem), _) => {
            refuse(peer, &note_files::not_read(&problem), service, cx);
        }
        (Ok(file), FileWanted::Bytes { unless }) => {
            let etag = entity_tag(&file.hash);
            // A kept copy is asked about each time: a note may change at any moment.
            let fields =
                [("ETag", &*etag), ("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")];
            if unless.has(&file.hash) {
                answer(peer, 304, &fields, None, AnswerBody::Empty, service, cx);
            } else {
                let body = AnswerBody::Whole(&file.bytes);
                answer(peer, 200, &fields, Some("text/markdown; charset=utf-8"), body, service, cx);
            }
        }
        (Ok(_), FileWanted::Written | FileWanted::Gone | FileWanted::Undone { .. }) => {
            refuse(peer, &Problem::new(500, "the disk has answered another question"), service, cx);
        }
    }
    serve(peer, service, cx);
}

/// A file was changed, and the index holds it as it is now.
pub fn changed(peer: &mut Peer, path: &str, done: &Changed, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Some(wanted) = awaited(peer) else { return };
    if let FileWanted::Undone { id } = wanted {
        undo::answer_undone(peer, &id, path, service, cx);
        return serve(peer, service, cx);
    }
    let mut scratch = std::mem::take(&mut service.scratch);
    scratch.clear();
    note_files::changed(path, done, &mut scratch);
    let status = if done.before.is_none() { 201 } else { 200 };
    let etag = done.after.as_ref().map(entity_tag);
    let fields = etag.as_deref().map(|etag| ("ETag", etag));
    answer(peer, status, fields.as_slice(), Some(JSON), AnswerBody::Whole(&scratch), service, cx);
    service.scratch = scratch;
    serve(peer, service, cx);
}

/// A file was not changed, or there is nobody to change or read it.
pub fn not_changed(peer: &mut Peer, problem: &ChangeProblem, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Some(wanted) = awaited(peer) else { return };
    let problem = match wanted {
        FileWanted::Bytes { .. } => note_files::not_read(problem),
        // Without its condition it would be refused all the same, and then that is what counts (RFC 9110 §13.2.1).
        FileWanted::Gone if *problem == ChangeProblem::Absent => note_files::not_read(problem),
        FileWanted::Written | FileWanted::Gone => note_files::not_changed(problem),
        FileWanted::Undone { .. } => undo::not_undone(problem),
    };
    refuse(peer, &problem, service, cx);
    serve(peer, service, cx);
}

/// What the client waits for, if it still does; from here on it does not.
fn awaited(peer: &mut Peer) -> Option<FileWanted> {
    if peer.gone || !matches!(peer.exchange, Exchange::AwaitFile { .. }) {
        return None;
    }
    match std::mem::replace(&mut peer.exchange, Exchange::Nothing) {
        Exchange::AwaitFile { wanted } => Some(wanted),
        _ => None,
    }
}
