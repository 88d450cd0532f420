//! Files and names.

mod handshakes;

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rstest::rstest;
use tokio_rustls::rustls::SignatureAlgorithm;

use super::*;

const SITE: &[u8] = include_bytes!("../../tests/fixtures/tls/site.pem");
const SITE_KEY: &[u8] = include_bytes!("../../tests/fixtures/tls/site.key.pem");
/// In SEC1.
const OTHER_KEY: &[u8] = include_bytes!("../../tests/fixtures/tls/other.key.pem");
const RSA: &[u8] = include_bytes!("../../tests/fixtures/tls/rsa.pem");
/// In PKCS#1.
const RSA_KEY: &[u8] = include_bytes!("../../tests/fixtures/tls/rsa.key.pem");
const ENCRYPTED_KEY: &[u8] = include_bytes!("../../tests/fixtures/tls/encrypted.key.pem");

fn certificate(chain: &[u8], key: &[u8]) -> Certificate {
    Certificate::new(Chain::from_pem(chain).unwrap(), Key::from_pem(key).unwrap()).unwrap()
}

/// One for these names, by itself.
fn issued(names: &[impl ToString]) -> Certificate {
    issued_with(names, |_| {})
}

fn issued_with(
    names: &[impl ToString],
    adjust: impl FnOnce(&mut CertificateParams),
) -> Certificate {
    let (pem, key) = pem(names, adjust);
    certificate(pem.as_bytes(), key.as_bytes())
}

fn pem(names: &[impl ToString], adjust: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let signed = params.self_signed(&key).unwrap();
    (signed.pem(), key.serialize_pem())
}

fn names(certificate: &Certificate) -> Vec<String> {
    certificate
        .names()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn keys_of_every_encoding_and_kind() {
    let pairs = [
        (SITE_KEY, SignatureAlgorithm::ECDSA),
        (OTHER_KEY, SignatureAlgorithm::ECDSA),
        (RSA_KEY, SignatureAlgorithm::RSA),
    ];
    for (pem, algorithm) in pairs {
        assert_eq!(Key::from_pem(pem).unwrap().algorithm(), algorithm);
    }
    let edwards = KeyPair::generate_for(&PKCS_ED25519)
        .unwrap()
        .serialize_pem();
    let key = Key::from_pem(edwards.as_bytes()).unwrap();
    assert_eq!(key.algorithm(), SignatureAlgorithm::ED25519);
    assert_eq!(
        names(&certificate(SITE, SITE_KEY)),
        ["img.example.com", "*.cdn.example.com", "192.0.2.1"]
    );
    assert_eq!(
        certificate(RSA, RSA_KEY).algorithm(),
        SignatureAlgorithm::RSA
    );
    // All in one file, as HAProxy has it.
    let both = [SITE_KEY, SITE].concat();
    assert_eq!(names(&certificate(&both, &both)).len(), 3);
}

#[rstest]
#[case::empty(b"", KeyError::Pem(PemError::Empty))]
#[case::text(b"hello", KeyError::NoKey)]
#[case::der(b"\x30\x82\x01\x01\x02\x01\x00", KeyError::Pem(PemError::Binary))]
#[case::short_der(b"\x30\x03\x02\x01\x00", KeyError::Pem(PemError::Binary))]
#[case::a_number(b"0.5\n", KeyError::NoKey)]
#[case::certificate(SITE, KeyError::Certificate)]
#[case::encrypted(ENCRYPTED_KEY, KeyError::Encrypted)]
#[case::encrypted_before(
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    KeyError::Encrypted
)]
#[case::cut(&SITE_KEY[..100], KeyError::Pem(PemError::CutShort))]
#[case::two(&[SITE_KEY, OTHER_KEY].concat(), KeyError::Several(2))]
#[case::nonsense(
    b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    KeyError::Unsupported
)]
fn what_is_no_key(#[case] file: &[u8], #[case] expected: KeyError) {
    assert_eq!(Key::from_pem(file).unwrap_err(), expected);
}

#[test]
fn what_is_no_chain() {
    let error = |file: &[u8]| Chain::from_pem(file).unwrap_err();
    assert_eq!(error(b""), PemError::Empty.into());
    assert_eq!(error(b"\x30\x82\x01\x01\x30"), PemError::Binary.into());
    assert_eq!(error(SITE_KEY), ChainError::Key);
    assert_eq!(error(b"hello"), ChainError::NoCertificate);
    assert_eq!(error(&SITE[..200]), PemError::CutShort.into());
    let damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = error(&[SITE, &damaged[..]].concat());
    assert!(
        matches!(second, ChainError::Certificate { number: 2, .. }),
        "{second}"
    );
}

