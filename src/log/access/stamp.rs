//! RFC 3339 in UTC with milliseconds; the second is formatted once.

use std::time::{Duration, SystemTime};

use super::text::{Piece, Text};

const DAY: u64 = 24 * 60 * 60;

/// The last second with a year of four digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// A time for people and JSON: `2026-11-22T01:02:03.004Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let text = date_time(since_epoch.as_secs());
    format!("{text}{:03}Z", since_epoch.subsec_millis())
}

/// Formats times that mostly share their second.
#[derive(Debug)]
pub(super) struct Stamp {
    second: u64,
    /// The start of a line up to the second and its point.
    text: Piece,
}

impl Stamp {
    /// `{"time":"2026-11-22T01:02:03.`, and then the milliseconds and `Z"`.
    pub(super) fn push(&mut self, out: &mut Text, since_epoch: Duration) {
        let second = since_epoch.as_secs();
        if self.second != second {
            *self = Self::of(second);
        }
        out.push_piece(&self.text);
        out.push_thousandth(since_epoch.subsec_millis());
        out.push(b"Z\"");
    }

    fn of(second: u64) -> Self {
        let text = format!("{{\"time\":\"{}", date_time(second.min(LAST_SECOND)));
        Self {
            second,
            text: Piece::of(text.as_bytes()),
        }
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self::of(0)
    }
}

fn date_time(second: u64) -> String {
    let (year, month, day) = civil(second / DAY);
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.",
        second % 60
    )
}

/// The date of a day counted from 1970-01-01. Years are counted from March,
/// so that the leap day is the last one.
fn civil(day: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097; // days of 400 years
    let day = day + 719_468; // since 0000-03-01
    let (era, of_era) = (day / ERA, day % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn formats() {
        let mut stamp = Stamp::default();
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_795_310_583_120, "2026-11-22T01:23:03.120Z"),
            (1_795_310_583_121, "2026-11-22T01:23:03.121Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.000Z"),
        ] {
            let mut out = Text::default();
            stamp.push(&mut out, Duration::from_millis(millis));
            let expected = format!("{{\"time\":\"{expected}\"");
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected);
        }
    }

    #[test]
    fn every_day_of_four_centuries_agrees_with_httpdate() {
        for day in 0..146_100 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY);
            let http = httpdate::fmt_http_date(at);
            let (year, month, of_month) = civil(day);
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let name = &months[(month as usize - 1) * 3..][..3];
            assert_eq!(
                http[5..16],
                format!("{of_month:02} {name} {year}"),
                "day {day}"
            );
        }
    }
}
