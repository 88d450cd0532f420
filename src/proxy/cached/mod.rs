//! What the cache makes of a request (section 9).

mod answer;
mod asker;
mod fetch;
mod journey;
mod passed;
mod reading;
mod underway;

pub(super) use fetch::{Fetch, Fetcher};
pub(super) use journey::{Journey, Wanted};
pub(super) use passed::{Change, Passed, Unsafe, Update};
pub(super) use reading::{Reading, Source};
pub(super) use underway::Underway;

use std::sync::Arc;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method};

use self::answer::{Answered, answer};
use self::asker::Asker;
use super::body::Body;
use super::record::{Known, Record};
use super::respond::Edit;
use super::response::{ClientResponse, StoredHead};
use crate::cache::Cache;
use crate::cache::asked::{Asked, Covered};
use crate::cache::clock::Moment;
use crate::cache::collapse::{Begin, Begun};
use crate::cache::conditional::{is_conditional, passes_on};
use crate::cache::directives::RequestDirectives;
use crate::cache::encoding::Encodings;
use crate::cache::entry::{Entry, Key};
use crate::cache::reply::{Content, has_no_content, is_whole};
use crate::cache::reuse::{Reuse, reuse};
use crate::cache::settings::CacheSettings;
use crate::cache::status::{CacheStatus, Reason};
use crate::log::counters::CacheResult;
use crate::plan::{Plan, Received};

/// A request at the cache.
#[derive(Clone, Debug)]
pub(super) struct Query<'a> {
    pub(super) cache: &'a Cache,
    pub(super) hash: u64,
    pub(super) key: Key<'a>,
    pub(super) asked: Asked<'a>,
    pub(super) directives: RequestDirectives,
    pub(super) now: Moment,
    /// What the response has to say in `Vary`.
    pub(super) vary: Option<&'a HeaderValue>,
}

/// What the cache says to a request.
#[derive(Debug)]
pub(super) enum Look {
    /// It goes to the origin as it is, and nothing of it is stored, beside what
    /// is stale.
    Pass(Reason, Option<Arc<Entry>>),
    /// It is answered by what is stored; `Stale`, and whether it is fetched
    /// anew behind it.
    Stored(Arc<Entry>, Freshness),
    /// It wants only what is stored, and that is not there.
    Nothing,
    /// It has to be fetched, or validated, for that reason.
    Fetch(Option<Arc<Entry>>, Reason),
}

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    Stale,
    /// Stale, and to be fetched anew behind the answer.
    Refreshed,
}

impl<'a> Query<'a> {
    /// The question that a request without a body asks; `known` holds its
    /// key. `None`: the cache answers no such method.
    pub(super) fn new(
        cache: &'a Cache,
        plan: &'a Plan<'a>,
        known: &'a Known<'a>,
        received: &'a Received,
    ) -> Option<Self> {
        if !matches!(received.method, Method::GET | Method::HEAD) {
            return None;
        }
        let key = Key {
            url: known.url(),
            origin: &plan.route.origin.url.text,
        };
        let vary = known.choice.vary;
        let headers = &received.headers;
        Some(Self {
            cache,
            hash: cache.hash(key),
            key,
            asked: Asked {
                method: &received.method,
                headers,
                encodings: Encodings::of(headers),
                has_query: key.url.contains('?'),
                variant: known.choice.variant,
                covered: Covered {
                    accept: vary.is_some(),
                    user_agent: vary.is_some_and(|vary| vary != "Accept"),
                },
                extension: plan.target.path.extension(),
            },
            directives: RequestDirectives::of(headers),
            now: cache.moment(),
            vary,
        })
    }

    /// What is stored, or what else is to be done.
    pub(super) fn look(&self) -> Look {
        let found = self.cache.find(self.hash, self.key, &self.asked);
        let stale = match found.entry {
            None if self.directives.only_if_cached => return Look::Nothing,
            None => return self.miss(found.known),
            Some(entry) => entry,
        };
        match reuse(&stale.head.policy, &self.directives, self.now) {
            Reuse::Fresh => Look::Stored(stale, Freshness::Fresh),
            Reuse::Stale => Look::Stored(stale, Freshness::Stale),
            Reuse::StaleWhileRevalidate => Look::Stored(stale, Freshness::Refreshed),
            Reuse::Validate if self.directives.only_if_cached => Look::Nothing,
            Reuse::Validate => self.validate(stale),
        }
    }

