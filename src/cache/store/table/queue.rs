//! The queue of all nodes, and the hand that goes along it from the oldest.

use std::mem;
use std::sync::Arc;

use super::{NONE, Node, Table};
use crate::cache::entry::Entry;

impl Table {
    pub(super) fn queue_newest(&mut self, at: u32) {
        let second = mem::replace(&mut self.newest, at);
        self.node_mut(at).older = second;
        *self.newer_of(second) = at;
    }

    pub(super) fn unqueue(&mut self, at: u32) {
        let Node { older, newer, .. } = *self.node(at);
        *self.newer_of(older) = newer;
        *self.older_of(newer) = older;
        if self.hand == at {
            self.hand = newer;
        }
    }

    /// What points from `older` to the next newer one.
    pub(super) fn newer_of(&mut self, older: u32) -> &mut u32 {
        match older {
            NONE => &mut self.oldest,
            older => &mut self.node_mut(older).newer,
        }
    }

    pub(super) fn older_of(&mut self, newer: u32) -> &mut u32 {
        match newer {
            NONE => &mut self.newest,
            newer => &mut self.node_mut(newer).older,
        }
    }

    /// SIEVE: the next entry to go, seen by at most `steps` steps of the
    /// hand, each of which is taken off. Those asked for since the hand was
    /// there last stay, unless `all` may go, and those somebody reads: their
    /// room would not come free.
    pub(in crate::cache::store) fn victim(&mut self, steps: &mut usize, all: bool) -> Option<u32> {
        while *steps > 0 {
            *steps -= 1;
            if self.hand == NONE {
                self.hand = self.oldest;
            }
            if self.hand == NONE {
                return None;
            }
            let node = self.node_mut(self.hand);
            let stays = mem::replace(node.visited.get_mut(), false) && !all;
            if !stays && !node.entry.as_ref().is_some_and(is_held) {
                return Some(self.hand);
            }
            self.hand = node.newer;
        }
        None
    }
}

fn is_held(entry: &Arc<Entry>) -> bool {
    Arc::strong_count(entry) > 1 || Arc::strong_count(&entry.body) > 1
}
