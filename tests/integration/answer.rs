//! Answers of our own.

use std::time::{Duration, Instant};

use crate::support::{Origin, Portcullis, Reply};

const DENY: &str = "[access.user_agent]\nblock = [\"badbot\"]\n";
const BAD: &str = "User-Agent: BadBot/1\r\n";
const BAD_POST: &str = "POST /a HTTP/1.1\r\nHost: a\r\nUser-Agent: BadBot/1\r\n";

#[test]
fn a_denial_is_a_403_with_an_id_and_the_origin_never_hears_of_it() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, DENY);
    let mut client = portcullis.client();
    let reply = client.get("/a.jpg", BAD);
    assert_eq!(reply.status, 403);
    let id = reply.field("portcullis-ref").unwrap();
    assert_eq!(id.len(), 20);
    assert_eq!(reply.text(), format!("Forbidden\nReference: {id}\n"));
    assert_eq!(
        reply.field("content-type").unwrap(),
        "text/plain; charset=utf-8"
    );
    assert_eq!(reply.field("cache-control").unwrap(), "no-store");
    assert_eq!(reply.field("portcullis-denied-by"), None);
    assert_eq!(client.get("/a.jpg", "").text(), "ok");
    assert_eq!(origin.only().line(), "GET /a.jpg HTTP/1.1");
}

#[test]
fn the_rule_is_told_only_where_the_policy_says_so() {
    let portcullis =
        Portcullis::start(&Origin::ok(), &format!("[access]\ndisclose = true\n{DENY}"));
    let reply = portcullis.client().get("/", BAD);
    assert_eq!(
        reply.field("portcullis-denied-by").unwrap(),
        "user_agent.block"
    );
}

#[test]
fn head_has_the_length_and_no_body() {
    let portcullis = Portcullis::start(&Origin::ok(), DENY);
    let mut client = portcullis.client();
    client.send(format!("HEAD /a HTTP/1.1\r\nHost: a\r\n{BAD}\r\n"));
    let (status, head) = client.head();
    assert_eq!(status, 403);
    assert!(head.contains("content-length: 42\r\n"), "{head}");
    // The next answer follows at once, so there was no body.
    assert_eq!(client.get("/a", BAD).body.len(), 42);
}

#[test]
fn a_short_body_is_dropped_and_the_connection_kept() {
    let portcullis = Portcullis::start(&Origin::ok(), DENY);
    let mut client = portcullis.client();
    let body = "x".repeat(60_000);
    client.send(format!("{BAD_POST}Content-Length: 60000\r\n\r\n{body}"));
    assert_eq!(client.reply().status, 403);
    client.send(format!(
        "{BAD_POST}Transfer-Encoding: chunked\r\n\r\nea60\r\n{body}\r\n0\r\n\r\n"
    ));
    assert_eq!(client.reply().status, 403);
    assert_eq!(client.get("/", "").text(), "ok");
}

#[test]
fn a_long_body_ends_the_connection_in_order() {
    let portcullis = Portcullis::start(&Origin::ok(), DENY);
    for framing in ["Content-Length: 8000000", "Transfer-Encoding: chunked"] {
        let mut client = portcullis.client();
        client.send(format!("{BAD_POST}{framing}\r\n\r\n7a1200\r\n"));
        let mut stream = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            // Until the other side has had enough.
            for _ in 0..800 {
                if std::io::Write::write_all(&mut stream, &[b'x'; 10_000]).is_err() {
                    break;
                }
            }
        });
        let reply = client.reply();
        assert_eq!(reply.status, 403, "{framing}");
        // An end, not a reset.
        assert_eq!(client.rest(), b"", "{framing}");
        drop(client);
        sender.join().unwrap();
    }
}

#[test]
fn a_body_that_does_not_come_is_waited_for_a_second() {
    let portcullis = Portcullis::start(&Origin::ok(), DENY);
    let mut client = portcullis.client();
    let start = Instant::now();
    client.send(format!("{BAD_POST}Content-Length: 10\r\n\r\nabc"));
    assert_eq!(client.reply().status, 403);
    let answered = start.elapsed();
    assert_eq!(client.rest(), b"");
    let closed = start.elapsed();
    assert!(closed >= Duration::from_millis(900), "{closed:?}");
    assert!(
        closed - answered >= Duration::from_millis(300),
        "the answer does not wait: {answered:?}"
    );
}

