//! Keys that show only in a running proxy; see `keys`.

mod cache;
mod origin;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::support::{Client, Origin, Portcullis, Program};

const BLOCK_BAD: &str = "[access.user_agent]\nblock = [\"bad\"]\n";
const BAD: &str = "User-Agent: bad\r\n";

#[test]
fn server_listen() {
    let one = Program::start(&Origin::ok(), "[server]\nlisten = [\"127.0.0.1:0\"]");
    assert!(one.address.is_ipv4());
    let mut two = Program::start(
        &Origin::ok(),
        "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]",
    );
    assert_eq!(two.client().get("/", "").status, 200);
    two.signal("TERM");
    two.says("stopp");
    let policy = "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.2:0\"]";
    let server = Portcullis::start(&Origin::ok(), policy);
    let addresses: Vec<SocketAddr> = server.server.addresses().to_vec();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        assert_eq!(Client::connect(address).get("/", "").status, 200);
    }
}

/// Whatever the umask says.
#[test]
fn server_socket_mode() {
    for (key, mode) in [("", 0o660), ("socket_mode = \"606\"", 0o606)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let at = path.display();
        let listen = format!("listen = [\"127.0.0.1:0\", \"unix:{at}\"]");
        let server = Portcullis::start(&Origin::ok(), &format!("[server]\n{listen}\n{key}\n"));
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!(file.permissions().mode() & 0o7777, mode);
        server.finish();
    }
}

/// How many threads named like workers a program has.
fn workers(count: usize) -> usize {
    let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = {count}");
    let program = Program::start(&Origin::ok(), &toml);
    // A thread has its name once it runs.
    crate::support::eventually("threads have names", || program.threads("worker") >= count);
    program.threads("worker")
}

#[test]
fn server_workers() {
    assert_eq!(workers(1), 1);
    assert_eq!(workers(3), 3);
}

#[test]
fn server_max_body() {
    let status = |max: &str, body: &str| {
        let toml =
            format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmax_body = \"{max}\"");
        let server = Portcullis::start(&Origin::ok(), &toml);
        let length = body.len();
        let mut client = server.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        client.reply().status
    };
    assert_eq!(status("4 B", "1234"), 200);
    assert_eq!(status("4 B", "12345"), 413);
    assert_eq!(status("0", "1"), 413);
    assert_eq!(status("0", ""), 200);
}

#[test]
fn server_drain_timeout() {
    let stopping_takes = |timeout: &str| {
        // The origin answers the head of a request and then nothing.
        let origin = Origin::scripted(|conversation| {
            conversation.head();
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
            conversation.head();
        });
        let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\ndrain_timeout = \"{timeout}\"");
        let program = Program::start(&origin, &toml);
        let mut client = program.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
        let start = Instant::now();
        program.signal("TERM");
        assert_eq!(program.wait().0.code(), Some(0));
        start.elapsed()
    };
    let (short, long) = (stopping_takes("100ms"), stopping_takes("2s"));
    assert!(
        short < long && long >= Duration::from_secs(2),
        "{short:?} {long:?}"
    );
}

/// How long a connection lives on which `bytes` were sent.
fn until_closed(key: &str, value: &str, bytes: &str) -> Duration {
    let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{key} = \"{value}\"");
    let proxy = Portcullis::start(&Origin::ok(), &toml);
    let start = Instant::now();
    proxy.client().send(bytes).rest();
    start.elapsed()
}

#[test]
fn server_header_timeout() {
    let time = |value| until_closed("header_timeout", value, "GET / HT");
    differ(time("100ms"), time("1s"));
}

#[test]
fn server_idle_timeout() {
    let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let time = |value| until_closed("idle_timeout", value, whole);
    differ(time("100ms"), time("1s"));
}

