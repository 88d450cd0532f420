//! A certificate with its key.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, SignatureAlgorithm, SignatureScheme};

use super::{Chain, Key, Name};

/// What a server can prove to be, as long as the certificate is valid.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    names: Vec<Name>,
    validity: Vec<RangeInclusive<SystemTime>>,
}

/// Why a chain and a key make no [`Certificate`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MismatchError {
    /// The key belongs to another certificate.
    #[error("this is the key of another certificate")]
    OtherKey,
    /// The key belongs to another certificate of the file.
    #[error("its certificate number {number} is the key's, and has to be the first")]
    Order {
        /// From 2.
        number: usize,
    },
    /// TLS has no use for such a certificate.
    #[error("its first certificate cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

/// Why a certificate is not valid at some time (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// It was valid until then.
    #[error("it has expired: it was valid until {}", httpdate::fmt_http_date(*.0))]
    Expired(SystemTime),
    /// It will be valid from then on.
    #[error("it is not valid before {}", httpdate::fmt_http_date(*.0))]
    NotYet(SystemTime),
}

impl Certificate {
    /// Puts both together.
    ///
    /// # Errors
    ///
    /// [`MismatchError`] if the first certificate is not the key's.
    pub fn new(chain: Chain, key: Key) -> Result<Self, MismatchError> {
        let certified = CertifiedKey::new(chain.certificates, key.0);
        match certified.keys_match() {
            Ok(()) => Ok(Self {
                certified: Arc::new(certified),
                names: chain.names,
                validity: chain.validity,
            }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(match number_of_key(&certified) {
                    Some(number) => MismatchError::Order { number },
                    None => MismatchError::OtherKey,
                })
            }
            Err(error) => Err(MismatchError::Unusable(error)),
        }
    }

    /// Who it is for, each once; empty: nobody that a client can ask for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// What its key signs by.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }

    /// Whether it is valid at `now`, both ends of its time included.
    ///
    /// # Errors
    ///
    /// [`ValidityError`]
    pub fn check(&self, now: SystemTime) -> Result<(), ValidityError> {
        valid_at(&self.validity[0], now)
    }

    /// Those certificates of its issuers in the file that are not valid at
    /// `now`, by their number in it, from 2.
    pub fn invalid_issuers(
        &self,
        now: SystemTime,
    ) -> impl Iterator<Item = (usize, ValidityError)> + '_ {
        let issuers = (1..).zip(&self.validity).skip(1);
        issuers.filter_map(move |(number, time)| Some((number, valid_at(time, now).err()?)))
    }

    /// The last moment that it is valid.
    pub fn expires(&self) -> SystemTime {
        *self.validity[0].end()
    }

    /// Whether it is time to get a new one: a sixth of its life is left, or 14
    /// days, whichever is less. Who renews by itself has done so by then, also
    /// where certificates live for a week.
    pub fn is_about_to_expire(&self, now: SystemTime) -> bool {
        const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
        let (begin, end) = self.validity[0].clone().into_inner();
        let life = end.duration_since(begin).unwrap_or_default();
        let left = end.duration_since(now).unwrap_or_default();
        left < SOON.min(life / 6)
    }

    /// The same for others.
    #[cfg(test)]
    pub(super) fn with_names(&self, names: impl Iterator<Item = Name>) -> Self {
        let names = names.collect();
        Self {
            names,
            ..self.clone()
        }
    }

    /// Whether its key can sign by one of these.
    pub(super) fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.certified.key.choose_scheme(schemes).is_some()
    }
}

/// The number of the certificate that the key is of, from 1.
fn number_of_key(certified: &CertifiedKey) -> Option<usize> {
    let is_its_own = |certificate: &rustls::pki_types::CertificateDer<'static>| {
        let key = Arc::clone(&certified.key);
        CertifiedKey::new(vec![certificate.clone()], key).keys_match() == Ok(())
    };
    Some(1 + certified.cert.iter().position(is_its_own)?)
}

fn valid_at(time: &RangeInclusive<SystemTime>, now: SystemTime) -> Result<(), ValidityError> {
    // Certificates know whole seconds, and the last one is theirs.
    let end = *time.end() + Duration::from_secs(1);
    if now < *time.start() {
        Err(ValidityError::NotYet(*time.start()))
    } else if now >= end {
        Err(ValidityError::Expired(*time.end()))
    } else {
        Ok(())
    }
}
