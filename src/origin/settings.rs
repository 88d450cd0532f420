//! The `[origin]` table, compiled.

use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderValue;
use url::{Position, Url};

use crate::message::Scheme;
use crate::message::authority::Authority;

/// Where and how assets are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginSettings {
    /// `url`.
    pub url: OriginUrl,
    /// `host`.
    pub host: HostMode,
    /// `methods`; any other is answered 405.
    pub methods: Vec<Method>,
    /// `connect_timeout`.
    pub connect_timeout: Duration,
    /// `response_timeout`: from the request sent until the response head.
    pub response_timeout: Duration,
    /// `max_connections` of the process.
    pub max_connections: usize,
    /// `retries` of an idempotent request without a body.
    pub retries: u32,
}

/// Which Host field the origin gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMode {
    /// The host and port of the cache key.
    Preserve,
    /// The origin's own.
    Origin,
    /// This one.
    Literal(HeaderValue),
}

/// `origin.url`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginUrl {
    /// The scheme.
    pub scheme: Scheme,
    /// The host: a name, or an address (IPv6 in brackets).
    pub host: String,
    /// The port, also where it is the scheme's default.
    pub port: u16,
    /// What stands before every path, without a slash at its end.
    pub prefix: String,
}

/// Why `origin.url` is a configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginUrlError {
    /// Not a URL.
    #[error("this is not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
    /// Another scheme than http and https.
    #[error("an origin is reached by http or https, not by `{0}`")]
    Scheme(String),
    /// A user or a password.
    #[error("a user or password cannot stand here")]
    Userinfo,
    /// A query or a fragment.
    #[error("a query or fragment cannot stand here")]
    Query,
    /// The host is not one.
    #[error("`{0}` is not the name or address of a host")]
    Host(String),
}

impl OriginUrl {
    /// Reads `http://host[:port][/prefix]`.
    ///
    /// # Errors
    ///
    /// [`OriginUrlError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, OriginUrlError> {
        let url = Url::parse(text)?;
        let scheme = Scheme::parse(url.scheme().as_bytes())
            .ok_or_else(|| OriginUrlError::Scheme(url.scheme().to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OriginUrlError::Userinfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(OriginUrlError::Query);
        }
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let parsed = Authority::parse(authority.as_bytes(), scheme)
            .ok_or_else(|| OriginUrlError::Host(authority.to_owned()))?;
        Ok(Self {
            scheme,
            port: parsed.effective_port(scheme),
            host: parsed.host.to_string(),
            prefix: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Host and port as a Host field has them.
    pub fn authority(&self) -> String {
        let port = Some(self.port).filter(|port| *port != self.scheme.default_port());
        Authority {
            host: self.host.as_str().into(),
            port,
        }
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = |text| OriginUrl::parse(text).map(|u| (u.authority(), u.port, u.prefix));
        let ok = |authority: &str, port, prefix: &str| {
            Ok((authority.to_owned(), port, prefix.to_owned()))
        };
        assert_eq!(
            parse("http://127.0.0.1:9000"),
            ok("127.0.0.1:9000", 9000, "")
        );
        assert_eq!(
            parse("http://Assets.example/a/b/"),
            ok("assets.example", 80, "/a/b")
        );
        assert_eq!(parse("https://[::1]"), ok("[::1]", 443, ""));
        assert_eq!(
            parse("ftp://a/"),
            Err(OriginUrlError::Scheme("ftp".to_owned()))
        );
        assert_eq!(parse("http://u:p@a/"), Err(OriginUrlError::Userinfo));
        assert_eq!(parse("http://a/?x"), Err(OriginUrlError::Query));
        assert!(matches!(
            parse("127.0.0.1:9000"),
            Err(OriginUrlError::NotAUrl(_))
        ));
    }
}
