//! A text to a [`ConfigFile`]: the syntax of TOML, and which keys stand where.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::error::{Finding, Place};
use super::file::ConfigFile;
use super::read;
use super::reader::{Document, Findings, Table};
use super::source::Source;

/// More broken lines than this are not configuration.
const MOST_BROKEN: usize = 20;

/// What is said of a header in a list.
const LIST_SLIPS: [&str; 4] = [
    "missing comma between array elements",
    "extra comma in array",
    "unclosed array",
    "string values must be quoted",
];

/// Reads `source`. `None` if it is not TOML: what follows a syntax error may
/// have landed in another table, so that only what stands before the first
/// one is reported beside it.
pub(super) fn parse(source: &Arc<Source>, findings: &Findings) -> Option<ConfigFile> {
    let (root, _) = DeTable::parse_recoverable(&source.text);
    let found = Findings::default();
    let document = Document {
        source,
        findings: &found,
        kinds: None,
    };
    let file = read::file(&Table::top(document, &root));
    let broken = broken_lines(source);
    let whole = broken.is_empty();
    let first = broken.iter().filter_map(Finding::line).min();
    let found = found.into_inner().into_iter();
    let sound = found.filter(|finding| first.is_none_or(|first| finding.line() < Some(first)));
    sound
        .chain(broken)
        .for_each(|finding| findings.add(finding));
    whole.then_some(file)
}

/// The syntax errors, one for a line. A parser that goes on behind an error
/// is often confused by what is left of the line, so each broken line is
/// taken out and the rest parsed anew.
fn broken_lines(source: &Arc<Source>) -> Vec<Finding> {
    let mut text = Cow::Borrowed(source.text.as_str());
    let mut findings = Vec::new();
    while let Some((span, message)) = first_error(&text) {
        let line = source.line_span(span.start);
        let shown = source.text[line.clone()].trim_start();
        let was_header = shown.starts_with('[');
        if text[line.clone()] != source.text[line.clone()] {
            break; // it is broken without this line, too
        }
        if was_header && LIST_SLIPS.iter().any(|slip| message.starts_with(slip)) {
            findings.push(open_list(source, line));
            break; // it swallows all that follows
        }
        findings.push(syntax(source, span, &message));
        if findings.len() == MOST_BROKEN {
            break;
        }
        let stand_in = taken_out(&source.text[line.clone()], findings.len());
        text.to_mut().replace_range(line, &stand_in);
    }
    findings
}

fn first_error(text: &str) -> Option<(Range<usize>, String)> {
    let (_, errors) = DeTable::parse_recoverable(text);
    let place = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
    let first = errors.iter().min_by_key(|error| place(error).start)?;
    Some((place(first), first.message().to_owned()))
}

/// A header that is read as an entry of a list: the list above has no end.
fn open_list(source: &Arc<Source>, line: Range<usize>) -> Finding {
    let message = "this is not TOML: a list above this line is not closed";
    let finding = Finding::error(Place::new(source, line), "", message);
    finding
        .label("read as an entry of that list")
        .help("close the list with `]`")
}

/// What stands in for a broken line: as long, so that places stay the same.
/// For a header it is another header, so that its keys are not the last
/// table's; and a list that begins or ends on the line still does.
fn taken_out(line: &str, number: usize) -> String {
    let blanks = |count: usize| " ".repeat(count);
    let header = format!("[-{number}]");
    let value = line.find('=').unwrap_or(line.len());
    let open = line[value..].find('[').map(|at| value + at + 1);
    let kept = match (open, line.rfind(']')) {
        _ if line.trim_start().starts_with('[') => header,
        (Some(open), None) => line[..open].to_owned(),
        (None, Some(close)) => blanks(close) + "]",
        _ => String::new(),
    };
    match line.len().checked_sub(kept.len()) {
        Some(rest) => kept + &blanks(rest),
        None => blanks(line.len()),
    }
}

