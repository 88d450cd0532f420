//! What is kept of a request is told as it was, and no more than that is known.

use rstest::rstest;
use serde_json::{Value, json};

use super::denials::{command, denials, only, recall, reference, rules};
use super::get;
use crate::support::{Client, Origin, Program, Reply, eventually};

/// What `/-/policy` says of a rule in shadow.
fn watched(program: &Program, rule: &str) -> Value {
    let policy: Value = serde_json::from_slice(&get(program, "/-/policy").body).unwrap();
    let rules = policy["routes"][0]["rules"].as_array().unwrap().iter();
    let mut found = rules.filter(|told| told["rule"] == rule);
    found.next().unwrap().clone()
}

#[rstest]
#[case("full", json!("198.51.100.0/24"))]
#[case("prefix", json!("198.51.100.0/24"))]
#[case("none", json!(null))]
fn what_is_not_known_is_not_told_as_missing(#[case] mode: &str, #[case] block: Value) {
    let log = format!("access = \"off\"\nclient_address = \"{mode}\"");
    let policy = rules(&log)
        .replace("[access.geo]\n", "[access.geo]\nshadow = true\n")
        .replace("[access.ip]\n", "[access.ip]\nshadow = true\n");
    let program = Program::start(&Origin::ok(), &policy);
    let mut client = program.client();
    for address in ["203.0.113.129", "203.0.113.130", "198.51.100.7"] {
        let fields = format!("X-Forwarded-For: {address}\r\nReferer: https://www.example.com/\r\n");
        assert_eq!(client.get("/a.jpg", &fields).status, 200);
    }
    let told = || {
        let geo = watched(&program, "geo.block");
        assert_eq!(
            geo["says"],
            "geo.block would have denied 2 of 3 (66.7 %), mostly country RE (2)"
        );
        assert_eq!(geo["samples"][0]["value"], "RE");
        let ip = watched(&program, "ip.block");
        assert_eq!(ip["mostly"]["value"], block);
        assert_eq!(ip["mostly"].is_null(), block.is_null());
        let says = ip["says"].as_str().unwrap();
        assert!(
            !says.contains("without") && says.contains("1 of 3 (33.3 %)"),
            "{says}"
        );
    };
    // What is counted is known when an answer is over.
    crate::support::eventually("all are counted", || {
        watched(&program, "geo.block")["requests"] == 3
    });
    told();
    let entry = |rule: &str| {
        let told = denials(&program, &format!("shadow=true&rule={rule}&limit=1"));
        told["denials"][0].clone()
    };
    // Of an address that is not whole nobody knows the country, unless it was
    // looked up then.
    assert_eq!(entry("ip.block").get("country").is_some(), mode == "full");
    assert_eq!(entry("geo.block")["country"], "RE");
    program.edit("formats = [\"webp\"]", "formats = []");
    program.signal("HUP");
    crate::support::eventually("it is in force", || {
        let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
        policy["generation"] == 2
    });
    told();
    assert_eq!(entry("ip.block").get("country"), None);
    assert_eq!(entry("geo.block")["country"], "RE");
}

