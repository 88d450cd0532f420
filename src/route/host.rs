//! Host patterns of `server.hosts` and `[[route]]`.

use crate::message::authority::normalise_host;

/// An exact host, or `*.` in front of one for every host below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// One or more labels before this host; not the host itself.
    Below(String),
}

/// Why an entry of `hosts` is a configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// It has a scheme, a path, or userinfo.
    #[error("only the host name stands here, without scheme, path or user")]
    NotOnlyAHost,
    /// It has a port; hosts compare without.
    #[error("hosts compare without a port; write `{0}`")]
    Port(String),
    /// A `*` that is not a whole first label.
    #[error("`*` stands only as the whole first label, as in `*.example.com`")]
    Star,
    /// It is not the name of a host.
    #[error("this is not the name of a host")]
    NotAHost,
}

impl HostPattern {
    /// Reads `img.example.com` or `*.example.com`; names in other scripts
    /// become A-labels.
    ///
    /// # Errors
    ///
    /// [`HostPatternError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        if text.contains(['/', '@', '?', '#']) {
            return Err(HostPatternError::NotOnlyAHost);
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && !port.contains(']')
            && !host.contains(':') | host.ends_with(']')
        {
            return Err(HostPatternError::Port(host.to_owned()));
        }
        if let Some(parent) = text.strip_prefix("*.") {
            return ascii_host(parent).map(Self::Below);
        }
        ascii_host(text).map(Self::Exact)
    }

    /// Whether a normalised host fits.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Below(parent) => host
                .strip_suffix(parent.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        }
    }
}

fn ascii_host(text: &str) -> Result<String, HostPatternError> {
    if text.contains('*') {
        return Err(HostPatternError::Star);
    }
    let ascii = if text.is_ascii() {
        text.into()
    } else {
        idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL)
            .map_err(|_| HostPatternError::NotAHost)?
    };
    let host = normalise_host(&ascii).ok_or(HostPatternError::NotAHost)?;
    Ok(host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_matches() {
        for (pattern, host, expected) in [
            ("img.example.com", "img.example.com", true),
            ("IMG.Example.com.", "img.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", ".example.com", false),
            ("m\u{fc}nchen.de", "xn--mnchen-3ya.de", true),
            ("[0::1]", "[::1]", true),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(
                HostPattern::parse(pattern).unwrap().matches(host),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn refuses() {
        let refused = |text: &str| HostPattern::parse(text).unwrap_err();
        assert_eq!(refused("https://a.com"), HostPatternError::NotOnlyAHost);
        assert_eq!(refused("a.com/x"), HostPatternError::NotOnlyAHost);
        assert_eq!(
            refused("a.com:8080"),
            HostPatternError::Port("a.com".to_owned())
        );
        assert_eq!(
            refused("[::1]:80"),
            HostPatternError::Port("[::1]".to_owned())
        );
        assert_eq!(refused("a.*.com"), HostPatternError::Star);
        assert_eq!(refused("*"), HostPatternError::Star);
        assert_eq!(refused("*."), HostPatternError::NotAHost);
        assert_eq!(refused("a..b"), HostPatternError::NotAHost);
        assert_eq!(refused("::1"), HostPatternError::NotAHost);
    }
}