#[test]
fn server_stall_timeout() {
    let time = |value: &str| {
        let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nstall_timeout = \"{value}\"");
        let proxy = Portcullis::start(&super::connections::endless(), &toml);
        let mut client = proxy.client();
        let start = Instant::now();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
        crate::support::eventually("cut", || {
            proxy.server.counters().sum(|w| w.connections.stalled.get()) > 0
        });
        start.elapsed()
    };
    differ(time("100ms"), time("1s"));
}

#[test]
fn server_max_header_bytes() {
    let status = |value: &str| {
        let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nmax_header_bytes = \"{value}\"");
        let proxy = Portcullis::start(&Origin::ok(), &toml);
        proxy
            .client()
            .get("/", &format!("X: {}\r\n", "x".repeat(10_000)))
            .status
    };
    assert_eq!((status("8 KiB"), status("16 KiB")), (431, 200));
}

#[test]
fn server_max_connections() {
    let third = |most: usize| {
        let toml = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nmax_connections = {most}");
        let proxy = Portcullis::start(&Origin::ok(), &toml);
        let open = || proxy.server.counters().sum(|w| w.connections.open.get());
        let (_one, _two) = (proxy.client(), proxy.client());
        crate::support::eventually("open", || open() == 2);
        proxy.client().get("/", "").status
    };
    assert_eq!((third(2), third(3)), (503, 200));
}

/// A timeout of a second was waited for, and the shorter one was not.
#[test]
fn client_proxy_protocol() {
    let status = |value: bool| {
        let toml = format!("[client]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = {value}");
        let proxy = Portcullis::start(&Origin::ok(), &toml);
        let mut client = proxy.client();
        client.send("PROXY TCP4 203.0.113.9 127.0.0.1 4711 80\r\n");
        client.get("/", "").status
    };
    assert_eq!((status(true), status(false)), (200, 400));
}

fn differ(short: Duration, long: Duration) {
    let waited = long >= Duration::from_secs(1);
    assert!(waited && short < long, "{short:?} {long:?}");
}

#[test]
fn access_disclose() {
    let told = |disclose: bool| {
        let toml = format!("[access]\ndisclose = {disclose}\n{BLOCK_BAD}");
        let reply = Portcullis::start(&Origin::ok(), &toml)
            .client()
            .get("/", BAD);
        assert_eq!(reply.status, 403);
        reply.field("portcullis-denied-by")
    };
    assert_eq!(told(true).as_deref(), Some("user_agent.block"));
    assert_eq!(told(false), None);
}

#[test]
fn cache_key_field() {
    let sent = |field: &str| {
        let origin = Origin::ok();
        let toml = format!("[cache_key]\nfield = \"{field}\"");
        Portcullis::start(&origin, &toml)
            .client()
            .get("/a.css?x", "");
        origin.only().field("x-key")
    };
    assert_eq!(
        sent("x-key").as_deref(),
        Some("http://img.example.com/a.css?x original")
    );
    assert_eq!(sent(""), None);
}

#[test]
fn log_access() {
    let said = |access: &str| {
        let program = Program::start(&Origin::ok(), &format!("[log]\naccess = \"{access}\""));
        program.client().get("/", "");
        program.signal("TERM");
        let file = program.file("access.ndjson");
        let seen = || std::fs::read_to_string(&file).map_or(0, |text| text.lines().count());
        crate::support::eventually("it ends", || {
            std::net::TcpStream::connect(program.address).is_err()
        });
        if access == "access.ndjson" {
            crate::support::eventually("the line is written", || seen() == 1);
        }
        let lines = seen();
        (program.wait().1.lines().count(), lines)
    };
    assert_eq!(said("stdout"), (1, 0));
    assert_eq!(said("off"), (0, 0));
    assert_eq!(said("access.ndjson"), (0, 1));
}

#[test]
fn log_client_address() {
    let client = |mode: &str| {
        let program = Program::start(
            &Origin::ok(),
            &format!("[log]\nclient_address = \"{mode}\""),
        );
        program.client().get("/", "");
        program.signal("TERM");
        let line: serde_json::Value = serde_json::from_str(program.wait().1.trim()).unwrap();
        line["client"].clone()
    };
    assert_eq!(client("full"), "127.0.0.1");
    assert!(client("prefix").as_str().unwrap().starts_with("127.0.0."));
    assert_ne!(client("prefix"), "127.0.0.1");
    assert!(client("none").is_null());
}

