//! An origin that keeps what it gets, byte for byte, and says to each request
//! which one it was.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use super::strict::{self, Message, Side, Stop};
use crate::support::{Conversation, Origin};

/// An origin that keeps what it gets.
pub(super) struct Recorder {
    pub(super) origin: Origin,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// What came on each connection.
    streams: Vec<Vec<u8>>,
    /// Whole requests in the order in which they came.
    requests: Vec<Message>,
    /// What was none.
    odd: Vec<String>,
}

impl Recorder {
    pub(super) fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keeping = Arc::clone(&kept);
        let origin = Origin::scripted(move |conversation| keep(conversation, &keeping));
        Self { origin, kept }
    }

    /// The requests from the `from`th on; there must have been nothing else.
    pub(super) fn since(&self, from: usize) -> Vec<Message> {
        let kept = self.kept.lock().unwrap();
        assert!(kept.odd.is_empty(), "the origin got {:#?}", kept.odd);
        kept.requests[from..].to_vec()
    }

    pub(super) fn count(&self) -> usize {
        self.kept.lock().unwrap().requests.len()
    }

    /// What came on each connection.
    pub(super) fn streams(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().streams.clone()
    }
}

fn keep(conversation: &mut Conversation, kept: &Mutex<Kept>) {
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.streams.push(Vec::new());
        kept.streams.len() - 1
    };
    let (mut pending, mut part) = (Vec::new(), [0; 8192]);
    while let Ok(length @ 1..) = conversation.stream.read(&mut part) {
        pending.extend_from_slice(&part[..length]);
        let mut locked = kept.lock().unwrap();
        locked.streams[number].extend_from_slice(&part[..length]);
        let (found, taken, stop) = strict::requests(&pending, Side::Origin);
        pending.drain(..taken);
        let mut answers = Vec::new();
        for request in found {
            answers.extend(answer(&request, locked.requests.len()));
            locked.requests.push(request);
        }
        if let Stop::Odd(oddity) = stop {
            let shown = pending.escape_ascii().to_string();
            locked.odd.push(format!("{oddity:?}: {shown}"));
            return;
        }
        drop(locked);
        if conversation.stream.write_all(&answers).is_err() {
            return;
        }
    }
}

/// Says which request it answers; what is asked for under `/kept/` may be
/// stored.
fn answer(request: &Message, number: usize) -> Vec<u8> {
    let body = format!(
        "{} {} {}",
        request.method(),
        request.target(),
        request.body.len()
    );
    let age = match request.target().starts_with("/kept/") {
        true => "max-age=600",
        false => "no-store",
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Number: {number}\r\nX-Method: {}\r\nCache-Control: {age}\r\nContent-Length: {}\r\n\r\n",
        request.method(),
        body.len()
    );
    match request.method() {
        "HEAD" => head.into_bytes(),
        _ => (head + &body).into_bytes(),
    }
}
