//! Bytes of strangers as JSON text that is safe on a terminal.

use super::text::Text;

/// A value longer than this many bytes is cut.
const MAX_VALUE: usize = 4096;

/// Stands at the end of a value that was cut.
const CUT_MARK: &[u8] = b"...[cut]";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `value` and the quotation mark that ends a JSON string. Bytes
/// outside UTF-8 become the text `\xNN`; control characters, and those that
/// turn the reading direction, become JSON escapes.
#[inline]
pub(super) fn push_rest_of_string(out: &mut Text, value: &[u8]) {
    if value.len() > MAX_VALUE || !out.push_if_plain(value) {
        push_escaped(out, value);
    }
    out.push(b"\"");
}

/// Appends what `parts` are together, as [`push_rest_of_string`] does.
#[inline]
pub(super) fn push_rest_of_parts(out: &mut Text, parts: &[&[u8]]) {
    let start = out.len();
    let plain = parts.iter().all(|part| out.push_if_plain(part));
    if !plain || out.len() - start > MAX_VALUE {
        out.cut_to(start);
        return push_rest_of_string(out, &parts.concat());
    }
    out.push(b"\"");
}

#[cold]
fn push_escaped(out: &mut Text, value: &[u8]) {
    for chunk in cut(value).utf8_chunks() {
        for character in chunk.valid().chars() {
            push_char(out, character);
        }
        for byte in chunk.invalid() {
            out.push(b"\\\\x");
            out.push(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    if value.len() > MAX_VALUE {
        out.push(CUT_MARK);
    }
}

fn push_char(out: &mut Text, character: char) {
    match character {
        '"' => out.push(b"\\\""),
        '\\' => out.push(b"\\\\"),
        // Controls (C0, DEL, C1), line separators and direction marks.
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => {
            out.push(b"\\u");
            let code = u32::from(character);
            out.push(&[12, 8, 4, 0].map(|shift| HEX[(code >> shift & 15) as usize]));
        }
        _ => {
            let mut buffer = [0; 4];
            out.push(character.encode_utf8(&mut buffer).as_bytes());
        }
    }
}

/// The part of `value` that is shown; no character is cut in two.
fn cut(value: &[u8]) -> &[u8] {
    if value.len() <= MAX_VALUE {
        return value;
    }
    let mut end = MAX_VALUE;
    while end > MAX_VALUE - 3 && value[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &value[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn string(value: &[u8]) -> String {
        let mut out = Text::default();
        out.push(b"\"");
        push_rest_of_string(&mut out, value);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn nothing_reaches_a_terminal() {
        assert_eq!(string(b"curl/8"), r#""curl/8""#);
        assert_eq!(
            string(b"a\"b\\c\n\x1b[31m\x7f"),
            r#""a\"b\\c\u000A\u001B[31m\u007F""#
        );
        assert_eq!(
            string("\u{9b}31m \u{202e}x ü".as_bytes()),
            r#""\u009B31m \u202Ex ü""#
        );
        assert_eq!(string(b"a\xff\xc3"), r#""a\\xFF\\xC3""#);
    }

    #[test]
    fn parts_are_one_string() {
        let joined = |parts: &[&[u8]]| {
            let mut out = Text::default();
            out.push(b"\"");
            push_rest_of_parts(&mut out, parts);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(joined(&[b"a", b"", b"://b/c"]), r#""a://b/c""#);
        assert_eq!(joined(&[b"a\"", b"\xff"]), r#""a\"\\xFF""#);
        // A character may stand in two parts.
        assert_eq!(joined(&[b"\xc3", b"\xbc"]), "\"ü\"");
        let long = [b'a'; MAX_VALUE];
        assert_eq!(joined(&[&long, b"b"]).len(), MAX_VALUE + CUT_MARK.len() + 2);
    }

    #[test]
    fn long_values_are_cut_and_marked() {
        let long = "ü".repeat(MAX_VALUE);
        let text = string(long.as_bytes());
        assert_eq!(text.len(), MAX_VALUE + CUT_MARK.len() + 2);
        assert!(text.ends_with("ü...[cut]\""));
        assert_eq!(string(&[b'a'; MAX_VALUE]).len(), MAX_VALUE + 2);
    }

    proptest! {
        #[test]
        fn is_json_without_controls(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = string(&value);
            let read: String = serde_json::from_str(&text).unwrap();
            prop_assert!(!text.chars().any(char::is_control));
            if let Ok(valid) = std::str::from_utf8(&value) {
                prop_assert_eq!(read, valid);
            }
        }
    }
}
