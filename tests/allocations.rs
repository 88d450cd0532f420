//! What a request may allocate. Deciding costs nothing where Referer and `Origin` are plain ASCII
//! http(s) URLs of names or IPv4 addresses (IPv6 hosts, A-labels and userinfo
//! go through a URL parser) (a counting allocator is the one place for `unsafe`).
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use portcullis::access::Decision;
use portcullis::cache::asked::{Asked, Covered};
use portcullis::cache::clock::Moment;
use portcullis::cache::encoding::Encodings;
use portcullis::cache::entry::{Head, Variants};
use portcullis::cache::policy::Policy;
use portcullis::cache::reply::{Content, complete, reply};
use portcullis::cache::status::CacheStatus;
use portcullis::cache::vary::Form;
use portcullis::client::PeerAddr;
use portcullis::config::{Snapshot, load};
use portcullis::images::Variant;
use portcullis::message::Scheme;
use portcullis::plan::{Arrival, Plan, Received};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting
// touches a thread-local without a destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Every rule that can stand beside the others, in shadow where a denial
/// would end the evaluation.
const POLICY: &str = r#"
[client]
trusted_proxies = ["10.0.0.0/8"]
[origin]
url = "http://127.0.0.1:9"
[access]
exempt_paths = ["/public/**"]
[access.ip]
block = ["203.0.113.0/24", "2001:db8:bad::/48"]
exempt = ["192.0.2.77"]
shadow = true
[access.user_agent]
block = ["BadBot", "Scrapy"]
shadow = true
[access.geo]
mode = "block"
countries = ["RU", "CN"]
database = "country.mmdb"
shadow = true
[access.origins.upload]
patterns = ["**.example.com", "*-app.example.org:8443"]
missing = "infer"
shadow = true
[access.origins.delivery]
patterns = ["[a-m]*.example.com", "www.example.{com,org}"]
missing = "infer"
shadow = true
[access.referrer]
mode = "allow"
urls = ["https://www.example.com", "https://blog.example.org"]
missing = "infer"
[[route]]
name = "open"
hosts = ["*.open.example"]
[route.access.referrer]
"#;

fn policy() -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let database = format!("{root}/tests/fixtures/country/country.mmdb");
    std::fs::copy(database, folder.path().join("country.mmdb")).unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, POLICY).unwrap();
    match load(&path) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => panic!("{errors}"),
    }
}

fn requests() -> Vec<(Received, Arrival)> {
    let mut requests = Vec::new();
    let agents = ["Mozilla/5.0 (X11; Linux x86_64)", "x badbot/1 y", ""];
    let pages = [
        "https://www.example.com/a?b=c",
        "http://evil.example:8080/x",
        "HTTPS://WWW.Example.COM:443/a",
        "https://203.0.113.7/x",
        "https://blog.example.org",
        "",
    ];
    let origins = [
        "https://www.example.com",
        "http://my-app.example.org:8443",
        "HTTPS://WWW.EXAMPLE.COM:443",
        "https://203.0.113.7",
        "https://evil.example",
        "null",
        "",
    ];
    let clients = [
        "203.0.113.9",
        "192.0.2.77",
        "10.0.0.1",
        "2001:db8:bad::1",
        "::ffff:198.51.100.7",
    ];
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        for (n, host) in ["IMG.example.com.", "a.open.example:8080"]
            .into_iter()
            .enumerate()
        {
            for (agent, page) in agents
                .iter()
                .flat_map(|a| pages.iter().map(move |p| (a, p)))
            {
                for (origin, client) in origins
                    .iter()
                    .flat_map(|o| clients.iter().map(move |c| (o, c)))
                {
                    let mut headers = HeaderMap::new();
                    for (name, value) in [
                        ("host", host),
                        ("user-agent", agent),
                        ("referer", page),
                        ("origin", origin),
                        ("sec-fetch-site", "cross-site"),
                        ("accept", "image/webp,*/*"),
                        ("x-forwarded-for", "198.51.100.1, 10.0.0.2"),
                        ("connection", "keep-alive"),
                    ] {
                        if !value.is_empty() {
                            headers.append(
                                HeaderName::from_static(name),
                                HeaderValue::from_str(value).unwrap(),
                            );
                        }
                    }
                    let uri = ["/public/a.jpg", "/gallery/b.jpg?w=1"][n];
                    requests.push((
                        Received::new(method.clone(), Uri::from_static(uri), headers),
                        Arrival {
                            scheme: Scheme::Https,
                            peer: PeerAddr::new(client.parse::<IpAddr>().unwrap()),
                            given: None,
                            fallback: None,
                            https_port: None,
                        },
                    ));
                }
            }
        }
    }
    requests
}

#[test]
fn a_decision_allocates_nothing() {
    let snapshot = policy();
    let requests = requests();
    assert!(requests.len() > 500);
    let (mut denied, mut watched) = (0, 0);
    for (received, arrival) in &requests {
        let before = ALLOCATIONS.get();
        let plan = Plan::new(&snapshot, received, arrival).unwrap();
        let judged = plan.judgement;
        let choice = plan.choice();
        let after = ALLOCATIONS.get();
        assert_eq!(after - before, 0, "{received:?} {arrival:?} {choice:?}");
        denied += usize::from(matches!(judged.decision, Decision::Deny(_)));
        watched += usize::from(!judged.would_deny.is_empty());
    }
    // The rules really ran, both ways.
    assert!(denied > 50 && denied < requests.len() - 50, "{denied}");
    assert!(watched > 50, "{watched}");
    let before = ALLOCATIONS.get();
    drop(vec![1_u8]);
    assert_eq!(ALLOCATIONS.get() - before, 1, "the counter counts");
}

/// A stored response as an origin of images would have it.
fn stored() -> Head {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("date", "Sun, 06 Nov 1994 08:50:37 GMT"),
        ("server", "nginx"),
        ("etag", "\"abcdef-400\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-type", "image/webp"),
        ("cache-control", "public, max-age=3600"),
        ("vary", "accept"),
        ("x-tag", "a"),
    ] {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    Head {
        status: StatusCode::OK,
        headers,
        lines: bytes::Bytes::new(),
        policy: Policy::default(),
        form: Form::default(),
        variant: Variant::Original,
        serves: Variants::default().with(Variant::Original),
    }
}

/// The copy of the stored fields (two, and one where it grows), Age and
/// Cache-Status.
#[test]
fn a_hit_allocates_its_head_and_nothing_else() {
    let mut head = stored();
    complete(&mut head, 1024);
    let headers = HeaderMap::from_iter([
        (hyper::header::HOST, HeaderValue::from_static("a")),
        (hyper::header::ACCEPT, HeaderValue::from_static("*/*")),
    ])
    .into();
    let asked = Asked {
        method: &Method::GET,
        headers: &headers,
        encodings: Encodings::default(),
        has_query: false,
        variant: Variant::Original,
        covered: Covered::default(),
        extension: None,
    };
    let answer = |now| {
        let status = CacheStatus::hit(3600);
        reply(&asked, &head, Some(1024), Moment(now), status, 7)
    };
    // The first copy of a value makes it one that is shared.
    assert_eq!(answer(0).content, Content::Whole);
    let before = ALLOCATIONS.get();
    let reply = answer(1);
    let count = ALLOCATIONS.get() - before;
    assert_eq!(reply.headers.len(), 12);
    assert_eq!(count, 5);
}
