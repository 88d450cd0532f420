//! The names of routes that were ever counted, each with a place of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many names have numbers of their own; those of any more are one,
/// `other`, so that reloads that rename routes do not grow the process.
pub const MOST_NAMES: usize = 200;

/// The place of a route in the counters of every worker. It is its for as
/// long as the process lives, so that no number ever goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSlot(u16);

/// The names, in the order of their slots.
#[derive(Debug)]
pub struct RouteNames(Mutex<Vec<String>>);

impl RouteSlot {
    /// Of requests that found no route.
    pub const NONE: Self = Self(0);
    /// Of the routes that came when all names were taken.
    pub const OTHER: Self = Self(1);
    /// How many there can be.
    pub const COUNT: usize = 2 + MOST_NAMES;

    /// Its place.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for RouteNames {
    fn default() -> Self {
        Self(Mutex::new(vec![String::new(), "other".to_owned()]))
    }
}

impl RouteNames {
    /// The slot of the route called `name`, which keeps it from now on.
    pub fn slot(&self, name: &str) -> RouteSlot {
        let mut names = self.names();
        let known = names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            if names.len() == RouteSlot::COUNT {
                return RouteSlot::OTHER.index();
            }
            names.push(name.to_owned());
            names.len() - 1
        });
        u16::try_from(index).map_or(RouteSlot::OTHER, RouteSlot)
    }

    /// Every slot that is taken and what its numbers are shown as; the name
    /// of [`RouteSlot::NONE`] is empty.
    pub fn all(&self) -> Vec<(RouteSlot, String)> {
        let names = self.names().clone();
        let slots = (0..).map(RouteSlot);
        slots.zip(names).collect()
    }

    fn names(&self) -> MutexGuard<'_, Vec<String>> {
        // Every writer leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot_and_their_number_is_bounded() {
        let names = RouteNames::default();
        let first = names.slot("a");
        for reload in 0..1000 {
            let slot = names.slot(&format!("route {reload}"));
            assert!(slot.index() < RouteSlot::COUNT, "{reload}");
            assert_eq!(slot == RouteSlot::OTHER, reload >= MOST_NAMES - 1);
            assert_eq!(names.slot("a"), first);
        }
        let all = names.all();
        assert_eq!(all.len(), RouteSlot::COUNT);
        assert_eq!(all[0], (RouteSlot::NONE, String::new()));
        assert_eq!(all[1], (RouteSlot::OTHER, "other".to_owned()));
        assert_eq!(all[2], (first, "a".to_owned()));
    }
}
