//! Runs the server in simulated worlds, each made from one number.
//!
//! ```text
//! cargo run --release --example simulate -- --seed 7 --trace     one world, told step by step
//! cargo run --release --example simulate -- --seeds 200000       many, over all cores
//! cargo run --release --features planted-faults --example simulate -- --planted
//!                                                                 how soon planted mistakes are found
//! ```
//!
//! A world in which something goes wrong is made smaller, by leaving out actors, kinds of fault and single strikes for
//! as long as it still goes wrong, and then its last fifty events are told. Each try is a process of its own, so that
//! a server that panics takes nobody with it.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a tool's own bookkeeping: it starts processes and takes the time that they need"
)]

mod play;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use oneloop::base::planted::Planted;
use oneloop::os::faults::{Fault, Strike};
use oneloop::os::sim::Telling;

use play::run::run;
use play::scenario::{Omitted, Scenario};
use play::shrink::shrink;

/// Runs the server in simulated worlds, each made from one number, and looks whether anything goes wrong.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "simulate",
    after_help = "Examples:\n  \
    simulate --seed 7 --trace       one world, told step by step\n  \
    simulate --seed 7               one world; if it fails, the smallest that fails the same way\n  \
    simulate --seeds 200000         many worlds, over all cores"
)]
struct Arguments {
    /// Run this world.
    #[arg(long, value_name = "NUMBER", conflicts_with = "seeds", required_unless_present_any = ["seeds", "planted"])]
    seed: Option<u64>,
    /// Run so many worlds.
    #[arg(long, value_name = "COUNT")]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// Processes at once; as many as there are cores if not given.
    #[arg(long, value_name = "COUNT")]
    jobs: Option<u64>,
    /// Tell everything that happens, step by step, with the server's own debug log.
    #[arg(long)]
    trace: bool,
    /// Leave out the actor with this number; repeatable.
    #[arg(long, value_name = "NUMBER")]
    without_actor: Vec<usize>,
    /// Leave out a kind of fault; repeatable.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    without_fault: Vec<Fault>,
    /// Leave out one strike, FAULT:OPPORTUNITY; repeatable.
    #[arg(long, value_name = "STRIKE", value_parser = strike)]
    without_strike: Vec<Strike>,
    /// Plant this mistake in the server (in builds with the feature planted-faults).
    #[arg(long, value_name = "MISTAKE", value_parser = mistake)]
    plant: Option<Planted>,
    /// For each mistake that can be planted, count the worlds until one shows it (with that feature).
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    planted: bool,
    /// Stop at the first failure.
    #[arg(long, hide = true)]
    first: bool,
    /// Print one line of outcome a world and nothing else: what the other modes start.
    #[arg(long, hide = true)]
    worker: bool,
}

fn fault(name: &str) -> Result<Fault, String> {
    let found = Fault::ALL.iter().find(|fault| format!("{fault:?}") == name);
    found.copied().ok_or_else(|| format!("there is no such fault; there are {:?}", Fault::ALL))
}

fn mistake(name: &str) -> Result<Planted, String> {
    let found = Planted::ALL.iter().find(|mistake| format!("{mistake:?}") == name);
    let found =
        found.copied().ok_or_else(|| format!("there is no such mistake; there are {:?}", Planted::ALL))?;
    if cfg!(feature = "planted-faults") {
        Ok(found)
    } else {
        Err("this build has no mistakes to plant".to_owned())
    }
}

fn strike(text: &str) -> Result<Strike, String> {
    let (name, number) = text.split_once(':').ok_or("a strike is FAULT:OPPORTUNITY")?;
    let opportunity = number.parse().map_err(|_| "an opportunity is a number")?;
    Ok(Strike { fault: fault(name)?, opportunity })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let omitted = Omitted {
        actors: arguments.without_actor.clone(),
        faults: arguments.without_fault.clone(),
        strikes: arguments.without_strike.clone(),
    };
    #[cfg(feature = "planted-faults")]
    oneloop::base::planted::plant(arguments.plant);
    if arguments.planted {
        return find_planted(arguments.plant);
    }
    match (arguments.seed, arguments.seeds) {
        (Some(seed), _) if arguments.trace => trace(seed, omitted),
        (Some(seed), _) if arguments.worker => work(seed, 1, &omitted, arguments.first),
        (Some(seed), _) => run_one(seed, omitted, arguments.plant),
        (None, Some(count)) if arguments.worker => work(arguments.from, count, &omitted, arguments.first),
        (None, count) => run_many(arguments.from, count.unwrap_or(1), arguments.jobs),
    }
}

