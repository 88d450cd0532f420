use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hyper::Method;

use super::*;
use crate::cache::asked::{Asked, Covered};
use crate::cache::collapse::{Begin, Begun};
use crate::cache::encoding::Encodings;
use crate::cache::entry::Key;
use crate::images::Variant;
use crate::log::counters::WorkerCounters;
use crate::origin::{HostMode, Limits, OriginUrl};

fn fetcher(counters: &Arc<WorkerCounters>) -> Fetcher {
    let limits = Arc::new(Limits::default());
    Fetcher {
        cache: Cache::new(1 << 20),
        origins: Rc::new(Origins::new(0, limits, Arc::clone(counters))),
        instance: Arc::new(Instance::new().unwrap()),
        counting: Rc::new(Counting::new(Arc::clone(counters))),
        underway: Rc::default(),
    }
}

fn origin() -> Arc<OriginSettings> {
    Arc::new(OriginSettings {
        url: OriginUrl::parse("http://127.0.0.1:1").unwrap(),
        tls: None,
        host: HostMode::Preserve,
        methods: Vec::new(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
        max_connections: 1,
        retries: 0,
    })
}

/// A task can be dropped before it was polled even once.
#[test]
fn a_fetch_that_never_ran_leaves_nobody_waiting() {
    let counters = Arc::new(WorkerCounters::default());
    let fetcher = fetcher(&counters);
    let cache = fetcher.cache.clone();
    let headers = crate::message::fields::Fields::default();
    let asked = Asked {
        method: &Method::GET,
        headers: &headers,
        encodings: Encodings::of(&headers),
        has_query: false,
        variant: Variant::Original,
        covered: Covered::default(),
        extension: None,
    };
    let key = Key {
        url: "http://a/",
        origin: "http://127.0.0.1:1",
    };
    let begin = Begin {
        hash: cache.hash(key),
        key,
        asked,
        others: false,
        may_join: true,
        is_shared: true,
        is_background: false,
        since: Moment::default(),
        now: cache.moment(),
    };
    let Begun::Lead(fill) = cache.begin(&begin) else {
        panic!("there is none to join");
    };
    let Begun::Join(joined) = cache.begin(&begin) else {
        panic!("it can be joined");
    };
    let mut waiting = FillReader::new(joined, 0..u64::MAX);
    let fetching = fetcher.fetch(Fetch {
        fill,
        asker: Asker::new(&asked, headers.clone(), RequestDirectives::default()).into(),
        stale: None,
        settings: CacheSettings::default(),
        origin: origin(),
        client: None,
        stall_timeout: Duration::from_secs(5),
        request: OriginRequest::default(),
    });
    drop(fetching);
    let verdict = pin!(waiting.verdict()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(
        matches!(verdict, Poll::Ready(Verdict::Alone)),
        "{verdict:?}"
    );
    assert!(matches!(cache.begin(&begin), Begun::Lead(_)));
    assert_eq!(counters.cache.begun.get(), 1);
    assert_eq!(counters.cache.fills(FillEnd::Failed), 1);
}
