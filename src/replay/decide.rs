//! What a configuration would do with the request of a line.

use std::net::IpAddr;

use hyper::Method;
use ipnet::IpNet;

use super::Undecided;
use super::doubt::Doubts;
use super::line::Logged;
use super::request::{LoggedVerdict, Request};
use super::sender::{Known, Senders, Writer};
use crate::access::{Decision, RuleId, RuleIds};
use crate::config::{Route, Snapshot};
use crate::images::{Choice, Images, Variant};
use crate::plan::{Plan, Received, Reject};
use crate::route::{PathError, TargetError};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It passes.
    Forward,
    /// A rule denies it.
    Deny(RuleId),
    /// It is answered with that status before any rule sees it; `None`: its
    /// client went away before that.
    Reject(Option<u16>),
}

/// A request, decided.
#[derive(Debug)]
pub(super) struct Decided<'s> {
    pub(super) verdict: Verdict,
    pub(super) would_deny: RuleIds,
    /// `None`: no rule saw it.
    pub(super) route: Option<&'s Route>,
    /// The cache key without its variant; `None`: the line does not tell.
    pub(super) key: Option<String>,
    /// `None`: the line does not tell.
    pub(super) variant: Option<Variant>,
    /// `None`: the line does not tell.
    pub(super) client: Option<IpAddr>,
}

/// Whose images made the `Accept` of a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum AcceptOf<'a> {
    /// Nobody knows.
    Unknown,
    /// Those of the configuration that is asked.
    Own,
    /// These.
    Images(&'a Images),
}

/// What an `Accept` may say of the two formats.
const ACCEPTS: [Option<&str>; 9] = [
    None,
    Some("image/webp"),
    Some("image/avif"),
    Some("image/webp, image/avif"),
    Some("image/webp;q=0"),
    Some("image/avif;q=0"),
    Some("image/webp;q=0, image/avif"),
    Some("image/webp, image/avif;q=0"),
    Some("image/webp;q=0, image/avif;q=0"),
];

/// What `snapshot` does with the request, as far as its line tells.
pub(super) fn decide<'s>(
    snapshot: &'s Snapshot,
    request: &Request<'_>,
    doubts: &Doubts,
    writer: &Writer<'_>,
    accept: AcceptOf<'_>,
) -> Result<Decided<'s>, Undecided> {
    let senders = Senders::of(request, snapshot, writer)?;
    let field = snapshot.client.field.name().as_str();
    let forwarded = senders.forwarded.as_deref().map(|lines| (field, lines));
    let mut first: Option<Decided<'s>> = None;
    for guess in &doubts.guesses {
        let received = request.received(guess, forwarded);
        for arrival in &senders.arrivals {
            let plan = match Plan::new(snapshot, &received, arrival) {
                Ok(plan) => plan,
                Err(reject) => {
                    let status = rejected(request, reject)?;
                    agree(
                        &mut first,
                        Verdict::Reject(Some(status)),
                        &senders,
                        doubts,
                        || Decided::rejected(status),
                    )?;
                    continue;
                }
            };
            check(&plan, &senders, doubts)?;
            let would_deny = watched(&plan, doubts);
            let verdict = Verdict::from(plan.judgement.decision);
            agree(&mut first, verdict, &senders, doubts, || Decided {
                verdict,
                would_deny,
                route: Some(&snapshot.routes[plan.place]),
                key: senders.scheme.then(|| key(request, &plan)).flatten(),
                variant: variant(request, &plan, &received, accept),
                client: (senders.client != Known::Nothing).then(|| plan.client.address.ip()),
            })?;
            if let Some(first) = &mut first {
                first.would_deny = first.would_deny.and(would_deny);
            }
        }
    }
    first.ok_or(Undecided::Url)
}

/// Takes the first verdict, and holds all others to it.
fn agree<'s>(
    first: &mut Option<Decided<'s>>,
    verdict: Verdict,
    senders: &Senders<'_>,
    doubts: &Doubts,
    decided: impl FnOnce() -> Decided<'s>,
) -> Result<(), Undecided> {
    match first {
        Some(first) if first.verdict != verdict => Err(match senders.arrivals.len() {
            1 => doubts.why.unwrap_or(senders.why),
            _ => senders.why,
        }),
        Some(_) => Ok(()),
        None => {
            *first = Some(decided());
            Ok(())
        }
    }
}

/// The status of a rejection, unless it shows that the line does not tell what
/// was asked for.
fn rejected(request: &Request<'_>, reject: Reject) -> Result<u16, Undecided> {
    let by_policy = match reject {
        Reject::Target(TargetError::Path(PathError::ClimbsAboveRoot | PathError::Ambiguous)) => {
            true
        }
        Reject::Target(_) => false,
        Reject::Client(_)
        | Reject::NoPath
        | Reject::Method
        | Reject::Misdirected
        | Reject::Asterisk => true,
    };
    match by_policy || request.verdict != LoggedVerdict::Judged {
        true => Ok(reject.status().as_u16()),
        false => Err(Undecided::Url),
    }
}

