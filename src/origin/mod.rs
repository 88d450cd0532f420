//! The server that owns the assets (section 10): finding a connection,
//! asking, and what can go wrong.

mod connect;
mod error;
mod exchange;
mod limit;
mod pool;
mod settings;
mod upload;

pub use error::OriginError;
pub use exchange::Reply;
pub use limit::Limits;
pub use pool::{Lease, Origins};
pub use settings::{HostMode, OriginSettings, OriginUrl, OriginUrlError};
pub use upload::Upload;
