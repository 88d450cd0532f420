//! Clients that come by a Unix socket.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{
    Authority, Client, Haproxy, Origin, Portcullis, Program, curl, eventually, is_installed,
    portcullis,
};

/// A folder, and the path of a socket in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    (folder, path)
}

/// The proxy in this process, at `path` and on a port, with two workers and
/// more of `policy`.
fn start(origin: &Origin, path: &Path, server: &str, policy: &str) -> Portcullis {
    let path = path.display();
    Portcullis::start(
        origin,
        &format!(
            "[server]\nlisten = [\"127.0.0.1:0\", \"unix:{path}\"]\nworkers = 2\n{server}\n{policy}"
        ),
    )
}

fn program(origin: &Origin, path: &Path, more: &str) -> Program {
    let path = path.display();
    let policy = format!("[server]\nlisten = [\"127.0.0.1:0\", \"unix:{path}\"]\n{more}\n");
    Program::start(origin, &policy)
}

#[test]
fn it_is_served_like_any_other() {
    let (_folder, path) = place();
    let origin = Origin::scripted(|conversation| {
        while let Some(asked) = conversation.request() {
            let length = asked.body.len();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\n\r\n"
            ));
            conversation.say(&asked.body);
        }
    });
    let policy = "[access.user_agent]\nblock = [\"bad\"]\n";
    let portcullis = start(&origin, &path, "", policy);
    let mut client = Client::at_socket(&path);
    for _ in 0..2 {
        assert_eq!(client.get("/a.jpg", "").status, 200);
    }
    assert_eq!(origin.count(), 1);
    assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
    let body = "b".repeat(1 << 20);
    let length = body.len();
    client.ask("POST", "/", &format!("Content-Length: {length}\r\n"));
    client.send(&body);
    assert_eq!(client.reply().text(), body);
    // Heads in pieces, two requests at once, and an end of the client's side.
    client.send("GET /c HTTP/1.1\r\nHo").send("st: a\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    client.ask("GET", "/d", "").ask("GET", "/e", "");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!((client.reply().status, client.reply().status), (200, 200));
    assert_eq!(client.rest(), b"");
    let lines = portcullis.stop();
    assert_eq!(lines.len(), 7);
    assert!(
        lines.iter().all(|line| line["client"] == "127.0.0.1"),
        "{lines:?}"
    );
}

/// Whoever comes by it is 127.0.0.1, and believed only as far as that is.
#[test]
fn the_rules_judge_it_as_this_machine() {
    let origin = Origin::ok();
    let status = |policy: &str, fields: &str| {
        let (_folder, path) = place();
        let _portcullis = start(&origin, &path, "", policy);
        Client::at_socket(&path).get("/", fields).status
    };
    let blocks = |address: &str| format!("[access.ip]\nblock = [\"{address}\"]\n");
    let trusting = |proxies: &str, policy: &str| {
        format!("{policy}[client]\ntrusted_proxies = [\"{proxies}\"]\n")
    };
    let forwarded = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(status(&blocks("127.0.0.0/8"), ""), 403);
    assert_eq!(status(&blocks("203.0.113.9"), ""), 200);
    // Nobody's word counts who is not trusted.
    assert_eq!(status(&blocks("203.0.113.9"), forwarded), 200);
    assert_eq!(status(&blocks("127.0.0.1"), forwarded), 403);
    let other = trusting("10.0.0.0/8", &blocks("127.0.0.1"));
    assert_eq!(status(&other, forwarded), 403);
    let trusted = trusting("127.0.0.1", &blocks("203.0.113.9"));
    assert_eq!(status(&trusted, forwarded), 403);
    assert_eq!(status(&trusted, "X-Forwarded-For: 203.0.113.8\r\n"), 200);
}

