//! What must hold of whatever bytes somebody sends: a module each, and in it
//! one function, `check`, that takes any bytes and panics where it does not.
//!
//! `cargo fuzz` runs them guided by coverage; `tests/fuzz.rs` runs the same on
//! a stable toolchain, on the seeds under `corpus/` and what is made of them.

pub mod cache_control;
pub mod configuration;
pub mod country;
pub mod forwarded;
pub mod glob;
pub mod path;
pub mod proxy;
pub mod range;
pub mod referer;

/// A target: its name, which its folder under `corpus/` has too, and its check.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("cache_control", cache_control::check),
    ("configuration", configuration::check),
    ("country", country::check),
    ("forwarded", forwarded::check),
    ("glob", glob::check),
    ("path", path::check),
    ("proxy", proxy::check),
    ("range", range::check),
    ("referer", referer::check),
];
