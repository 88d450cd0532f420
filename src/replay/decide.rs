//! What a configuration would do with the request of a line.

use std::cell::OnceCell;
use std::net::IpAddr;

use hyper::Method;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Undecided;
use super::doubt::Doubts;
use super::line::Logged;
use super::memo::Memo;
use super::request::{LoggedVerdict, Request, depends_on_policy};
use super::sender::{Known, Senders, Writer};
use crate::access::{Decision, RuleId, RuleIds};
use crate::config::{Route, Snapshot};
use crate::images::{Choice, Images, Variant};
use crate::plan::{Arrival, Asked, Plan, Received, Reject};

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
    /// The rules in shadow that would deny it for sure.
    pub(super) would_deny: RuleIds,
    /// Those, and the ones of which the line does not tell.
    pub(super) may_deny: RuleIds,
    /// `None`: no rule saw it.
    pub(super) route: Option<&'s Route>,
    /// The cache key without its variant, if it passes; `None`: the line does
    /// not tell.
    pub(super) key: Option<String>,
    /// If it passes; `None`: the line does not tell.
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

/// What a request asks for, kept for another configuration that reads that
/// alike.
#[derive(Debug, Default)]
pub(super) struct Once<'d>(OnceCell<(Arrival, bool, Result<Asked<'d>, Reject>)>);

impl<'d> Once<'d> {
    /// What `received` asks for, if it came just as the first did that was
    /// asked for here. All must be of one head and one table of clients.
    fn asked(
        &self,
        snapshot: &Snapshot,
        received: &'d Received,
        arrival: &Arrival,
    ) -> Option<Result<Asked<'d>, Reject>> {
        let merges = snapshot.server.merge_slashes;
        let read = || {
            let asked = Asked::read(snapshot, received, arrival);
            (arrival.clone(), merges, asked)
        };
        let (from, merged, asked) = self.0.get_or_init(read);
        (*merged == merges && from == arrival).then(|| asked.clone())
    }
}

/// What `snapshot` does with the request, as far as its line tells.
pub(super) fn decide<'s>(
    snapshot: &'s Snapshot,
    request: &Request<'_>,
    doubts: &Doubts,
    writer: &Writer<'_>,
    accept: AcceptOf<'_>,
    memo: &Memo,
) -> Result<Decided<'s>, Undecided> {
    decide_once(snapshot, request, doubts, writer, accept, memo, None)
}

/// The same with what was read for another one, if both read it alike.
pub(super) fn decide_once<'s, 'd>(
    snapshot: &'s Snapshot,
    request: &Request<'_>,
    doubts: &'d Doubts,
    writer: &Writer<'_>,
    accept: AcceptOf<'_>,
    memo: &Memo,
    once: Option<&Once<'d>>,
) -> Result<Decided<'s>, Undecided> {
    let trial = Trial {
        memo,
        snapshot,
        request,
        doubts,
        senders: Senders::of(request, snapshot, writer)?,
        accept,
        once,
    };
    trial.decide()
}

/// A configuration that is asked about a line.
struct Trial<'s, 'a, 'd, 'l> {
    snapshot: &'s Snapshot,
    request: &'a Request<'l>,
    doubts: &'d Doubts,
    senders: Senders<'l>,
    accept: AcceptOf<'a>,
    memo: &'a Memo,
    once: Option<&'a Once<'d>>,
}

