//! A cursor over one table of the parsed file: typed values with their places
//! out of it, what is wrong into the list of findings.

mod unknown;

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Finding, Level, Spot, quoted};
use super::file::{List, Written};
use super::kinds::{Kind, Kinds};
use super::schema::{self, Section};
use super::source::Source;
use super::{spelling, units};

/// Lists whose entries have no case; in the others `A` is not `a`.
const CASELESS: [&str; 10] = [
    "hosts",
    "trusted_proxies",
    "block",
    "exempt",
    "countries",
    "patterns",
    "urls",
    "extensions",
    "user_agents",
    "remove",
];

/// Everything found so far.
#[derive(Debug, Default)]
pub(super) struct Findings(RefCell<Vec<Finding>>);

impl Findings {
    pub(super) fn add(&self, finding: Finding) {
        self.0.borrow_mut().push(finding);
    }

    /// Adds what would follow from another finding about the same key, unless
    /// there is one.
    pub(super) fn add_first(&self, finding: Finding) {
        let known = |other: &Finding| other.concerns(finding.key());
        if !self.0.borrow().iter().any(known) {
            self.add(finding);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        let error = |finding: &Finding| finding.level() == Level::Error;
        self.0.borrow().iter().any(error)
    }

    pub(super) fn into_inner(self) -> Vec<Finding> {
        self.0.into_inner()
    }
}

/// One table of the file. Opening it reports its unknown and unsupported
/// keys; each method reads one key and gives `None` if it is absent or wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) findings: &'a Findings,
    /// Where every key that is read is written down. The document is empty
    /// then, and each of its tables is taken to be there.
    pub(super) kinds: Option<&'a Kinds>,
}

