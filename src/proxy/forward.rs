//! A request on its way to the origin, and the response on its way back
//! (sections 4 "Towards the origin", 7 and 10).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Uri, Version};
use smallvec::SmallVec;

use super::Planned;
use super::answer::Answer;
use super::body::Body;
use super::cached::Passed;
use super::framing;
use super::instance::Instance;
use super::max_forwards;
use super::record::{Known, Record, Seen};
use super::reference::Reference;
use super::respond::{Edit, Taken, respond};
use super::response::{ClientResponse, PassedHead, may_pass};
use crate::cache::conditional::CONDITIONAL;
use crate::cache::encoding::Encodings;
use crate::cache::status::CacheStatus;
use crate::cache::vary::Form;
use crate::config::Snapshot;
use crate::images::Choice;
use crate::message::connection::HOP_BY_HOP;
use crate::message::decimal::Digits;
use crate::message::fields::{Name, Names};
use crate::message::lines::Lines;
use crate::message::request_body::RequestBody;
use crate::origin::{
    Asking, ClientGroup, HostMode, OriginError, OriginHead, OriginRequest, OriginResponse,
    OriginSettings, Origins, Upload,
};
use crate::plan::{Plan, Received};

static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What the origin is sent instead of what the client sent.
#[derive(Debug)]
struct Set {
    lines: Lines,
    /// Of which names no line of the client's passes on.
    names: Names,
    /// The same of names without a number.
    others: SmallVec<[HeaderName; 2]>,
}

/// What the origin is sent and the response gets, worked out by the plan.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) settings: Arc<OriginSettings>,
    uri: Uri,
    set: Set,
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
    client: Option<ClientGroup>,
    stall_timeout: Duration,
    request: OriginRequest,
    back: Back,
}

/// What becomes of its response.
#[derive(Debug)]
struct Back {
    edit: Edit,
    passed: Option<Passed>,
    record: Record,
    reference: Reference,
    /// The request has a body.
    uploads: bool,
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
        let mut set = set(seen.snapshot, plan, &choice, known.as_ref(), encodings);
        let hops = plan.forwarded_for(seen.arrival.peer);
        set.lines.push_known(Name::X_FORWARDED_FOR, &hops);
        Some(Self {
            settings: Arc::clone(&plan.route.origin),
            uri: plan.origin_uri()?,
            set,
            via: instance.via(seen.version).clone(),
            edit: Edit::new(plan.route, choice.vary.cloned(), seen.shape()),
            client: group(seen.snapshot, plan),
            stall_timeout: seen.snapshot.server.stall_timeout,
            max_body: seen.snapshot.server.max_body,
        })
    }

    /// The request, with what of its own fields passes on.
    pub(super) fn request(
        &mut self,
        received: Received,
        body: Option<RequestBody>,
    ) -> OriginRequest {
        let Received {
            method, headers, ..
        } = received;
        let mut lines = std::mem::take(&mut self.set.lines);
        let mut conditions = Lines::default();
        if let Some(left) = max_forwards::counted(&method, &headers) {
            lines.push(&header::MAX_FORWARDS, &left.into());
            self.set.names.insert(Name::MAX_FORWARDS);
        }
        for line in headers.iter() {
            let to = match line.known {
                Some(name) if self.set.names.contains(name) => continue,
                Some(Name::CONTENT_LENGTH) => {
                    framing::push_length(&mut lines, line.value);
                    continue;
                }
                Some(name) if PARTIAL.contains(name) => &mut conditions,
                _ => &mut lines,
            };
            to.push_received(line, |name| !is_private(name) && !self.set.is_other(name));
        }
        lines.push_known(Name::VIA, self.via.as_bytes());
        OriginRequest {
            method,
            uri: std::mem::take(&mut self.uri),
            lines,
            conditions,
            body: Upload::new(body, self.max_body),
        }
    }
}

impl Set {
    /// Has no line of that name passed on.
    fn replace(&mut self, name: &HeaderName) {
        match Name::of(name.as_str().as_bytes()) {
            Some(known) => self.names.insert(known),
            None => self.others.push(name.clone()),
        }
    }

