//! What happened: the access log and the program's own log (section 13).

mod settings;

pub use settings::{AccessTarget, ClientAddressMode, Level, LogFormat, LogSettings};
