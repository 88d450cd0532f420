//! Reading one field of a head, as the access rules see it (section 6).

use hyper::HeaderMap;
use hyper::header::HeaderName;

/// A field that should be sent on one line at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'a> {
    /// No line of it, or one that is empty or blank.
    Missing,
    /// One line, without the blanks around it; never empty.
    One(&'a [u8]),
    /// More than one line: whoever reads "the" value reads a guess.
    Several,
}

/// The one line of `name` in `headers`, surrounding blanks cut off.
pub fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Single<'a> {
    let mut lines = headers.get_all(name).iter();
    let Some(first) = lines.next() else {
        return Single::Missing;
    };
    if lines.next().is_some() {
        return Single::Several;
    }
    match trim(first.as_bytes()) {
        b"" => Single::Missing,
        value => Single::One(value),
    }
}

/// `value` without spaces and tabs at its ends (RFC 9110 section 5.5).
pub fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte));
    let Some(start) = start else { return b"" };
    let end = value.iter().rposition(|byte| !blank(byte));
    &value[start..=end.unwrap_or(start)]
}

/// The entries of a list on one line of a field, without the blanks around
/// them (RFC 9110 section 5.6.1); where nothing stands between two commas, it
/// is empty. Quotes are not looked at.
pub fn entries(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims_blanks_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b""), b"");
        assert_eq!(trim(b"\x0ba"), b"\x0ba");
    }
}
