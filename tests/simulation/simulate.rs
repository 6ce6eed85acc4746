//! Runs the server in simulated worlds: `cargo run --release --example simulate -- --seed 7 --trace`.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a test's own bookkeeping, on one thread")]

mod play;

use oneloop::os::sim::Telling;
use play::run::run;
use play::scenario::{Omitted, Scenario};

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let args: Vec<String> = std::env::args().skip(1).collect();
    let from: u64 = args[0].parse().unwrap();
    let count: u64 = args[1].parse().unwrap();
    let telling = if args.len() > 2 { Telling::All } else { Telling::Nothing };
    let began = std::time::Instant::now();
    let mut seen = std::collections::BTreeMap::new();
    let (mut turns, mut happened, mut failures) = (0, 0, 0);
    for seed in from..from + count {
        let outcome = run(&Scenario::new(seed, Omitted::default()), telling);
        turns += outcome.turns;
        happened += outcome.happened;
        for what in outcome.seen {
            *seen.entry(what).or_insert(0) += 1;
        }
        if let Some(failure) = outcome.failure {
            failures += 1;
            println!("seed {seed}: {failure}");
        }
    }
    println!("{failures} failures, {turns} turns, {happened} happenings, {:?}", began.elapsed());
    for (what, count) in seen {
        println!("{count:>6} {what}");
    }
}