fn syntax(source: &Arc<Source>, span: Range<usize>, message: &str) -> Finding {
    let line_span = source.line_span(span.start);
    let line = &source.text[line_span.clone()];
    let key = key_of(&source.text[..line_span.start], line);
    let place = Place::new(source, span);
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, "nothing")) => (message, ""),
        Some((message, expected)) => (message, expected),
        None => (message, ""),
    };
    let error = |message: &str| Finding::error(place, &key, format!("this is not TOML: {message}"));
    match unquoted(line, message) {
        Some((message, fix)) => error(message).label("from here on").help(fix),
        None => error(message).label(message).allowed(expected),
    }
}

/// The full key that the broken `line` is about, as far as can be told from it
/// and the headers `above`; empty if it is a header itself.
fn key_of(above: &str, line: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let key = line.split('=').next().unwrap_or_default().trim();
    if !line.contains('=') || key.is_empty() || !key.bytes().all(plain) {
        return String::new();
    }
    let headers = above
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('['));
    let headers: Vec<&str> = headers.filter_map(|line| line.split(']').next()).collect();
    let Some(last) = headers.last() else {
        return key.to_owned();
    };
    let table = last.trim_start_matches('[').trim();
    let first = table.split('.').next().unwrap_or_default();
    let one_of_many = format!("[[{first}");
    match headers
        .iter()
        .filter(|header| **header == one_of_many)
        .count()
    {
        0 => format!("{table}.{key}"),
        count => format!("{first}[{}]{}.{key}", count - 1, &table[first.len()..]),
    }
}

/// The commonest slip, a text without its quotes, and its fix.
fn unquoted(line: &str, message: &str) -> Option<(&'static str, String)> {
    let slips = [
        "string values must be quoted",
        "invalid float",
        "invalid integer",
        "invalid datetime",
    ];
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split(" #").next()?.trim());
    if !slips.iter().any(|slip| message.starts_with(slip)) || value.contains(['"', '\'']) {
        return None;
    }
    let inner = value
        .strip_prefix('[')
        .and_then(|value| value.strip_suffix(']'));
    let fixed = match inner {
        Some(inner) => {
            let entries = inner
                .split(',')
                .map(|entry| format!("\"{}\"", entry.trim()));
            format!("[{}]", entries.collect::<Vec<_>>().join(", "))
        }
        None if value.is_empty() => return Some(("a key without a value", String::new())),
        None => format!("\"{value}\""),
    };
    Some(("text stands in quotes", format!("write `{key} = {fixed}`")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<Finding> {
        let findings = Findings::default();
        let _ = parse(&Source::new("a.toml", text), &findings);
        findings.into_inner()
    }

    #[test]
    fn each_broken_line_once() {
        let text = "[server\nlisten = [a]\n\n[origin\nurl = b\n[log]\nlevel = 'x\n";
        let lines: Vec<_> = found(text).iter().map(Finding::line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 7].map(Some));
    }

    #[test]
    fn lines_of_a_broken_list() {
        let text = "[access.ip]\nblock = [\"a\"x,\n  \"\u{e4}\",\n  \"b\" \"c\"]\n\n[log]\nlevel = \"info\"\n";
        let lines: Vec<_> = found(text).iter().map(Finding::line).collect();
        assert_eq!(lines, [2, 4].map(Some));
    }

    #[test]
    fn broken_lines_have_keys() {
        let text =
            "a = b\n[log]\nlevel = x\n[[route]]\n[[route]]\nname = y\n[route.origin]\nurl = z\n";
        let found = found(text);
        let keys: Vec<&str> = found.iter().map(Finding::key).collect();
        assert_eq!(
            keys,
            ["a", "log.level", "route[1].name", "route[1].origin.url"]
        );
    }

    #[test]
    fn a_list_that_is_not_closed_is_said_once() {
        let text = "[server]\nlisten = [\"127.0.0.1:8080\",\n[origin]\nurl = \"http://a\"\n";
        assert_eq!(found(text).len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", likely in "[\\[\\]{}=\"'\\\\a-c.,#\u{e4} \r\n\t0-9-]{0,60}") {
            for text in [text, likely] {
                for finding in found(&text) {
                    prop_assert!(!finding.to_string().is_empty());
                }
            }
        }
    }
}
