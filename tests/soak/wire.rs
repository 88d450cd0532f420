//! HTTP/1.1 as bytes, for both ends.

use std::io;
use std::io::{Error, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

/// Whatever bytes come and go by.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The head of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The first line.
    pub(crate) start: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All lines of a field, joined.
    pub(crate) fn all(&self, name: &str) -> String {
        let lines = self.fields.iter().filter(|(known, _)| known == name);
        let values: Vec<&str> = lines.map(|(_, value)| value.as_str()).collect();
        values.join(", ").to_ascii_lowercase()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let start = lines.next()?.to_owned();
        let fields = lines
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<Option<_>>()?;
        Some(Self { start, fields })
    }
}

/// How long a body is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Bytes(usize),
    Chunked,
    /// Until the connection ends.
    Close,
}

impl Length {
    /// By these fields; `without` is for a message that says nothing.
    pub(crate) fn of(head: &Head, without: Self) -> io::Result<Self> {
        if head.field("transfer-encoding").is_some() {
            return Ok(Self::Chunked);
        }
        match head.field("content-length") {
            Some(length) => length.parse().map(Self::Bytes).map_err(|_| bad("length")),
            None => Ok(without),
        }
    }
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

/// Reads messages.
pub(crate) struct Reader<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
    /// How many bytes it reads at once at most.
    pub(crate) piece: usize,
    /// How long it rests before each of them.
    pub(crate) rest: std::time::Duration,
    /// After how many bytes of a body it leaves.
    pub(crate) leaves: Option<usize>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            piece: 64 << 10,
            rest: std::time::Duration::ZERO,
            leaves: None,
        }
    }

    async fn more(&mut self) -> io::Result<usize> {
        if !self.rest.is_zero() {
            tokio::time::sleep(self.rest).await;
        }
        let before = self.buffer.len();
        self.buffer.resize(before + self.piece, 0);
        let read = self.stream.read(&mut self.buffer[before..]).await;
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    /// The next head; `None` where there is none.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..]
                .windows(4)
                .position(|w| w == b"\r\n\r\n");
            if let Some(at) = found {
                let end = from + at;
                let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                return Head::parse(&text).map(Some).ok_or_else(|| bad(&text));
            }
            from = self.buffer.len().saturating_sub(3);
            if self.more().await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(bad("an unfinished head")),
                };
            }
        }
    }

    /// Reads a body into `to`; false if it was cut.
    pub(crate) async fn body(&mut self, length: Length, to: &mut Vec<u8>) -> io::Result<bool> {
        match length {
            Length::Bytes(bytes) => self.take(bytes, to).await,
            Length::Close => {
                while self.more().await? > 0 {
                    to.append(&mut self.buffer);
                }
                to.append(&mut self.buffer);
                Ok(true)
            }
            Length::Chunked => loop {
                let Some(line) = self.line().await? else {
                    return Ok(false);
                };
                let size = line.split(';').next().unwrap_or("").trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| bad("chunk"))?;
                if size == 0 {
                    return Ok(self.line().await? == Some(String::new()));
                }
                if !self.take(size, to).await? {
                    return Ok(false);
                }
                if self.line().await? != Some(String::new()) {
                    return Ok(false);
                }
            },
        }
    }

    async fn take(&mut self, mut bytes: usize, to: &mut Vec<u8>) -> io::Result<bool> {
        while bytes > 0 {
            if self.buffer.is_empty() && self.more().await? == 0 {
                return Ok(false);
            }
            let now = bytes.min(self.buffer.len());
            to.extend(self.buffer.drain(..now));
            bytes -= now;
            if self.leaves.is_some_and(|most| to.len() > most) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(Some(line));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }
}
