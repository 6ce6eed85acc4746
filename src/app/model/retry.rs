//! When to ask again: twice at most, before anything was answered, after a pause that grows and is never the same twice.

use std::time::{Duration, SystemTime};

use crate::base::WallTime;
use crate::limits::Limits;

/// The pause before the next try; `None` if there is none.
///
/// It doubles with each try and is drawn from its upper half, so that many who failed together do not come back together.
/// A server that names a time (`Retry-After`) is given it; one that wants more than `retry_after_max` is given up.
pub fn pause(
    tries: u32,
    retry_after: Option<&str>,
    random: u64,
    wall: WallTime,
    limits: &Limits,
) -> Option<Duration> {
    if tries > limits.model_retries_max {
        return None;
    }
    let whole = limits.retry_pause.saturating_mul(1 << tries.saturating_sub(1).min(16));
    let half = whole / 2;
    let drawn =
        half + Duration::from_nanos(random % (u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1)));
    let wished = retry_after.and_then(|text| wished(text, wall)).unwrap_or(Duration::ZERO);
    (wished <= limits.retry_after_max).then(|| drawn.max(wished))
}

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). One that can't be read says nothing.
pub(in crate::app) fn wished(text: &str, wall: WallTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(since_epoch.saturating_sub(Duration::from_millis(wall.as_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            model_retries_max: 2,
            retry_pause: Duration::from_secs(1),
            retry_after_max: Duration::from_secs(30),
            ..Limits::default()
        }
    }

    #[test]
    fn the_pause_grows_is_drawn_from_its_upper_half_and_ends() {
        for random in [0, 1, u64::MAX / 3, u64::MAX] {
            let pause = |tries| pause(tries, None, random, WallTime::from_millis(0), &limits());
            let (first, second) = (pause(1).unwrap(), pause(2).unwrap());
            assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&first));
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&second));
            assert_eq!(pause(3), None);
        }
    }

    #[test]
    fn a_server_that_names_a_time_is_given_it_up_to_a_bound() {
        let wall = WallTime::from_millis(784_111_777_000);
        let pause = |text| pause(1, Some(text), 0, wall, &limits());
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::from_millis(500)), "it is past");
        assert_eq!(pause("31"), None);
        assert_eq!(pause("18446744073709551616"), Some(Duration::from_millis(500)), "no number that we know");
        assert_eq!(pause("soon"), Some(Duration::from_millis(500)));
    }
}
