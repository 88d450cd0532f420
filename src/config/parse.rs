//! A text to a [`ConfigFile`]: the syntax of TOML, and which keys stand where.

use std::sync::Arc;

use toml::de::DeTable;

use super::error::{Finding, Place};
use super::file::ConfigFile;
use super::read;
use super::reader::{Document, Findings, Table};
use super::source::Source;

/// Reads `source`. `None` if it is not TOML: what follows a syntax error may
/// have landed in another table, so that only what stands before the first
/// one is reported beside it.
pub(super) fn parse(source: &Arc<Source>, findings: &Findings) -> Option<ConfigFile> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let found = Findings::default();
    let document = Document {
        source,
        findings: &found,
    };
    let file = read::file(&Table::top(document, &root));
    let broken: Vec<Finding> = errors.iter().map(|error| syntax(source, error)).collect();
    let first = broken.iter().filter_map(Finding::line).min();
    found
        .into_inner()
        .into_iter()
        .filter(|finding| first.is_none_or(|first| finding.line() < Some(first)))
        .for_each(|finding| findings.add(finding));
    let whole = broken.is_empty();
    for finding in one_a_line(broken) {
        findings.add(finding);
    }
    whole.then_some(file)
}

/// The parser goes on within a broken line, and what it says then is noise.
fn one_a_line(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.dedup_by_key(|finding| finding.line());
    findings
}

fn syntax(source: &Arc<Source>, error: &toml::de::Error) -> Finding {
    let end = source.text.len();
    let span = error.span().unwrap_or(end..end);
    let help = unquoted(&source.text[source.line_span(span.start)], error.message());
    let place = Place::new(source, span);
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, "nothing")) => (message, ""),
        Some((message, expected)) => (message, expected),
        None => (error.message(), ""),
    };
    let finding = Finding::error(place, "", format!("this is not TOML: {message}"));
    finding.label(message).allowed(expected).help(help)
}

/// The fix for the commonest slip, a text without its quotes.
fn unquoted(line: &str, message: &str) -> String {
    let of_a_value = [
        "string values",
        "invalid float",
        "invalid integer",
        "invalid datetime",
    ];
    let Some((key, value)) = line.split_once('=') else {
        return String::new();
    };
    let value = value.split(" #").next().unwrap_or_default().trim();
    if !of_a_value.iter().any(|slip| message.starts_with(slip)) || value.contains(['"', '\'']) {
        return String::new();
    }
    match value {
        "" => format!("write a value behind `{} =`", key.trim()),
        value => format!("text stands in quotes: `{} = \"{value}\"`", key.trim()),
    }
}
