//! The whole server in simulated worlds: nothing goes wrong in two thousand of them, and what once did does not again.
//!
//! `simulate.rs` beside this file runs one world step by step, or as many as one likes.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test's own bookkeeping: it spreads worlds over threads and starts processes"
)]

mod model_server;
mod play;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oneloop::config::{Config, ModelConfig, Writes};
use oneloop::limits::Limits;
use oneloop::os::faults::{Fault, Strike, Weather};
use oneloop::os::sim::{Actor, Plan, Random, Telling, Wires, World};

use oneloop::wire::url::Url;
use play::ledger::{Bookkeeper, LEDGER};
use play::model::manners::{Manners, Trouble};
use play::model::{HOST, Model, PORT, addresses, wanted};
use play::others::Supervisor;
use play::run::{Outcome, run, run_world};
use play::scenario::{Omitted, Scenario};
use play::script::{Script, Step};
use play::shrink::shrink;
use play::sockets::frames::{HANDSHAKE, LAST, PING, PONG, TEXT, frame};
use play::sockets::{Manner, Socket, Wish};
use play::town::{SUBJECTS, Town, code};
use play::visitor::{Errand, Temper, Visitor};

const WORLDS: u64 = 2000;

/// What must have been seen to happen in these worlds, beside every kind of fault and everything that troubles a model: an invariant that nothing has put to the test proves nothing.
const SOMETIMES: &[&str] = &[
    "a body was received in pieces",
    "a body was refused from its declared size",
    "a call of the model failed",
    "a call of the model was answered",
    "a call of the model was ended because nobody waited for it any more",
    "a call of the model was tried again",
    "a callback was delivered",
    "a callback was given up",
    "a callback was received twice",
    "a callback was received, and the answer was lost",
    "a callback was tried again",
    "a cancel came too late",
    "a chat was answered by the model",
    "a chat was answered by the notes in the model's place",
    "a chat was answered out of the right note",
    "a chat was asked before its note was indexed",
    "a call was cancelled",
    "a call was put off",
    "a cancel over a socket was answered with a state",
    "a chat over a socket was answered",
    "a chat was cancelled under a client that had half-closed",
    "a client shut its sending side and went on reading",
    "a client left its completion",
    "a client vanished",
    "a client was told the vectors of its texts",
    "a client was told that its texts can't be embedded",
    "a client that had half-closed was not told the vectors of its texts",
    "a client vanished from its socket",
    "a completion was sent whole",
    "a completion was streamed",
    "a message over a socket was refused with 503",
    "a ping was answered",
    "a run had ended before its completion was left",
    "a run was cancelled because its completion was left",
    "a run was read again from an earlier event",
    "a run was resumed over another socket",
    "a silent socket was pinged, and answered",
    "a socket read as many runs as it may",
    "a socket read several runs at once",
    "a socket that broke the protocol was told so",
    "a socket that does not answer was given up",
    "a socket was closed in good order",
    "a socket was told that something is not kept for now",
    "a socket was closed in favour of somebody else",
    "a socket was told that the server goes away",
    "a socket was too slow with a message",
    "a tool was called over MCP",
    "nonsense over a socket was refused",
    "somebody spoke before its handshake was answered",
    "a client saw that a callback was delivered",
    "a client saw that a callback was given up",
    "a client saw why a callback was to be tried again",
    "a process took over callbacks that were outstanding",
    "a receiver of callbacks redirected",
    "a receiver of callbacks refused for good",
    "a receiver of callbacks said nothing",
    "a receiver of callbacks wanted to be left alone for a while",
    "all places for callbacks were taken",
    "as many callbacks were outstanding as may be",
    "a client was refused",
    "a client was reset",
    "a client was told to go on with its body",
    "a connection owed more than the high mark",
    "a connection to the model carried another call",
    "a model called a tool wrongly",
    "a model called tools again and again",
    "a model server did not stream",
    "a model server found a question too long",
    "a model server hung up on an idle connection",
    "a model server hung up when a connection was used again",
    "a model server refused tools",
    "a model server was left within an answer",
    "a model server went away",
    "a model was told what its tools had found",
    "a note could not be written",
    "a note that others write as well was written",
    "a note that was written had its answer lost",
    "a note of the agent's was taken away again",
    "a note was made, read, removed and missed",
    "a note was saved, synced and found",
    "a source was verified and has changed",
    "a source was verified and has moved",
    "a source was verified and is gone",
    "a source was verified and stands",
    "the caches were emptied",
    "a process took over from one that had stopped",
    "a process took over runs that had not ended",
    "a process was killed while a run asked the model",
    "a process was killed",
    "a reader of an ended stream was told 204",
    "a reader was ahead of what a crash has kept",
    "a reader was told that a crash has made events void",
    "a reader was told that an answer begins anew",
    "a reader was told what the model thought",
    "a request was answered 503",
    "a run had ended, and its end was not kept yet",
    "a run had several readers, or an ended one some",
    "a run waited for a place",
    "a run was at work while stopping",
    "a run was cancelled at work",
    "a run was cancelled by request",
    "a run was cancelled while it waited",
    "a run was forgotten while somebody asked for it",
    "a run was given up after it had been at work in processes that were killed",
    "a run was made again from its inputs",
    "a run was refused because it could not be kept",
    "a runnable task waited for a later turn",
    "a silent stream had a heartbeat",
    "a slow request was answered 408",
    "a stream was broken and joined again",
    "a stream was told that it is not kept for now",
    "a sync found notes added and removed",
    "a sync was answered",
    "a task was accepted",
    "a timer fired in a turn that closed a connection",
    "a timer fired while stopping",
    "a writer was told that somebody else was faster",
    "accepting paused for want of descriptors",
    "accepting paused while runs were at work",
    "an answer of the model's was given once more",
    "many sockets were ready at once",
    "notes were listed page by page",
    "nonsense was refused",
    "one call was let through to see whether the model answers",
    "one connection more than the bound was let in",
    "several connections were closed in one turn",
    "several runs were at work at once",
    "several timers fired in one turn",
    "something could not be kept, or not be looked up",
    "the model was asked again after it had failed for a while",
    "the model was not asked for a while because it had failed",
    "the process stopped at once, on a second signal",
    "the process stopped in good order",
    "the same bytes were sent in one piece and drop by drop",
    "two clients waited for one scan",
    "two runs shared a call of the model",
    "what the model had answered before was not asked again",
    "what was told was kept as a note",
    "what was written was found at once",
];

