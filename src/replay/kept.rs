//! Lines of single requests: what a configuration makes of one
//! (`/-/denials`, `/-/explain`).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use super::decide::{AcceptOf, decide, network_of};
use super::doubt::Doubts;
use super::line::{Line, Logged};
use super::memo::Memo;
use super::request::{Guess, Request};
use super::sender::{Known, Senders, Writer};
use super::{Skip, Undecided, client_field};
use crate::access::RuleId;
use crate::client::ClientAddr;
use crate::config::{Route, Snapshot};
use crate::log::access::Derived;
use crate::plan::{Decided, Explanation, ToldRule, field_text};
use crate::route::Target;

/// So many of the requests that a line may tell of are explained.
const MOST_TRIALS: usize = 64;

/// What of a line depends on the configuration that wrote it, worked out by
/// that one; `accept` is what the client sent. `None`: the line does not tell.
pub fn derived(text: &[u8], accept: &[&[u8]], snapshot: &Snapshot) -> Option<Derived> {
    let line = Line::read(text).ok()?;
    let request = Request::of(&line).ok()?.ok()?;
    if !request.has_query {
        return None;
    }
    let received = request.received(&Guess::AS_LOGGED, None);
    let merge_slashes = snapshot.server.merge_slashes;
    let (uri, fields) = (&received.uri, &received.headers);
    let target = Target::read(uri, fields, request.scheme, None, merge_slashes).ok()?;
    let place = snapshot.matcher.find(&target.authority.host, &target.path);
    let route = snapshot.route(place.ok()?);
    let accept = (!accept.is_empty()).then(|| field_text(&accept.join(&b", "[..])));
    let fields = request.variant_fields(accept.as_deref());
    let choice = route
        .images
        .choose(&received.method, target.path.extension(), &fields);
    let client = line.client.text().and_then(|text| text.parse().ok());
    let country = |client| {
        let found = route.rules.geo()?.country(ClientAddr::new(client));
        found.map(|code| code.to_string())
    };
    Some(Derived {
        country: client.map(country),
        variant: Some(choice.variant.to_string()),
        cache_key: Some(route.key.key(&target, choice.variant)),
        accept: match choice.accept {
            Some(own) => Some(field_text(own.as_bytes())),
            None => accept,
        },
    })
}

/// What a configuration makes of the request of a line.
#[derive(Clone, Debug, Serialize)]
pub struct Retold {
    /// `forward`, `deny`, `reject`, or `undecided`.
    pub verdict: &'static str,
    /// The first enforced rule that denies.
    pub rule: Option<&'static str>,
    /// Of a rejection.
    pub status: Option<u16>,
    /// Of a rejection.
    pub error: Option<String>,
    /// What the line does not tell, if something depends on it.
    pub undecided: Option<Open>,
    /// All eight rules; empty without a route. The outcome of some may be
    /// `undecided`.
    pub rules: Vec<ToldRule>,
    /// The client, as far as it is kept.
    pub client: Option<String>,
    /// How it is found.
    pub client_from: Option<String>,
    /// The client's country.
    pub country: Option<String>,
    /// The route.
    pub route: Option<String>,
}

/// What a line does not tell.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Open {
    /// As `replay` names it.
    pub what: &'static str,
    /// The same for people.
    pub why: &'static str,
}

impl Undecided {
    fn open(self) -> Open {
        let why = match self {
            Self::NoRequest => "it never became a request",
            Self::Reject => "why it was rejected is not known any more",
            Self::Method => "not all of its method is kept: it is over 4 KiB",
            Self::Url => "not all of its URL is kept: it is over 4 KiB",
            Self::Client => "not all of the client's address is kept (log.client_address)",
            Self::ClientField => "what the field of client.header held is not known any more",
            Self::Scheme => "whether it came by https is not known: it depends on who is trusted",
            Self::UserAgent => "not all of its User-Agent is kept, or it may not be UTF-8",
            Self::Page => "not all of its Referer or Origin is kept, or it may not be UTF-8",
            Self::SecFetch => "not all of its Sec-Fetch fields are kept",
            Self::RequestMethod => "what the preflight asked for is not kept",
        };
        Open {
            what: self.as_str(),
            why,
        }
    }
}

