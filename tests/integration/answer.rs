//! Answers of our own.

use crate::support::{Client, Origin, Portcullis};

const DENY: &str = "[access.user_agent]\nblock = [\"badbot\"]\n";
const BAD: &str = "User-Agent: BadBot/1\r\n";

#[test]
fn a_denial_is_a_403_with_an_id_and_the_origin_never_hears_of_it() {
    let origin = Origin::ok();
    let portcullis = Portcullis::start(&origin, DENY);
    let mut client = portcullis.client();
    let reply = client.get("/a.jpg", BAD);
    assert_eq!(reply.status, 403);
    let id = reply.field("portcullis-ref").unwrap();
    assert_eq!(id.len(), 20);
    assert_eq!(reply.text(), format!("Forbidden\nReference: {id}\n"));
    assert_eq!(
        reply.field("content-type").unwrap(),
        "text/plain; charset=utf-8"
    );
    assert_eq!(reply.field("cache-control").unwrap(), "no-store");
    assert_eq!(reply.field("portcullis-denied-by"), None);
    assert_eq!(client.get("/a.jpg", "").text(), "ok");
    assert_eq!(origin.only().line(), "GET /a.jpg HTTP/1.1");
}
