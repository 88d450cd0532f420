//! `/-/explain`: what would become of a request by what is in force, and what
//! became of one that was denied.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{RawQuery, State as Given};
use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::denials::{self, Asked};
use super::{State, reply};
use crate::config::{Snapshot, TestRequest};
use crate::message::terminal::plain_json;
use crate::plan::{Question, read_request};
use crate::replay::{reference as reference_of, retell};

/// The longest request that is read, in bytes.
const MOST: usize = 1 << 20;

/// Why a `ref` may be unknown.
const NOT_KEPT: &str = "Nothing is kept of a request with this ref. It may have been answered by \
    another instance, or before this one was started; it may be older than what is kept, the \
    last 10,000 denials or 16 MiB of them, whichever is less; or no rule denied it: of requests that were let through, and of those answered 400, \
    405 or 421, nothing is kept but the line in the access log.";

/// A request as JSON, as a line of `explain --stdin` has it.
pub(super) async fn post(Given(state): Given<Arc<State>>, body: Body) -> Response {
    let Ok(body) = to_bytes(body, MOST).await else {
        let line = format!(
            "The body is over {} KiB, or did not come to its end.",
            MOST >> 10
        );
        return reply::text(StatusCode::PAYLOAD_TOO_LARGE, &line);
    };
    let snapshot = state.subject.policy.load();
    told(read_request(&body).and_then(|request| explained(&request, &snapshot)))
}

/// A request by its URL and little else, or one that was denied by its `ref`.
pub(super) async fn get(Given(state): Given<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let asked = read(query.as_deref().unwrap_or_default());
    match asked {
        Ok(Query::Reference(reference)) => recall(state, &reference).await,
        Ok(Query::Request(request)) => told(explained(&request, &state.subject.policy.load())),
        Err(why) => reply::text(StatusCode::BAD_REQUEST, &why),
    }
}

enum Query {
    Reference(String),
    Request(TestRequest),
}

fn read(query: &str) -> Result<Query, String> {
    let mut request = TestRequest::default();
    let (mut reference, mut url) = (None, None);
    for (name, value) in denials::parameters(query)? {
        match &*name {
            "ref" => {
                let read = reference_of(&value).map_err(|why| format!("ref: {why}"))?;
                reference = Some(read);
            }
            "url" => url = Some(value.into_owned()),
            "method" => request.method = Some(value.into_owned()),
            "client" => request.client = Some(address("client", &value)?),
            "peer" => request.peer = Some(address("peer", &value)?),
            _ => return Err("It takes ref; or url, and client, peer and method.".to_owned()),
        }
    }
    match (reference, url) {
        (Some(reference), None) if request == TestRequest::default() => {
            Ok(Query::Reference(reference))
        }
        (None, Some(url)) => Ok(Query::Request(TestRequest { url, ..request })),
        _ => Err("It takes ref; or url, and client, peer and method.".to_owned()),
    }
}

fn address(name: &str, text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{name}: not an address"))
}

fn explained(request: &TestRequest, snapshot: &Snapshot) -> Result<String, String> {
    let question = Question::new(request).map_err(|error| error.to_string())?;
    Ok(shown(&question.answer(snapshot)))
}

/// JSON that a terminal shows and does not obey.
fn shown(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value);
    plain_json(&json.expect("all of it is strings and numbers under string keys")) + "\n"
}

fn told(answer: Result<String, String>) -> Response {
    match answer {
        Ok(json) => reply::json_text(StatusCode::OK, json),
        Err(error) => reply::json_text(StatusCode::BAD_REQUEST, shown(&json!({ "error": error }))),
    }
}

/// What became of a request, and what would by now.
async fn recall(state: Arc<State>, reference: &str) -> Response {
    for shadow in [false, true] {
        let asked = Asked::reference(reference, shadow);
        let Some(mut found) = denials::find(Arc::clone(&state), asked).await else {
            return reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The search panicked.");
        };
        if let Some(line) = found.lines.pop() {
            return told(recalled(&line, &state.subject.policy.load()));
        }
    }
    reply::text(StatusCode::NOT_FOUND, NOT_KEPT)
}

fn recalled(line: &[u8], snapshot: &Snapshot) -> Result<String, String> {
    let kept: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let now = retell(line, snapshot)?;
    let then = json!({
        "generation": kept["generation"],
        "verdict": kept["verdict"],
        "rule": kept["rule"],
        "would_deny": kept["would_deny"],
    });
    let differs = match now.verdict {
        "undecided" => Value::Null,
        verdict => json!(kept["verdict"] != verdict || kept["rule"] != json!(now.rule)),
    };
    let mut now = serde_json::to_value(&now).map_err(|error| error.to_string())?;
    now["generation"] = json!(snapshot.generation);
    Ok(shown(&json!({
        "ref": kept["ref"],
        "then": then,
        "now": now,
        "same_policy": kept["generation"] == json!(snapshot.generation),
        "differs": differs,
        "request": kept,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked() {
        assert!(
            matches!(read("ref=8AA2M89X6EGJY0WNCQTN"), Ok(Query::Reference(text)) if text == "8aa2m89x6egjy0wncqtn")
        );
        let Ok(Query::Request(request)) = read("url=http%3A%2F%2Fa%2Fb&client=192.0.2.1") else {
            panic!("a URL is enough");
        };
        assert_eq!(request.url, "http://a/b");
        assert_eq!(request.client, "192.0.2.1".parse().ok());
        for query in [
            "",
            "client=192.0.2.1",
            "ref=a",
            "ref=8aa2m89x6egjy0wncqtn&url=/b",
            "ref=8aa2m89x6egjy0wncqtn&method=GET",
            "url=/&x=1",
            "url=/&peer=x",
            "url=/&url=/",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
