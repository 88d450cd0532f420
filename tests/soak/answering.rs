//! What the origin says to a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::options::Break;
use crate::origin::End;
use crate::random::hash;
use crate::spec::{Fault, Spec, body, etag};
use crate::wire::{Head, Length, Reader};
use crate::world::World;

/// Answers the requests of one connection.
pub(crate) async fn serve<S: End>(mut reader: Reader<S>, world: Arc<World>) {
    while let Ok(Some(head)) = reader.head().await {
        match answer(&mut reader, &head, &world).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

/// False where the connection is over.
async fn answer<S: End>(reader: &mut Reader<S>, head: &Head, world: &World) -> io::Result<bool> {
    let mut words = head.start.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    let Some(spec) = Spec::parse(path).filter(|_| is_sound(head)) else {
        world.wrong(
            "the origin was asked what no client asked",
            &format!("{head:?}"),
        );
        return Ok(false);
    };
    world.count("origin requests", 1);
    if let Some(fault) = spec.fault {
        world.count(&format!("fault {}", fault.name()), 1);
    }
    if spec.fault == Some(Fault::Early) {
        let early =
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 6\r\n\r\nearly\n";
        reader.stream.write_all(early.as_bytes()).await?;
        reader.stream.reset_on_close(false);
        sleep(Duration::from_millis(50)).await;
        return Ok(false);
    }
    let mut sent = Vec::new();
    let length = Length::of(head, Length::Bytes(0))?;
    if !reader.body(length, &mut sent).await? {
        return Ok(false);
    }
    let given = Given {
        head: method == "HEAD",
        flavour: head.field("x-flavour").unwrap_or("").to_owned(),
        webp: head.all("accept").contains("image/webp"),
        if_none_match: head.field("if-none-match").map(ToOwned::to_owned),
        range: head.field("range").and_then(range),
    };
    match method {
        "GET" | "HEAD" => say(&mut reader.stream, &spec, &given, world).await,
        _ => {
            let told = format!("{} {:016x}\n", sent.len(), hash(&sent));
            let length = told.len();
            let text = format!(
                "HTTP/1.1 201 Created\r\nx-asked: {spec}\r\nContent-Length: {length}\r\n\r\n{told}"
            );
            reader.stream.write_all(text.as_bytes()).await?;
            Ok(true)
        }
    }
}

/// Whether it is what a proxy should send.
fn is_sound(head: &Head) -> bool {
    let once = |name: &str| {
        head.fields
            .iter()
            .filter(|(known, _)| known == name)
            .count()
            == 1
    };
    let lengths =
        head.field("content-length").is_some() && head.field("transfer-encoding").is_some();
    once("host")
        && once("x-forwarded-for")
        && head.field("via").is_some()
        && !lengths
        && head.start.ends_with(" HTTP/1.1")
        && !head.fields.iter().any(|(name, _)| name == "x-soak-hop")
}

fn range(value: &str) -> Option<(usize, usize)> {
    let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// What an answer depends on besides the path.
#[derive(Debug)]
struct Given {
    head: bool,
    flavour: String,
    webp: bool,
    if_none_match: Option<String>,
    range: Option<(usize, usize)>,
}

async fn say<S: End>(
    stream: &mut S,
    spec: &Spec,
    given: &Given,
    world: &World,
) -> io::Result<bool> {
    let seed = spec.seed(&given.flavour, given.webp);
    match spec.fault {
        Some(Fault::Hang) => {
            sleep(Duration::from_secs(60)).await;
            return Ok(false);
        }
        Some(Fault::Close) => {
            stream.reset_on_close(false);
            return Ok(false);
        }
        Some(Fault::Garbage) => {
            stream.write_all(&body(seed, 300)).await?;
            return Ok(false);
        }
        Some(Fault::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream
                    .write_all(&b"x-more: and more and more and more\r\n".repeat(64))
                    .await?;
            }
        }
        Some(Fault::Interim) => {
            let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
            stream.write_all(hint.repeat(300).as_bytes()).await?;
        }
        _ => {}
    }
    let mut content = body(seed, spec.size);
    let (mut status, mut more) = ("200 OK", String::new());
    if spec.fault == Some(Fault::Unavailable) {
        status = "503 Service Unavailable";
    } else if spec.tagged && given.if_none_match.as_deref() == Some(&*etag(seed)) {
        status = "304 Not Modified";
    } else if let Some((from, to)) = given.range.filter(|(from, _)| *from < content.len()) {
        status = "206 Partial Content";
        let to = to.min(content.len() - 1);
        more = format!("Content-Range: bytes {from}-{to}/{}\r\n", content.len());
        content = content[from..=to].to_vec();
    }
    world.spoil(Break::Byte, || {
        if let Some(byte) = content.last_mut() {
            *byte ^= 1;
        }
    });
    let length = content.len();
    let bare = given.head || status.starts_with("304");
    let chunked = spec.chunked && !bare;
    more += &fields(spec, given, seed, world);
    if chunked {
        more += "Transfer-Encoding: chunked\r\n";
    } else if !status.starts_with("304") {
        more += &format!("Content-Length: {length}\r\n");
    }
    let head = format!("HTTP/1.1 {status}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).await?;
    if bare {
        return Ok(true);
    }
    send(stream, spec, &content, chunked).await
}

fn fields(spec: &Spec, given: &Given, seed: u64, world: &World) -> String {
    let kind = match (spec.image, given.webp) {
        (true, true) => "image/webp",
        (true, false) => "image/jpeg",
        (false, _) => "application/octet-stream",
    };
    let mut made = world.now();
    world.spoil(Break::Stale, || made = made.saturating_sub(60_000));
    let mut text = format!("Content-Type: {kind}\r\nx-asked: {spec}\r\nx-made: {made}\r\n");
    text += &match spec.fresh {
        Some(seconds) => format!(
            "Cache-Control: max-age={seconds}\r\nSurrogate-Key: all n{}\r\n",
            spec.name % 7
        ),
        None => "Cache-Control: no-store\r\n".to_owned(),
    };
    if spec.tagged {
        text += &format!("ETag: {}\r\n", etag(seed));
    }
    if spec.varies {
        text += "Vary: x-flavour\r\n";
    }
    if spec.cookie {
        text += "Set-Cookie: secret=1\r\n";
    }
    text
}

/// Sends a body, as far as it goes.
async fn send<S: End>(
    stream: &mut S,
    spec: &Spec,
    content: &[u8],
    chunked: bool,
) -> io::Result<bool> {
    let cut = matches!(spec.fault, Some(Fault::Reset | Fault::Short));
    let content = if cut {
        &content[..content.len() / 2]
    } else {
        content
    };
    let pieces = if spec.slow {
        8
    } else {
        1 + content.len() / 300_000
    };
    let size = content.len().div_ceil(pieces).max(1);
    for piece in content.chunks(size) {
        if spec.slow {
            stream.flush().await?;
            sleep(Duration::from_millis(60)).await;
        }
        if chunked {
            stream
                .write_all(format!("{:x};why=not\r\n", piece.len()).as_bytes())
                .await?;
        }
        stream.write_all(piece).await?;
        if chunked {
            stream.write_all(b"\r\n").await?;
        }
    }
    if cut {
        sleep(Duration::from_millis(30)).await;
        stream.reset_on_close(spec.fault == Some(Fault::Reset));
        return Ok(false);
    }
    if chunked {
        stream.write_all(b"0\r\nx-trailer: 1\r\n\r\n").await?;
    }
    Ok(true)
}
