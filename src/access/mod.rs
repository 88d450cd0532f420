//! Not yet.

pub mod country;
