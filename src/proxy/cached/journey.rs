//! A request that has to wait for what the cache has not.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Body as _;
use hyper::{HeaderMap, StatusCode};
use tokio::task::{JoinHandle, spawn_local};

use super::answer::{Answered, answer};
use super::asker::Asker;
use super::fetch::{Fetch, Fetched, Fetcher, is_failure};
use super::reading::Source;
use crate::cache::clock::Moment;
use crate::cache::collapse::{Begin, Begun};
use crate::cache::entry::{Entry, Key};
use crate::cache::fill::{Fill, FillReader, Opened, Verdict};
use crate::cache::policy::Policy;
use crate::cache::reuse::{Reuse, may_serve_on_error, reuse};
use crate::cache::settings::CacheSettings;
use crate::cache::status::{CacheStatus, Reason};
use crate::log::counters::CacheResult;
use crate::message::lines::Lines;
use crate::origin::{
    Asking, ClientGroup, Download, OriginHead, OriginRequest, OriginResponse, OriginSettings,
    ReceivedHead,
};
use crate::proxy::answer::Answer;
use crate::proxy::body::Body;
use crate::proxy::forward::Prepared;
use crate::proxy::record::Record;
use crate::proxy::reference::Reference;
use crate::proxy::respond::{Edit, Taken, respond};
use crate::proxy::response::{ClientResponse, PassedHead};

/// What is under way for a client that asked for `no-cache` is fresh enough
/// if it was begun so many milliseconds ago (section 9).
const RECENT: u64 = 1000;

/// What a request waits for.
#[derive(Debug)]
pub(in crate::proxy) struct Wanted {
    pub(super) fetcher: Fetcher,
    pub(super) hash: u64,
    pub(super) url: Box<str>,
    pub(super) asker: Rc<Asker>,
    pub(super) stale: Option<Arc<Entry>>,
    pub(super) reason: Reason,
}

/// A request that has to wait for what the cache has not.
#[derive(Debug)]
pub(in crate::proxy) struct Journey {
    wanted: Wanted,
    /// The client's own conditions and ranges, for the case that nothing is
    /// stored that they could be held against.
    conditions: Lines,
    settings: CacheSettings,
    origin: Arc<OriginSettings>,
    client: Option<ClientGroup>,
    stall_timeout: Duration,
    edit: Edit,
    request: OriginRequest,
    record: Record,
    reference: Reference,
}

/// Whose request it is that goes to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Others wait for it too, and it outlives its client.
    Everyones,
    /// Only this client's.
    Own,
}

/// A fetch that others may wait for. A client that goes away before anything
/// came takes it along, unless somebody does.
struct Leading<'a> {
    fill: &'a Fill,
    task: JoinHandle<(Fetched, Duration)>,
}

impl<'a> Leading<'a> {
    fn start(
        fill: &'a Fill,
        fetching: impl Future<Output = (Fetched, Duration)> + 'static,
    ) -> Self {
        Self {
            fill,
            task: spawn_local(fetching),
        }
    }

    async fn ended(mut self) -> (Fetched, Duration) {
        match (&mut self.task).await {
            Ok(fetched) => fetched,
            // A panic costs this connection, as any other does.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if !self.fill.is_read() {
            self.task.abort();
        }
    }
}

impl Journey {
    /// A request for `wanted`, prepared for the origin.
    pub(in crate::proxy) fn new(
        wanted: Wanted,
        settings: CacheSettings,
        prepared: Prepared,
        mut request: OriginRequest,
        record: Record,
        reference: Reference,
    ) -> Self {
        // What is stored is the whole of it, whatever its client lacks.
        let conditions = std::mem::take(&mut request.conditions);
        Self {
            conditions,
            wanted,
            settings,
            origin: prepared.settings,
            client: prepared.client,
            stall_timeout: prepared.stall_timeout,
            edit: prepared.edit,
            request,
            record,
            reference,
        }
    }

    /// Joins whoever fetches it already, or fetches it.
    pub(in crate::proxy) async fn run(self) -> ClientResponse {
        let whose = match self.wanted.asker.is_private() {
            true => Whose::Own,
            false => Whose::Everyones,
        };
        match self.begin(whose, true) {
            Begun::Join(fill) => self.follow(fill).await,
            Begun::Lead(fill) => match self.stored_meanwhile() {
                Some(entry) => {
                    self.wanted
                        .fetcher
                        .cache
                        .abandon(&fill, Verdict::Validated(Arc::clone(&entry)));
                    self.join_stored(&entry)
                }
                None => self.lead(fill).await,
            },
        }
    }

