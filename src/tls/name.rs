//! Who a certificate is for.

use std::fmt;
use std::net::IpAddr;

use tokio_rustls::rustls::pki_types::DnsName;

/// A name of a certificate's subjectAltName (RFC 5280 section 4.2.1.6) that a
/// client may ask for. Names are in lower case and have no dot at their end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// A host.
    Exact(Box<str>),
    /// Every host of one label more than this: what follows `*.`.
    Wildcard(Box<str>),
    /// An address. Who connects to one names no server, so it helps the first
    /// certificate only.
    Address(IpAddr),
}

impl Name {
    /// A dNSName; `None` for one that no client takes for its server's, such
    /// as `w*.example.com`.
    pub fn dns(text: &str) -> Option<Self> {
        let (wildcard, host) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        DnsName::try_from(host).ok()?;
        let host = host.to_ascii_lowercase().into();
        Some(match wildcard {
            true => Self::Wildcard(host),
            false => Self::Exact(host),
        })
    }

    /// An iPAddress, which is 4 bytes or 16.
    pub(super) fn address(bytes: &[u8]) -> Option<Self> {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
        address.ok().map(Self::Address)
    }

    /// Whether a certificate with this name is for `host`: a name in any case,
    /// with or without a dot at its end (RFC 9525 section 6.3).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Exact(name) => name.eq_ignore_ascii_case(host),
            Self::Wildcard(rest) => host.split_once('.').is_some_and(|(label, parent)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(parent)
            }),
            Self::Address(address) => host.parse() == Ok(*address),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(rest) => write!(f, "*.{rest}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
