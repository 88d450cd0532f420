//! What a handshake with a client runs by.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::crypto::aws_lc_rs::{self, Ticketer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, ProducesTickets};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ServerConfig, SupportedProtocolVersion};

use super::Certificates;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246), and 1.3.
    Tls12,
    /// TLS 1.3 (RFC 8446) only.
    Tls13,
}

/// There is no randomness to encrypt session tickets with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the system has no random source for session tickets")]
pub struct TicketError(#[source] rustls::Error);

/// What handshakes run by. `protocols` are offered by ALPN (RFC 7301), best
/// first; a client that offers others only is refused.
///
/// Sessions are resumed by tickets alone, so that nothing is kept for a client
/// that never comes back, and no lock is taken for one. There is no early data:
/// whoever records it can send it again (RFC 8446 section 8).
///
/// # Errors
///
/// [`TicketError`]
pub fn server_config(
    certificates: Arc<Certificates>,
    oldest: MinVersion,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TicketError> {
    let versions: &[&SupportedProtocolVersion] = match oldest {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("the provider's default suites serve TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.ticketer = ticketer()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The tickets of this process: made by one configuration they are good for the
/// next, so that a reload costs nobody a full handshake. Their keys change
/// every six hours, and are forgotten after twelve.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, TicketError> {
    static TICKETER: OnceLock<Arc<dyn ProducesTickets>> = OnceLock::new();
    if let Some(known) = TICKETER.get() {
        return Ok(Arc::clone(known));
    }
    let new = Ticketer::new().map_err(TicketError)?;
    // Of two that are made at the same time, one is for all.
    Ok(Arc::clone(TICKETER.get_or_init(|| new)))
}