    fn is_other(&self, name: &[u8]) -> bool {
        let mut others = self.others.iter();
        others.any(|other| other.as_str().as_bytes() == name)
    }

    /// Whether a line of that name passes on.
    fn passes_on(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        match Name::of(name) {
            Some(known) => !self.names.contains(known),
            None => !is_private(name) && !self.is_other(name),
        }
    }
}

impl Errand {
    /// `passed` is what the cache has to do with it, if there is one.
    pub(super) fn new(
        prepared: Prepared,
        passed: Option<Passed>,
        request: OriginRequest,
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
            client,
            stall_timeout,
            back: Back {
                edit,
                passed,
                record,
                reference,
                uploads: !request.body.is_empty(),
            },
            request,
        }
    }

    /// Asks the origin and passes its response on.
    #[expect(
        clippy::manual_async_fn,
        reason = "what it is given stays where it is; an `async fn` would move it once more"
    )]
    pub(super) fn run<'a>(
        self,
        origins: &'a Origins,
        instance: &'a Instance,
    ) -> impl Future<Output = ClientResponse> + use<'a> {
        async move {
            let asked = Instant::now();
            let asking = Asking {
                settings: &self.settings,
                client: self.client,
                stall_timeout: self.stall_timeout,
            };
            let reply = origins.send(asking, self.request).await;
            let mut back = self.back;
            back.record.origin_took(asked.elapsed());
            back.bring(reply, instance)
        }
    }
}

