use std::task::{Context, Wake, Waker};

use super::*;
use crate::cache::fixture::{NOW, stored};

/// Counts how often it was woken.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn fill() -> Arc<Fill> {
    let key = Key {
        url: "http://a/",
        origin: "http://o",
    };
    let wish = Wish {
        variant: Variant::Original,
        likeness: 0,
        begun: NOW.moment,
    };
    Arc::new(Fill::new(1, key, wish, true))
}

fn open(fill: &Fill, store: &Store, max: u64) {
    let opened = Opened {
        head: stored(&[("cache-control", "max-age=60")]).unwrap(),
        length: None,
    };
    assert!(fill.open(opened, store, max).is_some());
}

fn reader(fill: &Arc<Fill>) -> FillReader {
    FillReader::new(Arc::clone(fill), 0..u64::MAX)
}

fn told(waiting: &mut FillReader, waker: &Waker) -> Poll<Verdict> {
    let verdict = std::pin::pin!(waiting.verdict());
    verdict.poll(&mut Context::from_waker(waker))
}

#[test]
fn who_waits_no_more_leaves_nothing_behind() {
    let fill = fill();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut waiting = reader(&fill);
    for _ in 0..3 {
        assert!(told(&mut waiting, &waker).is_pending());
    }
    // This one, that of the test, and one in the fill however often it asked.
    assert_eq!(Arc::strong_count(&count), 3);
    assert!(fill.is_read());
    drop(waiting);
    assert_eq!(Arc::strong_count(&count), 2);
    assert!(!fill.is_read(), "nobody waits for it any more");
    fill.close(Verdict::Alone);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
}

#[test]
fn whoever_waited_gets_the_body_from_its_start() {
    let (fill, store) = (fill(), Store::new(16 << 20));
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = Context::from_waker(&waker);
    let mut waiting = reader(&fill);
    assert!(told(&mut waiting, &waker).is_pending());
    open(&fill, &store, 1 << 20);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    // A fast reader takes all there is, and the body grows too long to store,
    // before the one who waited has its turn.
    let mut fast = reader(&fill);
    for _ in 0..5 {
        let _ = fill.push(Bytes::from(vec![7; 256 << 10]));
        while let Poll::Ready(read) = fast.poll(&cx) {
            assert!(matches!(read, Some(Ok(_))));
        }
    }
    let verdict = told(&mut waiting, &waker);
    assert!(
        matches!(verdict, Poll::Ready(Verdict::Open(_))),
        "{verdict:?}"
    );
    let mut late = reader(&fill);
    drop(waiting);
    assert!(matches!(late.poll(&cx), Poll::Ready(Some(Ok(_)))));
}

#[test]
fn what_has_lost_its_start_is_not_for_those_who_waited() {
    let (fill, store) = (fill(), Store::new(16 << 20));
    let mut waiting = reader(&fill);
    open(&fill, &store, 1 << 20);
    for _ in 0..20 {
        let _ = fill.push(Bytes::from(vec![7; 256 << 10]));
    }
    let verdict = told(&mut waiting, Waker::noop());
    assert!(
        matches!(verdict, Poll::Ready(Verdict::Alone)),
        "{verdict:?}"
    );
}

#[test]
fn what_comes_byte_by_byte_is_read_in_larger_parts() {
    let (fill, store) = (fill(), Store::new(16 << 20));
    open(&fill, &store, 1 << 20);
    let sent: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    for byte in &sent {
        assert_eq!(fill.push(Bytes::copy_from_slice(&[*byte])), Grown::Kept);
    }
    let mut reader = reader(&fill);
    let cx = Context::from_waker(Waker::noop());
    let (mut read, mut parts) = (Vec::new(), 0);
    while let Poll::Ready(Some(Ok(part))) = reader.poll(&cx) {
        read.extend_from_slice(&part);
        parts += 1;
    }
    assert!(read == sent);
    assert!(parts < 50, "{parts} parts");
}
