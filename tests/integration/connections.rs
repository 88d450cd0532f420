//! The client's connection: its timeouts, its limits, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portcullis::log::counters::{ConnectionCounters, Counter};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Client, Origin, Portcullis, Program, Reply, eventually};

const WHOLE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An origin whose responses have no end.
pub(crate) fn endless() -> Origin {
    Origin::scripted(|conversation| {
        while conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
            let piece = [b'x'; 64 * 1024];
            while std::io::Write::write_all(&mut conversation.stream, &piece).is_ok() {}
        }
    })
}

/// One worker, with these keys of `[server]`.
fn start(origin: &Origin, keys: &str) -> Portcullis {
    let server = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{keys}\n");
    Portcullis::start(origin, &server)
}

fn counted(portcullis: &Portcullis, which: impl Fn(&ConnectionCounters) -> &Counter) -> u64 {
    let counters = portcullis.server.counters();
    counters.sum(|worker| which(&worker.connections).get())
}

fn open(portcullis: &Portcullis) -> u64 {
    let counters = portcullis.server.counters();
    counters.sum(|worker| worker.connections.open.get())
}

/// What is answered to something that is no request, and then closed.
fn refused(client: &mut Client, status: u16, reason: &str) -> String {
    let reply = client.reply();
    assert_eq!(reply.status, status, "{reply:?}");
    let reference = reply.field("portcullis-ref").unwrap();
    assert_eq!(reply.text(), format!("{reason}\nReference: {reference}\n"));
    assert_eq!(reply.field("cache-control").unwrap(), "no-store");
    assert_eq!(reply.field("connection").unwrap(), "close");
    assert_eq!(client.rest(), b"", "closed in order");
    reference
}

#[test]
fn a_slow_head_is_408() {
    let portcullis = start(
        &Origin::ok(),
        "header_timeout = \"300ms\"\nidle_timeout = \"1h\"",
    );
    let mut first = portcullis.client();
    let one = refused(first.send("GET / HTTP/1.1\r\nHo"), 408, "Request Timeout");
    let mut second = portcullis.client();
    assert_eq!(second.get("/", "").status, 200);
    let two = refused(second.send("G"), 408, "Request Timeout");
    assert_eq!(counted(&portcullis, |c| &c.header_timeouts), 2);
    let lines = portcullis.stop();
    for (line, reference) in [(&lines[0], one), (&lines[2], two)] {
        assert_eq!(
            (&line["status"], &line["ref"]),
            (&408.into(), &reference.into())
        );
        assert_eq!(
            (&line["verdict"], &line["url"]),
            (&"reject".into(), &serde_json::Value::Null)
        );
        assert!(
            line["error"]
                .as_str()
                .unwrap()
                .contains("server.header_timeout"),
            "{line}"
        );
    }
}

#[test]
fn a_head_byte_by_byte_has_its_time_and_no_more() {
    let portcullis = start(&Origin::ok(), "header_timeout = \"1s\"");
    let mut patient = portcullis.client();
    for byte in WHOLE.bytes() {
        patient.send([byte]);
    }
    assert_eq!(patient.reply().text(), "ok");
    let mut dripping = portcullis.client();
    let start = Instant::now();
    dripping.send("GET / HTTP/1.1\r\n");
    while counted(&portcullis, |c| &c.header_timeouts) == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "each byte bought time"
        );
        let _ = std::io::Write::write_all(&mut dripping.stream, b"x");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn without_a_byte_it_is_closed_silently() {
    let portcullis = start(&Origin::ok(), "header_timeout = \"200ms\"");
    assert_eq!(portcullis.client().rest(), b"");
    assert_eq!(counted(&portcullis, |c| &c.silent_closed), 1);
    assert_eq!(portcullis.stop().len(), 0);
}

#[test]
fn an_idle_connection_is_closed_silently() {
    let portcullis = start(
        &Origin::ok(),
        "idle_timeout = \"300ms\"\nheader_timeout = \"1h\"",
    );
    let mut client = portcullis.client();
    for _ in 0..3 {
        assert_eq!(client.get("/", "").status, 200);
    }
    let start = Instant::now();
    assert_eq!(client.rest(), b"");
    assert!(start.elapsed() >= Duration::from_millis(250));
    assert_eq!(counted(&portcullis, |c| &c.idle_closed), 1);
    // Half a head behind a whole one is no way to stay.
    let mut half = portcullis.client();
    half.send(format!("{WHOLE}GET / HT"));
    assert_eq!(half.reply().status, 200);
    assert_eq!(half.rest(), b"");
    assert_eq!(counted(&portcullis, |c| &c.idle_closed), 2);
}

