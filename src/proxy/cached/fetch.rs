//! Fetching what the cache has not, or not fresh.

mod pump;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use hyper::header::AGE;
use hyper::{HeaderMap, StatusCode};

use self::pump::Pump;
use super::asker::Asker;
use super::underway::Underway;
use crate::cache::Cache;
use crate::cache::clock::Moment;
use crate::cache::directives::RequestDirectives;
use crate::cache::entry::{Entry, Head};
use crate::cache::fill::{Failure, Fill, FillReader, Opened, Verdict};
use crate::cache::reuse::{Reuse, may_serve_on_error, reuse};
use crate::cache::settings::CacheSettings;
use crate::cache::storable::{Unstorable, assess, forbids};
use crate::cache::validation::{add_conditions, freshen};
use crate::log::counters::FillEnd;
use crate::origin::{
    Asking, ClientGroup, Download, OriginError, OriginHead, OriginRequest, OriginResponse,
    OriginSettings, Origins, ReceivedHead,
};
use crate::proxy::count::Counting;
use crate::proxy::instance::Instance;
use crate::proxy::respond::Taken;
use crate::proxy::response::may_pass;

/// What a fetch needs beside its request.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Fetcher {
    pub(in crate::proxy) cache: Cache,
    pub(in crate::proxy) origins: Rc<Origins>,
    pub(in crate::proxy) instance: Arc<Instance>,
    pub(in crate::proxy) counting: Rc<Counting>,
    pub(in crate::proxy) underway: Rc<Underway>,
}

/// A fetch: the request is for the origin, without what is only its client's.
#[derive(Debug)]
pub(in crate::proxy) struct Fetch {
    pub(in crate::proxy) fill: Arc<Fill>,
    /// As whose answer it is judged.
    pub(in crate::proxy) asker: Rc<Asker>,
    /// What may be validated.
    pub(in crate::proxy) stale: Option<Arc<Entry>>,
    pub(in crate::proxy) settings: CacheSettings,
    pub(in crate::proxy) origin: Arc<OriginSettings>,
    pub(in crate::proxy) client: Option<ClientGroup>,
    pub(in crate::proxy) stall_timeout: Duration,
    pub(in crate::proxy) request: OriginRequest,
}

impl Fetch {
    fn asking(&self) -> Asking<'_> {
        Asking {
            settings: &self.origin,
            client: self.client,
            stall_timeout: self.stall_timeout,
        }
    }
}

