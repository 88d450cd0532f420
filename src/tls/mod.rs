//! TLS towards clients: certificates with their keys, which of them a client
//! is shown, and what a handshake runs by.
//!
//! Whoever accepts connections does the handshake; here is what it needs.

mod certificate;
mod certificates;
mod chain;
mod key;
mod name;
mod pem;
mod settings;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, MismatchError, ValidityError};
pub use certificates::{Certificates, Conflict};
pub use chain::{Chain, ChainError};
pub use key::{Key, KeyError};
pub use name::Name;
pub use pem::PemError;
pub use settings::{MinVersion, TicketError, server_config};
