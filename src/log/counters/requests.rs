//! Requests, counted: each once, when it is over.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{CacheResult, Counter, Histogram, RouteNames, RouteSlot};

/// How many access rules there are.
pub const RULES: usize = 8;

/// The requests of one worker.
#[derive(Debug)]
pub struct RequestCounters {
    names: Arc<RouteNames>,
    /// By slot; made when the worker has the first request of a route.
    routes: Box<[OnceLock<Box<RouteCounters>>]>,
    /// Bytes of response bodies.
    pub sent: Counter,
    /// Bytes of request bodies on their way to an origin.
    pub received: Counter,
    /// Requests that ended in a panic.
    pub panics: Counter,
    /// A trusted peer named no client.
    pub unnamed: Counter,
    /// A peer that is not trusted named a client.
    pub unbelieved: Counter,
    errors: [Counter; ERRORS.len()],
}

/// The requests of one route.
#[derive(Debug, Default)]
pub struct RouteCounters {
    ended: [[Counter; StatusClass::ALL.len()]; Verdict::COUNT],
    would_deny: [Counter; RULES],
    cached: [Counter; CacheResult::ALL.len()],
    /// From the request to the origin until its response head, also where
    /// none came.
    pub origin: Histogram,
    /// From a request's head until its response is over, of those that were let
    /// in: a flood of denials, each over at once, would hide how long they take.
    pub duration: Histogram,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answered before any rule saw it.
    Reject,
    /// It went on.
    Forward,
    /// Denied, by the rule of that number, which is below [`RULES`].
    Deny(u8),
}

/// The first digit of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx
    Informational,
    /// 2xx
    Success,
    /// 3xx
    Redirection,
    /// 4xx
    ClientError,
    /// 5xx
    ServerError,
    /// The client went away before there was a status.
    ClientClosed,
    /// Beyond 599, which only an origin can come up with.
    Unknown,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Its route.
    pub route: RouteSlot,
    /// What was decided.
    pub verdict: Verdict,
    /// The rules in shadow that would have denied it, a bit each.
    pub would_deny: u8,
    /// What the cache did; `None`: it was not asked.
    pub cache: Option<CacheResult>,
    /// The status, or `None` if the client went away before.
    pub status: Option<u16>,
    /// Bytes of the response's body that were sent.
    pub sent: u64,
    /// How long the origin took.
    pub origin: Option<Duration>,
    /// How long all of it took; it is read only where the request went on.
    pub total: Duration,
    /// What went wrong, if that has a name.
    pub error: Option<&'a str>,
}

/// The names of RFC 9209 section 2.3.
#[rustfmt::skip]
const ERRORS: [&str; 32] = [
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable",
    "destination_ip_prohibited", "destination_ip_unroutable", "connection_refused",
    "connection_terminated", "connection_timeout", "connection_read_timeout",
    "connection_write_timeout", "connection_limit_reached", "tls_protocol_error",
    "tls_certificate_error", "tls_alert_received", "http_request_error", "http_request_denied",
    "http_response_incomplete", "http_response_header_section_size", "http_response_header_size",
    "http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size",
    "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout",
    "http_upgrade_failed", "http_protocol_error", "proxy_internal_response",
    "proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected",
];

impl Default for RequestCounters {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl RequestCounters {
    /// Counters whose slots are those of `names`.
    pub fn new(names: Arc<RouteNames>) -> Self {
        Self {
            names,
            routes: (0..RouteSlot::COUNT).map(|_| OnceLock::new()).collect(),
            sent: Counter::default(),
            received: Counter::default(),
            panics: Counter::default(),
            unnamed: Counter::default(),
            unbelieved: Counter::default(),
            errors: Default::default(),
        }
    }

    /// The names of the slots.
    pub fn names(&self) -> &RouteNames {
        &self.names
    }

