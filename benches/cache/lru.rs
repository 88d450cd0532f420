//! An exact LRU by bytes, to compare with: numbers instead of keys, no locks.

use std::collections::{BTreeMap, HashMap};

pub(crate) struct Lru {
    capacity: u64,
    taken: u64,
    clock: u64,
    /// By object: when it was last asked for, and its bytes.
    last: HashMap<usize, (u64, u64)>,
    order: BTreeMap<u64, usize>,
}

impl Lru {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            taken: 0,
            clock: 0,
            last: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Whether an object is there; now it is, if it can be.
    pub(crate) fn ask(&mut self, object: usize, bytes: u64) -> bool {
        self.clock += 1;
        let is_hit = match self.last.get_mut(&object) {
            Some((when, _)) => {
                self.order.remove(when);
                *when = self.clock;
                true
            }
            None if bytes > self.capacity => return false,
            None => {
                self.last.insert(object, (self.clock, bytes));
                self.taken += bytes;
                false
            }
        };
        self.order.insert(self.clock, object);
        while self.taken > self.capacity {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            let gone = self.last.remove(&oldest);
            self.taken -= gone.map_or(0, |(_, bytes)| bytes);
        }
        is_hit
    }
}
