//! All that is known before a byte goes to the origin, as a pure function of
//! the request head, the peer and a snapshot. The proxy, `explain` and the
//! `[[test]]`s call this one function, so they cannot disagree.

mod explain;
mod policy_test;
mod question;
mod reject;
mod written;

pub use explain::{Decided, Explanation, ToldRule, client_from, field_text};
pub use policy_test::{TestFailure, run_tests};
pub use question::{Question, QuestionError};
pub use reject::Reject;
pub use written::read_request;

use hyper::http::uri::PathAndQuery;
use hyper::{Method, Uri};
use smallvec::SmallVec;

use crate::access::{Judgement, RequestHead};
use crate::client::{Client, ClientAddr, PeerAddr};
use crate::config::{Route, Snapshot};
use crate::images::Choice;
use crate::message::authority::Authority;
use crate::message::fields::Fields;
use crate::message::{Scheme, connection};
use crate::network::AddressText;
use crate::route::Target;

/// A request head as received, without the fields that Connection names.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The request target.
    pub uri: Uri,
    /// The fields that are left.
    pub headers: Fields,
}

impl Received {
    /// Takes a head as parsed; the fields named by Connection go first of
    /// all, so that nothing reads them.
    pub fn new(method: Method, uri: Uri, headers: impl Into<Fields>) -> Self {
        let mut headers = headers.into();
        connection::remove_named(&mut headers);
        Self {
            method,
            uri,
            headers,
        }
    }
}

/// How a request reached us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The connection's scheme.
    pub scheme: Scheme,
    /// The peer.
    pub peer: PeerAddr,
    /// The client, if somebody names it instead of the request.
    pub given: Option<ClientAddr>,
    /// The host of a request that may name none (HTTP/1.0).
    pub fallback: Option<Authority<'static>>,
    /// Where https is spoken, if that is all that is said to who may pass.
    pub https_port: Option<u16>,
}

impl Arrival {
    /// By a connection from `peer`.
    pub fn new(scheme: Scheme, peer: PeerAddr) -> Self {
        Self {
            scheme,
            peer,
            given: None,
            fallback: None,
            https_port: None,
        }
    }
}

/// Who sent a request, and what it asks for.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Who it comes from.
    pub client: Client,
    /// What it asks for.
    pub target: Target<'a>,
}

impl<'a> Asked<'a> {
    /// Reads a request. Of `snapshot`, this depends on the client table and on
    /// `server.merge_slashes` alone.
    ///
    /// # Errors
    ///
    /// [`Reject`] for what no rule gets to see.
    #[inline]
    pub fn read(
        snapshot: &Snapshot,
        received: &'a Received,
        arrival: &Arrival,
    ) -> Result<Self, Reject> {
        let Received {
            method,
            uri,
            headers,
        } = received;
        if matches!(*method, Method::TRACE | Method::CONNECT) {
            return Err(Reject::Method);
        }
        let client = match arrival.given {
            Some(client) => snapshot.client.given(client, arrival.peer),
            None => snapshot.client.find(arrival.peer, headers)?,
        };
        let scheme = snapshot.client.scheme(&client, headers, arrival.scheme);
        let merge_slashes = snapshot.server.merge_slashes;
        let fallback = arrival.fallback.clone();
        let target = Target::read(uri, headers, scheme, fallback, merge_slashes)?;
        Ok(Self { client, target })
    }
}

/// What is to be done with a request.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Who it comes from.
    pub client: Client,
    /// What it asks for.
    pub target: Target<'a>,
    /// The route it is on.
    pub route: &'a Route,
    /// Its place among the routes of the snapshot.
    pub place: usize,
    /// Whether it may pass.
    pub judgement: Judgement,
    received: &'a Received,
}

