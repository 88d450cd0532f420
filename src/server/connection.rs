//! The life of one client connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::Version;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::stream::Stream;
use super::worker::Worker;
use super::{farewell, lingering};
use crate::client::PeerAddr;
use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::plan::Arrival;

/// Serves requests until the client or the worker has enough.
pub(super) async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    // Only costs latency where it fails.
    let _ = stream.set_nodelay(true);
    let stream = Stream::new(stream);
    let arrival = Arrival {
        scheme: Scheme::Http,
        peer: PeerAddr::new(peer.ip()),
        given: None,
        fallback: None,
    };
    // Whether the end of the connection is the end of the response.
    let until_close = Rc::new(Cell::new(false));
    let outcome = serve_requests(&worker, &stream, &arrival, &until_close).await;
    let Some(stream) = stream.into_inner() else {
        return;
    };
    match outcome {
        Err(error) if error.is_user() && until_close.get() => lingering::reset(stream),
        Ok(()) | Err(_) => lingering::close(stream).await,
    }
}

async fn serve_requests(
    worker: &Rc<Worker>,
    stream: &Stream,
    arrival: &Arrival,
    until_close: &Rc<Cell<bool>>,
) -> hyper::Result<()> {
    let service = service_fn(|request| async {
        let old = request.version() == Version::HTTP_10;
        until_close.set(old);
        let mut response = match old {
            true => {
                worker
                    .proxy
                    .handle(request, &with_fallback(arrival, stream))
                    .await
            }
            false => worker.proxy.handle(request, arrival).await,
        };
        if worker.is_draining() {
            farewell::announce(&mut response);
        }
        Ok::<_, Infallible>(response)
    });
    let io = TokioIo::new(stream.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let mut closing = pin!(worker.closing());
    let mut told = false;
    std::future::poll_fn(|cx| {
        // First, so that a request that is here already is not refused.
        if let Poll::Ready(done) = connection.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if told || closing.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        told = true;
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(cx)
    })
    .await
}

/// An HTTP/1.0 request may name no host: then it is for the address that it
/// was sent to.
fn with_fallback(arrival: &Arrival, stream: &Stream) -> Arrival {
    let address = stream.local_addr().map(|address| address.to_string());
    let authority = address.ok().and_then(|address| {
        Authority::parse(address.as_bytes(), arrival.scheme).map(Authority::into_owned)
    });
    Arrival {
        fallback: authority,
        ..arrival.clone()
    }
}
