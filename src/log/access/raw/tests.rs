use super::*;

const RULES: [&str; 2] = ["ip.block", "geo.allow"];

type Texts<'a> = &'a [(Kind, &'a [u8])];

fn written(mode: ClientAddressMode, first: Texts<'_>, more: Texts<'_>) -> Vec<u8> {
    let facts = Facts {
        reference: b"00000000000000000007",
        generation: 3,
        mode,
        peer: "192.0.2.7".parse().unwrap(),
        client: "2001:db8:1:abcd::7".parse().unwrap(),
        rule: Some(1),
        would_deny: 0b01,
        https: false,
        version: 11,
        method: Some(1),
        client_from: None,
        client_header: None,
        country: Country::Found(Some(*b"RE")),
    };
    let mut out = Vec::new();
    let texts = |sink: &mut Sink<'_>| {
        first
            .iter()
            .for_each(|(kind, text)| sink.first(*kind, Some(text)));
        more.iter().for_each(|(kind, text)| sink.line(*kind, text));
    };
    facts.write(texts, &mut out);
    out
}

fn read(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(&Raw::of(bytes).line(&RULES, None)).unwrap()
}

#[test]
fn a_line_of_what_was_kept() {
    let first: Texts<'_> = &[
        (Kind::Authority, b"a"),
        (Kind::Target, b"/b\x1b\""),
        (Kind::UserAgent, b"x"),
        (Kind::Origin, b""),
        (Kind::SecFetchMode, b"cors"),
    ];
    let bytes = written(
        ClientAddressMode::Full,
        first,
        &[
            (Kind::UserAgent, b"\xff"),
            (Kind::ClientFrom, b"x-real-ip"),
            (Kind::ClientHeader, b"x-real-ip"),
        ],
    );
    let line = read(&bytes);
    assert_eq!(line["url"], "http://a/b\u{1b}\"");
    assert_eq!(
        (&line["method"], &line["protocol"]),
        (&"HEAD".into(), &"HTTP/1.1".into())
    );
    assert_eq!(line["client_from"], "x-real-ip");
    assert_eq!(line["client_header"], "x-real-ip");
    assert_eq!(line["user_agent"], serde_json::json!(["x", "\\xFF"]));
    assert_eq!(
        (&line["sec_fetch"], &line["origin_field"]),
        (&"/cors/".into(), &"".into())
    );
    assert_eq!(line["verdict"], "deny");
    assert_eq!(line["rule"], "geo.allow");
    assert_eq!(line["would_deny"], serde_json::json!(["ip.block"]));
    assert_eq!(
        (&line["peer"], &line["client"]),
        (&"192.0.2.7".into(), &"2001:db8:1:abcd::7".into())
    );
    assert!(line["referer"].is_null() && line["total_ms"].is_null());
    assert_eq!(line["country"], "RE");
    assert!(line.get("cache_key").is_none());
    assert!(line["time"].as_str().unwrap().starts_with("20"));
}

#[test]
fn a_country_that_was_not_looked_up_is_left_out() {
    let bytes = written(ClientAddressMode::Full, &[], &[]);
    let line = |country: Country, derived: Option<Option<&str>>| {
        let mut bytes = bytes.clone();
        bytes[COUNTRY..][..2].copy_from_slice(&country.bytes());
        let derived = Derived {
            country: derived.map(|found| found.map(str::to_owned)),
            ..Derived::default()
        };
        let line = Raw::of(&bytes).line(&RULES, Some(&derived));
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        line.get("country").cloned()
    };
    let null = serde_json::Value::Null;
    assert_eq!(line(Country::Unasked, None), None);
    assert_eq!(line(Country::Unasked, Some(None)), Some(null.clone()));
    assert_eq!(line(Country::Unasked, Some(Some("RE"))), Some("RE".into()));
    assert_eq!(line(Country::Found(None), Some(Some("RE"))), Some(null));
    let found = Country::Found(Some(*b"FR"));
    assert_eq!(line(found, Some(Some("RE"))), Some("FR".into()));
}

#[test]
fn no_more_of_an_address_is_kept_than_is_shown() {
    let prefix = written(ClientAddressMode::Prefix, &[], &[]);
    assert_eq!(read(&prefix)["peer"], "192.0.2.0/24");
    assert_eq!(read(&prefix)["client"], "2001:db8:1::/48");
    let address: std::net::Ipv6Addr = "2001:db8:1:abcd::7".parse().unwrap();
    let none = written(ClientAddressMode::None, &[], &[]);
    assert!(read(&none)["peer"].is_null() && read(&none)["client"].is_null());
    for bytes in [prefix, none] {
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!holds(&address.octets()[6..8]) && !holds(&[192, 0, 2, 7]));
    }
}

#[test]
fn a_long_value_is_cut_and_marked() {
    let long = vec![b'a'; 70_000];
    let first: Texts<'_> = &[(Kind::Target, &long), (Kind::Origin, &long[..4096])];
    let bytes = written(ClientAddressMode::Full, first, &[(Kind::Referer, &long)]);
    assert!(bytes.len() < 13_000);
    let line = read(&bytes);
    for key in ["url", "referer"] {
        let text = line[key].as_str().unwrap();
        assert!(
            text.len() == 4096 + 8 && text.ends_with("...[cut]"),
            "{key}"
        );
    }
    assert_eq!(line["origin_field"].as_str().unwrap().len(), 4096);
}

#[test]
fn what_is_damaged_is_read_without_a_panic() {
    let whole = written(
        ClientAddressMode::Full,
        &[(Kind::Target, b"/")],
        &[(Kind::Referer, b"a")],
    );
    for length in 0..whole.len() {
        let raw = Raw::of(&whole[..length]);
        assert!(raw.line(&RULES, Some(&Derived::default())).len() > 100);
    }
}
