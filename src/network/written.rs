use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::address::{canonical, has_special, is_special, nat64};
use super::error::{NetworkError, explain_address, explain_prefix};

/// A network as written in a configuration or list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenNetwork {
    /// The canonical network, host bits cut off.
    pub network: IpNet,
    /// Whether host bits were set (a warning).
    pub host_bits: bool,
}

/// Reads an address or CIDR, IPv4 or IPv6; blanks around it are the caller's.
///
/// The network is canonical, as addresses are: an IPv4-mapped one, and a NAT64
/// one whose network address is global, is the IPv4 network.
pub fn parse_network(text: &str) -> Result<WrittenNetwork, NetworkError> {
    let Some((address, prefix)) = text.split_once('/') else {
        let address = address_in(text, text)?;
        return Ok(WrittenNetwork {
            network: canonical(address).into(),
            host_bits: false,
        });
    };
    let address = address_in(address, text)?;
    let prefix = prefix_in(prefix, address, text)?;
    let written = IpNet::new(address, prefix).expect("the prefix was compared with the length");
    Ok(WrittenNetwork {
        network: canonical_network(written.trunc(), address, text)?,
        host_bits: written.network() != address,
    })
}

fn address_in(address: &str, text: &str) -> Result<IpAddr, NetworkError> {
    address.parse().map_err(|_| explain_address(address, text))
}

fn prefix_in(prefix: &str, address: IpAddr, text: &str) -> Result<u8, NetworkError> {
    let max = if address.is_ipv4() { 32 } else { 128 };
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let padded = prefix.len() > 1 && prefix.starts_with('0');
    prefix
        .parse()
        .ok()
        .filter(|length| digits && !padded && *length <= max)
        .ok_or_else(|| explain_prefix(prefix, address, text))
}

