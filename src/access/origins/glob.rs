//! The limited globs of `access.origins`: their grammar, checked before
//! anything is compiled, because a glob that quietly means something else
//! lets strangers in.

use std::net::Ipv6Addr;
use std::ops::Range;

use globset::GlobBuilder;

use super::field::is_app_origin;
use crate::message::authority::normalise_host;

/// A pattern may stand for at most this many, braces multiplied out.
const MAX_ALTERNATIVES: usize = 1000;

/// A checked pattern, ready for [`super::OriginPatterns`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    text: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`.
    Null,
    /// An origin of another scheme than http and https, in lower case.
    App(String),
    /// One host with any port, normalised.
    Host(String),
    /// Every host with any port that is below this one: by one label, or by
    /// any number of them.
    Below {
        /// The host above, normalised.
        parent: String,
        /// Whether more than one label may stand before it.
        deep: bool,
    },
    /// A regular expression over `labels/with/slashes|port`.
    Web(String),
}

/// Why a pattern is a configuration error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatternError {
    /// Where in the pattern, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub reason: PatternReason,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternReason {
    /// Nothing but a scheme.
    #[error("the pattern names no host")]
    Empty,
    /// A character that no pattern has.
    #[error("`{0}` is not allowed in a pattern")]
    Character(char),
    /// Anything after the host but one `/`.
    #[error("a pattern ends with its host or port; a path cannot be matched")]
    Path,
    /// `{` or `[` without its end, or the other way round.
    #[error("`{0}` is not closed or not opened")]
    Unbalanced(char),
    /// `{}` or `[]`.
    #[error("empty braces or brackets match nothing")]
    EmptyGroup,
    /// `,` outside braces.
    #[error("`,` stands only inside braces; put each pattern in an entry of its own")]
    Comma,
    /// `[!a]` or `[^a]`.
    #[error("negated sets are not supported: they would match the separator")]
    NegatedSet,
    /// Something else than letters, digits, `-` and `_` in a set.
    #[error("a set holds letters, digits, `-` and `_` only, not `{0}`")]
    InSet(char),
    /// `[a-c-f]`.
    #[error("a `-` in a set stands between the two ends of a range, or first, or last")]
    Hyphen,
    /// `[d-a]`.
    #[error("the range ends before it starts")]
    Range,
    /// `**` that is not a whole label of the host.
    #[error("`**` stands only as a whole label, as in `**.example.com`")]
    DoubleStar,
    /// An empty label, or one that is not the name of a host.
    #[error("`{0}` is not a label of a host name")]
    Label(String),
    /// A port that is not a number from 1 to 65535 or a glob of digits.
    #[error("`{0}` is not a port")]
    Port(String),
    /// `{a.com:80,b.com}`.
    #[error("a port inside braces; write one pattern for each port")]
    PortInBraces,
    /// More than the limit of alternatives.
    #[error("the braces stand for more than {MAX_ALTERNATIVES} patterns")]
    TooMany,
    /// `://x`, `1x://a`.
    #[error("this is no origin: a scheme, `://` and a host")]
    NotAnOrigin,
    /// A glob character in the origin of an app.
    #[error(
        "an origin of another scheme than http and https is matched only as written, without globs"
    )]
    AppGlob,
}

type Checked<T> = Result<T, PatternError>;

fn fail<T>(span: Range<usize>, reason: PatternReason) -> Checked<T> {
    Err(PatternError { span, reason })
}

