//! The command line: exit codes, signals, and what is said where.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Origin, Program, portcullis};

const POLICY: &str =
    "[origin]\nurl = \"http://127.0.0.1:9\"\n[access.user_agent]\nblock = [\"bad\"]\n";

/// Runs `portcullis` on a configuration file that holds `policy`; `FILE` in
/// the arguments is its path.
fn on(policy: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, policy).unwrap();
    let path = file.display().to_string();
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|a| if *a == "FILE" { path.as_str() } else { a })
        .collect();
    portcullis(&arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn wrong_usage_is_64() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["check"],
        &["run"],
        &["explain", "--config", "FILE"],
        &[
            "explain",
            "--config",
            "FILE",
            "--client",
            "nobody",
            "http://a/",
        ],
        &["explain", "--config", "FILE", "-H", "no colon", "http://a/"],
        &[
            "explain",
            "--config",
            "FILE",
            "-H",
            "bad name: x",
            "http://a/",
        ],
        &[
            "explain",
            "--config",
            "FILE",
            "--method",
            "G T",
            "http://a/",
        ],
        &["explain", "--config", "FILE", "ftp://a/"],
        &["explain", "--config", "FILE", "--stdin", "http://a/"],
        &[
            "explain",
            "--config",
            "FILE",
            "--admin",
            "http://127.0.0.1:1",
            "http://a/",
        ],
        &[
            "explain",
            "--config",
            "FILE",
            "--token-file",
            "FILE",
            "http://a/",
        ],
        &["explain", "--admin", "http://127.0.0.1:1"],
        &["explain", "--token-file", "FILE"],
        &[
            "explain",
            "--ref",
            "8aa2m89x6egjy0wncqtn",
            "--admin",
            "http://u:p@127.0.0.1:1",
        ],
        &[
            "explain",
            "--ref",
            "8aa2m89x6egjy0wncqtn",
            "--admin",
            "http://127.0.0.1:1/-/",
        ],
        &["health", "--url", "http://u:p@127.0.0.1:1"],
    ] {
        let output = on(POLICY, arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
    assert_eq!(code(&on(POLICY, &["--help"])), 0);
    assert_eq!(code(&on(POLICY, &["--version"])), 0);
}

#[test]
fn a_configuration_that_is_not_one_is_78() {
    for (policy, said) in [
        ("[origin]\nurl = 1\n", "origin.url"),
        ("[access]\ncontries = []\n", "contries"),
        ("not toml", "portcullis.toml"),
    ] {
        for command in [
            &["check", "FILE"][..],
            &["run", "--config", "FILE"],
            &["explain", "--config", "FILE", "http://a/"],
        ] {
            let output = on(policy, command);
            assert_eq!(code(&output), 78, "{policy} {command:?}");
            assert!(stderr(&output).contains(said), "{}", stderr(&output));
        }
    }
    let missing = portcullis(&["check", "/nonexistent/portcullis.toml"])
        .output()
        .unwrap();
    assert_eq!(code(&missing), 78);
    assert!(stderr(&missing).contains("/nonexistent/portcullis.toml"));
}

#[test]
fn the_exit_code_is_the_same_where_nobody_reads_why() {
    let (folder, missing) = (tempfile::tempdir().unwrap(), "none.toml");
    let policy = folder.path().join("portcullis.toml");
    std::fs::write(&policy, "[origin]\nurl = 1\n").unwrap();
    for file in [policy.as_path(), std::path::Path::new(missing)] {
        let mut check = portcullis(&["check"]);
        let mut child = check.arg(file).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(78), "{}", file.display());
    }
}

/// As `head` does.
#[test]
fn the_exit_code_is_the_same_where_nobody_reads_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let policy = write("portcullis.toml", POLICY);
    let line = json!({ "method": "GET", "url": "http://a/b", "verdict": "forward", "status": 200,
        "peer": "192.0.2.1", "client": "192.0.2.1", "client_from": "peer", "client_header": "x-forwarded-for",
        "forwarded": null, "user_agent": "bad", "referer": null, "origin_field": null, "sec_fetch": null });
    let log = write("access.ndjson", &line.to_string());
    let questions = write("questions", &"{\"url\":\"http://a/b\"}\n".repeat(2_000));
    for (arguments, expected) in [
        (
            &[
                "replay",
                "--config",
                &policy,
                "--log",
                &log,
                "--fail-on-change",
            ][..],
            3,
        ),
        (&["replay", "--config", &policy, "--log", &log], 0),
        (&["check", &policy], 0),
        (&["explain", "--config", &policy, "http://a/b"], 0),
        (&["explain", "--config", &policy, "--stdin"], 0),
        (&["schema"], 0),
        (&["man"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = portcullis(arguments);
        command.stdin(std::fs::File::open(&questions).unwrap());
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(code(&output), expected, "{arguments:?}");
        assert!(!stderr(&output).contains("cannot write"), "{arguments:?}");
    }
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = portcullis(&["schema"]).stdout(full).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("cannot write to standard output"));
}

