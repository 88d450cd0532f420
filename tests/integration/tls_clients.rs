//! Clients that speak TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::log::counters::{ConnectionCounters, Counter};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::connections::endless;
use crate::support::{Authority, Client, Issued, Origin, Portcullis, eventually, is_installed};

pub(crate) type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// A proxy with certificates for `img.example.com` and `*.b.example.com`.
pub(crate) struct Edge {
    authority: Authority,
    pub(crate) folder: TempDir,
    pub(crate) portcullis: Portcullis,
}

impl Edge {
    fn start(origin: &Origin, keys: &str) -> Self {
        Self::start_with(origin, keys, "")
    }

    /// With `keys` of `[server.tls]` and `server` of `[server]`.
    pub(crate) fn start_with(origin: &Origin, keys: &str, server: &str) -> Self {
        Self::start_by(origin, keys, server, "")
    }

    /// The same, with `tables` behind.
    pub(crate) fn start_by(origin: &Origin, keys: &str, server: &str, tables: &str) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        put(&folder, "a", &authority.issue(&["img.example.com"]));
        put(&folder, "b", &authority.issue(&["*.b.example.com"]));
        let policy = policy(&folder, keys, server) + tables;
        let portcullis = Portcullis::start(origin, &policy);
        Self {
            authority,
            folder,
            portcullis,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.portcullis.server.addresses()[1]
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        Arc::new(self.config_for(versions, b"http/1.1"))
    }

    /// How to speak `protocol` to it.
    pub(crate) fn config_for(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocol: &[u8],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    pub(crate) fn client(&self) -> TlsClient {
        self.client_of("img.example.com", &self.config(&[&TLS13, &TLS12]))
            .unwrap()
    }

    /// A client that has shaken hands.
    fn client_of(&self, host: &str, config: &Arc<ClientConfig>) -> std::io::Result<TlsClient> {
        let name = host.to_owned().try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut tcp = TcpStream::connect(self.address()).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Client::by(StreamOwned::new(connection, tcp)))
    }

    /// What it sums up of all its workers.
    pub(crate) fn counted(&self, which: impl Fn(&ConnectionCounters) -> u64) -> u64 {
        let counters = self.portcullis.server.counters();
        counters.sum(|worker| which(&worker.connections))
    }

    /// The roots by which it is known, as a file.
    pub(crate) fn root(&self) -> std::path::PathBuf {
        let root = self.folder.path().join("root.pem");
        std::fs::write(&root, self.authority.pem()).unwrap();
        root
    }

    fn failed_handshakes(&self) -> u64 {
        let counters = self.portcullis.server.counters();
        counters.sum(|worker| {
            let failed: &Counter = &worker.connections.failed_handshakes;
            failed.get()
        })
    }
}

fn put(folder: &TempDir, name: &str, issued: &Issued) {
    let path = |kind: &str| folder.path().join(format!("{name}.{kind}"));
    std::fs::write(path("pem"), &issued.pem).unwrap();
    std::fs::write(path("key"), issued.key.serialize_pem()).unwrap();
}

fn policy(folder: &TempDir, keys: &str, server: &str) -> String {
    let path = folder.path().display();
    let certificates: String = ["a", "b"]
        .map(|name| {
            format!(
                "[[server.tls.certificates]]\ncert_file = \"{path}/{name}.pem\"\nkey_file = \"{path}/{name}.key\"\n"
            )
        })
        .concat();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nredirect_https = [\"127.0.0.1:0\"]\nworkers = 1\n{server}\
         [server.tls]\nlisten = [\"127.0.0.1:0\"]\n{keys}\n{certificates}"
    )
}

#[test]
fn requests_are_served_as_in_the_clear() {
    let origin = Origin::ok();
    let edge = Edge::start(&origin, "");
    let mut client = edge.client();
    for path in ["/a", "/b"] {
        assert_eq!(client.get(path, "").text(), "ok");
    }
    let upload = "POST /c HTTP/1.1\r\nHost: img.example.com\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(client.send(upload).reply().text(), "ok");
    let asked = origin.asked();
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!(asked.field("x-forwarded-proto").as_deref(), Some("https"));
    }
}

