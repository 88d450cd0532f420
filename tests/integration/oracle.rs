//! `decide` against an oracle that was written from the specification alone:
//! slow, without any of the product's parsers, sets or automata.

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis::access::country::CountryDatabase;
use proptest::prelude::*;
use url::Url;

use crate::policy::{country_database, get, policy};

/// A policy as the oracle sees it.
#[derive(Clone, Debug)]
struct Rules {
    block: Vec<&'static str>,
    exempt: Vec<&'static str>,
    agents: Vec<&'static str>,
    geo: (&'static str, Vec<&'static str>, &'static str),
    upload: (Vec<&'static str>, &'static str),
    delivery: (Vec<&'static str>, &'static str),
    referrer: (&'static str, Vec<&'static str>, &'static str),
    /// ip, agent, geo, upload, delivery, referrer
    shadow: [bool; 6],
}

/// A request as the oracle sees it; `None`: the field is not sent.
#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    path: &'static str,
    client: &'static str,
    agent: Option<&'static str>,
    referer: Option<&'static str>,
    origin: Option<&'static str>,
    asked: Option<&'static str>,
    fetch: [Option<&'static str>; 3],
}

const NETWORKS: [&str; 5] = [
    "203.0.113.0/24",
    "192.0.2.7/32",
    "2001:db8::/33",
    "0.0.0.0/2",
    "198.51.100.128/25",
];
const CLIENTS: [&str; 9] = [
    "203.0.113.9",
    "192.0.2.7",
    "192.0.2.8",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "10.0.0.1",
    "198.51.100.200",
    "198.51.100.3",
    "1.1.1.1",
];
const AGENTS: [&str; 3] = ["BadBot", "curl/", "o"];
const PATTERNS: [&str; 6] = [
    "good.com",
    "*.good.com",
    "**.good.com:8443",
    "[a-f]*d.com",
    "null",
    "app://good.com",
];
const PAGES: [&str; 3] = [
    "https://good.com/",
    "http://www.good.com:81/x",
    "https://b\u{fc}cher.example",
];
const MISSING: [&str; 3] = ["allow", "block", "infer"];

fn some_of(list: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(list, 0..=list.len())
}

fn one_of(list: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(list)
}

fn field(list: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.8, one_of(list))
}

fn rules() -> impl Strategy<Value = Rules> {
    let mode = || one_of(&["off", "block", "allow"]);
    let countries = proptest::sample::subsequence(&["DE", "FR", "US", "AU", "GB"][..], 1..=5);
    let pages = proptest::sample::subsequence(&PAGES[..], 1..=3);
    (
        (some_of(&NETWORKS), some_of(&CLIENTS), some_of(&AGENTS)),
        (mode(), countries, one_of(&["allow", "block"])),
        (some_of(&PATTERNS), one_of(&MISSING)),
        (some_of(&PATTERNS), one_of(&MISSING)),
        (mode(), pages, one_of(&MISSING)),
        any::<[bool; 6]>(),
    )
        .prop_map(
            |((block, exempt, agents), geo, upload, delivery, referrer, shadow)| Rules {
                block,
                exempt: exempt.into_iter().take(1).collect(),
                agents,
                geo,
                upload,
                delivery,
                referrer,
                shadow,
            },
        )
}

fn request() -> impl Strategy<Value = Request> {
    const AGENT: &[&str] = &["Mozilla/5.0", "badBOT/1", "CURL/8", ""];
    const REFERER: &[&str] = &[
        "https://good.com/",
        "https://GOOD.com./x",
        "http://good.com:8443/",
        "https://www.good.com/",
        "https://good.com@evil.com/",
        "https://xn--bcher-kva.example/",
        "https://a.b.good.com:8443/",
        "https://bad.com",
        "about:blank",
        "about:srcdoc",
        "/x",
        "",
    ];
    const ORIGIN: &[&str] = &[
        "https://good.com",
        "http://www.good.com",
        "https://a.b.good.com:8443",
        "HTTPS://BAD.com",
        "https://zd.com",
        "null",
        "app://good.com",
        "app://evil.com",
        "https://good.com/",
        "x",
        "",
    ];
    (
        one_of(&["GET", "HEAD", "POST", "OPTIONS", "DELETE"]),
        one_of(&["/a.jpg", "/public/a.jpg", "/publicx"]),
        one_of(&CLIENTS),
        (field(AGENT), field(REFERER), field(ORIGIN)),
        field(&["GET", "HEAD", "PUT", "get"]),
        field(&["same-origin", "same-site", "none", "cross-site"]),
        field(&["navigate", "no-cors"]),
        field(&["document", "image"]),
    )
        .prop_map(
            |(method, path, client, (agent, referer, origin), asked, site, mode, dest)| Request {
                method,
                path,
                client,
                agent,
                referer,
                origin,
                asked,
                fetch: [site, mode, dest],
            },
        )
}

fn toml(rules: &Rules) -> String {
    let [ip, agent, geo, upload, delivery, referrer] = rules.shadow;
    let origins = |name: &str, (patterns, missing): &(Vec<&str>, &str), shadow: bool| {
        format!(
            "[access.origins.{name}]\npatterns = {patterns:?}\nmissing = {missing:?}\nshadow = {shadow}\n"
        )
    };
    format!(
        "[access]\nexempt_paths = [\"/public/**\"]\n\
         [access.ip]\nblock = {:?}\nexempt = {:?}\nshadow = {ip}\n\
         [access.user_agent]\nblock = {:?}\nshadow = {agent}\n\
         [access.geo]\nmode = {:?}\ncountries = {:?}\nunknown = {:?}\ndatabase = {:?}\nshadow = {geo}\n\
         {}{}\
         [access.referrer]\nmode = {:?}\nurls = {:?}\nmissing = {:?}\nshadow = {referrer}\n",
        rules.block,
        rules.exempt,
        rules.agents,
        rules.geo.0,
        rules.geo.1,
        rules.geo.2,
        country_database(),
        origins("upload", &rules.upload, upload),
        origins("delivery", &rules.delivery, delivery),
        rules.referrer.0,
        rules.referrer.1,
        rules.referrer.2,
    )
}

/// What section 6 says: the first enforced denial, and who would deny.
fn oracle(rules: &Rules, request: &Request) -> (Option<&'static str>, Vec<&'static str>) {
    let client: IpAddr = request.client.parse().unwrap();
    let exempt_client = rules
        .exempt
        .iter()
        .any(|a| a.parse::<IpAddr>().unwrap() == client);
    let preflight = request.method == "OPTIONS" && matches!(request.asked, Some("GET" | "HEAD"));
    let fetch = matches!(request.method, "GET" | "HEAD") || preflight;
    if exempt_client || (fetch && request.path == "/public/a.jpg") {
        return (None, Vec::new());
    }
    let mut enforced = None;
    let mut would = Vec::new();
    let mut note = |rule: &'static str, denies: bool, shadow: bool| match (denies, shadow) {
        (true, true) => would.push(rule),
        (true, false) if enforced.is_none() => enforced = Some(rule),
        _ => {}
    };
    let listed = rules
        .block
        .iter()
        .any(|n| n.parse::<IpNet>().unwrap().contains(&client));
    note("ip.block", listed, rules.shadow[0]);
    let agent = request.agent.unwrap_or("").to_lowercase();
    let bad = rules
        .agents
        .iter()
        .any(|entry| agent.contains(&entry.to_lowercase()));
    note("user_agent.block", bad, rules.shadow[1]);
    let country = CountryDatabase::open(&country_database())
        .unwrap()
        .lookup(client);
    let in_list = country.map(|c| rules.geo.1.contains(&c.to_string().as_str()));
    let unknown = rules.geo.2 == "block";
    match rules.geo.0 {
        "block" => note("geo.block", in_list.unwrap_or(unknown), rules.shadow[2]),
        "allow" => note("geo.allow", !in_list.unwrap_or(!unknown), rules.shadow[2]),
        _ => {}
    }
    let upload = match request.method {
        "GET" | "HEAD" => false,
        "OPTIONS" => !matches!(request.asked, None | Some("GET" | "HEAD")),
        _ => true,
    };
    let (name, table, shadow) = match upload {
        true => ("origins.upload", &rules.upload, rules.shadow[3]),
        false => ("origins.delivery", &rules.delivery, rules.shadow[4]),
    };
    if !table.0.is_empty() {
        note(name, origins_deny(table, request, upload), shadow);
    }
    match rules.referrer.0 {
        "block" => note(
            "referrer.block",
            referrer_denies(rules, request, false),
            rules.shadow[5],
        ),
        "allow" => note(
            "referrer.allow",
            referrer_denies(rules, request, true),
            rules.shadow[5],
        ),
        _ => {}
    }
    (enforced, would)
}

