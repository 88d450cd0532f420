//! The other side of it: no real visitor is turned away because a request is
//! spelled in an unusual way.

use super::ways::{Attack, Question};
use crate::policy::country_database;

const URLS: &str = include_str!("../../../fixtures/requests/urls.txt");

const REFERRERS: &str = include_str!("../../../fixtures/requests/referrers.txt");

/// Other rules on other paths, so that each path could be ambiguous.
const POLICY: &str = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\n[cache]\nmemory = \"0\"\n\
    [access]\nexempt_paths = [\"/public/**\", \"/own/logo.png\"]\n[access.ip]\nblock = [\"203.0.113.9\"]\n\
    [access.user_agent]\nblock = [\"BadBot\", \"sqlmap\"]\n[access.geo]\nmode = \"block\"\ncountries = [\"CN\"]\ndatabase = \"@country@\"\n\
    [access.referrer]\nmode = \"block\"\nurls = [\"https://evil.example\"]\n\
    [[route]]\nname = \"premium\"\npaths = [\"/premium/**\", \"/own/*.pdf\"]\n[route.access.ip]\nblock = [\"0.0.0.0/0\"]\n";

/// What asset services and their customers write, and what the origin gets
/// where that is another spelling.
const WRITTEN: &[(&str, Option<&str>)] = &[
    ("/fetch/https%3A%2F%2Fexample.com%2Fa.jpg", None),
    (
        "/fetch/https%3a%2f%2fexample.com%2fa%3fw%3d1%26h%3d2",
        Some("/fetch/https%3A%2F%2Fexample.com%2Fa%3Fw%3D1%26h%3D2"),
    ),
    (
        "/fetch/https://example.com/a.jpg",
        Some("/fetch/https:/example.com/a.jpg"),
    ),
    (
        "/fetch/https%3A%2F%2Fexample.com%2Fa%2520b%2Fc%253Bd.jpg%3Fx%3D%2526%23top",
        None,
    ),
    ("/tr:w-300,h-300/a.jpg", None),
    (
        "/tr:w-300,h-300,l-text,i-Hello%20World,fs-40,l-end:rt-90/folder/a%20b.jpg?ik-s=1f&ik-t=99",
        None,
    ),
    ("/resize=width:400,height:300/compress/kXyZ9", None),
    (
        "/image/upload/c_fill,g_face,h_300/l_text:Arial_40:Hello%252C%2520World/v1/a.jpg",
        None,
    ),
    ("/image/upload/l_text:Arial_80:50%2525%20off/a.jpg", None),
    (
        "/image/fetch/w_400,f_auto/https://example.com/a%3Fx%3D1.jpg",
        Some("/image/fetch/w_400,f_auto/https:/example.com/a%3Fx%3D1.jpg"),
    ),
    (
        "/unsafe/300x200/smart/filters:blur(7):quality(80)/example.com%2Fa.jpg",
        None,
    ),
    (
        "/sig/rs:fill:300:400:0/g:sm/plain/s3%3A%2F%2Fbucket%2Fa%20b.jpg@webp",
        None,
    ),
    (
        "/sig/resize:fill:300:400:0/aHR0cDovL2V4YW1wbGUuY29tL2EuanBn.png",
        None,
    ),
    ("/aGVsbG8+d29ybGQ=/x==", None),
    ("/data:image%2Fpng;base64,iVBORw0KGgo%2FK%2B%3D%3D", None),
    ("/a@2x.png", None),
    ("/%40scope%2fpackage/a.js", Some("/%40scope%2Fpackage/a.js")),
    ("/a+b.jpg", None),
    ("/a%2Bb.jpg", None),
    ("/c%23/notes.txt", None),
    ("/what%3F.txt", None),
    ("/100%25.txt", None),
    ("/50%25%20off!/a.jpg", None),
    ("/AC%2FDC/back.jpg", None),
    ("/a%252Fb.jpg", None),
    ("/C:%5CUsers%5Ca.jpg", None),
    ("/a.css;jsessionid=0A1B", None),
    ("/map;lat=1;lon=2/tile.png", None),
    ("/a.jpg;w=1,h=2?x=1;y=2", None),
    ("/%7Euser/a", Some("/~user/a")),
    ("/a'b(c)*!$&.jpg", None),
    ("/$metadata", None),
    ("/urn:isbn:0451450523", None),
    ("/a..b.jpg", None),
    ("/...and-more/x", None),
    ("/v1.2.3/x.tar.gz", None),
    ("/St.%20John.", None),
    ("/etc./a", None),
    ("/.well-known/acme-challenge/x_y-z", None),
    ("/a/../b/./c.jpg", Some("/b/c.jpg")),
    ("//cdn//a.jpg", Some("/cdn/a.jpg")),
    ("/%D0%BA%D0%BE%D1%82%20%E2%84%961.jpg", None),
    (
        "/\u{43a}\u{43e}\u{442}.jpg",
        Some("/%D0%BA%D0%BE%D1%82.jpg"),
    ),
    (
        "/\u{732b}/\u{1f431}.jpg",
        Some("/%E7%8C%AB/%F0%9F%90%B1.jpg"),
    ),
    (
        "/\u{ff21}\u{ff22}\u{ff23}.jpg",
        Some("/%EF%BC%A1%EF%BC%A2%EF%BC%A3.jpg"),
    ),
    ("/u%CC%88ber.jpg", None),
    ("/caf%E9/%C0%C9.jpg", None),
    ("/%81%5C.jpg", None),
    ("/{3F2504E0-4F89}.png", Some("/%7B3F2504E0-4F89%7D.png")),
    ("/a|b^c.png", Some("/a%7Cb%5Ec.png")),
    ("/[1].png", Some("/%5B1%5D.png")),
    (
        "/a.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0f",
        None,
    ),
    ("/a.jpg?Expires=1&Signature=a~b__-c&Key-Pair-Id=K", None),
    (
        "/a.jpg?sv=2022&sig=a%2Bb%2Fc%3D&se=2026-01-01T00%3A00%3A00Z",
        None,
    ),
    ("/a.jpg?url=https://x/y?z=/../premium/a&x[]=1&y={2}|3", None),
    ("/a.jpg?", Some("/a.jpg")),
    ("/a.jpg?=&&=", None),
    ("/Premium/a.jpg", None),
    ("/premiums/a.jpg", None),
    ("/x/premium/a.jpg", None),
    ("/premium-2.jpg", None),
    ("/own/a.pdf.jpg", None),
    ("/publi", None),
];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)",
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 11; M2101K6G)",
    "curl/8.5.0",
    "Wget/1.21.4",
    "-",
    "",
    "\"Mozilla/5.0\"",
    "M\u{fc}ller's \u{41f}\u{43b}\u{435}\u{435}\u{440}/1.0",
    "Bad Bot",
    "adbot/1",
];

