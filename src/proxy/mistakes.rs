//! The two commonest mistakes in `[client]`, told once a minute (section 4):
//! a proxy that is trusted and names nobody, and one that names somebody and
//! is not trusted. Either makes the rules judge the proxy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::Snapshot;
use crate::log::counters::RequestCounters;
use crate::plan::{Arrival, Plan, Received};

/// How often each is told.
const EVERY: Duration = Duration::from_secs(60);

/// What is counted over all workers. Only a mistake writes to it.
#[derive(Debug)]
pub struct Mistakes {
    since: Instant,
    unnamed: Mistake,
    unbelieved: Mistake,
}

/// One kind of mistake.
#[derive(Debug, Default)]
struct Mistake {
    /// Since it was last told.
    count: AtomicU64,
    /// When it may be told again, in milliseconds.
    next: AtomicU64,
}

impl Default for Mistakes {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            unnamed: Mistake::default(),
            unbelieved: Mistake::default(),
        }
    }
}

impl Mistakes {
    /// Looks at how the client of a request was found.
    pub(super) fn look(
        &self,
        snapshot: &Snapshot,
        received: &Received,
        arrival: &Arrival,
        plan: &Plan<'_>,
        counters: &RequestCounters,
    ) {
        let field = snapshot.client.field.name();
        let peer = arrival.peer.ip();
        if arrival.peer.names_nobody() {
            // By its PROXY header, as a balancer's own checks do: no mistake.
            return;
        }
        if plan.client.peer_trusted {
            if !plan.client.from.is_peer() {
                return;
            }
            counters.unnamed.add(1);
            if let Some(requests) = self.unnamed.count(self.since.elapsed()) {
                tracing::warn!(
                    requests, %peer,
                    "a trusted proxy names no client in {field}: the rules judge the proxy itself; \
                     check client.header, and that the proxy sets the field"
                );
            }
        } else if received.headers.contains_name(field) {
            counters.unbelieved.add(1);
            if let Some(requests) = self.unbelieved.count(self.since.elapsed()) {
                tracing::warn!(
                    requests, %peer,
                    "{field} came from a peer that is not trusted, and is not believed; \
                     if the peer is a proxy of yours, add it to client.trusted_proxies"
                );
            }
        }
    }
}

impl Mistake {
    /// Counts one; how many there were since the last time, if it is time to
    /// tell.
    fn count(&self, now: Duration) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(EVERY.as_millis() as u64);
        if now < next
            || self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return None;
        }
        self.count.fetch_sub(count, Ordering::Relaxed);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_once_and_then_once_a_minute() {
        let mistake = Mistake::default();
        let at = |seconds| mistake.count(Duration::from_secs(seconds));
        assert_eq!(at(5), Some(1));
        assert_eq!((at(6), at(30), at(64)), (None, None, None));
        assert_eq!(at(65), Some(4));
        assert_eq!(at(66), None);
        assert_eq!(at(500), Some(2));
    }
}
