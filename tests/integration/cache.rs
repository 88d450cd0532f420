//! The cache, from outside: what a client gets, and what the origin hears of it.

mod access;
mod anything;
mod basics;
mod collapse;
mod encoding;
mod fill;
mod freshness;
mod invalidation;
mod memory;
mod poisoning;
mod purge;
mod ranges;
mod stale;
mod storable;
pub(crate) mod support;
mod validation;
mod variants;
mod vary;
