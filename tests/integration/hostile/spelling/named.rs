//! Addresses where exactly one is named: by a field of its own, and by a
//! PROXY header.

use super::KIND;
use super::clients::{DENIED, rules};
use super::ways::{Attack, Question};
use crate::support::{Origin, Portcullis, tried};

/// One address has one field; two of them are refused, whichever is first.
#[test]
fn a_field_with_one_address_has_one() {
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\nheader = \"cf-connecting-ip\"\n"
        .to_owned()
        + &rules();
    let mut attack = Attack::start(&policy);
    for denied in DENIED {
        let question = Question::get("/a.jpg").field("CF-Connecting-IP", denied);
        assert_eq!(attack.ask(&question.clone()), [403; 3], "{denied}");
        let more = question.clone().field("X-Forwarded-For", "198.51.100.77");
        assert_eq!(attack.ask(&more), [403; 3], "{denied}");
        for second in ["198.51.100.77", "8.8.8.8", "", "x"] {
            assert_eq!(
                attack.ask(&question.clone().field("cf-connecting-ip", second)),
                [400; 3],
                "{denied} {second}"
            );
            let first = Question::get("/a.jpg").field("cf-connecting-ip", second);
            assert_eq!(
                attack.ask(&first.field("CF-Connecting-IP", denied)),
                [400; 3],
                "{second} {denied}"
            );
        }
        for joined in [
            format!("198.51.100.77, {denied}"),
            format!("{denied},198.51.100.77"),
            format!("8.8.8.8 {denied}"),
        ] {
            assert_eq!(
                attack.ask(&Question::get("/a.jpg").field("CF-Connecting-IP", joined)),
                [400; 3]
            );
        }
    }
    assert_eq!(attack.origin().count(), 0);
    tried(KIND, attack.tried);
}

/// The addresses of a PROXY header are read as all others, and nothing that
/// follows it names another client.
#[test]
fn a_proxy_header_names_the_client() {
    let origin = Origin::ok();
    let policy = "[client]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n".to_owned()
        + &rules();
    let proxy = Portcullis::start(&origin, &policy);
    let mut count = 0;
    let mut ask = |header: &[u8], fields: &str| {
        count += 1;
        let mut client = proxy.client();
        client.send(header).get("/a.jpg", fields).status
    };
    let v6: [&[u8; 16]; 4] = [
        b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x09",
        b"\0\x64\xff\x9b\0\0\0\0\0\0\0\0\xcb\0\x71\x09",
        b"\x20\x01\x0d\xb8\x0b\xad\0\0\0\0\0\0\0\0\0\x01",
        b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x82",
    ];
    for fields in [
        "",
        "X-Forwarded-For: 198.51.100.77\r\n",
        "Forwarded: for=198.51.100.77\r\n",
    ] {
        for source in [
            "TCP4 203.0.113.9 10.0.0.1",
            "TCP6 ::ffff:203.0.113.9 ::1",
            "TCP6 64:ff9b::cb00:7109 ::1",
            "TCP6 2001:DB8:BAD::1 ::1",
        ] {
            let header = format!("PROXY {source} 4711 443\r\n");
            assert_eq!(ask(header.as_bytes(), fields), 403, "{source} {fields}");
        }
        for source in v6 {
            let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24".to_vec();
            header.extend([&source[..], &[0; 16], &[1, 2, 1, 187]].concat());
            assert_eq!(ask(&header, fields), 403, "{source:x?} {fields}");
        }
        assert_eq!(ask(b"PROXY TCP4 8.8.8.8 10.0.0.1 1 2\r\n", fields), 200);
    }
    assert_eq!(origin.count(), 3);
    tried(KIND, count);
}