fn missing_denies(missing: &str, request: &Request) -> bool {
    match missing {
        "allow" => false,
        "block" => true,
        _ => {
            let [site, mode, dest] = request.fetch;
            let elsewhere =
                site.is_some_and(|s| !["same-origin", "same-site", "none"].contains(&s));
            elsewhere && !(mode == Some("navigate") && dest == Some("document"))
        }
    }
}

fn present(field: Option<&'static str>) -> Option<&'static str> {
    field.filter(|value| !value.is_empty())
}

fn referer(request: &Request) -> Option<&'static str> {
    present(request.referer).filter(|value| *value != "about:blank")
}

fn url_host(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_lowercase();
    let port = url
        .port()
        .unwrap_or(if url.scheme() == "https" { 443 } else { 80 });
    Some((host, port)).filter(|(host, _)| !host.is_empty())
}

fn referrer_denies(rules: &Rules, request: &Request, allow: bool) -> bool {
    let hosts: Vec<String> = rules
        .referrer
        .1
        .iter()
        .map(|u| url_host(u).unwrap().0)
        .collect();
    let by_list = |url: &str| match url_host(url) {
        Some((host, _)) => hosts.contains(&host) != allow,
        None => allow,
    };
    if let Some(url) = referer(request) {
        return by_list(url);
    }
    match (rules.referrer.2, present(request.origin)) {
        ("infer", Some("null")) => allow,
        ("infer", Some(origin)) => by_list(origin),
        (missing, _) => missing_denies(missing, request),
    }
}

