//! What is chosen at random: numbers and client addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) use crate::random::Random;

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("64 bits at most");
        usize::try_from((self.next() >> 16) % bound).expect("below a usize")
    }

    /// At least 0, less than 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of a normal distribution with mean 0 and deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }

    /// Where clients are: not local, not multicast.
    pub(crate) fn ipv4(&mut self) -> Ipv4Addr {
        loop {
            let [a, b, c, d, ..] = self.next().to_le_bytes();
            if (1..224).contains(&a) && ![10, 100, 127, 169, 172, 192].contains(&a) {
                return Ipv4Addr::new(a, b, c, d);
            }
        }
    }

    /// Of what has been given out.
    pub(crate) fn ipv6(&mut self) -> Ipv6Addr {
        let (high, low) = (self.next(), self.next());
        let high = high >> 16 | [0x2001, 0x2400, 0x2600, 0x2a00][self.below(4)] << 48;
        Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))
    }
}
