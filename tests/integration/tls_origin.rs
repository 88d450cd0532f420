//! Origins that are reached by https.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::support::{
    Authority, Issued, Origin, Portcullis, Program, TlsOrigin, eventually, portcullis, private,
};

const CLOSES: &str = "Connection: close\r\nContent-Length: 2\r\n\r\nok";

/// The status of a request, and the error in its log line.
fn outcome(portcullis: Portcullis) -> (u16, serde_json::Value) {
    let status = portcullis.client().get("/", "").status;
    (status, portcullis.stop()[0]["error"].clone())
}

#[test]
fn an_origin_whose_certificate_is_good() {
    let authority = Authority::new();
    let origin = TlsOrigin::ok(&authority.issue(&["localhost"]));
    // What clients say, and what Host is sent, changes nothing about TLS.
    for host in ["preserve", "origin", "assets.internal"] {
        let portcullis = origin.behind(&authority, &format!("host = \"{host}\""));
        let mut client = portcullis.client();
        for _ in 0..2 {
            assert_eq!(client.get("/a", "").text(), "ok", "{host}");
        }
    }
    let seen = origin.seen();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for seen in seen {
        assert_eq!(seen.name.as_deref(), Some("localhost"));
        assert_eq!(seen.protocol.as_deref(), Some(&b"http/1.1"[..]));
    }
    let asked = origin.asked();
    let port = origin.address.port();
    let hosts: Vec<_> = asked
        .iter()
        .map(|asked| asked.field("host").unwrap())
        .collect();
    assert_eq!(hosts[1], "img.example.com");
    assert_eq!(hosts[3], format!("localhost:{port}"));
    assert_eq!(hosts[5], "assets.internal");
    // The scheme is the client's.
    assert_eq!(asked[0].field("x-forwarded-proto").unwrap(), "http");
}

#[test]
fn an_address_is_checked_as_one_and_not_sent_as_a_name() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    for (names, status) in [(["127.0.0.1"], 200), (["localhost"], 502)] {
        let origin = TlsOrigin::ok(&authority.issue(&names));
        let url = format!("https://{}", origin.address);
        let policy = private(&url, &file, "host = \"localhost\"");
        let portcullis = Portcullis::start_at(origin.address, &policy);
        assert_eq!(portcullis.client().get("/", "").status, status, "{names:?}");
        assert!(origin.seen().iter().all(|seen| seen.name.is_none()));
    }
}

#[test]
fn certificates_that_are_not_trusted() {
    let (ours, theirs) = (Authority::named("Root"), Authority::new());
    let renewed = Authority::named("Root");
    let expired = ours.issue_with(&["localhost"], |params| {
        params.not_after = date_time_ymd(2001, 2, 3);
    });
    let later = ours.issue_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2999, 2, 3);
        params.not_after = date_time_ymd(3000, 2, 3);
    });
    let itself = Issued::by_itself(&["localhost"], IsCa::NoCa);
    for (issued, why) in [
        (theirs.issue(&["localhost"]), "unknown issuer"),
        (itself, "unknown issuer"),
        (
            renewed.issue(&["localhost"]),
            "unknown issuer, of the name of a known one",
        ),
        (
            expired,
            "expired, valid until Sat, 03 Feb 2001 00:00:00 GMT",
        ),
        (later, "not valid yet, valid from Sun, 03 Feb 2999"),
        (
            ours.issue(&["other.example"]),
            "it is not for localhost but for other.example",
        ),
        (ours.issue(&[]), "it is for no name at all"),
    ] {
        let origin = TlsOrigin::ok(&issued);
        let failed = outcome(origin.behind(&ours, ""));
        assert_eq!(failed, (502, "tls_certificate_error".into()), "{why}");
        assert!(origin.asked().is_empty(), "{why}");
        let said = what_is_said(&origin, &ours.pem());
        let start = "the origin's certificate is not trusted: ";
        assert!(said.contains(&format!("{start}{why}")), "{why}: {said}");
    }
}

