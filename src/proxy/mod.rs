//! What becomes of a request: section 2 of the spec, a step a line.

mod allow;
mod answer;
mod body;
mod forward;
mod framing;
mod instance;
mod record;
mod reference;
mod rest;

pub use body::Body;
pub use instance::Instance;

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use hyper::{Request, Response};

use self::answer::Answer;
use self::forward::{Errand, Prepared};
use self::record::{Record, Seen};
use self::reference::References;
use self::rest::Rest;
use crate::access::Decision;
use crate::config::Snapshot;
use crate::log::access::Journal;
use crate::origin::{Origins, Upload};
use crate::plan::{Arrival, Plan, Received};

/// Handles the requests of one worker.
#[derive(Debug)]
pub struct Proxy {
    policy: Arc<ArcSwap<Snapshot>>,
    instance: Arc<Instance>,
    origins: Origins,
    references: References,
    journal: Rc<Journal>,
}

/// How a request goes on once everything about it is known.
enum Next {
    /// It is answered here.
    Answer(Response<Body>),
    /// The origin is asked.
    Ask(Errand),
}

impl Proxy {
    /// A worker's proxy by whatever `policy` is in force.
    pub fn new(
        policy: Arc<ArcSwap<Snapshot>>,
        instance: Arc<Instance>,
        origins: Origins,
        journal: Rc<Journal>,
    ) -> Self {
        Self {
            policy,
            instance,
            origins,
            references: References::default(),
            journal,
        }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Incoming>, arrival: &Arrival) -> Response<Body> {
        match self.decide(request, arrival) {
            Next::Answer(response) => response,
            // Boxed, so that a denial does not have to move the room for it.
            Next::Ask(errand) => Box::pin(errand.run(&self.origins, &self.instance)).await,
        }
    }

    /// All that is done before the origin is asked, without waiting.
    fn decide(&self, request: Request<Incoming>, arrival: &Arrival) -> Next {
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
        let plan = match Plan::new(&snapshot, &received, arrival) {
            Ok(plan) => plan,
            Err(reject) => {
                record.rejected(&seen, &reject.to_string());
                let allow = allow::methods(&snapshot, &received, arrival, reject);
                return Next::Answer(
                    rest.answer(Answer::rejected(reject, allow, reference), record),
                );
            }
        };
        record.planned(&seen, &plan);
        if let Decision::Deny(rule) = plan.judgement.decision {
            let rule = snapshot.disclose.then_some(rule);
            return Next::Answer(rest.answer(Answer::denied(rule, reference), record));
        }
        if self.instance.is_named_in(&received.headers) {
            record.failed("proxy_loop_detected");
            return Next::Answer(rest.answer(Answer::looped(reference), record));
        }
        let Some(mut prepared) = Prepared::new(&snapshot, &plan, arrival.peer) else {
            record.failed("http_request_error");
            return Next::Answer(rest.answer(Answer::too_long(reference), record));
        };
        drop(plan);
        let head = prepared.request_head(received, &self.instance);
        let upload = Upload::new(rest.into_body());
        Next::Ask(Errand::new(prepared, head, upload, record, reference))
    }
}
