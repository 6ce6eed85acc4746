//! Taking over from the process before: each run that had not ended is made again from its question, is given its
//! inputs again, and must say what it has said before.
//!
//! Nothing of that is told to anybody: readers have had it, or find it in the log. Only the effect that was outstanding
//! when the process ended is done again.

use super::runs::{Left, Runs};
use super::work::Works;
use crate::agent::{Effect, Input, Outcome, Question, Run, RunEvent};
use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;
use crate::os::Clock;
use crate::store::{EventText, Loaded, Unfinished};

/// Takes over all runs that had not ended; answers how many of them go on.
pub fn take_over(
    loaded: &Loaded,
    runs: &mut Runs,
    works: &mut Works,
    limits: &Limits,
    clock: &dyn Clock,
) -> usize {
    runs.skip_ids_to(loaded.newest.max(loaded.swept_to));
    runs.expect_left(loaded.unfinished.len());
    let mut taken_over = 0;
    for unfinished in &loaded.unfinished {
        let (machine, left, why_not) = match replay(unfinished, limits) {
            Ok((machine, left)) => (machine, left, None),
            // The machine that fails it in a moment has no memory of what was asked, and needs none.
            Err(why) => (Run::new(String::new(), &Question::default(), limits), Left::NotBegun, Some(why)),
        };
        let why_not = why_not.or_else(|| {
            let is_given_up = unfinished.attempts >= limits.run_attempts_max;
            (is_given_up && !is_planted(Planted::TriesForEver)).then(|| {
                format!(
                    "the process ended {} times while this run was at work; it is not tried again",
                    unfinished.attempts
                )
            })
        });
        let Some(run) = runs.take_over(unfinished, machine, left) else {
            log::error!("run {} is kept but there is no room for it", unfinished.admitted.run);
            continue;
        };
        if let Some(why) = why_not {
            log::warn!("run {}: {why}", unfinished.admitted.run);
            works.fail(run, why, runs, clock);
            continue;
        }
        taken_over += 1;
    }
    taken_over
}

/// Makes a run again from what is kept of it.
///
/// # Errors
/// In words for its reader: what is kept can't be read, or makes another run of it than it was.
fn replay(unfinished: &Unfinished, limits: &Limits) -> Result<(Run, Left), String> {
    const UNREADABLE: &str = "what is kept of this run can't be read by this version";
    let Unfinished { admitted, inputs, events, .. } = unfinished;
    let question: Question = serde_json::from_str(&admitted.question).map_err(|_| UNREADABLE.to_owned())?;
    let mut run = Run::new(admitted.run.to_string(), &question, limits);
    let mut told = Vec::new();
    let mut left = Left::NotBegun;
    for input in inputs {
        let input: Input = serde_json::from_str(input).map_err(|_| UNREADABLE.to_owned())?;
        match run.resume(input, &mut told) {
            Ok(Effect::Finish(Outcome::Completed | Outcome::Failed | Outcome::Cancelled)) | Err(_) => {
                return Err(UNREADABLE.to_owned());
            }
            Ok(effect) => left = Left::At(effect),
        }
    }
    if !says_the_same(&told, events) {
        return Err("this version makes another run of what is kept of it than it was".to_owned());
    }
    Ok((run, left))
}

/// A run's events are those that are kept, beside the notes that earlier processes have made of taking it over.
fn says_the_same(told: &[RunEvent], kept: &[EventText]) -> bool {
    let mut kept = kept.iter().filter(|event| !event.json.starts_with("{\"type\":\"restart\""));
    let is_same = |event: &RunEvent| {
        let json = serde_json::to_string(event).ok();
        kept.next().is_some_and(|kept| json.as_deref() == Some(&*kept.json))
    };
    told.iter().all(is_same) && kept.next().is_none()
}