#[test]
fn a_test_that_fails_is_78_and_says_why() {
    let policy = format!(
        "{POLICY}[[test]]\nname = \"bots may pass\"\n\
         request = {{ url = \"https://a.com/\", headers = {{ user-agent = \"bad\" }} }}\nexpect = \"forward\"\n"
    );
    for command in [&["check", "FILE"][..], &["run", "--config", "FILE"]] {
        let output = on(&policy, command);
        assert_eq!(code(&output), 78);
        for word in [
            "error: test[0].expect: test \"bots may pass\" fails\n",
            "portcullis.toml:8:10\n",
            "8 | expect = \"forward\"\n  |          ^^^^^^^^^ not so\n",
            "= expected: forward\n",
            "= found: deny:user_agent.block on route default",
            "\"bad\"",
        ] {
            assert!(
                stderr(&output).contains(word),
                "{word}: {}",
                stderr(&output)
            );
        }
    }
    // Explaining is how one finds out why.
    assert_eq!(
        code(&on(
            &policy,
            &["explain", "--config", "FILE", "https://a.com/"]
        )),
        0
    );
}

#[test]
fn check_warns_also_when_a_test_fails() {
    let policy = format!(
        "{POLICY}[cache_key]\ndrop = [\"token\"]\n\
         [[test]]\nname = \"t\"\nrequest = {{ url = \"https://a.com/\" }}\nexpect = \"deny\"\n"
    );
    let output = on(&policy, &["check", "FILE"]);
    assert_eq!(code(&output), 78);
    let (warnings, failure) = stderr(&output).split_once("\n\nerror: ").unwrap();
    assert!(
        warnings.starts_with("warning: cache_key.drop[0]: "),
        "{warnings}"
    );
    assert!(
        failure.starts_with("test[0].expect: test \"t\" fails\n"),
        "{failure}"
    );
}

