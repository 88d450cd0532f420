//! A line as the log writes it, read in one pass. Most lines are such ones;
//! the others go to a reader of all JSON, which says what is wrong with them.

use memchr::memchr;

use super::line::{Line, Logged};

/// Reads a line without blanks between its parts and without escapes, its keys
/// in the order of the log; `None`: it is none, or another reader has to look.
pub(super) fn read(text: &str) -> Option<Line<'_>> {
    let is_odd = |byte: u8| byte < b' ' || byte == b'\\';
    // All of it, not up to the first: that can be done in large steps.
    if text.bytes().fold(false, |odd, byte| odd | is_odd(byte)) {
        return None;
    }
    let mut rest = Rest(text.strip_prefix('{')?);
    // What is left out is not known. Any other key ends this at a place where
    // the line does not end.
    let line = Line {
        time: rest.logged("\"time\":")?,
        reference: rest.logged("\"ref\":")?,
        generation: rest.number("\"generation\":")?,
        method: rest.logged("\"method\":")?,
        url: rest.logged("\"url\":")?,
        status: {
            rest.pass("\"protocol\":")?;
            let status = rest.number("\"status\":")?;
            rest.pass("\"bytes\":")?;
            status.map(u16::try_from).transpose().ok()?
        },
        peer: rest.logged("\"peer\":")?,
        client: rest.logged("\"client\":")?,
        client_from: rest.logged("\"client_from\":")?,
        client_header: rest.logged("\"client_header\":")?,
        forwarded: rest.logged("\"forwarded\":")?,
        country: rest.logged("\"country\":")?,
        route: rest.logged("\"route\":")?,
        verdict: rest.logged("\"verdict\":")?,
        rule: rest.logged("\"rule\":")?,
        would_deny: rest.logged("\"would_deny\":")?,
        variant: rest.logged("\"variant\":")?,
        accept: rest.logged("\"accept\":")?,
        cache_key: {
            rest.pass("\"cache\":")?;
            rest.logged("\"cache_key\":")?
        },
        user_agent: {
            rest.pass("\"origin_ms\":")?;
            rest.pass("\"total_ms\":")?;
            rest.logged("\"user_agent\":")?
        },
        referer: rest.logged("\"referer\":")?,
        origin_field: rest.logged("\"origin_field\":")?,
        sec_fetch: rest.logged("\"sec_fetch\":")?,
        request_method: rest.logged("\"request_method\":")?,
        error: rest.logged("\"error\":")?,
    };
    (rest.0 == "}").then_some(line)
}

