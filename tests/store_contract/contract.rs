//! The contract, one claim a test, for each implementation.

use oneloop::base::WallTime;
use oneloop::store::{BEGINNING_BYTES_MAX, CallState, KeptVector, Outcome, SessionBounds, Subject};

use crate::support::*;

/// Each claim as a test for each storage. A claim that is not named here is dead code, which the compiler tells.
macro_rules! contract {
    ($($claim:ident)+) => {
        mod memory {
            $(#[test] fn $claim() { super::$claim::<crate::support::InMemory>(); })+
        }
        mod sqlite {
            $(#[test] fn $claim() { super::$claim::<crate::support::InFile>(); })+
        }
        mod simulated {
            $(#[test] fn $claim() { super::$claim::<crate::simulated::InWorld>(); })+
        }
    };
}

contract! {
    what_is_committed_is_found_after_reopening
    a_batch_with_a_contradiction_leaves_nothing_of_itself
    a_refused_batch_gives_a_key_back_that_it_had_passed_on
    repeating_a_batch_changes_nothing
    repeating_a_whole_life_changes_nothing
    an_id_is_never_given_to_another_run
    an_event_number_is_never_given_another_text
    an_input_keeps_its_place
    inputs_leave_no_gap
    a_final_state_never_changes
    an_ended_run_has_no_question_and_no_inputs_and_is_not_unfinished
    events_are_kept_behind_the_end_of_their_run
    records_of_unknown_runs_are_passed_over
    records_of_forgotten_runs_are_passed_over
    a_forgotten_run_may_be_accepted_anew
    a_key_finds_its_run_after_reopening_too
    a_key_is_gone_with_its_run
    a_second_run_under_the_same_key_is_refused
    pages_of_a_list_go_from_the_newest_on
    a_list_tells_what_runs_are_about_behind_their_ends_too
    a_sweep_takes_the_oldest_ends_first
    a_sweep_takes_what_ended_before_its_moment
    a_sweep_takes_the_excess_in_any_case
    a_sweep_stops_at_its_bound
    a_sweep_leaves_unfinished_runs_alone
    the_mark_of_sweeps_never_goes_back
    load_gives_unfinished_runs_with_inputs_and_events_in_order
    load_of_an_empty_storage_is_empty
    bounds_go_up_and_down
    texts_of_any_kind_come_back_as_they_were
    what_was_said_in_a_session_is_found_in_order_after_reopening_too
    what_was_said_outlives_the_run_that_has_said_it
    saying_it_again_changes_nothing_and_something_else_is_refused
    what_an_unknown_run_has_said_is_passed_over
    a_batch_with_a_contradiction_leaves_nothing_of_what_was_said
    the_oldest_messages_of_a_session_make_room_and_the_newest_stays
    sessions_that_nobody_speaks_in_make_room
    pages_of_sessions_go_from_the_one_spoken_in_last_on
    a_session_is_listed_with_the_beginning_of_its_oldest_message
    a_session_that_is_dropped_is_gone_and_may_begin_anew
    a_callback_is_found_with_its_run_after_reopening_too
    a_callback_of_an_ended_run_is_outstanding_until_it_is_over
    a_callback_that_is_over_never_changes
    a_callback_is_told_of_ended_runs_alone
    a_run_keeps_where_its_end_is_to_be_told
    a_sweep_leaves_runs_alone_whose_callback_is_outstanding
    a_callback_is_gone_with_its_run
    vectors_are_found_in_the_order_of_their_names_after_reopening_too
    a_vector_that_is_kept_is_replaced_in_its_place
    the_vectors_that_came_first_make_room
}

fn what_is_committed_is_found_after_reopening<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), event(1, 1, "a"), admitted(2), inputs(2, 0, &["x"]), bounds(2, 128, 3)]);
    kept.commit(vec![event(1, 2, "b"), ended_as(1, 9, Outcome::Failed, Some("why"))]);
    let before = kept.all();
    assert_eq!(before.0.unfinished.len(), 1);
    kept.reopen();
    assert_eq!(kept.all(), before);
}

