//! Who takes all places and asks for nothing.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use super::{MANY, WHOLE, gets_in};
use crate::http2::held;
use crate::support::{Client, eventually, tried};
use crate::tls_clients::Edge;

const PLACES: usize = 20;

/// All places but one.
const SILENT: usize = PLACES - 1;

/// How they connect, and what each sends and then no more.
const WAYS: [(&str, Entrance, &[u8]); 7] = [
    ("nothing", Entrance::Plain, b""),
    ("half a head", Entrance::Plain, b"GET / HTTP/1.1\r\nHo"),
    ("blank lines", Entrance::Plain, b"\r\n\r\n\r\n"),
    ("nothing by TLS", Entrance::Tls, b""),
    (
        "half a ClientHello",
        Entrance::Tls,
        b"\x16\x03\x01\x02\0\x01\0",
    ),
    ("nothing from a proxy", Entrance::Proxy, b""),
    (
        "half a PROXY header",
        Entrance::Proxy,
        b"PROXY TCP4 192.0.2.",
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entrance {
    Plain,
    Tls,
    Proxy,
}

/// Takes all places so, and has others want one.
fn is_made(what: &str, entrance: Entrance, bytes: &[u8]) {
    let (origin, let_go) = held();
    let server =
        format!("max_connections = {PLACES}\nheader_timeout = \"1h\"\nidle_timeout = \"1h\"\n");
    let header: &[u8] = match entrance {
        Entrance::Proxy => b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n",
        _ => b"",
    };
    let tables = match entrance {
        Entrance::Proxy => "[client]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n",
        _ => "",
    };
    let edge = Edge::start_by(&origin, "handshake_timeout = \"1h\"", &server, tables);
    let plain = edge.portcullis.address;
    let one = || {
        let mut client = Client::connect(plain);
        client.send(header);
        client
    };
    let mut busy = one();
    busy.send(WHOLE);
    eventually("asked", || origin.count() == 1);
    let address: SocketAddr = match entrance {
        Entrance::Tls => edge.address(),
        _ => plain,
    };
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        silent.push(stream);
    }
    eventually("all places are taken", || {
        edge.counted(|c| c.open.get()) as usize == PLACES
    });
    eventually(what, || gets_in(plain, header));
    // While there are such, nobody else has to go.
    let mut idle = one();
    assert_eq!(idle.get("/now", "").text(), "ok");
    let mut others: Vec<_> = (0..5).map(|_| one()).collect();
    for other in &mut others {
        assert_eq!(other.get("/now", "").text(), "ok", "{what}");
    }
    assert_eq!(idle.get("/now", "").text(), "ok", "{what}");
    assert!(edge.counted(|c| c.evicted.get()) >= 5, "{what}");
    assert_eq!(edge.counted(|c| c.failed_handshakes.get()), 0, "{what}");
    assert_eq!(edge.counted(|c| c.no_proxy_headers.get()), 0, "{what}");
    let_go.send(()).unwrap();
    assert_eq!(busy.reply().text(), "ok", "{what}");
}

#[test]
fn who_never_asks_makes_room() {
    std::thread::scope(|scope| {
        for (what, entrance, bytes) in WAYS {
            scope.spawn(move || is_made(what, entrance, bytes));
        }
    });
    tried(MANY, WAYS.len() * SILENT);
}
