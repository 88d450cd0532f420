//! `access.origins` and the `Origin` field.

use super::{A, delivery, post, upload};
use crate::policy::{get, policy};

#[test]
fn uploads_are_judged_by_their_origin() {
    let policy = policy(&upload(
        "block",
        "\"**.good.com\", \"good.com:8443\", \"capacitor://localhost\"",
    ));
    for (origin, expected) in [
        ("https://www.good.com", "forward"),
        ("https://good.com:8443", "forward"),
        ("https://good.com", "deny"),
        ("https://www.good.com/", "deny"),
        ("https://www.good.com, https://www.good.com", "deny"),
        ("capacitor://localhost", "forward"),
        ("capacitor://evil", "deny"),
        ("null", "deny"),
        ("", "deny"),
    ] {
        let verdict = post().field("origin", origin).verdict(&policy);
        assert_eq!(verdict.split(':').next().unwrap(), expected, "{origin}");
    }
    assert_eq!(
        get(A).field("origin", "https://evil.com").verdict(&policy),
        "forward"
    );
    assert_eq!(get(A).outcome(&policy, "origins.upload"), "pass");
    // The Referer does not stand in for an upload.
    assert_eq!(
        post()
            .field("referer", "https://www.good.com/")
            .verdict(&policy),
        "deny:origins.upload"
    );
}

#[test]
fn preflights_count_as_what_they_ask_for() {
    let policy = policy(&format!(
        "{}{}",
        upload("block", "\"up.com\""),
        delivery("block", "\"show.com\"")
    ));
    let preflight = |origin: &str, methods: &[&str]| {
        let ask = get(A).method("OPTIONS").field("origin", origin);
        let ask = methods
            .iter()
            .fold(ask, |ask, m| ask.field("access-control-request-method", m));
        ask.verdict(&policy)
    };
    assert_eq!(preflight("https://up.com", &["PUT"]), "forward");
    assert_eq!(
        preflight("https://show.com", &["PUT"]),
        "deny:origins.upload"
    );
    assert_eq!(preflight("https://show.com", &["GET"]), "forward");
    assert_eq!(preflight("https://show.com", &["HEAD"]), "forward");
    assert_eq!(
        preflight("https://up.com", &["GET"]),
        "deny:origins.delivery"
    );
    assert_eq!(preflight("https://show.com", &[]), "forward");
    assert_eq!(
        preflight("https://show.com", &["GET", "GET"]),
        "deny:origins.upload"
    );
    assert_eq!(
        preflight("https://show.com", &["get"]),
        "deny:origins.upload"
    );
}

#[test]
fn delivery_falls_back_to_the_referer() {
    let policy = policy(&delivery("block", "\"show.com:443\", \"*.show.com\""));
    let referer = |value: &str| get(A).field("referer", value).verdict(&policy);
    assert_eq!(referer("https://show.com/page"), "forward");
    assert_eq!(referer("http://show.com/page"), "deny:origins.delivery");
    assert_eq!(referer("http://show.com:443/page"), "forward");
    assert_eq!(referer("https://x.show.com:99/"), "forward");
    assert_eq!(referer("https://.show.com/"), "deny:origins.delivery");
    assert_eq!(referer("nonsense"), "deny:origins.delivery");
    assert_eq!(referer("about:blank"), "deny:origins.delivery");
    // A present Origin counts before the Referer.
    let both = get(A)
        .field("origin", "https://evil.com")
        .field("referer", "https://show.com/");
    assert_eq!(both.verdict(&policy), "deny:origins.delivery");
    let twice = get(A)
        .field("origin", "https://show.com")
        .field("origin", "https://show.com");
    assert_eq!(twice.verdict(&policy), "deny:origins.delivery");
}

#[test]
fn null_origins() {
    let table = policy(&format!(
        "{}{}",
        delivery("allow", "\"img.example.com:443\", \"show.com\""),
        upload("allow", "\"img.example.com\"")
    ));
    let null = get(A).field("origin", "null");
    assert_eq!(null.verdict(&table), "deny:origins.delivery");
    let same = null.clone().field("sec-fetch-site", "same-origin");
    assert_eq!(same.verdict(&table), "forward");
    assert_eq!(same.clone().method("POST").verdict(&table), "forward");
    // Only as that: a listed Referer does not help a host that is not listed.
    let other = get("https://other.example/a")
        .field("origin", "null")
        .field("referer", "https://show.com/");
    assert_eq!(
        other
            .clone()
            .field("sec-fetch-site", "same-origin")
            .verdict(&table),
        "deny:origins.delivery"
    );
    assert_eq!(other.verdict(&table), "forward");
    assert_eq!(other.method("POST").verdict(&table), "deny:origins.upload");
    let listed = policy(&delivery("block", "\"null\""));
    assert_eq!(null.verdict(&listed), "forward");
    assert_eq!(
        null.field("referer", "https://evil.com/").verdict(&listed),
        "deny:origins.delivery"
    );
}

#[test]
fn the_own_host_of_a_null_origin_has_its_own_port() {
    let table = policy(&delivery("allow", "\"img.example.com:8080\""));
    let ask = |url: &str| {
        let ask = get(url).field("origin", "null");
        ask.field("sec-fetch-site", "same-origin").verdict(&table)
    };
    assert_eq!(ask("https://img.example.com:8080/a"), "forward");
    assert_eq!(ask("https://img.example.com/a"), "deny:origins.delivery");
}

#[test]
fn an_origin_is_read_up_to_eight_kib() {
    let table = policy(&upload("allow", "\"*\", \"good.com\""));
    let origin = |length: usize| {
        let value = format!("https://good.com:{}1", "0".repeat(length));
        post().field("origin", &value).verdict(&table)
    };
    assert_eq!(origin(4), "forward");
    assert_eq!(origin(9000), "deny:origins.upload");
    let app = |length: usize| {
        let origin = format!("app://{}", "a".repeat(length));
        let table = policy(&upload("allow", &format!("\"{origin}\"")));
        post().field("origin", &origin).verdict(&table)
    };
    assert_eq!(app(8 * 1024 - 6), "forward");
    assert_eq!(app(8 * 1024 - 5), "deny:origins.upload");
}
