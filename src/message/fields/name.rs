//! Names of fields that requests and responses often have, or that something
//! here asks for, each with a number: a request is looked through once, and
//! nobody compares names after that.

use hyper::header::HeaderName;

/// The number of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(u8);

/// A set of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u64);

macro_rules! known {
    ($($number:literal $constant:ident $text:literal,)*) => {
        impl Name {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $constant: Self = Self($number);
            )*
        }

        /// By number: the name.
        static NAMES: [HeaderName; COUNT] = [$(HeaderName::from_static($text),)*];

        /// By number: what a line of that name begins with.
        static LINE_STARTS: [&str; COUNT] = [$(concat!($text, ": "),)*];

        /// By number: how the name is written.
        const WRITTEN: [Text; COUNT] = [$(Text::of($text),)*];

        const COUNT: usize = [$($number,)*].len();
    };
}

known! {
    0 ACCEPT "accept",
    1 ACCEPT_ENCODING "accept-encoding",
    2 ACCEPT_LANGUAGE "accept-language",
    3 ACCEPT_RANGES "accept-ranges",
    4 ACCESS_CONTROL_ALLOW_ORIGIN "access-control-allow-origin",
    5 ACCESS_CONTROL_REQUEST_HEADERS "access-control-request-headers",
    6 ACCESS_CONTROL_REQUEST_METHOD "access-control-request-method",
    7 AUTHORIZATION "authorization",
    8 CACHE_CONTROL "cache-control",
    9 CF_CONNECTING_IP "cf-connecting-ip",
    10 CLOSE "close",
    11 CONNECTION "connection",
    12 CONTENT_ENCODING "content-encoding",
    13 CONTENT_LENGTH "content-length",
    14 CONTENT_TYPE "content-type",
    15 COOKIE "cookie",
    16 DATE "date",
    17 DNT "dnt",
    18 ETAG "etag",
    19 EXPECT "expect",
    20 FORWARDED "forwarded",
    21 HOST "host",
    22 IF_MATCH "if-match",
    23 IF_MODIFIED_SINCE "if-modified-since",
    24 IF_NONE_MATCH "if-none-match",
    25 IF_RANGE "if-range",
    26 IF_UNMODIFIED_SINCE "if-unmodified-since",
    27 KEEP_ALIVE "keep-alive",
    28 LAST_MODIFIED "last-modified",
    29 MAX_FORWARDS "max-forwards",
    30 ORIGIN "origin",
    31 PRAGMA "pragma",
    32 PRIORITY "priority",
    33 PROXY "proxy",
    34 PROXY_AUTHENTICATE "proxy-authenticate",
    35 PROXY_AUTHORIZATION "proxy-authorization",
    36 PROXY_CONNECTION "proxy-connection",
    37 RANGE "range",
    38 REFERER "referer",
    39 SAVE_DATA "save-data",
    40 SEC_CH_UA "sec-ch-ua",
    41 SEC_CH_UA_MOBILE "sec-ch-ua-mobile",
    42 SEC_CH_UA_PLATFORM "sec-ch-ua-platform",
    43 SEC_FETCH_DEST "sec-fetch-dest",
    44 SEC_FETCH_MODE "sec-fetch-mode",
    45 SEC_FETCH_SITE "sec-fetch-site",
    46 SEC_FETCH_USER "sec-fetch-user",
    47 SEC_GPC "sec-gpc",
    48 SERVER "server",
    49 TE "te",
    50 TRAILER "trailer",
    51 TRANSFER_ENCODING "transfer-encoding",
    52 TRUE_CLIENT_IP "true-client-ip",
    53 UPGRADE "upgrade",
    54 UPGRADE_INSECURE_REQUESTS "upgrade-insecure-requests",
    55 USER_AGENT "user-agent",
    56 VARY "vary",
    57 VIA "via",
    58 X_FORWARDED_FOR "x-forwarded-for",
    59 X_FORWARDED_HOST "x-forwarded-host",
    60 X_FORWARDED_PROTO "x-forwarded-proto",
    61 X_REAL_IP "x-real-ip",
    62 X_REQUEST_ID "x-request-id",
    63 X_REQUESTED_WITH "x-requested-with",
}

impl Name {
    /// How many there are; none has this number or a higher one.
    pub(super) const COUNT: usize = COUNT;

    /// The one of this name, written in any case.
    #[inline]
    pub fn of(name: &[u8]) -> Option<Self> {
        let mut slot = slot(name)?;
        let mut padded = [0; PADDED];
        padded[..name.len()].copy_from_slice(name);
        loop {
            let number = TABLE[slot];
            if number == EMPTY {
                return None;
            }
            if TEXTS[usize::from(number)].is(&padded, name.len()) {
                return Some(Self(number));
            }
            slot = (slot + 1) % TABLE.len();
        }
    }

