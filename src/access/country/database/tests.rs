use std::env;
use std::error::Error as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rstest::rstest;

use super::*;
use crate::network::canonical;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/country")
        .join(name)
}

fn open(name: &str) -> CountryDatabase {
    CountryDatabase::open(&fixture(name)).expect("a good database")
}

fn country_of(database: &CountryDatabase, address: &str) -> Option<String> {
    let address = address.parse().expect("an address");
    database.lookup(address).map(|code| code.to_string())
}

#[rstest]
fn both_shapes_know_the_same_countries(
    #[values("country.mmdb", "country-code.mmdb", "undescribed.mmdb")] name: &str,
    #[values(
        ("192.0.2.1", Some("DE")),
        ("192.0.2.65", Some("FR")),
        ("192.0.2.240", Some("XK")),
        ("192.0.2.248", None),
        ("203.0.113.129", Some("RE")),
        ("203.0.113.224", None),
        ("203.0.113.240", None),
        ("1.1.1.1", Some("AU")),
        ("9.9.9.9", None),
        ("10.0.0.1", None),
        ("127.0.0.1", None),
        ("2001:db8::1", Some("DE")),
        ("2001:db8:2000::1", Some("FR")),
        ("2001:db8:f000::1", None),
        ("2001:db8:f800::1", Some("NL")),
        ("fd00::1", None),
        ("::1", None),
        ("2002:c000:201::1", Some("DE")),
        ("2001:0:c000:241::1", Some("FR")),
        ("::192.0.2.1", Some("DE"))
    )]
    case: (&str, Option<&str>),
) {
    let (address, expected) = case;
    assert_eq!(country_of(&open(name), address).as_deref(), expected);
}

#[test]
fn a_database_of_ipv4_alone_knows_no_ipv6() {
    let database = open("ipv4-only.mmdb");
    assert_eq!(country_of(&database, "192.0.2.1").as_deref(), Some("DE"));
    assert_eq!(country_of(&database, "2001:db8::1"), None);
}

#[test]
fn it_says_what_it_is() {
    let database = open("country.mmdb");
    assert_eq!(database.build_epoch(), 1_767_225_600);
    assert_eq!(database.database_type(), "Portcullis-Test-Country");
}

#[rstest]
#[case(
    "missing.mmdb",
    "the country database {} cannot be read",
    "No such file"
)]
#[case(
    "empty.mmdb",
    "the country database {} is empty: was it cut while being written?",
    ""
)]
#[case(
    "truncated.mmdb",
    "the country database {} is damaged, cut short or not in the MaxMind DB format: fetch it again",
    "metadata"
)]
#[case(
    "damaged.mmdb",
    "the country database {} is damaged, cut short or not in the MaxMind DB format: fetch it again",
    "resource limit"
)]
#[case(
    "make.py",
    "the country database {} is damaged, cut short or not in the MaxMind DB format: fetch it again",
    "metadata"
)]
#[case(
    "asn.mmdb",
    "{} is not a country database (its type is `Portcullis-Test-ASN`): none of its records has country.iso_code, country_code or registered_country.iso_code",
    ""
)]
fn unusable(#[case] name: &str, #[case] message: &str, #[case] cause: &str) {
    let path = fixture(name);
    let error = CountryDatabase::open(&path).expect_err("not usable");
    let expected = message.replace("{}", &path.display().to_string());
    assert_eq!(error.to_string(), expected);
    let source = error.source().map(ToString::to_string);
    assert_eq!(source.is_none(), cause.is_empty());
    let source = source.unwrap_or_default();
    assert!(
        source.to_lowercase().contains(&cause.to_lowercase()),
        "{source}"
    );
}

