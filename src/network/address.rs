use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use ipnet::Ipv4Net;

/// First and last address of each IPv4 network that [`is_local`].
pub(crate) const LOCAL_V4: [(u32, u32); 6] = [
    block_v4([10, 0, 0, 0], 8),
    block_v4([100, 64, 0, 0], 10),
    block_v4([127, 0, 0, 0], 8),
    block_v4([169, 254, 0, 0], 16),
    block_v4([172, 16, 0, 0], 12),
    block_v4([192, 168, 0, 0], 16),
];

/// First and last address of each IPv6 network that [`is_local`].
pub(crate) const LOCAL_V6: [(u128, u128); 3] = [
    (1, 1),
    block_v6(0xfc00 << 112, 7),
    block_v6(0xfe80 << 112, 10),
];

/// What is not global besides [`LOCAL_V4`]: this network, protocol
/// assignments, benchmarking, multicast and reserved. The three documentation
/// networks are let through on purpose, so that a policy can be tested with
/// addresses that belong to nobody.
const SPECIAL_V4: [(u32, u32); 5] = [
    block_v4([0, 0, 0, 0], 8),
    block_v4([192, 0, 0, 0], 24),
    block_v4([198, 18, 0, 0], 15),
    block_v4([224, 0, 0, 0], 4),
    block_v4([240, 0, 0, 0], 4),
];

/// The one form of an address that everything compares: `::ffff:a.b.c.d` is
/// `a.b.c.d`, and `64:ff9b::/96` (NAT64, RFC 6052) with a global IPv4 address
/// is that address. 6to4 and Teredo stay IPv6.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .or_else(|| nat64(v6).filter(|v4| is_global(*v4)))
            .map_or(address, IpAddr::V4),
    }
}

/// Reads an address as written in a field or list, and nothing but an address:
/// no zone id, no leading zeros, no port, no blanks. Not yet [`canonical`].
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Whether `address` is loopback, private (RFC 1918, RFC 6598, `fc00::/7`) or
/// link-local: an address that no country has.
pub fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => in_any(&LOCAL_V4, v4.to_bits()),
        IpAddr::V6(v6) => in_any(&LOCAL_V6, v6.to_bits()),
    }
}

/// The IPv4 address in a NAT64 address of the well-known prefix.
pub(super) fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const PREFIX: u128 = 0x64_ff9b << 96;
    let bits = address.to_bits();
    (bits >> 32 == PREFIX >> 32).then(|| Ipv4Addr::from_bits(bits as u32))
}

pub(super) fn is_global(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !in_any(&LOCAL_V4, bits) && !in_any(&SPECIAL_V4, bits)
}

/// Whether no address of `network` is global.
pub(super) fn is_special(network: Ipv4Net) -> bool {
    let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
    let mut ranges = LOCAL_V4.iter().chain(&SPECIAL_V4);
    ranges.any(|range| range.0 <= first && last <= range.1)
}

/// Whether any address of `network` is not global.
pub(super) fn has_special(network: Ipv4Net) -> bool {
    let (first, last) = (network.network().to_bits(), network.broadcast().to_bits());
    let ranges = LOCAL_V4.iter().chain(&SPECIAL_V4);
    ranges
        .into_iter()
        .any(|range| range.0 <= last && first <= range.1)
}

fn in_any<T: PartialOrd + Copy>(ranges: &[(T, T)], bits: T) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&bits))
}

const fn block_v4(network: [u8; 4], prefix: u32) -> (u32, u32) {
    let first = u32::from_be_bytes(network);
    (first, first | (u32::MAX >> prefix))
}

