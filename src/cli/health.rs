//! `portcullis health`: whether a running proxy is well, for container health
//! checks.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use url::Url;

use super::{CliError, Exit};

/// All of it has to be done in this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// More of an answer is not looked at.
const MOST: usize = 16 * 1024;

/// The command line of `health`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to ask; an http URL on the admin listener. Without a path: /readyz
    #[arg(long, default_value = "http://127.0.0.1:9900/readyz", value_parser = parse)]
    url: Url,
}

/// Why the proxy is not known to be well.
#[derive(Debug)]
enum Ill {
    /// Nobody answers.
    Silent(io::Error),
    /// What answers does not speak HTTP.
    Garbled,
    /// It says so.
    Answered(u16, String),
}

/// Asks, and says in a line what came of it.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let url = &arguments.url;
    let said = |error| CliError::Io("write to standard output", error);
    match ask(url) {
        Ok(text) => {
            writeln!(io::stdout(), "{url}: {text}").map_err(said)?;
            Ok(Exit::Done)
        }
        Err(ill) => {
            eprintln!("portcullis: {url}: {ill}");
            Ok(Exit::Failure)
        }
    }
}

fn parse(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.path() == "/" {
        url.set_path("/readyz");
    }
    match (url.scheme(), url.host()) {
        ("http", Some(_)) => Ok(url),
        _ => Err("not an http URL, such as http://127.0.0.1:9900/readyz".to_owned()),
    }
}

fn ask(url: &Url) -> Result<String, Ill> {
    let deadline = Instant::now() + PATIENCE;
    let mut stream = connect(url, deadline).map_err(Ill::Silent)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    // One answer and the end of it.
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(Ill::Silent)?;
    let answer = read(&mut stream, deadline).map_err(Ill::Silent)?;
    let (status, line) = understood(&answer).ok_or(Ill::Garbled)?;
    match status {
        200..300 => Ok(line),
        _ => Err(Ill::Answered(status, line)),
    }
}

/// The status and the first line of the body.
fn understood(answer: &[u8]) -> Option<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let line = body.lines().next().unwrap_or_default();
    // It is shown on a terminal.
    let line = line.chars().filter(|c| !c.is_control()).take(200);
    Some((status, line.collect()))
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

impl fmt::Display for Ill {
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
            Self::Answered(status, line) => write!(f, "{status} {line}"),
        }
    }
}
