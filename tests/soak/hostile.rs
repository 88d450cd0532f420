//! Clients that mean harm, or know no better. What they ask for under
//! `/smuggled` must never get to the origin, which knows no such path.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::cause::Named;
use crate::connect::{Way, Ways, from_balancer};
use crate::random::Random;
use crate::spec::body;
use crate::wire::Transport;
use crate::world::World;

/// By when whatever they do is over: all limits of the policy are below.
const LIMIT: Duration = Duration::from_secs(20);

const SMUGGLED: &str = "GET /smuggled/s1/1.bin HTTP/1.1\r\nHost: img.example.com\r\n\r\n";

/// What they do.
const KINDS: [&str; 12] = [
    "slow head",
    "slow body",
    "garbage",
    "smuggling",
    "many fields",
    "long target",
    "silence",
    "half a head",
    "TLS garbage",
    "no PROXY header",
    "rapid reset",
    "slow reader",
];

/// One of them comes.
pub(crate) async fn session(world: Arc<World>, ways: Arc<Ways>, mut random: Random) {
    let kind = random.pick(&KINDS);
    world.count(&format!("hostile {kind}"), 1);
    match timeout(LIMIT, act(kind, &ways, &mut random)).await {
        Err(_) => world.wrong("a hostile connection outlived its limits", kind),
        // It may be cut off at any time.
        Ok(Err(_)) => {}
        Ok(Ok(answer)) => {
            let text = String::from_utf8_lossy(&answer);
            if let Err(why) = judge(kind, &text) {
                let seed = world.options.seed;
                let shown: String = text.chars().take(400).collect();
                world.wrong(
                    "a wrong answer to a hostile client",
                    &format!("seed {seed}, {kind}: {why}: {shown:?}"),
                );
            }
        }
    }
}

/// All answers, and nothing but answers with a status that fits.
fn judge(kind: &str, text: &str) -> Result<(), &'static str> {
    let statuses: Vec<&str> = text
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .collect();
    let all = |allowed: &[&str]| statuses.iter().all(|status| allowed.contains(status));
    let fits = match kind {
        "slow head" | "half a head" => all(&["408", "400"]),
        "slow body" => all(&["408", "400", "502", "503", "504"]) && statuses.len() <= 1,
        "garbage" => all(&["400", "431", "414"]) && statuses.len() <= 1,
        "smuggling" => all(&["400", "201", "502", "503", "504"]) && statuses.len() <= 1,
        "many fields" => all(&["431"]),
        "long target" => all(&["414", "431"]),
        "silence" | "no PROXY header" => text.is_empty(),
        "rapid reset" => true,
        // It looks like a request in the clear, or like nothing.
        "TLS garbage" => all(&["400"]),
        _ => all(&["200", "502", "503", "504"]),
    };
    if fits { Ok(()) } else { Err("it does not fit") }
}

