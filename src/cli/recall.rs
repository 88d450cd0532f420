//! `portcullis explain --ref`: why a request was denied that somebody reports,
//! and what would become of it now.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use url::Url;

use super::complain::complain;
use super::say::say;
use super::{CliError, Exit, ask};
use crate::message::terminal::{plain, plain_json};

/// Stands for what is not there.
const NOTHING: &str = "-";

/// Reads where to ask.
pub(super) fn parse_admin(text: &str) -> Result<Url, String> {
    let example = "http://127.0.0.1:9900";
    let url = ask::parse(text, example)?;
    match (url.path(), url.query(), url.fragment()) {
        ("/", None, None) => Ok(url),
        _ => Err(format!(
            "nothing may stand behind the port, such as {example}"
        )),
    }
}

/// Asks the admin listener at `admin` and shows what it says.
pub(super) fn run(
    reference: &str,
    admin: &Url,
    token_file: Option<&Path>,
    json: bool,
) -> Result<Exit, CliError> {
    let token = match token_file.map(read_token).transpose() {
        Ok(token) => token,
        Err(why) => return Ok(failed(&why)),
    };
    let mut url = admin.clone();
    url.set_path("/-/explain");
    url.set_query(Some(&format!("ref={reference}")));
    let answer = match ask::get(&url, token.as_deref()) {
        Ok(answer) => answer,
        Err(unanswered) => return Ok(failed(&format!("{admin}: {unanswered}"))),
    };
    if answer.status != 200 {
        let line = plain(&answer.line());
        return Ok(failed(&format!("{admin}: {} {line}", answer.status)));
    }
    let Ok(told) = serde_json::from_str::<Value>(&answer.body) else {
        return Ok(failed(&format!("{admin}: the answer is not JSON")));
    };
    let text = match json {
        true => plain_json(&told.to_string()),
        false => of(&told),
    };
    say(text)?;
    Ok(Exit::Done)
}

fn failed(why: &str) -> Exit {
    complain(format_args!("portcullis: {why}"));
    Exit::Failure
}

fn read_token(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("--token-file {shown}: cannot be read: {error}"))?;
    let token = text.trim();
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.to_owned()),
        false => Err(format!("--token-file {shown}: does not hold a token")),
    }
}

/// What it says, for people.
fn of(told: &Value) -> String {
    let mut text = String::new();
    push_then(&mut text, told);
    push_now(&mut text, told);
    push_rules(&mut text, &told["now"]);
    text.truncate(text.trim_end().len());
    text
}

// Writing to a String cannot fail: results of `writeln!` are dropped below.

fn push_then(text: &mut String, told: &Value) {
    let request = &told["request"];
    let decision = match told["then"]["rule"].as_str() {
        Some(rule) => format!("denied by {}", plain(rule)),
        None => {
            let rules = shown(&told["then"]["would_deny"]);
            format!("let through; in shadow {rules} would have denied it")
        }
    };
    let (time, reference) = (shown(&request["time"]), shown(&told["ref"]));
    let _ = writeln!(text, "{reference}: {decision}");
    let what = format!("{} {}", shown(&request["method"]), shown(&request["url"]));
    for (name, value) in [
        ("time", time),
        ("request", what),
        ("client", shown(&request["client"])),
        ("from", shown(&request["client_from"])),
        ("peer", shown(&request["peer"])),
        ("country", shown(&request["country"])),
        ("route", shown(&request["route"])),
        ("referer", shown(&request["referer"])),
        ("origin", shown(&request["origin_field"])),
        ("sec-fetch", shown(&request["sec_fetch"])),
        ("agent", shown(&request["user_agent"])),
    ] {
        if value != NOTHING {
            let _ = writeln!(text, "  {name:<10}{value}");
        }
    }
}

fn push_now(text: &mut String, told: &Value) {
    let now = &told["now"];
    let then = shown(&told["then"]["generation"]);
    let generation = shown(&now["generation"]);
    if told["same_policy"] == true {
        let _ = writeln!(text, "the policy is the same as then (generation {then})");
    } else {
        let verdict = match now["verdict"].as_str() {
            Some("deny") => format!("be denied by {}", shown(&now["rule"])),
            Some("forward") => "be let through".to_owned(),
            Some("reject") => {
                format!(
                    "be answered {}, {}",
                    shown(&now["status"]),
                    shown(&now["error"])
                )
            }
            _ => "be decided in a way that cannot be told".to_owned(),
        };
        // A reload may have found the same file again.
        let what = match told["differs"] == true {
            true => "the policy has changed",
            false => "the configuration was reloaded",
        };
        let _ = writeln!(
            text,
            "{what} since (generation {then}, now {generation}): it would {verdict}"
        );
    }
    if let Some(why) = now["undecided"]["why"].as_str() {
        let _ = writeln!(text, "not all can be told: {}", plain(why));
    }
}

fn push_rules(text: &mut String, now: &Value) {
    let rules = now["rules"].as_array().map_or(&[][..], Vec::as_slice);
    if rules.is_empty() {
        return;
    }
    text.push_str("rules\n");
    for rule in rules {
        let _ = writeln!(
            text,
            "  {:<18}{:<11}{}",
            shown(&rule["rule"]),
            shown(&rule["outcome"]),
            shown(&rule["why"])
        );
    }
}

/// A value on one line, as a terminal shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => plain(text),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => plain(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_to_ask() {
        for text in ["http://127.0.0.1:9900", "http://[::1]:9900/", "http://a"] {
            assert!(parse_admin(text).is_ok(), "{text}");
        }
        for text in [
            "127.0.0.1:9900",
            "https://a/",
            "unix:/run/a",
            "http://user:secret@a",
            "http://user@a",
            "http://:secret@a",
            "http://a/-/explain",
            "http://a//",
            "http://a?",
            "http://a/?x",
            "http://a#b",
        ] {
            assert!(parse_admin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_what_one_looks_like() {
        for text in [
            "127.0.0.1:9900",
            "localhost:9900",
            "",
            "http://",
            "http://a:99999",
        ] {
            let why = parse_admin(text).unwrap_err();
            assert!(why.contains("http://127.0.0.1:9900"), "{text}: {why}");
        }
    }

    #[test]
    fn nothing_that_was_sent_is_obeyed() {
        let evil = "\x1b[2Ja\u{9b}\u{202e}\nforged";
        let told = json!({
            "ref": evil, "same_policy": false,
            "then": { "rule": evil, "generation": evil },
            "request": { "url": evil, "user_agent": [evil, evil], "referer": { "a": evil } },
            "now": { "verdict": "reject", "error": evil, "undecided": { "why": evil },
                     "rules": [{ "rule": evil, "outcome": evil, "why": evil }, 7] },
        });
        let text = of(&told);
        assert!(!text.contains(['\x1b', '\u{9b}', '\u{202e}']));
        assert!(
            text.lines().all(|line| !line.starts_with("forged")),
            "{text}"
        );
    }

    #[test]
    fn whatever_answers_is_shown() {
        for told in [json!(null), json!([]), json!({ "now": 7 })] {
            assert!(of(&told).contains("let through"));
        }
    }
}
