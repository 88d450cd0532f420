//! Purging by the admin listener, and what a reload keeps.

use tempfile::TempDir;

use super::support::{FRESH, Gate, is_hit, ok};
use crate::support::{Client, Origin, Program, Reply, eventually};

const ALL: &str = r#"{"all": true}"#;

const TOKEN: &str = "a-token-of-20-bytes.";

/// A proxy with an admin listener whose token is in the folder.
fn start(origin: &Origin, policy: &str) -> (Program, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let admin = format!(
        "{policy}[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"{}\"\n[log]\naccess = \"off\"\n",
        file.display()
    );
    (Program::start(origin, &admin), folder)
}

/// Asks for a purge of what the JSON says.
fn ask(program: &Program, what: &str, fields: &str) -> Reply {
    let address = program.admin();
    let mut client = Client::connect(address);
    let length = what.len();
    client.send(format!(
        "POST /-/purge HTTP/1.1\r\nHost: {address}\r\n{fields}Content-Length: {length}\r\n\r\n{what}"
    ));
    client.reply()
}

/// Purges, and says how many stored responses that removed.
fn purge(program: &Program, what: &str) -> u64 {
    let reply = ask(program, what, &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    answer["purged"].as_u64().unwrap()
}

/// An origin that tags what it sends by its path.
fn tagging() -> Origin {
    Origin::answered_by(|asked| {
        let tags = match asked.target() {
            "/a.png" => "Cache-Tag: summer, sale\r\n",
            "/b" => "Surrogate-Key: winter sale\r\n",
            _ => "",
        };
        ok(&format!("{FRESH}Vary: X-Lang\r\n{tags}"), asked.target())
    })
}

/// All that is asked for, and stored, before a purge.
const STORED: [(&str, &str); 7] = [
    ("/a.png", ""),
    ("/a.png", "Accept: image/webp\r\n"),
    ("/b", ""),
    ("/b", "X-Lang: de\r\n"),
    ("/b?x=1", ""),
    ("/dir/c", ""),
    ("/dir%20x/c", ""),
];

/// Which of [`STORED`] are still there after purging `what`.
fn left(what: &str) -> Vec<usize> {
    let (program, _folder) = start(&tagging(), "");
    let mut client = program.client();
    for (path, fields) in STORED {
        client.get(path, fields);
    }
    // The WebP request got no WebP: one response serves both.
    let entries = STORED.len() as u64;
    let gone = purge(&program, what);
    let only = "Cache-Control: only-if-cached\r\n";
    let is_left = |at: &usize| {
        let (path, fields) = STORED[*at];
        program
            .client()
            .get(path, &format!("{fields}{only}"))
            .status
            == 200
    };
    let left: Vec<usize> = (0..STORED.len()).filter(is_left).collect();
    assert!(
        gone <= entries && (gone > 0) == (left.len() < STORED.len()),
        "{gone}"
    );
    left
}

#[test]
fn by_url_with_all_variants_and_forms() {
    let (no_a, no_b) = ([2, 3, 4, 5, 6], [0, 1, 4, 5, 6]);
    for (url, expected) in [
        ("http://img.example.com/a.png", &no_a[..]),
        ("https://img.example.com/a.png", &no_a),
        ("http://IMG.example.com.:8443/a.png", &no_a),
        ("http://img.example.com/%61.png", &no_a),
        ("http://img.example.com//x/../a.png", &no_a),
        ("http://img.example.com/a.png;x", &no_a),
        ("http://img.example.com/b", &no_b),
        ("http://img.example.com/b?x=1", &[0, 1, 2, 3, 5, 6]),
        ("http://img.example.com/dir%20x/c", &[0, 1, 2, 3, 4, 5]),
        ("http://other.example/a.png", &[0, 1, 2, 3, 4, 5, 6]),
        ("http://img.example.com/A.png", &[0, 1, 2, 3, 4, 5, 6]),
    ] {
        let what = serde_json::json!({ "urls": [url] });
        assert_eq!(left(&what.to_string()), expected, "{url}");
    }
}

#[test]
fn by_prefix_tag_and_all() {
    for (what, expected) in [
        (
            r#"{"prefixes": ["img.example.com/dir"]}"#,
            &[0, 1, 2, 3, 4][..],
        ),
        (
            r#"{"prefixes": ["http://img.example.com/dir/"]}"#,
            &[0, 1, 2, 3, 4, 6],
        ),
        (r#"{"prefixes": ["https://IMG.example.com:444/"]}"#, &[]),
        (
            r#"{"prefixes": ["other.example/"]}"#,
            &[0, 1, 2, 3, 4, 5, 6],
        ),
        (r#"{"tags": ["summer"]}"#, &[2, 3, 4, 5, 6]),
        (r#"{"tags": ["winter"]}"#, &[0, 1, 4, 5, 6]),
        (r#"{"tags": ["sale"]}"#, &[4, 5, 6]),
        (r#"{"tags": ["sal"]}"#, &[0, 1, 2, 3, 4, 5, 6]),
        (r#"{"tags": ["summer", "winter"]}"#, &[4, 5, 6]),
        (
            r#"{"urls": ["http://img.example.com/b"], "tags": ["summer"]}"#,
            &[4, 5, 6],
        ),
        (ALL, &[]),
    ] {
        assert_eq!(left(what), expected, "{what}");
    }
}

#[test]
fn who_may_purge_and_what_is_refused() {
    let (program, _folder) = start(&tagging(), "");
    let mut client = program.client();
    client.get("/", "");
    assert_eq!(ask(&program, ALL, "").status, 401);
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    for what in [
        "",
        "everything",
        "{}",
        r#"{"all": false}"#,
        r#"{"all": true, "more": 1}"#,
        r#"{"urls": [""]}"#,
        r#"{"urls": ["nonsense"]}"#,
        r#"{"urls": ["http://[/"]}"#,
        r#"{"urls": ["http://img.example.com/", "http://img.example.com/%zz"]}"#,
        r#"{"prefixes": [""]}"#,
        r#"{"tags": [""]}"#,
    ] {
        let reply = ask(&program, what, &token);
        assert!(
            (400..500).contains(&reply.status),
            "{what}: {}",
            reply.text()
        );
    }
    let evil = format!("{token}Origin: http://evil.example\r\n");
    assert_eq!(ask(&program, ALL, &evil).status, 403);
    assert!(is_hit(&mut client, "/", ""), "none of them did anything");
    let read_only = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(ask(&read_only, ALL, &token).status, 403);
}

#[test]
fn a_fill_under_way_is_not_stored_after_a_purge() {
    for what in [
        r#"{"urls": ["http://img.example.com/"]}"#,
        r#"{"prefixes": ["img.example.com/"]}"#,
        r#"{"tags": ["one"]}"#,
        ALL,
    ] {
        let gate = Gate::default();
        let wait = gate.clone();
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                let answer = ok(&format!("{FRESH}Cache-Tag: one\r\n"), "0123456789");
                conversation.say(&answer[..answer.len() - 5]);
                wait.wait();
                conversation.say("56789");
            }
        });
        let (program, _folder) = start(&origin, "");
        let mut leader = program.client();
        leader.ask("GET", "/", "").head();
        assert_eq!(leader.take(5), b"01234");
        purge(&program, what);
        // Who comes after the purge gets what is newer than it.
        let mut later = program.client();
        later.ask("GET", "/", "");
        eventually("it is asked for anew", || origin.count() == 2);
        gate.open();
        assert_eq!(leader.take(5), b"56789", "its own client gets all");
        assert_eq!(later.reply().text(), "0123456789");
        assert_eq!(origin.count(), 2);
    }
}

#[test]
fn a_reload_keeps_what_is_stored() {
    let origin = tagging();
    let (mut program, _folder) = start(&origin, "[response]\n");
    let mut client = program.client();
    client.get("/", "");
    program.edit("[response]\n", "[access.user_agent]\nblock = [\"bad\"]\n");
    program.signal("HUP");
    program.says("generation");
    eventually("the new policy is in force", || {
        program.client().get("/", "User-Agent: bad\r\n").status == 403
    });
    assert!(is_hit(&mut client, "/", ""));
    assert_eq!(origin.count(), 1);
}

#[test]
fn what_another_origin_sent_is_a_miss() {
    let (one, two) = (tagging(), Origin::answered_by(|_| ok(FRESH, "two")));
    let url = |origin: &Origin| format!("url = \"http://{}\"", origin.address);
    let policy = format!("[origin]\n{}\n", url(&one));
    let (program, _folder) = start(&one, &policy);
    let mut client = program.client();
    assert_eq!(client.get("/", "").text(), "/");
    program.edit(&url(&one), &url(&two));
    program.signal("HUP");
    eventually("the other one is asked", || {
        client.get("/", "").text() == "two"
    });
    program.edit(&url(&two), &url(&one));
    program.signal("HUP");
    eventually("what the first one sent is back", || {
        client.get("/", "").text() == "/"
    });
    assert!(one.count() <= 2);
}
