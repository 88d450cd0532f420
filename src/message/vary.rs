//! The `Vary` field (RFC 9110 section 12.5.5).

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, VARY};

use super::field::entries;

static FIELD: HeaderName = VARY;

/// Adds the field names in `ours` to a response's `Vary`: those it has stay,
/// none is named twice, and `*` says it all.
pub fn merge(headers: &mut HeaderMap, ours: &HeaderValue) {
    let lines = || headers.get_all(&FIELD).iter().map(HeaderValue::as_bytes);
    let value = match merged(lines, ours.as_bytes()) {
        None => return,
        Some(Cow::Borrowed(_)) => ours.clone(),
        Some(Cow::Owned(merged)) => HeaderValue::from_bytes(&merged).expect("made of field values"),
    };
    headers.insert(&FIELD, value);
}

/// The field names of the `lines` of a response's `Vary` and those in `ours`,
/// none twice; borrowed, if that is `ours`. `None`: it stays as it is.
pub fn merged<'a, L: Iterator<Item = &'a [u8]>>(
    lines: impl Fn() -> L,
    ours: &'a [u8],
) -> Option<Cow<'a, [u8]>> {
    let mut first_two = lines();
    // The usual cases: none, or one that ours begins with.
    if match (first_two.next(), first_two.next()) {
        (None, _) => true,
        (Some(theirs), None) => begins_with(ours, theirs),
        (Some(_), Some(_)) => false,
    } {
        return Some(ours.into());
    }
    let mut merged: Vec<&[u8]> = Vec::new();
    for name in lines().chain([ours]).flat_map(entries) {
        if name == b"*" {
            return None;
        }
        if !name.is_empty() && !merged.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            merged.push(name);
        }
    }
    Some(merged.join(&b", "[..]).into())
}

/// Whether `list` has all of `names` as its first names, spelled alike.
fn begins_with(list: &[u8], names: &[u8]) -> bool {
    let rest = list.strip_prefix(names);
    !names.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges() {
        for (theirs, expected) in [
            (&[][..], &["Accept, User-Agent"][..]),
            (
                &["accept-encoding"],
                &["accept-encoding, Accept, User-Agent"],
            ),
            (
                &["Origin, accept", "USER-AGENT ,"],
                &["Origin, accept, USER-AGENT"],
            ),
            (&["Accept"], &["Accept, User-Agent"]),
            (&["Acc"], &["Acc, Accept, User-Agent"]),
            (&["Accept, User-Agent"], &["Accept, User-Agent"]),
            (&["Accept", "Origin"], &["Accept, Origin, User-Agent"]),
            (&["*"], &["*"]),
            (&["Origin", "a, *"], &["Origin", "a, *"]),
            (&[""], &["Accept, User-Agent"]),
        ] {
            let mut headers = HeaderMap::new();
            for line in theirs {
                headers.append(VARY, HeaderValue::from_static(line));
            }
            merge(
                &mut headers,
                &HeaderValue::from_static("Accept, User-Agent"),
            );
            let found: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(found, expected, "{theirs:?}");
        }
    }
}
