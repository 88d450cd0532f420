//! One process takes over from another, and no client can tell.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};

use crate::support::{Client, Origin, Program, eventually};

/// A process that another has started. Dropping it kills it.
pub(crate) struct Heir(u32);

impl Heir {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Whether it has not ended; nobody may have asked for its status.
    pub(crate) fn runs(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        if self.runs() {
            self.signal("KILL");
        }
    }
}

/// Reads on until a process has handed over; the new one.
pub(crate) fn heir(program: &mut Program) -> Heir {
    let said = program.says("handed over");
    let id = said.split("process=").nth(1).unwrap();
    Heir(id.split_whitespace().next().unwrap().parse().unwrap())
}

/// Asks until `stop`; every connection and every request has to succeed. With
/// `keep`, on one connection for as long as it is open.
fn client(address: SocketAddr, keep: bool, stop: &AtomicBool, answered: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(address).unwrap();
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        loop {
            let last = ask(&mut stream);
            answered.fetch_add(1, Ordering::Relaxed);
            if last || !keep || stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

/// One request on `stream`; whether it was the last there.
fn ask(stream: &mut TcpStream) -> bool {
    stream
        .write_all(b"GET /a HTTP/1.1\r\nHost: img.example.com\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).unwrap();
        assert_ne!(
            length,
            0,
            "closed after {:?}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&part[..length]);
    }
    let head = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    head.contains("\r\nconnection: close\r\n")
}

#[test]
fn three_in_a_row_under_load_lose_no_request_and_no_line() {
    let policy = "[log]\naccess = \"log\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let mut program = Program::start(&Origin::ok(), policy);
    let (address, admin) = (program.address, program.admin());
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut heirs: Vec<Heir> = Vec::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|index| {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || client(address, index % 2 == 0, stop, answered))
            })
            .collect();
        let more = |what: &str| {
            let before = answered.load(Ordering::Relaxed);
            eventually(what, || {
                clients.iter().any(|client| client.is_finished())
                    || answered.load(Ordering::Relaxed) > before + 300
            });
        };
        more("under load");
        for _ in 0..3 {
            match heirs.last() {
                None => program.signal("USR2"),
                Some(last) => last.signal("USR2"),
            }
            heirs.push(heir(&mut program));
            more("still under load");
        }
        let (last, before) = heirs.split_last().unwrap();
        eventually("the others have ended", || {
            before.iter().all(|heir| !heir.runs())
        });
        assert!(last.runs() && last.0 != program.id());
        assert_eq!(Client::connect(admin).get("/readyz", "").status, 200);
        more("under load at the end");
        stop.store(true, Ordering::Relaxed);
        assert!(clients.into_iter().all(|client| client.join().is_ok()));
    });
    heirs.last().unwrap().signal("TERM");
    // All of them write to it, and it ends with the last.
    let file = program.file("log");
    let (ended, folder, said) = program.end();
    assert_eq!(ended.code(), Some(0));
    let lost = said.iter().filter(|line| line.contains("lines_lost="));
    assert!(
        lost.clone().all(|line| line.contains("lines_lost=0")),
        "{said:?}"
    );
    assert!(lost.count() >= 1);
    let lines = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(lines.lines().count(), answered.load(Ordering::Relaxed));
    assert!(
        lines
            .lines()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
    drop(folder);
}

