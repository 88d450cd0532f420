//! What we send and how we read, held against hyper's client; and what an
//! origin may try.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::yield_now;

use self::odd::ODD;
use super::*;
use crate::message::lines::Lines;
use crate::origin::driven::{Driven, Limits as Times};
use crate::origin::exchange::Failure;
use crate::origin::inflow::Inflow;
use crate::origin::limit::{Class, Limit};
use crate::origin::{HostMode, OriginSettings, OriginUrl, Origins};

mod connection;
mod odd;

const PATIENCE: Duration = Duration::from_secs(20);

/// What whoever asked sees of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Failed(&'static str),
    Response {
        head: String,
        body: Vec<u8>,
        whole: bool,
    },
}

/// What an origin says, in parts, before it closes.
#[derive(Clone, Debug)]
struct Script {
    method: Method,
    parts: Vec<Vec<u8>>,
}

impl Script {
    fn whole(method: Method, bytes: &[u8]) -> Self {
        Self {
            method,
            parts: vec![bytes.to_vec()],
        }
    }

    fn request(&self) -> OriginRequest {
        OriginRequest {
            method: self.method.clone(),
            uri: "/a".parse().unwrap(),
            ..OriginRequest::default()
        }
    }

    /// Each part is read before the next one is sent.
    async fn play(&self, mut peer: TcpStream) -> Vec<u8> {
        let head = head_of(&mut peer).await;
        for part in &self.parts {
            if peer.write_all(part).await.is_err() {
                break;
            }
            pause().await;
        }
        head
    }
}

/// Whoever can go on does.
async fn pause() {
    for _ in 0..4 {
        yield_now().await;
    }
}

async fn head_of(peer: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && peer.read_buf(&mut head).await.unwrap() > 0 {}
    head
}

/// The same cases each time: what is compared has many corners, and a new one
/// is to be found by whoever looks for it.
fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await });
    done.expect("it ends")
}

/// A connection of ours, and its other end.
async fn connected() -> (Direct, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    peer.set_nodelay(true).unwrap();
    let permit = Arc::new(Limit::default())
        .enter(0, 1, Class::Front)
        .unwrap();
    (Direct::new(Stream::Plain(stream), permit), peer)
}

async fn ask(direct: &mut Direct, request: &OriginRequest) -> Result<Answer, OriginError> {
    let due = Instant::now() + PATIENCE;
    let room = RefCell::default();
    direct.ask(request, &room, &mut Timer::default(), due).await
}

/// The body and whether it came to its end.
async fn read(direct: &mut Direct, framing: Framing, held: Bytes) -> (Vec<u8>, bool) {
    let mut inflow = Inflow::new(framing, held, direct);
    let mut body = Vec::new();
    loop {
        match poll_fn(|cx| inflow.poll_data(cx, direct)).await {
            None => return (body, inflow.is_over()),
            Some(Err(_)) => return (body, false),
            Some(Ok(data)) => {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
        }
    }
}

async fn ours(script: &Script) -> Seen {
    let (mut direct, peer) = connected().await;
    let request = script.request();
    let asking = async {
        let Answer {
            head,
            framing,
            held,
        } = match ask(&mut direct, &request).await {
            Ok(answer) => answer,
            Err(error) => return Seen::Failed(error.as_str()),
        };
        let (body, whole) = read(&mut direct, framing, held).await;
        drop(direct);
        seen(&head.into_response(()).into_parts().0, body, whole)
    };
    tokio::join!(asking, script.play(peer)).0
}

async fn hypers(script: &Script) -> Seen {
    let (direct, peer) = connected().await;
    let origins = Origins::new(0, Arc::default(), Arc::default());
    let endpoint = origins.endpoint(&settings("127.0.0.1:9"));
    let mut driven = Driven::new(direct, &endpoint).await.unwrap();
    let asking = async {
        let mut request = Some(script.request());
        let times = Times {
            now: Instant::now(),
            response: PATIENCE,
            stall: PATIENCE,
        };
        let mut timer = Timer::default();
        let answer = driven.exchange(&mut request, false, &mut timer, times);
        let (head, mut body) = match answer.await {
            Ok(response) => response.into_parts(),
            Err(Failure::Failed(error)) => return Seen::Failed(error.as_str()),
            Err(_) => unreachable!("it was not used before"),
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Seen::Failed(OriginError::Upgraded.as_str());
        }
        let (body, whole) = collect(&mut body).await;
        seen(&head, body, whole)
    };
    tokio::join!(asking, script.play(peer)).0
}

async fn collect(body: &mut Incoming) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return (bytes, true),
            Some(Err(_)) => return (bytes, false),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(_trailers) => return (bytes, true),
            },
        }
    }
}

fn seen(head: &Parts, body: Vec<u8>, whole: bool) -> Seen {
    let reason = head.extensions.get::<ReasonPhrase>();
    Seen::Response {
        head: format!(
            "{} {:?} {reason:?} {:?}",
            head.status, head.version, head.headers
        ),
        body,
        whole,
    }
}

fn settings(address: &str) -> OriginSettings {
    OriginSettings {
        url: OriginUrl::parse(&format!("http://{address}")).unwrap(),
        tls: None,
        host: HostMode::Preserve,
        methods: Vec::new(),
        connect_timeout: PATIENCE,
        response_timeout: PATIENCE,
        max_connections: 4,
        retries: 0,
    }
}

#[test]
fn responses_are_read_as_hyper_reads_them() {
    run(async {
        for bytes in ODD {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                let script = Script::whole(method, bytes.as_bytes());
                assert_eq!(ours(&script).await, hypers(&script).await, "{script:?}");
            }
        }
    });
}

