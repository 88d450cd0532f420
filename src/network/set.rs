use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::search_v4::SearchV4;
use super::search_v6::SearchV6;

/// An immutable set of networks; one lookup costs about the same for a hundred
/// entries as for a million.
///
/// It keeps the places where the set begins and ends, sorted: an address is in
/// it if an odd number of them stand at or below the address. Entries that
/// overlap or touch are one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NetworkSet {
    v4: SearchV4,
    v6: SearchV6,
}

impl NetworkSet {
    /// The union of ranges of addresses as numbers, in any order. An empty
    /// range (its end before its start) adds nothing.
    pub fn from_ranges(
        v4: impl IntoIterator<Item = RangeInclusive<u32>>,
        v6: impl IntoIterator<Item = RangeInclusive<u128>>,
    ) -> Self {
        let v4 = v4.into_iter().map(RangeInclusive::into_inner).collect();
        let v6 = v6.into_iter().map(RangeInclusive::into_inner).collect();
        Self::from_pairs(v4, v6)
    }

    /// Whether `address`, which must be [`canonical`](super::canonical), is in
    /// one of the networks. Allocates nothing.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4.contains(v4.to_bits()),
            IpAddr::V6(v6) => self.v6.contains(v6.to_bits()),
        }
    }

    /// Whether it holds all addresses of `network`, which must be of the
    /// [`canonical`](super::canonical) form, or none of them. `false` also for
    /// a network of more than a /16 where the set is a long one.
    pub fn is_alike_within(&self, network: IpNet) -> bool {
        match network {
            IpNet::V4(net) => {
                let (first, last) = (net.network(), net.broadcast());
                self.v4.is_alike_from(first.to_bits(), last.to_bits())
            }
            IpNet::V6(net) => {
                let (first, last) = (net.network(), net.broadcast());
                self.v6.is_alike_from(first.to_bits(), last.to_bits())
            }
        }
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.boundaries() == 0 && self.v6.boundaries() == 0
    }

    fn from_pairs(v4: Vec<(u32, u32)>, v6: Vec<(u128, u128)>) -> Self {
        Self {
            v4: SearchV4::new(boundaries(v4, |end| end.checked_add(1))),
            v6: SearchV6::new(boundaries(v6, |end| end.checked_add(1))),
        }
    }
}

impl FromIterator<IpNet> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self::from_pairs(v4, v6)
    }
}

/// Sizes only: a set may hold a million networks.
impl fmt::Debug for NetworkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkSet")
            .field("v4_ranges", &self.v4.boundaries().div_ceil(2))
            .field("v6_ranges", &self.v6.boundaries().div_ceil(2))
            .finish()
    }
}

