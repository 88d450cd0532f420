use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    HandshakeKind, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion,
};

use super::{Asked, Conversation, Portcullis};

/// Someone who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
}

/// An origin that speaks TLS, follows a script and remembers what it saw.
pub(crate) struct TlsOrigin {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// For the roots that it is checked against.
    folder: TempDir,
}

/// A handshake as the origin saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) resumed: bool,
}

pub(crate) type TlsConversation = Conversation<StreamOwned<ServerConnection, TcpStream>>;

impl Authority {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self::named(&format!("Root {}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for these names and addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        adjust(&mut params);
        Issued::new(&params.signed_by(&key, &self.0).unwrap(), key)
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    CertificateParams::new(names).unwrap()
}

impl Issued {
    fn new(certificate: &rcgen::Certificate, key: KeyPair) -> Self {
        Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Signed by nobody else.
    pub(crate) fn by_itself(names: &[&str], is_ca: IsCa) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        params.is_ca = is_ca;
        Self::new(&params.self_signed(&key).unwrap(), key)
    }

    /// What a server with this certificate runs by.
    pub(crate) fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

impl TlsOrigin {
    /// Runs `script` on every connection; its end cuts the connection.
    pub(crate) fn scripted(
        config: ServerConfig,
        script: impl Fn(&mut TlsConversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, seen) = (Arc::default(), Arc::default());
        let origin = Self {
            address,
            asked: Arc::clone(&asked),
            seen: Arc::clone(&seen),
            folder: tempfile::tempdir().unwrap(),
        };
        let (config, script) = (Arc::new(config), Arc::new(script));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (config, script) = (Arc::clone(&config), Arc::clone(&script));
                let (asked, seen) = (Arc::clone(&asked), Arc::clone(&seen));
                std::thread::spawn(move || {
                    if let Some(stream) = shake_hands(stream.unwrap(), config, &seen) {
                        script(&mut Conversation::new(stream, connection, asked));
                    }
                });
            }
        });
        origin
    }

    /// Says `200` with the body `ok`.
    pub(crate) fn ok(issued: &Issued) -> Self {
        Self::answering(
            issued.config(&[&TLS13, &TLS12]),
            "Content-Length: 2\r\n\r\nok",
        )
    }

    /// Says `200` and then this; keeps the connection.
    pub(crate) fn answering(config: ServerConfig, answer: &'static str) -> Self {
        Self::scripted(config, move |conversation| {
            while conversation.request().is_some() {
                conversation.say(format!("HTTP/1.1 200 OK\r\n{answer}"));
            }
        })
    }

    /// A proxy in front of it that trusts `authority`; `settings` are of `[origin]`.
    pub(crate) fn behind(&self, authority: &Authority, settings: &str) -> Portcullis {
        self.behind_pem(&authority.pem(), settings)
    }

    pub(crate) fn behind_pem(&self, pem: &str, settings: &str) -> Portcullis {
        let file = self.folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let url = format!("https://localhost:{}", self.address.port());
        Portcullis::start_at(self.address, &private(&url, &file, settings))
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// All handshakes so far that came to an end.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A policy for an https origin; `settings` are of `[origin]`, and may have
/// a `url` of their own where `url` is empty.
pub(crate) fn private(url: &str, ca_file: &Path, settings: &str) -> String {
    let url = match url {
        "" => String::new(),
        url => format!("url = \"{url}\"\n"),
    };
    let ca_file = ca_file.display();
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[origin]\n{url}ca_file = \"{ca_file}\"\n{settings}\n"
    )
}

impl TlsConversation {
    /// Says that nothing more comes, and ends.
    pub(crate) fn close(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
    }
}

fn shake_hands(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    seen: &Mutex<Vec<Seen>>,
) -> Option<StreamOwned<ServerConnection, TcpStream>> {
    stream.set_nodelay(true).unwrap();
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            // What was not read would make the close a reset, which overtakes
            // the alert.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            return None;
        }
    }
    seen.lock().unwrap().push(Seen {
        name: connection.server_name().map(ToOwned::to_owned),
        protocol: connection.alpn_protocol().map(ToOwned::to_owned),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    });
    Some(StreamOwned::new(connection, stream))
}
