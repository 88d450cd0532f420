//! A list of strings as it is written.

use std::collections::HashMap;
use std::ops::Range;

use super::{Finding, Spot, quoted};

/// A list of strings and where it stands.
#[derive(Clone, Debug)]
pub(in crate::config) struct List {
    pub(in crate::config) spot: Spot,
    entries: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    /// Its place in the list as written, where wrong entries count too.
    index: usize,
    text: String,
    span: Range<usize>,
}

/// One entry of a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Entry<'a> {
    pub(in crate::config) text: &'a str,
    list: &'a List,
    item: &'a Item,
}

impl List {
    pub(in crate::config) fn new(spot: Spot) -> Self {
        Self {
            spot,
            entries: Vec::new(),
        }
    }

    /// A list with one entry that is written without the brackets.
    pub(in crate::config) fn of_one(spot: Spot, text: &str) -> Self {
        let item = Item {
            index: 0,
            text: text.to_owned(),
            span: spot.span.clone(),
        };
        Self {
            spot,
            entries: vec![item],
        }
    }

    pub(in crate::config) fn push(&mut self, index: usize, text: &str, span: Range<usize>) {
        let text = text.trim().to_owned();
        self.entries.push(Item { index, text, span });
    }

    pub(in crate::config) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::config) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(in crate::config) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|item| Entry {
            text: &item.text,
            list: self,
            item,
        })
    }

    pub(in crate::config) fn spot_at(&self, index: usize, span: Range<usize>) -> Spot {
        Spot {
            key: format!("{}[{index}]", self.spot.key),
            span,
            ..self.spot.clone()
        }
    }

    /// A warning for each entry that stands in the list already; `caseless`:
    /// also in another case.
    pub(in crate::config) fn repeated(&self, caseless: bool) -> impl Iterator<Item = Finding> {
        let mut seen = HashMap::new();
        self.iter().filter_map(move |entry| {
            let text = match caseless {
                true => entry.text.to_ascii_lowercase(),
                false => entry.text.to_owned(),
            };
            let first = seen.insert(text, entry.item.index)?;
            let message = format!("{} stands in this list already", quoted(entry.text));
            let finding = entry.spot().warning(message).label("repeated");
            let first = format!("the first is {}[{first}]", entry.list.spot.key);
            Some(finding.note(first).help("take one of them out"))
        })
    }
}

impl Entry<'_> {
    pub(in crate::config) fn spot(&self) -> Spot {
        self.list.spot_at(self.item.index, self.item.span.clone())
    }

    pub(in crate::config) fn error(&self, message: impl Into<String>) -> Finding {
        self.spot().error(message)
    }

    pub(in crate::config) fn warning(&self, message: impl Into<String>) -> Finding {
        self.spot().warning(message)
    }

    /// The place of some bytes of the text; of all of it where the text is
    /// written with escapes.
    pub(in crate::config) fn spot_of(&self, part: Range<usize>) -> Spot {
        let mut spot = self.spot();
        let written = &spot.source.text[spot.span.clone()];
        if let Some(at) = written.find(self.text)
            && part.end <= self.text.len()
        {
            let start = spot.span.start + at;
            spot.span = start + part.start..start + part.end;
        }
        spot
    }
}
