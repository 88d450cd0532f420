//! The admin listener: who may ask what, and whether the numbers are true.

mod dashboards;
mod denials;
mod explain;
mod kept;
mod metrics;
mod promql;
mod purge;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use self::metrics::Metrics;
use crate::support::{Client, Origin, Program, Reply, eventually, portcullis};

const TOKEN: &str = "a-token-of-20-bytes.";

/// A policy's `[admin]`, with the token in a file of its own.
fn admin(listen: &str) -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let table = format!(
        "[admin]\nlisten = \"{listen}\"\nhosts = [\"admin.example.com\"]\ntoken_file = \"{}\"\n",
        file.display()
    );
    (folder, file, table)
}

fn ask(address: SocketAddr, line: &str, fields: &str) -> Reply {
    let host = match fields.to_lowercase().contains("host:") {
        true => String::new(),
        false => format!("Host: {address}\r\n"),
    };
    let mut client = Client::connect(address);
    client.send(format!(
        "{line} HTTP/1.1\r\n{host}{fields}Content-Length: 0\r\n\r\n"
    ));
    match line.starts_with("HEAD") {
        false => client.reply(),
        true => {
            let (status, head) = client.head();
            let body = Vec::new();
            Reply { status, head, body }
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn get(program: &Program, path: &str) -> Reply {
    ask(program.admin(), &format!("GET {path}"), "")
}

#[test]
fn who_may_ask_what() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let token = bearer(TOKEN);
    let evil = "Host: evil.example\r\n";
    for (line, fields, status) in [
        ("GET /healthz", evil, 200),
        ("HEAD /readyz", evil, 200),
        (
            "GET /metrics",
            "Host: evil.example\r\nOrigin: https://evil.example\r\n",
            200,
        ),
        ("POST /metrics", "", 405),
        ("GET /-/policy", "", 200),
        ("HEAD /-/policy", "", 200),
        ("GET /-/policy", evil, 421),
        ("GET /-/policy", "Host:\r\n", 421),
        (
            "GET /-/policy",
            "Host: localhost\r\nHost: evil.example\r\n",
            421,
        ),
        (
            "GET http://evil.example/-/policy",
            "Host: localhost\r\n",
            421,
        ),
        ("GET /-/policy", "Host: 127.0.0.1.evil.example\r\n", 421),
        ("GET /-/policy", "Host: [::1]:9900\r\n", 200),
        ("GET /-/policy", "Host: Admin.Example.com.:9900\r\n", 200),
        (
            "GET /-/policy",
            "Host: localhost:99\r\nOrigin: http://localhost:99\r\n",
            200,
        ),
        (
            "GET /-/policy",
            "Host: localhost:99\r\nOrigin: http://localhost:98\r\n",
            403,
        ),
        ("GET /-/policy", "Origin: http://evil.example\r\n", 403),
        ("GET /-/policy", "Origin: null\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: same-site\r\n", 403),
        ("GET /-/policy", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("GET /-/policy", "Sec-Fetch-Site: none\r\n", 200),
        (
            "GET /-/policy",
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n",
            403,
        ),
        ("POST /-/policy", "", 405),
        ("GET /-/reload", "", 405),
        ("GET /-/nothing", "", 404),
        ("GET /", evil, 421),
        ("POST /-/reload", "", 401),
        (
            "POST /-/reload",
            "Authorization: Bearer a-token-of-20-bytes\r\n",
            401,
        ),
        (
            "POST /-/reload",
            "Authorization: Basic a-token-of-20-bytes.\r\n",
            401,
        ),
        ("POST /-/reload", "Authorization: \r\n", 401),
        ("POST /-/reload", &format!("{token}{token}"), 401),
        ("POST /-/reload", &token, 200),
        ("POST /-/reload", &token.replace("Bearer", "bearer"), 200),
        (
            "POST /-/reload",
            &format!("{token}Origin: http://evil.example\r\n"),
            403,
        ),
        ("POST /-/reload", &format!("{token}{evil}"), 421),
    ] {
        let reply = ask(program.admin(), line, fields);
        assert_eq!(reply.status, status, "{line} {fields:?}: {reply:?}");
        assert_eq!(
            reply.field("cache-control").as_deref(),
            Some("no-store"),
            "{line}"
        );
        assert_eq!(
            reply.field("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{line}"
        );
        assert!(
            !reply.head.contains(TOKEN) && !reply.text().contains(TOKEN),
            "{line}"
        );
        let challenge = reply.field("www-authenticate");
        assert_eq!(
            challenge.as_deref() == Some("Bearer"),
            status == 401,
            "{line}"
        );
        let allow = reply.field("allow");
        assert_eq!(allow.is_some(), status == 405, "{line} {allow:?}");
    }
    let reply = ask(program.admin(), "GET /-/reload", "");
    assert_eq!(reply.field("allow").as_deref(), Some("POST"));
}

#[test]
fn without_a_token_it_is_read_only() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(get(&program, "/-/policy").status, 200);
    for fields in ["", &bearer(TOKEN), &bearer("")] {
        let reply = ask(program.admin(), "POST /-/reload", fields);
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains("admin.token_file"), "{reply:?}");
    }
    let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
    assert_eq!(
        (&policy["generation"], &policy["read_only"]),
        (&json!(1), &json!(true))
    );
}

#[test]
fn whoever_comes_from_elsewhere_needs_the_token() {
    let (_folder, _, table) = admin("0.0.0.0:0");
    let bare = "[admin]\nlisten = \"0.0.0.0:0\"\n";
    for (table, without, with) in [(bare, 403, 403), (&table, 401, 200)] {
        let program = Program::start(&Origin::ok(), table);
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(get(&program, path).status, 200);
        }
        let reply = get(&program, "/-/policy");
        assert_eq!(reply.status, without);
        assert!(reply.text().contains("admin.token_file"), "{reply:?}");
        assert_eq!(get(&program, "/-/nothing").status, without);
        let reply = ask(program.admin(), "GET /-/policy", &bearer(TOKEN));
        assert_eq!(reply.status, with);
    }
}

#[test]
fn token_and_hosts_are_reloaded() {
    let (_folder, file, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let reload = |token: &str| ask(program.admin(), "POST /-/reload", &bearer(token));
    let other = "another-token-of-29-bytes-now";
    assert_eq!(reload(other).status, 401);
    std::fs::write(&file, other).unwrap();
    eventually("the file is watched", || reload(other).status == 200);
    assert_eq!(reload(TOKEN).status, 401);
    let named = || {
        ask(
            program.admin(),
            "GET /-/policy",
            "Host: new.example.com\r\n",
        )
        .status
    };
    assert_eq!(named(), 421);
    program.edit("admin.example.com", "new.example.com");
    assert_eq!(reload(other).status, 200);
    assert_eq!(named(), 200);
}

/// Some have a secret there.
#[test]
fn the_path_of_an_origin_is_not_shown() {
    let origin = Origin::ok();
    let url = format!("http://{}", origin.address);
    let toml = format!("[origin]\nurl = \"{url}/sesame\"\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    let policy = get(&Program::start(&origin, &toml), "/-/policy");
    assert!(policy.text().contains(&url), "{}", policy.text());
    assert!(!policy.text().contains("sesame"), "{}", policy.text());
}

#[test]
fn a_reload_that_fails_says_why() {
    let (_folder, _, table) = admin("127.0.0.1:0");
    let program = Program::start(&Origin::ok(), &table);
    let reload = || {
        let reply = ask(program.admin(), "POST /-/reload", &bearer(TOKEN));
        (
            reply.status,
            serde_json::from_slice::<Value>(&reply.body).unwrap(),
        )
    };
    assert_eq!(reload(), (200, json!({ "generation": 2 })));
    program.edit("url = \"http://", "url = \"http://user:secret@");
    let (status, body) = reload();
    assert_eq!(status, 422);
    assert!(
        body["error"].as_str().unwrap().contains("origin.url"),
        "{body}"
    );
    let policy = get(&program, "/-/policy");
    assert!(!policy.text().contains("secret") && !body.to_string().contains("secret"));
    let policy: Value = serde_json::from_slice(&policy.body).unwrap();
    let failure = &policy["last_failed_reload"];
    assert_eq!(failure["since_then_succeeded"], false);
    assert!(
        failure["why"].as_str().unwrap().contains("origin.url"),
        "{policy}"
    );
    assert_eq!(policy["generation"], 2);
    let metrics = Metrics::of(&program);
    assert_eq!(metrics.value("portcullis_last_reload_failed"), 1.0);
    assert_eq!(metrics.value("portcullis_snapshot_generation"), 2.0);
    assert_eq!(
        metrics.with("portcullis_reloads_total", "outcome", "success"),
        1.0
    );
    assert!(metrics.with("portcullis_reloads_total", "outcome", "failure") >= 1.0);
    program.edit("user:secret@", "");
    // Whoever watches the file may have been quicker.
    let (status, body) = reload();
    assert_eq!(status, 200);
    assert!(body["generation"].as_u64() >= Some(3), "{body}");
    assert_eq!(
        Metrics::of(&program).value("portcullis_last_reload_failed"),
        0.0
    );
}

#[test]
fn not_ready_while_it_drains() {
    let origin = Origin::scripted(|conversation| {
        conversation.head();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        conversation.head();
    });
    let program = Program::start(&origin, "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let health = |path: &str| {
        let url = format!("http://{}{path}", program.admin());
        let output = portcullis(&["health", "--url", &url]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(health("/readyz"), (Some(0), String::new()));
    let mut client = program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
    program.signal("TERM");
    eventually("it drains", || get(&program, "/readyz").status == 503);
    assert_eq!(get(&program, "/healthz").status, 200);
    assert_eq!(Metrics::of(&program).value("portcullis_draining"), 1.0);
    // Without a path it is /readyz, and not /healthz.
    assert_eq!(health("").0, Some(1));
    let (code, said) = health("/readyz");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("503 draining") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(health("/healthz").0, Some(0));
    program.signal("TERM");
}

/// They cost the process no more than so many connections can, and no probe
/// has to wait for one.
#[test]
fn in_a_crowd_the_oldest_makes_room() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let mut crowd: Vec<Client> = (0..64).map(|_| Client::connect(program.admin())).collect();
    for client in &mut crowd {
        assert_eq!(client.get("/healthz", "").status, 200);
    }
    let mut late = Client::connect(program.admin());
    assert_eq!(late.get("/healthz", "").status, 200);
    let (oldest, others) = crowd.split_first_mut().unwrap();
    assert_eq!(oldest.rest(), b"");
    for client in others {
        assert_eq!(client.get("/healthz", "").status, 200);
    }
    assert_eq!(late.get("/healthz", "").status, 200);
    assert_eq!(program.client().get("/", "").status, 200);
}

#[test]
fn health_of_nobody() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let garbled = Origin::answering("hello\r\n\r\n");
    for (url, code, word) in [
        (format!("http://{free}/readyz"), 1, "no answer"),
        (format!("http://{}/", garbled.address), 1, "not HTTP"),
        ("https://127.0.0.1/".to_owned(), 64, "not an http URL"),
        ("127.0.0.1:9900".to_owned(), 64, "URL"),
    ] {
        let output = portcullis(&["health", "--url", &url]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n[admin]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(&file, toml).unwrap();
    let output = portcullis(&["run", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("admin.listen: cannot listen on"), "{said}");
}

#[test]
fn when_certificates_end_is_told() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls");
    let file = |name: &str| format!("{fixtures}/{name}.pem");
    let certificates = ["site", "rsa"].map(|name| {
        let (certificate, key) = (file(name), file(&format!("{name}.key")));
        format!(
            "[[server.tls.certificates]]\ncert_file = \"{certificate}\"\nkey_file = \"{key}\"\n"
        )
    });
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\n{}\
         [admin]\nlisten = \"127.0.0.1:0\"\n",
        certificates.concat()
    );
    let program = Program::start(&Origin::ok(), &policy);
    let metrics = Metrics::of(&program);
    let name = "portcullis_certificate_expiry_timestamp_seconds";
    // The first moment of 2125.
    assert_eq!(metrics.with(name, "file", &file("site")), 4_891_363_200.0);
    let both = metrics.with(name, "name", "img.example.com");
    assert!(both > 2.0 * 4_891_363_200.0, "{both}");
    let told: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
    assert_eq!(
        told["certificates"][0],
        json!({
            "file": file("site"),
            "names": ["img.example.com", "*.cdn.example.com", "192.0.2.1"],
            "expires": "2125-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(told["certificates"][1]["file"], file("rsa"));
}