async fn act(kind: &str, ways: &Ways, random: &mut Random) -> io::Result<Vec<u8>> {
    let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: img.example.com\r\n");
    let way = random.pick(&[Way::Plain, Way::Six, Way::Unix, Way::Tls]);
    if kind == "no PROXY header" {
        let mut stream = from_balancer(ways.plain).await?;
        stream
            .write_all(
                random
                    .pick(&[SMUGGLED, "PROXY TCP9 1\r\n", "\r\n\r\n\0\r\nQUIT\n\0\0\0\0"])
                    .as_bytes(),
            )
            .await?;
        return rest(stream).await;
    }
    if kind == "TLS garbage" {
        let mut stream = TcpStream::connect(ways.tls).await?;
        let _ = stream.write_all(&body(random.next(), 500)).await;
        return rest(stream).await;
    }
    if kind == "rapid reset" {
        return rapid_reset(ways).await;
    }
    let mut stream = ways.connect(way, Named::Not, "").await?;
    match kind {
        "slow head" => {
            let text = format!("{}x-slow: {}", head("/smuggled/s1/1.bin"), "a".repeat(100));
            drip(&mut stream, text.as_bytes(), 200).await;
        }
        "slow body" => {
            let text = "POST /cached/s1/1.bin HTTP/1.1\r\nHost: img.example.com\r\nContent-Length: 1000000\r\n\r\n";
            stream.write_all(text.as_bytes()).await?;
            stream.flush().await?;
            drip(&mut stream, &[b'x'; 40], 300).await;
        }
        "garbage" => {
            let length = 1 + random.below(3000) as usize;
            let mut bytes = body(random.next(), length);
            bytes.extend_from_slice(b"\r\n\r\n");
            stream.write_all(&bytes).await?;
        }
        "smuggling" => stream.write_all(smuggling(random).as_bytes()).await?,
        "many fields" => {
            let text = head("/smuggled/s1/1.bin") + &"x-a: b\r\n".repeat(150) + "\r\n";
            stream.write_all(text.as_bytes()).await?;
        }
        "long target" => {
            let text = head(&format!("/smuggled/{}", "a".repeat(60_000))) + "\r\n";
            stream.write_all(text.as_bytes()).await?;
        }
        "half a head" => {
            stream.write_all(b"GET /smuggled/s1/1.bin HT").await?;
            stream.flush().await?;
            if random.one_in(2) {
                stream.shutdown().await?;
            }
        }
        "slow reader" => {
            let text = head("/live/s1000000/1.bin") + "User-Agent: hostile\r\n\r\n";
            stream.write_all(text.as_bytes()).await?;
            stream.flush().await?;
            sleep(Duration::from_secs(7)).await;
            return Ok(Vec::new());
        }
        _ => {}
    }
    stream.flush().await?;
    rest(stream).await
}

/// Whatever still comes.
async fn rest<S: Transport>(mut stream: S) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A reset after an answer is as good.
    let _ = stream.read_to_end(&mut bytes).await;
    Ok(bytes)
}

/// Byte by byte, until it is cut off.
async fn drip<S: Transport>(stream: &mut S, bytes: &[u8], every: u64) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        sleep(Duration::from_millis(every)).await;
    }
}

/// Requests that one server could take for one, and another for two.
fn smuggling(random: &mut Random) -> String {
    let start = "POST /cached/s1/1.bin HTTP/1.1\r\nHost: img.example.com\r\n";
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let length = chunked.len();
    let both =
        |encoding: &str| format!("{start}Content-Length: {length}\r\n{encoding}\r\n\r\n{chunked}");
    match random.below(10) {
        0 => both("Transfer-Encoding: chunked"),
        1 => both("Transfer-Encoding: xchunked"),
        2 => both("Transfer-Encoding : chunked"),
        3 => both("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        4 => both("Transfer-Encoding:\x0bchunked"),
        5 => format!("{start}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        6 => format!("{start}X-A: b\r\n Content-Length: {length}\r\n\r\n{chunked}"),
        7 => format!("{start}X-A: b\rContent-Length: 0\r\n\r\n{SMUGGLED}x"),
        8 => format!("{start}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{SMUGGLED}"),
        _ => format!("{start}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{SMUGGLED}"),
    }
}

/// Opens streams and takes them back at once.
async fn rapid_reset(ways: &Ways) -> io::Result<Vec<u8>> {
    let stream = ways.secure(Way::Tls, Named::Not, "", true).await?;
    let (mut send, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let running = tokio::spawn(connection);
    for _ in 0..500 {
        let request = hyper::Request::get("https://img.example.com/live/s10/1.bin")
            .body(())
            .unwrap();
        send = send.ready().await.map_err(io::Error::other)?;
        let (answer, mut body) = send
            .send_request(request, false)
            .map_err(io::Error::other)?;
        tokio::task::yield_now().await;
        let _ = body.send_data(Bytes::new(), false);
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
    }
    drop(send);
    let _ = running.await;
    Ok(Vec::new())
}
