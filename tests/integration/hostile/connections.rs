//! Slow, idle and very many connections, heads and chunks without end, and
//! floods by HTTP/2.

mod admin;
mod churn;
mod crowd;
mod floods;
mod padding;
mod room;
mod slow;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::{Client, Origin, Program, Wire};
use crate::tls_clients::{Edge, TlsClient};

const MANY: &str = "slow, idle and very many connections";
const FLOODS: &str = "HTTP/2 floods";

const WHOLE: &str = "GET /a HTTP/1.1\r\nHost: img.example.com\r\n\r\n";
const LAST: &str = "GET /now HTTP/1.1\r\nHost: img.example.com\r\nConnection: close\r\n\r\n";

/// A process with the certificates of `edge` in `folder`, these keys of
/// `[server]` and an admin listener; and where it speaks TLS.
fn program(edge: &Edge, origin: &Origin, folder: &TempDir, keys: &str) -> (Program, SocketAddr) {
    for name in ["a.pem", "a.key"] {
        std::fs::copy(edge.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().display();
    let any = "listen = [\"127.0.0.1:0\"]";
    let policy = format!(
        "[server]\n{any}\nworkers = 1\n{keys}\n[server.tls]\n{any}\n[[server.tls.certificates]]\n\
         cert_file = \"{path}/a.pem\"\nkey_file = \"{path}/a.key\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"off\"\n"
    );
    let program = Program::start(origin, &policy);
    let listening = program.started.split("listening=\"").nth(1).unwrap();
    let listening = listening.split('"').next().unwrap();
    let tls = listening.split(' ').nth(1).unwrap().parse().unwrap();
    (program, tls)
}

/// How many files it has open.
fn descriptors(program: &Program) -> usize {
    let folder = format!("/proc/{}/fd", program.id());
    std::fs::read_dir(folder).unwrap().count()
}

/// What its metrics say under this name.
fn metric(program: &Program, name: &str) -> f64 {
    let mut client = Client::connect(program.admin());
    let reply = client.get("/metrics", "");
    let mut lines = reply.text().lines();
    let line = lines.find(|line| line.split([' ', '{']).next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Whether somebody new who sends `first` and then a request gets an answer.
fn gets_in(address: SocketAddr, first: &[u8]) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let _ = stream.write_all(&[first, LAST.as_bytes()].concat());
    let mut answer = Vec::new();
    // A reset behind the answer is none of ours.
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/1.1 200 ")
}

/// Sends `bytes` again and again, with a pause in between, until nobody takes
/// them. `false`: somebody still does after ten seconds.
fn is_ended(stream: &mut impl std::io::Write, bytes: &[u8], pause: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if stream.write_all(bytes).is_err() || stream.flush().is_err() {
            return true;
        }
        std::thread::sleep(pause);
    }
    false
}

/// Where an edge is, and how to speak TLS to it: what its clients share.
struct Door {
    plain: SocketAddr,
    tls: SocketAddr,
    http1: Arc<ClientConfig>,
    http2: ClientConfig,
}

impl Door {
    fn of(edge: &Edge) -> Self {
        Self {
            plain: edge.portcullis.address,
            tls: edge.address(),
            http1: Arc::new(edge.config_for(&[&TLS13], b"http/1.1")),
            http2: edge.config_for(&[&TLS13], b"h2"),
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.plain)
    }

    /// A client that shakes hands with its first request.
    fn tls(&self) -> TlsClient {
        let name = "img.example.com".try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.http1), name).unwrap();
        let tcp = TcpStream::connect(self.tls).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client::by(StreamOwned::new(connection, tcp))
    }

    /// A client of HTTP/2 that has greeted.
    fn wire(&self) -> Wire {
        let mut wire = Wire::silent(self.tls, self.http2.clone());
        wire.greet(&[]);
        wire
    }
}

/// Its roots, as a file in `folder`.
fn root(edge: &Edge) -> String {
    let root: &Path = &edge.root();
    root.display().to_string()
}
