//! What is told now and then only.

use std::cell::Cell;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// Counts what happens, and says when it is time to tell.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    told: Cell<Option<Instant>>,
    count: Cell<u64>,
}

impl Seldom {
    /// Counts one; how many there were since the last time, if it is time.
    pub(super) fn count(&self, now: Instant) -> Option<u64> {
        self.count.set(self.count.get() + 1);
        if self.told.get().is_some_and(|told| now - told < EVERY) {
            return None;
        }
        self.told.set(Some(now));
        Some(self.count.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_at_once_and_then_seldom() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let at = |seconds| seldom.count(start + Duration::from_secs(seconds));
        assert_eq!((at(0), at(1), at(9)), (Some(1), None, None));
        assert_eq!((at(10), at(11)), (Some(3), None));
    }
}
