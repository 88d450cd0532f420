//! What is written is what hyper writes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::date::Date;
use super::encode::{Asked, Framing, Lines, write};

/// A body of one piece.
#[derive(Clone, Debug)]
struct Piece {
    left: Option<Bytes>,
    tells_length: bool,
}

impl Body for Piece {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.left.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.tells_length && self.left.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.tells_length {
            true => SizeHint::with_exact(self.left.as_ref().map_or(0, |left| left.len() as u64)),
            false => SizeHint::new(),
        }
    }
}

async fn by_hyper(method: &Method, response: &Response<Piece>) -> String {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let service = service_fn(|_| {
        let response = response.clone();
        async move { Ok::<_, Infallible>(response) }
    });
    let request = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
    near.write_all(request.as_bytes()).await.unwrap();
    near.shutdown().await.unwrap();
    let mut builder = http1::Builder::new();
    builder.half_close(true);
    builder
        .serve_connection(TokioIo::new(far), service)
        .await
        .unwrap();
    let mut sent = String::new();
    near.read_to_string(&mut sent).await.unwrap();
    let (head, _) = sent.split_once("\r\n\r\n").unwrap();
    normal(head)
}

fn by_us(method: &Method, response: &Response<Piece>) -> (String, Framing) {
    let (head, body) = response.clone().into_parts();
    let mut out = Vec::new();
    let known = match body.is_end_stream() {
        true => Some(0),
        false => body.size_hint().exact(),
    };
    let asked = Asked {
        head: *method == Method::HEAD,
        last: false,
    };
    let fields = |lines: &mut Lines<'_>| {
        for (name, value) in &head.headers {
            lines.add(name, value.as_bytes());
        }
    };
    let date = Date::default();
    let reason = head.extensions.get().map(ReasonPhrase::as_bytes);
    let said = write((head.status, reason), known, asked, fields, &date, &mut out);
    let text = String::from_utf8(out).unwrap();
    (normal(text.strip_suffix("\r\n\r\n").unwrap()), said.framing)
}

/// Lines in an order, and no time.
fn normal(head: &str) -> String {
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let now = |line: &str| line.starts_with("date: ") && !line.ends_with("1970 00:00:00 GMT");
    let lines = lines
        .iter()
        .map(|line| if now(line) { "date: now" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn heads_are_as_hyper_writes_them() {
    let statuses = [200, 204, 206, 301, 304, 403, 404, 416, 418, 502, 599];
    let pieces = [
        (Some(""), true),
        (Some("abc"), true),
        (None, true),
        (Some("abc"), false),
    ];
    let fields = [
        &[][..],
        &[("content-length", "3"), ("via", "1.1 a"), ("via", "1.1 b")],
        &[("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("etag", "\"ä\"")],
        &[("connection", "close"), ("content-length", "3")],
    ];
    for (method, status) in [Method::GET, Method::HEAD]
        .iter()
        .flat_map(|method| statuses.map(|status| (method, status)))
    {
        for ((piece, tells_length), fields) in pieces
            .iter()
            .flat_map(|piece| fields.map(|fields| (piece, fields)))
        {
            let mut response = Response::new(Piece {
                left: piece.map(Bytes::from),
                tells_length: *tells_length,
            });
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in fields {
                let value = hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                response.headers_mut().append(*name, value);
            }
            let claims = fields.iter().any(|(name, _)| *name == "content-length");
            let empty = *tells_length && piece.is_none_or(str::is_empty);
            let bodiless = matches!(status, 204 | 304) || method == Method::HEAD;
            if claims && empty && method == Method::GET || bodiless && !tells_length {
                // A lie, or a body that hyper ends with the connection.
                continue;
            }
            let (ours, framing) = by_us(method, &response);
            let case = format!("{method} {status} {piece:?} {tells_length} {fields:?}");
            assert_eq!(ours, by_hyper(method, &response).await, "{case}");
            let chunked = ours.contains("transfer-encoding: chunked");
            assert_eq!(framing == Framing::Chunked, chunked, "{case}");
            assert_eq!(framing == Framing::Nothing, bodiless, "{case}");
        }
    }
}

#[tokio::test]
async fn reasons_are_as_hyper_writes_them() {
    for (status, reason) in [(200, "Fine, thanks"), (200, ""), (999, "No")] {
        let mut response = Response::new(Piece {
            left: None,
            tells_length: true,
        });
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let phrase = ReasonPhrase::from_static(reason.as_bytes());
        response.extensions_mut().insert(phrase);
        let (ours, _) = by_us(&Method::GET, &response);
        assert_eq!(ours, by_hyper(&Method::GET, &response).await, "{reason}");
    }
}
