//! The keys of `[access]`.

use super::{A, EVIL};
use crate::policy::{country_database, get, policy};

#[test]
fn access_exempt_paths() {
    let verdict = |paths: &str| {
        let toml =
            format!("[access]\nexempt_paths = [{paths}]\n[access.ip]\nblock = [\"203.0.113.9\"]");
        get(A).client("203.0.113.9").verdict(&policy(&toml))
    };
    assert_eq!(verdict(""), "deny:ip.block");
    assert_eq!(verdict("\"/*.jpg\""), "forward");
}

#[test]
fn access_ip_block() {
    let verdict = |list: &str| {
        get(A)
            .client("203.0.113.9")
            .verdict(&policy(&format!("[access.ip]\nblock = [{list}]")))
    };
    assert_eq!(verdict("\"203.0.113.0/24\""), "deny:ip.block");
    assert_eq!(verdict("\"203.0.113.8\""), "forward");
}

#[test]
fn access_ip_block_files() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "# bad ones\n203.0.113.0/24\n").unwrap();
    let verdict = |toml: &str| get(A).client("203.0.113.9").verdict(&policy(toml));
    assert_eq!(
        verdict(&format!("[access.ip]\nblock_files = [{list:?}]")),
        "deny:ip.block"
    );
    assert_eq!(verdict("[access.ip]\nblock_files = []"), "forward");
}

#[test]
fn access_ip_exempt() {
    let verdict = |exempt: &str| {
        let toml = format!("[access.ip]\nblock = [\"203.0.113.0/24\"]\nexempt = [{exempt}]");
        get(A).client("203.0.113.9").verdict(&policy(&toml))
    };
    assert_eq!(verdict(""), "deny:ip.block");
    assert_eq!(verdict("\"203.0.113.9\""), "forward");
}

/// What a rule says of a request it denies, enforced and in shadow.
fn shadowed(table: &str, rule: &str, ask: &crate::policy::Ask) {
    let enforced = policy(&format!("{table}shadow = false\n"));
    assert_eq!(ask.verdict(&enforced), format!("deny:{rule}"));
    let watching = policy(&format!("{table}shadow = true\n"));
    assert_eq!(ask.verdict(&watching), "forward");
    assert_eq!(ask.outcome(&watching, rule), "would_deny");
}

#[test]
fn access_ip_shadow() {
    let ask = get(A).client("203.0.113.9");
    shadowed("[access.ip]\nblock = [\"203.0.113.9\"]\n", "ip.block", &ask);
}

#[test]
fn access_user_agent_block() {
    let verdict = |list: &str| {
        let policy = policy(&format!("[access.user_agent]\nblock = [{list}]"));
        get(A)
            .field("user-agent", "python-requests/2")
            .verdict(&policy)
    };
    assert_eq!(verdict("\"Python\""), "deny:user_agent.block");
    assert_eq!(verdict("\"curl\""), "forward");
}

#[test]
fn access_user_agent_shadow() {
    let ask = get(A).field("user-agent", "bot");
    shadowed(
        "[access.user_agent]\nblock = [\"bot\"]\n",
        "user_agent.block",
        &ask,
    );
}

/// A geo table; 198.51.100.0/24 and the like have countries in the committed
/// database, loopback never has.
fn geo(mode: &str, countries: &str, unknown: &str) -> String {
    format!(
        "[access.geo]\nmode = \"{mode}\"\ncountries = [{countries}]\nunknown = \"{unknown}\"\ndatabase = {:?}\n",
        country_database()
    )
}

/// 1.1.1.1, of which databases know only where it is registered.
const AUSTRALIAN: &str = "1.1.1.1";

#[test]
fn access_geo_mode() {
    let verdict = |mode| {
        get(A)
            .client(AUSTRALIAN)
            .verdict(&policy(&geo(mode, "\"DE\"", "allow")))
    };
    assert_eq!(verdict("off"), "forward");
    assert_eq!(verdict("block"), "forward");
    assert_eq!(verdict("allow"), "deny:geo.allow");
}

#[test]
fn access_geo_countries() {
    let verdict = |list| {
        get(A)
            .client(AUSTRALIAN)
            .verdict(&policy(&geo("block", list, "allow")))
    };
    assert_eq!(verdict("\"au\""), "deny:geo.block");
    assert_eq!(verdict("\"DE\""), "forward");
}

#[test]
fn access_geo_database() {
    let country = |name: &str| {
        let toml = geo("block", "\"DE\"", "allow").replace("country.mmdb", name);
        get(A).client("2001:db8::1").decided(&policy(&toml)).country
    };
    assert!(country("country.mmdb").is_some());
    assert_eq!(country("ipv4-only.mmdb"), None);
}

