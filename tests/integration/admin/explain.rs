//! `/-/explain` and `portcullis explain --ref`: what would become of a request,
//! and what became of one that was denied.

use serde_json::{Value, json};

use super::denials::{OPEN, command, denials, only, recall, reference, rules, send_many_fields};
use super::get;
use crate::support::{Client, Origin, Program, portcullis};

#[test]
fn explain_says_what_the_command_says() {
    let program = Program::start(&Origin::ok(), &rules("access = \"off\""));
    let post = |body: &str| {
        let mut client = Client::connect(program.admin());
        client.send(format!(
            "POST /-/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        client.reply()
    };
    let url = "https://img.example.com/a.jpg";
    let request = json!({ "url": url, "client": "203.0.113.129", "headers": { "referer": ["https://x.example/"] } });
    let reply = post(&request.to_string());
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    let file = program.file("portcullis.toml");
    let output = portcullis(&[
        "explain",
        "--json",
        "--client",
        "203.0.113.129",
        "-H",
        "Referer: https://x.example/",
    ])
    .arg("--config")
    .arg(file)
    .arg(url)
    .output()
    .unwrap();
    let command: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, command);
    assert_eq!(
        (&told["rule"], &told["country"]),
        (&json!("geo.block"), &json!("RE"))
    );
    let reply = get(
        &program,
        "/-/explain?url=https://img.example.com/a.jpg&client=192.0.2.1&method=HEAD",
    );
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &told["verdict"]), (200, &json!("forward")));
    for body in [
        "",
        "[]",
        "{}",
        "{\"url\":7}",
        "{\"url\":\"/\",\"x\":1}",
        "{\"url\":\"ftp://a/\"}",
    ] {
        let reply = post(body);
        let told: Value = serde_json::from_slice(&reply.body).unwrap();
        assert!(
            reply.status == 400 && told["error"].is_string(),
            "{body} {told}"
        );
    }
    assert_eq!(post(&" ".repeat((1 << 20) + 1)).status, 413);
    for query in [
        "",
        "?url=/a&ref=8aa2m89x6egjy0wncqtn",
        "?ref=b",
        "?urk=/a",
        "?url=/a&client=x",
    ] {
        assert_eq!(
            get(&program, &format!("/-/explain{query}")).status,
            400,
            "{query}"
        );
    }
}

#[test]
fn what_was_decided_then_and_what_would_be_now() {
    let program = Program::start(&Origin::ok(), &rules("access = \"off\""));
    let id = reference(&send_many_fields(&program));
    let told = recall(&program, &id);
    assert_eq!(told["same_policy"], true);
    assert_eq!(told["differs"], false);
    assert_eq!(
        told["then"],
        json!({ "generation": 1, "verdict": "deny", "rule": "geo.block", "would_deny": ["referrer.allow"] })
    );
    assert_eq!(told["now"]["country"], "RE");
    assert_eq!(told["now"]["client_from"], "x-forwarded-for");
    assert_eq!(told["now"]["rules"].as_array().unwrap().len(), 8);
    let (code, text, _) = command(&program, &["--ref", &id.to_uppercase()]);
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with(&format!("{id}: denied by geo.block\n")),
        "{text}"
    );
    assert!(
        text.contains("the policy is the same as then (generation 1)"),
        "{text}"
    );
    assert!(
        text.contains("geo.block         deny       the client is in RE"),
        "{text}"
    );
    // What was sent is shown, and not obeyed.
    assert!(
        text.contains("\\u{9b}31m") && !text.contains(['\u{9b}', '\u{202e}']),
        "{text}"
    );
    let (_, json, _) = command(&program, &["--ref", &id, "--json"]);
    assert!(!json.contains(['\u{9b}', '\u{202e}']));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), told);

    program.edit("countries = [\"RE\"]", "countries = [\"FR\"]");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &id)["same_policy"] == false
    });
    let told = recall(&program, &id);
    assert_eq!(
        (&told["differs"], &told["now"]["verdict"]),
        (&json!(true), &json!("forward"))
    );
    assert_eq!(
        (&told["then"]["rule"], &told["now"]["generation"]),
        (&json!("geo.block"), &json!(2))
    );
    let (_, text, _) = command(&program, &["--ref", &id]);
    assert!(
        text.contains("(generation 1, now 2): it would be let through"),
        "{text}"
    );
    // Which configuration chose them is not in force any more.
    let entry = denials(&program, &format!("ref={id}"));
    assert!(only(&entry).get("cache_key").is_none());
}

