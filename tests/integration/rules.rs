//! The access rules and their edges, as section 6 has them.

mod origins;

use crate::policy::{Ask, get, policy};
use crate::support::{Origin, Portcullis};

const A: &str = "https://img.example.com/a.jpg";

fn post() -> Ask {
    get(A).method("POST")
}

fn delivery(missing: &str, patterns: &str) -> String {
    format!("[access.origins.delivery]\npatterns = [{patterns}]\nmissing = \"{missing}\"\n")
}

fn upload(missing: &str, patterns: &str) -> String {
    delivery(missing, patterns).replace("delivery", "upload")
}

fn referrer(mode: &str, missing: &str) -> String {
    format!(
        "[access.referrer]\nmode = \"{mode}\"\nurls = [\"https://good.com\"]\nmissing = \"{missing}\"\n"
    )
}

#[test]
fn the_first_rule_that_denies_is_named_and_each_has_its_own_outcome() {
    let policy = policy(&format!(
        "[access.ip]\nblock = [\"203.0.113.9\"]\n[access.user_agent]\nblock = [\"BadBot\"]\n{}{}",
        delivery("allow", "\"good.com\""),
        referrer("allow", "allow"),
    ));
    let bad = get(A)
        .client("203.0.113.9")
        .field("user-agent", "x badbot/1")
        .field("referer", "https://evil.com/");
    assert_eq!(bad.verdict(&policy), "deny:ip.block");
    for rule in [
        "ip.block",
        "user_agent.block",
        "origins.delivery",
        "referrer.allow",
    ] {
        assert_eq!(bad.outcome(&policy, rule), "deny", "{rule}");
    }
    for rule in ["geo.block", "geo.allow", "origins.upload", "referrer.block"] {
        assert_eq!(bad.outcome(&policy, rule), "off", "{rule}");
    }
    assert_eq!(
        bad.client("192.0.2.1").verdict(&policy),
        "deny:user_agent.block"
    );
}

#[test]
fn shadow_rules_watch_and_let_pass() {
    let policy = policy(
        "[access.ip]\nblock = [\"203.0.113.9\"]\nshadow = true\n[access.user_agent]\nblock = [\"bot\"]\n",
    );
    let client = get(A).client("203.0.113.9");
    assert_eq!(client.verdict(&policy), "forward");
    assert_eq!(client.outcome(&policy, "ip.block"), "would_deny");
    let bot = client.field("user-agent", "bot");
    assert_eq!(bot.verdict(&policy), "deny:user_agent.block");
    assert_eq!(bot.outcome(&policy, "ip.block"), "would_deny");
}

