//! What is wrong, or risky, in a configuration: each with its place, the full
//! key, what was found, what is allowed and the likely fix.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level as Tone, Origin, Renderer, Snippet};

use super::SourceFile;
use super::masked::masked;
use super::source::Source;
use crate::message::terminal::plain;

/// Why a configuration was refused: every error in it, in order of position.
#[derive(Debug, thiserror::Error)]
#[error("{}", render_all(findings))]
pub struct ConfigErrors {
    pub(super) findings: Vec<Finding>,
    pub(super) sources: Vec<SourceFile>,
}

impl ConfigErrors {
    /// The errors, in order of position; never empty.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter()
    }

    /// The files that were read, or could not be: one of them has to change.
    pub fn sources(&self) -> &[SourceFile] {
        &self.sources
    }
}

/// What is risky in a configuration that is in force all the same.
#[derive(Debug, Default)]
pub struct Warnings(pub(super) Vec<Finding>);

impl Warnings {
    /// Whether there is nothing to warn of.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The warnings, in order of position.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render_all(&self.0))
    }
}

/// Whether a finding refuses the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The configuration is refused.
    Error,
    /// It is accepted; someone should look.
    Warning,
}

/// One thing that is wrong or risky; `Display` shows the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    level: Level,
    place: Place,
    key: String,
    message: String,
    label: String,
    notes: Vec<Note>,
    /// The key that `key` is probably a misspelling of.
    meant: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    name: &'static str,
    text: String,
}

impl Finding {
    /// An error at `place`; `key` is the full key, or empty where none is
    /// concerned.
    pub(super) fn error(place: Place, key: &str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            place,
            key: key.to_owned(),
            message: masked(&message.into()).into_owned(),
            label: String::new(),
            notes: Vec::new(),
            meant: None,
        }
    }

    /// The same as a warning.
    pub(super) fn warning(self) -> Self {
        Self {
            level: Level::Warning,
            ..self
        }
    }

    /// What stands beside the carets.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = masked(&label.into()).into_owned();
        self
    }

    /// What may stand there.
    pub(super) fn allowed(self, text: impl Into<String>) -> Self {
        self.noted("allowed", text)
    }

    /// The likely fix.
    pub(super) fn help(self, text: impl Into<String>) -> Self {
        self.noted("help", text)
    }

    /// The full key that was probably meant: what would be said of its
    /// absence is said by this.
    pub(super) fn meant(mut self, key: String) -> Self {
        self.meant = Some(key);
        self
    }

    /// What a test says.
    pub(super) fn expected(self, text: impl Into<String>) -> Self {
        self.noted("expected", text)
    }

    /// What is the case instead.
    pub(super) fn found(self, text: impl Into<String>) -> Self {
        self.noted("found", text)
    }

    /// Why it matters.
    pub(super) fn note(self, text: impl Into<String>) -> Self {
        self.noted("note", text)
    }

    fn noted(mut self, name: &'static str, text: impl Into<String>) -> Self {
        let text = masked(&text.into()).into_owned();
        if !text.is_empty() {
            self.notes.push(Note { name, text });
        }
        self
    }

    /// Whether it refuses the configuration.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The full key concerned, such as `route[1].access.geo.countries[2]`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The full key and what is the matter with it, on one line.
    pub fn summary(&self) -> String {
        match self.key.as_str() {
            "" => self.message.clone(),
            key => format!("{key}: {}", self.message),
        }
    }

    /// The file it stands in, as the operator wrote its path.
    pub fn path(&self) -> &Path {
        &self.place.source.path
    }

    /// The line, from 1; `None` where the whole file is concerned.
    pub fn line(&self) -> Option<usize> {
        match &self.place.at {
            At::File | At::Text => None,
            At::Bytes(span) => Some(self.place.source.line_number(span.start)),
        }
    }

    /// Whether it is about `key` or about an entry of it.
    pub(super) fn concerns(&self, key: &str) -> bool {
        let begins = |own: &String| {
            let rest = own.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        begins(&self.key) || self.meant.as_ref().is_some_and(begins)
    }

    /// What to order findings by: the configuration file's own first.
    pub(super) fn position(&self, main: &Path) -> (bool, &Path, Option<usize>, usize) {
        let start = match &self.place.at {
            At::File | At::Text => 0,
            At::Bytes(span) => span.start,
        };
        (self.path() != main, self.path(), self.line(), start)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tone = match self.level {
            Level::Error => Tone::ERROR,
            Level::Warning => Tone::WARNING,
        };
        let path = self.place.source.path.to_string_lossy();
        let shown = self.place.line();
        let group = Group::with_title(tone.primary_title(self.summary()));
        let group = match &self.place.at {
            At::File => group.element(Origin::path(path)),
            At::Text => group.element(Origin::path(path).line(1).char_column(1)),
            At::Bytes(span) => {
                let snippet = self.place.snippet(span, &shown, &self.label);
                group.element(snippet.path(path))
            }
        };
        let notes = self.notes.iter();
        let notes = notes.map(|note| Tone::NOTE.with_name(note.name).message(&*note.text));
        let rendered = Renderer::plain().render(&[group.elements(notes)]);
        f.write_str(&for_terminal(&rendered))
    }
}