fn a_batch_with_a_contradiction_leaves_nothing_of_itself<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![
        admitted(1),
        event(1, 1, "a"),
        admitted_as(2, "q", Some("k")),
        admitted(3),
        ended(3, 5),
    ]);
    let before = kept.all();
    kept.refuses(vec![
        event(1, 2, "b"),
        inputs(1, 0, &["x"]),
        bounds(1, 999, 9),
        admitted_as(4, "q", Some("other")),
        ended(2, 7),
        forgotten(3),
        event(1, 1, "not a"),
        admitted(5),
    ]);
    assert_eq!(kept.all(), before);
    assert_eq!((kept.run_of("k"), kept.run_of("other")), (Some(id(2)), None));
    kept.reopen();
    assert_eq!(kept.all(), before);
    kept.commit(vec![event(1, 2, "c")]);
}

fn a_refused_batch_gives_a_key_back_that_it_had_passed_on<K: Kept>() {
    for (first, second) in [(1, 2), (2, 1)] {
        let mut kept = K::new();
        kept.commit(vec![admitted_as(first, "q", Some("k")), admitted(3), event(3, 1, "a")]);
        kept.refuses(vec![forgotten(first), admitted_as(second, "q", Some("k")), event(3, 1, "b")]);
        assert_eq!(kept.run_of("k"), Some(id(first)));
    }
}

fn repeating_a_batch_changes_nothing<K: Kept>() {
    let mut kept = K::new();
    let batch =
        || vec![admitted_as(1, "q", Some("k")), inputs(1, 0, &["x", "y"]), event(1, 1, "a"), bounds(1, 5, 1)];
    kept.commit(batch());
    let before = kept.all();
    kept.commit(batch());
    assert_eq!(kept.all(), before);
    kept.reopen();
    kept.commit(batch());
    assert_eq!(kept.all(), before);
}

fn repeating_a_whole_life_changes_nothing<K: Kept>() {
    let mut kept = K::new();
    let life = || vec![admitted(1), inputs(1, 0, &["x"]), event(1, 1, "a"), bounds(1, 5, 1), ended(1, 9)];
    kept.commit(life());
    let before = kept.all();
    kept.commit(life());
    assert_eq!(kept.all(), before);
}

fn an_id_is_never_given_to_another_run<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_as(1, "q", Some("k"))]);
    kept.refuses(vec![admitted_as(1, "another question", Some("k"))]);
    kept.refuses(vec![admitted_as(1, "q", None)]);
    kept.refuses(vec![admitted_as(1, "q", Some("another key"))]);
    assert_eq!(&*kept.loaded().unfinished[0].admitted.question, "q");
}

fn an_event_number_is_never_given_another_text<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), event(1, 7, "a")]);
    kept.refuses(vec![event(1, 7, "b")]);
    kept.refuses(vec![event(1, 8, "c"), event(1, 8, "d")]);
    kept.commit(vec![ended(1, 9)]);
    kept.refuses(vec![event(1, 7, "b")]);
    let events = kept.find(1).unwrap().events;
    assert_eq!(events.iter().map(|event| (event.number, &*event.json)).collect::<Vec<_>>(), [(7, "a")]);
}

fn an_input_keeps_its_place<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), inputs(1, 0, &["x", "y"])]);
    kept.refuses(vec![inputs(1, 1, &["z"])]);
    kept.refuses(vec![inputs(1, 0, &["x", "y", "z"]), inputs(1, 2, &["w"])]);
    kept.commit(vec![inputs(1, 1, &["y", "z"])]);
    assert_eq!(kept.loaded().unfinished[0].inputs, ["x".into(), "y".into(), "z".into()]);
}

fn inputs_leave_no_gap<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), inputs(1, 0, &["x"])]);
    kept.refuses(vec![inputs(1, 2, &["z"])]);
    kept.refuses(vec![inputs(1, 3, &["z", "w"])]);
    assert_eq!(kept.loaded().unfinished[0].inputs, ["x".into()]);
}

