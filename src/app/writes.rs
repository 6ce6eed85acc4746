//! What the agent writes: how a wish becomes bytes at a path, and how the disk's words become the run's.
//!
//! ```text
//! Effect::Plan  ─► a free name, and the note's bytes ──────────────────► Input::Planned, which is kept
//!               └► the file as it is ─► what is added stands behind it ─┘
//!                                                          │ kept
//! Effect::Write ─────────────────────────────────────────► the disk helper ─► the index ─► Input::Wrote
//! ```
//!
//! Nothing is written before it is kept what is to be written, byte for byte. So a process that takes the run over knows
//! what the one before may have done: it finds the planned bytes there, and is done, or writes them itself. It never
//! writes twice, and never something else.

use super::note_files::{hash_of_text, hexadecimal, note_path};
use super::tools::find;
use crate::agent::organise::{INBOX, file_stem, link};
use crate::agent::{Action, Before, Edit, NewNote, Unwritten, Wish};
use crate::base::{Key, WallTime};
use crate::limits::Limits;
use crate::notes::{Library, Note};
use crate::os::disk::{Change, ChangeProblem, Deed, Expected, Fetched, Job, hash_of};

/// Plans a new note: under a name that no other has.
///
/// # Errors
/// In words for the reader, without a full stop.
pub fn plan(note: &NewNote, library: &Library, now: WallTime) -> Result<Edit, String> {
    let NewNote { folder, draft, taken } = note;
    let now = now.to_string();
    let day = now.split('T').next().unwrap_or(&now);
    let text = draft.text(day);
    let stem = file_stem(&draft.title);
    // A category is what some note says of itself, and notes are data: it may be no folder at all.
    let is_folder = note_path(&format!("{folder}/{stem}.md")).is_ok();
    let folder = if is_folder { folder } else { INBOX };
    let mut names = (taken.saturating_add(1)..=NAMES_MAX).map(|number| match number {
        1 => format!("{folder}/{stem}.md"),
        number => format!("{folder}/{stem} {number}.md"),
    });
    let path = names.find(|path| !library.has_name(path));
    let path = path.ok_or_else(|| format!("there are {NAMES_MAX} notes of this name"))?;
    let hash = hexadecimal(&hash_of(text.as_bytes()));
    Ok(Edit { path, title: draft.title.clone(), text, hash, action: Action::Created, before: None })
}

/// The note that is to be added to.
///
/// # Errors
/// In words for the reader, without a full stop: there is none, or what is to be added stands there.
pub fn place(wish: &Wish, library: &Library) -> Result<Box<str>, String> {
    match wish {
        Wish::New(_) => Err("a new note has no file yet".to_owned()),
        Wish::Append { path, .. } => known(library, path).map(|note| note.path.clone()),
        Wish::Link { from, to } => {
            let (from, to) = (known(library, from)?, known(library, to)?);
            if library.links(from).any(|(_, target)| target.is_some_and(|target| target.path == to.path)) {
                return Err(format!("{} links to {} already", from.path, to.path));
            }
            if from.path == to.path {
                return Err("a note needs no link to itself".to_owned());
            }
            Ok(from.path.clone())
        }
    }
}

fn known<'l>(library: &'l Library, path: &str) -> Result<&'l Note, String> {
    let shown: String = path.chars().take(PATH_CHARS_MAX).collect();
    find(library, path).ok_or_else(|| format!("there is no note {shown:?}"))
}

/// Characters of a path that are told back.
const PATH_CHARS_MAX: usize = 200;

