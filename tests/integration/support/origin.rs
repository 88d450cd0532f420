use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Reply;

/// An origin that follows a script and remembers what it was asked.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request as the origin received it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
}

/// One connection, seen by the script.
pub(crate) struct Conversation<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) connection: usize,
    buffer: Vec<u8>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Origin {
    /// Runs `script` on every connection; its end closes the connection.
    pub(crate) fn scripted(script: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::scripted_at("127.0.0.1:0", script)
    }

    pub(crate) fn scripted_at(
        address: &str,
        script: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, record) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (script, asked) = (Arc::clone(&script), Arc::clone(&record));
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || {
                    script(&mut Conversation::new(stream, connection, asked));
                });
            }
        });
        Self { address, asked }
    }

    /// Runs `script` on every connection to a Unix socket at `path`; its
    /// address is nowhere.
    pub(crate) fn at_socket(
        path: &Path,
        script: impl Fn(&mut Conversation<UnixStream>) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, record) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (script, asked) = (Arc::clone(&script), Arc::clone(&record));
                let stream = stream.unwrap();
                std::thread::spawn(move || {
                    script(&mut Conversation::new(stream, connection, asked));
                });
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { address, asked }
    }

    /// Gives every request the same answer.
    pub(crate) fn answering(answer: &'static str) -> Self {
        Self::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(answer);
            }
        })
    }

    /// Gives each request the answer that `answer` makes of it; to HEAD only
    /// its head.
    pub(crate) fn answered_by(answer: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        Self::scripted(move |conversation| {
            while let Some(asked) = conversation.request() {
                let answer = answer(&asked);
                let head = answer.find("\r\n\r\n").unwrap() + 4;
                match asked.line().starts_with("HEAD ") {
                    true => conversation.say(&answer[..head]),
                    false => conversation.say(answer),
                }
            }
        })
    }

    /// Says `200` with the body `ok`.
    pub(crate) fn ok() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests so far.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// One of them, in the order in which they came.
    pub(crate) fn nth(&self, index: usize) -> Option<Asked> {
        self.asked.lock().unwrap().get(index).cloned()
    }

    /// The last request so far.
    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().unwrap()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.into_iter().next().unwrap()
    }
}

impl<S: Read + Write> Conversation<S> {
    pub(super) fn new(stream: S, connection: usize, asked: Arc<Mutex<Vec<Asked>>>) -> Self {
        Self {
            stream,
            connection,
            buffer: Vec::new(),
            asked,
        }
    }

    /// The next request with its body; `None`: closed.
    pub(crate) fn request(&mut self) -> Option<Asked> {
        let head = self.head()?;
        let body = match Reply::find(&head, "content-length") {
            Some(length) => self.take(length.parse().unwrap())?,
            None if Reply::find(&head, "transfer-encoding").is_some() => self.chunked()?,
            None => Vec::new(),
        };
        let asked = Asked {
            head,
            body,
            connection: self.connection,
        };
        self.asked.lock().unwrap().push(asked.clone());
        Some(asked)
    }

    /// The next request head; its body is left.
    pub(crate) fn head(&mut self) -> Option<String> {
        let end = self.until(b"\r\n\r\n")?;
        Some(String::from_utf8_lossy(&self.take(end)?).into_owned())
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // The other side may have gone away: that is its matter.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// `length` bytes as they come.
    pub(crate) fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// How much was received and not looked at; it is forgotten.
    pub(crate) fn buffered(&mut self) -> usize {
        std::mem::take(&mut self.buffer).len()
    }

    /// The chunked body, as it was framed.
    fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.until(b"\r\n")?;
            let line = String::from_utf8(self.take(end)?).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            if size == 0 {
                let trailers = self.until(b"\r\n")?;
                assert_eq!(self.take(trailers)?, b"\r\n", "trailers were passed on");
                return Some(body);
            }
            body.extend(&self.take(size + 2)?[..size]);
        }
    }

    fn until(&mut self, end: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let mut windows = self.buffer[from..].windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                return Some(from + at + end.len());
            }
            // What was looked at is not looked at again: a head may be a MiB.
            from = (self.buffer.len() + 1).saturating_sub(end.len());
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Option<()> {
        let mut part = [0; 16 * 1024];
        let length = self
            .stream
            .read(&mut part)
            .ok()
            .filter(|length| *length > 0)?;
        self.buffer.extend_from_slice(&part[..length]);
        Some(())
    }
}

impl Asked {
    /// The value of a field, if it was sent exactly once.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        Reply::find(&self.head, name)
    }

    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// The request target.
    pub(crate) fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }

    /// The names of its fields, in lower case and in order of the alphabet.
    pub(crate) fn names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1);
        let mut names: Vec<_> = lines
            .filter_map(|line| Some(line.split_once(':')?.0.to_lowercase()))
            .collect();
        names.sort_unstable();
        names
    }
}
