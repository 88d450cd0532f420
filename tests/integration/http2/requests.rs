//! Requests as any other protocol could have brought them.

use hyper::{Uri, Version};

use tokio_rustls::rustls::version::TLS13;

use super::{http2, start, wire};
use crate::support::{Client, Frame, Http2, Origin, Reply, eventually, kind};
use crate::tls_clients::Edge;

const NAMES: [&str; 4] = [
    "x-forwarded-proto",
    "x-forwarded-host",
    "host",
    "transfer-encoding",
];

#[test]
fn each_method_gets_its_answer() {
    let origin = Origin::answered_by(|asked| match asked.line().split(' ').next().unwrap() {
        "OPTIONS" => "HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n".into(),
        method => format!(
            "HTTP/1.1 200 OK\r\nX-Method: {method}\r\nContent-Length: {}\r\n\r\nok{}",
            asked.body.len() + 2,
            String::from_utf8_lossy(&asked.body)
        ),
    });
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    for method in ["GET", "DELETE"] {
        let reply = client.ask(method, "/a", "");
        assert_eq!((reply.status, reply.text()), (200, "ok"), "{method}");
        assert_eq!(reply.field("x-method").as_deref(), Some(method));
    }
    let reply = client.ask("HEAD", "/head", "");
    assert_eq!(reply.field("content-length").as_deref(), Some("2"));
    assert_eq!(reply.body, b"");
    for method in ["POST", "PUT", "PATCH"] {
        let request = Http2::request(method, "/a", "");
        assert_eq!(client.upload(request, b"abc").unwrap().text(), "okabc");
    }
    let reply = client.ask("OPTIONS", "/a", "");
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(reply.field("content-length"), None);
    for method in ["TRACE", "PURGE"] {
        assert_eq!(client.ask(method, "/a", "").status, 405, "{method}");
    }
    for asked in origin.asked() {
        let found = NAMES.map(|name| asked.field(name));
        let [proto, host, own, _] = found.each_ref().map(Option::as_deref);
        assert_eq!(proto, Some("https"));
        assert_eq!(
            (host, own),
            (Some("img.example.com"), Some("img.example.com"))
        );
        let via = asked.field("via").unwrap();
        assert!(via.starts_with("2.0 "), "{via}");
    }
}

#[test]
fn equal_lengths_are_sent_on_as_one() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let twice = "content-length: 3\r\ncontent-length: 3\r\n";
    let reply = http2(&edge).upload(Http2::request("POST", "/a", twice), b"abc");
    assert_eq!(reply.unwrap().status, 200);
    let lengths = origin.only().names();
    let lengths = lengths.iter().filter(|name| *name == "content-length");
    assert_eq!(lengths.count(), 1);
}

#[test]
fn a_response_loses_what_is_of_its_connection() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nConnection: close, x-gone\r\nX-Gone: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-Kept: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n",
    );
    let edge = start(&origin, "");
    let reply = http2(&edge).get("/a", "");
    assert_eq!(reply.text(), "abcde");
    assert_eq!(reply.field("x-kept").as_deref(), Some("1"));
    assert!(reply.field("date").is_some());
    for name in [
        "connection",
        "x-gone",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "transfer-encoding",
        "content-length",
    ] {
        assert_eq!(reply.field(name), None, "{}", reply.head);
    }
}

#[test]
fn hits_ranges_and_conditions_are_as_by_http1() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nETag: \"e\"\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n0123456789",
    );
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    assert_eq!(client.get("/a.txt", "").text(), "0123456789");
    let mut plain = edge.client();
    for (fields, status, body) in [
        ("", 200, "0123456789"),
        ("range: bytes=2-4\r\n", 206, "234"),
        ("range: bytes=-1\r\n", 206, "9"),
        ("range: bytes=20-\r\n", 416, ""),
        ("if-none-match: \"e\"\r\n", 304, ""),
    ] {
        let reply = client.get("/a.txt", fields);
        assert_eq!(reply.status, status, "{fields}");
        if status != 416 {
            assert_eq!(reply.text(), body, "{fields}");
        }
        assert_eq!(
            shape(&reply),
            shape(&plain.get("/a.txt", fields)),
            "{fields}"
        );
    }
    let reply = client.get("/a.txt", "range: bytes=0-0,5-6\r\n");
    assert_eq!(reply.status, 206);
    let length = reply.field("content-length").unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), reply.body.len());
    assert!(reply.text().contains("\r\n56\r\n"), "{}", reply.text());
    let head = client.ask("HEAD", "/a.txt", "");
    assert_eq!(head.field("content-length").as_deref(), Some("10"));
    assert_eq!(origin.count(), 1);
}