// --- One world ----------------------------------------------------------------------------------------------------

fn trace(seed: u64, omitted: Omitted) -> ExitCode {
    struct Told;
    impl log::Log for Told {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            println!("               server: {}", record.args());
        }
        fn flush(&self) {}
    }
    if log::set_logger(&Told).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    let scenario = Scenario::new(seed, omitted);
    describe(&scenario);
    let outcome = run(&scenario, Telling::All);
    println!();
    println!("{} turns, {} happenings, trace {:016x}", outcome.turns, outcome.happened, outcome.hash);
    match outcome.failure {
        None => {
            println!("all went well");
            ExitCode::SUCCESS
        }
        Some(failure) => {
            println!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn describe(scenario: &Scenario) {
    println!("world {} with {} actors:", scenario.seed, scenario.actors());
    for line in scenario.people() {
        println!("  {line}");
    }
    println!("what may go wrong, in strikes per thousand opportunities:");
    for (fault, per_mille) in &scenario.weather.per_mille {
        println!("  {per_mille:>4}  {fault:?}: {}", fault.words());
    }
    println!();
}

fn run_one(seed: u64, omitted: Omitted, plant: Option<Planted>) -> ExitCode {
    let attempt = |seed, omitted: &Omitted| attempt(seed, omitted, plant);
    let child = |seed, omitted: &Omitted| child(seed, omitted, plant);
    let Err(failure) = attempt(seed, &omitted) else {
        println!("world {seed}: all went well");
        return ExitCode::SUCCESS;
    };
    println!("world {seed} FAILED: {failure}");
    println!("looking for the smallest that fails …");
    let smallest = shrink(
        &Scenario::new(seed, omitted),
        |omitted| attempt(seed, omitted).is_err(),
        |omitted| strikes_told(&trace_of(&mut child(seed, omitted))),
    );
    let scenario = Scenario::new(seed, smallest.clone());
    println!();
    describe(&scenario);
    // Its last words come from a process of its own too: the server may well panic.
    let told = trace_of(&mut child(seed, &smallest));
    let lines: Vec<&str> = told.lines().filter(|line| !line.starts_with("               server:")).collect();
    let faults: Vec<&&str> = lines.iter().filter(|line| line.contains("  FAULT ")).collect();
    println!("what went wrong around the server ({} strikes):", faults.len());
    for line in faults.iter().take(50) {
        println!("{line}");
    }
    println!();
    println!("the last fifty events:");
    for line in &lines[lines.len().saturating_sub(54)..] {
        println!("{line}");
    }
    println!();
    let feature = if plant.is_some() { " --features planted-faults" } else { "" };
    let planted = plant.map(|plant| format!(" --plant {plant:?}")).unwrap_or_default();
    println!(
        "again, step by step:\n  cargo run --release{feature} --example simulate -- --seed {seed} --trace{planted}{}",
        smallest.arguments()
    );
    ExitCode::FAILURE
}

/// What a world tells when it is run step by step, be it that the server panics in the end.
fn trace_of(child: &mut Command) -> String {
    let told = child.arg("--trace").output().expect("this program can be started again");
    String::from_utf8_lossy(&told.stdout).into_owned()
}

/// The strikes that a trace tells of.
fn strikes_told(trace: &str) -> Vec<Strike> {
    let names = trace.lines().filter_map(|line| line.split_once(" FAULT ")?.1.split_whitespace().next());
    names.filter_map(|name| strike(name).ok()).collect()
}

fn child(seed: u64, omitted: &Omitted, plant: Option<Planted>) -> Command {
    let program = std::env::current_exe().expect("a running program has a name");
    let mut command = Command::new(program);
    command.arg("--seed").arg(seed.to_string()).args(omitted.arguments().split_whitespace());
    command.args(plant.map(|plant| format!("--plant={plant:?}")));
    command
}

/// Runs a world in a process of its own.
fn attempt(seed: u64, omitted: &Omitted, plant: Option<Planted>) -> Result<(), String> {
    let output =
        child(seed, omitted, plant).arg("--worker").output().expect("this program can be started again");
    let told = String::from_utf8_lossy(&output.stdout);
    match told.lines().find_map(|line| line.strip_prefix("failed ")) {
        Some(failure) => Err(failure.split_once(' ').map_or(failure, |(_, words)| words).to_owned()),
        None if output.status.success() => Ok(()),
        None => Err(format!("the process ended with {}", output.status)),
    }
}

// --- Many worlds --------------------------------------------------------------------------------------------------

/// The world that is being run, for the words of a panic.
static CURRENT: AtomicU64 = AtomicU64::new(0);

fn work(from: u64, count: u64, omitted: &Omitted, first: bool) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // Where panics abort, this is the last that is heard of this process.
        let words = panic.to_string().replace('\n', " ");
        println!("failed {} {words}", CURRENT.load(Ordering::Relaxed));
    }));
    let mut seen = BTreeMap::new();
    let (mut turns, mut happened, mut hash) = (0, 0, 0_u64);
    for seed in from..from + count {
        CURRENT.store(seed, Ordering::Relaxed);
        let outcome = run(&Scenario::new(seed, omitted.clone()), Telling::Nothing);
        turns += outcome.turns;
        happened += outcome.happened;
        hash = hash.wrapping_add(outcome.hash);
        for what in outcome.seen {
            *seen.entry(what).or_insert(0_u64) += 1;
        }
        if let Some(failure) = outcome.failure {
            println!("failed {seed} {}", failure.replace('\n', " "));
            if first {
                break;
            }
        }
    }
    println!("sums {turns} {happened} {hash}");
    for (what, count) in seen {
        println!("seen {count} {what}");
    }
    println!("ended");
    ExitCode::SUCCESS
}

