//! What the agent writes: how a wish becomes bytes at a path, and how the disk's words become the run's.
//!
//! ```text
//! Effect::Plan  ─► a free name, and the note's bytes ─► Input::Planned, which is kept
//!                                                          │ kept
//! Effect::Write ─────────────────────────────────────────► the disk helper ─► the index ─► Input::Wrote
//! ```
//!
//! Nothing is written before it is kept what is to be written, byte for byte. So a process that takes the run over knows
//! what the one before may have done: it finds the planned bytes there, and is done, or writes them itself. It never
//! writes twice, and never something else.

use super::note_files::{hexadecimal, note_path};
use crate::agent::organise::{INBOX, file_stem};
use crate::agent::{Edit, Unwritten, Wish};
use crate::base::{Key, WallTime};
use crate::notes::Library;
use crate::os::disk::{Change, ChangeProblem, Deed, Expected, Job, hash_of};

/// Plans a new note: under a name that no other has.
///
/// # Errors
/// In words for the reader, without a full stop.
pub fn plan(wish: &Wish, library: &Library, now: WallTime) -> Result<Edit, String> {
    let Wish { folder, draft, taken } = wish;
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
    Ok(Edit { path, title: draft.title.clone(), text, hash })
}

/// Names that are tried: `Tea`, `Tea 2`, and so on.
const NAMES_MAX: u32 = 1000;

/// What the disk is to do for what was planned.
pub fn job(run: Key, edit: &Edit) -> Job {
    let deed = Deed::Write(edit.text.clone().into_bytes());
    Job::Change(Change { asker: run, path: edit.path.as_str().into(), deed, expected: Expected::Absent })
}

/// What has become of it. Of what may be written for the second time, since the process that began the run has ended, the
/// planned bytes are there already.
pub fn outcome(edit: &Edit, outcome: Result<(), ChangeProblem>, taken_over: bool) -> Result<(), Unwritten> {
    outcome.or_else(|problem| match problem {
        ChangeProblem::Exists(hash) if taken_over && hexadecimal(&hash) == edit.hash => Ok(()),
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
    use crate::limits::Limits;

    fn path_in(folder: &str, title: &str, taken: u32) -> String {
        let draft = Draft {
            title: title.to_owned(),
            body: "It leaks.".to_owned(),
            category: folder.to_owned(),
            tags: Vec::new(),
            related: Vec::new(),
        };
        let wish = Wish { folder: folder.to_owned(), draft, taken };
        let library = Library::new(HashSeed(1), &Limits::default());
        plan(&wish, &library, WallTime::from_millis(0)).unwrap().path
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
        };
        let exists = |text: &[u8]| Err(ChangeProblem::Exists(hash_of(text)));
        assert_eq!(outcome(&edit, exists(b"x"), true), Ok(()));
        assert_eq!(outcome(&edit, exists(b"x"), false), Err(Unwritten::Overtaken));
        assert_eq!(outcome(&edit, exists(b"y"), true), Err(Unwritten::Overtaken));
    }
}
