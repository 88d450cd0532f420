//! A body streams to whoever asked for it while it is being stored.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::support::{FRESH, Gate, logged, ok, status, until_stored};
use crate::support::{Client, Origin, Portcullis, Reply, eventually};

/// How a body of ten bytes is framed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length,
    Chunked,
}

const BOTH: [Framing; 2] = [Framing::Length, Framing::Chunked];

impl Framing {
    fn head(self) -> String {
        let framing = match self {
            Self::Length => "Content-Length: 10",
            Self::Chunked => "Transfer-Encoding: chunked",
        };
        format!("HTTP/1.1 200 OK\r\n{FRESH}ETag: \"one\"\r\n{framing}\r\n\r\n")
    }

    fn part(self, part: &str) -> String {
        match self {
            Self::Length => part.to_owned(),
            Self::Chunked => format!("{:x}\r\n{part}\r\n", part.len()),
        }
    }

    fn end(self) -> &'static str {
        match self {
            Self::Length => "",
            Self::Chunked => "0\r\n\r\n",
        }
    }
}

/// Sends `01234`, waits for the gate, then sends `56789`, or nothing more
/// the first time if `cut`.
fn halves(framing: Framing, gate: &Gate, cut: bool) -> Origin {
    let gate = gate.clone();
    let fails = AtomicBool::new(cut);
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(framing.head() + &framing.part("01234"));
            gate.wait();
            if fails.swap(false, Ordering::Relaxed) {
                return;
            }
            conversation.say(framing.part("56789") + framing.end());
        }
    })
}

/// Asks for `/`, and reads the head and the first half.
fn first_half(proxy: &Portcullis, framing: Framing) -> (Client, String) {
    let mut client = proxy.client();
    let (code, head) = client.ask("GET", "/", "").head();
    assert_eq!(code, 200);
    assert_eq!(
        client.take(framing.part("01234").len()),
        framing.part("01234").as_bytes()
    );
    (client, head)
}

fn rest(client: &mut Client, framing: Framing) {
    let rest = framing.part("56789") + framing.end();
    assert_eq!(client.take(rest.len()), rest.as_bytes());
}

#[test]
fn leader_and_followers_stream_from_one_fetch() {
    for framing in BOTH {
        let gate = Gate::default();
        let origin = halves(framing, &gate, false);
        let proxy = Portcullis::start(&origin, "");
        let mut all: Vec<_> = (0..3).map(|_| first_half(&proxy, framing)).collect();
        gate.open();
        for (number, (client, head)) in all.iter_mut().enumerate() {
            rest(client, framing);
            let (head, body) = (head.clone(), Vec::new());
            let told = status(&Reply {
                status: 200,
                head,
                body,
            });
            assert_eq!(told.collapsed, number > 0, "{told:?}");
        }
        until_stored(&proxy, "/");
        assert_eq!(proxy.client().get("/", "").text(), "0123456789");
        assert_eq!(origin.count(), 1);
        let told: Vec<_> = logged(proxy).into_iter().flatten().collect();
        for word in ["miss", "joined", "hit"] {
            assert!(told.iter().any(|told| told == word), "{word} in {told:?}");
        }
    }
}

