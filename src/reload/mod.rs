//! A new configuration without a restart (section 11): watch the files it is
//! made of, compile, and swap the snapshot whole.

mod files;
mod folders;
mod guard;
mod reloader;
mod status;
mod watch;

pub use guard::{Doubt, Doubts, Loss};
pub use reloader::{Commit, Load, Prepare, Refusal, ReloadError, Reloader, Step, Told, Trigger};
pub use status::{Failure, InForce, Reloads, Status};
pub use watch::{Handle, start};
