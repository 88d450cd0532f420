//! What systemd passes to the process, and what it is told.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Client, Origin, Program, eventually, portcullis};

/// Stands for systemd: hears what a service says.
struct Manager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let timeout = Some(Duration::from_secs(20));
        socket.set_read_timeout(timeout).unwrap();
        Self { socket, folder }
    }

    fn introduce(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
    }

    /// The next that is said.
    fn hears(&self) -> Vec<String> {
        let mut said = [0; 4096];
        let length = self.socket.recv(&mut said).unwrap();
        let said = std::str::from_utf8(&said[..length]).unwrap();
        said.lines().map(str::to_owned).collect()
    }
}

fn value<'a>(said: &'a [String], name: &str) -> &'a str {
    let found = said
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {said:?}"))
}

#[test]
fn the_manager_hears_of_start_reloads_and_stop() {
    let manager = Manager::new();
    let mut program = Program::start_with(&Origin::ok(), "[log]\naccess = \"off\"\n", |command| {
        manager.introduce(command);
    });
    let said = manager.hears();
    assert_eq!(value(&said, "READY"), "1");
    assert_eq!(value(&said, "MAINPID"), program.id().to_string());
    assert_eq!(
        value(&said, "STATUS"),
        format!("serving on {}", program.address)
    );
    let mut last = 0;
    for (edited, status) in [
        (None, "configuration 2 is in force"),
        (Some("[logg]"), "FAILED"),
    ] {
        if let Some(edited) = edited {
            program.edit("[log]", edited);
            // Of its own accord.
            program.says("stays in force");
            assert!(value(&manager.hears(), "STATUS").contains("FAILED"));
        }
        program.signal("HUP");
        let said = manager.hears();
        assert_eq!(value(&said, "RELOADING"), "1");
        let now: u64 = value(&said, "MONOTONIC_USEC").parse().unwrap();
        assert!(now > last);
        last = now;
        let said = manager.hears();
        assert_eq!(value(&said, "READY"), "1");
        assert!(value(&said, "STATUS").contains(status), "{said:?}");
    }
    program.signal("TERM");
    let said = manager.hears();
    assert_eq!(value(&said, "STOPPING"), "1");
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn the_manager_hears_which_process_is_the_main_one() {
    let manager = Manager::new();
    let mut program = Program::start_with(&Origin::ok(), "", |command| manager.introduce(command));
    manager.hears();
    // It does not end while a request is being sent.
    let mut begun = program.client();
    begun.send("GET / HTTP/1.1\r\n");
    assert_eq!(program.client().get("/", "").status, 200);
    program.signal("USR2");
    assert!(value(&manager.hears(), "STATUS").contains("take over"));
    let said = manager.hears();
    let next = value(&said, "MAINPID").to_owned();
    assert_ne!(next, program.id().to_string());
    let said = manager.hears();
    assert_eq!(
        (value(&said, "READY"), value(&said, "MAINPID")),
        ("1", &*next)
    );
    // The old one may say no more.
    program.signal("TERM");
    program.says("stopping");
    let kill = Command::new("kill").args(["-s", "TERM", &next]).status();
    assert!(kill.unwrap().success());
    let said = manager.hears();
    assert_eq!(value(&said, "STOPPING"), "1");
    begun.send("Host: a\r\n\r\n");
    assert_eq!(begun.reply().status, 200);
    assert_eq!(program.wait().0.code(), Some(0));
}

/// `command` as systemd starts it, with `socket` as descriptor 3.
fn activate(command: &mut Command, socket: OwnedFd, process: &str) {
    let script = format!(
        "export LISTEN_FDS=1 LISTEN_PID={process} LISTEN_FDNAMES=web.socket\n\
         exec 3<&0 0</dev/null\nexec \"$0\" \"$@\""
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(socket);
    *command = shell;
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn started(origin: &Origin, listener: &TcpListener, policy: &str) -> Program {
    let passed = listener.try_clone().unwrap();
    Program::start_with(origin, policy, |command| {
        activate(command, passed.into(), "$$");
    })
}

/// Who connects while nobody is there is served by the next one.
#[test]
fn a_passed_socket_outlives_the_process() {
    let (listener, address) = listener();
    let policy = format!("[server]\nlisten = [\"{address}\", \"127.0.0.1:0\"]\nworkers = 3\n");
    let origin = Origin::ok();
    let program = started(&origin, &listener, &policy);
    assert_eq!(program.address, address);
    for _ in 0..20 {
        assert_eq!(Client::connect(address).get("/", "").status, 200);
    }
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(0));
    let mut early = Client::connect(address);
    early.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let program = started(&origin, &listener, &policy);
    assert_eq!(early.reply().status, 200);
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn a_passed_socket_is_handed_over_and_still_outlives_the_process() {
    let (listener, address) = listener();
    let policy = format!("[server]\nlisten = [\"{address}\"]\n");
    let mut program = started(&Origin::ok(), &listener, &policy);
    program.signal("USR2");
    let said = program.says("handed over");
    let next = said.split("process=").nth(1).unwrap();
    let next = next.split_whitespace().next().unwrap();
    assert_eq!(Client::connect(address).get("/", "").status, 200);
    let kill = Command::new("kill").args(["-s", "TERM", next]).status();
    assert!(kill.unwrap().success());
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(TcpStream::connect(address).is_ok());
}

#[test]
fn the_admin_listener_may_be_passed_too() {
    let (listener, address) = listener();
    let policy = format!("[admin]\nlisten = \"{address}\"\n");
    let program = started(&Origin::ok(), &listener, &policy);
    assert_eq!(program.admin(), address);
    eventually("it answers", || {
        Client::connect(address).get("/readyz", "").status == 200
    });
}

#[test]
fn what_is_passed_and_of_no_use_is_refused() {
    let (listener, address) = listener();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(address).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let policy = "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"\"\n\
                  [origin]\nurl = \"http://127.0.0.1:9\"\n";
    std::fs::write(&file, policy).unwrap();
    let sockets: [(OwnedFd, [&str; 2]); 3] = [
        (listener.into(), ["server.listen", &address.to_string()]),
        (datagrams.into(), ["web.socket", "ListenStream"]),
        (client.into(), ["web.socket", "Accept=no"]),
    ];
    for (socket, words) in sockets {
        let mut command = portcullis(&["run", "--config"]);
        command.arg(&file);
        activate(&mut command, socket, "$$");
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    let (listener, address) = listener();
    let program = Program::start_with(&Origin::ok(), "", |command| {
        activate(command, listener.into(), "1");
    });
    assert_ne!(program.address, address);
    assert_eq!(program.client().get("/", "").status, 200);
}