/// However a request came, what is kept of it makes the very decision again,
/// and after a reload the one that the same request would meet.
#[test]
fn whatever_was_denied_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = format!(
        "[server]\nlisten = [\"127.0.0.1:0\", \"unix:{}\"]\nhosts = [\"img.example.com\"]\n",
        path.display()
    );
    let uploads =
        "[access.origins.upload]\npatterns = [\"https://www.example.com\"]\nmissing = \"allow\"\n";
    let policy = format!(
        "{server}{uploads}{}",
        rules("access = \"off\"").replace("shadow = true\n", "")
    );
    let program = Program::start(&Origin::ok(), &policy);
    let long = format!("https://leech.example/{}", "x".repeat(5000));
    let lines = [
        (
            "HEAD /a.jpg",
            "Referer: https://leech.example/\r\n".to_owned(),
            "referrer.allow",
        ),
        (
            "GET /a.jpg",
            "Referer: https://www.example.com/\r\nReferer: https://b.example/\r\n".to_owned(),
            "referrer.allow",
        ),
        (
            "GET /a.jpg",
            format!("Referer: {long}\r\n"),
            "referrer.allow",
        ),
        (
            "OPTIONS /a.jpg",
            "Origin: https://leech.example\r\nAccess-Control-Request-Method: PUT\r\n".to_owned(),
            "origins.upload",
        ),
        (
            "OPTIONS /a.jpg",
            "User-Agent: badbot\r\n".to_owned(),
            "user_agent.block",
        ),
        (
            "PUT /a.jpg",
            "Content-Length: 0\r\nOrigin: https://leech.example\r\n".to_owned(),
            "origins.upload",
        ),
        (
            "GET http://IMG.example.com/public/../a.jpg",
            "User-Agent: badbot\r\n".to_owned(),
            "user_agent.block",
        ),
        (
            "GET /a.jpg",
            "X-Forwarded-For: 203.0.113.129\r\n".to_owned(),
            "geo.block",
        ),
    ];
    let ask = |client: &mut dyn FnMut(&str) -> Reply| -> Vec<(String, &str)> {
        let send = lines.iter().map(|(line, fields, rule)| {
            let reply = client(&format!(
                "{line} HTTP/1.1\r\nHost: img.example.com\r\n{fields}\r\n"
            ));
            assert_eq!(reply.status, 403, "{line} {rule}");
            (reference(&reply), *rule)
        });
        send.collect()
    };
    let mut tcp = program.client();
    let mut unix = Client::at_socket(&path);
    let head = |bytes: &str| bytes.starts_with("HEAD");
    let mut by_tcp = |bytes: &str| match head(bytes) {
        true => tcp.head_of("/a.jpg", "Referer: https://leech.example/\r\n"),
        false => tcp.send(bytes).reply(),
    };
    let mut all = ask(&mut by_tcp);
    let mut by_unix = |bytes: &str| match head(bytes) {
        true => unix.head_of("/a.jpg", "Referer: https://leech.example/\r\n"),
        false => unix.send(bytes).reply(),
    };
    all.extend(ask(&mut by_unix));
    for (reference, rule) in &all {
        let told = recall(&program, reference);
        assert_eq!(told["then"]["rule"], *rule, "{told}");
        assert_eq!(
            (
                &told["now"]["rule"],
                &told["differs"],
                &told["now"]["undecided"]
            ),
            (&json!(rule), &json!(false), &json!(null)),
            "{told}"
        );
        let rules = told["now"]["rules"].as_array().unwrap();
        assert!(
            rules.iter().all(|rule| rule["outcome"] != "undecided"),
            "{told}"
        );
    }

    // Now every client of theirs is exempt.
    program.edit(
        "[access.ip]\n",
        "[access.ip]\nexempt = [\"127.0.0.0/8\", \"203.0.113.0/24\"]\n",
    );
    program.edit("trusted_proxies = [\"127.0.0.1\"]", "trusted_proxies = []");
    program.signal("HUP");
    let any = &all[0].0;
    crate::support::eventually("it is in force", || {
        recall(&program, any)["same_policy"] == false
    });
    for (reference, rule) in &all {
        let told = recall(&program, reference);
        assert_eq!(
            (
                &told["then"]["rule"],
                &told["now"]["verdict"],
                &told["differs"]
            ),
            (&json!(rule), &json!("forward"), &json!(true)),
            "{told}"
        );
        let rules = told["now"]["rules"].as_array().unwrap();
        let outcomes = rules.iter().map(|rule| rule["outcome"].as_str().unwrap());
        assert!(
            outcomes
                .into_iter()
                .all(|outcome| ["off", "exempt"].contains(&outcome)),
            "{told}"
        );
        assert_eq!(told["now"]["client"], "127.0.0.1");
    }
    assert_eq!(denials(&program, "")["found"], all.len());
}

