//! A client of our own: for what is looked at byte by byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::policy::HOST;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Bytes of the status line and the fields.
    pub(crate) head: usize,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> usize {
        self.head + self.body.len()
    }

    /// The first field of this name, which is in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the bytes go by.
#[derive(Debug)]
enum Transport {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// One connection, kept alive.
#[derive(Debug)]
pub(crate) struct Client(BufReader<Transport>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(BufReader::new(Transport::Clear(tcp(address)?))))
    }

    /// By TLS; hands are shaken with the first request.
    pub(crate) fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let stream = StreamOwned::new(session, tcp(address)?);
        Ok(Self(BufReader::new(Transport::Tls(Box::new(stream)))))
    }

    /// Whether an earlier session was gone on with.
    pub(crate) fn is_resumed(&self) -> bool {
        let Transport::Tls(stream) = self.0.get_ref() else {
            return false;
        };
        stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Says that no more comes, as a browser does; by TCP alone the end does.
    pub(crate) fn close(mut self) -> io::Result<()> {
        if let Transport::Tls(stream) = self.0.get_mut() {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        Ok(())
    }

    /// Sends a request as it is written, and reads the response to a GET.
    pub(crate) fn ask(&mut self, request: &str) -> io::Result<Reply> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let status_line = self.line()?;
        let mut reply = Reply {
            status: status(&status_line).ok_or_else(|| invalid(&status_line))?,
            head: status_line.len(),
            fields: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = self.line()?;
            reply.head += line.len();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let field = (name.to_ascii_lowercase(), value.trim().to_owned());
            reply.fields.push(field);
        }
        let length = reply.field("content-length").and_then(|n| n.parse().ok());
        reply.body = vec![0; length.ok_or_else(|| invalid("no content-length"))?];
        self.0.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.trim().to_owned())
}
