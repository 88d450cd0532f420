//! The chains of nodes whose hashes share a head (linear hashing: Litwin,
//! VLDB 1980).

use std::mem;

use super::{HEADS, NONE, Node, Table};

impl Table {
    pub(super) fn chain(&self, hash: u64) -> impl Iterator<Item = (u32, &Node)> {
        let mut next = match self.heads {
            0 => NONE,
            _ => {
                let head = self.head_of(hash);
                self.chunks[head / HEADS].heads[head % HEADS]
            }
        };
        std::iter::from_fn(move || {
            let at = next;
            let node = (at != NONE).then(|| self.node(at))?;
            next = node.chain;
            Some((at, node))
        })
    }

    /// Which head a hash belongs to: that of its low bits, without the highest
    /// one where there is no such head yet.
    fn head_of(&self, hash: u64) -> usize {
        let all = self.heads.next_power_of_two();
        let head = hash as usize & (all - 1);
        match head < self.heads {
            true => head,
            false => head - all / 2,
        }
    }

    fn head_mut(&mut self, head: usize) -> &mut u32 {
        &mut self.chunks[head / HEADS].heads[head % HEADS]
    }

    /// What points to a node in its chain.
    pub(super) fn link_to(&mut self, hash: u64, at: u32) -> &mut u32 {
        let head = self.head_of(hash);
        let mut link = *self.head_mut(head);
        if link == at {
            return self.head_mut(head);
        }
        while self.node(link).chain != at {
            link = self.node(link).chain;
        }
        &mut self.node_mut(link).chain
    }

    pub(super) fn chain_first(&mut self, at: u32) {
        let head = self.head_of(self.node(at).hash);
        self.node_mut(at).chain = mem::replace(self.head_mut(head), at);
    }

    pub(super) fn unchain(&mut self, at: u32) {
        let Node { hash, chain, .. } = *self.node(at);
        *self.link_to(hash, at) = chain;
    }

    /// Moves to the new head `head` what belongs there.
    pub(super) fn split(&mut self, head: usize) {
        let all = (head + 1).next_power_of_two();
        let mut at = mem::replace(self.head_mut(head - all / 2), NONE);
        let mut ends = [(head - all / 2, NONE), (head, NONE)];
        while at != NONE {
            let next = mem::replace(&mut self.node_mut(at).chain, NONE);
            let moves = self.node(at).hash as usize & (all - 1) == head;
            let (head, last) = &mut ends[usize::from(moves)];
            match *last {
                NONE => *self.head_mut(*head) = at,
                last => self.node_mut(last).chain = at,
            }
            *last = at;
            at = next;
        }
    }

    /// The reverse of `split`.
    pub(super) fn join(&mut self, head: usize) {
        let all = (head + 1).next_power_of_two();
        let moved = mem::replace(self.head_mut(head), NONE);
        let mut at = *self.head_mut(head - all / 2);
        if at == NONE {
            *self.head_mut(head - all / 2) = moved;
            return;
        }
        while self.node(at).chain != NONE {
            at = self.node(at).chain;
        }
        self.node_mut(at).chain = moved;
    }
}
