//! What a line is made from, for the few that are asked for while the access
//! log is off.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::address::shown;
use super::draft::{Draft, Key, key};
use super::stamp::Stamp;
use super::text::Text;
use crate::log::ClientAddressMode;

/// A value is kept as far as a line shows it, and one byte more, so that it is
/// seen that it was cut.
const MOST: usize = 4096 + 1;

/// The bytes of an id of a request.
const REFERENCE: usize = 20;

/// What is known of a request whose decision is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its id.
    pub reference: &'a [u8; REFERENCE],
    /// The configuration's.
    pub generation: u64,
    /// How much of these addresses is kept.
    pub mode: ClientAddressMode,
    /// The peer.
    pub peer: IpAddr,
    /// The client.
    pub client: IpAddr,
    /// The number of the rule that denied it.
    pub rule: Option<u8>,
    /// A bit for each rule that would have.
    pub would_deny: u8,
    /// Whether it came by https.
    pub https: bool,
    /// 10, 11 or 20.
    pub version: u8,
    /// The place of its method in [`METHODS`]; `None`: it is among the lines.
    pub method: Option<u8>,
    /// The place of `client_from` in [`CLIENT_FROM`]; `None`: the same.
    pub client_from: Option<u8>,
    /// The place of `client_header` in [`CLIENT_HEADER`]; `None`: the same.
    pub client_header: Option<u8>,
    /// The client's.
    pub country: Country,
}

/// What is kept of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Country {
    /// It was not looked up: no rule of countries has denied, or would have.
    Unasked,
    /// Its letters; `None`: it has none, or no rule is of countries.
    Found(Option<[u8; 2]>),
}

/// Methods that take a byte.
pub const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "OPTIONS"];

/// Values of `client_from` that take a byte.
pub const CLIENT_FROM: [&str; 3] = ["peer", "proxy_protocol", "x-forwarded-for"];

/// Values of `client_header` that take a byte.
pub const CLIENT_HEADER: [&str; 1] = ["x-forwarded-for"];

/// Where texts go.
#[derive(Debug)]
pub struct Sink<'o> {
    out: &'o mut Vec<u8>,
    lengths: [u16; Kind::FIRSTS],
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "they are parts of a line, or fields of a request"
)]
pub enum Kind {
    Authority,
    Target,
    Route,
    Forwarded,
    Accept,
    UserAgent,
    Referer,
    Origin,
    SecFetchSite,
    SecFetchMode,
    SecFetchDest,
    Method,
    ClientFrom,
    ClientHeader,
    RequestMethod,
}

impl Kind {
    /// Most requests have a text of each of these, and only one. The others are
    /// lines, if any.
    const FIRSTS: usize = Self::SecFetchDest as usize + 1;
}

/// What was kept of a request.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8]);

/// What of a line depends on the configuration that was in force.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// `country`; `None`: not all of the address is kept.
    pub country: Option<Option<String>>,
    /// `variant`
    pub variant: Option<String>,
    /// `accept`
    pub accept: Option<String>,
    /// `cache_key`
    pub cache_key: Option<String>,
}

