//! A request that nobody sent: `explain` and `[[test]]` ask what would become
//! of it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::{Authority, Parts, PathAndQuery};
use hyper::{HeaderMap, Method, Uri};

use super::{Arrival, Explanation, Received};
use crate::client::{ClientAddr, PeerAddr};
use crate::config::{Snapshot, TestRequest};
use crate::message::Scheme;

/// What the HTTP library reads of a request; it answers 431 to more.
const MAX_FIELDS: usize = 100;

/// A request, ready to be asked about.
#[derive(Debug)]
pub struct Question {
    /// `None`: no HTTP library would read its target; 400.
    received: Option<Received>,
    arrival: Arrival,
}

/// Why something is not a request at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Not `http://`, `https://` or a path.
    #[error("`{0}` is not a URL that starts with http:// or https://")]
    Url(String),
    /// Not a method.
    #[error("`{0}` is not a method")]
    Method(String),
    /// More than a request may have.
    #[error("a request has at most {MAX_FIELDS} fields")]
    TooManyFields,
    /// Not a field name.
    #[error("`{0}` is not a field name")]
    FieldName(String),
    /// Not a field value.
    #[error("the value of `{0}` has a character that no field may have")]
    FieldValue(String),
}

impl Question {
    /// Reads a request as somebody wrote it down.
    ///
    /// # Errors
    ///
    /// [`QuestionError`] if it could not even be sent.
    pub fn new(request: &TestRequest) -> Result<Self, QuestionError> {
        let method = request.method.as_deref().unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| QuestionError::Method(method.to_owned()))?;
        let (scheme, uri) = read_url(&request.url)?;
        if request.headers.len() > MAX_FIELDS {
            return Err(QuestionError::TooManyFields);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let field = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| QuestionError::FieldName(name.clone()))?;
            // A parser cuts the blanks around a value off.
            let value = value.trim_matches([' ', '\t']);
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| QuestionError::FieldValue(name.clone()))?;
            headers.append(field, value);
        }
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let peer = request.peer.or(request.client).unwrap_or(localhost);
        Ok(Self {
            received: uri.map(|uri| Received::new(method, uri, headers)),
            arrival: Arrival {
                scheme,
                peer: PeerAddr::new(peer),
                given: request.client.map(ClientAddr::new),
                fallback: None,
                https_port: None,
            },
        })
    }

    /// What `snapshot` would make of it, and why.
    pub fn answer(&self, snapshot: &Snapshot) -> Explanation {
        let Some(received) = &self.received else {
            return Explanation::unreadable();
        };
        Explanation::of(snapshot, received, &self.arrival(snapshot))
    }

    /// A peer that must send a PROXY header is the peer of a request only
    /// where another one's names it.
    fn arrival(&self, snapshot: &Snapshot) -> Cow<'_, Arrival> {
        let peer = self.arrival.peer;
        let mut arrival = Cow::Borrowed(&self.arrival);
        if snapshot.client.expects_header(peer) {
            arrival.to_mut().peer = peer.after_header(Some(peer.ip()));
        }
        arrival
    }
}

/// Splits scheme and authority off by hand; the rest is the target as
/// written. No [`Uri`]: what an HTTP library refuses to read.
fn read_url(url: &str) -> Result<(Scheme, Option<Uri>), QuestionError> {
    if url.starts_with('/') {
        return Ok((Scheme::Http, read_target(url).map(Uri::from)));
    }
    let bad = || QuestionError::Url(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
    let scheme = Scheme::parse(scheme.as_bytes()).ok_or_else(bad)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let target = match target.starts_with('/') {
        true => read_target(target),
        false => read_target(&format!("/{target}")),
    };
    let mut parts = Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => hyper::http::uri::Scheme::HTTP,
        Scheme::Https => hyper::http::uri::Scheme::HTTPS,
    });
    parts.authority = Authority::try_from(authority).ok();
    parts.path_and_query = target;
    let readable = parts.authority.is_some() && parts.path_and_query.is_some();
    Ok((
        scheme,
        readable.then(|| Uri::from_parts(parts).ok()).flatten(),
    ))
}

/// A request target, if hyper would read it from a request line.
fn read_target(target: &str) -> Option<PathAndQuery> {
    if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    PathAndQuery::try_from(target).ok()
}
