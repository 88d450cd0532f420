//! `[server.tls]` and `server.redirect_https`, by what they compile to and
//! handshakes without a network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::config::{self, ServerSettings};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use crate::support::{Authority, Issued};

/// `[server]` of a policy with these keys of `[server]` and `[server.tls]`,
/// and with this certificate in `a.pem` and `a.key` beside it.
fn compiled(
    issued: &Issued,
    server: &str,
    tls: &str,
    files: [&str; 2],
) -> Result<ServerSettings, String> {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.pem", &issued.pem);
    put("a.key", &issued.key.serialize_pem());
    let [certificate, key] = files;
    let listen = match tls.contains("listen") {
        true => "",
        false => "listen = [\"127.0.0.1:8443\"]\n",
    };
    put(
        "p.toml",
        &format!(
            "[server]\n{server}\n[server.tls]\n{listen}{tls}\n[[server.tls.certificates]]\n\
             cert_file = \"{certificate}\"\nkey_file = \"{key}\"\n\
             [origin]\nurl = \"http://127.0.0.1:9000\"\n"
        ),
    );
    load(&folder.path().join("p.toml"))
}

fn load(file: &Path) -> Result<ServerSettings, String> {
    let loaded = config::load(file).map_err(|errors| errors.to_string());
    loaded.map(|(snapshot, _)| snapshot.server)
}

const FILES: [&str; 2] = ["a.pem", "a.key"];

fn issued() -> (Authority, Issued) {
    let authority = Authority::new();
    let issued = authority.issue(&["a.example"]);
    (authority, issued)
}

#[test]
fn server_tls_listen() {
    let (_, issued) = issued();
    let listens = |tls| compiled(&issued, "", tls, FILES).unwrap();
    let at = |address| listens(address).tls.map(|tls| tls.listen);
    assert_eq!(at("listen = []"), None);
    let address = "listen = [\"[::1]:8444\"]";
    assert_eq!(at(address), Some(vec!["[::1]:8444".parse().unwrap()]));
    assert!(listens(address).listen.is_empty() && !listens("listen = []").listen.is_empty());
}

#[test]
fn server_redirect_https() {
    let (_, issued) = issued();
    let redirects = |server| compiled(&issued, server, "", FILES).unwrap().redirect_https;
    assert_eq!(redirects(""), []);
    let address = "redirect_https = [\"127.0.0.1:8081\"]";
    assert_eq!(redirects(address), ["127.0.0.1:8081".parse().unwrap()]);
}

#[test]
fn server_tls_handshake_timeout() {
    let (_, issued) = issued();
    let timeout = |tls| {
        let server = compiled(&issued, "", tls, FILES).unwrap();
        server.tls.unwrap().handshake_timeout
    };
    assert_eq!(timeout(""), Duration::from_secs(10));
    assert_eq!(
        timeout("handshake_timeout = \"3s\""),
        Duration::from_secs(3)
    );
}

#[test]
fn server_tls_http2() {
    let (_, issued) = issued();
    let offered = |tls| {
        let server = compiled(&issued, "", tls, FILES).unwrap();
        server.tls.unwrap().config.alpn_protocols.clone()
    };
    assert_eq!(offered(""), [&b"h2"[..], b"http/1.1"]);
    assert_eq!(offered("http2 = true"), offered(""));
    assert_eq!(offered("http2 = false"), [b"http/1.1"]);
}

#[test]
fn server_tls_max_streams() {
    let (_, issued) = issued();
    let streams = |tls| {
        let server = compiled(&issued, "", tls, FILES).unwrap();
        server.tls.unwrap().max_streams
    };
    assert_eq!(streams(""), 128);
    assert_eq!(streams("max_streams = 1"), 1);
}

#[test]
fn server_tls_min_version() {
    let (authority, issued) = issued();
    let shakes = |tls, version| {
        let tls = compiled(&issued, "", tls, FILES).unwrap().tls.unwrap();
        shake(&authority, &tls.config, version).is_ok()
    };
    for (tls, old, new) in [
        ("", true, true),
        ("min_version = \"1.2\"", true, true),
        ("min_version = \"1.3\"", false, true),
    ] {
        assert_eq!(
            (shakes(tls, &TLS12), shakes(tls, &TLS13)),
            (old, new),
            "{tls}"
        );
    }
}

#[test]
fn server_tls_certificates_cert_file() {
    let (authority, issued) = issued();
    let tls = compiled(&issued, "", "", FILES).unwrap().tls.unwrap();
    let shown = shake(&authority, &tls.config, &TLS13).unwrap();
    assert_eq!(shown, issued.certificate);
    let said = compiled(&issued, "", "", ["b.pem", "a.key"]).unwrap_err();
    assert!(
        said.contains("cert_file") && said.contains("no such file"),
        "{said}"
    );
}

#[test]
fn server_tls_certificates_key_file() {
    let (authority, issued) = issued();
    let tls = compiled(&issued, "", "", FILES).unwrap().tls.unwrap();
    assert!(shake(&authority, &tls.config, &TLS12).is_ok());
    let said = compiled(&issued, "", "", ["a.pem", "a.pem"]).unwrap_err();
    assert!(
        said.contains("key_file") && said.contains("no private key"),
        "{said}"
    );
}

/// A handshake as a client has it that asks for `a.example` and trusts
/// `authority`: the certificate it was shown.
fn shake(
    authority: &Authority,
    config: &Arc<ServerConfig>,
    version: &'static SupportedProtocolVersion,
) -> Result<CertificateDer<'static>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let trusting = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("a.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(trusting), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    for _ in 0..4 {
        let mut sent = Vec::new();
        client.write_tls(&mut sent).unwrap();
        server.read_tls(&mut sent.as_slice()).unwrap();
        server.process_new_packets()?;
        sent.clear();
        while server.wants_write() {
            server.write_tls(&mut sent).unwrap();
        }
        client.read_tls(&mut sent.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client.peer_certificates().unwrap()[0].clone().into_owned())
}
