//! What is counted and logged of one request (section 13).

mod kept;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode, Version};
use smallvec::SmallVec;

use super::count::Counting;
use super::reference::Reference;
use super::respond::Shape;
use crate::access::country::CountryCode;
use crate::access::{Decision, RuleIds};
use crate::client::{Client, PeerAddr};
use crate::config::Snapshot;
use crate::images::Choice;
use crate::log::access::{Draft, Journal, Keeper, Key, Outcome, key, shown, shown_in_field};
use crate::log::counters::{CacheResult, Ended, RouteSlot, Verdict};
use crate::log::{AccessTarget, ClientAddressMode};
use crate::message::Scheme;
use crate::message::fields::{Fields, Name, Names};
use crate::plan::{Arrival, Plan, Received, client_from};

/// What nginx logs when the client went away before there was a status.
const CLIENT_CLOSED: u16 = 499;

/// What is known of a request. It is counted once, when this is dropped,
/// whatever became of it; and then its line is written.
#[derive(Debug)]
pub(super) struct Record {
    counting: Rc<Counting>,
    route: RouteSlot,
    verdict: Verdict,
    would_deny: RuleIds,
    cache: Option<CacheResult>,
    status: Option<StatusCode>,
    bytes: u64,
    origin: Option<Duration>,
    error: Option<&'static str>,
    started: Instant,
    /// With the log off it is nothing.
    line: Option<Box<Line>>,
}

#[derive(Debug)]
struct Line {
    journal: Rc<Journal>,
    draft: Option<Draft>,
    /// Why the request was rejected.
    reject: Option<String>,
}

/// A request as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) received: &'a Received,
    pub(super) version: Version,
    pub(super) arrival: &'a Arrival,
    pub(super) reference: Reference,
}

/// What is worked out for a line, and needed again to forward.
#[derive(Clone, Debug)]
pub(super) struct Known<'a> {
    pub(super) choice: Choice<'a>,
    pub(super) key: String,
}

impl<'a> Known<'a> {
    /// Works it out.
    pub(super) fn of(plan: &Plan<'a>) -> Self {
        let choice = plan.choice();
        let key = plan.cache_key(&choice);
        Self { choice, key }
    }

    /// The key without its variant.
    pub(super) fn url(&self) -> &str {
        let variant = self.choice.variant.as_str().len();
        &self.key[..self.key.len() - variant - 1]
    }
}

impl Record {
    /// The record of a request that has just come.
    pub(super) fn start(
        snapshot: &Arc<Snapshot>,
        journal: &Rc<Journal>,
        counting: &Rc<Counting>,
    ) -> Self {
        counting.follow(snapshot);
        let logged = snapshot.log.access != AccessTarget::Off;
        let line = logged.then(|| Box::new(Line::start(journal)));
        Self::new(Rc::clone(counting), line)
    }

