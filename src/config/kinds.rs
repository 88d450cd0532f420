//! What each key takes. The readers themselves say it: they are run once over
//! nothing, and what they ask for is written down.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeTable;

use super::read;
use super::reader::{Document, Findings, Table};
use super::schema::Section;
use super::source::Source;

/// What a key takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    Integer(RangeInclusive<usize>),
    Duration,
    Size,
    /// One of these words.
    Choice(Vec<String>),
    /// Strings.
    List,
    /// A table with the keys of that section.
    Table(&'static str),
    /// Any number of them.
    Tables(&'static str),
    /// A table in which any name may stand, with a string.
    FreeTexts,
    /// The same with a string or a list of strings.
    FreeTable,
}

/// The kind of each key, by section and key.
#[derive(Debug, Default)]
pub(super) struct Kinds(RefCell<BTreeMap<(&'static str, &'static str), Kind>>);

impl Kinds {
    /// Of all keys that are read.
    pub(super) fn of_all() -> Self {
        let (kinds, findings) = (Self::default(), Findings::default());
        let source = Source::new("", "");
        let document = Document {
            source: &source,
            findings: &findings,
            kinds: Some(&kinds),
        };
        let nothing = Spanned::new(0..0, DeTable::new());
        read::file(&Table::top(document, &nothing));
        kinds
    }

    /// Tables that stand in several places are read several times.
    pub(super) fn add(&self, section: &Section, key: &'static str, kind: Kind) {
        let mut kinds = self.0.borrow_mut();
        if let Some(known) = kinds.insert((section.name, key), kind) {
            let two_ways = kinds.get(&(section.name, key)) != Some(&known);
            debug_assert!(!two_ways, "{key} is read in two ways");
        }
    }

    /// `None` for a key that nobody reads.
    pub(super) fn get(&self, section: &Section, key: &'static str) -> Option<Kind> {
        self.0.borrow().get(&(section.name, key)).cloned()
    }
}