#[derive(Debug)]
pub(super) struct Table<'a> {
    document: Document<'a>,
    section: &'static Section,
    /// The table's full key, such as `route[0].access`; empty for the top.
    key: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn top(document: Document<'a>, root: &'a Spanned<DeTable<'a>>) -> Self {
        Self::open(document, "", String::new(), root.span(), root.get_ref())
    }

    fn open(
        document: Document<'a>,
        section: &str,
        key: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        let table = Self {
            document,
            section: schema::section(section),
            key,
            span,
            entries,
        };
        for (name, value) in entries {
            table.check_key(name, value);
        }
        table
    }

    /// Where the table begins.
    pub(super) fn spot(&self) -> Spot {
        self.spot_of(self.key.clone(), self.span.clone())
    }

    pub(super) fn text(&self, name: &'static str) -> Option<Written<String>> {
        self.note(name, || Kind::Text);
        let (spot, value) = self.get(name)?;
        match value.as_str() {
            Some(text) => Some(Written::new(text.to_owned(), spot)),
            None => self.refuse(wrong_type(&spot, value, "a string")),
        }
    }

    pub(super) fn flag(&self, name: &'static str) -> Option<Written<bool>> {
        self.note(name, || Kind::Flag);
        let (spot, value) = self.get(name)?;
        match value.as_bool() {
            Some(flag) => Some(Written::new(flag, spot)),
            None => self.refuse(wrong_type(
                &spot,
                value,
                "`true` or `false`, without quotes",
            )),
        }
    }

    pub(super) fn integer(
        &self,
        name: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<Written<usize>> {
        self.note(name, || Kind::Integer(range.clone()));
        let (spot, value) = self.get(name)?;
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = value.as_integer() else {
            return self.refuse(wrong_type(&spot, value, &allowed));
        };
        let parsed = usize::from_str_radix(number.as_str(), number.radix());
        match parsed.ok().filter(|number| range.contains(number)) {
            Some(number) => Some(Written::new(number, spot)),
            None => self.refuse(
                spot.error(format!("{number} is out of range"))
                    .label("out of range")
                    .allowed(allowed),
            ),
        }
    }

    pub(super) fn duration(&self, name: &'static str) -> Option<Written<Duration>> {
        self.note(name, || Kind::Duration);
        let (spot, value) = self.get(name)?;
        let Some(text) = value.as_str() else {
            let fix = match value {
                DeValue::Integer(number) => format!("write `\"{number}s\"` if seconds are meant"),
                _ => String::new(),
            };
            let finding = wrong_type(&spot, value, "a duration in quotes");
            return self.refuse(finding.allowed(units::DURATIONS).help(fix));
        };
        match units::duration(text) {
            Some(duration) => Some(Written::new(duration, spot)),
            None => self.refuse(
                spot.error(format!("{} is not a duration", quoted(text)))
                    .label("not a duration")
                    .allowed(units::DURATIONS)
                    .help(units::nearest_duration(text)),
            ),
        }
    }

    /// A size with its unit, in bytes.
    pub(super) fn size(&self, name: &'static str) -> Option<Written<u64>> {
        self.note(name, || Kind::Size);
        let (spot, value) = self.get(name)?;
        let Some(text) = value.as_str() else {
            let fix = match value {
                DeValue::Integer(number) => format!("write `\"{number} B\"` if bytes are meant"),
                _ => String::new(),
            };
            let finding = wrong_type(&spot, value, "a size in quotes");
            return self.refuse(finding.allowed(units::SIZES).help(fix));
        };
        match units::size(text) {
            Some(size) => Some(Written::new(size, spot)),
            None => self.refuse(
                spot.error(format!("{} is not a size", quoted(text)))
                    .label("not a size")
                    .allowed(units::SIZES)
                    .help(units::nearest_size(text)),
            ),
        }
    }

    /// One of `words`, each with what it stands for.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<Written<T>> {
        self.note(name, || {
            Kind::Choice(words.iter().map(|(word, _)| (*word).to_owned()).collect())
        });
        let (spot, value) = self.get(name)?;
        let allowed = one_of(words.iter().map(|(word, _)| *word));
        let Some(text) = value.as_str() else {
            return self.refuse(wrong_type(&spot, value, &format!("one of {allowed}")));
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(Written::new(*meaning, spot));
        }
        let meant = spelling::meant(text, words.iter().map(|(word, _)| *word));
        let help = meant.map(|word| format!("did you mean `\"{word}\"`?"));
        self.refuse(
            spot.error(format!("{} is not one of the choices", quoted(text)))
                .label("not one of the choices")
                .allowed(allowed)
                .help(help.unwrap_or_default()),
        )
    }

    /// A list of strings, trimmed; empty entries are errors, repeated ones
    /// warnings.
    pub(super) fn list(&self, name: &'static str) -> Option<List> {
        self.note(name, || Kind::List);
        let (spot, value) = self.get(name)?;
        self.strings(spot, value, "a list of strings")
    }

    fn strings(&self, spot: Spot, value: &DeValue<'_>, kind: &str) -> Option<List> {
        let Some(array) = value.as_array() else {
            let fix = match value.as_str() {
                Some(text) => format!("write `[\"{text}\"]`"),
                None => String::new(),
            };
            return self.refuse(wrong_type(&spot, value, kind).help(fix));
        };
        let mut list = List::new(spot);
        for (index, item) in array.iter().enumerate() {
            let spot = list.spot_at(index, item.span());
            match item.get_ref().as_str() {
                Some(text) if text.trim().is_empty() => self.document.findings.add(
                    spot.error("this entry is empty")
                        .label("empty")
                        .help("take it out, or write what was meant"),
                ),
                Some(text) => list.push(index, text, spot.span),
                None => {
                    let fix = format!("write `\"{}\"`", written(&spot));
                    let finding = wrong_type(&spot, item.get_ref(), "a string");
                    self.document.findings.add(finding.help(fix));
                }
            }
        }
        let name = list.spot.key.rsplit('.').next();
        let caseless = name.is_some_and(|name| CASELESS.contains(&name));
        list.repeated(caseless)
            .for_each(|finding| self.document.findings.add(finding));
        Some(list)
    }

    /// A table with the keys of `section`.
    pub(super) fn table(&self, name: &'static str, section: &'static str) -> Option<Self> {
        if self.note(name, || Kind::Table(section)) {
            return Some(self.nothing(section));
        }
        let (spot, value) = self.get(name)?;
        match value.as_table() {
            Some(entries) => {
                let document = self.document;
                Some(Self::open(document, section, spot.key, spot.span, entries))
            }
            None => {
                let fix = format!("write `[{}]`, and its keys below", header(&spot.key));
                self.refuse(wrong_type(&spot, value, "a table").help(fix))
            }
        }
    }

    /// A table in which any name may stand, with a string or a list of
    /// strings.
    pub(super) fn free_table(&self, name: &'static str) -> Vec<(Written<String>, List)> {
        self.note(name, || Kind::FreeTable);
        let read = |(name, value): (Written<String>, Written<&'a DeValue<'a>>)| {
            let list = match value.value.as_str() {
                Some(text) => List::of_one(value.spot, text),
                None => self.strings(value.spot, value.value, "a string or a list of strings")?,
            };
            Some((name, list))
        };
        self.free_entries(name)
            .into_iter()
            .filter_map(read)
            .collect()
    }

    /// A table in which any name may stand, with a string.
    pub(super) fn free_texts(&self, name: &'static str) -> Vec<(Written<String>, Written<String>)> {
        self.note(name, || Kind::FreeTexts);
        let read = |(name, value): (Written<String>, Written<&'a DeValue<'a>>)| {
            let Written { value, spot } = value;
            match value.as_str() {
                Some(text) => Some((name, Written::new(text.to_owned(), spot))),
                None => self.refuse(wrong_type(&spot, value, "a string")),
            }
        };
        self.free_entries(name)
            .into_iter()
            .filter_map(read)
            .collect()
    }

    fn free_entries(&self, name: &'static str) -> Vec<(Written<String>, Written<&'a DeValue<'a>>)> {
        let Some((spot, value)) = self.get(name) else {
            return Vec::new();
        };
        let Some(entries) = value.as_table() else {
            let finding = wrong_type(&spot, value, "a table");
            self.document
                .findings
                .add(finding.help("write `{ name = \"value\" }`"));
            return Vec::new();
        };
        let read = |(name, value): (&Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &Spanned<std::borrow::Cow<'_, str>> = name;
            let key = format!("{}.{}", spot.key, name.get_ref());
            let named = self.spot_of(key.clone(), name.span());
            let value_spot = self.spot_of(key, value.span());
            (
                Written::new(name.get_ref().to_string(), named),
                Written::new(value.get_ref(), value_spot),
            )
        };
        entries.iter().map(read).collect()
    }

    /// The tables of `[[name]]`, each with the keys of `section`.
    pub(super) fn tables(&self, name: &'static str, section: &'static str) -> Vec<Self> {
        if self.note(name, || Kind::Tables(section)) {
            return vec![self.nothing(section)];
        }
        let Some((spot, value)) = self.get(name) else {
            return Vec::new();
        };
        let header = header(&spot.key);
        let fix = format!("write `[[{header}]]`, once for each, and the keys below");
        let Some(array) = value.as_array() else {
            let finding = wrong_type(&spot, value, "a list of tables");
            self.document.findings.add(finding.help(fix));
            return Vec::new();
        };
        let open = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let spot = self.spot_of(format!("{}[{index}]", spot.key), item.span());
            let Some(entries) = item.get_ref().as_table() else {
                return self.refuse(wrong_type(&spot, item.get_ref(), "a table").help(&*fix));
            };
            let document = self.document;
            Some(Self::open(document, section, spot.key, spot.span, entries))
        };
        array.iter().enumerate().filter_map(open).collect()
    }

    /// Writes down what is read, if that is wanted.
    fn note(&self, name: &'static str, kind: impl FnOnce() -> Kind) -> bool {
        let Some(kinds) = self.document.kinds else {
            return false;
        };
        kinds.add(self.section, name, kind());
        true
    }

    /// A table of `section` without a key in it.
    fn nothing(&self, section: &str) -> Self {
        Self {
            document: self.document,
            section: schema::section(section),
            key: String::new(),
            span: 0..0,
            entries: self.entries,
        }
    }

    fn get(&self, name: &'static str) -> Option<(Spot, &'a DeValue<'a>)> {
        debug_assert!(
            self.section.keys.contains(&name),
            "{name} is not in SECTIONS"
        );
        let (key, value) = self.entries.get_key_value(name)?;
        if schema::unsupported(self.section, name).is_some() {
            return None;
        }
        // The span of `[access.geo]` is its header; that of a value is the
        // value itself, and its key stands before it.
        let span = match value.get_ref() {
            DeValue::Table(_) if !self.is_inline(&value.span()) => key.span(),
            _ => value.span(),
        };
        Some((self.spot_of(self.full_key(name), span), value.get_ref()))
    }

    fn is_inline(&self, span: &Range<usize>) -> bool {
        self.document.source.text[span.clone()].starts_with('{')
    }

    fn full_key(&self, name: &str) -> String {
        match self.key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        }
    }

    fn spot_of(&self, key: String, span: Range<usize>) -> Spot {
        Spot {
            source: Arc::clone(self.document.source),
            key,
            span,
        }
    }

    fn refuse<T>(&self, finding: Finding) -> Option<T> {
        self.document.findings.add(finding);
        None
    }
}

fn wrong_type(spot: &Spot, found: &DeValue<'_>, kind: &str) -> Finding {
    let found = type_name(found);
    let finding = spot.error(format!("must be {kind}, not {found}"));
    finding.label(format!("this is {found}"))
}

/// `"a", "b" or "c"`
fn one_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// `route[0].access.geo` as it stands in a header: `route.access.geo`.
fn header(key: &str) -> String {
    let parts = key
        .split('.')
        .map(|part| part.split('[').next().unwrap_or(part));
    parts.collect::<Vec<_>>().join(".")
}

fn written(spot: &Spot) -> &str {
    &spot.source.text[spot.span.clone()]
}

fn type_name(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