fn a_final_state_never_changes<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), ended_as(1, 9, Outcome::Failed, Some("why"))]);
    let before = kept.all();
    kept.refuses(vec![ended_as(1, 9, Outcome::Completed, None)]);
    kept.refuses(vec![ended_as(1, 10, Outcome::Failed, Some("why"))]);
    kept.refuses(vec![ended_as(1, 9, Outcome::Failed, Some("another reason"))]);
    kept.commit(vec![ended_as(1, 9, Outcome::Failed, Some("why")), bounds(1, 7, 7), inputs(1, 0, &["x"])]);
    assert_eq!(kept.all(), before);
}

fn an_ended_run_has_no_question_and_no_inputs_and_is_not_unfinished<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), inputs(1, 0, &["x"]), ended(1, 9)]);
    let loaded = kept.loaded();
    assert!(loaded.unfinished.is_empty());
    assert_eq!((loaded.ended, loaded.oldest_end), (1, Some(WallTime::from_millis(9))));
    // The question is not kept, so any is the same run.
    kept.commit(vec![admitted_as(1, "another question", None)]);
}

fn events_are_kept_behind_the_end_of_their_run<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), ended(1, 9)]);
    kept.commit(vec![event(1, 1, "a")]);
    assert_eq!(kept.find(1).unwrap().events.len(), 1);
}

fn records_of_unknown_runs_are_passed_over<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![
        event(1, 1, "a"),
        inputs(1, 5, &["x"]),
        bounds(1, 1, 1),
        ended(1, 1),
        forgotten(1),
        admitted(2),
    ]);
    assert_eq!(kept.find(1), None);
    assert_eq!(kept.ids(), [2]);
    kept.commit(vec![admitted(1)]);
    assert_eq!(kept.find(1).unwrap().events, []);
}

fn records_of_forgotten_runs_are_passed_over<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), event(1, 1, "a")]);
    kept.commit(vec![forgotten(1), event(1, 1, "b"), ended(1, 9)]);
    assert_eq!(kept.find(1), None);
    assert_eq!(kept.loaded(), Default::default());
}

fn a_forgotten_run_may_be_accepted_anew<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_as(1, "q", Some("k")), event(1, 1, "a"), inputs(1, 0, &["x"])]);
    kept.commit(vec![forgotten(1), admitted_as(1, "another question", Some("k"))]);
    let unfinished = &kept.loaded().unfinished[0];
    assert_eq!(&*unfinished.admitted.question, "another question");
    assert!(unfinished.events.is_empty() && unfinished.inputs.is_empty(), "{unfinished:?}");
}

fn a_key_finds_its_run_after_reopening_too<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_as(1, "q", Some("k")), admitted(2)]);
    kept.commit(vec![ended(1, 9)]);
    kept.reopen();
    let (run, key) = kept.storage().find_key("k").unwrap().unwrap();
    assert_eq!((run, &*key.key, key.fingerprint), (id(1), "k", id(u128::MAX - 1)));
    assert_eq!(kept.run_of("K"), None);
}

fn a_key_is_gone_with_its_run<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![
        admitted_as(1, "q", Some("swept")),
        admitted_as(2, "q", Some("forgotten")),
        ended(1, 9),
    ]);
    kept.sweep(10, 0, 10);
    kept.commit(vec![forgotten(2)]);
    assert_eq!((kept.run_of("swept"), kept.run_of("forgotten")), (None, None));
    kept.commit(vec![admitted_as(3, "q", Some("swept")), admitted_as(4, "q", Some("forgotten"))]);
    assert_eq!(kept.run_of("swept"), Some(id(3)));
}

fn a_second_run_under_the_same_key_is_refused<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_as(1, "q", Some("k"))]);
    kept.refuses(vec![admitted_as(2, "q", Some("k"))]);
    kept.commit(vec![ended(1, 9)]);
    kept.refuses(vec![admitted_as(2, "q", Some("k"))]);
    assert_eq!(kept.ids(), [1]);
}