#[test]
fn in_two_thousand_worlds_nothing_goes_wrong() {
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failed = BTreeSet::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_share(&next))).collect();
        for worker in workers {
            let (seen_there, failed_there) = worker.join().expect("panics of the server are caught");
            seen_there.into_iter().for_each(|(what, count)| *seen.entry(what).or_default() += count);
            failed.extend(failed_there);
        }
    });
    if let Some(seed) = failed.first() {
        panic!("{} of {WORLDS} worlds failed: {failed:?}\n{}", failed.len(), story(*seed));
    }
    let faults = Fault::ALL.iter().map(|fault| fault.words());
    let troubles = Trouble::ALL.iter().map(|trouble| trouble.words());
    let all = SOMETIMES.iter().copied().chain(faults).chain(troubles);
    let missing: Vec<&str> = all.filter(|what| !seen.contains_key(what)).collect();
    assert!(missing.is_empty(), "never seen to happen: {missing:?}; seen: {seen:#?}");
}

fn run_share(next: &AtomicU64) -> (BTreeMap<&'static str, u64>, BTreeSet<u64>) {
    let (mut seen, mut failed) = (BTreeMap::new(), BTreeSet::new());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed > WORLDS {
            return (seen, failed);
        }
        let outcome = run(&Scenario::new(seed, Omitted::default()), Telling::Nothing);
        outcome.seen.into_iter().for_each(|what| *seen.entry(what).or_default() += 1);
        if outcome.failure.is_some() {
            failed.insert(seed);
        }
    }
}

