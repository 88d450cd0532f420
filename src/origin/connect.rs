//! A new connection to the origin.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::{OriginError, OriginUrl};

/// Connects to the first address of the origin that answers, all of them
/// within `limit`.
pub(super) async fn connect(url: &OriginUrl, limit: Duration) -> Result<TcpStream, OriginError> {
    let deadline = Instant::now() + limit;
    let addresses = match timeout_at(deadline, addresses(url)).await {
        Ok(addresses) => addresses?,
        Err(_) => return Err(OriginError::ConnectTimeout),
    };
    let mut last = None;
    for (tried, address) in addresses.iter().enumerate() {
        // One that does not answer leaves the others their share of the time.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Only costs latency where it fails.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(failed(error)),
            Err(_) => last = Some(OriginError::ConnectTimeout),
        }
    }
    Err(last.unwrap_or_else(|| OriginError::Dns(io::ErrorKind::NotFound.into())))
}

async fn addresses(url: &OriginUrl) -> Result<Vec<SocketAddr>, OriginError> {
    let host = url.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, url.port)]);
    }
    let found = lookup_host((host, url.port))
        .await
        .map_err(OriginError::Dns)?;
    Ok(found.collect())
}

fn failed(error: io::Error) -> OriginError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => OriginError::Refused(error),
        io::ErrorKind::TimedOut => OriginError::ConnectTimeout,
        _ => OriginError::Unreachable(error),
    }
}

/// A stream that tells whether anything was heard from the other side.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) stream: TcpStream,
    pub(super) heard: Rc<Cell<bool>>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.set(true);
        }
        polled
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