/// The line of the program's own log about the origin.
fn what_is_said(origin: &TlsOrigin, ca_file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca_file).unwrap();
    let url = format!("https://localhost:{}", origin.address.port());
    let mut program = Program::start(&Origin::ok(), &private(&url, &file, ""));
    let mut client = program.client();
    for _ in 0..3 {
        client.get("/", "");
    }
    let said = program.says("WARN");
    assert!(said.contains(&format!("origin {url}: ")), "{said}");
    program.signal("TERM");
    let (_, _, rest) = program.wait();
    assert!(
        !rest.iter().any(|line| line.contains("WARN")),
        "said again: {rest:#?}"
    );
    said
}

#[test]
fn a_certificate_signed_by_itself_can_be_trusted_if_it_is_no_authority() {
    for (is_ca, status) in [
        (IsCa::ExplicitNoCa, 200),
        (IsCa::NoCa, 200),
        (IsCa::Ca(BasicConstraints::Unconstrained), 502),
    ] {
        let what = format!("{is_ca:?}");
        let issued = Issued::by_itself(&["localhost"], is_ca);
        let origin = TlsOrigin::ok(&issued);
        let portcullis = origin.behind_pem(&issued.pem, "");
        assert_eq!(portcullis.client().get("/", "").status, status, "{what}");
        if status == 502 {
            let said = what_is_said(&origin, &issued.pem);
            assert!(said.contains("a certificate authority's own"), "{said}");
        }
    }
}

#[test]
fn plain_http_where_tls_is_expected_and_the_reverse() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let plain = Origin::scripted(|conversation| {
        conversation.take(5);
        conversation.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        conversation.take(usize::MAX);
    });
    let policy = private(&format!("https://{}", plain.address), &file, "");
    let portcullis = Portcullis::start_at(plain.address, &policy);
    assert_eq!(outcome(portcullis), (502, "tls_protocol_error".into()));

    let tls = TlsOrigin::ok(&authority.issue(&["localhost"]));
    let portcullis = Portcullis::start_at(tls.address, "");
    assert_eq!(outcome(portcullis), (502, "http_protocol_error".into()));
}

#[test]
fn a_handshake_that_does_not_end_or_ends_early() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let silent = Origin::scripted(|conversation| drop(conversation.take(usize::MAX)));
    let closes = Origin::scripted(|conversation| drop(conversation.take(5)));
    for (origin, status, error) in [
        (silent, 504, "connection_timeout"),
        (closes, 502, "connection_terminated"),
    ] {
        let url = format!("https://{}", origin.address);
        let policy = private(&url, &file, "connect_timeout = \"300ms\"");
        let portcullis = Portcullis::start_at(origin.address, &policy);
        assert_eq!(outcome(portcullis), (status, error.into()));
    }
}

#[test]
fn an_origin_that_refuses_by_an_alert() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let mut speaks_h2_only = issued.config(&[&TLS13, &TLS12]);
    speaks_h2_only.alpn_protocols = vec![b"h2".to_vec()];
    // With TLS 1.3, the client is done before the server has seen that it
    // has no certificate.
    for config in [speaks_h2_only, wants_certificates(&authority, &issued)] {
        let origin = TlsOrigin::answering(config, CLOSES);
        let failed = outcome(origin.behind(&authority, ""));
        assert_eq!(failed, (502, "tls_alert_received".into()));
    }
}

fn wants_certificates(authority: &Authority, issued: &Issued) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![issued.certificate.clone()], key)
        .unwrap()
}

#[test]
fn sessions_are_taken_up_again_by_all_workers() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let config = authority.issue(&["localhost"]).config(&[version]);
        let origin = TlsOrigin::scripted(config, |conversation| {
            if conversation.request().is_some() {
                conversation.say(format!("HTTP/1.1 200 OK\r\n{CLOSES}"));
                conversation.close();
            }
        });
        let one = origin.behind(&authority, "");
        // Another worker, another snapshot, the same file: the same sessions.
        let other = origin.behind(&authority, "retries = 2");
        for portcullis in [&one, &one, &other] {
            assert_eq!(portcullis.client().get("/", "").text(), "ok");
        }
        let resumed: Vec<_> = origin.seen().iter().map(|seen| seen.resumed).collect();
        assert_eq!(resumed, [false, true, true], "{version:?}");
    }
}

