//! Starting, stopping, and what a bad request costs.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{Origin, Portcullis, eventually};

#[test]
fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::scripted(move |conversation| {
        conversation.request();
        wait.lock().unwrap().recv().unwrap();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let portcullis = Portcullis::start(&origin, "");
    let (mut busy, mut idle) = (portcullis.client(), portcullis.client());
    assert_eq!(idle.get("/%zz", "").status, 400);
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("asked", || origin.asked().len() == 1);
    let address = portcullis.address;
    portcullis.server.stop().drain();
    assert_eq!(idle.rest(), b"", "an idle connection is closed");
    eventually("refused", || std::net::TcpStream::connect(address).is_err());
    go.send(()).unwrap();
    let reply = busy.reply();
    assert_eq!(
        (reply.text(), reply.field("connection").as_deref()),
        ("ok", Some("close"))
    );
    assert_eq!(busy.rest(), b"");
    let start = Instant::now();
    assert_eq!(portcullis.stop().len(), 2);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn draining_has_an_end_and_can_be_cut_short() {
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.request();
    });
    let policy = "[server]\nlisten = [\"127.0.0.1:0\"]\ndrain_timeout = \"@time@\"\n";
    for (time, now) in [("300ms", false), ("1h", true)] {
        let portcullis = Portcullis::start(&origin, &policy.replace("@time@", time));
        let mut client = portcullis.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let before = origin.asked().len();
        eventually("asked", || {
            origin.asked().len() > before || !origin.asked().is_empty()
        });
        let start = Instant::now();
        portcullis.server.stop().drain();
        if now {
            portcullis.server.stop().now();
        }
        portcullis.finish();
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_panic_costs_one_connection() {
    let portcullis = Portcullis::start(
        &Origin::ok(),
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n",
    );
    let (mut victim, mut other) = (portcullis.client(), portcullis.client());
    assert_eq!(victim.get("/", "").text(), "ok");
    assert_eq!(other.get("/", "").text(), "ok");
    // No configuration compiles to a snapshot without routes; looking one up
    // panics.
    let routes = portcullis.policy.load().routes.clone();
    portcullis.swap(|snapshot| snapshot.routes.clear());
    victim.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| victim.rest()));
    assert!(gone.is_err() || gone.unwrap().is_empty());
    portcullis.swap(|snapshot| snapshot.routes = routes);
    assert_eq!(other.get("/", "").text(), "ok");
    assert_eq!(portcullis.client().get("/", "").text(), "ok");
}

#[test]
fn every_request_goes_by_the_policy_in_force() {
    let portcullis = Portcullis::start(&Origin::ok(), "[access.user_agent]\nblock = [\"bad\"]\n");
    let mut client = portcullis.client();
    assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
    portcullis.swap(|snapshot| {
        snapshot.generation = 2;
        for route in &mut snapshot.routes {
            route.rules.user_agent =
                std::sync::Arc::new(portcullis::access::user_agent::UserAgentRule {
                    block: None,
                    shadow: false,
                });
        }
    });
    assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 200);
    let lines = portcullis.stop();
    assert_eq!(
        (&lines[0]["generation"], &lines[1]["generation"]),
        (&1.into(), &2.into())
    );
}
