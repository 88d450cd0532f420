//! The curl lines of the demo, each with the answer that it gets.

use std::fmt;
use std::net::SocketAddr;

use crate::access::RuleId;

/// A request that shows one thing.
#[derive(Debug)]
pub(super) struct Sample {
    /// What it shows.
    says: &'static str,
    /// The field lines that curl is to send.
    pub(super) fields: &'static [(&'static str, &'static str)],
    /// What is posted; `None`: a GET.
    pub(super) posts: Option<&'static str>,
    pub(super) path: &'static str,
    pub(super) answer: Answer,
}

/// What comes back.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200, of this type.
    Passed(&'static str),
    /// 403, by this rule.
    Denied(RuleId),
}

impl Sample {
    const fn get(
        says: &'static str,
        fields: &'static [(&'static str, &'static str)],
        path: &'static str,
        answer: Answer,
    ) -> Self {
        Self {
            says,
            fields,
            posts: None,
            path,
            answer,
        }
    }

    const fn post(
        says: &'static str,
        fields: &'static [(&'static str, &'static str)],
        path: &'static str,
        answer: Answer,
    ) -> Self {
        Self {
            posts: Some("a small file"),
            ..Self::get(says, fields, path, answer)
        }
    }

    /// The comment and the curl line, for the proxy at `proxy`.
    pub(super) fn lines(&self, proxy: SocketAddr) -> String {
        let shown = match self.answer {
            Answer::Passed(_) => "%{content_type}",
            Answer::Denied(_) => "%header{portcullis-denied-by}",
        };
        let mut line = format!(
            "# {}\ncurl -s -o /dev/null -w '%{{http_code}} {shown}\\n'",
            self.says
        );
        for (name, value) in self.fields {
            line.push_str(&format!(" -H '{name}: {value}'"));
        }
        if let Some(body) = self.posts {
            line.push_str(&format!(" -d '{body}'"));
        }
        format!("{line} 'http://{proxy}{}'  # {}", self.path, self.answer)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(kind) => write!(f, "200 {kind}"),
            Self::Denied(rule) => write!(f, "403 {rule}"),
        }
    }
}

const JPEG: Answer = Answer::Passed("image/jpeg");
const WEBP: Answer = Answer::Passed("image/webp");
const TEXT: Answer = Answer::Passed("text/plain; charset=utf-8");

/// All of them, in the order in which they are shown.
pub(super) const SAMPLES: &[Sample] = &[
    Sample::get("a visitor sees the picture", &[], "/photos/gate.jpg", JPEG),
    Sample::get(
        "a browser that names WebP gets the same picture as WebP, in less than half the bytes",
        &[("Accept", "image/avif,image/webp,*/*;q=0.8")],
        "/photos/gate.jpg",
        WEBP,
    ),
    Sample::get(
        "an Android app can show WebP and does not say so: [[images.clients]] says it",
        &[("User-Agent", "okhttp/4.12.0"), ("Accept", "*/*")],
        "/photos/gate.jpg",
        WEBP,
    ),
    Sample::get(
        "a blocked address; every line may pose as any client, as the demo trusts its peer",
        &[("X-Forwarded-For", "198.51.100.7")],
        "/photos/gate.jpg",
        Answer::Denied(RuleId::IpBlock),
    ),
    Sample::get(
        "no other spelling of an address gets in: the same one, mapped to IPv6",
        &[("X-Forwarded-For", "::ffff:198.51.100.7")],
        "/photos/gate.jpg",
        Answer::Denied(RuleId::IpBlock),
    ),
    Sample::get(
        "a blocked program",
        &[("User-Agent", "python-requests/2.32.3")],
        "/photos/gate.jpg",
        Answer::Denied(RuleId::UserAgentBlock),
    ),
    Sample::get(
        "a client in Japan, which is blocked",
        &[("X-Forwarded-For", "198.51.100.193")],
        "/photos/gate.jpg",
        Answer::Denied(RuleId::GeoBlock),
    ),
    Sample::get(
        "but what is exempt is for everyone",
        &[("X-Forwarded-For", "198.51.100.193")],
        "/public/gate.jpg",
        JPEG,
    ),
    Sample::get(
        "a site that is known to hotlink",
        &[("Referer", "https://leech.example/wallpapers")],
        "/photos/gate.jpg",
        Answer::Denied(RuleId::ReferrerBlock),
    ),
    Sample::get(
        "licensed for Germany and France: a client in Germany",
        &[("X-Forwarded-For", "192.0.2.1")],
        "/licensed/gate.jpg",
        JPEG,
    ),
    Sample::get(
        "and one in Réunion, which is not France to a country code",
        &[("X-Forwarded-For", "203.0.113.129")],
        "/licensed/gate.jpg",
        Answer::Denied(RuleId::GeoAllow),
    ),
    Sample::get(
        "another spelling of a path is the same path",
        &[("X-Forwarded-For", "203.0.113.129")],
        "/photos/%2e%2e//%6Cicensed/gate.jpg",
        Answer::Denied(RuleId::GeoAllow),
    ),
    Sample::get(
        "the gallery is for our own pages: one of them",
        &[("Referer", "https://www.example.com/tour")],
        "/gallery/gate.jpg",
        JPEG,
    ),
    Sample::get(
        "a page of someone else",
        &[("Referer", "https://example.com.blog.example/")],
        "/gallery/gate.jpg",
        Answer::Denied(RuleId::ReferrerAllow),
    ),
    Sample::get(
        "one that has its Referer left out, which the browser gives away",
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
            ("Sec-Fetch-Dest", "image"),
        ],
        "/gallery/gate.jpg",
        Answer::Denied(RuleId::ReferrerAllow),
    ),
    Sample::get(
        "an app, which sends none of all this",
        &[("User-Agent", "GalleryApp/2.1")],
        "/gallery/gate.jpg",
        JPEG,
    ),
    Sample::post(
        "an upload from a page that may",
        &[("Origin", "https://shop.example.com")],
        "/widget/upload",
        TEXT,
    ),
    Sample::post(
        "from one that may not",
        &[("Origin", "https://thief.example")],
        "/widget/upload",
        Answer::Denied(RuleId::OriginsUpload),
    ),
    Sample::get("a download by hand", &[], "/widget/report.txt", TEXT),
    Sample::get(
        "and by a script on a foreign page",
        &[("Origin", "https://thief.example")],
        "/widget/report.txt",
        Answer::Denied(RuleId::OriginsDelivery),
    ),
];
