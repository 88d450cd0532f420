//! `POST /-/purge`: who may, and what it makes of bad bodies.

use serde_json::{Value, json};

use super::{TOKEN, admin, bearer};
use crate::support::{Client, Origin, Program, Reply};

fn purge(program: &Program, fields: &str, body: &str) -> Reply {
    let mut client = Client::connect(program.admin());
    client.send(format!(
        "POST /-/purge HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.reply()
}

#[test]
fn who_may_purge() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let token = bearer(TOKEN);
    let all = r#"{"all": true}"#;
    assert_eq!(purge(&program, "", all).status, 401);
    assert_eq!(
        purge(&program, &bearer("a-token-of-20-bytes"), all).status,
        401
    );
    let page = format!("{token}Origin: https://evil.example\r\n");
    assert_eq!(purge(&program, &page, all).status, 403);
    for kind in ["", "Content-Type: Application/JSON; charset=utf-8\r\n"] {
        let reply = purge(&program, &format!("{token}{kind}"), all);
        assert_eq!(reply.status, 200, "{kind} {reply:?}");
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(answer, json!({ "purged": 0 }));
        assert_eq!(reply.field("cache-control").as_deref(), Some("no-store"));
    }
    for kind in [
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
    ] {
        let fields = format!("{token}Content-Type: {kind}\r\n");
        assert_eq!(purge(&program, &fields, all).status, 415, "{kind}");
    }
    let reply = super::ask(program.admin(), "GET /-/purge", &token);
    assert_eq!(
        (reply.status, reply.field("allow").as_deref()),
        (405, Some("POST"))
    );

    let read_only = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(purge(&read_only, &token, all).status, 403);
}

#[test]
fn what_cannot_be_purged_is_named() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let policy = format!("{table}[[route]]\nname = \"premium\"\npaths = [\"/premium/**\"]\n");
    let program = Program::start(&Origin::ok(), &policy);
    let token = bearer(TOKEN);
    for (body, status, words) in [
        (
            r#"{"urls":["https://a.com/x","http://a.com:81"],"prefixes":["a.com/b","https://a.com"],"tags":["t"]}"#,
            200,
            "purged",
        ),
        (r#"{"urls":[]}"#, 200, "purged"),
        ("", 400, r#"{"urls": ["#),
        ("all", 400, "line 1 column 1"),
        ("[]", 400, r#""all": true}"#),
        ("{}", 400, "names nothing"),
        (r#"{"all":false}"#, 400, "names nothing"),
        (r#"{"all":"yes"}"#, 400, "column 12"),
        (r#"{"url":["https://a.com/"]}"#, 400, "unknown field `url`"),
        (r#"{"urls":"https://a.com/"}"#, 400, "expected a sequence"),
        (
            r#"{"tags":["a"],"tags":["b"]}"#,
            400,
            "duplicate field `tags`",
        ),
        (r#"{"tags":["a"]} {}"#, 400, "trailing characters"),
        (
            r#"{"urls":["https://a.com/","a.com/x"]}"#,
            400,
            r#"urls[1]: "a.com/x" is not a URL"#,
        ),
        (r#"{"urls":["https://"]}"#, 400, "urls[0]"),
        (r#"{"urls":["https://a.com/a b"]}"#, 400, "urls[0]"),
        (r#"{"urls":["https://u@a.com/"]}"#, 400, "not a host name"),
        (
            r#"{"urls":["https://a.com/%zz"]}"#,
            400,
            "two hexadecimal digits",
        ),
        (
            r#"{"urls":["https://a.com/x/..%2fpremium/y"]}"#,
            400,
            "can be read as another one",
        ),
        (r#"{"prefixes":["a.com/x?y"]}"#, 400, "prefixes[0]"),
        (r#"{"prefixes":["/x"]}"#, 400, "prefixes[0]"),
        (r#"{"prefixes":["a.com/../x"]}"#, 400, "above the root"),
        (r#"{"tags":["a",""]}"#, 400, "tags[1]"),
        (r#"{"tags":[" a"]}"#, 400, "tags[0]"),
    ] {
        let reply = purge(&program, &token, body);
        assert_eq!(reply.status, status, "{body}: {reply:?}");
        assert!(reply.text().contains(words), "{body}: {}", reply.text());
    }
}

#[test]
fn a_body_is_bounded() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let tags = |count: usize| format!(r#"{{"tags":[{}"x"]}}"#, r#""abcdefg","#.repeat(count));
    let (most, over) = (tags(104_000), tags(105_000));
    assert!(most.len() <= 1 << 20 && over.len() > 1 << 20);
    assert_eq!(purge(&program, &bearer(TOKEN), &most).status, 200);
    let mut client = Client::connect(program.admin());
    // It is refused before it is read: the rest need not be sent.
    client.send(format!(
        "POST /-/purge HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n",
        bearer(TOKEN),
        over.len()
    ));
    assert_eq!(client.reply().status, 413);
    let chunked = format!("{}Transfer-Encoding: chunked\r\n", bearer(TOKEN));
    let mut client = Client::connect(program.admin());
    client.send(format!(
        "POST /-/purge HTTP/1.1\r\nHost: localhost\r\n{chunked}\r\n"
    ));
    client.send(format!("{:x}\r\n{over}\r\n", over.len()));
    assert_eq!(client.reply().status, 413);
}