#[test]
fn exempt_clients_and_paths() {
    let policy = policy(
        "[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
         [access]\nexempt_paths = [\"/public/**\"]\n\
         [access.ip]\nblock = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\nexempt = [\"192.0.2.0/24\", \"10.0.0.0/8\"]\n",
    );
    assert_eq!(
        get(A).client("198.51.100.1").verdict(&policy),
        "deny:ip.block"
    );
    assert_eq!(get(A).client("192.0.2.1").verdict(&policy), "forward");
    assert_eq!(
        get(A).client("192.0.2.1").outcome(&policy, "ip.block"),
        "exempt"
    );
    assert_eq!(
        get(A).client("192.0.2.1").outcome(&policy, "geo.block"),
        "off"
    );
    assert_eq!(
        get(A).client("10.0.0.1").verdict(&policy),
        "deny:ip.block",
        "a proxy is never exempt"
    );
    let public = get("https://img.example.com/public/a.jpg").client("198.51.100.1");
    assert_eq!(public.verdict(&policy), "forward");
    assert_eq!(public.clone().method("HEAD").verdict(&policy), "forward");
    assert_eq!(
        public.clone().method("POST").verdict(&policy),
        "deny:ip.block"
    );
    assert_eq!(
        public.clone().method("OPTIONS").verdict(&policy),
        "deny:ip.block"
    );
    let preflight = |method| {
        public
            .clone()
            .method("OPTIONS")
            .field("access-control-request-method", method)
    };
    assert_eq!(preflight("GET").verdict(&policy), "forward");
    assert_eq!(preflight("PUT").verdict(&policy), "deny:ip.block");
    for hidden in [
        "/x/..%2fpublic/a",
        "/public/..%2f..%2fsecret",
        "/public/%252e%252e/secret",
        "/%2570ublic/a",
    ] {
        let ask = get(&format!("https://img.example.com{hidden}")).client("198.51.100.1");
        assert_eq!(ask.verdict(&policy), "reject:400", "{hidden}");
    }
}

#[test]
fn user_agents() {
    let policy = policy("[access.user_agent]\nblock = [\"BadBot\", \"curl/\"]\n");
    let ask = |agent: &str| get(A).field("user-agent", agent).verdict(&policy);
    assert_eq!(
        ask("Mozilla/5.0 (compatible; BADBOT/2)"),
        "deny:user_agent.block"
    );
    assert_eq!(ask("curl/8"), "deny:user_agent.block");
    assert_eq!(ask("Mozilla/5.0"), "forward");
    assert_eq!(ask(""), "forward");
    assert_eq!(get(A).verdict(&policy), "forward");
    let second = get(A)
        .field("user-agent", "Mozilla")
        .field("user-agent", "badbot");
    assert_eq!(second.verdict(&policy), "deny:user_agent.block");
    let long = format!("{}badbot", "x".repeat(7000));
    assert_eq!(ask(&long), "deny:user_agent.block");
}

#[test]
fn referers_as_browsers_read_them() {
    let policy = policy(&referrer("allow", "allow"));
    for (referer, expected) in [
        ("https://good.com/page", "forward"),
        ("https://GOOD.com./", "forward"),
        ("http://user@good.com:81/", "forward"),
        ("https://good.com@evil.com/", "deny"),
        ("https://evil.com\\@good.com/", "deny"),
        ("https://evil.com/https://good.com/", "deny"),
        ("https://notgood.com/", "deny"),
        ("good.com", "deny"),
        ("/page", "deny"),
        ("about:blank", "forward"),
        ("about:srcdoc", "deny"),
        ("  ", "forward"),
        ("", "forward"),
    ] {
        let verdict = get(A).field("referer", referer).verdict(&policy);
        assert_eq!(verdict.split(':').next().unwrap(), expected, "{referer}");
    }
    let twice = get(A)
        .field("referer", "https://good.com/")
        .field("referer", "https://good.com/");
    assert_eq!(twice.verdict(&policy), "deny:referrer.allow");
    let long = format!("https://good.com/{}", "x".repeat(8 * 1024));
    assert_eq!(
        get(A).field("referer", &long).verdict(&policy),
        "deny:referrer.allow"
    );
    assert_eq!(
        post()
            .field("referer", "https://evil.com/")
            .verdict(&policy),
        "deny:referrer.allow"
    );
}

#[test]
fn what_a_blocklist_does_not_understand_passes() {
    let policy = policy(&referrer("block", "allow"));
    assert_eq!(
        get(A)
            .field("referer", "https://good.com/")
            .verdict(&policy),
        "deny:referrer.block"
    );
    assert_eq!(get(A).field("referer", "/page").verdict(&policy), "forward");
    let twice = get(A)
        .field("referer", "https://good.com/")
        .field("referer", "https://x.com/");
    assert_eq!(twice.verdict(&policy), "forward");
}

#[test]
fn missing_referers() {
    for (mode, rule) in [("allow", "referrer.allow"), ("block", "referrer.block")] {
        assert_eq!(get(A).verdict(&policy(&referrer(mode, "allow"))), "forward");
        assert_eq!(
            get(A).verdict(&policy(&referrer(mode, "block"))),
            format!("deny:{rule}")
        );
        assert_eq!(get(A).verdict(&policy(&referrer(mode, "infer"))), "forward");
    }
}

#[test]
fn inference_asks_the_origin_field_then_the_browser() {
    let policy = policy(&referrer("allow", "infer"));
    let origin = |value: &str| get(A).field("origin", value).verdict(&policy);
    assert_eq!(origin("https://good.com"), "forward");
    assert_eq!(origin("https://evil.com"), "deny:referrer.allow");
    assert_eq!(origin("null"), "deny:referrer.allow");
    let long = format!("https://good.com/{}", "x".repeat(8 * 1024));
    assert_eq!(origin(&long), "deny:referrer.allow");
    let fetch = |fields: &[(&str, &str)]| {
        let ask = fields.iter().fold(get(A), |ask, (name, value)| {
            ask.field(&format!("sec-fetch-{name}"), value)
        });
        ask.verdict(&policy)
    };
    for (fields, expected) in [
        (&[("site", "same-origin")][..], "forward"),
        (&[("site", "same-site")], "forward"),
        (&[("site", "none")], "forward"),
        (&[("site", "cross-site")], "deny:referrer.allow"),
        (&[("site", "anything")], "deny:referrer.allow"),
        (
            &[
                ("site", "cross-site"),
                ("mode", "no-cors"),
                ("dest", "image"),
            ],
            "deny:referrer.allow",
        ),
        (
            &[
                ("site", "cross-site"),
                ("mode", "navigate"),
                ("dest", "document"),
            ],
            "forward",
        ),
        (
            &[
                ("site", "cross-site"),
                ("mode", "navigate"),
                ("dest", "iframe"),
            ],
            "deny:referrer.allow",
        ),
        (
            &[("site", "cross-site"), ("mode", "navigate")],
            "deny:referrer.allow",
        ),
        (&[("site", "none"), ("site", "none")], "deny:referrer.allow"),
        (&[("site", ""), ("mode", "no-cors")], "forward"),
        (&[("mode", "no-cors"), ("dest", "image")], "forward"),
    ] {
        assert_eq!(fetch(fields), expected, "{fields:?}");
    }
}

#[test]
fn routes_replace_whole_tables_and_inherit_the_others() {
    let policy = policy(
        "[access.ip]\nblock = [\"203.0.113.9\"]\n[access.user_agent]\nblock = [\"bot\"]\n\
         [[route]]\nname = \"open\"\npaths = [\"/open/**\"]\n[route.access.ip]\nblock = []\n\
         [[route]]\nname = \"other\"\nhosts = [\"*.other.example\"]\n[route.access.user_agent]\nblock = [\"spider\"]\n",
    );
    let bad = |url: &str, agent: &str| get(url).client("203.0.113.9").field("user-agent", agent);
    assert_eq!(bad("https://a/x", "-").verdict(&policy), "deny:ip.block");
    assert_eq!(bad("https://a/open/x", "-").verdict(&policy), "forward");
    assert_eq!(
        bad("https://a/open/x", "bot").verdict(&policy),
        "deny:user_agent.block"
    );
    assert_eq!(bad("https://a/open/x", "-").decided(&policy).route, "open");
    assert_eq!(
        bad("https://b.other.example/x", "-").verdict(&policy),
        "deny:ip.block"
    );
    let other = get("https://b.other.example/x");
    assert_eq!(
        other.clone().field("user-agent", "bot").verdict(&policy),
        "forward"
    );
    assert_eq!(
        other.clone().field("user-agent", "spider").verdict(&policy),
        "deny:user_agent.block"
    );
    assert_eq!(other.decided(&policy).route, "other");
    assert_eq!(
        get("https://other.example/").decided(&policy).route,
        "default"
    );
}

#[test]
fn what_is_rejected() {
    let policy = policy("[server]\nhosts = [\"img.example.com\", \"*.cdn.example.com\"]\n");
    assert_eq!(get(A).verdict(&policy), "forward");
    assert_eq!(
        get("https://IMG.example.com.:8443/").verdict(&policy),
        "forward"
    );
    assert_eq!(
        get("https://x.cdn.example.com/").verdict(&policy),
        "forward"
    );
    assert_eq!(get("https://other.example/").verdict(&policy), "reject:421");
    assert_eq!(get(A).method("TRACE").verdict(&policy), "reject:405");
    assert_eq!(get(A).method("PURGE").verdict(&policy), "reject:405");
    assert_eq!(get(A).method("get").verdict(&policy), "reject:405");
    for bad in [
        "https://img.example.com/%",
        "https://img.example.com/%00",
        "https://img.example.com/../x",
        "https://img.example.com/<",
        "https://img.example.com/`",
        "https://img.example.com/?\"",
        "https://user@img.example.com/",
        "https://img..example.com/",
        "https://img.example.com:x/",
    ] {
        assert_eq!(get(bad).verdict(&policy), "reject:400", "{bad}");
    }
    assert_eq!(
        get(A).field("host", "other.example").verdict(&policy),
        "reject:400"
    );
    assert_eq!(get("/a.jpg").verdict(&policy), "reject:400");
    assert_eq!(
        get("/a.jpg")
            .field("host", "img.example.com")
            .verdict(&policy),
        "forward"
    );
}

#[test]
fn the_key_is_canonical() {
    let policy = policy(
        "[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[cache_key]\nquery = \"sort\"\ndrop = [\"utm_*\"]\n",
    );
    let key = |url: &str| get(url).decided(&policy).cache_key;
    assert_eq!(
        key("HTTPS://A.com:443//x/./y/%7e?b=2&utm_a=1&a=1#frag"),
        "https://a.com/x/y/~?a=1&b=2 original"
    );
    assert_eq!(key("http://a.com:8080"), "http://a.com:8080/ original");
    assert_eq!(key("http://a.com/?"), "http://a.com/ original");
    let forwarded = get("http://a.com/")
        .peer("10.0.0.1")
        .field("x-forwarded-proto", "https");
    assert_eq!(
        forwarded.decided(&policy).cache_key,
        "https://a.com/ original"
    );
    let forged = get("http://a.com/")
        .peer("192.0.2.1")
        .field("x-forwarded-proto", "https");
    assert_eq!(forged.decided(&policy).cache_key, "http://a.com/ original");
}

/// A peer that must send a PROXY header is one that such a header names; any
/// other may have come by itself.
#[test]
fn a_peer_behind_a_proxy_header() {
    let policy = policy("[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\nproxy_protocol = true\n");
    let found = |ask: Ask| {
        let told = ask.decided(&policy);
        (told.client, told.client_from)
    };
    let named = get(A).peer("10.0.0.1");
    let forwarded = named.clone().field("x-forwarded-for", "203.0.113.9");
    let owned = |client: &str, from: &str| (client.to_owned(), from.to_owned());
    assert_eq!(found(named), owned("10.0.0.1", "proxy_protocol"));
    assert_eq!(
        found(forwarded.clone()),
        owned("203.0.113.9", "x-forwarded-for")
    );
    assert_eq!(
        found(forwarded.peer("192.0.2.1")),
        owned("192.0.2.1", "peer")
    );
    let given = get(A).client("192.0.2.1").peer("10.0.0.1");
    assert_eq!(found(given), owned("192.0.2.1", "given"));
}

#[test]
fn the_client_and_how_it_was_found() {
    let policy = policy("[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
    let found = |ask: Ask| {
        let told = ask.decided(&policy);
        (told.client, told.peer, told.client_from)
    };
    let owned = |client: &str, peer: &str, from: &str| {
        (client.to_owned(), peer.to_owned(), from.to_owned())
    };
    let forwarded = get(A).field("x-forwarded-for", "203.0.113.9");
    assert_eq!(found(get(A)), owned("127.0.0.1", "127.0.0.1", "peer"));
    assert_eq!(
        found(forwarded.clone()),
        owned("127.0.0.1", "127.0.0.1", "peer")
    );
    assert_eq!(
        found(forwarded.clone().peer("10.0.0.1")),
        owned("203.0.113.9", "10.0.0.1", "x-forwarded-for")
    );
    assert_eq!(
        found(forwarded.clone().client("192.0.2.1")),
        owned("192.0.2.1", "192.0.2.1", "given")
    );
    assert_eq!(
        found(forwarded.client("192.0.2.1").peer("10.0.0.1")),
        owned("192.0.2.1", "10.0.0.1", "given")
    );
    // A field that Connection names away is not there.
    let named = get(A)
        .peer("10.0.0.1")
        .field("x-forwarded-for", "203.0.113.9")
        .field("connection", "x-forwarded-for");
    assert_eq!(found(named), owned("10.0.0.1", "10.0.0.1", "peer"));
}

#[test]
fn what_is_not_utf_8_is_not_understood() {
    let policy = format!(
        "{}{}",
        delivery("allow", "\"good.com\""),
        referrer("allow", "allow")
    );
    let proxy = Portcullis::start(&Origin::ok(), &policy);
    let status = |field: &[u8]| {
        let request = [b"GET /a HTTP/1.1\r\nHost: a\r\n", field, b"\r\n\r\n"].concat();
        proxy.client().send(request).reply().status
    };
    assert_eq!(status(b"Referer: https://good.com/"), 200);
    assert_eq!(status(b"Referer: https://good.com/\xff"), 403);
    assert_eq!(status(b"Referer: \xff"), 403);
    assert_eq!(status(b"Origin: https://good.com"), 200);
    assert_eq!(status(b"Origin: https://good.com\xff"), 403);
    assert_eq!(status(b"User-Agent: \xff"), 200);
}

#[test]
fn ports_and_addresses_of_a_referer() {
    for (pattern, referer, expected) in [
        ("b.com:80", "wss://b.com:443/", "deny:origins.delivery"),
        ("x.net:443", "wss://x.net:443/", "forward"),
        ("a.com:21", "ftp://a.com:21/", "forward"),
        ("a.com:80", "ftp://a.com/", "forward"),
        ("a.com:443", "https://a.com:443/", "forward"),
        ("[::ffff:1.2.3.4]", "http://[::ffff:1.2.3.4]/x", "forward"),
        ("[::1]:8080", "http://[0::1]:8080/", "forward"),
    ] {
        let table = policy(&delivery("allow", &format!("\"{pattern}\"")));
        assert_eq!(
            get(A).field("referer", referer).verdict(&table),
            expected,
            "{pattern} {referer}"
        );
    }
}
