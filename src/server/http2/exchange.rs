//! One stream: a request and its response.

use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use hyper::body::Body as _;
use tokio::time::{Duration, Instant, Sleep, sleep};

use super::common::{CANCELLED, Common};
use super::head::{Parts, split};
use crate::proxy::{Asked, Body, ClientResponse};
use crate::server::pace::least;

/// What it says of one that was cut for a client that does not take it.
const STALLED: &str = "the client stalled within the response";

/// A request that is being answered.
pub(super) struct Exchange<'a> {
    common: Rc<Common<'a>>,
    step: Step<'a>,
    to_head: bool,
}

#[expect(
    clippy::large_enum_variant,
    reason = "most are sent at once; a box would be an allocation a request"
)]
enum Step<'a> {
    /// The origin is asked.
    Asking(Asked<'a>, SendResponse<Bytes>),
    Sending(Sending<'a>),
    Over,
}

impl<'a> Exchange<'a> {
    /// One that is answered at once.
    pub(super) fn answer(
        common: &Rc<Common<'a>>,
        to_head: bool,
        response: ClientResponse,
        respond: SendResponse<Bytes>,
    ) -> Self {
        let sending = Sending::begin(response, to_head, respond, common);
        Self::new(common, to_head, Step::Sending(sending))
    }

    /// One that waits for its response.
    pub(super) fn ask(
        common: &Rc<Common<'a>>,
        to_head: bool,
        response: Asked<'a>,
        respond: SendResponse<Bytes>,
    ) -> Self {
        Self::new(common, to_head, Step::Asking(response, respond))
    }

    fn new(common: &Rc<Common<'a>>, to_head: bool, step: Step<'a>) -> Self {
        common.opened();
        Self {
            common: Rc::clone(common),
            step,
            to_head,
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.step = Step::Over;
        self.common.closed();
    }
}

impl Future for Exchange<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match &mut this.step {
                Step::Asking(response, respond) => match response.as_mut().poll(cx) {
                    Poll::Pending => {
                        ready!(respond.poll_reset(cx)).ok();
                        this.step = Step::Over;
                    }
                    Poll::Ready(response) => {
                        let Step::Asking(_, respond) =
                            std::mem::replace(&mut this.step, Step::Over)
                        else {
                            return Poll::Ready(());
                        };
                        let sending = Sending::begin(response, this.to_head, respond, &this.common);
                        this.step = Step::Sending(sending);
                    }
                },
                Step::Sending(sending) => {
                    ready!(sending.poll(cx));
                    this.step = Step::Over;
                }
                Step::Over => return Poll::Ready(()),
            }
        }
    }
}

/// A response on its way out.
struct Sending<'a> {
    common: Rc<Common<'a>>,
    /// Its stream's number.
    id: u32,
    /// `None`: all of it was handed over, or it was cut.
    body: Option<Body>,
    stream: Option<SendStream<Bytes>>,
    /// What the body gave and was not handed over yet.
    data: Bytes,
    /// What is left of the announced length.
    left: Option<u64>,
    /// Since when the client is waited for.
    wait: Option<Wait>,
    /// Bytes handed over.
    handed: u64,
}

/// A wait for the client to take what it asked for.
struct Wait {
    end: Pin<Box<Sleep>>,
    /// What was handed over when it began.
    handed: u64,
    /// It counts among those that wait now.
    counted: bool,
    /// When it last went on, by the table's clock.
    paused: u64,
}

/// What comes next of a body.
enum More {
    Data,
    End,
    Cut(Reason),
}

impl<'a> Sending<'a> {
    fn begin(
        response: ClientResponse,
        to_head: bool,
        mut respond: SendResponse<Bytes>,
        common: &Rc<Common<'a>>,
    ) -> Self {
        let Parts {
            head,
            body,
            has_body,
            length,
        } = split(response, to_head, common.date());
        let id = respond.stream_id().as_u32();
        // It fails where the client has cancelled the request.
        let stream = respond.send_response(head, !has_body);
        let mut sending = Self {
            common: Rc::clone(common),
            id,
            body: Some(body),
            stream: stream.ok(),
            data: Bytes::new(),
            left: length,
            wait: None,
            handed: 0,
        };
        if sending.stream.is_none() {
            sending.finish(CANCELLED);
        } else if !has_body {
            sending.complete();
        }
        sending
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.body.is_some() {
            let more = match self.data.is_empty() {
                true => ready!(self.poll_more(cx)),
                false => More::Data,
            };
            match more {
                More::Data => {}
                More::End if self.left.is_some_and(|left| left > 0) => {
                    self.cut(Reason::INTERNAL_ERROR, CANCELLED);
                    continue;
                }
                More::End => {
                    self.send(Bytes::new(), true);
                    continue;
                }
                More::Cut(reason) => {
                    self.cut(reason, CANCELLED);
                    continue;
                }
            }
            let Some(room) = ready!(self.poll_room(cx)) else {
                continue;
            };
            let piece = self.data.split_to(room.min(self.data.len()));
            let last = self.data.is_empty() && self.is_over();
            self.send(piece, last);
        }
        Poll::Ready(())
    }

