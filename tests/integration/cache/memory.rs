//! `cache.memory` bounds what is held, and nobody's response suffers from it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::support::{FRESH, ok, until_stored};
use crate::support::{Client, Origin, Portcullis, Program, eventually};

const POLICY: &str = "[cache]\nmemory = \"1 MiB\"\n";
const EACH: usize = 100 * 1024;

/// Answers each path with a body of its own: its path, over and over.
fn bodies(length: usize) -> Origin {
    Origin::answered_by(move |asked| ok(FRESH, &body(asked.target(), length)))
}

fn body(path: &str, length: usize) -> String {
    path.repeat(length / path.len() + 1)[..length].to_owned()
}

fn is_stored(client: &mut Client, path: &str) -> bool {
    client.get(path, "Cache-Control: only-if-cached\r\n").status == 200
}

#[test]
fn what_is_new_makes_room_by_what_is_old() {
    let origin = bodies(EACH);
    let proxy = Portcullis::start(&origin, POLICY);
    let mut client = proxy.client();
    let paths: Vec<String> = (100..140).map(|number| format!("/{number}")).collect();
    for path in &paths {
        assert_eq!(client.get(path, "").text(), body(path, EACH));
    }
    let kept = paths
        .iter()
        .filter(|path| is_stored(&mut client, path))
        .count();
    assert!((5..=10).contains(&kept), "{kept} of 100 KiB in 1 MiB");
    assert!(!is_stored(&mut client, "/100"), "the oldest went");
    assert!(is_stored(&mut client, "/139"), "the newest came");
}

#[test]
fn a_body_longer_than_the_memory_passes_through() {
    let length = 4 << 20;
    let origin = bodies(length);
    let proxy = Portcullis::start(&origin, POLICY);
    let mut client = proxy.client();
    for count in 1..=2 {
        assert!(client.get("/long", "").text() == body("/long", length));
        assert_eq!(origin.count(), count);
    }
}

/// A crowd whose responses together are over the bound: each is whole.
#[test]
fn a_crowd_that_asks_for_more_than_fits_gets_it_all() {
    let origin = bodies(EACH);
    let proxy = Portcullis::start(&origin, POLICY);
    let ask = |number: usize| {
        let mut client = proxy.client();
        client.ask("GET", &format!("/{}", 100 + number % 30), "");
        client
    };
    let mut crowd: Vec<_> = (0..60).map(ask).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        let path = format!("/{}", 100 + number % 30);
        assert!(client.reply().text() == body(&path, EACH), "{path}");
    }
}

/// What is evicted while somebody reads it is whole for that reader.
#[test]
fn a_reader_keeps_what_it_reads() {
    let length = 600 * 1024;
    let origin = bodies(length);
    let proxy = Portcullis::start(&origin, POLICY);
    let mut slow = proxy.client();
    let mut client = proxy.client();
    client.get("/slow", "");
    until_stored(&proxy, "/slow");
    slow.ask("GET", "/slow", "").head();
    for number in 0..5 {
        let path = format!("/{number}");
        assert!(
            client.get(&path, "").text() == body(&path, length),
            "{path}"
        );
    }
    assert!(slow.take(length) == body("/slow", length).as_bytes());
}

/// A body that was handed over and that its client does not take counts, also
/// when it had to make room.
#[test]
fn what_clients_do_not_take_is_not_there_for_others() {
    const LENGTH: usize = 170 * 1024;
    let origin = bodies(LENGTH);
    let proxy = Portcullis::start(&origin, POLICY);
    let mut client = proxy.client();
    let mut stuck = Vec::new();
    for number in 0..4 {
        let path = format!("/{number}");
        client.get(&path, "");
        until_stored(&proxy, &path);
        stuck.push(without_room(proxy.address, &path));
    }
    for number in 4..10 {
        let path = format!("/{number}");
        assert!(client.get(&path, "").text() == body(&path, LENGTH));
        assert!(!is_stored(&mut client, &path), "{path}: there is no room");
    }
    drop(stuck);
    eventually("there is room again", || {
        client.get("/10", "");
        is_stored(&mut client, "/10")
    });
}

/// Asks, and takes next to nothing of what comes.
fn without_room(address: SocketAddr, path: &str) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: img.example.com\r\n\r\n"
    )
    .unwrap();
    // With the first byte of it all was handed over.
    stream.peek(&mut [0]).unwrap();
    stream
}

/// The process as a whole keeps to the bound, whatever the sizes are: many
/// small responses cost what they take beside their bodies.
#[test]
fn the_process_takes_what_it_was_given() {
    const MIB: usize = 1 << 20;
    // What workers, connections and the allocator take beside the cache.
    const BESIDE: usize = 24 * MIB;
    for (memory, length, count) in [(16, 700, 40_000), (16, 60_000, 1500), (16, 2_000_000, 60)] {
        let origin = bodies(length);
        let policy = format!("[cache]\nmemory = \"{memory} MiB\"\n[log]\naccess = \"off\"\n");
        let program = Program::start(&origin, &policy);
        let before = program.memory("VmHWM");
        std::thread::scope(|scope| {
            for half in 0..2 {
                let mut client = program.client();
                scope.spawn(move || {
                    for number in 0..count / 2 {
                        client.get(&format!("/{half}/{number}"), "");
                    }
                });
            }
        });
        let grown = program.memory("VmHWM") - before;
        let most = memory * MIB + BESIDE;
        eprintln!("{count} of {length}: {} KiB", grown / 1024);
        assert!(
            grown < most,
            "{count} of {length} bytes: {grown} and not {most}"
        );
        assert!(grown > memory * MIB / 2, "the cache was full: {grown}");
    }
}