/// The start of each range and the place after its end, in order, ranges that
/// overlap or touch merged. A range that reaches the last address has no place
/// after it, so that the list is odd.
fn boundaries<T: Copy + Ord>(mut ranges: Vec<(T, T)>, after: impl Fn(&T) -> Option<T>) -> Vec<T> {
    ranges.retain(|(start, end)| start <= end);
    ranges.sort_unstable();
    let mut sorted: Vec<T> = Vec::with_capacity(2 * ranges.len());
    for (start, end) in ranges {
        let touches = sorted.last().is_some_and(|last| start <= *last);
        let reached = touches.then(|| sorted.pop()).flatten();
        if reached.is_none() {
            sorted.push(start);
        }
        match after(&end) {
            Some(next) => sorted.push(reached.map_or(next, |last| last.max(next))),
            None => break, // nothing lies beyond the last address
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn set(networks: &[&str]) -> NetworkSet {
        networks
            .iter()
            .map(|text| text.parse::<IpNet>().expect("a network"))
            .collect()
    }

    fn has(set: &NetworkSet, address: &str) -> bool {
        set.contains(address.parse().expect("an address"))
    }

    #[test]
    fn an_empty_set_holds_nothing() {
        let empty = NetworkSet::default();
        assert!(empty.is_empty());
        assert!(set(&[]).is_empty());
        assert!(!has(&empty, "0.0.0.0"));
        assert!(!has(&empty, "::"));
    }

    #[test]
    fn everything_of_one_family() {
        let v4 = set(&["0.0.0.0/0"]);
        assert!(has(&v4, "0.0.0.0") && has(&v4, "255.255.255.255"));
        assert!(!has(&v4, "::") && !v4.is_empty());
        let v6 = set(&["::/0"]);
        assert!(has(&v6, "::") && has(&v6, "ffff::ffff"));
        assert!(!has(&v6, "0.0.0.0") && !v6.is_empty());
    }

    #[test]
    fn ranges_that_overlap_or_touch_are_one() {
        let joined = NetworkSet::from_ranges([5..=9, 1..=4, 20..=30, 22..=23], [7..=7, 8..=9]);
        assert_eq!(
            format!("{joined:?}"),
            "NetworkSet { v4_ranges: 2, v6_ranges: 1 }"
        );
        let up_to_the_end = NetworkSet::from_ranges([5..=u32::MAX, 7..=8], [0..=u128::MAX]);
        assert!(has(&up_to_the_end, "255.255.255.255"));
        assert!(has(&up_to_the_end, "0.0.0.5") && !has(&up_to_the_end, "0.0.0.4"));
    }

    #[test]
    fn networks_that_are_in_it_whole_or_not_at_all() {
        let some = ["198.51.100.0/25", "203.0.113.0/24", "2001:db8:1::/48"];
        let many: Vec<String> = (0..2000)
            .map(|n| format!("10.{}.{}.0/25", n / 256, n % 256))
            .collect();
        let many: Vec<&str> = some
            .into_iter()
            .chain(many.iter().map(String::as_str))
            .collect();
        for set in [set(&some), set(&many)] {
            for (network, expected) in [
                ("203.0.113.0/24", true),
                ("203.0.113.128/25", true),
                ("192.0.2.0/24", true),
                ("198.51.100.0/24", false),
                ("203.0.112.0/23", false),
                ("0.0.0.0/0", false),
                ("2001:db8:1::/48", true),
                ("2001:db8:2::/48", true),
                ("2001:db8::/32", false),
            ] {
                assert_eq!(
                    set.is_alike_within(network.parse().expect("a network")),
                    expected,
                    "{network}"
                );
            }
        }
        assert!(NetworkSet::default().is_alike_within("0.0.0.0/0".parse().expect("a network")));
    }

    #[test]
    fn a_backward_range_adds_nothing() {
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let none = NetworkSet::from_ranges([9..=5], [2..=1]);
        assert!(none.is_empty());
    }

    /// Networks all over the place, and crowded into two /16s or one /64.
    fn any_v4() -> impl Strategy<Value = IpNet> {
        let crowded = (0_u32..0x2_0000).prop_map(|low| 0xc0a8_0000 + low);
        let address = prop_oneof![any::<u32>(), crowded];
        let prefix = prop_oneof![8 => 16_u8..=32, 1 => 0_u8..=15];
        (address, prefix).prop_map(|(bits, prefix)| {
            let net = Ipv4Net::new(Ipv4Addr::from_bits(bits), prefix).expect("at most 32");
            net.trunc().into()
        })
    }

    fn any_v6() -> impl Strategy<Value = IpNet> {
        let crowded = (0_u128..0x1_0000).prop_map(|low| (0x2001_0db8 << 96) + low);
        let address = prop_oneof![any::<u128>(), crowded];
        let prefix = prop_oneof![8 => 96_u8..=128, 2 => 32_u8..=96, 1 => 0_u8..=31];
        (address, prefix).prop_map(|(bits, prefix)| {
            let net = Ipv6Net::new(Ipv6Addr::from_bits(bits), prefix).expect("at most 128");
            net.trunc().into()
        })
    }

    /// The first and last address of a network and their neighbours outside.
    fn edges(network: &IpNet) -> [IpAddr; 4] {
        match network {
            IpNet::V4(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpNet::V6(net) => {
                let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| Ipv6Addr::from_bits(bits).into())
            }
        }
    }

    fn agrees(networks: &[IpNet], others: &[IpNet]) -> Result<(), TestCaseError> {
        let set: NetworkSet = networks.iter().copied().collect();
        for address in networks.iter().chain(others).flat_map(edges) {
            let listed = networks.iter().any(|network| network.contains(&address));
            prop_assert_eq!(set.contains(address), listed, "{}", address);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn few_networks_agree_with_a_linear_scan(
            networks in vec(prop_oneof![any_v4(), any_v6()], 0..40),
            others in vec(prop_oneof![any_v4(), any_v6()], 20),
        ) {
            agrees(&networks, &others)?;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn many_networks_agree_with_a_linear_scan(
            v4 in vec(any_v4(), 1500..2500),
            v6 in vec(any_v6(), 0..600),
            others in vec(prop_oneof![any_v4(), any_v6()], 200),
        ) {
            let wide = |net: &IpNet| net.prefix_len() < 8; // would swallow the rest
            let networks: Vec<IpNet> = v4.into_iter().chain(v6).filter(|net| !wide(net)).collect();
            agrees(&networks, &others)?;
        }
    }

    /// Clusters within clusters, down to single addresses: each step needs a
    /// table of its own.
    #[test]
    fn nested_clusters_agree_with_a_linear_scan() {
        let networks: Vec<IpNet> = (0..128_u32)
            .step_by(8)
            .flat_map(|depth| (0..50_u128).map(move |i| (u128::MAX >> depth).wrapping_sub(3 * i)))
            .map(|bits| Ipv6Net::from(Ipv6Addr::from_bits(bits)).into())
            .collect();
        agrees(&networks, &[]).expect("the same as a linear scan");
    }

    /// Every second address of a /16: as many boundaries as a bucket can hold.
    #[test]
    fn a_full_bucket_alternates() {
        let odd = (0..0x8000_u32).map(|i| 0x0a01_0001 + 2 * i);
        let set = NetworkSet::from_ranges(odd.map(|bits| bits..=bits), []);
        for bits in 0x0a00_fff0..=0x0a02_0010_u32 {
            let inside = bits >> 16 == 0x0a01 && bits % 2 == 1;
            assert_eq!(set.contains(Ipv4Addr::from_bits(bits).into()), inside);
        }
    }
}