#[test]
fn the_leader_goes_away_and_followers_get_all() {
    for framing in BOTH {
        let gate = Gate::default();
        let origin = halves(framing, &gate, false);
        let proxy = Portcullis::start(&origin, "");
        let (leader, _) = first_half(&proxy, framing);
        let (mut follower, _) = first_half(&proxy, framing);
        leader.leave();
        let gone = || proxy.server.counters().sum(|w| w.connections.open.get()) == 1;
        eventually("it is noticed", gone);
        let (mut late, _) = first_half(&proxy, framing);
        gate.open();
        rest(&mut follower, framing);
        rest(&mut late, framing);
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn all_clients_go_away_and_the_fill_is_finished() {
    for framing in BOTH {
        let gate = Gate::default();
        let origin = halves(framing, &gate, false);
        let proxy = Portcullis::start(&origin, "");
        first_half(&proxy, framing).0.leave();
        let gone = || proxy.server.counters().sum(|w| w.connections.open.get()) == 0;
        eventually("it is noticed", gone);
        gate.open();
        until_stored(&proxy, "/");
        assert_eq!(proxy.client().get("/", "").text(), "0123456789");
        assert_eq!(origin.count(), 1);
    }
}

#[test]
fn a_cut_is_seen_by_all_and_stored_for_nobody() {
    for framing in BOTH {
        let gate = Gate::default();
        let origin = halves(framing, &gate, true);
        let proxy = Portcullis::start(&origin, "");
        let mut all: Vec<_> = (0..2).map(|_| first_half(&proxy, framing).0).collect();
        gate.open();
        for client in &mut all {
            assert_eq!(client.until_cut(), b"", "{framing:?}: no end is made up");
        }
        assert_eq!(origin.count(), 1);
        assert_eq!(proxy.client().get("/", "").text(), "0123456789");
        assert_eq!(origin.count(), 2);
    }
}

#[test]
fn a_range_from_the_start_streams_out_of_its_fill() {
    let gate = Gate::default();
    let origin = halves(Framing::Length, &gate, false);
    let proxy = Portcullis::start(&origin, "");
    let mut leader = proxy.client();
    let reply = leader.get("/", "Range: bytes=0-3\r\n");
    assert_eq!((reply.status, reply.text()), (206, "0123"));
    assert_eq!(
        reply.field("content-range").as_deref(),
        Some("bytes 0-3/10")
    );
    let follower = proxy.client().get("/", "Range: bytes=0-1\r\n");
    assert_eq!((follower.status, follower.text()), (206, "01"));
    gate.open();
    until_stored(&proxy, "/");
    assert_eq!(proxy.client().get("/", "").text(), "0123456789");
    assert_eq!(origin.count(), 1);
}

/// Who asks for the head of what is under way needs none of its body.
#[test]
fn head_and_conditions_are_answered_while_the_body_is_under_way() {
    let gate = Gate::default();
    let origin = halves(Framing::Length, &gate, false);
    let proxy = Portcullis::start(&origin, "");
    let (mut leader, _) = first_half(&proxy, Framing::Length);
    let head = proxy.client().head_of("/", "");
    assert_eq!(head.field("content-length").as_deref(), Some("10"));
    let known = proxy.client().get("/", "If-None-Match: \"one\"\r\n");
    assert_eq!(known.status, 304);
    gate.open();
    rest(&mut leader, Framing::Length);
}

const LARGE: usize = 20 << 20;

/// Sends 20 MiB as fast as it goes; the flag says that all was taken.
fn large() -> (Origin, Arc<AtomicBool>) {
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\n{FRESH}Content-Length: {LARGE}\r\n\r\n"
            ));
            conversation.say(vec![b'x'; LARGE]);
            flag.store(true, Ordering::Relaxed);
        }
    });
    (origin, done)
}

#[test]
fn who_reads_nothing_slows_nobody() {
    for slow_leads in [true, false] {
        let (origin, done) = large();
        let proxy = Portcullis::start(&origin, "");
        let mut slow = proxy.client();
        let mut fast = proxy.client();
        let order = match slow_leads {
            true => [&mut slow, &mut fast],
            false => [&mut fast, &mut slow],
        };
        for client in order {
            client.ask("GET", "/", "");
            eventually("it is asked for", || origin.count() == 1);
        }
        let reply = fast.reply();
        assert_eq!(reply.body.len(), LARGE);
        eventually("the origin is done", || done.load(Ordering::Relaxed));
        until_stored_without_body(&proxy);
        assert_eq!(origin.count(), 1);
        let late = slow.reply();
        assert!(late.body.len() == LARGE && late.body.iter().all(|b| *b == b'x'));
    }
}

#[test]
fn the_origin_is_done_though_nobody_reads() {
    let (origin, done) = large();
    let proxy = Portcullis::start(&origin, "");
    let mut slow = proxy.client();
    slow.ask("GET", "/", "");
    eventually("the origin is done", || done.load(Ordering::Relaxed));
    until_stored_without_body(&proxy);
    assert_eq!(slow.reply().body.len(), LARGE);
}

fn until_stored_without_body(proxy: &Portcullis) {
    let mut client = proxy.client();
    let only = "Cache-Control: only-if-cached\r\n";
    eventually("it is stored", || client.head_of("/", only).status == 200);
}

/// A body whose length shows only when it is too long: all who stream from
/// the fill get all of it, if they keep up.
#[test]
fn a_fill_that_outgrows_max_object_is_whole_for_everybody() {
    const PARTS: usize = 24;
    let part = "x".repeat(64 * 1024);
    let gate = Gate::default();
    let (wait, sent) = (gate.clone(), part.clone());
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(Framing::Chunked.head());
            for number in 0..PARTS {
                conversation.say(Framing::Chunked.part(&sent));
                if number == 0 {
                    wait.wait();
                }
            }
            conversation.say("0\r\n\r\n");
        }
    });
    let proxy = Portcullis::start(&origin, "[cache]\nmax_object = \"1 MiB\"\n");
    let mut all: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut all {
        client.ask("GET", "/", "");
    }
    eventually("it is asked for", || origin.count() >= 1);
    gate.open();
    // At once: whoever falls far behind the fastest is cut.
    let length = PARTS * part.len();
    thread::scope(|scope| {
        for client in &mut all {
            scope.spawn(move || assert_eq!(client.reply().body.len(), length));
        }
    });
    let asked = origin.count();
    assert_eq!(proxy.client().get("/", "").body.len(), length);
    assert_eq!(origin.count(), asked + 1, "it is not stored");
}

