//! The keys of `[origin]`.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::differ;
use crate::support::{Authority, Origin, Portcullis, TlsOrigin};

#[test]
fn origin_url() {
    let (one, two) = (Origin::ok(), Origin::ok());
    for (origin, other, prefix) in [(&one, &two, ""), (&two, &one, "/bucket/a")] {
        let before = other.asked().len();
        let toml = format!("[origin]\nurl = \"http://{}{prefix}\"", origin.address);
        assert_eq!(
            Portcullis::start(&one, &toml)
                .client()
                .get("/x?y", "")
                .status,
            200
        );
        let asked = origin.asked().pop().unwrap();
        assert_eq!(asked.line(), format!("GET {prefix}/x?y HTTP/1.1"));
        assert_eq!(other.asked().len(), before);
    }
}

#[test]
fn origin_host() {
    let host = |mode: &str| {
        let origin = Origin::ok();
        let toml = format!("[origin]\nurl = \"@origin@\"\nhost = \"{mode}\"");
        Portcullis::start(&origin, &toml).client().get("/", "");
        (
            origin.only().field("host").unwrap(),
            origin.address.to_string(),
        )
    };
    assert_eq!(host("preserve").0, "img.example.com");
    let (own, address) = host("origin");
    assert_eq!(own, address);
    assert_eq!(host("bucket.example:81").0, "bucket.example:81");
}

/// How long it takes until a request is given up.
fn until_504(origin: &Origin, toml: &str) -> Duration {
    let proxy = Portcullis::start(origin, toml);
    let start = Instant::now();
    assert_eq!(proxy.client().get("/", "").status, 504);
    start.elapsed()
}

/// A listener that nobody accepts from, its queue full: connecting to it hangs.
fn full_listener() -> (TcpListener, Vec<socket2::Socket>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let fill = (0..4).map(|_| {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // In progress, for ever.
        let _ = socket.connect(&address.into());
        socket
    });
    let fill = fill.collect();
    (listener, fill)
}

#[test]
fn origin_ca_file() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let origin = TlsOrigin::ok(&ours.issue(&["localhost"]));
    for (authority, status) in [(&ours, 200), (&theirs, 502)] {
        let portcullis = origin.behind(authority, "");
        assert_eq!(portcullis.client().get("/", "").status, status);
    }
}

#[test]
fn origin_connect_timeout() {
    let (listener, _queue) = full_listener();
    let takes = |timeout: &str| {
        let toml = format!(
            "[origin]\nurl = \"http://{}\"\nconnect_timeout = \"{timeout}\"\nretries = 0",
            listener.local_addr().unwrap()
        );
        until_504(&Origin::ok(), &toml)
    };
    differ(takes("50ms"), takes("1s"));
}

#[test]
fn origin_response_timeout() {
    let takes = |timeout: &str| {
        let origin = Origin::scripted(|conversation| while conversation.request().is_some() {});
        let toml =
            format!("[origin]\nurl = \"@origin@\"\nresponse_timeout = \"{timeout}\"\nretries = 0");
        until_504(&origin, &toml)
    };
    differ(takes("50ms"), takes("1s"));
}

#[test]
fn origin_max_connections() {
    let status_of_second = |most: usize| {
        let origin = Origin::scripted(|conversation| {
            while let Some(asked) = conversation.request() {
                if asked.line().contains("/held") {
                    conversation.head();
                    return;
                }
                conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        let toml = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
             [origin]\nurl = \"@origin@\"\nmax_connections = {most}\nconnect_timeout = \"300ms\""
        );
        let proxy = Portcullis::start(&origin, &toml);
        let mut held = proxy.client();
        held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        crate::support::eventually("the first request is held", || origin.asked().len() == 1);
        proxy.client().get("/", "").status
    };
    assert_eq!(status_of_second(1), 503);
    assert_eq!(status_of_second(2), 200);
}

#[test]
fn origin_retries() {
    let tries = |retries: usize| {
        let origin = Origin::scripted(|conversation| {
            conversation.request();
        });
        let toml = format!("[origin]\nurl = \"@origin@\"\nretries = {retries}");
        assert_eq!(
            Portcullis::start(&origin, &toml)
                .client()
                .get("/", "")
                .status,
            502
        );
        origin.asked().len()
    };
    assert_eq!(tries(0), 1);
    assert_eq!(tries(2), 3);
}
