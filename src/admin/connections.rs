//! The admin listener's connections: few, and none for long.

use std::collections::VecDeque;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::taking::Taking;

/// Open at once. They cost the process no more memory and files than this many
/// can.
const MOST_CONNECTIONS: usize = 64;

/// The end of a request's head comes within this time, or the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// hyper's least.
const MAX_HEAD: usize = 8 * 1024;

/// An answer of which nothing is taken for this long is given up. Somebody may
/// look at its first page meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection takes no new request after this time.
const LIFE: Duration = Duration::from_secs(60);

/// And has so long to finish the last one, whatever its client does.
const GRACE: Duration = Duration::from_secs(60);

/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves `app` until it is `retired`; then those who have asked by now.
pub(super) async fn serve(listener: StdListener, app: Router, retired: Receiver<bool>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the admin listener cannot listen: {error}"),
    };
    let mut open = VecDeque::new();
    let mut end = pin!(over(retired.clone()));
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                make_room(&mut open);
                let connection = converse(stream, app.clone(), retired.clone());
                open.push_back(tokio::spawn(connection));
            }
            Err(error) => {
                tracing::debug!("the admin listener cannot accept a connection: {error}");
                sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    for connection in open {
        // A panic in one was told when it happened.
        let _ = connection.await;
    }
}

/// Ends when `retired` says so.
async fn over(mut retired: Receiver<bool>) {
    if retired.wait_for(|retired| *retired).await.is_err() {
        // Nobody can say so any more.
        std::future::pending().await
    }
}

/// Where there are too many, the oldest ends: if the newest had to wait, whoever
/// holds them all could have a container taken for ill.
fn make_room(open: &mut VecDeque<JoinHandle<()>>) {
    if open.len() < MOST_CONNECTIONS {
        return;
    }
    open.retain(|connection| !connection.is_finished());
    if open.len() == MOST_CONNECTIONS
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

/// `axum::serve` would wait for a head as long as the client likes.
async fn converse(stream: TcpStream, app: Router, retired: Receiver<bool>) {
    let stream = Taking::new(stream, PATIENCE);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    tokio::select! {
        // What goes wrong here is the matter of one client.
        _ = connection.as_mut() => return,
        () = sleep(LIFE) => connection.as_mut().graceful_shutdown(),
        () = over(retired) => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(GRACE, connection).await;
}
