//! One proxy in front of origins that all follow one script: by TCP, by TLS
//! and at a Unix socket, each with a route that caches and one that does not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::rustls::StreamOwned;
use tokio_rustls::rustls::version::TLS13;

use crate::origin_bytes::one_response;
use crate::support::{Authority, Client, Conversation, Http2, Origin, TlsOrigin, eventually};
use crate::tls_clients::Edge;

pub(super) const WAYS: [&str; 3] = ["tcp", "tls", "unix"];
pub(super) const KEPT: [&str; 2] = ["cached", "passed"];
pub(super) const ASKERS: [Asker; 4] = [
    Asker::Http1("GET"),
    Asker::Http1("HEAD"),
    Asker::Http1("POST"),
    Asker::Http2,
];

/// So many connections to each origin: more attacks than that are made on it.
pub(super) const PLACES: usize = 2;

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Http1(&'static str),
    Http2,
}

impl Asker {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1(method) => method,
            Self::Http2 => "h2",
        }
    }
}

/// What a client saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A response to its end.
    Whole(u16, Vec<u8>),
    /// One that has been cut, visibly.
    Cut,
}

/// A connection of an origin's, whatever it is made of.
pub(super) trait Wire: Read + Write {
    /// Makes the close a reset, where there is such a thing.
    fn reset(&self) {}
}

impl Wire for TcpStream {
    fn reset(&self) {
        let socket = socket2::SockRef::from(self);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl Wire for UnixStream {}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn reset(&self) {
        self.sock.reset();
    }
}

/// What an origin does with one request; `false`: the connection ends.
type Script = dyn Fn(&str, &mut dyn Wire) -> bool + Send + Sync;

pub(super) struct Stage {
    pub(super) edge: Edge,
    http2: Http2,
    _origins: (Origin, TlsOrigin, Origin),
    _folder: TempDir,
}

fn play<S: Wire>(script: &Script, conversation: &mut Conversation<S>) {
    while let Some(asked) = conversation.request() {
        match asked.target().ends_with("/ok") {
            true => conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            false if script(&asked.head, &mut conversation.stream) => {}
            false => return,
        }
    }
}

impl Stage {
    /// `keys` stand in each `[origin]`, `server` in `[server]`.
    pub(super) fn start(
        server: &str,
        keys: &str,
        script: impl Fn(&str, &mut dyn Wire) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let (ca_file, socket) = (folder.path().join("ca.pem"), folder.path().join("s"));
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let script: Arc<Script> = Arc::new(script);
        let (by_tcp, by_tls, by_unix) = (Arc::clone(&script), Arc::clone(&script), script);
        let tcp = Origin::scripted(move |conversation| play(&*by_tcp, conversation));
        let config = authority.issue(&["localhost"]).config(&[&TLS13]);
        let tls = TlsOrigin::scripted(config, move |conversation| play(&*by_tls, conversation));
        let unix = Origin::at_socket(&socket, move |conversation| play(&*by_unix, conversation));
        let urls = [
            format!("http://{}", tcp.address),
            format!("https://localhost:{}", tls.address.port()),
            format!("unix:{}", socket.display()),
        ];
        let ca = format!("ca_file = \"{}\"\n", ca_file.display());
        let mut tables = String::new();
        for (way, url) in WAYS.iter().zip(urls) {
            let ca = if *way == "tls" { &*ca } else { "" };
            for kept in KEPT {
                let enabled = kept == "cached";
                tables += &format!(
                    "[[route]]\nname = \"{way}-{kept}\"\npaths = [\"/{way}/{kept}/**\"]\n\
                     [route.cache]\nenabled = {enabled}\n[route.origin]\nurl = \"{url}\"\n{ca}\
                     max_connections = {PLACES}\nconnect_timeout = \"8s\"\n{keys}\n"
                );
            }
        }
        let edge = Edge::start_by(&tcp, "", server, &tables);
        let http2 = Http2::connect(edge.address(), edge.config_for(&[&TLS13], b"h2"));
        Self {
            edge,
            http2,
            _origins: (tcp, tls, unix),
            _folder: folder,
        }
    }

    /// What comes of asking for `path`. No response is anything but one.
    pub(super) fn ask(&mut self, asker: Asker, path: &str) -> Seen {
        let Asker::Http1(method) = asker else {
            return match self.http2.try_ask(Http2::request("GET", path, "")) {
                Ok(reply) => Seen::Whole(reply.status, reply.body),
                Err(error) => {
                    assert!(error.is_reset(), "{path}: only its stream ends: {error}");
                    Seen::Cut
                }
            };
        };
        let mut client = self.edge.portcullis.client();
        let body = match method {
            "POST" => "Content-Length: 4\r\n\r\nbody",
            _ => "\r\n",
        };
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: img.example.com\r\nConnection: close\r\n{body}"
        ));
        let seen = client.until_cut();
        let sound = one_response(&seen, method);
        let shown = || String::from_utf8_lossy(&seen[..seen.len().min(2000)]).into_owned();
        assert_eq!(sound, Ok(()), "{method} {path}: {}", shown());
        whole(&seen, method)
    }

    /// The next client gets its own answer, by each way.
    pub(super) fn serves(&mut self) {
        for way in WAYS {
            for kept in KEPT {
                let path = format!("/{way}/{kept}/ok");
                let seen = self.ask(Asker::Http1("GET"), &path);
                assert_eq!(seen, Seen::Whole(200, b"ok".to_vec()), "{path}");
            }
        }
    }

    /// Nothing panicked and nothing is left busy; the lines of its log.
    pub(super) fn end(self) -> Vec<Value> {
        let Self { edge, http2, .. } = self;
        drop(http2);
        let counters = edge.portcullis.server.counters();
        eventually("no connection is busy", || {
            counters.sum(|worker| worker.origin.busy.get()) == 0
        });
        eventually("all clients are gone", || {
            edge.counted(|connections| connections.open.get()) == 0
        });
        assert_eq!(counters.sum(|worker| worker.requests.panics.get()), 0);
        let failed = |worker: &portcullis::log::counters::WorkerCounters| {
            worker.requests.errors().map(|(_, count)| count).sum()
        };
        let failed: u64 = counters.sum(failed);
        let lines = edge.portcullis.stop();
        // What is no name of RFC 9209 is about a client, and not counted there.
        let is_name = |error: &str| error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let errors = lines.iter().filter_map(|line| line["error"].as_str());
        let logged = errors.filter(|error| is_name(error)).count();
        assert_eq!(failed, logged as u64, "log and counters agree");
        lines
    }
}

/// Whether this one response by HTTP/1.1 is all there.
fn whole(seen: &[u8], method: &str) -> Seen {
    let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else {
        assert!(seen.is_empty(), "cut within a head of ours");
        return Seen::Cut;
    };
    let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
    let status: u16 = head[9..12].parse().unwrap();
    let body = &seen[end + 4..];
    if matches!(status, 102 | 103) {
        return whole(body, method);
    }
    let length = head.lines().find_map(|line| {
        let length = line.strip_prefix("content-length:")?;
        length.trim().parse::<usize>().ok()
    });
    let is_whole = match length {
        _ if method == "HEAD" || matches!(status, 204 | 304) => true,
        Some(length) => body.len() == length,
        None => body.ends_with(b"0\r\n\r\n"),
    };
    match is_whole {
        true => Seen::Whole(status, body.to_vec()),
        false => Seen::Cut,
    }
}

/// A client of the listener without TLS.
pub(super) fn plain(stage: &Stage) -> Client {
    stage.edge.portcullis.client()
}