#[test]
fn a_large_response_comes_whole() {
    let body = "0123456789abcdef".repeat(1 << 16);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&answer);
        }
    });
    let edge = Edge::start(&origin, "");
    let mut client = edge.client();
    for _ in 0..3 {
        assert!(client.get("/a.bin", "").text() == body);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let edge = Edge::start(&Origin::ok(), "");
    let mut client = edge.client();
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50));
    for _ in 0..50 {
        assert_eq!(client.reply().text(), "ok");
    }
}

#[test]
fn the_certificate_is_that_of_the_name() {
    let edge = Edge::start(&Origin::ok(), "");
    let config = edge.config(&[&TLS13]);
    for host in ["img.example.com", "IMG.example.com", "x.b.example.com"] {
        let mut client = edge.client_of(host, &config).unwrap();
        assert_eq!(client.get("/", "").status, 200, "{host}");
    }
    for host in ["b.example.com", "x.y.b.example.com", "example.net"] {
        assert!(edge.client_of(host, &config).is_err(), "{host}");
    }
}

#[test]
fn the_oldest_version_is_as_configured() {
    let edge = Edge::start(&Origin::ok(), "min_version = \"1.3\"");
    assert!(
        edge.client_of("img.example.com", &edge.config(&[&TLS12]))
            .is_err()
    );
    eventually("counted", || edge.failed_handshakes() == 1);
    let new = edge.config(&[&TLS13]);
    assert!(edge.client_of("img.example.com", &new).is_ok());
}

