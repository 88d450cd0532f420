//! Bytes of strangers as JSON text that is safe on a terminal.

/// A value longer than this many bytes is cut.
const MAX_VALUE: usize = 4096;

/// Stands at the end of a value that was cut.
const CUT_MARK: &[u8] = b"...[cut]";

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `value` as a JSON string. Bytes outside UTF-8 become the text
/// `\xNN`; control characters, and those that turn the reading direction,
/// become JSON escapes.
pub(super) fn push_string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    push_escaped(out, cut(value));
    if value.len() > MAX_VALUE {
        out.extend_from_slice(CUT_MARK);
    }
    out.push(b'"');
}

/// Appends what `parts` are together, as [`push_string`] does.
pub(super) fn push_parts(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > MAX_VALUE || !parts.iter().all(|part| is_plain(part)) {
        return push_string(out, &parts.concat());
    }
    out.push(b'"');
    for part in parts {
        out.extend_from_slice(part);
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, value: &[u8]) {
    if is_plain(value) {
        out.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_char(out, character);
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Whether `value` is its own escape. Looks at sixteen bytes at once, of which
/// the last may have been among those before.
fn is_plain(value: &[u8]) -> bool {
    let Some(last) = value.last_chunk() else {
        let mut padded = [b' '; BLOCK];
        padded[..value.len()].copy_from_slice(value);
        return is_plain_block(&padded);
    };
    let (blocks, _) = value.as_chunks();
    blocks.iter().all(is_plain_block) && is_plain_block(last)
}

const BLOCK: usize = 16;

/// Looks at every byte, so that the compiler can look at all at once.
fn is_plain_block(block: &[u8; BLOCK]) -> bool {
    let is_other = |byte: &u8| !matches!(byte, 0x20..=0x7e) | (*byte == b'"') | (*byte == b'\\');
    let found = block.iter().map(|byte| u8::from(is_other(byte)));
    found.fold(0, |found, other| found | other) == 0
}

fn push_char(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        // Controls (C0, DEL, C1), line separators and direction marks.
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => {
            out.extend_from_slice(b"\\u");
            let code = u32::from(character);
            out.extend([12, 8, 4, 0].map(|shift| HEX[(code >> shift & 15) as usize]));
        }
        _ => {
            let mut buffer = [0; 4];
            out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
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
        let mut out = Vec::new();
        push_string(&mut out, value);
        String::from_utf8(out).unwrap()
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
            let mut out = Vec::new();
            push_parts(&mut out, parts);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(joined(&[b"a", b"", b"://b/c"]), r#""a://b/c""#);
        assert_eq!(joined(&[b"a\"", b"\xff"]), r#""a\"\\xFF""#);
        // A character may stand in two parts.
        assert_eq!(joined(&[b"\xc3", b"\xbc"]), "\"ü\"");
        let long = [b'a'; MAX_VALUE];
        assert_eq!(joined(&[&long, b"b"]).len(), MAX_VALUE + CUT_MARK.len() + 2);
    }

    #[test]
    fn every_byte_at_every_place() {
        for length in 0..50 {
            let plain = vec![b'a'; length];
            assert!(is_plain(&plain));
            for (place, byte) in
                (0..length).flat_map(|place| (0..=255).map(move |byte| (place, byte)))
            {
                let mut value = plain.clone();
                value[place] = byte;
                let expected = (0x20..=0x7e).contains(&byte) && byte != b'"' && byte != b'\\';
                assert_eq!(is_plain(&value), expected, "{byte} at {place} of {length}");
            }
        }
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