impl<'a> Plan<'a> {
    /// Plans a request: client, host and path, route, decision.
    ///
    /// # Errors
    ///
    /// [`Reject`] for what no rule gets to see.
    pub fn new(
        snapshot: &'a Snapshot,
        received: &'a Received,
        arrival: &Arrival,
    ) -> Result<Self, Reject> {
        let asked = Asked::read(snapshot, received, arrival)?;
        Self::of(snapshot, received, asked)
    }

    /// Plans a request that was read: route, decision.
    ///
    /// # Errors
    ///
    /// [`Reject`] for what no rule gets to see.
    #[inline]
    pub fn of(
        snapshot: &'a Snapshot,
        received: &'a Received,
        Asked { client, target }: Asked<'a>,
    ) -> Result<Self, Reject> {
        let Received {
            method, headers, ..
        } = received;
        let host = &*target.authority.host;
        let hosts = &snapshot.server.hosts;
        if !hosts.is_empty() && !hosts.iter().any(|pattern| pattern.matches(host)) {
            return Err(Reject::Misdirected);
        }
        if target.is_asterisk() {
            return Err(if *method == Method::OPTIONS {
                Reject::Asterisk
            } else {
                Reject::NoPath
            });
        }
        let place = snapshot.place(snapshot.matcher.find(host, &target.path)?);
        let route = &snapshot.routes[place];
        if !route.origin.methods.contains(method) {
            return Err(Reject::Method);
        }
        let head = RequestHead {
            method,
            headers,
            scheme: target.scheme,
            authority: &target.authority,
            path: &target.path,
        };
        let judgement = route.rules.decide(&head, client.address)?;
        Ok(Self {
            client,
            target,
            route,
            place,
            judgement,
            received,
        })
    }

    /// The head that access rules see.
    pub fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.received.method,
            headers: &self.received.headers,
            scheme: self.target.scheme,
            authority: &self.target.authority,
            path: &self.target.path,
        }
    }

    /// The variant and the canonical `Accept`.
    pub fn choice(&self) -> Choice<'a> {
        let extension = self.target.path.extension();
        self.route
            .images
            .choose(&self.received.method, extension, &self.received.headers)
    }

    /// The cache key for that choice.
    pub fn cache_key(&self, choice: &Choice<'_>) -> String {
        self.route.key.key(&self.target, choice.variant)
    }

    /// What the origin is asked for: its own prefix, the path, the query.
    pub fn origin_target(&self) -> String {
        let target = self.route.key.target(&self.target);
        match self.route.origin.url.prefix.as_str() {
            "" => target,
            prefix => [prefix, &target].concat(),
        }
    }

    /// The same place by https, at `port`.
    pub fn https_url(&self, port: u16) -> String {
        let host = &*self.target.authority.host;
        let path = self.received.uri.path_and_query();
        let path = path.map_or("/", PathAndQuery::as_str);
        match port {
            443 => format!("https://{host}{path}"),
            port => format!("https://{host}:{port}{path}"),
        }
    }

    /// The same as it is sent; `None`: it is too long for a request line. Most
    /// are what they were, and need not be made anew.
    pub fn origin_uri(&self) -> Option<Uri> {
        let uri = &self.received.uri;
        let same = uri.authority().is_none()
            && self.route.origin.url.prefix.is_empty()
            && uri
                .path_and_query()
                .is_some_and(|own| self.route.key.keeps_target(&self.target, own.as_str()));
        match same {
            true => Some(uri.clone()),
            false => Uri::try_from(self.origin_target()).ok(),
        }
    }

    /// `X-Forwarded-For` for the origin: the client, the hops to its right,
    /// and the peer. What stood left of the client was written by strangers.
    pub fn forwarded_for(&self, peer: PeerAddr) -> SmallVec<[u8; 96]> {
        let mut text = SmallVec::<[u8; 96]>::from_slice(&AddressText::of(self.client.address.ip()));
        let peer = (!self.client.from.is_peer()).then(|| peer.ip());
        for hop in self.client.hops.iter().copied().chain(peer) {
            text.extend_from_slice(b", ");
            text.extend_from_slice(&AddressText::of(hop));
        }
        text
    }
}
