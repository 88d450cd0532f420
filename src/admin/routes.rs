//! What can be asked. A body is only read where an answer depends on it: of
//! others hyper closes the connection rather than wait for them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Given;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use hyper::StatusCode;
use serde_json::json;

use super::{State, denials, explain, guard, metrics, policy, purge, reply};

/// Whoever asked for a reload waits no longer for it.
const RELOAD_PATIENCE: Duration = Duration::from_secs(45);

/// Everything, guarded.
pub(super) fn router(state: Arc<State>) -> Router {
    let changes = Router::new()
        .route("/-/reload", post(reload))
        .route("/-/purge", post(purge::answer))
        .route_layer(from_fn_with_state(Arc::clone(&state), guard::changes));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::answer))
        .route("/-/policy", get(policy::answer))
        .route("/-/denials", get(denials::answer))
        .route("/-/explain", get(explain::get).post(explain::post))
        .merge(changes)
        .fallback(|| async { reply::text(StatusCode::NOT_FOUND, "There is nothing here.") })
        .method_not_allowed_fallback(|| async {
            reply::text(StatusCode::METHOD_NOT_ALLOWED, "This takes another method.")
        })
        .layer(from_fn_with_state(Arc::clone(&state), guard::everything))
        .with_state(state)
}

/// Whether the process works.
async fn healthz() -> Response {
    reply::text(StatusCode::OK, "ok")
}

/// Whether new connections are welcome.
async fn readyz(Given(state): Given<Arc<State>>) -> Response {
    match (state.subject.draining)() {
        false => reply::text(StatusCode::OK, "ready"),
        true => reply::text(StatusCode::SERVICE_UNAVAILABLE, "draining"),
    }
}

/// Reloads, and waits for the outcome on a thread that may wait.
async fn reload(Given(state): Given<Arc<State>>) -> Response {
    let reload = move || state.subject.reload.reload_and_wait(RELOAD_PATIENCE);
    match tokio::task::spawn_blocking(reload).await {
        Ok(Ok(generation)) => reply::json(StatusCode::OK, &json!({ "generation": generation })),
        Ok(Err(why)) => reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": why })),
        Err(_) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, "The reload panicked."),
    }
}
