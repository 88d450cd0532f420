//! An origin that answers every request for the same target with the same
//! bytes, in one write.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use super::kinds::{ETAG, UNSTORED};

/// Starts it on a port of its own; it ends with this process.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&connection));
        }
    });
    Ok(address)
}

/// The body of every response of this length.
pub(crate) fn body(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

fn serve(connection: &TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection);
    loop {
        let Some((target, shows_webp)) = read_head(&mut lines)? else {
            return Ok(());
        };
        (&mut &*connection).write_all(&response(&target, shows_webp))?;
    }
}

/// The target of the next request, and whether its Accept names WebP; `None`
/// at the end of the connection.
fn read_head(lines: &mut BufReader<&TcpStream>) -> io::Result<Option<(String, bool)>> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut shows_webp = false;
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            return Ok(Some((target, shows_webp)));
        }
        shows_webp |= line.contains("image/webp");
    }
}

fn response(target: &str, shows_webp: bool) -> Vec<u8> {
    let mut parts = target.split('/').skip(1);
    let control = match parts.next() {
        Some(UNSTORED) => "no-store",
        _ => "public, max-age=86400",
    };
    let size = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let form = if shows_webp { "webp" } else { "jpeg" };
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: {}\r\nContent-Type: image/{form}\r\n\
         Content-Length: {size}\r\nLast-Modified: Tue, 28 Jul 2020 08:12:52 GMT\r\nETag: {ETAG}\r\n\
         Cache-Control: {control}\r\nVary: Accept\r\nAccess-Control-Allow-Origin: *\r\n\
         Accept-Ranges: bytes\r\n\r\n",
        httpdate::fmt_http_date(std::time::SystemTime::now())
    )
    .into_bytes();
    response.extend(body(size));
    response
}
