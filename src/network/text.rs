//! Addresses as text, without the formatter where it counts.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use smallvec::SmallVec;

/// An address in its canonical text (RFC 5952), kept in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressText(SmallVec<[u8; LONGEST]>);

/// Of an IPv6 address that ends in an IPv4 address, and rounded up.
const LONGEST: usize = 48;

impl AddressText {
    /// The text of `address`. IPv4, of which nearly all lines are made, is
    /// written here: the formatter needs some ten times as long.
    pub fn of(address: IpAddr) -> Self {
        let mut text = Self(SmallVec::new());
        match address {
            IpAddr::V4(v4) => text.push_v4(v4),
            IpAddr::V6(v6) => write!(text, "{v6}").expect("memory takes all text"),
        }
        text
    }

    fn push_v4(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.0.push(b'.');
            }
            if octet >= 100 {
                self.0.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.0.push(b'0' + octet / 10 % 10);
            }
            self.0.push(b'0' + octet % 10);
        }
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Deref for AddressText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_the_formatter_has_it(v4: u32, v6: u128) {
            for address in [
                IpAddr::V4(v4.into()),
                IpAddr::V4((v4 & 0x0f0a_6301).into()),
                IpAddr::V6(v6.into()),
                IpAddr::V6((v6 >> 80).into()),
            ] {
                let (text, expected) = (AddressText::of(address), address.to_string());
                prop_assert_eq!(&*text, expected.as_bytes());
            }
        }
    }
}
