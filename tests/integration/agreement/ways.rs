//! The protocols that a request may come by.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Uri, Version};
use tokio_rustls::rustls::version::TLS13;

use super::requests::Case;
use crate::support::{Client, Http2, Reply, Wire};
use crate::tls_clients::{Edge, TlsClient};

pub(super) enum Way<'a> {
    Plain(&'a Edge),
    Tls(&'a Edge, Box<TlsClient>),
    Http2(&'a Edge, Http2, usize),
}

impl<'a> Way<'a> {
    pub(super) fn plain(edge: &'a Edge) -> Self {
        Self::Plain(edge)
    }

    pub(super) fn tls(edge: &'a Edge) -> Self {
        Self::Tls(edge, Box::new(edge.client()))
    }

    pub(super) fn http2(edge: &'a Edge) -> Self {
        let client = Http2::connect(edge.address(), edge.config_for(&[&TLS13], b"h2"));
        Self::Http2(edge, client, 0)
    }

    /// To the end of the response, so that log lines keep the order of the
    /// requests. `None`: the HTTP library refuses it without us.
    pub(super) fn send(&mut self, case: &Case) -> Option<Reply> {
        match self {
            Self::Plain(edge) => Some(by_http1(&mut edge.portcullis.client(), case)),
            Self::Tls(edge, client) => {
                let reply = by_http1(&mut **client, case);
                if reply
                    .head
                    .to_lowercase()
                    .contains("\r\nconnection: close\r\n")
                {
                    **client = edge.client();
                }
                Some(reply)
            }
            Self::Http2(edge, client, turn) => {
                *turn += 1;
                by_http2(edge, client, case, *turn % 2 == 0)
            }
        }
    }
}

pub(super) fn by_http1<S: std::io::Read + std::io::Write>(
    client: &mut Client<S>,
    case: &Case,
) -> Reply {
    client.send(case.wire());
    if case.method != "HEAD" {
        return client.reply();
    }
    let (status, head) = client.head();
    Reply {
        status,
        head,
        body: Vec::new(),
    }
}

/// By turns the host is named by `:authority` and by a field.
fn by_http2(edge: &Edge, client: &mut Http2, case: &Case, turn: bool) -> Option<Reply> {
    let moved = case.only_host().filter(|_| turn && case.absolute.is_none());
    let authority = case.absolute.as_ref().map(|(_, host)| host.as_str());
    let authority = authority.or(moved);
    let scheme = case.absolute.as_ref().map_or("https", |(scheme, _)| scheme);
    let mut fields: Vec<(String, &[u8])> = case
        .fields
        .iter()
        .filter(|(name, _)| moved.is_none() || !name.eq_ignore_ascii_case("host"))
        .map(|(name, value)| (name.to_lowercase(), value.as_bytes()))
        .collect();
    let length = case.body().len().to_string();
    if !case.body().is_empty() {
        fields.push(("content-length".into(), length.as_bytes()));
    }
    match request(case, scheme, authority, &fields) {
        Some(request) if case.body().is_empty() => client.try_ask(request).ok(),
        Some(request) => client.upload(request, case.body().as_bytes()).ok(),
        None => {
            let mut pseudo = vec![
                (":method", case.method.as_bytes()),
                (":scheme", scheme.as_bytes()),
                (":path", case.target.as_bytes()),
            ];
            pseudo.extend(authority.map(|authority| (":authority", authority.as_bytes())));
            pseudo.extend(fields.iter().map(|(name, value)| (&**name, *value)));
            let mut wire = Wire::silent(edge.address(), edge.config_for(&[&TLS13], b"h2"));
            let answer = wire.greet(&[]).headers(1, 5, &pseudo).answer(1);
            assert_eq!(answer, Err(1), "PROTOCOL_ERROR: {pseudo:?}");
            None
        }
    }
}

/// `None`: this client would not send it.
fn request(
    case: &Case,
    scheme: &str,
    authority: Option<&str>,
    fields: &[(String, &[u8])],
) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(case.method.as_bytes()).ok()?;
    let uri = Uri::builder().path_and_query(&*case.target);
    *request.uri_mut() = match authority {
        Some(authority) => uri.scheme(scheme).authority(authority).build().ok()?,
        None => uri.build().ok()?,
    };
    // By this one the client sends no authority where there is none.
    *request.version_mut() = match authority {
        Some(_) => Version::HTTP_2,
        None => Version::HTTP_11,
    };
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).unwrap());
    }
    Some(request)
}