#[test]
fn a_body_that_ends_without_a_word_is_cut() {
    let authority = Authority::new();
    let config = authority.issue(&["localhost"]).config(&[&TLS13, &TLS12]);
    let origin = TlsOrigin::scripted(config, |conversation| {
        let Some(asked) = conversation.request() else {
            return;
        };
        conversation.say("HTTP/1.1 200 OK\r\n\r\nbody");
        if asked.line().contains("/whole") {
            conversation.close();
        }
    });
    let portcullis = origin.behind(&authority, "");
    for (path, whole) in [("/whole", true), ("/cut", false)] {
        let mut client = portcullis.client();
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ));
        let mut all = Vec::new();
        // A reset is one way to say that it is not whole.
        let _ = client.stream.read_to_end(&mut all);
        let all = String::from_utf8(all).unwrap();
        assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
        assert!(
            all.to_lowercase().contains("transfer-encoding: chunked"),
            "{all}"
        );
        assert_eq!(all.ends_with("\r\n0\r\n\r\n"), whole, "{path}: {all}");
    }
}

#[test]
fn large_bodies_both_ways() {
    let authority = Authority::new();
    let config = authority.issue(&["localhost"]).config(&[&TLS13, &TLS12]);
    let origin = TlsOrigin::scripted(config, |conversation| {
        while let Some(asked) = conversation.request() {
            let length = asked.body.len();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ));
            conversation.say(asked.body);
        }
    });
    let portcullis = origin.behind(&authority, "");
    let mut client = portcullis.client();
    let body: Vec<u8> = (0..8_u32 << 20).map(|at| (at / 7) as u8).collect();
    let length = body.len();
    client.send(format!(
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    ));
    client.send(&body);
    assert!(client.reply().body == body, "the body came back changed");
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client
        .send(format!("{length:x}\r\n"))
        .send(&body)
        .send("\r\n0\r\n\r\n");
    assert!(
        client.reply().body == body,
        "the chunked body came back changed"
    );
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_replaced_ca_file_comes_into_force_and_old_connections_are_not_used() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let origin = TlsOrigin::ok(&ours.issue(&["localhost"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let write = |pem: String| std::fs::write(&file, pem).unwrap();
    write(ours.pem());
    let url = format!("https://localhost:{}", origin.address.port());
    let mut program = Program::start(&Origin::ok(), &private(&url, &file, ""));
    let mut client = program.client();
    for _ in 0..2 {
        assert_eq!(client.get("/", "").status, 200);
    }
    write(theirs.pem());
    program.says("a new configuration is in force");
    assert_eq!(client.get("/", "").status, 502);
    write("-----BEGIN CERTIFICATE-----\n".to_owned());
    program.says("stays in force");
    assert_eq!(client.get("/", "").status, 502);
    write(theirs.pem() + &ours.pem());
    program.says("a new configuration is in force");
    assert_eq!(client.get("/", "").status, 200);
    // Sessions of other roots are not taken up, and nothing about the roots
    // changes when something else does.
    program.edit("workers = 1", "workers = 1\nmerge_slashes = false");
    program.says("a new configuration is in force");
    assert_eq!(client.get("/", "").status, 200);
    let resumed: Vec<_> = origin.seen().iter().map(|seen| seen.resumed).collect();
    assert_eq!(resumed, [false, false]);
}

#[test]
fn the_platforms_roots_are_those_of_the_environment() {
    let authority = Authority::new();
    let origin = TlsOrigin::ok(&authority.issue(&["localhost"]));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let url = format!("https://localhost:{}", origin.address.port());
    let policy = format!("[origin]\nurl = \"{url}\"\n");
    let roots = [
        (at("ours.pem", authority.pem()), 200),
        (at("theirs.pem", Authority::new().pem()), 502),
    ];
    for (roots, status) in roots {
        let program = Program::start_with(&Origin::ok(), &policy, |command| {
            command
                .env("SSL_CERT_FILE", roots)
                .env_remove("SSL_CERT_DIR");
        });
        assert_eq!(program.client().get("/", "").status, status);
    }
    let (none, file) = (at("none.pem", String::new()), at("policy.toml", policy));
    let mut check = portcullis(&["check"]);
    let check = check
        .arg(file)
        .env("SSL_CERT_FILE", none)
        .env_remove("SSL_CERT_DIR");
    let output = check.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for words in [
        "origin.url",
        "no root certificates",
        "ca_file",
        "ca-certificates",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// nginx, ended when dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nginx {
    /// Runs it on a port of its own with the certificate in `folder`, serving
    /// and taking files; `None` where it is not installed.
    fn start(folder: &Path) -> Option<(Self, u16)> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::write(folder.join("nginx.conf"), nginx_conf(folder, port)).unwrap();
        let nginx = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stdout(Stdio::null())
            .spawn();
        let nginx = match nginx {
            Ok(child) => Self(child),
            Err(error) => {
                eprintln!("SKIPPED: nginx as a TLS origin: {error}");
                return None;
            }
        };
        eventually("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some((nginx, port))
    }
}

fn nginx_conf(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/tmp;\n"))
        .collect();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 64; }}
        http {{
            access_log off; {temporary}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {folder}/certificate.pem;
                ssl_certificate_key {folder}/key.pem;
                location / {{
                    root {folder}/files; dav_methods PUT; client_max_body_size 64m;
                    add_header x-resumed \"$ssl_session_reused $ssl_protocol\";
                }}
            }}
        }}"
    )
}

