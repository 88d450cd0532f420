//! What a path asks the origin for. Client and origin both read it, so that
//! each byte of an answer is known before it comes.

use std::fmt;

use crate::random::{hash, mix};

/// By which origin a request is answered, and whether it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// By TCP, through the cache.
    Cached,
    /// By TCP, on a route without the cache.
    Live,
    /// At a Unix socket, through the cache.
    Unix,
}

/// What an origin does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// A reset in the middle of the body.
    Reset,
    /// Closed before the head.
    Close,
    /// No HTTP.
    Garbage,
    /// A body shorter than its Content-Length.
    Short,
    /// Never answers.
    Hang,
    /// Hundreds of interim responses, then an answer.
    Interim,
    /// A head without an end.
    Endless,
    /// 503, in order.
    Unavailable,
    /// Answers an upload before it has read it.
    Early,
}

impl Fault {
    pub(crate) const ALL: [(Self, &'static str); 9] = [
        (Self::Reset, "reset"),
        (Self::Close, "close"),
        (Self::Garbage, "garbage"),
        (Self::Short, "short"),
        (Self::Hang, "hang"),
        (Self::Interim, "interim"),
        (Self::Endless, "endless"),
        (Self::Unavailable, "unavailable"),
        (Self::Early, "early"),
    ];

    pub(crate) fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(fault, _)| *fault == self);
        known.expect("all faults are in the list").1
    }
}

/// An answer of the origin, as it is written in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) place: Place,
    /// Bytes of the body.
    pub(crate) size: usize,
    pub(crate) chunked: bool,
    /// For how many seconds it is fresh; `None`: it is not to be stored.
    pub(crate) fresh: Option<u64>,
    /// With an `ETag`.
    pub(crate) tagged: bool,
    /// Varies by `x-flavour`.
    pub(crate) varies: bool,
    /// Sets a cookie.
    pub(crate) cookie: bool,
    /// Comes in pieces.
    pub(crate) slow: bool,
    /// An image that has variants.
    pub(crate) image: bool,
    pub(crate) fault: Option<Fault>,
    /// Tells paths apart that are otherwise alike.
    pub(crate) name: u64,
}

impl Spec {
    /// Something simple of this size that is not stored.
    pub(crate) fn plain(size: usize, name: u64) -> Self {
        Self {
            place: Place::Cached,
            size,
            chunked: false,
            fresh: None,
            tagged: false,
            varies: false,
            cookie: false,
            slow: false,
            image: false,
            fault: None,
            name,
        }
    }

    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let (place, words, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (name, kind) = name.split_once('.')?;
        let mut spec = Self::plain(0, name.parse().ok()?);
        spec.image = kind == "jpg";
        spec.place = match place {
            "cached" => Place::Cached,
            "live" => Place::Live,
            "unix" => Place::Unix,
            _ => return None,
        };
        for word in words.split('-') {
            spec.word(word)?;
        }
        Some(spec)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        match word {
            "chunked" => self.chunked = true,
            "tagged" => self.tagged = true,
            "varies" => self.varies = true,
            "cookie" => self.cookie = true,
            "slow" => self.slow = true,
            _ => match word.split_at_checked(1)? {
                ("s", size) => self.size = size.parse().ok()?,
                ("t", fresh) => self.fresh = Some(fresh.parse().ok()?),
                ("F", fault) => {
                    let known = Fault::ALL.iter().find(|(_, name)| *name == fault)?;
                    self.fault = Some(known.0);
                }
                _ => return None,
            },
        }
        Some(())
    }

    /// What the bytes of its body come of, for who asks with this flavour
    /// and gets this kind of image.
    pub(crate) fn seed(&self, flavour: &str, webp: bool) -> u64 {
        let flavour = if self.varies { flavour } else { "" };
        let kind = if self.image && webp { "webp" } else { "" };
        hash(format!("{self} {flavour} {kind}").as_bytes())
    }
}

/// The bytes that come of `seed`.
pub(crate) fn body(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut count = seed;
    while bytes.len() < size {
        bytes.extend_from_slice(&mix(count).to_le_bytes());
        count = count.wrapping_add(1);
    }
    bytes.truncate(size);
    bytes
}

/// The validator of such a body.
pub(crate) fn etag(seed: u64) -> String {
    format!("\"{seed:016x}\"")
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Cached => "cached",
            Place::Live => "live",
            Place::Unix => "unix",
        };
        write!(f, "/{place}/s{}", self.size)?;
        if let Some(fresh) = self.fresh {
            write!(f, "-t{fresh}")?;
        }
        for (is, word) in [
            (self.chunked, "chunked"),
            (self.tagged, "tagged"),
            (self.varies, "varies"),
            (self.cookie, "cookie"),
            (self.slow, "slow"),
        ] {
            if is {
                write!(f, "-{word}")?;
            }
        }
        if let Some(fault) = self.fault {
            write!(f, "-F{}", fault.name())?;
        }
        let kind = if self.image { "jpg" } else { "bin" };
        write!(f, "/{}.{kind}", self.name)
    }
}
