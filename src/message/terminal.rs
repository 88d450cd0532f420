//! Text that a request brought along, on its way to a terminal.

use std::fmt::Write as _;

/// Text without what a terminal would obey, and without what turns its reading
/// direction: each of these as `\u{...}`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match is_obeyed(letter) {
            true => out.extend(letter.escape_unicode()),
            false => out.push(letter),
        }
    }
    out
}

/// The same of JSON, which stays the JSON that it was.
pub fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match is_obeyed(letter) {
            // Writing to a String cannot fail. None of them is beyond 16 bits.
            true => drop(write!(out, "\\u{:04X}", u32::from(letter))),
            false => out.push(letter),
        }
    }
    out
}

/// Controls (C0, DEL, C1), line separators and direction marks.
fn is_obeyed(letter: char) -> bool {
    matches!(letter,
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed() {
        assert_eq!(
            plain("a\x1b[31m\u{9b}\u{202e}ü\n"),
            "a\\u{1b}[31m\\u{9b}\\u{202e}ü\\u{a}"
        );
        let json = serde_json::json!({ "a": "\x1b\u{9b}\u{202e}ü\u{7f}" }).to_string();
        let shown = plain_json(&json);
        assert!(!shown.chars().any(is_obeyed), "{shown}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(&json));
    }
}