impl Back {
    fn bring(
        self,
        reply: Result<OriginResponse, OriginError>,
        instance: &Instance,
    ) -> ClientResponse {
        let Self {
            edit,
            passed,
            mut record,
            reference,
            uploads,
        } = self;
        let status = passed.as_ref().map(Passed::status);
        let changes = passed.as_ref().is_some_and(Passed::changes);
        let taken = match reply {
            Ok(OriginResponse {
                head: OriginHead::Received(head),
                body,
            }) if !changes && edit.only_adds_vary() && may_pass(&head) => {
                record.status(head.status);
                let has_length = body.size_hint().exact().is_some();
                let via = instance.via(head.version);
                let head = PassedHead::new(head, has_length, edit, via, status);
                return ClientResponse::passed(head, Body::origin(body, record));
            }
            Ok(reply) => Taken::new(reply.into_response(), edit.shape.head, instance),
            Err(error) => Err(error),
        };
        match taken {
            Ok(taken) => {
                if let Some(passed) = passed {
                    passed.answered(&taken.head);
                }
                respond(taken, &edit, status.as_ref(), record)
            }
            Err(error) => fail(&error, uploads, status, reference, record),
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
fn set(
    snapshot: &Snapshot,
    plan: &Plan<'_>,
    choice: &Choice<'_>,
    known: Option<&Known<'_>>,
    encodings: Option<Encodings>,
) -> Set {
    let mut set = Set {
        lines: Lines::with_capacity(1024),
        names: ENDS_HERE,
        others: SmallVec::new(),
    };
    let lines = &mut set.lines;
    let authority = &plan.target.authority;
    let port = authority.port.map(|port| Digits::of(port.into()));
    let port: [&[u8]; 2] = match &port {
        Some(port) => [b":", port.as_bytes()],
        None => [b"", b""],
    };
    let own = [authority.host.as_bytes(), port[0], port[1]];
    match &plan.route.origin.host {
        HostMode::Preserve => lines.push_text(&header::HOST, &own),
        HostMode::Origin => {
            let authority = plan.route.origin.url.authority();
            lines.push_text(&header::HOST, &[authority.as_bytes()]);
        }
        HostMode::Literal(value) => lines.push(&header::HOST, value),
    }
    let scheme = plan.target.scheme.as_str();
    lines.push_known(Name::X_FORWARDED_PROTO, scheme.as_bytes());
    lines.push_text(&X_FORWARDED_HOST, &own);
    if let Some(accept) = choice.accept {
        lines.push_known(Name::ACCEPT, accept.as_bytes());
        set.names.insert(Name::ACCEPT);
    }
    if let Some(encodings) = encodings {
        lines.push_known(Name::ACCEPT_ENCODING, encodings.bytes());
        set.names.insert(Name::ACCEPT_ENCODING);
    }
    if let Some(field) = &plan.route.key.field {
        match known {
            Some(known) => lines.push_text(field, &[known.key.as_bytes()]),
            None => lines.push_text(field, &[plan.cache_key(choice).as_bytes()]),
        }
        set.replace(field);
    }
    if !plan.client.peer_trusted {
        // By it strangers could name a client.
        set.replace(snapshot.client.field.name());
    }
    set
}

/// A request that fetches a stored response anew behind a stale answer.
#[derive(Debug)]
pub(super) struct Background {
    pub(super) request: OriginRequest,
    /// As whose answer it is judged: these are of the stored form also where
    /// the origin never gets to see them.
    pub(super) form: HeaderMap,
}

/// The request that fetches a stored response anew behind a stale answer: it
/// carries nothing of a client but what the key, and the form of what is
/// stored, are made of, and of that only what passes on. `None`: see
/// [`Prepared::new`].
pub(super) fn background(
    snapshot: &Snapshot,
    planned: &Planned<'_>,
    encodings: Encodings,
    form: &Form,
    instance: &Instance,
) -> Option<Background> {
    let Planned { plan, known } = planned;
    let known = known.as_ref()?;
    let (mut headers, mut ours) = (HeaderMap::new(), HeaderMap::new());
    form.apply(&mut headers);
    let set = set(snapshot, plan, &known.choice, Some(known), Some(encodings));
    set.lines.add_to(&mut ours);
    let mut lines = set.lines.clone();
    for (name, value) in &headers {
        if set.passes_on(name) && !ours.contains_key(name) {
            lines.push(name, value);
        }
    }
    lines.push(&header::VIA, instance.via(Version::HTTP_11));
    for (name, value) in &ours {
        headers.insert(name, value.clone());
    }
    Some(Background {
        request: OriginRequest {
            uri: plan.origin_uri()?,
            lines,
            ..OriginRequest::default()
        },
        form: headers,
    })
}

/// Who shares the origin's connections with others: a proxy that we trust and
/// that names no client is many clients.
fn group(snapshot: &Snapshot, plan: &Plan<'_>) -> Option<ClientGroup> {
    let client = plan.client.address;
    let is_proxy = snapshot.client.trusted_proxies.contains(client.ip());
    (!is_proxy).then(|| ClientGroup::of(client))
}

/// Of the names that have a number: the hop-by-hop fields, what a client could
/// pose with, and what is set anew in every request.
const ENDS_HERE: Names = HOP_BY_HOP.union(Names::of(&[
    Name::EXPECT,
    Name::FORWARDED,
    Name::HOST,
    Name::PROXY,
    Name::X_FORWARDED_FOR,
    Name::X_FORWARDED_HOST,
    Name::X_FORWARDED_PROTO,
    Name::X_REAL_IP,
]));

/// The fields that ask for less than the whole response.
const PARTIAL: Names = Names::of(&CONDITIONAL);

/// Whether a field is never passed on. A name with other characters than
/// letters, digits and `-` may be read as another one by the origin.
fn is_private(name: &[u8]) -> bool {
    const PLAIN: [bool; 256] = plain();
    if !name.iter().all(|byte| PLAIN[usize::from(*byte)]) {
        return true;
    }
    match name {
        [b'x', b'-', ..] => {
            name.starts_with(b"x-forwarded-")
                || matches!(
                    name,
                    b"x-real-ip"
                        | b"x-host"
                        | b"x-original-url"
                        | b"x-rewrite-url"
                        | b"x-http-method"
                        | b"x-http-method-override"
                        | b"x-method-override"
                )
        }
        // `Expect` was met here: the body is read as soon as the origin takes it.
        _ => matches!(name, b"forwarded" | b"proxy" | b"expect"),
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
            let ends = is_private(name.as_str().as_bytes())
                || is_hop_by_hop(name)
                || *name == header::HOST;
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
            assert!(is_private(name.as_bytes()), "{name}");
        }
        for name in [
            "x-forward",
            "x-custom",
            "accept",
            "proxied",
            "authorization",
            "x-hostess",
        ] {
            assert!(!is_private(name.as_bytes()), "{name}");
        }
    }
}
