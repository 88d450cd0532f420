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
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use self::common::Common;
use self::exchange::Exchange;
use self::frames::{Frames, Wire};
use super::connection::{End, Served};
use super::link::Verdict;
use super::stream::Stream;
use crate::message::fields::Name;
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
    wire: Rc<Wire>,
    common: Rc<Common<'a>>,
    connection: Connection<Frames, Bytes>,
    exchanges: FuturesUnordered<Exchange<'a>>,
    /// The client was told to open no more streams.
    told: bool,
    /// The connection is over, and every response was handed over.
    all_said: bool,
}

impl Served<'_> {
    /// Serves requests until the client or the worker has enough.
    pub(super) async fn http2(&self, stream: &Stream) -> End {
        // It has none of what could be given back between two requests.
        self.link.set_asleep(true);
        let wire = Wire::new(stream, &self.link);
        let connection = match self.begun(&wire).await {
            Ok(connection) => connection,
            Err(end) => return end,
        };
        self.link.rest();
        let mut driver = Driver {
            served: self,
            common: Common::new(self.worker, &self.link, &wire),
            wire,
            connection,
            exchanges: FuturesUnordered::new(),
            told: false,
            all_said: false,
        };
        let end = poll_fn(|cx| driver.poll(cx)).await;
        driver.part(&end).await;
        end
    }

    /// Waits for what a connection begins with.
    async fn begun(&self, wire: &Rc<Wire>) -> Result<Connection<Frames, Bytes>, End> {
        let limits = &self.link.limits;
        let mut handshake = Builder::new()
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head + OVERHEAD).unwrap_or(u32::MAX))
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .max_send_buffer_size(READY)
            // Of those that are cancelled before they were seen the library
            // takes 20, which are fewer than a page that is left has: how many
            // are too many is said by the points of `flood`.
            .max_pending_accept_reset_streams(limits.streams as usize)
            .handshake(Frames::new(wire));
        poll_fn(|cx| {
            if let Some(end) = self.evicted(cx) {
                return Poll::Ready(Err(end));
            }
            if let Poll::Ready(begun) = Pin::new(&mut handshake).poll(cx) {
                return Poll::Ready(begun.map_err(|error| self.failed(&error)));
            }
            // That it fails is seen by what is read.
            let _ = wire.flush(cx);
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
                Poll::Ready(None) => {
                    if self.wire.has_ended() {
                        return Poll::Ready(End::Done(Ok(())));
                    }
                    // It may not have gone out: for that there is as much time
                    // as for any response.
                    self.all_said = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if self.wire.is_flooded() {
            return Poll::Ready(End::Verdict(Verdict::Flood));
        }
        match self.wire.flush(cx) {
            Poll::Ready(Ok(())) => {
                self.common.flushed();
                if self.all_said {
                    return Poll::Ready(End::Done(Ok(())));
                }
            }
            Poll::Ready(Err(_)) => return Poll::Ready(End::Done(Ok(()))),
            Poll::Pending => self.common.went_out(),
        }
        self.look_at_streams(cx);
        let resting = self.common.is_idle() && !served.link.in_request();
        let verdict = match served.worker.closes_idle() && resting {
            true => Some(Verdict::Idle),
            false => served.link.confirm(served.worker.is_draining()),
        };
        verdict.map_or(Poll::Pending, |verdict| Poll::Ready(End::Verdict(verdict)))
    }

    /// Goes on with each stream where something has happened.
    fn look_at_streams(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = Pin::new(&mut self.exchanges).poll_next(cx) {}
    }

    /// A stream is opened. What can be answered at once costs no task.
    fn open(
        &mut self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        cx: &mut Context<'_>,
    ) {
        if !self.common.has_place() {
            // Those that were cancelled with what came now hold theirs still.
            self.look_at_streams(cx);
        }
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
        let mut waits = false;
        let next = match request::read(request, served.link.limits.head) {
            Ok(request) => {
                waits = request.body.is_some() && request.fields.contains(Name::EXPECT);
                served.handle(request, &served.arrival)
            }
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
    async fn part(mut self, end: &End) {
        let at_once = matches!(end, End::Verdict(Verdict::Evicted));
        let reason = match end {
            // What the library has to say waits to go out.
            End::Done(_) => None,
            End::Verdict(Verdict::Stalled | Verdict::Gone) => return,
            End::Verdict(Verdict::Flood | Verdict::SlowHead) => Some(Reason::ENHANCE_YOUR_CALM),
            End::Verdict(_) => Some(Reason::NO_ERROR),
        };
        self.wire.stop_reading();
        self.exchanges.clear();
        if let Some(reason) = reason {
            self.connection.abrupt_shutdown(reason);
        }
        let gone = poll_fn(|cx| {
            let closed = match reason {
                Some(_) => self.connection.poll_closed(cx).map(drop),
                None => Poll::Ready(()),
            };
            let flushed = self.wire.flush(cx);
            if matches!(flushed, Poll::Ready(Ok(()))) && (self.all_said || reason.is_some()) {
                self.common.flushed();
            }
            match flushed {
                _ if at_once => Poll::Ready(()),
                Poll::Ready(Ok(())) => closed,
                Poll::Ready(Err(_)) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            }
        });
        let _ = timeout(PATIENCE, gone).await;
    }
}

/// Who waits with a body may send it.
fn go_on() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::CONTINUE;
    response
}
