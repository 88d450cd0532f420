//! Where requests for the origin end up: its addresses, and its prefix.

use std::net::{Ipv6Addr, TcpListener};

use crate::support::{Origin, Portcullis};

#[test]
fn an_ipv6_address_in_brackets() {
    let Ok(probe) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        eprintln!("SKIPPED: an IPv6 origin: this machine has no IPv6");
        return;
    };
    drop(probe);
    let origin = Origin::scripted_at("[::1]:0", |conversation| {
        while conversation.request().is_some() {
            conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let policy = "[origin]\nurl = \"@origin@\"\nhost = \"origin\"\n";
    let portcullis = Portcullis::start(&origin, policy);
    assert_eq!(portcullis.client().get("/", "").text(), "ok");
    assert_eq!(
        origin.only().field("host").unwrap(),
        origin.address.to_string()
    );
}

#[test]
fn a_name_and_a_name_that_is_none() {
    let origin = Origin::ok();
    let port = origin.address.port();
    let at = |host: &str| {
        let policy = format!("[origin]\nurl = \"http://{host}:{port}\"\n");
        Portcullis::start(&origin, &policy)
    };
    assert_eq!(at("localhost").client().get("/", "").text(), "ok");
    // RFC 6761 section 6.4: there is no such name, and none is asked for.
    let nowhere = at("nowhere.invalid");
    let status = nowhere.client().get("/", "").status;
    let error = nowhere.stop()[0]["error"].clone();
    let expected = [(502, "dns_error".into()), (504, "dns_timeout".into())];
    assert!(
        expected.contains(&(status, error.clone())),
        "{status} {error}"
    );
}

#[test]
fn no_path_climbs_out_of_the_prefix() {
    let origin = Origin::ok();
    let policy = "[origin]\nurl = \"@origin@/public/files/\"\n";
    let portcullis = Portcullis::start(&origin, policy);
    let mut client = portcullis.client();
    for (path, target) in [
        ("/", "/public/files/"),
        ("/a.jpg?x=/../y", "/public/files/a.jpg?x=/../y"),
        ("/a/../b", "/public/files/b"),
        ("//a", "/public/files/a"),
        ("/%2e/a", "/public/files/a"),
    ] {
        assert_eq!(client.get(path, "").status, 200, "{path}");
        let asked = origin.asked().pop().unwrap();
        assert_eq!(asked.line(), format!("GET {target} HTTP/1.1"));
    }
    let so_far = origin.asked().len();
    for path in [
        "/..",
        "/../secret",
        "/a/../../secret",
        "/%2e%2e/secret",
        "/%2E./secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%252e%252e/secret",
        "/..%252fsecret",
        "/..;/secret",
        "/..;a=b/secret",
        "/a/..;/..;/secret",
        "/%2e%2e;/secret",
    ] {
        assert_eq!(client.get(path, "").status, 400, "{path}");
        client = portcullis.client();
    }
    assert_eq!(origin.asked().len(), so_far);
}