    /// All of them, by their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u8).map(Self)
    }

    /// The name.
    pub fn name(self) -> &'static HeaderName {
        &NAMES[self.number()]
    }

    /// What a line of that name begins with, up to its value.
    #[inline]
    pub fn line_start(self) -> &'static [u8] {
        LINE_STARTS[self.number()].as_bytes()
    }

    /// Its number, below [`Name::COUNT`].
    #[inline]
    pub(super) const fn number(self) -> usize {
        self.0 as usize
    }
}

impl Names {
    /// A set of these.
    pub const fn of(names: &[Name]) -> Self {
        let mut set = 0;
        let mut next = 0;
        while next < names.len() {
            set |= 1 << names[next].0;
            next += 1;
        }
        Self(set)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `name` is in it.
    #[inline]
    pub const fn contains(self, name: Name) -> bool {
        self.0 & 1 << name.0 != 0
    }

    /// Whether one is in both.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With `name` too.
    #[inline]
    pub fn insert(&mut self, name: Name) {
        self.0 |= 1 << name.0;
    }
}

/// No name.
const EMPTY: u8 = u8::MAX;

/// Where a name is looked for first: by its length and two of its letters.
#[inline]
const fn slot(name: &[u8]) -> Option<usize> {
    let length = name.len();
    if length < 2 || length > LONGEST {
        return None;
    }
    let first = (name[0] | 0x20) as usize;
    let late = (name[length - 2] | 0x20) as usize;
    Some((length * 17 + first * 5 + late * 23) % SLOTS)
}

const SLOTS: usize = 256;

/// The length of the longest name.
const LONGEST: usize = 30;

/// A name is compared in one go, whatever its length.
const PADDED: usize = 32;

/// How a name is written, beside the case of its letters.
struct Text {
    length: usize,
    /// In lower case.
    lower: [u8; PADDED],
    /// Where there is a letter: the bit that tells its case.
    case: [u8; PADDED],
}

impl Text {
    const fn of(text: &str) -> Self {
        let text = text.as_bytes();
        let (mut lower, mut case) = ([0; PADDED], [0; PADDED]);
        let mut at = 0;
        while at < text.len() {
            lower[at] = text[at];
            case[at] = if text[at].is_ascii_lowercase() {
                0x20
            } else {
                0
            };
            at += 1;
        }
        Self {
            length: text.len(),
            lower,
            case,
        }
    }

    const fn written(&self) -> &[u8] {
        self.lower.split_at(self.length).0
    }

    #[inline]
    fn is(&self, padded: &[u8; PADDED], length: usize) -> bool {
        let mut differs = 0;
        for ((byte, case), lower) in padded.iter().zip(&self.case).zip(&self.lower) {
            differs |= (byte | case) ^ lower;
        }
        differs == 0 && length == self.length
    }
}

static TEXTS: [Text; COUNT] = WRITTEN;

/// By slot: the number of a name that belongs here or in a slot before.
static TABLE: [u8; SLOTS] = table();

const fn table() -> [u8; SLOTS] {
    let mut table = [EMPTY; SLOTS];
    let mut number = 0;
    while number < COUNT {
        let Some(mut at) = slot(WRITTEN[number].written()) else {
            panic!("a name is too short or too long");
        };
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = number as u8;
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use hyper::header;

    use super::*;

    #[test]
    fn numbers_are_places() {
        const { assert!(COUNT <= 64, "a set has a bit for each") };
        for (number, name) in NAMES.iter().enumerate() {
            let known = Name::of(name.as_str().as_bytes()).unwrap();
            assert_eq!(known.number(), number, "{name}");
            assert_eq!(known.name(), name);
        }
        assert_eq!(Name::X_REQUESTED_WITH.name().as_str(), "x-requested-with");
        assert_eq!(Name::HOST.name(), &header::HOST);
    }

    #[test]
    fn found_in_any_case_and_no_other() {
        for written in [
            "x-forwarded-for",
            "X-Forwarded-For",
            "X-FORWARDED-FOR",
            "x-Forwarded-foR",
        ] {
            assert_eq!(Name::of(written.as_bytes()), Some(Name::X_FORWARDED_FOR));
        }
        for other in [
            "",
            "a",
            "x",
            "x_forwarded_for",
            "x-forwarded-fo",
            "x-forwarded-fore",
            "hosts",
        ] {
            assert_eq!(Name::of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Name::of(&[b'a'; 300]), None);
    }

    #[test]
    fn few_share_a_slot() {
        let own = |name: &&HeaderName| {
            let number = usize::from(TABLE[slot(name.as_str().as_bytes()).unwrap()]);
            NAMES[number] == **name
        };
        assert!(NAMES.iter().filter(own).count() * 5 > COUNT * 4);
    }
}
