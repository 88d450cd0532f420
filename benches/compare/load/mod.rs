//! What is asked, and the tool that asks it.

pub(crate) mod objects;
pub(crate) mod random;
pub(crate) mod request;
pub(crate) mod script;
pub(crate) mod wrk;
