//! What a line does not let it decide.

use serde_json::{Value, json};

use super::{Case, line, replay, stdout};
use crate::policy::country_database;

/// Why the line is undecided under the policy, or what becomes of it.
fn fate(policy: &str, changes: &Value) -> String {
    let report = replay(policy, None, &line(changes));
    if let Some((why, _)) = report.undecided.iter().next() {
        return format!("undecided: {why}");
    }
    if let Some((why, _)) = report.skipped.iter().next() {
        return format!("skipped: {why}");
    }
    match report.samples.first() {
        Some(sample) => sample.after.clone(),
        None => "unchanged".to_owned(),
    }
}

/// A value as the log cuts it.
fn cut(start: &str) -> String {
    format!("{start:x<4096}...[cut]")
}

#[test]
fn what_a_line_does_not_tell_is_undecided() {
    let geo = format!(
        "[access.geo]\nmode = \"block\"\ncountries = [\"FR\"]\ndatabase = \"{}\"\n",
        country_database().display()
    );
    let agents = "[access.user_agent]\nblock = [\"bot\"]\n";
    let pages = "[access.referrer]\nmode = \"allow\"\nurls = [\"https://good.example\"]\nmissing = \"allow\"\n";
    let not_pages = "[access.referrer]\nmode = \"block\"\nurls = [\"https://bad.example\"]\n";
    let infer = pages.replace("missing = \"allow\"", "missing = \"infer\"");
    let uploads = "[access.origins.upload]\npatterns = [\"good.example\"]\nmissing = \"block\"\n";
    let block = "[access.ip]\nblock = [\"203.0.113.0/25\"]\n";
    let proxies = "[client]\ntrusted_proxies = [\"203.0.113.9\"]\n";
    let with = |policies: &[&str]| policies.concat();
    for (policy, changes, expected) in [
        (
            "",
            json!({ "method": cut("A"), "status": 405, "verdict": "reject", "error": "the method is not in origin.methods" }),
            "undecided: method",
        ),
        ("", json!({ "method": "A B" }), "skipped: lacks_method"),
        // Addresses that are shortened, or not there.
        (
            block,
            json!({ "client": "203.0.113.0/24", "peer": "203.0.113.0/24" }),
            "undecided: client_address",
        ),
        (
            block,
            json!({ "client": "192.0.2.0/24", "peer": "192.0.2.0/24" }),
            "unchanged",
        ),
        (
            "[access.ip]\nblock = [\"203.0.112.0/23\"]\n",
            json!({ "peer": "203.0.113.0/24" }),
            "deny:ip.block",
        ),
        (
            block,
            json!({ "client": null, "peer": null }),
            "undecided: client_address",
        ),
        (
            &geo,
            json!({ "client": null, "peer": null }),
            "undecided: client_address",
        ),
        (
            pages,
            json!({ "client": null, "peer": null, "referer": "https://bad.example/" }),
            "deny:referrer.allow",
        ),
        (
            block,
            json!({ "peer": "absent" }),
            "undecided: client_address",
        ),
        // Who is trusted now, and was not then.
        (
            &with(&[proxies, block]),
            json!({ "client_header": "absent" }),
            "undecided: client_field",
        ),
        // It named nobody.
        (&with(&[proxies, block]), json!({}), "deny:ip.block"),
        (proxies, json!({ "forwarded": "192.0.2.1" }), "unchanged"),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "forwarded", "client_header": "forwarded", "forwarded": "for=192.0.2.1" }),
            "undecided: client_field",
        ),
        (
            &with(&[proxies, block]),
            json!({ "client_header": "forwarded", "forwarded": null }),
            "undecided: client_field",
        ),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" }),
            "unchanged",
        ),
        (
            &with(&[proxies, block]),
            json!({ "client_from": "x-forwarded-for", "forwarded": cut("") }),
            "undecided: client_field",
        ),
        // User-Agents that are cut, or not there.
        (
            agents,
            json!({ "user_agent": cut("Firefox") }),
            "undecided: user_agent",
        ),
        (
            agents,
            json!({ "user_agent": cut("a bot") }),
            "deny:user_agent.block",
        ),
        (
            agents,
            json!({ "user_agent": "absent" }),
            "undecided: user_agent",
        ),
        (
            block,
            json!({ "user_agent": "absent", "peer": "192.0.2.1" }),
            "unchanged",
        ),
        (
            "[access.user_agent]\nblock = [\"\\\\xff\"]\n",
            json!({ "user_agent": "\\xFF" }),
            "undecided: user_agent",
        ),
        (
            agents,
            json!({ "user_agent": "\\xFFbot" }),
            "deny:user_agent.block",
        ),
        // Pages that are cut, or may not be UTF-8.
        (
            pages,
            json!({ "referer": cut("https://good.example/") }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": cut("https://bad.example/") }),
            "deny:referrer.allow",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://bad.example/") }),
            "undecided: referer_or_origin",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://good.example/") }),
            "unchanged",
        ),
        (
            not_pages,
            json!({ "referer": cut("https://good.example") }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": "https://good.example/\\xFF" }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "referer": "absent" }),
            "undecided: referer_or_origin",
        ),
        (
            pages,
            json!({ "origin_field": "absent", "referer": "https://good.example/" }),
            "undecided: referer_or_origin",
        ),
        (
            agents,
            json!({ "origin_field": "absent", "referer": "absent" }),
            "unchanged",
        ),
        // Sec-Fetch fields that cannot be told apart.
        (
            &infer,
            json!({ "sec_fetch": "cross-site/no-cors/image" }),
            "deny:referrer.allow",
        ),
        (
            &infer,
            json!({ "sec_fetch": "none/a/b/c" }),
            "undecided: sec_fetch",
        ),
        (pages, json!({ "sec_fetch": "none/a/b/c" }), "unchanged"),
        (
            &infer,
            json!({ "sec_fetch": "absent" }),
            "undecided: sec_fetch",
        ),
        // Preflights.
        (
            uploads,
            json!({ "method": "OPTIONS", "request_method": "PUT" }),
            "deny:origins.upload",
        ),
        (
            uploads,
            json!({ "method": "OPTIONS", "request_method": "absent" }),
            "undecided: request_method",
        ),
        // URLs.
        (agents, json!({ "url": cut("http://a/") }), "undecided: url"),
        (
            agents,
            json!({ "url": cut("http://a/b?"), "user_agent": "bot" }),
            "deny:user_agent.block",
        ),
        (agents, json!({ "url": "a b" }), "undecided: url"),
        (agents, json!({ "url": "http://a/ b" }), "undecided: url"),
        (agents, json!({ "url": "http:///" }), "undecided: url"),
        // Rejections.
        (
            agents,
            json!({ "verdict": "reject", "status": 400, "error": "of a later version" }),
            "undecided: unknown_rejection",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 400, "error": "the path has a control character" }),
            "unchanged",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 421, "error": "the host is not in server.hosts" }),
            "forward",
        ),
        (
            agents,
            json!({ "verdict": "reject", "status": 408, "method": null, "url": null }),
            "undecided: no_request",
        ),
        // Not an access log's.
        (
            agents,
            json!({ "method": "absent" }),
            "skipped: lacks_method",
        ),
        (agents, json!({ "url": "absent" }), "skipped: lacks_url"),
        (
            agents,
            json!({ "verdict": "absent" }),
            "skipped: lacks_verdict",
        ),
        (agents, json!({ "verdict": "deny" }), "skipped: lacks_rule"),
        (
            agents,
            json!({ "referer": 7 }),
            "skipped: not_an_access_log_line",
        ),
    ] {
        assert_eq!(fate(policy, &changes), expected, "{policy}{changes}");
    }
}

