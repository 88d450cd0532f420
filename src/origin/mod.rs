//! The server that owns the assets (section 10): finding a connection,
//! asking, and what can go wrong.

mod chunked;
mod connect;
mod direct;
mod download;
mod driven;
mod error;
mod exchange;
mod flow;
mod head;
mod inflow;
mod interim;
mod lease;
mod limit;
mod lookup;
mod pool;
mod request;
mod response;
mod settings;
mod share;
mod stream;
mod timer;
mod tls;
mod trouble;
mod turn;
mod upload;
mod wire;

pub use download::{Download, DownloadError};
pub use error::{Cause, Flaw, OriginError};
pub use exchange::Asking;
pub use flow::SLOWEST;
pub use interim::{Hear, Listener};
pub use limit::Limits;
pub use pool::Origins;
pub use request::OriginRequest;
pub use response::{OriginHead, OriginResponse, ReceivedHead};
pub use settings::{HostMode, OriginSettings, OriginUrl, OriginUrlError};
pub use share::ClientGroup;
pub use tls::{Tls, Trust, TrustError};
pub use upload::{Upload, UploadError};
