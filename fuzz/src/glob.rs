//! `Origin` patterns: what is matched is what a slow matcher, written from
//! section 6.5 alone, says. The first line is the pattern, the second a host,
//! with a port if there is one.

use portcullis::access::origins::{OriginPattern, OriginPatterns};

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, origin) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(parsed) = OriginPattern::parse(pattern) else {
        return;
    };
    let compiled = OriginPatterns::new(&[parsed]);
    let compiled = compiled.expect("what parses compiles");
    let (host, port) = match origin.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(443)),
        None => (origin, 443),
    };
    let matched = compiled.matches(host, port);
    let lower = pattern.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("https://")
        .or(lower.strip_prefix("http://"));
    let rest = rest.unwrap_or(&lower);
    if !is_host(host) || !is_plain(rest) {
        return;
    }
    if rest == "null" || rest.contains("://") {
        assert!(!matched, "{pattern} matches the host {host}");
        return;
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (name, wanted) = cut_port(rest);
    let name = name.strip_suffix('.').unwrap_or(name);
    let port = port.to_string();
    let expected = alternatives(name.as_bytes())
        .iter()
        .any(|name| fits(name, host.as_bytes()))
        && wanted.is_none_or(|wanted| {
            let wanted = alternatives(wanted.as_bytes());
            wanted.iter().any(|wanted| fits(wanted, port.as_bytes()))
        });
    assert_eq!(matched, expected, "{pattern} {host}:{port}");
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(known)
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Names that are not ASCII become A-labels, addresses are compared as such.
fn is_plain(pattern: &str) -> bool {
    let last = pattern.rsplit('.').next().unwrap_or_default();
    let number = last.starts_with(|c: char| c.is_ascii_digit());
    pattern.is_ascii() && !pattern.contains("xn--") && !pattern.contains("::") && !number
}

/// At its last `:` outside brackets.
fn cut_port(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0;
    let mut colon = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            b':' if depth == 0 => colon = Some(at),
            _ => {}
        }
    }
    match colon {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// What a pattern with braces stands for.
fn alternatives(pattern: &[u8]) -> Vec<Vec<u8>> {
    let Some(open) = pattern.iter().position(|b| *b == b'{') else {
        return vec![pattern.to_vec()];
    };
    let mut depth = 0;
    let mut cuts = vec![open];
    let mut close = None;
    for (at, byte) in pattern.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => cuts.push(at),
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
    }
    let close = close.expect("braces are closed");
    cuts.push(close);
    let mut all = Vec::new();
    for pair in cuts.windows(2) {
        let one = [
            &pattern[..open],
            &pattern[pair[0] + 1..pair[1]],
            &pattern[close + 1..],
        ];
        all.extend(alternatives(&one.concat()));
    }
    all
}

/// One without braces.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => {
            let whole = |taken: &[u8]| {
                !taken.is_empty() && taken.split(|b| *b == b'.').all(|l| !l.is_empty())
            };
            (1..=text.len()).any(|at| {
                let ends = text.get(at).is_none_or(|b| *b == b'.');
                ends && whole(&text[..at]) && fits(rest, &text[at..])
            })
        }
        [b'*', rest @ ..] => (0..=text.len())
            .take_while(|at| !text[..*at].contains(&b'.'))
            .any(|at| fits(rest, &text[at..])),
        [b'?', rest @ ..] => matches!(text, [b, text @ ..] if *b != b'.' && fits(rest, text)),
        [b'[', rest @ ..] => {
            let close = rest
                .iter()
                .position(|b| *b == b']')
                .expect("sets are closed");
            let Some((first, text)) = text.split_first() else {
                return false;
            };
            is_in(&rest[..close], *first) && fits(&rest[close + 1..], text)
        }
        [byte, rest @ ..] => matches!(text, [b, text @ ..] if b == byte && fits(rest, text)),
    }
}

fn is_in(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [first, b'-', last, rest @ ..] => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
            [] => return false,
        }
    }
}