/// The names of the fields but those of the protocol, and the length.
fn shape(reply: &Reply) -> (Vec<String>, Option<String>) {
    let lines = reply.head.lines().skip(1);
    let mut names: Vec<_> = lines
        .filter_map(|line| Some(line.split_once(':')?.0.to_lowercase()))
        .collect();
    names.sort_unstable();
    (names, reply.field("content-length"))
}

#[test]
fn one_fetch_for_many_streams() {
    let origin = Origin::scripted(|conversation| {
        while conversation.request().is_some() {
            conversation
                .say("HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 4\r\n\r\nab");
            std::thread::sleep(std::time::Duration::from_millis(100));
            conversation.say("cd");
        }
    });
    let edge = start(&origin, "");
    let answered = http2(&edge).all(&vec!["/a".to_owned(); 100]);
    assert!(
        answered
            .iter()
            .all(|a| a.as_ref().unwrap().text() == "abcd")
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn forms_of_a_resource_are_kept_apart() {
    let origin = Origin::answered_by(|asked| {
        let language = asked.field("accept-language").unwrap_or_default();
        format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nVary: Accept-Language\r\nContent-Length: {}\r\n\r\n{language}",
            language.len()
        )
    });
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    for _ in 0..2 {
        for language in ["de", "fr"] {
            let reply = client.get("/a", &format!("accept-language: {language}\r\n"));
            assert_eq!(reply.text(), language);
        }
    }
    assert_eq!(origin.count(), 2);
}

#[test]
fn each_stream_gets_its_own_answer() {
    let origin = Origin::answered_by(|asked| {
        let body = asked.target().repeat(1 + asked.target().len() % 7);
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    for round in 0..5 {
        let paths: Vec<_> = (0..128)
            .map(|n| format!("/{round}/{}", "x".repeat(n)))
            .collect();
        let answered = client.all(&paths);
        for (path, answered) in paths.iter().zip(answered) {
            let expected = path.repeat(1 + path.len() % 7);
            assert_eq!(answered.unwrap().text(), expected);
        }
    }
    let lines = edge.portcullis.stop();
    assert_eq!(lines.len(), 5 * 128);
    assert!(lines.iter().all(|line| line["protocol"] == "HTTP/2.0"));
}

/// An authority, Host fields, and the status they get.
type Hosts<'a> = (Option<&'a [u8]>, &'a [&'a [u8]], u16);

#[test]
fn there_is_one_host() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let own = &b"img.example.com"[..];
    let cases: [Hosts<'_>; 10] = [
        (Some(own), &[], 200),
        (Some(own), &[own], 200),
        (Some(own), &[b"IMG.example.com."], 200),
        (Some(own), &[b"img.example.com:443"], 200),
        (None, &[own], 200),
        (Some(own), &[b"other.example.com"], 400),
        (Some(own), &[b"img.example.com:80"], 400),
        (Some(own), &[own, own], 400),
        (None, &[own, b"other.example.com"], 400),
        (None, &[], 400),
    ];
    for (index, (authority, hosts, status)) in cases.into_iter().enumerate() {
        let mut fields: Vec<(&str, &[u8])> =
            vec![(":method", b"GET"), (":scheme", b"https"), (":path", b"/a")];
        fields.extend(authority.map(|authority| (":authority", authority)));
        fields.extend(hosts.iter().map(|host| ("host", *host)));
        let stream = 1 + 2 * index as u32;
        let answer = wire.headers(stream, 5, &fields).answer(stream);
        assert_eq!(answer, Ok(status), "{authority:?} {hosts:?}");
    }
    for asked in origin.asked() {
        assert_eq!(asked.field("host").as_deref(), Some("img.example.com"));
    }
    assert_eq!(origin.count(), 5);
}

#[test]
fn a_scheme_is_the_connections_whatever_is_claimed() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 2\r\n\r\nok",
    );
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    for (index, scheme) in ["https", "http", "ftp"].into_iter().enumerate() {
        let mut fields = Frame::get("/a");
        fields[1] = (":scheme", scheme.as_bytes());
        let stream = 1 + 2 * index as u32;
        assert_eq!(wire.headers(stream, 5, &fields).answer(stream), Ok(200));
    }
    assert_eq!(
        origin.only().field("x-forwarded-proto").as_deref(),
        Some("https")
    );
    let lines = edge.portcullis.stop();
    let key = "https://img.example.com/a original";
    assert!(
        lines.iter().all(|line| line["cache_key"] == key),
        "{lines:?}"
    );
}

