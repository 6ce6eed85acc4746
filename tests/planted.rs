//! Each mistake that can be planted is found, in a world that is known to show it; and without it that world goes well.
//!
//! `cargo test` builds and runs this with the feature `planted-faults`, by way of `tests/simulation`. How soon each is
//! found in worlds that nobody picked: `simulate --planted`.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test's own bookkeeping, on one thread"
)]

#[path = "simulation/play/mod.rs"]
mod play;

use oneloop::base::planted::{Planted, plant};
use oneloop::os::sim::Telling;

use play::run::run;
use play::scenario::{Omitted, Scenario};

/// The first world that shows each.
const SHOWN_BY: &[(Planted, u64)] = &[
    (Planted::ForgetsAnotherGo, 244),
    (Planted::ReadsOnce, 183),
    (Planted::MissesTheEnd, 2494),
    (Planted::WritesOnce, 3),
    (Planted::CountsUnsent, 2),
    (Planted::HonoursStaleKeys, 2),
    (Planted::FiresEarly, 3),
    (Planted::CancelsNoTimer, 1),
    (Planted::ForgetsDeadlines, 23),
    (Planted::ForgetsToClose, 577),
    (Planted::KeepsClosedPeers, 1),
    (Planted::LetsOneMoreIn, 20),
    (Planted::QueuesOneMore, 6),
    (Planted::EndsTwice, 74),
    (Planted::KeepsCancelledTask, 74),
    (Planted::ForgetsThatSomeoneCame, 846),
    (Planted::RepeatsOnRejoin, 9),
    (Planted::SkipsOnRejoin, 9),
    (Planted::LeaksBodyBytes, 15),
    (Planted::PromisesOneByteMore, 3),
    (Planted::LosesSmallRest, 2),
    (Planted::KeepsSyncWaiter, 255),
    (Planted::SyncJoinsRunning, 237),
    (Planted::KeepsWatcher, 56),
    (Planted::TellsNewsOnce, 3),
    (Planted::StarvesTasks, 1),
    (Planted::ForgetsTheBacklog, 447),
    (Planted::DropsAnswersAtTheEnd, 3),
    (Planted::NeverAcceptsAgain, 4),
    (Planted::FailsWhenInterrupted, 4),
    (Planted::EvictsTheBusy, 20),
    (Planted::ScansPastTheEnd, 2),
    (Planted::ClosesWithoutLingering, 6),
    (Planted::AsksForEver, 1),
    (Planted::KeepsCancelledInQueue, 253),
    (Planted::ForgetsToBegin, 12691),
];

fn fails(seed: u64, mistake: Option<Planted>) -> Option<String> {
    plant(mistake);
    let outcome = run(&Scenario::new(seed, Omitted::default()), Telling::Nothing);
    plant(None);
    outcome.failure
}

#[test]
fn each_planted_mistake_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<_> =
        SHOWN_BY.iter().filter(|(mistake, seed)| fails(*seed, Some(*mistake)).is_none()).collect();
    assert!(
        missed.is_empty(),
        "not found any more: {missed:?}; `simulate --planted` finds new worlds for them"
    );
}

#[test]
fn there_is_a_world_for_each() {
    let missing: Vec<_> =
        Planted::ALL.iter().filter(|mistake| SHOWN_BY.iter().all(|(shown, _)| shown != *mistake)).collect();
    assert!(missing.is_empty(), "no world is known to show {missing:?}");
}

#[test]
fn without_a_mistake_these_worlds_go_well() {
    for (mistake, seed) in SHOWN_BY {
        assert_eq!(fails(*seed, None), None, "world {seed}, without {mistake:?}");
    }
}
