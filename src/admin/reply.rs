//! Answers: plain text or JSON, never stored, never taken for anything else.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};

use crate::message::terminal::plain_json;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// An answer of that type.
pub(super) fn of_type(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let fields: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, NO_STORE),
        (header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
    ];
    response.headers_mut().extend(fields);
    response
}

/// A line for people.
pub(super) fn text(status: StatusCode, line: &str) -> Response {
    of_type(status, TEXT, format!("{line}\n"))
}

/// A JSON value, as a terminal shows it and does not obey it.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let lines = format!("{value:#}");
    let lines: Vec<String> = lines.lines().map(plain_json).collect();
    of_type(status, JSON, lines.join("\n") + "\n")
}

/// JSON that is written already.
pub(super) fn json_text(status: StatusCode, text: impl Into<Body>) -> Response {
    of_type(status, JSON, text)
}