fn pages_of_a_list_go_from_the_newest_on<K: Kept>() {
    let mut kept = K::new();
    for run in [3, 1, u128::MAX >> 70, 2] {
        kept.commit(vec![admitted(run)]);
    }
    kept.commit(vec![ended_as(2, 9, Outcome::Cancelled, None)]);
    let rows = kept.rows();
    assert_eq!(kept.ids(), [u128::MAX >> 70, 3, 2, 1]);
    assert_eq!(rows[2].ended, Some((Outcome::Cancelled, WallTime::from_millis(9))));
    assert_eq!((rows[1].ended, rows[1].created_at), (None, WallTime::from_millis(3)));
    let storage = kept.storage();
    assert_eq!(storage.list(None, 2).unwrap(), rows[..2]);
    assert_eq!(storage.list(Some(id(3)), 1).unwrap(), rows[2..3]);
    assert_eq!(storage.list(Some(id(3)), 9).unwrap(), rows[2..]);
    assert_eq!(storage.list(Some(id(1)), 9).unwrap(), []);
    assert_eq!(storage.list(None, 0).unwrap(), []);
}

/// Runs 1 to 5 that ended in the order 3, 1, 5, 2, 4, at 10, 20, 20, 30, 40.
fn five_ended<K: Kept>() -> K {
    let mut kept = K::new();
    kept.commit((1..=5).map(admitted).collect());
    kept.commit(vec![ended(4, 40), ended(5, 20), ended(1, 20), ended(2, 30), ended(3, 10)]);
    kept
}

fn a_sweep_takes_the_oldest_ends_first<K: Kept>() {
    let mut kept: K = five_ended();
    let mut left = Vec::new();
    for _ in 0..5 {
        assert_eq!(kept.sweep(0, 1, 10).runs, 1);
        left.push(kept.ids());
    }
    assert_eq!(left, [vec![5, 4, 2, 1], vec![5, 4, 2], vec![4, 2], vec![4], vec![]]);
    assert_eq!(kept.sweep(0, 1, 10).runs, 0);
}

fn a_sweep_takes_what_ended_before_its_moment<K: Kept>() {
    let mut kept: K = five_ended();
    let swept = kept.sweep(30, 0, 10);
    assert_eq!((swept.runs, swept.oldest_end), (3, Some(WallTime::from_millis(30))));
    assert_eq!(kept.ids(), [4, 2]);
    assert_eq!(kept.sweep(u64::MAX, 0, 10).oldest_end, None);
    assert_eq!(kept.find(2), None);
}

fn a_sweep_takes_the_excess_in_any_case<K: Kept>() {
    let mut kept: K = five_ended();
    assert_eq!(kept.sweep(15, 3, 10).runs, 3);
    assert_eq!(kept.ids(), [4, 2]);
    assert_eq!(kept.sweep(0, u64::MAX, 10).runs, 2);
}

fn a_sweep_stops_at_its_bound<K: Kept>() {
    let mut kept: K = five_ended();
    assert_eq!(kept.sweep(100, 5, 2).runs, 2);
    assert_eq!(kept.ids(), [5, 4, 2]);
    assert_eq!(kept.sweep(100, 5, 0).runs, 0);
    assert_eq!(kept.sweep(100, 0, usize::MAX).runs, 3);
}

fn a_sweep_leaves_unfinished_runs_alone<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1), event(1, 1, "a"), admitted(2), ended(2, 1)]);
    assert_eq!(kept.sweep(u64::MAX, u64::MAX, 10).runs, 1);
    assert_eq!(kept.find(1).unwrap().events.len(), 1);
}

fn the_mark_of_sweeps_never_goes_back<K: Kept>() {
    let mut kept: K = five_ended();
    let marks = (0..3).map(|_| kept.sweep(0, 1, 10).swept_to);
    assert_eq!(marks.collect::<Vec<_>>(), [Some(id(3)), Some(id(3)), Some(id(5))]);
    kept.reopen();
    assert_eq!(kept.loaded().swept_to, Some(id(5)));
    assert_eq!(kept.sweep(0, 9, 10).swept_to, Some(id(5)));
    assert_eq!(kept.sweep(0, 9, 10).swept_to, Some(id(5)));
    assert_eq!((kept.loaded().swept_to, kept.loaded().newest), (Some(id(5)), None));
}

