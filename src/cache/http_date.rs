//! HTTP-dates of a response, read as a cache is to read them: more mildly than
//! those of conditional requests, where what is no date is no condition.

/// The three forms of RFC 9110 section 5.6.7 after the name of the day: `9` is
/// a digit, `_` a digit or a blank, `a` a letter, all else itself.
const FIXDATE: &[u8] = b" 99 aaa 9999 99:99:99 gmt";
const RFC_850: &[u8] = b" 99-aaa-99 99:99:99 gmt";
const ASCTIME: &[u8] = b" aaa _9 99:99:99 9999";

const SHORT_DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const LONG_DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The seconds since 1970 that an HTTP-date says. Case does not matter (RFC
/// 9111 section 4.2), nor whether the day of the week is that of the date.
/// `None`: it has none of the three forms, is no date, or is before 1970.
pub(super) fn parse(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    let (day, rest) = text.split_at(end);
    match day.strip_suffix(b",") {
        Some(day) if is_one_of(day, &SHORT_DAYS) && fits(rest, FIXDATE) => {
            seconds(&rest[8..12], &rest[4..7], &rest[1..3], &rest[13..21])
        }
        Some(day) if is_one_of(day, &LONG_DAYS) && fits(rest, RFC_850) => {
            seconds(&rest[8..10], &rest[4..7], &rest[1..3], &rest[11..19])
        }
        None if is_one_of(day, &SHORT_DAYS) && fits(rest, ASCTIME) => {
            seconds(&rest[17..21], &rest[1..4], &rest[5..7], &rest[8..16])
        }
        _ => None,
    }
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names
        .iter()
        .any(|one| name.eq_ignore_ascii_case(one.as_bytes()))
}

fn fits(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'9' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        b'a' => byte.is_ascii_alphabetic(),
        form => byte.eq_ignore_ascii_case(form),
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

/// Digits and blanks as a number.
fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().filter(|byte| **byte != b' ');
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

fn seconds(year: &[u8], month: &[u8], day: &[u8], time: &[u8]) -> Option<u64> {
    let year = match (year.len(), number(year)) {
        // Seven decades of this century; RFC 9110 has fifty years from today.
        (2, year) if year < 70 => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let is_it = |name: &str| month.eq_ignore_ascii_case(name.as_bytes());
    let month = MONTHS.iter().position(|name| is_it(name))? as u64 + 1;
    let day = number(day);
    let (hour, minute, second) = (number(&time[..2]), number(&time[3..5]), number(&time[6..]));
    // A minute may end in a leap second (RFC 9110 section 5.6.7).
    if day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `None`: it is before.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let years = year.checked_sub(1970)?;
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - LEAP_DAYS_UNTIL_1970;
    let of_months: u64 = (1..month).map(|month| days_in(year, month)).sum();
    Some(years * 365 + leap_days + of_months + day - 1)
}

/// 1969 / 4 - 1969 / 100 + 1969 / 400.
const LEAP_DAYS_UNTIL_1970: u64 = 477;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::parse;

    /// 18 August 2050, 02:01:18, a Thursday.
    const THEN: u64 = 2_544_400_878;

    #[test]
    fn the_three_forms_are_read() {
        for text in [
            "Thu, 18 Aug 2050 02:01:18 GMT",
            "Thursday, 18-Aug-50 02:01:18 GMT",
            "Thu Aug 18 02:01:18 2050",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(THEN), "{text}");
        }
        let early = parse(b"Mon Aug  8 02:01:18 2050");
        assert_eq!(early, Some(THEN - 10 * 86400));
        assert_eq!(parse(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777));
    }

    #[test]
    fn neither_case_nor_the_day_of_the_week_matters() {
        for text in [
            "THU, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 AUG 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 gMT",
            "fRiDaY, 18-aUG-50 02:01:18 gmt",
            "Fri Aug 18 02:01:18 2050",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(THEN), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            " ",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 8 Aug 2050 02:01:18 GMT",
            "Thu,  8 Aug 2050 02:01:18 GMT",
            "Tho, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aux 2050 02:01:18 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 29 Feb 2050 02:01:18 GMT",
            "Thu, 31 Apr 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:00:00 GMT",
            "Thu, 18 Aug 2050 02:60:18 GMT",
            "Thu, 18 Aug 2050 02:01:61 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sat, 01 Jan 0000 00:00:00 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT ",
            "Thu Aug 8 02:01:18 2050",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn it_is_the_inverse_of_writing_one() {
        // Every 11 days and some, to the year 9999.
        for date in (0..253_402_300_799).step_by(999_983) {
            let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(date));
            assert_eq!(parse(text.as_bytes()), Some(date), "{text}");
        }
    }
}
