//! The `Origin` field (RFC 6454 section 7).

use crate::message::Scheme;
use crate::message::authority::{Authority, HostText};
use crate::message::field::Single;
use crate::message::fields::{Fields, Name};

/// The longest `Origin` that is read (section 6).
const MAX_FIELD: usize = 8 * 1024;

/// An `Origin` field, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OriginField<'a> {
    /// Not sent, or empty.
    Missing,
    /// Several lines, or no `scheme://host[:port]`.
    NotUnderstood,
    /// `null`: an origin that the browser does not tell.
    Null,
    /// `https://` and this, not yet looked at.
    Https(&'a str),
    /// An `http` or `https` origin; without a port its scheme's.
    Web {
        /// The host, normalised.
        host: HostText<'a>,
        /// The port.
        port: u16,
    },
    /// An origin of another scheme, whole.
    App(&'a str),
}

impl OriginField<'_> {
    /// With the host and port of an https origin taken apart.
    pub(super) fn parsed(self) -> Self {
        match self {
            Self::Https(rest) => web(Scheme::Https, rest).unwrap_or(Self::NotUnderstood),
            other => other,
        }
    }
}

/// Reads the `Origin` field of `headers`.
pub(super) fn read(headers: &Fields) -> OriginField<'_> {
    match headers.single(Name::ORIGIN) {
        Single::Missing => OriginField::Missing,
        Single::Several => OriginField::NotUnderstood,
        Single::One(b"null") => OriginField::Null,
        Single::One(value) if value.len() > MAX_FIELD => OriginField::NotUnderstood,
        Single::One(value) => parse(value).unwrap_or(OriginField::NotUnderstood),
    }
}

fn parse(value: &[u8]) -> Option<OriginField<'_>> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(rest) = text.strip_prefix("https://") {
        return Some(OriginField::Https(rest));
    }
    let (scheme, rest) = text.split_once("://")?;
    match Scheme::parse(scheme.as_bytes()) {
        Some(scheme) => web(scheme, rest),
        None => is_app_origin(scheme, rest).then_some(OriginField::App(text)),
    }
}

/// `host[:port]` and nothing after; a colon has its port.
fn web(scheme: Scheme, rest: &str) -> Option<OriginField<'_>> {
    if rest.ends_with(':') {
        return None;
    }
    let authority = Authority::parse(rest.as_bytes(), scheme)?;
    Some(OriginField::Web {
        port: authority.effective_port(scheme),
        host: authority.host,
    })
}

/// A scheme (RFC 3986 section 3.1) and a host with nothing after it.
pub(super) fn is_app_origin(scheme: &str, rest: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(letter)
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/\\?#@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let web = |host: &'static str, port| {
            Some(OriginField::Web {
                host: host.into(),
                port,
            })
        };
        for (value, expected) in [
            ("https://a.com", web("a.com", 443)),
            ("HTTP://A.com.", web("a.com", 80)),
            ("http://a.com:8080", web("a.com", 8080)),
            ("https://[::1]:8443", web("[::1]", 8443)),
            (
                "capacitor://localhost",
                Some(OriginField::App("capacitor://localhost")),
            ),
            ("https://a.com/", None),
            ("https://a.com/x", None),
            ("https://u@a.com", None),
            ("https://a.com:", None),
            ("https://a.com:99999", None),
            ("https://", None),
            ("https://a.com https://b.com", None),
            ("https://a.com, https://b.com", None),
            ("https://m\u{fc}nchen.de", None),
            ("a.com", None),
            ("//a.com", None),
            ("1x://a", None),
            ("app://", None),
        ] {
            let found = parse(value.as_bytes()).map(OriginField::parsed);
            let found = found.filter(|field| *field != OriginField::NotUnderstood);
            assert_eq!(found, expected, "{value}");
        }
    }
}
