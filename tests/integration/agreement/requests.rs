//! The requests: most are odd in one place at most, and every list has what
//! slips past somebody's rules.

use serde_json::{Value, json};

use crate::support::Random;

/// One request.
pub(super) struct Case {
    pub(super) method: String,
    pub(super) target: String,
    /// Scheme and host of a target in absolute form.
    pub(super) absolute: Option<(String, String)>,
    pub(super) fields: Vec<(String, String)>,
}

/// How many of each list are nothing out of the ordinary.
const PLAIN_PATHS: usize = 11;
const PLAIN_QUERIES: usize = 8;
const PLAIN_HOSTS: usize = 9;

const PATHS: &[&str] = &[
    "/a.jpg",
    "/b.PNG",
    "/gallery/c.webp",
    "/d.css",
    "/",
    "/premium/x.png",
    "/premium",
    "/premium/y.jpg",
    "/public/a.jpg",
    "/a,b%2Cc.jpg",
    "/~user/%7Euser",
    "/%70remium/x.jp%67",
    "/premium%2fx",
    "/x/..%2fpremium/a",
    "/x/../premium/a.avif",
    "//a//b.jpg",
    "/a/./b/../c.gif",
    "/a%",
    "/a%0g",
    "/a%00",
    "/a%7f",
    "/..",
    "/a/../..",
    "/public",
    "/public/%2e%2e/secret.jpg",
    "/public/..;/x",
    "/public/%252e%252e/x",
    "/publicx/a.jpg",
    "/a\\b.jpg",
    "/m\u{fc}.jpg",
    "/a{b}|c^.jpg",
    "/<x>",
    "/a`b",
    "/a;v=1/c.jpg",
    "/premium;v=1/c.jpg",
    "/%25",
    "/%252e%252e/premium/x",
    "/a%E4.jpg",
    "/a.jpg#frag",
    "/a%20b.jpg",
    "/a\"b.jpg",
    "/%5c..%5cpremium/x",
];

const QUERIES: &[&str] = &[
    "",
    "",
    "",
    "?",
    "?w=1",
    "?b=2&a=1&utm_x=3",
    "?utm_a=1",
    "?%61=1&b",
    "?a=%zz&&b",
    "?x=\"y\"",
    "?x=<",
    "?q=m\u{fc}",
    "?x#y",
];

const HOSTS: &[&str] = &[
    "img.example.com",
    "img.example.com",
    "img.example.com",
    "IMG.Example.COM.",
    "img.example.com:80",
    "img.example.com:8080",
    "a.cdn.example.com",
    "open.example.org",
    "[::1]",
    "b.c.cdn.example.com",
    "open.example.org:81",
    "evil.example",
    "cdn.example.com",
    "",
    "user@img.example.com",
    "img..example.com",
    "img.example.com:x",
    "img.example.com:99999",
    "a b.example.com",
];

const FORWARDED: &[&str] = &[
    "203.0.113.9",
    "203.0.113.200",
    "198.51.100.1",
    "198.51.100.130",
    "192.0.2.1",
    "192.0.2.200",
    "2001:db8:bad::1",
    "2001:db8::7",
    "::ffff:203.0.113.9",
    "64:ff9b::203.0.113.9",
    "198.51.100.77",
    "1.1.1.1",
    "6.6.6.6, 203.0.113.9, 10.0.0.2",
    "203.0.113.9:4711",
    "[2001:db8::9]:1",
    "unknown",
    "203.0.113.9, nonsense",
    "203.0.113.009",
    "",
    "127.0.0.1",
    "10.0.0.3, 10.0.0.2",
];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) Chrome/145.0",
    "Mozilla/5.0 Chrome/145.0",
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 11)",
    "x BADBOT/2",
    "Scrapy/2.11",
    "curl/8.5",
    "",
    "b\u{e4}dbot",
    // The log has a byte outside UTF-8 just so.
    "b\\xE4dbot",
];

const REFERERS: &[&str] = &[
    "https://www.example.com/",
    "https://www.example.com/page?x=1",
    "http://WWW.example.com:81/",
    "https://show.example.org:8443/x",
    "https://xn--bcher-kva.example/",
    "https://b\u{fc}cher.example/",
    "https://evil.example/",
    "https://evil.example/",
    "https://evil.example/a",
    "https://www.example.com@evil.example/",
    "https://evil.example\\@www.example.com/",
    "https://www.example.com.evil.example/",
    "about:blank",
    "about:srcdoc",
    "/relative",
    "",
    "https://w%77w.example.com/",
];

const ORIGINS: &[&str] = &[
    "https://www.example.com",
    "http://example.com",
    "https://a.b.example.com",
    "https://app-1.example.net",
    "https://show.example.org:8443",
    "https://show.example.org",
    "null",
    "capacitor://localhost",
    "http://localhost:3000",
    "https://evil.example",
    "https://www.example.com/",
    "HTTPS://WWW.EXAMPLE.COM",
    "https://example.com, https://evil.example",
    "",
    "https://evil.example:443@www.example.com",
];

