//! A question to the admin listener of a running proxy.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use url::Url;

/// All of it has to be done in this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// More of an answer is not looked at.
const MOST: usize = 8 << 20;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Why nothing did.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody answers.
    Silent(io::Error),
    /// What answers does not speak HTTP.
    Garbled,
}

/// Reads an http URL.
pub(super) fn parse(text: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => format!("not an http URL, such as {example}"),
        error => format!("{error}; write {example}"),
    })?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    match (url.scheme(), url.host()) {
        ("http", Some(_)) if has_user => Err(format!(
            "no name or password may stand in it: the admin listener takes a token, if any; write {example}"
        )),
        ("http", Some(_)) => Ok(url),
        _ => Err(format!("not an http URL, such as {example}")),
    }
}

/// Asks, with that token if there is one.
pub(super) fn get(url: &Url, token: Option<&str>) -> Result<Answer, Unanswered> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = connect(url, deadline)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let token = token.unwrap_or_default();
    // One answer and the end of it.
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = read(&mut stream, deadline)?;
    understood(&answer).ok_or(Unanswered::Garbled)
}

fn understood(answer: &[u8]) -> Option<Answer> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

fn connect(url: &Url, deadline: Instant) -> io::Result<TcpStream> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::ErrorKind::NotFound.into();
    for address in (host, url.port_or_known_default().unwrap_or(80)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => {
                stream.set_write_timeout(Some(left(deadline)?))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The answer, or as much of it as there is to see that it is none.
fn read(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    const START: &[u8] = b"HTTP/1.";
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let known = answer.len().min(START.len());
        if answer.len() >= MOST || answer[..known] != START[..known] {
            return Ok(answer);
        }
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut part)? {
            0 => return Ok(answer),
            length => answer.extend_from_slice(&part[..length]),
        }
    }
}

/// The time that is left; never zero, which would be no limit at all.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        false => Ok(left),
        true => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl Answer {
    /// Its first line, for a terminal.
    pub(super) fn line(&self) -> String {
        let line = self.body.lines().next().unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).take(400).collect()
    }
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Self::Silent(error)
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                write!(f, "no answer within {} seconds", PATIENCE.as_secs())
            }
            Self::Silent(error) => write!(f, "no answer: {error}"),
            Self::Garbled => f.write_str("the answer is not HTTP"),
        }
    }
}