/// Where something stands: a file, and bytes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    source: Arc<Source>,
    at: At,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    /// The file as such, which may not be there.
    File,
    /// The text as a whole: no line of it is to blame.
    Text,
    Bytes(Range<usize>),
}

impl Place {
    pub(super) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let text = &source.text;
        let end = text.floor_char_boundary(span.end);
        let start = text.floor_char_boundary(span.start.min(end));
        Self {
            source: Arc::clone(source),
            at: At::Bytes(start..end),
        }
    }

    /// A whole file that has no text to show, for instance because it is
    /// not there.
    pub(super) fn file(path: &Path) -> Self {
        Self {
            source: Source::new(path, ""),
            at: At::File,
        }
    }

    /// A whole file that lacks something: no line of it is to blame.
    pub(super) fn whole(source: &Arc<Source>) -> Self {
        Self {
            source: Arc::clone(source),
            at: At::Text,
        }
    }

    /// The first line of it, as it may be shown.
    fn line(&self) -> Cow<'_, str> {
        let At::Bytes(span) = &self.at else {
            return "".into();
        };
        let line = self.source.line_span(span.start);
        masked(self.source.text[line].trim_end_matches('\r'))
    }

    /// The span's first line, which is `text`, with carets under what of the
    /// span is on it: a list of a thousand lines is not quoted back.
    fn snippet<'a>(
        &'a self,
        span: &Range<usize>,
        text: &'a str,
        label: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let line = self.source.line_span(span.start);
        let start = (span.start - line.start).min(text.len());
        let end = span.end.min(line.start + text.len()) - line.start;
        let carets = AnnotationKind::Primary.span(start..end.max(start));
        let carets = match label {
            "" => carets,
            label => carets.label(label),
        };
        Snippet::source(text)
            .line_start(self.source.line_number(span.start))
            .annotation(carets)
    }
}

/// Something written in a configuration: its full key and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) source: Arc<Source>,
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl Spot {
    pub(super) fn error(&self, message: impl Into<String>) -> Finding {
        let place = Place::new(&self.source, self.span.clone());
        Finding::error(place, &self.key, message)
    }

    pub(super) fn warning(&self, message: impl Into<String>) -> Finding {
        self.error(message).warning()
    }

    /// The line it stands on, from 1.
    pub(super) fn line(&self) -> usize {
        self.source.line_number(self.span.start)
    }

    /// The same place, for what is missing there: `key` of this table.
    pub(super) fn lacking(&self, key: &str) -> Self {
        let key = format!("{}.{key}", self.key);
        Self {
            key,
            ..self.clone()
        }
    }
}

/// `text` as it is quoted in a message: on one line, and not longer than a
/// line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let dots = if text.chars().nth(LONGEST).is_some() {
        "..."
    } else {
        ""
    };
    let text = masked(text);
    let shown = text.chars().take(LONGEST).map(|letter| match letter {
        '\\' | '"' | '\'' => letter.to_string(),
        letter => letter.escape_debug().to_string(),
    });
    format!("`{}{dots}`", shown.collect::<String>())
}

fn render_all(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
    texts.join("\n\n")
}

/// A text for a terminal, which obeys nothing that stands in a file. Trailing
/// blanks would be lost in editors and mails, and then a comparison of the
/// texts would fail.
fn for_terminal(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| plain(line.trim_end())).collect();
    lines.join("\n")
}
