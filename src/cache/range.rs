//! `Range` (RFC 9110 section 14.2): which bytes are asked for, and which of
//! them there are.

use std::ops::Range;

use smallvec::SmallVec;

use crate::message::field::{Single, entries};
use crate::message::fields::{Fields, Name};

/// How many ranges one request may ask for; Range is ignored where there are
/// more, as it may be (RFC 9110 section 14.2).
const MOST: usize = 16;

/// What `Range` asks of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it: there is no Range, or it is ignored.
    Whole,
    /// Only what is not there (RFC 9110 section 14.1.2).
    Unsatisfiable,
    /// These, at least one, in the order they were asked for. None is empty,
    /// none passes the end, and no two overlap.
    Ranges(Ranges),
}

/// Mostly one.
pub type Ranges = SmallVec<[Range<u64>; 1]>;

/// A range-spec (RFC 9110 section 14.1.1). Numbers too large for 64 bits are
/// the largest one: no body reaches there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// From this byte to that one, which is included.
    From(u64, u64),
    /// The last so many.
    Last(u64),
}

/// What the field is.
enum Field {
    /// Not there, or not valid: it is ignored.
    None,
    /// Valid, in bytes.
    Bytes(SmallVec<[Spec; 1]>),
    /// In another unit, which we do not know.
    OtherUnit,
}

/// Which bytes of a body of `length` are asked for. Of an empty body all,
/// whatever is asked: it has no range, and those who always send a Range are
/// not to be answered 416 for it.
pub fn select(request: &Fields, length: u64) -> Selection {
    let Field::Bytes(specs) = parse(request) else {
        return Selection::Whole;
    };
    if length == 0 {
        return Selection::Whole;
    }
    let within = specs.iter().filter_map(|spec| spec.within(length));
    let ranges: Ranges = within.collect();
    if ranges.is_empty() {
        Selection::Unsatisfiable
    } else if overlap(&ranges) {
        Selection::Whole
    } else {
        Selection::Ranges(ranges)
    }
}

/// Whether the ranges asked for are best had from the origin alone, where
/// nothing is stored: in a unit that it may know; or bytes that do not begin
/// with the first, unless it is clear already that they would be ignored, so
/// that nobody multiplies what the origin sends by asking twice for the same
/// bytes.
pub(super) fn is_for_origin(request: &Fields) -> bool {
    match parse(request) {
        Field::None => false,
        Field::OtherUnit => true,
        Field::Bytes(specs) => match specs[..] {
            [Spec::From(first, _)] => first > 0,
            [Spec::Last(_)] => true,
            _ => {
                let longest = specs.iter().filter_map(|spec| spec.within(u64::MAX));
                !overlap(&longest.collect::<Ranges>())
            }
        },
    }
}

impl Spec {
    /// `first-[last]` or `-length`.
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|byte| *byte == b'-')?;
        let (before, after) = (&text[..dash], &text[dash + 1..]);
        match (before, after) {
            (b"", after) => number(after).map(Self::Last),
            (before, b"") => number(before).map(|first| Self::From(first, u64::MAX)),
            (before, after) => {
                let (first, last) = (number(before)?, number(after)?);
                (first <= last).then_some(Self::From(first, last))
            }
        }
    }

    /// What of it a body of `length` has; `None`: nothing.
    fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (!range.is_empty()).then_some(range)
    }
}

/// All of the field is ignored if a part of it is not valid.
fn parse(request: &Fields) -> Field {
    let value = match request.single(Name::RANGE) {
        Single::One(value) => value,
        Single::Missing | Single::Several => return Field::None,
    };
    let Some(equals) = value.iter().position(|byte| *byte == b'=') else {
        return Field::None;
    };
    let unit = &value[..equals];
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return match unit.iter().all(u8::is_ascii_graphic) {
            true => Field::OtherUnit,
            false => Field::None,
        };
    }
    let members = entries(&value[equals + 1..]).filter(|member| !member.is_empty());
    let specs: Option<SmallVec<[Spec; 1]>> = members.take(MOST + 1).map(Spec::parse).collect();
    match specs {
        Some(specs) if (1..=MOST).contains(&specs.len()) => Field::Bytes(specs),
        _ => Field::None,
    }
}

/// One or more digits.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    Some(text.iter().fold(0, add))
}

/// At most 120 comparisons.
fn overlap(ranges: &[Range<u64>]) -> bool {
    let pairs = ranges.iter().enumerate();
    pairs.clone().any(|(at, one)| {
        let others = &ranges[at + 1..];
        others
            .iter()
            .any(|other| one.start < other.end && other.start < one.end)
    })
}

#[cfg(test)]
mod tests;