#[test]
fn a_request_that_takes_long_is_not_idle() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::scripted(move |conversation| {
        conversation.request();
        wait.lock().unwrap().recv().unwrap();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let keys = "idle_timeout = \"50ms\"\nheader_timeout = \"50ms\"\nstall_timeout = \"50ms\"";
    let portcullis = start(&origin, keys);
    let mut client = portcullis.client();
    client.send(WHOLE);
    // Two others come and go by these timeouts meanwhile.
    for _ in 0..2 {
        assert_eq!(portcullis.client().rest(), b"");
    }
    go.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn what_came_before_a_pause_counts_after_it() {
    let portcullis = start(&Origin::ok(), "");
    let (head, rest) = WHOLE.split_at(9);
    let mut clients: Vec<Client> = (0..3).map(|_| portcullis.client()).collect();
    // Nothing, a whole request, and half a one behind it, before the pause.
    assert_eq!(clients[1].get("/", "").status, 200);
    clients[2].send(format!("{WHOLE}{head}"));
    assert_eq!(clients[2].reply().status, 200);
    std::thread::sleep(Duration::from_secs(3));
    for (client, bytes) in clients.iter_mut().zip([WHOLE, WHOLE, rest]) {
        assert_eq!(client.send(bytes).reply().text(), "ok");
        assert_eq!(client.get("/", "").text(), "ok");
    }
}

#[test]
fn a_new_value_is_for_new_connections() {
    let portcullis = start(&Origin::ok(), "idle_timeout = \"1h\"");
    let mut old = portcullis.client();
    assert_eq!(old.get("/", "").status, 200);
    portcullis.swap(|snapshot| snapshot.server.idle_timeout = Duration::from_millis(100));
    let mut new = portcullis.client();
    assert_eq!(new.get("/", "").status, 200);
    assert_eq!(new.rest(), b"");
    assert_eq!(old.get("/", "").status, 200);
}

#[test]
fn a_reader_that_stalls_is_cut() {
    let portcullis = start(&endless(), "stall_timeout = \"500ms\"");
    let mut client = portcullis.client();
    assert_eq!(client.send(WHOLE).head().0, 200);
    eventually("stalled", || counted(&portcullis, |c| &c.stalled) == 1);
    let mut part = vec![0; 1 << 20];
    let error = loop {
        match client.stream.read(&mut part) {
            Ok(0) => panic!("the response looks complete"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let line = portcullis.stop().remove(0);
    assert_eq!(line["error"], "the client stalled within the response");
}

#[test]
fn a_slow_reader_above_the_rate_is_served_to_the_end() {
    let body = "y".repeat(3 << 20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&answer);
        }
    });
    let portcullis = start(&origin, "stall_timeout = \"500ms\"");
    let mut client = portcullis.client();
    assert_eq!(client.send(WHOLE).head().0, 200);
    let (mut left, mut part) = (3 << 20, vec![0; 256 * 1024]);
    while left > 0 {
        std::thread::sleep(Duration::from_millis(150));
        let taken = client.take(left.min(part.len()));
        part.truncate(taken.len());
        left -= taken.len();
    }
    assert_eq!(client.get("/x", "").status, 200);
    assert_eq!(counted(&portcullis, |c| &c.stalled), 0);
}

/// A head of so many bytes, or with a target as long as that.
fn head_of(length: usize, target: bool) -> String {
    let [before, after] = match target {
        true => ["GET /", " HTTP/1.1\r\nHost: a\r\n\r\n"],
        false => ["GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n"],
    };
    let fill = "x".repeat(length - before.len() - after.len());
    format!("{before}{fill}{after}")
}

#[test]
fn a_head_has_its_size() {
    for (key, limit) in [("8 KiB", 8 << 10), ("20 KiB", 20 << 10), ("1 MiB", 1 << 20)] {
        let portcullis = start(&Origin::ok(), &format!("max_header_bytes = \"{key}\""));
        let mut client = portcullis.client();
        assert_eq!(
            client.send(head_of(limit, false)).reply().status,
            200,
            "{key}"
        );
        client.send(head_of(limit + 1, false));
        refused(&mut client, 431, "Request Header Fields Too Large");
        assert_eq!(counted(&portcullis, |c| &c.large_heads), 1);
        let mut client = portcullis.client();
        let target = head_of(limit + 100, true);
        client.send(&target[..limit]);
        refused(&mut client, 414, "URI Too Long");
        assert_eq!(counted(&portcullis, |c| &c.long_targets), 1);
    }
}

#[test]
fn a_head_has_a_hundred_fields() {
    let portcullis = start(&Origin::ok(), "");
    let fields = |count: usize| "X: y\r\n".repeat(count - 1);
    let mut client = portcullis.client();
    assert_eq!(client.get("/", &fields(100)).status, 200);
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(101)));
    refused(&mut client, 431, "Request Header Fields Too Large");
}