/// What a rule in shadow would have done to a request that is decided all the
/// same: sure, undecided.
fn watched(policy: &str, rule: &str, changes: &Value) -> (u64, u64) {
    let report = replay(policy, None, &line(changes));
    assert!(report.undecided.is_empty(), "{policy}{changes}: {report:?}");
    let rule = report.rules.iter().find(|report| report.rule == rule);
    let rule = rule.unwrap();
    (rule.would_deny_after, rule.would_deny_undecided_after)
}

#[test]
fn what_a_rule_in_shadow_would_have_done_may_be_undecided() {
    let agents = |word: &str| {
        format!(
            "[access.user_agent]\nblock = [\"{word}\"]\nshadow = true\n[access.ip]\nexempt = [\"192.0.2.0/24\"]\n"
        )
    };
    let (bot, raw) = (&agents("bot"), &agents("\\\\xff"));
    let pages = "[access.referrer]\nmode = \"allow\"\nurls = [\"https://good.example\"]\nmissing = \"allow\"\nshadow = true\n";
    let infer = &pages.replace("missing = \"allow\"", "missing = \"infer\"");
    let uploads = "[access.origins.upload]\npatterns = [\"good.example\"]\nmissing = \"block\"\nshadow = true\n";
    for (policy, rule, changes, expected) in [
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": "a bot" }),
            (1, 0),
        ),
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": cut("Firefox") }),
            (0, 1),
        ),
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": cut("a bot") }),
            (1, 0),
        ),
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": "absent" }),
            (0, 1),
        ),
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": "absent", "peer": "192.0.2.1" }),
            (0, 0),
        ),
        (
            raw,
            "user_agent.block",
            json!({ "user_agent": "\\xFF" }),
            (0, 1),
        ),
        (
            bot,
            "user_agent.block",
            json!({ "user_agent": "\\xFFbot" }),
            (1, 0),
        ),
        (
            &pages.to_owned(),
            "referrer.allow",
            json!({ "referer": cut("https://good.example/") }),
            (0, 1),
        ),
        (
            &pages.to_owned(),
            "referrer.allow",
            json!({ "referer": cut("https://bad.example/") }),
            (1, 0),
        ),
        (
            &pages.to_owned(),
            "referrer.allow",
            json!({ "referer": "absent" }),
            (0, 1),
        ),
        (
            infer,
            "referrer.allow",
            json!({ "sec_fetch": "none/a/b/c" }),
            (0, 1),
        ),
        (
            &uploads.to_owned(),
            "origins.upload",
            json!({ "method": "OPTIONS", "request_method": "absent" }),
            (0, 1),
        ),
    ] {
        let found = watched(policy, rule, &changes);
        assert_eq!(found, expected, "{policy}{changes}");
    }
}

