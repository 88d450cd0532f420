//! The PROXY protocol, versions 1 and 2, by HAProxy's `proxy-protocol.txt`:
//! what a proxy says first on a connection, of the one whom it is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memchr;

use crate::network::parse_address;

/// The longest header that is read, in bytes. One that holds addresses alone
/// has 232 at most; the rest is for what else a proxy may tell (TLVs), such as
/// the names in a client's certificate.
pub const MOST: usize = FIXED + 4096;

/// The longest header of version 1, its CRLF included (section 2.1).
const LONGEST_TEXT: usize = 107;

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The part of a header of version 2 that every one has (section 2.2):
/// signature, version and command, family and transport, length of the rest.
const FIXED: usize = 16;

/// A header that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// In bytes; what stands behind is the client's.
    pub length: usize,
    /// Whom the connection is for; `None`: that has no IP address, or the
    /// proxy speaks for itself (UNKNOWN, LOCAL, UNSPEC, a Unix socket).
    pub source: Option<IpAddr>,
}

/// Why the start of a connection is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// It begins with something else.
    #[error("it does not begin with a PROXY header")]
    Absent,
    /// It begins like one.
    #[error("its PROXY header is malformed")]
    Malformed,
    /// Over [`MOST`], or 107 bytes in version 1.
    #[error("its PROXY header is longer than 107 bytes (version 1) or {MOST} (version 2)")]
    TooLong,
}

/// Reads the header at the start of `bytes`. `None`: more of it is needed,
/// and all of `bytes` belongs to it; never for [`MOST`] bytes or more.
///
/// # Errors
///
/// [`BadHeader`], for all that can still follow.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    if begins(bytes, TEXT) {
        text(bytes)
    } else if begins(bytes, BINARY) {
        binary(bytes)
    } else {
        Err(BadHeader::Absent)
    }
}

/// Whether `bytes` begin with `signature`, or with a part and more may come.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let length = bytes.len().min(signature.len());
    bytes[..length] == signature[..length]
}

fn text(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    let within = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let Some(end) = memchr(b'\n', within) else {
        return match bytes.len() {
            ..LONGEST_TEXT => Ok(None),
            _ => Err(BadHeader::TooLong),
        };
    };
    let line = within[..end].strip_prefix(TEXT);
    let line = line.and_then(|line| line.strip_suffix(b"\r"));
    Ok(Some(Header {
        length: end + 1,
        source: text_source(line.ok_or(BadHeader::Malformed)?)?,
    }))
}

/// `TCP4 source target port port`, one blank between each two.
fn text_source(line: &[u8]) -> Result<Option<IpAddr>, BadHeader> {
    let mut words = line.split(|byte| *byte == b' ');
    let is_family = match words.next() {
        Some(b"TCP4") => IpAddr::is_ipv4,
        Some(b"TCP6") => IpAddr::is_ipv6,
        // What follows it says nothing.
        Some(b"UNKNOWN") => return Ok(None),
        _ => return Err(BadHeader::Malformed),
    };
    let mut word = || words.next().unwrap_or_default();
    let [source, target] = [word(), word()].map(|word| parse_address(word).filter(is_family));
    let ports = [word(), word()];
    let valid = target.is_some() && ports.into_iter().all(is_port) && words.next().is_none();
    match source.filter(|_| valid) {
        None => Err(BadHeader::Malformed),
        source => Ok(source),
    }
}

/// 0 to 65535, without zeros in front.
fn is_port(text: &[u8]) -> bool {
    match text {
        b"0" => true,
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            let port = str::from_utf8(text).ok().map(str::parse::<u16>);
            port.is_some_and(|port| port.is_ok())
        }
        _ => false,
    }
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, BadHeader> {
    let Some([.., command, family, high, low]) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let length = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > MOST {
        return Err(BadHeader::TooLong);
    }
    let Some(block) = bytes.get(FIXED..length) else {
        return Ok(None);
    };
    let source = match *command {
        // LOCAL: whatever else it says, the proxy speaks for itself.
        0x20 => None,
        0x21 => binary_source(*family, block)?,
        _ => return Err(BadHeader::Malformed),
    };
    Ok(Some(Header { length, source }))
}

/// The first of the two addresses at the start of `block`. A transport other
/// than TCP is how the client came to the proxy (HTTP/3), and is no less its
/// address.
fn binary_source(family: u8, block: &[u8]) -> Result<Option<IpAddr>, BadHeader> {
    let source = match family {
        0x00 => return Ok(None),
        0x11 | 0x12 => block
            .first_chunk::<12>()
            .and_then(|block| block.first_chunk::<4>())
            .map(|octets| IpAddr::from(Ipv4Addr::from(*octets))),
        0x21 | 0x22 => block
            .first_chunk::<36>()
            .and_then(|block| block.first_chunk::<16>())
            .map(|octets| IpAddr::from(Ipv6Addr::from(*octets))),
        0x31 | 0x32 if block.len() >= 216 => return Ok(None),
        _ => None,
    };
    source.ok_or(BadHeader::Malformed).map(Some)
}

#[cfg(test)]
mod tests;