#[test]
fn log_level() {
    let says_that_it_stopped = |level: &str| {
        let program = Program::start(&Origin::ok(), "[log]\nlevel = \"info\"");
        program.edit("\"info\"", &format!("\"{level}\"\n{BLOCK_BAD}"));
        program.signal("HUP");
        crate::support::eventually("the policy is in force", || {
            program.client().get("/", BAD).status == 403
        });
        program.signal("TERM");
        program.wait().2.iter().any(|line| line.contains("stopped"))
    };
    assert!(says_that_it_stopped("info"));
    assert!(!says_that_it_stopped("error"));
}

#[test]
fn log_format() {
    let last = |format: &str| {
        let program = Program::start(&Origin::ok(), &format!("[log]\nformat = \"{format}\""));
        program.signal("TERM");
        program.wait().2.pop().unwrap()
    };
    assert!(serde_json::from_str::<serde_json::Value>(&last("json")).is_ok());
    assert!(serde_json::from_str::<serde_json::Value>(&last("text")).is_err());
}

/// A route of rules, and one of none.
const SOME_RULES: &str =
    "[[route]]\nname = \"free\"\npaths = [\"/free/**\"]\naccess.user_agent = {}\n";

fn fields(names: &str) -> Origin {
    let answer = format!("HTTP/1.1 200 OK\r\n{names}Content-Length: 0\r\n\r\n");
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&answer);
        }
    })
}

#[test]
fn access_downstream() {
    let origin = fields(
        "Cache-Control: public, max-age=60\r\nCache-Control: s-maxage=9\r\nCDN-Cache-Control: max-age=9\r\n\
         Surrogate-Control: max-age=9\r\nX-Accel-Expires: 9\r\nVary: Origin\r\n",
    );
    for (downstream, path, expected) in [
        ("private", "/a", Some("private, max-age=60")),
        ("private", "/free/a", None),
        ("public", "/a", None),
    ] {
        let toml = format!(
            "[access]\ndownstream = \"{downstream}\"\n[response]\nset = {{ x-set = \"1\" }}\n{BLOCK_BAD}{SOME_RULES}"
        );
        let portcullis = Portcullis::start(&origin, &toml);
        let reply = portcullis.client().get(path, "");
        let private = expected.is_some();
        assert_eq!(
            reply.head.matches("cache-control: ").count(),
            if private { 1 } else { 3 }
        );
        if private {
            assert_eq!(reply.field("cache-control").as_deref(), expected);
        }
        for name in ["cdn-cache-control", "surrogate-control", "x-accel-expires"] {
            assert_eq!(reply.field(name).is_none(), private, "{name} of {path}");
        }
        assert_eq!(reply.field("vary").unwrap(), "Origin");
        let own = portcullis.client().get("/a", BAD);
        assert_eq!(own.field("cache-control").unwrap(), "no-store");
    }
}

#[test]
fn every_status_of_a_route_with_rules_leaves_as_private() {
    for (status, said, expected) in [
        ("304 Not Modified", "", "private"),
        ("301 Moved Permanently", "Location: /b\r\n", "private"),
        (
            "404 Not Found",
            "Cache-Control: max-age=1\r\n",
            "private, max-age=1",
        ),
        ("500 No", "Cache-Control: no-store\r\n", "private, no-store"),
        (
            "206 Partial Content",
            "Cache-Control: private=\"x\"\r\n",
            "private",
        ),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{said}Content-Length: 0\r\n\r\n");
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let toml = format!(
            "[access]\ndownstream = \"private\"\n[response]\nset = {{ cache-control = \"{}\" }}\n{BLOCK_BAD}",
            "public, max-age=7"
        );
        let set = Portcullis::start(&origin, &toml);
        assert_eq!(
            set.client().get("/", "").field("cache-control").unwrap(),
            "private, max-age=7"
        );
        let toml = format!("[access]\ndownstream = \"private\"\n{BLOCK_BAD}");
        let portcullis = Portcullis::start(&origin, &toml);
        let reply = portcullis.client().get("/", "");
        assert_eq!(
            reply.field("cache-control").as_deref(),
            Some(expected),
            "{status}"
        );
    }
}

