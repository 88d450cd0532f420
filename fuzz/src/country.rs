//! Country databases: whatever is in the file, it is refused or it answers, in
//! time, and what is compiled from it answers the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use portcullis::access::country::{CountryCode, CountryDatabase};
use portcullis::network::canonical;

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(database) = CountryDatabase::from_bytes(data.to_vec(), Path::new("fuzz.mmdb")) else {
        return;
    };
    let germany = CountryCode::parse("DE").expect("a code");
    let denied = [
        database.networks(|country| country == Some(germany)),
        database.networks(|country| country.is_none()),
    ];
    for address in addresses(data) {
        let country = database.lookup(address);
        let expected = [country == Some(germany), country.is_none()];
        assert_eq!(
            denied.each_ref().map(|set| set.contains(address)),
            expected,
            "{address}"
        );
    }
}

/// Some of documentation, some by the bytes themselves.
fn addresses(data: &[u8]) -> impl Iterator<Item = IpAddr> {
    let known = [
        "192.0.2.1",
        "203.0.113.129",
        "9.9.9.9",
        "10.0.0.1",
        "2001:db8::1",
        "::1",
    ];
    let known = known.map(|address| address.parse::<IpAddr>().expect("an address"));
    let of_data = data.chunks_exact(16).take(64).flat_map(|bytes| {
        let bytes: [u8; 16] = bytes.try_into().expect("as many");
        let v4 = Ipv4Addr::new(bytes[0], bytes[5], bytes[10], bytes[15]);
        [IpAddr::from(v4), Ipv6Addr::from(bytes).into()]
    });
    known
        .into_iter()
        .chain(of_data.collect::<Vec<_>>())
        .map(canonical)
}
