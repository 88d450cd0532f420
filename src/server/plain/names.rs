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
    let frequent = FREQUENT
        .iter()
        .find(|name| name.as_str().eq_ignore_ascii_case(text));
    match frequent {
        Some(name) => Some(name.clone()),
        None => HeaderName::from_bytes(text.as_bytes()).ok(),
    }
}