/// Worlds that one process runs: few enough that a crash costs little.
const WORLDS_PER_PROCESS: u64 = 500;

#[derive(Default)]
struct Sums {
    turns: u64,
    happened: u64,
    /// The sum of all traces' hashes: two calls for the same worlds must tell the same.
    hash: u64,
    seen: BTreeMap<String, u64>,
    failures: BTreeMap<u64, String>,
}

fn run_many(from: u64, count: u64, jobs: Option<u64>) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let jobs = jobs.unwrap_or(cores).max(1);
    let next = AtomicU64::new(from);
    let began = Instant::now();
    let all = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| run_share(&next, from + count))).collect();
        let mut all = Sums::default();
        for worker in workers {
            let sums = worker.join().expect("a worker has no reason to panic");
            all.turns += sums.turns;
            all.happened += sums.happened;
            all.hash = all.hash.wrapping_add(sums.hash);
            all.failures.extend(sums.failures);
            for (what, count) in sums.seen {
                *all.seen.entry(what).or_default() += count;
            }
        }
        all
    });
    let took = began.elapsed().as_secs_f64();
    println!();
    println!("sometimes, in so many of {count} worlds:");
    for (what, count) in &all.seen {
        println!("{count:>8}  {what}");
    }
    println!();
    println!(
        "{count} worlds in {took:.1} s ({:.0} a second), {} turns, {} happenings, all traces {:016x}, {} failures",
        count as f64 / took,
        all.turns,
        all.happened,
        all.hash,
        all.failures.len()
    );
    if all.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_share(next: &AtomicU64, end: u64) -> Sums {
    let mut sums = Sums::default();
    loop {
        let first = next.fetch_add(WORLDS_PER_PROCESS, Ordering::Relaxed);
        if first >= end {
            return sums;
        }
        let last = end.min(first + WORLDS_PER_PROCESS);
        let mut from = first;
        // A process that dies is followed by one that goes on behind the world that killed it.
        while from < last {
            from = run_process(from, last, &mut sums);
        }
        print!("\r{} of worlds begun, {} failures here ", last, sums.failures.len());
        let _ = std::io::stdout().flush();
    }
}