/// Plans what is added to a note, now that its file was read.
///
/// # Errors
/// As above.
pub fn continuation(
    wish: &Wish,
    fetched: Result<Fetched, ChangeProblem>,
    library: &Library,
    limits: &Limits,
) -> Result<Edit, String> {
    let path = place(wish, library)?;
    let Fetched { bytes, hash } = fetched.map_err(|problem| problem.to_string())?;
    let mut text = String::from_utf8(bytes).map_err(|_| "the note is not UTF-8".to_owned())?;
    let before = Before { bytes: text.len() as u64, hash: hexadecimal(&hash) };
    let (added, action) = match wish {
        Wish::New(_) => return Err("a new note has no file yet".to_owned()),
        Wish::Append { text: added, .. } => (paragraph(&text, added), Action::Appended),
        Wish::Link { to, .. } => {
            let to = known(library, to)?;
            (list_item(&text, &link(&to.path, &to.title)), Action::Linked)
        }
    };
    // The note's own line ends.
    let added = if text.contains("\r\n") { added.replace('\n', "\r\n") } else { added };
    text.push_str(&added);
    if text.len() > limits.note_bytes_max {
        return Err(format!("the note would have more than {} bytes", limits.note_bytes_max));
    }
    let title = library.note(&path).map_or_else(|| path.to_string(), |note| note.title.to_string());
    let hash = hexadecimal(&hash_of(text.as_bytes()));
    Ok(Edit { path: path.into(), title, text, hash, action, before: Some(before) })
}

/// What is added as a paragraph of its own.
fn paragraph(text: &str, added: &str) -> String {
    let added = added.replace("\r\n", "\n");
    format!("{}{}\n", gap(text), added.trim_end())
}

/// A link as an item of the list at the end, or of a new one.
fn list_item(text: &str, link: &str) -> String {
    let ends_with_list = text.lines().rev().find(|line| !line.trim().is_empty());
    if ends_with_list.is_some_and(|line| line.starts_with("- [[")) {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        return format!("{end}- {link}\n");
    }
    format!("{}See also:\n\n- {link}\n", gap(text))
}

/// Line ends that make a paragraph of what follows.
fn gap(text: &str) -> &'static str {
    let ends = |count: usize| text.ends_with(&"\n".repeat(count)) || text.ends_with(&"\r\n".repeat(count));
    if text.is_empty() || ends(2) {
        ""
    } else if ends(1) {
        "\n"
    } else {
        "\n\n"
    }
}

/// The disk is to read the file that is added to, or that may be written already.
pub fn fetch(run: Key, path: &str, limits: &Limits) -> Job {
    Job::Fetch { asker: run, path: path.into(), bytes_max: limits.note_bytes_max }
}

/// What was to be added stands in this file: a process before this one has written it, and somebody may have gone on since. It
/// does if the file begins as it was written, or has what was added as often as it was to have it then.
pub fn stands(edit: &Edit, fetched: &Fetched) -> bool {
    let Some(before) = &edit.before else { return false };
    let start = usize::try_from(before.bytes).unwrap_or(usize::MAX);
    let (Ok(there), Some(added)) = (std::str::from_utf8(&fetched.bytes), edit.text.get(start..)) else {
        return false;
    };
    let added = added.trim();
    let count = |text: &str| text.matches(added).count();
    there.starts_with(&edit.text) || (!added.is_empty() && count(there) >= count(&edit.text))
}

/// Names that are tried: `Tea`, `Tea 2`, and so on.
const NAMES_MAX: u32 = 1000;

/// What the disk is to do for what was planned.
pub fn job(run: Key, edit: &Edit) -> Job {
    let deed = Deed::Write(edit.text.clone().into_bytes());
    let before = edit.before.as_ref().and_then(|before| hash_of_text(&before.hash));
    let expected = before.map_or(Expected::Absent, |hash| Expected::Present(vec![hash]));
    Job::Change(Change { asker: run, path: edit.path.as_str().into(), deed, expected })
}

