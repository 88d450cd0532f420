//! The texts that errors point into: the configuration file and the lists it
//! names.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{Finding, Place};

/// A file, or a few lines of one, that errors can point into.
#[derive(Debug)]
pub(super) struct Source {
    /// The path as the operator wrote it.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The number of the text's first line in the file, from 1.
    first_line: usize,
    line_starts: OnceLock<Vec<usize>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        // Where the lines start follows from the text.
        (&self.path, &self.text, self.first_line) == (&other.path, &other.text, other.first_line)
    }
}

impl Eq for Source {}

impl Source {
    /// The whole text of the file at `path`.
    pub(super) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Self::lines(path, text, 1)
    }

    /// Some lines of a file, the first of which is `first_line`.
    pub(super) fn lines(
        path: impl Into<PathBuf>,
        text: impl Into<String>,
        first_line: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            text: text.into(),
            first_line,
            line_starts: OnceLock::new(),
        })
    }

    /// The text of a configuration file that was read; what is wrong with it
    /// as a whole is one error that names the path.
    pub(super) fn of_bytes(
        path: &Path,
        bytes: io::Result<Vec<u8>>,
    ) -> Result<Arc<Self>, Box<Finding>> {
        let refuse = |message: String, help: &str| {
            Err(Box::new(
                Finding::error(Place::file(path), "", message).help(help),
            ))
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = why_unreadable(&error);
                let message = format!("the configuration cannot be read: {why}");
                return refuse(message, hint(&error));
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let line = 1 + count_lines(&error.as_bytes()[..good]);
                let message = format!("the configuration is not UTF-8 text: see line {line}");
                refuse(message, "save it as UTF-8; is it the right file?")
            }
        }
    }

    /// The number of the line that holds the byte at `offset`, from 1.
    pub(super) fn line_number(&self, offset: usize) -> usize {
        self.first_line + self.line_index(offset)
    }

    /// The bytes of the line that holds the byte at `offset`, without its
    /// newline.
    pub(super) fn line_span(&self, offset: usize) -> Range<usize> {
        let starts = self.line_starts();
        let line = self.line_index(offset);
        let end = starts
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        starts[line]..end
    }

    fn line_index(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset) - 1
    }

    /// Never empty: the first line starts at 0.
    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let after_newlines = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(after_newlines).collect()
        })
    }
}

/// What kept a file from being read, in words.
pub(super) fn why_unreadable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "this file may not be read: permission denied",
        io::ErrorKind::IsADirectory => "this is a directory, not a file",
        io::ErrorKind::InvalidInput => "this is a pipe, a socket or a device, not a file",
        io::ErrorKind::NotADirectory => "a part of this path is not a directory",
        _ => "this file cannot be read",
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path; a relative one starts at the current directory",
        io::ErrorKind::PermissionDenied => "let the user that runs portcullis read it",
        io::ErrorKind::IsADirectory => "name the configuration file in it",
        _ => "check the path and the disk",
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_lines() {
        let source = Source::lines("a", "one\ntwo\n", 7);
        assert_eq!(source.line_number(0), 7);
        assert_eq!(source.line_number(3), 7);
        assert_eq!(source.line_number(4), 8);
        assert_eq!(&source.text[source.line_span(5)], "two");
        assert_eq!(source.line_number(8), 9);
        assert_eq!(source.line_span(8), 8..8);
    }

    #[test]
    fn an_empty_file_has_one_line() {
        let source = Source::new("a", "");
        assert_eq!(source.line_number(0), 1);
        assert_eq!(source.line_span(0), 0..0);
    }
}
