//! What happened: the access log and the program's own log (section 13).

pub mod access;
pub mod counters;
pub mod program;
mod settings;

pub use access::rfc3339;
pub use settings::{AccessTarget, ClientAddressMode, Level, LogFormat, LogSettings};