#[test]
fn a_proxy_header_is_required_from_whom_it_is_trusted() {
    let (_folder, path) = place();
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n\
                  [access.ip]\nblock = [\"203.0.113.9\"]\n";
    let portcullis = start(&Origin::ok(), &path, "", policy);
    let status = |head: &str| {
        let mut client = Client::at_socket(&path);
        client.send(head).get("/", "").status
    };
    assert_eq!(status("PROXY TCP4 203.0.113.8 10.0.0.1 5 80\r\n"), 200);
    assert_eq!(status("PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\n"), 403);
    let mut client = Client::at_socket(&path);
    // In pieces.
    client
        .send("PROXY TCP4 203.0.")
        .send("113.9 10.0.0.1 5 80\r");
    assert_eq!(client.send("\n").get("/", "").status, 403);
    let mut client = Client::at_socket(&path);
    client.ask("GET", "/", "");
    assert_eq!(client.until_cut(), b"");
    portcullis.finish();
}

#[test]
fn an_old_request_needs_a_host() {
    let (_folder, path) = place();
    let origin = Origin::ok();
    let portcullis = start(&origin, &path, "", "");
    let mut client = Client::at_socket(&path);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    let mut client = Client::at_socket(&path);
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    assert_eq!(origin.count(), 1);
    portcullis.finish();
}

/// It cannot be reset, and an end would make it look complete.
#[test]
fn a_cut_response_that_ends_with_its_connection_has_no_end() {
    let (_folder, path) = place();
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
    });
    let portcullis = start(&origin, &path, "", "");
    let mut client = Client::at_socket(&path);
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let (status, head) = client.head();
    assert_eq!(status, 200, "{head}");
    assert_eq!(client.take(4), b"part");
    let timeout = Some(Duration::from_secs(1));
    client.stream.set_read_timeout(timeout).unwrap();
    let error = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // It is closed as soon as the client has given up.
    drop(client);
    eventually("closed", || open(&portcullis) == 0);
    // With HTTP/1.1 the framing tells.
    let mut client = Client::at_socket(&path);
    client.get_cut();
    portcullis.finish();
}

impl Client<UnixStream> {
    fn get_cut(&mut self) {
        self.ask("GET", "/", "");
        assert_eq!(self.head().0, 200);
        let rest = self.until_cut();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
    }
}

fn open(portcullis: &Portcullis) -> u64 {
    let counters = portcullis.server.counters();
    counters.sum(|worker| worker.connections.open.get())
}

#[test]
fn who_takes_nothing_of_a_response_is_cut() {
    let (_folder, path) = place();
    let origin = Origin::scripted(|conversation| {
        conversation.request();
        conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        let part = [7; 64 * 1024];
        while conversation.stream.write_all(&part).is_ok() {}
    });
    let portcullis = start(&origin, &path, "stall_timeout = \"1s\"", "");
    let mut client = Client::at_socket(&path);
    client.ask("GET", "/", "");
    assert_eq!(client.head().0, 200);
    let stalled = || {
        let counters = portcullis.server.counters();
        counters.sum(|worker| worker.connections.stalled.get())
    };
    eventually("stalled", || stalled() == 1);
    assert!(client.until_cut().len() < 50_000_000);
    // And who takes it slowly is not.
    let mut slow = Client::at_socket(&path);
    slow.ask("GET", "/", "");
    assert_eq!(slow.head().0, 200);
    let begin = std::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        slow.take(16 * 1024);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(stalled(), 1);
    drop(slow);
    portcullis.finish();
}