#[test]
fn check_says_what_it_checked() {
    let output = on(POLICY, &["check", "FILE"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("ok, 1 route and 0 tests passed"));
    assert!(stderr(&output).contains("warning"));
}

#[test]
fn explain_is_0_also_for_a_denial_and_prints_json_alone() {
    let ask = [
        "explain",
        "--config",
        "FILE",
        "--json",
        "-H",
        "User-Agent: bad",
        "http://a.com/x.jpg",
    ];
    let output = on(POLICY, &ask);
    assert_eq!(code(&output), 0);
    let told: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(told["verdict"], "deny");
    assert_eq!(told["rule"], "user_agent.block");
    assert_eq!(told["rules"].as_array().unwrap().len(), 8);
    assert!(output.stderr.is_empty());
    let human = on(
        POLICY,
        &[
            "explain",
            "--config",
            "FILE",
            "-H",
            "User-Agent: bad",
            "http://a.com/",
        ],
    );
    assert!(stdout(&human).starts_with("deny: 403, by user_agent.block\n"));
}

#[test]
fn explain_stdin_streams_and_goes_on_after_a_bad_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    std::fs::write(&file, POLICY).unwrap();
    let mut child = portcullis(&["explain", "--stdin", "--config"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut ask = |line: &[u8]| -> Value {
        input.write_all(line).unwrap();
        input.write_all(b"\n").unwrap();
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut output, &mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    // Each is answered before the next is asked.
    assert_eq!(ask(br#"{"url":"https://a.com/"}"#)["verdict"], "forward");
    let bad = br#"{"url":"https://a.com/","headers":{"User-Agent":["x","bad"]}}"#;
    assert_eq!(ask(bad)["rule"], "user_agent.block");
    let fields: Vec<String> = (0..40_000).map(|n| format!("\"h{n}\":\"\"")).collect();
    let too_many = format!(
        "{{\"url\":\"https://a.com/\",\"headers\":{{{}}}}}",
        fields.join(",")
    );
    for (line, number) in [
        (&b"nonsense"[..], 3),
        (b"", 4),
        (b"{\"url\":1}", 5),
        (b"{\"url\":\"ftp://a\"}", 6),
        (b"{\"url\":\"https://a.com/\",\"client\":\"nobody\"}", 7),
        (b"{\"url\":\"https://a.com/\",\"heders\":{}}", 8),
        (b"\xff", 9),
        (br#"["https://a.com/",null,null,null,{}]"#, 10),
        (too_many.as_bytes(), 11),
    ] {
        let answer = ask(line);
        assert_eq!(answer["line"], json!(number), "{answer}");
        assert!(answer["error"].is_string());
    }
    let long = format!("{{\"url\":\"https://a.com/{}\"}}", "x".repeat(2 << 20));
    assert!(
        ask(long.as_bytes())["error"]
            .as_str()
            .unwrap()
            .contains("longer")
    );
    let whole = br#"{"method":"POST","url":"https://a.com/%00","client":"192.0.2.1","peer":null,"headers":{}}"#;
    assert_eq!(ask(whole)["status"], 400);
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_port_in_use_is_1_and_names_the_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let policy = format!("[server]\nlisten = [\"{address}\"]\n[admin]\nlisten = \"\"\n{POLICY}");
    let output = on(&policy, &["run", "--config", "FILE"]);
    assert_eq!(code(&output), 1);
    let said = stderr(&output);
    assert!(
        said.contains("server.listen") && said.contains(&address.to_string()),
        "{said}"
    );
}

#[test]
fn signals_reload_and_stop() {
    let mut program = Program::start(&Origin::ok(), "[access.user_agent]\nblock = [\"bad\"]\n");
    let status = |program: &Program, agent: &str| {
        program
            .client()
            .get("/", &format!("User-Agent: {agent}\r\n"))
            .status
    };
    assert_eq!(status(&program, "bad"), 403);
    program.edit("bad", "worse");
    program.signal("HUP");
    program.says("is in force");
    assert_eq!(
        (status(&program, "bad"), status(&program, "worse")),
        (200, 403)
    );
    // A file that does not compile changes nothing but the log.
    program.edit("block", "blok");
    program.signal("HUP");
    assert!(
        program
            .says("access.user_agent.blok")
            .contains("stays in force")
    );
    assert_eq!(status(&program, "worse"), 403);
    // Nor does one whose own test fails.
    program.edit("blok = [\"worse\"]", "block = [\"other\"]\n[[test]]\nname = \"t\"\nrequest = { url = \"http://a/\" }\nexpect = \"deny\"\n");
    assert!(program.says("\"t\" fails").contains("stays in force"));
    assert_eq!(status(&program, "worse"), 403);
    // A change of the file alone is enough.
    program.edit("expect = \"deny\"", "expect = \"forward\"");
    program.says("is in force");
    assert_eq!(
        (status(&program, "worse"), status(&program, "other")),
        (200, 403)
    );
    program.signal("INT");
    let (ended, log, _) = program.wait();
    assert_eq!(ended.code(), Some(0));
    assert!(log.lines().count() >= 6);
}

#[test]
fn a_second_signal_ends_at_once() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.request();
    });
    let mut program = Program::start(&origin, "");
    let mut client = program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    crate::support::eventually("the origin is asked", || origin.asked().len() == 1);
    program.signal("TERM");
    program.says("in flight");
    let second = std::time::Instant::now();
    program.signal("TERM");
    program.says("second signal");
    assert_eq!(program.wait().0.code(), Some(0));
    // Not the half minute of server.drain_timeout.
    assert!(second.elapsed() < std::time::Duration::from_secs(15));
}

#[test]
fn the_two_commonest_mistakes_are_told_and_not_for_every_request() {
    let told = |trusted: &str, fields: &str| {
        let policy = format!("[client]\ntrusted_proxies = [{trusted}]\n");
        let program = Program::start(&Origin::ok(), &policy);
        let mut client = program.client();
        for _ in 0..5 {
            client.get("/", fields);
        }
        program.signal("TERM");
        let said = program.wait().2.into_iter();
        said.filter(|line| line.contains("trusted"))
            .collect::<Vec<_>>()
    };
    let [unnamed] = &told("\"127.0.0.1\"", "")[..] else {
        panic!("once")
    };
    assert!(
        unnamed.contains("names no client in x-forwarded-for") && unnamed.contains("127.0.0.1")
    );
    let [unbelieved] = &told("", "X-Forwarded-For: 192.0.2.1\r\n")[..] else {
        panic!("once")
    };
    assert!(unbelieved.contains("x-forwarded-for came from a peer that is not trusted"));
    assert!(told("\"127.0.0.1\"", "X-Forwarded-For: 192.0.2.1\r\n").is_empty());
    assert!(told("", "").is_empty());
}
