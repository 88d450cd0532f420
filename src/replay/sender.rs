//! Who a request came from, as far as a line tells and another configuration
//! would have found out.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use smallvec::{SmallVec, smallvec};

use super::Undecided;
use super::request::{LoggedVerdict, Request, Sender};
use crate::client::{AddressField, ClientAddr, PeerAddr};
use crate::config::Snapshot;
use crate::message::Scheme;
use crate::network::{NetworkSet, parse_address};
use crate::plan::Arrival;

/// What is known of the configuration that wrote a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Writer<'a> {
    /// The field that its `forwarded` is.
    pub(super) field: Option<&'a str>,
    /// The configuration.
    pub(super) snapshot: Option<&'a Snapshot>,
    /// Whether that finds out who the client is just as the one does that is
    /// asked.
    pub(super) same_client: bool,
}

/// The ways in which a request may have come.
#[derive(Debug)]
pub(super) struct Senders<'l> {
    /// Never empty.
    pub(super) arrivals: SmallVec<[Arrival; 1]>,
    /// Why there are several, or why the client is not known.
    pub(super) why: Undecided,
    /// The lines of the client field, if they are read.
    pub(super) forwarded: Option<SmallVec<[Cow<'l, str>; 1]>>,
    /// How much of the client's address is known.
    pub(super) client: Known,
    /// Whether the scheme is.
    pub(super) scheme: bool,
}

/// How much of the client's address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// All of it.
    Whole,
    /// Its /24 or /48.
    Network,
    /// Nothing.
    Nothing,
}

impl<'l> Senders<'l> {
    /// How the request came, for `snapshot`.
    pub(super) fn of(
        request: &Request<'l>,
        snapshot: &Snapshot,
        writer: &Writer<'_>,
    ) -> Result<Self, Undecided> {
        let trusted = &snapshot.client.trusted_proxies;
        let (address, known) = match request.sender {
            Sender::At(address) => (address, Known::Whole),
            Sender::Within(network) if trusted.is_alike_within(network) => {
                (network.network(), Known::Network)
            }
            Sender::Within(_) | Sender::Anyone => {
                let believed = trusted.is_empty().then_some(false);
                return Self::anyone(request, snapshot, writer, believed, Undecided::Client);
            }
        };
        let peer = match request.line.client_from.text() {
            Some("proxy_protocol") => PeerAddr::new(address).after_header(Some(address)),
            _ => PeerAddr::new(address),
        };
        if !trusted.contains(peer.ip()) {
            return Ok(Self::by(
                request,
                snapshot,
                peer,
                known,
                Some(false),
                writer,
            ));
        }
        let field = snapshot.client.field.name().as_str();
        let lines = match writer.field == Some(field) && !request.line.forwarded.is_partial() {
            true => forwarded(request, trusted, known),
            false => None,
        };
        let Some(lines) = lines else {
            let why = Undecided::ClientField;
            return Self::anyone(request, snapshot, writer, Some(true), why);
        };
        let mut senders = Self::by(request, snapshot, peer, known, Some(true), writer);
        senders.forwarded = Some(lines);
        // A balancer's own check names nobody, and the log does not say so.
        let from = request.line.client_from.text();
        if snapshot.client.expects_header(peer) && from == Some("peer") {
            let silent = senders.arrivals.clone();
            let silent = silent.into_iter().map(|arrival| Arrival {
                peer: peer.after_header(None),
                ..arrival
            });
            senders.arrivals.extend(silent);
        }
        Ok(senders)
    }

    fn by(
        request: &Request<'l>,
        snapshot: &Snapshot,
        peer: PeerAddr,
        client: Known,
        believed: Option<bool>,
        writer: &Writer<'_>,
    ) -> Self {
        let schemes = schemes(request, peer, snapshot, believed, writer);
        let arrivals = schemes.iter().map(|scheme| Arrival::new(*scheme, peer));
        Self {
            arrivals: arrivals.collect(),
            why: match schemes.len() {
                1 => Undecided::Client,
                _ => Undecided::Scheme,
            },
            forwarded: None,
            client,
            scheme: schemes.len() == 1,
        }
    }

    /// From whom the line says, be it only a network; `None`: it does not say.
    fn as_logged(request: &Request<'l>) -> Option<Self> {
        let client = request.line.client.text()?;
        let (client, known) = match client.parse::<IpAddr>() {
            Ok(address) => (address, Known::Whole),
            Err(_) => (client.parse::<IpNet>().ok()?.network(), Known::Network),
        };
        let arrival = Arrival {
            given: Some(ClientAddr::new(client)),
            ..Arrival::new(request.scheme, PeerAddr::new(client))
        };
        Some(Self {
            arrivals: smallvec![arrival],
            why: Undecided::Client,
            forwarded: None,
            client: known,
            scheme: true,
        })
    }

