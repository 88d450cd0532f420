//! Referers: the host that the rule goes by is the one that a browser's parser
//! finds, and what that does not understand is never taken for missing.

use std::sync::LazyLock;

use hyper::header::{HeaderValue, REFERER};
use hyper::{HeaderMap, Method};
use portcullis::access::referrer::ReferrerRule;
use portcullis::access::{Missing, RequestHead};
use portcullis::message::Scheme;
use portcullis::message::authority::Authority;
use portcullis::message::fields::Fields;
use portcullis::route::NormalPath;
use url::Url;

/// What is listed.
const HOSTS: [&str; 4] = ["good.com", "xn--mnchen-3ya.de", "127.0.0.1", "[::1]"];

static ALLOW: LazyLock<ReferrerRule> = LazyLock::new(|| rule(true));
static BLOCK: LazyLock<ReferrerRule> = LazyLock::new(|| rule(false));

fn rule(allow: bool) -> ReferrerRule {
    let hosts = HOSTS.map(str::to_owned).to_vec();
    ReferrerRule::new(allow, hosts, Missing::Allow, false)
}

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let mut fields = HeaderMap::new();
    fields.insert(REFERER, value);
    let listed = host(data).map(|host| HOSTS.contains(&host.as_str()));
    let value = data.trim_ascii();
    let is_missing = value.is_empty() || value == b"about:blank";
    // Not understood: no under an allowlist, and no under a blocklist either.
    let passes_allow = is_missing || listed == Some(true);
    let passes_block = listed != Some(true);
    let fields = Fields::from(fields);
    assert_eq!(
        passes(&ALLOW, &fields),
        passes_allow,
        "allow: {}",
        data.escape_ascii()
    );
    assert_eq!(
        passes(&BLOCK, &fields),
        passes_block,
        "block: {}",
        data.escape_ascii()
    );
}

fn passes(rule: &ReferrerRule, fields: &Fields) -> bool {
    let authority = Authority::parse(b"img.example.com", Scheme::Https).expect("a host");
    let path = NormalPath::new("/a.jpg", true).expect("a path");
    let head = RequestHead {
        method: &Method::GET,
        headers: fields,
        scheme: Scheme::Https,
        authority: &authority,
        path: &path,
    };
    !rule.judge(&head).denies()
}

/// Any scheme counts, as long as there is a host.
fn host(referer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(referer).ok()?;
    if text.len() > 8 << 10 {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.to_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    (1..=253).contains(&host.len()).then(|| host.to_owned())
}
