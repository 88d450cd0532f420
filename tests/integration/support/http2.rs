use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use hyper::{Method, Request, Response, Uri, Version};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use super::Reply;

/// For whatever is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of HTTP/2 as most are.
pub(crate) struct Http2 {
    runtime: Runtime,
    send: SendRequest<Bytes>,
    connection: Option<JoinHandle<Result<(), h2::Error>>>,
}

/// How a stream ended.
pub(crate) type Answered = Result<Reply, h2::Error>;

impl Http2 {
    pub(crate) fn connect(address: SocketAddr, config: ClientConfig) -> Self {
        Self::connect_by(address, config, &h2::client::Builder::new())
    }

    pub(crate) fn connect_by(
        address: SocketAddr,
        config: ClientConfig,
        builder: &h2::client::Builder,
    ) -> Self {
        Self::try_connect(address, config, builder).unwrap()
    }

    pub(crate) fn try_connect(
        address: SocketAddr,
        config: ClientConfig,
        builder: &h2::client::Builder,
    ) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (send, connection) = runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let name = "img.example.com".try_into().unwrap();
            let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp);
            let (send, connection) = builder
                .handshake(tls.await?)
                .await
                .map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((send, tokio::spawn(connection)))
        })?;
        Ok(Self {
            runtime,
            send,
            connection: Some(connection),
        })
    }

    /// A request of `img.example.com` with these fields, each line with its CRLF.
    pub(crate) fn request(method: &str, path: &str, fields: &str) -> Request<()> {
        let uri = format!("https://img.example.com{path}");
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = uri.parse::<Uri>().unwrap();
        *request.version_mut() = Version::HTTP_2;
        for line in fields.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            let name: hyper::header::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    }

    /// The response to a request without a body.
    pub(crate) fn get(&mut self, path: &str, fields: &str) -> Reply {
        self.ask("GET", path, fields)
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, fields: &str) -> Reply {
        self.try_ask(Self::request(method, path, fields)).unwrap()
    }

    pub(crate) fn try_ask(&mut self, request: Request<()>) -> Answered {
        let (response, _) = self.open(request, true)?;
        self.wait(read(response))
    }

    /// The response to a request with this body.
    pub(crate) fn upload(&mut self, request: Request<()>, body: &[u8]) -> Answered {
        let (response, mut stream) = self.open(request, false)?;
        let body = Bytes::copy_from_slice(body);
        self.wait(async move {
            let sent = send_all(&mut stream, body, true);
            let (_, answered) = tokio::join!(sent, read(response));
            answered
        })
    }

    /// Opens a stream.
    pub(crate) fn open(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let send = self.send.clone();
        let opened = self.wait(async { send.ready().await?.send_request(request, end) })?;
        self.turn();
        Ok(opened)
    }

    /// Lets the connection do what can be done now.
    pub(crate) fn turn(&self) {
        self.runtime.block_on(async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let done = async { timeout(PATIENCE, future).await };
        let done = self.runtime.block_on(done);
        done.expect("it took too long")
    }

    /// Asks for each of `paths` at a time.
    pub(crate) fn all(&mut self, paths: &[String]) -> Vec<Answered> {
        let send = self.send.clone();
        self.wait(async {
            let mut asked = Vec::new();
            for path in paths {
                let send = send.clone();
                let request = Self::request("GET", path, "");
                asked.push(tokio::spawn(async move {
                    let (response, _) = send.ready().await?.send_request(request, true)?;
                    read(response).await
                }));
            }
            let mut answered = Vec::new();
            for one in asked {
                answered.push(one.await.unwrap());
            }
            answered
        })
    }

    /// Waits until the connection has ended.
    pub(crate) fn ended(&mut self) -> Result<(), h2::Error> {
        let connection = self.connection.take().unwrap();
        self.wait(connection).unwrap()
    }

    /// By which requests are sent.
    pub(crate) fn requests(&self) -> SendRequest<Bytes> {
        self.send.clone()
    }

    pub(crate) fn most_streams(&self) -> usize {
        self.send.current_max_send_streams()
    }
}

/// Sends `body` as there is room.
pub(crate) async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut body: Bytes,
    end: bool,
) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.unwrap_or(Ok(0))?;
        if room == 0 {
            return Ok(());
        }
        let piece = body.split_to(room.min(body.len()));
        let last = end && body.is_empty();
        stream.send_data(piece, last)?;
    }
    Ok(())
}

/// A whole response.
pub(crate) async fn read(response: ResponseFuture) -> Answered {
    let (head, mut body) = response.await?.into_parts();
    let head = Response::from_parts(head, ());
    let mut whole = Vec::new();
    while let Some(data) = next(&mut body).await? {
        whole.extend_from_slice(&data);
    }
    Ok(Reply {
        status: head.status().as_u16(),
        head: text_of(&head),
        body: whole,
    })
}

/// The next piece of a body.
pub(crate) async fn next(body: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(data) = body.data().await else {
        return Ok(None);
    };
    let data = data?;
    body.flow_control().release_capacity(data.len())?;
    Ok(Some(data))
}

/// The head as HTTP/1 would have it.
fn text_of(head: &Response<()>) -> String {
    let mut text = format!("HTTP/2.0 {}\r\n", head.status().as_str());
    for (name, value) in head.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}
