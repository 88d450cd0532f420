//! Fields that end at the next hop (RFC 9110 section 7.6.1).

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::field::entries;
use super::fields::{Fields, Name, Names};

/// Fields that a Connection field cannot name away: without them the message
/// would be another one, for another host, of another length or another user.
const NEVER_NAMED_AWAY: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
];

/// The same of a response, and what says who may store it, what its body is
/// and where it leads: fields for every recipient, which "MUST NOT" be named
/// (RFC 9110 section 7.6.1).
const NEVER_NAMED_AWAY_IN_RESPONSES: [HeaderName; 11] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::VARY,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::LOCATION,
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
];

static CONNECTION: HeaderName = header::CONNECTION;

/// Removes the fields that a request's own Connection field names. Done
/// once, on the message as received, before anything reads or adds a field.
pub fn remove_named(fields: &mut Fields) {
    if names_nothing(fields) {
        return;
    }
    let lines = fields.lines(Name::CONNECTION);
    let named: Vec<HeaderName> = named(lines, &NEVER_NAMED_AWAY).collect();
    fields.retain(|line| {
        let is_it = |name: &HeaderName| line.name.eq_ignore_ascii_case(name.as_str().as_bytes());
        !named.iter().any(is_it)
    });
}

/// The same for a response.
pub fn remove_named_in_response(headers: &mut HeaderMap) {
    let lines = || {
        headers
            .get_all(&CONNECTION)
            .iter()
            .map(HeaderValue::as_bytes)
    };
    if name_nothing(lines(), |name| headers.contains_key(name.name())) {
        return;
    }
    let named: Vec<HeaderName> = named(lines(), &NEVER_NAMED_AWAY_IN_RESPONSES).collect();
    for name in named {
        headers.remove(name);
    }
}

/// Whether a Connection field names nothing that is there, and there is none
/// that would have to be removed.
pub fn names_nothing(fields: &Fields) -> bool {
    name_nothing(fields.lines(Name::CONNECTION), |name| fields.contains(name))
}

/// The same, but for what is removed without being named, such as the
/// `Keep-Alive` that many servers send.
pub fn names_only_hop_by_hop(fields: &Fields) -> bool {
    name_nothing(fields.lines(Name::CONNECTION), |name| {
        !HOP_BY_HOP.contains(name) && fields.contains(name)
    })
}

fn named<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    kept: &[HeaderName],
) -> impl Iterator<Item = HeaderName> {
    lines
        .flat_map(entries)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| *name != header::CONNECTION && !kept.contains(name))
}

/// Of the names that have a number, those of [`is_hop_by_hop`].
pub const HOP_BY_HOP: Names = Names::of(&[
    Name::CONNECTION,
    Name::KEEP_ALIVE,
    Name::PROXY_AUTHENTICATE,
    Name::PROXY_AUTHORIZATION,
    Name::PROXY_CONNECTION,
    Name::TE,
    Name::TRAILER,
    Name::TRANSFER_ENCODING,
    Name::UPGRADE,
]);

/// Removes every hop-by-hop field; what Connection names must be gone already.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Few are there: looking through the names costs less than asking for
    // each of nine.
    let names: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a field ends here also where no Connection field names it.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The common cases: no such field, or `keep-alive` or `close`, which are no
/// fields.
fn name_nothing<'a>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    is_there: impl Fn(Name) -> bool,
) -> bool {
    lines.all(|line| {
        line.eq_ignore_ascii_case(b"keep-alive") && !is_there(Name::KEEP_ALIVE)
            || line.eq_ignore_ascii_case(b"close") && !is_there(Name::CLOSE)
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    #[test]
    fn named_fields_go_but_not_those_that_make_the_message() {
        let mut fields = Fields::from(map(&[
            ("connection", "close, X-Secret,referer"),
            (
                "connection",
                "Host, Cookie, authorization, content-length, nonsense name",
            ),
            ("x-secret", "1"),
            ("referer", "https://a/"),
            ("host", "a"),
            ("cookie", "b"),
            ("authorization", "c"),
            ("content-length", "3"),
        ]));
        remove_named(&mut fields);
        let left = fields.to_map(0, |_| true);
        let mut left: Vec<_> = left.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "authorization",
                "connection",
                "content-length",
                "cookie",
                "host"
            ]
        );
    }

    #[test]
    fn a_response_keeps_what_is_for_every_recipient() {
        let mut headers = map(&[
            ("connection", "Cache-Control, set-cookie, vary, x-hop"),
            ("cache-control", "private"),
            ("set-cookie", "a=b"),
            ("vary", "accept"),
            ("x-hop", "1"),
        ]);
        remove_named_in_response(&mut headers);
        assert_eq!(headers.len(), 4);
        assert!(!headers.contains_key("x-hop"));
    }

    #[test]
    fn names_with_a_number_end_here_as_others_do() {
        for known in Name::all() {
            let name = known.name();
            assert_eq!(HOP_BY_HOP.contains(known), is_hop_by_hop(name), "{name}");
        }
        for name in ["trailer", "te", "keep-alive", "upgrade", "proxy-connection"] {
            assert!(Name::of(name.as_bytes()).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn removal_is_idempotent(
            named in "[a-zA-Z, -]{0,40}",
            fields in proptest::collection::vec(("[a-z-]{1,12}", "[ -~]{0,12}"), 0..8),
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("connection", HeaderValue::from_str(&named).unwrap());
            for (name, value) in &fields {
                if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                    headers.append(name, HeaderValue::from_str(value).unwrap());
                }
            }
            let mut fields = Fields::from(&headers);
            remove_named(&mut fields);
            let once = fields.to_map(0, |_| true);
            remove_named(&mut fields);
            prop_assert_eq!(&once, &fields.to_map(0, |_| true));
            let mut once = once;
            remove_hop_by_hop(&mut once);
            let mut twice = Fields::from(&once);
            remove_named(&mut twice);
            let mut twice = twice.to_map(0, |_| true);
            remove_hop_by_hop(&mut twice);
            prop_assert_eq!(&once, &twice);
        }
    }
}
