//! Addresses, sets of networks, and where sockets are.
//!
//! Everything that compares addresses compares their [`canonical`] form, and
//! everything that lists networks holds them in that form too
//! ([`parse_network`]), so that a [`NetworkSet`] is asked one question only.

mod address;
mod error;
pub mod list;
mod listen_address;
mod search_v4;
mod search_v6;
mod set;
mod text;
mod unix_path;
mod written;

pub use self::address::{canonical, is_local, parse_address};
pub use self::error::NetworkError;
pub use self::listen_address::{ListenAddress, ListenAddressError};
pub use self::set::NetworkSet;
pub use self::text::AddressText;
pub use self::unix_path::{UnixPath, UnixPathError};
pub use self::written::{WrittenNetwork, parse_network};

pub(crate) use self::address::{LOCAL_V4, LOCAL_V6};
pub(crate) use self::error::shown;
