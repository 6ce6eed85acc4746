//! What the model's tools bring out of the library: one look each, with a bound on how far it looks.

use crate::agent::tools::Lookup;
use crate::agent::{Brought, Passage};
use crate::notes::{Library, Note};

/// Notes that one list shows.
const LISTED_MAX: usize = 50;

/// Notes that may be passed over before it.
const PASSED_OVER_MAX: u64 = 10_000;

/// Links that are shown in either direction.
const LINKS_SHOWN_MAX: usize = 50;

/// Links of other notes that are looked at to find those that lead here.
const LINKS_LOOKED_AT_MAX: usize = 1000;

/// Looks.
pub fn look_up(lookup: &Lookup, library: &Library, bytes_max: usize) -> Brought {
    match lookup {
        Lookup::Read { path, start } => match find(library, path) {
            Some(note) => read(note, *start, bytes_max),
            None => no_such_note(path),
        },
        Lookup::Links { path } => match find(library, path) {
            Some(note) => Brought::Text(links(note, library)),
            None => no_such_note(path),
        },
        Lookup::List { folder, offset } => Brought::Text(list(library, folder, *offset)),
    }
}

/// Models leave the extension out, or put a slash or a `./` before a path.
pub(super) fn find<'l>(library: &'l Library, path: &str) -> Option<&'l Note> {
    let path = path.trim().trim_start_matches("./").trim_start_matches('/');
    library.note(path).or_else(|| library.note(&format!("{path}.md")))
}

fn no_such_note(path: &str) -> Brought {
    Brought::Text(format!("There is no note {}; list_notes shows which there are.", quoted(path)))
}

/// A path as the model wrote it, short enough to be told back to it.
pub(super) fn quoted(path: &str) -> String {
    format!("{:?}", path.chars().take(PATH_CHARS_MAX).collect::<String>())
}

/// Characters of a path that are told back.
const PATH_CHARS_MAX: usize = 200;

/// A stretch of the note that has room in a result, with a little left for what stands around it.
fn read(note: &Note, start: u64, bytes_max: usize) -> Brought {
    let text = &*note.text;
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(text.len());
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let mut end = text.len().min(start.saturating_add(bytes_max.saturating_sub(AROUND_BYTES)));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if start >= end {
        return Brought::Text(format!(
            "The note {:?} has {} bytes; nothing stands there.",
            note.path,
            text.len()
        ));
    }
    let mut passages = vec![Passage {
        path: note.path.to_string(),
        title: note.title.to_string(),
        heading: String::new(),
        start: start as u64,
        end: end as u64,
        score: 0.0,
        text: text[start..end].to_owned(),
        category: note.category.to_string(),
        dangling: Vec::new(),
        tags: Vec::new(),
        hash: note.hash_text(),
        likeness: None,
        date: None,
        lead: String::new(),
    }];
    passages.retain(|passage| passage.text.len() as u64 == passage.end - passage.start);
    Brought::Passages(passages)
}

/// What a result says beside a note's text.
const AROUND_BYTES: usize = 512;

fn links(note: &Note, library: &Library) -> String {
    let mut text = format!("{} links to:\n", note.path);
    let mut count = 0;
    for (link, target) in library.links(note).take(LINKS_SHOWN_MAX) {
        count += 1;
        match target {
            Some(target) => text.push_str(&format!("- {} ({})\n", target.path, target.title)),
            None => text.push_str(&format!("- {} (there is no such note)\n", link.target)),
        }
    }
    if note.links.len() > count {
        text.push_str("- and more\n");
    }
    text.push_str(&format!("{} is linked from:\n", note.path));
    let (sources, is_cut) = library.some_backlinks(&note.path, LINKS_LOOKED_AT_MAX);
    for source in sources.iter().take(LINKS_SHOWN_MAX) {
        text.push_str(&format!("- {} ({})\n", source.path, source.title));
    }
    if is_cut || sources.len() > LINKS_SHOWN_MAX {
        text.push_str("- and more\n");
    }
    text
}

fn list(library: &Library, folder: &str, offset: u64) -> String {
    let folder = folder.trim().trim_start_matches("./").trim_matches('/');
    if offset > PASSED_OVER_MAX {
        return format!("Only the first {PASSED_OVER_MAX} notes can be passed over; name a folder.");
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut notes = library.notes_below(folder).skip(offset);
    let mut text = String::new();
    for note in notes.by_ref().take(LISTED_MAX) {
        text.push_str(&format!("- {} ({})\n", note.path, note.title));
    }
    if notes.next().is_some() {
        text.push_str(&format!("There are more: offset {} shows the next.\n", offset + LISTED_MAX));
    }
    if text.is_empty() {
        text.push_str("There are no notes there.");
    }
    text
}