fn load_gives_unfinished_runs_with_inputs_and_events_in_order<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(2), admitted_as(1, "q", Some("k")), admitted(3), ended(3, 9)]);
    kept.commit(vec![event(1, 9, "c"), inputs(1, 0, &["x"]), event(2, 1, "z"), event(1, 1, "a")]);
    kept.commit(vec![event(1, 5, "b"), inputs(1, 1, &["y"]), bounds(1, 77, 2)]);
    kept.reopen();
    let loaded = kept.loaded();
    let runs: Vec<_> = loaded.unfinished.iter().map(|run| run.admitted.run.as_u128()).collect();
    assert_eq!((runs, loaded.newest, loaded.ended), (vec![1, 2], Some(id(3)), 1));
    let first = &loaded.unfinished[0];
    assert_eq!(first.inputs, ["x".into(), "y".into()]);
    let events: Vec<_> = first.events.iter().map(|event| (event.number, &*event.json)).collect();
    assert_eq!(events, [(1, "a"), (5, "b"), (9, "c")]);
    assert_eq!((first.admitted.reserved, first.attempts, &*first.admitted.question), (77, 2, "q"));
    assert_eq!(first.admitted.key.as_ref().map(|key| &*key.key), Some("k"));
    assert_eq!(
        loaded.unfinished.iter().map(|run| run.admitted.ends_when_left).collect::<Vec<_>>(),
        [false, true]
    );
}

fn load_of_an_empty_storage_is_empty<K: Kept>() {
    let mut kept = K::new();
    assert_eq!(kept.all(), Default::default());
    kept.reopen();
    assert_eq!(kept.all(), Default::default());
    assert_eq!(kept.sweep(u64::MAX, u64::MAX, usize::MAX), Default::default());
}

fn bounds_go_up_and_down<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted(1)]);
    for (reserved, attempts) in [(128, 1), (256, 2), (20, 0), (20, u32::MAX)] {
        kept.commit(vec![bounds(1, reserved, attempts)]);
        kept.reopen();
        let unfinished = &kept.loaded().unfinished[0];
        assert_eq!((unfinished.admitted.reserved, unfinished.attempts), (reserved, attempts));
    }
}

fn texts_of_any_kind_come_back_as_they_were<K: Kept>() {
    let mut kept = K::new();
    let long = "ä".repeat(100_000);
    for (number, text) in (1..).zip(["", "\0", "a\0b", "'; DROP TABLE runs; --", "👩‍🚀\n", "12", &long])
    {
        kept.commit(vec![admitted_as(number, text, Some(&format!("key {text}"))), event(number, 1, text)]);
        kept.commit(vec![inputs(number, 0, &[text])]);
        kept.reopen();
        let loaded = kept.loaded();
        let unfinished = loaded.unfinished.last().unwrap();
        let texts = [&unfinished.admitted.question, &unfinished.inputs[0], &unfinished.events[0].json];
        assert!(texts.iter().all(|kept| &***kept == text), "{number}");
        assert_eq!(kept.run_of(&format!("key {text}")), Some(id(number)));
    }
}

fn a_callback_is_found_with_its_run_after_reopening_too<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(1, "http://a/b"), admitted(2)]);
    let loaded = kept.loaded();
    let urls: Vec<_> = loaded.unfinished.iter().map(|run| run.admitted.callback.as_deref()).collect();
    assert_eq!((urls, loaded.uncalled), (vec![Some("http://a/b"), None], vec![]));
    kept.commit(vec![ended(1, 9)]);
    kept.commit(vec![called(1, CallState::Outstanding, 3)]);
    kept.reopen();
    let callback = kept.find(1).unwrap().callback.unwrap();
    assert_eq!((&*callback.url, callback.called.attempts), ("http://a/b", 3));
    assert_eq!(callback.called.error.as_deref(), Some("answered 500"));
    assert_eq!(callback.called.due, Some(WallTime::from_millis(3)));
    assert_eq!(kept.find(2).unwrap().callback, None);
}

