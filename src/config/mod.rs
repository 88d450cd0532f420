//! The configuration file, from text to [`Snapshot`].

mod policy_test;
mod snapshot;

pub use policy_test::{Expect, PolicyTest, TestRequest};
pub use snapshot::{Route, ServerSettings, Snapshot};
