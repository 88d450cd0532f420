//! 102 and 103 responses.

use super::{WHOLE, start};
use crate::support::{Origin, Portcullis, Reply};

/// Says these interim heads and then the answer to every request.
fn hinting(interim: String) -> Origin {
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&interim);
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn early_hints_are_passed_on() {
    let hint =
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: a\r\n\r\n";
    let origin = hinting(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{hint}"
    ));
    let portcullis = start(&origin, "");
    let mut client = portcullis.client();
    for _ in 0..3 {
        client.send(WHOLE);
        assert_eq!(client.head().0, 102);
        let (status, head) = client.head();
        assert_eq!(
            (status, Reply::find(&head, "link").as_deref()),
            (103, Some("</a.css>"))
        );
        assert!(
            Reply::find(&head, "via")
                .unwrap()
                .starts_with("1.1 portcullis-"),
            "{head}"
        );
        assert!(!head.to_lowercase().contains("hop"), "{head}");
        assert_eq!(client.reply().text(), "ok");
    }
    let mut old = portcullis.client();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(old.reply().status, 200);
}

#[test]
fn hints_that_come_together_with_the_answer_stand_before_it() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let answer = format!("{hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let origin = Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            conversation.say(&answer);
        }
    });
    for policy in ["", "[cache]\nmemory = \"0\"\n"] {
        let portcullis = Portcullis::start(&origin, policy);
        let mut client = portcullis.client();
        for fields in ["", "Connection: keep-alive\r\nTE: trailers\r\n"] {
            client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            assert_eq!(client.head().0, 103, "{policy:?} {fields:?}");
            assert_eq!(client.reply().text(), "ok");
        }
    }
}

#[test]
fn a_flood_of_hints_ends_with_the_answer() {
    let portcullis = start(
        &hinting("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10_000)),
        "",
    );
    let mut client = portcullis.client();
    client.send(WHOLE);
    let mut hints = 0;
    while client.head().0 == 103 {
        hints += 1;
    }
    assert!(hints <= 16, "{hints}");
    assert_eq!(client.take(2), b"ok");
    assert_eq!(client.get("/", "").status, 103);
}