/// `network` with its host bits cut off; `address` is what stood before the `/`.
fn canonical_network(network: IpNet, address: IpAddr, text: &str) -> Result<IpNet, NetworkError> {
    let (IpNet::V6(v6), IpAddr::V6(address)) = (network, address) else {
        return Ok(network);
    };
    let long_enough = v6.prefix_len() >= 96;
    if address.to_ipv4_mapped().is_some() && !long_enough {
        return Err(NetworkError::mapped_too_short(text));
    }
    let v4_network = |v4| {
        let prefix = v6.prefix_len().saturating_sub(96);
        Ipv4Net::new(v4, prefix).expect("at most 128 less 96")
    };
    if let Some(v4) = v6.network().to_ipv4_mapped().filter(|_| long_enough) {
        return Ok(v4_network(v4).into());
    }
    let Some(inner) = nat64(v6.network()).filter(|_| long_enough).map(v4_network) else {
        return Ok(network);
    };
    if !has_special(inner) {
        Ok(inner.into())
    } else if is_special(inner) {
        Ok(network)
    } else {
        Err(NetworkError::nat64_mixed(text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("64:ff9b::/96")]
    #[case("64:ff9b::192.0.0.0/104")]
    #[case("64:ff9b::8.0.0.0/101")]
    fn nat64_that_is_both(#[case] text: &str) {
        let error = parse_network(text).unwrap_err();
        assert!(matches!(error, NetworkError::Nat64Mixed { .. }), "{error}");
    }

    #[rstest]
    #[case("163.120.4.15", "163.120.4.15/32", false)]
    #[case("10.0.0.0/24", "10.0.0.0/24", false)]
    #[case("10.0.0.7/24", "10.0.0.0/24", true)]
    #[case("0.0.0.0/0", "0.0.0.0/0", false)]
    #[case("10.0.0.7/32", "10.0.0.7/32", false)]
    #[case("2001:db8::/32", "2001:db8::/32", false)]
    #[case("2001:db8::1", "2001:db8::1/128", false)]
    #[case("2001:DB8::1/64", "2001:db8::/64", true)]
    #[case("::/0", "::/0", false)]
    #[case("::ffff:10.0.0.1", "10.0.0.1/32", false)]
    #[case("::ffff:10.0.0.0/104", "10.0.0.0/8", false)]
    #[case("::ffff:10.0.0.1/104", "10.0.0.0/8", true)]
    #[case("::ffff:0:0/96", "0.0.0.0/0", false)]
    #[case("64:ff9b::8.8.8.8", "8.8.8.8/32", false)]
    #[case("64:ff9b::10.0.0.1", "64:ff9b::a00:1/128", false)]
    #[case("64:ff9b::8.8.8.0/120", "8.8.8.0/24", false)]
    #[case("64:ff9b::10.0.0.0/104", "64:ff9b::a00:0/104", false)]
    #[case("2002:808:808::/48", "2002:808:808::/48", false)]
    #[case("64:ff9b::198.18.0.0/111", "64:ff9b::c612:0/111", false)]
    fn networks(#[case] text: &str, #[case] expected: &str, #[case] host_bits: bool) {
        let network = expected.parse().unwrap();
        let written = WrittenNetwork { network, host_bits };
        assert_eq!(parse_network(text), Ok(written));
    }

    #[rstest]
    #[case(
        "",
        "an empty entry: an address or CIDR is needed, such as 192.0.2.1 or 192.0.2.0/24"
    )]
    #[case(
        "10.0.0.0/33",
        "`10.0.0.0/33`: the prefix of an IPv4 network is a number from 0 to 32"
    )]
    #[case(
        "10.0.0.0/",
        "`10.0.0.0/`: the prefix of an IPv4 network is a number from 0 to 32"
    )]
    #[case(
        "10.0.0.0/+8",
        "`10.0.0.0/+8`: the prefix of an IPv4 network is a number from 0 to 32"
    )]
    #[case(
        "10.0.0.0/08",
        "`10.0.0.0/08`: the prefix of an IPv4 network is a number from 0 to 32 without leading zeros: did you mean 10.0.0.0/8?"
    )]
    #[case(
        "10.0.0.0/8/8",
        "`10.0.0.0/8/8`: the prefix of an IPv4 network is a number from 0 to 32"
    )]
    #[case(
        "::/129",
        "`::/129`: the prefix of an IPv6 network is a number from 0 to 128"
    )]
    #[case(
        "10.0.0.0/255.255.255.0",
        "`10.0.0.0/255.255.255.0`: a prefix is written as its length, not as a mask: write 10.0.0.0/24"
    )]
    #[case(
        "10.0.0.0/0.0.0.255",
        "`10.0.0.0/0.0.0.255`: a prefix is written as its length, not as a mask: write 10.0.0.0/24"
    )]
    #[case(
        "010.0.0.1",
        "`010.0.0.1`: leading zeros are not allowed (some programs read them as octal): did you mean 10.0.0.1?"
    )]
    #[case(
        "010.0.0.0/08",
        "`010.0.0.0/08`: leading zeros are not allowed (some programs read them as octal): did you mean 10.0.0.0?"
    )]
    #[case(
        "1.2.3",
        "`1.2.3`: an IPv4 address has four numbers: did you mean 1.2.3.0/24?"
    )]
    #[case(
        "10.1/16",
        "`10.1/16`: an IPv4 address has four numbers: did you mean 10.1.0.0/16?"
    )]
    #[case("10.", "`10.`: an IPv4 address has four numbers")]
    #[case("1.2.3.4.5", "`1.2.3.4.5`: an IPv4 address has four numbers")]
    #[case("2130706433", "`2130706433`: an IPv4 address has four numbers")]
    #[case(
        "1.2.3.256",
        "`1.2.3.256`: the numbers of an IPv4 address go up to 255"
    )]
    #[case(
        "10.0.0.*",
        "`10.0.0.*`: wildcards are not addresses: write 10.0.0.0/24"
    )]
    #[case("10.*", "`10.*`: wildcards are not addresses: write 10.0.0.0/8")]
    #[case(
        "10.*.0.1",
        "`10.*.0.1`: wildcards are not addresses: write the network as a CIDR, such as 192.0.2.0/24"
    )]
    #[case(
        "10.0.0.1-10.0.0.9",
        "`10.0.0.1-10.0.0.9`: ranges are not allowed: write CIDRs, here 10.0.0.1/32, 10.0.0.2/31, 10.0.0.4/30, 10.0.0.8/31"
    )]
    #[case(
        "10.0.0.0 - 10.0.0.255",
        "`10.0.0.0 - 10.0.0.255`: ranges are not allowed: write CIDRs, here 10.0.0.0/24"
    )]
    #[case(
        "10.0.0.1-9",
        "`10.0.0.1-9`: ranges are not allowed: write CIDRs, such as 192.0.2.0/24"
    )]
    #[case(
        "fe80::1%eth0",
        "`fe80::1%eth0`: a zone id is not part of an address: write fe80::1"
    )]
    #[case(
        "fe80::1%eth0/64",
        "`fe80::1%eth0/64`: a zone id is not part of an address: write fe80::1"
    )]
    #[case(
        "1.2.3.4:80",
        "`1.2.3.4:80`: an address stands without port and brackets: write 1.2.3.4"
    )]
    #[case(
        "[2001:db8::1]:80",
        "`[2001:db8::1]:80`: an address stands without port and brackets: write 2001:db8::1"
    )]
    #[case(
        "[2001:db8::1]",
        "`[2001:db8::1]`: an address stands without port and brackets: write 2001:db8::1"
    )]
    #[case(
        "img.example.com",
        "`img.example.com`: a host name is not an address: write the addresses it stands for"
    )]
    #[case(
        "localhost",
        "`localhost`: a host name is not an address: write the addresses it stands for"
    )]
    #[case(
        "::ffff:0:0/90",
        "`::ffff:0:0/90`: an IPv4-mapped network shorter than /96 holds more than IPv4: write the IPv4 network, or the IPv6 network without ::ffff"
    )]
    #[case(
        "10.0.0.1 10.0.0.2",
        "`10.0.0.1 10.0.0.2`: one entry holds one address or CIDR"
    )]
    #[case(
        "1::2::3",
        "`1::2::3`: not an address or CIDR, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
    )]
    #[case(
        "10.0.0.1\u{1b}[2J",
        "`10.0.0.1\\u{1b}[2J`: not an address or CIDR, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
    )]
    fn mistakes(#[case] text: &str, #[case] message: &str) {
        let error = parse_network(text).expect_err("a mistake");
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_long_mistake_is_shown_cut() {
        let error = parse_network(&"x ".repeat(5000)).expect_err("a mistake");
        assert!(error.to_string().len() < 200, "{error}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", likely in "[0-9a-f:./%*\\[\\] -]{0,24}") {
            for text in [text, likely] {
                if let Err(error) = parse_network(&text) {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
        }

        #[test]
        fn a_network_reads_back_as_written(bits: u128, prefix in 0_u8..=128) {
            let net = ipnet::Ipv6Net::new(bits.into(), prefix).unwrap();
            prop_assume!(canonical(net.network().into()).is_ipv6());
            let written = WrittenNetwork { network: net.trunc().into(), host_bits: net.trunc() != net };
            prop_assert_eq!(parse_network(&net.to_string()), Ok(written));
        }
    }
}
