use proptest::prelude::*;

use super::*;

/// A header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [BINARY, &[command, family], &length, block].concat()
}

fn v4_block(source: [u8; 4]) -> Vec<u8> {
    [&source[..], &[192, 0, 2, 2, 0x12, 0x34, 0, 80]].concat()
}

fn v6_block(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &[0x20; 16], &[0x12, 0x34, 0, 80]].concat()
}

fn named(header: &[u8]) -> Option<String> {
    let read = read(header).unwrap().unwrap();
    assert_eq!(read.length, header.len());
    read.source.map(|source| source.to_string())
}

/// Headers of all kinds, and whom they name.
fn valid() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let tlvs = [v4_block([203, 0, 113, 9]), vec![0xea; 4096 - 12]].concat();
    let line = |line: &str| format!("{line}\r\n").into_bytes();
    let mut valid = vec![
        (
            line("PROXY TCP4 203.0.113.9 192.0.2.2 0 65535"),
            Some("203.0.113.9"),
        ),
        (
            line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535"),
            Some("255.255.255.255"),
        ),
        (
            line("PROXY TCP6 2001:DB8::9 ::1 4711 443"),
            Some("2001:db8::9"),
        ),
        (
            line("PROXY TCP6 ::ffff:203.0.113.9 ::ffff:192.0.2.2 1 1"),
            Some("::ffff:203.0.113.9"),
        ),
        (
            line(&format!("PROXY TCP6 {longest} {longest} 65535 65535")),
            Some(longest),
        ),
        (line("PROXY UNKNOWN"), None),
        (line("PROXY UNKNOWN anything at all"), None),
        (
            line(&format!("PROXY UNKNOWN {longest} {longest} 65535 65535")),
            None,
        ),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, &v4_block([203, 0, 113, 9])), None),
        (v2(0x20, 0xff, b"???"), None),
        (v2(0x21, 0x00, b""), None),
        (v2(0x21, 0x00, &v4_block([203, 0, 113, 9])), None),
        (
            v2(0x21, 0x21, &v6_block("2001:db8::9")),
            Some("2001:db8::9"),
        ),
        (
            v2(0x21, 0x22, &v6_block("2001:db8::9")),
            Some("2001:db8::9"),
        ),
        (v2(0x21, 0x11, &tlvs), Some("203.0.113.9")),
        (v2(0x21, 0x31, &[b'/'; 216]), None),
        (v2(0x21, 0x32, &[0; 216]), None),
    ];
    for family in [0x11, 0x12] {
        let header = v2(0x21, family, &v4_block([203, 0, 113, 9]));
        valid.push((header, Some("203.0.113.9")));
    }
    valid
}

#[test]
fn each_kind_is_read() {
    for (header, source) in valid() {
        let shown = String::from_utf8_lossy(&header).into_owned();
        assert_eq!(named(&header).as_deref(), source, "{shown:?}");
    }
    let longest = valid().iter().map(|(header, _)| header.len()).max();
    assert_eq!(longest, Some(MOST));
}

#[test]
fn of_a_part_more_is_needed() {
    for (header, _) in valid() {
        for cut in 0..header.len() {
            assert_eq!(read(&header[..cut]), Ok(None), "{cut} of {header:?}");
        }
    }
}

#[test]
fn what_stands_behind_is_left() {
    for (header, _) in valid() {
        for behind in [&b"GET / HTTP/1.1\r\n"[..], b"\n", &header] {
            let together = [&header, behind].concat();
            assert_eq!(read(&together), read(&header));
        }
    }
}

#[test]
fn a_malformed_line_names_nobody() {
    for line in [
        "PROXY TCP4 203.0.113.9 192.0.2.2 1 2\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 1\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  203.0.113.9 192.0.2.2 1 2\r\n",
        "PROXY  TCP4 203.0.113.9 192.0.2.2 1 2\r\n",
        "PROXY TCP4 203.0.113.009 192.0.2.2 1 2\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.256 1 2\r\n",
        "PROXY TCP4 203.0.113.9/32 192.0.2.2 1 2\r\n",
        "PROXY TCP4 203.0.113.9:1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 01 2\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2  2\r\n",
        "PROXY TCP4 203.0.113.9 192.0.2.2 1 99999999999999999999\r\n",
        "PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n",
        "PROXY TCP4 203.0.113.9 ::1 1 2\r\n",
        "PROXY TCP6 203.0.113.9 192.0.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 [2001:db8::9] ::1 1 2\r\n",
        "PROXY UDP4 203.0.113.9 192.0.2.2 1 2\r\n",
        "PROXY tcp4 203.0.113.9 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNKNOWN\n",
        "PROXY \r\n",
    ] {
        assert_eq!(read(line.as_bytes()), Err(BadHeader::Malformed), "{line:?}");
    }
}

