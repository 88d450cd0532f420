use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";

fn rules(field: &str) -> ClientRules {
    let trusted = ["10.0.0.0/8", "2001:db8:1::/48"];
    ClientRules {
        trusted_proxies: Arc::new(trusted.iter().map(|n| n.parse().unwrap()).collect()),
        field: AddressField::new(HeaderName::from_bytes(field.as_bytes()).unwrap()),
        proxy_protocol: false,
    }
}

fn headers(field: &str, lines: &[&str]) -> Fields {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(
            HeaderName::from_bytes(field.as_bytes()).unwrap(),
            HeaderValue::from_bytes(line.as_bytes()).unwrap(),
        );
    }
    headers.into()
}

fn peer(text: &str) -> PeerAddr {
    PeerAddr::new(text.parse().unwrap())
}

/// The client that `lines` of `field` from a trusted peer name, and the hops.
fn found(field: &str, lines: &[&str]) -> (String, Vec<String>) {
    let client = rules(field)
        .find(peer(PROXY), &headers(field, lines))
        .unwrap();
    let hops = client.hops.iter().map(IpAddr::to_string).collect();
    (client.address.to_string(), hops)
}

#[test]
fn nobody_is_believed_but_trusted_peers() {
    let rules = rules("x-forwarded-for");
    let forged = headers("x-forwarded-for", &["203.0.113.9"]);
    let client = rules.find(peer("198.51.100.7"), &forged).unwrap();
    assert_eq!(client.address.to_string(), "198.51.100.7");
    assert_eq!(client.from, ClientFrom::Peer);
    let client = rules.find(peer("::ffff:10.0.0.1"), &forged).unwrap();
    assert_eq!(client.address.to_string(), "203.0.113.9");
    assert_eq!(client.from, ClientFrom::Field);
}

