//! Paths: a route with other rules, and paths that are exempt.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases, readers};
use crate::support::{Origin, tried};

/// The client that is denied, as a trusted proxy names it.
const DENIED: &str = "203.0.113.9";

const CLIENT: &str = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[cache]\nmemory = \"0\"\n";

const ROUTES: &str = "[[route]]\nname = \"premium\"\npaths = [\"/premium/**\", \"/own/secret.jpg\", \"/own/*.pdf\"]\n\
    [route.access.ip]\nblock = [\"203.0.113.9\"]\n";

const EXEMPT: &str = "[access]\nexempt_paths = [\"/public/**\", \"/own/logo.png\"]\n\
    [access.ip]\nblock = [\"203.0.113.9\"]\n";

/// How many targets are made for each policy.
const TARGETS: usize = 500;

const SEPARATORS: &[&str] = &[
    "/",
    "/",
    "/",
    "/",
    "/",
    "/",
    "//",
    "/./",
    "\\",
    "%2f",
    "%2F",
    "%5c",
    "%252f",
    "%252F",
    "%255c",
    "%c0%af",
    "%e0%80%af",
    "%f0%80%80%af",
    "%c1%9c",
    "%ef%bc%8f",
    "%25c0%25af",
    "%25u002f",
    "%u002f",
    "%25252f",
    "%2f%2f",
    "/;/",
    "/;x=1/",
    "%3b/",
    ";%2f",
    "%00/",
    "/%20/",
    "/%09/",
];

const PARENTS: &[&str] = &[
    "..",
    "..",
    "..",
    "..",
    "%2e%2e",
    "%2e.",
    ".%2E",
    "%252e%252e",
    ".%252e",
    "..;",
    "..;x",
    "..%3b",
    "%c0%ae%c0%ae",
    "%e0%80%ae.",
    "%ef%bc%8e%ef%bc%8e",
    "%25u002e.",
    "..%20",
    "...",
    "..%00",
    "..%3b..",
];

const ENDS: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    "",
    "?x",
    "?/../x",
    "#x",
    "/",
    "//",
    "%2f",
    ";",
    ";v=1",
    ";jsessionid=1?x",
    ".",
    "%2e",
    "..",
    "%20",
    ".%20",
    "%20.",
    "%3f",
    "%3fx=1",
    "%253fx",
    "%23",
    "%2523x",
    "%2500",
    "%2500.png",
    "%00",
    "::$DATA",
    "::$INDEX_ALLOCATION",
    "::%24DATA",
    "%3a%3a%24DATA",
    ":$i30:$INDEX_ALLOCATION",
    "/.",
    "/x/..",
    "/x%2f..",
    "%3b.png",
    "%3b/x",
    "%5c",
    "/%252e",
    "%0a",
    "%0d%0a",
    "%09",
];

const FRONTS: &[&str] = &[
    "http://img.example.com",
    "HTTPS://IMG.example.com.:443",
    "//img.example.com",
    "http:",
    "http:///",
    "",
    "x",
    "*",
];

/// Origins differ in what they do with empty segments, and so may we.
const SERVERS: [&str; 2] = ["", "merge_slashes = false\n"];

/// A segment, letters of it now and then in other ways.
fn segment(random: &mut Random, plain: &str) -> String {
    if random.chance(55) {
        return plain.to_owned();
    }
    let way = random.below(7);
    let often = random.one(&[20, 100]);
    let one = |random: &mut Random, byte: u8| match way {
        _ if !random.chance(often) => char::from(byte).to_string(),
        0 => format!("%{byte:02x}"),
        1 => format!("%25{byte:02X}"),
        2 => format!("%{:02x}%{:02x}", 0xc0 | byte >> 6, 0x80 | byte & 0x3f),
        3 => format!("%e0%{:02x}%{:02x}", 0x80 | byte >> 6, 0x80 | byte & 0x3f),
        4 => {
            let wide = char::from_u32(u32::from(byte) + 0xfee0).unwrap();
            wide.to_string()
                .bytes()
                .map(|byte| format!("%{byte:02x}"))
                .collect()
        }
        5 => format!("%25u00{byte:02x}"),
        _ => format!("%2525{byte:02x}"),
    };
    plain.bytes().map(|byte| one(random, byte)).collect()
}

