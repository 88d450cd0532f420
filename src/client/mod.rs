//! Who a request comes from (section 4): the peer, which a trusted proxy may
//! name by the PROXY protocol, or, if the peer itself is a trusted proxy, whom
//! the configured field names.

mod forwarded;
mod node;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::HeaderName;
use smallvec::SmallVec;

use crate::message::Scheme;
use crate::message::field::{self, Single};
use crate::message::fields::{Fields, Name};
use crate::network::{NetworkSet, canonical};

/// At most this many hops are read before the walk is given up.
const MAX_HOPS: usize = 100;

/// The canonical address of a connection's peer, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr {
    address: IpAddr,
    from: PeerFrom,
}

/// How the address of a peer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerFrom {
    /// It is the other end of the TCP connection.
    Connection,
    /// A PROXY header names it.
    Header,
    /// It is the other end, whose PROXY header names nobody.
    EmptyHeader,
}

impl PeerAddr {
    /// The other end of a connection, at `address`, made canonical.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: canonical(address),
            from: PeerFrom::Connection,
        }
    }

    /// The peer once this one has sent a PROXY header: whom that names, made
    /// canonical; else this one still, for whom exactly nobody knows.
    pub fn after_header(self, named: Option<IpAddr>) -> Self {
        match named {
            Some(address) => Self {
                address: canonical(address),
                from: PeerFrom::Header,
            },
            None => Self {
                from: PeerFrom::EmptyHeader,
                ..self
            },
        }
    }

    /// The canonical address.
    pub fn ip(self) -> IpAddr {
        self.address
    }

    /// Whether it sent a PROXY header that names nobody: then what it says in
    /// HTTP may be anyone's word.
    pub fn names_nobody(self) -> bool {
        self.from == PeerFrom::EmptyHeader
    }
}

/// The canonical address of the client, which access rules judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The client at `address`, made canonical.
    pub fn new(address: IpAddr) -> Self {
        Self(canonical(address))
    }

    /// The canonical address.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which field of a trusted peer names the client (`client.header`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressField {
    /// `x-forwarded-for`: a list, read from its right end.
    XForwardedFor,
    /// `forwarded` (RFC 7239), read from its right end.
    Forwarded,
    /// A field that holds one address, such as `cf-connecting-ip`.
    Single(HeaderName),
}

impl AddressField {
    /// The field that `client.header` names.
    pub fn new(name: HeaderName) -> Self {
        match name.as_str() {
            "x-forwarded-for" => Self::XForwardedFor,
            "forwarded" => Self::Forwarded,
            _ => Self::Single(name),
        }
    }

    /// The field's name.
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::XForwardedFor => Name::X_FORWARDED_FOR.name(),
            Self::Forwarded => Name::FORWARDED.name(),
            Self::Single(name) => name,
        }
    }
}

/// How the client's address was found (`client_from`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFrom {
    /// The TCP peer itself.
    Peer,
    /// The peer, whom a PROXY header names.
    ProxyProtocol,
    /// The configured field.
    Field,
    /// Whoever asked `explain` said so.
    Given,
}

impl ClientFrom {
    /// Whether the client is the peer itself.
    pub fn is_peer(self) -> bool {
        match self {
            Self::Peer | Self::ProxyProtocol => true,
            Self::Field | Self::Given => false,
        }
    }
}

/// The client of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: ClientAddr,
    /// How that was found.
    pub from: ClientFrom,
    /// The trusted hops between the client and the peer, the client's side
    /// first, the peer not included.
    pub hops: SmallVec<[IpAddr; 2]>,
    /// Whether the peer is one of `client.trusted_proxies`, and speaks for
    /// itself.
    pub peer_trusted: bool,
}

/// A single-address field that was repeated or held several addresses: 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client address field is repeated or holds more than one address")]
pub struct AmbiguousClient;

/// The `[client]` table, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRules {
    /// `client.trusted_proxies`; shared with whatever must never be exempt.
    pub trusted_proxies: Arc<NetworkSet>,
    /// `client.header`.
    pub field: AddressField,
    /// `client.proxy_protocol`.
    pub proxy_protocol: bool,
}