#[test]
fn response_set() {
    let origin = fields("Server: o\r\nServer: p\r\nX-Kept: 1\r\n");
    let toml = format!(
        "[response]\nset = {{ Server = \"ours\", strict-transport-security = \"max-age=1\" }}\n{BLOCK_BAD}\
         [[route]]\nname = \"plain\"\npaths = [\"/plain/**\"]\nresponse = {{}}\n\
         [[route]]\nname = \"own\"\npaths = [\"/own/**\"]\nresponse.set = {{ x-own = \"1\" }}\n"
    );
    let portcullis = Portcullis::start(&origin, &toml);
    let mut client = portcullis.client();
    let reply = client.get("/a.png", "");
    assert_eq!(reply.field("server").unwrap(), "ours");
    assert_eq!(
        reply.field("strict-transport-security").unwrap(),
        "max-age=1"
    );
    assert_eq!(reply.field("x-kept").unwrap(), "1");
    assert_eq!(reply.field("vary").unwrap(), "Accept");
    let own = client.get("/own/a", "");
    assert_eq!(own.field("x-own").unwrap(), "1");
    for reply in [own, client.get("/plain/a", "")] {
        assert_eq!(reply.head.matches("server: ").count(), 2, "{}", reply.head);
        assert_eq!(reply.field("strict-transport-security"), None);
    }
    let denied = client.get("/", BAD);
    assert_eq!(
        denied.field("strict-transport-security"),
        None,
        "an answer of our own"
    );
}

#[test]
fn response_remove() {
    let origin = fields("Server: o\r\nX-Powered-By: p\r\nX-Powered-By: q\r\n");
    let toml = "[response]\nremove = [\"Server\", \"x-powered-by\", \"x-both\"]\nset = { x-both = \"set\" }\n";
    let reply = Portcullis::start(&origin, toml).client().get("/", "");
    assert_eq!(
        (reply.field("server"), reply.field("x-powered-by")),
        (None, None)
    );
    assert_eq!(
        reply.field("x-both").unwrap(),
        "set",
        "removed first, then set"
    );
    let reply = Portcullis::start(&origin, "").client().get("/", "");
    assert_eq!(reply.field("server").unwrap(), "o");
}

/// What the admin listener of a program with this `[admin]` answers.
fn asked(admin: &str, request: &str) -> u16 {
    let toml = format!("[admin]\nlisten = \"127.0.0.1:0\"\n{admin}");
    let program = Program::start(&Origin::ok(), &toml);
    Client::connect(program.admin())
        .send(request)
        .reply()
        .status
}

#[test]
fn admin_listen() {
    let program = Program::start(&Origin::ok(), "[admin]\nlisten = \"127.0.0.1:0\"");
    let health = |address| Client::connect(address).get("/healthz", "").status;
    assert_eq!(health(program.admin()), 200);
    assert_eq!(program.threads("admin"), 1);
    let without = Program::start(&Origin::ok(), "[admin]\nlisten = \"\"");
    assert_eq!(without.threads("admin"), 0);
}

#[test]
fn admin_token_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let reload = "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n\
                  Content-Length: 0\r\n\r\n";
    let key = format!("token_file = \"{}\"", file.display());
    assert_eq!(asked(&key, reload), 200);
    assert_eq!(asked("token_file = \"\"", reload), 403);
}

#[test]
fn admin_hosts() {
    let policy = "GET /-/policy HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(asked("hosts = [\"a.example\"]", policy), 200);
    assert_eq!(asked("hosts = [\"b.example\"]", policy), 421);
}
