//! The origin of the demo: a picture in two formats, a download, an upload.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

const JPEG: &[u8] = include_bytes!("gate.jpg");
const WEBP: &[u8] = include_bytes!("gate.webp");
const REPORT: &str = "Portcullis demo report\nThe gate is half down, as it should be.\n";
/// How long to wait when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);
const TEXT: &str = "text/plain; charset=utf-8";

/// Where the picture is shown; what may be fetched there is up to the policy.
const PICTURES: [&str; 4] = [
    "/photos/gate.jpg",
    "/public/gate.jpg",
    "/licensed/gate.jpg",
    "/gallery/gate.jpg",
];

/// Serves on a free port of the loopback interface, in a thread of its own,
/// for as long as the process lives.
pub(super) fn start() -> io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    thread::Builder::new()
        .name("demo-origin".to_owned())
        .spawn(move || runtime.block_on(serve(listener)))?;
    Ok(address)
}

async fn serve(listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            // Out of descriptors, say: what is open goes on, and ends.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        Ok::<_, Infallible>(match (&head.method, head.uri.path()) {
            (&Method::POST, "/widget/upload") => received(&head.headers, body).await,
            (_, path) => asset(&head.method, path, &head.headers),
        })
    });
    // An error ends this connection and nothing else.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What there is at `path`.
fn asset(method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, "", [(ALLOW, "GET, HEAD")]);
    }
    if PICTURES.contains(&path) {
        return picture(headers);
    }
    let text = (CONTENT_TYPE, TEXT);
    match path {
        "/widget/report.txt" => answer(
            StatusCode::OK,
            REPORT,
            [text, (CONTENT_DISPOSITION, "attachment")],
        ),
        _ => answer(StatusCode::NOT_FOUND, "There is nothing here.\n", [text]),
    }
}

/// The picture in the format that `Accept` asks for.
fn picture(headers: &HeaderMap) -> Response<Full<Bytes>> {
    let (picture, kind) = match accepts_webp(headers) {
        true => (WEBP, "image/webp"),
        false => (JPEG, "image/jpeg"),
    };
    let fields = [
        (CONTENT_TYPE, kind),
        (VARY, "Accept"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    answer(StatusCode::OK, picture, fields)
}

/// Whether a line of `Accept` names WebP, with a q that is not zero.
fn accepts_webp(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let mut entries = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    entries.any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name == "image/webp");
        let refused =
            |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        named && !parts.any(refused)
    })
}

/// Reads an upload to its end, and says what it was.
async fn received(
    headers: &HeaderMap,
    mut body: impl Body<Data = Bytes> + Unpin,
) -> Response<Full<Bytes>> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            // Cut short: whoever sent it is not there any more.
            Err(_) => return answer(StatusCode::BAD_REQUEST, "", []),
        }
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let text = format!("Received {bytes} bytes of {}.\n", kind.unwrap_or("no type"));
    answer(StatusCode::OK, text, [(CONTENT_TYPE, TEXT)])
}

fn answer<const N: usize>(
    status: StatusCode,
    body: impl Into<Bytes>,
    fields: [(HeaderName, &'static str); N],
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(accept: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in accept {
            headers.append(ACCEPT, line.parse().unwrap());
        }
        let response = asset(&Method::GET, "/photos/gate.jpg", &headers);
        response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_picture_comes_as_accept_says() {
        assert_eq!(kind(&[]), "image/jpeg");
        assert_eq!(kind(&["*/*"]), "image/jpeg");
        assert_eq!(kind(&["image/webp;q=0, */*"]), "image/jpeg");
        assert_eq!(kind(&["image/webp,*/*;q=0.8"]), "image/webp");
        assert_eq!(
            kind(&["text/html", "image/avif, image/webp;q=0.5"]),
            "image/webp"
        );
    }

    #[test]
    fn both_pictures_are_what_they_say() {
        assert!(JPEG.starts_with(&[0xff, 0xd8, 0xff]));
        assert!(WEBP.starts_with(b"RIFF") && WEBP[8..].starts_with(b"WEBP"));
        assert!(WEBP.len() * 2 < JPEG.len());
    }

    #[test]
    fn what_is_not_there_is_not_there() {
        let status = |method, path| asset(&method, path, &HeaderMap::new()).status();
        assert_eq!(status(Method::GET, "/"), StatusCode::NOT_FOUND);
        assert_eq!(status(Method::HEAD, "/widget/report.txt"), StatusCode::OK);
        assert_eq!(
            status(Method::DELETE, "/photos/gate.jpg"),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }

    #[tokio::test]
    async fn an_upload_is_counted() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "image/png".parse().unwrap());
        let response = received(&headers, Full::from("twelve bytes")).await;
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "Received 12 bytes of image/png.\n");
    }
}