/// The smallest world like this one that fails, and its last words.
fn story(seed: u64) -> String {
    let outcome = |omitted: &Omitted| run(&Scenario::new(seed, omitted.clone()), Telling::Nothing);
    let smallest = shrink(
        &Scenario::new(seed, Omitted::default()),
        |omitted| outcome(omitted).failure.is_some(),
        |omitted| outcome(omitted).struck.into_iter().map(|(_, strike)| strike).collect(),
    );
    let scenario = Scenario::new(seed, smallest.clone());
    let Outcome { failure, struck, last, .. } = run(&scenario, Telling::Last(50));
    format!(
        "world {seed}: {}\nwho is there: {:#?}\nwhat went wrong around it: {:?}\nthe last fifty events:\n{}\n\
         step by step: cargo run --release --example simulate -- --seed {seed} --trace{}",
        failure.unwrap_or_default(),
        scenario.people(),
        struck.iter().map(|(_, strike)| strike.to_string()).collect::<Vec<_>>(),
        last.join("\n"),
        smallest.arguments()
    )
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process() {
    const CHILD: &str = "ONELOOP_SIMULATION_CHILD";
    const NAME: &str = "a_seed_gives_the_same_trace_in_another_process";
    let hashes: Vec<String> = (1..=40)
        .map(|seed| format!("{:016x}", run(&Scenario::new(seed, Omitted::default()), Telling::Nothing).hash))
        .collect();
    let hashes = hashes.join(" ");
    if std::env::var_os(CHILD).is_some() {
        println!("hashes: {hashes}");
        return;
    }
    let program = std::env::current_exe().expect("a running program has a name");
    let output = Command::new(program).args(["--exact", NAME, "--nocapture"]).env(CHILD, "1").output();
    let told = String::from_utf8(output.expect("this program can be started again").stdout)
        .expect("hashes are text");
    let other = told.lines().find_map(|line| line.split_once("hashes: ")).map(|(_, hashes)| hashes);
    assert_eq!(other, Some(hashes.as_str()));
}

#[test]
fn telling_a_world_does_not_change_it() {
    let scenario = Scenario::new(7, Omitted::default());
    let (silent, told) = (run(&scenario, Telling::Nothing), run(&scenario, Telling::Last(50)));
    assert_eq!(silent.hash, told.hash);
    assert_eq!(told.last.len(), 50);
}

#[test]
fn a_failure_is_made_as_small_as_it_can_be() {
    let scenario = (1..)
        .map(|seed| Scenario::new(seed, Omitted::default()))
        .find(|scenario| scenario.actors() > 5 && scenario.weather.per_mille.len() > 3)
        .expect("there are many such worlds");
    let faults: Vec<Fault> = scenario.weather.per_mille.iter().map(|(fault, _)| *fault).collect();
    let strikes: Vec<Strike> = (0..40).map(|opportunity| Strike { fault: faults[2], opportunity }).collect();
    // Two actors, one kind of fault and one strike of it are needed.
    let fails = |omitted: &Omitted| {
        let has = [1, 4].iter().all(|actor| !omitted.actors.contains(actor));
        has && !omitted.faults.contains(&faults[2]) && !omitted.strikes.contains(&strikes[17])
    };
    let smallest = shrink(&scenario, fails, |_| strikes.clone());
    assert_eq!(scenario.actors() - smallest.actors.len(), 2);
    assert_eq!(faults.len() - smallest.faults.len(), 1);
    assert_eq!(strikes.len() - smallest.strikes.len(), 1);
    assert!(fails(&smallest));
}

/// A check that never fails proves nothing. The mistakes are planted in a build of their own (see `base::planted`), so
/// that everything else here runs the code that ships.
#[test]
fn mistakes_that_are_planted_are_found() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output =
        cargo.args(["test", "--locked", "--features", "planted-faults", "--test", "planted"]).output();
    let output = output.expect("cargo has started this test and can be started again");
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{}", told.join("\n"));
    assert!(told[0].contains("3 passed"), "{}", told.join("\n"));
}

// --- What was found ------------------------------------------------------------------------------------------------