    /// From anyone, if the line does not say from whom: decided only if it is
    /// all the same who.
    fn anyone(
        request: &Request<'l>,
        snapshot: &Snapshot,
        writer: &Writer<'_>,
        believed: Option<bool>,
        why: Undecided,
    ) -> Result<Self, Undecided> {
        let judged = request.verdict == LoggedVerdict::Judged;
        if judged
            && writer.same_client
            && let Some(senders) = Self::as_logged(request)
        {
            return Ok(senders);
        }
        let single = matches!(snapshot.client.field, AddressField::Single(_));
        if single && believed != Some(false) {
            // It may even have been answered 400.
            return Err(why);
        }
        let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let mut senders = Self::by(
            request,
            snapshot,
            PeerAddr::new(v4),
            Known::Nothing,
            believed,
            writer,
        );
        senders.why = why;
        let both = senders.arrivals.iter().flat_map(|arrival| {
            [v4, v6].map(|client| Arrival {
                given: Some(ClientAddr::new(client)),
                ..arrival.clone()
            })
        });
        senders.arrivals = both.collect();
        Ok(senders)
    }
}

/// The schemes that the request may have had. `believed`: whether what the
/// peer says of it counts.
fn schemes(
    request: &Request<'_>,
    peer: PeerAddr,
    snapshot: &Snapshot,
    believed: Option<bool>,
    writer: &Writer<'_>,
) -> SmallVec<[Scheme; 2]> {
    let was_believed = match (request.line.client_from.text(), writer.snapshot) {
        _ if request.verdict != LoggedVerdict::Judged => Some(false),
        (Some("peer" | "proxy_protocol"), Some(snapshot)) => {
            Some(snapshot.client.trusted_proxies.contains(peer.ip()))
        }
        (Some("peer" | "proxy_protocol") | None, _) => None,
        (Some(_), _) => Some(true),
    };
    let is_known = match (was_believed, believed) {
        (Some(before), Some(now)) => before == now,
        // Who is not believed now is taken not to have been then, if it can
        // have come so.
        (None, Some(false)) => is_served(snapshot, request.scheme),
        (_, None) | (None, Some(true)) => false,
    };
    let other = match request.scheme {
        Scheme::Http => Scheme::Https,
        Scheme::Https => Scheme::Http,
    };
    match is_known {
        true => smallvec![request.scheme],
        false => smallvec![request.scheme, other],
    }
}

/// Whether connections of that scheme come.
fn is_served(snapshot: &Snapshot, scheme: Scheme) -> bool {
    let server = &snapshot.server;
    match scheme {
        Scheme::Http => !server.listen.is_empty() || !server.redirect_https.is_empty(),
        Scheme::Https => server.tls.is_some(),
    }
}

/// The lines of the client field; `None`: they do not tell who is trusted.
fn forwarded<'l>(
    request: &Request<'l>,
    trusted: &NetworkSet,
    known: Known,
) -> Option<SmallVec<[Cow<'l, str>; 1]>> {
    let lines = request.line.forwarded.lines().iter();
    match known {
        Known::Whole => Some(lines.map(|line| Cow::Borrowed(&**line)).collect()),
        _ => lines
            .map(|line| with_addresses(line, trusted).map(Cow::Owned))
            .collect(),
    }
}

/// A line in which networks stand for addresses, with an address of each
/// network in its place; `None` if another address of it may be read another
/// way.
fn with_addresses(line: &str, trusted: &NetworkSet) -> Option<String> {
    let is_address = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_address(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        text.push_str(word);
        rest = after;
        if let Some(address) = parse_address(word.as_bytes()) {
            let (mark, length) = if address.is_ipv4() {
                ("/24", 24)
            } else {
                ("/48", 48)
            };
            rest = after.strip_prefix(mark)?;
            let network = IpNet::new(address, length).ok()?;
            // An IPv4 address may have been written as one of these.
            let hides_v4 = matches!(address, IpAddr::V6(v6) if matches!(v6.segments(), [0 | 0x64, 0 | 0xff9b, 0, ..]));
            if hides_v4 || !trusted.is_alike_within(network) {
                return None;
            }
        }
        let Some(next) = rest.chars().next() else {
            break;
        };
        if !is_address(next) {
            text.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_become_addresses() {
        let trusted: NetworkSet = ["10.0.0.0/8", "192.0.2.0/25"]
            .map(|text| text.parse::<IpNet>().unwrap())
            .into_iter()
            .collect();
        for (line, expected) in [
            ("203.0.113.0/24, 10.1.2.0/24", Some("203.0.113.0, 10.1.2.0")),
            (
                "for=\"[2001:db8:1::/48]:80\";by=_x",
                Some("for=\"[2001:db8:1::]:80\";by=_x"),
            ),
            ("unknown, \u{fc}", Some("unknown, \u{fc}")),
            ("", Some("")),
            // Half of it is trusted.
            ("192.0.2.0/24", None),
            // It may have been ::ffff:10.0.0.1.
            ("::/48", None),
            ("64:ff9b::/48", None),
            ("203.0.113.9", None),
        ] {
            assert_eq!(
                with_addresses(line, &trusted).as_deref(),
                expected,
                "{line}"
            );
        }
    }
}