    /// Counts a request. Only the owning thread may. There is no lock in it,
    /// no locked instruction, and no allocation but at the first request of
    /// a route.
    pub fn count(&self, ended: &Ended<'_>) {
        let route = self.routes[ended.route.index()].get_or_init(Box::default);
        let class = StatusClass::of(ended.status);
        route.ended[ended.verdict.index()][class as usize].add(1);
        let mut left = ended.would_deny;
        while left != 0 {
            route.would_deny[left.trailing_zeros() as usize].add(1);
            left &= left - 1;
        }
        if let Some(result) = ended.cache {
            route.cached[result as usize].add(1);
        }
        if let Some(time) = ended.origin {
            route.origin.observe(time);
        }
        if ended.verdict == Verdict::Forward {
            route.duration.observe(ended.total);
        }
        self.sent.add(ended.sent);
        let known = ended
            .error
            .and_then(|error| ERRORS.iter().position(|name| *name == error));
        if let Some(error) = known {
            self.errors[error].add(1);
        }
    }

    /// The requests of a route, if there were any.
    pub fn route(&self, slot: RouteSlot) -> Option<&RouteCounters> {
        self.routes[slot.index()].get().map(|route| &**route)
    }

    /// How many requests went wrong in each way, by its name in RFC 9209
    /// section 2.3.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ERRORS.into_iter().zip(self.errors.iter().map(Counter::get))
    }
}

impl RouteCounters {
    /// How many ended like that.
    pub fn ended(&self, verdict: Verdict, class: StatusClass) -> u64 {
        self.ended[verdict.index()][class as usize].get()
    }

    /// How many `rule` would have denied, were it not in shadow.
    pub fn would_deny(&self, rule: usize) -> u64 {
        self.would_deny[rule].get()
    }

    /// About how many the cache did that.
    pub fn cached(&self, result: CacheResult) -> u64 {
        self.cached[result as usize].get()
    }
}

impl Verdict {
    const COUNT: usize = 2 + RULES;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let denials = (0..RULES as u8).map(Self::Deny);
        [Self::Forward, Self::Reject].into_iter().chain(denials)
    }

    fn index(self) -> usize {
        match self {
            Self::Reject => 0,
            Self::Forward => 1,
            Self::Deny(rule) => 2 + usize::from(rule),
        }
    }

    /// The word that log and metrics use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Forward => "forward",
            Self::Deny(_) => "deny",
        }
    }
}

impl StatusClass {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
        Self::ClientClosed,
        Self::Unknown,
    ];

    fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::ClientClosed,
            Some(..200) => Self::Informational,
            Some(200..300) => Self::Success,
            Some(300..400) => Self::Redirection,
            Some(400..500) => Self::ClientError,
            Some(500..600) => Self::ServerError,
            Some(600..) => Self::Unknown,
        }
    }

    /// How metrics show it; 499 is what the access log has then.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::ClientClosed => "499",
            Self::Unknown => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_one_place() {
        let counters = RequestCounters::default();
        let slot = counters.names().slot("a");
        let statuses = [
            Some(101),
            Some(204),
            Some(304),
            Some(403),
            Some(502),
            None,
            Some(999),
        ];
        for verdict in Verdict::all() {
            for status in statuses {
                counters.count(&Ended {
                    route: slot,
                    verdict,
                    would_deny: 0b1000_0001,
                    cache: Some(CacheResult::Joined).filter(|_| status == Some(204)),
                    status,
                    sent: 7,
                    origin: None,
                    total: Duration::from_micros(3),
                    error: Some("dns_error").filter(|_| status == Some(502)),
                });
            }
        }
        let route = counters.route(slot).unwrap();
        for verdict in Verdict::all() {
            for class in StatusClass::ALL {
                assert_eq!(route.ended(verdict, class), 1, "{verdict:?} {class:?}");
            }
        }
        let all = (Verdict::COUNT * StatusClass::ALL.len()) as u64;
        let would_deny: Vec<u64> = (0..RULES).map(|rule| route.would_deny(rule)).collect();
        assert_eq!(would_deny, [all, 0, 0, 0, 0, 0, 0, all]);
        let cached = CacheResult::ALL.map(|result| route.cached(result));
        assert_eq!(cached, [0, 0, 0, 0, Verdict::COUNT as u64, 0]);
        assert_eq!(counters.sent.get(), 7 * all);
        // Of those that were let in.
        let times = (route.duration.buckets()[0], route.duration.micros());
        assert_eq!(times, (statuses.len() as u64, 3 * statuses.len() as u64));
        let errors: Vec<_> = counters.errors().filter(|(_, count)| *count > 0).collect();
        assert_eq!(errors, [("dns_error", Verdict::COUNT as u64)]);
        assert!(counters.route(RouteSlot::NONE).is_none());
    }
}
