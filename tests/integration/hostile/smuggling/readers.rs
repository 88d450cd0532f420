//! Readers of HTTP/1.1 that take liberties, each in its own way, as servers,
//! proxies and clients have been seen to.

use super::strict::Message;

/// What such a reader makes of what is odd.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liberties {
    /// A CR alone ends a line.
    cr: bool,
    /// `_` in a name is `-`.
    underscore: bool,
    /// A length counts where there is a coding too.
    length_first: bool,
    /// Of several lengths the last one counts.
    last_length: bool,
    /// The word `chunked` anywhere in the coding is enough.
    contains: bool,
    /// A line that begins with a blank continues the one before.
    folds: bool,
}

/// Combinations, so that each liberty is taken with and without others.
pub(super) const LENIENT: [Liberties; 5] = [
    Liberties {
        cr: false,
        underscore: false,
        length_first: false,
        last_length: false,
        contains: true,
        folds: true,
    },
    Liberties {
        cr: true,
        underscore: true,
        length_first: true,
        last_length: true,
        contains: true,
        folds: true,
    },
    Liberties {
        cr: false,
        underscore: true,
        length_first: true,
        last_length: false,
        contains: false,
        folds: false,
    },
    Liberties {
        cr: true,
        underscore: false,
        length_first: false,
        last_length: true,
        contains: false,
        folds: false,
    },
    Liberties {
        cr: false,
        underscore: true,
        length_first: false,
        last_length: true,
        contains: true,
        folds: false,
    },
];

/// Bytes that are read from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
    liberties: Liberties,
}

/// The requests in `bytes`; one that does not end is left out.
pub(super) fn requests(bytes: &[u8], liberties: Liberties) -> Vec<Message> {
    let mut cursor = Cursor { bytes, liberties };
    let mut found = Vec::new();
    while let Some(message) = cursor.message(|_| true) {
        found.push(message);
    }
    found
}

/// The responses to requests by these methods, those before them included.
pub(super) fn responses(bytes: &[u8], methods: &[&str], liberties: Liberties) -> Vec<Message> {
    // A client that takes `_` for `-` is not known.
    let liberties = Liberties {
        underscore: false,
        ..liberties
    };
    let mut cursor = Cursor { bytes, liberties };
    let (mut found, mut next) = (Vec::new(), 0);
    while let Some(message) = cursor.message(|line| {
        let status = line
            .split([' ', '\t'])
            .find(|word| !word.is_empty() && !word.contains('/'));
        let bodiless = status.is_some_and(|s| s.starts_with('1') || s == "204" || s == "304");
        !bodiless && methods.get(next) != Some(&"HEAD")
    }) {
        let interim = message
            .line
            .split(' ')
            .nth(1)
            .is_some_and(|s| s.starts_with('1'));
        next += usize::from(!interim);
        found.push(message);
    }
    found
}

impl<'a> Cursor<'a> {
    fn message(&mut self, has_body: impl Fn(&str) -> bool) -> Option<Message> {
        let mut line = self.line()?;
        while line.is_empty() {
            line = self.line()?;
        }
        let mut message = Message {
            line: String::from_utf8_lossy(line).into_owned(),
            ..Message::default()
        };
        loop {
            let line = self.line()?;
            match line.first() {
                None => break,
                Some(b' ' | b'\t') if self.liberties.folds => {
                    if let Some((_, value)) = message.fields.last_mut() {
                        value.push_str(&String::from_utf8_lossy(line));
                    }
                }
                Some(_) => message.fields.extend(self.field(line)),
            }
        }
        if has_body(&message.line) {
            message.body = self.body(&message)?;
        }
        Some(message)
    }

    fn field(&self, line: &[u8]) -> Option<(String, String)> {
        let text = String::from_utf8_lossy(line);
        let (name, value) = text.split_once(':')?;
        let mut name = name.trim().to_ascii_lowercase();
        if self.liberties.underscore {
            name = name.replace('_', "-");
        }
        Some((name, value.trim_matches(|c: char| c <= ' ').to_owned()))
    }

    fn body(&mut self, message: &Message) -> Option<Vec<u8>> {
        let chunked = message.values("transfer-encoding").any(|coding| {
            let coding = coding.to_ascii_lowercase();
            match self.liberties.contains {
                true => coding.contains("chunked"),
                false => coding.split(',').next_back().map(str::trim) == Some("chunked"),
            }
        });
        let mut lengths = message.values("content-length");
        let length = match self.liberties.last_length {
            true => lengths.last(),
            false => lengths.next(),
        };
        let digits = |text: &str| {
            let text = text.trim_start_matches('+');
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().unwrap_or(0)
        };
        match length.map(digits) {
            Some(length) if self.liberties.length_first || !chunked => self.take(length),
            _ if chunked => self.chunks(),
            _ => Some(Vec::new()),
        }
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8_lossy(self.line()?)
                .trim()
                .to_ascii_lowercase();
            let line = line.strip_prefix("0x").unwrap_or(&line);
            let end = line
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(line.len());
            let size = u64::from_str_radix(&line[..end], 16).unwrap_or(0) as u32;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Some(body);
            }
            body.extend(self.take(size as usize)?);
            self.line()?;
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let taken = self.bytes.get(..length)?;
        self.bytes = &self.bytes[length..];
        Some(taken.to_vec())
    }

    /// A line without its end, whatever that is.
    fn line(&mut self) -> Option<&'a [u8]> {
        let is_end = |byte: &u8| *byte == b'\n' || self.liberties.cr && *byte == b'\r';
        let end = self.bytes.iter().position(is_end)?;
        let (line, rest) = self.bytes.split_at(end);
        self.bytes = match rest {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => rest,
        };
        let end = line
            .iter()
            .rposition(|byte| *byte != b'\r')
            .map_or(0, |at| at + 1);
        Some(&line[..end])
    }
}