#[test]
fn the_key_has_to_be_the_first_certificates() {
    let pair = |chain: &[u8], key: &[u8]| {
        let chain = Chain::from_pem(chain).unwrap();
        Certificate::new(chain, Key::from_pem(key).unwrap()).map(|_| ())
    };
    assert_eq!(pair(SITE, SITE_KEY), Ok(()));
    assert_eq!(pair(SITE, OTHER_KEY), Err(MismatchError::OtherKey));
    assert_eq!(pair(SITE, RSA_KEY), Err(MismatchError::OtherKey));
    let wrong_order = [RSA, SITE].concat();
    let order = MismatchError::Order { number: 2 };
    assert_eq!(pair(&wrong_order, SITE_KEY), Err(order));
    assert_eq!(pair(&wrong_order, RSA_KEY), Ok(()));
}

#[test]
fn both_ends_of_its_time_count() {
    let (begin, end) = (1_800_000_000, 1_800_864_000);
    let at =
        |seconds: i64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap());
    let certificate = issued_with(&["a.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2027, 1, 15) + Duration::from_secs(8 * 3600);
        params.not_after = params.not_before + Duration::from_secs(864_000);
    });
    assert_eq!(certificate.expires(), at(end));
    assert_eq!(
        certificate.check(at(begin - 1)),
        Err(ValidityError::NotYet(at(begin)))
    );
    assert_eq!(certificate.check(at(begin)), Ok(()));
    assert_eq!(
        certificate.check(at(end) + Duration::from_millis(999)),
        Ok(())
    );
    assert_eq!(
        certificate.check(at(end + 1)),
        Err(ValidityError::Expired(at(end)))
    );
    // Ten days long: a sixth is 40 hours.
    assert!(!certificate.is_about_to_expire(at(end - 40 * 3600)));
    assert!(certificate.is_about_to_expire(at(end - 40 * 3600 + 1)));
    let told = certificate.check(at(end + 1)).unwrap_err().to_string();
    assert!(
        told.ends_with("until Mon, 25 Jan 2027 08:00:00 GMT"),
        "{told}"
    );
}