/// The names of the rules, by their numbers.
pub type RuleNames<'r> = &'r [&'static str];

/// Where things are in the part of fixed length.
const GENERATION: usize = 8;
const REFERENCE_AT: usize = 16;
const PEER: usize = REFERENCE_AT + REFERENCE;
const CLIENT: usize = PEER + 17;
const MODE: usize = CLIENT + 17;
const RULE: usize = MODE + 1;
const WOULD_DENY: usize = RULE + 1;
const HTTPS: usize = WOULD_DENY + 1;
const VERSION: usize = HTTPS + 1;
const METHOD: usize = VERSION + 1;
const FROM: usize = METHOD + 1;
const HEADER: usize = FROM + 1;
const COUNTRY: usize = HEADER + 1;
const LENGTHS: usize = COUNTRY + 2;
const FIXED: usize = LENGTHS + 2 * Kind::FIRSTS;

/// Stands for no rule, and for what takes no byte.
const NONE: u8 = u8::MAX;

/// The length of what is not there.
const ABSENT: u16 = u16::MAX;

impl Facts<'_> {
    /// Appends them, and what `texts` tells. The lengths stand together before
    /// the texts.
    #[inline]
    pub(super) fn write(&self, texts: impl FnOnce(&mut Sink<'_>), out: &mut Vec<u8>) {
        let mut fixed = [0; FIXED];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let millis = now.as_secs() * 1000 + u64::from(now.subsec_millis());
        fixed[..8].copy_from_slice(&millis.to_le_bytes());
        fixed[GENERATION..][..8].copy_from_slice(&self.generation.to_le_bytes());
        fixed[REFERENCE_AT..][..REFERENCE].copy_from_slice(self.reference);
        fixed[PEER..][..17].copy_from_slice(&address(self.peer, self.mode));
        fixed[CLIENT..][..17].copy_from_slice(&address(self.client, self.mode));
        fixed[MODE] = self.mode as u8;
        fixed[RULE] = self.rule.unwrap_or(NONE);
        fixed[WOULD_DENY] = self.would_deny;
        fixed[HTTPS] = u8::from(self.https);
        fixed[VERSION] = self.version;
        fixed[METHOD] = self.method.unwrap_or(NONE);
        fixed[FROM] = self.client_from.unwrap_or(NONE);
        fixed[HEADER] = self.client_header.unwrap_or(NONE);
        fixed[COUNTRY..][..2].copy_from_slice(&self.country.bytes());
        let start = out.len();
        out.extend_from_slice(&fixed);
        let mut sink = Sink {
            out,
            lengths: [ABSENT; Kind::FIRSTS],
        };
        texts(&mut sink);
        let lengths = sink.lengths;
        let to = &mut out[start + LENGTHS..][..2 * Kind::FIRSTS];
        for (to, length) in to.as_chunks_mut().0.iter_mut().zip(lengths) {
            *to = length.to_le_bytes();
        }
    }
}

impl Country {
    const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Unasked => [NONE; 2],
            Self::Found(None) => [0; 2],
            Self::Found(Some(letters)) => letters,
        }
    }
}

/// What is kept of an address: 4 or 6 and its octets, or 0.
fn address(address: IpAddr, mode: ClientAddressMode) -> [u8; 17] {
    let mut kept = [0; 17];
    let (prefix_v4, prefix_v6) = match mode {
        ClientAddressMode::Full => (u32::MAX, u128::MAX),
        ClientAddressMode::Prefix => (u32::MAX << 8, u128::MAX << 80),
        ClientAddressMode::None => return kept,
    };
    match address {
        IpAddr::V4(v4) => {
            kept[0] = 4;
            kept[1..5].copy_from_slice(&(v4.to_bits() & prefix_v4).to_be_bytes());
        }
        IpAddr::V6(v6) => {
            kept[0] = 6;
            kept[1..].copy_from_slice(&(v6.to_bits() & prefix_v6).to_be_bytes());
        }
    }
    kept
}

impl Sink<'_> {
    /// Takes the first text of a kind, if there is one: in the order of the
    /// kinds, and before any other line.
    #[inline]
    pub fn first(&mut self, kind: Kind, text: Option<&[u8]>) {
        if let Some(text) = text {
            let text = &text[..text.len().min(MOST)];
            self.lengths[kind as usize] = text.len() as u16;
            self.out.extend_from_slice(text);
        }
    }

    /// Takes another line.
    #[cold]
    pub fn line(&mut self, kind: Kind, text: &[u8]) {
        let text = &text[..text.len().min(MOST)];
        let [low, high] = (text.len() as u16).to_le_bytes();
        self.out.extend_from_slice(&[kind as u8, low, high]);
        self.out.extend_from_slice(text);
    }
}

