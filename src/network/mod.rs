//! Addresses and sets of networks.

use std::net::IpAddr;

use ipnet::IpNet;

/// An immutable set of networks; one lookup costs the same for a hundred
/// entries as for a million.
#[derive(Clone, Debug, Default)]
pub struct NetworkSet {}

impl NetworkSet {
    /// Whether `address`, which must be [`canonical`], is in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let _ = address;
        unimplemented!()
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
}

impl FromIterator<IpNet> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let _ = networks;
        unimplemented!()
    }
}

/// The one form of an address that everything compares (section 4).
pub fn canonical(address: IpAddr) -> IpAddr {
    let _ = address;
    unimplemented!()
}

/// Reads an address as written in a field or list; no zone id, no leading
/// zeros. Not yet canonical.
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let _ = text;
    unimplemented!()
}

/// A network as written in a configuration or list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenNetwork {
    /// The canonical network, host bits cut off.
    pub network: IpNet,
    /// Whether host bits were set (a warning).
    pub host_bits: bool,
}
