//! The `Allow` field of a 405.

use hyper::Method;
use hyper::header::HeaderValue;

use crate::config::{Route, Snapshot};
use crate::plan::{Arrival, Received, Reject};
use crate::route::Target;

/// The methods that the request's route takes, where the answer has to say
/// so (RFC 9110 section 15.5.6).
pub(super) fn methods(
    snapshot: &Snapshot,
    received: &Received,
    arrival: &Arrival,
    reject: Reject,
) -> Option<HeaderValue> {
    if !matches!(reject, Reject::Method | Reject::Asterisk) {
        return None;
    }
    of(snapshot.route(route(snapshot, received, arrival)))
}

/// The methods that `route` takes.
pub(super) fn of(route: &Route) -> Option<HeaderValue> {
    let methods = route.origin.methods.iter();
    let names: Vec<&str> = methods.map(Method::as_str).collect();
    HeaderValue::try_from(names.join(", ")).ok()
}

/// The route that the request would have been on, or the catch-all.
fn route(snapshot: &Snapshot, received: &Received, arrival: &Arrival) -> Option<usize> {
    let Received { uri, headers, .. } = received;
    let client = snapshot.client.find(arrival.peer, headers).ok()?;
    let scheme = snapshot.client.scheme(&client, headers, arrival.scheme);
    let fallback = arrival.fallback.clone();
    let merge_slashes = snapshot.server.merge_slashes;
    let target = Target::read(uri, headers, scheme, fallback, merge_slashes).ok()?;
    snapshot
        .matcher
        .find(&target.authority.host, &target.path)
        .ok()?
}
