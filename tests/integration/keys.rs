//! A test for every key of `config/portcullis.toml`, named after it, that
//! shows two values behave differently. Keys that need a running proxy have
//! theirs in `running_keys`.

mod access;
mod tls;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use portcullis::plan::run_tests;

use crate::policy::{get, policy, refused};

const A: &str = "https://img.example.com/a.jpg";
const EVIL: (&str, &str) = ("referer", "https://evil.example/");

/// Every key of the shipped file, also those in its commented examples, has
/// its test.
#[test]
fn every_key_has_a_test_of_its_name() {
    let tests: BTreeSet<&str> = [
        include_str!("keys.rs"),
        include_str!("keys/access.rs"),
        include_str!("keys/tls.rs"),
        include_str!("running_keys.rs"),
        include_str!("running_keys/cache.rs"),
        include_str!("running_keys/origin.rs"),
    ]
    .iter()
    .flat_map(|source| source.split("#[test]\nfn ").skip(1))
    .map(|test| test.split('(').next().unwrap())
    .collect();
    let keys = shipped_keys();
    assert!(keys.len() > 50, "{keys:?}");
    let untested: Vec<&String> = keys
        .iter()
        .filter(|key| !tests.contains(key.replace('.', "_").as_str()))
        .collect();
    assert!(untested.is_empty(), "keys without a test: {untested:?}");
}