#[test]
fn what_is_no_head_is_400() {
    let portcullis = start(&Origin::ok(), "");
    let h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let tls = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}";
    let bad = [
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
        h2,
        tls,
    ];
    for (index, bytes) in bad.iter().enumerate() {
        let mut client = portcullis.client();
        refused(client.send(bytes), 400, "Bad Request");
        assert_eq!(
            counted(&portcullis, |c| &c.malformed_heads),
            index as u64 + 1
        );
    }
    // Behind a request that is one.
    let mut client = portcullis.client();
    client.send(format!("{WHOLE}{{}}\r\n\r\n"));
    assert_eq!(client.reply().text(), "ok");
    refused(&mut client, 400, "Bad Request");
    assert_eq!(portcullis.stop().len(), bad.len() + 2);
}

#[test]
fn the_longest_idle_makes_room() {
    let portcullis = start(&Origin::ok(), "max_connections = 3");
    let mut clients: Vec<Client> = (0..3).map(|_| portcullis.client()).collect();
    for index in [1, 0, 2, 0] {
        assert_eq!(clients[index].get("/", "").status, 200);
    }
    let mut fourth = portcullis.client();
    assert_eq!(fourth.get("/", "").status, 200);
    assert_eq!(clients[1].rest(), b"", "idle for longest");
    assert_eq!(clients[0].get("/", "").status, 200);
    let mut fifth = portcullis.client();
    assert_eq!(fifth.get("/", "").status, 200);
    assert_eq!(clients[2].rest(), b"");
    assert_eq!(counted(&portcullis, |c| &c.evicted), 2);
    eventually("closed", || open(&portcullis) == 3);
}

#[test]
fn with_none_idle_a_new_one_is_503() {
    let portcullis = start(
        &Origin::scripted(|conversation| {
            conversation.request();
            conversation.request();
        }),
        "max_connections = 2\nheader_timeout = \"1h\"",
    );
    let mut busy = portcullis.client();
    busy.send(WHOLE);
    let _silent = portcullis.client();
    eventually("open", || open(&portcullis) == 2);
    // Many at once are refused, too, and cost no more than a moment each.
    let mut crowd: Vec<Client> = (0..200).map(|_| portcullis.client()).collect();
    refused(crowd[0].send(WHOLE), 503, "Service Unavailable");
    eventually("refused", || counted(&portcullis, |c| &c.refused) == 200);
    drop(busy);
    eventually("room", || open(&portcullis) < 2);
    drop(crowd);
    let mut next = portcullis.client();
    next.send("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(next.reply().status, 400);
}

#[test]
fn without_descriptors_the_longest_idle_makes_room() {
    let policy = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n";
    let mut program = Program::start(&Origin::ok(), policy);
    let pid = program.id().to_string();
    let limited = Command::new("prlimit")
        .args(["--nofile=40:40", "--pid", &pid])
        .status();
    if !limited.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there is no prlimit");
    }
    let clients: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = program.client();
            assert_eq!(client.get("/%zz", "").status, 400);
            client
        })
        .collect();
    program.says("a connection cannot be accepted");
    drop(clients);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let target = asked.line().split(' ').nth(1).unwrap().to_owned();
            let length = target.len();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"
            ));
        }
    });
    let portcullis = start(&origin, "");
    let mut client = portcullis.client();
    let requests: String = (0..100)
        .map(|n| format!("GET /{n} HTTP/1.1\nHost: a\n\n"))
        .collect();
    client.send(requests);
    for n in 0..100 {
        assert_eq!(client.reply().text(), format!("/{n}"));
    }
}