/// Whether the decision would have been the same for all that the line leaves
/// open.
fn check(plan: &Plan<'_>, senders: &Senders<'_>, doubts: &Doubts) -> Result<(), Undecided> {
    let rules = &plan.route.rules;
    let alike = match senders.client {
        Known::Whole => true,
        Known::Network => rules.judges_alike(network_of(plan.client.address.ip())),
        Known::Nothing => {
            rules.judges_alike(IpNet::V4(ipnet::Ipv4Net::default()))
                && rules.judges_alike(IpNet::V6(ipnet::Ipv6Net::default()))
        }
    };
    if !alike {
        return Err(match senders.client {
            Known::Nothing => senders.why,
            _ => Undecided::Client,
        });
    }
    let denied = match plan.judgement.decision {
        Decision::Forward => None,
        Decision::Deny(rule) => Some(rule),
    };
    let open = || doubts.of_decision(plan.route, denied);
    match (!plan.judgement.exempt).then(open).flatten() {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// The network that the log shows of an address.
fn network_of(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length)
        .expect("24 and 48 are lengths of prefixes")
        .trunc()
}

/// The rules in shadow that would have denied it for sure.
fn watched(plan: &Plan<'_>, doubts: &Doubts) -> RuleIds {
    let mut rules = RuleIds::default();
    let sure = plan.judgement.would_deny.iter();
    sure.filter(|rule| doubts.tells(*rule))
        .for_each(|rule| rules.insert(rule));
    rules
}

/// The key without its variant.
fn key(request: &Request<'_>, plan: &Plan<'_>) -> Option<String> {
    if !request.has_query {
        return None;
    }
    let mut key = plan.route.key.key(&plan.target, Variant::Original);
    key.truncate(key.len() - Variant::Original.as_str().len() - 1);
    Some(key)
}

/// The variant, if the line tells it.
fn variant(
    request: &Request<'_>,
    plan: &Plan<'_>,
    received: &Received,
    made_by: AcceptOf<'_>,
) -> Option<Variant> {
    // Without `Accept`; where that plays no part, this is it.
    let choice = plan.choice();
    if choice.accept.is_none() {
        return Some(choice.variant);
    }
    let agent = &request.line.user_agent;
    let has_agent = !agent.is_partial() && !agent.may_be_raw();
    if plan.route.images.has_clients() && !has_agent {
        return None;
    }
    let choose = |images: &Images, accept: Option<&str>| {
        let fields = request.variant_fields(accept);
        let choice = images.choose(&received.method, plan.target.path.extension(), &fields);
        (choice.variant, sent(&choice))
    };
    let own = |accept| choose(&plan.route.images, accept).0;
    let writer = match made_by {
        AcceptOf::Unknown => None,
        AcceptOf::Own => Some(&*plan.route.images),
        AcceptOf::Images(images) => Some(images),
    };
    let writer = writer.filter(|images| has_agent || !images.has_clients());
    let made = writer.map(|images| choose(images, None).1.is_some());
    match sent_by_client(request, made) {
        Some(accept) => Some(own(accept)),
        None => {
            let mut variants = ACCEPTS
                .into_iter()
                .filter(|accept| {
                    writer.is_none_or(|images| is_logged(request, &choose(images, *accept)))
                })
                .map(own);
            let first = variants.next()?;
            variants.all(|variant| variant == first).then_some(first)
        }
    }
}

/// The `Accept` that the client sent, if that is what stands in the line.
/// `made`: whether the configuration that wrote it put one in its place.
fn sent_by_client<'l>(request: &'l Request<'_>, made: Option<bool>) -> Option<Option<&'l str>> {
    let line = request.line;
    if request.verdict != LoggedVerdict::Judged {
        return None;
    }
    let text = match &line.accept {
        Logged::Absent => return Some(None),
        accept if accept.is_partial() || accept.may_be_raw() => return None,
        accept => accept.text()?,
    };
    let fetched = matches!(request.method, Method::GET | Method::HEAD);
    let original = line.variant.text() == Some(Variant::Original.as_str());
    let is_own = match made {
        Some(made) => !made,
        // Of what is put in its place, only this goes with `original`.
        None => !fetched || original && text != "*/*",
    };
    is_own.then_some(Some(text))
}

/// Whether that is what the line has.
fn is_logged(request: &Request<'_>, (variant, accept): &(Variant, Option<String>)) -> bool {
    let line = request.line;
    line.variant.text() == Some(variant.as_str()) && line.accept.text() == accept.as_deref()
}

fn sent(choice: &Choice<'_>) -> Option<String> {
    let accept = choice.accept?;
    Some(String::from_utf8_lossy(accept.as_bytes()).into_owned())
}

impl Decided<'_> {
    fn rejected(status: u16) -> Self {
        Self {
            verdict: Verdict::Reject(Some(status)),
            would_deny: RuleIds::default(),
            route: None,
            key: None,
            variant: None,
            client: None,
        }
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Forward => Self::Forward,
            Decision::Deny(rule) => Self::Deny(rule),
        }
    }
}
