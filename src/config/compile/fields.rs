//! Fields that have a meaning of their own, in requests and in responses.

/// Fields that must not be set or taken away under another's name: framing,
/// routing, conditions, who asks and for what, and what we set ourselves.
pub(in crate::config) const TAKEN: [&str; 41] = [
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "proxy",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Response fields that no configuration sets or removes: they belong to one
/// connection, or say how the body is to be read, or are kept true here.
pub(in crate::config) const TAKEN_IN_RESPONSES: [&str; 19] = [
    "age",
    "cache-status",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "proxy-status",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
];

/// Fields that name the client, which `client.header` may be.
pub(in crate::config) const ADDRESSES: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Whether the field of that name, in lower case, has a meaning of its own.
pub(super) fn is_taken(name: &str) -> bool {
    TAKEN.contains(&name) || name.starts_with("x-forwarded-")
}

/// Whether the response field of that name, in lower case, is not to be set or
/// removed by `[response]`.
pub(super) fn is_taken_in_responses(name: &str) -> bool {
    TAKEN_IN_RESPONSES.contains(&name) || name.starts_with("portcullis-")
}

/// Whether the field of that name, in lower case, may name the client.
pub(super) fn may_name_client(name: &str) -> bool {
    ADDRESSES.contains(&name) || !is_taken(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_with_another_meaning_names_no_client() {
        for name in ["forwarded", "x-forwarded-for", "x-real-ip"] {
            assert!(is_taken(name) && may_name_client(name), "{name}");
        }
        for name in ["cf-connecting-ip", "true-client-ip", "x-key", "x-cache-key"] {
            assert!(!is_taken(name) && may_name_client(name), "{name}");
        }
        for name in [
            "host",
            "range",
            "content-length",
            "x-forwarded-host",
            "sec-fetch-site",
        ] {
            assert!(is_taken(name) && !may_name_client(name), "{name}");
        }
    }
}
