//! How much of an address is told (`log.client_address`).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddrV4};

use ipnet::IpNet;

use crate::log::ClientAddressMode;
use crate::network::AddressText;

/// The address as `mode` shows it; `None`: not at all.
pub fn shown(address: IpAddr, mode: ClientAddressMode) -> Option<AddressText> {
    match mode {
        ClientAddressMode::Full => Some(AddressText::of(address)),
        ClientAddressMode::Prefix => Some(prefix(address)),
        ClientAddressMode::None => None,
    }
}

/// A line of a forwarding field as `mode` shows it: every address in it, in
/// whatever syntax, becomes its network.
pub fn shown_in_field(line: &[u8], mode: ClientAddressMode) -> Option<Cow<'_, [u8]>> {
    match mode {
        ClientAddressMode::Full => Some(line.into()),
        ClientAddressMode::Prefix => Some(with_prefixes(line).into()),
        ClientAddressMode::None => None,
    }
}

fn prefix(address: IpAddr) -> AddressText {
    let length = if address.is_ipv4() { 24 } else { 48 };
    let network = IpNet::new(address, length)
        .expect("24 and 48 are lengths of prefixes")
        .trunc();
    let mut text = AddressText::of(network.addr());
    write!(text, "/{length}").expect("there is room behind 45 bytes");
    text
}

fn with_prefixes(line: &[u8]) -> Vec<u8> {
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut out = Vec::with_capacity(line.len());
    for word in line.chunk_by(|a, b| is_address(a) == is_address(b)) {
        let text = std::str::from_utf8(word).unwrap_or("");
        let address = text.parse::<IpAddr>();
        let with_port = || {
            text.parse::<SocketAddrV4>()
                .map(|socket| IpAddr::V4(*socket.ip()))
        };
        match address.or_else(|_| with_port()) {
            Ok(address) => out.extend_from_slice(&prefix(address)),
            Err(_) => out.extend_from_slice(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        let shown = |line: &str| {
            let out = shown_in_field(line.as_bytes(), ClientAddressMode::Prefix).unwrap();
            String::from_utf8(out.into_owned()).unwrap()
        };
        assert_eq!(
            shown("203.0.113.9, 198.51.100.77:4711"),
            "203.0.113.0/24, 198.51.100.0/24"
        );
        assert_eq!(
            shown("for=\"[2001:db8:1:2::3]:80\";proto=https, for=unknown"),
            "for=\"[2001:db8:1::/48]:80\";proto=https, for=unknown"
        );
        assert_eq!(
            super::shown("203.0.113.9".parse().unwrap(), ClientAddressMode::None),
            None
        );
    }
}