#[test]
fn tls_is_spoken_by_it_too() {
    let (folder, path) = place();
    let authority = Authority::new();
    let issued = authority.issue(&["img.example.com"]);
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    fs::write(&cert, &issued.pem).unwrap();
    fs::write(&key, issued.key.serialize_pem()).unwrap();
    let (cert, key, at) = (cert.display(), key.display(), path.display());
    let origin = Origin::ok();
    let portcullis = Portcullis::start(
        &origin,
        &format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nredirect_https = [\"unix:{at}.plain\"]\n\
             [server.tls]\nlisten = [\"unix:{at}\"]\n\
             [[server.tls.certificates]]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n"
        ),
    );
    let stream = UnixStream::connect(&path).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "img.example.com".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = Client::by(StreamOwned::new(connection, stream));
    assert_eq!(client.get("/", "").status, 200);
    let head = origin.last().head.to_lowercase();
    assert!(head.contains("x-forwarded-proto: https\r\n"), "{head}");
    // In the clear it is told.
    let mut client = Client::at_socket(&path);
    assert_eq!(client.get("/", "").status, 400);
    // Redirected to the usual port, since a path has none.
    let mut client = Client::at_socket(Path::new(&format!("{at}.plain")));
    let reply = client.get("/a", "");
    let location = reply.field("location");
    assert_eq!(location.as_deref(), Some("https://img.example.com/a"));
    portcullis.finish();
}

#[test]
fn one_too_many_is_answered_503() {
    let (_folder, path) = place();
    let portcullis = start(&Origin::ok(), &path, "max_connections = 1", "");
    let _silent = Client::at_socket(&path);
    eventually("open", || open(&portcullis) == 1);
    let mut next = Client::at_socket(&path);
    assert_eq!(next.get("/", "").status, 503);
    portcullis.finish();
}