#[rstest]
fn every_cut_of_a_database_is_refused(#[values("country.mmdb", "undescribed.mmdb")] name: &str) {
    let whole = fs::read(fixture(name)).expect("a file");
    for length in (0..whole.len()).step_by(37) {
        assert!(open_bytes(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[rstest]
fn damaged_records_are_refused(#[values("country.mmdb", "undescribed.mmdb")] name: &str) {
    let mut bytes = fs::read(fixture(name)).expect("a file");
    let key = b"country_code".as_slice();
    let key = if name == "country.mmdb" {
        b"iso_code"
    } else {
        key
    };
    let record = bytes.windows(key.len()).position(|window| window == key);
    let record = record.expect("a record");
    bytes[record - 8..record + 32].fill(0xff);
    let error = open_bytes(&bytes).expect_err("damaged");
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
}

/// Whatever byte is wrong, opening ends, and what opens answers consistently.
#[rstest]
fn a_changed_byte_never_panics(#[values("country.mmdb", "undescribed.mmdb")] name: &str) {
    let whole = fs::read(fixture(name)).expect("a file");
    let flips = [0xff, 0x01, 0x80].iter().cycle();
    let mut opened = 0;
    for (position, flip) in (0..whole.len()).step_by(7).zip(flips) {
        let mut changed = whole.clone();
        changed[position] ^= flip;
        if let Ok(database) = open_bytes(&changed) {
            agree(&database, 16);
            opened += 1;
        }
    }
    assert!(opened > 0, "texts may be changed");
}

/// 64 nodes, both sides of each the next one: 2^64 networks, one record.
#[test]
fn a_tree_without_end_is_refused_in_time() {
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = path.join("fuzz/corpus/country/every-network-alike.mmdb");
        told.send(CountryDatabase::open(&path).map(|_| ()))
    });
    let error = answer.recv_timeout(Duration::from_secs(60));
    let error = error.expect("an answer").expect_err("not usable");
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(cause.contains("again and again"), "{cause}");
}

fn open_bytes(bytes: &[u8]) -> Result<CountryDatabase, DatabaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("country.mmdb");
    fs::write(&path, bytes).expect("written");
    CountryDatabase::open(&path)
}

#[rstest]
fn the_compiled_set_is_the_lookup(
    #[values(
        "country.mmdb",
        "country-code.mmdb",
        "undescribed.mmdb",
        "ipv4-only.mmdb"
    )]
    name: &str,
) {
    agree(&open(name), 2000);
}

/// The same for a real database, if one is named.
#[test]
fn the_compiled_set_is_the_lookup_in_a_real_database() {
    // written past the test harness, which keeps what a passing test prints
    let mut out = io::stderr();
    let Some(path) = env::var_os("PORTCULLIS_COUNTRY_MMDB") else {
        writeln!(out, "SKIPPED: PORTCULLIS_COUNTRY_MMDB names no database").expect("written");
        return;
    };
    let database = CountryDatabase::open(Path::new(&path)).expect("a good database");
    agree(&database, 100_000);
}

type Deny = fn(Option<CountryCode>) -> bool;

/// Rules as a policy has them: a blocklist and an allowlist, with and without
/// unknown countries.
const RULES: [Deny; 5] = [
    |country| listed(country, false),
    |country| listed(country, true),
    |country| !listed(country, true),
    |country| !listed(country, false),
    |country| country.is_none(),
];

fn listed(country: Option<CountryCode>, unknown: bool) -> bool {
    country.map_or(unknown, |code| {
        ["DE", "US", "RE", "AU"].contains(&code.as_str())
    })
}

/// Compares the sets with lookups, at the edges of all networks and at random.
fn agree(database: &CountryDatabase, random: u32) {
    let sets = RULES.map(|deny| (deny, database.networks(deny)));
    let check = |address: IpAddr| {
        let address = canonical(address);
        let country = database.lookup(address);
        for (deny, set) in &sets {
            assert_eq!(
                set.contains(address),
                deny(country),
                "{address} {country:?}"
            );
        }
    };
    edges(database).for_each(check);
    LOCAL_V4
        .iter()
        .flat_map(|(first, last)| around_v4(*first, *last))
        .for_each(check);
    LOCAL_V6
        .iter()
        .flat_map(|(first, last)| around_v6(*first, *last))
        .for_each(check);
    let config = ProptestConfig::with_cases(random);
    TestRunner::new(config)
        .run(&(any::<u32>(), any::<u128>()), |(v4, v6)| {
            check(Ipv4Addr::from_bits(v4).into());
            let seen_as = [
                0,
                0xffff << 32,
                0x64_ff9b << 96,
                (0x2001 << 112) | 0xdb8 << 96,
            ];
            let views = seen_as.map(|prefix| prefix | u128::from(v4));
            let global = 0x2 << 124 | v6 >> 4;
            for bits in views
                .into_iter()
                .chain([v6, global, 0x2002 << 112 | u128::from(v4) << 80])
            {
                check(Ipv6Addr::from_bits(bits).into());
            }
            Ok(())
        })
        .expect("sets and lookups agree");
}

/// First and last address of every network of the tree, and their neighbours.
fn edges(database: &CountryDatabase) -> impl Iterator<Item = IpAddr> {
    walk(&database.reader).flat_map(|network| {
        let network = network
            .expect("walked before")
            .network()
            .expect("a network");
        match network.ip() {
            IpAddr::V4(first) => {
                let first = first.to_bits();
                around_v4(first, first | low_bits(network.prefix() + 96) as u32)
            }
            IpAddr::V6(first) => {
                let first = first.to_bits();
                around_v6(first, first | low_bits(network.prefix()))
            }
        }
    })
}

fn around_v4(first: u32, last: u32) -> [IpAddr; 4] {
    [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        .map(|bits| Ipv4Addr::from_bits(bits).into())
}

fn around_v6(first: u128, last: u128) -> [IpAddr; 4] {
    [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        .map(|bits| Ipv6Addr::from_bits(bits).into())
}
