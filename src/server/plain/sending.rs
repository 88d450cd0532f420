//! A response on its way out.

use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use hyper::body::Body as _;
use smallvec::SmallVec;

use super::Bench;
use super::encode::{Asked, Framing, Said, encode};
use crate::proxy::ClientResponse;
use crate::server::connection::GATHERED;
use crate::server::link::Link;
use crate::server::stream::{JOINED, Stream};
use crate::server::watched::Watched;

/// As many pieces go into one write.
const MOST_PIECES: usize = 16;

/// What is sent of a response, and what is left of it.
#[derive(Debug)]
pub(super) struct Sending<'a> {
    bench: &'a Bench,
    /// The head, and a short piece of the body behind it.
    text: Vec<u8>,
    /// So much of that has been sent.
    text_sent: usize,
    /// What has been made beside and not been sent.
    queue: SmallVec<[Bytes; 2]>,
    queued: usize,
    body: Option<Watched>,
    said: Said,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.bench.keep(std::mem::take(&mut self.text));
    }
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

impl<'a> Sending<'a> {
    /// A response to a GET, or to a HEAD.
    pub(super) fn new(
        response: ClientResponse,
        asked: Asked,
        bench: &'a Bench,
        link: &Rc<Link>,
    ) -> Self {
        let mut text = bench.text();
        let said = encode(&response, asked, &bench.date, &mut text);
        let body = Watched::new(response.into_body(), link);
        Self {
            bench,
            queued: text.len(),
            text,
            text_sent: 0,
            queue: SmallVec::new(),
            body: (said.framing != Framing::Nothing).then_some(body),
            said,
        }
    }

    /// Sends as much as can be sent now.
    pub(super) fn poll(&mut self, stream: &Stream, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            let gathered = self.gather(cx);
            if matches!(gathered, Gathered::Cut) {
                return Poll::Ready(Sent::Cut);
            }
            while self.queued > 0 {
                let text = &self.text[self.text_sent..];
                let text = (!text.is_empty()).then(|| IoSlice::new(text));
                let pieces = self.queue.iter().map(|piece| IoSlice::new(piece));
                let slices: SmallVec<[IoSlice<'_>; MOST_PIECES]> =
                    text.into_iter().chain(pieces).take(MOST_PIECES).collect();
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
        self.queued += bytes.len();
        if self.text_sent == 0 && self.queue.is_empty() && bytes.len() <= JOINED {
            self.text.extend_from_slice(&bytes);
        } else if !bytes.is_empty() {
            self.queue.push(bytes);
        }
    }

    fn sent(&mut self, written: usize) {
        self.queued -= written;
        let of_text = written.min(self.text.len() - self.text_sent);
        self.text_sent += of_text;
        let mut left = written - of_text;
        let whole = |piece: &&Bytes| {
            let is_whole = piece.len() <= left;
            left -= if is_whole { piece.len() } else { 0 };
            is_whole
        };
        let gone = self.queue.iter().take_while(whole).count();
        self.queue.drain(..gone);
        if let Some(first) = self.queue.first_mut() {
            first.advance(left);
        }
    }
}
