//! The access log.

use serde_json::{Value, json};

use crate::support::{Origin, Portcullis};

const FIELDS: [&str; 30] = [
    "time",
    "ref",
    "generation",
    "method",
    "url",
    "protocol",
    "status",
    "bytes",
    "peer",
    "client",
    "client_from",
    "client_header",
    "forwarded",
    "country",
    "route",
    "verdict",
    "rule",
    "would_deny",
    "variant",
    "accept",
    "cache",
    "cache_key",
    "origin_ms",
    "total_ms",
    "user_agent",
    "referer",
    "origin_field",
    "sec_fetch",
    "request_method",
    "error",
];

fn check(line: &Value, expected: &Value) {
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
}

#[test]
fn a_line_a_request_with_all_fields() {
    let policy = "[access.user_agent]\nblock = [\"bad\"]\n[access.origins.delivery]\npatterns = [\"a\"]\n\
                  missing = \"allow\"\nshadow = true\n";
    let portcullis = Portcullis::start(&Origin::ok(), policy);
    let mut client = portcullis.client();
    client.get(
        "/a.jpg?q=1",
        "User-Agent: x\r\nAccept: image/webp\r\nReferer: https://e/\r\nReferer: \u{fc}\r\nSec-Fetch-Site: none\r\n\
         Sec-Fetch-Dest: image\r\nOrigin: https://evil\r\n",
    );
    let denied = client.get("/b.css", "User-Agent: bad\"\r\nAccept: a\r\nAccept: b\r\n");
    client.get("/%zz", "");
    let address = portcullis.address;
    client.send("OPTIONS http://img.example.com/up HTTP/1.1\r\nHost: img.example.com\r\nAccess-Control-Request-Method: PUT\r\n\r\n");
    client.reply();
    client.send("GET /old HTTP/1.0\r\n\r\n");
    client.reply();
    let lines = portcullis.stop();
    assert_eq!(lines.len(), 5);
    for line in &lines {
        let keys: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        let mut sorted = FIELDS.map(str::to_owned).to_vec();
        sorted.sort_unstable();
        assert_eq!(keys, sorted);
        assert_eq!(
            line["time"].as_str().unwrap().len(),
            "2026-11-22T01:02:03.004Z".len()
        );
        assert!(line["total_ms"].as_f64().unwrap() > 0.0);
    }
    check(
        &lines[0],
        &json!({
            "generation": 1, "method": "GET", "url": "http://img.example.com/a.jpg?q=1", "protocol": "HTTP/1.1",
            "status": 200, "bytes": 2, "peer": "127.0.0.1", "client": "127.0.0.1", "client_from": "peer",
            "client_header": "x-forwarded-for", "forwarded": null, "country": null, "route": "default", "verdict": "forward", "rule": null,
            "would_deny": ["origins.delivery"], "variant": "webp", "accept": "image/webp,*/*;q=0.8", "cache": "miss",
            "cache_key": "http://img.example.com/a.jpg?q=1 webp", "user_agent": "x",
            "referer": ["https://e/", "\u{fc}"], "origin_field": "https://evil", "sec_fetch": "none//image",
            "request_method": null, "error": null,
        }),
    );
    assert!(lines[0]["origin_ms"].as_f64().unwrap() <= lines[0]["total_ms"].as_f64().unwrap());
    check(
        &lines[1],
        &json!({
            "ref": denied.field("portcullis-ref").unwrap(), "status": 403, "bytes": 42, "verdict": "deny",
            "rule": "user_agent.block", "would_deny": [], "variant": "original", "accept": "a, b", "cache": null,
            "cache_key": "http://img.example.com/b.css original", "origin_ms": null, "user_agent": "bad\"",
            "error": null,
        }),
    );
    check(
        &lines[2],
        &json!({
            "status": 400, "verdict": "reject", "client": "127.0.0.1", "route": null, "variant": null, "cache": null,
            "url": "http://img.example.com/%zz", "cache_key": null,
        }),
    );
    assert!(lines[2]["error"].is_string());
    check(
        &lines[3],
        &json!({
            "method": "OPTIONS", "url": "http://img.example.com/up", "request_method": "PUT", "variant": "original",
        }),
    );
    check(
        &lines[4],
        &json!({ "protocol": "HTTP/1.0", "url": format!("http://{address}/old"), "status": 200 }),
    );
}

#[test]
fn fields_stand_in_their_order() {
    let portcullis = Portcullis::start(&Origin::ok(), "");
    portcullis.client().get("/", "");
    let text = portcullis.stop_text();
    let places: Vec<_> = FIELDS
        .iter()
        .map(|key| text.find(&format!("\"{key}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn addresses_are_told_as_configured() {
    for (mode, peer, client, forwarded) in [
        (
            "prefix",
            json!("127.0.0.0/24"),
            json!("2001:db8::/48"),
            json!("2001:db8::/48"),
        ),
        ("none", Value::Null, Value::Null, Value::Null),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let policy = format!(
            "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[log]\naccess = \"{}\"\nclient_address = \"{mode}\"\n",
            path.display()
        );
        let portcullis = Portcullis::start(&Origin::ok(), &policy);
        portcullis
            .client()
            .get("/", "X-Forwarded-For: 2001:db8::1\r\n");
        portcullis.finish();
        let line: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(
            (&line["peer"], &line["client"], &line["forwarded"]),
            (&peer, &client, &forwarded)
        );
    }
}

#[test]
fn a_client_that_leaves_within_the_response_is_told_of() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123");
        conversation.request();
    });
    let portcullis = Portcullis::start(&origin, "");
    let mut client = portcullis.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    assert_eq!(client.take(3), b"123");
    // A reset, which is noticed at once.
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(client);
    let lines = portcullis.stop();
    let error = "the client went away within the response";
    check(
        &lines[0],
        &json!({ "status": 200, "bytes": 3, "error": error }),
    );
    // A client that has only ended its side is waited for longer.
    let took = lines[0]["total_ms"].as_f64().unwrap();
    assert!(took < 4000.0, "{took}");
}

#[test]
fn what_the_cache_did() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 2\r\n\r\nok",
    );
    let policy = "[access.user_agent]\nblock = [\"bad\"]\n[[route]]\nname = \"live\"\n\
                  paths = [\"/live/**\"]\ncache.enabled = false\n";
    let portcullis = Portcullis::start(&origin, policy);
    let mut client = portcullis.client();
    for (path, agent) in [("/a", ""), ("/a", ""), ("/a", "bad"), ("/live/a", "")] {
        client.get(path, &format!("User-Agent: {agent}\r\n"));
    }
    let lines = portcullis.stop();
    assert_eq!(lines[0]["cache"], "miss");
    // It may come before the first one is stored.
    assert!(["hit", "joined"].contains(&lines[1]["cache"].as_str().unwrap()));
    assert!(lines[1]["origin_ms"].is_null(), "{}", lines[1]);
    assert_eq!(lines[2]["status"], 403);
    assert!(lines[2]["cache"].is_null(), "it did not get there");
    assert_eq!(lines[3]["cache"], "bypass");
}
