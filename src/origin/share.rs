//! Who uses a worker's connections: what fairness is judged by (section 10).

use std::net::IpAddr;

use crate::client::ClientAddr;

/// A client holds much of its worker's connections if it holds one in so many.
const MUCH: usize = 4;

/// Those who count as one client: an IPv4 address, or the /64 of an IPv6 one,
/// which is what a line usually has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientGroup(u128);

impl ClientGroup {
    /// The group of a client.
    pub fn of(client: ClientAddr) -> Self {
        match client.ip() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

/// The connections of a worker that are in use, and by whom. `None` is a
/// client that cannot be told from others, such as a trusted proxy.
#[derive(Debug, Default)]
pub(super) struct Busy {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Used(Option<ClientGroup>),
}

impl Busy {
    /// One more is in use; gives the slot to be left.
    pub(super) fn enter(&mut self, client: Option<ClientGroup>) -> usize {
        let used = Slot::Used(client);
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = used;
            return slot;
        }
        self.slots.push(used);
        self.slots.len() - 1
    }

    /// One less is in use.
    pub(super) fn leave(&mut self, slot: usize) {
        self.slots[slot] = Slot::Free;
        self.free.push(slot);
    }

    /// How many are in use.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether `client` has a quarter or more of them. Looks at each, so it
    /// is asked only when somebody has to wait.
    pub(super) fn is_much_for(&self, client: Option<ClientGroup>) -> bool {
        if client.is_none() {
            return false;
        }
        let used = Slot::Used(client);
        let own = self.slots.iter().filter(|slot| **slot == used).count();
        own > 0 && own * MUCH >= self.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(address: &str) -> Option<ClientGroup> {
        let address = address.parse().unwrap();
        Some(ClientGroup::of(ClientAddr::new(address)))
    }

    #[test]
    fn groups() {
        assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:0:0:1"));
        assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
        assert_eq!(group("::ffff:192.0.2.1"), group("192.0.2.1"));
    }

    #[test]
    fn a_quarter_is_much() {
        let mut busy = Busy::default();
        let (one, other) = (group("192.0.2.1"), group("192.0.2.2"));
        assert!(!busy.is_much_for(one));
        let first = busy.enter(one);
        assert!(busy.is_much_for(one) && !busy.is_much_for(other));
        let others: Vec<usize> = (0..3).map(|_| busy.enter(None)).collect();
        assert!(busy.is_much_for(one) && !busy.is_much_for(None));
        busy.enter(other);
        assert!(!busy.is_much_for(one));
        busy.leave(others[0]);
        assert!(busy.is_much_for(one));
        busy.leave(first);
        assert!(!busy.is_much_for(one) && busy.is_much_for(other));
        assert_eq!(busy.count(), 3);
    }
}