#[test]
fn what_was_begun_is_finished_where_it_was_begun() {
    let mut program = Program::start(&Origin::ok(), "");
    let mut begun = program.client();
    begun.send("GET / HTTP/1.1\r\n");
    // It is accepted before the sockets go over.
    assert_eq!(program.client().get("/", "").status, 200);
    program.signal("USR2");
    let next = heir(&mut program);
    program.signal("USR2");
    let said = program.says("ignored");
    assert!(said.contains(&next.0.to_string()), "{said}");
    let reply = program.client().get("/", "");
    assert_eq!((reply.status, reply.field("connection")), (200, None));
    begun.send("Host: a\r\n\r\n");
    let reply = begun.reply();
    assert_eq!(reply.field("connection").as_deref(), Some("close"));
    assert_eq!(begun.rest(), b"");
    let address = program.address;
    next.signal("TERM");
    eventually("nobody listens", || TcpStream::connect(address).is_err());
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn a_configuration_that_is_refused_leaves_the_old_process_serving() {
    let mut program = Program::start(&Origin::ok(), "[log]\naccess = \"off\"\n");
    program.edit("[log]", "[logg]");
    program.says("stays in force");
    program.signal("USR2");
    let said = program.says("hand-over FAILED");
    assert!(said.contains("goes on serving"), "{said}");
    program.says("logg");
    let mut client = program.client();
    let reply = client.get("/", "");
    assert_eq!((reply.status, reply.field("connection")), (200, None));
    program.edit("[logg]", "[log]");
    program.signal("USR2");
    let next = heir(&mut program);
    assert_eq!(program.client().get("/", "").status, 200);
    next.signal("TERM");
}

/// With another number of workers, and one address less.
#[test]
fn the_new_configuration_is_the_one_that_counts() {
    let mut program = Program::start(
        &Origin::ok(),
        "[server]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\nworkers = 1\n",
    );
    let address = program.address;
    let gone = program.started.split("[::1]:").nth(1).unwrap();
    let port: String = gone.chars().take_while(char::is_ascii_digit).collect();
    let gone: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    assert_eq!(Client::connect(gone).get("/", "").status, 200);
    program.edit(", \"[::1]:0\"", "");
    program.edit("workers = 1", "workers = 3");
    program.signal("USR2");
    let next = heir(&mut program);
    eventually("nobody listens there", || {
        TcpStream::connect_timeout(&gone, Duration::from_millis(100)).is_err()
    });
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/", "").status, 200);
    }
    next.signal("TERM");
}

/// The program is the one at the path by which the old one was called.
#[test]
fn a_new_program_that_ends_or_is_missing_leaves_the_old_process_serving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis");
    let point_to = |program: &str| {
        let _ = std::fs::remove_file(&path);
        symlink(program, &path).unwrap();
    };
    point_to(env!("CARGO_BIN_EXE_portcullis"));
    let mut program = Program::start_with(&Origin::ok(), "", |command| call(command, &path));
    for (other, why) in [
        ("/bin/false", "exit status: 1"),
        ("/nowhere/portcullis", "cannot be started"),
    ] {
        point_to(other);
        program.signal("USR2");
        let said = program.says("hand-over FAILED");
        assert!(said.contains(why), "{said}");
        assert_eq!(program.client().get("/", "").status, 200);
    }
    point_to(env!("CARGO_BIN_EXE_portcullis"));
    program.signal("USR2");
    let next = heir(&mut program);
    assert_eq!(program.client().get("/", "").status, 200);
    next.signal("TERM");
}

/// The test stands for a process that is stopped before it has handed over.
#[test]
fn who_is_not_told_to_go_on_ends() {
    let (elder, other) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    send(&elder, b"all", SendFlags::empty()).unwrap();
    let mut program = Program::start_with(&Origin::ok(), "", |command| {
        let id = std::process::id().to_string();
        command.stdin(other).env("PORTCULLIS_HAND_OVER", id);
    });
    let mut said = [0; 100];
    let (length, _) = recv(&elder, &mut said, RecvFlags::empty()).unwrap();
    assert_eq!(&said[..length], b"serving\n");
    assert_eq!(program.client().get("/", "").status, 200);
    drop(elder);
    program.says("the process before was stopped");
    assert_eq!(program.wait().0.code(), Some(0));
}

/// Has `command` call `program` instead.
fn call(command: &mut Command, program: &Path) {
    let mut called = Command::new(program);
    called.args(command.get_args());
    *command = called;
}
