//! What the kernel charges for a request without any HTTP work: epoll, one
//! `recv`, one `writev` of a head and a body that lie ready.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::Outcome;

/// What `EventData` holds for the listener; file descriptors are positive.
const LISTENER: u64 = u64::MAX;

/// Each answer is the same.
struct Answer {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// Of about 200 bytes, as a denial is, where `size` is 0.
    fn new(size: usize) -> Self {
        let (status, body) = match size {
            0 => ("403 Forbidden", b"Forbidden\n".to_vec()),
            _ => ("200 OK", crate::origin::body(size)),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             cache-control: no-store\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let head = head.into_bytes();
        Self { head, body }
    }

    fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

struct Connection {
    socket: OwnedFd,
    /// How much of an answer is out already; none where nothing is to be sent.
    sent: Option<usize>,
}

struct Floor {
    epoll: OwnedFd,
    connections: HashMap<u64, Connection>,
    answer: Answer,
    buffer: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr, size: usize) -> Outcome<()> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let data = EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, EventFlags::IN)?;
    let mut floor = Floor {
        epoll,
        connections: HashMap::new(),
        answer: Answer::new(size),
        buffer: vec![0; 16 * 1024],
    };
    let mut events: Vec<Event> = Vec::with_capacity(256);
    loop {
        events.clear();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&floor.epoll, spare, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept(&listener)?,
                key => floor.step(key),
            }
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> Outcome<()> {
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let key = u64::try_from(stream.as_raw_fd())?;
            epoll::add(
                &self.epoll,
                &stream,
                EventData::new_u64(key),
                EventFlags::IN,
            )?;
            let socket = OwnedFd::from(stream);
            self.connections
                .insert(key, Connection { socket, sent: None });
        }
    }

    /// One event of a connection; one that fails is closed.
    fn step(&mut self, key: u64) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        let was_waiting = connection.sent.is_some();
        let done = if was_waiting {
            send(connection, &self.answer)
        } else {
            receive(connection, &mut self.buffer, &self.answer)
        };
        let is_waiting = connection.sent.is_some();
        let told = if done.is_ok() && was_waiting != is_waiting {
            let flags = if is_waiting {
                EventFlags::OUT
            } else {
                EventFlags::IN
            };
            epoll::modify(
                &self.epoll,
                &connection.socket,
                EventData::new_u64(key),
                flags,
            )
        } else {
            done
        };
        if told.is_err() {
            self.connections.remove(&key);
        }
    }
}

/// A request that comes in pieces is answered with its last one.
fn receive(connection: &mut Connection, buffer: &mut [u8], answer: &Answer) -> Result<(), Errno> {
    let (got, _) = rustix::net::recv(&connection.socket, &mut *buffer, RecvFlags::empty())?;
    if got == 0 {
        return Err(Errno::CONNRESET);
    }
    if buffer[..got].ends_with(b"\r\n\r\n") {
        connection.sent = Some(0);
        return send(connection, answer);
    }
    Ok(())
}

fn send(connection: &mut Connection, answer: &Answer) -> Result<(), Errno> {
    let sent = connection.sent.unwrap_or(0);
    let body_sent = sent.saturating_sub(answer.head.len());
    let parts = [
        IoSlice::new(&answer.head[sent.min(answer.head.len())..]),
        IoSlice::new(&answer.body[body_sent..]),
    ];
    let parts = if parts[0].is_empty() {
        &parts[1..]
    } else {
        &parts[..]
    };
    let written = match rustix::io::writev(&connection.socket, parts) {
        Ok(written) => written,
        Err(Errno::AGAIN) => 0,
        Err(error) => return Err(error),
    };
    let sent = sent + written;
    connection.sent = (sent < answer.len()).then_some(sent);
    Ok(())
}