#[test]
fn nginx_is_an_origin() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("files/bucket")).unwrap();
    std::fs::write(at("certificate.pem"), &issued.pem).unwrap();
    std::fs::write(at("key.pem"), issued.key.serialize_pem()).unwrap();
    std::fs::write(at("ca.pem"), authority.pem()).unwrap();
    let Some((_nginx, port)) = Nginx::start(folder.path()) else {
        return;
    };
    let url = format!("https://localhost:{port}/bucket");
    let policy = private(&url, &at("ca.pem"), "");
    let portcullis = Portcullis::start_at(([127, 0, 0, 1], port).into(), &policy);
    let mut client = portcullis.client();
    let body: Vec<u8> = (0..4_u32 << 20).map(|at| (at / 5) as u8).collect();
    client.send(format!(
        "PUT /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.send(&body).reply().status, 201);
    assert!(std::fs::read(at("files/bucket/a.bin")).unwrap() == body);
    let got = client.get("/a.bin", "");
    assert!(got.body == body, "{}", got.head);
    assert_eq!(got.field("x-resumed").unwrap(), ". TLSv1.3");
    assert_eq!(
        client.get("/a.bin", "Range: bytes=5-9\r\n").body,
        body[5..10]
    );
    assert_eq!(client.get("/../bucket/a.bin", "").status, 400);
}

#[test]
fn an_origin_that_is_not_there_is_told_of_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let policy = format!("[origin]\nurl = \"http://{address}/a\"\n");
    let mut program = Program::start(&Origin::ok(), &policy);
    let mut client = program.client();
    for _ in 0..20 {
        assert_eq!(client.get("/", "").status, 502);
    }
    let said = program.says("WARN");
    assert!(
        said.contains(&format!("origin http://{address}/a: the origin refused")),
        "{said}"
    );
    program.signal("TERM");
    let (_, _, rest) = program.wait();
    assert!(
        !rest.iter().any(|line| line.contains("WARN")),
        "said again: {rest:#?}"
    );
}

#[test]
fn a_hang_of_one_handshake_is_nobody_elses() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let silent = Origin::scripted(|conversation| drop(conversation.take(usize::MAX)));
    let good = TlsOrigin::ok(&authority.issue(&["localhost"]));
    let url = format!("https://localhost:{}", good.address.port());
    let mut policy = private(&url, &file, "");
    policy.push_str(&format!(
        "[[route]]\nname = \"silent\"\npaths = [\"/silent/**\"]\norigin = {{ url = \"https://{}\", ca_file = \"{}\" }}\n",
        silent.address,
        file.display()
    ));
    let portcullis = Portcullis::start_at(good.address, &policy);
    let mut waiting = portcullis.client();
    waiting.send("GET /silent/ HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(portcullis.client().get("/", "").status, 200);
    waiting
        .stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let mut byte = [0];
    assert!(waiting.stream.read(&mut byte).is_err(), "it was answered");
}