#[test]
fn anything_else_is_refused_at_once() {
    for bytes in [
        &b"G"[..],
        b"GET / HTTP/1.1\r\n",
        b"PROXYTCP4",
        b"PROXY\r\n",
        b"proxy ",
        b" PROXY",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\r\nPROXY",
        b"\n",
        b"\0",
        b"\x16\x03\x01",
    ] {
        assert_eq!(read(bytes), Err(BadHeader::Absent), "{bytes:?}");
    }
}

#[test]
fn a_malformed_binary_header_names_nobody() {
    let block = v4_block([203, 0, 113, 9]);
    for (command, family, block) in [
        (0x01, 0x11, &block[..]),
        (0x11, 0x11, &block),
        (0x31, 0x11, &block),
        (0x22, 0x11, &block),
        (0x2f, 0x11, &block),
        (0x21, 0x10, &block),
        (0x21, 0x13, &block),
        (0x21, 0x01, &block),
        (0x21, 0x41, &block),
        (0x21, 0xff, &block),
        (0x21, 0x11, &block[..11]),
        (0x21, 0x11, b""),
        (0x21, 0x21, &v6_block("::1")[..35]),
        (0x21, 0x31, &[0; 215]),
    ] {
        let header = v2(command, family, block);
        assert_eq!(read(&header), Err(BadHeader::Malformed), "{header:?}");
    }
}

#[test]
fn what_is_too_long_is_not_waited_for() {
    let line = format!("PROXY UNKNOWN {}", "x".repeat(LONGEST_TEXT));
    let longest = format!("{}\r\n", &line[..LONGEST_TEXT - 2]);
    assert_eq!(named(longest.as_bytes()), None);
    let longer = format!("{}\r\n", &line[..LONGEST_TEXT - 1]);
    for bytes in [&longer[..], &line, &line[..LONGEST_TEXT]] {
        assert_eq!(read(bytes.as_bytes()), Err(BadHeader::TooLong));
    }
    let length = u16::try_from(MOST - FIXED + 1).unwrap().to_be_bytes();
    let fixed = [BINARY, &[0x20, 0], &length].concat();
    assert_eq!(read(&fixed), Err(BadHeader::TooLong));
}

/// Bytes that begin like a header, or do not.
fn any_start() -> impl Strategy<Value = Vec<u8>> {
    let rest = || prop::collection::vec(any::<u8>(), 0..2 * MOST);
    let word = prop::sample::select(vec![
        "TCP4",
        "TCP6",
        "UNKNOWN",
        " ",
        "1",
        "::",
        "192.0.2.1",
        "\r",
        "\n",
        "\r\n",
        "x",
    ]);
    let words = prop::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes());
    let after = |start: Vec<u8>| move |rest: Vec<u8>| [&start[..], &rest].concat();
    let fixed = (any::<u8>(), any::<u8>(), 0..6000_u16, rest());
    prop_oneof![
        rest(),
        words.prop_map(after(TEXT.to_vec())),
        rest().prop_map(after(BINARY.to_vec())),
        fixed.prop_map(|(command, family, length, rest)| {
            let length = length.to_be_bytes();
            let command = 0x20 | command & 1;
            [BINARY, &[command, family & 0x33], &length, &rest].concat()
        }),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(bytes in any_start(), cut in any::<prop::sample::Index>()) {
        let whole = read(&bytes);
        match whole {
            Ok(Some(header)) => {
                prop_assert!(header.length <= bytes.len().min(MOST));
                // It says the same by itself, and whatever stands behind it.
                prop_assert_eq!(read(&bytes[..header.length]), whole);
            }
            Ok(None) => prop_assert!(bytes.len() < MOST),
            Err(_) => {}
        }
        // It does not matter in which pieces the bytes come.
        let cut = cut.index(bytes.len() + 1);
        match read(&bytes[..cut]) {
            Ok(None) => {
                let longer = whole.map(|header| header.is_none_or(|header| header.length > cut));
                prop_assert!(longer.unwrap_or(true));
            }
            decided => prop_assert_eq!(decided, whole),
        }
    }
}
