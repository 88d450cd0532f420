//! Clients that speak HTTP/2, those who mean it well and those who do not.

mod bodies;
mod clients;
mod ending;
mod floods;
mod malformed;
mod requests;
mod room;
mod slow;
mod uploads;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;
use tokio_rustls::rustls::version::TLS13;

use crate::support::{Http2, Origin, Program, Wire, eventually};
use crate::tls_clients::Edge;

/// One worker, with these keys of `[server]`.
fn start(origin: &Origin, server: &str) -> Edge {
    Edge::start_with(origin, "", server)
}

fn http2(edge: &Edge) -> Http2 {
    Http2::connect(edge.address(), edge.config_for(&[&TLS13], b"h2"))
}

/// One that has said nothing yet.
fn silent(edge: &Edge) -> Wire {
    Wire::silent(edge.address(), edge.config_for(&[&TLS13], b"h2"))
}

/// One that has greeted.
fn wire(edge: &Edge) -> Wire {
    let mut wire = silent(edge);
    wire.greet(&[]);
    wire
}

/// Whatever was done to it, nothing is left of that and it serves others.
fn is_well(edge: &Edge) {
    eventually("all connections are closed", || {
        edge.counted(|c| c.open.get()) == 0
    });
    let mut client = http2(edge);
    assert_eq!(client.get("/well", "").status, 200);
    drop(client);
    eventually("the last one too", || edge.counted(|c| c.open.get()) == 0);
}

/// An origin that says `ok` to who asks for `/now` or `/well`, to others when
/// it is let.
pub(crate) fn held() -> (Origin, mpsc::Sender<()>) {
    let (let_go, going) = mpsc::channel::<()>();
    let going = Arc::new(Mutex::new(going));
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            if !matches!(asked.target(), "/now" | "/well") && going.lock().unwrap().recv().is_err()
            {
                return;
            }
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    (origin, let_go)
}

/// A process with the certificates of `edge`, and where it speaks TLS.
fn with_tls(edge: &Edge, origin: &Origin, folder: &TempDir) -> (Program, SocketAddr) {
    for name in ["a.pem", "a.key"] {
        std::fs::copy(edge.folder.path().join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().display();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[server.tls]\nlisten = [\"{address}\"]\n\
         [[server.tls.certificates]]\ncert_file = \"{path}/a.pem\"\nkey_file = \"{path}/a.key\"\n[log]\naccess = \"log\"\n"
    );
    (Program::start(origin, &policy), address)
}