/// Every URL as it is, and what the origin is asked for.
#[test]
fn unusual_urls_are_served() {
    let policy = POLICY.replace("@country@", &country_database().display().to_string());
    let mut attack = Attack::start(&policy);
    let real = URLS.lines().map(|url| (url, None));
    let mut sent = Vec::new();
    for (number, (url, expected)) in WRITTEN.iter().copied().chain(real).enumerate() {
        let question = Question::get(url)
            .field("X-Forwarded-For", "192.0.2.1")
            .field("User-Agent", AGENTS[number % AGENTS.len()])
            .field("Referer", REFERRERS.lines().nth(number % 100).unwrap());
        assert_eq!(attack.ask(&question), [200; 3], "{url}");
        sent.push((url, expected));
    }
    assert!(sent.len() > 160, "{}", sent.len());
    for (mark, asked) in attack.received() {
        let (url, expected) = sent[mark / 3];
        let written = WRITTEN.iter().any(|(own, _)| *own == url);
        let expected = expected.or(written.then_some(url));
        // Of real URLs only what is not another spelling is compared.
        assert!(
            expected.is_none_or(|expected| asked.target() == expected),
            "{url}: {}",
            asked.line()
        );
        let query = |target: &str| target.split_once('?').map(|(_, query)| query.to_owned());
        let written = query(url).filter(|query| !query.is_empty());
        assert_eq!(query(asked.target()), written, "{url}");
    }
}

/// What a browser sends for a listed page stays so however its host is
/// written.
#[test]
fn listed_pages_are_served() {
    let host = |page: &str| page.split('/').nth(2).unwrap().to_lowercase();
    let mut hosts: Vec<String> = REFERRERS.lines().map(host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let urls: Vec<String> = hosts
        .iter()
        .map(|host| format!("\"http://{host}\""))
        .collect();
    let policy = format!(
        "[cache]\nmemory = \"0\"\n[limits]\nreferrers = 1000\n[access.referrer]\nmode = \"allow\"\nmissing = \"block\"\nurls = [{}]\n",
        urls.join(", ")
    );
    let mut attack = Attack::start(&policy);
    for (number, page) in REFERRERS.lines().enumerate() {
        let own = page.split('/').nth(2).unwrap();
        let name = own.split(':').next().unwrap();
        let respelled = match number % 6 {
            0 => page.replacen(own, &own.to_uppercase(), 1),
            1 => page.replacen(name, &format!("{name}."), 1),
            2 => page.replacen("http://", "HTTPS://", 1),
            3 => page.replacen(own, &format!("user:pass@{own}"), 1),
            4 => page.replacen(name, &name.replacen('e', "%65", 1), 1),
            _ => format!(" \t{page}#top  "),
        };
        for page in [page, &respelled] {
            let question = Question::get("/a.jpg").field("Referer", page);
            assert_eq!(attack.ask(&question), [200; 3], "{page}");
        }
    }
}