const fn block_v6(first: u128, prefix: u32) -> (u128, u128) {
    (first, first | (u128::MAX >> prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[rstest]
    #[case("192.0.2.1", "192.0.2.1")]
    #[case("::ffff:192.0.2.1", "192.0.2.1")]
    #[case("::ffff:10.0.0.1", "10.0.0.1")]
    #[case("64:ff9b::8.8.8.8", "8.8.8.8")]
    #[case("64:ff9b::203.0.113.9", "203.0.113.9")]
    #[case("64:ff9b::10.0.0.1", "64:ff9b::a00:1")]
    #[case("64:ff9b::0.1.2.3", "64:ff9b::1:203")]
    #[case("64:ff9b::100.64.0.1", "64:ff9b::6440:1")]
    #[case("64:ff9b::127.0.0.1", "64:ff9b::7f00:1")]
    #[case("64:ff9b::169.254.0.1", "64:ff9b::a9fe:1")]
    #[case("64:ff9b::172.31.255.255", "64:ff9b::ac1f:ffff")]
    #[case("64:ff9b::172.32.0.0", "172.32.0.0")]
    #[case("64:ff9b::192.0.0.255", "64:ff9b::c000:ff")]
    #[case("64:ff9b::198.19.255.255", "64:ff9b::c613:ffff")]
    #[case("64:ff9b::224.0.0.1", "64:ff9b::e000:1")]
    #[case("64:ff9b::255.255.255.255", "64:ff9b::ffff:ffff")]
    #[case("64:ff9b:1::8.8.8.8", "64:ff9b:1::808:808")]
    #[case("64:ff9b::1:808:808", "64:ff9b::1:808:808")]
    #[case("::8.8.8.8", "::808:808")]
    #[case("2002:808:808::1", "2002:808:808::1")]
    #[case("2001:0:808:808::1", "2001:0:808:808::1")]
    fn one_form(#[case] written: &str, #[case] expected: &str) {
        assert_eq!(canonical(address(written)), address(expected));
    }

    #[rstest]
    #[case("010.0.0.1")]
    #[case("10.0.0.01")]
    #[case("::ffff:010.0.0.1")]
    #[case("fe80::1%eth0")]
    #[case("fe80::1%1")]
    #[case("1.2.3")]
    #[case("1.2.3.4.5")]
    #[case("1.2.3.4:80")]
    #[case("[::1]")]
    #[case(" 1.2.3.4")]
    #[case("1.2.3.4 ")]
    #[case("1.2.3.4/32")]
    #[case("0x7f.0.0.1")]
    #[case("2130706433")]
    #[case("256.0.0.1")]
    #[case("1::2::3")]
    #[case("00001::")]
    #[case("")]
    #[case("localhost")]
    fn not_an_address(#[case] text: &str) {
        assert_eq!(parse_address(text.as_bytes()), None);
    }

    #[test]
    fn an_address_is_read_as_written() {
        assert_eq!(parse_address(b"10.0.0.1"), Some(address("10.0.0.1")));
        assert_eq!(
            parse_address(b"::FFFF:1.2.3.4"),
            Some(address("::ffff:1.2.3.4"))
        );
        assert_eq!(parse_address(b"1.2.3.4\xff"), None);
    }

    #[rstest]
    #[case("10.255.255.255", true)]
    #[case("11.0.0.0", false)]
    #[case("100.64.0.0", true)]
    #[case("100.128.0.0", false)]
    #[case("127.0.0.1", true)]
    #[case("169.254.1.1", true)]
    #[case("172.15.255.255", false)]
    #[case("172.16.0.0", true)]
    #[case("192.168.255.255", true)]
    #[case("192.169.0.0", false)]
    #[case("192.0.2.1", false)]
    #[case("::1", true)]
    #[case("::2", false)]
    #[case("::", false)]
    #[case("fdff::1", true)]
    #[case("fe7f::1", false)]
    #[case("fe80::1", true)]
    #[case("febf::1", true)]
    #[case("fec0::1", false)]
    fn local(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_local(address(text)), expected);
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent(bits: u128, low: u32) {
            let prefixes = [0, 0xffff << 32, 0x64_ff9b << 96, 0x2002 << 112];
            let forms = prefixes.map(|prefix| prefix | u128::from(low));
            for bits in forms.into_iter().chain([bits]) {
                let once = canonical(IpAddr::V6(Ipv6Addr::from_bits(bits)));
                prop_assert_eq!(canonical(once), once);
            }
        }
    }
}