impl<'s, 'd> Trial<'s, '_, 'd, '_> {
    /// What becomes of all requests that the line may tell of.
    fn decide(&self) -> Result<Decided<'s>, Undecided> {
        let field = self.snapshot.client.field.name();
        let forwarded = self.senders.forwarded.as_deref();
        let forwarded = forwarded.map(|lines| (field, lines));
        let mut first: Option<Decided<'s>> = None;
        for (place, guess) in self.doubts.guesses.iter().enumerate() {
            let made = match place {
                0 => self.doubts.head(self.request, forwarded),
                _ => None,
            };
            let own = made.is_none().then(|| {
                let forwarded = forwarded.map(|(field, lines)| (field.as_str(), lines));
                self.request.received(guess, forwarded)
            });
            for arrival in &self.senders.arrivals {
                let whole = first.is_none();
                let next = match (made, &own) {
                    (Some(made), _) => self.decide_one(made, self.plan(made, arrival), whole)?,
                    (None, Some(own)) => {
                        self.decide_one(own, Plan::new(self.snapshot, own, arrival), whole)?
                    }
                    (None, None) => return Err(Undecided::Url),
                };
                match &mut first {
                    Some(first) if first.verdict != next.verdict => return Err(self.why()),
                    Some(first) => {
                        first.would_deny = first.would_deny.and(next.would_deny);
                        first.may_deny = first.may_deny.or(next.may_deny);
                    }
                    None => first = Some(next),
                }
            }
        }
        first.ok_or(Undecided::Url)
    }

    /// The plan of the head that was made first.
    fn plan<'p>(&'p self, made: &'d Received, arrival: &Arrival) -> Result<Plan<'p>, Reject> {
        let once = self.once;
        match once.and_then(|once| once.asked(self.snapshot, made, arrival)) {
            Some(asked) => Plan::of(self.snapshot, made, asked?),
            None => Plan::new(self.snapshot, made, arrival),
        }
    }

    /// What becomes of one of them; `whole`: with key and variant.
    fn decide_one(
        &self,
        received: &Received,
        plan: Result<Plan<'_>, Reject>,
        whole: bool,
    ) -> Result<Decided<'s>, Undecided> {
        let plan = match plan {
            Ok(plan) => plan,
            Err(reject) => return self.rejected(reject),
        };
        self.check(&plan)?;
        let mut decided = Decided::of(Verdict::from(plan.judgement.decision));
        (decided.would_deny, decided.may_deny) =
            self.doubts.of_watched(plan.route, &plan.judgement);
        if whole {
            let known = self.senders.client != Known::Nothing;
            decided.client = known.then(|| plan.client.address.ip());
            decided.route = Some(&self.snapshot.routes[plan.place]);
        }
        // Nobody asks for those of a request that is denied.
        if whole && decided.verdict == Verdict::Forward {
            decided.key = self.key(&plan);
            decided.variant = self.variant(&plan, received);
        }
        Ok(decided)
    }

    /// Why requests that the line may tell of are decided differently.
    fn why(&self) -> Undecided {
        match self.senders.arrivals.len() {
            1 => self.doubts.why.unwrap_or(self.senders.why),
            _ => self.senders.why,
        }
    }

    /// A rejection, unless it shows that the line does not tell what was asked
    /// for.
    fn rejected(&self, reject: Reject) -> Result<Decided<'s>, Undecided> {
        match depends_on_policy(reject) || self.request.verdict != LoggedVerdict::Judged {
            true => Ok(Decided::of(Verdict::Reject(Some(reject.status().as_u16())))),
            false => Err(Undecided::Url),
        }
    }

    /// Whether the decision would have been the same for all that the line
    /// leaves open.
    fn check(&self, plan: &Plan<'_>) -> Result<(), Undecided> {
        let rules = &plan.route.rules;
        let is_alike = match self.senders.client {
            Known::Whole => true,
            Known::Network => rules.judges_alike(network_of(plan.client.address.ip())),
            Known::Nothing => {
                let everyone = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
                everyone.into_iter().all(|all| rules.judges_alike(all))
            }
        };
        if !is_alike {
            return Err(match self.senders.client {
                Known::Nothing => self.senders.why,
                Known::Whole | Known::Network => Undecided::Client,
            });
        }
        let denied = match plan.judgement.decision {
            Decision::Forward => None,
            Decision::Deny(rule) => Some(rule),
        };
        let open = match plan.judgement.exempt {
            true => None,
            false => self.doubts.of_decision(plan.route, denied),
        };
        open.map_or(Ok(()), Err)
    }

    /// The key without its variant.
    fn key(&self, plan: &Plan<'_>) -> Option<String> {
        if !self.request.has_query || !self.senders.scheme {
            return None;
        }
        let mut key = plan.route.key.key(&plan.target, Variant::Original);
        key.truncate(key.len() - Variant::Original.as_str().len() - 1);
        Some(key)
    }

    /// The variant, if the line tells it.
    fn variant(&self, plan: &Plan<'_>, received: &Received) -> Option<Variant> {
        let (line, images) = (self.request.line, &*plan.route.images);
        let writer = match self.accept {
            AcceptOf::Unknown => None,
            AcceptOf::Own => Some(images),
            AcceptOf::Images(images) => Some(images),
        };
        let extension = plan.target.path.extension();
        let varies = |images: &Images| images.varies(&received.method, extension);
        if !varies(images) {
            return Some(Variant::Original);
        }
        let tables = (
            std::ptr::from_ref(images),
            writer.map(|writer| (std::ptr::from_ref(writer), varies(writer))),
        );
        let logged = (&line.user_agent, &line.accept, &line.variant);
        let judged = self.request.verdict == LoggedVerdict::Judged;
        let on = (tables, logged, judged);
        let find = || self.find_variant(plan, received, writer);
        self.memo.variant(on, find)
    }

    fn find_variant(
        &self,
        plan: &Plan<'_>,
        received: &Received,
        writer: Option<&Images>,
    ) -> Option<Variant> {
        let (request, own) = (self.request, &*plan.route.images);
        let agent = &request.line.user_agent;
        let has_agent = !agent.is_partial() && !agent.may_be_raw();
        if own.has_clients() && !has_agent {
            return None;
        }
        let choose = |images: &Images, accept: Option<&str>| {
            let fields = request.variant_fields(accept);
            let choice = images.choose(&received.method, plan.target.path.extension(), &fields);
            (choice.variant, sent(&choice))
        };
        let writer = writer.filter(|images| has_agent || !images.has_clients());
        let made = writer.map(|images| choose(images, None).1.is_some());
        if let Some(accept) = sent_by_client(request, made) {
            return Some(choose(own, accept).0);
        }
        let is_possible = |images: &Images, accept| is_logged(request, &choose(images, accept));
        let mut variants = ACCEPTS
            .into_iter()
            .filter(|accept| writer.is_none_or(|images| is_possible(images, *accept)))
            .map(|accept| choose(own, accept).0);
        let first = variants.next()?;
        variants.all(|variant| variant == first).then_some(first)
    }
}

/// The network that the log shows of an address.
pub(super) fn network_of(address: IpAddr) -> IpNet {
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length)
        .expect("24 and 48 are lengths of prefixes")
        .trunc()
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
    fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            would_deny: RuleIds::default(),
            may_deny: RuleIds::default(),
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
