//! TLS: the one certificate that all peers show, and clients that believe it
//! and nothing else. All speak TLS 1.3 with the same suite and group.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, version};

use crate::Outcome;
use crate::policy::HOST;

/// As OpenSSL writes it.
pub(crate) const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// As OpenSSL writes it.
pub(crate) const GROUP: &str = "X25519";

/// How many sessions one client keeps.
const SESSIONS: usize = 4;

/// Where certificate and key are, as PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// One behind the other.
    pub(crate) both: PathBuf,
}

impl Identity {
    /// Makes them: ECDSA with P-256, signed by itself. They get a folder of
    /// their own: who watches it for changes has nothing to do while we measure.
    pub(crate) fn new(scratch: &Path) -> Outcome<Self> {
        let folder = scratch.join("identity");
        fs::create_dir(&folder)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
        let identity = Self {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            both: folder.join("both.pem"),
        };
        fs::write(&identity.certificate, certificate.pem())?;
        fs::write(&identity.key, key.serialize_pem())?;
        fs::write(&identity.both, certificate.pem() + &key.serialize_pem())?;
        Ok(identity)
    }
}

/// A client of HTTP/1.1 that believes this certificate. With `resumes` it
/// keeps the sessions that it is given, and goes on with them.
pub(crate) fn client(certificate: &Path, resumes: bool) -> Outcome<Arc<ClientConfig>> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if resumes {
        Resumption::in_memory_sessions(SESSIONS)
    } else {
        Resumption::disabled()
    };
    Ok(Arc::new(config))
}
