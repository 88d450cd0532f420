//! Requests by HTTP/2 that become others by HTTP/1.1, or more than one.

use tokio_rustls::rustls::version::TLS13;

use super::grammar::{Numbers, put};
use super::origin::Recorder;
use super::requests::agree;
use super::{KIND, rounds};
use crate::support::{Frame, Wire, kind, tried};
use crate::tls_clients::Edge;

const METHODS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nX-A: b\r\n\r\nGET",
    b"G ET",
    b"get",
    b"GET\0",
    b"GET\n",
    b"",
    b"CONNECT",
    b"TRACE",
    b"OPTIONS",
];

const SCHEMES: &[&[u8]] = &[
    b"http",
    b"HTTPS",
    b"https\r\n",
    b"https://b/",
    b"file",
    b"",
    b"h\0",
];

const AUTHORITIES: &[&[u8]] = &[
    b"img.example.com\r\nX-A: b",
    b"img.example.com\n",
    b"img.example.com b",
    b"img.example.com\0",
    b"u@img.example.com",
    b"u:p@img.example.com",
    b"img.example.com/x",
    b"img.example.com?x",
    b"img.example.com#x",
    b"img.example.com\\x",
    b"img.example.com:99999",
    b"img.example.com:",
    b"img.example.com:80:80",
    b"img.example.com, b",
    b"IMG.Example.Com.",
    b"[::1]:80",
    b"",
    b" img.example.com",
    b"img.example.com\t",
    b"\xff",
    b"a%00b",
];

const PATHS: &[&[u8]] = &[
    b"{T} HTTP/1.1\r\nHost: b\r\n\r\nGET /s",
    b"{T}\r\nX-A: b",
    b"{T}\r",
    b"{T}\n",
    b"{T}\t",
    b"{T} b",
    b"{T}\0",
    b"{T}\x0b",
    b"http://b.test{T}",
    b"//b.test{T}",
    b"b.test{T}",
    b"*",
    b"?{T}",
    b"",
    b"{T}#f",
    b"{T}\\..\\x",
    b"{T}\x7f",
    b"{T}\xff",
    b"{T}\xc3\xa4",
    b"{T}%0d%0aX-A:%20b",
    b"{T}?a b",
    b"{T}?a=b%0d%0a",
    b"{T}?\"<>{}|^`",
    b" {T}",
    b"{T}/../../x",
    b"@b{T}",
];