/// A world in which each of these does what it is told, for as many seeds as are asked for.
fn in_worlds(
    seeds: std::ops::RangeInclusive<u64>,
    config: &Config,
    limits: &Limits,
    wires: &Wires,
    weather: &[(Fault, u16)],
    actors: impl Fn(&Rc<Town>) -> Vec<Box<dyn Actor>>,
) -> Vec<Outcome> {
    let in_world = |seed| {
        let plan = Plan {
            seed,
            weather: Weather { per_mille: weather.to_vec(), ..Weather::default() },
            wires: wires.clone(),
            calm_after: Duration::from_secs(100),
            ends_after: Duration::from_secs(1000),
            crashes: Vec::new(),
            turn_cost_max: Duration::from_millis(1),
            telling: Telling::Last(50),
        };
        let town = Rc::new(Town::new(seed, config.clone(), limits.clone()));
        let world = World::new(&plan, limits, actors(&town));
        world.put_note("kettle.md", b"# Kettle\n\nThe kettle boils at 96 degrees.\n".to_vec());
        let outcome = run_world(&world, &town);
        assert_eq!(outcome.failure, None, "world {seed}; the last of it:\n{}", outcome.last.join("\n"));
        outcome
    };
    seeds.map(in_world).collect()
}

/// A small world in which processes are killed after so many calls, one after the other.
fn with_crashes(seed: u64, crashes: &[u64], limits: &Limits) -> (Outcome, u64) {
    with_crashes_and(seed, crashes, limits, None)
}

fn plan_with_crashes(seed: u64, crashes: &[u64]) -> Plan {
    Plan {
        seed,
        calm_after: Duration::from_secs(20),
        ends_after: Duration::from_secs(1000),
        crashes: crashes.to_vec(),
        telling: Telling::Last(80),
        wires: Wires { is_even: true, ..Wires::default() },
        ..Plan::default()
    }
}

/// The same, perhaps with a model that answers.
fn with_crashes_and(seed: u64, crashes: &[u64], limits: &Limits, manners: Option<Manners>) -> (Outcome, u64) {
    let plan = plan_with_crashes(seed, crashes);
    let url = Url::parse(&format!("http://{HOST}:{PORT}/v1")).expect("it is a URL");
    let model = manners.is_some().then(|| ModelConfig::new(url, "sim"));
    let runs_max = if model.is_some() { 2 } else { 1 };
    let writes = manners.as_ref().is_some_and(|manners| manners.writes_per_mille > 0);
    let config = Config { is_durable: true, runs_max, model, writes: Writes::All, ..Config::default() };
    let config = if writes { config } else { Config { writes: Writes::Inbox, ..config } };
    let mut town = Town::new(seed, config, limits.clone());
    town.has_model = manners.is_some();
    let town = Rc::new(town);
    let visitor = |number: u64, errands: &[Errand]| -> Box<dyn Actor> {
        Box::new(Visitor::new(&town, Temper::good(), Random::new(seed, number), errands.to_vec()))
    };
    let begin = |subject, cancels, key| Errand::Begin { subject, cancels, key };
    let mut actors = vec![
        visitor(1, &[begin(0, false, Some(7)), begin(0, false, Some(7))]),
        visitor(2, &[Errand::Stream { subject: 1 }]),
        // Where a model writes, each asks something else: a reply that two share is carried out by both.
        visitor(3, &[begin(2, true, None), Errand::Chat { subject: if writes { 3 } else { 1 } }]),
    ];
    if writes {
        actors.push(Box::new(Bookkeeper::new(&town, Random::new(seed, 4), 100, Duration::from_millis(150))));
    }
    if let Some(manners) = manners {
        let (wanted, listens) = (wanted(None), addresses().to_vec());
        actors.push(Box::new(Model::new(&town, wanted, manners, listens, seed)));
    }
    let world = World::new(&plan, limits, actors);
    world.put_name(HOST, addresses().to_vec());
    for (subject, name) in SUBJECTS.iter().enumerate().take(if writes { 4 } else { 3 }) {
        let text = format!("# {name}\n\nThe code of {name} is {}.\n", code(subject));
        world.put_note(&format!("{name}.md"), text.into_bytes());
    }
    if writes {
        world.put_note(LEDGER, b"# Ledger\n".to_vec());
    }
    let outcome = run_world(&world, &town);
    (outcome, world.calls())
}