fn shipped_keys() -> BTreeSet<String> {
    let shipped = include_str!("../../config/portcullis.toml");
    let mut keys = BTreeSet::new();
    let mut table = String::new();
    for line in shipped.lines() {
        // A commented example is `# key = value` or `# [[table]]`.
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(rest) = line.strip_prefix('[') {
            table = rest
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap()
                .to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || "_.".contains(c))
        {
            keys.insert(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn server_hosts() {
    assert_eq!(
        get(A).verdict(&policy("[server]\nhosts = [\"img.example.com\"]")),
        "forward"
    );
    assert_eq!(
        get(A).verdict(&policy("[server]\nhosts = [\"other.example\"]")),
        "reject:421"
    );
}

#[test]
fn server_merge_slashes() {
    let key = |value| {
        let policy = policy(&format!("[server]\nmerge_slashes = {value}"));
        get("https://a.com//x").decided(&policy).cache_key
    };
    assert_eq!(key(true), "https://a.com/x original");
    assert_eq!(key(false), "https://a.com//x original");
}

#[test]
fn client_trusted_proxies() {
    let client = |proxies: &str| {
        let policy = policy(&format!("[client]\ntrusted_proxies = [{proxies}]"));
        get(A)
            .peer("10.0.0.1")
            .field("x-forwarded-for", "203.0.113.9")
            .decided(&policy)
            .client
    };
    assert_eq!(client(""), "10.0.0.1");
    assert_eq!(client("\"10.0.0.0/8\""), "203.0.113.9");
}

#[test]
fn client_header() {
    let client = |header: &str| {
        let policy = policy(&format!(
            "[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\nheader = \"{header}\""
        ));
        let ask = get(A)
            .peer("10.0.0.1")
            .field("x-forwarded-for", "203.0.113.1");
        let ask = ask
            .field("forwarded", "for=203.0.113.2")
            .field("cf-connecting-ip", "203.0.113.3");
        ask.decided(&policy).client
    };
    assert_eq!(client("x-forwarded-for"), "203.0.113.1");
    assert_eq!(client("forwarded"), "203.0.113.2");
    assert_eq!(client("cf-connecting-ip"), "203.0.113.3");
}

/// A list of `count` entries made by `entry`, under a limit.
fn limited(limit: &str, table: &str, count: usize, entry: impl Fn(usize) -> String) -> String {
    let entries: Vec<String> = (0..count).map(entry).collect();
    format!("[limits]\n{limit}\n{table} = {entries:?}\n")
}

#[test]
fn limits_ip_entries() {
    let entry = |n| Ipv4Addr::from(0xC000_0200 + u32::try_from(n).unwrap()).to_string();
    let toml = |limit: usize| {
        limited(
            &format!("ip_entries = {limit}"),
            "[access.ip]\nblock",
            3,
            entry,
        )
    };
    assert_eq!(
        get(A).client("192.0.2.2").verdict(&policy(&toml(3))),
        "deny:ip.block"
    );
    assert!(refused(&toml(2)).contains("limits.ip_entries"));
}

#[test]
fn limits_referrers() {
    let toml = |limit: usize| {
        let table = "[access.referrer]\nmode = \"block\"\nurls";
        limited(&format!("referrers = {limit}"), table, 3, |n| {
            format!("https://a{n}.com")
        })
    };
    assert_eq!(
        get(A)
            .field("referer", "https://a2.com")
            .verdict(&policy(&toml(3))),
        "deny:referrer.block"
    );
    assert!(refused(&toml(2)).contains("limits.referrers"));
}

#[test]
fn limits_origin_patterns() {
    let toml = |limit: usize| {
        let table = "[access.origins.upload]\nmissing = \"allow\"\npatterns";
        limited(&format!("origin_patterns = {limit}"), table, 3, |n| {
            format!("a{n}.com")
        })
    };
    let ask = get(A).method("POST").field("origin", "https://a3.com");
    assert_eq!(ask.verdict(&policy(&toml(3))), "deny:origins.upload");
    assert!(refused(&toml(2)).contains("limits.origin_patterns"));
}

#[test]
fn limits_user_agents() {
    let toml = |limit: usize| {
        limited(
            &format!("user_agents = {limit}"),
            "[access.user_agent]\nblock",
            3,
            |n| format!("bot{n}"),
        )
    };
    assert_eq!(
        get(A)
            .field("user-agent", "bot2")
            .verdict(&policy(&toml(3))),
        "deny:user_agent.block"
    );
    assert!(refused(&toml(2)).contains("limits.user_agents"));
}

#[test]
fn origin_methods() {
    let verdict = |methods: &str| {
        let toml = format!("[origin]\nurl = \"http://127.0.0.1:9\"\nmethods = [{methods}]");
        get(A).method("PURGE").verdict(&policy(&toml))
    };
    assert_eq!(verdict("\"GET\""), "reject:405");
    assert_eq!(verdict("\"GET\", \"PURGE\""), "forward");
}

/// The variant of a browser's request under an `[images]` table.
fn variant(images: &str) -> &'static str {
    let ask = get(A)
        .field("accept", "image/avif,image/webp,*/*")
        .field("user-agent", "PhotoApp/1");
    ask.decided(&policy(images)).variant
}

#[test]
fn images_extensions() {
    assert_eq!(variant("[images]\nextensions = [\"jpg\"]"), "webp");
    assert_eq!(variant("[images]\nextensions = [\"png\"]"), "original");
}

#[test]
fn images_formats() {
    assert_eq!(variant("[images]\nformats = [\"webp\"]"), "webp");
    assert_eq!(variant("[images]\nformats = [\"avif\"]"), "avif");
    assert_eq!(variant("[images]\nformats = []"), "original");
}

#[test]
fn images_clients_user_agents() {
    let entry = |agent: &str| {
        format!("[[images.clients]]\nuser_agents = [\"{agent}\"]\naccept = \"image/png\"")
    };
    assert_eq!(variant(&entry("photoapp")), "original");
    assert_eq!(variant(&entry("otherapp")), "webp");
}

#[test]
fn images_clients_accept() {
    let entry = |accept: &str| {
        format!("[[images.clients]]\nuser_agents = [\"PhotoApp\"]\naccept = \"{accept}\"")
    };
    assert_eq!(variant(&entry("image/png")), "original");
    assert_eq!(variant(&entry("image/webp")), "webp");
}

/// The key of a URL under a `[cache_key]` table.
fn key(table: &str) -> String {
    let policy = policy(&format!("[cache_key]\n{table}"));
    get("https://a.com/?b=1&a=2&utm_x=3")
        .decided(&policy)
        .cache_key
}

#[test]
fn cache_key_query() {
    assert_eq!(
        key("query = \"keep\""),
        "https://a.com/?b=1&a=2&utm_x=3 original"
    );
    assert_eq!(
        key("query = \"sort\""),
        "https://a.com/?a=2&b=1&utm_x=3 original"
    );
    assert_eq!(key("query = \"drop\""), "https://a.com/ original");
}

#[test]
fn cache_key_drop() {
    assert_eq!(key("drop = [\"utm_*\"]"), "https://a.com/?b=1&a=2 original");
    assert_eq!(
        key("drop = [\"utm_\"]"),
        "https://a.com/?b=1&a=2&utm_x=3 original"
    );
}

#[test]
fn cache_key_only() {
    assert_eq!(key("only = [\"a\"]"), "https://a.com/?a=2 original");
    assert_eq!(key("only = []"), "https://a.com/?b=1&a=2&utm_x=3 original");
}

/// The route of a request under one `[[route]]`.
fn route(table: &str) -> String {
    get(A)
        .decided(&policy(&format!("[[route]]\n{table}")))
        .route
}

#[test]
fn route_name() {
    assert_eq!(route("name = \"one\""), "one");
    assert_eq!(route("name = \"two\""), "two");
}

#[test]
fn route_hosts() {
    assert_eq!(route("name = \"r\"\nhosts = [\"*.example.com\"]"), "r");
    assert_eq!(route("name = \"r\"\nhosts = [\"example.com\"]"), "default");
}

#[test]
fn route_paths() {
    assert_eq!(route("name = \"r\"\npaths = [\"/*.jpg\"]"), "r");
    assert_eq!(route("name = \"r\"\npaths = [\"/x/**\"]"), "default");
}

#[test]
fn route_access_user_agent() {
    let verdict = |block: &str| {
        let toml = format!("[[route]]\nname = \"r\"\naccess.user_agent = {{ block = [{block}] }}");
        get(A).field("user-agent", "curl/8").verdict(&policy(&toml))
    };
    assert_eq!(verdict("\"curl\""), "deny:user_agent.block");
    assert_eq!(verdict("\"wget\""), "forward");
}

/// How many tests fail in a policy with one `[[test]]` for a blocked agent.
fn failures(name: &str, request: &str, expect: &str) -> Vec<String> {
    let policy = policy(&format!(
        "[access.user_agent]\nblock = [\"bot\"]\n\
         [[test]]\nname = {name:?}\nrequest = {request}\nexpect = {expect:?}\n"
    ));
    run_tests(&policy).iter().map(ToString::to_string).collect()
}

#[test]
fn test_name() {
    let request = "{ url = \"https://a.com/\" }";
    assert!(failures("one", request, "deny")[0].contains("\"one\""));
    assert!(failures("two", request, "deny")[0].contains("\"two\""));
}

#[test]
fn test_request_headers() {
    let bot = "{ url = \"https://a.com/\", headers = { user-agent = \"bot\" } }";
    assert!(failures("bots stay out", bot, "deny").is_empty());
    let curl = "{ url = \"https://a.com/\", headers = { user-agent = \"curl\" } }";
    assert_eq!(failures("bots stay out", curl, "deny").len(), 1);
}

/// How many tests fail under a policy that lets only one address be trusted,
/// blocks another, and takes GET for one host only.
fn failing(request: &str, expect: &str) -> usize {
    let policy = policy(&format!(
        "[server]\nhosts = [\"img.example.com\"]\n\
         [client]\ntrusted_proxies = [\"10.0.0.1\"]\n\
         [access.ip]\nblock = [\"192.0.2.1\"]\n\
         [origin]\nurl = \"http://127.0.0.1:9\"\nmethods = [\"GET\"]\n\
         [[test]]\nname = \"t\"\nrequest = {{ {request} }}\nexpect = \"{expect}\"\n"
    ));
    run_tests(&policy).len()
}

#[test]
fn test_request_url() {
    assert_eq!(failing("url = \"https://img.example.com/\"", "forward"), 0);
    assert_eq!(failing("url = \"https://a.com/\"", "reject"), 0);
}

#[test]
fn test_request_method() {
    let asked = |method, expect| {
        let request = format!("url = \"https://img.example.com/\", method = \"{method}\"");
        failing(&request, expect)
    };
    assert_eq!(asked("GET", "forward"), 0);
    assert_eq!(asked("PUT", "reject"), 0);
}

#[test]
fn test_request_client() {
    let asked = |client, expect| {
        let request = format!("url = \"https://img.example.com/\", client = \"{client}\"");
        failing(&request, expect)
    };
    assert_eq!(asked("192.0.2.1", "deny:ip.block"), 0);
    assert_eq!(asked("192.0.2.2", "forward"), 0);
}

#[test]
fn test_request_peer() {
    let asked = |peer, expect| {
        let field = "headers = { x-forwarded-for = \"192.0.2.1\" }";
        let request = format!("url = \"https://img.example.com/\", peer = \"{peer}\", {field}");
        failing(&request, expect)
    };
    assert_eq!(asked("10.0.0.1", "deny:ip.block"), 0);
    assert_eq!(asked("10.0.0.2", "forward"), 0);
}

#[test]
fn test_expect() {
    let bot = "{ url = \"https://a.com/a.jpg\", headers = { user-agent = [\"x\", \"bot\"] } }";
    for (expect, failing) in [
        ("deny", 0),
        ("deny:user_agent.block", 0),
        ("deny:ip.block", 1),
        ("forward", 1),
        ("reject", 1),
    ] {
        assert_eq!(failures("t", bot, expect).len(), failing, "{expect}");
    }
    let chrome = "{ url = \"https://a.com/a.jpg\", headers = { accept = \"image/webp\" } }";
    assert!(failures("t", chrome, "forward:webp").is_empty());
    assert_eq!(failures("t", chrome, "forward:original").len(), 1);
    assert!(failures("t", "{ url = \"https://a.com/%00\" }", "reject").is_empty());
}
