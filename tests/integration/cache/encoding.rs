//! `Accept-Encoding`, reduced to what matters.

use super::support::{FRESH, is_hit, ok};
use crate::support::{Origin, Portcullis};

/// An origin that varies by the coding it is asked for, and says which.
fn encoding() -> Origin {
    Origin::answered_by(|asked| {
        let coding = asked.field("accept-encoding").unwrap_or_default();
        ok(&format!("{FRESH}Vary: Accept-Encoding\r\n"), &coding)
    })
}

#[test]
fn permutations_are_one_form() {
    let origin = encoding();
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let mut misses = 0;
    for (reduced, spellings) in [
        (
            "br, gzip",
            &[
                "gzip, br",
                "br,gzip",
                "br;q=0.1, gzip;q=0.9",
                "gzip, deflate, br",
                "GZIP\r\nAccept-Encoding: BR",
                "x-other, gzip, br, zstd;q=0",
            ][..],
        ),
        (
            "gzip",
            &["gzip", "gzip;q=1.0", "deflate, gzip", "br;q=0, gzip"],
        ),
        (
            "br, gzip, zstd",
            &["gzip, deflate, br, zstd", "*", "zstd, *;q=0.5"],
        ),
        (
            "identity",
            &["", "identity", "deflate", "gzip;q=0", "*;q=0, identity"],
        ),
    ] {
        misses += 1;
        for (number, spelling) in spellings.iter().enumerate() {
            let fields = format!("Accept-Encoding: {spelling}\r\n");
            let reply = client.get("/", &fields);
            assert_eq!(reply.text(), reduced, "{spelling}");
            assert_eq!(origin.count(), misses, "{number}: {spelling}");
        }
    }
    assert_eq!(client.get("/", "").text(), "identity", "no field at all");
    assert_eq!(origin.count(), misses);
}

/// What does not vary by it is one response for all codings.
#[test]
fn codings_are_no_part_of_the_key() {
    let origin = Origin::answered_by(|_| ok(FRESH, "same"));
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "Accept-Encoding: gzip\r\n");
    for coding in ["gzip", "br", "identity"] {
        assert!(is_hit(
            &mut client,
            "/",
            &format!("Accept-Encoding: {coding}\r\n")
        ));
    }
    assert!(is_hit(&mut client, "/", ""));
}
