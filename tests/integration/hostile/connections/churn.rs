//! Clients that come and go.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::version::TLS13;

use super::{LAST, MANY, WHOLE, descriptors, gets_in, metric, program};
use crate::support::{Origin, eventually, tried};
use crate::tls_clients::Edge;

/// What a client does between its coming and its going.
#[derive(Clone, Copy)]
enum Way {
    /// Sends these bytes, by TLS or in the clear, and goes.
    Send(Entrance, &'static [u8]),
    /// The same, and goes with a reset.
    Reset(Entrance, &'static [u8]),
    /// Asks, closes its side, and reads the answer.
    HalfClose,
    /// Asks, and closes with the answer unread.
    Unread,
    /// Sends the first bytes of a real handshake, and goes.
    Hello,
}

#[derive(Clone, Copy)]
enum Entrance {
    Plain,
    Tls,
}

const WAYS: [Way; 10] = [
    Way::Send(Entrance::Plain, b""),
    Way::Send(Entrance::Tls, b""),
    Way::Reset(Entrance::Plain, b""),
    Way::Reset(Entrance::Plain, b"GET / HT"),
    Way::Reset(Entrance::Plain, WHOLE.as_bytes()),
    Way::Reset(
        Entrance::Plain,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ),
    Way::Reset(Entrance::Tls, b"\x16\x03\x01"),
    Way::HalfClose,
    Way::Unread,
    Way::Hello,
];

/// How often each in a round, where nobody asks for more.
const TIMES: usize = 300;

const ROUNDS: usize = 4;

/// What they may leave behind the first round, in bytes: what the system gives
/// back late, and not a kibibyte of each connection.
const LEFT: usize = 8 << 20;

fn times() -> usize {
    let times = std::env::var("PORTCULLIS_CHURN").ok();
    times.map_or(TIMES, |times| times.parse().unwrap())
}

fn come_and_go(way: Way, plain: SocketAddr, tls: SocketAddr, hello: &[u8]) {
    let connect = |entrance| match entrance {
        Entrance::Plain => TcpStream::connect(plain).unwrap(),
        Entrance::Tls => TcpStream::connect(tls).unwrap(),
    };
    match way {
        Way::Send(entrance, bytes) => connect(entrance).write_all(bytes).unwrap(),
        Way::Reset(entrance, bytes) => {
            let mut stream = connect(entrance);
            stream.write_all(bytes).unwrap();
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        Way::HalfClose => {
            let mut stream = connect(Entrance::Plain);
            stream.write_all(LAST.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
        }
        Way::Unread => {
            let mut stream = connect(Entrance::Plain);
            stream.write_all(WHOLE.as_bytes()).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        Way::Hello => connect(Entrance::Tls).write_all(hello).unwrap(),
    }
}

#[test]
fn who_comes_and_goes_leaves_nothing() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 2\r\n\r\nok",
    );
    let (edge, folder) = (
        Edge::start_with(&origin, "", ""),
        tempfile::tempdir().unwrap(),
    );
    let (program, tls) = program(&edge, &origin, &folder, "");
    let plain = program.address;
    let name = "img.example.com".try_into().unwrap();
    let config = edge.config_for(&[&TLS13], b"http/1.1");
    let mut hello = Vec::new();
    let mut connection = ClientConnection::new(config.into(), name).unwrap();
    connection.write_tls(&mut hello).unwrap();
    assert!(gets_in(plain, b""));
    let round = || {
        std::thread::scope(|scope| {
            for way in WAYS {
                let hello = &hello;
                scope.spawn(move || {
                    for _ in 0..times() {
                        come_and_go(way, plain, tls, hello);
                    }
                });
            }
        });
        // The one that asks is open itself.
        eventually("all are closed", || {
            metric(&program, "portcullis_connections") == 0.0
        });
    };
    round();
    let files = descriptors(&program);
    let memory = program.memory("VmRSS");
    (0..ROUNDS).for_each(|_| round());
    let grown = program.memory("VmRSS").saturating_sub(memory);
    let all = WAYS.len() * times() * (1 + ROUNDS);
    println!("{all} came and went: {grown} bytes more than after the first round");
    assert!(grown < LEFT * times() / TIMES, "{grown} bytes more");
    assert!(gets_in(plain, b""));
    eventually("its files are closed", || descriptors(&program) <= files);
    let accepted = metric(&program, "portcullis_connections_accepted_total");
    assert_eq!(accepted as usize, all + 2, "and the two who were served");
    tried(MANY, WAYS.len() * TIMES * (1 + ROUNDS));
}
