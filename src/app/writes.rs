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

use super::note_files::hexadecimal;
use crate::agent::organise::file_stem;
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
    let parted = if folder.is_empty() { "" } else { "/" };
    let mut names = (taken.saturating_add(1)..=NAMES_MAX).map(|number| match number {
        1 => format!("{folder}{parted}{stem}.md"),
        number => format!("{folder}{parted}{stem} {number}.md"),
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
