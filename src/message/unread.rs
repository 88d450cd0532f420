//! What is read of a body and is none of it.

use std::cell::Cell;

/// So many bytes come between two pieces of a body at most: zeros, blanks and
/// extensions of its chunks, trailers (RFC 9112 section 7.1), and what is read
/// ahead. The HTTP library has no limit to the first two, and lets nobody else
/// go on while they come.
const MOST: u64 = 512 * 1024;

/// Bytes that were read since some of a body were handed on.
#[derive(Debug, Default)]
pub struct Unread(Cell<u64>);

impl Unread {
    /// So many more were read. Whether that is too many.
    pub fn add(&self, bytes: usize) -> bool {
        self.0.set(self.0.get() + bytes as u64);
        self.0.get() > MOST
    }

    /// A piece of the body was handed on, or another one begins.
    pub fn clear(&self) {
        self.0.set(0);
    }
}
