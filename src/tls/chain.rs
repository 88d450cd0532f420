//! A certificate file: the server's own certificate, then those of who issued
//! it.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::{self, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::name::Name;
use super::pem::{self, PemError};

/// The certificates of a file, the server's own first.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Never empty.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) names: Vec<Name>,
    /// When each of them is valid.
    pub(super) validity: Vec<RangeInclusive<SystemTime>>,
}

/// Why a file is not a [`Chain`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// It is the other one of two files.
    #[error("it has a private key and no certificate")]
    Key,
    /// It has something else in it.
    #[error("it has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// One of the certificates cannot be read.
    #[error("its certificate number {number} cannot be read: {source}")]
    Certificate {
        /// From 1.
        number: usize,
        /// What is wrong with it.
        source: der::Error,
    },
}

/// What of an X.509 certificate counts here.
struct Parts {
    names: Vec<Name>,
    validity: RangeInclusive<SystemTime>,
}

impl Chain {
    /// Reads a PEM file; keys in it are passed over.
    ///
    /// # Errors
    ///
    /// [`ChainError`]: not one certificate is left out quietly.
    pub fn from_pem(file: &[u8]) -> Result<Self, ChainError> {
        let certificates: Vec<CertificateDer<'static>> = pem::parts(file)?;
        let numbered = (1..).zip(&certificates);
        let parts = numbered.map(|(number, certificate)| {
            Parts::read(certificate).map_err(|source| ChainError::Certificate { number, source })
        });
        let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
        let Some(own) = parts.first_mut() else {
            return Err(match pem::has_part(file, "PRIVATE KEY") {
                true => ChainError::Key,
                false => ChainError::NoCertificate,
            });
        };
        Ok(Self {
            names: std::mem::take(&mut own.names),
            validity: parts.into_iter().map(|parts| parts.validity).collect(),
            certificates,
        })
    }
}

impl Parts {
    fn read(certificate: &CertificateDer<'_>) -> der::Result<Self> {
        let parsed = Certificate::from_der(certificate)?;
        let parsed = parsed.tbs_certificate();
        let validity = parsed.validity();
        let alternatives = parsed.get_extension::<SubjectAltName>()?;
        let alternatives = alternatives.map_or_else(Vec::new, |(_, names)| names.0);
        let mut names: Vec<Name> = Vec::with_capacity(alternatives.len());
        for name in alternatives.iter().filter_map(name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self {
            names,
            validity: validity.not_before.to_system_time()..=validity.not_after.to_system_time(),
        })
    }
}

/// The common name counts for nothing: browsers have not looked at it for
/// years.
fn name(alternative: &GeneralName) -> Option<Name> {
    match alternative {
        GeneralName::DnsName(text) => Name::dns(text.as_str()),
        GeneralName::IpAddress(bytes) => Name::address(bytes.as_bytes()),
        _ => None,
    }
}
