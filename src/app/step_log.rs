//! `GET /agent/logs`: what the last runs have done, step by step, with times.
//!
//! It is for people who wonder what the agent is at, and is lost with the process; what a run has said is kept elsewhere.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

use crate::base::WallTime;

use super::respond::{Reply, write_json};
use super::runs::{Runs, Status};

/// The steps of the last runs.
#[derive(Debug)]
pub struct StepLog {
    /// In the order in which they began.
    runs: VecDeque<Steps>,
    runs_max: usize,
    steps_max: usize,
}

#[derive(Debug)]
struct Steps {
    run: Uuid,
    steps: Vec<(WallTime, &'static str)>,
    /// Steps beyond those that are shown.
    untold: usize,
}

impl StepLog {
    /// Of at most `runs_max` runs `steps_max` steps each.
    pub fn new(runs_max: usize, steps_max: usize) -> StepLog {
        StepLog { runs: VecDeque::new(), runs_max, steps_max }
    }

    /// A run takes a step.
    pub fn add(&mut self, run: Uuid, step: &'static str, at: WallTime) {
        // Most steps are of a run that began lately.
        let place = self.runs.iter().rposition(|steps| steps.run == run);
        let place = place.unwrap_or_else(|| {
            if self.runs.len() >= self.runs_max {
                self.runs.pop_front();
            }
            self.runs.push_back(Steps { run, steps: Vec::new(), untold: 0 });
            self.runs.len() - 1
        });
        let Some(steps) = self.runs.get_mut(place) else { return };
        if steps.steps.len() < self.steps_max {
            steps.steps.push((at, step));
        } else {
            steps.untold += 1;
        }
    }

    /// Forgets all of them; answers how many runs that were.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.runs).len()
    }
}

/// The last runs, newest first.
pub fn show(limit: usize, runs: &Runs, body: &mut Vec<u8>) -> Reply {
    #[derive(Serialize)]
    struct Body {
        logs: Vec<RunView>,
    }
    #[derive(Serialize)]
    struct RunView {
        run_id: Uuid,
        status: Option<&'static str>,
        steps: Vec<StepView>,
        /// Steps beyond those that are shown.
        untold: usize,
    }
    #[derive(Serialize)]
    struct StepView {
        at: String,
        step: &'static str,
    }
    let view = |steps: &Steps| RunView {
        run_id: steps.run,
        status: status(steps, runs).map(Status::name),
        steps: steps.steps.iter().map(|(at, step)| StepView { at: at.to_string(), step }).collect(),
        untold: steps.untold,
    };
    write_json(&Body { logs: runs.steps().runs.iter().rev().take(limit).map(view).collect() }, body);
    Reply::OK
}

/// Where a run is; one that has ended and gone has told by its last step.
fn status(steps: &Steps, runs: &Runs) -> Option<Status> {
    let here = runs.find(steps.run).and_then(|key| runs.at(key)).map(|record| record.shown());
    here.or_else(|| match steps.steps.last() {
        Some((_, "completed")) => Some(Status::Completed),
        Some((_, "failed")) => Some(Status::Failed),
        Some((_, "cancelled")) => Some(Status::Cancelled),
        _ => None,
    })
}
