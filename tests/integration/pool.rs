//! Connections to the origin: none is lost, and none is one too many.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::bodies::with;
use crate::support::{Origin, Portcullis, eventually};

/// Every way in which a request can end leaves its connection free.
#[test]
fn no_connection_is_lost() {
    let origin = Origin::scripted(|conversation| {
        while let Some(head) = conversation.head() {
            match head.split(' ').nth(1).unwrap() {
                "/ok" => conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
                "/none" => conversation.say("HTTP/1.1 204 No Content\r\n\r\n"),
                "/garbage" => conversation.say("garbage\r\n\r\n"),
                "/coding" => conversation
                    .say("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
                "/cut" => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
                    return;
                }
                "/long" => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
                    while conversation.stream.write_all(&[b'x'; 65536]).is_ok() {}
                    return;
                }
                "/upgrade" => conversation.say("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
                // Silence, until the other side goes.
                _ => {
                    let _ = conversation.stream.read_to_end(&mut Vec::new());
                    return;
                }
            }
        }
    });
    let settings = with(
        "stall_timeout = \"200ms\"\nmax_body = \"1 MiB\"",
        "max_connections = 1\nresponse_timeout = \"200ms\"\nretries = 0",
    );
    let portcullis = Portcullis::start(&origin, &settings);
    let get = |path: &str, status: u16| {
        let mut client = portcullis.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.head().0, status, "{path}");
    };
    let leave = |request: &str| {
        let mut client = portcullis.client();
        client.send(request);
        std::thread::sleep(Duration::from_millis(20));
    };
    for _ in 0..2 {
        for (path, status) in [
            ("/none", 204),
            ("/garbage", 502),
            ("/coding", 502),
            ("/cut", 200),
            ("/upgrade", 502),
            ("/silence", 504),
            ("/long", 200),
        ] {
            get(path, status);
            get("/ok", 200);
        }
        leave("GET /silence HTTP/1.1\r\nHost: a\r\n\r\n");
        leave("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
        leave("POST /silence HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx");
        get("/ok", 200);
        // Left while waiting in line.
        let mut holder = portcullis.client();
        holder.send("GET /silence HTTP/1.1\r\nHost: a\r\n\r\n");
        leave("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n");
        get("/ok", 200);
    }
    let counters = portcullis.server.counters();
    eventually("nothing is in use", || {
        counters.sum(|worker| worker.origin.busy.get()) == 0
    });
    assert!(counters.sum(|worker| worker.origin.idle.get()) <= 1);
    assert!(counters.sum(|worker| worker.origin.waited.get()) > 0);
}

#[test]
fn a_lowered_maximum_closes_what_is_too_many() {
    let origin = Origin::scripted(|conversation| {
        while conversation.request().is_some() {
            std::thread::sleep(Duration::from_millis(50));
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let portcullis = Portcullis::start(&origin, &with("", "max_connections = 8"));
    let idle = || {
        let counters = portcullis.server.counters();
        counters.sum(|worker| worker.origin.idle.get())
    };
    let round = || {
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let mut client = portcullis.client();
                std::thread::spawn(move || assert_eq!(client.get("/", "").status, 200))
            })
            .collect();
        asking.into_iter().for_each(|asked| asked.join().unwrap());
    };
    round();
    eventually("all are kept", || idle() == 8);
    portcullis.swap(|snapshot| {
        for route in &mut snapshot.routes {
            Arc::make_mut(&mut route.origin).max_connections = 2;
        }
    });
    round();
    eventually("no more than two are kept", || idle() <= 2);
}
