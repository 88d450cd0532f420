//! The hosts that are served at all.

use super::KIND;
use super::hosts::CLIENT;
use super::ways::{Attack, Question};
use crate::support::tried;

/// A host that is not served is 421 for every spelling of it, and those that
/// are served are so for all of theirs.
#[test]
fn the_hosts_that_are_served() {
    let mut attack = Attack::by(
        crate::support::Origin::ok(),
        "hosts = [\"img.example.com\", \"*.b.example.com\"]\n",
        CLIENT,
    );
    let served = [
        "img.example.com",
        "IMG.EXAMPLE.com",
        "img.example.com.",
        "img.example.com:443",
        "img.example.com:0443",
        "img.example.com:",
        "x.b.example.com",
        "X.y.B.example.com.:8443",
    ];
    for host in served {
        let question = Question {
            host: host.as_bytes().to_vec(),
            ..Question::get("/a.jpg")
        };
        assert_eq!(attack.ask(&question), [200; 3], "{host}");
    }
    let strangers = [
        "b.example.com",
        "example.com",
        "ximg.example.com",
        "img.example.com.evil.example",
        "img.example.comx",
        "evil.example",
        "img-example.com",
        "xb.example.com",
        "127.0.0.1",
        "[::1]",
        "xn--img.example.com",
    ];
    let none = [
        "img.example.com@evil.example",
        "evil.example@img.example.com",
        "evil.example#img.example.com",
        "",
        "evil.example/img.example.com",
        "evil.example\\.b.example.com",
        "img.example.com, evil.example",
        ".b.example.com",
        "evil.example:80.b.example.com",
        "img.example.com:x",
        "img.example.com..",
        "*.b.example.com",
        "evil.example%23.b.example.com",
        "evil.example%00.b.example.com",
        "evil.example .b.example.com",
    ];
    let before = attack.origin().count();
    for (host, expected) in strangers
        .map(|host| (host, 421))
        .into_iter()
        .chain(none.map(|host| (host, 400)))
    {
        let question = Question {
            host: host.as_bytes().to_vec(),
            ..Question::get("/a.jpg")
        };
        for status in attack.ask(&question) {
            assert!(
                status == expected || status == 0 || status == 400 && expected == 421,
                "{status}: {host}"
            );
        }
    }
    assert_eq!(attack.origin().count(), before);
    tried(KIND, attack.tried);
}
