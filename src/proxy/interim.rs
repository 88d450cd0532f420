//! 102 and 103 responses of the origin on their way to the client (RFC 9110
//! section 15.2, RFC 8297). hyper's server cannot send them, so the client's
//! connection does, before the final head.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode, Version};

use super::instance::Instance;
use crate::message::connection;
use crate::origin::{Hear, Listener, Upload};

/// Of one request; what an origin sends beyond is dropped.
const MOST_HEADS: usize = 16;

/// Held for one client at a time, in bytes.
const MOST_BYTES: usize = 16 * 1024;

/// Where the interim responses for one client wait for its connection. All of
/// it is used by one thread; hyper wants it to be `Sync`.
#[derive(Clone, Debug, Default)]
pub struct Interim(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Counts requests and responses: odd while one may be sent.
    request: AtomicU64,
    waiting: AtomicBool,
    heads: Mutex<Heads>,
    waker: OnceLock<Waker>,
    /// By which they are passed on.
    instance: OnceLock<Arc<Instance>>,
}

#[derive(Debug, Default)]
struct Heads {
    count: usize,
    bytes: Vec<u8>,
}

impl Interim {
    /// Whom to wake when there is something to send.
    pub fn register(&self, waker: &Waker) {
        self.0.waker.get_or_init(|| waker.clone());
    }

    /// What is to be sent now, as bytes.
    pub fn take(&self) -> Option<Vec<u8>> {
        if !self.0.waiting.load(Ordering::Relaxed) {
            return None;
        }
        self.0.waiting.store(false, Ordering::Relaxed);
        let mut heads = self.0.heads.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut heads.bytes))
    }

    /// The final response is here: nothing goes before it any more.
    pub fn close(&self) {
        let request = self.0.request.load(Ordering::Relaxed);
        if request % 2 == 1 {
            self.0.request.store(request + 1, Ordering::Relaxed);
            let mut heads = self.0.heads.lock().unwrap_or_else(PoisonError::into_inner);
            *heads = Heads::default();
        }
    }

    /// Passes on what the origin sends before its answer to the request with
    /// this body.
    pub(super) fn listen(&self, body: &mut Upload, instance: &Arc<Instance>) {
        self.close();
        let number = self.0.request.load(Ordering::Relaxed) + 1;
        self.0.request.store(number, Ordering::Relaxed);
        self.0.instance.get_or_init(|| Arc::clone(instance));
        body.listen(Listener::new(number, Arc::clone(&self.0) as Arc<dyn Hear>));
    }
}

impl Hear for Shared {
    fn hear(&self, request: u64, status: StatusCode, version: Version, fields: &HeaderMap) {
        if self.request.load(Ordering::Relaxed) == request
            && let Some(instance) = self.instance.get()
        {
            self.add(status, fields, instance.via(version));
        }
    }
}

impl Shared {
    fn add(&self, status: StatusCode, fields: &HeaderMap, via: &HeaderValue) {
        if !matches!(status.as_u16(), 102 | 103) {
            return;
        }
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.count += 1;
        let head = head(status, fields, via);
        if heads.count > MOST_HEADS || heads.bytes.len() + head.len() > MOST_BYTES {
            return;
        }
        heads.bytes.extend_from_slice(&head);
        self.waiting.store(true, Ordering::Relaxed);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// The head as it is sent: what ends at the next hop removed, as from a final
/// one, and what tells of a body.
fn head(status: StatusCode, fields: &HeaderMap, via: &HeaderValue) -> Vec<u8> {
    let mut fields = fields.clone();
    connection::remove_named_in_response(&mut fields);
    connection::remove_hop_by_hop(&mut fields);
    for name in [header::ALT_SVC, header::CONTENT_LENGTH] {
        fields.remove(name);
    }
    fields.append(header::VIA, via.clone());
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in &fields {
        push_field(&mut head, name, value);
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn push_field(head: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interim() -> Interim {
        let interim = Interim::default();
        interim.0.request.store(1, Ordering::Relaxed);
        interim
    }

    fn add(interim: &Interim, status: u16, fields: &HeaderMap) {
        let via = HeaderValue::from_static("1.1 p");
        interim
            .0
            .add(StatusCode::from_u16(status).unwrap(), fields, &via);
    }

    #[test]
    fn a_head_without_what_ends_here() {
        let interim = interim();
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("link", "</a>"),
            ("connection", "x-a"),
            ("x-a", "b"),
            ("content-length", "3"),
        ] {
            fields.append(name, HeaderValue::from_static(value));
        }
        add(&interim, 103, &fields);
        add(&interim, 100, &fields);
        assert_eq!(
            String::from_utf8(interim.take().unwrap()).unwrap(),
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nvia: 1.1 p\r\n\r\n"
        );
        assert_eq!(interim.take(), None);
    }

    #[test]
    fn a_flood_is_not_held() {
        let interim = interim();
        let mut fields = HeaderMap::new();
        fields.append(
            "x",
            HeaderValue::try_from("y".repeat(MOST_BYTES / 3)).unwrap(),
        );
        (0..9).for_each(|_| add(&interim, 103, &fields));
        assert!(interim.take().unwrap().len() <= MOST_BYTES);
        (0..99).for_each(|_| add(&interim, 102, &HeaderMap::new()));
        let taken = String::from_utf8(interim.take().unwrap()).unwrap();
        assert_eq!(taken.matches("HTTP/1.1 102").count(), MOST_HEADS - 9);
        interim.close();
        assert_eq!(interim.0.request.load(Ordering::Relaxed), 2);
    }
}
