//! Answers to what never became a request: a head that is malformed, too
//! large or too slow, and a connection too many.

use std::time::SystemTime;

use hyper::StatusCode;

use super::Proxy;
use super::answer::Answer;
use super::record::Record;
use super::response::ClientResponse;
use crate::client::PeerAddr;

impl Proxy {
    /// The same where the connection goes on.
    pub fn refuse_one(
        &self,
        status: StatusCode,
        why: &'static str,
        peer: PeerAddr,
    ) -> ClientResponse {
        let snapshot = self.policy.load();
        let reference = self.references.next();
        let mut record = Record::start(&snapshot, &self.journal, &self.counting);
        record.unread(&snapshot, reference, peer, why);
        Answer::failed(status, reference).into_response(record)
    }

    /// The whole response as bytes, after which the connection is closed; it
    /// has its log line, with `why` as the error.
    pub fn refuse(&self, status: StatusCode, why: &'static str, peer: PeerAddr) -> Vec<u8> {
        let snapshot = self.policy.load();
        let reference = self.references.next();
        let reason = status.canonical_reason().unwrap_or("Error");
        let body = reference.body(reason);
        let mut record = Record::start(&snapshot, &self.journal, &self.counting);
        record.unread(&snapshot, reference, peer, why);
        record.status(status);
        record.sent(body.len());
        let head = format!(
            "HTTP/1.1 {} {reason}\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             cache-control: no-store\r\n\
             portcullis-ref: {}\r\n\
             connection: close\r\n\
             content-length: {}\r\n\
             date: {}\r\n\r\n",
            status.as_str(),
            str::from_utf8(reference.as_bytes()).expect("letters and digits are text"),
            body.len(),
            httpdate::fmt_http_date(SystemTime::now()),
        );
        [head.as_bytes(), &body].concat()
    }
}
