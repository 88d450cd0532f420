use hyper::HeaderMap;
use hyper::header::{HeaderValue, RANGE};
use proptest::prelude::*;

use super::*;

fn request(lines: &[&[u8]]) -> Fields {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(RANGE, HeaderValue::from_bytes(line).unwrap());
    }
    headers.into()
}

fn selected(line: &str, length: u64) -> Selection {
    select(&request(&[line.as_bytes()]), length)
}

#[test]
fn ranges_of_ten_bytes() {
    for (line, expected) in [
        ("bytes=0-1", &[(0, 2)][..]),
        ("bytes=1-", &[(1, 10)]),
        ("bytes=-1", &[(9, 10)]),
        ("bytes=-99", &[(0, 10)]),
        ("bytes=0-", &[(0, 10)]),
        ("bytes=9-9", &[(9, 10)]),
        ("bytes=5-99", &[(5, 10)]),
        ("BYTES=0-0", &[(0, 1)]),
        ("bytes=00-0001", &[(0, 2)]),
        ("bytes=0-99999999999999999999999", &[(0, 10)]),
        ("bytes=0-18446744073709551615", &[(0, 10)]),
        ("bytes=-99999999999999999999999", &[(0, 10)]),
        // Several: in the order asked for, adjacent ones too; empty members
        // are none; those that are not there are left out.
        ("bytes=0-1,4-5", &[(0, 2), (4, 6)]),
        ("bytes=4-5 ,\t0-1", &[(4, 6), (0, 2)]),
        ("bytes=0-1,2-3", &[(0, 2), (2, 4)]),
        ("bytes=,0-1,,-1,", &[(0, 2), (9, 10)]),
        ("bytes=0-1,10-", &[(0, 2)]),
        ("bytes=20-30,-0,3-3", &[(3, 4)]),
    ] {
        let ranges = expected.iter().map(|(start, end)| *start..*end);
        let expected = Selection::Ranges(ranges.collect());
        assert_eq!(selected(line, 10), expected, "{line}");
    }
}

#[test]
fn none_is_there() {
    for line in [
        "bytes=10-",
        "bytes=10-11",
        "bytes=-0",
        "bytes=10-, 11-12",
        "bytes=18446744073709551615-",
        "bytes=18446744073709551616-",
        "bytes=99999999999999999999999-",
    ] {
        assert_eq!(selected(line, 10), Selection::Unsatisfiable, "{line}");
    }
}

#[test]
fn ignored() {
    for line in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=2-1",
        "bytes=0-1,2-1",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes= 1-2-3",
        "bytes=0-1;q",
        "bytes =0-1",
        "bytes:0-1",
        "items=0-1",
        // Overlapping.
        "bytes=0-5,5-6",
        "bytes=0-,-1",
        "bytes=-1,-2",
        "bytes=3-3,0-9",
    ] {
        assert_eq!(selected(line, 10), Selection::Whole, "{line}");
    }
    let twice = request(&[b"bytes=0-1", b"bytes=0-1"]);
    assert_eq!(select(&twice, 10), Selection::Whole);
    assert_eq!(select(&Fields::default(), 10), Selection::Whole);
    assert_eq!(selected("bytes=0-0", 0), Selection::Whole);
    assert_eq!(selected("bytes=-1", 0), Selection::Whole);
}

#[test]
fn sixteen_and_no_more() {
    let many = |count: u64| {
        let specs: Vec<String> = (0..count).map(|at| format!("{0}-{0}", at * 2)).collect();
        format!("bytes={}", specs.join(","))
    };
    let Selection::Ranges(ranges) = selected(&many(16), 100) else {
        panic!("16 ranges are served");
    };
    assert_eq!(ranges.len(), 16);
    assert_eq!(selected(&many(17), 100), Selection::Whole);
    // Those that are not there count too.
    assert_eq!(selected(&many(17), 1), Selection::Whole);
}

#[test]
fn what_the_origin_is_left_to_answer() {
    for (line, expected) in [
        ("bytes=0-", false),
        ("bytes=0-99", false),
        ("bytes=1-", true),
        ("bytes=-5", true),
        ("bytes=0-1,5-6", true),
        ("bytes=0-1,-6", true),
        ("lines=0-1", true),
        // Ignored, so that all of it is fetched.
        ("bytes=0-,0-,0-", false),
        ("bytes=0-5,5-9", false),
        ("bytes=5-,-1", false),
        ("bytes=9-1", false),
        ("bytes =9-", false),
        ("nonsense", false),
    ] {
        let found = is_for_origin(&request(&[line.as_bytes()]));
        assert_eq!(found, expected, "{line}");
    }
    assert!(!is_for_origin(&Fields::default()));
}

/// Mostly ranges, some of them wrong.
const LINES: &str = "(bytes=)?([0-9]{0,3}-[0-9]{0,3}[ ,]{0,2}){0,5}|bytes=([0-9]{1,2}-,?|-[0-9]{1,22},?){1,3}|[ -~\t]{0,20}|bytes=[0-9,-]{0,60}";

proptest! {
    #[test]
    fn what_is_served_is_there(line in LINES, length in prop_oneof![0..40_u64, any::<u64>()]) {
        let headers = request(&[line.as_bytes()]);
        is_for_origin(&headers);
        if let Selection::Ranges(ranges) = select(&headers, length) {
            prop_assert!((1..=MOST).contains(&ranges.len()));
            let mut sorted = ranges.to_vec();
            sorted.sort_unstable_by_key(|range| range.start);
            prop_assert!(sorted.iter().all(|range| !range.is_empty() && range.end <= length));
            prop_assert!(sorted.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), length: u64) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = Fields::from(HeaderMap::from_iter([(RANGE, value)]));
            select(&headers, length);
            is_for_origin(&headers);
        }
    }

    /// Byte by byte, as the RFC tells it.
    #[test]
    fn every_byte_that_is_asked_for_is_served(
        specs in proptest::collection::vec((0..50_u64, 0..50_u64, 0..3_u8), 1..6),
        length in 1..40_u64,
    ) {
        let text: Vec<String> = specs.iter().map(|(a, b, kind)| match kind {
            0 => format!("{}-{}", a.min(b), a.max(b)),
            1 => format!("{a}-"),
            _ => format!("-{a}"),
        }).collect();
        let times = |byte: u64| specs.iter().filter(|(a, b, kind)| match kind {
            0 => (*a.min(b)..=*a.max(b)).contains(&byte),
            1 => byte >= *a,
            _ => byte + a >= length,
        }).count();
        let found = selected(&format!("bytes={}", text.join(",")), length);
        if (0..length).any(|byte| times(byte) > 1) {
            prop_assert_eq!(found, Selection::Whole);
        } else if (0..length).all(|byte| times(byte) == 0) {
            prop_assert_eq!(found, Selection::Unsatisfiable);
        } else {
            let Selection::Ranges(ranges) = found else { panic!("{text:?}") };
            for byte in 0..length {
                let served = ranges.iter().filter(|range| range.contains(&byte)).count();
                prop_assert_eq!(served, times(byte));
            }
        }
    }
}
