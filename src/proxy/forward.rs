//! A request on its way to the origin, and the response on its way back
//! (sections 4 "Towards the origin", 7 and 10).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Uri, Version};
use smallvec::SmallVec;

use super::Planned;
use super::answer::Answer;
use super::cached::Passed;
use super::instance::Instance;
use super::max_forwards;
use super::record::{Known, Record, Seen};
use super::reference::Reference;
use super::respond::{Edit, Taken, respond};
use super::response::ClientResponse;
use crate::cache::encoding::Encodings;
use crate::cache::status::CacheStatus;
use crate::cache::vary::Form;
use crate::client::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::config::Snapshot;
use crate::images::Choice;
use crate::message::fields::{Name, Names};
use crate::origin::{Asking, ClientGroup, OriginError, OriginSettings, Origins, Upload};
use crate::plan::{Plan, Received};

static CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

type Fields = SmallVec<[(HeaderName, HeaderValue); 7]>;

/// What the origin is sent and the response gets, worked out by the plan.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) settings: Arc<OriginSettings>,
    uri: Uri,
    set: Fields,
    /// The field by which strangers could name a client.
    client_field: Option<HeaderName>,
    via: HeaderValue,
    pub(super) edit: Edit,
    pub(super) client: Option<ClientGroup>,
    pub(super) stall_timeout: Duration,
    max_body: u64,
}

/// A request that only has to be sent.
#[derive(Debug)]
pub(super) struct Errand {
    settings: Arc<OriginSettings>,
    edit: Edit,
    client: Option<ClientGroup>,
    stall_timeout: Duration,
    passed: Option<Passed>,
    request: Request<Upload>,
    record: Record,
    reference: Reference,
}

impl Prepared {
    /// `encodings` is what the cache makes of Accept-Encoding. `None`: the normalised target
    /// is too long for a request line.
    pub(super) fn new(
        seen: &Seen<'_>,
        planned: &Planned<'_>,
        encodings: Option<Encodings>,
        instance: &Instance,
    ) -> Option<Self> {
        let Planned { plan, known } = planned;
        let choice = match known {
            Some(known) => known.choice,
            None => plan.choice(),
        };
        let mut set = fields(plan, &choice, known.as_ref(), encodings);
        set.push((
            X_FORWARDED_FOR.clone(),
            plan.forwarded_for(seen.arrival.peer),
        ));
        let client_field = seen.snapshot.client.field.name();
        Some(Self {
            settings: Arc::clone(&plan.route.origin),
            uri: Uri::try_from(plan.origin_target()).ok()?,
            set,
            client_field: (!plan.client.peer_trusted && !is_private(client_field.as_str()))
                .then(|| client_field.clone()),
            via: instance.via(seen.version).clone(),
            edit: Edit::new(plan.route, choice.vary.cloned(), seen.shape()),
            client: group(seen.snapshot, plan),
            stall_timeout: seen.snapshot.server.stall_timeout,
            max_body: seen.snapshot.server.max_body,
        })
    }

