//! What the operator is told of an origin that fails.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_rustls::rustls::{self, CertificateError, PeerIncompatible};

use super::{OriginError, OriginUrl};

/// How often each kind of failure is told.
const EVERY: Duration = Duration::from_secs(10);

/// The failures of one origin, counted over all workers, by RFC 9209 name.
/// Only a failure writes to it.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<HashMap<&'static str, Trouble>>);

/// One kind of failure.
#[derive(Debug, Default)]
struct Trouble {
    /// Requests since it was last told.
    requests: u64,
    told: Option<Instant>,
}

impl Troubles {
    /// Logs a failure, or only counts it if its kind was told just now.
    pub(super) fn tell(&self, url: &OriginUrl, error: &OriginError, now: Instant) {
        if error.as_str() == "http_request_error" {
            // The client's doing.
            return;
        }
        let Some(requests) = self.count(error.as_str(), now) else {
            tracing::debug!("origin {url}: {}", told(error));
            return;
        };
        let fix = match url.socket {
            Some(_) => socket_fix(error).unwrap_or_else(|| fix(error)),
            None => fix(error),
        };
        let what = told(error);
        let separator = if fix.is_empty() { "" } else { "; " };
        tracing::warn!(requests, "origin {url}: {what}{separator}{fix}");
    }

    /// Counts one; how many there were since the last time, if it is time to
    /// tell.
    fn count(&self, kind: &'static str, now: Instant) -> Option<u64> {
        // No code that can panic runs under this lock.
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = troubles.entry(kind).or_default();
        trouble.requests += 1;
        let told = trouble.told.replace(now);
        if let Some(told) = told.filter(|told| now.saturating_duration_since(*told) < EVERY) {
            trouble.told = Some(told);
            return None;
        }
        Some(std::mem::take(&mut trouble.requests))
    }
}

/// The error and what led to it, in one line.
fn told(error: &OriginError) -> String {
    let mut text = error.to_string();
    let cause = match error {
        OriginError::TlsCertificate(cause)
        | OriginError::TlsAlert(cause)
        | OriginError::Tls(cause) => tls_cause(cause),
        _ => error.source().map(deepest).unwrap_or_default(),
    };
    if !cause.is_empty() {
        text = format!("{text}: {cause}");
    }
    text
}

fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn tls_cause(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => "unknown issuer".to_owned(),
            // An authority was renewed, and kept its name.
            CertificateError::BadSignature => {
                "unknown issuer, of the name of a known one".to_owned()
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => match presented.len() {
                0 => format!("it is for no name at all, not for {}", expected.to_str()),
                _ => format!(
                    "it is not for {} but for {}",
                    expected.to_str(),
                    names(presented)
                ),
            },
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("expired, valid until {}", date(not_after.as_secs()))
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("not valid yet, valid from {}", date(not_before.as_secs()))
            }
            other if is_authority(other) => "it is a certificate authority's own".to_owned(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// A few of them: a CDN's certificate has a hundred.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    let bare = presented.iter().map(|name| {
        let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name);
        name.trim_end_matches(')').trim_matches('"')
    });
    let mut text = bare.take(SHOWN).collect::<Vec<_>>().join(", ");
    if presented.len() > SHOWN {
        text.push_str(" and others");
    }
    text
}

fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// `openssl req -x509` marks its certificates as an authority's, and those
/// are no server's (RFC 5280 section 4.2.1.9).
fn is_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

/// What the operator can do, where that is likely.
/// The same of an origin at a Unix socket, where that differs.
fn socket_fix(error: &OriginError) -> Option<&'static str> {
    match error {
        OriginError::Refused(_) => Some("check that it runs, and the path in origin.url"),
        OriginError::ConnectTimeout => Some("it does not accept those who connect"),
        OriginError::Prohibited(_) => Some(
            "give this process's user write permission to the socket, and execute to its folders",
        ),
        OriginError::Malformed(_) => Some("check that it speaks HTTP/1.1 there"),
        _ => None,
    }
}

fn fix(error: &OriginError) -> &'static str {
    match error {
        OriginError::Dns(_) | OriginError::DnsTimeout => {
            "check the host in origin.url and this system's resolver"
        }
        OriginError::Refused(_) => "check that it runs, and the port in origin.url",
        OriginError::Reset(_) | OriginError::Unreachable(_) | OriginError::ConnectTimeout => {
            "check the address in origin.url, and the firewalls between"
        }
        OriginError::Prohibited(_) => "check this system's firewall",
        OriginError::NoSocket(_) => {
            "raise the limit of open files, or lower origin.max_connections"
        }
        OriginError::TlsTimeout | OriginError::TlsBroken(_) => "check that its port speaks TLS",
        OriginError::TlsCertificate(why) => certificate_fix(why),
        OriginError::TlsAlert(_) => "see the origin's own log",
        OriginError::Tls(rustls::Error::InvalidMessage(_)) => {
            "write http:// in origin.url if it speaks plain HTTP"
        }
        OriginError::Tls(rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13,
        )) => "TLS 1.2 is the least that it must speak",
        OriginError::Tls(_) => "",
        OriginError::NoConnectionFree => "raise origin.max_connections if the origin can take more",
        OriginError::Malformed(_) => {
            "check that its port speaks HTTP/1.1, and whether it wants https:// in origin.url"
        }
        OriginError::ResponseTimeout => "origin.response_timeout is how long it may take",
        OriginError::TransferCoding => "have it answer without a transfer coding beside chunked",
        OriginError::Terminated(_) | OriginError::Incomplete(_) => {
            "see the origin's own log, and whether it wants https:// in origin.url"
        }
        OriginError::WriteTimeout => {
            "server.stall_timeout is how long it may take nothing of an upload"
        }
        OriginError::Upgraded
        | OriginError::Upload(_)
        | OriginError::UploadStalled
        | OriginError::UploadTooLarge => "",
    }
}

fn certificate_fix(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "set origin.ca_file to its issuer's certificate"
            }
            CertificateError::NotValidForNameContext { .. } => {
                "write a host that it is for in origin.url, or have it issued for this one"
            }
            CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYetContext { .. } => {
                "renew it, or check this system's clock"
            }
            other if is_authority(other) => "have one issued with CA:FALSE",
            _ => "",
        },
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_at_once_and_then_every_ten_seconds() {
        let troubles = Troubles::default();
        let start = Instant::now();
        let at = |kind, seconds| troubles.count(kind, start + Duration::from_secs(seconds));
        assert_eq!(at("a", 5), Some(1));
        assert_eq!((at("a", 6), at("a", 14)), (None, None));
        assert_eq!(at("b", 14), Some(1));
        assert_eq!(at("a", 15), Some(3));
        assert_eq!(at("a", 24), None);
        assert_eq!(at("a", 60), Some(2));
    }

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let certificate = |why| OriginError::from(rustls::Error::InvalidCertificate(why));
        let unknown = certificate(CertificateError::UnknownIssuer);
        assert_eq!(
            told(&unknown),
            "the origin's certificate is not trusted: unknown issuer"
        );
        assert!(fix(&unknown).contains("origin.ca_file"));
        let name = certificate(CertificateError::NotValidForNameContext {
            expected: "a.example".try_into().unwrap(),
            presented: vec![
                "DnsName(\"b.example\")".to_owned(),
                "IpAddress(10.0.0.1)".to_owned(),
            ],
        });
        assert_eq!(
            told(&name),
            "the origin's certificate is not trusted: it is not for a.example but for b.example, 10.0.0.1"
        );
        let refused = OriginError::Refused(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(
            told(&refused),
            "the origin refused the connection: connection refused"
        );
    }
}