/// What `snapshot` makes of the request of a line, as far as that tells. Where
/// `snapshot` is what the line was written by, the line knows best.
///
/// # Errors
///
/// What is wrong with the line.
pub fn retell(text: &[u8], snapshot: &Snapshot) -> Result<Retold, String> {
    let line = Line::read(text).map_err(Skip::name)?;
    let request = match Request::of(&line).map_err(Skip::name)? {
        Ok(request) => request,
        Err(why) => return Ok(Retold::undecided(why)),
    };
    let wrote = line.generation == Some(snapshot.generation);
    let writer = Writer {
        field: client_field(&line),
        snapshot: wrote.then_some(snapshot),
        same_client: wrote,
    };
    let doubts = Doubts::of(&request);
    let senders = match Senders::of(&request, snapshot, &writer) {
        Ok(senders) => senders,
        Err(why) => return Ok(Retold::undecided(why)),
    };
    let telling = Telling {
        snapshot,
        request: &request,
        doubts: &doubts,
        senders: &senders,
        wrote,
    };
    let mut told = telling.first();
    let accept = AcceptOf::Unknown;
    let decided = decide(
        snapshot,
        &request,
        &doubts,
        &writer,
        accept,
        &Memo::default(),
    );
    if let Err(why) = decided {
        told.undecided = Some(why.open());
        if !wrote {
            (told.verdict, told.rule) = ("undecided", None);
            (told.status, told.error) = (None, None);
        }
    }
    Ok(told)
}

/// A line that is told by a configuration.
struct Telling<'a, 'l> {
    snapshot: &'a Snapshot,
    request: &'a Request<'l>,
    doubts: &'a Doubts,
    senders: &'a Senders<'l>,
    wrote: bool,
}

impl Telling<'_, '_> {
    /// The request as the line has it, with the rules of all that it may have
    /// been.
    fn first(&self) -> Retold {
        let explained = self.explanations();
        let mut told = match explained.first() {
            Some(Explanation::Decided(first)) => self.told(first),
            Some(Explanation::Rejected { status, error, .. }) => Retold {
                verdict: "reject",
                status: Some(*status),
                error: Some(error.clone()),
                ..Retold::default()
            },
            None => return Retold::undecided(Undecided::Url),
        };
        let decided = explained.iter().filter_map(decided);
        for (other, decided) in decided.map(|other| (self.told(other), other)) {
            self.open_rules(decided, &mut told);
            let pairs = told.rules.iter_mut().zip(&other.rules);
            pairs
                .filter(|(rule, other)| rule.outcome != other.outcome)
                .for_each(|(rule, _)| leave_open(rule));
            if (&told.client, &told.client_from) != (&other.client, &other.client_from) {
                (told.client, told.client_from, told.country) = (None, None, None);
            }
        }
        if self.wrote {
            self.settle(&mut told);
        }
        told
    }

    fn explanations(&self) -> Vec<Explanation> {
        let field = self.snapshot.client.field.name().as_str();
        let forwarded = self.senders.forwarded.as_deref();
        let forwarded = forwarded.map(|lines| (field, lines));
        let guesses = self.doubts.guesses.iter();
        let trials = guesses.flat_map(|guess| {
            let received = self.request.received(guess, forwarded);
            let explain = move |arrival| Explanation::of(self.snapshot, &received, arrival);
            self.senders.arrivals.iter().map(explain)
        });
        trials.take(MOST_TRIALS).collect()
    }

    fn told(&self, decided: &Decided) -> Retold {
        let line = self.request.line;
        let of_line = |logged: &Logged<'_>| logged.text().filter(|_| self.wrote).map(str::to_owned);
        let known = self.senders.client;
        let found = known != Known::Nothing && decided.client_from != "given";
        Retold {
            verdict: decided.verdict,
            rule: decided.rule,
            rules: decided.rules.clone(),
            client: match known {
                Known::Whole => Some(decided.client.clone()),
                Known::Network => shown_network(decided).map(|network| network.to_string()),
                Known::Nothing => of_line(&line.client),
            },
            client_from: match found {
                true => Some(decided.client_from.clone()),
                false => of_line(&line.client_from),
            },
            country: match known {
                Known::Whole => decided.country.clone(),
                Known::Network | Known::Nothing => of_line(&line.country),
            },
            route: Some(decided.route.clone()),
            ..Retold::default()
        }
    }

