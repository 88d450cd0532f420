//! A stored response.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use smallvec::SmallVec;

use super::budget::Reservation;
use super::policy::Policy;
use super::vary::Form;
use crate::images::Variant;

/// Where a stored response belongs: everything that two requests must have in
/// common to share it, but the variant and what `Vary` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// `<scheme>://<host>[:<port>]<path>[?<query>]`: the key of section 8
    /// without its variant.
    pub url: &'a str,
    /// `origin.url` as it was configured.
    pub origin: &'a str,
}

/// The head of a stored response, and what is known of it.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The fields as they are stored: what must not be kept is gone, and
    /// there is a Date.
    pub headers: HeaderMap,
    /// How it may be used.
    pub policy: Policy,
    /// Which requests it fits beside the variant.
    pub form: Form,
    /// The variant that it is stored under.
    pub variant: Variant,
    /// The variants whose requests it answers: its own, and the one that was
    /// asked when the origin sent it.
    pub serves: Variants,
}

/// A set of variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variants(u8);

/// A stored response.
#[derive(Debug)]
pub struct Entry {
    /// The URL of its [`Key`].
    pub url: Box<str>,
    /// The origin of its [`Key`].
    pub origin: Box<str>,
    /// Its head.
    pub head: Head,
    /// Its body, shared with the entry that it was before it was validated.
    pub body: Arc<StoredBody>,
    /// The room that all but the body takes, given back when it is dropped.
    pub reservation: Reservation,
}

/// A body held in memory: pieces of [`PIECE`] bytes, the last one shorter.
#[derive(Debug)]
pub struct StoredBody {
    pieces: SmallVec<[Bytes; 1]>,
    length: u64,
    /// The room that it takes, given back when the last reader is done.
    reservation: Reservation,
}

/// How long each piece of a body is but its last, in bytes.
pub const PIECE: usize = 256 << 10;

impl Variants {
    /// With `variant` too.
    #[must_use]
    pub fn with(self, variant: Variant) -> Self {
        Self(self.0 | 1 << variant as u8)
    }

    /// With all of `other` too.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `variant` is one of them.
    pub fn contains(self, variant: Variant) -> bool {
        self.0 & 1 << variant as u8 != 0
    }
}

impl Entry {
    /// Where it belongs.
    pub fn key(&self) -> Key<'_> {
        Key {
            url: &self.url,
            origin: &self.origin,
        }
    }
}

impl StoredBody {
    /// A body of `pieces`, each of [`PIECE`] bytes but the last; `reservation`
    /// is what they take.
    pub fn new(pieces: SmallVec<[Bytes; 1]>, reservation: Reservation) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            pieces,
            length,
            reservation,
        }
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What of it stands in `range`, as far as one piece reaches; empty at
    /// its end.
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.length);
        if range.start >= end {
            return Bytes::new();
        }
        let number = usize::try_from(range.start / PIECE as u64).unwrap_or(usize::MAX);
        let Some(piece) = self.pieces.get(number) else {
            return Bytes::new();
        };
        let base = number as u64 * PIECE as u64;
        let start = (range.start - base) as usize;
        let end = (end - base).min(piece.len() as u64) as usize;
        piece.slice(start..end)
    }

    /// The room that it takes, in bytes.
    pub fn room(&self) -> u64 {
        self.reservation.bytes()
    }
}
