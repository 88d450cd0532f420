//! What is kept of a denial while the access log is off.

use hyper::{Method, Version};

use super::Seen;
use crate::access::country::CountryCode;
use crate::access::{Decision, RuleId};
use crate::client::{AddressField, ClientFrom};
use crate::log::ClientAddressMode;
use crate::log::access::{Country, Facts, Keeper, Kind, Sink, shown_in_field};
use crate::message::Scheme;
use crate::message::fields::{Name, Names};
use crate::plan::{Plan, Received, client_from};

/// The fields that are kept whatever the request.
const KEPT: [(Kind, Name); 7] = [
    (Kind::Accept, Name::ACCEPT),
    (Kind::UserAgent, Name::USER_AGENT),
    (Kind::Referer, Name::REFERER),
    (Kind::Origin, Name::ORIGIN),
    (Kind::SecFetchSite, Name::SEC_FETCH_SITE),
    (Kind::SecFetchMode, Name::SEC_FETCH_MODE),
    (Kind::SecFetchDest, Name::SEC_FETCH_DEST),
];

/// Names that mostly have one line.
const SINGLE: Names = Names::of(&[
    Name::X_FORWARDED_FOR,
    Name::ACCEPT,
    Name::USER_AGENT,
    Name::REFERER,
    Name::ORIGIN,
    Name::SEC_FETCH_SITE,
    Name::SEC_FETCH_MODE,
    Name::SEC_FETCH_DEST,
]);

impl Seen<'_> {
    /// Keeps what its line would be made from; a line itself costs twice that.
    #[inline(never)]
    pub(super) fn keep(&self, plan: &Plan<'_>, keeper: &Keeper) {
        let rule = match plan.judgement.decision {
            Decision::Forward => None,
            Decision::Deny(rule) => Some(rule as u8),
        };
        let snapshot = self.snapshot;
        let facts = Facts {
            reference: self.reference.as_bytes(),
            generation: snapshot.generation,
            mode: snapshot.log.client_address,
            peer: self.arrival.peer.ip(),
            client: plan.client.address.ip(),
            rule,
            would_deny: plan.judgement.would_deny.bits(),
            https: plan.target.scheme == Scheme::Https,
            version: match self.version {
                Version::HTTP_10 => 10,
                Version::HTTP_2 => 20,
                _ => 11,
            },
            method: match self.received.method {
                Method::GET => Some(0),
                Method::HEAD => Some(1),
                Method::POST => Some(2),
                Method::OPTIONS => Some(3),
                _ => None,
            },
            client_from: match (plan.client.from, &snapshot.client.field) {
                (ClientFrom::Peer, _) => Some(0),
                (ClientFrom::ProxyProtocol, _) => Some(1),
                (ClientFrom::Field, AddressField::XForwardedFor) => Some(2),
                _ => None,
            },
            client_header: match snapshot.client.field {
                AddressField::XForwardedFor => Some(0),
                AddressField::Forwarded | AddressField::Single(_) => None,
            },
            country: country(plan),
        };
        keeper.facts(&facts, |sink| self.put_texts(plan, &facts, sink));
    }

    #[inline]
    fn put_texts(&self, plan: &Plan<'_>, facts: &Facts<'_>, sink: &mut Sink<'_>) {
        let headers = &self.received.headers;
        let (authority, target) = self.url();
        sink.first(Kind::Authority, Some(&authority));
        sink.first(Kind::Target, Some(target));
        sink.first(Kind::Route, Some(plan.route.name.as_bytes()));
        // What it takes to find a name is known of this one.
        let is_plain = facts.mode == ClientAddressMode::Full
            && matches!(self.snapshot.client.field, AddressField::XForwardedFor);
        if is_plain {
            sink.first(Kind::Forwarded, headers.first(Name::X_FORWARDED_FOR));
        }
        for (kind, name) in KEPT {
            sink.first(kind, headers.first(name));
        }
        let is_usual = is_plain && facts.method.is_some() && facts.client_from.is_some();
        if !is_usual || headers.repeats_any(SINGLE) || self.received.method == Method::OPTIONS {
            self.put_lines(plan, facts, is_plain, sink);
        }
    }

    /// The lines beyond the first of each kind, and what few requests have.
    #[cold]
    fn put_lines(&self, plan: &Plan<'_>, facts: &Facts<'_>, plain: bool, sink: &mut Sink<'_>) {
        let Received {
            method, headers, ..
        } = self.received;
        let field = self.snapshot.client.field.name();
        let forwarded = headers.lines_of(field).skip(usize::from(plain));
        let shown = forwarded.filter_map(|line| shown_in_field(line, facts.mode));
        shown.for_each(|line| sink.line(Kind::Forwarded, &line));
        for (kind, name) in KEPT {
            let others = headers.lines(name).skip(1);
            others.for_each(|line| sink.line(kind, line));
        }
        if facts.method.is_none() {
            sink.line(Kind::Method, method.as_str().as_bytes());
        }
        if facts.client_from.is_none() {
            let from = client_from(self.snapshot, plan.client.from);
            sink.line(Kind::ClientFrom, from.as_bytes());
        }
        if facts.client_header.is_none() {
            sink.line(Kind::ClientHeader, field.as_str().as_bytes());
        }
        let asked = headers.lines(Name::ACCESS_CONTROL_REQUEST_METHOD);
        let asked = asked.filter(|_| *method == Method::OPTIONS);
        asked.for_each(|line| sink.line(Kind::RequestMethod, line));
    }
}

/// The client's country, where a rule has gone by it: another configuration
/// would not find the same one, nor would the part of an address. A search costs
/// a fiftieth of a denial.
fn country(plan: &Plan<'_>) -> Country {
    let judgement = &plan.judgement;
    let went_by =
        |rule| judgement.decision == Decision::Deny(rule) || judgement.would_deny.contains(rule);
    match plan.route.rules.geo() {
        None => Country::Found(None),
        Some(geo) if went_by(RuleId::GeoBlock) || went_by(RuleId::GeoAllow) => {
            let found = geo.country(plan.client.address);
            Country::Found(found.map(CountryCode::letters))
        }
        Some(_) => Country::Unasked,
    }
}
