//! Which counters a request of one worker belongs to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::access::RuleId;
use crate::config::Snapshot;
use crate::log::access::Kept;
use crate::log::counters::{
    CacheCounters, Ended, RULES, RequestCounters, RouteSlot, WorkerCounters,
};

const _: () = assert!(RuleId::ALL.len() == RULES);

/// The counters of one worker, and which of them the routes of the snapshot
/// in force have.
#[derive(Debug)]
pub(super) struct Counting {
    counters: Arc<WorkerCounters>,
    slots: RefCell<Slots>,
    /// Bytes of request bodies that are not in the counters yet.
    received: Rc<Cell<u64>>,
}

/// By a route's place in the snapshot. Weak: an idle worker does not keep an
/// old snapshot alive, and its address is not given to another one either.
#[derive(Debug, Default)]
struct Slots {
    snapshot: Weak<Snapshot>,
    by_place: Vec<RouteSlot>,
}

impl Counting {
    pub(super) fn new(counters: Arc<WorkerCounters>) -> Self {
        Self {
            counters,
            slots: RefCell::default(),
            received: Rc::default(),
        }
    }

    pub(super) fn requests(&self) -> &RequestCounters {
        &self.counters.requests
    }

    /// What this worker does for the cache.
    pub(super) fn cache(&self) -> &CacheCounters {
        &self.counters.cache
    }

    /// The newest denials of this worker.
    pub(super) fn kept(&self) -> &Kept {
        &self.counters.kept
    }

    /// Where a request body adds what comes of it.
    pub(super) fn received(&self) -> &Rc<Cell<u64>> {
        &self.received
    }

    /// A request is over.
    pub(super) fn ended(&self, ended: &Ended<'_>) {
        let requests = self.requests();
        requests.count(ended);
        if let Some(result) = ended.cache {
            self.counters.cache.answered(result, ended.sent);
        }
        requests.received.add(self.received.take());
        if std::thread::panicking() {
            requests.panics.add(1);
        }
    }

    /// Names are looked up once a snapshot; then this compares two pointers.
    pub(super) fn follow(&self, snapshot: &Arc<Snapshot>) {
        let mut slots = self.slots.borrow_mut();
        if std::ptr::eq(slots.snapshot.as_ptr(), Arc::as_ptr(snapshot)) {
            return;
        }
        let names = self.requests().names();
        let routes = snapshot.routes.iter();
        slots.by_place = routes.map(|route| names.slot(&route.name)).collect();
        slots.snapshot = Arc::downgrade(snapshot);
    }

    /// The slot of the route at `place` of the snapshot last followed.
    pub(super) fn slot(&self, place: usize) -> RouteSlot {
        self.slots.borrow().by_place[place]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::load_embedded;
    use crate::log::counters::Verdict;

    fn snapshot(name: &str) -> Arc<Snapshot> {
        let text = format!(
            "[origin]\nurl = \"http://127.0.0.1:9\"\n[[route]]\nname = \"{name}\"\npaths = [\"/a\"]\n"
        );
        let (snapshot, _) = load_embedded("test.toml", &text, []).unwrap();
        Arc::new(snapshot)
    }

    fn ended(route: RouteSlot) -> Ended<'static> {
        Ended {
            route,
            verdict: Verdict::Reject,
            would_deny: 0,
            cache: None,
            status: None,
            sent: 0,
            origin: None,
            total: Duration::ZERO,
            error: None,
        }
    }

    #[test]
    fn a_route_keeps_its_numbers_as_long_as_it_keeps_its_name() {
        let counting = Counting::new(Arc::default());
        let mut slots = Vec::new();
        for name in ["one", "one", "two", "one"] {
            counting.follow(&snapshot(name));
            slots.push((counting.slot(0), counting.slot(1)));
        }
        let default = slots[0].1;
        assert!(slots.iter().all(|(_, catch_all)| *catch_all == default));
        let named: Vec<RouteSlot> = slots.into_iter().map(|(slot, _)| slot).collect();
        assert_eq!([named[1], named[3]], [named[0]; 2]);
        assert!(named[2] != named[0] && named[2] != default);
    }

    #[test]
    fn a_panic_is_counted_once() {
        struct Ends<'c>(&'c Counting);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.ended(&ended(RouteSlot::NONE));
            }
        }
        let counting = Counting::new(Arc::default());
        drop(Ends(&counting));
        let panics = std::panic::AssertUnwindSafe(|| {
            let _ends = Ends(&counting);
            panic!("a request that panics");
        });
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(counting.requests().panics.get(), 1);
    }
}
