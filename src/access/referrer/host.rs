//! The host of a page's URL, as browsers parse URLs.

use std::net::Ipv4Addr;

use url::{Host, Url};

use crate::message::authority::{HostText, MAX_HOST, Name, normalise_host, parse_port};

/// The host of a page and the port its URL writes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageHost<'a> {
    /// The host: lower case, A-labels, one trailing dot removed.
    pub(crate) host: HostText<'a>,
    /// The port as written; `None` without one.
    pub(crate) port: Option<u16>,
    /// Whether the scheme is `https`, which decides the port without one.
    pub(crate) https: bool,
}

/// What stands where an http(s) URL has its host, whatever it is.
pub(crate) fn written_host(url: &str) -> &str {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let rest = rest.unwrap_or_default();
    let end = memchr::memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
    &rest[..end]
}

/// The host of `url`; `None` if it is relative or has no host.
pub(crate) fn page_host(url: &str) -> Option<PageHost<'_>> {
    plain_host(url).or_else(|| parsed_host(url))
}

/// The usual case without a parser: `http(s)://` and a host of plain ASCII
/// letters that ends where every parser agrees it ends. `None`: ask `Url`.
fn plain_host(url: &str) -> Option<PageHost<'_>> {
    let (https, rest) = match web_scheme(url, "https://") {
        Some(rest) => (true, rest),
        None => (false, web_scheme(url, "http://")?),
    };
    let name = Name::scan(rest.as_bytes())?;
    let host = &rest[..name.host_end];
    // A-labels must be checked, and numbers may be addresses in disguise.
    if name.x_label && has_a_label(host) || name.numeric && host.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    let host = match name.upper {
        true => HostText::lowered(host),
        false => host.into(),
    };
    let port = match rest.as_bytes()[name.end..] {
        [] | [b'/' | b'?' | b'#', ..] => None,
        [b':', ..] => Some(plain_port(&rest[name.end + 1..])?),
        _ => return None,
    };
    Some(PageHost { host, port, https })
}

/// What follows a scheme, in whatever case it is written.
fn web_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (front, rest) = url.split_at_checked(scheme.len())?;
    front.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The port up to the path; `None` if there is anything else.
fn plain_port(rest: &str) -> Option<u16> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    parse_port(&rest[..end])
}

/// Whether any label starts like an A-label (`xn--`), in any case.
fn has_a_label(host: &str) -> bool {
    host.as_bytes()
        .windows(4)
        .any(|four| four.eq_ignore_ascii_case(b"xn--"))
}

/// The host by the WHATWG URL Standard.
fn parsed_host(text: &str) -> Option<PageHost<'static>> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.len() > MAX_HOST {
        return None;
    }
    // `Url` lowers the hosts of http and the like only, and writes IPv6 in a
    // form of its own.
    let host = match host.starts_with('[') {
        true => normalise_host(host)?.into_owned(),
        false => HostText::lowered(host),
    };
    // `Url` drops a port that is its scheme's default, be it written.
    let port = url.port().or_else(|| {
        let default = url.port_or_known_default()?;
        (written_port(text) == Some(default)).then_some(default)
    });
    Some(PageHost {
        host,
        port,
        https: url.scheme() == "https",
    })
}

/// The port that stands in the authority of `url`.
fn written_port(url: &str) -> Option<u16> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    parse_port(rest[..end].rsplit_once(':')?.1)
}

/// Why an entry of `access.referrer.urls` is a configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferrerUrlError {
    /// `example.com`.
    #[error("a URL with its scheme is needed; write `https://{0}`")]
    NoScheme(String),
    /// `https://*.example.com`.
    #[error("wildcards are not allowed in a referrer's host; list each host")]
    Wildcard,
    /// `https:///path`.
    #[error("the URL has no host")]
    NoHost,
    /// Not a URL.
    #[error("this is not a URL: {0}")]
    NotAUrl(#[from] url::ParseError),
}

