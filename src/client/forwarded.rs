//! `Forwarded` (RFC 7239), read from its right end.
//!
//! A reader that starts at the left can be made to swallow what a trusted
//! proxy appended: one stray quote by a stranger opens a string that ends
//! inside the proxy's element. Read from the right, an element is closed
//! before anything to its left is looked at.

use std::net::IpAddr;

use crate::message::field::trim;
use crate::message::fields::{Fields, Name};

use super::node;

/// The `for` address of every element, last one first; `None` where an
/// element names none.
pub(super) fn addresses_from_the_right(headers: &Fields) -> impl Iterator<Item = Option<IpAddr>> {
    headers
        .lines(Name::FORWARDED)
        .rev()
        .flat_map(|line| PiecesFromTheRight::new(line, b','))
        .map(address_of)
}

/// The address in an element's one `for` parameter.
fn address_of(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in PiecesFromTheRight::new(element, b';') {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
        if !name.eq_ignore_ascii_case(b"for") {
            continue;
        }
        // A repeated parameter (RFC 7239 section 4 forbids it) names nobody.
        if found.replace(value).is_some() {
            return None;
        }
    }
    node::forwarded_node(unquote(found?)?)
}

/// The text of a token or quoted string; `None` for one that is not closed.
/// Addresses need no escapes, so a string that has one is no address.
fn unquote(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] => (!inner.contains(&b'\\')).then_some(inner),
        [b'"', ..] | [.., b'"'] => None,
        token => Some(token),
    }
}

/// The pieces of `rest` between `separator`s outside quoted strings.
struct PiecesFromTheRight<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> PiecesFromTheRight<'a> {
    fn new(text: &'a [u8], separator: u8) -> Self {
        Self {
            rest: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for PiecesFromTheRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let mut quoted = false;
        for (at, &byte) in text.iter().enumerate().rev() {
            if byte == b'"' && !(quoted && is_escaped(text, at)) {
                quoted = !quoted;
            } else if byte == self.separator && !quoted {
                self.rest = Some(&text[..at]);
                return Some(trim(&text[at + 1..]));
            }
        }
        self.rest = None;
        Some(trim(text))
    }
}

/// Whether an odd number of backslashes stands before `at`.
fn is_escaped(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}
