//! `Max-Forwards` of OPTIONS (RFC 9110 section 7.6.2). TRACE, the other
//! method that has it, is refused; any other method's is no matter of ours.

use hyper::Method;

use crate::message::field::Single;
use crate::message::fields::{Fields, Name};

/// Whether the request goes no further than here.
pub(super) fn ends_here(method: &Method, fields: &Fields) -> bool {
    *method == Method::OPTIONS && left(fields.single(Name::MAX_FORWARDS)) == Some(0)
}

/// How often it may be forwarded after this time; `None`: the field, if there
/// is one, is passed on as it is.
pub(super) fn counted(method: &Method, fields: &Fields) -> Option<u64> {
    let counts = *method == Method::OPTIONS;
    let left = counts.then(|| left(fields.single(Name::MAX_FORWARDS)));
    Some(left??.saturating_sub(1))
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
    use hyper::HeaderMap;
    use hyper::header::{HeaderValue, MAX_FORWARDS};

    use super::*;

    fn sent(value: &'static str) -> Fields {
        let mut headers = HeaderMap::new();
        headers.insert(MAX_FORWARDS, HeaderValue::from_static(value));
        headers.into()
    }

    #[test]
    fn counts_down_to_nothing() {
        for (value, expected) in [
            ("10", Some(9)),
            ("1", Some(0)),
            ("99999999999999999999999", Some(u64::MAX - 1)),
            ("+1", None),
            ("x", None),
        ] {
            let fields = sent(value);
            assert!(!ends_here(&Method::OPTIONS, &fields), "{value}");
            assert_eq!(counted(&Method::GET, &fields), None);
            assert_eq!(counted(&Method::OPTIONS, &fields), expected, "{value}");
        }
        assert_eq!(counted(&Method::OPTIONS, &Fields::default()), None);
        assert!(ends_here(&Method::OPTIONS, &sent("0")));
        assert!(!ends_here(&Method::GET, &sent("0")));
    }
}