#[test]
fn access_geo_unknown() {
    let verdict = |unknown| {
        get(A)
            .client("127.0.0.1")
            .verdict(&policy(&geo("allow", "\"DE\"", unknown)))
    };
    assert_eq!(verdict("allow"), "forward");
    assert_eq!(verdict("block"), "deny:geo.allow");
}

#[test]
fn access_geo_shadow() {
    shadowed(
        &geo("block", "\"AU\"", "allow"),
        "geo.block",
        &get(A).client(AUSTRALIAN),
    );
}

fn origins(table: &str, patterns: &str, missing: &str) -> String {
    format!("[access.origins.{table}]\npatterns = [{patterns}]\nmissing = \"{missing}\"\n")
}

#[test]
fn access_origins_upload_patterns() {
    let ask = get(A).method("PUT").field("origin", "https://a.com");
    assert_eq!(
        ask.verdict(&policy(&origins("upload", "\"a.com\"", "allow"))),
        "forward"
    );
    assert_eq!(
        ask.verdict(&policy(&origins("upload", "\"b.com\"", "allow"))),
        "deny:origins.upload"
    );
}

#[test]
fn access_origins_upload_missing() {
    let ask = get(A).method("PUT");
    assert_eq!(
        ask.verdict(&policy(&origins("upload", "\"a.com\"", "allow"))),
        "forward"
    );
    assert_eq!(
        ask.verdict(&policy(&origins("upload", "\"a.com\"", "block"))),
        "deny:origins.upload"
    );
    let infer = policy(&origins("upload", "\"a.com\"", "infer"));
    assert_eq!(
        ask.field("sec-fetch-site", "cross-site").verdict(&infer),
        "deny:origins.upload"
    );
}

#[test]
fn access_origins_upload_shadow() {
    let ask = get(A).method("PUT").field("origin", "https://b.com");
    shadowed(
        &origins("upload", "\"a.com\"", "allow"),
        "origins.upload",
        &ask,
    );
}

#[test]
fn access_origins_delivery_patterns() {
    let ask = get(A).field(EVIL.0, EVIL.1);
    let table = |patterns| policy(&origins("delivery", patterns, "allow"));
    assert_eq!(ask.verdict(&table("\"evil.example\"")), "forward");
    assert_eq!(ask.verdict(&table("\"a.com\"")), "deny:origins.delivery");
}

#[test]
fn access_origins_delivery_missing() {
    assert_eq!(
        get(A).verdict(&policy(&origins("delivery", "\"a.com\"", "allow"))),
        "forward"
    );
    assert_eq!(
        get(A).verdict(&policy(&origins("delivery", "\"a.com\"", "block"))),
        "deny:origins.delivery"
    );
}

#[test]
fn access_origins_delivery_shadow() {
    let ask = get(A).field(EVIL.0, EVIL.1);
    shadowed(
        &origins("delivery", "\"a.com\"", "allow"),
        "origins.delivery",
        &ask,
    );
}

fn referrer(mode: &str, url: &str, missing: &str) -> String {
    format!("[access.referrer]\nmode = \"{mode}\"\nurls = [\"{url}\"]\nmissing = \"{missing}\"\n")
}

#[test]
fn access_referrer_mode() {
    let ask = get(A).field(EVIL.0, EVIL.1);
    let verdict = |mode| ask.verdict(&policy(&referrer(mode, EVIL.1, "allow")));
    assert_eq!(verdict("off"), "forward");
    assert_eq!(verdict("allow"), "forward");
    assert_eq!(verdict("block"), "deny:referrer.block");
}

#[test]
fn access_referrer_urls() {
    let ask = get(A).field(EVIL.0, EVIL.1);
    assert_eq!(
        ask.verdict(&policy(&referrer("allow", EVIL.1, "allow"))),
        "forward"
    );
    assert_eq!(
        ask.verdict(&policy(&referrer("allow", "https://a.com", "allow"))),
        "deny:referrer.allow"
    );
}

#[test]
fn access_referrer_missing() {
    let verdict = |missing| get(A).verdict(&policy(&referrer("allow", EVIL.1, missing)));
    assert_eq!(verdict("allow"), "forward");
    assert_eq!(verdict("block"), "deny:referrer.allow");
}

#[test]
fn access_referrer_shadow() {
    let ask = get(A).field(EVIL.0, EVIL.1);
    shadowed(&referrer("block", EVIL.1, "allow"), "referrer.block", &ask);
}
