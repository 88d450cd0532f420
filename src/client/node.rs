//! One address as proxies write it: bare, or with a port.

use std::net::IpAddr;

use crate::network::parse_address;

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:4711`; `None` for everything else.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if text.first() == Some(&b'[') {
        return bracketed(text, is_port);
    }
    match text.iter().position(|byte| *byte == b':') {
        // One colon: IPv4 and port. More: IPv6, which has no port without brackets.
        Some(colon) if !text[colon + 1..].contains(&b':') => {
            let address = parse_address(&text[..colon]).filter(IpAddr::is_ipv4)?;
            is_port(&text[colon + 1..]).then_some(address)
        }
        _ => parse_address(text),
    }
}

/// A `node` of RFC 7239 section 6: IPv6 only in brackets, the port may be
/// obfuscated; `unknown` and `_hidden` are not addresses.
pub(super) fn forwarded_node(text: &[u8]) -> Option<IpAddr> {
    if text.first() == Some(&b'[') {
        return bracketed(text, is_node_port);
    }
    let colon = text.iter().position(|byte| *byte == b':');
    let (address, port) = text.split_at(colon.unwrap_or(text.len()));
    let address = parse_address(address).filter(IpAddr::is_ipv4)?;
    (port.is_empty() || is_node_port(&port[1..])).then_some(address)
}

fn bracketed(text: &[u8], is_port: fn(&[u8]) -> bool) -> Option<IpAddr> {
    let end = text.iter().position(|byte| *byte == b']')?;
    let address = parse_address(&text[1..end]).filter(IpAddr::is_ipv6)?;
    match &text[end + 1..] {
        [] => Some(address),
        [b':', port @ ..] if is_port(port) => Some(address),
        _ => None,
    }
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

fn is_node_port(text: &[u8]) -> bool {
    let obfuscated = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    match text {
        [b'_', rest @ ..] => !rest.is_empty() && rest.iter().all(obfuscated),
        _ => is_port(text),
    }
}
