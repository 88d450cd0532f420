//! A request on its way to the origin, and the response on its way back
//! (sections 4 "Towards the origin", 7 and 10).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use smallvec::SmallVec;

use super::answer::Answer;
use super::body::Body;
use super::instance::Instance;
use super::max_forwards;
use super::record::{Known, Record, Seen};
use super::reference::Reference;
use super::respond::{Asked, Edit, check, respond};
use crate::client::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::config::Snapshot;
use crate::message::connection;
use crate::origin::{Asking, ClientGroup, OriginError, OriginSettings, Origins, Upload};
use crate::plan::{Plan, Received};

static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the origin is sent and the response gets, worked out by the plan.
#[derive(Debug)]
pub(super) struct Prepared {
    settings: Arc<OriginSettings>,
    uri: Uri,
    set: SmallVec<[(HeaderName, HeaderValue); 6]>,
    /// The field by which strangers could name a client.
    client_field: Option<HeaderName>,
    via: HeaderValue,
    edit: Edit,
    client: Option<ClientGroup>,
    stall_timeout: Duration,
    max_body: u64,
}

/// A request that only has to be sent.
#[derive(Debug)]
pub(super) struct Errand {
    settings: Arc<OriginSettings>,
    edit: Edit,
    client: Option<ClientGroup>,
    stall_timeout: Duration,
    request: Request<Upload>,
    record: Record,
    reference: Reference,
}

impl Prepared {
    /// `known` is what the log had to know already. `None`: the normalised
    /// target is too long for a request line.
    pub(super) fn new(
        seen: &Seen<'_>,
        plan: &Plan<'_>,
        known: Option<Known<'_>>,
        instance: &Instance,
    ) -> Option<Self> {
        let asked = Asked {
            head: seen.received.method == Method::HEAD,
            version: seen.version,
        };
        let (choice, key) = match known {
            Some(Known { choice, key }) => (choice, Some(key)),
            None => (plan.choice(), None),
        };
        let authority = plan.target.authority.to_string();
        let authority =
            HeaderValue::try_from(authority).expect("a normalised host is a field value");
        let scheme = HeaderValue::from_static(plan.target.scheme.as_str());
        let mut set = SmallVec::from_iter([
            (header::HOST, plan.origin_host()),
            (
                X_FORWARDED_FOR.clone(),
                plan.forwarded_for(seen.arrival.peer),
            ),
            (X_FORWARDED_PROTO.clone(), scheme),
            (X_FORWARDED_HOST.clone(), authority),
        ]);
        set.extend(choice.accept.map(|accept| (header::ACCEPT, accept.clone())));
        if let Some(field) = &plan.route.key.field {
            let key = key.unwrap_or_else(|| plan.cache_key(&choice));
            let key = HeaderValue::try_from(key);
            set.push((
                field.clone(),
                key.expect("a normalised key is a field value"),
            ));
        }
        let client_field = seen.snapshot.client.field.name();
        Some(Self {
            settings: Arc::clone(&plan.route.origin),
            uri: Uri::try_from(plan.origin_target()).ok()?,
            set,
            client_field: (!plan.client.peer_trusted).then(|| client_field.clone()),
            via: instance.via(seen.version).clone(),
            edit: Edit::new(plan.route, choice.vary.cloned(), asked),
            client: group(seen.snapshot, plan),
            stall_timeout: seen.snapshot.server.stall_timeout,
            max_body: seen.snapshot.server.max_body,
        })
    }

    /// The request, its head edited in place.
    pub(super) fn request(&mut self, received: Received, body: Incoming) -> Request<Upload> {
        let Received {
            method,
            mut headers,
            ..
        } = received;
        connection::remove_hop_by_hop(&mut headers);
        remove_private(&mut headers);
        if let Some(name) = &self.client_field {
            headers.remove(name);
        }
        for (name, value) in self.set.drain(..) {
            headers.insert(name, value);
        }
        max_forwards::count(&method, &mut headers);
        headers.append(header::VIA, self.via.clone());
        let body = Upload::new(body, self.max_body);
        if !body.is_empty() && !headers.contains_key(header::CONTENT_LENGTH) {
            // hyper sends no body with a GET that does not say that it has one.
            headers.insert(header::TRANSFER_ENCODING, CHUNKED.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = std::mem::take(&mut self.uri);
        *request.headers_mut() = headers;
        request
    }
}

impl Errand {
    pub(super) fn new(
        prepared: Prepared,
        request: Request<Upload>,
        record: Record,
        reference: Reference,
    ) -> Self {
        let Prepared {
            settings,
            edit,
            client,
            stall_timeout,
            ..
        } = prepared;
        Self {
            settings,
            edit,
            client,
            stall_timeout,
            request,
            record,
            reference,
        }
    }

    /// Asks the origin and passes its response on.
    pub(super) async fn run(self, origins: &Origins, instance: &Instance) -> Response<Body> {
        let Self {
            settings,
            edit,
            client,
            stall_timeout,
            request,
            mut record,
            reference,
        } = self;
        let asked = Instant::now();
        let uploads = !request.body().is_empty();
        let asking = Asking {
            settings: &settings,
            client,
            stall_timeout,
        };
        let reply = origins.send(asking, request).await;
        record.origin_took(asked.elapsed());
        match reply.and_then(|reply| check(reply, &edit)) {
            Ok(reply) => respond(reply, &edit, instance, record),
            Err(error) => fail(&error, uploads, reference, record),
        }
    }
}

/// After a request with a body the connection ends too: what of the body is
/// still to come has nowhere to go.
fn fail(
    error: &OriginError,
    uploads: bool,
    reference: Reference,
    mut record: Record,
) -> Response<Body> {
    record.failed(error.as_str());
    let answer = Answer::failed(error, reference);
    let answer = if uploads { answer.closing() } else { answer };
    answer.into_response(record)
}

/// Who shares the origin's connections with others: a proxy that we trust and
/// that names no client is many clients.
fn group(snapshot: &Snapshot, plan: &Plan<'_>) -> Option<ClientGroup> {
    let client = plan.client.address;
    let is_proxy =
        plan.client.peer_trusted && snapshot.client.trusted_proxies.contains(client.ip());
    (!is_proxy).then(|| ClientGroup::of(client))
}

/// Removes what a client could pose with, and what we set anew.
fn remove_private(headers: &mut HeaderMap) {
    let private = |name: &&HeaderName| is_private(name.as_str());
    let names: SmallVec<[HeaderName; 8]> = headers.keys().filter(private).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a field is never passed on. A name with other characters than
/// letters, digits and `-` may be read as another one by the origin.
fn is_private(name: &str) -> bool {
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return true;
    }
    match name.as_bytes() {
        [b'x', b'-', ..] => {
            name.starts_with("x-forwarded-")
                || matches!(
                    name,
                    "x-real-ip"
                        | "x-host"
                        | "x-original-url"
                        | "x-rewrite-url"
                        | "x-http-method"
                        | "x-http-method-override"
                        | "x-method-override"
                )
        }
        // `Expect` was met here: the body is read as soon as the origin takes it.
        _ => matches!(name, "forwarded" | "proxy" | "expect"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_fields() {
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-anything",
            "x-real-ip",
            "proxy",
            "x_a",
            "a.b",
        ] {
            assert!(is_private(name), "{name}");
        }
        for name in [
            "x-forward",
            "x-custom",
            "accept",
            "proxied",
            "authorization",
            "x-hostess",
        ] {
            assert!(!is_private(name), "{name}");
        }
    }
}
