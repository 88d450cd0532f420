//! The server that owns the assets (section 10).

mod settings;

pub use settings::{HostMode, OriginSettings, OriginUrl, OriginUrlError};
