//! Secrets that stand in a configuration by mistake: an error shows the line
//! that it is about, and ends up in a log.

use std::borrow::Cow;
use std::ops::Range;

/// What a key is called whose value is nobody's business.
const SECRET: [&str; 6] = [
    "authorization",
    "cookie",
    "passwd",
    "password",
    "secret",
    "token",
];

/// `text` with each byte of a user and password in a URL, and of the value of
/// a key that is called like a secret, as `*`: what stands behind it keeps its
/// place.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let spans: Vec<Range<usize>> = userinfos(text).chain(values(text)).collect();
    if spans.is_empty() {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        match spans.iter().any(|span| span.contains(&at)) {
            true => shown.extend(std::iter::repeat_n('*', letter.len_utf8())),
            false => shown.push(letter),
        }
    }
    shown.into()
}

/// What stands between `://` and the `@` before a host.
fn userinfos(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, slashes)| {
        let start = at + slashes.len();
        let length = userinfo(&text[start..])?;
        Some(start..start + length)
    })
}

/// How long the user and password are at the beginning of this.
fn userinfo(rest: &str) -> Option<usize> {
    let url = &rest[..rest.find(['"', '\'', '`', '\n']).unwrap_or(rest.len())];
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#');
    let end = url.find(ends).unwrap_or(url.len());
    let authority = &url[..end];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    // No port, so a password with a character in it that should be escaped.
    let (_, port) = authority.rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) || port.ends_with(']');
    url.rfind('@').filter(|_| !is_port)
}

/// The strings behind `=` that belong to a key called like a secret.
fn values(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('=').filter_map(|(at, _)| {
        let key = text[..at].trim_end().trim_end_matches(['"', '\'']);
        let is_secret = SECRET.iter().any(|word| is_called(key, word));
        let value = text[at + 1..].trim_start_matches([' ', '\t']);
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let start = text.len() - value.len() + 1;
        let rest = &text[start..];
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let end = line.find(quote).unwrap_or(line.len());
        is_secret.then_some(start..start + end)
    })
}

/// Whether the last word of `key` is this one; `api_token` is a token, but
/// `cache.set_cookie` no cookie.
fn is_called(key: &str, word: &str) -> bool {
    let start = key.len().checked_sub(word.len());
    let Some((before, end)) = start.and_then(|start| key.split_at_checked(start)) else {
        return false;
    };
    let is_setting = word == "cookie" && before.ends_with("set_");
    end.eq_ignore_ascii_case(word) && !is_setting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_in_urls() {
        for (text, shown) in [
            ("", ""),
            ("url = \"http://a/b@2x.jpg\"", "url = \"http://a/b@2x.jpg\""),
            (
                "url = \"http://a:80/b@2x.jpg\"",
                "url = \"http://a:80/b@2x.jpg\"",
            ),
            ("http://[::1]/b@c", "http://[::1]/b@c"),
            ("\"http://u:p@a:1/b\" x", "\"http://***@a:1/b\" x"),
            ("http://u:p@q@a https://v@b", "http://*****@a https://*@b"),
            ("http://u:p/q@a", "http://*****@a"),
            ("http://u:p q@a", "http://*****@a"),
            ("see http://a:1 and b@c", "see http://a:1 and b@c"),
            ("http://u:p?q#r@a", "http://*******@a"),
            ("http://u:ä@a`", "http://****@a`"),
            ("://@", "://@"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn values_of_keys_that_are_called_like_a_secret() {
        for (text, shown) in [
            ("token = \"abc\" # x", "token = \"***\" # x"),
            ("admin.Api_Token='abc'", "admin.Api_Token='***'"),
            ("token_file = \"abc\"", "token_file = \"abc\""),
            (
                "headers = { \"Cookie\" = \"a=b\", x = \"c\" }",
                "headers = { \"Cookie\" = \"***\", x = \"c\" }",
            ),
            ("password = \"ab\nc = \"d\"", "password = \"**\nc = \"d\""),
            ("set_cookie = \"keep\"", "set_cookie = \"keep\""),
            ("token = 12", "token = 12"),
            ("ä = \"b\"", "ä = \"b\""),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
