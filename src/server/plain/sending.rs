//! A response on its way out.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::body::Body as _;
use smallvec::SmallVec;

use super::date::Date;
use super::encode::{Asked, Framing, Said, encode};
use crate::proxy::ClientResponse;
use crate::server::connection::GATHERED;
use crate::server::link::Link;
use crate::server::stream::Stream;
use crate::server::watched::Watched;

/// As many pieces go into one write.
const MOST_PIECES: usize = 16;

/// What is sent of a response, and what is left of it.
#[derive(Debug)]
pub(super) struct Sending {
    /// What has been made and not been sent.
    queue: VecDeque<Bytes>,
    queued: usize,
    body: Option<Watched>,
    said: Said,
}

/// How sending a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it went out, and another one may follow.
    Keep,
    /// All of it went out, and it was the last.
    Last,
    /// It was cut: by the client, by the network, or because its body was.
    Cut,
}

/// What came of asking the body for more.
enum Gathered {
    /// There is more to come.
    Some,
    /// Nothing comes for now.
    Pending,
    /// It is not to be completed.
    Cut,
}

impl Sending {
    /// A response to a GET, or to a HEAD.
    pub(super) fn new(
        response: ClientResponse,
        asked: Asked,
        date: &Date,
        link: &Rc<Link>,
    ) -> Self {
        let mut text = Vec::with_capacity(1024);
        let said = encode(&response, asked, date, &mut text);
        let mut sending = Self {
            queue: VecDeque::with_capacity(2),
            queued: 0,
            body: Some(Watched::new(response.into_body(), link)),
            said,
        };
        sending.push(text.into());
        if said.framing == Framing::Nothing {
            sending.body = None;
        }
        sending
    }

    /// Sends as much as can be sent now.
    pub(super) fn poll(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            let gathered = self.gather(cx);
            if matches!(gathered, Gathered::Cut) {
                return Poll::Ready(Sent::Cut);
            }
            while !self.queue.is_empty() {
                let slices: SmallVec<[IoSlice<'_>; MOST_PIECES]> = (self.queue.iter())
                    .take(MOST_PIECES)
                    .map(|piece| IoSlice::new(piece))
                    .collect();
                let written = ready!(stream.write(cx, &slices));
                drop(slices);
                match written {
                    Ok(written) if written > 0 => self.sent(written),
                    Ok(_) | Err(_) => return Poll::Ready(Sent::Cut),
                }
            }
            if ready!(stream.flush(cx)).is_err() {
                return Poll::Ready(Sent::Cut);
            }
            match gathered {
                _ if self.body.is_none() => {
                    return Poll::Ready(match self.said.keep {
                        true => Sent::Keep,
                        false => Sent::Last,
                    });
                }
                Gathered::Pending => return Poll::Pending,
                Gathered::Some | Gathered::Cut => {}
            }
        }
    }

    /// Asks the body for as much as goes into one write.
    fn gather(&mut self, cx: &mut Context<'_>) -> Gathered {
        while self.queued < GATHERED && self.queue.len() < MOST_PIECES {
            let Some(body) = &mut self.body else {
                return Gathered::Some;
            };
            if body.is_end_stream() {
                return self.finish();
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Gathered::Pending,
                Poll::Ready(None) => return self.finish(),
                Poll::Ready(Some(Err(_))) => return Gathered::Cut,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.frame(data);
                    }
                }
            }
        }
        Gathered::Some
    }

    /// The body is over: dropping it tells the connection.
    fn finish(&mut self) -> Gathered {
        self.body = None;
        match self.said.framing {
            Framing::Length(1..) => return Gathered::Cut,
            Framing::Length(0) | Framing::Nothing => {}
            Framing::Chunked => self.push(Bytes::from_static(b"0\r\n\r\n")),
        }
        Gathered::Some
    }

    fn frame(&mut self, mut data: Bytes) {
        match &mut self.said.framing {
            _ if data.is_empty() => {}
            Framing::Nothing => {}
            Framing::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                self.push(data);
            }
            Framing::Chunked => {
                self.push(format!("{:X}\r\n", data.len()).into());
                self.push(data);
                self.push(Bytes::from_static(b"\r\n"));
            }
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    fn sent(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(first) = self.queue.front_mut() {
            if written < first.len() {
                return first.advance(written);
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}
