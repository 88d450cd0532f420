//! What is wrong with a text that should be a network, and the likely fix.

use std::net::{AddrParseError, IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpSubnets, Ipv4Net, Ipv4Subnets};
use thiserror::Error;

/// Characters of a text that a message shows.
const SHOWN: usize = 60;

/// Networks of a range that a message shows.
const MAX_CIDRS: usize = 8;

const AN_EXAMPLE: &str = "such as 192.0.2.0/24";

/// Why a text is not a network. `found` is the text, cut and escaped for
/// showing; `fix` is what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Nothing there.
    #[error("an empty entry: an address or CIDR is needed, such as 192.0.2.1 or 192.0.2.0/24")]
    Empty,
    /// What stands after the `/` is not a number up to the address's length.
    #[error("`{found}`: the prefix of an {family} network is a number from 0 to {max}{hint}")]
    Prefix {
        /// The text.
        found: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// Bits of an address.
        max: u8,
        /// Empty, or what was probably meant.
        hint: String,
    },
    /// `10.0.0.0/255.255.255.0`.
    #[error("`{found}`: a prefix is written as its length, not as a mask: write {fix}")]
    Mask {
        /// The text.
        found: String,
        /// The CIDR.
        fix: String,
    },
    /// `010.0.0.1`.
    #[error(
        "`{found}`: leading zeros are not allowed (some programs read them as octal): did you mean {fix}?"
    )]
    LeadingZero {
        /// The text.
        found: String,
        /// The address without them.
        fix: Ipv4Addr,
    },
    /// Digits and dots, but not four numbers.
    #[error("`{found}`: an IPv4 address has four numbers{hint}")]
    NotFourNumbers {
        /// The text.
        found: String,
        /// Empty, or what was probably meant.
        hint: String,
    },
    /// `1.2.3.256`.
    #[error("`{found}`: the numbers of an IPv4 address go up to 255")]
    NumberTooLarge {
        /// The text.
        found: String,
    },
    /// `10.0.0.*`.
    #[error("`{found}`: wildcards are not addresses: write {fix}")]
    Wildcard {
        /// The text.
        found: String,
        /// The CIDR, or how one is written.
        fix: String,
    },
    /// `10.0.0.1-10.0.0.9`.
    #[error("`{found}`: ranges are not allowed: write CIDRs, {fix}")]
    Range {
        /// The text.
        found: String,
        /// The CIDRs of the range, or how one is written.
        fix: String,
    },
    /// `fe80::1%eth0`.
    #[error("`{found}`: a zone id is not part of an address: write {fix}")]
    Zone {
        /// The text.
        found: String,
        /// The address without it.
        fix: String,
    },
    /// `1.2.3.4:80`, `[::1]`.
    #[error("`{found}`: an address stands without port and brackets: write {fix}")]
    Port {
        /// The text.
        found: String,
        /// The address alone.
        fix: IpAddr,
    },
    /// `img.example.com`.
    #[error("`{found}`: a host name is not an address: write the addresses it stands for")]
    HostName {
        /// The text.
        found: String,
    },
    /// An IPv4-mapped network shorter than /96.
    #[error(
        "`{found}`: an IPv4-mapped network shorter than /96 holds more than IPv4: write the IPv4 network, or the IPv6 network without ::ffff"
    )]
    MappedTooShort {
        /// The text.
        found: String,
    },
    /// NAT64 with addresses that are IPv4 and ones that are not.
    #[error(
        "`{found}`: of this NAT64 network some addresses are compared as IPv4 and some are not: write the IPv4 networks"
    )]
    Nat64Mixed {
        /// The text.
        found: String,
    },
    /// Blanks inside.
    #[error("`{found}`: one entry holds one address or CIDR")]
    SeveralWords {
        /// The text.
        found: String,
    },
    /// Anything else.
    #[error("`{found}`: not an address or CIDR, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")]
    NotANetwork {
        /// The text.
        found: String,
    },
}

impl NetworkError {
    pub(super) fn nat64_mixed(text: &str) -> Self {
        Self::Nat64Mixed { found: shown(text) }
    }

    pub(super) fn mapped_too_short(text: &str) -> Self {
        Self::MappedTooShort { found: shown(text) }
    }
}

/// The start of `text`, fit for a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Why `address`, which stands before the `/` of `text`, is not one.
#[cold]
pub(super) fn explain_address(address: &str, text: &str) -> NetworkError {
    if text.is_empty() {
        return NetworkError::Empty;
    }
    explain_notation(address, text)
        .or_else(|| explain_numbers(address, text))
        .unwrap_or_else(|| explain_words(address, text))
}

