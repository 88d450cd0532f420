//! Plain requests, which nearly all are: GET or HEAD by HTTP/1.1, for a path,
//! without a body, come in one piece. They are served here, which takes half
//! of what hyper does and no memory between two requests; whatever is not
//! plain in any way is hyper's, as is a head that is wrong.

mod date;
mod encode;
mod head;
mod sending;

pub(super) use date::Date;

use std::cell::RefCell;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use hyper::Method;
use tokio::io::ReadBuf;

use self::sending::{Sending, Sent};
use super::connection::{End, Served};
use super::link::Verdict;
use super::stream::Stream;
use crate::proxy::{self, Asked, ClientResponse};

/// A longer head is hyper's.
const ROOM: usize = 16 * 1024;

/// What the connections of a worker share to serve plain requests.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) date: Date,
    /// Where the last head was written.
    text: RefCell<Vec<u8>>,
    /// Where heads are read: one place stays in the processor's cache.
    room: RefCell<Box<[MaybeUninit<u8>]>>,
}

/// What came next.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once; a box would be an allocation a request"
)]
enum Next<'a> {
    /// A request that is answered here; whether it was a HEAD.
    Answer(bool, ClientResponse),
    /// One for which the origin is asked.
    Ask(bool, Asked<'a>),
    /// Something that is not plain; it is put back.
    Other,
    End(End),
}

/// So much of the memory of a head is kept for the next one, in bytes.
const KEPT: usize = 16 * 1024;

impl Bench {
    /// Empty memory for a head.
    fn text(&self) -> Vec<u8> {
        let kept = self.text.take();
        match kept.capacity() {
            0 => Vec::with_capacity(2 * 1024),
            _ => kept,
        }
    }

    /// Keeps the memory of a head that has been sent.
    fn keep(&self, mut text: Vec<u8>) {
        if text.capacity() <= KEPT {
            text.clear();
            self.text.replace(text);
        }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            date: Date::default(),
            text: RefCell::default(),
            room: RefCell::new(vec![MaybeUninit::uninit(); ROOM].into()),
        }
    }
}

impl Served<'_> {
    /// Serves plain requests as long as they come. `None`: something else has.
    pub(super) async fn plain(&self, stream: &Stream) -> Option<End> {
        loop {
            self.link.set_asleep(true);
            let next = poll_fn(|cx| self.poll_next(stream, cx)).await;
            self.link.set_asleep(false);
            let sending = match next {
                Next::Answer(to_head, response) => self.sending(stream, to_head, response),
                Next::Ask(to_head, response) => match self.watch(stream, response).await {
                    Ok(response) => self.sending(stream, to_head, response),
                    Err(verdict) => return Some(End::Verdict(verdict)),
                },
                Next::Other => return None,
                Next::End(end) => return Some(end),
            };
            if let Some(end) = self.send(stream, sending).await {
                return Some(end);
            }
        }
    }

    fn poll_next(&self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Next<'_>> {
        if let Some(end) = self.evicted(cx) {
            return Poll::Ready(Next::End(end));
        }
        if let Poll::Ready(next) = self.take(stream, cx) {
            return Poll::Ready(next);
        }
        let closing = self.worker.closes_idle();
        match self.link.confirm(self.worker.is_draining()) {
            Some(verdict) => Poll::Ready(Next::End(End::Verdict(verdict))),
            None if closing && !stream.has_bytes() => Poll::Ready(Next::End(End::Done(Ok(())))),
            None => Poll::Pending,
        }
    }

    fn take(&self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Next<'_>> {
        let mut room = self.worker.bench.room.borrow_mut();
        let mut room = ReadBuf::uninit(&mut room);
        let all = ready!(stream.poll_take(cx, &mut room));
        let bytes = room.filled();
        if all && bytes.is_empty() {
            return Poll::Ready(Next::End(End::Done(Ok(()))));
        }
        let request = match all {
            true => head::read(bytes, self.link.limits.head),
            false => None,
        };
        Poll::Ready(match request {
            Some(request) => {
                self.link.read(bytes);
                self.begin(false);
                let to_head = request.method == Method::HEAD;
                match self.handle(request, &self.arrival) {
                    proxy::Next::Answer(response) => Next::Answer(to_head, response),
                    proxy::Next::Ask(response) => Next::Ask(to_head, response),
                }
            }
            None => {
                stream.put_back(bytes);
                Next::Other
            }
        })
    }

    /// Begins to send a response.
    fn sending(&self, stream: &Stream, to_head: bool, response: ClientResponse) -> Sending<'_> {
        self.answering(stream);
        let asked = encode::Asked {
            head: to_head,
            last: self.worker.is_draining(),
        };
        Sending::new(response, asked, &self.worker.bench, &self.link)
    }

    /// Sends a response; the end of the connection, if that is it.
    #[expect(
        clippy::manual_async_fn,
        reason = "what it is given stays where it is; an `async fn` would move it once more"
    )]
    fn send(&self, stream: &Stream, mut sending: Sending<'_>) -> impl Future<Output = Option<End>> {
        async move {
            let sent = poll_fn(|cx| sending.poll(stream, cx));
            match self.watch(stream, sent).await {
                Ok(Sent::Keep) => None,
                Ok(Sent::Last | Sent::Cut) => Some(End::Done(Ok(()))),
                Err(verdict) => Some(End::Verdict(verdict)),
            }
        }
    }

    /// Waits for `future` as long as the client may be waited for.
    async fn watch<F: Future>(&self, stream: &Stream, future: F) -> Result<F::Output, Verdict> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Some(End::Verdict(verdict)) = self.evicted(cx) {
                return Poll::Ready(Err(verdict));
            }
            if let Some(heads) = self.interim.take() {
                stream.send_first(heads);
            }
            if let Poll::Ready(done) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            // What cannot be written shows in the response.
            let _ = stream.poll_first(cx);
            if stream.look_for_end(cx) {
                return Poll::Ready(Err(Verdict::Gone));
            }
            match self.link.confirm(self.worker.is_draining()) {
                Some(verdict) => Poll::Ready(Err(verdict)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests;
