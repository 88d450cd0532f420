//! Time, which the decisions of the cache are told and never ask for.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, in milliseconds since the process began, on a clock that never
/// goes back. What has aged for how long is told by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// The time of day, in seconds since 1970: what the dates in fields are
/// compared with, once, when a response comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u64);

/// Both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The moment.
    pub moment: Moment,
    /// The time of day.
    pub date: Date,
}

/// Where time comes from.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Moment {
    /// How long ago `earlier` was, in milliseconds.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The moment.
    pub fn moment(&self) -> Moment {
        Moment(millis(self.0.elapsed()))
    }

    /// The moment and the time of day.
    pub fn now(&self) -> Now {
        let date = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            moment: self.moment(),
            date: Date(date.map_or(0, |since| since.as_secs())),
        }
    }
}

/// A duration in whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
