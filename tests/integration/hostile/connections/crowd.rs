//! Thousands of connections that stay, from a process of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{MANY, WHOLE, descriptors, metric, program, root};
use crate::support::{Client, Origin, Wire, eventually, tried};
use crate::tls_clients::Edge;

/// How many, where nobody asks for more.
const COUNT: usize = 2000;

/// What one may take, in bytes: a fifth each of those that have asked, have
/// said nothing, are within a head, have asked by TLS, and speak HTTP/2.
const EACH: usize = 24 * 1024;

/// Says to the test in the other process that it is its crowd.
const ORDER: &str = "PORTCULLIS_TEST_CROWD";

/// One connection of the crowd.
enum One {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl One {
    /// Whether the other side has ended it.
    fn is_closed(&self) -> bool {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        };
        stream.set_nonblocking(true).unwrap();
        let mut byte = [0];
        loop {
            match stream.peek(&mut byte) {
                Ok(0) => return true,
                // Tickets, settings: of no interest here.
                Ok(_) => drop((&*stream).read(&mut [0; 4096])),
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// Not a test: what the test below runs in a process of its own.
#[test]
#[ignore = "the crowd of the test beside it, which starts it"]
fn the_crowd() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let mut order = order.split(' ');
    let mut next = || order.next().unwrap();
    let (plain, tls) = (next().parse().unwrap(), next().parse().unwrap());
    let (count, root): (usize, _) = (next().parse().unwrap(), next());
    let files = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, all).unwrap();
    let [http1, http2] = [&b"http/1.1"[..], b"h2"].map(|protocol| speaks(root, protocol));
    let crowd: Vec<One> = (0..count)
        .map(|number| connect(number, plain, tls, &http1, &http2))
        .collect();
    println!("\ncrowd: ready");
    // Until it is told to look.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let closed = crowd.iter().filter(|one| one.is_closed()).count();
    println!("\ncrowd: {closed} closed");
}

fn speaks(root: &str, protocol: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(root).unwrap())
        .unwrap();
    let provider = tokio_rustls::rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

fn connect(
    number: usize,
    plain: SocketAddr,
    tls: SocketAddr,
    http1: &ClientConfig,
    http2: &ClientConfig,
) -> One {
    match number % 5 {
        0 => {
            let mut client = Client::connect(plain);
            assert_eq!(client.send(WHOLE).reply().text(), "ok");
            One::Plain(client.stream)
        }
        1 => One::Plain(TcpStream::connect(plain).unwrap()),
        2 => {
            let mut stream = TcpStream::connect(plain).unwrap();
            stream.write_all(&WHOLE.as_bytes()[..20]).unwrap();
            One::Plain(stream)
        }
        3 => {
            let name = "img.example.com".try_into().unwrap();
            let connection = ClientConnection::new(Arc::new(http1.clone()), name).unwrap();
            let tcp = TcpStream::connect(tls).unwrap();
            let mut client = Client::by(StreamOwned::new(connection, tcp));
            assert_eq!(client.send(WHOLE).reply().text(), "ok");
            One::Tls(client.stream.into())
        }
        _ => {
            let mut wire = Wire::silent(tls, http2.clone());
            wire.greet(&[]).get(1, "/a");
            assert_eq!(wire.answer(1), Ok(200));
            One::Tls(wire.stream.into())
        }
    }
}

/// Starts the crowd; what it says.
fn start(order: &str) -> (Child, impl FnMut() -> String) {
    let mut crowd = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::connections::crowd::the_crowd"])
        .args(["--ignored", "--nocapture"])
        .env(ORDER, order)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(crowd.stdout.take().unwrap()).lines();
    let says = move || {
        let mut lines = (&mut lines).map_while(Result::ok);
        let said = lines.find_map(|line| line.strip_prefix("crowd: ").map(str::to_owned));
        said.expect("the crowd has come to an end")
    };
    (crowd, says)
}

#[test]
fn thousands_stay_while_others_are_served() {
    let count = std::env::var("PORTCULLIS_CROWD").ok();
    let count = count.map_or(COUNT, |count| count.parse().unwrap());
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 2\r\n\r\nok",
    );
    let (edge, folder) = (
        Edge::start_with(&origin, "", ""),
        tempfile::tempdir().unwrap(),
    );
    let keys = format!(
        "max_connections = {}\nidle_timeout = \"1h\"\nheader_timeout = \"1h\"",
        count + 10
    );
    let (program, tls) = program(&edge, &origin, &folder, &keys);
    let mut busy = program.client();
    assert_eq!(busy.send(WHOLE).reply().text(), "ok");
    let (files, memory) = (descriptors(&program), program.memory("VmRSS"));
    let order = format!("{} {tls} {count} {}", program.address, root(&edge));
    let (mut crowd, mut says) = start(&order);
    assert_eq!(says(), "ready");
    let start = Instant::now();
    for _ in 0..500 {
        assert_eq!(busy.send(WHOLE).reply().text(), "ok");
        assert_eq!(program.client().send(WHOLE).reply().text(), "ok");
    }
    let served = start.elapsed();
    assert!(served < Duration::from_secs(10), "{served:?}");
    assert!(descriptors(&program) <= files + count + 10);
    // What was freed goes back to the system in the course of later requests.
    let each = || program.memory("VmRSS").saturating_sub(memory) / count;
    eventually("little memory", || {
        assert_eq!(busy.send(WHOLE).reply().text(), "ok");
        each() <= EACH
    });
    println!(
        "{count} connections: {} bytes each; 1000 others in {served:?}",
        each()
    );
    crowd.stdin.take().unwrap().write_all(b"look\n").unwrap();
    assert_eq!(says(), "0 closed");
    assert!(crowd.wait().unwrap().success());
    eventually("its files are closed", || {
        descriptors(&program) <= files + 4
    });
    eventually("all are closed", || {
        metric(&program, "portcullis_connections") == 1.0
    });
    tried(MANY, COUNT);
}