/// A reload that found the same file makes no other policy of it.
#[test]
fn a_reload_of_the_same_file_is_not_told_as_a_change() {
    let program = Program::start(&Origin::ok(), &rules("access = \"off\""));
    let id = reference(&send_many_fields(&program));
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &id)["same_policy"] == false
    });
    let (_, text, _) = command(&program, &["--ref", &id]);
    assert!(
        text.contains(
            "the configuration was reloaded since (generation 1, now 2): it would be denied by geo.block"
        ),
        "{text}"
    );
    assert!(!text.contains("changed"), "{text}");
}

#[test]
fn what_is_not_kept_is_said() {
    let program = Program::start(
        &Origin::ok(),
        &rules("access = \"off\"\nclient_address = \"none\""),
    );
    let id = reference(&send_many_fields(&program));
    let told = recall(&program, &id);
    // The configuration that decided is in force, so it is known what it said.
    assert_eq!(
        (&told["now"]["verdict"], &told["now"]["rule"]),
        (&json!("deny"), &json!("geo.block"))
    );
    assert_eq!(told["now"]["undecided"]["what"], "client_address");
    assert!(
        told["now"]["client"].is_null() && !told.to_string().contains("0.0.0.0"),
        "{told}"
    );
    program.edit("countries = [\"RE\"]", "countries = [\"FR\"]");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &id)["same_policy"] == false
    });
    let told = recall(&program, &id);
    assert_eq!(
        (&told["now"]["verdict"], &told["differs"]),
        (&json!("undecided"), &json!(null))
    );
    let rules = told["now"]["rules"].as_array();
    for rule in rules.into_iter().flatten() {
        let open = ["ip.block", "geo.block"].contains(&rule["rule"].as_str().unwrap());
        assert_eq!(rule["outcome"] == "undecided", open, "{rule}");
    }
    let (_, text, _) = command(&program, &["--ref", &id]);
    assert!(
        text.contains("cannot be told") && text.contains("log.client_address"),
        "{text}"
    );
}

/// Of shortened addresses, the client is the one that the configuration in
/// force finds, and not the one that another one had found.
#[test]
fn the_client_is_found_anew() {
    let program = Program::start(
        &Origin::ok(),
        &rules("access = \"off\"\nclient_address = \"prefix\""),
    );
    let id = reference(&send_many_fields(&program));
    let now = |told: &Value, key: &str| told["now"][key].clone();
    let told = recall(&program, &id);
    assert_eq!(now(&told, "client"), "203.0.113.0/24");
    assert_eq!(now(&told, "client_from"), "x-forwarded-for");
    assert_eq!(now(&told, "country"), "RE");

    program.edit("trusted_proxies = [\"127.0.0.1\"]", "trusted_proxies = []");
    program.edit("\"198.51.100.0/24\"", "\"127.0.0.0/24\"");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &id)["same_policy"] == false
    });
    let told = recall(&program, &id);
    assert_eq!(told["request"]["client"], "203.0.113.0/24");
    assert_eq!(now(&told, "client"), "127.0.0.0/24");
    assert_eq!(now(&told, "client_from"), "peer");
    assert_eq!(now(&told, "country"), json!(null));
    assert_eq!(now(&told, "rule"), "ip.block");
    let rules = told["now"]["rules"].as_array().unwrap().iter();
    let open: Vec<&Value> = rules
        .filter(|rule| rule["outcome"] == "undecided")
        .collect();
    assert!(open.is_empty(), "{open:?}");

    // Half of the network is exempt, so nobody knows what any rule says.
    program.edit("block = [\"127.0.0.0/24\"]", "exempt = [\"127.0.0.0/25\"]");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        recall(&program, &id)["now"]["generation"] == 3
    });
    let told = recall(&program, &id);
    assert_eq!(now(&told, "verdict"), "undecided");
    let rules = told["now"]["rules"].as_array().unwrap();
    for rule in rules {
        let expected = ["off", "undecided"].contains(&rule["outcome"].as_str().unwrap());
        assert!(expected, "{rule}");
    }
}

#[test]
fn a_reference_that_nobody_knows() {
    let program = Program::start(&Origin::ok(), OPEN);
    let reply = program.client().get("/a", "");
    let forwarded = reply
        .field("portcullis-ref")
        .unwrap_or_else(|| "0".repeat(20));
    let (code, text, errors) = command(&program, &["--ref", &forwarded]);
    assert_eq!((code, text.as_str()), (Some(1), ""));
    for word in ["404", "another instance", "10,000", "16 MiB", "let through"] {
        assert!(errors.contains(word), "{errors}");
    }
    assert_eq!(command(&program, &["--ref", "short"]).0, Some(64));
    assert_eq!(
        command(&program, &["--ref", &forwarded, "http://a/"]).0,
        Some(64)
    );
    let output = portcullis(&[
        "explain",
        "--admin",
        "http://127.0.0.1:1",
        "--ref",
        &forwarded,
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        portcullis(&["explain", "http://a/"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(64)
    );
}
