//! The head of a plain request, read by the parser that hyper uses too.

use std::mem::MaybeUninit;

use bytes::Bytes;
use httparse::{Header, Status};
use hyper::{Method, Uri, Version};

use crate::message::fields::{Fields, Name, Names};
use crate::proxy::ClientRequest;

/// As many fields as hyper takes.
const MOST_FIELDS: usize = 100;

/// Fields that are about the connection or a body: what they ask for is
/// hyper's to do.
const NOT_PLAIN: Names = Names::of(&[
    Name::CONTENT_LENGTH,
    Name::TRANSFER_ENCODING,
    Name::EXPECT,
    Name::UPGRADE,
    Name::TE,
    Name::TRAILER,
]);

/// Reads `bytes`, all that has come, as one plain request: GET or HEAD, a
/// path, HTTP/1.1, no body, at most `max` bytes. `None`: it is something else,
/// or not all of it, or more than it.
pub(super) fn read(bytes: &[u8], max: usize) -> Option<ClientRequest> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(bytes, &mut fields).ok()?;
    if parsed != Status::Complete(bytes.len()) || bytes.len() > max || head.version != Some(1) {
        return None;
    }
    let method = match head.method? {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return None,
    };
    let path = head.path.filter(|path| path.starts_with('/'))?;
    let text = Bytes::copy_from_slice(bytes);
    let (start, length) = place(bytes, path.as_bytes());
    let uri = Uri::from_maybe_shared(text.slice(start..start + length)).ok()?;
    let mut fields = Fields::within(text, head.headers.len());
    for field in head.headers.iter() {
        let name = place(bytes, field.name.as_bytes());
        if !fields.push(name, place(bytes, field.value)) {
            return None;
        }
    }
    let stays = |line: &[u8]| line.eq_ignore_ascii_case(b"keep-alive");
    if fields.contains_any(NOT_PLAIN) || !fields.lines(Name::CONNECTION).all(stays) {
        return None;
    }
    Some(ClientRequest {
        method,
        uri,
        version: Version::HTTP_11,
        fields,
        body: None,
    })
}

/// Where in `whole` its `part` is, and how long that is.
fn place(whole: &[u8], part: &[u8]) -> (usize, usize) {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    (start, part.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "GET /a/b.jpg?x HTTP/1.1\r\nHost: a.com\r\nX-Forwarded-For: 192.0.2.1\r\n\
                         Sec-Fetch-Mode: no-cors\r\nx-own:  b \r\nConnection: Keep-Alive\r\n\r\n";

    fn is_plain(text: &str) -> bool {
        read(text.as_bytes(), 1024).is_some()
    }

    #[test]
    fn a_plain_request() {
        let request = read(PLAIN.as_bytes(), PLAIN.len()).unwrap();
        assert_eq!(request.method, Method::GET);
        assert_eq!(request.uri, "/a/b.jpg?x");
        assert_eq!(request.version, Version::HTTP_11);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let lines = request.fields.iter();
        let fields: Vec<_> = lines
            .map(|line| (text(line.name).to_lowercase(), text(line.value)))
            .collect();
        let expected = [
            ("host", "a.com"),
            ("x-forwarded-for", "192.0.2.1"),
            ("sec-fetch-mode", "no-cors"),
            ("x-own", "b"),
            ("connection", "Keep-Alive"),
        ];
        assert_eq!(
            fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(read(PLAIN.as_bytes(), PLAIN.len() - 1).is_none());
    }

    #[test]
    fn all_else_is_not() {
        let with = |field: &str| PLAIN.replace("x-own:  b ", field);
        assert!(is_plain(&with("a: b")));
        for field in [
            "Content-Length: 0",
            "content-length: 5",
            "Transfer-Encoding: chunked",
            "TRANSFER-ENCODING: x",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "TE: trailers",
            "Trailer: a",
            "Connection: close",
            "Connection: keep-alive, x",
            "Connection:",
            "a : b",
            " a: b",
            "a: b\r\n c",
            "a: \u{1}",
            "a: b\rc",
            ": b",
            "a",
        ] {
            assert!(!is_plain(&with(field)), "{field:?}");
        }
        for line in [
            "POST / HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET * HTTP/1.1",
            "GET http://a.com/ HTTP/1.1",
            "CONNECT a.com:80 HTTP/1.1",
            "get / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET /",
            "PRI * HTTP/2.0",
        ] {
            assert!(
                !is_plain(&PLAIN.replace("GET /a/b.jpg?x HTTP/1.1", line)),
                "{line:?}"
            );
        }
        assert!(!is_plain(&PLAIN[..PLAIN.len() - 1]));
        assert!(!is_plain(&format!("{PLAIN}G")));
        assert!(!is_plain(&format!("{PLAIN}{PLAIN}")));
        assert!(!is_plain(""));
    }

    #[test]
    fn the_lengths_of_what_is_not_plain() {
        for known in Name::all().filter(|known| NOT_PLAIN.contains(*known)) {
            let name = known.name();
            let head = format!("GET / HTTP/1.1\r\n{name}: a\r\n\r\n");
            assert!(!is_plain(&head), "{name}");
        }
    }

    #[test]
    fn more_fields_than_hyper_takes() {
        let with = |count: usize| {
            let fields: String = (0..count).map(|field| format!("a{field}: b\r\n")).collect();
            format!("GET / HTTP/1.1\r\n{fields}\r\n")
        };
        assert!(read(with(100).as_bytes(), 4096).is_some());
        assert!(read(with(101).as_bytes(), 4096).is_none());
    }

    proptest! {
        #[test]
        fn what_is_plain_has_an_end_and_no_body(
            bytes in "(GET|HEAD|POST) (/[a-z%]{0,3}|\\*) HTTP/1.[01]\r?\n(([A-Za-z-]{1,17}|[Cc]ontent-[Ll]ength|[Tt]ransfer-[Ee]ncoding|[Cc]onnection) ?: ?[ -~\t]{0,9}\r?\n){0,4}\r?\n?[a-z]{0,2}"
        ) {
            if let Some(request) = read(bytes.as_bytes(), 4096) {
                prop_assert!(bytes.ends_with("\n\r\n") || bytes.ends_with("\n\n"), "{:?}", bytes);
                prop_assert!(!request.fields.contains_any(NOT_PLAIN));
            }
        }
    }
}
