//! `/-/policy`: what is in force, and since when.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Given;
use axum::response::Response;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{State, reply};
use crate::config::{Route, ShownCertificate, Snapshot};
use crate::log::rfc3339;
use crate::reload::{Failure, InForce};

/// Tells it.
pub(super) async fn answer(Given(state): Given<Arc<State>>) -> Response {
    let snapshot = state.subject.policy.load();
    let status = &state.subject.status;
    let in_force = status.in_force();
    let reloads = status.reloads();
    let mut told = told(&snapshot, &in_force);
    told["last_failed_reload"] = status.last_failure().as_ref().map_or(Value::Null, failure);
    told["reloads"] = json!({ "succeeded": reloads.succeeded, "failed": reloads.failed });
    reply::json(StatusCode::OK, &told)
}

fn told(snapshot: &Snapshot, in_force: &InForce) -> Value {
    let file = in_force.file.as_ref();
    let tls = snapshot.server.tls.iter();
    let certificates = tls.flat_map(|tls| &tls.certificates);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": file.map(|file| file.display().to_string()),
        "generation": snapshot.generation,
        "since": rfc3339(in_force.since),
        "tests_passed": snapshot.tests.len(),
        "read_only": snapshot.admin.token.is_none(),
        "certificates": certificates.map(certificate).collect::<Vec<_>>(),
        "routes": snapshot.routes.iter().map(route).collect::<Vec<_>>(),
    })
}

/// A route in short. The path of its origin's URL is left out: some have
/// secrets there.
fn route(route: &Route) -> Value {
    let rules: Vec<Value> = route
        .rules
        .rules()
        .map(|(rule, shadow)| json!({ "rule": rule.as_str(), "shadow": shadow }))
        .collect();
    let url = &route.origin.url;
    let origin = match &url.socket {
        Some(socket) => socket.to_string(),
        None => format!("{}://{}", url.scheme, url.authority()),
    };
    json!({
        "name": route.name,
        "rules": rules,
        "origin": origin,
        "country_database_built": route.rules.geo().map(|geo| {
            let built = Duration::from_secs(geo.database().build_epoch());
            rfc3339(SystemTime::UNIX_EPOCH + built)
        }),
    })
}

fn certificate(certificate: &ShownCertificate) -> Value {
    json!({
        "file": certificate.file,
        "names": certificate.names,
        "expires": rfc3339(certificate.expires),
    })
}

fn failure(failure: &Failure) -> Value {
    json!({
        "at": rfc3339(failure.at),
        "why": without_userinfo(&failure.why),
        "since_then_succeeded": !failure.newest,
    })
}

/// An error shows the line it is about, and a URL in it may hold a password:
/// what stands between `://` and `@` is left out.
pub(super) fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c == '"' || c.is_whitespace());
        let (authority, rest) = part.split_at(end.unwrap_or(part.len()));
        let host = authority.rsplit_once('@').map(|(_, host)| host);
        shown.push_str("://");
        shown.push_str(&host.map_or_else(|| authority.to_owned(), |host| format!("***@{host}")));
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out() {
        for (text, shown) in [
            ("", ""),
            ("url = \"http://a/b@c\"", "url = \"http://a/b@c\""),
            ("\"http://u:p@a:1/b\" x", "\"http://***@a:1/b\" x"),
            ("http://u:p@q@a https://v@b", "http://***@a https://***@b"),
            ("://@", "://***@"),
        ] {
            assert_eq!(without_userinfo(text), shown);
        }
    }
}
