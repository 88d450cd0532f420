use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A client that sends what it is told, byte for byte.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

/// A response as received.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self::by(stream)
    }

    /// Goes away with a reset, which is noticed at once.
    pub(crate) fn leave(self) {
        socket2::SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

impl Client<UnixStream> {
    pub(crate) fn at_socket(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        let timeout = Some(Duration::from_secs(10));
        stream.set_read_timeout(timeout).unwrap();
        Self::by(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn by(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self
    }

    /// Sends a GET of `path` with these `fields`, each line with its CRLF.
    pub(crate) fn get(&mut self, path: &str, fields: &str) -> Reply {
        self.ask("GET", path, fields).reply()
    }

    /// Sends a HEAD of `path` with these `fields`.
    pub(crate) fn head_of(&mut self, path: &str, fields: &str) -> Reply {
        let (status, head) = self.ask("HEAD", path, fields).head();
        let body = Vec::new();
        Reply { status, head, body }
    }

    /// Sends a request without a body.
    pub(crate) fn ask(&mut self, method: &str, path: &str, fields: &str) -> &mut Self {
        self.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: img.example.com\r\n{fields}\r\n"
        ))
    }

    /// The next response; its body by Content-Length, else chunked.
    pub(crate) fn reply(&mut self) -> Reply {
        let (status, head) = self.head();
        let body = match Reply::find(&head, "content-length") {
            // RFC 9110 section 15.4.5: the length is that of a 200.
            _ if matches!(status, 204 | 304) => Vec::new(),
            Some(length) => self.take(length.parse().unwrap()),
            None if Reply::find(&head, "transfer-encoding").as_deref() == Some("chunked") => {
                self.chunks()
            }
            None => Vec::new(),
        };
        Reply { status, head, body }
    }

    /// The next response head; a body, if there is one, is left.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(
                self.fill(),
                "closed within a head: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        let head = String::from_utf8(self.take(end)).unwrap();
        (head[9..12].parse().unwrap(), head)
    }

    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(
                self.fill(),
                "closed within {length} bytes: {}",
                self.buffer.len()
            );
        }
        self.buffer.drain(..length).collect()
    }

    /// How much was received and not looked at; it is forgotten.
    pub(crate) fn buffered(&mut self) -> usize {
        std::mem::take(&mut self.buffer).len()
    }

    /// Whatever still comes until the other side closes in order.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whatever still comes until the other side closes or resets.
    pub(crate) fn until_cut(&mut self) -> Vec<u8> {
        let mut part = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut part) {
                Ok(0) => break,
                Ok(length) => self.buffer.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("neither closed nor cut: {error}"),
            }
        }
        std::mem::take(&mut self.buffer)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                    break end;
                }
                assert!(self.fill(), "closed within a chunked body");
            };
            let size = String::from_utf8(self.take(end + 2)).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let chunk = self.take(size + 2);
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn fill(&mut self) -> bool {
        let mut part = [0; 16 * 1024];
        let length = self.stream.read(&mut part).unwrap();
        self.buffer.extend_from_slice(&part[..length]);
        length > 0
    }
}

impl Reply {
    /// The value of a field, if it was sent exactly once.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        Self::find(&self.head, name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn find(head: &str, name: &str) -> Option<String> {
        let mut values = head.lines().skip(1).filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is repeated in {head}");
        value
    }
}
