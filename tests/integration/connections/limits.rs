//! How large a head may be, and how many connections there may be.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{WHOLE, counted, endless, open, refused, start};
use crate::support::{Client, Origin, Program, eventually};

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

/// So many linger to be closed in order; any more are closed at once.
#[test]
fn a_crowd_that_is_refused_takes_a_bounded_number_of_descriptors() {
    const LINGERING: usize = 64;
    let policy = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmax_connections = 1\n";
    let program = Program::start(&Origin::ok(), policy);
    let descriptors = || {
        let folder = format!("/proc/{}/fd", program.id());
        std::fs::read_dir(folder).unwrap().count()
    };
    let before = descriptors();
    let _silent = program.client();
    eventually("accepted", || descriptors() > before);
    let before = descriptors();
    let mut crowd: Vec<Client> = (0..200).map(|_| program.client()).collect();
    for client in &mut crowd {
        assert_eq!(client.reply().status, 503);
        let lingering = descriptors().saturating_sub(before);
        assert!(lingering <= LINGERING + 8, "{lingering}");
    }
}

#[test]
fn as_many_files_are_opened_as_the_system_allows() {
    let program = Program::start_with(&Origin::ok(), "", |command| {
        let (name, arguments) = (command.get_program(), command.get_args());
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -Sn 100 && exec \"$0\" \"$@\""])
            .arg(name)
            .args(arguments);
        *command = limited;
    });
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(numbers[0], numbers[1], "{numbers:?}");
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

/// Its window is full whenever the system looks, but it takes all in time.
#[test]
fn a_reader_with_a_small_window_is_not_dead() {
    let portcullis = start(&endless(), "stall_timeout = \"6s\"");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket
        .connect(&portcullis.server.addresses()[0].into())
        .unwrap();
    let mut reader = std::net::TcpStream::from(socket);
    reader.write_all(WHOLE.as_bytes()).unwrap();
    let start = Instant::now();
    // A system that takes it for dead does so after twice the time.
    while start.elapsed() < Duration::from_secs(15) {
        let read = reader.read(&mut [0; 5000]);
        assert!(read.is_ok_and(|length| length > 0), "{:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(200));
    }
}
