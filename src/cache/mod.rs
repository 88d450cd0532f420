//! The cache (sections 8 and 9): an RFC 9111 shared cache in memory.
//!
//! What may be stored, how long it is fresh, whom it fits and what becomes of
//! it are pure functions that are told the time. What is kept is in [`entry`];
//! nothing here knows the origin, or writes to a client.

pub mod asked;
pub mod budget;
pub mod clock;
pub mod conditional;
mod decimal;
pub mod directives;
pub mod encoding;
pub mod entry;
mod freshness;
pub mod invalidation;
pub mod key;
pub mod multipart;
mod place;
pub mod policy;
pub mod policy;
pub mod purge;
mod range;
pub mod reply;
pub mod reuse;
pub mod settings;
pub mod settings;
pub mod status;
pub mod storable;
pub mod store;
mod targeted;
pub mod validation;
pub mod vary;
