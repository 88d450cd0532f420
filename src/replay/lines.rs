//! The lines of an input, in bounded memory.

use std::io::{self, Read};

use memchr::memchr;

/// The longest line that is read, in bytes. One of the log's has about one
/// KiB; values are cut at 4 KiB.
pub const MAX_LINE: usize = 1 << 20;

/// How much is read at a time.
const PART: usize = 256 << 10;

/// Lines of an input, one after the other. A line over [`MAX_LINE`] is never
/// held.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer is not taken yet.
    start: usize,
    end: usize,
    /// How much of that has no end of a line.
    looked: usize,
    /// Whether the rest of a line that is too long comes next.
    skipping: bool,
}

/// What [`LineReader::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLine<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// One that is too long.
    TooLong,
}

impl<R: Read> LineReader<R> {
    /// Reads the lines of `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            looked: 0,
            skipping: false,
        }
    }

    /// The next line; `None`: that was all. Empty ones are left out.
    ///
    /// # Errors
    ///
    /// Of the input. What came before it was found.
    #[expect(clippy::should_implement_trait, reason = "an iterator lends nothing")]
    pub fn next(&mut self) -> io::Result<Option<ReadLine<'_>>> {
        loop {
            let rest = &self.buffer[self.start + self.looked..self.end];
            if let Some(at) = memchr(b'\n', rest) {
                let length = self.looked + at;
                let from = self.start;
                self.start += length + 1;
                self.looked = 0;
                if std::mem::take(&mut self.skipping) || length > MAX_LINE {
                    return Ok(Some(ReadLine::TooLong));
                }
                let line = from..from + length;
                if is_blank(&self.buffer[line.clone()]) {
                    continue;
                }
                return Ok(Some(ReadLine::Line(&self.buffer[line])));
            }
            self.looked = self.end - self.start;
            if self.looked > MAX_LINE {
                self.skipping = true;
            }
            if self.skipping {
                (self.start, self.end, self.looked) = (0, 0, 0);
            }
            if !self.fill()? {
                return Ok(self.last());
            }
        }
    }

    /// What stands behind the last end of a line.
    fn last(&mut self) -> Option<ReadLine<'_>> {
        let line = self.start..self.end;
        (self.start, self.looked) = (self.end, 0);
        if std::mem::take(&mut self.skipping) {
            return Some(ReadLine::TooLong);
        }
        let line = &self.buffer[line];
        (!is_blank(line)).then_some(ReadLine::Line(line))
    }

    /// Reads on; whether there was anything.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() < self.end + PART {
            self.buffer.resize(self.end + PART, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(length) => {
                    self.end += length;
                    return Ok(length > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(to.len());
            to[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn lines(text: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut reader = LineReader::new(Slow(text, step));
        let mut lines = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            lines.push(match line {
                ReadLine::Line(line) => Some(line.to_vec()),
                ReadLine::TooLong => None,
            });
        }
        assert!(reader.buffer.len() <= MAX_LINE + 2 * PART);
        lines
    }

    #[test]
    fn a_long_line_is_counted_and_not_held() {
        let long = vec![b'x'; 5 * MAX_LINE];
        let most = vec![b'y'; MAX_LINE];
        let over = vec![b'z'; MAX_LINE + 1];
        let text = [
            &b"a\n"[..],
            &long,
            b"\nb\n",
            &most,
            b"\n",
            &over,
            b"\n\nc\n",
            &long,
        ]
        .concat();
        let found = lines(&text, 100_000);
        let expected = [
            Some(b"a".to_vec()),
            None,
            Some(b"b".to_vec()),
            Some(most),
            None,
            Some(b"c".to_vec()),
            None,
        ];
        assert!(found == expected, "{} lines", found.len());
    }

    proptest! {
        #[test]
        fn as_split_has_it(text in "[ab\n ]{0,60}", step in 1_usize..9) {
            let expected: Vec<_> = text
                .split('\n')
                .filter(|line| !line.trim().is_empty())
                .map(|line| Some(line.as_bytes().to_vec()))
                .collect();
            prop_assert_eq!(lines(text.as_bytes(), step), expected);
        }
    }
}
