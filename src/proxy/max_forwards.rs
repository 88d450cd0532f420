//! `Max-Forwards` of OPTIONS (RFC 9110 section 7.6.2). TRACE, the other
//! method that has it, is refused; any other method's is no matter of ours.

use hyper::header::{HeaderValue, MAX_FORWARDS};
use hyper::{HeaderMap, Method};

use crate::message::field::{Single, single};
use crate::message::fields::{Fields, Name};

/// Whether the request goes no further than here.
pub(super) fn ends_here(method: &Method, fields: &Fields) -> bool {
    *method == Method::OPTIONS && left(fields.single(Name::MAX_FORWARDS)) == Some(0)
}

/// Counts this forwarding.
pub(super) fn count(method: &Method, headers: &mut HeaderMap) {
    if *method == Method::OPTIONS
        && let Some(left) = left(single(headers, &MAX_FORWARDS))
    {
        headers.insert(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    }
}

/// How often it may still be forwarded; `None`: nobody says, or says it in a
/// way that is not understood, and it is passed on as it is.
fn left(field: Single<'_>) -> Option<u64> {
    let Single::One(digits) = field else {
        return None;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than any number of proxies.
    let number = std::str::from_utf8(digits).ok()?;
    Some(number.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_down_to_nothing() {
        for (value, expected) in [
            ("10", "9"),
            ("1", "0"),
            ("99999999999999999999999", "18446744073709551614"),
            ("+1", "+1"),
            ("x", "x"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(&MAX_FORWARDS, HeaderValue::from_static(value));
            assert!(
                !ends_here(&Method::OPTIONS, &Fields::from(&headers)),
                "{value}"
            );
            count(&Method::GET, &mut headers);
            assert_eq!(headers[&MAX_FORWARDS], value);
            count(&Method::OPTIONS, &mut headers);
            assert_eq!(headers[&MAX_FORWARDS], expected);
        }
        let mut headers = HeaderMap::new();
        headers.insert(&MAX_FORWARDS, HeaderValue::from_static("0"));
        assert!(ends_here(&Method::OPTIONS, &Fields::from(&headers)));
        assert!(!ends_here(&Method::GET, &Fields::from(&headers)));
    }
}
