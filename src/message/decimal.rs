//! Numbers as text, without the formatter.

use hyper::header::HeaderValue;

/// A number in decimal digits, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    bytes: [u8; LONGEST],
    start: usize,
}

/// Of `u64::MAX`.
const LONGEST: usize = 20;

impl Digits {
    /// `value` in digits.
    pub fn of(mut value: u64) -> Self {
        let mut bytes = [b'0'; LONGEST];
        let mut start = LONGEST;
        loop {
            start -= 1;
            bytes[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Self { bytes, start };
            }
        }
    }

    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// One allocation, of the length that is needed.
impl From<Digits> for HeaderValue {
    fn from(digits: Digits) -> Self {
        Self::from_bytes(digits.as_bytes()).expect("digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_formatter_has_it() {
        for value in [0, 1, 9, 10, 99, 100, 1 << 31, u64::MAX - 1, u64::MAX] {
            assert_eq!(Digits::of(value).as_bytes(), value.to_string().as_bytes());
            assert_eq!(HeaderValue::from(Digits::of(value)), value.to_string());
        }
    }
}
