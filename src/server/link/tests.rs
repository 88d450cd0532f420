use super::*;

const LIMITS: Limits = Limits {
    header: 1000,
    idle: 2000,
    stall: 3000,
    head: 8192,
    connections: 10,
    streams: 10,
};

fn link() -> (Rc<Table>, Rc<Link>) {
    let table = Rc::<Table>::default();
    let link = Link::enter(&table, LIMITS);
    (table, link)
}

/// `time` later, and what a sweep may be late by.
fn after(table: &Table, time: u64) {
    table.set_now(table.now() + time + table.slack());
}

/// A request with or without a body, and its response.
fn serve(link: &Link, has_body: bool) {
    link.read(b"POST / HTTP/1.1\r\n\r\n");
    link.request(has_body);
    link.wrote(9, 9);
    link.answered(Tail::default());
    link.flushed();
}

#[test]
fn each_state_has_its_time() {
    let (table, link) = link();
    link.set_asleep(true);
    after(&table, 999);
    assert_eq!(link.judge(false), None);
    after(&table, 1);
    assert_eq!(link.judge(false), Some(Verdict::Silent));
    link.read(b"G");
    assert_eq!(link.judge(false), None);
    after(&table, 1000);
    assert_eq!(link.judge(false), Some(Verdict::SlowHead));
    serve(&link, false);
    after(&table, 1000);
    assert_eq!(link.judge(false), None);
    after(&table, 1000);
    assert_eq!(link.judge(false), Some(Verdict::Idle));
    link.request(false);
    after(&table, 1 << 40);
    assert_eq!(link.judge(false), None, "nothing waits for the client");
}

#[test]
fn sleeps_between_requests() {
    let (table, link) = link();
    for (has_body, verdict) in [(false, Some(Verdict::Sleepy)), (true, None)] {
        serve(&link, has_body);
        assert_eq!(link.judge(false), None);
        after(&table, SLEEPY);
        assert_eq!(link.judge(false), verdict);
        link.set_asleep(true);
        assert_eq!(link.judge(false), None);
        link.set_asleep(false);
    }
}

/// As called by the sweeper: the verdict, and whether writing is to be tried.
fn judged(link: &Link) -> (Option<Verdict>, Option<Verdict>, bool) {
    let judged = link.judge(false);
    link.call(Verdict::Stalled);
    (judged, link.confirm(false), link.pace().tries())
}

#[test]
fn a_reader_is_judged_by_what_it_takes() {
    let (table, link) = link();
    link.request(false);
    link.wrote(1, 2);
    assert_eq!(judged(&link), (None, None, false));
    after(&table, 3000 / 8);
    assert_eq!(judged(&link), (Some(Verdict::Slow), None, true));
    link.wrote(1 << 20, 1 << 20);
    link.pace().block();
    link.tried();
    for taken in [3072, 4000] {
        after(&table, 3000);
        assert_eq!(judged(&link), (Some(Verdict::Stalled), None, true));
        link.wrote(taken, 1 << 20);
        link.tried();
        assert_eq!(judged(&link), (None, None, false), "{taken}");
    }
    after(&table, 3000);
    assert_eq!(judged(&link), (Some(Verdict::Stalled), None, true));
    link.wrote(3071, 1 << 20);
    link.tried();
    let stalled = Some(Verdict::Stalled);
    assert_eq!(judged(&link), (stalled, stalled, false));
    assert_eq!(link.why_cut(), "the client stalled within the response");
}

#[test]
fn who_takes_all_begins_anew() {
    let (table, link) = link();
    link.request(false);
    for _ in 0..3 {
        link.wrote(1, 2);
        assert_eq!(link.judge(false), None);
        after(&table, 3000);
        assert_eq!(link.judge(false), Some(Verdict::Slow));
        link.wrote(2, 2);
        assert_eq!(link.judge(false), None);
    }
}

#[test]
fn writing_little_often_is_no_way_to_stay() {
    let (table, link) = link();
    link.request(false);
    link.wrote(1, 2);
    assert_eq!(link.judge(false), None);
    for _ in 0..3 {
        after(&table, 900);
        link.wrote(1, 2);
    }
    assert_eq!(link.judge(false), None);
    after(&table, 300);
    assert_eq!(judged(&link), (Some(Verdict::Stalled), None, true));
    link.tried();
    let stalled = Some(Verdict::Stalled);
    assert_eq!(judged(&link), (stalled, stalled, false));
}