#[test]
fn what_names_no_resource_is_refused() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let connect: [(&str, &[u8]); 2] = [
        (":method", b"CONNECT"),
        (":authority", b"img.example.com:443"),
    ];
    assert_eq!(wire.headers(1, 5, &connect).answer(1), Ok(405));
    // One that stays open, as a tunnel would.
    assert_eq!(wire.headers(3, 4, &connect).answer(3), Ok(405));
    let mut asterisk = Frame::get("*");
    assert_eq!(wire.headers(5, 5, &asterisk).answer(5), Ok(400));
    asterisk[0] = (":method", b"OPTIONS");
    let http1 = edge
        .client()
        .send("OPTIONS * HTTP/1.1\r\nHost: img.example.com\r\n\r\n")
        .reply();
    assert_eq!(wire.headers(7, 5, &asterisk).answer(7), Ok(http1.status));
    let before = origin.count();
    for (index, path) in [
        "@evil.example/",
        "a",
        "https://evil.example/",
        "evil.example:80",
    ]
    .into_iter()
    .enumerate()
    {
        let stream = 9 + 2 * index as u32;
        let answer = wire.headers(stream, 5, &Frame::get(path)).answer(stream);
        assert!(matches!(answer, Ok(400) | Err(1)), "{path}: {answer:?}");
    }
    assert_eq!(origin.count(), before);
}

#[test]
fn parts_of_a_cookie_are_joined_and_te_stays_here() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut wire = wire(&edge);
    let mut fields = Frame::get("/a").to_vec();
    fields.extend([
        ("cookie", &b"a=b"[..]),
        ("te", b"trailers"),
        ("cookie", b"c=d"),
        ("x-blank", b"  both \t"),
        ("x-twice", b"1"),
        ("x-twice", b"2"),
    ]);
    assert_eq!(wire.headers(1, 5, &fields).answer(1), Ok(200));
    let asked = origin.only();
    assert_eq!(asked.field("cookie").as_deref(), Some("a=b; c=d"));
    assert_eq!(asked.field("te"), None);
    assert!(
        asked.head.to_lowercase().contains("\r\nx-blank: both\r\n"),
        "{}",
        asked.head
    );
    let twice = asked
        .names()
        .iter()
        .filter(|name| *name == "x-twice")
        .count();
    assert_eq!(twice, 2, "{}", asked.head);
}

#[test]
fn a_relative_target_goes_with_a_host() {
    let origin = Origin::ok();
    let edge = start(&origin, "");
    let mut client = http2(&edge);
    let mut request = Http2::request("GET", "/a", "host: img.example.com\r\n");
    *request.uri_mut() = Uri::from_static("/a?b");
    *request.version_mut() = Version::HTTP_11;
    assert_eq!(client.try_ask(request).unwrap().text(), "ok");
    assert_eq!(origin.only().target(), "/a?b");
}

#[test]
fn a_head_may_be_as_large_as_configured() {
    let origin = Origin::ok();
    let edge = start(&origin, "max_header_bytes = \"8 KiB\"\n");
    let mut client = http2(&edge);
    let large = format!("x-large: {}\r\n", "x".repeat(7 << 10));
    assert_eq!(client.get("/a", &large).status, 200);
    let larger = format!("x-large: {}\r\n", "x".repeat(9 << 10));
    let reply = client.get("/a", &larger);
    assert_eq!(reply.status, 431);
    assert!(reply.field("portcullis-ref").is_some());
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(client.get("/a", &many).status, 431);
    let long = format!("/{}", "x".repeat(9 << 10));
    assert_eq!(client.get(&long, "").status, 414);
    // Far over it the library answers, without us.
    let huge = format!("x-large: {}\r\n", "x".repeat(15 << 10));
    assert_eq!(client.get("/a", &huge).status, 431);
    assert_eq!(client.get("/a", "").status, 200);
    assert_eq!(edge.counted(|c| c.long_targets.get()), 1);
    eventually("counted", || edge.counted(|c| c.large_heads.get()) >= 2);
    assert_eq!(origin.count(), 2);
    let lines = edge.portcullis.stop();
    let with = |status: u16| lines.iter().filter(|line| line["status"] == status).count();
    assert!(with(431) >= 2 && with(414) == 1, "{lines:#?}");
}

#[test]
fn it_is_not_offered_where_it_is_off() {
    let edge = Edge::start_with(&Origin::ok(), "http2 = false", "");
    let only = edge.config_for(&[&TLS13], b"h2");
    let connected = Http2::try_connect(edge.address(), only, &h2::client::Builder::new());
    assert!(connected.is_err());
    assert_eq!(edge.client().get("/a", "").text(), "ok");
}

#[test]
fn a_plain_listener_does_not_speak_it() {
    let edge = start(&Origin::ok(), "");
    let mut client = Client::connect(edge.portcullis.address);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(Frame::bytes(kind::SETTINGS, 0, 0, &[]));
    let (status, _) = client.head();
    assert!(status >= 400);
    client.until_cut();
}