/// Why `prefix`, which stands behind the `/` of `text`, is not one.
#[cold]
pub(super) fn explain_prefix(prefix: &str, address: IpAddr, text: &str) -> NetworkError {
    let found = shown(text);
    if let (IpAddr::V4(v4), Some(length)) = (address, mask_length(prefix)) {
        let fix = format!("{v4}/{length}");
        return NetworkError::Mask { found, fix };
    }
    let (family, max) = if address.is_ipv4() {
        ("IPv4", 32)
    } else {
        ("IPv6", 128)
    };
    let unpadded = prefix.trim_start_matches('0').parse::<u8>();
    let hint = match unpadded {
        Ok(length) if prefix.starts_with('0') && length <= max => {
            format!(" without leading zeros: did you mean {address}/{length}?")
        }
        _ => String::new(),
    };
    NetworkError::Prefix {
        found,
        family,
        max,
        hint,
    }
}

/// Notations of other programs: wildcards, ranges, zones, ports.
fn explain_notation(address: &str, text: &str) -> Option<NetworkError> {
    let found = || shown(text);
    if address.contains('*') {
        let network = address
            .split('*')
            .next()
            .map(|start| start.trim_end_matches('.'));
        let only_at_the_end = address.trim_end_matches(['*', '.']).len() == network?.len();
        let fix = network.filter(|_| only_at_the_end).and_then(completed);
        let fix = fix.unwrap_or_else(|| format!("the network as a CIDR, {AN_EXAMPLE}"));
        return Some(NetworkError::Wildcard {
            found: found(),
            fix,
        });
    }
    if let Some((first, _)) = address.split_once('-')
        && first.trim().parse::<IpAddr>().is_ok()
    {
        let cidrs = range_cidrs(address).map(|cidrs| format!("here {cidrs}"));
        let fix = cidrs.unwrap_or_else(|| AN_EXAMPLE.to_owned());
        return Some(NetworkError::Range {
            found: found(),
            fix,
        });
    }
    if let Some((fix, _)) = address.split_once('%')
        && fix.parse::<IpAddr>().is_ok()
    {
        let fix = fix.to_owned();
        return Some(NetworkError::Zone {
            found: found(),
            fix,
        });
    }
    let fix = without_port(address).ok()?;
    Some(NetworkError::Port {
        found: found(),
        fix,
    })
}

/// Numbers and dots that are not an address.
fn explain_numbers(address: &str, text: &str) -> Option<NetworkError> {
    if !address.bytes().all(|b| b.is_ascii_digit() || b == b'.') || address.is_empty() {
        return None;
    }
    let found = shown(text);
    let parts: Vec<&str> = address.split('.').collect();
    if parts.len() != 4 || parts.contains(&"") {
        let hint = completed(address).map(|fix| format!(": did you mean {fix}?"));
        let hint = hint.unwrap_or_default();
        return Some(NetworkError::NotFourNumbers { found, hint });
    }
    let numbers: Vec<u8> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    Some(match <[u8; 4]>::try_from(numbers) {
        Ok(octets) => NetworkError::LeadingZero {
            found,
            fix: octets.into(),
        },
        Err(_) => NetworkError::NumberTooLarge { found },
    })
}

fn explain_words(address: &str, text: &str) -> NetworkError {
    let found = shown(text);
    let host_byte = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if text.contains(char::is_whitespace) {
        NetworkError::SeveralWords { found }
    } else if address.bytes().all(host_byte) && address.contains(|c: char| c.is_ascii_alphabetic())
    {
        NetworkError::HostName { found }
    } else {
        NetworkError::NotANetwork { found }
    }
}

/// `10.1` as `10.1.0.0/16`: the network that the numbers begin, if they are
/// one to three.
fn completed(start: &str) -> Option<String> {
    let numbers: Option<Vec<u8>> = start.split('.').map(|part| part.parse().ok()).collect();
    let numbers = numbers.filter(|numbers| numbers.len() < 4)?;
    let mut octets = [0; 4];
    octets[..numbers.len()].copy_from_slice(&numbers);
    let network = Ipv4Net::new(octets.into(), 8 * numbers.len() as u8).ok()?;
    Some(network.to_string())
}

/// The networks of `first-last`, if they are few.
fn range_cidrs(range: &str) -> Option<String> {
    let (first, last) = range.split_once('-')?;
    let subnets = match (first.trim().parse().ok()?, last.trim().parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            IpSubnets::V4(Ipv4Subnets::new(first, last, 0))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            IpSubnets::V6(ipnet::Ipv6Subnets::new(first, last, 0))
        }
        _ => return None,
    };
    let cidrs: Vec<String> = subnets
        .take(MAX_CIDRS + 1)
        .map(|net| net.to_string())
        .collect();
    (cidrs.len() <= MAX_CIDRS).then(|| cidrs.join(", "))
}

/// The prefix length that a netmask or a wildcard mask stands for.
fn mask_length(mask: &str) -> Option<u32> {
    let bits = mask.parse::<Ipv4Addr>().ok()?.to_bits();
    let mask = if bits.leading_ones() == 0 {
        !bits
    } else {
        bits
    };
    (mask.leading_ones() + mask.trailing_zeros() == 32).then(|| mask.leading_ones())
}

fn without_port(address: &str) -> Result<IpAddr, AddrParseError> {
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse(),
        None => address.parse::<SocketAddr>().map(|socket| socket.ip()),
    }
}
