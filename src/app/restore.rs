//! Taking over from the process before: each run that had not ended is made again from its question, is given its
//! inputs again, and must say what it has said before.
//!
//! Nothing of that is told to anybody: readers have had it, or find it in the log. Only the effect that was outstanding
//! when the process ended is done again.

use serde::Deserialize;

use super::record::json;
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
        let (machine, left, stands, why_not) = match replay(unfinished, limits) {
            Ok((machine, left, stands)) => (machine, left, stands, None),
            // The machine that fails it in a moment has no memory of what was asked, and needs none.
            Err(why) => {
                let machine = Run::new(String::new(), &Question::default(), limits);
                (machine, Left::NotBegun, u64::MAX, Some(why))
            }
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
        let session = session(unfinished);
        let Some(run) = runs.take_over(unfinished, machine, session, left, stands) else {
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

/// The session that it belongs to.
fn session(unfinished: &Unfinished) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Named {
        session: Option<Box<str>>,
    }
    serde_json::from_str::<Named>(&unfinished.admitted.question).ok()?.session
}

/// Makes a run again from what is kept of it. The number is that of the last event that stands: behind it there may be
/// pieces of a reply that was never whole.
///
/// # Errors
/// In words for its reader: what is kept can't be read, or makes another run of it than it was.
fn replay(unfinished: &Unfinished, limits: &Limits) -> Result<(Run, Left, u64), String> {
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
    match last_that_stands(&told, events) {
        Some(stands) => Ok((run, left, stands)),
        None => Err("this version makes another run of what is kept of it than it was".to_owned()),
    }
}

/// The number of the last kept event that the run says again, 0 for none; `None` if it says anything else than it did.
///
/// It does not say again what was told beside its inputs: pieces of a model's replies, and the notes that earlier processes
/// have made of taking it over.
fn last_that_stands(told: &[RunEvent], kept: &[EventText]) -> Option<u64> {
    let mut told = told.iter().map(json).peekable();
    let mut stands = 0;
    for event in kept {
        // A restart has made void what had to be before it, so all that is left up to it stands.
        if event.json.starts_with(RESTART) || told.next_if(|told| **told == *event.json).is_some() {
            stands = event.number;
        } else if !BESIDE_INPUTS.iter().any(|beginning| event.json.starts_with(beginning)) {
            return None;
        }
    }
    told.peek().is_none().then_some(stands)
}

const RESTART: &str = "{\"type\":\"restart\"";

/// Events that are told while a model replies.
const BESIDE_INPUTS: [&str; 4] =
    ["{\"type\":\"token\"", "{\"type\":\"reasoning\"", "{\"type\":\"revision\"", "{\"type\":\"sources\""];
