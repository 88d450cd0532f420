//! Which lines of single requests somebody looks for (`/-/denials`).

use std::net::IpAddr;

use ipnet::IpNet;

use super::line::{Line, Logged};
use crate::access::RuleId;
use crate::message::Scheme;
use crate::message::authority::Authority;

/// The letters of a reference.
const REFERENCE: usize = 20;

/// Which lines are looked for; `None`: all the same.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By their `ref`.
    pub reference: Option<String>,
    /// Denied by this rule, or with `shadow` would have been.
    pub rule: Option<RuleId>,
    /// Whose client is in this network. One of whose address only the network
    /// is kept may be.
    pub client: Option<IpNet>,
    /// That asked for this host, written as in a normalised URL.
    pub host: Option<String>,
    /// That a rule in shadow would have denied, instead of those denied.
    pub shadow: bool,
}

impl Wanted {
    /// Whether that line is one.
    pub fn has(&self, text: &[u8]) -> bool {
        Line::read(text).is_ok_and(|line| self.has_line(&line))
    }

    fn has_line(&self, line: &Line<'_>) -> bool {
        let reference = self.reference.as_deref();
        let is_rule = match self.shadow {
            true => {
                let mut rules = line.would_deny.lines().iter();
                rules.any(|rule| self.rule.is_none_or(|wanted| rule == wanted.as_str()))
            }
            false => {
                let rule = line.rule.text();
                rule.is_some() && self.rule.is_none_or(|wanted| rule == Some(wanted.as_str()))
            }
        };
        is_rule
            && reference.is_none_or(|wanted| line.reference.text() == Some(wanted))
            && self.client.is_none_or(|wanted| {
                network(&line.client).is_some_and(|client| overlap(client, wanted))
            })
            && self.host.as_ref().is_none_or(|wanted| {
                let url = line.url.text().unwrap_or_default();
                host(url).is_some_and(|host| host == *wanted)
            })
    }
}

/// A reference as people hand it on: of whatever case, and with the answer's
/// own word before it.
///
/// # Errors
///
/// What one looks like.
pub fn reference(text: &str) -> Result<String, String> {
    let text = text.trim();
    let text = text.strip_prefix("Reference:").unwrap_or(text).trim();
    let is_one = text.len() == REFERENCE && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_one {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("a reference is {REFERENCE} letters and digits")),
    }
}

/// The host of a URL, or of what somebody writes for one, normalised.
pub fn host(text: &str) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((_, rest)) => (Scheme::Http, rest),
        None => (Scheme::Http, text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = Authority::parse(&rest.as_bytes()[..end], scheme)?;
    Some(authority.host.to_string())
}

fn network(client: &Logged<'_>) -> Option<IpNet> {
    let text = client.text()?;
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).ok()
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(client: &str) -> Vec<u8> {
        let line = json!({
            "ref": "a", "url": "https://IMG.example.com:443/a", "client": client,
            "verdict": "deny", "rule": "geo.allow", "would_deny": ["ip.block"],
        });
        line.to_string().into_bytes()
    }

    #[test]
    fn references_as_people_hand_them_on() {
        let one = "8aa2m89x6egjy0wncqtn";
        for text in [
            one,
            " 8AA2M89X6EGJY0WNCQTN\n",
            "Reference: 8aa2m89x6egjy0wncqtn",
        ] {
            assert_eq!(reference(text).as_deref(), Ok(one), "{text}");
        }
        for text in [
            "",
            "8aa2m89x6egjy0wncqt",
            "8aa2m89x6egjy0wncqt&",
            "8aa2m89x6egjy0wncqtnn",
        ] {
            assert!(reference(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_looked_for() {
        let found = |wanted: Wanted| wanted.has(&line("203.0.113.9"));
        assert!(found(Wanted::default()));
        let rule = |id, shadow| Wanted {
            rule: RuleId::parse(id),
            shadow,
            ..Wanted::default()
        };
        assert!(found(rule("geo.allow", false)) && found(rule("ip.block", true)));
        assert!(!found(rule("ip.block", false)) && !found(rule("geo.allow", true)));
        for (text, expected) in [
            ("img.example.com", true),
            ("Img.Example.com:8080", true),
            ("https://img.example.com/b", true),
            ("example.com", false),
        ] {
            let wanted = Wanted {
                host: host(text),
                ..Wanted::default()
            };
            assert_eq!(found(wanted), expected, "{text}");
        }
        for (kept, asked, expected) in [
            ("203.0.113.9", "203.0.113.0/24", true),
            ("203.0.113.9", "203.0.113.9/32", true),
            ("203.0.113.9", "203.0.113.8/32", false),
            // It may be that one.
            ("203.0.113.0/24", "203.0.113.8/32", true),
            ("203.0.113.0/24", "203.0.114.8/32", false),
            ("203.0.113.9", "::/0", false),
        ] {
            let wanted = Wanted {
                client: Some(asked.parse().unwrap()),
                ..Wanted::default()
            };
            assert_eq!(wanted.has(&line(kept)), expected, "{kept} {asked}");
        }
        assert!(!Wanted::default().has(b"nonsense"));
    }
}
