//! The client's address: what a trusted proxy appended stands, whatever a
//! stranger wrote before it. The first byte chooses the field.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use portcullis::client::{AddressField, ClientFrom, ClientRules, PeerAddr};
use portcullis::message::fields::Fields;
use portcullis::network::{NetworkSet, canonical};

/// Trusted is this network, and it is what asks.
const PROXY: [u8; 4] = [10, 0, 0, 2];

static TRUSTED: LazyLock<Arc<NetworkSet>> = LazyLock::new(|| {
    let network: ipnet::IpNet = "10.0.0.0/8".parse().expect("a network");
    Arc::new(std::iter::once(network).collect())
});

/// See the module.
pub fn check(data: &[u8]) {
    let Some((choice, line)) = data.split_first() else {
        return;
    };
    let name = ["x-forwarded-for", "forwarded", "cf-connecting-ip"][usize::from(choice % 3)];
    let Ok(value) = HeaderValue::from_bytes(line) else {
        return;
    };
    let rules = rules(name);
    let found = rules.find(
        PeerAddr::new(PROXY.into()),
        &fields(name, std::slice::from_ref(&value)),
    );
    match &found {
        Err(_) => assert_eq!(name, "cf-connecting-ip", "a list is never refused"),
        Ok(client) => {
            let ip = client.address.ip();
            assert_eq!(ip, canonical(ip), "canonical");
            assert!(client.hops.len() <= 100);
            if client.from == ClientFrom::Peer {
                assert_eq!(ip, IpAddr::from(PROXY));
            }
        }
    }
    // Nobody is believed who is not trusted.
    let stranger: IpAddr = [192, 0, 2, 1].into();
    let of_stranger = rules.find(
        PeerAddr::new(stranger),
        &fields(name, std::slice::from_ref(&value)),
    );
    assert_eq!(of_stranger.map(|client| client.address.ip()), Ok(stranger));
    let proxies = match name {
        "x-forwarded-for" => "203.0.113.9, 10.0.0.3",
        "forwarded" => "for=203.0.113.9;proto=http, for=\"10.0.0.3:80\"",
        _ => return,
    };
    // On a line of its own, or behind what was there.
    let own = HeaderValue::from_static(proxies);
    let joined = [line, b", ", proxies.as_bytes()].concat();
    let joined = HeaderValue::from_bytes(&joined).expect("both are values");
    for lines in [vec![value.clone(), own.clone()], vec![joined]] {
        let client = rules.find(PeerAddr::new(PROXY.into()), &fields(name, &lines));
        let client = client.expect("lists are walked");
        assert_eq!(
            client.address.ip(),
            IpAddr::from([203, 0, 113, 9]),
            "{}",
            line.escape_ascii()
        );
        assert_eq!(client.hops[..], [IpAddr::from([10, 0, 0, 3])]);
    }
}

fn rules(name: &'static str) -> ClientRules {
    ClientRules {
        trusted_proxies: Arc::clone(&TRUSTED),
        field: AddressField::new(HeaderName::from_static(name)),
        proxy_protocol: false,
    }
}

fn fields(name: &'static str, lines: &[HeaderValue]) -> Fields {
    let mut fields = HeaderMap::new();
    for line in lines {
        fields.append(HeaderName::from_static(name), line.clone());
    }
    fields.into()
}