impl ClientRules {
    /// Works out the client of a request with these `headers` from `peer`.
    ///
    /// # Errors
    ///
    /// [`AmbiguousClient`] for a single-address field that names several.
    pub fn find(&self, peer: PeerAddr, headers: &Fields) -> Result<Client, AmbiguousClient> {
        let mut client = self.given(ClientAddr(peer.address), peer);
        client.from = match peer.from {
            PeerFrom::Header => ClientFrom::ProxyProtocol,
            PeerFrom::Connection | PeerFrom::EmptyHeader => ClientFrom::Peer,
        };
        if !client.peer_trusted {
            return Ok(client);
        }
        let found = match &self.field {
            AddressField::XForwardedFor => self.walk(
                entries_from_the_right(headers, Name::X_FORWARDED_FOR).map(node::address),
                &mut client.hops,
            ),
            AddressField::Forwarded => self.walk(
                forwarded::addresses_from_the_right(headers),
                &mut client.hops,
            ),
            AddressField::Single(name) => single_address(headers, name)?,
        };
        if let Some(address) = found {
            client.address = ClientAddr(address);
            client.from = ClientFrom::Field;
        }
        Ok(client)
    }

    /// The client when somebody names it (`explain --client`): `peer` then
    /// only decides whether forwarded fields are trusted.
    pub fn given(&self, address: ClientAddr, peer: PeerAddr) -> Client {
        Client {
            address,
            from: ClientFrom::Given,
            hops: SmallVec::new(),
            peer_trusted: !peer.names_nobody() && self.trusted_proxies.contains(peer.address),
        }
    }

    /// Whether a connection from `peer` has to begin with a PROXY header.
    pub fn expects_header(&self, peer: PeerAddr) -> bool {
        self.proxy_protocol && self.trusted_proxies.contains(peer.address)
    }

    /// The scheme of the request: the rightmost `X-Forwarded-Proto` of a
    /// trusted peer, or the connection's.
    pub fn scheme(&self, client: &Client, headers: &Fields, connection: Scheme) -> Scheme {
        if !client.peer_trusted {
            return connection;
        }
        entries_from_the_right(headers, Name::X_FORWARDED_PROTO)
            .next()
            .and_then(|entry| match entry {
                b"http" => Some(Scheme::Http),
                b"https" => Some(Scheme::Https),
                other => Scheme::parse(other),
            })
            .unwrap_or(connection)
    }

    /// Skips trusted hops; the first untrusted one is the client. What is
    /// not an address ends the walk at the last good hop.
    fn walk(
        &self,
        entries: impl Iterator<Item = Option<IpAddr>>,
        hops: &mut SmallVec<[IpAddr; 2]>,
    ) -> Option<IpAddr> {
        let mut last = None;
        for (read, entry) in entries.enumerate() {
            if read == MAX_HOPS {
                hops.clear();
                return None;
            }
            let Some(address) = entry.map(canonical) else {
                break;
            };
            if let Some(hop) = last.replace(address) {
                hops.insert(0, hop);
            }
            if !self.trusted_proxies.contains(address) {
                break;
            }
        }
        last
    }
}

/// The comma-separated entries of all lines of `name`, last one first. An
/// empty field is as good as none.
fn entries_from_the_right(headers: &Fields, name: Name) -> impl Iterator<Item = &[u8]> {
    let lines = headers.lines(name).rev();
    lines.flat_map(|line| field::entries(line).rev())
}

/// The address in a field that holds exactly one; `None` if it is missing or
/// is not an address.
fn single_address(headers: &Fields, name: &HeaderName) -> Result<Option<IpAddr>, AmbiguousClient> {
    match headers.single_of(name) {
        Single::Missing => Ok(None),
        Single::Several => Err(AmbiguousClient),
        Single::One(value) => {
            let words = value.split(|byte| matches!(byte, b',' | b';' | b' ' | b'\t'));
            if words.filter_map(node::address).nth(1).is_some() {
                return Err(AmbiguousClient);
            }
            Ok(node::address(value).map(canonical))
        }
    }
}

#[cfg(test)]
mod tests;
