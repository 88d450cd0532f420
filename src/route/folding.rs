//! Other names that some origin has for a character or for a file.

use memchr::{memchr2, memchr3};

/// A way to write an ASCII character longer: what stands at the start of a
/// text, and how long that is there.
type Form = fn(&[u8]) -> Option<(u8, usize)>;

/// Sequences of two, three and four bytes that are longer than UTF-8 allows
/// (`C0 AF` is `/`), and the characters of full width that fold into ASCII
/// (NFKC, best fit of Windows). Who knows one of them need not know the others.
const FORMS: [Form; 4] = [two_bytes, three_bytes, four_bytes, full_width];

/// With the longer forms of an ASCII character replaced by it, as lenient
/// decoders do: those of each kind alone. `None`: there are none.
pub(super) fn folded(path: &[u8]) -> [Option<Vec<u8>>; FORMS.len()] {
    let is_there = memchr3(0xc0, 0xc1, 0xe0, path).or_else(|| memchr2(0xef, 0xf0, path));
    FORMS.map(|form| is_there.and_then(|_| replaced(path, form)))
}

/// With `%u002F` replaced by `/`, and the like up to `%u00FF`, and `%uFF0F`,
/// which is that in full width. `None`: there are none.
pub(super) fn unicode_decoded(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(path, b"%u").or_else(|| memchr::memmem::find(path, b"%U"))?;
    replaced(path, |rest| {
        let (b"%u" | b"%U", digits) = rest.split_at_checked(2)? else {
            return None;
        };
        let mut digits = digits.get(..4)?.iter();
        let value = digits.try_fold(0, |value, digit| {
            Some(value * 16 + char::from(*digit).to_digit(16)?)
        })?;
        let folded = match value {
            0xff01..=0xff5e => value - 0xfee0,
            value => value,
        };
        Some((u8::try_from(folded).ok()?, 6))
    })
}

/// As Windows names files: without dots and blanks at the end of a segment,
/// without what names a stream of it (`::$DATA`). `None`: that is the same.
pub(super) fn windows_names(path: &[u8]) -> Option<Vec<u8>> {
    let has = |needle: &[u8]| memchr::memmem::find(path, needle).is_some();
    let ends = matches!(path, [.., b'.' | b' ']);
    if !(ends || has(b"./") || has(b" /") || has(b":$")) {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    for (at, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(windows_name(segment));
    }
    (out != path).then_some(out)
}

fn windows_name(segment: &[u8]) -> &[u8] {
    let name = match memchr::memmem::find(segment, b":$") {
        Some(_) => segment.split(|byte| *byte == b':').next(),
        None => Some(segment),
    };
    let name = name.unwrap_or(segment);
    let end = name.iter().rposition(|byte| *byte != b' ');
    match &name[..end.map_or(0, |last| last + 1)] {
        dots @ (b"." | b"..") => dots,
        name => {
            let end = name.iter().rposition(|byte| !matches!(byte, b' ' | b'.'));
            &name[..end.map_or(0, |last| last + 1)]
        }
    }
}

/// What `find` has for the start of the rest, and the length it stands for,
/// in the place of that. `None`: nothing was found.
fn replaced(path: &[u8], find: impl Fn(&[u8]) -> Option<(u8, usize)>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, ..] = rest {
        let (value, length) = find(rest).unwrap_or((*byte, 1));
        out.push(value);
        rest = &rest[length..];
    }
    (out.len() < path.len()).then_some(out)
}

fn two_bytes(rest: &[u8]) -> Option<(u8, usize)> {
    match *rest {
        [high @ (0xc0 | 0xc1), low, ..] => Some((joined(high, low)?, 2)),
        _ => None,
    }
}

fn three_bytes(rest: &[u8]) -> Option<(u8, usize)> {
    match *rest {
        [0xe0, high @ (0x80 | 0x81), low, ..] => Some((joined(high, low)?, 3)),
        _ => None,
    }
}

fn four_bytes(rest: &[u8]) -> Option<(u8, usize)> {
    match *rest {
        [0xf0, 0x80, high @ (0x80 | 0x81), low, ..] => Some((joined(high, low)?, 4)),
        _ => None,
    }
}

/// U+FF01 to U+FF5E stand for `!` to `~`.
fn full_width(rest: &[u8]) -> Option<(u8, usize)> {
    match *rest {
        [0xef, 0xbc, low @ 0x81..=0xbf, ..] => Some((low - 0x60, 3)),
        [0xef, 0xbd, low @ 0x80..=0x9e, ..] => Some((low - 0x20, 3)),
        _ => None,
    }
}

/// The seven bits of the last two bytes of a sequence.
fn joined(high: u8, low: u8) -> Option<u8> {
    (low & 0xc0 == 0x80).then_some((high & 1) << 6 | low & 0x3f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: Option<Vec<u8>>) -> Option<String> {
        path.map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn longer_forms() {
        for (given, expected) in [
            (&b"/a"[..], None),
            (b"/\xc0\xaf\xc0\xae", Some("//.")),
            (b"\xe0\x80\xaf\xf0\x80\x80\xaf\xe0\x81\x9c", Some("//\\")),
            (b"\xc1\xb0", Some("p")),
            (
                "/\u{ff0e}\u{ff0f}\u{ff3c}\u{ff41}\u{ff5e}\u{ff01}".as_bytes(),
                Some("/./\\a~!"),
            ),
            ("/\u{ff00}\u{ff5f}\u{ff61}\u{fffd}\u{920}".as_bytes(), None),
            (b"\xc0", None),
            (b"\xc0/", None),
            (b"\xe0\x80", None),
            ("/\u{10348}\u{e9}".as_bytes(), None),
        ] {
            let all = FORMS.into_iter().fold(None, |path: Option<Vec<u8>>, form| {
                replaced(path.as_deref().unwrap_or(given), form).or(path)
            });
            assert_eq!(text(all).as_deref(), expected, "{given:x?}");
            let any = folded(given).iter().any(Option::is_some);
            assert_eq!(any, expected.is_some(), "{given:x?}");
        }
    }

    #[test]
    fn unicode_escapes() {
        for (path, expected) in [
            ("/%u002f%U002E%u0070", Some("//.p")),
            ("/%uFF0E%uff0f", Some("/./")),
            ("/%u2215%u00g0%u00%uff5f", None),
            ("/a", None),
        ] {
            assert_eq!(
                text(unicode_decoded(path.as_bytes())).as_deref(),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn names_of_windows() {
        for (path, expected) in [
            ("/a./b. . /c ", Some("/a/b/c")),
            ("/a/../b/. ", Some("/a/../b/.")),
            ("/a/.. /...", Some("/a/../")),
            ("/a::$DATA", Some("/a")),
            ("/a:$i30:$INDEX_ALLOCATION/b", Some("/a/b")),
            ("/a/./b.c/:w", None),
        ] {
            assert_eq!(
                text(windows_names(path.as_bytes())).as_deref(),
                expected,
                "{path}"
            );
        }
    }
}
