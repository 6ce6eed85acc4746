//! The real binary is killed with SIGKILL two hundred times, at random moments and under load. What it has told
//! anybody before, holds after.
//!
//! ```text
//!   clients   ──ask──202───ask─╳            ──ask again, join again──╳      …  ──bring to an end──
//!   process   [ listens … ] SIGKILL  [ takes over, listens … ] SIGKILL  …  [ the last one ]
//!   the file                   └─ looked at       └─────────────────└─ looked at
//! ```
//!
//! What holds is written down in [`oracle`] and, for streams, in [`reader`]. SIGKILL loses nothing that was handed to
//! the kernel, so this says nothing about a loss of power; `tests/store_contract` and the simulated store do.
//!
//! The seed is printed first. It decides about the moments and about what each client asks, not about how the threads
//! and the server take turns, so the same seed is the same load and not the same run.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "clients in threads, and a file to look at"
)]

#[path = "../sockets/common.rs"]
#[allow(dead_code, reason = "its client does not survive a server that is killed")]
mod common;
mod file;
mod gate;
mod load;
mod oracle;
mod process;
#[path = "../properties/random.rs"]
#[allow(dead_code, reason = "the properties use more of it")]
mod random;
mod reader;
mod wire;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::Folder;
use gate::Gate;
use load::{Client, WORDS, World};
use oracle::Oracle;
use process::{Site, copy_database};
use random::Random;
use reader::Reader;

/// How often the server is killed; `ONELOOP_RECOVERY_KILLS` sets another number.
const KILLS: u32 = 200;
/// What the random numbers begin with; `ONELOOP_RECOVERY_SEED` sets another.
const SEED: u64 = 1;
/// The longest that most processes live once they listen, which is too short for some runs.
const LIFE_MAX: Duration = Duration::from_millis(80);
/// The longest that the others live. Without them many runs would be at work in three that are killed, and be given up.
const LONG_LIFE_MAX: Duration = Duration::from_millis(300);
/// The longest that one lives that is killed before it listens.
const START_MAX: Duration = Duration::from_millis(20);
/// The most answers and events after which a process is killed.
const NEWS_MAX: usize = 60;
/// So many kills have one more look at the pages of the database behind them.
const KILLS_PER_CHECK: u32 = 10;
const NOTES: usize = 100;

#[test]
fn what_was_told_holds_after_every_kill() {
    let (seed, kills) = (setting("ONELOOP_RECOVERY_SEED", SEED), setting("ONELOOP_RECOVERY_KILLS", KILLS));
    println!("ONELOOP_RECOVERY_SEED={seed} ONELOOP_RECOVERY_KILLS={kills}");
    let began = Instant::now();
    let mut random = Random::new(seed);
    let site = Site::new(notes(&mut random));
    let world = Arc::new(World { address: site.address(), gate: Gate::default(), oracle: Oracle::default() });
    let (mut clients, news) = clients(&world, &mut random);

    let (copies, mut killed_early) = (Folder::new(), 0);
    let copy = copies.path().join("state.db");
    for round in 1..=kills {
        world.gate.announce(round);
        let mut process = site.start();
        if random.below(8) == 0 {
            killed_early += 1;
            await_news(&news, usize::MAX, millis(&mut random, START_MAX));
        } else {
            process.await_listening(&site);
            world.gate.open();
            live(&news, &mut random);
            world.gate.close();
        }
        process.kill();
        check(&mut clients);
        if site.database().exists() {
            copy_database(&site.database(), &copy);
            world.oracle.check_file(&file::runs(&copy));
            if round % KILLS_PER_CHECK == 0 {
                file::check_integrity(&copy);
            }
        }
    }
    println!("killed {kills} times, {killed_early} of them before it listened: {:.1?}", began.elapsed());

    world.gate.announce_last();
    world.gate.announce(kills + 1);
    let mut process = site.start();
    process.await_listening(&site);
    world.gate.open();
    for client in clients {
        finish(client);
    }
    check_everything(&world);
    process.kill();
    file::check_integrity(&site.database());
    world.oracle.check_file(&file::runs(&site.database()));
    check_log(&site);
    tell(&world.oracle);
    println!("all of it: {:.1?}", began.elapsed());
}

