//! What a request that changes something makes of stored responses (RFC 9111
//! section 4.4).

use hyper::header::{CONTENT_LOCATION, LOCATION};
use hyper::{HeaderMap, Method, StatusCode};
use smallvec::{SmallVec, smallvec};

use super::key::KeyRules;
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::message::field::trim;
use crate::route::NormalPath;

/// The key URLs that a response makes invalid: `url`, the request's own, and
/// those of Location and Content-Location of the same origin. None if the
/// method is safe or the response an error.
pub fn invalidated(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    url: &str,
    rules: &KeyRules,
) -> SmallVec<[String; 1]> {
    if is_safe(method) || !(status.is_success() || status.is_redirection()) {
        return SmallVec::new();
    }
    let mut urls: SmallVec<[String; 1]> = smallvec![url.to_owned()];
    let Some(base) = Base::read(url) else {
        return urls;
    };
    for name in [LOCATION, CONTENT_LOCATION] {
        for line in headers.get_all(name) {
            let Ok(reference) = std::str::from_utf8(trim(line.as_bytes())) else {
                continue;
            };
            for found in base.resolve(reference, rules) {
                if !urls.contains(&found) {
                    urls.push(found);
                }
            }
        }
    }
    urls
}

/// The methods that RFC 9110 section 9.2.1 and the registry call safe; what
/// is not known is not.
fn is_safe(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY"
    )
}

/// A key URL, in its parts.
#[derive(Clone, Copy, Debug)]
struct Base<'a> {
    scheme: Scheme,
    /// `<scheme>://<host>[:<port>]`.
    origin: &'a str,
    path: &'a str,
}

impl<'a> Base<'a> {
    fn read(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let start = rest.find('/')?;
        let target = &rest[start..];
        Some(Self {
            scheme: Scheme::parse(scheme.as_bytes())?,
            origin: &url[..url.len() - target.len()],
            path: target.split('?').next().unwrap_or(target),
        })
    }

    /// The key URLs of a reference (RFC 3986 section 5.2): none if it leads
    /// to another origin or nowhere, two if merging its slashes matters.
    fn resolve(&self, reference: &str, rules: &KeyRules) -> SmallVec<[String; 2]> {
        let mut found = SmallVec::new();
        let reference = reference.split('#').next().unwrap_or(reference);
        let Some(reference) = self.without_origin(reference) else {
            return found;
        };
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let path = self.absolute(path);
        let query = rules.query(query);
        for merge_slashes in [true, false] {
            let Ok(path) = NormalPath::new(&path, merge_slashes) else {
                continue;
            };
            let mut url = format!("{}{}", self.origin, path.as_str());
            if let Some(query) = &query {
                url.push('?');
                url.push_str(query);
            }
            if !found.contains(&url) {
                found.push(url);
            }
        }
        found
    }

    /// A reference of the same origin from its path on.
    fn without_origin<'r>(&self, reference: &'r str) -> Option<&'r str> {
        let head = reference.split(['/', '?']).next().unwrap_or(reference);
        let (scheme, rest) = match head.split_once(':') {
            Some((scheme, _)) => (
                Scheme::parse(scheme.as_bytes())?,
                &reference[scheme.len() + 1..],
            ),
            None => (self.scheme, reference),
        };
        let Some(rest) = rest.strip_prefix("//") else {
            // A scheme without an authority names no place.
            return (rest.len() == reference.len()).then_some(reference);
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let authority = Authority::parse(&rest.as_bytes()[..end], scheme)?;
        let path = match &rest[end..] {
            "" => "/",
            path => path,
        };
        let same = self.origin == format!("{scheme}://{authority}");
        (same && path.starts_with('/')).then_some(path)
    }

    fn absolute(&self, path: &str) -> String {
        match path {
            "" => self.path.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => {
                let folder = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
                format!("{folder}{path}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::fixture::{Fields, headers};
    use crate::cache::key::QueryMode;

    const URL: &str = "http://a.com:81/x/y?q=1";

    fn invalidated_by(method: &str, status: u16, fields: Fields<'_>) -> Vec<String> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let rules = KeyRules::default();
        invalidated(&method, status, &headers(fields), URL, &rules).to_vec()
    }

    #[test]
    fn unsafe_methods_that_did_not_fail() {
        for (method, status, expected) in [
            ("POST", 200, true),
            ("PUT", 204, true),
            ("DELETE", 303, true),
            ("PATCH", 202, true),
            ("M-SEARCH", 200, true),
            ("get", 200, true),
            ("POST", 400, false),
            ("POST", 500, false),
            ("POST", 103, false),
            ("GET", 200, false),
            ("HEAD", 200, false),
            ("OPTIONS", 200, false),
        ] {
            let found = invalidated_by(method, status, &[("location", "/z")]);
            let urls = [URL, "http://a.com:81/z"];
            assert_eq!(
                found,
                &urls[..if expected { 2 } else { 0 }],
                "{method} {status}"
            );
        }
    }

    #[test]
    fn references_of_the_same_origin() {
        for (reference, expected) in [
            ("/z", Some("/z")),
            ("/z?b=2#f", Some("/z?b=2")),
            ("z", Some("/x/z")),
            ("../z", Some("/z")),
            ("?b", Some("/x/y?b")),
            ("", Some("/x/y")),
            ("http://a.com:81/%7Ez", Some("/~z")),
            ("HTTP://A.com.:81", Some("/")),
            ("//a.com:81/z", Some("/z")),
            (" /z ", Some("/z")),
            ("/%zz", None),
            ("/../..", None),
            ("//a.com/z", None),
            ("//b.com:81/z", None),
            ("https://a.com:81/z", None),
            ("http://a.com:81@b.com/z", None),
            ("http://a.com:81?z", None),
            ("mailto:x", None),
            ("http:z", None),
            ("http:", None),
        ] {
            let found = invalidated_by("POST", 200, &[("content-location", reference)]);
            let expected = expected.map(|rest| format!("http://a.com:81{rest}"));
            assert_eq!(found.get(1), expected.as_ref(), "{reference}");
        }
        let both = [
            ("location", "/a"),
            ("content-location", "/b"),
            ("location", "y?q=1"),
        ];
        assert_eq!(invalidated_by("POST", 201, &both).len(), 3);
        let slashes = invalidated_by("POST", 201, &[("location", "/a//b")]);
        assert_eq!(
            slashes[1..],
            ["http://a.com:81/a/b", "http://a.com:81/a//b"]
        );
    }

    #[test]
    fn their_queries_are_those_of_keys() {
        let rules = KeyRules {
            mode: QueryMode::Sort,
            ..KeyRules::default()
        };
        let fields = headers(&[("location", "/z?b=1&a=2")]);
        let found = invalidated(&Method::POST, StatusCode::OK, &fields, URL, &rules);
        assert_eq!(found[1], "http://a.com:81/z?a=2&b=1");
    }

    proptest! {
        #[test]
        fn never_another_origin(reference in "(http|https|[:/?#@.a-c\\\\%\u{fc} ]|//a[.]com:81){0,8}") {
            for url in invalidated_by("POST", 200, &[("location", &reference)]) {
                prop_assert!(url.starts_with("http://a.com:81/"), "{}", url);
            }
        }
    }
}
