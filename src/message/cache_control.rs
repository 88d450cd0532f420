//! `Cache-Control` (RFC 9111 section 5.2): its directives, and a response's
//! made fit for one client only.

use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::field::trim;

/// What a value becomes that cannot be read: two readers may read it in two
/// ways, and one of them as public.
static UNREADABLE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Directives that let a shared cache store, and `private` in any form, since
/// one that names fields keeps only those (RFC 9111 section 5.2.2.7).
const FOR_SHARED: [&[u8]; 3] = [b"public", b"private", b"s-maxage"];

/// Makes a response one that no shared cache may store, whatever field that
/// cache goes by; how long the client's own cache may keep it stays.
pub fn make_private(headers: &mut HeaderMap) {
    let shared = |name: &&HeaderName| is_for_shared_caches(name.as_str());
    let names: SmallVec<[HeaderName; 4]> = headers.keys().filter(shared).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    let value = private(headers).unwrap_or_else(|| UNREADABLE.clone());
    headers.insert(CACHE_CONTROL, value);
}

/// Fields that shared caches heed before `Cache-Control`: targeted ones by
/// the pattern of their names (RFC 9213), and older ones.
fn is_for_shared_caches(name: &str) -> bool {
    matches!(
        name,
        "surrogate-control" | "edge-control" | "x-accel-expires"
    ) || name.len() > CACHE_CONTROL.as_str().len() && name.ends_with("cache-control")
}

/// `private` and what is left; `None`: it cannot be read.
fn private(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut text = b"private".to_vec();
    for line in headers.get_all(CACHE_CONTROL) {
        let directives = directives(line.as_bytes())?;
        for directive in directives.into_iter().filter(|d| !is_for_shared(d)) {
            text.extend_from_slice(b", ");
            text.extend_from_slice(directive);
        }
    }
    HeaderValue::from_bytes(&text).ok()
}

/// The directives of a line as they are written, none empty; `None` if a
/// quoted string in it does not end.
pub fn directives(line: &[u8]) -> Option<SmallVec<[&[u8]; 8]>> {
    let mut found: SmallVec<[&[u8]; 8]> = SmallVec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b',' if !quoted => {
                found.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(&line[start..]);
    found
        .iter_mut()
        .for_each(|directive| *directive = trim(directive));
    found.retain(|directive| !directive.is_empty());
    (!quoted).then_some(found)
}

fn is_for_shared(directive: &[u8]) -> bool {
    let name = directive.split(|byte| *byte == b'=').next();
    let name = trim(name.unwrap_or(directive));
    FOR_SHARED
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        }
        make_private(&mut headers);
        let lines: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(lines.len(), 1);
        lines[0].to_str().unwrap().to_owned()
    }

    #[test]
    fn only_the_clients_own_cache_may_store() {
        for (lines, expected) in [
            (&[][..], "private"),
            (&[""], "private"),
            (&["public, max-age=60"], "private, max-age=60"),
            (&["max-age=60, S-MaxAge = 9, PUBLIC"], "private, max-age=60"),
            (
                &["public", "max-age=60, immutable"],
                "private, max-age=60, immutable",
            ),
            (&["no-store"], "private, no-store"),
            (&["private, max-age=1"], "private, max-age=1"),
            (
                &["private=\"set-cookie, x\", max-age=1"],
                "private, max-age=1",
            ),
            (
                &["no-cache=\"public, s-maxage\" ,, max-age=1"],
                "private, no-cache=\"public, s-maxage\", max-age=1",
            ),
            (
                &["x=\"a\\\", public\", y"],
                "private, x=\"a\\\", public\", y",
            ),
            (&["max-age=60, x=\"public"], "private, no-store"),
            (&["x=\"a", "b\", public"], "private, no-store"),
        ] {
            assert_eq!(made(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_speaks_to_shared_caches_only_is_gone() {
        let mut headers = HeaderMap::new();
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "surrogate-control",
            "edge-control",
            "x-accel-expires",
            "expires",
            "vary",
        ] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        make_private(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cache-control", "expires", "vary"]);
    }

    proptest! {
        /// Read by commas alone, as a careless cache would, or with quotes.
        #[test]
        fn the_first_directive_is_private(
            lines in proptest::collection::vec("[ -~\t]{0,30}|(public|s-maxage=1|private=\"a\"|[\",=\\\\])*", 0..4),
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let value = made(&lines);
            prop_assert_eq!(value.split(',').next(), Some("private"));
            prop_assert_eq!(made(&[&value]), value);
        }
    }
}