#[test]
fn who_takes_many_times_in_one_tick_is_fast() {
    let (table, link) = link();
    link.request(false);
    for _ in 0..20 {
        link.wrote(100_000, 200_000);
        assert!(!link.pace().is_fast());
        after(&table, 0);
    }
    let at: Vec<_> = (0..8)
        .filter(|_| {
            link.wrote(100_000, 200_000);
            link.pace().is_fast()
        })
        .collect();
    assert_eq!(at, [3]);
}

#[test]
fn what_follows_an_upload() {
    let (table, link) = link();
    serve(&link, true);
    link.read(b"GE");
    after(&table, 1000);
    assert_eq!(link.judge(false), Some(Verdict::SlowHead));
    serve(&link, true);
    link.read(b"\x89PNG");
    after(&table, 1000);
    assert_eq!(link.judge(false), None, "this may be its end");
    link.read(&[0; 4096]);
    after(&table, 1000);
    assert_eq!(link.judge(false), None, "it moves");
    link.read(&[0; 100]);
    after(&table, 2000);
    assert_eq!(link.judge(false), Some(Verdict::Idle));
}

#[test]
fn the_longest_idle_goes_first() {
    let table = Rc::<Table>::default();
    let links: Vec<_> = (0..3).map(|_| Link::enter(&table, LIMITS)).collect();
    for index in [0, 1, 2, 0] {
        serve(&links[index], false);
    }
    links[2].leave();
    for index in [1, 0] {
        assert!(table.evict());
        assert_eq!(links[index].called(), Some(Verdict::Evicted));
    }
    assert!(!table.evict());
}

#[test]
fn an_endless_line() {
    let (_table, link) = link();
    link.read(b"\r\n\r\nGET /");
    assert!(!link.is_endless_line());
    link.read(&[b'x'; 8192]);
    assert!(link.is_endless_line());
    link.read(b"\n");
    assert!(!link.is_endless_line());
}

#[test]
fn the_end_of_a_line_begins_no_head() {
    let (table, link) = link();
    link.set_asleep(true);
    for has_body in [false, true] {
        serve(&link, has_body);
        link.read(b"\r\n");
        after(&table, 1000);
        assert_eq!(link.judge(false), None, "{has_body}");
        link.read(b"\r\nGET");
        after(&table, 1000);
        assert_eq!(link.judge(false), Some(Verdict::SlowHead), "{has_body}");
    }
}

#[test]
fn who_ends_its_side_is_waited_for_a_little() {
    for (has_body, verdict) in [(false, Some(Verdict::Gone)), (true, None)] {
        let (table, link) = link();
        link.request(has_body);
        assert!(link.ended());
        after(&table, 0);
        assert_eq!(link.judge(false), None);
        link.wrote(9, 9);
        table.set_now(table.now() + GONE - 1);
        assert!(
            link.hides_end() && link.judge(false).is_none(),
            "{has_body}"
        );
        table.set_now(table.now() + 1);
        assert_eq!(link.judge(false), verdict);
        assert_eq!(link.hides_end(), !has_body, "an upload is cut by its end");
    }
}

#[test]
fn who_has_asked_or_has_only_come_is_not_late() {
    let (table, link) = link();
    let late = |link: &Link| link.late_since();
    table.set_now(LATE - 1);
    assert_eq!(late(&link), None);
    table.set_now(LATE);
    assert_eq!(late(&link), Some(0));
    link.read(b"GET");
    assert_eq!(late(&link), None);
    table.set_now(2 * LATE);
    assert_eq!(late(&link), Some(LATE));
    link.request(false);
    assert_eq!(late(&link), None);
    table.set_now(100 * LATE);
    assert_eq!(late(&link), None);
    serve(&link, true);
    table.set_now(200 * LATE);
    assert_eq!(late(&link), None, "idle");
    link.read(b"\x89PNG");
    table.set_now(300 * LATE);
    assert_eq!(late(&link), None, "the rest of an upload");
}
