//! Addresses as text, without the formatter where it counts.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

/// An address in its canonical text (RFC 5952), kept in place.
#[derive(Clone)]
pub struct AddressText {
    bytes: [u8; LONGEST],
    length: usize,
}

/// Of an IPv6 address that ends in an IPv4 address, and rounded up.
const LONGEST: usize = 48;

/// Every octet as it is written, with a point after it, and its length with
/// the point.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let first = (octet < 100) as usize + (octet < 10) as usize;
        let mut place = first;
        while place < 3 {
            octets[octet].0[place - first] = b'0' + digits[place] as u8;
            place += 1;
        }
        octets[octet].1 = 4 - first as u8;
        octet += 1;
    }
    octets
};

impl AddressText {
    /// The text of `address`. IPv4, of which nearly all lines are made, is
    /// written here: the formatter needs some ten times as long.
    #[inline]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => {
                let mut text = Self {
                    bytes: [0; LONGEST],
                    length: 0,
                };
                write!(text, "{v6}").expect("no address is longer");
                text
            }
        }
    }

    /// Four bytes an octet are written whatever its length: the next octet
    /// begins where it ends.
    #[inline]
    fn of_v4(address: Ipv4Addr) -> Self {
        let (mut bytes, mut length) = ([0; LONGEST], 0);
        for octet in address.octets() {
            let (text, of_text) = OCTETS[usize::from(octet)];
            bytes[length..length + 4].copy_from_slice(&text);
            length += usize::from(of_text);
        }
        Self {
            bytes,
            length: length - 1,
        }
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + text.len());
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

impl Deref for AddressText {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl PartialEq for AddressText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl std::fmt::Debug for AddressText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&String::from_utf8_lossy(self), f)
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
