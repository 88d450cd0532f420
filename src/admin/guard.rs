//! Who may ask what (section 13).

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{Request, State as Given};
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};

use super::{State, reply};
use crate::config::AdminSettings;
use crate::message::Scheme;
use crate::message::authority::Authority;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// Probes and scrapers ask these without a token, under any name.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Why a question is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A page of another site may have made the name point here (DNS
    /// rebinding).
    Host,
    /// A page of another site asks.
    Site,
    /// The token is missing or wrong.
    Token,
    /// There is no token that could be right.
    ReadOnly,
}

/// Lets through what may be asked.
pub(super) async fn everything(
    Given(state): Given<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    if !OPEN.contains(&request.uri().path()) {
        let snapshot = state.subject.policy.load();
        if let Err(refusal) = check(&request, &snapshot.admin, state.is_loopback) {
            return refusal.answer();
        }
    }
    next.run(request).await
}

/// Lets through who may change something: on any listener, only by token.
pub(super) async fn changes(
    Given(state): Given<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = has_token(request.headers(), &state.subject.policy.load().admin);
    match allowed {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.answer(),
    }
}

fn check(request: &Request, admin: &AdminSettings, is_loopback: bool) -> Result<(), Refusal> {
    let headers = request.headers();
    let host = own_host(request, admin).ok_or(Refusal::Host)?;
    if !is_same_site(headers, &host) {
        return Err(Refusal::Site);
    }
    match is_loopback {
        true => Ok(()),
        false => has_token(headers, admin),
    }
}

/// The host that is asked, if it is one of ours.
fn own_host<'a>(request: &'a Request, admin: &AdminSettings) -> Option<Authority<'a>> {
    let target = request
        .uri()
        .authority()
        .map(|target| target.as_str().as_bytes());
    let fields = request.headers().get_all(header::HOST);
    let mut names = target
        .into_iter()
        .chain(fields.iter().map(HeaderValue::as_bytes));
    let host = Authority::parse(names.next()?, Scheme::Http)?;
    if names.any(|name| Authority::parse(name, Scheme::Http).as_ref() != Some(&host)) {
        return None;
    }
    let name: &str = &host.host;
    let own = name == "localhost"
        || name.starts_with('[')
        || name.parse::<Ipv4Addr>().is_ok()
        || admin.hosts.iter().any(|pattern| pattern.matches(name));
    own.then_some(host)
}

/// Whether no page of another site asks. Programs send neither field.
fn is_same_site(headers: &HeaderMap, host: &Authority<'_>) -> bool {
    let sites = headers.get_all(&SEC_FETCH_SITE);
    let pages = headers.get_all(header::ORIGIN);
    let one = |count: usize| count <= 1;
    one(sites.iter().count())
        && one(pages.iter().count())
        && sites
            .iter()
            .all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
        && pages.iter().all(|page| is_page_of(page.as_bytes(), host))
}

/// Whether a page is of this very host and port, by whatever scheme: TLS may
/// end in front of us.
fn is_page_of(page: &[u8], host: &Authority<'_>) -> bool {
    [
        (&b"http://"[..], Scheme::Http),
        (b"https://", Scheme::Https),
    ]
    .into_iter()
    .filter_map(|(start, scheme)| Authority::parse(page.strip_prefix(start)?, scheme))
    .any(|page| page == *host)
}

/// RFC 6750 section 2.1.
fn has_token(headers: &HeaderMap, admin: &AdminSettings) -> Result<(), Refusal> {
    let token = admin.token.as_ref().ok_or(Refusal::ReadOnly)?;
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (given.next(), given.next()) else {
        return Err(Refusal::Token);
    };
    let (scheme, rest) = field
        .as_bytes()
        .split_at_checked(b"bearer ".len())
        .ok_or(Refusal::Token)?;
    let right = scheme.eq_ignore_ascii_case(b"bearer ") && token.is(rest.trim_ascii());
    right.then_some(()).ok_or(Refusal::Token)
}

impl Refusal {
    fn answer(self) -> Response {
        match self {
            Self::Host => reply::text(
                StatusCode::MISDIRECTED_REQUEST,
                "This listener answers to addresses, localhost and the names in admin.hosts.",
            ),
            Self::Site => reply::text(
                StatusCode::FORBIDDEN,
                "A page of another site asks: the Origin or Sec-Fetch-Site field says so.",
            ),
            Self::ReadOnly => reply::text(
                StatusCode::FORBIDDEN,
                "This takes a token, and there is none: set admin.token_file.",
            ),
            Self::Token => {
                let line =
                    "This takes the token of admin.token_file: Authorization: Bearer <token>";
                let mut answer = reply::text(StatusCode::UNAUTHORIZED, line);
                answer
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, BEARER);
                answer
            }
        }
    }
}
