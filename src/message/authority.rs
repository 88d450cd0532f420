//! A host with an optional port, as it stands in a Host field, in an
//! absolute target or in an `Origin` field, in one normalised form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use smallvec::SmallVec;

use super::Scheme;

/// The longest host name there is (RFC 1035 section 2.3.4, without the root dot).
pub const MAX_HOST: usize = 253;

/// A host and port: lower case, without a trailing dot, an IPv6 address in
/// brackets and in its canonical text, a default port dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host; ASCII only.
    pub host: HostText<'a>,
    /// The port, if it is not the scheme's default.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; `None` for anything else, userinfo and bytes
    /// outside ASCII included.
    pub fn parse(text: &'a [u8], scheme: Scheme) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (host, port) = split_port(text)?;
        let port = match port {
            None | Some("") => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Some(Self {
            host: normalise_host(host)?,
            port: port.filter(|port| *port != scheme.default_port()),
        })
    }

    /// The port, also where it is the scheme's default.
    pub fn effective_port(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(scheme.default_port())
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> Authority<'static> {
        Authority {
            host: self.host.into_owned(),
            port: self.port,
        }
    }
}

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The text of a host: borrowed where it had its normal form, else kept in
/// place, which takes no allocation for hosts of a usual length.
#[derive(Clone, Debug)]
pub enum HostText<'a> {
    /// As it was written.
    Written(&'a str),
    /// In its normal form; ASCII only.
    Made(SmallVec<[u8; 64]>),
}

impl HostText<'_> {
    /// `host` in lower case.
    pub fn lowered(host: &str) -> HostText<'static> {
        let mut text = SmallVec::from_slice(host.as_bytes());
        text.make_ascii_lowercase();
        HostText::Made(text)
    }

    /// The same, owning its text.
    pub fn into_owned(self) -> HostText<'static> {
        match self {
            Self::Written(text) => HostText::Made(SmallVec::from_slice(text.as_bytes())),
            Self::Made(text) => HostText::Made(text),
        }
    }
}

impl Deref for HostText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Written(text) => text,
            Self::Made(text) => std::str::from_utf8(text).expect("made from text"),
        }
    }
}

impl PartialEq for HostText<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for HostText<'_> {}

impl<'a> From<&'a str> for HostText<'a> {
    fn from(text: &'a str) -> Self {
        Self::Written(text)
    }
}

/// Splits `host:port` and `[v6]:port`; the port is `None` without a colon.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let host_end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len())
    };
    match text[host_end..].strip_prefix(':') {
        Some(port) => Some((&text[..host_end], Some(port))),
        None if host_end == text.len() => Some((text, None)),
        None => None,
    }
}

/// A port in decimal digits, at most five of them.
pub fn parse_port(digits: &str) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The one form of a host that everything compares; `None` if it is not a
/// host. Borrows where `host` has that form already.
pub fn normalise_host(host: &str) -> Option<HostText<'_>> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        let text = format!("[{address}]");
        return Some(if text == host {
            host.into()
        } else {
            HostText::lowered(&text)
        });
    }
    let name = Name::scan(host.as_bytes())?;
    if name.end != host.len() {
        return None;
    }
    let host = &host[..name.host_end];
    // What ends in a number is an IPv4 address or nothing (WHATWG URL, "ends
    // in a number"): other spellings of an address would be other hosts.
    if name.numeric && ends_in_a_number(host) && host.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    Some(if name.upper {
        HostText::lowered(host)
    } else {
        host.into()
    })
}

/// A host name at the start of a text, seen in one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// Where the name ends, a trailing dot included.
    pub(crate) end: usize,
    /// Where it ends without a trailing dot.
    pub(crate) host_end: usize,
    /// Whether it has upper-case letters.
    pub(crate) upper: bool,
    /// Whether its last label starts with a digit.
    pub(crate) numeric: bool,
    /// Whether a label starts with `x`, as A-labels do.
    pub(crate) x_label: bool,
}

impl Name {
    /// Reads letters, digits, `-` and `_` in labels that are not empty;
    /// `None` if there is no such name or it is too long.
    pub(crate) fn scan(text: &[u8]) -> Option<Self> {
        let (mut label, mut at) = (0, 0);
        let (mut upper, mut x_label) = (false, false);
        while let Some(&byte) = text.get(at) {
            match NAME[usize::from(byte)] {
                STOP => break,
                DOT => {
                    if at == label {
                        return None;
                    }
                    x_label |= text[label] | 0x20 == b'x';
                    label = at + 1;
                }
                kind => upper |= kind == UPPER,
            }
            at += 1;
        }
        // One trailing dot is the root, not a label.
        let host_end = if label == at { at.checked_sub(1)? } else { at };
        if host_end == 0 || host_end > MAX_HOST {
            return None;
        }
        let last = if label == at {
            text[..host_end]
                .iter()
                .rposition(|byte| *byte == b'.')
                .map_or(0, |dot| dot + 1)
        } else {
            label
        };
        x_label |= text[last] | 0x20 == b'x';
        Some(Self {
            end: at,
            host_end,
            upper,
            numeric: text[last].is_ascii_digit(),
            x_label,
        })
    }
}

const STOP: u8 = 0;
const DOT: u8 = 1;
const UPPER: u8 = 2;
const OTHER: u8 = 3;

/// What a byte is in a host name.
static NAME: [u8; 256] = {
    let mut table = [STOP; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'.' => DOT,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => OTHER,
            _ => STOP,
        };
        byte += 1;
    }
    table
};

/// Whether the last label is digits only, or a hexadecimal number.
pub fn ends_in_a_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host).as_bytes();
    match last {
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        digits => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<String> {
        Authority::parse(text.as_bytes(), Scheme::Http).map(|a| a.to_string())
    }

    #[test]
    fn normalises() {
        for (given, expected) in [
            ("img.example.com", "img.example.com"),
            ("IMG.Example.com.", "img.example.com"),
            ("a.com:80", "a.com"),
            ("a.com:", "a.com"),
            ("a.com:0443", "a.com:443"),
            ("a_b-c.com:8080", "a_b-c.com:8080"),
            ("[::1]", "[::1]"),
            ("[0:0::1]:81", "[::1]:81"),
            ("127.0.0.1:80", "127.0.0.1"),
        ] {
            assert_eq!(parse(given).as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a.b..",
            "a b",
            "user@a.com",
            "a.com:x",
            "a.com:65536",
            "a.com:1:2",
            "m\u{fc}nchen.de",
            "a%2eb",
            "a/b",
            "[::1",
            "::1",
            "[::1%25eth0]",
            "[::1]x",
            "127.1",
            "0x7f.1",
            "1.2.3.04",
            "a.com:+80",
            "*.a.com",
            "a,b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("{}a", "a.".repeat(127))), None);
        assert!(parse(&format!("{}a", "a.".repeat(126))).is_some());
    }

    #[test]
    fn the_default_port_is_the_schemes() {
        let port = |text: &'static [u8], scheme| Authority::parse(text, scheme).map(|a| a.port);
        assert_eq!(port(b"a:443", Scheme::Https), Some(None));
        assert_eq!(port(b"a:443", Scheme::Http), Some(Some(443)));
    }
}
