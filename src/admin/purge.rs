//! `POST /-/purge`: what is stored goes, by URL, prefix or tag, or all of it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Given};
use axum::response::Response;
use hyper::body::Body as _;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::{State, reply};
use crate::cache::purge::Purge;
use crate::config::Snapshot;
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::message::field;
use crate::message::fields::Fields;
use crate::route::{NormalPath, PathError, Target, TargetError};

/// The longest body that is read, in bytes: some ten thousand URLs.
const MOST: usize = 1 << 20;

const SHAPE: &str = r#"{"urls": ["https://host/path?query"], "prefixes": ["host/path"], "tags": ["tag"], "all": true}"#;

/// What a body may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    urls: Option<Vec<String>>,
    prefixes: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    all: Option<bool>,
}

/// Why nothing is purged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("The body is JSON: Content-Type is application/json, or not there.")]
    Type,
    #[error("The body is over {} KiB: send it in parts.", MOST >> 10)]
    TooLong,
    #[error("The body did not come to its end.")]
    CutShort,
    #[error(
        "The body cannot be read: {0}. It is to be of this shape, with at least one key: {SHAPE}"
    )]
    Shape(String),
    #[error("{place}: {text:?} {why}")]
    Entry {
        place: String,
        text: String,
        why: String,
    },
}

/// Purges, on a thread that may take its time.
pub(super) async fn answer(Given(state): Given<Arc<State>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let read = read(&head.headers, body, &state).await;
    let purge = match read {
        Ok(purge) => purge,
        Err(refusal) => return reply::text(refusal.status(), &refusal.to_string()),
    };
    match tokio::task::spawn_blocking(move || state.subject.purge(&purge)).await {
        Ok(purged) => reply::json(StatusCode::OK, &json!({ "purged": purged })),
        Err(_) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The purge panicked."),
    }
}

async fn read(headers: &HeaderMap, body: Body, state: &State) -> Result<Purge, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::Type);
    }
    // Whoever says so at once need not send it.
    if body.size_hint().lower() > MOST as u64 {
        return Err(Refusal::TooLong);
    }
    let body = to_bytes(body, MOST).await.map_err(|error| match error
        .into_inner()
        .is::<http_body_util::LengthLimitError>(
    ) {
        true => Refusal::TooLong,
        false => Refusal::CutShort,
    })?;
    let wanted: Wanted =
        serde_json::from_slice(&body).map_err(|error| Refusal::Shape(error.to_string()))?;
    wanted.compile(&state.subject.policy.load())
}

/// Whether the body may be JSON: its type says so, or nothing.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_TYPE).iter().all(|line| {
        let kind = line.as_bytes().split(|byte| *byte == b';').next();
        kind.is_some_and(|kind| field::trim(kind).eq_ignore_ascii_case(b"application/json"))
    })
}

impl Wanted {
    fn compile(self, snapshot: &Snapshot) -> Result<Purge, Refusal> {
        let names_nothing = self.urls.is_none() && self.prefixes.is_none() && self.tags.is_none();
        if names_nothing && self.all != Some(true) {
            return Err(Refusal::Shape("it names nothing to purge".to_owned()));
        }
        let mut purge = match self.all {
            Some(true) => Purge::all(),
            Some(false) | None => Purge::default(),
        };
        each("urls", self.urls, |text| {
            add_url(&mut purge, text, snapshot)
        })?;
        each("prefixes", self.prefixes, |text| {
            add_prefix(&mut purge, text)
        })?;
        each("tags", self.tags, |text| add_tag(&mut purge, text))?;
        Ok(purge)
    }
}

fn each(
    list: &str,
    entries: Option<Vec<String>>,
    mut add: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Refusal> {
    for (n, text) in entries.into_iter().flatten().enumerate() {
        add(&text).map_err(|why| Refusal::Entry {
            place: format!("{list}[{n}]"),
            text,
            why,
        })?;
    }
    Ok(())
}

/// The query is keyed by the rules of the URL's route, as they are now.
fn add_url(purge: &mut Purge, text: &str, snapshot: &Snapshot) -> Result<(), String> {
    let not_a_url = || "is not a URL such as https://img.example.com/a.jpg?w=1".to_owned();
    let (scheme, _) = split_scheme(text).ok_or_else(not_a_url)?;
    let uri: Uri = text.parse().map_err(|_| not_a_url())?;
    let none = Fields::default();
    let merge_slashes = snapshot.server.merge_slashes;
    let target = Target::read(&uri, &none, scheme, None, merge_slashes)
        .map_err(|error: TargetError| format!("is never stored: {error}"))?;
    let route = snapshot
        .matcher
        .find(&target.authority.host, &target.path)
        .map_err(|error: PathError| format!("is never stored: {error}"))?;
    purge.add_url(&target, &snapshot.route(route).key);
    Ok(())
}

fn add_prefix(purge: &mut Purge, text: &str) -> Result<(), String> {
    let rest = split_scheme(text).map_or(text, |(_, rest)| rest);
    if rest.contains(['?', '#']) {
        return Err("is a prefix with a query: only host and path count".to_owned());
    }
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let host = Authority::parse(host.as_bytes(), Scheme::Http)
        .ok_or("is not a prefix such as img.example.com/gallery/")?;
    let path = NormalPath::new(path, true).map_err(|error| format!("is never stored: {error}"))?;
    purge.add_prefix(&host.host, &path);
    Ok(())
}

fn add_tag(purge: &mut Purge, text: &str) -> Result<(), String> {
    if text.is_empty() || text.trim_matches([' ', '\t']) != text {
        return Err("is not a tag: it is empty, or begins or ends with a blank".to_owned());
    }
    purge.add_tag(text);
    Ok(())
}

fn split_scheme(url: &str) -> Option<(Scheme, &str)> {
    [("http://", Scheme::Http), ("https://", Scheme::Https)]
        .into_iter()
        .find_map(|(start, scheme)| {
            let (begin, rest) = url.split_at_checked(start.len())?;
            begin.eq_ignore_ascii_case(start).then_some((scheme, rest))
        })
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::CutShort | Self::Shape(_) | Self::Entry { .. } => StatusCode::BAD_REQUEST,
        }
    }
}
