//! Variants that were worked out before: of a hundred thousand requests few
//! differ in all that a variant depends on.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::RandomState;

use crate::images::Variant;

/// Places; a new entry takes that of an older one.
const PLACES: usize = 1 << 14;

/// What a variant was, by the hash of what it depends on. Two of the 2^64
/// hashes are taken for different.
#[derive(Debug)]
pub(super) struct Memo {
    hasher: RandomState,
    places: RefCell<Box<[Place]>>,
}

/// A hash and its variant, once there is one.
type Place = Option<(u64, Option<Variant>)>;

impl Default for Memo {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            places: RefCell::new(vec![None; PLACES].into()),
        }
    }
}

impl Memo {
    /// The variant that depends on `on`, worked out by `find` the first time.
    pub(super) fn variant(
        &self,
        on: impl Hash,
        find: impl FnOnce() -> Option<Variant>,
    ) -> Option<Variant> {
        let hash = self.hasher.hash_one(on);
        let place = hash as usize % PLACES;
        if let Some((known, variant)) = self.places.borrow()[place]
            && known == hash
        {
            return variant;
        }
        let variant = find();
        self.places.borrow_mut()[place] = Some((hash, variant));
        variant
    }
}