impl<'a> Raw<'a> {
    /// What [`Facts`] have written.
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The request's id.
    pub fn reference(self) -> &'a [u8] {
        self.0.get(REFERENCE_AT..PEER).unwrap_or_default()
    }

    /// When it was decided, since the epoch.
    pub(super) fn time(self) -> Duration {
        Duration::from_millis(self.number(0))
    }

    /// The configuration's.
    pub fn generation(self) -> u64 {
        self.number(GENERATION)
    }

    pub(super) fn would_deny(self) -> bool {
        self.byte(WOULD_DENY) != 0
    }

    /// The `Accept` lines that the client sent.
    pub fn accept(self) -> impl Iterator<Item = &'a [u8]> {
        self.texts(Kind::Accept)
    }

    /// Its line of the access log, as it had been with that on; what is only
    /// known when a response is over is null. Without `derived` there are no
    /// keys for that, as nobody knows.
    pub fn line(self, rules: RuleNames<'_>, derived: Option<&Derived>) -> Vec<u8> {
        let mut draft = Draft::new(Text::with_capacity(2048));
        Stamp::default().push(&mut draft.text, self.time());
        draft.string(key!("ref"), Some(self.reference()));
        draft.number(key!("generation"), self.generation());
        let method = METHODS.get(self.place(METHOD));
        self.push_word(&mut draft, key!("method"), method, Kind::Method);
        let part = |kind| self.texts(kind).next().unwrap_or_default();
        let [host, target] = [Kind::Authority, Kind::Target].map(part);
        let scheme: &[u8] = if self.byte(HTTPS) == 1 {
            b"https"
        } else {
            b"http"
        };
        draft.joined(key!("url"), &[scheme, b"://", host, target]);
        let protocol = match self.byte(VERSION) {
            10 => "HTTP/1.0",
            20 => "HTTP/2.0",
            _ => "HTTP/1.1",
        };
        draft.word(key!("protocol"), Some(protocol));
        match self.byte(RULE) {
            NONE => draft.word(key!("status"), None),
            _ => draft.number(key!("status"), 403),
        }
        draft.word(key!("bytes"), None);
        self.push_address(&mut draft, key!("peer"), PEER);
        self.push_address(&mut draft, key!("client"), CLIENT);
        let from = CLIENT_FROM.get(self.place(FROM));
        self.push_word(&mut draft, key!("client_from"), from, Kind::ClientFrom);
        let header = CLIENT_HEADER.get(self.place(HEADER));
        let kind = Kind::ClientHeader;
        self.push_word(&mut draft, key!("client_header"), header, kind);
        self.push(&mut draft, key!("forwarded"), Kind::Forwarded);
        self.push_country(&mut draft, derived);
        self.push(&mut draft, key!("route"), Kind::Route);
        self.push_decision(&mut draft, rules);
        if let Some(derived) = derived {
            for (key, value) in [
                (key!("variant"), &derived.variant),
                (key!("accept"), &derived.accept),
                (key!("cache_key"), &derived.cache_key),
            ] {
                draft.string(key, value.as_deref().map(str::as_bytes));
            }
        }
        for key in [key!("cache"), key!("origin_ms"), key!("total_ms")] {
            draft.word(key, None);
        }
        self.push(&mut draft, key!("user_agent"), Kind::UserAgent);
        self.push(&mut draft, key!("referer"), Kind::Referer);
        self.push(&mut draft, key!("origin_field"), Kind::Origin);
        self.push_sec_fetch(&mut draft);
        self.push(&mut draft, key!("request_method"), Kind::RequestMethod);
        draft.word(key!("error"), None);
        draft.text.push(b"}");
        draft.text.to_vec()
    }

    fn push_decision(self, draft: &mut Draft, rules: RuleNames<'_>) {
        let rule = rules.get(usize::from(self.byte(RULE)));
        let verdict = if rule.is_some() { "deny" } else { "forward" };
        draft.word(key!("verdict"), Some(verdict));
        draft.word(key!("rule"), rule.copied());
        let bits = self.byte(WOULD_DENY);
        let would_deny = rules.iter().enumerate();
        let would_deny = would_deny.filter(|(number, _)| bits >> number & 1 == 1);
        draft.list(
            key!("would_deny"),
            would_deny.map(|(_, name)| name.as_bytes()),
        );
    }

    /// What took a byte, or stands among the lines.
    fn push_word(self, draft: &mut Draft, key: &Key, word: Option<&&str>, kind: Kind) {
        match word {
            Some(word) => draft.word(key, Some(word)),
            None => self.push(draft, key, kind),
        }
    }

    fn push(self, draft: &mut Draft, key: &Key, kind: Kind) {
        draft.lines(key, self.texts(kind));
    }

    fn push_address(self, draft: &mut Draft, key: &Key, at: usize) {
        let mode = match self.byte(MODE) {
            0 => ClientAddressMode::Full,
            1 => ClientAddressMode::Prefix,
            _ => ClientAddressMode::None,
        };
        let octets = self.0.get(at + 1..at + 17).unwrap_or_default();
        let address = match self.byte(at) {
            4 => octets.first_chunk::<4>().map(|v4| IpAddr::from(*v4)),
            6 => octets.first_chunk::<16>().map(|v6| IpAddr::from(*v6)),
            _ => None,
        };
        let address = address.and_then(|address| shown(address, mode));
        draft.string(key, address.as_deref());
    }

    fn push_country(self, draft: &mut Draft, derived: Option<&Derived>) {
        let [a, b] = [COUNTRY, COUNTRY + 1].map(|at| self.byte(at));
        let derived = derived.and_then(|derived| derived.country.as_ref());
        match ([a, b], derived) {
            ([NONE, _], None) => {}
            ([NONE, _], Some(found)) => {
                draft.string(key!("country"), found.as_deref().map(str::as_bytes));
            }
            ([0, _], _) => draft.word(key!("country"), None),
            (letters, _) => draft.string(key!("country"), Some(&letters)),
        }
    }

    fn push_sec_fetch(self, draft: &mut Draft) {
        let kinds = [Kind::SecFetchSite, Kind::SecFetchMode, Kind::SecFetchDest];
        if kinds.iter().all(|kind| self.texts(*kind).next().is_none()) {
            return draft.word(key!("sec_fetch"), None);
        }
        let [site, mode, dest] =
            kinds.map(|kind| self.texts(kind).collect::<Vec<_>>().join(&b", "[..]));
        draft.joined(key!("sec_fetch"), &[&site, b"/", &mode, b"/", &dest]);
    }

    fn texts(self, wanted: Kind) -> impl Iterator<Item = &'a [u8]> {
        let (first, mut rest) = self.first(wanted);
        let more = std::iter::from_fn(move || {
            let (head, after) = rest.split_first_chunk::<3>()?;
            let [kind, low, high] = *head;
            let length = usize::from(u16::from_le_bytes([low, high]));
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            Some((kind, text))
        });
        let more = more.filter(move |(kind, _)| *kind == wanted as u8);
        first.into_iter().chain(more.map(|(_, text)| text))
    }

    /// The first line of a kind, and what stands behind all first lines.
    fn first(self, wanted: Kind) -> (Option<&'a [u8]>, &'a [u8]) {
        let Some((fixed, mut rest)) = self.0.split_at_checked(FIXED) else {
            return (None, &[]);
        };
        let mut first = None;
        for (kind, length) in fixed[LENGTHS..].as_chunks().0.iter().enumerate() {
            let length = u16::from_le_bytes(*length);
            if length == ABSENT {
                continue;
            }
            let Some((text, after)) = rest.split_at_checked(usize::from(length)) else {
                return (first, &[]);
            };
            rest = after;
            if kind == wanted as usize {
                first = Some(text);
            }
        }
        (first, rest)
    }

    fn place(self, at: usize) -> usize {
        usize::from(self.byte(at))
    }

    fn byte(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(NONE)
    }

    fn number(self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk::<8>);
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests;