/// The host that an entry of `access.referrer.urls` stands for.
///
/// # Errors
///
/// [`ReferrerUrlError`] with what is wrong.
pub fn listed_host(entry: &str) -> Result<String, ReferrerUrlError> {
    let no_scheme = || ReferrerUrlError::NoScheme(entry.trim_start_matches('/').to_owned());
    let (_, rest) = entry.split_once("://").ok_or_else(no_scheme)?;
    let host_end = rest.find(['/', '\\', '#']).unwrap_or(rest.len());
    if host_end == 0 {
        // `Url` would read the path's first segment as the host.
        return Err(ReferrerUrlError::NoHost);
    }
    if rest[..host_end].contains(['*', '?']) {
        return Err(ReferrerUrlError::Wildcard);
    }
    let url = Url::parse(entry).map_err(|error| match error {
        url::ParseError::EmptyHost => ReferrerUrlError::NoHost,
        url::ParseError::RelativeUrlWithoutBase => no_scheme(),
        other => ReferrerUrlError::NotAUrl(other),
    })?;
    match url.host() {
        None | Some(Host::Domain("")) => Err(ReferrerUrlError::NoHost),
        Some(_) => parsed_host(entry)
            .map(|page| page.host.to_string())
            .ok_or(ReferrerUrlError::NoHost),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(url: &str) -> Option<String> {
        page_host(url).map(|page| page.host.to_string())
    }

    #[test]
    fn as_browsers_read_them() {
        for (url, expected) in [
            ("https://good.com/a", Some("good.com")),
            ("https://good.com@evil.com/", Some("evil.com")),
            ("https://evil.com\\@good.com/", Some("evil.com")),
            ("https:\\\\evil.com\\good.com", Some("evil.com")),
            ("https:evil.com", Some("evil.com")),
            ("HTTPS://GOOD.com.:8443/x", Some("good.com")),
            ("https://g%6fod.com/", Some("good.com")),
            ("https://go\tod.com/", Some("good.com")),
            ("https://m\u{fc}nchen.de/", Some("xn--mnchen-3ya.de")),
            ("https://M\u{dc}NCHEN.de/", Some("xn--mnchen-3ya.de")),
            ("https://good\u{3002}com/", Some("good.com")),
            ("http://0x7f.1/", Some("127.0.0.1")),
            ("http://[::1]:80/", Some("[::1]")),
            ("android-app://Com.Example.App/", Some("com.example.app")),
            ("https://user:pass@good.com:1/", Some("good.com")),
            ("https://good.com?x", Some("good.com")),
            ("https://good.com#x", Some("good.com")),
            ("//good.com/", None),
            ("/relative", None),
            ("good.com", None),
            ("about:srcdoc", None),
            ("data:text/html,x", None),
            ("file:///etc/passwd", None),
            ("https://", None),
            ("https://a b/", None),
            ("http://good.com:99999/", None),
            ("https://xn--/", None),
        ] {
            assert_eq!(host(url).as_deref(), expected, "{url}");
        }
        assert_eq!(host(&format!("https://{}com/", "a.".repeat(126))), None);
    }

    #[test]
    fn listed() {
        assert_eq!(
            listed_host("https://ik.imagekit.io").as_deref(),
            Ok("ik.imagekit.io")
        );
        assert_eq!(
            listed_host("https://developer.mozilla.org/en-US/search?q=URL").as_deref(),
            Ok("developer.mozilla.org")
        );
        assert_eq!(
            listed_host("http://M\u{fc}nchen.de:81/").as_deref(),
            Ok("xn--mnchen-3ya.de")
        );
        assert!(
            listed_host("ik.imagekit.io")
                .unwrap_err()
                .to_string()
                .contains("scheme")
        );
        assert!(
            listed_host("//ik.imagekit.io")
                .unwrap_err()
                .to_string()
                .contains("scheme")
        );
        assert_eq!(
            listed_host("https://*.example.com/"),
            Err(ReferrerUrlError::Wildcard)
        );
        assert_eq!(
            listed_host("https://exampl?.com/"),
            Err(ReferrerUrlError::Wildcard)
        );
        assert_eq!(listed_host("https://"), Err(ReferrerUrlError::NoHost));
        assert_eq!(listed_host("file:///x"), Err(ReferrerUrlError::NoHost));
        assert!(matches!(
            listed_host("https://a b/"),
            Err(ReferrerUrlError::NotAUrl(_))
        ));
    }

    proptest! {
        #[test]
        fn the_short_way_is_the_parsers(
            url in "(https?|HTTP|hTTps):/{1,3}[aAxn1.\\-_@%2e:\\\\8 ]{0,12}(:[0-9]{0,6})?[/?#]?[ -~]{0,6}"
        ) {
            if let Some(plain) = plain_host(&url) {
                let parsed = parsed_host(&url);
                prop_assert!(parsed.is_some(), "{}", url);
                let parsed = parsed.unwrap();
                prop_assert_eq!(&plain.host, &parsed.host);
                let default = if plain.https { 443 } else { 80 };
                prop_assert_eq!(plain.port.unwrap_or(default), parsed.port.unwrap_or(default));
            }
        }

        #[test]
        fn no_text_makes_it_panic(url in "\\PC{0,40}") {
            let _ = (page_host(&url), written_host(&url), listed_host(&url));
        }

        #[test]
        fn a_written_host_that_could_be_listed_is_the_parsers(
            url in "https?:/{1,3}[aAxn1.\\-_@%2e:\\\\8 ]{0,12}[/?#:]?[ -~]{0,6}"
        ) {
            let written = written_host(&url);
            if let Ok(listed) = listed_host(&format!("http://{written}/"))
                && listed == written
            {
                let parsed = parsed_host(&url).map(|page| page.host.to_string());
                prop_assert_eq!(parsed.as_deref(), Some(written), "{}", url);
            }
        }
    }
}
