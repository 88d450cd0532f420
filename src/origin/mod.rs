//! The server that owns the assets (section 10): finding a connection,
//! asking, and what can go wrong.

mod connect;
mod error;
mod exchange;
mod limit;
mod lookup;
mod pool;
mod settings;
mod stream;
mod tls;
mod trouble;
mod upload;

pub use error::OriginError;
pub use exchange::Reply;
pub use limit::Limits;
pub use pool::{Lease, Origins};
pub use settings::{HostMode, OriginSettings, OriginUrl, OriginUrlError};
pub use tls::{Tls, Trust, TrustError};
pub use upload::Upload;