/// What of a line is not read yet. It has no escape.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// The value of a key; unknown if another key comes next, or none.
    #[inline(always)]
    fn logged(&mut self, key: &str) -> Option<Logged<'a>> {
        let Some(rest) = self.0.strip_prefix(key) else {
            return Some(Logged::Unknown);
        };
        self.0 = rest;
        let value = self.value()?;
        self.end()?;
        Some(value)
    }

    /// The number of a key, if there is one.
    #[inline(always)]
    fn number(&mut self, key: &str) -> Option<Option<u64>> {
        let Some(rest) = self.0.strip_prefix(key) else {
            return Some(None);
        };
        self.0 = rest;
        let number = match self.null() {
            true => None,
            false => Some(self.digits()?.parse().ok()?),
        };
        self.end()?;
        Some(number)
    }

    /// Passes a key and its value: a string, a plain number or null.
    #[inline(always)]
    fn pass(&mut self, key: &str) -> Option<()> {
        let Some(rest) = self.0.strip_prefix(key) else {
            return Some(());
        };
        self.0 = rest;
        if self.first()? == b'"' {
            self.string()?;
        } else if !self.null() {
            self.digits()?;
            if let Some(rest) = self.0.strip_prefix('.') {
                let length = digits(rest);
                self.0 = &rest[length..];
                (length > 0).then_some(())?;
            }
        }
        self.end()
    }

    fn first(&self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    /// Passes the comma before the next key, if a value is not the last.
    #[inline]
    fn end(&mut self) -> Option<()> {
        match self.0.as_bytes() {
            [b',', b'"', ..] => self.0 = &self.0[1..],
            [b'}'] => {}
            _ => return None,
        }
        Some(())
    }

    #[inline]
    fn value(&mut self) -> Option<Logged<'a>> {
        match self.first()? {
            b'"' => self.string().map(|text| Logged::One(text.into())),
            b'[' => self.list(),
            _ => self.null().then_some(Logged::Absent),
        }
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        let rest = self.0.strip_prefix('"')?;
        let (text, rest) = rest.split_at(memchr(b'"', rest.as_bytes())?);
        self.0 = &rest[1..];
        Some(text)
    }

    /// Whether null comes next; that is passed.
    #[inline]
    fn null(&mut self) -> bool {
        let rest = self.0.strip_prefix("null");
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn list(&mut self) -> Option<Logged<'a>> {
        self.0 = self.0.strip_prefix('[')?;
        let mut texts = Vec::new();
        while self.first()? != b']' {
            if !texts.is_empty() {
                self.0 = self.0.strip_prefix(',')?;
            }
            texts.push(self.string()?.into());
        }
        self.0 = self.0.strip_prefix(']')?;
        Some(Logged::Several(texts))
    }

    /// Digits that are a number in JSON: no other begins with 0.
    fn digits(&mut self) -> Option<&'a str> {
        let (digits, rest) = self.0.split_at(digits(self.0));
        self.0 = rest;
        let is_number = digits.len() == 1 || !digits.is_empty() && !digits.starts_with('0');
        is_number.then_some(digits)
    }
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A line of the running proxy; that it writes such ones is a test of that.
    const FILE: &str = include_str!("../../tests/fixtures/log/line.ndjson");
    const WRITTEN: &str = FILE.trim_ascii_end();

    /// The same with something in every place, and nowhere the same.
    fn filled() -> String {
        let mut number = 0;
        let mut parts = WRITTEN.split("null").map(str::to_owned);
        let first = parts.next().unwrap_or_default();
        parts.fold(first, |text, part| {
            number += 1;
            format!("{text}\"filled {number}\"{part}")
        })
    }

    /// What the reader of all JSON makes of it.
    fn all_json(text: &str) -> Option<String> {
        let line = serde_json::from_str::<Line<'_>>(text);
        line.ok().map(|line| format!("{line:?}"))
    }

    #[test]
    fn reads_what_the_log_writes() {
        let filled = filled();
        assert!(filled.contains("filled 4"));
        for text in [WRITTEN, &filled] {
            let line = read(text).map(|line| format!("{line:?}"));
            assert!(line.is_some());
            assert_eq!(line, all_json(text));
        }
    }

    #[test]
    fn leaves_all_else_to_others() {
        for text in [
            "",
            "{",
            " {\"url\":\"a\"}",
            "{\"url\":\"a\"} ",
            "{\"url\":\"a\",}",
            "{\"url\":\"a\",\"url\":\"a\"}",
            "{\"generation\":null,\"generation\":1}",
            "{\"url\":\"\t\"}",
            "{\"url\":\"\\u0041\"}",
            "{\"status\":65536}",
            "{\"status\":01}",
            "{\"status\":2.5}",
            "{\"generation\":99999999999999999999}",
            "{\"bytes\":1.}",
            "{\"bytes\":00}",
            "{\"forwarded\":[,\"a\"]}",
            "{\"forwarded\":[\"a\",]}",
            "{\"forwarded\":[\"a\" ]}",
            "{\"forwarded\":[null]}",
            "{\"new\":{\"a\":1}}",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }

    proptest! {
        // What it reads of a line, the other reader has read of it, too.
        #[test]
        fn is_one_with_the_reader_of_all_json(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..3, "[\"{}\\[\\],:.0-9a\\\\ nul-]{0,3}"), 0..3),
            moved in 0_usize..60,
        ) {
            let inner = &WRITTEN[1..WRITTEN.len() - 1];
            let mut parts: Vec<&str> = inner.split(",\"").collect();
            let last = parts.len() - 1;
            if moved > 0 && moved < last {
                parts.swap(moved, last);
            }
            let mut text = format!("{{{}}}", parts.join(",\""));
            for (at, removed, new) in changes {
                let from = text.floor_char_boundary(at.index(text.len()));
                let to = text.ceil_char_boundary((from + removed).min(text.len()));
                text.replace_range(from..to, &new);
            }
            if let Some(line) = read(&text) {
                prop_assert_eq!(Some(format!("{line:?}")), all_json(&text), "{}", text);
            }
        }
    }
}
