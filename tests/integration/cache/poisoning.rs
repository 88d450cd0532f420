//! Published ways to poison a cache, or to read from it what is another's.
//!
//! Each test names the defence whose removal it would notice. The origin is
//! the most careless there is: it believes and sends back what it is told.

mod keys;
mod requests;
mod responses;

use super::support::{FRESH, echo, status};
use crate::support::{Client, Origin, Portcullis};

/// What stands in all that an attacker sends.
const EVIL: &str = "evil";

/// Asks as an attacker with these `fields` and then as anybody, and says what
/// the origin was told and both were sent. It is asserted that the victim got
/// what the attacker had the origin make: else nothing was put to the test.
fn attacked(policy: &str, fields: &str) -> String {
    let origin = echo(FRESH);
    let proxy = Portcullis::start(&origin, policy);
    let attacker = proxy.client().get("/", fields);
    assert_eq!(attacker.status, 200, "{fields}");
    let victim = proxy.client().get("/", "");
    assert!(status(&victim).hit, "{fields} was not stored: {victim:?}");
    assert_eq!(origin.count(), 1);
    format!("{}{}", victim.head, victim.text())
}

/// Asks for `path` of `host`, and returns what the origin was told.
fn told(client: &mut Client, host: &str, path: &str) -> (u16, String) {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let reply = client.reply();
    (reply.status, reply.text().to_owned())
}

/// An echo and a proxy in front of it.
fn echoing(policy: &str) -> (Origin, Portcullis) {
    let origin = echo(FRESH);
    let proxy = Portcullis::start(&origin, policy);
    (origin, proxy)
}
