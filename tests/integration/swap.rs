//! Two policies that answer opposite, swapped under load: no request fails,
//! none mixes rule, variant and key of both, and no log line is lost while
//! the file is rotated.
//!
//! The full form, with a hundred swaps at ten thousand requests a second or
//! what the machine has, and figures:
//! `PORTCULLIS_SWAPS=100 cargo test --release --test integration swap:: -- --nocapture`

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::support::{Client, Origin, Program};

const CLIENTS: usize = 8;

/// Denies `one`.
const ODD: &str = r#"
[access.user_agent]
block = ["one"]
[images]
formats = ["webp"]
[cache_key]
field = "x-key"
[[route]]
name = "odd"
paths = ["/**"]
"#;

/// Denies `two`.
const EVEN: &str = r#"
[access.user_agent]
block = ["two"]
[images]
formats = ["avif"]
[cache_key]
query = "drop"
field = "x-key"
[[route]]
name = "even"
paths = ["/**"]
"#;

/// What the policy of a generation makes of a request of `agent`: its
/// verdict, variant, `Accept` and key.
fn expected(odd: bool, agent: &str) -> [String; 4] {
    let denied = odd == (agent == "one");
    let verdict = if denied { "deny" } else { "forward" };
    let (variant, accept, query) = match odd {
        true => ("webp", "image/webp,*/*;q=0.8", "?q=1"),
        false => ("avif", "image/avif,image/webp,*/*;q=0.8", ""),
    };
    let key = format!("http://img.example.com/a.jpg{query} {variant}");
    [
        verdict.to_owned(),
        variant.to_owned(),
        accept.to_owned(),
        key,
    ]
}

/// An origin that says what it was asked: its target, `Accept` and key.
fn echo() -> Origin {
    Origin::scripted(|conversation| {
        while let Some(head) = conversation.head() {
            let field = |name| crate::support::Reply::find(&head, name).unwrap_or_default();
            let target = head.split(' ').nth(1).unwrap_or_default();
            let said = format!("{target}|{}|{}", field("accept"), field("x-key"));
            let length = said.len();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}"
            ));
        }
    })
}

/// Asks until told to stop; what was answered, by reference or, where it was
/// forwarded, by count.
fn ask(client: &mut Client, agent: &str, stop: &AtomicBool) -> (Vec<String>, usize) {
    let (mut denied, mut forwarded) = (Vec::new(), 0);
    let fields = format!("User-Agent: {agent}\r\nAccept: image/avif,image/webp\r\n");
    while !stop.load(Ordering::Relaxed) {
        let reply = client.get("/a.jpg?q=1", &fields);
        match reply.status {
            403 => denied.push(reply.field("portcullis-ref").unwrap()),
            200 => {
                let [_, _, accept, key] = expected(agent == "two", agent);
                let query = if agent == "two" { "?q=1" } else { "" };
                assert_eq!(reply.text(), format!("/a.jpg{query}|{accept}|{key}"));
                forwarded += 1;
            }
            status => panic!("{status}: {}", reply.text()),
        }
    }
    (denied, forwarded)
}

#[test]
fn no_request_sees_two_policies_and_no_line_is_lost() {
    let swaps = std::env::var("PORTCULLIS_SWAPS").map_or(20, |text| text.parse().unwrap());
    let log = "[log]\naccess = \"log\"\n";
    let mut program = Program::start(&echo(), &format!("{log}{ODD}"));
    let text = std::fs::read_to_string(program.file("portcullis.toml")).unwrap();
    let even = text.replace(ODD.trim(), EVEN.trim());
    assert_ne!(text, even);

    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(Mutex::new((Vec::new(), 0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (mut client, stop, answered) =
                (program.client(), Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let (denied, forwarded) = ask(&mut client, ["one", "two"][index % 2], &stop);
                let mut all = answered.lock().unwrap();
                all.0.extend(denied);
                all.1 += forwarded;
            })
        })
        .collect();
    let (start, mut longest) = (Instant::now(), std::time::Duration::ZERO);
    for swap in 1..=swaps {
        let next = if swap % 2 == 1 { &even } else { &text };
        std::fs::write(program.file("next"), next).unwrap();
        std::fs::rename(program.file("next"), program.file("portcullis.toml")).unwrap();
        std::fs::rename(program.file("log"), program.file(&format!("log.{swap}"))).unwrap();
        let renamed = Instant::now();
        program.signal("HUP");
        longest = longest.max(renamed.elapsed());
        program.says("is in force");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    program.signal("TERM");
    let (ended, folder, said) = program.end();
    assert_eq!(ended.code(), Some(0));
    assert!(
        said.iter().any(|line| line.contains("lines_lost=0")),
        "{said:?}"
    );
    let (denied, forwarded) = std::mem::take(&mut *answered.lock().unwrap());
    let total = denied.len() + forwarded;
    println!(
        "{swaps} swaps in {took:.1?}, each asked for within {longest:.1?}; {total} requests, {:.0} a second",
        total as f64 / took.as_secs_f64()
    );
    assert!(total > swaps * 20, "only {total} requests");
    check_log(folder.path(), swaps, &denied, total);
}

/// Every line is of one policy, that of its generation; and none is missing.
fn check_log(folder: &Path, swaps: usize, denied: &[String], total: usize) {
    let (mut lines, mut policies) = (HashMap::new(), HashMap::new());
    let rotated = (1..=swaps).map(|swap| format!("log.{swap}"));
    for name in rotated.chain(["log".to_owned()]) {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let odd = line["route"] == "odd";
            // A change may be seen before it is asked for, and then counts twice.
            let generation = line["generation"].as_u64().unwrap();
            assert_eq!(*policies.entry(generation).or_insert(odd), odd, "{line}");
            let agent = line["user_agent"].as_str().unwrap();
            let found = ["verdict", "variant", "accept", "cache_key"].map(|key| line[key].clone());
            assert_eq!(found, expected(odd, agent).map(Value::from), "{line}");
            let (status, rule) = match found[0] == "deny" {
                true => (403, Value::from("user_agent.block")),
                false => (200, Value::Null),
            };
            assert_eq!((&line["status"], &line["rule"]), (&status.into(), &rule));
            lines.insert(line["ref"].as_str().unwrap().to_owned(), found[0].clone());
        }
    }
    assert_eq!(lines.len(), total);
    assert!(policies.len() > swaps / 2, "{policies:?}");
    assert!(denied.iter().all(|id| lines[id] == "deny"));
}
