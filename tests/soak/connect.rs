//! The ways to the proxy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::cause::Named;
use crate::wire::Transport;

/// How a connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    Six,
    Unix,
    /// In front of it a PROXY header, of version 1 or 2.
    Proxy(u8),
    Tls,
    TlsProxy(u8),
}

impl Way {
    pub(crate) const ALL: [Self; 8] = [
        Self::Plain,
        Self::Six,
        Self::Unix,
        Self::Proxy(1),
        Self::Proxy(2),
        Self::Tls,
        Self::TlsProxy(1),
        Self::TlsProxy(2),
    ];

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::TlsProxy(_))
    }

    pub(crate) fn proxy(self) -> Option<u8> {
        match self {
            Self::Proxy(version) | Self::TlsProxy(version) => Some(version),
            _ => None,
        }
    }
}

/// Where the proxy listens, and whom clients trust.
pub(crate) struct Ways {
    pub(crate) plain: SocketAddr,
    pub(crate) six: SocketAddr,
    pub(crate) unix: PathBuf,
    pub(crate) tls: SocketAddr,
    http1: TlsConnector,
    http2: TlsConnector,
    stranger: TlsConnector,
}

/// The only one whose PROXY header is believed.
pub(crate) const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

impl Ways {
    pub(crate) fn new(ports: [u16; 3], unix: PathBuf, root: &CertificateDer<'static>) -> Self {
        let [plain, six, tls] = ports;
        Self {
            plain: SocketAddr::from(([127, 0, 0, 1], plain)),
            six: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], six)),
            unix,
            tls: SocketAddr::from(([127, 0, 0, 1], tls)),
            http1: connector(root, b"http/1.1", true),
            http2: connector(root, b"h2", true),
            stranger: connector(root, b"http/1.1", false),
        }
    }

    /// Bytes to the proxy, for who is named `address` there.
    pub(crate) async fn connect(
        &self,
        way: Way,
        named: Named,
        address: &str,
    ) -> io::Result<Box<dyn Transport>> {
        Ok(match way {
            Way::Plain => Box::new(tcp(self.plain).await?),
            Way::Six => Box::new(tcp(self.six).await?),
            Way::Unix => Box::new(UnixStream::connect(&self.unix).await?),
            Way::Proxy(version) => Box::new(behind(self.plain, version, named, address).await?),
            Way::Tls | Way::TlsProxy(_) => Box::new(self.secure(way, named, address, false).await?),
        })
    }

    /// The same by TLS, for HTTP/2 or 1.1.
    pub(crate) async fn secure(
        &self,
        way: Way,
        named: Named,
        address: &str,
        http2: bool,
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = match way.proxy() {
            Some(version) => behind(self.tls, version, named, address).await?,
            None => tcp(self.tls).await?,
        };
        let connector = if http2 { &self.http2 } else { &self.http1 };
        let name = "img.example.com".try_into().unwrap();
        connector.connect(name, stream).await
    }

    /// The certificate that is shown now. Who resumes a session sees none.
    pub(crate) async fn certificate(&self) -> Option<CertificateDer<'static>> {
        let stream = tcp(self.tls).await.ok()?;
        let name = "img.example.com".try_into().unwrap();
        let stream = self.stranger.connect(name, stream).await.ok()?;
        stream.get_ref().1.peer_certificates()?.first().cloned()
    }
}

fn connector(root: &CertificateDer<'static>, protocol: &[u8], resumes: bool) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    TlsConnector::from(Arc::new(config))
}

async fn tcp(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// As the balancer connects.
pub(crate) async fn from_balancer(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((BALANCER, 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn behind(to: SocketAddr, version: u8, named: Named, address: &str) -> io::Result<TcpStream> {
    let address = match named {
        // It is believed what it says of others then.
        Named::Each => BALANCER,
        _ => address.parse().unwrap(),
    };
    let mut stream = from_balancer(to).await?;
    stream.write_all(&header(version, address, to)).await?;
    Ok(stream)
}

fn header(version: u8, address: Ipv4Addr, to: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(here) = to.ip() else {
        unreachable!("it listens on IPv4")
    };
    if version == 1 {
        return format!("PROXY TCP4 {address} {here} 4321 {}\r\n", to.port()).into_bytes();
    }
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11".to_vec();
    bytes.extend_from_slice(&address.octets());
    bytes.extend_from_slice(&here.octets());
    bytes.extend_from_slice(&4321_u16.to_be_bytes());
    bytes.extend_from_slice(&to.port().to_be_bytes());
    // Something else in it, of no concern: a TLV.
    bytes.extend_from_slice(&[0xea, 0, 2, 1, 2]);
    bytes
}