fn a_callback_of_an_ended_run_is_outstanding_until_it_is_over<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(2, "u"), admitted_to_call(1, "v"), admitted(3), ended(3, 8)]);
    kept.commit(vec![ended(2, 9), ended(1, 9), called(2, CallState::Outstanding, 1)]);
    let uncalled = kept.loaded().uncalled;
    let runs: Vec<_> = uncalled.iter().map(|it| (it.run.as_u128(), it.callback.called.attempts)).collect();
    assert_eq!((runs, uncalled[0].ended_at), (vec![(1, 0), (2, 1)], WallTime::from_millis(9)));
    kept.commit(vec![called(2, CallState::Delivered, 2), called(1, CallState::GivenUp, 1)]);
    kept.reopen();
    assert_eq!(kept.loaded().uncalled, []);
    assert_eq!(kept.find(2).unwrap().callback.unwrap().called.state, CallState::Delivered);
    assert_eq!(kept.find(1).unwrap().callback.unwrap().called.state, CallState::GivenUp);
}

fn a_callback_that_is_over_never_changes<K: Kept>() {
    let mut kept = K::new();
    let life = || {
        let (one, two) = (called(1, CallState::Outstanding, 1), called(1, CallState::Delivered, 2));
        vec![admitted_to_call(1, "u"), ended(1, 9), one, two]
    };
    kept.commit(life());
    let before = kept.all();
    kept.refuses(vec![called(1, CallState::GivenUp, 2)]);
    kept.refuses(vec![called(1, CallState::Delivered, 3)]);
    kept.commit(life());
    assert_eq!(kept.all(), before);
}

fn a_callback_is_told_of_ended_runs_alone<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(1, "u"), admitted(2), ended(2, 9)]);
    kept.refuses(vec![called(1, CallState::Delivered, 1)]);
    let before = kept.all();
    // Neither has a callback of which something could be told.
    kept.commit(vec![called(2, CallState::Delivered, 1), called(3, CallState::Delivered, 1)]);
    assert_eq!(kept.all(), before);
}

fn a_run_keeps_where_its_end_is_to_be_told<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(1, "u"), admitted(2)]);
    kept.refuses(vec![admitted_to_call(1, "v")]);
    kept.refuses(vec![admitted(1)]);
    kept.refuses(vec![admitted_to_call(2, "u")]);
    kept.commit(vec![ended(1, 9), admitted_to_call(1, "u")]);
    assert_eq!(&*kept.loaded().uncalled[0].callback.url, "u");
}

fn a_list_tells_what_runs_are_about_behind_their_ends_too<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_as(1, "\u{e4}", Some("k")), admitted_as(2, "q", None), ended(1, 9)]);
    let subject = |message: &str, session: Option<&str>| Subject {
        message: message.into(),
        session: session.map(Into::into),
    };
    let told = [subject("q", None), subject("\u{e4}", Some("k"))];
    let subjects = |kept: &mut K| kept.rows().into_iter().map(|row| row.subject).collect::<Vec<_>>();
    assert_eq!(subjects(&mut kept), told);
    kept.reopen();
    assert_eq!(subjects(&mut kept), told);
    assert_eq!(kept.loaded().unfinished[0].admitted.subject, told[0]);
}

fn a_sweep_leaves_runs_alone_whose_callback_is_outstanding<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(1, "u"), admitted_to_call(2, "u"), admitted(3)]);
    kept.commit(vec![ended(1, 1), ended(2, 2), ended(3, 3)]);
    let loaded = kept.loaded();
    assert_eq!((loaded.ended, loaded.oldest_end), (1, Some(WallTime::from_millis(3))));
    let swept = kept.sweep(u64::MAX, u64::MAX, 10);
    assert_eq!((swept.runs, swept.oldest_end, swept.swept_to), (1, None, Some(id(3))));
    kept.commit(vec![called(2, CallState::GivenUp, 8)]);
    kept.reopen();
    let loaded = kept.loaded();
    assert_eq!((loaded.ended, loaded.oldest_end), (1, Some(WallTime::from_millis(2))));
    assert_eq!(kept.sweep(u64::MAX, u64::MAX, 10).runs, 1);
    assert_eq!(kept.ids(), [1]);
}

