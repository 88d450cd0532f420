//! `/-/denials`: what is kept of requests that were denied, whoever denied them
//! and however they came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rstest::rstest;
use serde_json::{Value, json};
use tokio_rustls::rustls::version::TLS13;

use super::{TOKEN, admin, ask, bearer, get};
use crate::policy::country_database;
use crate::support::{Client, Http2, Origin, Program, Reply, eventually, portcullis};
use crate::tls_clients::Edge;

pub(super) const OPEN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

/// Rules, and who is believed.
pub(super) fn rules(log: &str) -> String {
    format!(
        "{OPEN}[log]\n{log}\n[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[images]\nformats = [\"webp\"]\n\
         [access.ip]\nblock = [\"198.51.100.0/24\"]\n[access.user_agent]\nblock = [\"badbot\"]\n\
         [access.geo]\nmode = \"block\"\ncountries = [\"RE\"]\ndatabase = \"{}\"\nunknown = \"allow\"\n\
         [access.referrer]\nmode = \"allow\"\nurls = [\"https://www.example.com\"]\nmissing = \"infer\"\nshadow = true\n",
        country_database().display()
    )
}

pub(super) fn reference(reply: &Reply) -> String {
    reply.field("portcullis-ref").expect("every 403 has one")
}

pub(super) fn denials(program: &Program, query: &str) -> Value {
    let reply = get(program, &format!("/-/denials?{query}"));
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    assert_eq!(
        reply.field("content-type").as_deref(),
        Some("application/json")
    );
    serde_json::from_slice(&reply.body).unwrap()
}

