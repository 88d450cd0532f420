//! A connection whose client takes what it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// What the system holds of an answer, in bytes; it would hold megabytes.
const SEND_BUFFER: usize = 128 << 10;

/// A connection that fails once its client takes nothing for so long, though
/// there is something to take.
#[derive(Debug)]
pub(super) struct Taking {
    stream: TcpStream,
    patience: Duration,
    /// While the system takes no more of it.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Taking {
    pub(super) fn new(stream: TcpStream, patience: Duration) -> Self {
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER) {
            tracing::debug!("an admin connection keeps its send buffer: {error}");
        }
        Self {
            stream,
            patience,
            stalled: None,
        }
    }

    /// What came of a write: it went on, or it waits and not for ever.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Taking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Taking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const MUCH: usize = 16 << 20;

    async fn pair(patience: Duration) -> (Taking, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (Taking::new(accepted.unwrap().0, patience), client.unwrap())
    }

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let bounded = async { timeout(Duration::from_secs(60), test).await };
        runtime.block_on(bounded).expect("it ends");
    }

    #[test]
    fn who_takes_nothing_is_cut_off() {
        run(async {
            let (mut taking, _client) = pair(Duration::from_millis(100)).await;
            let error = taking.write_all(&vec![0; MUCH]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn who_takes_it_slowly_gets_it_all() {
        run(async {
            let (mut taking, mut client) = pair(Duration::from_secs(20)).await;
            let all = vec![0; MUCH];
            let sending = async move {
                taking.write_all(&all).await.unwrap();
            };
            let reading = async {
                let (mut some, mut taken) = (vec![0; 1 << 20], 0);
                loop {
                    match client.read(&mut some).await.unwrap() {
                        0 => return taken,
                        more => taken += more,
                    }
                    tokio::task::yield_now().await;
                }
            };
            let ((), taken) = tokio::join!(sending, reading);
            assert_eq!(taken, MUCH);
        });
    }
}
