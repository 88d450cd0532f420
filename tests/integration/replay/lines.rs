//! Lines and logs that no proxy would write.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Case, code, line, stderr, stdout};
use crate::support::portcullis;

#[test]
fn what_strangers_wrote_does_not_reach_a_terminal() {
    let evil = "\u{1b}[31m\u{9b}2J\u{202e}evil\u{7}";
    let changes = json!({
        "referer": format!("https://x.example/{evil}"), "user_agent": evil, "url": format!("http://a/{evil}"),
        "ref": evil, "client": evil, "country": evil, "time": evil, "origin_field": evil,
    });
    // A URL with these is none; the rest of the line is told.
    let mut plain = changes.clone();
    plain["url"] = json!("http://a/b");
    let log = format!("{}\n{}\n", line(&changes), line(&plain));
    let case = Case::new(
        log.as_bytes(),
        "",
        "[access.user_agent]\nblock = [\"evil\"]\n",
    );
    for arguments in [&[][..], &["--json"]] {
        let all = [
            &["--log", "access.ndjson", "--config", "new.toml"],
            arguments,
        ]
        .concat();
        let output = case.run(&all);
        assert_eq!(code(&output), 0);
        let shown = stdout(&output);
        assert!(
            shown.contains("evil") && shown.contains("user_agent.block"),
            "{shown}"
        );
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!shown.contains(obeyed), "{shown:?}");
    }
}

