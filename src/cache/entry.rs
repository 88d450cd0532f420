//! A stored response.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use smallvec::SmallVec;

use super::asked::Asked;
use super::budget::Reservation;
use super::policy::Policy;
use super::storable::is_cookie;
use super::vary::{Form, OriginForm};
use crate::images::Variant;

/// Where a stored response belongs: everything that two requests must have in
/// common to share it, but the variant and what `Vary` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// `<scheme>://<host>[:<port>]<path>[?<query>]`: the key of section 8
    /// without its variant.
    pub url: &'a str,
    /// `origin.url` as it was configured.
    pub origin: &'a str,
}

/// The head of a stored response, and what is known of it.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The fields as they are stored: what must not be kept is gone, and
    /// there is a Date.
    pub headers: HeaderMap,
    /// Those fields as they are sent, but Content-Length and Vary, which an
    /// answer may have otherwise. Empty where there are cookies, which not
    /// every answer has, and before [`Head::compact`].
    pub lines: Bytes,
    /// How it may be used.
    pub policy: Policy,
    /// Which requests it fits beside the variant.
    pub form: Form,
    /// The variant that it is stored under.
    pub variant: Variant,
    /// The variants whose requests it answers: its own, and the one that was
    /// asked when the origin sent it.
    pub serves: Variants,
}

/// A set of variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variants(u8);

/// A stored response.
#[derive(Debug)]
pub struct Entry {
    /// The URL of its [`Key`].
    pub url: Box<str>,
    /// The origin of its [`Key`].
    pub origin: Box<str>,
    /// Its head.
    pub head: Head,
    /// Its body, shared with the entry that it was before it was validated.
    pub body: Arc<StoredBody>,
    /// The room that all but the body takes, given back when it is dropped.
    pub reservation: Reservation,
}

/// A body held in memory: pieces of [`PIECE`] bytes, the last one shorter.
#[derive(Debug)]
pub struct StoredBody {
    pieces: SmallVec<[Bytes; 1]>,
    length: u64,
    /// The room that it takes, given back when the last reader is done.
    reservation: Reservation,
}

/// How long each piece of a body is but its last, in bytes.
pub const PIECE: usize = 256 << 10;

impl Variants {
    /// With `variant` too.
    #[must_use]
    pub fn with(self, variant: Variant) -> Self {
        Self(self.0 | 1 << variant as u8)
    }

    /// With all of `other` too.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `variant` is one of them.
    pub fn contains(self, variant: Variant) -> bool {
        self.0 & 1 << variant as u8 != 0
    }
}

/// Age, Cache-Status and Vary.
const ADDED: usize = 3;

impl Head {
    /// Whether it answers such a request, fresh or not.
    pub fn fits(&self, asked: &Asked<'_>) -> bool {
        self.serves.contains(asked.variant) && self.form.fits(asked)
    }

