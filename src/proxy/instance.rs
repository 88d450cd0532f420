//! This process, as `Via` names it (RFC 9110 section 7.6.3).

use hyper::Version;
use hyper::header::HeaderValue;

use crate::message::field::entries;
use crate::message::fields::{Fields, Name};

/// The name of this process among proxies; chosen at its start.
#[derive(Clone, Debug)]
pub struct Instance {
    pseudonym: String,
    via: HeaderValue,
    via_1_0: HeaderValue,
    via_2_0: HeaderValue,
}

impl Instance {
    /// A new name, which no other process has.
    ///
    /// # Errors
    ///
    /// If the system has no random source.
    pub fn new() -> Result<Self, getrandom::Error> {
        let pseudonym = format!("portcullis-{:016x}", getrandom::u64()?);
        let entry = |version| {
            let entry = HeaderValue::try_from(format!("{version} {pseudonym}"));
            entry.expect("letters, digits and `-` are a field value")
        };
        Ok(Self {
            via: entry("1.1"),
            via_1_0: entry("1.0"),
            via_2_0: entry("2.0"),
            pseudonym,
        })
    }

    /// The `Via` entry of this process for a message received by `version`.
    pub(super) fn via(&self, version: Version) -> &HeaderValue {
        match version {
            Version::HTTP_10 => &self.via_1_0,
            Version::HTTP_2 => &self.via_2_0,
            _ => &self.via,
        }
    }

    /// Whether a message has passed this process before.
    pub(super) fn is_named_in(&self, headers: &Fields) -> bool {
        let name = self.pseudonym.as_bytes();
        headers.lines(Name::VIA).any(|line| {
            entries(line).any(|entry| {
                let mut words = entry.split(|byte| matches!(byte, b' ' | b'\t'));
                words
                    .nth(1)
                    .is_some_and(|word| word.eq_ignore_ascii_case(name))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::VIA;

    use super::*;

    #[test]
    fn finds_itself() {
        let instance = Instance::new().unwrap();
        let named = |via: &str| {
            let mut headers = HeaderMap::new();
            headers.append(VIA, HeaderValue::from_static("1.1 other"));
            headers.append(VIA, HeaderValue::from_str(via).unwrap());
            instance.is_named_in(&headers.into())
        };
        let name = &instance.pseudonym;
        assert!(named(&format!("1.0 a, HTTP/1.1 {name} (comment)")));
        assert!(named(&format!("1.1 {}", name.to_uppercase())));
        assert!(!named(&format!("1.1 {name}x, {name}")));
    }
}