#[test]
fn lines_that_are_none_are_counted() {
    let mut log =
        format!("{}\n\n[1]\nnull\nnot json\n{{\"a\":1}}\n", line(&json!({}))).into_bytes();
    log.extend_from_slice(b"{\"url\":\"\xff\"}\n");
    log.extend_from_slice(format!("{{\"a\":{}\n", "[".repeat(200_000)).as_bytes());
    log.extend_from_slice(
        format!("{}\n", line(&json!({ "user_agent": "a".repeat(3 << 20) }))).as_bytes(),
    );
    log.extend_from_slice(line(&json!({ "user_agent": "bot" })).as_bytes());
    let case = Case::new(&log, "", "[access.user_agent]\nblock = [\"bot\"]\n");
    let report = case.json(&[]);
    assert_eq!(report["lines"], 9);
    assert_eq!(
        report["skipped"],
        json!({ "too_long": 1, "not_json": 5, "lacks_verdict": 1 })
    );
    assert_eq!(report["requests"], 2);
    assert_eq!(report["decisions"]["newly_denied"], 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn several_logs_packed_or_not() {
    let text = format!("{}\n", line(&json!({})));
    let case = Case::new(text.as_bytes(), "", "");
    let write = |name: &str, bytes: &[u8]| std::fs::write(case.file(name), bytes).unwrap();
    // By what is in it, not by its name; and two packed ones, one after the other.
    write("a.log", &gzip(text.repeat(3000).as_bytes()));
    write(
        "b.gz",
        &[gzip(text.as_bytes()), gzip(text.as_bytes())].concat(),
    );
    write("c.gz", text.as_bytes());
    write("empty", b"");
    let report = case.json(&["--log", "a.log", "b.gz", "--log", "c.gz", "empty"]);
    assert_eq!(report["requests"], 3004);
    let mut child = portcullis(&["replay", "--log", "-", "--json", "--config"])
        .arg(case.file("new.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&gzip(text.as_bytes()))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["requests"]), (0, &json!(1)));
}

/// As gzip has it, which such a file is no error for.
#[test]
fn zeros_behind_a_packed_log_are_passed() {
    let text = format!("{}\n", line(&json!({})));
    let case = Case::new(b"", "", "");
    let run = |parts: &[&[u8]]| {
        std::fs::write(case.file("a.gz"), parts.concat()).unwrap();
        let output = case.run(&["--log", "a.gz", "--config", "new.toml", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (code(&output), report["requests"].as_u64().unwrap())
    };
    let packed = gzip(text.as_bytes());
    // More than is read at a time, too.
    for zeros in [1, 511, 600_000] {
        let padding = vec![0; zeros];
        assert_eq!(run(&[&packed, &padding]), (0, 1), "{zeros}");
        assert_eq!(run(&[&packed, &padding, &packed]), (0, 2), "{zeros}");
        assert_eq!(run(&[&packed, &padding, b"x"]), (1, 1), "{zeros}");
    }
    assert_eq!(run(&[&packed, b"x"]), (1, 1));
    assert_eq!(run(&[&packed, &packed[..5]]), (1, 1));
}

#[test]
fn a_log_that_breaks_off_counts_up_to_there() {
    let lines: String = (0..5000)
        .map(|n| {
            line(&json!({ "url": format!("http://img.example.com/{n}"), "user_agent": "bot" }))
                + "\n"
        })
        .collect();
    let packed = gzip(lines.as_bytes());
    let case = Case::new(
        &packed[..packed.len() / 2],
        "",
        "[access.user_agent]\nblock = [\"bot\"]\n",
    );
    let arguments = ["--log", "access.ndjson", "--config", "new.toml", "--json"];
    let output = case.run(&arguments);
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("access.ndjson"),
        "{}",
        stderr(&output)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["decisions"]["newly_denied"].as_u64().unwrap();
    assert!((1000..5000).contains(&found), "{found}");
    let output = case.run(&[&arguments[..], &["--fail-on-change"]].concat());
    assert_eq!(code(&output), 3);
}

#[test]
fn exit_codes() {
    let case = Case::new(line(&json!({})).as_bytes(), "", "");
    let broken = "[access.ip]\nblock = [\"x\"]\n";
    std::fs::write(case.file("broken.toml"), broken).unwrap();
    let fails = "[origin]\nurl = \"http://127.0.0.1:9\"\n[[test]]\nname = \"a\"\n\
                 request = { url = \"http://a/\" }\nexpect = \"deny\"\n";
    std::fs::write(case.file("fails.toml"), fails).unwrap();
    let log = "access.ndjson";
    for (arguments, expected) in [
        (&["--log", log][..], 64),
        (&["--config", "new.toml"], 64),
        (&["--config", "new.toml", "--log"], 64),
        (&["--config", "broken.toml", "--log", log], 78),
        (&["--config", "missing.toml", "--log", log], 78),
        (&["--config", "fails.toml", "--log", log], 78),
        (
            &[
                "--config",
                "new.toml",
                "--against",
                "broken.toml",
                "--log",
                log,
            ],
            78,
        ),
        (
            &[
                "--config",
                "new.toml",
                "--against",
                "fails.toml",
                "--log",
                log,
            ],
            0,
        ),
        (&["--config", "new.toml", "--log", log, "missing.ndjson"], 1),
        (&["--config", "new.toml", "--log", "."], 1),
        (
            &["--config", "new.toml", "--log", log, "--fail-on-change"],
            0,
        ),
    ] {
        let output = case.run(arguments);
        assert_eq!(
            code(&output),
            expected,
            "{arguments:?}\n{}",
            stderr(&output)
        );
        assert_eq!(stdout(&output).is_empty(), expected != 0, "{arguments:?}");
    }
    let output = case.run(&["--config", "new.toml", "--log", "missing.ndjson"]);
    assert!(
        stderr(&output).contains("missing.ndjson: cannot be read"),
        "{}",
        stderr(&output)
    );
}

/// A gate that looked at nothing does not open.
#[test]
fn nothing_decided_is_no_success() {
    let cut = json!({ "url": format!("http://a/{}...[cut]", "x".repeat(4096)) });
    for (log, said) in [
        (String::new(), "the log is empty"),
        ("nonsense\n{}\n".to_owned(), "none of 2 lines is a request"),
        (line(&cut), "none of 1 requests could be decided"),
    ] {
        let case = Case::new(log.as_bytes(), "", "");
        let arguments = ["--log", "access.ndjson", "--config", "new.toml"];
        assert_eq!(code(&case.run(&arguments)), 0, "{said}");
        for more in [&["--fail-on-change"][..], &["--fail-on-change", "--json"]] {
            let output = case.run(&[&arguments[..], more].concat());
            assert_eq!(code(&output), 1, "{said}");
            assert!(stderr(&output).contains(said), "{}", stderr(&output));
            assert!(!stdout(&output).is_empty());
        }
    }
}

/// Memory does not grow with the log.
#[test]
fn a_long_log_of_strangers_takes_no_more_memory() {
    let case = Case::new(b"", "", "[access.user_agent]\nblock = [\"bot\"]\n");
    let peak = |lines: usize| {
        let mut child = portcullis(&["replay", "--log", "-", "--json", "--config"])
            .arg(case.file("new.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = std::io::BufWriter::new(child.stdin.take().unwrap());
        for n in 0..lines {
            let all = json!({
                "url": format!("http://img.example.com/{n}.txt"), "cache_key": format!("http://img.example.com/{n}.txt original"),
                "user_agent": format!("bot {n}"), "referer": format!("https://site{n}.example/"),
            });
            let other = json!({ "url": format!("http://img.example.com/{n}"), "cache_key": "http://x/ original" });
            writeln!(input, "{}", line(if n % 2 == 0 { &all } else { &other })).unwrap();
        }
        std::io::Write::flush(&mut input).unwrap();
        let status = Path::new("/proc")
            .join(child.id().to_string())
            .join("status");
        let status = std::fs::read_to_string(status).unwrap();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["requests"], lines);
        kib.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    };
    let (some, more) = (peak(40_000), peak(160_000));
    assert!(more < some + 12 && more < 80, "{some} MiB, {more} MiB");
}