#[test]
fn sessions_are_taken_up_again_after_a_reload() {
    for version in [&TLS12, &TLS13] {
        let edge = Edge::start(&Origin::ok(), "");
        let config = edge.config(&[version]);
        let kind = || {
            let mut client = edge.client_of("img.example.com", &config).unwrap();
            assert_eq!(client.get("/", "").status, 200);
            client.stream.conn.handshake_kind()
        };
        assert_eq!(kind(), Some(HandshakeKind::Full));
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
        edge.portcullis.change_policy("workers = 1", "workers = 2");
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
}

#[test]
fn who_says_nothing_is_closed_in_time() {
    let edge = Edge::start(&Origin::ok(), "handshake_timeout = \"200ms\"");
    let start = Instant::now();
    let mut silent = TcpStream::connect(edge.address()).unwrap();
    let mut halfway = TcpStream::connect(edge.address()).unwrap();
    halfway.write_all(b"\x16\x03\x01\x02").unwrap();
    for client in [&mut silent, &mut halfway] {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    assert!(start.elapsed() >= Duration::from_millis(200));
    eventually("counted", || edge.failed_handshakes() == 2);
}

#[test]
fn a_reader_that_stalls_is_cut_and_a_slow_one_is_not() {
    let edge = Edge::start_with(&endless(), "", "stall_timeout = \"1s\"\n");
    let stalled = || {
        let counters = edge.portcullis.server.counters();
        counters.sum(|worker| worker.connections.stalled.get())
    };
    let mut client = edge.client();
    client
        .send("GET / HTTP/1.1\r\nHost: img.example.com\r\n\r\n")
        .head();
    for _ in 0..16 {
        std::thread::sleep(Duration::from_millis(250));
        client.take(128 * 1024);
    }
    assert_eq!(stalled(), 0);
    eventually("stalled", || stalled() == 1);
}

#[test]
fn plain_http_is_told_that_it_is_wrong_here() {
    let edge = Edge::start(&Origin::ok(), "");
    let mut client = Client::connect(edge.address());
    let reply = client.get("/", "");
    assert_eq!(reply.status, 400);
    assert_eq!(client.rest(), b"");
    let line = edge.portcullis.stop().remove(0);
    assert_eq!(
        line["error"],
        "plain HTTP was sent to an address of server.tls.listen"
    );
}

#[test]
fn a_plain_listener_redirects() {
    let origin = Origin::ok();
    let edge = Edge::start(&origin, "");
    let addresses = edge.portcullis.server.addresses();
    let mut client = Client::connect(addresses[2]);
    let port = addresses[1].port();
    for path in ["/a/b.jpg?c=d", "/"] {
        let reply = client.get(path, "");
        assert_eq!(reply.status, 308);
        let expected = format!("https://img.example.com:{port}{path}");
        assert_eq!(reply.field("location"), Some(expected));
    }
    assert_eq!(client.get("/%zz", "").status, 400);
    assert!(origin.asked().is_empty());
}

#[test]
fn only_who_may_pass_is_redirected() {
    let origin = Origin::ok();
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    put(&folder, "a", &authority.issue(&["img.example.com"]));
    put(&folder, "b", &authority.issue(&["*.b.example.com"]));
    let rules = "[access.user_agent]\nblock = [\"bot\"]\n";
    let hosts = "hosts = [\"img.example.com\"]\n";
    let policy = policy(&folder, "", hosts) + rules;
    let portcullis = Portcullis::start(&origin, &policy);
    let mut client = Client::connect(portcullis.server.addresses()[2]);
    assert_eq!(client.get("/", "").status, 308);
    assert_eq!(client.get("/", "User-Agent: a bot\r\n").status, 403);
    let elsewhere = "GET / HTTP/1.1\r\nHost: example.net\r\n\r\n";
    let reply = client.send(elsewhere).reply();
    assert_eq!((reply.status, reply.field("location")), (421, None));
    assert!(origin.asked().is_empty());
}

#[test]
fn an_end_is_told_by_tls_too() {
    let edge = Edge::start(&Origin::ok(), "");
    let mut client = edge.client();
    assert_eq!(client.get("/", "Connection: close\r\n").status, 200);
    // Without close_notify this were an error.
    assert_eq!(client.rest(), b"");
}

#[test]
fn curl_and_openssl_get_along_with_it() {
    let edge = Edge::start(&Origin::ok(), "");
    let root = edge.folder.path().join("root.pem");
    std::fs::write(&root, edge.authority.pem()).unwrap();
    let port = edge.address().port();
    if is_installed("curl") {
        let url = format!("https://img.example.com:{port}/a");
        let resolve = format!("img.example.com:{port}:127.0.0.1");
        for version in ["--tls-max=1.2", "--tlsv1.3"] {
            let mut curl = Command::new("curl");
            curl.args([
                "-sS",
                "--http1.1",
                "--max-time",
                "10",
                "--resolve",
                &resolve,
            ]);
            match version {
                "--tlsv1.3" => curl.arg("--tlsv1.3"),
                _ => curl.args(["--tls-max", "1.2"]),
            };
            let output = curl.arg("--cacert").arg(&root).arg(&url).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.stdout, b"ok", "{version}: {errors}");
        }
    } else {
        eprintln!("SKIPPED: curl is not installed");
    }
    if is_installed("openssl") {
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
            .args(["-servername", "img.example.com", "-verify_return_error"])
            .args(["-quiet", "-ign_eof", "-CAfile"])
            .arg(&root)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let ask = b"GET / HTTP/1.1\r\nHost: img.example.com\r\nConnection: close\r\n\r\n";
        openssl.stdin.take().unwrap().write_all(ask).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.stdout.starts_with(b"HTTP/1.1 200 OK\r\n"));
    } else {
        eprintln!("SKIPPED: openssl is not installed");
    }
}

#[test]
fn silence_before_a_handshake_does_not_hold_a_drain() {
    let origin = Origin::ok();
    let edge = Edge::start(&origin, "handshake_timeout = \"1h\"");
    let mut silent = TcpStream::connect(edge.address()).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    // By the worker's order it has been accepted when this is answered.
    assert_eq!(edge.client().get("/", "").status, 200);
    edge.portcullis.server.stop().drain();
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
    edge.portcullis.finish();
}

#[test]
fn a_connection_that_makes_room_ends_in_order() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    put(&folder, "a", &authority.issue(&["img.example.com"]));
    put(&folder, "b", &authority.issue(&["*.b.example.com"]));
    let policy = policy(&folder, "", "max_connections = 1\n");
    let edge = Edge {
        portcullis: Portcullis::start(&Origin::ok(), &policy),
        authority,
        folder,
    };
    let mut idle = edge.client();
    assert_eq!(idle.get("/", "").status, 200);
    assert_eq!(edge.client().get("/", "").status, 200);
    assert_eq!(idle.rest(), b"");
}
