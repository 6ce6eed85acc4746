//! A note's links in both directions, by the words that the note has for them and by the notes that they lead to.

use serde::Serialize;

use super::{is_complete, no_such_note, written_units};
use crate::app::respond::{Problem, write_json};
use crate::base::Budget;
use crate::notes::Library;

/// Links that are told in either direction.
const LINKS_TOLD_MAX: usize = 500;

/// Links of other notes that are looked at to find those that lead here.
const LINKS_LOOKED_AT_MAX: usize = 1000;

/// Looks once: what there is of a note is bounded.
pub(super) fn step(path: &str, library: &Library, slice: &mut Budget) -> Result<Vec<u8>, Problem> {
    #[derive(Serialize)]
    struct Body<'l> {
        path: &'l str,
        title: &'l str,
        links: Vec<LinkView<'l>>,
        linked_from: Vec<NoteName<'l>>,
        truncated: bool,
        complete: bool,
    }
    #[derive(Serialize)]
    struct LinkView<'l> {
        target: &'l str,
        path: Option<&'l str>,
        title: Option<&'l str>,
    }
    #[derive(Serialize)]
    struct NoteName<'l> {
        path: &'l str,
        title: &'l str,
    }
    let note = library.note(path).ok_or_else(|| no_such_note(library))?;
    let links = library.links(note).take(LINKS_TOLD_MAX);
    let links = links.map(|(link, target)| LinkView {
        target: &link.target,
        path: target.map(|target| &*target.path),
        title: target.map(|target| &*target.title),
    });
    let (sources, is_cut) = library.some_backlinks(&note.path, LINKS_LOOKED_AT_MAX);
    let linked_from = sources.iter().take(LINKS_TOLD_MAX);
    let linked_from = linked_from.map(|source| NoteName { path: &source.path, title: &source.title });
    let is_long = note.links.len() > LINKS_TOLD_MAX || sources.len() > LINKS_TOLD_MAX;
    let told = Body {
        path: &note.path,
        title: &note.title,
        links: links.collect(),
        linked_from: linked_from.collect(),
        truncated: is_cut || is_long || note.cut.links,
        complete: is_complete(library),
    };
    let mut body = Vec::new();
    write_json(&told, &mut body);
    slice.spend(written_units(body.len()).saturating_add(LOOK_UNITS));
    Ok(body)
}

/// What it costs to look at the links of others, in units.
const LOOK_UNITS: u32 = 50;