/// The sentence says so, and so does the JSON, of both sides.
#[test]
fn what_the_log_cannot_tell_of_a_rule_in_shadow_is_said() {
    let policy = "[access.user_agent]\nblock = [\"bot\"]\nshadow = true\n";
    let agents = [
        json!("a bot"),
        json!(cut("Firefox")),
        json!("absent"),
        json!("Firefox"),
    ];
    let lines = agents.map(|agent| line(&json!({ "user_agent": agent })));
    let case = Case::new(lines.join("\n").as_bytes(), policy, policy);
    let arguments = ["--log", "access.ndjson", "--config", "new.toml"];
    for (against, before) in [
        (&[][..], "before 0;"),
        (
            &["--against", "old.toml"],
            "before 1 (2 more cannot be told);",
        ),
    ] {
        let output = case.run(&[&arguments[..], against].concat());
        let expected = format!(
            "  user_agent.block  would have denied 1 of 4 (25.0 %) if not in shadow, \
             mostly user agent a bot (1), {before} 2 more cannot be told by the log\n"
        );
        let shown = stdout(&output);
        assert!(format!("{shown}\n").contains(&expected), "{shown}");
    }
    let rule = &case.json(&["--against", "old.toml"])["rules"][1];
    for (name, expected) in [
        ("would_deny_before", 1),
        ("would_deny_after", 1),
        ("would_deny_undecided_before", 2),
        ("would_deny_undecided_after", 2),
    ] {
        assert_eq!(rule[name], expected, "{rule}");
    }
    // A line that does not say who watched.
    let silent = replay("", None, &line(&json!({ "would_deny": "absent" })));
    assert_eq!(silent.rules[1].would_deny_undecided_before, 1);
    let alone = replay(policy, None, &lines[1]);
    assert_eq!(
        (alone.rules[1].percent, alone.rules[1].mostly.is_none()),
        (0.0, true)
    );
}

#[test]
fn a_scheme_that_may_have_been_the_other() {
    let proxies = "[client]\ntrusted_proxies = [\"203.0.113.9\"]\n";
    let of = |policy: &str, changes: &Value| replay(policy, None, &line(changes)).keys.undecided;
    // Trusted then and not now: the connection's own scheme is not logged.
    let named = json!({ "client_from": "x-forwarded-for", "forwarded": "192.0.2.1" });
    assert_eq!((of("", &named), of(proxies, &named)), (1, 0));
    // It cannot have come by https from somebody who is not believed.
    assert_eq!(
        (
            of("", &json!({})),
            of("", &json!({ "url": "https://img.example.com/a.txt" }))
        ),
        (0, 1)
    );
}

/// What a balancer asks of its own is not told apart from what it passes on
/// without a field, and its fields are not believed.
#[test]
fn a_connection_that_named_nobody_may_have_been_a_balancers_own() {
    let policy = |proxy_protocol: bool| {
        format!(
            "[client]\ntrusted_proxies = [\"10.0.0.1\"]\nproxy_protocol = {proxy_protocol}\n\
             [access.ip]\nblock = [\"203.0.113.9\"]\n"
        )
    };
    let own = json!({ "peer": "10.0.0.1", "client": "10.0.0.1", "client_from": "peer",
        "client_header": "x-forwarded-for", "forwarded": "203.0.113.9" });
    assert_eq!(fate(&policy(false), &own), "deny:ip.block");
    let by_header = fate(&policy(true), &own);
    assert!(by_header.starts_with("undecided"), "{by_header}");
    // What is asked once for two files is asked for each way to come.
    let report = replay(&policy(true), Some(&policy(true)), &line(&own));
    assert_eq!(report.undecided.values().sum::<u64>(), 1, "{report:?}");
}

/// What one file makes of a line is not taken for what another one reads.
#[test]
fn who_is_believed_only_now_is_heard() {
    let policy = |trusted: &str| {
        format!("[client]\ntrusted_proxies = [{trusted}]\n[access.ip]\nblock = [\"203.0.113.9\"]\n")
    };
    let passed_on = json!({ "peer": "10.0.0.1", "client": "10.0.0.1", "client_from": "peer",
        "client_header": "x-forwarded-for", "forwarded": "203.0.113.9" });
    let report = replay(
        &policy("\"10.0.0.1\""),
        Some(&policy("")),
        &line(&passed_on),
    );
    assert_eq!(report.decisions.newly_denied, 1, "{report:?}");
}
