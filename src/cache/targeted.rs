//! CDN-Cache-Control (RFC 9213): a dictionary of RFC 9651, read strictly.
//! One mistake anywhere, and the whole field is as if it were not there.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use smallvec::SmallVec;

/// The field.
pub(super) static FIELD: HeaderName = HeaderName::from_static("cdn-cache-control");

/// A member: its key, and its value without parameters, which are ignored
/// (RFC 9213 section 2.1).
pub(super) type Member = (SmallVec<[u8; 24]>, Item);

/// A value, as far as directives have one of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Boolean(bool),
    Integer(i64),
    String(Vec<u8>),
    /// A decimal, token, byte sequence, date, display string or inner list.
    Other,
}

/// The members of the field; `None` if it is missing, empty or malformed (RFC
/// 9213 section 2.2).
pub(super) fn members(headers: &HeaderMap) -> Option<SmallVec<[Member; 4]>> {
    let mut lines = headers.get_all(&FIELD).iter();
    let first = lines.next()?;
    let mut joined: Vec<u8> = first.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    dictionary(&joined).filter(|members| !members.is_empty())
}

/// A dictionary (RFC 9651 section 4.2.2).
fn dictionary(text: &[u8]) -> Option<SmallVec<[Member; 4]>> {
    let mut text = Text(text);
    let mut members: SmallVec<[Member; 4]> = SmallVec::new();
    text.skip(b" ");
    while !text.0.is_empty() {
        let key: SmallVec<[u8; 24]> = text.key()?.into();
        let item = match text.eat(b'=') {
            true => text.member()?,
            false => Item::Boolean(true),
        };
        text.parameters()?;
        // The last value of a key counts, in its first place.
        match members.iter_mut().find(|(known, _)| *known == key) {
            Some((_, value)) => *value = item,
            None => members.push((key, item)),
        }
        text.skip(b" \t");
        if text.0.is_empty() {
            break;
        }
        if !text.eat(b',') {
            return None;
        }
        text.skip(b" \t");
        if text.0.is_empty() {
            return None;
        }
    }
    Some(members)
}

/// What is left to read.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn skip(&mut self, bytes: &[u8]) {
        self.take(|byte| bytes.contains(&byte));
    }

    fn eat(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !fits(*byte));
        let (taken, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        if !matches!(self.0.first()?, b'a'..=b'z' | b'*') {
            return None;
        }
        Some(
            self.take(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*')),
        )
    }

    fn member(&mut self) -> Option<Item> {
        match self.eat(b'(') {
            true => self.inner_list(),
            false => self.bare_item(),
        }
    }

    fn inner_list(&mut self) -> Option<Item> {
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Some(Item::Other);
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.0.first()?, b' ' | b')') {
                return None;
            }
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.skip(b" ");
            self.key()?;
            if self.eat(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn bare_item(&mut self) -> Option<Item> {
        match *self.0.first()? {
            b'-' | b'0'..=b'9' => self.number(),
            b'"' => self.string(),
            b'?' => self.boolean(),
            b':' => self.byte_sequence(),
            b'@' => self.date(),
            b'%' => self.display_string(),
            b'*' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.take(is_token);
                Some(Item::Other)
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Item> {
        let negative = self.eat(b'-');
        let whole = self.take(|byte| byte.is_ascii_digit());
        if self.eat(b'.') {
            let decimals = self.take(|byte| byte.is_ascii_digit());
            let fits = (1..=12).contains(&whole.len()) && (1..=3).contains(&decimals.len());
            return fits.then_some(Item::Other);
        }
        if !(1..=15).contains(&whole.len()) {
            return None;
        }
        let add = |sum: i64, digit: &u8| sum * 10 + i64::from(digit - b'0');
        let number = whole.iter().fold(0, add);
        Some(Item::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Item> {
        self.eat(b'"');
        let mut found = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some(Item::String(found)),
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    if !matches!(escaped, b'"' | b'\\') {
                        return None;
                    }
                    found.push(escaped);
                }
                b' '..=b'~' => found.push(byte),
                _ => return None,
            }
        }
    }

    fn boolean(&mut self) -> Option<Item> {
        self.eat(b'?');
        let value = Item::Boolean(*self.0.first()? == b'1');
        let one = self.eat(b'1') || self.eat(b'0');
        one.then_some(value)
    }

    fn byte_sequence(&mut self) -> Option<Item> {
        self.eat(b':');
        self.take(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.eat(b':').then_some(Item::Other)
    }

    fn date(&mut self) -> Option<Item> {
        self.eat(b'@');
        match self.number()? {
            Item::Integer(_) => Some(Item::Other),
            _ => None,
        }
    }

    fn display_string(&mut self) -> Option<Item> {
        let quoted = self.eat(b'%') && self.eat(b'"');
        self.take(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
        (quoted && self.eat(b'"')).then_some(Item::Other)
    }
}

/// A byte of a token, or `:` or `/` (RFC 9651 section 4.2.6).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Vec<(String, Item)>> {
        let key = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        let members = dictionary(text.as_bytes())?;
        Some(
            members
                .into_iter()
                .map(|(name, item)| (key(&name), item))
                .collect(),
        )
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("a", Item::Boolean(true)),
            ("a;x", Item::Boolean(true)),
            ("a=?0;x=1", Item::Boolean(false)),
            ("a=1, a=2", Item::Integer(2)),
            ("a=-999999999999999", Item::Integer(-999_999_999_999_999)),
            ("a=\"b\\\"c\"", Item::String(b"b\"c".to_vec())),
            ("a=1.5", Item::Other),
            ("a=t/o:k*", Item::Other),
            ("a=:aGk=:", Item::Other),
            ("a=@1659578233", Item::Other),
            ("a=%\"f%c3%bc\"", Item::Other),
            ("a=(1 \"x\";y t);z=(1", Item::Other),
        ] {
            let expected = Some(vec![("a".to_owned(), expected)]);
            let expected = expected.filter(|_| !text.ends_with("(1"));
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read("a=(1 \"x\";y t);z=?1 \t,\t b").unwrap().len(), 2);
    }

    #[test]
    fn one_mistake_spoils_all() {
        for text in [
            "a,",
            "a,,b",
            ",a",
            "a b",
            "A",
            "1",
            "a=",
            "a =1",
            "a= 1",
            "a=?2",
            "a=?",
            "a=\"b",
            "a=\"\\b\"",
            "a=\"\u{fc}\"",
            "a=1.",
            "a=1.2345",
            "a=-",
            "a=1234567890123456",
            "a=1234567890123.1",
            "a=(1",
            "a=(1\"x\")",
            "a=:x",
            "a=@1.5",
            "a=%x",
            "a;",
            "a;=1",
            "a;B",
            "\ta",
            "a=&",
            "a=1, &",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..40),
            text in "([a-z*]=?|[0-9.-]|[\"\\\\?:@%(); ,\t]){0,30}",
        ) {
            let _ = dictionary(&noise);
            let _ = dictionary(text.as_bytes());
        }

        /// What is written as a dictionary is read as one.
        #[test]
        fn reads_what_is_well_formed(
            members in proptest::collection::vec(
                "[a-z*][a-z0-9_.*-]{0,6}(=(-?[0-9]{1,15}|\"[ !#-\\[\\]-~]{0,6}\"|\\?[01]|[A-Za-z*][a-z/:]{0,4}))?(;[a-z]{1,3}(=[0-9])?)?",
                1..5,
            ),
        ) {
            prop_assert!(dictionary(members.join(" ,\t").as_bytes()).is_some());
        }
    }
}
