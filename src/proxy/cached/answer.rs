//! An answer from what is stored, or on its way there.

use hyper::{HeaderMap, Response, Version};

use super::reading::{Reading, Source};
use crate::cache::asked::Asked;
use crate::cache::clock::Moment;
use crate::cache::entry::Head;
use crate::cache::reply::reply;
use crate::cache::status::CacheStatus;
use crate::cache::storable::remove_cookies;
use crate::proxy::body::Body;
use crate::proxy::record::Record;
use crate::proxy::respond::Edit;
use crate::proxy::response::ClientResponse;

/// What is answered with.
#[derive(Debug)]
pub(in crate::proxy) struct Answered<'a> {
    pub(in crate::proxy) head: &'a Head,
    pub(in crate::proxy) source: Source,
    /// The length of its body, if it is known.
    pub(in crate::proxy) length: Option<u64>,
    /// What nobody knows who wrote a body: the keyed hash of its key.
    pub(in crate::proxy) secret: u64,
    /// Fields of the response that are for this client alone.
    pub(in crate::proxy) own: Option<Box<HeaderMap>>,
}

/// Answers with it, or as much of it as was asked for.
pub(in crate::proxy) fn answer(
    asked: &Asked<'_>,
    answered: Answered<'_>,
    now: Moment,
    status: CacheStatus,
    edit: &Edit,
    mut record: Record,
) -> ClientResponse {
    let Answered {
        head,
        source,
        length,
        secret,
        own,
    } = answered;
    let mut reply = reply(asked, head, length, now, status, secret);
    record.status(reply.status);
    if !edit.keeps_cookies {
        remove_cookies(&mut reply.headers);
    }
    if let Some(own) = own {
        reply.headers.extend(*own);
    }
    edit.apply(&mut reply.headers);
    let reading = Reading::new(source, reply.content, length);
    // As in any other response: without a length, an HTTP/1.0 body ends with
    // the connection.
    let version = match reading.left() {
        None => edit.shape.version,
        Some(_) => Version::HTTP_11,
    };
    let mut response = Response::new(Body::cached(reading, record));
    *response.status_mut() = reply.status;
    *response.version_mut() = version;
    *response.headers_mut() = reply.headers;
    response.into()
}