    fn validate(&self, stale: Arc<Entry>) -> Look {
        let usable = reuse(&stale.head.policy, &RequestDirectives::default(), self.now);
        // Only this client wants it validated.
        if usable != Reuse::Validate && !self.cache.may_force(self.hash, self.now) {
            return match usable {
                Reuse::Fresh => Look::Stored(stale, Freshness::Fresh),
                _ => Look::Stored(stale, Freshness::Refreshed),
            };
        }
        let why = match usable {
            Reuse::Fresh => Reason::Request,
            _ => Reason::Stale,
        };
        match self.passes_on() {
            true => Look::Pass(why, Some(stale)),
            false => Look::Fetch(Some(stale), why),
        }
    }

    fn miss(&self, known: bool) -> Look {
        let why = if known {
            Reason::VaryMiss
        } else {
            Reason::UriMiss
        };
        match self.passes_on() || self.is_better_passed_on() {
            true => Look::Pass(why, None),
            false => Look::Fetch(None, why),
        }
    }

    /// The origin is not asked for the whole in vain, where only a part or news
    /// are wanted and the last response could not be stored.
    fn is_better_passed_on(&self) -> bool {
        is_conditional(self.asked.headers) && self.cache.is_alone(self.hash, self.now)
    }

    /// A HEAD, and what asks for a part or on a condition that only the
    /// origin can judge, fills nothing.
    fn passes_on(&self) -> bool {
        self.asked.is_head() || passes_on(self.asked.headers)
    }

    /// What has taken the place of `entry`.
    pub(super) fn newer_than(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let found = self.cache.find(self.hash, self.key, &self.asked).entry;
        found.filter(|newer| !Arc::ptr_eq(newer, entry))
    }

    /// What it takes to wait for what is not there.
    pub(super) fn wanted(
        &self,
        fetcher: Fetcher,
        stale: Option<Arc<Entry>>,
        reason: Reason,
    ) -> Wanted {
        Wanted {
            fetcher,
            hash: self.hash,
            url: self.key.url.into(),
            asker: self.asker().into(),
            stale,
            reason,
        }
    }

    fn asker(&self) -> Asker {
        Asker::new(&self.asked, self.asked.headers.clone(), self.directives)
    }

    /// A HEAD that passes may tell that a stale response is still good.
    pub(super) fn updater(
        &self,
        stale: Option<Arc<Entry>>,
        settings: CacheSettings,
    ) -> Option<Update> {
        let stale = stale.filter(|_| self.asked.is_head())?;
        Some(Update {
            cache: self.cache.clone(),
            hash: self.hash,
            asker: self.asker(),
            stale,
            settings,
            requested: self.now,
        })
    }

    /// Begins to fetch behind a stale answer, unless somebody does already.
    pub(super) fn begin_refresh(&self) -> Begun {
        self.cache.begin(&Begin {
            hash: self.hash,
            key: self.key,
            asked: self.asked,
            others: false,
            may_join: true,
            is_shared: true,
            is_background: true,
            since: Moment::default(),
            now: self.now,
        })
    }

    /// The one who asks for the same behind a stale answer, by a request with
    /// those fields.
    pub(super) fn refresher(&self, headers: &HeaderMap) -> Asker {
        // Also behind a HEAD, all of it is fetched.
        let asked = Asked {
            method: &Method::GET,
            ..self.asked
        };
        Asker::new(&asked, headers.into(), RequestDirectives::default())
    }

    /// Answers with a stored response.
    pub(super) fn answer(
        &self,
        entry: &Arc<Entry>,
        freshness: Freshness,
        edit: Edit,
        mut record: Record,
    ) -> ClientResponse {
        record.cached(match freshness {
            Freshness::Fresh => CacheResult::Hit,
            Freshness::Stale | Freshness::Refreshed => CacheResult::Stale,
        });
        let ttl = entry.head.policy.ttl(self.now).div_euclid(1000);
        let status = CacheStatus::hit(ttl);
        if is_whole(&self.asked) && edit.only_adds_vary() {
            return self.answer_whole(entry, status, edit, record);
        }
        let answered = Answered {
            head: &entry.head,
            source: Source::Stored(Arc::clone(&entry.body)),
            length: Some(entry.body.length()),
            secret: self.hash,
            own: None,
        };
        answer(&self.asked, answered, self.now, status, &edit, record)
    }

    /// The commonest answer: all of what is stored, as it is.
    fn answer_whole(
        &self,
        entry: &Arc<Entry>,
        status: CacheStatus,
        edit: Edit,
        mut record: Record,
    ) -> ClientResponse {
        record.status(entry.head.status);
        let content = match self.asked.is_head() || has_no_content(entry.head.status) {
            true => Content::Nothing,
            false => Content::Whole,
        };
        let source = Source::Stored(Arc::clone(&entry.body));
        let reading = Reading::new(source, content, Some(entry.body.length()));
        let head = StoredHead::new(Arc::clone(entry), self.now, status, edit);
        ClientResponse::stored(head, Body::cached(reading, record))
    }
}