    /// The request, its head edited in place.
    pub(super) fn request(
        &mut self,
        received: Received,
        body: Option<Incoming>,
    ) -> Request<Upload> {
        let Received {
            method, headers, ..
        } = received;
        let mut headers = headers.to_map(self.set.len() + 2, passes_on);
        if let Some(name) = &self.client_field {
            headers.remove(name);
        }
        for (name, value) in std::mem::take(&mut self.set) {
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
    /// `passed` is what the cache has to do with it, if there is one.
    pub(super) fn new(
        prepared: Prepared,
        passed: Option<Passed>,
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
            passed,
            request,
            record,
            reference,
        }
    }

    /// Asks the origin and passes its response on.
    pub(super) async fn run(self, origins: &Origins, instance: &Instance) -> ClientResponse {
        let asked = Instant::now();
        let uploads = !self.request.body().is_empty();
        let asking = Asking {
            settings: &self.settings,
            client: self.client,
            stall_timeout: self.stall_timeout,
        };
        let reply = origins.send(asking, self.request).await;
        let mut record = self.record;
        record.origin_took(asked.elapsed());
        let status = self.passed.as_ref().map(Passed::status);
        match reply.and_then(|reply| Taken::new(reply, self.edit.shape.head, instance)) {
            Ok(taken) => {
                if let Some(passed) = self.passed {
                    passed.answered(&taken.head);
                }
                respond(taken, &self.edit, status.as_ref(), record)
            }
            Err(error) => fail(&error, uploads, status, self.reference, record),
        }
    }
}

/// After a request with a body the connection ends too: what of the body is
/// still to come has nowhere to go.
fn fail(
    error: &OriginError,
    uploads: bool,
    status: Option<CacheStatus>,
    reference: Reference,
    mut record: Record,
) -> ClientResponse {
    record.failed(error.as_str());
    let answer = Answer::failed(error.status(), reference);
    let answer = if uploads { answer.closing() } else { answer };
    let answer = match status {
        Some(status) => answer.at_cache(status),
        None => answer,
    };
    answer.into_response(record)
}

/// What the origin gets of the plan, whoever asks.
fn fields(
    plan: &Plan<'_>,
    choice: &Choice<'_>,
    known: Option<&Known<'_>>,
    encodings: Option<Encodings>,
) -> Fields {
    let (own, origins) = plan.hosts();
    let scheme = HeaderValue::from_static(plan.target.scheme.as_str());
    let mut set = Fields::new();
    set.push((header::HOST, origins));
    set.push((X_FORWARDED_PROTO.clone(), scheme));
    set.push((X_FORWARDED_HOST.clone(), own));
    if let Some(accept) = choice.accept {
        set.push((header::ACCEPT, accept.clone()));
    }
    if let Some(encodings) = encodings {
        set.push((header::ACCEPT_ENCODING, encodings.field()));
    }
    if let Some(field) = &plan.route.key.field {
        let key = match known {
            Some(known) => HeaderValue::try_from(known.key.as_str()),
            None => HeaderValue::try_from(plan.cache_key(choice)),
        };
        set.push((
            field.clone(),
            key.expect("a normalised key is a field value"),
        ));
    }
    set
}

/// The request that fetches a stored response anew behind a stale answer: it
/// carries nothing of a client but what the key, and the form of what is
/// stored, are made of. `None`: see [`Prepared::new`].
pub(super) fn background(
    planned: &Planned<'_>,
    encodings: Encodings,
    form: &Form,
    instance: &Instance,
) -> Option<Request<Upload>> {
    let Planned { plan, known } = planned;
    let known = known.as_ref()?;
    let mut request = Request::new(Upload::default());
    *request.uri_mut() = Uri::try_from(plan.origin_target()).ok()?;
    let headers = request.headers_mut();
    form.apply(headers);
    for (name, value) in fields(plan, &known.choice, Some(known), Some(encodings)) {
        headers.insert(name, value);
    }
    headers.append(header::VIA, instance.via(Version::HTTP_11).clone());
    Some(request)
}

/// Who shares the origin's connections with others: a proxy that we trust and
/// that names no client is many clients.
fn group(snapshot: &Snapshot, plan: &Plan<'_>) -> Option<ClientGroup> {
    let client = plan.client.address;
    let is_proxy =
        plan.client.peer_trusted && snapshot.client.trusted_proxies.contains(client.ip());
    (!is_proxy).then(|| ClientGroup::of(client))
}

/// Of the names that have a number: the hop-by-hop fields, what a client could
/// pose with, and what is set anew in every request.
const ENDS_HERE: Names = Names::of(&[
    Name::CONNECTION,
    Name::EXPECT,
    Name::FORWARDED,
    Name::HOST,
    Name::KEEP_ALIVE,
    Name::PROXY,
    Name::PROXY_AUTHENTICATE,
    Name::PROXY_AUTHORIZATION,
    Name::PROXY_CONNECTION,
    Name::TE,
    Name::TRAILER,
    Name::TRANSFER_ENCODING,
    Name::UPGRADE,
    Name::X_FORWARDED_FOR,
    Name::X_FORWARDED_HOST,
    Name::X_FORWARDED_PROTO,
    Name::X_REAL_IP,
]);

/// Whether a field of the request goes to the origin as it is.
fn passes_on(name: Result<Name, &HeaderName>) -> bool {
    match name {
        Ok(known) => !ENDS_HERE.contains(known),
        Err(name) => !is_private(name.as_str()),
    }
}

/// Whether a field is never passed on. A name with other characters than
/// letters, digits and `-` may be read as another one by the origin.
fn is_private(name: &str) -> bool {
    const PLAIN: [bool; 256] = plain();
    if !name.bytes().all(|byte| PLAIN[usize::from(byte)]) {
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

/// Which bytes a field name may have.
const fn plain() -> [bool; 256] {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::connection::is_hop_by_hop;

    #[test]
    fn names_with_a_number_end_here_as_others_do() {
        for known in Name::all() {
            let name = known.name();
            let ends = is_private(name.as_str()) || is_hop_by_hop(name) || *name == header::HOST;
            assert_eq!(ENDS_HERE.contains(known), ends, "{name}");
        }
    }

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
