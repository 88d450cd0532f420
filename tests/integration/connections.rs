//! The client's connection: its timeouts, its limits, and how it ends.

mod anything;
mod interim;
mod limits;

use std::io::Read as _;
use std::net::Shutdown;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portcullis::log::counters::{ConnectionCounters, Counter};
use socket2::{Domain, Socket, Type};

use crate::support::{Client, Origin, Portcullis, eventually};

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
}

#[test]
fn half_a_head_behind_a_whole_one_is_no_way_to_stay() {
    for keys in [
        "idle_timeout = \"200ms\"\nheader_timeout = \"1h\"",
        "idle_timeout = \"1h\"\nheader_timeout = \"200ms\"",
    ] {
        let portcullis = start(&Origin::ok(), keys);
        let mut half = portcullis.client();
        half.send(format!("{WHOLE}GET / HT"));
        assert_eq!(half.reply().status, 200);
        let rest = half.rest();
        assert!(
            rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "),
            "{rest:?}"
        );
    }
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

/// Reads so fast that much may wait for it.
fn fast_reader(portcullis: &Portcullis) -> Client {
    let address = portcullis.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    // With these its window opens in small steps.
    socket.set_recv_buffer_size(256 * 1024).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut client = Client::on(socket.into());
    assert_eq!(client.send(WHOLE).head().0, 200);
    let mut part = vec![0; 1 << 20];
    for _ in 0..64 {
        client.stream.read_exact(&mut part).unwrap();
    }
    client
}

#[test]
fn a_fast_reader_that_becomes_slow_is_served() {
    let portcullis = start(&endless(), "stall_timeout = \"1s\"");
    let mut client = fast_reader(&portcullis);
    let mut part = vec![0; 128 * 1024];
    for _ in 0..16 {
        std::thread::sleep(Duration::from_millis(250));
        client.stream.read_exact(&mut part).unwrap();
    }
    assert_eq!(counted(&portcullis, |c| &c.stalled), 0);
}

#[test]
fn a_fast_reader_that_stops_is_cut() {
    let portcullis = start(&endless(), "stall_timeout = \"500ms\"");
    let _client = fast_reader(&portcullis);
    eventually("stalled", || counted(&portcullis, |c| &c.stalled) == 1);
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
    // What fills the cache goes on without its client.
    let portcullis = start(&origin, "[cache]\nmemory = \"0\"");
    for pipelined in ["", "GET /b HT", WHOLE] {
        let mut client = portcullis.client();
        client.send(format!("{WHOLE}{pipelined}"));
        eventually("asked", || open(&portcullis) == 1);
        std::thread::sleep(Duration::from_millis(50));
        drop(client);
        was_gone
            .recv_timeout(Duration::from_secs(10))
            .unwrap_or_else(|_| panic!("after {pipelined:?}"));
        eventually("closed", || open(&portcullis) == 0);
    }
    let lines = portcullis.stop();
    assert!(lines.iter().all(|line| line["status"] == 499), "{lines:?}");
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
