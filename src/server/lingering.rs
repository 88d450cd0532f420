//! Closing a connection in order (RFC 9112 section 9.6).

use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::transport::Transport;

/// What a client still sends is read this long at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells the client that no more comes, and lets it finish sending: a close
/// with bytes unread would be a reset, and could take the response with it.
pub(super) async fn close(mut transport: Transport) {
    end_in_order(transport.tcp());
    if let Ok(Ok(())) = timeout(PATIENCE, transport.shutdown()).await {
        let _ = timeout(PATIENCE, read_to_end(&mut transport.into_tcp())).await;
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
    end_in_order(transport.tcp());
    transport.say_end();
    drop(transport);
}

/// Resets the connection.
pub(super) fn reset(transport: Transport) {
    reset_by_default(transport.tcp());
    drop(transport);
}

/// Whatever ends the connection but this module resets it: where only its end
/// tells the end of a response, an orderly one would make a cut response look
/// complete. The system sees to it, also when the process ends.
pub(super) fn reset_by_default(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

fn end_in_order(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(None);
}

async fn read_to_end(stream: &mut TcpStream) {
    // Not within the future, which is a part of every connection.
    let mut buffer = vec![0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(length) if length > 0) {}
}