pub(super) fn only(told: &Value) -> &Value {
    assert_eq!(told["found"], 1, "{told}");
    let list = told["denials"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    &list[0]
}

pub(super) fn recall(program: &Program, reference: &str) -> Value {
    let reply = get(program, &format!("/-/explain?ref={reference}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_slice(&reply.body).unwrap()
}

/// What `portcullis explain --ref` prints: exit code, output and errors.
pub(super) fn command(program: &Program, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://{}", program.admin());
    let output = portcullis(&["explain", "--admin", &url])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const MANY_FIELDS: &[u8] = b"Host: IMG.example.com:80\r\nX-Forwarded-For: 198.51.100.7, 203.0.113.129\r\n\
    X-Forwarded-For: 203.0.113.129\r\nUser-Agent: \xc2\x9b31m \"x\\\r\nReferer: https://leech.example/\xe2\x80\xae\r\n\
    Referer: https://b.example/\r\nAccept: image/webp,*/*\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: image\r\n";

/// A request with all that a line tells, and what a terminal would obey, to be
/// denied by `geo.block`.
pub(super) fn send_many_fields(program: &Program) -> Reply {
    let mut client = program.client();
    let mut bytes = b"GET /a/../b.jpg?x=%22\\ HTTP/1.1\r\n".to_vec();
    bytes.extend(MANY_FIELDS);
    bytes.extend(b"Origin: \xff\r\n\r\n");
    client.send(bytes);
    client.reply()
}

#[test]
fn a_denial_is_the_same_with_the_log_and_without() {
    let mut all = Vec::new();
    for log in ["access = \"log\"", "access = \"off\""] {
        for mode in ["full", "prefix", "none"] {
            let folder = tempfile::tempdir().unwrap();
            let log = log.replace("log\"", &format!("{}/log\"", folder.path().display()));
            let program = Program::start(
                &Origin::ok(),
                &rules(&format!("{log}\nclient_address = \"{mode}\"")),
            );
            let reply = send_many_fields(&program);
            assert_eq!(reply.status, 403);
            let reference = reference(&reply);
            let query = format!("ref={reference}");
            // With the log on it is kept when all of the answer is gone.
            crate::support::eventually("it is kept", || denials(&program, &query)["found"] == 1);
            let told = denials(&program, &query);
            let entry = only(&told).clone();
            assert_eq!(entry["ref"], reference.as_str());
            if log.contains("/log") {
                let path = folder.path().join("log");
                crate::support::eventually("the line is written", || {
                    std::fs::read_to_string(&path).unwrap().contains(&reference)
                });
                let line = std::fs::read_to_string(&path).unwrap();
                let line: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
                assert_eq!(entry, line);
            }
            let shown: [Value; 2] = match mode {
                "full" => [json!("127.0.0.1"), json!("203.0.113.129")],
                "prefix" => [json!("127.0.0.0/24"), json!("203.0.113.0/24")],
                _ => [json!(null), json!(null)],
            };
            assert_eq!([entry["peer"].clone(), entry["client"].clone()], shown);
            assert!(
                mode == "full" || !entry.to_string().contains("113.129"),
                "{entry}"
            );
            all.push((mode, entry));
        }
    }
    let (with, without) = all.split_at(3);
    assert!(with.iter().all(|(_, entry)| entry["country"] == "RE"));
    for ((mode, with), (_, without)) in with.iter().zip(without) {
        let of = |value: &Value| -> BTreeMap<String, Value> {
            serde_json::from_value(value.clone()).unwrap()
        };
        let (with, mut without) = (of(with), of(without));
        for (key, value) in &with {
            let other = without
                .remove(key)
                .unwrap_or_else(|| panic!("{key} is missing"));
            match key.as_str() {
                "time" | "ref" => {}
                // Known when it is over.
                "bytes" | "total_ms" => assert!(other.is_null(), "{key}"),
                _ => assert_eq!(*value, other, "{mode} {key}"),
            }
        }
        assert!(without.is_empty(), "{without:?}");
    }
}

#[test]
fn denials_are_filtered_and_newest_first() {
    let program = Program::start(&Origin::ok(), &rules("access = \"off\""));
    let mut client = program.client();
    let mut references = Vec::new();
    for (client_is, host, agent) in [
        ("198.51.100.7", "img.example.com", "x"),
        ("203.0.113.129", "img.example.com", "x"),
        ("198.51.100.99", "other.example.com:8080", "x"),
        ("192.0.2.1", "img.example.com", "BadBot"),
        ("2001:db8::1", "img.example.com", "badbot"),
    ] {
        client.send(format!(
            "GET /a.css HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client_is}\r\nUser-Agent: {agent}\r\n\r\n"
        ));
        let reply = client.reply();
        assert_eq!(reply.status, 403, "{client_is}");
        references.push(reference(&reply));
    }
    for (query, expected) in [
        ("", &[4, 3, 2, 1, 0][..]),
        ("limit=2", &[4, 3]),
        ("rule=ip.block", &[2, 0]),
        ("rule=ip.block&limit=1", &[2]),
        ("rule=user_agent.block&client=::/0", &[4]),
        ("client=198.51.100.0/24", &[2, 0]),
        ("client=198.51.100.7", &[0]),
        ("host=OTHER.example.com", &[2]),
        ("host=img.example.com&rule=geo.block", &[1]),
        ("rule=referrer.allow", &[]),
        ("ref=00000000000000000000", &[]),
    ] {
        let told = denials(&program, query);
        let list = told["denials"].as_array().unwrap().iter();
        let found: Vec<&str> = list.map(|entry| entry["ref"].as_str().unwrap()).collect();
        let expected: Vec<&str> = expected.iter().map(|n| references[*n].as_str()).collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!(told["kept"], 5, "{query}");
    }
    assert_eq!(denials(&program, "limit=2")["found"], 5);
    // Addresses are compared in one form.
    assert_eq!(
        denials(&program, "client=::ffff:198.51.100.7")["found"],
        json!(1)
    );
    assert_eq!(
        denials(&program, "client=198.51.100.7/24")["found"],
        json!(2)
    );
    let upper = references[0].to_uppercase();
    assert_eq!(
        only(&denials(&program, &format!("ref={upper}")))["ref"],
        references[0].as_str()
    );
    for (query, said) in [
        ("rule=x", "there are ip.block"),
        ("rule=", "there are ip.block"),
        ("rule=GEO.ALLOW", "there are ip.block"),
        ("client=x", "client: not an address"),
        ("client=", "client: not an address"),
        ("client=10.0.0.0/33", "client: not an address"),
        ("client=010.0.0.1", "client: not an address"),
        ("client=10.0.0.1:80", "client: not an address"),
        ("client=%ff", "client: not an address"),
        ("host=", "host: not a host"),
        ("host=a%20b", "host: not a host"),
        ("host=a@b", "host: not a host"),
        ("ref=", "20 letters"),
        ("ref=x%0d%0aSet-Cookie:y", "20 letters"),
        ("shadow", "true or false"),
        ("limit=0", "1 to 10000"),
        ("limit=1e9", "1 to 10000"),
        ("limit=99999999999999999999", "1 to 10000"),
        ("what=1", "no parameter of that name"),
        ("Rule=ip.block", "no parameter of that name"),
        ("rule=ip.block&rule=geo.block", "there twice"),
    ] {
        let reply = get(&program, &format!("/-/denials?{query}"));
        assert_eq!(reply.status, 400, "{query}");
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(text.contains(said), "{query}: {text}");
    }
}

#[rstest]
#[case("access = \"off\"")]
#[case("access = \"/dev/null\"")]
fn the_last_ten_thousand_of_all_workers_are_kept(#[case] log: &str) {
    let policy = format!(
        "{OPEN}[log]\n{log}\n[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 3\n[access.ip]\nblock = [\"127.0.0.0/8\"]\n"
    );
    let program = Program::start(&Origin::ok(), &policy);
    let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50);
    let mut references = Vec::new();
    let mut clients: Vec<Client> = (0..6).map(|_| program.client()).collect();
    for round in 0..210 {
        let client = &mut clients[round % 6];
        client.send(&request);
        references.extend((0..50).map(|_| reference(&client.reply())));
    }
    crate::support::eventually("the last one is kept", || {
        denials(&program, &format!("ref={}", references[10_499]))["found"] == 1
    });
    let told = denials(&program, "limit=10000");
    assert_eq!(
        (&told["kept"], &told["found"]),
        (&json!(10_000), &json!(10_000))
    );
    let list = told["denials"].as_array().unwrap();
    let kept: std::collections::HashSet<&str> = list
        .iter()
        .map(|entry| entry["ref"].as_str().unwrap())
        .collect();
    assert_eq!(kept.len(), list.len());
    // The answer ends within 4 MiB; those it has are the newest, but for what
    // came within the same millisecond.
    assert!(list.len() > 4000, "{}", list.len());
    for reference in &references[references.len() - list.len() + 300..] {
        assert!(kept.contains(reference.as_str()));
    }
    for (number, expected) in [(0, 0), (100, 0), (900, 1), (10_499, 1)] {
        let told = denials(&program, &format!("ref={}", references[number]));
        assert_eq!(told["found"], expected, "{number}");
    }
}

/// Each of those who ask for all there is and read none of it would keep
/// megabytes.
#[test]
fn who_does_not_read_costs_little_memory() {
    const ASKERS: usize = 12;
    let policy =
        format!("{OPEN}[log]\naccess = \"/dev/null\"\n[access.ip]\nblock = [\"127.0.0.0/8\"]\n");
    let program = Program::start(&Origin::ok(), &policy);
    let agent = format!("User-Agent: {}\r\n", "a".repeat(7000));
    let mut client = program.client();
    for _ in 0..1000 {
        assert_eq!(client.get("/a", &agent).status, 403);
    }
    eventually("all are kept", || {
        denials(&program, "limit=1")["found"] == 1000
    });
    let all = "/-/denials?limit=10000";
    let whole = get(&program, all).body.len();
    assert!(whole > 4 << 20, "{whole}");
    let before = program.memory("VmRSS");
    let mut asking: Vec<Client> = (0..ASKERS)
        .map(|_| Client::connect(program.admin()))
        .collect();
    for client in &mut asking {
        client.send(format!("GET {all} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    let heads: Vec<(u16, String)> = asking.iter_mut().map(Client::head).collect();
    let refused: Vec<_> = heads.iter().filter(|(status, _)| *status != 200).collect();
    // On a slow machine the first are given up before the last have asked.
    assert!((1..ASKERS).contains(&refused.len()), "{heads:?}");
    for (status, head) in refused {
        assert!(
            *status == 503 && head.contains("\r\nretry-after: 20\r\n"),
            "{head}"
        );
    }
    let grown = program.memory("VmRSS").saturating_sub(before);
    assert!(grown < 36 << 20, "{grown} bytes more");
    // Who asks for little is not in their way.
    assert_eq!(denials(&program, "limit=1")["found"], 1000);
    drop(asking);
    eventually("there is room again", || {
        get(&program, all).body.len() == whole
    });
}

#[test]
fn nothing_is_lost_while_many_are_denied_and_many_ask() {
    let policy = format!("{OPEN}[log]\naccess = \"off\"\n[access.ip]\nblock = [\"127.0.0.0/8\"]\n");
    let program = Program::start(&Origin::ok(), &policy);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut client, over) = (program.client(), &over);
        let load = scope.spawn(move || {
            let mut send = |_| reference(&client.get("/a", ""));
            let references: Vec<String> = (0..3000).map(&mut send).collect();
            over.store(true, Ordering::Release);
            references
        });
        while !over.load(Ordering::Acquire) {
            let told = denials(&program, "limit=10");
            assert!(told["denials"].as_array().unwrap().len() <= 10);
        }
        let references = load.join().unwrap();
        let told = denials(&program, "limit=10000").to_string();
        assert!(references.iter().all(|reference| told.contains(reference)));
    });
}

#[test]
fn a_denial_by_http_2_is_found() {
    let edge = Edge::start_with(&Origin::ok(), "", "");
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pem", "a.key"] {
        std::fs::copy(edge.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().display();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let policy = format!(
        "{}[server]\nlisten = [\"127.0.0.1:0\"]\n[server.tls]\nlisten = [\"{address}\"]\n\
         [[server.tls.certificates]]\ncert_file = \"{path}/a.pem\"\nkey_file = \"{path}/a.key\"\n",
        rules("access = \"off\"")
    );
    let program = Program::start(&Origin::ok(), &policy);
    let mut client = Http2::connect(address, edge.config_for(&[&TLS13], b"h2"));
    let reply = client.get(
        "/a.jpg?x=1",
        "user-agent: badbot\r\nx-forwarded-for: 192.0.2.9\r\n",
    );
    assert_eq!(reply.status, 403);
    let told = denials(&program, &format!("ref={}", reference(&reply)));
    let entry = only(&told);
    assert_eq!(entry["url"], "https://img.example.com/a.jpg?x=1");
    assert_eq!(entry["protocol"], "HTTP/2.0");
    assert_eq!(entry["rule"], "user_agent.block");
    let told = recall(&program, &reference(&reply));
    assert_eq!(
        (&told["differs"], &told["now"]["client"]),
        (&json!(false), &json!("192.0.2.9"))
    );
    program.edit("\"badbot\"", "\"otherbot\"");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &reference(&reply))["same_policy"] == false
    });
    let told = recall(&program, &reference(&reply));
    assert_eq!(
        (&told["differs"], &told["now"]["verdict"]),
        (&json!(true), &json!("forward"))
    );
}

#[test]
fn who_may_ask_why() {
    let (_folder, _, table) = admin("0.0.0.0:0");
    let policy = rules("access = \"off\"").replace(OPEN, &table);
    let program = Program::start(&Origin::ok(), &policy);
    let id = reference(&send_many_fields(&program));
    let token = bearer(TOKEN);
    for line in ["GET /-/denials", "GET /-/explain?url=/a", "POST /-/explain"] {
        assert_eq!(ask(program.admin(), line, "").status, 401, "{line}");
        for (fields, status) in [
            ("Host: evil.example\r\n", 421),
            ("Origin: http://evil.example\r\n", 403),
        ] {
            let fields = format!("{token}{fields}");
            assert_eq!(ask(program.admin(), line, &fields).status, status, "{line}");
        }
    }
    assert_eq!(ask(program.admin(), "GET /-/denials", &token).status, 200);
    assert_eq!(ask(program.admin(), "POST /-/denials", &token).status, 405);
    let (code, _, errors) = command(&program, &["--ref", &id]);
    assert!(
        code == Some(1) && errors.contains("admin.token_file"),
        "{errors}"
    );
    let file = program.file("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let (code, text, errors) = command(
        &program,
        &["--ref", &id, "--token-file", file.to_str().unwrap()],
    );
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(text.contains("geo.block"));
    std::fs::write(&file, "two words").unwrap();
    let (code, _, errors) = command(
        &program,
        &["--ref", &id, "--token-file", file.to_str().unwrap()],
    );
    assert!(
        code == Some(1) && errors.contains("does not hold a token"),
        "{errors}"
    );
}
