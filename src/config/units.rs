//! Durations and sizes: strings with a unit.

use std::time::Duration;

/// What a duration may look like, for messages.
pub(super) const DURATIONS: &str =
    r#"a whole number and a unit: "250ms", "10s", "5m", "1h", "365d" at most"#;

/// What a size may look like, for messages.
pub(super) const SIZES: &str = r#"a whole number and a unit: "512 B", "32 KiB", "64 MiB", "1 GiB""#;

/// A timer further away than this is a mistake, and could not be set.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Each with its milliseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
];

/// Each with how many bits a number of bytes is moved by.
const SIZE_UNITS: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Reads `"10s"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = of_unit(&DURATION_UNITS, unit)?;
    let duration = Duration::from_millis(number.checked_mul(milliseconds)?);
    (duration <= LONGEST).then_some(duration)
}

/// Reads `"64 MiB"`, in bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let shift = match unit {
        "" if number == 0 => 0,
        unit => of_unit(&SIZE_UNITS, unit)?,
    };
    number.checked_mul(1 << shift)
}

/// A regular expression (ECMA-262) for durations. How long the longest is, it
/// does not tell.
pub(super) fn duration_pattern() -> String {
    format!("^[0-9]+ *(?:{})$", names(&DURATION_UNITS))
}

/// The same without those that are nothing.
pub(super) fn positive_duration_pattern() -> String {
    format!("^0*[1-9][0-9]* *(?:{})$", names(&DURATION_UNITS))
}

/// The same for sizes.
pub(super) fn size_pattern() -> String {
    format!("^(?:0+ *|[0-9]+ *(?:{}))$", names(&SIZE_UNITS))
}

/// The same for sizes that are not nothing.
pub(super) fn positive_size_pattern() -> String {
    format!("^0*[1-9][0-9]* *(?:{})$", names(&SIZE_UNITS))
}

fn names<T>(units: &[(&str, T)]) -> String {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    names.join("|")
}

fn of_unit<T: Copy>(units: &[(&str, T)], unit: &str) -> Option<T> {
    let found = units.iter().find(|(name, _)| *name == unit);
    found.map(|(_, value)| *value)
}

/// A size as it may be written, in the largest unit that leaves no rest.
pub fn written_size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &(u32, _)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    let (shift, unit) = units.into_iter().find(whole).unwrap_or((0, "B"));
    format!("{} {unit}", bytes >> shift)
}

/// What was probably meant by a duration that cannot be read.
pub(super) fn nearest_duration(text: &str) -> String {
    let Some((number, unit)) = split(text) else {
        return String::new();
    };
    let unit = match unit.to_ascii_lowercase().as_str() {
        "msec" | "millis" | "milliseconds" => "ms",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        "" | "s" | "sec" | "secs" | "second" | "seconds" => "s",
        _ => return String::new(),
    };
    suggestion(&format!("{number}{unit}"), duration)
}

/// What was probably meant by a size that cannot be read.
pub(super) fn nearest_size(text: &str) -> String {
    let Some((number, unit)) = split(text) else {
        return String::new();
    };
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        "t" | "tb" | "tib" => "TiB",
        _ => return String::new(),
    };
    suggestion(&format!("{number} {unit}"), size)
}

/// Nothing that would be refused as well.
fn suggestion<T>(nearest: &str, read: impl Fn(&str) -> Option<T>) -> String {
    match read(nearest) {
        Some(_) => format!("write `\"{nearest}\"`"),
        None => String::new(),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Some(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(duration("365d"), Some(LONGEST));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "366d",
            "10S",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(size("0"), Some(0));
        assert_eq!(size("64 MiB"), Some(64 << 20));
        assert_eq!(size("1GiB"), Some(1 << 30));
        for bad in ["", "10", "64 MB", "MiB", "-1 KiB", "16777216 TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn writes_sizes() {
        for text in ["0 B", "1023 B", "1 KiB", "1025 KiB", "128 MiB", "3 TiB"] {
            assert_eq!(written_size(size(text).unwrap()), text);
        }
        assert_eq!(written_size(1 << 20), "1 MiB");
    }

    #[test]
    fn suggests_what_is_taken() {
        assert_eq!(nearest_duration("3 min"), "write `\"3m\"`");
        assert_eq!(nearest_size("64MB"), "write `\"64 MiB\"`");
        for too_long in ["400d", "400 days"] {
            assert_eq!(nearest_duration(too_long), "");
        }
        assert_eq!(nearest_size("16777216 TiB"), "");
    }
}