fn a_callback_is_gone_with_its_run<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![admitted_to_call(1, "u"), admitted_to_call(2, "u"), ended(2, 9)]);
    kept.commit(vec![called(2, CallState::Delivered, 1), forgotten(1)]);
    kept.sweep(10, 0, 10);
    // Whatever named the runs before names these.
    kept.commit(vec![admitted(1), admitted(2), ended(1, 9), ended(2, 9)]);
    assert_eq!((kept.find(1).unwrap().callback, kept.find(2).unwrap().callback), (None, None));
    assert_eq!(kept.loaded().uncalled, []);
}

fn vectors_are_found_in_the_order_of_their_names_after_reopening_too<K: Kept>() {
    let mut kept = K::new();
    kept.keep_vectors(&[3, 1, 2], MANY);
    assert_eq!(kept.vectors(&[1, 9, 3]), [Some(1), None, Some(3)]);
    kept.reopen();
    assert_eq!(kept.vectors(&[2, 2, 9]), [Some(2), Some(2), None]);
    assert_eq!(kept.vectors(&[]), []);
}

fn a_vector_that_is_kept_is_replaced_in_its_place<K: Kept>() {
    let mut kept = K::new();
    kept.keep_vectors(&[1], MANY);
    let other = KeptVector { name: id(1), bytes: Box::new([7]) };
    kept.talk().keep_vectors(&[other], MANY).unwrap();
    assert_eq!(kept.vectors(&[1]), [Some(7)]);
}

fn the_vectors_that_came_first_make_room<K: Kept>() {
    let mut kept = K::new();
    kept.keep_vectors(&[1, 2, 3], 3);
    // The first one came first, however often it is said again.
    kept.keep_vectors(&[1, 4], 3);
    assert_eq!(kept.vectors(&[1, 2, 3, 4]), [None, Some(2), Some(3), Some(4)]);
    kept.reopen();
    kept.keep_vectors(&[1], 2);
    assert_eq!(kept.vectors(&[1, 2, 3, 4]), [Some(1), None, None, Some(4)]);
}

/// Runs with these numbers have ended.
fn over<K: Kept>(kept: &mut K, runs: std::ops::RangeInclusive<u128>) {
    for run in runs {
        kept.commit(vec![admitted(run), ended(run, 1)]);
    }
}

fn what_was_said_in_a_session_is_found_in_order_after_reopening_too<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=3);
    kept.commit(vec![said(1, "a", "x", ALL)]);
    kept.commit(vec![said(2, "b", "y", ALL), said(3, "a", "z", ALL)]);
    let before = kept.all();
    kept.reopen();
    assert_eq!(kept.all(), before);
    assert_eq!(kept.said_in("a"), ["m1 x", "m3 z"]);
    let rows = kept.sessions();
    let times = |row: &oneloop::store::SessionRow| (row.created_at.as_millis(), row.updated_at.as_millis());
    assert_eq!((&*rows[0].name, times(&rows[0]), rows[0].messages), ("a", (1, 4), 2));
    assert_eq!((&*rows[1].name, times(&rows[1]), rows[1].messages), ("b", (2, 3), 1));
    assert_eq!(kept.storage().find_session("c").unwrap(), None);
}

fn what_was_said_outlives_the_run_that_has_said_it<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=1);
    kept.commit(vec![said(1, "a", "x", ALL)]);
    assert_eq!(kept.sweep(9, 9, 9).runs, 1);
    assert_eq!(kept.said_in("a"), ["m1 x"]);
}

fn saying_it_again_changes_nothing_and_something_else_is_refused<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=2);
    kept.commit(vec![said(1, "a", "x", ALL)]);
    kept.commit(vec![said(2, "a", "y", ALL)]);
    let before = kept.all();
    kept.commit(vec![said(1, "a", "x", ALL)]);
    kept.refuses(vec![said(1, "a", "other", ALL)]);
    kept.refuses(vec![said(1, "b", "x", ALL), said(1, "b", "y", ALL)]);
    assert_eq!(kept.all(), before);
}

fn what_an_unknown_run_has_said_is_passed_over<K: Kept>() {
    let mut kept = K::new();
    kept.commit(vec![said(1, "a", "x", ALL)]);
    assert!(kept.names().is_empty());
}

