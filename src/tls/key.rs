//! A private key file.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::SignatureAlgorithm;
use tokio_rustls::rustls::crypto::aws_lc_rs::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::sign::SigningKey;

use super::pem::{self, PemError};

/// A private key. Nothing tells more of it than its algorithm.
#[derive(Clone)]
pub struct Key(pub(super) Arc<dyn SigningKey>);

/// Why a file is not a [`Key`]. It says nothing of what is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Someone would have to type a passphrase.
    #[error("it is encrypted, and there is nobody to ask for its passphrase")]
    Encrypted,
    /// It is the other one of two files.
    #[error("it has a certificate and no private key")]
    Certificate,
    /// It has something else in it.
    #[error("it has no private key in PEM (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// It does not say which one is meant.
    #[error("it has {0} private keys")]
    Several(usize),
    /// The key is damaged, or of another kind.
    #[error("its private key is damaged or of a kind that is not supported")]
    Unsupported,
}

impl Key {
    /// Reads a PEM file with one key in PKCS#8, PKCS#1 or SEC1; certificates
    /// in it are passed over.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with what is wrong; never with anything of the key.
    pub fn from_pem(file: &[u8]) -> Result<Self, KeyError> {
        if is_encrypted(file) {
            return Err(KeyError::Encrypted);
        }
        let keys: Vec<PrivateKeyDer<'static>> = pem::parts(file)?;
        match keys.as_slice() {
            [key] => any_supported_type(key)
                .map(Self)
                .map_err(|_| KeyError::Unsupported),
            [] if pem::has_part(file, "CERTIFICATE") => Err(KeyError::Certificate),
            [] => Err(KeyError::NoKey),
            several => Err(KeyError::Several(several.len())),
        }
    }

    /// What it signs by.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, ..)", self.algorithm())
    }
}

/// Whether there is an encrypted key: in PKCS#8, or as OpenSSL did it before.
fn is_encrypted(file: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(file, text).is_some();
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}