/// What nobody may share is not fetched for nobody (section 10).
#[test]
fn what_is_not_stored_ends_with_its_client() {
    for before_the_head in [true, false] {
        let gate = Gate::default();
        let ended = Arc::new(AtomicBool::new(false));
        let (wait, flag) = (gate.clone(), Arc::clone(&ended));
        let origin = Origin::scripted(move |conversation| {
            conversation.request();
            wait.wait();
            conversation.say(
                "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 999999999\r\n\r\n",
            );
            while conversation.stream.write_all(&[b'x'; 65536]).is_ok() {}
            flag.store(true, Ordering::Relaxed);
        });
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        client.ask("GET", "/", "");
        eventually("it is asked for", || origin.count() == 1);
        if before_the_head {
            client.leave();
            let gone = || proxy.server.counters().sum(|w| w.connections.open.get()) == 0;
            eventually("it is noticed", gone);
            gate.open();
        } else {
            gate.open();
            client.head();
            client.leave();
        }
        eventually("the origin is let go", || ended.load(Ordering::Relaxed));
    }
}

/// By HTTP/1.0 a body without a length ends with the connection: one that was
/// cut must not end in order.
#[test]
fn a_cut_does_not_look_like_an_end_to_an_old_client() {
    for leads in [true, false] {
        let gate = Gate::default();
        let origin = halves(Framing::Chunked, &gate, true);
        let proxy = Portcullis::start(&origin, "");
        let _leader = (!leads).then(|| first_half(&proxy, Framing::Chunked));
        let mut old = proxy.client();
        old.send("GET / HTTP/1.0\r\nHost: img.example.com\r\n\r\n")
            .head();
        assert_eq!(old.take(5), b"01234");
        gate.open();
        let end = old.stream.read(&mut [0; 16]);
        assert!(end.is_err(), "{end:?}");
    }
}

#[test]
fn a_range_of_a_body_whose_length_is_not_known_yet() {
    let gate = Gate::default();
    gate.open();
    let origin = halves(Framing::Chunked, &gate, false);
    let proxy = Portcullis::start(&origin, "");
    let first = proxy.client().get("/", "Range: bytes=0-3\r\n");
    match first.status {
        200 => assert_eq!(first.text(), "0123456789"),
        status => assert_eq!((status, first.text()), (206, "0123")),
    }
    until_stored(&proxy, "/");
    let second = proxy.client().get("/", "Range: bytes=2-3\r\n");
    assert_eq!((second.status, second.text()), (206, "23"));
    assert_eq!(origin.count(), 1);
}

/// What takes longer to come than it is fresh is asked for once more by those
/// who come later, and not by each of them.
#[test]
fn a_body_that_outlasts_its_freshness_is_not_fetched_by_everybody() {
    const CROWD: usize = 10;
    let gate = Gate::default();
    let wait = gate.clone();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                let head =
                    "HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nContent-Length: 4\r\n\r\n";
                conversation.say(format!("{head}01"));
                wait.wait();
                conversation.say("23");
            } else {
                wait.wait();
                conversation.say(ok(FRESH, "new"));
            }
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut leader = proxy.client();
    leader.ask("GET", "/", "").head();
    eventually("it is stale", || {
        proxy.client().ask("GET", "/", "");
        origin.count() > 1
    });
    let mut crowd: Vec<_> = (0..CROWD).map(|_| proxy.client()).collect();
    for client in &mut crowd {
        client.ask("GET", "/", "X-Forwarded-For: 1.1.1.1\r\n");
    }
    // A field that nobody believes is counted, which tells that it has come.
    let come = || proxy.server.counters().sum(|w| w.requests.unbelieved.get());
    eventually("all are there", || come() == CROWD as u64);
    gate.open();
    for client in &mut crowd {
        assert_eq!(client.reply().text(), "new");
    }
    // Who only tried has gone away, and its fetch with it.
    assert!(origin.count() < 5, "{}", origin.count());
}