#[test]
fn x_forwarded_for_is_read_from_the_right() {
    let none: [&str; 0] = [];
    for (lines, client, hops) in [
        (&["203.0.113.9"][..], "203.0.113.9", &none[..]),
        (&["6.6.6.6, 203.0.113.9"], "203.0.113.9", &none),
        (
            &["6.6.6.6, 203.0.113.9, 10.0.0.2"],
            "203.0.113.9",
            &["10.0.0.2"],
        ),
        (
            &["203.0.113.9", "10.0.0.3,10.0.0.2"],
            "203.0.113.9",
            &["10.0.0.3", "10.0.0.2"],
        ),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3", &["10.0.0.2"]),
        (&[], PROXY, &none),
        (&[""], PROXY, &none),
        (&["203.0.113.9, unknown"], PROXY, &none),
        (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2", &none),
        (&["203.0.113.9, , 10.0.0.2"], "10.0.0.2", &none),
        (&["203.0.113.9:4711"], "203.0.113.9", &none),
        (
            &["[2001:db8::9]:4711, [2001:db8:1::1]"],
            "2001:db8::9",
            &["2001:db8:1::1"],
        ),
        (&["2001:db8::9"], "2001:db8::9", &none),
        (&["::ffff:203.0.113.9"], "203.0.113.9", &none),
        (&["64:ff9b::203.0.113.9"], "203.0.113.9", &none),
        (&["203.0.113.009"], PROXY, &none),
        (&["fe80::1%eth0"], PROXY, &none),
        (&["203.0.113.9:x"], PROXY, &none),
    ] {
        let (address, found_hops) = found("x-forwarded-for", lines);
        assert_eq!(
            (address.as_str(), found_hops),
            (client, hops.iter().map(ToString::to_string).collect()),
            "{lines:?}"
        );
    }
}

#[test]
fn whom_a_proxy_header_names_is_the_peer() {
    let field = headers("x-forwarded-for", &["6.6.6.6, 203.0.113.9"]);
    let found = |named: Option<&str>| {
        let named = named.map(|address| address.parse().unwrap());
        let peer = peer(PROXY).after_header(named);
        let client = rules("x-forwarded-for").find(peer, &field).unwrap();
        (client.address.to_string(), client.from, client.peer_trusted)
    };
    let by_header = ClientFrom::ProxyProtocol;
    for (named, address, from, trusted) in [
        // A stranger, whose own field is not believed.
        (Some("198.51.100.7"), "198.51.100.7", by_header, false),
        (
            Some("::ffff:198.51.100.7"),
            "198.51.100.7",
            by_header,
            false,
        ),
        // Another proxy of ours, in front of the one that is connected.
        (Some("10.0.0.2"), "203.0.113.9", ClientFrom::Field, true),
        (
            Some("::ffff:10.0.0.2"),
            "203.0.113.9",
            ClientFrom::Field,
            true,
        ),
        // Nobody: the connection's own end, and what it says is anyone's word.
        (None, PROXY, ClientFrom::Peer, false),
    ] {
        let expected = (address.to_owned(), from, trusted);
        assert_eq!(found(named), expected, "{named:?}");
    }
    let none = headers("x-forwarded-for", &[]);
    let named = peer(PROXY).after_header(Some("10.0.0.2".parse().unwrap()));
    let client = rules("x-forwarded-for").find(named, &none).unwrap();
    assert_eq!((client.from, client.peer_trusted), (by_header, true));
}

#[test]
fn a_peer_without_an_address_has_no_word_in_anything() {
    let nobody = peer(PROXY).after_header(None);
    let several = headers("cf-connecting-ip", &["1.1.1.1", "2.2.2.2"]);
    let rules = rules("cf-connecting-ip");
    assert_eq!(rules.find(nobody, &several).unwrap().from, ClientFrom::Peer);
    let https = headers("x-forwarded-proto", &["https"]);
    let client = rules.find(nobody, &https).unwrap();
    assert_eq!(rules.scheme(&client, &https, Scheme::Http), Scheme::Http);
}

#[test]
fn a_header_is_expected_of_trusted_peers_only() {
    let mut rules = rules("x-forwarded-for");
    assert!(!rules.expects_header(peer(PROXY)));
    rules.proxy_protocol = true;
    assert!(rules.expects_header(peer(PROXY)));
    assert!(rules.expects_header(peer("::ffff:10.0.0.1")));
    assert!(!rules.expects_header(peer("192.0.2.1")));
}

#[test]
fn a_hundred_hops_are_read_and_no_more() {
    let trusted = vec!["10.0.0.2"; 99].join(", ");
    let (client, hops) = found("x-forwarded-for", &[&format!("203.0.113.9, {trusted}")]);
    assert_eq!((client.as_str(), hops.len()), ("203.0.113.9", 99));
    let (client, hops) = found(
        "x-forwarded-for",
        &[&format!("203.0.113.9, 10.0.0.2, {trusted}")],
    );
    assert_eq!((client.as_str(), hops.len()), (PROXY, 0));
}

#[test]
fn forwarded_is_read_from_the_right() {
    for (lines, client) in [
        (&["for=203.0.113.9"][..], "203.0.113.9"),
        (&["For=\"203.0.113.9:80\";proto=https"], "203.0.113.9"),
        (
            &["by=10.0.0.1; for=\"[2001:db8::9]:4711\" ;host=\"a,b\""],
            "2001:db8::9",
        ),
        (&["for=203.0.113.9:_port"], "203.0.113.9"),
        (
            &["for=6.6.6.6, for=203.0.113.9, for=10.0.0.2"],
            "203.0.113.9",
        ),
        (&["for=203.0.113.9", "for=\"10.0.0.2\""], "203.0.113.9"),
        (&["for=unknown"], PROXY),
        (&["for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (&["for=\"_SEVKISEK\""], PROXY),
        (&["proto=https"], PROXY),
        (&["for=203.0.113.9;for=203.0.113.8"], PROXY),
        (&["for=2001:db8::9"], PROXY),
        (&["for=\"2001:db8::9\""], PROXY),
        // What a stranger wrote on the left must not change the last element.
        (&["for=\"6.6.6.6, for=203.0.113.9"], "203.0.113.9"),
        (
            &["for=\"6.6.6.6;host=\", for=203.0.113.9;host=\"x\""],
            "203.0.113.9",
        ),
        (&["\\\", for=\"203.0.113.9\""], "203.0.113.9"),
        (&["for=\"", "for=203.0.113.9"], "203.0.113.9"),
        (
            &["for=6.6.6.6;host=\"a\\, for=\"203.0.113.9\""],
            "203.0.113.9",
        ),
        // Well-formed: one element, whose host has an escaped quote and a comma.
        (
            &["for=198.51.100.1;host=\"a\\\", for=203.0.113.9\""],
            "198.51.100.1",
        ),
    ] {
        assert_eq!(found("forwarded", lines).0, client, "{lines:?}");
    }
}

#[test]
fn a_single_address_field_names_one_address() {
    let rules = rules("cf-connecting-ip");
    let find = |lines: &[&str]| rules.find(peer(PROXY), &headers("cf-connecting-ip", lines));
    assert_eq!(
        find(&["203.0.113.9"]).unwrap().address.to_string(),
        "203.0.113.9"
    );
    assert_eq!(find(&["10.9.9.9"]).unwrap().address.to_string(), "10.9.9.9");
    assert_eq!(
        find(&["203.0.113.9, nobody"]).unwrap().from,
        ClientFrom::Peer
    );
    assert_eq!(find(&["nobody"]).unwrap().from, ClientFrom::Peer);
    assert_eq!(find(&[]).unwrap().from, ClientFrom::Peer);
    assert_eq!(find(&["203.0.113.9", "203.0.113.9"]), Err(AmbiguousClient));
    assert_eq!(find(&["203.0.113.9, 203.0.113.8"]), Err(AmbiguousClient));
    let forged = headers("cf-connecting-ip", &["1.1.1.1, 2.2.2.2"]);
    assert_eq!(
        rules.find(peer("192.0.2.1"), &forged).unwrap().from,
        ClientFrom::Peer
    );
}

#[test]
fn the_scheme_is_the_connections_or_a_trusted_peers() {
    let rules = rules("x-forwarded-for");
    let scheme = |from: &str, lines: &[&str]| {
        let headers = headers("x-forwarded-proto", lines);
        let client = rules.find(peer(from), &headers).unwrap();
        rules.scheme(&client, &headers, Scheme::Http)
    };
    assert_eq!(scheme(PROXY, &["https"]), Scheme::Https);
    assert_eq!(scheme(PROXY, &["https, http"]), Scheme::Http);
    assert_eq!(scheme(PROXY, &["http", "https"]), Scheme::Https);
    assert_eq!(scheme(PROXY, &["wss"]), Scheme::Http);
    assert_eq!(scheme("192.0.2.1", &["https"]), Scheme::Http);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..80), field in 0..3_usize) {
        let field = ["x-forwarded-for", "forwarded", "cf-connecting-ip"][field];
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_bytes(field.as_bytes()).unwrap(), value);
            let _ = rules(field).find(peer(PROXY), &headers.into());
        }
    }

    #[test]
    fn nothing_on_the_left_changes_the_last_element(junk in "[ -~]{0,40}") {
        let line = format!("{junk}, for=\"[2001:db8::9]:80\";proto=http, for=10.0.0.2");
        prop_assert_eq!(found("forwarded", &[&line]).0, "2001:db8::9");
        let line = format!("{junk}, 203.0.113.9, 10.0.0.2");
        prop_assert_eq!(found("x-forwarded-for", &[&line]).0, "203.0.113.9");
    }
}
