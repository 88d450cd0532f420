//! Requests by HTTP/2 (RFC 9113), many at a time on one connection. Frames and
//! their compression are the library's; each request then takes the way of one
//! by HTTP/1, and its response goes out as fast as its client takes it.

mod common;
mod exchange;
mod flood;
mod frames;
mod head;
mod request;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream as _};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use hyper::header::EXPECT;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use self::common::Common;
use self::exchange::Exchange;
use self::frames::{Frames, Watch};
use super::connection::{End, Served};
use super::link::Verdict;
use super::stream::Stream;
use crate::proxy;

/// What may come of the bodies of one request, and of all on a connection,
/// before the origin has taken it, in bytes.
const WINDOW: u32 = 128 * 1024;
const WINDOWS: u32 = 512 * 1024;

/// What a stream may hold that is ready to be sent, in bytes.
const READY: usize = 256 * 1024;

/// What the size of a head is over the bytes of its fields, at most, as the
/// library counts it: 32 bytes a field (RFC 9113 section 6.5.2).
const OVERHEAD: usize = 32 * 128;

/// How long a farewell may take to go out.
const PATIENCE: Duration = Duration::from_secs(1);

/// A connection, and what its requests have come to.
struct Driver<'a> {
    served: &'a Served<'a>,
    watch: Rc<Watch>,
    common: Rc<Common<'a>>,
    connection: Connection<Frames, Bytes>,
    exchanges: FuturesUnordered<Exchange<'a>>,
    /// The client was told to open no more streams.
    told: bool,
}

impl Served<'_> {
    /// Serves requests until the client or the worker has enough.
    pub(super) async fn http2(&self, stream: &Stream) -> End {
        // It has none of what could be given back between two requests.
        self.link.set_asleep(true);
        let watch = Watch::new(&self.link);
        let connection = match self.begun(Frames::new(stream, &watch)).await {
            Ok(connection) => connection,
            Err(end) => return end,
        };
        self.link.rest();
        let mut driver = Driver {
            served: self,
            common: Common::new(self.worker, &self.link, &watch),
            watch,
            connection,
            exchanges: FuturesUnordered::new(),
            told: false,
        };
        let end = poll_fn(|cx| driver.poll(cx)).await;
        if let End::Verdict(verdict) = &end {
            driver.part(*verdict).await;
        }
        end
    }

    /// Waits for what a connection begins with.
    async fn begun(&self, frames: Frames) -> Result<Connection<Frames, Bytes>, End> {
        let limits = &self.link.limits;
        let mut handshake = Builder::new()
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head + OVERHEAD).unwrap_or(u32::MAX))
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .max_send_buffer_size(READY)
            .handshake(frames);
        poll_fn(|cx| {
            if let Some(end) = self.evicted(cx) {
                return Poll::Ready(Err(end));
            }
            if let Poll::Ready(begun) = Pin::new(&mut handshake).poll(cx) {
                return Poll::Ready(begun.map_err(|error| self.failed(&error)));
            }
            match self.link.confirm(self.worker.is_draining()) {
                Some(verdict) => Poll::Ready(Err(End::Verdict(verdict))),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// The library has ended the connection. Of what the client did wrong it
    /// was told.
    fn failed(&self, error: &h2::Error) -> End {
        let counters = &self.worker.counters.connections;
        if error.is_library() {
            match error.reason() {
                Some(Reason::ENHANCE_YOUR_CALM) => counters.floods.add(1),
                _ => counters.malformed_heads.add(1),
            }
        }
        End::Done(Ok(()))
    }
}

impl<'a> Driver<'a> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let served = self.served;
        if let Some(end) = served.evicted(cx) {
            return Poll::Ready(end);
        }
        if served.worker.is_draining() && !self.told {
            self.told = true;
            self.connection.graceful_shutdown();
        }
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => self.open(request, respond, cx),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(served.failed(&error)),
                Poll::Ready(None) => return Poll::Ready(End::Done(Ok(()))),
                Poll::Pending => break,
            }
        }
        if self.watch.is_flooded() {
            return Poll::Ready(End::Verdict(Verdict::Flood));
        }
        self.common.tried();
        while let Poll::Ready(Some(())) = Pin::new(&mut self.exchanges).poll_next(cx) {}
        let verdict = match served.worker.closes_idle() && self.common.is_idle() {
            true => Some(Verdict::Idle),
            false => served.link.confirm(served.worker.is_draining()),
        };
        verdict.map_or(Poll::Pending, |verdict| Poll::Ready(End::Verdict(verdict)))
    }

    /// A stream is opened. What can be answered at once costs no task.
    fn open(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        cx: &mut Context<'_>,
    ) {
        if !self.common.has_place() {
            self.served
                .worker
                .counters
                .connections
                .refused_streams
                .add(1);
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        let mut exchange = self.exchange(request, respond);
        if Pin::new(&mut exchange).poll(cx).is_pending() {
            self.exchanges.push(exchange);
        }
    }

    fn exchange(
        &self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Exchange<'a> {
        let served = self.served;
        let to_head = *request.method() == Method::HEAD;
        let waits = request.headers().contains_key(EXPECT);
        let next = match request::read(request, served.link.limits.head) {
            Ok(request) => served.handle(request, &served.arrival),
            Err((status, why)) => proxy::Next::Answer(served.refuse_one(status, why)),
        };
        match next {
            proxy::Next::Answer(response) => {
                Exchange::answer(&self.common, to_head, response, respond)
            }
            proxy::Next::Ask(response) => {
                if waits {
                    // It fails where the client has cancelled the request.
                    let _ = respond.send_informational(go_on());
                }
                Exchange::ask(&self.common, to_head, response, respond)
            }
        }
    }

    /// Says why the connection ends, as far as there is room for that soon.
    async fn part(mut self, verdict: Verdict) {
        let reason = match verdict {
            Verdict::Flood | Verdict::SlowHead => Reason::ENHANCE_YOUR_CALM,
            Verdict::Stalled | Verdict::Gone => return,
            _ => Reason::NO_ERROR,
        };
        self.watch.stop_reading();
        self.exchanges.clear();
        self.connection.abrupt_shutdown(reason);
        let closed = poll_fn(|cx| match (self.connection.poll_closed(cx), verdict) {
            (Poll::Pending, Verdict::Evicted) => Poll::Ready(()),
            (closed, _) => closed.map(drop),
        });
        let _ = timeout(PATIENCE, closed).await;
    }
}

/// Who waits with a body may send it.
fn go_on() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::CONTINUE;
    response
}
