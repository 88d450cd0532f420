//! Hits and misses, and what each is told as.

use super::support::{FRESH, ago, echo, is_hit, logged, numbered, ok, response, status};
use crate::support::{Client, Origin, Portcullis};

#[test]
fn the_second_request_is_answered_from_storage() {
    let origin = numbered(&format!(
        "{FRESH}ETag: \"one\"\r\nContent-Type: text/css\r\n"
    ));
    let proxy = Portcullis::start(&origin, "");
    // One connection, so that the lines of the log are in order.
    let mut client = proxy.client();
    let first = client.get("/a.css", "");
    let second = client.get("/a.css", "");
    assert_eq!((first.text(), second.text()), ("1", "1"));
    assert_eq!(origin.count(), 1);
    for (name, value) in [
        ("etag", "\"one\""),
        ("content-type", "text/css"),
        ("cache-control", "max-age=600"),
    ] {
        assert_eq!(second.field(name).as_deref(), Some(value));
    }
    let told = status(&first);
    assert_eq!((told.fwd.as_deref(), told.stored), (Some("uri-miss"), true));
    assert!(!told.collapsed);
    let told = status(&second);
    assert!(told.hit && (590..=600).contains(&told.ttl.unwrap()));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(logged(proxy), [some("miss"), some("hit")]);
}

#[test]
fn age_and_date_are_those_of_the_response() {
    let date = ago(5);
    let fields = format!("{FRESH}Date: {date}\r\nAge: 7\r\n");
    let origin = Origin::answered_by(move |_| ok(&fields, "x"));
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let age = |age: Option<String>| age.unwrap().parse::<u64>().unwrap();
    for hit in [false, true] {
        let reply = client.get("/", "");
        assert_eq!(status(&reply).hit, hit);
        assert_eq!(reply.field("date").as_deref(), Some(&*date));
        assert!((7..60).contains(&age(reply.field("age"))), "{}", reply.head);
        let not_modified = client.get("/", "If-None-Match: *\r\n");
        assert_eq!(not_modified.status, 304);
        assert!((7..60).contains(&age(not_modified.field("age"))));
    }
}

#[test]
fn a_response_without_a_date_gets_that_of_its_receipt() {
    let proxy = Portcullis::start(&numbered(FRESH), "");
    let mut client = proxy.client();
    let first = client.get("/", "").field("date").unwrap();
    let second = client.get("/", "");
    let seconds = |date: &str| {
        let time = httpdate::parse_http_date(date).unwrap();
        time.elapsed().map_or(0, |elapsed| elapsed.as_secs())
    };
    assert!(seconds(&first) < 60);
    let second_date = second.field("date").unwrap();
    assert!(seconds(&second_date).abs_diff(seconds(&first)) <= 1);
    assert!(second.field("age").unwrap().parse::<u64>().unwrap() < 60);
}

#[test]
fn the_origins_own_cache_status_stays_in_front() {
    let fields = format!("{FRESH}Cache-Status: \"or; igin\"; hit\r\n");
    let proxy = Portcullis::start(&numbered(&fields), "");
    let mut client = proxy.client();
    for hit in [false, true] {
        let reply = client.get("/", "");
        assert_eq!(status(&reply).hit, hit);
        let own = reply.head.find("\"or; igin\"; hit").unwrap();
        assert!(own < reply.head.find("portcullis;").unwrap());
        assert_eq!(reply.head.matches("portcullis;").count(), 1);
    }
}

#[test]
fn head_is_answered_from_what_get_stored() {
    let origin = numbered(&format!("{FRESH}ETag: \"one\"\r\n"));
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let head = client.head_of("/", "");
    assert!(status(&head).hit);
    assert_eq!(head.field("content-length").as_deref(), Some("1"));
    assert_eq!(head.field("etag").as_deref(), Some("\"one\""));
    assert_eq!(
        client.head_of("/", "If-None-Match: \"one\"\r\n").status,
        304
    );
    assert_eq!(client.get("/", "").text(), "1", "the connection is in step");
    assert_eq!(origin.count(), 1);
}

#[test]
fn what_makes_another_key_is_a_miss() {
    let origin = numbered(FRESH);
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let ask = |client: &mut Client, host: &str, path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        status(&client.reply()).hit
    };
    let all = [
        ("a.example", "/"),
        ("a.example", "/?"),
        ("a.example", "/?a"),
        ("a.example", "/?A"),
        ("a.example", "/?a="),
        ("a.example", "/A"),
        ("a.example", "/a"),
        ("a.example", "/a/"),
        ("b.example", "/"),
        ("b.example:81", "/"),
    ];
    for (host, path) in all {
        let same = path == "/?";
        assert_eq!(ask(&mut client, host, path), same, "{host}{path}");
    }
    for (host, path) in all {
        assert!(ask(&mut client, host, path), "{host}{path}");
    }
    assert_eq!(origin.count(), all.len() - 1);
}

