//! Stopping under load, and rotating logs whatever becomes of the policy.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Origin, Program, eventually};

/// One request on `stream`; whether it was the last there.
fn ask(stream: &mut TcpStream) -> io::Result<bool> {
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: img.example.com\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(&part[..length]),
        }
    }
    let head = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    Ok(head.contains("\r\nconnection: close\r\n"))
}

/// Asks until nobody listens any more; every request that was sent must be
/// answered. With `keep`, on one connection for as long as it is open.
fn client(address: SocketAddr, keep: bool, answered: &AtomicUsize) -> Result<(), String> {
    while let Ok(mut stream) = TcpStream::connect(address) {
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        loop {
            let last = ask(&mut stream).map_err(|error| format!("lost (keep: {keep}): {error}"))?;
            answered.fetch_add(1, Ordering::Relaxed);
            if last || !keep {
                break;
            }
        }
    }
    Ok(())
}

#[test]
fn a_stop_under_load_loses_no_request_and_no_line() {
    let rounds = std::env::var("PORTCULLIS_STOPS").map_or(3, |text| text.parse().unwrap());
    for _ in 0..rounds {
        let program = Program::start(&Origin::ok(), "[log]\naccess = \"log\"\n");
        let (address, answered) = (program.address, Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = (0..8)
            .map(|index| {
                let answered = Arc::clone(&answered);
                std::thread::spawn(move || client(address, index % 2 == 0, &answered))
            })
            .collect();
        eventually("under load", || answered.load(Ordering::Relaxed) > 500);
        program.signal("TERM");
        let lost: Vec<_> = clients
            .into_iter()
            .filter_map(|client| client.join().unwrap().err())
            .collect();
        assert_eq!(lost, Vec::<String>::new());
        let (ended, folder, said) = program.end();
        assert_eq!(ended.code(), Some(0));
        assert!(
            said.iter().any(|line| line.contains("lines_lost=0")),
            "{said:?}"
        );
        let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(text.ends_with("}\n"));
        assert_eq!(text.lines().count(), answered.load(Ordering::Relaxed));
    }
}

#[test]
fn an_idle_connection_gets_one_more_answer_that_is_its_last() {
    let program = Program::start(&Origin::ok(), "");
    let mut idle = program.client();
    assert_eq!(idle.get("/", "").field("connection"), None);
    program.signal("TERM");
    eventually("draining", || {
        TcpStream::connect_timeout(&program.address, Duration::from_millis(20)).is_err()
    });
    let reply = idle.get("/", "");
    assert_eq!(
        (reply.text(), reply.field("connection").as_deref()),
        ("ok", Some("close"))
    );
    assert_eq!(idle.rest(), b"");
    assert_eq!(program.wait().0.code(), Some(0));
}

/// Who asks for nothing is let go, whatever hyper holds of the connection: one
/// that never asked, one that has, and one that had a body.
#[test]
fn idle_connections_do_not_hold_a_stop() {
    let program = Program::start(
        &Origin::ok(),
        "[server]\nlisten = [\"127.0.0.1:0\"]\nstall_timeout = \"1s\"\ndrain_timeout = \"60s\"\n",
    );
    let mut clients = [(); 3].map(|()| program.client());
    assert_eq!(clients[1].get("/", "").status, 200);
    clients[2].send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(clients[2].reply().status, 200);
    // By then hyper was put away where it can be, with a sweep so often.
    std::thread::sleep(Duration::from_millis(700));
    program.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(program.wait().0.code(), Some(0));
}

/// A pipe that nobody reads any more.
#[test]
fn an_access_log_that_takes_nothing_does_not_hold_a_stop() {
    let mut program = Program::start(&Origin::ok(), "[log]\naccess = \"stdout\"\n");
    let mut client = program.client();
    let long = format!("/{}", "x".repeat(4000));
    // More than a pipe holds, and what the writer has in hand.
    for _ in 0..60 {
        assert_eq!(client.get(&long, "").status, 200);
    }
    program.signal("TERM");
    program.says("its last lines are lost");
    program.says("stopped");
    let (ended, ..) = program.end();
    assert_eq!(ended.code(), Some(0));
}

/// By HTTP/1.0 such a response ends with its connection, also if it is the
/// process that ends.
#[test]
fn a_response_that_the_end_of_the_process_cuts_does_not_look_complete() {
    for (policy, signals) in [
        (
            "[server]\nlisten = [\"127.0.0.1:0\"]\ndrain_timeout = \"100ms\"\n",
            1,
        ),
        ("", 2),
    ] {
        let origin = Origin::scripted(|conversation| {
            conversation.request();
            conversation.say("HTTP/1.1 200 OK\r\n\r\n12345");
            conversation.request();
        });
        let mut program = Program::start(&origin, policy);
        let mut client = program.client();
        client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").head();
        assert_eq!(client.take(5), b"12345");
        program.signal("TERM");
        if signals == 2 {
            program.says("stopping");
            program.signal("TERM");
        }
        let mut byte = [0];
        let end = client.stream.read(&mut byte).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::ConnectionReset, "{signals}");
        program.wait();
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// logrotate does not ask whether the configuration compiles.
#[test]
fn a_log_is_rotated_also_while_the_configuration_is_broken() {
    let mut program = Program::start(&Origin::ok(), "[log]\naccess = \"log\"\n");
    program.edit("[log]", "[logg]");
    program.says("stays in force");
    let stop = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let (mut client, stop) = (program.client(), &stop);
        let load = scope.spawn(move || {
            let mut asked = 0;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.get("/", "").status, 200);
                asked += 1;
            }
            asked
        });
        for turn in ["log.1", "log.2"] {
            let file = program.file("log");
            eventually("lines", || lines(&file) > 0);
            std::fs::rename(&file, program.file(turn)).unwrap();
            program.signal("HUP");
            program.says("stays in force");
        }
        let file = program.file("log");
        eventually("lines", || lines(&file) > 0);
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    program.signal("TERM");
    let (_, folder, _) = program.end();
    let written: usize = ["log", "log.1", "log.2"]
        .map(|name| lines(&folder.path().join(name)))
        .iter()
        .sum();
    assert_eq!(written, asked);
}

/// A log that cannot be written refuses the reload; the old one goes on.
#[test]
fn a_log_that_cannot_be_opened_keeps_the_old_configuration() {
    let mut program = Program::start(
        &Origin::ok(),
        "[access.user_agent]\nblock = [\"bad\"]\n[log]\naccess = \"log\"\n",
    );
    std::fs::create_dir(program.file("folder")).unwrap();
    program.edit("access = \"log\"", "access = \"folder\"");
    let said = program.says("stays in force");
    assert!(
        said.contains("log.access: ") && said.contains("folder cannot be written"),
        "{said}"
    );
    program.edit("bad", "worse");
    program.says("stays in force");
    assert_eq!(program.client().get("/", "User-Agent: bad\r\n").status, 403);
    eventually("its line", || lines(&program.file("log")) == 1);
    std::fs::remove_dir(program.file("folder")).unwrap();
    program.signal("HUP");
    program.says("is in force");
    assert_eq!(program.client().get("/", "User-Agent: bad\r\n").status, 200);
    program.signal("TERM");
    let (_, folder, _) = program.end();
    assert_eq!(
        (
            lines(&folder.path().join("log")),
            lines(&folder.path().join("folder"))
        ),
        (1, 1)
    );
}