    fn new(counting: Rc<Counting>, line: Option<Box<Line>>) -> Self {
        Self {
            counting,
            route: RouteSlot::NONE,
            verdict: Verdict::Reject,
            would_deny: RuleIds::default(),
            cache: None,
            status: None,
            bytes: 0,
            origin: None,
            error: None,
            started: Instant::now(),
            line,
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self::new(Rc::new(Counting::new(Arc::default())), None)
    }

    /// It was answered before any rule saw it.
    pub(super) fn rejected(&mut self, seen: &Seen<'_>, error: &str) {
        let Some(line) = &mut self.line else { return };
        line.reject = Some(error.to_owned());
        let client = seen
            .snapshot
            .client
            .find(seen.arrival.peer, &seen.received.headers)
            .ok();
        let mut draft = line.journal.draft(self.started);
        seen.write_request(&mut draft, seen.arrival.scheme);
        seen.write_client(&mut draft, client.as_ref());
        for key in [key!("country"), key!("route")] {
            draft.word(key, None);
        }
        draft.word(key!("verdict"), Some(self.verdict.as_str()));
        draft.word(key!("rule"), None);
        draft.list(key!("would_deny"), std::iter::empty());
        write_unplanned(&mut draft);
        seen.write_fields(&mut draft);
        line.draft = Some(draft);
    }

    /// It never became a request.
    pub(super) fn unread(
        &mut self,
        snapshot: &Snapshot,
        reference: Reference,
        peer: PeerAddr,
        error: &'static str,
    ) {
        self.error = Some(error);
        let Some(line) = &mut self.line else { return };
        let mut draft = line.journal.draft(self.started);
        draft.string(key!("ref"), Some(reference.as_bytes()));
        draft.number(key!("generation"), snapshot.generation);
        nulls(&mut draft, &[key!("method"), key!("url"), key!("protocol")]);
        draft.status_here();
        let peer = shown(peer.ip(), snapshot.log.client_address);
        draft.string(key!("peer"), peer.as_deref());
        nulls(
            &mut draft,
            &[
                key!("client"),
                key!("client_from"),
                key!("client_header"),
                key!("forwarded"),
                key!("country"),
                key!("route"),
            ],
        );
        draft.word(key!("verdict"), Some("reject"));
        nulls(&mut draft, &[key!("rule")]);
        draft.list(key!("would_deny"), std::iter::empty());
        write_unplanned(&mut draft);
        draft.times_here();
        nulls(
            &mut draft,
            &[
                key!("user_agent"),
                key!("referer"),
                key!("origin_field"),
                key!("sec_fetch"),
                key!("request_method"),
            ],
        );
        line.draft = Some(draft);
    }

    /// Its plan was made. What that took to write down; `None` with the log
    /// off.
    pub(super) fn planned<'a>(&mut self, seen: &Seen<'_>, plan: &Plan<'a>) -> Option<Known<'a>> {
        self.route = self.counting.slot(plan.place);
        self.verdict = match plan.judgement.decision {
            Decision::Forward => Verdict::Forward,
            Decision::Deny(rule) => Verdict::Deny(rule as u8),
        };
        self.would_deny = plan.judgement.would_deny;
        let Some(line) = &mut self.line else {
            if let Some(keeper) = self.keeper() {
                seen.keep(plan, keeper);
            }
            return None;
        };
        let known = Known::of(plan);
        let mut draft = line.journal.draft(self.started);
        seen.write_request(&mut draft, plan.target.scheme);
        seen.write_client(&mut draft, Some(&plan.client));
        write_plan(&mut draft, plan, self.verdict, &known);
        seen.write_fields(&mut draft);
        line.draft = Some(draft);
        Some(known)
    }

    /// What the cache did, once that is known; the last word counts.
    pub(super) fn cached(&mut self, result: CacheResult) {
        self.cache = Some(result);
    }

    /// The status of the response.
    pub(super) fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Bytes of the body went out.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The origin needed so long for its response head.
    pub(super) fn origin_took(&mut self, time: Duration) {
        self.origin = Some(time);
    }

    /// Something went wrong; the first error is the one told.
    pub(super) fn failed(&mut self, error: &'static str) {
        self.error.get_or_insert(error);
    }

    /// Where it is kept, if a rule denies it or would have.
    fn keeper(&self) -> Option<&Keeper> {
        match self.verdict {
            Verdict::Deny(_) => Some(&self.counting.kept().denials),
            _ if !self.would_deny.is_empty() => Some(&self.counting.kept().would_be),
            Verdict::Forward | Verdict::Reject => None,
        }
    }

    fn write(&self, line: &Line, draft: Draft, total: Duration) {
        let gone = self
            .status
            .is_none()
            .then_some("the client went away before the response");
        let error = line.reject.as_deref().or(self.error);
        line.journal.write(
            draft,
            &Outcome {
                status: self.status.map_or(CLIENT_CLOSED, |status| status.as_u16()),
                bytes: self.bytes,
                cache: self.cache.map(CacheResult::as_str),
                origin: self.origin,
                total,
                error: error.or(gone),
            },
            self.keeper(),
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // Of a denial without a line nobody asks: one look at the clock less.
        let is_asked = self.verdict == Verdict::Forward || self.line.is_some();
        let total = match is_asked {
            true => self.started.elapsed(),
            false => Duration::ZERO,
        };
        self.counting.ended(&Ended {
            route: self.route,
            verdict: self.verdict,
            would_deny: self.would_deny.bits(),
            cache: self.cache,
            status: self.status.map(|status| status.as_u16()),
            sent: self.bytes,
            origin: self.origin,
            total,
            error: self.error,
        });
        if let Some(mut line) = self.line.take()
            && let Some(draft) = line.draft.take()
        {
            self.write(&line, draft, total);
        }
    }
}

impl Line {
    fn start(journal: &Rc<Journal>) -> Self {
        Self {
            journal: Rc::clone(journal),
            draft: None,
            reject: None,
        }
    }
}

impl Seen<'_> {
    /// What the shape of its response depends on.
    pub(super) fn shape(&self) -> Shape {
        Shape {
            head: self.received.method == Method::HEAD,
            version: self.version,
        }
    }

    fn write_request(&self, draft: &mut Draft, scheme: Scheme) {
        draft.string(key!("ref"), Some(self.reference.as_bytes()));
        draft.number(key!("generation"), self.snapshot.generation);
        // A token (RFC 9110, section 9.1).
        draft.word(key!("method"), Some(self.received.method.as_str()));
        self.write_url(draft, scheme);
        draft.word(key!("protocol"), Some(protocol(self.version)));
        draft.status_here();
    }

    /// Scheme, authority and target as received.
    fn write_url(&self, draft: &mut Draft, scheme: Scheme) {
        let (authority, target) = self.url();
        let parts = [scheme.as_str().as_bytes(), b"://", &authority, target];
        draft.joined(key!("url"), &parts);
    }

    /// Authority and target as received.
    fn url(&self) -> (Cow<'_, [u8]>, &[u8]) {
        let Received { uri, headers, .. } = self.received;
        let authority = match (uri.authority(), headers.first(Name::HOST)) {
            (Some(authority), _) => authority.as_str().as_bytes().into(),
            (None, Some(host)) => host.into(),
            (None, None) => {
                let fallback = self.arrival.fallback.as_ref().map(ToString::to_string);
                fallback.unwrap_or_default().into_bytes().into()
            }
        };
        let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
        (authority, target.as_bytes())
    }

    fn write_client(&self, draft: &mut Draft, client: Option<&Client>) {
        let mode = self.snapshot.log.client_address;
        let peer = shown(self.arrival.peer.ip(), mode);
        draft.string(key!("peer"), peer.as_deref());
        let address = client.and_then(|client| shown(client.address.ip(), mode));
        draft.string(key!("client"), address.as_deref());
        let from = client.map(|client| client_from(self.snapshot, client.from));
        draft.word(key!("client_from"), from);
        let field = self.snapshot.client.field.name();
        draft.word(key!("client_header"), Some(field.as_str()));
        if mode == ClientAddressMode::Full {
            return draft.lines(key!("forwarded"), self.received.headers.lines_of(field));
        }
        let lines: SmallVec<[_; 1]> = self
            .received
            .headers
            .lines_of(field)
            .filter_map(|line| shown_in_field(line, mode))
            .collect();
        draft.lines(key!("forwarded"), lines.iter().map(|line| &**line));
    }

    fn write_fields(&self, draft: &mut Draft) {
        let Received {
            method, headers, ..
        } = self.received;
        draft.times_here();
        draft.lines(key!("user_agent"), headers.lines(Name::USER_AGENT));
        draft.lines(key!("referer"), headers.lines(Name::REFERER));
        draft.lines(key!("origin_field"), headers.lines(Name::ORIGIN));
        write_sec_fetch(draft, headers);
        let asked = headers.lines(Name::ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = *method == Method::OPTIONS;
        draft.lines(key!("request_method"), asked.filter(|_| preflight));
    }
}

fn write_plan(draft: &mut Draft, plan: &Plan<'_>, verdict: Verdict, known: &Known<'_>) {
    let geo = plan.route.rules.geo();
    let country = geo.and_then(|geo| geo.country(plan.client.address));
    let country = country.as_ref().map(CountryCode::as_str);
    draft.word(key!("country"), country);
    draft.string(key!("route"), Some(plan.route.name.as_bytes()));
    draft.word(key!("verdict"), Some(verdict.as_str()));
    let rule = match plan.judgement.decision {
        Decision::Forward => None,
        Decision::Deny(rule) => Some(rule.as_str()),
    };
    draft.word(key!("rule"), rule);
    let would_deny = plan.judgement.would_deny.iter();
    draft.list(
        key!("would_deny"),
        would_deny.map(|rule| rule.as_str().as_bytes()),
    );
    let Known { choice, key } = known;
    draft.word(key!("variant"), Some(choice.variant.as_str()));
    match choice.accept {
        Some(accept) => draft.string(key!("accept"), Some(accept.as_bytes())),
        None => draft.string(
            key!("accept"),
            joined(plan.head().headers.lines(Name::ACCEPT)).as_deref(),
        ),
    }
    draft.cache_here();
    draft.string(key!("cache_key"), Some(key.as_bytes()));
}

/// What stands there for a request without a plan.
fn write_unplanned(draft: &mut Draft) {
    nulls(draft, &[key!("variant"), key!("accept")]);
    draft.cache_here();
    nulls(draft, &[key!("cache_key")]);
}

fn nulls(draft: &mut Draft, keys: &[&Key]) {
    for key in keys {
        draft.word(key, None);
    }
}

fn joined<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let first = lines.next()?;
    let mut joined = Cow::Borrowed(first);
    for line in lines {
        let text = joined.to_mut();
        text.extend_from_slice(b", ");
        text.extend_from_slice(line);
    }
    Some(joined)
}

/// `site/mode/dest`; null without any of them.
fn write_sec_fetch(draft: &mut Draft, fields: &Fields) {
    const PARTS: [Name; 3] = [
        Name::SEC_FETCH_SITE,
        Name::SEC_FETCH_MODE,
        Name::SEC_FETCH_DEST,
    ];
    if !fields.contains_any(Names::of(&PARTS)) {
        return draft.word(key!("sec_fetch"), None);
    }
    let [site, mode, dest] = PARTS.map(|name| joined(fields.lines(name)).unwrap_or_default());
    draft.joined(key!("sec_fetch"), &[&site, b"/", &mode, b"/", &dest]);
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}
