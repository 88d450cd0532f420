//! The life of one client connection.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;

use super::handshake::Handshake;
use super::limits::Limits;
use super::link::{Link, Verdict};
use super::socket::Socket;
use super::stream::Stream;
use super::transport::Transport;
use super::watched::Watched;
use super::worker::Worker;
use super::{farewell, lingering, unsent};
use crate::message::authority::Authority;
use crate::plan::Arrival;
use crate::proxy::{self, ClientRequest, ClientResponse, Interim};

/// hyper gathers so much of a response for one write: a stored body of 1 MiB
/// in one piece costs a quarter less than by 256 KiB.
pub(super) const GATHERED: usize = 1 << 20;

/// No sooner than this a peer is dead for the system that takes nothing of what
/// was left to send when its connection ended here.
const DEAD: Duration = Duration::from_secs(10);

/// How the requests of a connection ended.
pub(super) enum End {
    /// hyper is done with it.
    Done(hyper::Result<()>),
    Verdict(Verdict),
}

/// A connection that is being served.
pub(super) struct Served<'a> {
    pub(super) worker: &'a Worker,
    pub(super) link: Rc<Link>,
    pub(super) arrival: Arrival,
    pub(super) interim: Interim,
    /// Whether the end of the connection is the end of the response.
    until_close: Cell<bool>,
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.link.leave();
    }
}

/// Serves requests until the client or the worker has enough.
pub(super) async fn serve(
    worker: &Worker,
    socket: Socket,
    handshake: Option<Handshake>,
    arrival: Arrival,
    limits: Limits,
) {
    tune(&socket);
    let mut served = Served {
        worker,
        link: Link::enter(&worker.table, limits),
        arrival,
        interim: Interim::default(),
        until_close: Cell::new(false),
    };
    if worker.expects_header(served.arrival.peer) && !served.introduce(&socket).await {
        return;
    }
    let Some(transport) = served.transport(socket, handshake).await else {
        return;
    };
    let http2 = transport.speaks_http2();
    let stream = Stream::new(transport, &served.link);
    let end = match http2 {
        // Boxed: most connections need no room for it.
        true => Box::pin(served.http2(&stream)).await,
        false => served.requests(&stream).await,
    };
    // By HTTP/2 it was said already.
    let refusal = served.refusal(&end, &stream).filter(|_| !http2);
    let cut = served.is_cut(&end);
    let unframed = served.until_close.get();
    let dead = Duration::from_millis(served.link.limits.stall.saturating_mul(2)).max(DEAD);
    drop(served);
    let Some(transport) = stream.into_inner() else {
        return;
    };
    // Not before: for the system one is dead too that takes all in small
    // pieces, and whose window was full whenever it looked. Here it is judged by
    // what it takes.
    transport.socket().set_dead_after(dead);
    match (end, refusal) {
        (_, Some(answer)) => lingering::answer(transport, &answer).await,
        (End::Verdict(Verdict::Evicted | Verdict::Flood), None) => {
            lingering::drop_in_order(transport)
        }
        (End::Verdict(Verdict::Gone), None) => {}
        _ if cut => lingering::reset(transport, unframed).await,
        (End::Done(_) | End::Verdict(_), None) => lingering::close(transport).await,
    }
}

/// None of these is worth a connection if it fails.
fn tune(socket: &Socket) {
    socket.set_nodelay();
    unsent::narrow(socket);
}

