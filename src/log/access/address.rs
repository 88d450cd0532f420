//! How much of an address is told (`log.client_address`).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddrV4};

use ipnet::IpNet;

use crate::log::ClientAddressMode;
use crate::network::AddressText;

/// What is told of an address that is written in an odd way: a node whose
/// address is not known (RFC 7239 section 6.1).
const HIDDEN: &[u8] = b"unknown";

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
        match address_in(text) {
            Some((address, rest)) => {
                out.extend_from_slice(&prefix(address));
                out.extend_from_slice(rest.as_bytes());
            }
            None if is_like_one(text) => out.extend_from_slice(HIDDEN),
            None => out.extend_from_slice(word),
        }
    }
    out
}

/// The address that a word is or begins with, and what is told of what stands
/// behind it: a port is not.
fn address_in(text: &str) -> Option<(IpAddr, &str)> {
    if let Ok(address) = text.parse() {
        return Some((address, ""));
    }
    if let Ok(socket) = text.parse::<SocketAddrV4>() {
        return Some((IpAddr::V4(*socket.ip()), ""));
    }
    // A port that is none of ours to read, or the end of a sentence.
    let end = text.find(':').unwrap_or(text.len());
    let host = text[..end].trim_end_matches('.');
    let address = host.parse().ok()?;
    Some((IpAddr::V4(address), &text[host.len()..]))
}

/// Whether a word may be an address that is written in an odd way.
fn is_like_one(text: &str) -> bool {
    let count = |mark: char| text.matches(mark).count();
    count('.') >= 3 || count(':') >= 2
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
        for (odd, told) in [
            ("for=\"203.0.113.129:_p\"", "for=\"203.0.113.0/24:_p\""),
            ("203.0.113.130:99999", "203.0.113.0/24:99999"),
            (
                "203.0.113.9:, 203.0.113.9.",
                "203.0.113.0/24:, 203.0.113.0/24.",
            ),
            ("203.0.113.009, a203.0.113.9", "unknown, unknown"),
            ("2001:db8::1::2 x", "unknown x"),
            ("cafe, 80, 1.2", "cafe, 80, 1.2"),
        ] {
            assert_eq!(shown(odd), told);
        }
        assert_eq!(
            super::shown("203.0.113.9".parse().unwrap(), ClientAddressMode::None),
            None
        );
    }
}
