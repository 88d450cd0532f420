//! PROXY headers: read alike however they are cut into packets, never longer
//! than what is there, and whoever is named, the library `ppp` has read it so.

use std::net::IpAddr;

use portcullis::server::proxy_protocol::{Header, MOST, read};
use ppp::{HeaderResult, PartialResult as _, v1, v2};

/// See the module.
pub fn check(data: &[u8]) {
    let whole = read(data);
    if let Ok(None) = whole {
        assert!(data.len() < MOST, "all of it belongs to the header");
    }
    // Byte by byte: more is asked for until the answer stands.
    let mut cut = (0..=data.len()).map(|end| read(&data[..end]));
    match cut.find(|answer| *answer != Ok(None)) {
        None => assert_eq!(whole, Ok(None)),
        Some(first) => assert_eq!(first, whole, "{}", data.escape_ascii()),
    }
    if let Ok(Some(header)) = whole {
        assert!((1..=data.len().min(MOST)).contains(&header.length));
        by_another(&data[..header.length], header);
    }
}

/// What we take, the library takes, and it names the same one.
fn by_another(text: &[u8], ours: Header) {
    // What follows UNKNOWN and LOCAL is to be ignored, whatever it is (sections
    // 2.1 and 2.2).
    if text.starts_with(b"PROXY UNKNOWN") || text.get(12) == Some(&0x20) {
        return assert_eq!(ours.source, None);
    }
    let theirs = HeaderResult::parse(text);
    assert!(theirs.is_complete(), "{}", text.escape_ascii());
    let (length, source) = match theirs {
        HeaderResult::V1(Ok(header)) => {
            let source = match header.addresses {
                v1::Addresses::Tcp4(both) => Some(IpAddr::from(both.source_address)),
                v1::Addresses::Tcp6(both) => Some(both.source_address.into()),
                v1::Addresses::Unknown => None,
            };
            (header.header.len(), source)
        }
        HeaderResult::V2(Ok(header)) => {
            let source = match header.addresses {
                v2::Addresses::IPv4(both) => Some(IpAddr::from(both.source_address)),
                v2::Addresses::IPv6(both) => Some(both.source_address.into()),
                v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
            };
            (header.len(), source)
        }
        other => panic!("{other:?} of {}", text.escape_ascii()),
    };
    assert_eq!(
        (length, source),
        (ours.length, ours.source),
        "{}",
        text.escape_ascii()
    );
}
