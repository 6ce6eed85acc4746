//! What it costs the loop, for each run, to put what is to be kept into words and to mark it as kept: without a disk
//! and without clients, over runs as the storm has left them.

use std::path::Path;

use oneloop::agent::{Outcome, Question, Run, RunEvent};
use oneloop::app::runs::{Asked, OnDisconnect, Runs};
use oneloop::limits::Limits;
use oneloop::os::Clock;
use oneloop::os::real::{Sqlite, SystemClock, SystemEntropy};
use oneloop::store::{Storage, Subject};

use crate::server::{cpu, micros_since};
use crate::{Failed, heading, row};

const RUNS: usize = 1000;
const ROUNDS: usize = 9;

/// Prints what a run costs, from its acceptance to its end in one batch.
pub fn measure(file: &Path) -> Result<(), Failed> {
    let events = events(file)?;
    let bytes: usize =
        events.iter().map(|event| serde_json::to_string(event).map_or(0, |json| json.len())).sum();
    let (mut gathered, mut marked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (gather, mark) = round(&events)?;
        gathered.push(gather);
        marked.push(mark);
    }
    println!("\nwhat is work for each run, of {} events and {bytes} bytes", events.len());
    heading();
    row("CPU, putting it into words, µs", &mut gathered);
    row("CPU, marking and letting go, µs", &mut marked);
    Ok(())
}

/// Events of a run that is kept.
fn events(file: &Path) -> Result<Vec<RunEvent>, Failed> {
    let mut storage = Sqlite::open(file, Limits::default().state_bytes_max)?;
    let rows = storage.list(None, 100).map_err(|trouble| trouble.to_string())?;
    let ended = rows.iter().find(|row| row.ended.is_some()).ok_or("the storm has left no run that ended")?;
    let kept = storage.find(ended.run).map_err(|trouble| trouble.to_string())?.ok_or("it was listed")?;
    let events = kept.events.iter().map(|event| Ok(serde_json::from_str(&event.json)?));
    events.collect()
}

/// Both costs of a run, in µs.
fn round(events: &[RunEvent]) -> Result<(f64, f64), Failed> {
    let (limits, clock, mut entropy) = (Limits::default(), SystemClock::new(), SystemEntropy::default());
    let mut runs = Runs::new(RUNS, RUNS, limits.sessions_max, &limits);
    let question = Question { message: "When was kettle 1 bought?".to_owned(), ..Question::default() };
    for _ in 0..RUNS {
        let text = serde_json::to_string(&question)?.into_boxed_str();
        let on_disconnect = OnDisconnect::Continue;
        let asked =
            Asked { on_disconnect, question: text, subject: Subject::default(), key: None, callback: None };
        let run = runs.admit(asked, &clock, &mut entropy, |id| Run::new(id, &question, &limits));
        let run = run.map_err(|busy| busy.to_string())?;
        runs.begin_next().ok_or("there is a place for each")?;
        runs.told(run, events);
        runs.finish(run, Outcome::Completed, clock.wall());
    }
    let (mut gather, mut mark) = (0.0, 0.0);
    while runs.has_unkept() {
        let began = cpu();
        let batch = runs.gather();
        gather += micros_since(began);
        drop(batch);
        let began = cpu();
        let mut settled = Vec::new();
        runs.kept(|run| settled.push(run));
        for run in settled {
            runs.retire(run);
        }
        mark += micros_since(began);
    }
    Ok((gather / RUNS as f64, mark / RUNS as f64))
}