impl Served<'_> {
    /// By what requests come; `None`: a handshake came to nothing.
    async fn transport(&self, socket: Socket, handshake: Option<Handshake>) -> Option<Transport> {
        let Some(handshake) = handshake else {
            return Some(Transport::Plain(socket));
        };
        // Boxed: most connections need no room for it, and none for long.
        let shaken = handshake.shake(self.worker, &self.link, socket, self.arrival.peer);
        let transport = Box::pin(shaken).await?;
        self.link.introduced();
        Some(transport)
    }

    async fn requests(&self, stream: &Stream) -> End {
        loop {
            if let Some(end) = self.plain(stream).await {
                return end;
            }
            if let Some(end) = self.awake(stream).await {
                return end;
            }
        }
    }

    /// Serves requests with hyper; `None`: it is not needed for a while.
    async fn awake(&self, stream: &Stream) -> Option<End> {
        let io = TokioIo::new(stream.clone());
        let head = self.link.limits.head;
        let service = service_fn(|request| self.request(request, stream));
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_header_size(head)
            .max_buf_size(head.max(GATHERED))
            .serve_connection(io, service);
        let mut connection = Box::new(connection);
        let mut told = false;
        let end = poll_fn(|cx| {
            let end = self.poll(Pin::new(&mut *connection), stream, cx);
            let closing = self.worker.closes_idle() && !self.link.in_head();
            if end.is_ready() || told || !closing {
                return end;
            }
            told = true;
            Pin::new(&mut *connection).graceful_shutdown();
            Pin::new(&mut *connection).poll(cx).map(End::Done)
        });
        let end = end.await;
        if matches!(end, End::Verdict(Verdict::Sleepy)) {
            stream.put_back(&connection.into_parts().read_buf);
            return None;
        }
        Some(end)
    }

    fn poll(
        &self,
        connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
        stream: &Stream,
        cx: &mut Context<'_>,
    ) -> Poll<End> {
        if let Some(end) = self.evicted(cx) {
            return Poll::Ready(end);
        }
        if let Some(heads) = self.interim.take() {
            stream.send_first(heads);
        }
        // First, so that a request that is here already is not refused.
        if let Poll::Ready(done) = connection.poll(cx) {
            return Poll::Ready(End::Done(done));
        }
        if stream.look_for_end(cx) {
            return Poll::Ready(End::Verdict(Verdict::Gone));
        }
        match self.link.confirm(self.worker.is_draining()) {
            Some(verdict) => Poll::Ready(End::Verdict(verdict)),
            None => Poll::Pending,
        }
    }

    pub(super) fn evicted(&self, cx: &Context<'_>) -> Option<End> {
        self.link.register(cx);
        self.interim.register(cx.waker());
        let evicted = self.link.called() == Some(Verdict::Evicted);
        evicted.then_some(End::Verdict(Verdict::Evicted))
    }

    fn request(
        &self,
        request: Request<Incoming>,
        stream: &Stream,
    ) -> impl Future<Output = Result<Response<Watched>, Infallible>> {
        self.begin(!request.body().is_end_stream());
        let old = request.version() == Version::HTTP_10;
        if self.until_close.replace(old) != old && old {
            stream.reset_by_default();
        }
        let arrival = old.then(|| with_fallback(&self.arrival, stream));
        async move {
            let arrival = arrival.as_ref().unwrap_or(&self.arrival);
            let request = ClientRequest::by_http1(request, self.link.unread());
            let response = match self.handle(request, arrival) {
                proxy::Next::Answer(response) => response,
                proxy::Next::Ask(response) => response.await,
            };
            self.answering(stream);
            let mut response = response
                .into_response()
                .map(|body| Watched::new(body, &self.link));
            if self.worker.is_draining() {
                farewell::announce(&mut response);
            }
            Ok(response)
        }
    }

    /// A request begins.
    pub(super) fn begin(&self, has_body: bool) {
        self.link.request(has_body);
    }

    /// Answers a request that has begun, or has the origin asked.
    pub(super) fn handle(&self, request: ClientRequest, arrival: &Arrival) -> proxy::Next<'_> {
        self.worker.proxy.handle(request, arrival, &self.interim)
    }

    /// Its response begins.
    pub(super) fn answering(&self, stream: &Stream) {
        // Those that came together with the final one.
        if let Some(heads) = self.interim.take() {
            stream.send_first(heads);
        }
        self.interim.close();
        self.link.answering();
    }

    /// Counts an end that is ours; the answer to what never became a request.
    fn refusal(&self, end: &End, stream: &Stream) -> Option<Vec<u8>> {
        let counters = &self.worker.counters.connections;
        let verdict = match end {
            End::Verdict(verdict) => *verdict,
            End::Done(Err(error)) if error.is_parse() => return Some(self.bad_head(stream)),
            End::Done(_) => return None,
        };
        match verdict {
            Verdict::Idle => counters.idle_closed.add(1),
            Verdict::Silent => counters.silent_closed.add(1),
            Verdict::Stalled => counters.stalled.add(1),
            Verdict::Evicted => counters.evicted.add(1),
            Verdict::Flood => counters.floods.add(1),
            Verdict::Gone | Verdict::Sleepy | Verdict::Slow => {}
            Verdict::SlowHead => {
                counters.header_timeouts.add(1);
                let why = "the head did not end within server.header_timeout";
                return Some(self.refuse(StatusCode::REQUEST_TIMEOUT, why));
            }
        }
        None
    }

    fn bad_head(&self, stream: &Stream) -> Vec<u8> {
        let counters = &self.worker.counters.connections;
        let status = stream.refused().unwrap_or(StatusCode::BAD_REQUEST);
        let (status, counter, why) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if self.link.is_endless_line() => (
                StatusCode::URI_TOO_LONG,
                &counters.long_targets,
                "the request line is over server.max_header_bytes",
            ),
            StatusCode::URI_TOO_LONG => (status, &counters.long_targets, "the target is too long"),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                status,
                &counters.large_heads,
                "the head is over server.max_header_bytes or 100 fields",
            ),
            _ => (status, &counters.malformed_heads, "the head is not HTTP/1"),
        };
        counter.add(1);
        self.refuse(status, why)
    }

    /// The same for one stream of several.
    pub(super) fn refuse_one(&self, status: StatusCode, why: &'static str) -> ClientResponse {
        let counters = &self.worker.counters.connections;
        match status {
            StatusCode::URI_TOO_LONG => counters.long_targets.add(1),
            StatusCode::BAD_REQUEST => counters.malformed_heads.add(1),
            _ => counters.large_heads.add(1),
        }
        self.worker.proxy.refuse_one(status, why, self.arrival.peer)
    }

    fn refuse(&self, status: StatusCode, why: &'static str) -> Vec<u8> {
        self.worker.proxy.refuse(status, why, self.arrival.peer)
    }

    /// Whether an orderly close could make a cut response look complete.
    fn is_cut(&self, end: &End) -> bool {
        match end {
            End::Verdict(verdict) => *verdict == Verdict::Stalled,
            End::Done(Err(error)) => {
                self.until_close.get() && (error.is_user() || self.link.in_request())
            }
            End::Done(Ok(())) => false,
        }
    }
}

/// An HTTP/1.0 request may name no host: then it is for the address that it
/// was sent to; by a Unix socket, for none.
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
