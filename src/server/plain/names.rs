//! Names of fields that browsers and proxies send with every request, and that
//! would be allocated each time.

use hyper::header::HeaderName;

static FREQUENT: [HeaderName; 14] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-user"),
    HeaderName::from_static("sec-ch-ua"),
    HeaderName::from_static("sec-ch-ua-mobile"),
    HeaderName::from_static("sec-ch-ua-platform"),
    HeaderName::from_static("priority"),
    HeaderName::from_static("save-data"),
    HeaderName::from_static("x-requested-with"),
];

/// The name that is written so, in any case; `None` if it is none.
pub(super) fn known(text: &str) -> Option<HeaderName> {
    let text = text.as_bytes();
    // Most names are hyper's own, and begin otherwise.
    let frequent = match text.first()? {
        b'S' | b's' | b'X' | b'x' | b'P' | b'p' => frequent(text),
        _ => None,
    };
    frequent
        .cloned()
        .or_else(|| HeaderName::from_bytes(text).ok())
}

fn frequent(text: &[u8]) -> Option<&'static HeaderName> {
    // Those of one length differ in their third last letter.
    let letter = |name: &[u8]| name.iter().rev().nth(2).map(u8::to_ascii_lowercase);
    let third_last = letter(text);
    let is_it = |name: &&HeaderName| {
        let name = name.as_str().as_bytes();
        name.len() == text.len() && letter(name) == third_last && name.eq_ignore_ascii_case(text)
    };
    FREQUENT.iter().find(is_it)
}
