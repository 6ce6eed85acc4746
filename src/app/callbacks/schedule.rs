//! When a callback is tried again, and after which answers.

use std::time::Duration;

use crate::app::model::retry::wished;
use crate::base::WallTime;
use crate::limits::Limits;

/// How much longer each pause is than the one before.
const GROWTH: u32 = 3;

/// What an answer makes of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was received.
    Delivered,
    /// The same may be received in a while.
    Later,
    /// It will never be.
    Never,
}

/// What this status says. A redirect is not followed: whoever can make a receiver redirect could have us call anybody.
pub fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        408 | 425 | 429 | 500..=599 => Verdict::Later,
        _ => Verdict::Never,
    }
}

/// The pause behind a try that failed, the `attempts`th; `None` if that was the last.
///
/// It is drawn from its upper half, so that many who failed together do not come back together. A receiver that names a
/// time (`Retry-After`) is given it, up to the bound of all pauses.
pub fn pause(
    attempts: u32,
    retry_after: Option<&str>,
    random: u64,
    wall: WallTime,
    limits: &Limits,
) -> Option<Duration> {
    if attempts >= limits.callback_attempts_max {
        return None;
    }
    let grown = GROWTH.saturating_pow(attempts.saturating_sub(1));
    let whole = limits.callback_pause.saturating_mul(grown).min(limits.callback_pause_max);
    let half = whole / 2;
    let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
    let drawn = half + Duration::from_nanos(random % span);
    let wished = retry_after.and_then(|text| wished(text, wall)).unwrap_or(Duration::ZERO);
    Some(drawn.max(wished.min(limits.callback_pause_max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_millis(784_111_777_000);

    #[test]
    fn all_tries_together_take_from_half_an_hour_to_an_hour() {
        let limits = Limits::default();
        for random in [0, 1, u64::MAX / 3, u64::MAX / 2, u64::MAX] {
            let pauses = (1..limits.callback_attempts_max)
                .filter_map(|attempts| pause(attempts, None, random, NOW, &limits));
            let all: Duration = pauses.sum();
            let minutes = all.as_secs() / 60;
            assert!((27..60).contains(&minutes), "{minutes}");
        }
        assert_eq!(pause(limits.callback_attempts_max, None, 0, NOW, &limits), None);
        assert_eq!(pause(u32::MAX, None, 0, NOW, &limits), None);
    }

    #[test]
    fn a_receiver_that_names_a_time_is_given_it_up_to_a_bound() {
        let limits = Limits::default();
        let pause = |text| pause(1, Some(text), 0, NOW, &limits);
        assert_eq!(pause("60"), Some(Duration::from_secs(60)));
        assert_eq!(pause("0"), Some(limits.callback_pause / 2));
        assert_eq!(pause("99999999"), Some(limits.callback_pause_max));
        assert_eq!(pause("soon"), Some(limits.callback_pause / 2));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, expected) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (301, Verdict::Never),
            (308, Verdict::Never),
            (400, Verdict::Never),
            (408, Verdict::Later),
            (410, Verdict::Never),
            (425, Verdict::Later),
            (429, Verdict::Later),
            (500, Verdict::Later),
            (503, Verdict::Later),
            (599, Verdict::Later),
            (600, Verdict::Never),
        ] {
            assert_eq!(verdict(status), expected, "{status}");
        }
    }
}
