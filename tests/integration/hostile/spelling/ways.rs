//! One question, asked by each way that a request may come.

use std::collections::HashMap;

use tokio_rustls::rustls::version::TLS13;

use crate::support::{Asked, Client, Frame, Origin, Wire, kind};
use crate::tls_clients::Edge;

/// A request; its host stands apart, as HTTP/2 has it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
}

impl Question {
    pub(super) fn get(target: impl AsRef<[u8]>) -> Self {
        Self {
            method: "GET".into(),
            target: target.as_ref().to_vec(),
            host: b"img.example.com".to_vec(),
            fields: Vec::new(),
        }
    }

    pub(super) fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().to_vec()));
        self
    }
}

/// A proxy that is attacked, and the origin behind it.
pub(super) struct Attack {
    edge: Edge,
    origin: Origin,
    client: Client,
    wire: Wire,
    stream: u32,
    /// How many questions were asked.
    pub(super) tried: usize,
}

/// The field by which the origin's requests are told apart.
const MARK: &str = "x-mark";

/// So many streams share a connection: nobody opens its window again.
const STREAMS: u32 = 200;

impl Attack {
    /// With `tables` as the policy.
    pub(super) fn start(tables: &str) -> Self {
        Self::by(Origin::ok(), "", tables)
    }

    pub(super) fn by(origin: Origin, server: &str, tables: &str) -> Self {
        let edge = Edge::start_by(&origin, "", server, tables);
        Self {
            client: edge.portcullis.client(),
            wire: wire(&edge),
            edge,
            origin,
            stream: 1,
            tried: 0,
        }
    }

    /// Asks by HTTP/1.1, as the plain path and as hyper serve it, and by
    /// HTTP/2. Each has its own mark, the second and third one more.
    pub(super) fn ask(&mut self, question: &Question) -> [u16; 3] {
        let mark = self.tried;
        self.tried += 3;
        [
            self.by_http1(question, mark, ""),
            self.by_http1(question, mark + 1, "TE: trailers\r\n"),
            self.by_http2(question, mark + 2),
        ]
    }

    pub(super) fn by_http1(&mut self, question: &Question, mark: usize, more: &str) -> u16 {
        let mut bytes = [question.method.as_bytes(), b" ", &question.target].concat();
        bytes.extend(b" HTTP/1.1\r\nHost: ");
        bytes.extend(&question.host);
        bytes.extend(format!("\r\n{MARK}: {mark}\r\n{more}").bytes());
        for (name, value) in &question.fields {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        self.client.send(bytes);
        let (status, head) = match question.method.as_str() {
            "HEAD" => self.client.head(),
            _ => {
                let reply = self.client.reply();
                (reply.status, reply.head)
            }
        };
        if head.to_lowercase().contains("\r\nconnection: close\r\n") || status == 431 {
            self.client = self.edge.portcullis.client();
        }
        status
    }

    /// A stream that is reset has status 0.
    fn by_http2(&mut self, question: &Question, mark: usize) -> u16 {
        if self.stream > 2 * STREAMS {
            self.renew();
        }
        let mark = mark.to_string();
        let names: Vec<String> = (question.fields.iter())
            .map(|(name, _)| name.to_lowercase())
            .collect();
        let mut fields: Vec<(&str, &[u8])> = vec![
            (":method", question.method.as_bytes()),
            (":scheme", b"https"),
            (":authority", &question.host),
            (":path", &question.target),
            (MARK, mark.as_bytes()),
        ];
        let own = names.iter().zip(&question.fields);
        let own = own.filter(|(name, _)| *name != "connection");
        fields.extend(own.map(|(name, (_, value))| (&**name, value.as_slice())));
        self.send(&Frame::block(&fields));
        let answer = self.answer();
        self.stream += 2;
        if answer.is_none() {
            self.renew();
        }
        answer.unwrap_or(0)
    }

    /// A block of fields, in as many frames as it takes.
    fn send(&mut self, block: &[u8]) {
        let pieces = block.chunks(16 * 1024);
        let last = pieces.len() - 1;
        for (number, piece) in pieces.enumerate() {
            let flags = u8::from(number == 0) | if number == last { 4 } else { 0 };
            let kind = [kind::CONTINUATION, kind::HEADERS][usize::from(number == 0)];
            let frame = Frame::bytes(kind, flags, self.stream, piece);
            self.wire.try_send(&frame);
        }
    }

    /// `None`: the stream or the connection ended.
    fn answer(&mut self) -> Option<u16> {
        loop {
            let frame = self.wire.next()?;
            match frame.kind {
                kind::HEADERS if frame.stream == self.stream => return Some(frame.status()),
                kind::RST_STREAM if frame.stream == self.stream => return None,
                kind::GOAWAY => return None,
                _ => {}
            }
        }
    }

    fn renew(&mut self) {
        self.wire = wire(&self.edge);
        self.stream = 1;
    }

    /// What the origin received, by its mark.
    pub(super) fn received(&self) -> HashMap<usize, Asked> {
        let asked = self.origin.asked().into_iter();
        let marked = |asked: Asked| Some((asked.field(MARK)?.parse().ok()?, asked));
        asked.filter_map(marked).collect()
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }
}

fn wire(edge: &Edge) -> Wire {
    let mut wire = Wire::silent(edge.address(), edge.config_for(&[&TLS13], b"h2"));
    wire.greet(&[]);
    wire
}
