//! `/-/policy`: what is in force, and since when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Given;
use axum::response::Response;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::shadow::{self, Shadow};
use super::{State, Subject, reply};
use crate::config::{Route, ShownCertificate, Snapshot};
use crate::log::rfc3339;
use crate::reload::{Failure, InForce};

/// Tells it, on a thread that may take its time: what rules in shadow would
/// have denied is counted.
pub(super) async fn answer(Given(state): Given<Arc<State>>) -> Response {
    let turn = Arc::clone(&state.searching).lock_owned().await;
    let tell = move || {
        // It goes on if nobody waits for it any more.
        let _turn = turn;
        tell(&state.subject)
    };
    match tokio::task::spawn_blocking(tell).await {
        Ok(told) => reply::json(StatusCode::OK, &told),
        Err(_) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The policy panicked."),
    }
}

fn tell(subject: &Subject) -> Value {
    let snapshot = subject.policy.load_full();
    let status = &subject.status;
    let in_force = status.in_force();
    let reloads = status.reloads();
    let shadows = shadow::told(subject, &snapshot);
    let mut told = told(&snapshot, &in_force, &shadows);
    told["last_failed_reload"] = status.last_failure().as_ref().map_or(Value::Null, failure);
    told["reloads"] = json!({ "succeeded": reloads.succeeded, "failed": reloads.failed });
    told
}

fn told(snapshot: &Snapshot, in_force: &InForce, shadows: &BTreeMap<Shadow, Value>) -> Value {
    let file = in_force.file.as_ref();
    let tls = snapshot.server.tls.iter();
    let certificates = tls.flat_map(|tls| &tls.certificates);
    let routes = snapshot.routes.iter().map(|one| route(one, shadows));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": file.map(|file| file.display().to_string()),
        "generation": snapshot.generation,
        "since": rfc3339(in_force.since),
        "tests_passed": snapshot.tests.len(),
        "read_only": snapshot.admin.token.is_none(),
        "certificates": certificates.map(certificate).collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
    })
}

/// A route in short. The path of its origin's URL is left out: some have
/// secrets there.
fn route(route: &Route, shadows: &BTreeMap<Shadow, Value>) -> Value {
    let rules: Vec<Value> = route
        .rules
        .rules()
        .map(|(rule, shadow)| {
            let mut told = json!({ "rule": rule.as_str(), "shadow": shadow });
            let seen = shadows.get(&(route.name.clone(), rule)).filter(|_| shadow);
            if let (Some(told), Some(seen)) = (told.as_object_mut(), seen) {
                told.extend(seen.as_object().into_iter().flatten().map(cloned));
            }
            told
        })
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

fn cloned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
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
        "why": failure.why,
        "since_then_succeeded": !failure.newest,
    })
}