#[test]
fn who_expects_a_100_gets_the_answer_instead() {
    let portcullis = Portcullis::start(&Origin::ok(), DENY);
    let mut client = portcullis.client();
    client.send(format!(
        "{BAD_POST}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    ));
    let reply = client.reply();
    assert_eq!(reply.status, 403);
    assert_eq!(reply.field("connection").unwrap(), "close");
    assert_eq!(client.rest(), b"");
}

#[test]
fn what_no_rule_sees_is_refused_in_the_same_words() {
    let policy = "[server]\nlisten = [\"127.0.0.1:0\"]\nhosts = [\"a\"]\n[origin]\nurl = \"@origin@\"\nmethods = [\"GET\", \"HEAD\"]\n";
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, policy);
    let mut client = portcullis.client();
    for (request, status, reason, allow) in [
        ("GET /a%zz HTTP/1.1\r\nHost: a", 400, "Bad Request", None),
        (
            "GET / HTTP/1.1\r\nHost: b",
            421,
            "Misdirected Request",
            None,
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a",
            405,
            "Method Not Allowed",
            Some("GET, HEAD"),
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: a",
            405,
            "Method Not Allowed",
            Some("GET, HEAD"),
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a", 204, "", Some("GET, HEAD")),
    ] {
        client.send(format!("{request}\r\n\r\n"));
        let reply = client.reply();
        assert_eq!(reply.status, status, "{request}");
        let id = reply.field("portcullis-ref").unwrap();
        let body = if reason.is_empty() {
            String::new()
        } else {
            format!("{reason}\nReference: {id}\n")
        };
        assert_eq!(reply.text(), body, "{request}");
        assert_eq!(reply.field("cache-control").unwrap(), "no-store");
        assert_eq!(reply.field("allow").as_deref(), allow, "{request}");
    }
    assert!(origin.asked().is_empty());
}

#[test]
fn every_answer_has_its_body_and_head_its_length_only() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nhosts = [\"a\"]\n{DENY}[[route]]\nname = \"post\"\npaths = [\"/post\"]\n\
         origin = {{ url = \"http://127.0.0.1:9000\", methods = [\"POST\"] }}\n[response]\nset = {{ x-set = \"1\" }}\n"
    );
    let portcullis = Portcullis::start_at(closed, &policy);
    let long = format!("/{}", "\\".repeat(30_000));
    for (path, fields, status, reason) in [
        ("/%00", "", 400, "Bad Request"),
        ("/", BAD, 403, "Forbidden"),
        ("/post", "", 405, "Method Not Allowed"),
        (&long, "", 414, "URI Too Long"),
        ("http://b/", "", 421, "Misdirected Request"),
        ("/", "", 502, "Bad Gateway"),
    ] {
        let host = if path.starts_with("http:") { "b" } else { "a" };
        let mut client = portcullis.client();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"
        ));
        let reply = client.reply();
        assert_eq!(reply.status, status, "{reason}");
        assert!(
            reply
                .head
                .starts_with(&format!("HTTP/1.1 {status} {reason}\r\n"))
        );
        let id = reply.field("portcullis-ref").unwrap();
        assert_eq!(reply.text(), format!("{reason}\nReference: {id}\n"));
        client.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"
        ));
        let (same, head) = client.head();
        assert_eq!(same, status);
        assert_eq!(client.rest(), b"", "HEAD has no body");
        for head in [&reply.head, &head] {
            for (name, value) in [
                ("cache-control", "no-store"),
                ("content-type", "text/plain; charset=utf-8"),
                ("content-length", &reply.body.len().to_string()),
            ] {
                assert_eq!(Reply::find(head, name).as_deref(), Some(value), "{reason}");
            }
            assert_eq!(Reply::find(head, "portcullis-ref").unwrap().len(), 20);
            assert_eq!(
                Reply::find(head, "x-set"),
                None,
                "not an answer of the origin"
            );
        }
    }
}

#[test]
fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, "");
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 1\r\nContent-Length: 2",
        "Transfer-Encoding: gzip",
    ] {
        let mut client = portcullis.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n"
        ));
        assert_eq!(client.head().0, 400, "{fields}");
        client.rest();
    }
    assert!(origin.asked().is_empty());
}
