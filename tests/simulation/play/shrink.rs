//! Making a failing world smaller: leave things out for as long as it still fails.
//!
//! First whole actors, then kinds of fault, then single strikes, in halves and then one by one (Zeller and Hildebrandt,
//! "Simplifying and Isolating Failure-Inducing Input", 2002). Actors and kinds draw from streams of their own, so
//! leaving one out changes little for the others; it need not fail in the same words to count.

use super::scenario::{Omitted, Scenario};
use oneloop::os::faults::{Fault, Strike};

/// Strikes that are looked at one by one. With more, kinds as a whole have to do.
const STRIKES_MAX: usize = 400;

/// Worlds that are tried at most: the smallest found so far is good enough then.
const TRIES_MAX: usize = 600;

/// What can be left out of `scenario`, at most, so that `fails` is still true of the rest. `strikes` says what strikes in
/// what is left by then.
pub fn shrink(
    scenario: &Scenario,
    mut fails: impl FnMut(&Omitted) -> bool,
    strikes: impl FnOnce(&Omitted) -> Vec<Strike>,
) -> Omitted {
    let mut omitted = scenario.omitted.clone();
    let mut tries = TRIES_MAX;
    let actors: Vec<usize> = (0..scenario.actors()).collect();
    omit(&actors, &mut omitted, &mut tries, |omitted| &mut omitted.actors, &mut fails);
    let kinds: Vec<Fault> = scenario.weather.per_mille.iter().map(|(fault, _)| *fault).collect();
    omit(&kinds, &mut omitted, &mut tries, |omitted| &mut omitted.faults, &mut fails);
    let strikes = strikes(&omitted);
    if strikes.len() <= STRIKES_MAX {
        omit(&strikes, &mut omitted, &mut tries, |omitted| &mut omitted.strikes, &mut fails);
    }
    omitted
}

/// Leaves out as many of `things` as possible: large parts first, then smaller ones.
fn omit<T: Copy + PartialEq>(
    things: &[T],
    omitted: &mut Omitted,
    tries: &mut usize,
    list: impl Fn(&mut Omitted) -> &mut Vec<T>,
    fails: &mut impl FnMut(&Omitted) -> bool,
) {
    let mut left: Vec<T> = things.iter().filter(|thing| !list(omitted).contains(thing)).copied().collect();
    let mut part = left.len();
    let mut had_less = false;
    while part > 0 {
        let mut at = 0;
        while at < left.len() && *tries > 0 {
            *tries -= 1;
            let end = (at + part).min(left.len());
            let mut candidate = omitted.clone();
            list(&mut candidate).extend(&left[at..end]);
            if fails(&candidate) {
                *omitted = candidate;
                left.drain(at..end);
                had_less = true;
            } else {
                at = end;
            }
        }
        part /= 2;
        // What was needed beside something that is gone by now may be needed no more.
        if part == 0 && std::mem::take(&mut had_less) && *tries > 0 {
            part = left.len() / 2;
        }
    }
}
