//! Which counters a request of one worker belongs to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::access::RuleId;
use crate::config::Snapshot;
use crate::log::counters::{Ended, RULES, RequestCounters, RouteSlot, WorkerCounters};

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

    /// Where a request body adds what comes of it.
    pub(super) fn received(&self) -> &Rc<Cell<u64>> {
        &self.received
    }

    /// A request is over.
    pub(super) fn ended(&self, ended: &Ended<'_>) {
        let requests = self.requests();
        requests.count(ended);
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
