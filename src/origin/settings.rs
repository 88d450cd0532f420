//! The `[origin]` table, compiled.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderValue;
use url::{Position, Url};

use super::Tls;
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::network::{UnixPath, UnixPathError};
use crate::route::{NormalPath, PathError};

/// Where and how assets are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginSettings {
    /// `url`.
    pub url: OriginUrl,
    /// TLS by `ca_file` or the platform's roots; `None`: the scheme is http.
    pub tls: Option<Tls>,
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
    /// The scheme; http at a Unix socket.
    pub scheme: Scheme,
    /// The Unix socket to connect to; `None`: host and port say whereto.
    pub socket: Option<UnixPath>,
    /// The host: a name, or an address (IPv6 in brackets); `localhost` at a
    /// Unix socket, which has none.
    pub host: String,
    /// The port, also where it is the scheme's default.
    pub port: u16,
    /// What stands before every path, without a slash at its end.
    pub prefix: String,
    /// All of it, in its normal form.
    pub text: Box<str>,
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
    /// A Unix socket in the place of a host.
    #[error("a Unix socket stands without a scheme: its origin speaks HTTP/1.1 in the clear")]
    SchemeOfSocket,
    /// A path of no Unix socket.
    #[error(transparent)]
    Socket(#[from] UnixPathError),
    /// What stands behind a Unix socket begins with no slash.
    #[error("a path behind a Unix socket begins with `/`: unix:/run/app.sock:/prefix")]
    NoPrefix,
    /// A user or a password.
    #[error("a user or password cannot stand here")]
    Userinfo,
    /// A query or a fragment.
    #[error("a query or fragment cannot stand here")]
    Query,
    /// The host is not one.
    #[error("`{0}` is not the name or address of a host")]
    Host(String),
    /// A prefix that would not be sent as it is written.
    #[error("its path is not in its normal form: write `{0}`")]
    NotNormal(String),
    /// A prefix that servers may take for another one.
    #[error("servers differ in how they read `{0}` in a path")]
    Ambiguous(&'static str),
    /// A prefix with a broken escape or a control character.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl OriginSettings {
    /// Whose connections can stand in for one another, of those to the same
    /// host and port; `None`: those in the clear.
    pub(super) fn trust_id(&self) -> Option<u64> {
        self.tls.as_ref().map(Tls::trust_id)
    }
}

impl OriginUrl {
    /// Reads `http://host[:port][/prefix]`, or `unix:/path[:/prefix]`.
    ///
    /// # Errors
    ///
    /// [`OriginUrlError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, OriginUrlError> {
        match text.strip_prefix("unix:") {
            Some(rest) => Self::at_socket(rest),
            // A host could have this name; its port would not be empty.
            None if text.contains("://unix:/") => Err(OriginUrlError::SchemeOfSocket),
            None => Self::at_host(text),
        }
    }

    /// `path[:/prefix]`; so the path has no colon.
    fn at_socket(text: &str) -> Result<Self, OriginUrlError> {
        let (path, prefix) = text.split_once(':').unwrap_or((text, "/"));
        if !prefix.starts_with('/') {
            return Err(OriginUrlError::NoPrefix);
        }
        let socket = UnixPath::new(path)?;
        let url = Self::at_host(&format!("http://localhost{prefix}"))?;
        let separator = if url.prefix.is_empty() { "" } else { ":" };
        Ok(Self {
            text: format!("{socket}{separator}{}", url.prefix).into(),
            socket: Some(socket),
            ..url
        })
    }

    fn at_host(text: &str) -> Result<Self, OriginUrlError> {
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
        let prefix = prefix(text, &url)?;
        Ok(Self {
            scheme,
            socket: None,
            port: parsed.effective_port(scheme),
            host: parsed.host.to_string(),
            text: format!("{scheme}://{parsed}{prefix}").into(),
            prefix,
        })
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
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

impl fmt::Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The path of `url`, if that is what is written in `text`: whoever writes
/// `/a/../b`, `//` or a letter that has to be escaped should see what is sent.
fn prefix(text: &str, url: &Url) -> Result<String, OriginUrlError> {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let written = after_scheme
        .find(['/', '\\'])
        .map_or("/", |at| &after_scheme[at..]);
    let normal = NormalPath::new(url.path(), true)?;
    let odd = [";", "%2F", "%5C", "%25"];
    if let Some(odd) = odd.into_iter().find(|odd| normal.as_str().contains(odd)) {
        return Err(OriginUrlError::Ambiguous(odd));
    }
    match normal.as_str() == written {
        true => Ok(written.trim_end_matches('/').to_owned()),
        false => Err(OriginUrlError::NotNormal(normal.as_str().to_owned())),
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

    #[test]
    fn unix_sockets() {
        let parse = |text| {
            let url = OriginUrl::parse(text)?;
            let socket = url.socket.as_ref().unwrap().to_string();
            Ok((socket, url.authority(), url.prefix, url.text.into_string()))
        };
        let ok = |socket: &str, prefix: &str, text: &str| {
            let texts = [socket, "localhost", prefix, text].map(str::to_owned);
            let [socket, authority, prefix, text] = texts;
            Ok((socket, authority, prefix, text))
        };
        let plain = "unix:/run/a.sock";
        assert_eq!(parse(plain), ok(plain, "", plain));
        assert_eq!(parse("unix://run/a.sock:/"), ok(plain, "", plain));
        let prefixed = "unix:/run/a.sock:/b/c";
        assert_eq!(parse(prefixed), ok(plain, "/b/c", prefixed));
        for (text, why) in [
            ("unix:run/a.sock", UnixPathError::Relative.into()),
            ("unix:/run/a.sock:80", OriginUrlError::NoPrefix),
            ("unix:/run/a.sock:/?x", OriginUrlError::Query),
            (
                "unix:/run/a.sock:/a/../b",
                OriginUrlError::NotNormal("/b".to_owned()),
            ),
            ("http://unix:/run/a.sock", OriginUrlError::SchemeOfSocket),
            ("https://unix:/run/a.sock", OriginUrlError::SchemeOfSocket),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
        let host = OriginUrl::parse("http://unix:80/a").unwrap();
        assert_eq!((host.socket, &*host.host), (None, "unix"));
    }

    #[test]
    fn a_prefix_is_written_as_it_is_sent() {
        let prefix = |path: &str| OriginUrl::parse(&format!("http://a{path}")).map(|u| u.prefix);
        for (path, expected) in [
            ("", ""),
            ("/", ""),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a.b/%20/%C3%A4@:!/", "/a.b/%20/%C3%A4@:!"),
        ] {
            assert_eq!(prefix(path).as_deref(), Ok(expected), "{path}");
        }
        for (path, normal) in [
            ("//", "/"),
            ("/a//b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/./b", "/a/b"),
            ("\\a", "/a"),
            ("/a\\..\\b", "/b"),
            ("/%41", "/A"),
            ("/%c3%a4", "/%C3%A4"),
            ("/ä", "/%C3%A4"),
            ("/a b", "/a%20b"),
            ("/a\tb", "/ab"),
        ] {
            let normal = Err(OriginUrlError::NotNormal(normal.to_owned()));
            assert_eq!(prefix(path), normal, "{path}");
        }
        for (path, odd) in [
            ("/a;b", ";"),
            ("/a%2fb", "%2F"),
            ("/a/..%5Cb", "%5C"),
            ("/%252e", "%25"),
        ] {
            assert_eq!(prefix(path), Err(OriginUrlError::Ambiguous(odd)), "{path}");
        }
        assert_eq!(prefix("/a?b"), Err(OriginUrlError::Query));
        assert!(matches!(prefix("/%zz"), Err(OriginUrlError::Path(_))));
    }
}
