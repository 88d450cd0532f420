//! A new configuration without a restart (section 11): watch the files it is
//! made of, compile, and swap the snapshot whole.

mod fingerprint;
mod reloader;
mod status;
mod watch;

pub use reloader::{Load, ReloadError, Reloader, Swapped};
pub use status::{Failure, InForce, Reloads, Status};
pub use watch::{Handle, start};
