//! A client that sends one request after the other over one connection and
//! checks every answer: a wrong answer is not worth counting.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::kinds::Kind;
use super::origin;

/// How long one answer may take, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    connection: BufReader<TcpStream>,
    /// Requests sent; no two requests of the kind that is stored have one number.
    sent: usize,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            connection: BufReader::new(connection),
            sent: 0,
        })
    }

    /// Sends the next `count` requests of `kind`; the first wrong answer is an
    /// error. Without `checked`, what the cache did is not looked at.
    pub(crate) fn send(&mut self, kind: &Kind, count: usize, checked: bool) -> io::Result<()> {
        let body = origin::body(kind.size);
        let mut request = String::new();
        for _ in 0..count {
            crate::go_on()?;
            request.clear();
            kind.write(self.sent, &mut request);
            self.sent += 1;
            self.connection.get_mut().write_all(request.as_bytes())?;
            let answer = self.read()?;
            check(kind, &body, &answer, checked)
                .map_err(|what| wrong(&format!("{what}\n{request}")))?;
        }
        Ok(())
    }

    fn read(&mut self) -> io::Result<Answer> {
        let mut answer = Answer::default();
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if self.connection.read_line(&mut line)? == 0 {
                return Err(wrong("the connection was closed"));
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                match line.as_str() {
                    "\r\n" => break,
                    _ => {
                        answer.status = line
                            .split(' ')
                            .nth(1)
                            .and_then(|s| s.parse().ok())
                            .unwrap_or(0)
                    }
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().map_err(|_| wrong(&line))?,
                "transfer-encoding" => return Err(wrong("an answer without a length")),
                "cache-status" => value.clone_into(&mut answer.cache_status),
                _ => {}
            }
        }
        if answer.status != 304 {
            answer.body.resize(length, 0);
            self.connection.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }
}

#[derive(Default)]
struct Answer {
    status: u16,
    cache_status: String,
    body: Vec<u8>,
}

fn check(kind: &Kind, body: &[u8], answer: &Answer, checked: bool) -> Result<(), String> {
    let found = (answer.status, answer.body.len());
    if found != kind.expected() {
        return Err(format!("answered {found:?}, and not {:?}", kind.expected()));
    }
    if answer.status == 200 && answer.body != body {
        return Err("not the origin's body".to_owned());
    }
    if checked && !kind.admits(&answer.cache_status) {
        return Err(format!("Cache-Status: {}", answer.cache_status));
    }
    Ok(())
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}