fn a_batch_with_a_contradiction_leaves_nothing_of_what_was_said<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=2);
    kept.commit(vec![said(1, "a", "x", ALL)]);
    let before = kept.all();
    kept.refuses(vec![said(2, "a", "y", ALL), admitted_as(1, "another", None), ended(1, 7)]);
    assert_eq!(kept.all(), before);
}

fn the_oldest_messages_of_a_session_make_room_and_the_newest_stays<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=6);
    for run in 1..=3 {
        kept.commit(vec![said(run, "a", "x", SessionBounds { messages_max: 2, ..ALL })]);
    }
    assert_eq!(kept.said_in("a"), ["m2 x", "m3 x"]);
    // Each takes three bytes.
    kept.commit(vec![said(4, "a", "x", SessionBounds { bytes_max: 8, ..ALL })]);
    assert_eq!(kept.said_in("a"), ["m3 x", "m4 x"]);
    kept.commit(vec![said(5, "a", "\u{e4}\u{e4}", SessionBounds { bytes_max: 8, ..ALL })]);
    assert_eq!(kept.said_in("a"), ["m5 \u{e4}\u{e4}"]);
    kept.commit(vec![said(6, "a", "x", SessionBounds { messages_max: 0, bytes_max: 0, sessions_max: 0 })]);
    assert_eq!(kept.said_in("a"), ["m6 x"]);
}

fn a_session_is_listed_with_the_beginning_of_its_oldest_message<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=4);
    let long = format!("\n \u{a0}{}", "a\0\u{e4}".repeat(999));
    kept.commit(vec![said_as(2, "a", &long, ALL)]);
    let beginnings = |kept: &mut K| kept.sessions().into_iter().map(|row| row.beginning).collect::<Vec<_>>();
    let begins = &long.trim_start()[..BEGINNING_BYTES_MAX];
    assert_eq!(beginnings(&mut kept), [begins.into()]);
    kept.commit(vec![said_as(3, "a", "third", ALL)]);
    kept.reopen();
    assert_eq!(beginnings(&mut kept), [begins.into()]);
    kept.commit(vec![said_as(1, "a", "first", ALL)]);
    assert_eq!(beginnings(&mut kept), ["first".into()]);
    kept.commit(vec![said_as(4, "a", "fourth", SessionBounds { messages_max: 2, ..ALL })]);
    assert_eq!(beginnings(&mut kept), ["third".into()]);
}

fn sessions_that_nobody_speaks_in_make_room<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=4);
    let two = SessionBounds { sessions_max: 2, ..ALL };
    for (run, session) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        kept.commit(vec![said(run, session, "x", two)]);
    }
    assert_eq!(kept.names(), ["c", "a"]);
    assert!(kept.said_in("b").is_empty());
}

fn pages_of_sessions_go_from_the_one_spoken_in_last_on<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=5);
    for (run, session) in [(1, "b"), (2, "a"), (3, "c"), (4, "d"), (5, "b")] {
        kept.commit(vec![said(run, session, "x", ALL)]);
    }
    assert_eq!(kept.names(), ["b", "d", "c", "a"]);
    let first = kept.storage().list_sessions(None, 2).unwrap();
    let rest = kept.storage().list_sessions(Some(&place(&first[1])), 9).unwrap();
    assert_eq!(rest, kept.sessions()[2..]);
    assert!(kept.storage().list_sessions(Some(&place(&rest[1])), 9).unwrap().is_empty());
}

fn a_session_that_is_dropped_is_gone_and_may_begin_anew<K: Kept>() {
    let mut kept = K::new();
    over(&mut kept, 1..=3);
    kept.commit(vec![said(1, "a", "x", ALL), said(2, "b", "y", ALL)]);
    assert!(kept.storage().drop_session("a").unwrap());
    assert!(!kept.storage().drop_session("a").unwrap());
    assert_eq!((kept.names(), kept.said_in("b")), (vec!["b".to_owned()], vec!["m2 y".to_owned()]));
    assert!(kept.find(1).is_some());
    kept.commit(vec![said(3, "a", "z", ALL)]);
    kept.reopen();
    assert_eq!(kept.said_in("a"), ["m3 z"]);
}
