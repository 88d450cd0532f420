//! The fields of a request, as they were received: places in its head, and
//! where to look for the names that are asked for. No map is filled and no
//! name allocated for a request that is answered here.

mod name;

pub use name::{Name, Names};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::field::{Single, trim};

/// The fields of a request, in their order.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Names and values are parts of it.
    text: Bytes,
    lines: Vec<Line>,
    /// By number of a known name: one more than the place of its first line,
    /// or 0.
    first: [u16; Name::COUNT],
    present: Names,
    /// The known names that have several lines.
    repeated: Names,
}

/// One line.
#[derive(Clone, Copy, Debug)]
struct Line {
    known: Option<Name>,
    name: Part,
    value: Part,
}

/// A part of the text.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u32,
    length: u32,
}

/// How many lines there may be: what a place fits in. More than a `HeaderMap`
/// can hold.
const MOST_LINES: usize = u16::MAX as usize - 1;

/// How long the text may be: what the ends of its parts fit in.
const MOST_BYTES: usize = u32::MAX as usize;

impl Part {
    /// A part of no more than [`MOST_BYTES`].
    fn of((start, length): (usize, usize)) -> Self {
        Self {
            start: start as u32,
            length: length as u32,
        }
    }
}

/// A line of a field, with its name.
#[derive(Clone, Copy, Debug)]
pub struct FieldLine<'a> {
    /// The name, if it is one of those.
    pub known: Option<Name>,
    /// The name as it was written.
    pub name: &'a [u8],
    /// The value, without the blanks around it. Like every value that was
    /// parsed, it has no end of a line.
    pub value: &'a [u8],
}

impl Fields {
    /// No fields yet, with room for so many lines, which are parts of `text`.
    pub fn within(text: Bytes, lines: usize) -> Self {
        Self {
            text,
            lines: Vec::with_capacity(lines),
            first: [0; Name::COUNT],
            present: Names::default(),
            repeated: Names::default(),
        }
    }

    /// Adds a line as a parser found it, one without an end of a line within:
    /// where in the text its name and its value start, and how
    /// long they are, in bytes. `false`: they are not within it, or there are
    /// too many lines.
    #[inline]
    #[must_use]
    pub fn push(&mut self, name: (usize, usize), value: (usize, usize)) -> bool {
        let Some(text) = self.text.get(name.0..name.0.wrapping_add(name.1)) else {
            return false;
        };
        if self
            .text
            .get(value.0..value.0.wrapping_add(value.1))
            .is_none()
            || self.text.len() > MOST_BYTES
            || self.lines.len() == MOST_LINES
        {
            return false;
        }
        let known = Name::of(text);
        self.add(Line {
            known,
            name: Part::of(name),
            value: Part::of(value),
        });
        true
    }

    #[inline]
    fn add(&mut self, line: Line) {
        if let Some(known) = line.known {
            let first = &mut self.first[known.number()];
            match *first {
                0 => {
                    *first = self.lines.len() as u16 + 1;
                    self.present.insert(known);
                }
                _ => self.repeated.insert(known),
            }
        }
        self.lines.push(line);
    }

    #[inline]
    fn bytes(&self, part: Part) -> &[u8] {
        &self.text[part.start as usize..(part.start + part.length) as usize]
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether there is a line of that name.
    #[inline]
    pub fn contains(&self, name: Name) -> bool {
        self.present.contains(name)
    }

    /// Whether there is a line of one of these names.
    #[inline]
    pub fn contains_any(&self, names: Names) -> bool {
        self.present.intersects(names)
    }

    /// Whether one of these names has several lines.
    #[inline]
    pub fn repeats_any(&self, names: Names) -> bool {
        self.repeated.intersects(names)
    }

    /// The first line of that name.
    #[inline]
    pub fn first(&self, name: Name) -> Option<&[u8]> {
        let place = usize::from(self.first[name.number()]).checked_sub(1)?;
        Some(self.bytes(self.lines[place].value))
    }

    /// All lines of that name.
    #[inline]
    pub fn lines(&self, name: Name) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        let from = match usize::from(self.first[name.number()]) {
            0 => &[][..],
            after if !self.repeated.contains(name) => &self.lines[after - 1..after],
            after => &self.lines[after - 1..],
        };
        let named = from.iter().filter(move |line| line.known == Some(name));
        named.map(|line| self.bytes(line.value))
    }

