//! How long something took, in buckets.

use std::time::Duration;

use super::Counter;

const BUCKETS: usize = 15;

/// Durations by size, written by one thread and read by others.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    micros: Counter,
}

impl Histogram {
    /// The upper bounds of all buckets but the last, which has none.
    pub const BOUNDS: [Duration; BUCKETS - 1] = [
        Duration::from_millis(1),
        Duration::from_micros(2500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
    ];

    /// Counts one. Only the owning thread may.
    pub fn observe(&self, time: Duration) {
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < time);
        self.buckets[bucket].add(1);
        self.micros
            .add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many fell into each bucket, those of smaller ones not among them.
    pub fn buckets(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.buckets[bucket].get())
    }

    /// All of them together, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 1000, 1001, 30_000_000, 30_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let buckets = histogram.buckets();
        assert_eq!((buckets[0], buckets[1]), (2, 1));
        assert_eq!((buckets[BUCKETS - 2], buckets[BUCKETS - 1]), (1, 1));
        assert_eq!(histogram.micros(), 60_002_002);
        assert!(Histogram::BOUNDS.is_sorted());
    }
}
