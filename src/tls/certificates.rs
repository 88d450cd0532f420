//! Which certificate a client is shown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::{Certificate, Name};

/// Places in the list of certificates, in its order.
type Places = SmallVec<[usize; 2]>;

/// The certificates of a server. A client that names its server (SNI, RFC 6066
/// section 3) gets the first one with exactly that name, else the first one
/// with a wildcard for it. One that names none, or none of ours, gets the first
/// of all. Of several with the same name it gets the first whose key it can
/// check, so that an RSA certificate can stand beside one for ECDSA.
#[derive(Debug)]
pub struct Certificates {
    /// Never empty.
    all: Vec<Certificate>,
    exact: HashMap<Box<str>, Places>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Places>,
    /// For who names no server: the first, and others that have its first name.
    default: Places,
}

/// Two certificates that no client can tell apart by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The place of the one that clients get.
    pub first: usize,
    /// The place of the one that they do not.
    pub second: usize,
    /// The names that both have.
    pub names: Vec<Name>,
}

impl Certificates {
    /// In the order in which they are preferred; `None` if there are none.
    pub fn new(all: Vec<Certificate>) -> Option<Self> {
        let first = all.first()?.names().first().cloned();
        let mut certificates = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: smallvec![0],
            all,
        };
        for place in 0..certificates.all.len() {
            certificates.claim(place);
        }
        let same = match first {
            Some(Name::Exact(name)) => certificates.exact.get(&name),
            Some(Name::Wildcard(rest)) => certificates.wildcard.get(&rest),
            Some(Name::Address(_)) | None => None,
        };
        if let Some(places) = same {
            certificates.default = places.clone();
        }
        Some(certificates)
    }

    fn claim(&mut self, place: usize) {
        for name in self.all[place].names() {
            let (map, name) = match name {
                Name::Exact(name) => (&mut self.exact, name),
                Name::Wildcard(rest) => (&mut self.wildcard, rest),
                Name::Address(_) => continue,
            };
            map.entry(name.clone()).or_default().push(place);
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.all.iter()
    }

    /// The certificates that an earlier one with the same name and the same
    /// kind of key stands before.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts: Vec<Conflict> = Vec::new();
        for (second, certificate) in self.all.iter().enumerate() {
            for name in certificate.names() {
                let Some(first) = self.before(second, name) else {
                    continue;
                };
                let known = conflicts
                    .iter_mut()
                    .find(|conflict| (conflict.first, conflict.second) == (first, second));
                match known {
                    Some(conflict) => conflict.names.push(name.clone()),
                    None => conflicts.push(Conflict {
                        first,
                        second,
                        names: vec![name.clone()],
                    }),
                }
            }
        }
        conflicts
    }

    /// The first certificate before `second` that has the same name and kind
    /// of key.
    fn before(&self, second: usize, name: &Name) -> Option<usize> {
        let places = match name {
            Name::Exact(name) => self.exact.get(name)?,
            Name::Wildcard(rest) => self.wildcard.get(rest)?,
            Name::Address(_) => return None,
        };
        let algorithm = self.all[second].algorithm();
        let mut earlier = places.iter().copied().filter(|place| *place < second);
        earlier.find(|place| self.all[*place].algorithm() == algorithm)
    }

    /// The certificate for who asks for `host`: the first that is `readable`
    /// to them of those that fit, or the first that fits. A few hash lookups,
    /// and no allocation for a name in lower case.
    fn find(&self, host: Option<&str>, readable: impl Fn(&Certificate) -> bool) -> &Certificate {
        let (exact, wildcard) = match host {
            Some(host) => self.places(host),
            None => (&[][..], &[][..]),
        };
        let (first, second) = match (exact, wildcard) {
            ([], []) => (&self.default[..], &[][..]),
            ([], wildcard) => (wildcard, &[][..]),
            both => both,
        };
        let mut places = first.iter().chain(second);
        let place = match first.len() + second.len() {
            1 => first[0],
            _ => *places
                .find(|place| readable(&self.all[**place]))
                .unwrap_or(&first[0]),
        };
        &self.all[place]
    }

    /// Where those with exactly this name are, and those with a wildcard for
    /// it.
    fn places(&self, host: &str) -> (&[usize], &[usize]) {
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty());
        let wildcard = parent.and_then(|(_, parent)| self.wildcard.get(parent));
        (
            self.exact.get(&*host).map_or(&[], SmallVec::as_slice),
            wildcard.map_or(&[], SmallVec::as_slice),
        )
    }

    /// The place of the certificate for who asks for `host` and can check
    /// every kind of key.
    #[cfg(test)]
    pub(super) fn place_for(&self, host: Option<&str>) -> usize {
        let found = self.find(host, |_| true);
        let is_it = |certificate: &Certificate| std::ptr::eq(certificate, found);
        self.all.iter().position(is_it).unwrap()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let found = self.find(hello.server_name(), |certificate| {
            certificate.can_sign(schemes)
        });
        Some(Arc::clone(&found.certified))
    }
}