/// Every call that the server makes is a moment at which the process may die: at each of them it does, and whether the
/// batch under way is in the file is left to chance.
#[test]
fn wherever_the_process_dies_nothing_that_was_told_is_lost() {
    // Once as it ships, and once so slow that runs go on for many turns while commits are under way.
    let slow = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    let mut seen = BTreeSet::new();
    for (seed, limits) in [(1, Limits::default()), (2, slow.clone()), (3, slow)] {
        let (outcome, calls) = with_crashes(seed, &[], &limits);
        assert_eq!(outcome.failure, None, "without a crash:\n{}", outcome.last.join("\n"));
        assert!(calls > 100, "{calls} calls are not all that it does");
        for call in 0..calls {
            let (outcome, _) = with_crashes(seed, &[call], &limits);
            let told = outcome.last.join("\n");
            assert_eq!(outcome.failure, None, "seed {seed}, killed at call {call}:\n{told}");
            seen.extend(outcome.seen);
        }
    }
    for what in [
        "a run was made again from its inputs",
        "a reader was told that a crash has made events void",
        "a reader was ahead of what a crash has kept",
    ] {
        assert!(seen.contains(what), "{what}: never; seen: {seen:#?}");
    }
}

/// The same where a model answers, with tools. What it has said is kept like everything else that a run was given; what it
/// was saying is asked again.
#[test]
fn wherever_the_process_dies_while_a_model_answers_nothing_that_was_told_is_lost() {
    let manners = Manners {
        tools_per_mille: 700,
        wrong_tools_per_mille: 300,
        words_max: 4,
        think: Duration::from_millis(20),
        gap: Duration::from_millis(20),
        ..Manners::good()
    };
    let slow = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    let mut seen = BTreeSet::new();
    for (seed, limits) in [(1, Limits::default()), (2, slow)] {
        let (outcome, calls) = with_crashes_and(seed, &[], &limits, Some(manners.clone()));
        assert_eq!(outcome.failure, None, "without a crash:\n{}", outcome.last.join("\n"));
        for call in 0..calls {
            let (outcome, _) = with_crashes_and(seed, &[call], &limits, Some(manners.clone()));
            let told = outcome.last.join("\n");
            assert_eq!(outcome.failure, None, "seed {seed}, killed at call {call}:\n{told}");
            seen.extend(outcome.seen);
        }
    }
    for what in [
        "a chat was answered by the model",
        "a model was told what its tools had found",
        "a process was killed while a run asked the model",
        "a reader was ahead of what a crash has kept",
        "a reader was told that a crash has made events void",
        "a run was made again from its inputs",
    ] {
        assert!(seen.contains(what), "{what}: never; seen: {seen:#?}");
    }
}

/// The same where the model writes, and somebody from outside into the same note; at some of the calls, as they are many.
#[test]
fn wherever_the_process_dies_while_a_model_writes_all_is_written_once() {
    let manners = Manners {
        tools_per_mille: 800,
        writes_per_mille: 1000,
        words_max: 4,
        think: Duration::from_millis(400),
        gap: Duration::from_millis(20),
        ..Manners::good()
    };
    let slow = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    let mut seen = BTreeSet::new();
    for (seed, limits, step) in [(1, Limits::default(), 2), (3, slow, 10)] {
        let (outcome, calls) = with_crashes_and(seed, &[], &limits, Some(manners.clone()));
        assert_eq!(outcome.failure, None, "without a crash:\n{}", outcome.last.join("\n"));
        for call in (0..calls).step_by(step) {
            let (outcome, _) = with_crashes_and(seed, &[call], &limits, Some(manners.clone()));
            let told = outcome.last.join("\n");
            assert_eq!(outcome.failure, None, "seed {seed}, killed at call {call}:\n{told}");
            seen.extend(outcome.seen);
        }
    }
    for what in
        ["a model added to a note", "a model made a note", "a model and somebody else added to one note"]
    {
        assert!(seen.contains(what), "{what}: never; seen: {seen:#?}");
    }
    assert!(
        !seen.contains("two runs shared a call of the model"),
        "then some addition may stand there twice"
    );
}

