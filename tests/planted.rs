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
    (Planted::ForgetsAnotherGo, 86),
    (Planted::ReadsOnce, 48),
    (Planted::MissesTheEnd, 1081),
    (Planted::WritesOnce, 1),
    (Planted::CountsUnsent, 2),
    (Planted::HonoursStaleKeys, 2),
    (Planted::FiresEarly, 2),
    (Planted::CancelsNoTimer, 1),
    (Planted::ForgetsDeadlines, 3),
    (Planted::ForgetsToClose, 2276),
    (Planted::KeepsClosedPeers, 1),
    (Planted::LetsOneMoreIn, 3),
    (Planted::QueuesOneMore, 21),
    (Planted::EndsTwice, 17),
    (Planted::KeepsCancelledTask, 17),
    (Planted::ForgetsThatSomeoneCame, 496),
    (Planted::RepeatsOnRejoin, 4),
    (Planted::SkipsOnRejoin, 19),
    (Planted::LeaksBodyBytes, 6),
    (Planted::PromisesOneByteMore, 2),
    (Planted::LosesSmallRest, 2),
    (Planted::KeepsSyncWaiter, 178),
    (Planted::SyncJoinsRunning, 136),
    (Planted::KeepsWatcher, 29),
    (Planted::TellsNewsOnce, 1),
    (Planted::StarvesTasks, 17),
    (Planted::ForgetsTheBacklog, 1435),
    (Planted::DropsAnswersAtTheEnd, 2),
    (Planted::NeverAcceptsAgain, 10),
    (Planted::FailsWhenInterrupted, 13),
    (Planted::EvictsTheBusy, 3),
    (Planted::ScansPastTheEnd, 2),
    (Planted::ClosesWithoutLingering, 4),
    (Planted::AsksForEver, 1),
    (Planted::KeepsCancelledInQueue, 64),
    (Planted::AnswersBeforeCommit, 33),
    (Planted::ReusesNumbers, 3235),
    (Planted::RefusesButKeeps, 207),
    (Planted::TakesAFailureForDone, 2),
    (Planted::ForgetsAnInput, 525),
    (Planted::TriesForEver, 312),
    (Planted::TakesHalfForWhole, 137),
    (Planted::AnswersAnyQuestion, 2),
    (Planted::KeepsCallOfNobody, 1),
    (Planted::AsksBehindTheLast, 7542),
    (Planted::ForgetsRevision, 66),
    (Planted::KeepsFailedDials, 19),
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
    // Panics are silent from here on, this one too.
    if !missed.is_empty() {
        println!("not found any more: {missed:?}; `simulate --planted` finds new worlds for them");
    }
    assert!(missed.is_empty());
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
