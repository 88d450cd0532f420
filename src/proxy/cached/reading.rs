//! The body of an answer from the cache: parts of a stored body, or of one
//! that is still coming, and what stands between them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::cache::entry::StoredBody;
use crate::cache::fill::{Cut, Fill, FillReader};
use crate::cache::reply::Content;

/// Where a body is read from.
#[derive(Clone, Debug)]
pub(in crate::proxy) enum Source {
    Stored(Arc<StoredBody>),
    Fill(Arc<Fill>),
}

/// A body from the cache.
#[derive(Debug)]
pub(in crate::proxy) struct Reading {
    source: Source,
    part: Part,
    next: VecDeque<Step>,
    /// How much is still to come, if that is known.
    left: Option<u64>,
}

#[derive(Debug)]
enum Part {
    Stored(Range<u64>),
    Fill(FillReader),
    Over,
}

#[derive(Debug)]
enum Step {
    Text(Bytes),
    Range(Range<u64>),
}

impl Source {
    /// How long the whole body is, if that is known.
    fn length(&self, announced: Option<u64>) -> Option<u64> {
        match self {
            Self::Stored(body) => Some(body.length()),
            Self::Fill(_) => announced,
        }
    }
}

impl Reading {
    /// Whether it is of what is stored already.
    pub(in crate::proxy) fn is_stored(&self) -> bool {
        matches!(self.source, Source::Stored(_))
    }

    /// What `content` says; `announced` is the length of a fill, if it is
    /// known.
    pub(in crate::proxy) fn new(source: Source, content: Content, announced: Option<u64>) -> Self {
        let mut next = VecDeque::new();
        let (part, left) = match content {
            Content::Nothing => (Part::Over, Some(0)),
            Content::Whole => {
                let length = source.length(announced);
                let range = 0..length.unwrap_or(u64::MAX);
                (Part::new(&source, range), length)
            }
            Content::Piece(range) => {
                let length = range.end - range.start;
                (Part::new(&source, range), Some(length))
            }
            Content::Pieces(pieces) => {
                let mut left = pieces.closing.len() as u64;
                for piece in pieces.parts {
                    left += piece.before.len() as u64 + (piece.range.end - piece.range.start);
                    next.push_back(Step::Text(piece.before));
                    next.push_back(Step::Range(piece.range));
                }
                next.push_back(Step::Text(pieces.closing));
                (Part::Over, Some(left))
            }
        };
        Self {
            source,
            part,
            next,
            left,
        }
    }

    /// Where it was read from.
    pub(in crate::proxy) fn into_source(self) -> Source {
        self.source
    }

    /// How much is still to come, if that is known.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        self.left
    }

    /// Whether nothing is to come.
    pub(in crate::proxy) fn is_over(&self) -> bool {
        match (self.left, &self.part) {
            (Some(left), _) => left == 0,
            (None, Part::Fill(reader)) => reader.is_over(),
            (None, Part::Stored(_) | Part::Over) => self.next.is_empty(),
        }
    }

    /// The next bytes; `None` at the end.
    pub(in crate::proxy) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        loop {
            let read = match &mut self.part {
                Part::Over => None,
                Part::Stored(range) => {
                    let Source::Stored(body) = &self.source else {
                        return Poll::Ready(None);
                    };
                    let bytes = body.slice(range.clone());
                    range.start += bytes.len() as u64;
                    Some(Ok(bytes)).filter(|read| read.as_ref().is_ok_and(|b| !b.is_empty()))
                }
                Part::Fill(reader) => ready!(reader.poll(cx)),
            };
            match read {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(self.count(bytes)))),
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => match self.next.pop_front() {
                    Some(Step::Text(text)) => {
                        self.part = Part::Over;
                        return Poll::Ready(Some(Ok(self.count(text))));
                    }
                    Some(Step::Range(range)) => self.part = Part::new(&self.source, range),
                    None => return Poll::Ready(None),
                },
            }
        }
    }

    fn count(&mut self, bytes: Bytes) -> Bytes {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes.len() as u64);
        }
        bytes
    }
}

impl Part {
    fn new(source: &Source, range: Range<u64>) -> Self {
        match source {
            Source::Stored(_) => Self::Stored(range),
            Source::Fill(fill) => Self::Fill(FillReader::new(Arc::clone(fill), range)),
        }
    }
}