const FIELDS: &[(&str, &[u8])] = &[
    ("content-length", b"{L}"),
    ("content-length", b"{L}"),
    ("content-length", b"0{L}"),
    ("content-length", b"00"),
    ("content-length", b"0"),
    ("content-length", b"5"),
    ("content-length", b"+{L}"),
    ("content-length", b"-0"),
    ("content-length", b"{L}, {L}"),
    ("content-length", b""),
    ("content-length", b" {L}"),
    ("content-length", b"0x{L}"),
    ("content-length", b"18446744073709551616"),
    ("content-length", b"18446744073709551615"),
    ("content-length", b"{L}\r\nX-A: b"),
    ("Content-Length", b"{L}"),
    ("content_length", b"5"),
    ("content-length ", b"5"),
    ("transfer-encoding", b"chunked"),
    ("transfer-encoding", b"identity"),
    ("transfer-encoding", b""),
    ("Transfer-Encoding", b"chunked"),
    ("transfer_encoding", b"chunked"),
    ("transfer-encoding:", b"chunked"),
    ("transfer-encoding ", b"chunked"),
    ("te", b"chunked"),
    ("te", b"trailers"),
    ("trailer", b"content-length"),
    ("connection", b"close"),
    ("connection", b"transfer-encoding"),
    ("keep-alive", b"timeout=5"),
    ("proxy-connection", b"keep-alive"),
    ("upgrade", b"h2c"),
    ("http2-settings", b"AAMAAABkAAQAAP__"),
    ("expect", b"100-continue"),
    ("expect", b"x"),
    ("host", b"img.example.com"),
    ("host", b"b.test"),
    ("host", b"img.example.com\r\nX-A: b"),
    ("Host", b"b.test"),
    ("x-a", b"b\r\nX-B: c"),
    ("x-a", b"b\r\n\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("x-a", b"b\nc"),
    ("x-a", b"b\rc"),
    ("x-a", b"b\0c"),
    ("x-a", b"b\r"),
    ("x-a", b"\n"),
    ("x-a", b" b \t"),
    ("x-a", b"\x7f"),
    ("x-a", b"\xff\xfe"),
    ("x a", b"b"),
    ("x:a", b"b"),
    ("x-a\r\nx-b", b"c"),
    ("x-a\n", b"b"),
    ("x-a\0", b"b"),
    ("", b"b"),
    (":", b"b"),
    ("X-Upper", b"b"),
    (":path", b"/s"),
    (":method", b"GET"),
    (":x", b"y"),
    (":authority", b"b.test"),
    (":protocol", b"websocket"),
    ("cookie", b"a=b\r\nX-A: b"),
    ("cookie", b"a=b"),
    ("get /s http/1.1", b"b"),
    ("x-http-method-override", b"HEAD"),
];

const BODIES: &[&[u8]] = &[
    b"",
    b"x=1",
    b"0\r\n\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// One request, and what it must be if it arrives.
struct Attack {
    fields: Vec<(&'static str, Vec<u8>)>,
    body: &'static [u8],
    trailers: Option<(&'static str, Vec<u8>)>,
}

fn attack(number: usize) -> Attack {
    let mut numbers = Numbers((number as u64) << 20 | 1 << 59 | super::seed());
    let body = numbers.pick(BODIES);
    let mut method = numbers.pick(&[&b"GET"[..], b"POST", b"POST", b"HEAD"]);
    let (mut scheme, mut path) = (&b"https"[..], &b"{T}"[..]);
    let mut authority = &b"img.example.com"[..];
    match numbers.below(6) {
        0 => method = numbers.pick(METHODS),
        1 => scheme = numbers.pick(SCHEMES),
        2 => authority = numbers.pick(AUTHORITIES),
        3 => path = numbers.pick(PATHS),
        _ => {}
    }
    let mut fields = vec![
        (":method", method),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
    ];
    for _ in 0..numbers.below(3) {
        fields.push(numbers.pick(FIELDS));
    }
    if numbers.one_in(20) {
        let at = numbers.below(fields.len());
        let field = fields.remove(at);
        fields.insert(numbers.below(fields.len() + 1), field);
    }
    let target = format!("/t{number}.");
    let fill = |(name, value): (&'static str, &[u8])| {
        let value = put(value, b"{T}", target.as_bytes());
        (name, put(&value, b"{L}", body.len().to_string().as_bytes()))
    };
    Attack {
        fields: fields.into_iter().map(fill).collect(),
        body,
        trailers: numbers.one_in(6).then(|| fill(numbers.pick(FIELDS))),
    }
}

/// A connection, as long as it lasts.
struct Connection {
    wire: Wire,
    stream: u32,
}

impl Connection {
    fn new(edge: &Edge) -> Self {
        let mut wire = Wire::silent(edge.address(), edge.config_for(&[&TLS13], b"h2"));
        wire.greet(&[]);
        Self { wire, stream: 1 }
    }

    /// The status and the body; `None`: it was reset. And whether the
    /// connection goes on.
    fn ask(&mut self, attack: &Attack) -> (Option<(u16, Vec<u8>)>, bool) {
        let stream = self.stream;
        self.stream += 2;
        let fields: Vec<_> = attack
            .fields
            .iter()
            .map(|(name, value)| (*name, &value[..]))
            .collect();
        let ends = attack.body.is_empty() && attack.trailers.is_none();
        let mut bytes = Frame::bytes(
            kind::HEADERS,
            4 | u8::from(ends),
            stream,
            &Frame::block(&fields),
        );
        if !attack.body.is_empty() {
            let end = u8::from(attack.trailers.is_none());
            bytes.extend(Frame::bytes(kind::DATA, end, stream, attack.body));
        }
        if let Some((name, value)) = &attack.trailers {
            let block = Frame::block(&[(name, value)]);
            bytes.extend(Frame::bytes(kind::HEADERS, 5, stream, &block));
        }
        let mut open = self.wire.try_send(&bytes);
        let (mut status, mut body) = (None, Vec::new());
        while let Some(frame) = self.wire.next() {
            match frame.kind {
                kind::GOAWAY => open = false,
                kind::RST_STREAM if frame.stream == stream => return (None, open),
                kind::HEADERS if frame.stream == stream => status = Some(frame.status()),
                kind::DATA if frame.stream == stream => body.extend(&frame.payload),
                _ => continue,
            }
            if frame.stream == stream && frame.ends() {
                return (status.map(|status| (status, body)), open);
            }
        }
        (None, false)
    }
}

#[test]
fn by_http2_each_stream_is_one_request_or_none() {
    let recorder = Recorder::start();
    let edge = Edge::start_with(&recorder.origin, "", "");
    let mut connection = Connection::new(&edge);
    let (count, mut arrived) = (1000 * rounds(), 0);
    for number in 0..count {
        let attack = attack(number);
        let before = recorder.count();
        let (answer, open) = connection.ask(&attack);
        let asked = recorder.since(before);
        let shown = || {
            let fields = attack.fields.iter().chain(&attack.trailers);
            let fields = fields.map(|(name, value)| format!("{name:?}: {}", value.escape_ascii()));
            format!(
                "{number}: {:?} {}: {asked:#?}",
                fields.collect::<Vec<_>>(),
                attack.body.escape_ascii()
            )
        };
        assert!(asked.len() <= 1, "{}", shown());
        match (&answer, asked.first()) {
            (Some((200, body)), Some(asked)) => {
                let line = format!(
                    "{} {} {}",
                    asked.method(),
                    asked.target(),
                    attack.body.len()
                );
                let whole = asked.body == attack.body
                    && asked.method().as_bytes() == attack.fields[0].1
                    || attack.fields[0].0 != ":method";
                assert!(whole, "{}", shown());
                assert!(
                    asked.method() == "HEAD" || *body == line.as_bytes(),
                    "{}",
                    shown()
                );
                arrived += 1;
            }
            (Some((status, _)), None) => {
                assert!(matches!(status, 204 | 400..), "{} {status}", shown())
            }
            // It was reset when it had arrived: by its trailers.
            (None, Some(_)) => assert!(attack.trailers.is_some(), "{}", shown()),
            (None, None) => {}
            (Some((status, _)), Some(_)) => panic!("{status}: {}", shown()),
        }
        if !open {
            connection = Connection::new(&edge);
        }
    }
    recorder.streams().iter().for_each(|stream| agree(stream));
    assert!(
        arrived > count / 8 && arrived < count * 4 / 5,
        "{arrived} of {count}"
    );
    tried(KIND, count);
}