#[test]
fn its_file_comes_and_goes_with_the_process() {
    let (_folder, path) = place();
    let mut program = program(&Origin::ok(), &path, "");
    let shown = format!("unix:{}", path.display());
    assert!(program.started.contains(&shown), "{}", program.started);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
    program.signal("TERM");
    program.says("stopped");
    assert!(!path.exists());
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn what_a_killed_process_left_is_replaced() {
    let (_folder, path) = place();
    let origin = Origin::ok();
    let killed = program(&origin, &path, "");
    killed.signal("KILL");
    assert_eq!(killed.wait().0.code(), None);
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    let program = program(&origin, &path, "");
    assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
    // What another has put in its place is not removed.
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(UnixStream::connect(&path).is_ok());
}

/// What `run` says that does not start at `path`.
fn refused(path: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portcullis.toml");
    let policy = format!(
        "[server]\nlisten = [\"unix:{}\"]\n[admin]\nlisten = \"\"\n\
         [origin]\nurl = \"http://127.0.0.1:9\"\n",
        path.display()
    );
    fs::write(&file, policy).unwrap();
    let mut command = portcullis(&["run", "--config"]);
    let ended = command.arg(&file).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn what_is_not_a_dead_socket_is_left_alone() {
    let (_folder, path) = place();
    let live = program(&Origin::ok(), &path, "");
    let said = refused(&path);
    for word in ["server.listen", "unix:/", "somebody else listens"] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
    drop(live);

    let (folder, path) = place();
    fs::write(&path, "precious").unwrap();
    let said = refused(&path);
    assert!(said.contains("no socket, and is left alone"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let said = refused(&folder.path().join("none/http.sock"));
    assert!(said.contains("none is not there"), "{said}");
}

/// Who has connected before the stop is served.
#[test]
fn who_has_found_it_is_served_on_a_stop() {
    let (_folder, path) = place();
    let program = program(&Origin::ok(), &path, "");
    let mut clients: Vec<_> = (0..50).map(|_| Client::at_socket(&path)).collect();
    for client in &mut clients {
        client.ask("GET", "/", "");
    }
    program.signal("TERM");
    for mut client in clients {
        assert_eq!(client.reply().status, 200);
    }
    assert_eq!(program.wait().0.code(), Some(0));
}

#[test]
fn it_is_handed_over_under_load() {
    let (_folder, path) = place();
    let mut program = program(&Origin::ok(), &path, "workers = 2");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&path);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut last = program.id().to_string();
    std::thread::scope(|scope| {
        let ask = || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let more = || {
            let before = answered.load(Ordering::Relaxed);
            eventually("answered", || {
                clients.iter().any(|client| client.is_finished())
                    || answered.load(Ordering::Relaxed) > before + 200
            });
        };
        more();
        for _ in 0..2 {
            signal("USR2", &last);
            let said = program.says("handed over");
            let id = said.split("process=").nth(1).unwrap();
            last = id.split_whitespace().next().unwrap().to_owned();
            more();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(clients.into_iter().all(|client| client.join().is_ok()));
    });
    assert_eq!(inode(&path), before);
    // The last one removes what the first has made.
    signal("TERM", &last);
    eventually("removed", || !path.exists());
    assert_eq!(program.wait().0.code(), Some(0));
}

fn signal(name: &str, process: &str) {
    let kill = Command::new("kill").args(["-s", name, process]).status();
    assert!(kill.unwrap().success());
}

/// A new process that does not come about takes nothing with it.
#[test]
fn a_hand_over_that_fails_leaves_it_where_it_is() {
    let (_folder, path) = place();
    let mut program = program(&Origin::ok(), &path, "");
    program.edit("[server]\n", "[server]\nworkers = \"no\"\n");
    program.says("stays in force");
    program.signal("USR2");
    program.says("hand-over FAILED");
    assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(0));
    assert!(!path.exists());
}

/// As systemd starts it, with `socket` as descriptor 3.
fn activated(origin: &Origin, path: &Path, socket: OwnedFd) -> Program {
    let at = path.display();
    let policy = format!("[server]\nlisten = [\"127.0.0.1:0\", \"unix:{at}\"]\nworkers = 2\n");
    Program::start_with(origin, &policy, |command| {
        let script = "export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=web.socket\n\
                      exec 3<&0 0</dev/null\nexec \"$0\" \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(command.get_program());
        shell.args(command.get_args()).stdin(socket);
        *command = shell;
    })
}

#[test]
fn one_of_systemd_outlives_the_process() {
    let (_folder, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    let passed = || listener.try_clone().unwrap().into();
    let origin = Origin::ok();
    let program = activated(&origin, &path, passed());
    for _ in 0..5 {
        assert_eq!(Client::at_socket(&path).get("/", "").status, 200);
    }
    program.signal("TERM");
    assert_eq!(program.wait().0.code(), Some(0));
    let mut early = Client::at_socket(&path);
    early.ask("GET", "/", "");
    let _next = activated(&origin, &path, passed());
    assert_eq!(early.reply().status, 200);
}

/// With the PROXY protocol, whose header names the client of HAProxy's.
#[test]
fn haproxy_reaches_it() {
    if !is_installed("haproxy") {
        return;
    }
    let (_folder, path) = place();
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n\
                  [access.ip]\nblock = [\"127.0.0.2\"]\n";
    let portcullis = start(&Origin::ok(), &path, "", policy);
    for version in ["send-proxy", "send-proxy-v2"] {
        let haproxy = Haproxy::start("127.0.0.1", path.display(), version);
        let from = |source: &str| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            let source: std::net::SocketAddr = format!("{source}:0").parse().unwrap();
            socket.bind(&source.into()).unwrap();
            socket.connect(&haproxy.address.into()).unwrap();
            Client::on(socket.into()).get("/", "").status
        };
        assert_eq!((from("127.0.0.3"), from("127.0.0.2")), (200, 403));
    }
    portcullis.finish();
}

#[test]
fn curl_reaches_it() {
    if !is_installed("curl") {
        return;
    }
    let (_folder, path) = place();
    let portcullis = start(&Origin::ok(), &path, "", "");
    let at = path.to_str().unwrap();
    let curled = curl(&["--unix-socket", at, "http://img.example.com/a.jpg"]);
    assert_eq!(
        (curled.text(), curled.code),
        ("ok", Some(0)),
        "{}",
        curled.said
    );
    portcullis.finish();
}
