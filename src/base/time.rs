//! Two clocks that are never mixed: [`Time`] to wait by, [`WallTime`] to show to people.
//!
//! Both are plain numbers handed in by `os::Clock`, so a machine that needs the time takes it as an argument.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

/// Nanoseconds on a clock that never goes back, since an origin that means nothing by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The clock's origin.
    pub const ZERO: Time = Time(0);

    /// The moment `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment and `wait` more; the far future when that does not fit.
    pub fn after(self, wait: Duration) -> Time {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was; zero if it has not come yet.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Milliseconds since 1970-01-01 UTC, as the system believes them; it may jump either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> WallTime {
        WallTime(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// RFC 3339 in UTC, always with three digits of milliseconds, so that moments
/// put in order as text are in order: `2026-03-01T09:30:00.250Z`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let Ok(moment) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
            return f.write_str("9999-12-31T23:59:59.999Z");
        };
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second, milli) = moment.to_hms_milli();
        write!(f, "{year:04}-{:02}-{day:02}T", u8::from(month))?;
        write!(f, "{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let late = Time::from_nanos(u64::MAX - 1).after(Duration::from_secs(9));
        assert_eq!(late, Time::from_nanos(u64::MAX));
        assert_eq!(Time::ZERO.since(late), Duration::ZERO);
    }

    #[test]
    fn wall_time_is_written_as_rfc_3339() {
        assert_eq!(WallTime::from_millis(1_772_357_400_250).to_string(), "2026-03-01T09:30:00.250Z");
        assert_eq!(WallTime::from_millis(1_772_357_400_000).to_string(), "2026-03-01T09:30:00.000Z");
        assert_eq!(WallTime::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}
