//! The two pages this program was born from, feature by feature and example
//! by example.

use crate::policy::{country_database, get, policy, refused};

const A: &str = "https://img.example.com/a.jpg";

/// "Absolute IPv4 - 163.120.4.15", "10.0.0.0/24. This blocks all IPs in range
/// 10.0.0.0 to 10.0.0.255."
#[test]
fn ip_and_ip_range_blocking() {
    let policy = policy("[access.ip]\nblock = [\"163.120.4.15\", \"10.0.0.0/24\"]\n");
    for (client, expected) in [
        ("163.120.4.15", "deny:ip.block"),
        ("163.120.4.14", "forward"),
        ("163.120.4.16", "forward"),
        ("10.0.0.0", "deny:ip.block"),
        ("10.0.0.128", "deny:ip.block"),
        ("10.0.0.255", "deny:ip.block"),
        ("10.0.1.0", "forward"),
        ("9.255.255.255", "forward"),
        ("::ffff:10.0.0.7", "deny:ip.block"),
    ] {
        assert_eq!(get(A).client(client).verdict(&policy), expected, "{client}");
    }
}

/// "You can block at most 100 absolute IPs or IP ranges."
#[test]
fn at_most_100_ips() {
    let list = |count: usize| {
        let entries: Vec<String> = (0..count).map(|n| format!("\"192.0.2.{n}\"")).collect();
        format!("[access.ip]\nblock = [{}]\n", entries.join(", "))
    };
    assert_eq!(
        get(A).client("192.0.2.99").verdict(&policy(&list(100))),
        "deny:ip.block"
    );
    assert!(refused(&list(101)).contains("limits.ip_entries"));
    let raised = format!("[limits]\nip_entries = 101\n{}", list(101));
    assert_eq!(
        get(A).client("192.0.2.100").verdict(&policy(&raised)),
        "deny:ip.block"
    );
}

/// "Blocklist, Allowlist, No restriction. By default, no geographic
/// restrictions are applied."
#[test]
fn geographic_restriction() {
    let table = |mode: &str, more: &str| {
        format!(
            "[access.geo]\nmode = \"{mode}\"\ncountries = [\"DE\"]\ndatabase = {:?}\n{more}",
            country_database()
        )
    };
    let (german, french) = german_and_french();
    let verdicts = |toml: &str| {
        let policy = policy(toml);
        [&german, &french].map(|client| get(A).client(client).verdict(&policy))
    };
    assert_eq!(verdicts(&table("block", "")), ["deny:geo.block", "forward"]);
    assert_eq!(
        verdicts(&table("allow", "unknown = \"block\"\n")),
        ["forward", "deny:geo.allow"]
    );
    assert_eq!(verdicts(&table("off", "")), ["forward", "forward"]);
    assert_eq!(verdicts(""), ["forward", "forward"]);
}

/// An address in each country, by the committed database.
fn german_and_french() -> (String, String) {
    let database = portcullis::access::country::CountryDatabase::open(&country_database()).unwrap();
    let find = |wanted: &str| {
        (0..=255_u8)
            .flat_map(|low| [[192, 0, 2, low], [198, 51, 100, low], [203, 0, 113, low]])
            .map(std::net::IpAddr::from)
            .find(|address| {
                database
                    .lookup(*address)
                    .is_some_and(|c| c.to_string() == wanted)
            })
            .unwrap_or_else(|| panic!("no address of {wanted} in the database"))
            .to_string()
    };
    (find("DE"), find("FR"))
}

/// "If you add https://ik.imagekit.io to the allowlist, the URL ik.imagekit.io
/// will be allowed."
#[test]
fn referrer_allowlist() {
    let policy = policy(
        "[access.referrer]\nmode = \"allow\"\nurls = [\"https://ik.imagekit.io\"]\nmissing = \"allow\"\n",
    );
    for (referer, expected) in [
        ("https://ik.imagekit.io/", "forward"),
        ("https://ik.imagekit.io/demo?a=b", "forward"),
        ("http://ik.imagekit.io:8080/", "forward"),
        ("https://imagekit.io/", "deny:referrer.allow"),
        ("https://www.ik.imagekit.io/", "deny:referrer.allow"),
        (
            "https://ik.imagekit.io.evil.example/",
            "deny:referrer.allow",
        ),
    ] {
        assert_eq!(
            get(A).field("referer", referer).verdict(&policy),
            expected,
            "{referer}"
        );
    }
}

/// "If you add https://developer.mozilla.org/en-US/search?q=URL to the
/// blocklist, the domain developer.mozilla.org will be restricted."
#[test]
fn referrer_blocklist() {
    let policy = policy(
        "[access.referrer]\nmode = \"block\"\n\
         urls = [\"https://developer.mozilla.org/en-US/search?q=URL\"]\n",
    );
    for (referer, expected) in [
        ("https://developer.mozilla.org/", "deny:referrer.block"),
        (
            "https://developer.mozilla.org/en-US/docs/Web",
            "deny:referrer.block",
        ),
        ("https://mozilla.org/", "forward"),
        ("https://en.developer.mozilla.org/", "forward"),
    ] {
        assert_eq!(
            get(A).field("referer", referer).verdict(&policy),
            expected,
            "{referer}"
        );
    }
    assert_eq!(get(A).verdict(&policy), "forward");
}