/// What has become of it. Of what may be written for the second time, since the process that began the run has ended, the
/// planned bytes are there already.
pub fn outcome(edit: &Edit, outcome: Result<(), ChangeProblem>, taken_over: bool) -> Result<(), Unwritten> {
    outcome.or_else(|problem| match problem {
        ChangeProblem::Exists(hash) | ChangeProblem::Stale(hash)
            if taken_over && hexadecimal(&hash) == edit.hash =>
        {
            Ok(())
        }
        ChangeProblem::Exists(_) | ChangeProblem::Stale(_) | ChangeProblem::Similar(_) => {
            Err(Unwritten::Overtaken)
        }
        other => Err(Unwritten::Refused(other.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::organise::Draft;
    use crate::base::HashSeed;

    fn path_in(folder: &str, title: &str, taken: u32) -> String {
        let draft = Draft {
            title: title.to_owned(),
            body: "It leaks.".to_owned(),
            category: folder.to_owned(),
            tags: Vec::new(),
            related: Vec::new(),
        };
        let note = NewNote { folder: folder.to_owned(), draft, taken };
        let library = Library::new(HashSeed(1), &Limits::default());
        plan(&note, &library, WallTime::from_millis(0)).unwrap().path
    }

    #[test]
    fn a_category_that_is_no_folder_does_not_lead_anywhere() {
        assert_eq!(path_in("house", "Boiler", 0), "house/Boiler.md");
        for category in ["..", "x/../../etc", "/etc", ".git", "a//b", "a/", "", "x\n"] {
            assert_eq!(path_in(category, "Boiler", 0), "Inbox/Boiler.md", "{category:?}");
        }
    }

    #[test]
    fn a_name_that_was_taken_is_followed_by_another() {
        assert_eq!(path_in("house", "Boiler", 1), "house/Boiler 2.md");
    }

    #[test]
    fn only_whoever_took_a_run_over_may_find_its_note_written() {
        let edit = Edit {
            path: "a.md".to_owned(),
            title: "a".to_owned(),
            text: "x".to_owned(),
            hash: hexadecimal(&hash_of(b"x")),
            action: Action::Created,
            before: None,
        };
        let exists = |text: &[u8]| Err(ChangeProblem::Exists(hash_of(text)));
        assert_eq!(outcome(&edit, exists(b"x"), true), Ok(()));
        assert_eq!(outcome(&edit, exists(b"x"), false), Err(Unwritten::Overtaken));
        assert_eq!(outcome(&edit, exists(b"y"), true), Err(Unwritten::Overtaken));
    }

    #[test]
    fn what_is_added_is_a_paragraph_of_its_own() {
        for (text, wanted) in [("", "b\n"), ("a", "\n\nb\n"), ("a\n", "\nb\n"), ("a\n\n", "b\n")] {
            assert_eq!(paragraph(text, "b\n\n"), wanted, "{text:?}");
        }
        assert_eq!(gap("a\r\n"), "\n");
        assert_eq!(gap("a\r\n\r\n"), "");
    }

    #[test]
    fn links_gather_in_one_list() {
        assert_eq!(list_item("a\n", "[[b]]"), "\nSee also:\n\n- [[b]]\n");
        assert_eq!(list_item("a\n\nSee also:\n\n- [[b]]\n", "[[c]]"), "- [[c]]\n");
        assert_eq!(list_item("- [[b]]", "[[c]]"), "\n- [[c]]\n");
        assert_eq!(list_item("- b\n", "[[c]]"), "\nSee also:\n\n- [[c]]\n");
    }

    #[test]
    fn what_a_process_before_has_added_is_found_whoever_has_gone_on_since() {
        let edit = Edit {
            path: "a.md".to_owned(),
            title: "a".to_owned(),
            text: "a\n\nmore\n".to_owned(),
            hash: hexadecimal(&hash_of(b"a\n\nmore\n")),
            action: Action::Appended,
            before: Some(Before { bytes: 2, hash: hexadecimal(&hash_of(b"a\n")) }),
        };
        let stands = |text: &str| {
            let bytes = text.as_bytes().to_vec();
            super::stands(&edit, &Fetched { hash: hash_of(&bytes), bytes })
        };
        assert!(stands("a\n\nmore\n"));
        assert!(stands("a\n\nmore\n\neven more\n"));
        assert!(stands("b\n\nmore\n"));
        assert!(!stands("a\n"));
        assert!(!stands("a\n\nanother\n"));
        let stale = || Err(ChangeProblem::Stale(hash_of(b"a\n\nmore\n")));
        assert_eq!(outcome(&edit, stale(), true), Ok(()));
        assert_eq!(outcome(&edit, stale(), false), Err(Unwritten::Overtaken));
    }
}
