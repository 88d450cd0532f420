//! Clients of HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::SendStream;
use h2::client::SendRequest;
use hyper::{Method, Request, Uri, Version};
use tokio::time::{sleep, timeout};

use crate::ask::Ask;
use crate::cause::{Cause, Named, address, by_address};
use crate::connect::{Way, Ways};
use crate::http1::PATIENCE;
use crate::judge::{Answer, judge};
use crate::random::Random;
use crate::world::World;

/// Some requests on one connection, several at once.
pub(crate) async fn session(world: Arc<World>, ways: Arc<Ways>, mut random: Random, count: u64) {
    let way = random.pick(&[Way::Tls, Way::TlsProxy(1), Way::TlsProxy(2)]);
    let named = match way {
        Way::Tls => Named::Not,
        _ => random.pick(&[Named::Once, Named::Each]),
    };
    let cause = match named {
        Named::Once => by_address(&mut random),
        _ => Cause::Nothing,
    };
    let address = address(cause, &mut random);
    let connected = async {
        let stream = ways.secure(way, named, &address, true).await?;
        let handshake = h2::client::handshake(stream).await;
        handshake.map_err(std::io::Error::other)
    };
    let (send, connection) = match timeout(PATIENCE, connected).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(error)) => return world.wrong("no connection", &format!("{way:?} h2: {error}")),
        Err(_) => return world.wrong("no connection", &format!("{way:?} h2: it took too long")),
    };
    world.count("connections", 1);
    let running = tokio::spawn(connection);
    let mut left = count;
    while left > 0 {
        let depth = (1 + random.below(8)).min(left);
        left -= depth;
        let asks: Vec<Ask> = (0..depth)
            .map(|_| Ask::any(&mut random, &world, named, cause))
            .collect();
        let all = asks.iter().map(|ask| {
            let leaves = ask
                .number
                .is_multiple_of(15)
                .then_some(ask.number as usize % 40_000);
            converse(&world, send.clone(), ask, leaves)
        });
        join_all(all).await;
        if random.one_in(4) {
            sleep(Duration::from_millis(random.below(300))).await;
        }
    }
    drop(send);
    if timeout(PATIENCE, running).await.is_err() {
        world.wrong("an HTTP/2 connection did not end", "");
    }
}

async fn converse(world: &World, send: SendRequest<Bytes>, ask: &Ask, leaves: Option<usize>) {
    let mut answer = Answer {
        start: world.now(),
        ..Answer::default()
    };
    match timeout(PATIENCE, exchange(send, ask, &mut answer, leaves)).await {
        Ok(Ok(full)) => answer.full = full,
        Ok(Err(error)) => answer.trouble = error.to_string(),
        Err(_) => {
            answer.trouble = "it took too long".to_owned();
            let Ask { number, target, .. } = ask;
            world.wrong(
                "no answer in time",
                &format!("h2 request {number}: {target}"),
            );
        }
    }
    answer.left = leaves.is_some() && !answer.full;
    answer.end = world.now();
    judge(world, ask, &answer, "HTTP/2");
}

/// False where it left before the end.
async fn exchange(
    send: SendRequest<Bytes>,
    ask: &Ask,
    answer: &mut Answer,
    leaves: Option<usize>,
) -> Result<bool, h2::Error> {
    let mut send = send.ready().await?;
    let (response, stream) = send.send_request(request(ask), ask.body.is_none())?;
    let upload = async {
        if let Some(body) = &ask.body {
            let _ = upload(stream, Bytes::copy_from_slice(body)).await;
        }
        // It waits for the answer.
        std::future::pending::<()>().await;
    };
    let download = async {
        let (head, mut body) = response.await?.into_parts();
        answer.status = head.status.as_u16();
        for (name, value) in &head.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            answer.head.fields.push((name.to_string(), value));
        }
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            answer.body.extend_from_slice(&data);
            if leaves.is_some_and(|most| answer.body.len() > most) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    tokio::select! {
        done = download => done,
        () = upload => Ok(false),
    }
}

async fn upload(mut stream: SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.unwrap_or(Ok(0))?;
        if room == 0 {
            return Ok(());
        }
        let piece = body.split_to(room.min(body.len()));
        stream.send_data(piece, false)?;
    }
    stream.send_data(Bytes::new(), true)
}

fn request(ask: &Ask) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(ask.method.as_bytes()).unwrap();
    let uri = format!("https://{}{}", ask.host, ask.target);
    *request.uri_mut() = uri.parse::<Uri>().unwrap();
    *request.version_mut() = Version::HTTP_2;
    for (name, value) in &ask.fields {
        let name = hyper::header::HeaderName::from_static(name);
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}