/// Lets a process live for a while: until so much was told, or until some time is over.
fn live(news: &Receiver<()>, random: &mut Random) {
    // What the process before has told is no news of this one.
    while news.try_recv().is_ok() {}
    match random.below(4) {
        0 => await_news(news, random.below(NEWS_MAX), LIFE_MAX),
        1 => await_news(news, usize::MAX, millis(random, LIFE_MAX)),
        _ => await_news(news, 2 * NEWS_MAX + random.below(4 * NEWS_MAX), LONG_LIFE_MAX),
    }
}

fn await_news(news: &Receiver<()>, count: usize, within: Duration) {
    let until = Instant::now() + within;
    for _ in 0..count {
        // That time runs out is what is waited for as well.
        if news.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
            return;
        }
    }
}

fn millis(random: &mut Random, max: Duration) -> Duration {
    Duration::from_micros(random.below(max.as_micros() as usize) as u64)
}

/// The threads of all clients, and where they tell that something was told to them.
fn clients(world: &Arc<World>, random: &mut Random) -> (Vec<JoinHandle<()>>, Receiver<()>) {
    let (told, news) = channel();
    let (to_cancel, tasks) = channel();
    let mut client = || Client::new(world, random.below(usize::MAX) as u64, told.clone());
    let mut threads = Vec::new();
    for _ in 0..2 {
        let (submitter, to_cancel) = (client(), to_cancel.clone());
        threads.push(thread::spawn(move || submitter.submit(&to_cancel)));
        let streamer = client();
        threads.push(thread::spawn(move || streamer.stream()));
    }
    let (canceller, caller, poller, follower) = (client(), client(), client(), client());
    threads.push(thread::spawn(move || canceller.cancel(&tasks)));
    threads.push(thread::spawn(move || caller.chat()));
    threads.push(thread::spawn(move || poller.poll()));
    threads.push(thread::spawn(move || follower.follow()));
    (threads, news)
}

/// A client that has found a fault has panicked; the others go on, so somebody must look.
fn check(clients: &mut Vec<JoinHandle<()>>) {
    if let Some(index) = clients.iter().position(JoinHandle::is_finished) {
        finish(clients.swap_remove(index));
        panic!("a client has left before the last process came");
    }
}

fn finish(client: JoinHandle<()>) {
    if let Err(panic) = client.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Nobody is killed any more: every run ends, and what a fresh reader finds is what others were told.
fn check_everything(world: &Arc<World>) {
    let (told, _news) = channel();
    let mut client = Client::new(world, 1, told);
    for run in world.oracle.runs() {
        client.await_end(&run);
        let mut reader = Reader::of(&run);
        client.read_to_end(&mut reader);
        assert_eq!(reader.voided, 0, "{run}: whoever reads from the start gets only what stands");
        world.oracle.check_log(&run, &reader.log);
    }
    let kept = world.oracle.runs();
    let (keys, by_key) = world.oracle.keys();
    assert_eq!(keys, by_key.len(), "each key has a run of its own");
    assert!(by_key.iter().all(|run| kept.contains(run)));
}

/// No process has met anything that it calls an error.
fn check_log(site: &Site) {
    let log = site.log();
    let bad = log.lines().find(|line| line.contains("ERROR") || line.contains("panicked"));
    assert_eq!(bad, None);
}

/// What has happened; a load that did not reach its subject proves nothing.
fn tell(oracle: &Oracle) {
    let (counts, outcomes) = (oracle.counts(), oracle.outcomes());
    println!("{counts:?}\n{outcomes:?}");
    let all: usize = outcomes.values().sum();
    let of = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
    assert!(of("completed") * 2 > all, "most are completed: {outcomes:?}");
    assert!(of("failed") * 4 < all, "few are given up: {outcomes:?}");
    assert!(of("cancelled") > 0 && counts.cancels > 0 && counts.asked_again > 0, "{counts:?}");
    assert!(counts.rejoined > 0 && counts.restarts > 0, "{counts:?}");
}

/// Notes that take a while to be searched, and answers of some sentences.
fn notes(random: &mut Random) -> Folder {
    let folder = Folder::new();
    for number in 0..NOTES {
        let mut text = format!("# Note {number}\n\n");
        for _ in 0..20 {
            let words: Vec<String> = (0..12).map(|_| format!("word{}", random.below(WORDS))).collect();
            text.push_str(&format!("The {} is here. ", words.join(" ")));
        }
        folder.write(&format!("note-{number}.md"), text.as_bytes());
    }
    folder
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