/// A target that leads, for some reader, to one of `goals`, or nearly.
fn target(random: &mut Random, goals: &[&str], decoys: &[&str]) -> String {
    let mut made = String::new();
    for _ in 0..random.below(3) {
        made.push_str(random.one(SEPARATORS));
        let decoy = random.one(decoys);
        made.push_str(&segment(random, decoy));
        if random.chance(85) {
            made.push_str(random.one(SEPARATORS));
            made.push_str(random.one(PARENTS));
        }
    }
    for part in random.one(goals).split('/').skip(1) {
        made.push_str(random.one(SEPARATORS));
        made.push_str(&segment(random, part));
        if random.chance(15) {
            made.push_str(random.one(&[
                ";v=1",
                ";",
                "%3b",
                ".",
                "%20",
                "::$INDEX_ALLOCATION",
                "%3a$i30:x",
            ]));
        }
    }
    if random.chance(25) {
        // To what follows it looks like something else.
        for _ in 0..=random.below(3) {
            made.push_str(random.one(SEPARATORS));
            made.push_str(random.one(PARENTS));
        }
        made.push_str(random.one(SEPARATORS));
        made.push_str(random.one(decoys));
    }
    made.push_str(random.one(ENDS));
    match random.below(100) {
        // The absolute form, and what is none.
        0..6 => random.one(FRONTS).to_owned() + &made,
        _ if made.starts_with('/') => made,
        _ => format!("/{made}"),
    }
}

/// Asks for so many targets as the denied client, and says which came out at
/// the origin although one of its readers takes them for what is denied.
fn slipped(
    server: &str,
    tables: &str,
    make: impl Fn(&mut Random) -> String,
    denied: fn(&[u8]) -> bool,
) -> Vec<String> {
    let mut attack = Attack::by(Origin::ok(), server, &format!("{CLIENT}{tables}"));
    let mut random = Random(0x5eed_0b5e_55ed_0001);
    let mut targets = Vec::new();
    while targets.len() < cases(TARGETS) {
        let target = make(&mut random);
        // Nearly all of them are what some reader takes for what is denied.
        if !readers::read(target.as_bytes()).any(|(_, path)| denied(&path)) && !random.chance(3) {
            continue;
        }
        let question = Question::get(&target).field("X-Forwarded-For", DENIED);
        for status in attack.ask(&question) {
            assert!(matches!(status, 0 | 200 | 400 | 403), "{status}: {target}");
        }
        targets.push(target);
    }
    tried(KIND, attack.tried);
    let mut slipped = Vec::new();
    for (mark, asked) in attack.received() {
        for (reader, path) in readers::read(asked.target().as_bytes()) {
            if denied(&path) {
                let (sent, path) = (&targets[mark / 3], path.escape_ascii());
                slipped.push(format!(
                    "{sent} went as {}: {path} to {reader}",
                    asked.target()
                ));
            }
        }
    }
    slipped.sort();
    slipped
}

fn is_premium(path: &[u8]) -> bool {
    path == b"/premium"
        || path.starts_with(b"/premium/")
        || path == b"/own/secret.jpg"
        || path
            .strip_prefix(b"/own/")
            .is_some_and(|name| name.ends_with(b".pdf") && !name.contains(&b'/'))
}

fn is_not_public(path: &[u8]) -> bool {
    path != b"/public" && !path.starts_with(b"/public/") && path != b"/own/logo.png"
}

#[test]
fn no_spelling_leads_to_a_route_without_its_rules() {
    let goals = [
        "/premium/a.jpg",
        "/premium",
        "/own/secret.jpg",
        "/own/a.pdf",
    ];
    let decoys = ["x", "public", "own", "b.png", "premium"];
    for server in SERVERS {
        let make = |random: &mut Random| target(random, &goals, &decoys);
        let slipped = slipped(server, ROUTES, make, is_premium);
        assert!(slipped.is_empty(), "{}: {slipped:#?}", slipped.len());
    }
}

#[test]
fn no_spelling_makes_a_path_exempt() {
    let goals = [
        "/a.jpg",
        "/own/logo",
        "/own/secret",
        "/public/../a",
        "/publi",
    ];
    let fronts = ["/public", "/public/x/..", "/own/logo.png", ""];
    let make = |random: &mut Random| {
        let rest = target(random, &goals, &["public", "own", "logo.png", "x"]);
        random.one(&fronts).to_owned() + &rest
    };
    for server in SERVERS {
        let slipped = slipped(server, EXEMPT, make, is_not_public);
        assert!(slipped.is_empty(), "{}: {slipped:#?}", slipped.len());
    }
}