impl OriginPattern {
    /// Reads a pattern as section 6.5 defines it.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the place in `text` and what is wrong there.
    pub fn parse(text: &str) -> Checked<Self> {
        let kind = if text == "null" {
            Kind::Null
        } else if let Some((scheme, _)) = text.split_once("://")
            && !is_web_scheme(scheme)
        {
            parse_app(text)?
        } else {
            let start = text.find("://").map_or(0, |at| at + 3);
            parse_web(text, start)?
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_web_scheme(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn parse_app(text: &str) -> Checked<Kind> {
    if let Some(at) = text.find(['*', '?', '{', '}', '[', ']', '(', ')', '\\', ',']) {
        return fail(at..at + 1, PatternReason::AppGlob);
    }
    let host = text.find("://").map_or(0, |at| at + 3);
    if host == text.len() {
        return fail(0..text.len(), PatternReason::Empty);
    }
    if let Some(at) = text[host..].find('/') {
        return fail(host + at..text.len(), PatternReason::Path);
    }
    if !is_app_origin(&text[..host - 3], &text[host..]) {
        return fail(0..text.len(), PatternReason::NotAnOrigin);
    }
    Ok(Kind::App(text.to_ascii_lowercase()))
}

/// Reads the host and port from byte `start` on.
fn parse_web(text: &str, start: usize) -> Checked<Kind> {
    let end = text
        .strip_suffix('/')
        .map_or(text.len(), str::len)
        .max(start);
    if start == end {
        return fail(0..text.len(), PatternReason::Empty);
    }
    let cut = check_syntax(text, start..end)?;
    let host = &text[start..cut.unwrap_or(end)];
    if cut.is_none()
        && host.is_ascii()
        && let Some(host) = normalise_host(host)
    {
        return Ok(Kind::Host(host.to_string()));
    }
    if cut.is_none()
        && let Some(below) = below(host)
    {
        return Ok(below);
    }
    let whole = |reason| PatternError {
        span: start..end,
        reason,
    };
    let hosts = host_regex(host).map_err(whole)?;
    let port = match cut {
        None => "[0-9]+".to_owned(),
        Some(at) => port_regex(&text[at + 1..end]).map_err(|reason| PatternError {
            span: at + 1..end.max(at + 2).min(text.len()),
            reason,
        })?,
    };
    Ok(Kind::Web(format!("(?:{hosts})\\|(?:{port})")))
}

/// `*.example.com` and `**.example.com`.
fn below(host: &str) -> Option<Kind> {
    let (label, parent) = host.split_once('.')?;
    let parent = normalise_host(parent).filter(|parent| parent.is_ascii())?;
    let deep = match label {
        "*" => false,
        "**" => true,
        _ => return None,
    };
    Some(Kind::Below {
        parent: parent.to_string(),
        deep,
    })
}

/// Checks brackets, braces and characters; gives the place of the `:` before
/// the port.
fn check_syntax(text: &str, range: Range<usize>) -> Checked<Option<usize>> {
    let mut cut = None;
    let mut opened = Vec::new();
    let mut skip_to = range.start;
    for (at, character) in text[range.clone()].char_indices() {
        let at = range.start + at;
        let here = at..at + character.len_utf8();
        if at < skip_to {
            continue;
        }
        match character {
            '[' => skip_to = check_set(text, at, range.end)?,
            ']' => return fail(here, PatternReason::Unbalanced(']')),
            '{' => opened.push(at),
            '}' => match opened.pop() {
                None => return fail(here, PatternReason::Unbalanced('}')),
                Some(open) if open + 1 == at => {
                    return fail(open..at + 1, PatternReason::EmptyGroup);
                }
                Some(_) => {}
            },
            ',' if opened.is_empty() => return fail(here, PatternReason::Comma),
            ':' if !opened.is_empty() => return fail(here, PatternReason::PortInBraces),
            ':' => {
                if let Some(first) = cut.replace(at) {
                    return fail(first..first + 1, PatternReason::Character(':'));
                }
            }
            '/' => return fail(at..text.len(), PatternReason::Path),
            '*' | '?' | '.' | '-' | '_' | ',' => {}
            _ if character.is_ascii_alphanumeric() || !character.is_ascii() => {}
            _ => return fail(here, PatternReason::Character(character)),
        }
    }
    match opened.first() {
        Some(open) => fail(*open..open + 1, PatternReason::Unbalanced('{')),
        None => Ok(cut),
    }
}

/// Checks the set or IPv6 address that opens at `open`; gives the byte after
/// its `]`.
fn check_set(text: &str, open: usize, end: usize) -> Checked<usize> {
    let Some(length) = text[open + 1..end].find(']') else {
        return fail(open..open + 1, PatternReason::Unbalanced('['));
    };
    let close = open + 1 + length;
    let set = &text[open + 1..close];
    if set.parse::<Ipv6Addr>().is_ok() {
        return Ok(close + 1);
    }
    if set.is_empty() {
        return fail(open..close + 1, PatternReason::EmptyGroup);
    }
    if set.starts_with(['!', '^']) {
        return fail(open + 1..open + 2, PatternReason::NegatedSet);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if let Some((at, bad)) = set.char_indices().find(|(_, c)| !fits(*c)) {
        let at = open + 1 + at;
        return fail(at..at + bad.len_utf8(), PatternReason::InSet(bad));
    }
    check_ranges(set.to_ascii_lowercase().as_bytes()).map_err(|(at, reason)| PatternError {
        span: open + 1 + at.start..open + 1 + at.end,
        reason,
    })?;
    Ok(close + 1)
}

/// Checks what is a range in a set and what a `-`: readers of sets do not agree
/// on `[a-a-f]`. Gives the place of what is wrong.
fn check_ranges(set: &[u8]) -> Result<(), (Range<usize>, PatternReason)> {
    let mut at = 0;
    while let Some(&first) = set.get(at) {
        let hyphen = first == b'-' && at > 0 && at + 1 < set.len();
        let last = set.get(at + 2).filter(|_| set[at + 1] == b'-');
        match last {
            _ if hyphen => return Err((at..at + 1, PatternReason::Hyphen)),
            None => at += 1,
            Some(b'-') => return Err((at + 2..at + 3, PatternReason::Hyphen)),
            Some(_) if first == b'-' => return Err((at..at + 1, PatternReason::Hyphen)),
            Some(&last) if first > last => return Err((at..at + 3, PatternReason::Range)),
            Some(_) => at += 3,
        }
    }
    Ok(())
}

/// The regular expression of the host half.
fn host_regex(host: &str) -> Result<String, PatternReason> {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        // Dots are slashes in the text that is matched.
        return Ok(format!("\\[{}\\]", address.to_string().replace('.', "/")));
    }
    let alternatives = expand(host)?;
    let single = alternatives.len() == 1;
    let mut regexes = Vec::new();
    for alternative in &alternatives {
        match labels_regex(alternative) {
            Ok(regex) => regexes.push(regex),
            // An empty alternative can make a name that no host has; the
            // others still stand.
            Err(PatternReason::Label(label)) if label.is_empty() && !single => {}
            Err(reason) => return Err(reason),
        }
    }
    if regexes.is_empty() {
        return Err(PatternReason::Label(String::new()));
    }
    Ok(regexes.join("|"))
}

fn labels_regex(host: &str) -> Result<String, PatternReason> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if !host.contains(['*', '?', '[']) && host.is_ascii() && normalise_host(host).is_none() {
        let empty = host.split('.').any(str::is_empty);
        return Err(PatternReason::Label(if empty {
            String::new()
        } else {
            host.to_owned()
        }));
    }
    let labels: Result<Vec<String>, _> = host.split('.').map(label_regex).collect();
    Ok(labels?.join("/"))
}

/// One label: `**`, a glob, or a literal that becomes an A-label.
fn label_regex(label: &str) -> Result<String, PatternReason> {
    if label == "**" {
        return Ok("[^/|]+(?:/[^/|]+)*".to_owned());
    }
    if label.contains("**") {
        return Err(PatternReason::DoubleStar);
    }
    let bad = || PatternReason::Label(label.to_owned());
    if label.is_empty() {
        return Err(bad());
    }
    let is_glob = label.contains(['*', '?', '[']);
    if is_glob || label.is_ascii() {
        if !label.is_ascii() {
            return Err(bad());
        }
        return glob_regex(&label.to_ascii_lowercase()).ok_or_else(bad);
    }
    let ascii = idna::domain_to_ascii_cow(label.as_bytes(), idna::AsciiDenyList::URL);
    glob_regex(&ascii.map_err(|_| bad())?).ok_or_else(bad)
}

/// The regular expression of the port half.
fn port_regex(port: &str) -> Result<String, PatternReason> {
    let bad = || PatternReason::Port(port.to_owned());
    let regexes: Result<Vec<String>, PatternReason> = expand(port)?
        .iter()
        .filter(|alternative| !alternative.is_empty())
        .map(|alternative| {
            let is_glob = alternative.contains(['*', '?', '[']);
            let number = alternative
                .parse::<u16>()
                .is_ok_and(|n| n > 0 && n.to_string() == *alternative);
            let digits = |c: char| c.is_ascii_digit() || "*?[]-".contains(c);
            if alternative.contains("**") || !(number || is_glob && alternative.chars().all(digits))
            {
                return Err(bad());
            }
            glob_regex(alternative).ok_or_else(bad)
        })
        .collect();
    let regexes = regexes?;
    if regexes.is_empty() {
        Err(bad())
    } else {
        Ok(regexes.join("|"))
    }
}

/// What globset makes of a glob without braces, `**`, `.` and `/`.
fn glob_regex(glob: &str) -> Option<String> {
    let glob = GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(false)
        .build()
        .ok()?;
    // `(?-u)^...$`: the anchors go, the pieces are put together here.
    let regex = glob.regex().strip_prefix("(?-u)^")?.strip_suffix('$')?;
    // A star must not run over the `|` before the port.
    Some(regex.replace("[^/]", "[^/|]"))
}

/// Multiplies out the braces of a pattern that [`check_syntax`] let pass.
fn expand(pattern: &str) -> Result<Vec<String>, PatternReason> {
    let Some(open) = find_outside_sets(pattern, '{') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let (alternatives, close) = split_alternatives(&pattern[open + 1..]);
    let rests = expand(&pattern[open + 1 + close + 1..])?;
    let mut out = Vec::new();
    for alternative in alternatives {
        for middle in expand(alternative)? {
            for rest in &rests {
                if out.len() == MAX_ALTERNATIVES {
                    return Err(PatternReason::TooMany);
                }
                out.push(format!("{}{middle}{rest}", &pattern[..open]));
            }
        }
    }
    Ok(out)
}

fn find_outside_sets(pattern: &str, wanted: char) -> Option<usize> {
    let mut in_set = false;
    pattern.char_indices().find_map(|(at, character)| {
        in_set = match character {
            '[' => true,
            ']' => false,
            _ => in_set,
        };
        (character == wanted && !in_set).then_some(at)
    })
}

/// The alternatives up to the brace that closes, and where it stands.
fn split_alternatives(text: &str) -> (Vec<&str>, usize) {
    let mut alternatives = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                alternatives.push(&text[start..at]);
                start = at + 1;
            }
            '}' => {
                alternatives.push(&text[start..at]);
                return (alternatives, at);
            }
            _ => {}
        }
    }
    (alternatives, text.len().saturating_sub(1))
}

#[cfg(test)]
mod tests;