    /// Asks the body for more.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<More> {
        let (Some(body), Some(stream)) = (&mut self.body, &mut self.stream) else {
            return Poll::Ready(More::Cut(Reason::CANCEL));
        };
        let waits = !body.is_stored() && self.common.is_full();
        if waits {
            self.common.wait_for_room(cx);
        }
        let frame = match waits {
            true => Poll::Pending,
            false => Pin::new(body).poll_frame(cx),
        };
        let Poll::Ready(frame) = frame else {
            ready!(stream.poll_reset(cx)).ok();
            return Poll::Ready(More::Cut(Reason::CANCEL));
        };
        Poll::Ready(match frame {
            None => More::End,
            Some(Err(_)) => More::Cut(Reason::INTERNAL_ERROR),
            Some(Ok(frame)) => {
                self.data = frame.into_data().unwrap_or_default();
                if let Some(left) = &mut self.left {
                    self.data
                        .truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= self.data.len() as u64;
                }
                match self.data.is_empty() && self.is_over() {
                    true => More::End,
                    false => More::Data,
                }
            }
        })
    }

    fn is_over(&self) -> bool {
        self.left == Some(0)
            || self.body.as_ref().is_none_or(Body::is_end_stream) && self.left.is_none()
    }

    /// How much may be handed over now. `None`: nothing any more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let wanted = self.data.len();
        let Some(stream) = &mut self.stream else {
            self.cut(Reason::CANCEL, CANCELLED);
            return Poll::Ready(None);
        };
        stream.reserve_capacity(wanted);
        loop {
            match stream.capacity() {
                0 => {}
                room => {
                    self.goes_on();
                    return Poll::Ready(Some(room));
                }
            }
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => {
                    self.finish(CANCELLED);
                    return Poll::Ready(None);
                }
                Poll::Pending => break,
            }
        }
        if ready!(self.poll_stalled(cx)) {
            self.common.stalled();
            self.cut(Reason::CANCEL, STALLED);
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    /// The client is waited for: whether it has taken too little since that
    /// began. Those who wait share what is asked of one connection.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let limit = self.common.stall();
        let handed = self.handed;
        let wait = self.wait.get_or_insert_with(|| Wait {
            end: Box::pin(sleep(Duration::from_millis(limit))),
            handed,
            counted: false,
            paused: self.common.now(),
        });
        if !std::mem::replace(&mut wait.counted, true) {
            self.common.waits(true);
            // The time in which the origin was waited for is not the client's.
            let pause = self.common.now() - wait.paused;
            if pause > 0 {
                let later = wait.end.deadline() + Duration::from_millis(pause);
                wait.end.as_mut().reset(later);
            }
        }
        while wait.end.as_mut().poll(cx).is_ready() {
            if handed - wait.handed < (least(limit) / self.common.waiting()).max(1) {
                return Poll::Ready(true);
            }
            wait.handed = handed;
            let next = Instant::now() + Duration::from_millis(limit);
            wait.end.as_mut().reset(next);
        }
        Poll::Pending
    }

    /// The client is not waited for now.
    fn goes_on(&mut self) {
        if let Some(wait) = &mut self.wait
            && std::mem::replace(&mut wait.counted, false)
        {
            wait.paused = self.common.now();
            self.common.waits(false);
        }
    }

    fn send(&mut self, piece: Bytes, last: bool) {
        self.handed += piece.len() as u64;
        if self.body.as_ref().is_some_and(|body| !body.is_stored()) {
            self.common.handed(self.id, piece.len());
        }
        let Some(stream) = &mut self.stream else {
            return;
        };
        match stream.send_data(piece, last) {
            Err(_) => self.finish(CANCELLED),
            Ok(()) if last => self.complete(),
            Ok(()) => {}
        }
    }

    /// All of it was handed over.
    fn complete(&mut self) {
        self.common.answered();
        self.goes_on();
        if let Some(body) = self.body.take() {
            self.common.finished(self.id, body.finish(CANCELLED));
        }
    }

    /// It is not to look complete.
    fn cut(&mut self, reason: Reason, why: &'static str) {
        if let Some(stream) = &mut self.stream {
            stream.send_reset(reason);
        }
        self.finish(why);
    }

    /// Its log line says `why` if there was more of it.
    fn finish(&mut self, why: &'static str) {
        self.goes_on();
        if let Some(body) = self.body.take() {
            self.common.cut(self.id, body.finish(why), why);
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let why = self.common.why_cut();
        self.finish(why);
    }
}