/// What became of it, as its client sees it.
#[derive(Debug)]
pub(in crate::proxy) enum Fetched {
    /// It can be read from the fill, by whoever holds this place among its
    /// readers. The fields are for its own client alone, and not stored.
    Open(Arc<Opened>, FillReader, Box<HeaderMap>),
    /// What was stored is still good.
    Validated(Arc<Entry>),
    /// It is for this client only, for that reason.
    Response(Box<Taken>, &'static str),
    /// The same of one that can be passed on as it was received.
    Received(Box<ReceivedHead>, Download, &'static str),
    /// There is none.
    Failed(OriginError),
}

impl Fetched {
    /// The status of what is for its client only, and why it is.
    pub(super) fn for_its_client(&self) -> Option<(StatusCode, &'static str)> {
        match self {
            Self::Response(taken, why) => Some((taken.head.status, why)),
            Self::Received(head, _, why) => Some((head.status, why)),
            Self::Open(..) | Self::Validated(_) | Self::Failed(_) => None,
        }
    }
}

/// A fill that nobody else will end. Whoever waits for it must never wait in
/// vain: neither when the task that fetches it is dropped, nor in a panic.
struct Unfinished {
    cache: Cache,
    fill: Arc<Fill>,
    counting: Rc<Counting>,
    over: bool,
}

impl Unfinished {
    fn end(self, verdict: Verdict) {
        self.cache.abandon(&self.fill, verdict);
        self.leave();
    }

    /// Somebody else ends it, or has.
    fn leave(mut self) {
        self.over = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.over {
            self.cache.abandon(&self.fill, Verdict::Alone);
            self.counting.cache().fill_ended(FillEnd::Failed);
        }
    }
}

impl Fetcher {
    /// Asks the origin, and stores what it answers if that may be. With it
    /// how long the origin took for its response head.
    pub(in crate::proxy) fn fetch(self, fetch: Fetch) -> impl Future<Output = (Fetched, Duration)> {
        self.counting.cache().begun.add(1);
        // Not within the future: a task may be dropped before it ever ran.
        let unfinished = Unfinished {
            cache: self.cache.clone(),
            fill: Arc::clone(&fetch.fill),
            counting: Rc::clone(&self.counting),
            over: false,
        };
        self.guarded(fetch, unfinished)
    }

    async fn guarded(self, mut fetch: Fetch, unfinished: Unfinished) -> (Fetched, Duration) {
        let asked = Instant::now();
        let (reply, requested) = self.ask(&mut fetch).await;
        let took = asked.elapsed();
        let fetched = match reply {
            Err(error) => {
                unfinished.end(failure(&error));
                self.ended(FillEnd::Failed);
                Fetched::Failed(error)
            }
            Ok(reply) => self.settle(fetch, reply, requested, unfinished),
        };
        (fetched, took)
    }

    /// Validates, or fetches anew where that came to nothing.
    async fn ask(&self, fetch: &mut Fetch) -> (Result<Reply, OriginError>, Moment) {
        let mut stale = fetch.stale.clone();
        loop {
            let mut request = match &stale {
                Some(_) => fetch.request.copy(),
                None => std::mem::take(&mut fetch.request),
            };
            let conditional = stale
                .as_ref()
                .is_some_and(|stale| add_conditions(&stale.head.headers, &mut request.conditions));
            let requested = self.cache.moment();
            let response = match self.origins.send(fetch.asking(), request).await {
                Ok(response) => response,
                Err(error) => return (Err(error), requested),
            };
            let response = match received(fetch, response) {
                Ok(reply) => return (Ok(reply), requested),
                Err(response) => response,
            };
            let taken = match Taken::new(response.into_response(), false, &self.instance) {
                Ok(taken) => taken,
                Err(error) => return (Err(error), requested),
            };
            let Some(stale) = stale.take().filter(|_| conditional && is_304(&taken)) else {
                return (Ok(Reply::Response(taken)), requested);
            };
            if let Some(head) = self.freshened(fetch, &stale, &taken, requested) {
                return (Ok(Reply::Validated(stale, Box::new(head))), requested);
            }
            // It is about something else than what is stored.
        }
    }

    /// Sends a GET to the origin.
    pub(super) async fn send(
        &self,
        asking: Asking<'_>,
        request: OriginRequest,
    ) -> Result<Taken, OriginError> {
        let response = self.origins.send(asking, request).await?;
        Taken::new(response.into_response(), false, &self.instance)
    }

    fn freshened(
        &self,
        fetch: &Fetch,
        stale: &Entry,
        taken: &Taken,
        requested: Moment,
    ) -> Option<Head> {
        let asked = fetch.asker.asked();
        let now = self.cache.now();
        let headers = &taken.head.headers;
        freshen(
            &stale.head,
            headers,
            &asked,
            &fetch.settings,
            requested,
            now,
        )
    }

    fn settle(
        self,
        fetch: Fetch,
        reply: Reply,
        requested: Moment,
        unfinished: Unfinished,
    ) -> Fetched {
        let taken = match reply {
            Reply::Validated(old, head) => return self.validated(&old, *head, unfinished),
            Reply::Response(taken) => taken,
            Reply::Received(head, body, why) => {
                let alone = self.unstorable(&fetch, head.status, why);
                return Fetched::Received(head, body, self.alone(&fetch, alone, unfinished));
            }
        };
        let head = match self.judge(&fetch, &taken, requested) {
            Ok(head) => head,
            Err(alone) => {
                let why = self.alone(&fetch, alone, unfinished);
                return Fetched::Response(Box::new(taken), why);
            }
        };
        let is_shared = reuse(
            &head.policy,
            &RequestDirectives::default(),
            self.cache.moment(),
        ) != Reuse::Validate;
        if head.variant != fetch.asker.asked().variant {
            self.counting.cache().unkept.add(1);
        }
        let length = taken.body.size_hint().exact();
        let opened = Opened { head, length };
        let max = fetch.settings.max_object;
        self.cache.set_alone(&fetch.fill, !is_shared);
        let Some(opened) = fetch.fill.open(opened, self.cache.store(), max) else {
            unfinished.end(Verdict::Alone);
            self.ended(FillEnd::NoRoom);
            return Fetched::Response(Box::new(taken), "memory");
        };
        unfinished.leave();
        let place = FillReader::new(Arc::clone(&fetch.fill), 0..u64::MAX);
        let stale = fetch.stale.as_ref().map(Arc::downgrade);
        Pump::start(self, fetch.fill, stale, taken.body, fetch.stall_timeout);
        let own = withheld(taken.head.headers, &opened.head.headers);
        Fetched::Open(opened, place, Box::new(own))
    }

    /// Nothing of it is shared. Why.
    fn alone(&self, fetch: &Fetch, alone: Alone, unfinished: Unfinished) -> &'static str {
        // Before the others are told: nobody is to begin another fill
        // that they would wait for.
        if alone.is_lasting {
            self.cache.set_alone(&fetch.fill, true);
        }
        unfinished.end(alone.verdict);
        self.ended(alone.end);
        alone.why
    }

    fn validated(&self, old: &Arc<Entry>, head: Head, unfinished: Unfinished) -> Fetched {
        self.ended(FillEnd::Validated);
        match self.cache.validated(&unfinished.fill, old, head) {
            Some(entry) => {
                unfinished.leave();
                Fetched::Validated(entry)
            }
            // No room for its new head: what is known is good.
            None => {
                unfinished.end(Verdict::Alone);
                Fetched::Validated(Arc::clone(old))
            }
        }
    }

    fn ended(&self, end: FillEnd) {
        self.counting.cache().fill_ended(end);
    }

    /// What was to be validated goes with it, unless the response says nothing
    /// about that: then the next one may be asked for the same way.
    fn unstorable(&self, fetch: &Fetch, status: StatusCode, why: Unstorable) -> Alone {
        let is_lasting = match &fetch.stale {
            Some(_) if !tells_of_change(status) => false,
            Some(stale) if !why.is_of_request() => {
                self.cache.forget(&fetch.fill, stale);
                true
            }
            _ => !why.is_of_request(),
        };
        Alone {
            is_lasting,
            ..Alone::new(why.as_str())
        }
    }

    /// The head as it is stored, or why it is not.
    fn judge(&self, fetch: &Fetch, taken: &Taken, requested: Moment) -> Result<Head, Alone> {
        let status = taken.head.status;
        let now = self.cache.now();
        if let Some(stale) = &fetch.stale
            && is_failure(status)
            && may_serve_on_error(
                &stale.head.policy,
                &RequestDirectives::default(),
                now.moment,
            )
        {
            return Err(Alone {
                verdict: Verdict::Error,
                why: "error",
                end: FillEnd::Failed,
                is_lasting: false,
            });
        }
        if !taken.is_sound() {
            return Err(Alone::new("framing"));
        }
        let (asked, headers) = (fetch.asker.asked(), &taken.head.headers);
        let head = assess(&asked, status, headers, &fetch.settings, requested, now);
        let head = head.map_err(|why| self.unstorable(fetch, status, why))?;
        if taken.body.size_hint().lower() <= fetch.settings.max_object {
            return Ok(head);
        }
        if let Some(stale) = &fetch.stale {
            self.cache.forget(&fetch.fill, stale);
        }
        Err(Alone {
            end: FillEnd::TooLarge,
            ..Alone::new("size")
        })
    }
}

/// What the origin answered.
enum Reply {
    /// What is not stored, as its Cache-Control says.
    Received(Box<ReceivedHead>, Download, Unstorable),
    Response(Taken),
    Validated(Arc<Entry>, Box<Head>),
}

/// Why a response is not shared.
struct Alone {
    verdict: Verdict,
    why: &'static str,
    end: FillEnd,
    /// The next one is likely to be the same.
    is_lasting: bool,
}

impl Alone {
    fn new(why: &'static str) -> Self {
        Self {
            verdict: Verdict::Alone,
            why,
            end: FillEnd::Unstorable,
            is_lasting: true,
        }
    }
}

/// The commonest of what is not stored: its Cache-Control says so, and there
/// is nothing else about it that has to be looked at. Else the response.
fn received(fetch: &Fetch, response: OriginResponse) -> Result<Reply, OriginResponse> {
    let OriginResponse { head, body } = response;
    let head = match head {
        OriginHead::Received(head) if fetch.stale.is_none() && may_pass(&head) => head,
        head => return Err(OriginResponse { head, body }),
    };
    match forbids(&fetch.asker.asked(), head.status, &head.fields) {
        Some(why) => Ok(Reply::Received(head, body, why)),
        None => Err(OriginResponse {
            head: OriginHead::Received(head),
            body,
        }),
    }
}

/// What was sent and is not `stored`: a cookie, or a field that `private`
/// names. Age is worked out for every answer.
fn withheld(mut sent: HeaderMap, stored: &HeaderMap) -> HeaderMap {
    sent.remove(AGE);
    for name in stored.keys() {
        sent.remove(name);
    }
    sent
}

fn is_304(taken: &Taken) -> bool {
    taken.head.status == StatusCode::NOT_MODIFIED
}

/// The statuses for which RFC 5861 section 4 lets a stale response stand in.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Whether a response that may not be stored means that what was stored is no
/// longer there: not an error of the origin's, or one that is about the client.
fn tells_of_change(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection() || matches!(status.as_u16(), 404 | 410)
}

/// What those who waited are told. That this client may not have a
/// connection says nothing about theirs.
fn failure(error: &OriginError) -> Verdict {
    match error {
        OriginError::NoConnectionFree => Verdict::Alone,
        _ => Verdict::Failed(Failure {
            status: error.status(),
            error: error.as_str(),
        }),
    }
}

#[cfg(test)]
mod tests;