    /// Rules that go by what the line does not have are open.
    fn open_rules(&self, decided: &Decided, told: &mut Retold) {
        let client = self.of_all(decided, |route, network| route.rules.judges_alike(network));
        // Of one that a rule denied it is known that nothing exempts it.
        let exempts = |route: &Route, network| route.rules.ip.exempts_alike(network);
        let exempt = self.wrote || self.of_all(decided, exempts);
        for rule in told.rules.iter_mut().filter(|rule| rule.outcome != "off") {
            let is_open = match RuleId::parse(rule.rule) {
                _ if rule.outcome == "exempt" => !client,
                _ if !exempt => true,
                Some(RuleId::IpBlock | RuleId::GeoBlock | RuleId::GeoAllow) => !client,
                Some(RuleId::UserAgentBlock) => self.doubts.agent && rule.outcome == "pass",
                Some(_) => self.doubts.page,
                None => false,
            };
            if is_open {
                leave_open(rule);
            }
        }
    }

    /// Whether something is so of the route and whomever the line may tell of.
    fn of_all(&self, decided: &Decided, is_so: impl Fn(&Route, IpNet) -> bool) -> bool {
        let routes = self.snapshot.routes.iter();
        let route = routes.rev().find(|route| decided.route == route.name);
        let is_so = |network| route.is_some_and(|route| is_so(route, network));
        match self.senders.client {
            Known::Whole => true,
            Known::Network => shown_network(decided).is_some_and(is_so),
            Known::Nothing => {
                is_so(IpNet::V4(Ipv4Net::default())) && is_so(IpNet::V6(Ipv6Net::default()))
            }
        }
    }

    /// What the line says for sure of a decision of this very configuration.
    fn settle(&self, told: &mut Retold) {
        let line = self.request.line;
        let denied = line.rule.text().and_then(RuleId::parse);
        told.verdict = match (line.verdict.text(), denied) {
            (Some("deny"), Some(_)) => "deny",
            (Some("forward"), _) => "forward",
            _ => told.verdict,
        };
        if told.verdict != "reject" {
            (told.status, told.error) = (None, None);
        }
        told.rule = denied.map(RuleId::as_str);
        let watched = line.would_deny.lines();
        for rule in told
            .rules
            .iter_mut()
            .filter(|rule| rule.outcome == "undecided")
        {
            let id = RuleId::parse(rule.rule);
            let outcome = if id == denied {
                "deny"
            } else if watched.iter().any(|watched| watched == rule.rule) {
                "would_deny"
            } else if denied.is_none() || id < denied {
                "pass"
            } else {
                continue;
            };
            rule.outcome = outcome;
            rule.why = "so it was decided; what the rule went by is not all kept".to_owned();
        }
    }
}

fn decided(explanation: &Explanation) -> Option<&Decided> {
    match explanation {
        Explanation::Decided(decided) => Some(decided),
        Explanation::Rejected { .. } => None,
    }
}

/// The network of a client whose whole address is not known.
fn shown_network(decided: &Decided) -> Option<IpNet> {
    decided.client.parse().map(network_of).ok()
}

fn leave_open(rule: &mut ToldRule) {
    rule.outcome = "undecided";
    rule.why = "what the rule goes by is not all kept".to_owned();
}

impl Default for Retold {
    fn default() -> Self {
        Self {
            verdict: "undecided",
            rule: None,
            status: None,
            error: None,
            undecided: None,
            rules: Vec::new(),
            client: None,
            client_from: None,
            country: None,
            route: None,
        }
    }
}

impl Retold {
    fn undecided(why: Undecided) -> Self {
        Self {
            undecided: Some(why.open()),
            ..Self::default()
        }
    }
}