fn origins_deny((patterns, missing): &(Vec<&str>, &str), request: &Request, upload: bool) -> bool {
    let fits = |host: &str, port: u16| patterns.iter().any(|p| pattern_fits(p, host, port));
    let by_referer = || {
        let denied = |url| url_host(url).is_none_or(|(host, port)| !fits(&host, port));
        referer(request).map(denied)
    };
    match present(request.origin) {
        None if upload => missing_denies(missing, request),
        None => by_referer().unwrap_or_else(|| missing_denies(missing, request)),
        Some("null") if request.fetch[0] == Some("same-origin") => !fits("img.example.com", 443),
        Some("null") => {
            let referer = if upload { None } else { by_referer() };
            referer.unwrap_or(!patterns.contains(&"null"))
        }
        Some(app) if app.starts_with("app:") => !patterns.contains(&app),
        Some(origin) => {
            let whole = origin.to_lowercase();
            let rest = whole
                .strip_prefix("https://")
                .or(whole.strip_prefix("http://"));
            match rest {
                Some(rest) if !rest.contains('/') => {
                    url_host(origin).is_none_or(|(host, port)| !fits(&host, port))
                }
                _ => true,
            }
        }
    }
}

/// The patterns of [`PATTERNS`], each in words of its own.
fn pattern_fits(pattern: &str, host: &str, port: u16) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    match pattern {
        "good.com" => host == "good.com",
        "*.good.com" => labels.len() == 3 && host.ends_with(".good.com"),
        "**.good.com:8443" => labels.len() > 2 && host.ends_with(".good.com") && port == 8443,
        "[a-f]*d.com" => {
            labels.len() == 2
                && labels[1] == "com"
                && labels[0].len() > 1
                && labels[0].ends_with('d')
                && ('a'..='f').contains(&labels[0].chars().next().unwrap())
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn decide_is_what_the_specification_says(
        rules in rules(),
        requests in proptest::collection::vec(request(), 20),
    ) {
        let policy = policy(&toml(&rules));
        for request in requests {
            let mut ask = get(&format!("https://img.example.com{}", request.path))
                .method(request.method)
                .client(request.client);
            for (name, value) in [
                ("user-agent", request.agent),
                ("referer", request.referer),
                ("origin", request.origin),
                ("access-control-request-method", request.asked),
                ("sec-fetch-site", request.fetch[0]),
                ("sec-fetch-mode", request.fetch[1]),
                ("sec-fetch-dest", request.fetch[2]),
            ] {
                if let Some(value) = value {
                    ask = ask.field(name, value);
                }
            }
            let told = ask.decided(&policy);
            let would: Vec<&str> = told.rules.iter()
                .filter(|r| r.outcome == "would_deny")
                .map(|r| r.rule)
                .collect();
            prop_assert_eq!((told.rule, would), oracle(&rules, &request), "{:?}\n{:?}", rules, request);
        }
    }
}
