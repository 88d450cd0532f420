//! Paths: no spelling of one meets another rule than the path that an origin
//! takes it for, whatever that origin does to paths.
//!
//! The first three bytes choose what the origin does, in steps of four bits; the
//! rest is the path.

use std::sync::LazyLock;

use portcullis::route::{NormalPath, PathPattern, RouteMatcher, RouteMatcherBuilder};

static ROUTES: LazyLock<RouteMatcher> = LazyLock::new(|| {
    let mut routes = RouteMatcherBuilder::default();
    routes.add(Vec::new(), Some(vec![pattern("/premium/**")]));
    routes.add(Vec::new(), Some(vec![pattern("/img/*.jpg")]));
    routes.build()
});

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).expect("it is a pattern")
}

/// See the module.
pub fn check(data: &[u8]) {
    let Some((steps, path)) = data.split_at_checked(3) else {
        return;
    };
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    // What follows is not part of the path.
    let raw = format!("/{}", path.split(['?', '#']).next().unwrap_or_default());
    let Ok(normal) = NormalPath::new(&raw, true) else {
        return;
    };
    is_normal(normal.as_str());
    let again = NormalPath::new(normal.as_str(), true).expect("its own normal form");
    assert_eq!(again.as_str(), normal.as_str(), "normalised twice");
    let Ok(route) = ROUTES.find("example.com", &normal) else {
        return;
    };
    assert_eq!(route, route_of(normal.as_str().as_bytes()), "{normal:?}");
    let read = read_by_origin(normal.as_str().as_bytes(), steps);
    assert_eq!(
        route,
        route_of(&read),
        "{raw:?} is {:?} here and {:?} at an origin that goes by {steps:?}",
        normal.as_str(),
        String::from_utf8_lossy(&read),
    );
}

fn is_normal(path: &str) {
    assert!(path.starts_with('/') && path.is_ascii(), "{path}");
    assert!(!path.contains("//"), "{path}");
    assert!(!path.bytes().any(|b| b <= b' ' || b == 127), "{path}");
    let mut segments = path.split('/');
    assert!(!segments.any(|s| s == "." || s == ".."), "{path}");
    for escape in path.split('%').skip(1) {
        let byte = escape.get(..2).expect("two digits");
        let digit = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
        assert!(byte.bytes().all(digit), "{path}");
        let byte = u8::from_str_radix(byte, 16).expect("two digits");
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(!unreserved, "{path}");
    }
}

/// The route of a path that is what it says.
fn route_of(path: &[u8]) -> Option<usize> {
    if path == b"/premium" || path.starts_with(b"/premium/") {
        return Some(0);
    }
    let file = path.strip_prefix(b"/img/")?;
    (file.ends_with(b".jpg") && !file.contains(&b'/')).then_some(1)
}

/// What an origin makes of a path by six steps, two of which decode. In the
/// end its file system goes by the dots.
fn read_by_origin(path: &[u8], steps: &[u8]) -> Vec<u8> {
    let mut path = path.to_vec();
    let mut decoded = 0;
    for step in steps.iter().flat_map(|byte| [byte & 15, byte >> 4]) {
        path = match step {
            0 if decoded < 2 => {
                decoded += 1;
                decode(&path)
            }
            1 => path
                .iter()
                .map(|b| if *b == b'\\' { b'/' } else { *b })
                .collect(),
            2 => cut(&path),
            3 => walk(&path),
            4 => replace(&path, &[0xc0, 0xae], b'.'),
            5 => replace(&path, &[0xc0, 0xaf], b'/'),
            6 => replace(&path, "\u{ff0e}".as_bytes(), b'.'),
            7 => replace(&path, "\u{ff0f}".as_bytes(), b'/'),
            8 => up_to(&path, 0),
            9 => up_to(&path, b'?'),
            _ => path,
        };
    }
    walk(&path)
}

fn replace(path: &[u8], form: &[u8], with: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(form) {
            Some(tail) => {
                out.push(with);
                rest = tail;
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn up_to(path: &[u8], end: u8) -> Vec<u8> {
    path.split(|b| *b == end)
        .next()
        .unwrap_or_default()
        .to_vec()
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).filter(|_| path[at] == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

fn cut(path: &[u8]) -> Vec<u8> {
    let mut inside = false;
    let mut out = path.to_vec();
    out.retain(|byte| {
        inside = (inside || *byte == b';') && *byte != b'/';
        !inside
    });
    out
}

/// As a file system goes: from folder to folder. Above the root is the root.
fn walk(path: &[u8]) -> Vec<u8> {
    let mut folders: Vec<&[u8]> = Vec::new();
    let mut ends = false;
    for name in path.split(|b| *b == b'/').skip(1) {
        ends = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." => drop(folders.pop()),
            name => folders.push(name),
        }
    }
    let mut out = Vec::new();
    for name in &folders {
        out.push(b'/');
        out.extend_from_slice(name);
    }
    if ends || out.is_empty() {
        out.push(b'/');
    }
    out
}