/// The second process dies as well, and the third, each a little later than the one before.
#[test]
fn a_process_may_die_while_it_takes_over() {
    let limits = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    for seed in 1..=2 {
        for first in (20..140).step_by(9) {
            for second in (0..90).step_by(4) {
                let crashes = [first, second, second + first / 9];
                let (outcome, _) = with_crashes(seed, &crashes, &limits);
                let told = outcome.last.join("\n");
                assert_eq!(outcome.failure, None, "seed {seed}, killed at calls {crashes:?}:\n{told}");
            }
        }
    }
}

/// A run that kills the process does so a few times and no more.
#[test]
fn a_run_that_is_at_work_whenever_the_process_dies_is_given_up() {
    let limits = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    let mut seen = BTreeSet::new();
    for call in 30..130 {
        let (outcome, _) = with_crashes(1, &[call; 12], &limits);
        let told = outcome.last.join("\n");
        assert_eq!(outcome.failure, None, "killed at call {call}, twelve times:\n{told}");
        seen.extend(outcome.seen);
    }
    let given_up = "a run was given up after it had been at work in processes that were killed";
    assert!(seen.contains(given_up), "never: {given_up}; seen: {seen:#?}");
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(path: &str, body: &str) -> Vec<u8> {
    let fields =
        format!("Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    format!("POST {path} HTTP/1.1\r\n{fields}\r\n\r\n{body}").into_bytes()
}

const QUESTION: &str = r#"{"message":"How hot is the kettle?"}"#;

/// Buffers of a few bytes: every answer takes many writes.
fn narrow() -> Wires {
    Wires { buffer_bytes: 16, ..Wires::default() }
}

/// The listener asked for another go in the pending phase, but clients are let in by check, behind the poll: once a
/// look into an empty backlog had spent the turn's share, the loop slept on the next client.
#[test]
fn a_client_who_comes_when_the_turns_share_is_spent_is_let_in() {
    let limits = Limits { accepts_per_turn_max: 1, ..Limits::default() };
    in_worlds(1..=20, &Config::default(), &limits, &Wires::default(), &[], |_| {
        // The close phase looks whether somebody waits for the place that has become free.
        let first = [Step::Connect, Step::Close];
        let second = [Step::Pause(Duration::from_secs(1)), Step::Connect, Step::Send(get("/health"))];
        let answered = [Step::Answers(vec![200]), Step::Close];
        vec![Box::new(Script::new(first)), Box::new(Script::new(second.into_iter().chain(answered)))]
    });
}

/// The end of input within a request dropped the answers that were still to be sent.
#[test]
fn answers_go_out_although_the_next_request_is_cut_short() {
    in_worlds(1..=20, &Config::default(), &Limits::default(), &narrow(), &[], |_| {
        let requests = [get("/health"), get("/health"), b"GET /hea".to_vec()].concat();
        let read = [Step::Answers(vec![200, 200]), Step::End, Step::Close];
        vec![Box::new(Script::new(
            [Step::Connect, Step::Send(requests), Step::Finish].into_iter().chain(read),
        ))]
    });
}

/// A write that was interrupted was made up for behind the last step, and what waited for it never heard.
#[test]
fn an_interrupted_write_holds_up_nothing_that_waits_for_it() {
    let weather = [(Fault::InterruptedCall, 300)];
    in_worlds(1..=40, &Config::default(), &Limits::default(), &narrow(), &weather, |_| {
        let last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let read = [Step::Answers(vec![200]), Step::End, Step::Close];
        let steps = [Step::Connect, Step::Send(last.to_vec())].into_iter().chain(read);
        vec![Box::new(Script::new(steps))]
    });
}

/// A stream whose run was forgotten was cut at once, and with it the answers before it that were still to be sent.
#[test]
fn a_stream_whose_run_is_forgotten_lets_earlier_answers_out() {
    let config = Config { task_keep: 0, ..Config::default() };
    let limits = Limits { stream_bytes_per_fill: 1, answer_bytes_per_turn: 1, ..Limits::default() };
    in_worlds(1..=20, &config, &limits, &narrow(), &[], |_| {
        let requests = [get("/info"), post("/chat/stream", QUESTION)].concat();
        let steps = [Step::Connect, Step::Send(requests), Step::Answers(vec![200]), Step::Close];
        vec![Box::new(Script::new(steps))]
    });
}

/// A run that ended within its grace, and was forgotten, left the grace's timer behind.
#[test]
fn a_run_that_is_forgotten_within_its_grace_leaves_no_timer() {
    let config = Config { task_keep: 0, runs_max: 1, ..Config::default() };
    let limits = Limits { units_per_turn: 1, ..Limits::default() };
    in_worlds(1..=20, &config, &limits, &Wires::default(), &[], |_| {
        let steps = [Step::Connect, Step::Send(post("/chat/stream", QUESTION)), Step::Finish];
        vec![Box::new(Script::new(steps.into_iter().chain([Step::Close])))]
    });
}

/// Told to stop while it paused accepting, the server left the pause's timer set.
#[test]
fn a_pause_in_accepting_ends_with_the_listener() {
    let weather = [(Fault::NoDescriptors, 1000)];
    in_worlds(1..=10, &Config::default(), &Limits::default(), &Wires::default(), &weather, |town| {
        let client = Script::new([Step::Connect, Step::Pause(Duration::from_secs(1)), Step::Reset]);
        let supervisor = Supervisor::new(town, vec![Duration::from_millis(50)]);
        vec![Box::new(client), Box::new(supervisor)]
    });
}

// --- WebSockets ----------------------------------------------------------------------------------------------------

/// A frame of a client's that is the whole of a message.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(LAST | first, payload, [1, 2, 3, 4], &mut bytes);
    bytes
}

/// A client that speaks WebSocket from its first step on.
fn socket_script(early: &[u8], rest: impl IntoIterator<Item = Step>) -> Box<dyn Actor> {
    let handshake = [HANDSHAKE.as_bytes(), early].concat();
    let begin = [Step::Connect, Step::Send(handshake), Step::Switched];
    Box::new(Script::new(begin.into_iter().chain(rest)))
}

/// An unmasked ping without a payload.
const PINGED: [u8; 2] = [0x89, 0];

/// A small world in which everything is asked over a WebSocket, and processes are killed after so many calls.
fn sockets_with_crashes(seed: u64, crashes: &[u64], limits: &Limits) -> (Outcome, u64) {
    let config = Config { is_durable: true, runs_max: 1, ..Config::default() };
    let town = Rc::new(Town::new(seed, config, limits.clone()));
    let chat = |subject, cancels, stays| Wish::Chat { subject, cancels, stays };
    let socket = |number: u64, wishes: &[Wish]| -> Box<dyn Actor> {
        let manner = Manner { at_once: 3, ..Manner::good() };
        Box::new(Socket::new(&town, manner, Random::new(seed, number), wishes.to_vec()))
    };
    let actors = vec![
        socket(1, &[chat(0, false, false), chat(1, false, true), chat(2, true, false), Wish::Again]),
        socket(2, &[chat(1, false, true), Wish::Say, Wish::Again]),
    ];
    let world = World::new(&plan_with_crashes(seed, crashes), limits, actors);
    for (subject, name) in SUBJECTS.iter().enumerate().take(3) {
        let text = format!("# {name}\n\nThe code of {name} is {}.\n", code(subject));
        world.put_note(&format!("{name}.md"), text.into_bytes());
    }
    let outcome = run_world(&world, &town);
    (outcome, world.calls())
}

/// A client was told that a run is accepted, or an event of it: the next process knows of both.
#[test]
fn wherever_the_process_dies_nothing_that_was_told_over_a_websocket_is_lost() {
    let slow = Limits { units_per_turn: 1, units_per_slice: 1, ..Limits::default() };
    let mut seen = BTreeSet::new();
    for (seed, limits) in [(1, Limits::default()), (2, slow)] {
        let (outcome, calls) = sockets_with_crashes(seed, &[], &limits);
        assert_eq!(outcome.failure, None, "without a crash:\n{}", outcome.last.join("\n"));
        for call in 0..calls {
            let (outcome, _) = sockets_with_crashes(seed, &[call], &limits);
            let told = outcome.last.join("\n");
            assert_eq!(outcome.failure, None, "seed {seed}, killed at call {call}:\n{told}");
            seen.extend(outcome.seen);
        }
    }
    for what in ["a run was made again from its inputs", "a run was resumed over another socket"] {
        assert!(seen.contains(what), "{what}: never; seen: {seen:#?}");
    }
}

#[test]
fn a_silent_websocket_is_pinged_and_then_given_up() {
    in_worlds(1..=20, &Config::default(), &Limits::default(), &Wires::default(), &[], |_| {
        let (first, second) = (Duration::from_secs(20), Duration::from_secs(40));
        let steps = [Step::Receives(PINGED.to_vec()), Step::By(first), Step::Lost, Step::By(second)];
        vec![socket_script(b"", steps)]
    });
}

#[test]
fn a_websocket_that_answers_its_pings_is_kept() {
    in_worlds(1..=20, &Config::default(), &Limits::default(), &Wires::default(), &[], |_| {
        let pong = client_frame(PONG, b"");
        let round = [Step::Receives(PINGED.to_vec()), Step::Send(pong)];
        let rounds = round.iter().cycle().take(8).cloned();
        vec![socket_script(b"", rounds.chain([Step::By(Duration::from_secs(80)), Step::Close]))]
    });
}

#[test]
fn frames_that_come_with_their_handshake_are_answered() {
    in_worlds(1..=20, &Config::default(), &Limits::default(), &Wires::default(), &[], |_| {
        let early = [client_frame(TEXT, b"{\"type\":\"ping\",\"id\":7}"), client_frame(PING, b"a")].concat();
        let mut answers = b"\x81\x16{\"type\":\"pong\",\"id\":7}".to_vec();
        answers.extend(b"\x8a\x01a");
        vec![socket_script(&early, [Step::Receives(answers), Step::Close])]
    });
}

#[test]
fn a_websocket_is_told_that_the_server_goes_away() {
    let outcomes = in_worlds(1..=20, &Config::default(), &Limits::default(), &narrow(), &[], |town| {
        let supervisor = Supervisor::new(town, vec![Duration::from_secs(1)]);
        let told = b"\x88\x1d\x03\xe9the server is shutting down";
        let steps = [Step::Receives(told.to_vec()), Step::By(Duration::from_secs(1)), Step::End, Step::Close];
        vec![socket_script(b"", steps), Box::new(supervisor)]
    });
    for Outcome { seen, last, .. } in outcomes {
        assert!(seen.contains("a script was played to its end"), "{}", last.join("\n"));
    }
}

/// Somebody who took what it was owed slowly, and was not pinged because of that, was given up all the same.
#[test]
fn a_websocket_that_reads_slowly_is_not_given_up() {
    let limits = Limits {
        websocket_ping_interval: Duration::from_secs(2),
        write_stall_timeout: Duration::from_secs(20),
        ..Limits::default()
    };
    in_worlds(1..=20, &Config::default(), &limits, &narrow(), &[], |_| {
        let message = format!("{{\"type\":\"ping\",\"id\":\"{}\"}}", "x".repeat(100));
        let pong = message.replace("ping", "pong");
        let early = client_frame(TEXT, message.as_bytes()).repeat(2);
        let answer = [&[0x81, pong.len() as u8], pong.as_bytes()].concat();
        // For ten seconds nothing is read: five times as long as it takes to find a client too silent.
        let steps = [Step::Pause(Duration::from_secs(10)), Step::Receives(answer.repeat(2)), Step::Close];
        vec![socket_script(&early, steps)]
    });
}
