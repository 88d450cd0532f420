use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Types of frames (RFC 9113 section 6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client of HTTP/2 that sends what it is told, frame for frame, by TLS.
pub(crate) struct Wire {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

/// A frame as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Wire {
    /// Shakes hands; nothing else is sent.
    pub(crate) fn silent(address: SocketAddr, config: ClientConfig) -> Self {
        let name = "img.example.com".try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.set_nodelay(true).unwrap();
        let limit = Some(Duration::from_secs(10));
        tcp.set_read_timeout(limit).unwrap();
        tcp.set_write_timeout(limit).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp).unwrap();
        }
        assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]));
        Self {
            stream: StreamOwned::new(connection, tcp),
            buffer: Vec::new(),
        }
    }

    /// Sends the preface and these settings; its own table of fields stays
    /// empty, so that each status is written out.
    pub(crate) fn greet(&mut self, settings: &[(u16, u32)]) -> &mut Self {
        self.send(PREFACE);
        let mut payload = Vec::new();
        for (id, value) in [(1, 0)].iter().chain(settings) {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.frame(kind::SETTINGS, 0, 0, &payload)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.stream.write_all(bytes).unwrap();
        self
    }

    /// Sends these bytes; `false`: nobody takes them any more.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> &mut Self {
        self.send(&Frame::bytes(kind, flags, stream, payload))
    }

    /// A GET of `path` on `stream`.
    pub(crate) fn get(&mut self, stream: u32, path: &str) -> &mut Self {
        self.headers(stream, 5, &Frame::get(path))
    }

    /// A block of fields on `stream`.
    pub(crate) fn headers(
        &mut self,
        stream: u32,
        flags: u8,
        fields: &[(&str, &[u8])],
    ) -> &mut Self {
        self.frame(kind::HEADERS, flags, stream, &Frame::block(fields))
    }

    /// The next frame; `None`: closed, in whatever way.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        while !self.has_frame() {
            let mut part = [0; 16 * 1024];
            match self.stream.read(&mut part) {
                Ok(0) => return None,
                Ok(length) => self.buffer.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("neither a frame nor an end came")
                }
                Err(_) => return None,
            }
        }
        let [a, b, c, kind, flags, w, x, y, z] = self.buffer[..9].try_into().unwrap();
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let frame = self.buffer.drain(..9 + length).skip(9).collect();
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([w, x, y, z]),
            payload: frame,
        })
    }

    fn has_frame(&self) -> bool {
        let Some([a, b, c]) = self.buffer.first_chunk() else {
            return false;
        };
        self.buffer.len() >= 9 + u32::from_be_bytes([0, *a, *b, *c]) as usize
    }

    /// The next frame of this type.
    pub(crate) fn until(&mut self, kind: u8) -> Frame {
        loop {
            match self.next() {
                Some(frame) if frame.kind == kind => return frame,
                Some(_) => {}
                None => panic!("closed before a frame of type {kind}"),
            }
        }
    }

    /// How `stream` is answered: a status, or the code that resets it.
    pub(crate) fn answer(&mut self, stream: u32) -> Result<u16, u32> {
        loop {
            match self.next() {
                Some(frame) if frame.stream != stream => {}
                Some(frame) if frame.kind == kind::HEADERS => return Ok(frame.status()),
                Some(frame) if frame.kind == kind::RST_STREAM => return Err(frame.code(0)),
                Some(_) => {}
                None => panic!("closed before {stream} was answered"),
            }
        }
    }

    /// The code that the connection ends with; `None`: it just ends.
    pub(crate) fn end(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next() {
            if frame.kind == kind::GOAWAY {
                code = Some(frame.code(4));
            }
        }
        code
    }
}

impl Frame {
    pub(crate) fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let [w, x, y, z] = stream.to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags, w, x, y, z];
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The fields of a GET.
    pub(crate) fn get(path: &str) -> [(&'static str, &[u8]); 4] {
        Self::ask("GET", path)
    }

    /// The fields of a request.
    pub(crate) fn ask<'a>(method: &'a str, path: &'a str) -> [(&'static str, &'a [u8]); 4] {
        [
            (":method", method.as_bytes()),
            (":scheme", b"https"),
            (":authority", b"img.example.com"),
            (":path", path.as_bytes()),
        ]
    }

    /// Fields as literals that are not remembered (RFC 7541 section 6.2.2).
    pub(crate) fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name.as_bytes(), value] {
                integer(&mut block, 0, 7, text.len());
                block.extend_from_slice(text);
            }
        }
        block
    }

    /// The code that it carries behind so many bytes.
    pub(crate) fn code(&self, from: usize) -> u32 {
        u32::from_be_bytes(self.payload[from..from + 4].try_into().unwrap())
    }

    pub(crate) fn ends(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The status, which stands first in a response.
    pub(crate) fn status(&self) -> u16 {
        let mut bytes = &self.payload[..];
        while bytes[0] & 0xe0 == 0x20 {
            bytes = &bytes[1..];
        }
        match bytes[0] {
            0x88 => 200,
            0x89 => 204,
            0x8a => 206,
            0x8b => 304,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            _ => digits(bytes),
        }
    }
}

/// An integer with a prefix of so many bits (section 5.1).
pub(crate) fn integer(block: &mut Vec<u8>, first: u8, bits: u32, value: usize) {
    let most = (1 << bits) - 1;
    if value < most {
        return block.push(first | value as u8);
    }
    block.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// Three digits behind the index of their name: as they are, or each as its
/// five or six bits (appendix B).
fn digits(bytes: &[u8]) -> u16 {
    let length = (bytes[1] & 0x7f) as usize;
    let text = &bytes[2..2 + length];
    if bytes[1] & 0x80 == 0 {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut status, mut rest) = (0, &bits[..]);
    for _ in 0..3 {
        let short = u16::from_str_radix(&rest[..5], 2).unwrap();
        let (digit, length) = match short {
            0..3 => (short, 5),
            _ => (
                u16::from_str_radix(&rest[..6], 2).unwrap() - 0b01_1001 + 3,
                6,
            ),
        };
        status = status * 10 + digit;
        rest = &rest[length..];
    }
    status
}
