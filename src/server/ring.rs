//! Numbers in the order in which they came, each taken out from wherever it
//! stands: two small writes beside its own, whatever the length.

/// A ring of numbers; its first node is the seam.
#[derive(Debug)]
pub(super) struct Ring(Vec<Node>);

#[derive(Clone, Copy, Debug)]
struct Node {
    before: u32,
    after: u32,
}

impl Default for Ring {
    fn default() -> Self {
        Self(vec![Node::alone(0)])
    }
}

impl Node {
    fn alone(place: u32) -> Self {
        Self {
            before: place,
            after: place,
        }
    }
}

impl Ring {
    /// Puts `number` at the end; it must not be in the ring.
    pub(super) fn push(&mut self, number: u32) {
        let place = number + 1;
        while self.0.len() <= place as usize {
            self.0.push(Node::alone(self.0.len() as u32));
        }
        let last = self.0[0].before;
        self.0[place as usize] = Node {
            before: last,
            after: 0,
        };
        self.0[last as usize].after = place;
        self.0[0].before = place;
    }

    /// Takes `number` out, if it is in.
    pub(super) fn remove(&mut self, number: u32) {
        let place = number + 1;
        let Some(&Node { before, after }) = self.0.get(place as usize) else {
            return;
        };
        self.0[before as usize].after = after;
        self.0[after as usize].before = before;
        self.0[place as usize] = Node::alone(place);
    }

    /// How many are in, counted up to `most`.
    pub(super) fn count_to(&self, most: usize) -> usize {
        let mut at = 0;
        let next = std::iter::from_fn(|| {
            at = self.0[at].after as usize;
            (at > 0).then_some(at)
        });
        next.take(most).count()
    }

    /// The one that has been in for the longest.
    pub(super) fn first(&self) -> Option<u32> {
        self.0[0].after.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_queue_with_holes(steps in prop::collection::vec((0u32..12, any::<bool>()), 0..200)) {
            let (mut ring, mut queue) = (Ring::default(), VecDeque::new());
            for (number, push) in steps {
                if push && !queue.contains(&number) {
                    ring.push(number);
                    queue.push_back(number);
                } else if !push {
                    ring.remove(number);
                    queue.retain(|other| *other != number);
                }
                prop_assert_eq!(ring.first(), queue.front().copied());
                prop_assert_eq!(ring.count_to(5), queue.len().min(5));
            }
        }
    }
}
