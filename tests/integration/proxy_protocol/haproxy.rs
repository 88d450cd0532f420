//! HAProxy as the one who sends the header: what our own might only agree
//! about with ourselves. Skipped where it is missing.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};

use super::{TRUSTED, closed, start, who};
use crate::support::{Client, Haproxy, Origin, Portcullis, eventually, is_installed};

/// A client of `server` with an address of its own.
fn client(server: SocketAddr, own: &str) -> Client {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
    let own = SocketAddr::new(own.parse().unwrap(), 0);
    socket.bind(&own.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::on(TcpStream::from(socket))
}

#[test]
fn its_clients_are_told_apart() {
    if !is_installed("haproxy") {
        return;
    }
    for keyword in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c",
    ] {
        let origin = Origin::ok();
        let portcullis = start(&origin, "", "[access.ip]\nblock = [\"127.0.0.66\"]\n");
        let haproxy = Haproxy::start("127.0.0.1", portcullis.address, keyword);
        let mut one = client(haproxy.address, "127.0.0.5");
        assert_eq!(one.get("/", "").status, 200);
        assert_eq!(one.get("/", "").status, 200);
        let mut blocked = client(haproxy.address, "127.0.0.66");
        assert_eq!(blocked.get("/", "").status, 403);
        for asked in origin.asked() {
            assert_eq!(asked.field("x-forwarded-for").unwrap(), "127.0.0.5");
        }
        drop((one, blocked, haproxy));
        assert_eq!(closed(&portcullis), 0);
        let lines = portcullis.stop();
        let clients: Vec<[&str; 3]> = lines.iter().map(who).collect();
        let expected = ["127.0.0.5", "127.0.0.5", "127.0.0.66"];
        assert_eq!(clients, expected.map(|at| [at, at, "proxy_protocol"]));
    }
}

#[test]
fn by_ipv6_too() {
    if !is_installed("haproxy") {
        return;
    }
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: no IPv6");
        return;
    }
    for keyword in ["send-proxy", "send-proxy-v2"] {
        let portcullis = start(&Origin::ok(), "", "");
        let haproxy = Haproxy::start("::1", portcullis.address, keyword);
        let mut one = client(haproxy.address, "::1");
        assert_eq!(one.get("/", "").status, 200);
        drop((one, haproxy));
        let lines = portcullis.stop();
        assert_eq!(who(&lines[0]), ["::1", "::1", "proxy_protocol"]);
    }
}

/// Its checks are for nobody: LOCAL in version 2, UNKNOWN in version 1.
#[test]
fn its_checks_are_its_own() {
    if !is_installed("haproxy") {
        return;
    }
    for keyword in ["send-proxy", "send-proxy-v2"] {
        let portcullis = start(&Origin::ok(), "", "");
        let keywords = format!("{keyword} check-send-proxy check inter 50ms");
        let haproxy = Haproxy::start("127.0.0.1", portcullis.address, &keywords);
        let counters = portcullis.server.counters();
        eventually("checked", || {
            counters.sum(|worker| worker.connections.accepted.get()) > 5
        });
        let mut one = client(haproxy.address, "127.0.0.5");
        assert_eq!(one.get("/", "").status, 200);
        assert_eq!(closed(&portcullis), 0);
    }
}

/// It was told to be trusted, and not to send the header.
#[test]
fn without_the_header_nothing_gets_through() {
    if !is_installed("haproxy") {
        return;
    }
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, TRUSTED);
    let haproxy = Haproxy::start("127.0.0.1", portcullis.address, "");
    let mut one = client(haproxy.address, "127.0.0.5");
    one.ask("GET", "/", "");
    assert_eq!(one.until_cut(), b"");
    eventually("counted", || closed(&portcullis) == 1);
    assert_eq!(origin.count(), 0);
}