/// "each URL must include at least the scheme and domain name", "Wildcard
/// domain restrictions are not supported", "at most 30 referrers".
#[test]
fn referrer_lists() {
    let list = |urls: &str| {
        format!("[access.referrer]\nmode = \"allow\"\nmissing = \"allow\"\nurls = [{urls}]\n")
    };
    assert!(refused(&list("\"ik.imagekit.io\"")).contains("scheme"));
    assert!(refused(&list("\"https://*.imagekit.io\"")).contains("ildcard"));
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("\"https://a{n}.com\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    let thirty = policy(&list(&many(30)));
    assert_eq!(
        get(A).field("referer", "https://a29.com/").verdict(&thirty),
        "forward"
    );
    assert!(refused(&list(&many(31))).contains("limits.referrers"));
    assert_eq!(
        get(A)
            .field("referer", "https://a.com/")
            .verdict(&policy("")),
        "forward"
    );
}

/// "Improved caching and WebP image delivery for some mobile apps"
#[test]
fn webp_and_improved_caching_for_mobile_apps() {
    let policy = policy(
        "[[images.clients]]\nuser_agents = [\"okhttp\"]\naccept = \"image/webp,image/apng,*/*;q=0.8\"\n",
    );
    let told = get(A).field("user-agent", "okhttp/4.12.0").decided(&policy);
    assert_eq!(told.variant, "webp");
    assert_eq!(
        told.accept.as_deref(),
        Some("image/webp,image/apng,*/*;q=0.8")
    );
    assert_eq!(told.cache_key, format!("{A} webp"));
    // However browsers spell what they accept, there are as many keys as variants.
    let keys: std::collections::HashSet<String> = [
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        "image/webp,*/*",
        "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        "*/*",
        "text/html",
    ]
    .iter()
    .map(|accept| get(A).field("accept", accept).decided(&policy).cache_key)
    .collect();
    assert_eq!(keys.len(), 2);
}

/// The table of the second page, row by row.
#[test]
fn domain_whitelists() {
    for (pattern, fixture, expected) in [
        ("mydomain.com:8080", "mydomain.com:8080", true),
        ("mydomain.com:8080", "mydomain.com", false),
        ("*domain.*", "mydomain.com", true),
        ("*domain.*", "www.domain.com", false),
        ("*.domain.*", "www.domain.com", true),
        ("subdomain.*.com", "subdomain.domain.com", true),
        ("subdomain.*.com", "subdomain.d1.d2.com", false),
        ("mydomain.{com,org}", "mydomain.com", true),
        ("mydomain.{com,org}", "mydomain.org", true),
        ("mydomain.{com,org}", "mydomain.io", false),
        ("[a-n]*domain.com", "my1domain.com", true),
        ("[a-n]*domain.com", "one1domain.com", false),
        // From the text above the table.
        ("m[a-d]m.com", "mam.com", true),
        ("m[a-d]m.com", "mbm.com", true),
        ("m[a-d]m.com", "mcm.com", true),
        ("m[a-d]m.com", "mdm.com", true),
        ("m[a-d]m.com", "mem.com", false),
        ("m?m.com", "mxm.com", true),
        ("m?m.com", "m.m.com", false),
    ] {
        for table in ["upload", "delivery"] {
            let policy = policy(&format!(
                "[access.origins.{table}]\npatterns = [{pattern:?}]\nmissing = \"allow\"\n"
            ));
            let method = if table == "upload" { "POST" } else { "GET" };
            // "Protocol is ignored http:// = https://."
            for scheme in ["https", "http"] {
                let ask = get(A)
                    .method(method)
                    .field("origin", &format!("{scheme}://{fixture}"));
                let verdict = match expected {
                    true => "forward".to_owned(),
                    false => format!("deny:origins.{table}"),
                };
                assert_eq!(
                    ask.verdict(&policy),
                    verdict,
                    "{pattern} {scheme}://{fixture}"
                );
            }
        }
    }
}

/// "If you provided domain with protocol included, it will be automatically
/// removed", "We do not accept parentheses", "Maximum 20 patterns per
/// whitelist type".
#[test]
fn domain_whitelist_format() {
    let list = |table: &str, patterns: &str| {
        format!("[access.origins.{table}]\nmissing = \"allow\"\npatterns = [{patterns}]\n")
    };
    let with_protocol = policy(&list("upload", "\"https://mydomain.com\""));
    let ask = get(A).method("POST").field("origin", "http://mydomain.com");
    assert_eq!(ask.verdict(&with_protocol), "forward");
    assert!(refused(&list("upload", "\"my(domain).com\"")).contains('('));
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("\"a{n}.com\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    let both = format!(
        "{}{}",
        list("upload", &many(20)),
        list("delivery", &many(20))
    );
    assert_eq!(
        get(A)
            .field("origin", "https://a19.com")
            .verdict(&policy(&both)),
        "forward"
    );
    for table in ["upload", "delivery"] {
        assert!(refused(&list(table, &many(21))).contains("limits.origin_patterns"));
    }
}

/// "it is still possible to download files directly (for example with curl or
/// by putting URL directly in the browser)": said, and so it is.
#[test]
fn a_download_without_the_field_is_the_operators_choice() {
    let table = |missing: &str| {
        policy(&format!(
            "[access.origins.delivery]\npatterns = [\"mydomain.com\"]\nmissing = \"{missing}\"\n"
        ))
    };
    assert_eq!(get(A).verdict(&table("allow")), "forward");
    assert_eq!(get(A).verdict(&table("block")), "deny:origins.delivery");
    assert_eq!(get(A).verdict(&table("infer")), "forward");
}
