//! The cache (sections 8 and 9): an RFC 9111 shared cache in memory.
//!
//! What may be stored, how long it is fresh, whom it fits and what becomes of
//! it are pure functions that are told the time. What is kept is in [`entry`];
//! nothing here knows the origin, or writes to a client.

pub mod asked;
pub mod budget;
pub mod clock;
pub mod directives;
pub mod encoding;
pub mod entry;
#[cfg(test)]
mod fixture;
mod freshness;
pub mod invalidation;
pub mod key;
mod place;
pub mod policy;
pub mod reuse;
pub mod settings;
pub mod storable;
mod targeted;
pub mod validation;
pub mod vary;