    fn begin(&self, whose: Whose, may_join: bool) -> Begun {
        let now = self.wanted.fetcher.cache.moment();
        let since = match self.wanted.asker.directives.no_cache {
            true => Moment(now.0.saturating_sub(RECENT)),
            false => Moment::default(),
        };
        self.wanted.fetcher.cache.begin(&Begin {
            hash: self.wanted.hash,
            key: self.key(),
            asked: self.wanted.asker.asked(),
            others: self.wanted.reason == Reason::VaryMiss,
            may_join,
            is_shared: whose == Whose::Everyones,
            is_background: false,
            since,
            now,
        })
    }

    fn key(&self) -> Key<'_> {
        Key {
            url: &self.wanted.url,
            origin: &self.origin.url.text,
        }
    }

    /// A fill may have ended after this request looked for what is stored.
    fn stored_meanwhile(&self) -> Option<Arc<Entry>> {
        let asked = self.wanted.asker.asked();
        let found = self
            .wanted
            .fetcher
            .cache
            .find(self.wanted.hash, self.key(), &asked);
        found.entry.filter(|entry| self.may_use(&entry.head.policy))
    }

    fn may_use(&self, policy: &Policy) -> bool {
        let now = self.wanted.fetcher.cache.moment();
        reuse(policy, &self.wanted.asker.directives, now) != Reuse::Validate
    }

    async fn lead(mut self, fill: Arc<Fill>) -> ClientResponse {
        let fetch = Fetch {
            fill: Arc::clone(&fill),
            asker: Rc::clone(&self.wanted.asker),
            stale: self.wanted.stale.clone(),
            settings: self.settings,
            origin: Arc::clone(&self.origin),
            client: self.client,
            stall_timeout: self.stall_timeout,
            request: std::mem::take(&mut self.request),
        };
        let again = (!self.conditions.is_empty()).then(|| fetch.request.copy());
        let fetching = self.wanted.fetcher.clone().fetch(fetch);
        let (fetched, took) = match fill.is_shared() {
            // Boxed: its room is not moved with the rest.
            false => Box::pin(fetching).await,
            true => Leading::start(&fill, fetching).ended().await,
        };
        self.record.origin_took(took);
        match (fetched.for_its_client(), again) {
            (Some((StatusCode::OK, why)), Some(request)) => {
                drop(fetched);
                Box::pin(self.pass(request, why)).await
            }
            _ => self.fetched(fill, fetched),
        }
    }

    /// Asks for what the client itself asked for: a part, or news.
    async fn pass(mut self, mut request: OriginRequest, why: &'static str) -> ClientResponse {
        request.conditions = std::mem::take(&mut self.conditions);
        let asking = Asking {
            settings: &self.origin,
            client: self.client,
            stall_timeout: self.stall_timeout,
        };
        let asked = Instant::now();
        let taken = self.wanted.fetcher.send(asking, request).await;
        self.record.origin_took(asked.elapsed());
        match taken {
            Ok(taken) => self.pass_on(taken, why),
            Err(error) => {
                self.record.failed(error.as_str());
                self.fail(error.status(), error.as_str())
            }
        }
    }

    fn fetched(mut self, fill: Arc<Fill>, fetched: Fetched) -> ClientResponse {
        match fetched {
            Fetched::Open(opened, _place, own) => {
                self.record.cached(CacheResult::Miss);
                let status = CacheStatus {
                    stored: true,
                    ..CacheStatus::forwarded(self.wanted.reason)
                };
                self.answer_open(&opened, fill, Some(own), status)
            }
            Fetched::Validated(entry) => {
                self.record.cached(CacheResult::Revalidated);
                let status = CacheStatus {
                    fwd_status: Some(304),
                    stored: true,
                    ..CacheStatus::forwarded(self.wanted.reason)
                };
                self.answer_stored(&entry, status)
            }
            Fetched::Response(taken, why) => {
                let status = taken.head.status;
                match self.usable_on_error() {
                    Some(stale) if is_failure(status) => {
                        self.on_error(&stale, Some(status.as_u16()), None)
                    }
                    _ => self.pass_on(*taken, why),
                }
            }
            Fetched::Received(head, body, why) => self.pass_on_received(head, body, why),
            Fetched::Failed(error) => {
                self.record.failed(error.as_str());
                match self.usable_on_error() {
                    Some(stale) => self.on_error(&stale, None, Some(error.as_str())),
                    None => self.fail(error.status(), error.as_str()),
                }
            }
        }
    }

    async fn follow(mut self, fill: Arc<Fill>) -> ClientResponse {
        let asked = self.wanted.asker.asked();
        // Until the answer has its own.
        let mut place = FillReader::new(Arc::clone(&fill), 0..u64::MAX);
        match place.verdict().await {
            Verdict::Open(opened) if opened.fits(&asked) && self.may_use(&opened.head.policy) => {
                self.record.cached(CacheResult::Joined);
                let status = self.collapsed();
                self.answer_open(&opened, fill, None, status)
            }
            Verdict::Validated(entry)
                if entry.head.fits(&asked) && self.may_use(&entry.head.policy) =>
            {
                self.join_stored(&entry)
            }
            Verdict::Failed(failure) => {
                self.record.failed(failure.error);
                match self.usable_on_error() {
                    Some(stale) => self.on_error(&stale, None, Some(failure.error)),
                    None => self.fail(failure.status, failure.error),
                }
            }
            Verdict::Error if let Some(stale) = self.usable_on_error() => {
                self.on_error(&stale, None, None)
            }
            Verdict::Open(_) | Verdict::Validated(_) | Verdict::Alone | Verdict::Error => {
                drop(place);
                Box::pin(self.go_alone()).await
            }
        }
    }

    /// What the others get is not for this client.
    async fn go_alone(mut self) -> ClientResponse {
        if !self.conditions.is_empty() {
            let request = std::mem::take(&mut self.request);
            return self.pass(request, "alone").await;
        }
        match self.begin(Whose::Own, false) {
            Begun::Lead(fill) | Begun::Join(fill) => self.lead(fill).await,
        }
    }

    fn join_stored(mut self, entry: &Arc<Entry>) -> ClientResponse {
        self.record.cached(CacheResult::Joined);
        let status = self.collapsed();
        self.answer_stored(entry, status)
    }

    fn collapsed(&self) -> CacheStatus {
        CacheStatus {
            collapsed: true,
            ..CacheStatus::forwarded(self.wanted.reason)
        }
    }

    /// The stale response, if it may stand in for an error.
    fn usable_on_error(&self) -> Option<Arc<Entry>> {
        let now = self.wanted.fetcher.cache.moment();
        let usable = |stale: &&Arc<Entry>| {
            may_serve_on_error(&stale.head.policy, &self.wanted.asker.directives, now)
        };
        self.wanted.stale.as_ref().filter(usable).cloned()
    }

    fn on_error(
        mut self,
        stale: &Arc<Entry>,
        fwd_status: Option<u16>,
        detail: Option<&'static str>,
    ) -> ClientResponse {
        self.record.cached(CacheResult::Stale);
        let status = CacheStatus {
            fwd_status,
            detail,
            ..CacheStatus::forwarded(self.wanted.reason)
        };
        self.answer_stored(stale, status)
    }

    fn answer_stored(self, entry: &Entry, status: CacheStatus) -> ClientResponse {
        let answered = Answered {
            head: &entry.head,
            source: Source::Stored(Arc::clone(&entry.body)),
            length: Some(entry.body.length()),
            secret: self.wanted.hash,
            own: None,
        };
        self.answer(answered, status)
    }

    fn answer_open(
        self,
        opened: &Opened,
        fill: Arc<Fill>,
        own: Option<Box<HeaderMap>>,
        status: CacheStatus,
    ) -> ClientResponse {
        let answered = Answered {
            head: &opened.head,
            source: Source::Fill(fill),
            length: opened.length,
            secret: self.wanted.hash,
            own,
        };
        self.answer(answered, status)
    }

    fn answer(self, answered: Answered<'_>, status: CacheStatus) -> ClientResponse {
        let now = self.wanted.fetcher.cache.moment();
        answer(
            &self.wanted.asker.asked(),
            answered,
            now,
            status,
            &self.edit,
            self.record,
        )
    }

    fn pass_on(mut self, taken: Taken, why: &'static str) -> ClientResponse {
        self.record.cached(CacheResult::Miss);
        let status = CacheStatus {
            detail: Some(why),
            ..CacheStatus::forwarded(self.wanted.reason)
        };
        respond(taken, &self.edit, Some(&status), self.record)
    }

    fn pass_on_received(
        mut self,
        head: Box<ReceivedHead>,
        body: Download,
        why: &'static str,
    ) -> ClientResponse {
        let instance = &self.wanted.fetcher.instance;
        if !self.edit.only_adds_vary() {
            let head = OriginHead::Received(head);
            let response = OriginResponse { head, body }.into_response();
            return match Taken::new(response, false, instance) {
                Ok(taken) => self.pass_on(taken, why),
                Err(error) => self.fail(error.status(), error.as_str()),
            };
        }
        self.record.cached(CacheResult::Miss);
        self.record.status(head.status);
        let status = CacheStatus {
            detail: Some(why),
            ..CacheStatus::forwarded(self.wanted.reason)
        };
        let has_length = body.size_hint().exact().is_some();
        let via = instance.via(head.version);
        let head = PassedHead::new(head, has_length, self.edit, via, Some(status));
        ClientResponse::passed(head, Body::origin(body, self.record))
    }

    fn fail(mut self, made: StatusCode, error: &'static str) -> ClientResponse {
        self.record.cached(CacheResult::Miss);
        let status = CacheStatus {
            detail: Some(error),
            ..CacheStatus::forwarded(self.wanted.reason)
        };
        let answer = Answer::failed(made, self.reference).at_cache(status);
        answer.into_response(self.record)
    }
}
