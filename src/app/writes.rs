//! What the agent writes: how a wish becomes bytes at a path, and how the disk's words become the run's.
//!
//! ```text
//! Effect::Plan  ─► a new note: a free name, and its bytes ────────────────────────────────────┐
//!               └► a note that there is ─► fetched ─► where something comes in, and what ─────┴─► Input::Planned
//!                                              ▲                                                    │ kept
//!                                              └──────────────── it was changed meanwhile ────┐     │
//! Effect::Write ──────────────────────────────────────────────────────────────────────► the disk helper
//!                                                              the index ─► Input::Wrote ◄────┘
//! ```
//!
//! Nothing is written before it is kept what is to be written, byte for byte. So a process that takes the run over knows
//! what the one before may have done: it finds the planned bytes there, and is done, or writes them itself. It never
//! writes twice, and never something else.
//!
//! Something comes only into that version of a note that it was planned for. Whoever is overtaken, by another run or by
//! an editor, plans anew from what the note is then: so both are in it, in the order in which they came.

pub mod additions;

use super::note_files::{hash_of_text, hexadecimal, note_path};
use super::tools::{find, quoted};
use crate::agent::organise::{self, INBOX, file_stem};
use crate::agent::{Before, Edit, NewNote, Unwritten, Wish};
use crate::base::{Key, WallTime};
use crate::notes::{Library, Note};
use crate::os::disk::{Change, ChangeProblem, Deed, Expected, Fetched, FileHash, Job, hash_of};

/// How a plan begins.
#[derive(Debug)]
pub enum Begun {
    /// All that it needs is known.
    Planned(Result<Edit, String>),
    /// The note must be fetched first.
    Fetch(Wanted),
}

/// What is to come into a note that is being fetched.
#[derive(Debug)]
pub struct Wanted {
    /// The note.
    pub path: Box<str>,
    title: String,
    what: What,
}

#[derive(Debug)]
enum What {
    /// At its end.
    Content(String),
    /// A link, and words behind it.
    Link { to: Box<str>, link: String, why: String, is_there: bool },
}

/// Begins to plan a change.
pub fn begin(wish: &Wish, library: &Library, now: WallTime) -> Begun {
    let wanted = match wish {
        Wish::Create(note) => return Begun::Planned(create(note, library, now)),
        Wish::Append { content, .. } if content.trim().is_empty() => {
            Err("there is nothing to add".to_owned())
        }
        Wish::Append { path, content } => {
            known(path, library).map(|note| Wanted::of(note, What::Content(content.clone())))
        }
        Wish::Link { from, to, why } => link(from, to, why, library),
    };
    wanted.map_or_else(|why| Begun::Planned(Err(why)), Begun::Fetch)
}

fn link(from: &str, to: &str, why: &str, library: &Library) -> Result<Wanted, String> {
    let (from, to) = (known(from, library)?, known(to, library)?);
    if from.path == to.path {
        return Err(format!("{} needs no link to itself", from.path));
    }
    let is_there = library.links(from).any(|(_, target)| target.is_some_and(|target| target.path == to.path));
    let link = organise::link(&to.path, &to.title);
    Ok(Wanted::of(from, What::Link { to: to.path.clone(), link, why: why.to_owned(), is_there }))
}

impl Wanted {
    fn of(note: &Note, what: What) -> Wanted {
        Wanted { path: note.path.clone(), title: note.title.to_string(), what }
    }
}

/// A path that a model wrote leads only to notes that there are: never out of the folder, nor to a file that is none.
fn known<'l>(path: &str, library: &'l Library) -> Result<&'l Note, String> {
    find(library, path).ok_or_else(|| format!("there is no note {}", quoted(path)))
}

/// Plans what comes into a note that was fetched.
///
/// # Errors
/// In words for the reader, without a full stop.
pub fn plan(
    wanted: Wanted,
    fetched: Result<Fetched, ChangeProblem>,
    bytes_max: usize,
) -> Result<Edit, String> {
    let file = fetched.map_err(|problem| problem.to_string())?;
    let Wanted { path, title, what } = wanted;
    let text = str::from_utf8(&file.bytes).map_err(|_| format!("{path} is not UTF-8"))?;
    let (at, addition) = match what {
        What::Content(content) => additions::append(text, &content),
        // The index may not have seen what was linked a moment ago.
        What::Link { to, link, is_there, .. } if is_there || text.contains(&link) => {
            return Err(format!("{path} links to {to} already"));
        }
        What::Link { link, why, .. } => additions::link(text, &link, &why),
    };
    if file.bytes.len() + addition.len() > bytes_max {
        return Err(format!("{path} would have more than {bytes_max} bytes"));
    }
    let before = Before {
        hash: hexadecimal(&file.hash),
        at: at as u64,
        times: additions::times(&file.bytes, &addition),
    };
    let after = [&text[..at], &addition, &text[at..]].concat();
    let hash = hexadecimal(&hash_of(after.as_bytes()));
    Ok(Edit { path: path.into(), title, text: addition, hash, before: Some(before) })
}