#[test]
fn limits_are_hypers() {
    let fields = |count| "x: y\r\n".repeat(count);
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok");
    let chunked =
        |rest: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let trailers = |count| chunked(&format!("0\r\n{}\r\n", fields(count)));
    let extension = |length| chunked(&format!("2;{}\r\nok\r\n0\r\n\r\n", "x".repeat(length)));
    let cases = [
        head(&fields(99)),
        head(&fields(100)),
        head(&format!("x: {}\r\n", "y".repeat(100_000))),
        head(&format!("{}: y\r\n", "x".repeat(65_535))),
        head(&format!("{}: y\r\n", "x".repeat(65_536))),
        format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MOST_BYTES)),
        trailers(1),
        trailers(99),
        trailers(101),
        chunked(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(16_000))),
        chunked(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(17_000))),
        extension(16_382),
        extension(16_400),
        chunked(&"1;xxxxxxx\r\na\r\n".repeat(3_000)),
    ];
    run(async {
        for bytes in &cases {
            let script = Script::whole(Method::GET, bytes.as_bytes());
            assert_eq!(ours(&script).await, hypers(&script).await, "{:.60}", bytes);
        }
    });
}

/// Responses, garbled a little.
fn garbled() -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        0..3_u8,
        any::<u8>(),
        any::<bool>(),
    );
    let edits = prop::collection::vec(edit, 0..3);
    (prop::sample::select(ODD), edits).prop_map(|(bytes, edits)| {
        let mut bytes = bytes.as_bytes().to_vec();
        for (at, how, byte, common) in edits {
            let at = at.index(bytes.len() + 1);
            let byte = if common {
                b"\r\n :;,0aA\t"[usize::from(byte) % 10]
            } else {
                byte
            };
            match how {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
        bytes
    })
}

#[test]
fn whatever_comes_is_read_as_hyper_reads_it() {
    let mut runner = runner(400);
    let tested = runner.run(&garbled(), |bytes| {
        let script = Script::whole(Method::GET, &bytes);
        let (ours, hypers) = run(async { (ours(&script).await, hypers(&script).await) });
        prop_assert_eq!(ours, hypers, "{}", String::from_utf8_lossy(&bytes));
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn how_it_is_split_makes_no_difference() {
    let mut runner = runner(300);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    let tested = runner.run(&(garbled(), cuts), |(bytes, cuts)| {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec());
        let split = Script {
            method: Method::GET,
            parts: parts.collect(),
        };
        let whole = Script::whole(Method::GET, &bytes);
        let (whole, split) = run(async { (ours(&whole).await, ours(&split).await) });
        prop_assert_eq!(whole, split, "{}", String::from_utf8_lossy(&bytes));
        Ok(())
    });
    tested.unwrap();
}

#[test]
fn each_byte_may_come_alone() {
    run(async {
        for bytes in ODD {
            let single = Script {
                method: Method::GET,
                parts: bytes.bytes().map(|byte| vec![byte]).collect(),
            };
            let whole = Script::whole(Method::GET, bytes.as_bytes());
            assert_eq!(ours(&single).await, ours(&whole).await, "{bytes}");
        }
    });
}

/// The bytes that hyper sends for a request, and ours.
async fn sent(request: &OriginRequest) -> (String, String) {
    let script = Script::whole(Method::GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (direct, peer) = connected().await;
    let origins = Origins::new(0, Arc::default(), Arc::default());
    let endpoint = origins.endpoint(&settings("127.0.0.1:9"));
    let mut driven = Driven::new(direct, &endpoint).await.unwrap();
    let mut copy = Some(request.copy());
    let times = Times {
        now: Instant::now(),
        response: PATIENCE,
        stall: PATIENCE,
    };
    let mut timer = Timer::default();
    let asking = driven.exchange(&mut copy, false, &mut timer, times);
    let (answer, hypers) = tokio::join!(asking, script.play(peer));
    assert!(answer.is_ok());
    let (mut direct, peer) = connected().await;
    let (answer, ours) = tokio::join!(ask(&mut direct, request), script.play(peer));
    answer.unwrap();
    let text = |bytes: Vec<u8>| bytes.iter().map(|byte| char::from(*byte)).collect();
    (text(ours), text(hypers))
}

#[test]
fn heads_are_written_as_hyper_writes_them() {
    let name = "[a-zA-Z][a-zA-Z0-9-]{0,12}|host|accept|transfer-encoding|via";
    let value = prop::collection::vec(prop_oneof![0x21..0x7f_u8, 0x80..=0xff_u8], 0..20);
    let fields = prop::collection::vec((name, value), 0..20);
    let method = prop::sample::select(&["GET", "HEAD", "POST", "DELETE", "OPTIONS", "X-ODD"][..]);
    let target = "/[a-z0-9/%._~-]{0,20}(\\?[a-z=&]{0,9})?|http://a[.]example(/b)?(\\?c)?";
    let mut runner = runner(200);
    let tested = runner.run(&(method, target, fields), |(method, target, fields)| {
        let mut request = OriginRequest {
            method: method.parse().unwrap(),
            uri: target.parse().unwrap(),
            ..OriginRequest::default()
        };
        // As a map has them: the lines of a name behind each other.
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::try_from(value).unwrap());
        }
        map.remove(CONTENT_LENGTH);
        // Which ends at each hop.
        map.remove(TRANSFER_ENCODING);
        request.lines = Lines::from(&map);
        let (ours, hypers) = run(sent(&request));
        prop_assert_eq!(ours, hypers);
        Ok(())
    });
    tested.unwrap();
}