#[test]
fn a_client_that_half_closes_is_still_answered() {
    let portcullis = start(&Origin::ok(), "");
    for (target, status) in [("/%zz", 400), ("/", 200)] {
        let mut client = portcullis.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.reply().status, status);
        assert_eq!(client.rest(), b"");
    }
    eventually("closed", || open(&portcullis) == 0);
}

#[test]
fn a_client_that_is_gone_ends_its_request() {
    let (gone, was_gone) = mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let origin = Origin::scripted(move |conversation| {
        conversation.head();
        // The next head is the end of the connection.
        assert!(conversation.head().is_none());
        gone.lock().unwrap().send(()).unwrap();
    });
    let portcullis = start(&origin, "");
    let mut client = portcullis.client();
    client.send(WHOLE);
    eventually("asked", || open(&portcullis) == 1);
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    was_gone.recv_timeout(Duration::from_secs(10)).unwrap();
    let line = portcullis.stop().remove(0);
    assert_eq!(line["status"], 499);
}

#[test]
fn a_half_sent_head_does_not_hold_a_drain() {
    let portcullis = start(
        &Origin::ok(),
        "header_timeout = \"500ms\"\ndrain_timeout = \"1h\"",
    );
    let (mut fresh, mut kept, mut late) = (
        portcullis.client(),
        portcullis.client(),
        portcullis.client(),
    );
    assert_eq!(kept.get("/", "").status, 200);
    for client in [&mut fresh, &mut kept, &mut late] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    }
    // By the worker's order, all three have been read when this is answered.
    assert_eq!(portcullis.client().get("/", "").status, 200);
    portcullis.server.stop().drain();
    late.send("\r\n");
    let reply = late.reply();
    assert_eq!(
        (reply.text(), reply.field("connection").unwrap().as_str()),
        ("ok", "close")
    );
    refused(&mut fresh, 408, "Request Timeout");
    refused(&mut kept, 408, "Request Timeout");
    portcullis.finish();
}

/// Says these interim heads and then the answer to every request.
fn hinting(interim: String) -> Origin {
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&interim);
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn early_hints_are_passed_on() {
    let hint =
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: a\r\n\r\n";
    let origin = hinting(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{hint}"
    ));
    let portcullis = start(&origin, "");
    let mut client = portcullis.client();
    for _ in 0..3 {
        client.send(WHOLE);
        assert_eq!(client.head().0, 102);
        let (status, head) = client.head();
        assert_eq!(
            (status, Reply::find(&head, "link").as_deref()),
            (103, Some("</a.css>"))
        );
        assert!(
            Reply::find(&head, "via")
                .unwrap()
                .starts_with("1.1 portcullis-"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("hop"), "{head}");
        assert_eq!(client.reply().text(), "ok");
    }
    let mut old = portcullis.client();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(old.reply().status, 200);
}