#[test]
fn an_issuer_that_has_expired_is_known_by_its_number() {
    let (old, _) = pem(&["old.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let site = certificate(&[SITE, old.as_bytes()].concat(), SITE_KEY);
    let now = SystemTime::now();
    assert_eq!(site.check(now), Ok(()));
    let invalid: Vec<_> = site.invalid_issuers(now).collect();
    assert!(
        matches!(invalid[..], [(2, ValidityError::Expired(_))]),
        "{invalid:?}"
    );
}

#[rstest]
#[case("Img.Example.COM", Some("img.example.com"))]
#[case("img.example.com.", Some("img.example.com"))]
#[case("*.Example.com", Some("*.example.com"))]
#[case("*.com", Some("*.com"))]
#[case("xn--mnchen-3ya.example", Some("xn--mnchen-3ya.example"))]
#[case("w*.example.com", None)]
#[case("*.*.example.com", None)]
#[case("a.*.example.com", None)]
#[case("*", None)]
#[case("*.", None)]
#[case("", None)]
#[case("a..example", None)]
#[case("192.0.2.1", None)]
#[case("m\u{fc}nchen.example", None)]
fn names_that_a_client_can_ask_for(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(
        Name::dns(text).map(|name| name.to_string()).as_deref(),
        expected
    );
}

#[rstest]
#[case::none(None, 0)]
#[case::unknown(Some("example.com"), 0)]
#[case::address(Some("192.0.2.1"), 0)]
#[case::exact(Some("b.example"), 1)]
#[case::in_any_case(Some("B.Example"), 1)]
#[case::dot_at_the_end(Some("b.example."), 1)]
#[case::wildcard(Some("a.c.example"), 2)]
#[case::exact_before_wildcard(Some("x.c.example"), 3)]
#[case::one_label_only(Some("a.b.c.example"), 0)]
#[case::not_the_bare_domain(Some("c.example"), 0)]
#[case::no_label(Some(".c.example"), 0)]
#[case::only_dots(Some(".."), 0)]
fn who_asks_gets(#[case] host: Option<&str>, #[case] place: usize) {
    let all = [
        &["a.example"],
        &["b.example"],
        &["*.c.example"],
        &["x.c.example"],
    ];
    let certificates = Certificates::new(all.map(|names| issued(names)).to_vec()).unwrap();
    assert_eq!(certificates.place_for(host), place);
}

#[test]
fn the_first_of_two_with_the_same_name_is_shown() {
    let all = [
        issued(&["a.example", "b.example"]),
        issued(&["c.example", "B.example", "*.d.example"]),
        issued(&["*.d.example", "c.example"]),
        certificate(RSA, RSA_KEY),
        certificate(SITE, SITE_KEY),
    ];
    let certificates = Certificates::new(all.to_vec()).unwrap();
    let conflict = |first, second, names: &[&str]| Conflict {
        first,
        second,
        names: names.iter().map(|name| Name::dns(name).unwrap()).collect(),
    };
    assert_eq!(
        certificates.conflicts(),
        [
            conflict(0, 1, &["b.example"]),
            conflict(1, 2, &["*.d.example", "c.example"]),
        ]
    );
    assert_eq!(certificates.place_for(Some("b.example")), 0);
    assert_eq!(certificates.place_for(Some("x.d.example")), 1);
    assert!(Certificates::new(Vec::new()).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against what reads every name of every certificate in turn.
    #[test]
    fn the_choice_agrees_with_a_linear_search(
        lists in prop::collection::vec(prop::collection::vec("(\\*\\.)?([ab]\\.){0,2}[ab]", 1..4), 1..5),
        hosts in prop::collection::vec("([abAB]\\.){0,3}[abAB]\\.?|\\.[ab]|", 16),
    ) {
        let certificates = certificates_of(&lists);
        for host in &hosts {
            let find = |wanted: fn(&Name) -> bool| lists.iter().position(|names| {
                let mut names = names.iter().filter_map(|name| Name::dns(name));
                names.any(|name| wanted(&name) && name.covers(host))
            });
            let expected = find(|name| matches!(name, Name::Exact(_)))
                .or_else(|| find(|name| matches!(name, Name::Wildcard(_))))
                .unwrap_or(0);
            prop_assert_eq!(certificates.place_for(Some(host)), expected, "{}", host);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..1000) {
        for good in [SITE, SITE_KEY] {
            let mut file = good.to_vec();
            let at = at.min(file.len());
            file.splice(at..at, bytes.iter().copied());
            let _ = Chain::from_pem(&file);
            let _ = Key::from_pem(&file);
        }
        let _ = Chain::from_pem(&bytes);
        let _ = Key::from_pem(&bytes);
    }

    /// However a key file is damaged, and wherever it is named, nothing that
    /// is said has a part of the key in it.
    #[test]
    fn no_error_tells_of_a_key(
        cuts in prop::collection::vec((0_usize..241, 0_usize..80, "[\\n -]{0,6}"), 0..4),
        joined: bool,
    ) {
        let mut file = SITE_KEY.to_vec();
        for (at, length, typed) in cuts {
            let start = at.min(file.len());
            let end = (start + length).min(file.len());
            file.splice(start..end, typed.bytes());
        }
        if joined {
            file.retain(|byte| *byte != b'\n');
        }
        let said = [
            format!("{:?}", Key::from_pem(&file)),
            format!("{:?}", Chain::from_pem(&file)),
            Key::from_pem(&file).map_or_else(|error| error.to_string(), |_| String::new()),
            Chain::from_pem(&file).map_or_else(|error| error.to_string(), |_| String::new()),
        ].concat();
        let secret = String::from_utf8_lossy(SITE_KEY).lines().skip(1).take(3).collect::<String>();
        let secret = secret.as_bytes();
        for part in secret.windows(6) {
            prop_assert!(memchr::memmem::find(said.as_bytes(), part).is_none(), "{said}");
        }
    }
}

/// Certificates with these names, some of which no certificate can be for.
fn certificates_of(lists: &[Vec<String>]) -> Certificates {
    let site = certificate(SITE, SITE_KEY);
    let of = |names: &Vec<String>| site.with_names(names.iter().filter_map(|name| Name::dns(name)));
    Certificates::new(lists.iter().map(of).collect()).unwrap()
}