/// More routes than are counted apart: that nothing is counted of one is not
/// that nobody would be denied there.
#[test]
fn a_route_that_is_not_counted_is_not_told_as_quiet() {
    let routes: String = (0..250)
        .map(|number| format!("[[route]]\nname = \"r{number}\"\npaths = [\"/r{number}/**\"]\n"))
        .collect();
    let shadow = "[admin]\nlisten = \"127.0.0.1:0\"\n[access.user_agent]\nblock = [\"badbot\"]\nshadow = true\n";
    let program = Program::start(&Origin::ok(), &format!("{shadow}{routes}"));
    let mut client = program.client();
    for path in ["/r0/a.jpg", "/r249/a.jpg", "/r249/b.jpg"] {
        assert_eq!(client.get(path, "User-Agent: BadBot\r\n").status, 200);
    }
    let told = |route: usize| {
        let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
        let rules = policy["routes"][route]["rules"].as_array().unwrap().iter();
        let mut found = rules.filter(|told| told["rule"] == "user_agent.block");
        found.next().unwrap().clone()
    };
    crate::support::eventually("all are kept", || told(249)["mostly"]["requests"] == 2);
    crate::support::eventually("they are counted", || told(0)["would_deny"] == 1);
    let last = told(249);
    assert!(
        last["would_deny"].is_null() && last["requests"].is_null() && last["percent"].is_null()
    );
    assert_eq!(
        last["says"],
        "user_agent.block would have denied 2 or more of a number that is not known, as over 200 routes were \
         there to count, mostly user agent BadBot (2)"
    );
}

#[test]
fn a_rule_in_shadow_says_whom_it_would_have_denied() {
    for log in ["access = \"off\"", "access = \"/dev/null\""] {
        let program = Program::start(&Origin::ok(), &rules(log));
        let mut client = program.client();
        let mut send = |referer: &str, agent: &str| {
            let fields = format!("Referer: https://{referer}/\r\nUser-Agent: {agent}\r\n");
            client.get("/a.jpg", &fields).status
        };
        for referer in [
            "leech.example",
            "leech.example",
            "www.example.com",
            "b.example",
        ] {
            assert_eq!(send(referer, "x"), 200);
        }
        // Denied by another rule, and by this one too if it were not watching.
        assert_eq!(send("leech.example", "badbot"), 403);
        let shadow = || {
            let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
            let rules = policy["routes"][0]["rules"].as_array().unwrap().clone();
            let rule = rules
                .into_iter()
                .find(|rule| rule["rule"] == "referrer.allow");
            rule.unwrap()
        };
        eventually("all are kept", || shadow()["mostly"]["of"] == 4);
        let told = shadow();
        assert_eq!(
            (&told["would_deny"], &told["percent"]),
            (&json!(4), &json!(80.0))
        );
        assert_eq!(
            told["mostly"],
            json!({ "what": "referrer", "value": "leech.example", "requests": 3, "of": 4 })
        );
        assert_eq!(
            told["says"],
            "referrer.allow would have denied 4 of 5 (80.0 %), mostly referrer leech.example (3)"
        );
        let samples = told["samples"].as_array().unwrap();
        assert_eq!(samples.len(), 3);
        let other = samples.iter().find(|sample| sample["value"] == "b.example");
        let id = other.unwrap()["ref"].as_str().unwrap();
        assert_eq!(denials(&program, "")["found"], 1);
        assert_eq!(denials(&program, "shadow=true")["found"], 4);
        assert_eq!(denials(&program, "shadow=true&rule=geo.block")["found"], 0);
        let told = denials(&program, &format!("shadow=true&ref={id}"));
        let entry = only(&told);
        assert_eq!(
            (&entry["verdict"], &entry["rule"]),
            (&json!("forward"), &json!(null))
        );
        assert_eq!(entry["variant"], "original");
        let (code, text, _) = command(&program, &["--ref", id]);
        assert!(
            code == Some(0) && text.contains("let through; in shadow referrer.allow would have"),
            "{text}"
        );

        // It goes on counting over a reload that leaves it there.
        program.edit("[images]\nformats = [\"webp\"]", "");
        let reloaded = || {
            let policy: Value = serde_json::from_slice(&get(&program, "/-/policy").body).unwrap();
            policy["generation"].clone()
        };
        program.signal("HUP");
        eventually("it is in force", || reloaded() == 2);
        assert_eq!(shadow()["would_deny"], 4);
        program.edit("shadow = true", "shadow = false");
        program.signal("HUP");
        eventually("it denies", || reloaded() == 3);
        assert!(shadow().get("would_deny").is_none());
        assert_eq!(send("leech.example", "x"), 403);
        program.edit("shadow = false", "shadow = true");
        program.signal("HUP");
        eventually("it watches again", || reloaded() == 4);
        // It is told so right after it is in force.
        eventually("it counts anew", || {
            shadow()["says"] == "referrer.allow would have denied 0 of 0"
        });
        assert!(shadow()["mostly"].is_null());
    }
}