/// Plans a new note: under a name that no other has.
fn create(note: &NewNote, library: &Library, now: WallTime) -> Result<Edit, String> {
    let NewNote { folder, insists, draft, taken } = note;
    let now = now.to_string();
    let day = now.split('T').next().unwrap_or(&now);
    let text = draft.text(day);
    let stem = file_stem(&draft.title);
    // A category is what some note says of itself, and notes are data: it may be no folder at all.
    let is_folder = note_path(&format!("{folder}/{stem}.md")).is_ok();
    if !is_folder && *insists {
        return Err(format!("{} can't be a folder of notes", quoted(folder)));
    }
    let folder = if is_folder { folder } else { INBOX };
    let mut names = (taken.saturating_add(1)..=NAMES_MAX).map(|number| match number {
        1 => format!("{folder}/{stem}.md"),
        number => format!("{folder}/{stem} {number}.md"),
    });
    let path = names.find(|path| !library.has_name(path));
    let path = path.ok_or_else(|| format!("there are {NAMES_MAX} notes of this name"))?;
    let hash = hexadecimal(&hash_of(text.as_bytes()));
    Ok(Edit { path, title: draft.title.clone(), text, hash, before: None })
}

/// Names that are tried: `Tea`, `Tea 2`, and so on.
const NAMES_MAX: u32 = 1000;

/// What the disk is to do for what was planned.
pub fn job(run: Key, edit: &Edit) -> Job {
    let bytes = edit.text.clone().into_bytes();
    let (deed, expected) = match &edit.before {
        None => (Deed::Write(bytes), Expected::Absent),
        // A hash that is none can't be that of any version.
        Some(before) => {
            let hash = hash_of_text(&before.hash).unwrap_or([0; 32]);
            (Deed::Insert { at: before.at, bytes }, Expected::Present(vec![hash]))
        }
    };
    Job::Change(Change { asker: run, path: edit.path.as_str().into(), deed, expected })
}

/// What the disk has done about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Become {
    /// This is what has become of it.
    Known(Result<(), Unwritten>),
    /// That can be told only by who looks at the note: [`found`].
    Open,
}

/// What has become of it. Of what may be written for the second time, since the process that began the run has ended, the
/// planned bytes are there already.
pub fn outcome(edit: &Edit, outcome: Result<(), ChangeProblem>, taken_over: bool) -> Become {
    let hash = |hash: &FileHash| hexadecimal(hash) == edit.hash;
    Become::Known(match outcome {
        Ok(()) => Ok(()),
        Err(ChangeProblem::Exists(found) | ChangeProblem::Stale(found)) if taken_over && hash(&found) => {
            Ok(())
        }
        Err(ChangeProblem::Stale(_)) if taken_over && edit.before.is_some() => return Become::Open,
        Err(ChangeProblem::Exists(_) | ChangeProblem::Stale(_)) => Err(Unwritten::Overtaken),
        Err(ChangeProblem::Similar(_)) if edit.before.is_none() => Err(Unwritten::Overtaken),
        Err(other) => Err(Unwritten::Refused(other.to_string())),
    })
}

