//! The `Vary` field (RFC 9110 section 12.5.5).

use hyper::HeaderMap;
use hyper::header::{HeaderValue, VARY};

use super::field::entries;

/// Adds the field names in `ours` to a response's `Vary`: those it has stay,
/// none is named twice, and `*` says it all.
pub fn merge(headers: &mut HeaderMap, ours: &HeaderValue) {
    if !headers.contains_key(VARY) {
        headers.insert(VARY, ours.clone());
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
