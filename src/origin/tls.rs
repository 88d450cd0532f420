//! TLS towards origins: whose certificates are believed, and the sessions
//! that are taken up again.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::{OriginError, OriginUrl};

/// How an https origin is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    trust: Arc<Trust>,
    /// The host of `origin.url`, never one that a client names: the
    /// certificate must be for it, and it is sent as the server's name (SNI,
    /// RFC 6066 section 3) unless it is an address.
    name: ServerName<'static>,
}

/// The root certificates that are believed, and the sessions of the origins
/// that were believed by them. The same roots are the same `Trust` for as
/// long as anyone holds it, so that sessions outlive a reload.
pub struct Trust {
    id: u64,
    roots: Vec<CertificateDer<'static>>,
    config: Arc<ClientConfig>,
}

/// Why there is no [`Trust`].
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,
    /// The file has no certificate in PEM.
    #[error("it has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The file ends within a certificate.
    #[error("it ends in the middle of a certificate")]
    CutShort,
    /// A part of the file is not PEM.
    #[error("it is damaged: a part of it is not PEM")]
    Damaged,
    /// One of the certificates cannot be read.
    #[error("its certificate number {number} cannot be read: {source}")]
    Certificate {
        /// From 1.
        number: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The platform has no root certificates.
    #[error("this system has no root certificates")]
    NoRoots,
}

/// Whose sessions are to be found again by whoever loads a configuration,
/// which knows nothing of the one before it.
static KNOWN: Mutex<Vec<Weak<Trust>>> = Mutex::new(Vec::new());

impl Trust {
    /// Only what is issued by one of the certificates of this PEM file.
    ///
    /// # Errors
    ///
    /// [`TrustError`]: not one of them is left out quietly.
    pub fn from_pem(pem: &[u8]) -> Result<Arc<Self>, TrustError> {
        if pem.is_empty() {
            return Err(TrustError::Empty);
        }
        let roots: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| match error {
                pem::Error::MissingSectionEnd { .. } => TrustError::CutShort,
                // Its text may quote the file, and that may be a private key.
                _ => TrustError::Damaged,
            })?;
        let mut store = RootCertStore::empty();
        for (index, root) in roots.iter().enumerate() {
            store
                .add(root.clone())
                .map_err(|source| TrustError::Certificate {
                    number: index + 1,
                    source,
                })?;
        }
        match roots.is_empty() {
            true => Err(TrustError::NoCertificate),
            false => Ok(Self::of(roots, store)),
        }
    }

    /// What the platform trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace
    /// that.
    ///
    /// # Errors
    ///
    /// [`TrustError::NoRoots`]
    pub fn platform() -> Result<Arc<Self>, TrustError> {
        // Platforms have a few roots that cannot be read; the others count.
        let roots = rustls_native_certs::load_native_certs().certs;
        let mut store = RootCertStore::empty();
        match store.add_parsable_certificates(roots.iter().cloned()) {
            (0, _) => Err(TrustError::NoRoots),
            _ => Ok(Self::of(roots, store)),
        }
    }

    fn of(roots: Vec<CertificateDer<'static>>, store: RootCertStore) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|trust| trust.strong_count() > 0);
        let mut alive = known.iter().filter_map(Weak::upgrade);
        if let Some(trust) = alive.find(|trust| trust.roots == roots) {
            return trust;
        }
        let trust = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            roots,
            config: Arc::new(client_config(store)),
        });
        known.push(Arc::downgrade(&trust));
        trust
    }
}

fn client_config(store: RootCertStore) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider's default suites serve TLS 1.2 and 1.3");
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Trust");
        debug
            .field("roots", &self.roots.len())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS to the host of `url`; `None` if no certificate can be for it.
    pub fn new(trust: Arc<Trust>, url: &OriginUrl) -> Option<Self> {
        let name = ServerName::try_from(url.bare_host().to_owned()).ok()?;
        Some(Self { trust, name })
    }

    /// A number that no other [`Trust`] has or ever had.
    pub(super) fn trust_id(&self) -> u64 {
        self.trust.id
    }

    /// Makes a connection a private one, to whom it was meant for.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, OriginError> {
        let connector = TlsConnector::from(Arc::clone(&self.trust.config));
        let handshake = connector.connect(self.name.clone(), stream).await;
        handshake.map_err(|error| match cause(&error) {
            Some(cause) => cause.into(),
            None => OriginError::TlsBroken(error),
        })
    }
}

/// What TLS has against a connection, if that is what `error` is about.
pub(super) fn cause(error: &(dyn std::error::Error + 'static)) -> Option<rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found.clone());
        }
        // What an `io::Error` wraps is not its source: that is the wrapped
        // error's own.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl From<rustls::Error> for OriginError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Self::TlsCertificate(error)
            }
            rustls::Error::AlertReceived(_) => Self::TlsAlert(error),
            _ => Self::Tls(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn root() -> String {
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn the_same_roots_are_the_same_trust_while_anyone_holds_it() {
        let (one, two) = (root(), root());
        let trust = |pem: &str| Trust::from_pem(pem.as_bytes()).unwrap();
        let first = trust(&one);
        let also = trust(&format!("# with a comment\n{one}"));
        assert!(Arc::ptr_eq(&first, &also));
        assert_ne!(first, trust(&two));
        assert_ne!(first, trust(&format!("{one}{two}")));
        let id = first.id;
        drop((first, also));
        assert_ne!(id, trust(&one).id);
    }

    #[test]
    fn one_bad_certificate_is_not_left_out_quietly() {
        let good = root();
        let cut = &good[..good.len() - 30];
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = |pem: &str| Trust::from_pem(pem.as_bytes()).unwrap_err();
        assert!(matches!(error(""), TrustError::Empty));
        assert!(matches!(error("hello"), TrustError::NoCertificate));
        assert!(matches!(
            error(&format!("{good}{cut}")),
            TrustError::CutShort
        ));
        assert!(matches!(
            error(&format!("{good}{bad}")),
            TrustError::Certificate { number: 2, .. }
        ));
        let garbled = good.replacen("MII", "M~I", 1);
        assert!(matches!(error(&garbled), TrustError::Damaged));
    }

    #[test]
    fn a_cause_is_found_however_deep() {
        let tls = || rustls::Error::AlertReceived(rustls::AlertDescription::AccessDenied);
        let deep = io::Error::other(io::Error::other(tls()));
        assert_eq!(cause(&deep), Some(tls()));
        assert_eq!(
            cause(&OriginError::TlsBroken(io::Error::other(tls()))),
            Some(tls())
        );
        assert_eq!(cause(&io::Error::other("no")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_roots_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..500) {
            let mut pem = root().into_bytes();
            let at = at.min(pem.len());
            pem.splice(at..at, bytes.iter().copied());
            let _ = Trust::from_pem(&pem);
            let _ = Trust::from_pem(&bytes);
        }
    }
}