const ACCEPTS: &[&str] = &[
    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "image/webp,*/*",
    "*/*",
    "image/webp;q=0,*/*",
    "image/avif;q=0.5, image/webp",
    "image/webp;q=x",
    "IMAGE/WEBP;q=0.1",
    "",
];

pub(super) fn case(random: &mut Random) -> Case {
    // Most requests are odd in one place at most, or none would get far.
    let (odd_method, odd_path, odd_host) = (random.chance(6), random.chance(35), random.chance(15));
    let method = match odd_method {
        true => random.one(&["DELETE", "TRACE", "PURGE", "get"]),
        false => random.one(&["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS"]),
    };
    let path = random.one(if odd_path {
        PATHS
    } else {
        &PATHS[..PLAIN_PATHS]
    });
    let target = format!(
        "{path}{}",
        random.one(if odd_path {
            QUERIES
        } else {
            &QUERIES[..PLAIN_QUERIES]
        })
    );
    let mut fields = Vec::new();
    let host = random.one(if odd_host {
        HOSTS
    } else {
        &HOSTS[..PLAIN_HOSTS]
    });
    let absolute = random.chance(8);
    if !random.chance(2) {
        fields.push((
            "Host",
            if absolute && random.chance(30) {
                "other.example"
            } else {
                host
            },
        ));
    }
    if random.chance(2) {
        fields.push(("host", host));
    }
    for (name, list, percent) in [
        ("X-Forwarded-For", FORWARDED, 80),
        (
            "X-Forwarded-Proto",
            &["https", "http", "ftp", "http, https"][..],
            20,
        ),
        ("User-Agent", AGENTS, 85),
        ("Referer", REFERERS, 60),
        ("Origin", ORIGINS, 35),
        ("Accept", ACCEPTS, 70),
        (
            "Sec-Fetch-Site",
            &["same-origin", "same-site", "none", "cross-site", "x"],
            40,
        ),
        ("Sec-Fetch-Mode", &["navigate", "no-cors"], 40),
        ("Sec-Fetch-Dest", &["document", "image"], 40),
        ("Access-Control-Request-Method", &["GET", "PUT", "get"], 20),
        (
            "Connection",
            &[
                "keep-alive",
                "Referer",
                "x-forwarded-for, origin",
                "host, cookie",
            ],
            15,
        ),
        ("X-Forwarded-Host", &["evil.example"], 10),
        ("X-Real-IP", &["192.0.2.200"], 10),
        ("x_forwarded_for", &["198.51.100.77"], 5),
        ("X-Cache-Key", &["poison"], 5),
        ("Cookie", &["a=b"], 10),
    ] {
        if random.chance(percent) {
            fields.push((name, random.one(list)));
            if random.chance(6) {
                fields.push((name, random.one(list)));
            }
        }
    }
    Case {
        method: method.into(),
        target,
        // The scheme of an absolute target means nothing; the connection's does.
        absolute: absolute.then(|| (random.one(&["http", "https"]).into(), host.into())),
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

impl Case {
    /// As it goes over the wire by HTTP/1.
    pub(super) fn wire(&self) -> Vec<u8> {
        let Self { method, target, .. } = self;
        let place = match &self.absolute {
            Some((scheme, host)) => format!("{scheme}://{host}{target}"),
            None => target.clone(),
        };
        let mut wire = format!("{method} {place} HTTP/1.1\r\n");
        for (name, value) in &self.fields {
            wire.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.body() {
            "" => wire.push_str("\r\n"),
            body => wire.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len())),
        }
        wire.into_bytes()
    }

    /// What is sent with it.
    pub(super) fn body(&self) -> &'static str {
        match &*self.method {
            "POST" | "PUT" => "abc",
            _ => "",
        }
    }

    /// As it is asked about; one by TLS with its scheme.
    pub(super) fn question(&self, by_tls: bool) -> Value {
        let Self { method, target, .. } = self;
        let is_authority = |host: &&str| host.parse::<hyper::http::uri::Authority>().is_ok();
        let host = self.only_host().filter(|_| by_tls).filter(is_authority);
        let scheme = if by_tls { "https" } else { "http" };
        let url = match (&self.absolute, host) {
            (Some((_, host)), _) => format!("{scheme}://{host}{target}"),
            (None, Some(host)) => format!("{scheme}://{host}{target}"),
            (None, None) => target.clone(),
        };
        let moved = self.absolute.is_none() && host.is_some();
        let mut headers = serde_json::Map::new();
        for (name, value) in &self.fields {
            if moved && name.eq_ignore_ascii_case("host") {
                continue;
            }
            let lines = headers.entry(name.to_lowercase()).or_insert(json!([]));
            lines.as_array_mut().unwrap().push(json!(value));
        }
        json!({ "method": method, "url": url, "peer": "127.0.0.1", "headers": headers })
    }

    /// The host, where one field names it.
    pub(super) fn only_host(&self) -> Option<&str> {
        let mut hosts = self
            .fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => Some(host),
            _ => None,
        }
    }

    /// Without what HTTP/2 does not have.
    pub(super) fn without_connection(mut self) -> Self {
        self.fields.retain(|(name, _)| name != "Connection");
        self
    }
}
