//! List files: one address or CIDR a line.

use std::str;

use super::error::shown;
use super::{WrittenNetwork, parse_network};

/// After this many errors the rest is not read: a file of another kind, such
/// as a gzip, has an error on every line.
const MAX_ERRORS: usize = 100;

/// A line that holds a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Counted from 1.
    pub line: u32,
    /// What stands there; its `host_bits` are worth a warning.
    pub written: WrittenNetwork,
}

/// A line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
    /// Counted from 1.
    pub line: u32,
    /// What was found and what is allowed.
    pub message: String,
}

/// Reads a list file: one address or CIDR a line, blank lines, comments from
/// a `#` at the start of a line or behind a blank; a byte order mark and CRLF
/// are fine. A prefix shorter than /8 (IPv6: /16) is an error, since it is
/// more likely a slip than a wish. At most a hundred errors are collected.
pub fn read_list(text: impl AsRef<[u8]>) -> (Vec<ListEntry>, Vec<ListError>) {
    let text = text.as_ref();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    for (line, bytes) in (1..).zip(text.split(|b| *b == b'\n')) {
        match read_line(bytes) {
            Ok(Some(written)) => entries.push(ListEntry { line, written }),
            Ok(None) => {}
            Err(message) => errors.push(ListError { line, message }),
        }
        if errors.len() == MAX_ERRORS {
            let message = "too many errors, the rest was not read: is this a list?".to_owned();
            errors.push(ListError { line, message });
            break;
        }
    }
    (entries, errors)
}

fn read_line(bytes: &[u8]) -> Result<Option<WrittenNetwork>, String> {
    let line = str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to() + 1;
        format!("not UTF-8 at byte {byte} of the line")
    })?;
    let entry = without_comment(line).trim();
    if entry.is_empty() {
        return Ok(None);
    }
    let written = parse_network(entry).map_err(|error| explain(entry, &error.to_string()))?;
    let network = written.network;
    let shortest = if network.addr().is_ipv4() { 8 } else { 16 };
    if network.prefix_len() < shortest {
        let entry = shown(entry);
        return Err(format!(
            "`{entry}`: a prefix in a list file is /{shortest} or longer; \
             a wider network belongs into the configuration itself"
        ));
    }
    Ok(Some(written))
}

/// The line up to a `#` that begins it or stands behind a blank.
fn without_comment(line: &str) -> &str {
    let mut before = b' ';
    for (position, byte) in line.bytes().enumerate() {
        if byte == b'#' && matches!(before, b' ' | b'\t') {
            return &line[..position];
        }
        before = byte;
    }
    line
}

fn explain(entry: &str, message: &str) -> String {
    if entry.contains([';', ',', '#']) {
        format!("{message} (one a line; a comment begins with a blank and #)")
    } else {
        message.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    type Lines = Vec<(u32, String)>;

    fn read(text: impl AsRef<[u8]>) -> (Lines, Lines) {
        let (entries, errors) = read_list(text);
        let shown = |entry: ListEntry| (entry.line, entry.written.network.to_string());
        let errors = errors.into_iter().map(|error| (error.line, error.message));
        (entries.into_iter().map(shown).collect(), errors.collect())
    }

    #[test]
    fn comments_blank_lines_crlf_and_a_byte_order_mark() {
        let text = "\u{feff}# head\r\n\r\n10.0.0.1\r\n  10.1.0.0/16\t# office\r\n2001:db8::/32 #\n  # indented\n\n::1";
        let (entries, errors) = read(text);
        let expected = [
            (3, "10.0.0.1/32"),
            (4, "10.1.0.0/16"),
            (5, "2001:db8::/32"),
            (8, "::1/128"),
        ];
        assert_eq!(
            entries,
            expected.map(|(line, text)| (line, text.to_owned()))
        );
        assert_eq!(errors, []);
    }

    #[test]
    fn host_bits_are_marked() {
        let (entries, errors) = read_list("10.0.0.0/8\n10.0.0.1/24\n");
        assert!(errors.is_empty());
        let marked: Vec<u32> = entries
            .iter()
            .filter(|entry| entry.written.host_bits)
            .map(|entry| entry.line)
            .collect();
        assert_eq!(marked, [2]);
    }

    #[rstest]
    #[case(
        "0.0.0.0/0",
        "`0.0.0.0/0`: a prefix in a list file is /8 or longer; a wider network belongs into the configuration itself"
    )]
    #[case(
        "10.0.0.0/7",
        "`10.0.0.0/7`: a prefix in a list file is /8 or longer; a wider network belongs into the configuration itself"
    )]
    #[case(
        "::ffff:0:0/96",
        "`::ffff:0:0/96`: a prefix in a list file is /8 or longer; a wider network belongs into the configuration itself"
    )]
    #[case(
        "2000::/3",
        "`2000::/3`: a prefix in a list file is /16 or longer; a wider network belongs into the configuration itself"
    )]
    #[case(
        "10.0.0.1#x",
        "`10.0.0.1#x`: not an address or CIDR, such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32 (one a line; a comment begins with a blank and #)"
    )]
    #[case(
        "10.0.0.0/8 ; SBL1",
        "`10.0.0.0/8 ; SBL1`: the prefix of an IPv4 network is a number from 0 to 32 (one a line; a comment begins with a blank and #)"
    )]
    #[case(
        "a.example",
        "`a.example`: a host name is not an address: write the addresses it stands for"
    )]
    fn unusable_lines(#[case] line: &str, #[case] message: &str) {
        let (entries, errors) = read(format!("10.0.0.1\n{line}\n10.0.0.2\n"));
        assert_eq!(entries.len(), 2);
        assert_eq!(errors, [(2, message.to_owned())]);
    }

    #[test]
    fn the_longest_allowed_prefixes() {
        let (entries, errors) = read("10.0.0.0/8\n2001::/16\n");
        assert_eq!((entries.len(), errors.len()), (2, 0));
    }

    #[test]
    fn a_line_that_is_not_utf8() {
        let (entries, errors) = read(b"10.0.0.1\n10.0\xff\n10.0.0.2");
        assert_eq!(entries.len(), 2);
        assert_eq!(errors, [(2, "not UTF-8 at byte 5 of the line".to_owned())]);
    }

    #[test]
    fn a_file_of_another_kind_ends_early() {
        let (entries, errors) = read("garbage\n".repeat(100_000));
        assert!(entries.is_empty());
        assert_eq!(errors.len(), 101);
        let last = "too many errors, the rest was not read: is this a list?".to_owned();
        assert_eq!(errors[100], (100, last));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text: Vec<u8>) {
            let lines = text.split(|b| *b == b'\n').count();
            let (entries, errors) = read_list(&text);
            prop_assert!(entries.len() + errors.len() <= lines + 1);
        }
    }
}