#[test]
fn a_flood_of_hints_ends_with_the_answer() {
    let portcullis = start(
        &hinting("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10_000)),
        "",
    );
    let mut client = portcullis.client();
    client.send(WHOLE);
    let mut hints = 0;
    while client.head().0 == 103 {
        hints += 1;
    }
    assert!(hints <= 16, "{hints}");
    assert_eq!(client.take(2), b"ok");
    assert_eq!(client.get("/", "").status, 103);
}

#[test]
fn a_thousand_idle_connections_are_held_while_others_are_served() {
    let portcullis = start(&Origin::ok(), "max_connections = 1100");
    let mut idle: Vec<Client> = (0..1000)
        .map(|_| {
            let mut client = portcullis.client();
            assert_eq!(client.get("/%zz", "").status, 400);
            client
        })
        .collect();
    let mut busy = portcullis.client();
    for _ in 0..100 {
        assert_eq!(busy.get("/", "").status, 200);
    }
    assert_eq!(open(&portcullis), 1001);
    for client in &mut idle {
        assert_eq!(client.get("/%zz", "").status, 400);
    }
}

/// Opens as many connections as it is told, sends a request on each and waits
/// for its answer; then for the end of its standard input.
const CROWD: &str = r#"
import resource, socket, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
port, count = int(sys.argv[1]), int(sys.argv[2])
idle = []
for n in range(count):
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: crowd\r\n\r\n")
    got = b""
    while not got.endswith(b"ok"):
        part = s.recv(4096)
        assert part, got
        got += part
    idle.append(s)
print("ready", flush=True)
sys.stdin.read()
closed = 0
for s in idle:
    s.setblocking(False)
    try:
        closed += s.recv(1) == b""
    except BlockingIOError:
        pass
print(closed, flush=True)
"#;

/// Takes about ten seconds and 10,000 open files in each of two processes.
#[test]
#[ignore = "long; run with --ignored"]
fn ten_thousand_idle_connections_are_held_while_others_are_served() {
    const COUNT: u64 = 10_000;
    let policy =
        "[server]\nlisten = [\"127.0.0.1:0\"]\nmax_connections = 10100\nidle_timeout = \"1h\"\n";
    let program = Program::start(&Origin::ok(), policy);
    assert_eq!(program.client().get("/", "").status, 200);
    let before = program.memory("VmRSS") as u64;
    let mut crowd = Command::new("python3")
        .args([
            "-c",
            CROWD,
            &program.address.port().to_string(),
            &COUNT.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(crowd.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    let each = (program.memory("VmRSS") as u64 - before) / COUNT;
    println!("{each} bytes a connection");
    let mut busy = program.client();
    for _ in 0..1000 {
        assert_eq!(busy.get("/", "").status, 200);
    }
    drop(crowd.stdin.take());
    assert_eq!(said.next().unwrap().unwrap(), "0", "closed meanwhile");
    assert!(crowd.wait().unwrap().success());
    assert!(each <= 12 * 1024, "{each} bytes a connection");
}

/// Pieces of HTTP, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let heads = [
        WHOLE,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        "HEAD http://a/ HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n",
    ];
    prop_oneof![
        4 => prop::sample::select(heads.to_vec()).prop_map(|head| head.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// The bytes, and where they are changed and split.
type Stream = (
    Vec<Vec<u8>>,
    Vec<(prop::sample::Index, u8)>,
    Vec<prop::sample::Index>,
    bool,
);

fn streams() -> impl Strategy<Value = Stream> {
    (
        prop::collection::vec(pieces(), 1..6),
        prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        any::<bool>(),
    )
}

#[test]
fn whatever_comes_is_answered_or_closed_and_the_next_is_served() {
    let times = ["header", "idle", "stall"].map(|name| format!("{name}_timeout = \"100ms\"\n"));
    let toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{}[origin]\nurl = \"@origin@\"\nresponse_timeout = \"1s\"\n",
        times.concat()
    );
    let portcullis = Portcullis::start(&Origin::ok(), &toml);
    let cases = std::env::var("PROPTEST_CASES").map_or(48, |cases| cases.parse().unwrap());
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let outcome = TestRunner::new(config).run(&streams(), |(pieces, changes, splits, half)| {
        let mut bytes = pieces.concat();
        for (at, byte) in changes.iter().filter(|_| !pieces.concat().is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let mut splits: Vec<usize> = splits.iter().map(|at| at.index(bytes.len() + 1)).collect();
        splits.extend([0, bytes.len()]);
        splits.sort_unstable();
        let mut client = portcullis.client();
        for part in splits.windows(2) {
            // It may have been closed already.
            let _ = std::io::Write::write_all(&mut client.stream, &bytes[part[0]..part[1]]);
            std::thread::yield_now();
        }
        if half {
            let _ = client.stream.shutdown(Shutdown::Write);
        }
        let mut said = Vec::new();
        let end = client.stream.read_to_end(&mut said);
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        prop_assert!(!timed_out, "neither answered nor closed: {said:?}");
        prop_assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{said:?}");
        prop_assert_eq!(portcullis.client().get("/", "").status, 200);
        Ok(())
    });
    outcome.unwrap();
    eventually("all closed", || open(&portcullis) == 0);
}
