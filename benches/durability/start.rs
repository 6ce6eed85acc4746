//! The real binary over many kept runs: how long until it answers, and what it takes of memory.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use oneloop::base::WallTime;
use oneloop::limits::Limits;
use oneloop::os::real::Sqlite;
use oneloop::store::{Admitted, Batch, Ending, EventText, Outcome, Record, Storage, Subject};
use uuid::Uuid;

use crate::clients::Probe;
use crate::{Failed, heading, row};

const RUNS_PER_BATCH: usize = 1000;
/// When the first of the runs was accepted, in milliseconds: long ago, but they are kept for longer.
const ACCEPTED_MS: u64 = 1_700_000_000_000;
const TTL_SECONDS: &str = "4000000000";

/// Prints both and answers the median time to the first answer, in ms.
pub fn measure(folder: &Path, notes: &Path, runs: usize, rounds: usize) -> Result<f64, Failed> {
    let (full, empty) = (folder.join("full"), folder.join("empty"));
    for state in [&full, &empty] {
        std::fs::create_dir(state)?;
    }
    let began = Instant::now();
    fill(&full.join("state.db"), runs)?;
    let mib = std::fs::metadata(full.join("state.db"))?.len() >> 20;
    println!("\n{runs} kept runs, made in {:.1} s: {mib} MiB", began.elapsed().as_secs_f64());
    let (mut with, mut without) = (Figures::default(), Figures::default());
    for _ in 0..rounds {
        with.add(notes, &full, runs, &format!("/chat/task/{}", id(0)))?;
        without.add(notes, &empty, runs, "/health")?;
    }
    heading();
    let first_answer = row("to the first answer, ms", &mut with.first_answer);
    row("the same with no runs, ms", &mut without.first_answer);
    row("memory, KiB", &mut with.memory);
    row("the same with no runs, KiB", &mut without.memory);
    Ok(first_answer)
}

/// Makes a database of ended runs.
fn fill(file: &Path, runs: usize) -> Result<(), Failed> {
    let mut storage = Sqlite::open(file, Limits::default().state_bytes_max)?;
    for first in (0..runs).step_by(RUNS_PER_BATCH) {
        let numbers = first..(first + RUNS_PER_BATCH).min(runs);
        let batch = Batch { records: numbers.flat_map(records).collect() };
        storage.commit(&batch).map_err(|trouble| trouble.to_string())?;
    }
    Ok(())
}

/// A run of some events, about as long as a short answer makes it.
fn records(number: usize) -> [Record; 3] {
    let (run, at) = (id(number), WallTime::from_millis(ACCEPTED_MS + number as u64));
    let told = |kind: &str, bytes: usize| {
        format!("{{\"type\":\"{kind}\",\"text\":\"{}\"}}", "word ".repeat(bytes / 5)).into_boxed_str()
    };
    let texts =
        [("status", 80), ("status", 80), ("sources", 500), ("token", 60), ("token", 60), ("done", 10)];
    let complete =
        format!("{{\"type\":\"complete\",\"response\":{{\"response\":\"{}\"}}}}", "word ".repeat(160));
    let mut jsons: Vec<Box<str>> = texts.iter().map(|(kind, bytes)| told(kind, *bytes)).collect();
    jsons.insert(texts.len() - 1, complete.into());
    let events = (1..).zip(jsons).map(|(number, json)| EventText { number, json }).collect();
    [
        Record::Admitted(Admitted {
            run,
            created_at: at,
            question: "{\"message\":\"When was the kettle bought?\",\"history\":[]}".into(),
            subject: Subject { message: "When was the kettle bought?".into(), session: None },
            ends_when_left: false,
            key: None,
            reserved: 1024,
            callback: None,
        }),
        Record::Events { run, events },
        Record::Ended { run, ending: Ending { outcome: Outcome::Completed, at, error: None } },
    ]
}

/// The id of a run: a UUIDv7 of its moment.
fn id(number: usize) -> Uuid {
    let millis = ACCEPTED_MS + number as u64;
    uuid::Builder::from_unix_timestamp_millis(
        millis,
        &(number as u128).to_be_bytes()[6..].try_into().expect("ten"),
    )
    .into_uuid()
}

#[derive(Default)]
struct Figures {
    /// In ms.
    first_answer: Vec<f64>,
    /// In KiB.
    memory: Vec<f64>,
}

impl Figures {
    /// Starts a process, asks it for one thing and kills it.
    fn add(&mut self, notes: &Path, state: &Path, runs: usize, asked: &str) -> Result<(), Failed> {
        let began = Instant::now();
        let process = Process::start(notes, state, runs)?;
        let mut probe = Probe::connect(process.address)?;
        probe.get(asked)?;
        self.first_answer.push(began.elapsed().as_secs_f64() * 1e3);
        let kept = probe.info()?["store"]["ended"].as_u64();
        let expected = if asked == "/health" { 0 } else { runs as u64 };
        if kept != Some(expected) {
            return Err(format!("{kept:?} runs are kept, and not {expected}").into());
        }
        while !probe.get("/health")?.contains("\"ready\"") {}
        self.memory.push(process.memory_kib()?);
        Ok(())
    }
}

/// A process; killed with its value.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(notes: &Path, state: &Path, runs: usize) -> Result<Process, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oneloop"));
        command.arg("serve").arg(notes).arg("--state-dir").arg(state);
        command.args(["--listen", "127.0.0.1:0", "--no-access-log", "--task-ttl", TTL_SECONDS]);
        command.args(["--task-keep", &runs.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or("it is piped")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").and_then(|rest| rest.parse().ok());
        // Made first, so that the child ends with it whatever it has said.
        let process = Process { child, address: address.unwrap_or(SocketAddr::from(([0; 4], 0))) };
        if address.is_some() { Ok(process) } else { Err(format!("it does not listen: {line:?}").into()) }
    }

    /// Memory of its own that is resident: not what is mapped from files.
    fn memory_kib(&self) -> Result<f64, Failed> {
        let summary = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = summary.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        Ok(line
            .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .ok_or("the kernel tells it")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
