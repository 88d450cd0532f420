//! Closing a connection in order (RFC 9112 section 9.6).

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::socket::Socket;
use super::transport::Transport;

/// What a client still sends is read this long at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who waits by a Unix socket for the rest of a response that was cut gives up
/// no later: proxies wait a minute, as they come.
const STALEMATE: Duration = Duration::from_secs(120);

/// Tells the client that no more comes, and lets it finish sending: a close
/// with bytes unread would be a reset, and could take the response with it.
pub(super) async fn close(mut transport: Transport) {
    transport.socket().set_resets(false);
    if let Ok(Ok(())) = timeout(PATIENCE, transport.shutdown()).await {
        let _ = timeout(PATIENCE, read_to_end(&mut transport.into_socket())).await;
    }
}

/// Sends `answer`, then closes.
pub(super) async fn answer(mut transport: Transport, answer: &[u8]) {
    let sent = timeout(PATIENCE, async {
        transport.write_all(answer).await?;
        transport.flush().await
    });
    if let Ok(Ok(())) = sent.await {
        close(transport).await;
    }
}

/// Closes at once; what was sent still gets there.
pub(super) fn drop_in_order(mut transport: Transport) {
    transport.socket().set_resets(false);
    transport.say_end();
    drop(transport);
}

/// Resets the connection. Where that cannot be and the response is `unframed`,
/// it is left open until the client gives up: its end would make a cut
/// response look complete. By TLS no end does that nobody has announced.
pub(super) async fn reset(transport: Transport, unframed: bool) {
    let resets = transport.socket().set_resets(true);
    match transport {
        Transport::Plain(mut socket) if unframed && !resets => {
            let _ = timeout(STALEMATE, read_to_end(&mut socket)).await;
        }
        transport => drop(transport),
    }
}

async fn read_to_end(stream: &mut Socket) {
    // Not within the future, which is a part of every connection.
    let mut buffer = vec![0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(length) if length > 0) {}
}
