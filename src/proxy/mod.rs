//! What becomes of a request: section 2 of the spec, a step a line.

mod allow;
mod answer;
mod body;
mod forward;
mod framing;
mod instance;
mod interim;
mod max_forwards;
mod mistakes;
mod record;
mod reference;
mod refusal;
mod respond;
mod rest;

pub use body::{Body, Tail};
pub use instance::Instance;
pub use interim::Interim;
pub use mistakes::Mistakes;

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::{Request, Response, Version};

use self::answer::Answer;
use self::forward::{Errand, Prepared};
use self::record::{Record, Seen};
use self::reference::References;
use self::rest::Rest;
use crate::access::Decision;
use crate::config::Snapshot;
use crate::log::access::Journal;
use crate::origin::Origins;
use crate::plan::{Arrival, Plan, Received, Reject};

/// Handles the requests of one worker.
#[derive(Debug)]
pub struct Proxy {
    policy: Arc<ArcSwap<Snapshot>>,
    instance: Arc<Instance>,
    mistakes: Arc<Mistakes>,
    origins: Origins,
    references: References,
    journal: Rc<Journal>,
}

/// How a request goes on once everything about it is known.
enum Next<'a> {
    /// It is answered here.
    Answer(Response<Body>),
    /// The origin is asked. Boxed, so that a denial does not have to move
    /// the room for it.
    Ask(Pin<Box<dyn Future<Output = Response<Body>> + 'a>>),
}

impl Proxy {
    /// A worker's proxy by whatever `policy` is in force.
    pub fn new(
        policy: Arc<ArcSwap<Snapshot>>,
        instance: Arc<Instance>,
        mistakes: Arc<Mistakes>,
        origins: Origins,
        journal: Rc<Journal>,
    ) -> Self {
        Self {
            policy,
            instance,
            mistakes,
            origins,
            references: References::default(),
            journal,
        }
    }

    /// Answers a request; what the origin sends before its answer goes to
    /// `interim`.
    pub async fn handle(
        &self,
        request: Request<Incoming>,
        arrival: &Arrival,
        interim: &Interim,
    ) -> Response<Body> {
        match self.decide(request, arrival, interim) {
            Next::Answer(response) => response,
            Next::Ask(response) => response.await,
        }
    }

    /// All that is done before the origin is asked, without waiting.
    fn decide(&self, request: Request<Incoming>, arrival: &Arrival, interim: &Interim) -> Next<'_> {
        let snapshot = self.policy.load();
        let reference = self.references.next();
        let mut record = Record::start(&snapshot, &self.journal);
        let (head, body) = request.into_parts();
        let rest = Rest::new(&head, body);
        let framing = framing::check(&head.headers);
        let version = head.version;
        let received = Received::new(head.method, head.uri, head.headers);
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
        match self.plan(&seen, &mut record) {
            Err(answer) => Next::Answer(rest.answer(answer, record)),
            Ok(_) if rest.exceeds(snapshot.server.max_body) => {
                record.failed("http_request_error");
                Next::Answer(rest.drop_and_close(Answer::too_large(reference), record))
            }
            Ok(mut prepared) => {
                let mut request = prepared.request(received, rest.into_body());
                if version == Version::HTTP_11 {
                    interim.listen(&mut request, &self.instance);
                }
                let errand = Errand::new(prepared, request, record, reference);
                Next::Ask(Box::pin(errand.run(&self.origins, &self.instance)))
            }
        }
    }

    /// What the origin is to be sent, or why it is not asked.
    fn plan(&self, seen: &Seen<'_>, record: &mut Record) -> Result<Prepared, Answer> {
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
        self.mistakes.look(snapshot, received, arrival, &plan);
        if let Decision::Deny(rule) = plan.judgement.decision {
            return Err(Answer::denied(snapshot.disclose.then_some(rule), reference));
        }
        if self.instance.is_named_in(&received.headers) {
            record.failed("proxy_loop_detected");
            return Err(Answer::looped(reference));
        }
        if max_forwards::ends_here(&received.method, &received.headers) {
            let allow = allow::of(plan.route);
            return Err(Answer::rejected(Reject::Asterisk, allow, reference));
        }
        Prepared::new(seen, &plan, known, &self.instance).ok_or_else(|| {
            record.failed("http_request_error");
            Answer::too_long(reference)
        })
    }
}
