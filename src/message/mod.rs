//! HTTP semantics without state: what a field, a host or a hop-by-hop field
//! is, independent of any configuration.

pub mod authority;
pub mod cache_control;
pub mod connection;
pub mod decimal;
pub mod field;
pub mod fields;
pub mod lines;
pub mod request_body;
pub mod substrings;
pub mod terminal;
pub mod unread;
pub mod vary;

use std::fmt;

/// The scheme of a request: the connection's, or what a trusted peer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, default port 80.
    Http,
    /// `https`, default port 443.
    Https,
}

impl Scheme {
    /// The scheme's name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port a URL of this scheme means when it names none (RFC 9110
    /// section 4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme of that name, in any case.
    pub const fn parse(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"http") {
            Some(Self::Http)
        } else if name.eq_ignore_ascii_case(b"https") {
            Some(Self::Https)
        } else {
            None
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