/// What has become of something that a process before this one may have put into a note which was changed since.
///
/// If it stands there more often than before, it was written, whatever else has happened to the note. Somebody else may have
/// written the very same meanwhile: then it is there as well, and is not needed twice.
pub fn found(edit: &Edit, fetched: Result<Fetched, ChangeProblem>) -> Result<(), Unwritten> {
    let file = fetched.map_err(|problem| Unwritten::Refused(problem.to_string()))?;
    let times = edit.before.as_ref().map_or(0, |before| before.times);
    if additions::times(&file.bytes, &edit.text) > times { Ok(()) } else { Err(Unwritten::Overtaken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::organise::Draft;
    use crate::base::HashSeed;
    use crate::limits::Limits;

    fn path_in(folder: &str, title: &str, taken: u32) -> String {
        let draft = Draft {
            title: title.to_owned(),
            body: "It leaks.".to_owned(),
            category: folder.to_owned(),
            tags: Vec::new(),
            related: Vec::new(),
        };
        let note = NewNote { folder: folder.to_owned(), insists: false, draft, taken };
        let library = Library::new(HashSeed(1), &Limits::default());
        create(&note, &library, WallTime::from_millis(0)).unwrap().path
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
            before: None,
        };
        let exists = |text: &[u8]| Err(ChangeProblem::Exists(hash_of(text)));
        let overtaken = || Become::Known(Err(Unwritten::Overtaken));
        assert_eq!(outcome(&edit, exists(b"x"), true), Become::Known(Ok(())));
        assert_eq!(outcome(&edit, exists(b"x"), false), overtaken());
        assert_eq!(outcome(&edit, exists(b"y"), true), overtaken());
    }

    fn fetched(text: &str) -> Result<Fetched, ChangeProblem> {
        Ok(Fetched { bytes: text.into(), hash: hash_of(text.as_bytes()) })
    }

    /// How this is added to a note that says that.
    fn added(content: &str, text: &str) -> Result<Edit, String> {
        let what = What::Content(content.to_owned());
        plan(Wanted { path: "a.md".into(), title: "A".to_owned(), what }, fetched(text), 64)
    }

    #[test]
    fn what_comes_into_a_note_is_looked_for_there_by_whoever_took_the_run_over() {
        let edit = added("It leaks.\n", "A boiler.\n").unwrap();
        let stale = |text: &[u8]| Err(ChangeProblem::Stale(hash_of(text)));
        let ours = b"A boiler.\n\nIt leaks.\n";
        assert_eq!(outcome(&edit, stale(ours), true), Become::Known(Ok(())));
        assert_eq!(outcome(&edit, stale(ours), false), Become::Known(Err(Unwritten::Overtaken)));
        assert_eq!(outcome(&edit, stale(b"other"), true), Become::Open);
        for (text, is_there) in [
            ("A boiler.\n\nIt leaks.\n\nSince May.\n", true),
            ("An old boiler.\n\nIt leaks.\n", true),
            ("An old boiler.\n", false),
        ] {
            let expected = if is_there { Ok(()) } else { Err(Unwritten::Overtaken) };
            assert_eq!(found(&edit, fetched(text)), expected, "{text:?}");
        }
        let again = added("It leaks.\n", "It leaks.\n").unwrap();
        assert_eq!(found(&again, fetched("It leaks.\nBadly.\n")), Err(Unwritten::Overtaken));
        assert_eq!(found(&again, fetched("It leaks.\nBadly.\n\nIt leaks.\n")), Ok(()));
    }

    #[test]
    fn what_can_not_come_into_a_note_is_said() {
        assert_eq!(added(&"x".repeat(60), "A boiler.\n").unwrap_err(), "a.md would have more than 64 bytes");
        let what = What::Content("x".to_owned());
        let latin = Ok(Fetched { bytes: b"caf\xe9".to_vec(), hash: [0; 32] });
        let wanted = Wanted { path: "a.md".into(), title: "A".to_owned(), what };
        assert_eq!(plan(wanted, latin, 64).unwrap_err(), "a.md is not UTF-8");
    }

    #[test]
    fn a_folder_that_was_asked_for_is_taken_or_refused() {
        let library = Library::new(HashSeed(1), &Limits::default());
        for (folder, path) in
            [("house/old", Some("house/old/Tea.md")), ("../etc", None), (".git", None), ("/etc", None)]
        {
            let draft = Draft {
                title: "Tea".to_owned(),
                body: String::new(),
                category: String::new(),
                tags: Vec::new(),
                related: Vec::new(),
            };
            let note = NewNote { folder: folder.to_owned(), insists: true, draft, taken: 0 };
            let planned = create(&note, &library, WallTime::from_millis(0));
            assert_eq!(planned.ok().map(|edit| edit.path).as_deref(), path, "{folder}");
        }
    }

    #[test]
    fn a_path_leads_only_to_notes_that_there_are() {
        let library = Library::new(HashSeed(1), &Limits::default());
        for path in ["../a.md", "/etc/passwd", ".git/config", "a.txt", "a.md"] {
            let wish = Wish::Append { path: path.to_owned(), content: "x\n".to_owned() };
            let begun = begin(&wish, &library, WallTime::from_millis(0));
            let Begun::Planned(Err(why)) = begun else { panic!("{path}: {begun:?}") };
            assert_eq!(why, format!("there is no note {path:?}"));
        }
    }
}