    /// The one line of that name, surrounding blanks cut off.
    #[inline]
    pub fn single(&self, name: Name) -> Single<'_> {
        let Some(first) = self.first(name) else {
            return Single::Missing;
        };
        if self.repeated.contains(name) {
            return Single::Several;
        }
        match trim(first) {
            b"" => Single::Missing,
            value => Single::One(value),
        }
    }

    /// All lines of a name that somebody configured or sent.
    pub fn lines_of<'a>(
        &'a self,
        name: &'a HeaderName,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
        let known = Name::of(name.as_str().as_bytes());
        let named = self.lines.iter().filter(move |line| match known {
            Some(known) => line.known == Some(known),
            None => {
                line.known.is_none()
                    && self
                        .bytes(line.name)
                        .eq_ignore_ascii_case(name.as_str().as_bytes())
            }
        });
        named.map(|line| self.bytes(line.value))
    }

    /// Whether there is a line of a name that somebody configured or sent.
    pub fn contains_name(&self, name: &HeaderName) -> bool {
        match Name::of(name.as_str().as_bytes()) {
            Some(known) => self.contains(known),
            None => self.lines_of(name).next().is_some(),
        }
    }

    /// The one line of a name that somebody configured, as [`Fields::single`]
    /// has it.
    pub fn single_of<'a>(&'a self, name: &'a HeaderName) -> Single<'a> {
        let mut lines = self.lines_of(name);
        match (lines.next(), lines.next()) {
            (None, _) => Single::Missing,
            (Some(_), Some(_)) => Single::Several,
            (Some(only), None) => match trim(only) {
                b"" => Single::Missing,
                value => Single::One(value),
            },
        }
    }

    /// All lines, in their order.
    pub fn iter(&self) -> impl Iterator<Item = FieldLine<'_>> {
        self.lines.iter().map(|line| FieldLine {
            known: line.known,
            name: self.bytes(line.name),
            value: self.bytes(line.value),
        })
    }

    /// Removes the lines that `is_kept` is not said of.
    pub fn retain(&mut self, mut is_kept: impl FnMut(FieldLine<'_>) -> bool) {
        let mut left = Self::within(self.text.clone(), self.lines.len());
        for line in std::mem::take(&mut self.lines) {
            let kept = is_kept(FieldLine {
                known: line.known,
                name: self.bytes(line.name),
                value: self.bytes(line.value),
            });
            if kept {
                left.add(line);
            }
        }
        *self = left;
    }

    /// The lines that `is_passed_on` is said of, as a map with room for
    /// `more`. It is asked about a line's known name, or about its name in
    /// lower case.
    pub fn to_map(
        &self,
        more: usize,
        is_passed_on: impl Fn(Result<Name, &HeaderName>) -> bool,
    ) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len() + more);
        for line in &self.lines {
            let name = match line.known {
                Some(known) if !is_passed_on(Ok(known)) => continue,
                Some(known) => known.name().clone(),
                None => match HeaderName::from_bytes(self.bytes(line.name)) {
                    Ok(name) if is_passed_on(Err(&name)) => name,
                    _ => continue,
                },
            };
            let start = line.value.start as usize;
            let value = self.text.slice(start..start + line.value.length as usize);
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                map.append(name, value);
            }
        }
        map
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::within(Bytes::new(), 0)
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut text = Vec::with_capacity(1024);
        let mut places = Vec::with_capacity(map.len());
        for (name, value) in map {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            places.push((text.len(), name.len(), value.len()));
            text.extend_from_slice(name);
            text.extend_from_slice(value);
        }
        let mut fields = Self::within(text.into(), places.len());
        for (start, name, value) in places {
            let pushed = fields.push((start, name), (start + name, value));
            debug_assert!(pushed, "a map has fewer lines, all within the text");
        }
        fields
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        Self::from(&map)
    }
}

#[cfg(test)]
mod tests;