    /// Writes the fields down as they are sent, in memory of their own: values
    /// as they were received are parts of what was read from the origin, and
    /// would keep all of it.
    pub fn compact(&mut self) {
        let mut text = Vec::with_capacity(text_length(&self.headers));
        for (name, value) in self.headers.iter().filter(|(name, _)| is_line(name)) {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        let lines = text.len();
        for (_, value) in self.headers.iter().filter(|(name, _)| !is_line(name)) {
            text.extend_from_slice(value.as_bytes());
        }
        let text = Bytes::from(text);
        // And what every answer adds: a copy that is full grows at once.
        let mut headers = HeaderMap::with_capacity(self.headers.keys_len() + ADDED);
        let (mut line, mut rest) = (0, lines);
        for (name, value) in &self.headers {
            let (start, next) = match is_line(name) {
                true => (line + name.as_str().len() + 2, &mut line),
                false => (rest, &mut rest),
            };
            let end = start + value.len();
            *next = if is_line(name) { end + 2 } else { end };
            let own = HeaderValue::from_maybe_shared(text.slice(start..end));
            let mut own = own.expect("it is the text of a value");
            own.set_sensitive(value.is_sensitive());
            headers.append(name.clone(), own);
        }
        self.lines = match self.headers.keys().any(is_cookie) {
            true => Bytes::new(),
            false => text.slice(..lines),
        };
        self.headers = headers;
    }
}

/// Whether a field is written down as a line.
fn is_line(name: &HeaderName) -> bool {
    *name != CONTENT_LENGTH && *name != VARY && !is_cookie(name)
}

/// How much text a compact head has, in bytes.
fn text_length(headers: &HeaderMap) -> usize {
    const AROUND: usize = ": \r\n".len();
    let length = |(name, value): (&HeaderName, &HeaderValue)| match is_line(name) {
        true => name.as_str().len() + value.len() + AROUND,
        false => value.len(),
    };
    headers.iter().map(length).sum()
}

/// The room of an entry without its body, in bytes: what [`Entry::reservation`]
/// is to be. `head` is compact. The store's own tables are not in it.
pub fn room(url: &str, origin: &str, head: &Head) -> u64 {
    let names = head.headers.keys().map(|name| name.as_str().len());
    let fields = names
        .map(|length| allocated(length) + SHARED)
        .sum::<usize>()
        + allocated(text_length(&head.headers))
        + SHARED
        + map_room(&head.headers);
    let entry = allocated(size_of::<Entry>() + COUNTS);
    let key = allocated(url.len()) + allocated(origin.len());
    (entry + key + fields + form_room(&head.form)) as u64
}

/// The two counts of an Arc.
const COUNTS: usize = 2 * size_of::<usize>();

/// What `Bytes` keeps beside shared bytes, at most.
const SHARED: usize = 48;

/// The table of a `HeaderMap`: a bucket holds name, value, links and hash, a
/// value beyond the first of its name has two links; the hash index is a third
/// longer than the buckets.
fn map_room(headers: &HeaderMap) -> usize {
    const WORD: usize = size_of::<usize>();
    const BUCKET: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 4 * WORD;
    const EXTRA: usize = size_of::<HeaderValue>() + 4 * WORD;
    const POSITION: usize = 4;
    let extra = headers.len() - headers.keys_len();
    // Grown by doubling, from four.
    let extra = if extra == 0 {
        0
    } else {
        extra.next_power_of_two().max(4)
    };
    let buckets = headers.capacity();
    allocated(buckets * BUCKET) + allocated(buckets * 4 / 3 * POSITION) + allocated(extra * EXTRA)
}

fn form_room(form: &Form) -> usize {
    let fields = form.fields.iter().map(|(name, value)| {
        let value = value.as_ref().map_or(0, |value| value.len());
        allocated(name.as_str().len()) + SHARED + allocated(value)
    });
    let origin = match &form.origin {
        OriginForm::Same(origin) => origin.len(),
        OriginForm::Any | OriginForm::None => 0,
    };
    fields.sum::<usize>() + allocated(size_of_val(&*form.fields)) + allocated(origin)
}

/// What an allocator takes for so many bytes: its size classes are up to an
/// eighth apart.
fn allocated(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        bytes => (bytes + bytes / 8).next_multiple_of(16),
    }
}

impl Entry {
    /// The room that it takes with its body, in bytes.
    pub fn room(&self) -> u64 {
        self.reservation.bytes() + self.body.room()
    }

    /// Where it belongs.
    pub fn key(&self) -> Key<'_> {
        Key {
            url: &self.url,
            origin: &self.origin,
        }
    }
}

impl StoredBody {
    /// A body of `pieces`, each of [`PIECE`] bytes but the last; `reservation`
    /// is what they take.
    pub fn new(pieces: SmallVec<[Bytes; 1]>, reservation: Reservation) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            pieces,
            length,
            reservation,
        }
    }

    /// The room that a body of `length` bytes takes.
    pub fn room_for(length: u64) -> u64 {
        let rest = allocated((length % PIECE as u64) as usize) as u64;
        let pieces = length.div_ceil(PIECE as u64);
        (length - length % PIECE as u64).saturating_add(rest + Self::overhead(pieces as usize))
    }

    /// What a body of `pieces` takes beside its bytes.
    fn overhead(pieces: usize) -> u64 {
        // A list of pieces grows by doubling, from four.
        let spilled = if pieces > 1 {
            pieces.next_power_of_two().max(4)
        } else {
            0
        };
        let list = allocated(spilled * size_of::<Bytes>());
        (list + pieces * SHARED + allocated(size_of::<Self>() + COUNTS)) as u64
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What of it stands in `range`, as far as one piece reaches; empty at
    /// its end.
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        let end = range.end.min(self.length);
        if range.start >= end {
            return Bytes::new();
        }
        let number = usize::try_from(range.start / PIECE as u64).unwrap_or(usize::MAX);
        let Some(piece) = self.pieces.get(number) else {
            return Bytes::new();
        };
        let base = number as u64 * PIECE as u64;
        let start = (range.start - base) as usize;
        let end = (end - base).min(piece.len() as u64) as usize;
        piece.slice(start..end)
    }

    /// The room that it takes, in bytes.
    pub fn room(&self) -> u64 {
        self.reservation.bytes()
    }
}