/// Runs worlds `from..end` in a process; answers where to go on.
fn run_process(from: u64, end: u64, sums: &mut Sums) -> u64 {
    let program = std::env::current_exe().expect("a running program has a name");
    let mut process = Command::new(program)
        .args(["--worker", "--from", &from.to_string(), "--seeds", &(end - from).to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program can be started again");
    let told = BufReader::new(process.stdout.take().expect("its output was asked for"));
    let mut died_at = None;
    let mut ended = false;
    for line in told.lines().map_while(Result::ok) {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next().and_then(|word| word.parse::<u64>().ok()), words.next()) {
            (Some("failed"), Some(seed), Some(failure)) => {
                println!("\nworld {seed}: {}", failure.chars().take(500).collect::<String>());
                sums.failures.insert(seed, failure.to_owned());
                died_at = Some(seed);
            }
            (Some("sums"), Some(turns), Some(others)) => {
                let (happened, hash) = others.split_once(' ').unwrap_or((others, ""));
                sums.turns += turns;
                sums.happened += happened.parse().unwrap_or(0);
                sums.hash = sums.hash.wrapping_add(hash.parse().unwrap_or(0));
            }
            (Some("seen"), Some(count), Some(what)) => {
                *sums.seen.entry(what.to_owned()).or_default() += count
            }
            (Some("ended"), ..) => ended = true,
            _ => {}
        }
    }
    let _ = process.wait();
    match died_at {
        _ if ended => end,
        Some(seed) => seed + 1,
        None => {
            println!("\na process that ran worlds {from} to {end} died without a word");
            sums.failures.insert(from, "died without a word".to_owned());
            end
        }
    }
}

// --- Planted mistakes ---------------------------------------------------------------------------------------------

/// Worlds in which each must be found.
const WORLDS_PER_MISTAKE: u64 = 20_000;
/// Finds that are counted for each.
const FINDS: usize = 9;

fn find_planted(only: Option<Planted>) -> ExitCode {
    if !cfg!(feature = "planted-faults") {
        eprintln!("this build has no mistakes to plant: add --features planted-faults");
        return ExitCode::from(2);
    }
    println!("{:<24} {:>7} {:>8}  first found as", "mistake", "first", "median");
    let mistakes: Vec<Planted> =
        Planted::ALL.iter().copied().filter(|mistake| only.is_none_or(|only| only == *mistake)).collect();
    let next = AtomicU64::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let missed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(|| find_share(&mistakes, &next))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker has no reason to panic"))
            .sum::<usize>()
    });
    println!("{} mistakes planted, {missed} not found within {WORLDS_PER_MISTAKE} worlds", mistakes.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find_share(mistakes: &[Planted], next: &AtomicU64) -> usize {
    let mut missed = 0;
    while let Some(mistake) = mistakes.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
        let (mut from, mut gaps, mut words) = (1, Vec::new(), String::new());
        while gaps.len() < FINDS
            && let Some((seed, failure)) = find_next(*mistake, from)
        {
            gaps.push(seed + 1 - from);
            from = seed + 1;
            if words.is_empty() {
                words = failure.chars().take(90).collect();
            }
        }
        let first = gaps.first().copied();
        gaps.sort_unstable();
        match first {
            Some(first) => {
                println!("{:<24} {first:>7} {:>8}  {words}", format!("{mistake:?}"), gaps[gaps.len() / 2])
            }
            None => {
                missed += 1;
                println!("{:<24} {:>7} {:>8}  {}", format!("{mistake:?}"), "-", "-", mistake.words());
            }
        }
    }
    missed
}

/// The next world, from this one on, that shows the mistake.
fn find_next(mistake: Planted, from: u64) -> Option<(u64, String)> {
    let program = std::env::current_exe().expect("a running program has a name");
    let count = (WORLDS_PER_MISTAKE + 1).checked_sub(from).filter(|count| *count > 0)?;
    let output = Command::new(program)
        .args(["--worker", "--first", "--from", &from.to_string(), "--seeds", &count.to_string()])
        .arg(format!("--plant={mistake:?}"))
        .output()
        .expect("this program can be started again");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = told.lines().find_map(|line| line.strip_prefix("failed "))?;
    let (seed, words) = failed.split_once(' ')?;
    Some((seed.parse().ok()?, words.to_owned()))
}
