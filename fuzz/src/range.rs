//! `Range`: what is selected is there, is no more than was asked for, and is
//! what a reader written from RFC 9110 section 14.1 alone finds. The first two
//! bytes are the length of the body.

use hyper::HeaderMap;
use hyper::header::{HeaderValue, RANGE};
use portcullis::cache::range::{Selection, select};

/// See the module.
pub fn check(data: &[u8]) {
    let Some((length, value)) = data.split_at_checked(2) else {
        return;
    };
    let Ok(value) = HeaderValue::from_bytes(value) else {
        return;
    };
    let length = u64::from(u16::from_le_bytes([length[0], length[1]]));
    let mut fields = HeaderMap::new();
    fields.insert(RANGE, value.clone());
    let asked = asked(value.as_bytes(), length);
    match select(&fields.into(), length) {
        Selection::Whole => {
            let ignored = asked
                .as_ref()
                .is_none_or(|asked| length == 0 || asked.len() > 16 || overlap(asked));
            assert!(ignored, "{value:?} of {length}: {asked:?} is ignored");
        }
        Selection::Unsatisfiable => assert_eq!(asked, Some(Vec::new()), "{value:?} of {length}"),
        Selection::Ranges(ranges) => {
            let ranges: Vec<_> = ranges.iter().map(|r| (r.start, r.end)).collect();
            assert!(
                ranges
                    .iter()
                    .all(|(start, end)| start < end && *end <= length)
            );
            assert!(
                ranges.len() <= 16 && !overlap(&ranges),
                "{value:?} of {length}"
            );
            assert_eq!(asked, Some(ranges), "{value:?} of {length}");
        }
    }
}

fn overlap(ranges: &[(u64, u64)]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[1].0 < pair[0].1)
}

/// The ranges that are asked for and there, first byte and the one behind the
/// last; `None`: the field is not valid.
fn asked(value: &[u8], length: u64) -> Option<Vec<(u64, u64)>> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        // Beyond what a body can have, all numbers are one.
        true if !text.is_empty() => Some(text.parse::<u64>().map_or(u64::MAX.into(), u128::from)),
        _ => None,
    };
    let length = u128::from(length);
    let mut found = Vec::new();
    let specs = set.split(',').map(|s| s.trim_matches([' ', '\t']));
    let mut count = 0;
    for spec in specs.filter(|spec| !spec.is_empty()) {
        count += 1;
        let (first, last) = spec.split_once('-')?;
        let (start, end) = match (first, last) {
            ("", last) => (length.saturating_sub(number(last)?), length),
            (first, "") => (number(first)?, length),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                (first, (last + 1).min(length))
            }
        };
        if start < end {
            found.push((start as u64, end as u64));
        }
    }
    // Too many are ignored, whatever is there.
    (1..=16).contains(&count).then_some(found)
}