#[test]
fn what_is_no_plain_get_goes_to_the_origin() {
    let origin = echo("Cache-Control: public, max-age=600\r\n");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let body = "Content-Length: 4\r\n\r\nbody";
    for (number, (method, rest)) in [
        ("POST", body),
        ("POST", body),
        ("OPTIONS", "\r\n"),
        ("OPTIONS", "\r\n"),
        ("GET", body),
        (
            "GET",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        ),
        ("GET", "Cache-Control: no-store\r\n\r\n"),
        ("GET", "\r\n"),
        ("GET", body),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n{rest}"));
        let reply = client.reply();
        assert_eq!(origin.count(), number + 1, "{method} {rest:?}");
        let told = status(&reply);
        assert!(!told.hit, "{}", reply.head);
        assert_eq!(told.stored, rest == "\r\n" && method == "GET", "{rest:?}");
        if method != "GET" {
            assert_eq!(told.fwd.as_deref(), Some("method"));
        }
    }
}

#[test]
fn only_if_cached_asks_nobody() {
    let origin = numbered(FRESH);
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let only = "Cache-Control: only-if-cached\r\n";
    let refused = client.get("/", only);
    assert_eq!((refused.status, origin.count()), (504, 0));
    assert!(refused.field("portcullis-ref").is_some());
    assert_eq!(
        refused.field("cache-status").as_deref(),
        Some("portcullis; detail=only-if-cached")
    );
    client.get("/", "");
    assert_eq!(client.get("/", only).text(), "1");
}

#[test]
fn no_cache_where_the_policy_has_none() {
    for policy in [
        "[cache]\nmemory = \"0\"\n",
        "[[route]]\nname = \"r\"\npaths = [\"/**\"]\n[route.cache]\nenabled = false\n",
    ] {
        let origin = numbered(FRESH);
        let proxy = Portcullis::start(&origin, policy);
        let mut client = proxy.client();
        assert_eq!(client.get("/", "").text(), "1");
        assert_eq!(client.get("/", "").text(), "2");
    }
}

#[test]
fn answers_of_our_own_are_never_stored() {
    // Until a connection says otherwise, the origin hangs up.
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            match asked.field("x-live") {
                None => return,
                Some(_) => conversation.say(ok(FRESH, "alive")),
            }
        }
    });
    let proxy = Portcullis::start(&origin, "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut client = proxy.client();
    assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
    assert_eq!(client.get("/", "").status, 502);
    assert_eq!(client.get("/", "X-Live: 1\r\n").text(), "alive");
    assert!(is_hit(&mut client, "/", ""));
    assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
    let some = |text: &str| Some(text.to_owned());
    let told = logged(proxy);
    assert_eq!(
        (&told[0], &told[4]),
        (&None, &None),
        "never got to the cache"
    );
    assert_eq!(told[2..4], [some("miss"), some("hit")]);
}

#[test]
fn every_storable_status_comes_back_as_it_was() {
    let origin = Origin::answered_by(|asked| {
        let status = asked.target().trim_start_matches('/').to_owned();
        response(
            &format!("{status} Some Words"),
            &format!("{FRESH}Location: /x\r\n"),
            &status,
        )
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    for code in [200, 203, 301, 302, 307, 308, 404, 410, 451, 500, 599] {
        let path = format!("/{code}");
        let first = client.get(&path, "");
        let second = client.get(&path, "");
        assert!(status(&second).hit, "{code}");
        assert_eq!((first.status, second.status), (code, code));
        assert_eq!(second.text(), code.to_string());
        assert_eq!(second.field("location").as_deref(), Some("/x"));
    }
}

#[test]
fn a_response_without_a_body_comes_back_without_one() {
    let origin = Origin::answered_by(|_| format!("HTTP/1.1 204 No Content\r\n{FRESH}\r\n"));
    let proxy = Portcullis::start(&origin, "[cache]\ndefault_ttl = \"1h\"\n");
    let mut client = proxy.client();
    for hit in [false, true, true] {
        let reply = client.get("/", "");
        assert_eq!((reply.status, status(&reply).hit), (204, hit));
        assert_eq!(reply.field("content-length"), None);
    }
    assert_eq!(client.head_of("/", "").status, 204);
    assert_eq!(client.get("/", "Range: bytes=0-1\r\n").status, 204);
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let origin = Origin::answered_by(|asked| ok(FRESH, asked.target()));
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/b", "");
    let all = ["/a", "/b", "/a", "/c", "/b", "/c"];
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: img.example.com\r\n\r\n");
    client.send(all.map(request).concat());
    for path in all {
        assert_eq!(client.reply().text(), path);
    }
    assert_eq!(origin.count(), 3);
}

#[test]
fn a_hit_is_logged_like_any_request_but_for_the_origin() {
    let proxy = Portcullis::start(&numbered(FRESH), "");
    let mut client = proxy.client();
    client.get("/a.png", "");
    client.get("/a.png", "Range: bytes=0-0\r\n");
    client.get("/a.png", "If-None-Match: *\r\n");
    let lines = proxy.stop();
    let told = |at: usize| (lines[at]["status"].as_u64(), lines[at]["bytes"].as_u64());
    assert_eq!(told(0), (Some(200), Some(1)));
    assert_eq!(told(1), (Some(206), Some(1)));
    assert_eq!(told(2), (Some(304), Some(0)));
    for line in &lines {
        assert_eq!(
            line["origin_ms"].is_null(),
            line["cache"] == "hit",
            "{line}"
        );
        assert_eq!(line["cache_key"], "http://img.example.com/a.png original");
        assert_eq!(
            (&line["verdict"], &line["variant"]),
            (&"forward".into(), &"original".into())
        );
        assert!(line["total_ms"].as_f64().unwrap() >= 0.0);
    }
}
