//! What a request asks for: one host, one scheme, one path.

use hyper::Uri;

use super::{NormalPath, PathError};
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::message::field::trim;
use crate::message::fields::{Fields, Name};

/// The normalised target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The connection's scheme, or what a trusted peer says.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority<'a>,
    /// The path.
    pub path: NormalPath<'a>,
    /// The query as received, without the `?`.
    pub query: Option<&'a str>,
}

/// Why a request's target is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No Host field, and none in the target.
    #[error("the request names no host")]
    NoHost,
    /// More than one Host field.
    #[error("the request has more than one Host field")]
    SeveralHosts,
    /// Not a host with an optional port.
    #[error("the host is not a host name or address with an optional port")]
    BadHost,
    /// The target's host and the Host field differ.
    #[error("the host of the target and the Host field differ")]
    HostsDiffer,
    /// `host:port` alone, which is CONNECT's.
    #[error("the request target is not a path")]
    NotAPath,
    /// The path is refused.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl<'a> Target<'a> {
    /// Reads the target of a request. `fallback` is the host of an HTTP/1.0
    /// request that names none: the address it was sent to.
    ///
    /// # Errors
    ///
    /// [`TargetError`], each of which is a 400.
    pub fn read(
        uri: &'a Uri,
        headers: &'a Fields,
        scheme: Scheme,
        fallback: Option<Authority<'a>>,
        merge_slashes: bool,
    ) -> Result<Self, TargetError> {
        if uri.authority().is_some() && uri.scheme().is_none() {
            return Err(TargetError::NotAPath);
        }
        Ok(Self {
            scheme,
            authority: read_authority(uri, headers, scheme, fallback)?,
            path: NormalPath::new(uri.path(), merge_slashes)?,
            query: uri.query(),
        })
    }

    /// Whether the target is `*`, which is about the server and no path.
    pub fn is_asterisk(&self) -> bool {
        self.path.as_str() == "*"
    }
}

/// The one host of a request: the target's, else the Host field's.
fn read_authority<'a>(
    uri: &'a Uri,
    headers: &'a Fields,
    scheme: Scheme,
    fallback: Option<Authority<'a>>,
) -> Result<Authority<'a>, TargetError> {
    let read = |text| Authority::parse(text, scheme).ok_or(TargetError::BadHost);
    let mut lines = headers.lines(Name::HOST);
    let field = lines.next().map(|line| read(trim(line))).transpose()?;
    if lines.next().is_some() {
        return Err(TargetError::SeveralHosts);
    }
    let target = uri
        .authority()
        .map(|a| read(a.as_str().as_bytes()))
        .transpose()?;
    match (target, field) {
        (Some(target), Some(field)) if target != field => Err(TargetError::HostsDiffer),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => fallback.ok_or(TargetError::NoHost),
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{HOST, HeaderValue};

    use super::*;

    fn authority(uri: &'static str, hosts: &[&'static str]) -> Result<String, TargetError> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        let fields = headers.into();
        Target::read(&Uri::from_static(uri), &fields, Scheme::Http, None, true)
            .map(|target| target.authority.to_string())
    }

    #[test]
    fn one_host() {
        assert_eq!(authority("/a", &["A.com:80"]).as_deref(), Ok("a.com"));
        assert_eq!(
            authority("http://a.com/", &["A.com."]).as_deref(),
            Ok("a.com")
        );
        assert_eq!(authority("http://a.com/", &[]).as_deref(), Ok("a.com"));
        assert_eq!(
            authority("https://a.com:443/", &[]).as_deref(),
            Ok("a.com:443")
        );
        assert_eq!(authority("a.com", &["a.com"]), Err(TargetError::NotAPath));
        assert_eq!(authority("/", &[]), Err(TargetError::NoHost));
        assert_eq!(authority("/", &["a", "a"]), Err(TargetError::SeveralHosts));
        assert_eq!(authority("/", &[""]), Err(TargetError::BadHost));
        assert_eq!(authority("/", &["u@a.com"]), Err(TargetError::BadHost));
        assert_eq!(
            authority("http://a.com/", &["b.com"]),
            Err(TargetError::HostsDiffer)
        );
        assert_eq!(
            authority("http://a.com:81/", &["a.com"]),
            Err(TargetError::HostsDiffer)
        );
        assert_eq!(
            authority("http://u@a.com/", &["a.com"]),
            Err(TargetError::BadHost)
        );
    }
}
