//! What becomes of a request: section 2 of the spec, a step a line.

mod allow;
mod answer;
mod body;
mod cached;
mod count;
mod forward;
mod framing;
mod instance;
mod interim;
mod lookup;
mod max_forwards;
mod mistakes;
mod record;
mod reference;
mod refusal;
mod request;
mod respond;
mod response;
mod rest;

pub use body::{Body, BodyError, Tail};
pub use framing::AMBIGUOUS as AMBIGUOUS_FRAMING;
pub use instance::Instance;
pub use interim::Interim;
pub use mistakes::Mistakes;
pub use request::ClientRequest;
pub use response::ClientResponse;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::Version;

use self::answer::Answer;
use self::cached::{Journey, Underway};
use self::count::Counting;
use self::forward::{Errand, Prepared};
use self::lookup::{Onward, Way};
use self::record::{Known, Record, Seen};
use self::reference::{Reference, References};
use self::rest::Rest;
use crate::access::Decision;
use crate::cache::Cache;
use crate::cache::settings::CacheSettings;
use crate::cache::status::CacheStatus;
use crate::config::Snapshot;
use crate::log::access::Journal;
use crate::log::counters::WorkerCounters;
use crate::origin::{OriginRequest, Origins};
use crate::plan::{Arrival, Plan, Received, Reject};

/// Handles the requests of one worker.
#[derive(Debug)]
pub struct Proxy {
    policy: Arc<ArcSwap<Snapshot>>,
    instance: Arc<Instance>,
    mistakes: Arc<Mistakes>,
    cache: Option<Cache>,
    underway: Rc<Underway>,
    origins: Rc<Origins>,
    references: References,
    journal: Rc<Journal>,
    counting: Rc<Counting>,
}

/// How a request goes on once everything about it is known.
#[expect(
    clippy::large_enum_variant,
    missing_debug_implementations,
    reason = "moved once, and a box would be an allocation a denial; a future has nothing to show"
)]
pub enum Next<'a> {
    /// It is answered here.
    Answer(ClientResponse),
    /// The origin is asked. Boxed, so that a denial does not have to move
    /// the room for it.
    Ask(Asked<'a>),
}

/// A response that is waited for.
pub type Asked<'a> = Pin<Box<dyn Future<Output = ClientResponse> + 'a>>;

/// A request that may pass.
struct Planned<'a> {
    plan: Plan<'a>,
    /// What the log or the cache has to know of it.
    known: Option<Known<'a>>,
}

impl Proxy {
    /// A worker's proxy by whatever `policy` is in force; what happens is
    /// written to `journal` and counted in `counters`. `None`: there is no
    /// cache.
    pub fn new(
        policy: Arc<ArcSwap<Snapshot>>,
        instance: Arc<Instance>,
        mistakes: Arc<Mistakes>,
        cache: Option<Cache>,
        origins: Origins,
        journal: Rc<Journal>,
        counters: Arc<WorkerCounters>,
    ) -> Self {
        Self {
            counting: Rc::new(Counting::new(counters)),
            policy,
            instance,
            mistakes,
            cache,
            underway: Rc::default(),
            origins: Rc::new(origins),
            references: References::default(),
            journal,
        }
    }

    /// All that is done before the origin is asked, without waiting; what the
    /// origin sends before its answer goes to `interim`.
    pub fn handle(&self, request: ClientRequest, arrival: &Arrival, interim: &Interim) -> Next<'_> {
        let snapshot = self.policy.load();
        let reference = self.references.next();
        let mut record = Record::start(&snapshot, &self.journal, &self.counting);
        let ClientRequest {
            method,
            uri,
            version,
            fields,
            body,
        } = request;
        let rest = Rest::new(version, &fields, body);
        let framing = framing::check(&fields);
        let received = Received::new(method, uri, fields);
        let seen = Seen {
            snapshot: &snapshot,
            received: &received,
            version,
            arrival,
            reference,
        };
        if framing.is_err() {
            record.rejected(&seen, framing::AMBIGUOUS);
            return Next::Answer(rest.drop_and_close(Answer::bad_framing(reference), record));
        }
        let planned = match self.plan(&seen, &mut record) {
            Ok(planned) => planned,
            Err(answer) => return Next::Answer(rest.answer(answer, record)),
        };
        if rest.exceeds(snapshot.server.max_body) {
            record.failed("http_request_error");
            return Next::Answer(rest.drop_and_close(Answer::too_large(reference), record));
        }
        let mut onward = match self.at_cache(&seen, &planned, rest.is_empty(), record) {
            Way::Stored(response) => return Next::Answer(response),
            Way::Nothing(record) => {
                let answer = Answer::not_stored(reference).at_cache(CacheStatus::not_stored());
                return Next::Answer(rest.answer(answer, record));
            }
            Way::Onward(onward) => onward,
        };
        let prepared = Prepared::new(&seen, &planned, onward.encodings, &self.instance);
        let Some(mut prepared) = prepared else {
            onward.record.failed("http_request_error");
            return Next::Answer(rest.answer(Answer::too_long(reference), onward.record));
        };
        let settings = planned.plan.route.cache;
        let mut request = prepared.request(received, rest.into_body());
        if version == Version::HTTP_11 {
            interim.listen(&mut request.body, &self.instance);
        }
        Next::Ask(self.ask(onward, settings, prepared, request, reference))
    }

    /// Asks the origin, for the cache or for this client only.
    fn ask(
        &self,
        onward: Onward,
        settings: CacheSettings,
        prepared: Prepared,
        mut request: OriginRequest,
        reference: Reference,
    ) -> Asked<'_> {
        let Onward {
            wanted,
            passed,
            mut record,
            ..
        } = onward;
        if let Some(wanted) = wanted {
            let journey = Journey::new(wanted, settings, prepared, request, record, reference);
            return Box::pin(journey.run());
        }
        if let Some(passed) = &passed {
            record.cached(passed.result());
        }
        let body = std::mem::take(&mut request.body);
        request.body = body.counted(self.counting.received());
        let errand = Errand::new(prepared, passed, request, record, reference);
        Box::pin(errand.run(&self.origins, &self.instance))
    }

    /// What is known of a request that may pass, or what it is answered.
    fn plan<'a>(&self, seen: &Seen<'a>, record: &mut Record) -> Result<Planned<'a>, Answer> {
        let &Seen {
            snapshot,
            received,
            arrival,
            reference,
            ..
        } = seen;
        let plan = Plan::new(snapshot, received, arrival).map_err(|reject| {
            record.rejected(seen, &reject.to_string());
            let allow = allow::methods(snapshot, received, arrival, reject);
            Answer::rejected(reject, allow, reference)
        })?;
        let known = record.planned(seen, &plan);
        let counters = self.counting.requests();
        self.mistakes
            .look(snapshot, received, arrival, &plan, counters);
        if let Decision::Deny(rule) = plan.judgement.decision {
            return Err(Answer::denied(snapshot.disclose.then_some(rule), reference));
        }
        if let Some(port) = arrival.https_port {
            return Err(Answer::redirected(&plan.https_url(port), reference));
        }
        if self.instance.is_named_in(&received.headers) {
            record.failed("proxy_loop_detected");
            return Err(Answer::looped(reference));
        }
        if max_forwards::ends_here(&received.method, &received.headers) {
            let allow = allow::of(plan.route);
            return Err(Answer::rejected(Reject::Asterisk, allow, reference));
        }
        let known = known.or_else(|| self.cache_of(&plan).map(|_| Known::of(&plan)));
        Ok(Planned { plan, known })
    }
}
