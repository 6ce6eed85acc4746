//! A note's file: asking the disk helper for it, and answering with what has become of that.

use serde::Serialize;

use super::answer::{JSON, answer, refuse, send_whole};
use super::{Exchange, FileWanted, Peer, serve, undo, write};
use crate::app::note_files::{self, FileDeed, entity_tag, hexadecimal};
use crate::app::respond::{Invalid, Place, Problem, write_json};
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
        (outcome, FileWanted::Edited(writing)) => write::fetched(peer, *writing, outcome, service, cx),
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
        (Ok(file), FileWanted::Window { path, start, length }) => {
            let mut body = Vec::new();
            window(&path, &file, start, length, &mut body);
            send_whole(peer, 200, None, &body, service, cx);
        }
        (Ok(_), FileWanted::Written | FileWanted::Gone | FileWanted::Undone { .. }) => {
            refuse(peer, &Problem::new(500, "the disk has answered another question"), service, cx);
        }
    }
    serve(peer, service, cx);
}

/// So many bytes of a note from there on, from the beginning of a character to the end of one.
fn window(path: &str, file: &Fetched, start: u64, length: usize, body: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Body<'w> {
        path: &'w str,
        start: usize,
        end: usize,
        /// Of the whole note.
        bytes: usize,
        /// Where to go on; none at the end.
        next: Option<usize>,
        text: &'w str,
        hash: String,
    }
    let bytes = &file.bytes[..];
    // Inside a character of UTF-8 stand bytes like 10xxxxxx (RFC 3629 §3).
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let mut start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
    while is_inside(start) {
        start += 1;
    }
    let mut end = start.saturating_add(length).min(bytes.len());
    while is_inside(end) && end > start {
        end -= 1;
    }
    // A window that is narrower than its first character shows it all the same, or nobody would get past it.
    if end == start {
        end = (start + 1).min(bytes.len());
        while is_inside(end) {
            end += 1;
        }
    }
    let text = String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default());
    let next = (end < bytes.len()).then_some(end);
    let hash = hexadecimal(&file.hash);
    write_json(&Body { path, start, end, bytes: bytes.len(), next, text: &text, hash }, body);
}

/// A file was changed, and the index holds it as it is now.
pub fn changed(peer: &mut Peer, path: &str, done: &Changed, service: &mut Service, cx: &mut Cx<'_, '_>) {
    let Some(wanted) = awaited(peer) else { return };
    match wanted {
        FileWanted::Undone { id } => {
            undo::answer_undone(peer, &id, path, service, cx);
            return serve(peer, service, cx);
        }
        FileWanted::Edited(writing) => {
            write::written(peer, &writing, service, cx);
            return serve(peer, service, cx);
        }
        FileWanted::Bytes { .. } | FileWanted::Window { .. } | FileWanted::Written | FileWanted::Gone => {}
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
        FileWanted::Edited(writing) => {
            write::not_changed(peer, *writing, problem, service, cx);
            return serve(peer, service, cx);
        }
        FileWanted::Bytes { .. } | FileWanted::Window { .. } => note_files::not_read(problem),
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn seen(text: &[u8], start: u64, length: usize) -> (String, u64, u64, Option<u64>) {
        let mut body = Vec::new();
        window("a.md", &Fetched { bytes: text.into(), hash: [0; 32] }, start, length, &mut body);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["bytes"], text.len());
        let number = |name: &str| body[name].as_u64();
        let text = body["text"].as_str().unwrap().to_owned();
        (text, number("start").unwrap(), number("end").unwrap(), number("next"))
    }

    #[test]
    fn a_window_begins_and_ends_between_two_characters() {
        let text = "aé€z".as_bytes();
        assert_eq!(seen(text, 0, 100), ("aé€z".to_owned(), 0, 7, None));
        assert_eq!(seen(text, 0, 2), ("a".to_owned(), 0, 1, Some(1)));
        assert_eq!(seen(text, 2, 3), ("€".to_owned(), 3, 6, Some(6)));
        assert_eq!(seen(text, 1, 1), ("é".to_owned(), 1, 3, Some(3)));
        assert_eq!(seen(text, u64::MAX, 9), (String::new(), 7, 7, None));
        assert_eq!(seen(b"caf\xe9", 0, 9), ("caf\u{fffd}".to_owned(), 0, 4, None));
    }

    #[test]
    fn windows_one_behind_the_other_show_all_of_a_note() {
        let text = "Grüße, 世界! 🐢 ".repeat(9);
        for length in 1..20 {
            let (mut whole, mut at) = (String::new(), 0);
            loop {
                let (part, _, _, next) = seen(text.as_bytes(), at, length);
                whole.push_str(&part);
                let Some(next) = next else { break };
                at = next;
            }
            assert_eq!(whole, text);
        }
    }
}
