//! Clients of HTTP/1.1.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::{sleep, timeout};

use crate::ask::Ask;
use crate::cause::{Cause, Named, address, by_address};
use crate::connect::{Way, Ways};
use crate::judge::{Answer, judge};
use crate::manner::{Before, Manner};
use crate::random::Random;
use crate::wire::{Length, Reader, Transport};
use crate::world::World;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// Some requests on one connection. Returns how many they were.
pub(crate) async fn session(world: Arc<World>, ways: Arc<Ways>, mut random: Random, count: u64) {
    let way = random.pick(&Way::ALL);
    let named = match way.proxy() {
        Some(_) => random.pick(&[Named::Once, Named::Each]),
        None => Named::Not,
    };
    let cause = match named {
        Named::Once => by_address(&mut random),
        _ => Cause::Nothing,
    };
    let address = address(cause, &mut random);
    let stream = match timeout(PATIENCE, ways.connect(way, named, &address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return world.wrong("no connection", &format!("{way:?}: {error}")),
        Err(_) => return world.wrong("no connection", &format!("{way:?}: it took too long")),
    };
    world.count("connections", 1);
    let how = if way.is_tls() {
        "TLS HTTP/1.1"
    } else {
        "HTTP/1.1"
    };
    let (reader, mut writer) = split(stream);
    let mut reader = Reader::new(reader);
    let mut left = count;
    let mut before = Before::default();
    while left > 0 {
        let depth = if random.one_in(4) {
            1 + random.below(5)
        } else {
            1
        };
        let mut asks = Vec::new();
        for _ in 0..depth.min(left) {
            asks.push(Ask::any(&mut random, &world, named, cause));
            if !asks.iter().all(Ask::may_follow) {
                break;
            }
        }
        left -= asks.len() as u64;
        let manner = Manner::any(&mut random);
        if !converse(
            &world,
            &mut reader,
            &mut writer,
            &asks,
            &manner,
            how,
            &mut before,
        )
        .await
        {
            return;
        }
        if random.one_in(5) {
            sleep(Duration::from_millis(random.below(300))).await;
        }
    }
    if random.one_in(2) {
        let _ = writer.shutdown().await;
    }
}

/// Sends them all and reads the answers; false if the connection is over.
async fn converse<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    world: &World,
    reader: &mut Reader<R>,
    writer: &mut W,
    asks: &[Ask],
    manner: &Manner,
    how: &str,
    before: &mut Before,
) -> bool {
    (reader.piece, reader.rest) = match manner.reads_slowly {
        true => (16 << 10, Duration::from_millis(15)),
        false => (64 << 10, Duration::ZERO),
    };
    let start = world.now();
    let sending = async {
        for ask in asks {
            if send(writer, ask, manner).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let mut goes_on = true;
        for (index, ask) in asks.iter().enumerate() {
            let leaves = manner.leaves.filter(|_| index + 1 == asks.len());
            reader.leaves = leaves;
            let mut answer = Answer {
                start,
                ..Answer::default()
            };
            if goes_on {
                read(world, reader, ask, &mut answer).await;
                answer.left = leaves.is_some() && !answer.full;
                goes_on = !answer.closes();
            } else {
                // What came before ended the connection.
                answer.left = true;
            }
            answer.end = world.now();
            if answer.status == 0 {
                answer.trouble += &format!(" after {}", before.what);
                answer.after_refusal = before.refused;
            }
            before.note(ask, &answer);
            judge(world, ask, &answer, how);
        }
        goes_on
    };
    let mut sending = std::pin::pin!(sending);
    let mut reading = std::pin::pin!(reading);
    let goes_on = tokio::select! {
        biased;
        goes_on = &mut reading => return goes_on && timeout(PATIENCE, sending).await.is_ok(),
        () = &mut sending => reading.await,
    };
    goes_on
}

async fn send<W: AsyncWrite + Unpin>(writer: &mut W, ask: &Ask, manner: &Manner) -> io::Result<()> {
    writer.write_all(ask.head().as_bytes()).await?;
    writer.flush().await?;
    let Some(body) = &ask.body else {
        return Ok(());
    };
    let (most, rest) = manner.sends;
    let chunks = if ask.chunked { 100_000 } else { usize::MAX };
    for piece in body.chunks(most.min(chunks)) {
        if ask.chunked {
            writer
                .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
        }
        writer.write_all(piece).await?;
        if ask.chunked {
            writer.write_all(b"\r\n").await?;
        }
        writer.flush().await?;
        sleep(Duration::from_millis(rest)).await;
    }
    if ask.chunked {
        writer.write_all(b"0\r\n\r\n").await?;
    }
    writer.flush().await
}

/// The answer to `ask`.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    world: &World,
    reader: &mut Reader<R>,
    ask: &Ask,
    answer: &mut Answer,
) {
    match timeout(PATIENCE, try_read(reader, ask, answer)).await {
        Ok(Ok(full)) => answer.full = full,
        Ok(Err(error)) => answer.trouble = error.to_string(),
        Err(_) => {
            answer.trouble = "it took too long".to_owned();
            let Ask { number, target, .. } = ask;
            world.wrong("no answer in time", &format!("request {number}: {target}"));
        }
    }
}

async fn try_read<R: AsyncRead + Unpin>(
    reader: &mut Reader<R>,
    ask: &Ask,
    answer: &mut Answer,
) -> io::Result<bool> {
    let head = loop {
        let Some(head) = reader.head().await? else {
            return Ok(false);
        };
        if !head.start.starts_with("HTTP/1.1 1") {
            break head;
        }
    };
    let status = head.start.get(9..12).and_then(|status| status.parse().ok());
    answer.status = status.unwrap_or(999);
    answer.head = head;
    if ask.method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(true);
    }
    let length = Length::of(&answer.head, Length::Close)?;
    reader.body(length, &mut answer.body).await
}

/// One request on a connection of its own, as it is.
pub(crate) async fn once(world: &World, ways: &Ways, ask: &Ask) -> Answer {
    let mut answer = Answer {
        start: world.now(),
        ..Answer::default()
    };
    if let Ok(mut stream) = ways.connect(Way::Plain, Named::Not, "").await
        && stream.write_all(ask.head().as_bytes()).await.is_ok()
    {
        let mut reader = Reader::new(Box::new(stream) as Box<dyn Transport>);
        read(world, &mut reader, ask, &mut answer).await;
    }
    answer.end = world.now();
    answer
}
