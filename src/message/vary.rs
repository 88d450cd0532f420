//! The `Vary` field (RFC 9110 section 12.5.5).

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue, VARY};

use super::field::entries;

static FIELD: HeaderName = VARY;

/// Adds the field names in `ours` to a response's `Vary`: those it has stay,
/// none is named twice, and `*` says it all.
pub fn merge(headers: &mut HeaderMap, ours: &HeaderValue) {
    let mut lines = headers.get_all(&FIELD).iter();
    // The usual cases: none, or one that ours begins with.
    if match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(theirs), None) => begins_with(ours.as_bytes(), theirs.as_bytes()),
        (Some(_), Some(_)) => false,
    } {
        headers.insert(&FIELD, ours.clone());
        return;
    }
    let mut merged: Vec<&[u8]> = Vec::new();
    let lines = headers.get_all(VARY).iter().chain([ours]);
    for name in lines.flat_map(|line| entries(line.as_bytes())) {
        if name == b"*" {
            return;
        }
        if !name.is_empty() && !merged.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            merged.push(name);
        }
    }
    let merged = HeaderValue::from_bytes(&merged.join(&b", "[..]));
    headers.insert(VARY, merged.expect("made of field values"));
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
