//! `[response]`.

use std::collections::HashSet;

use hyper::header::{HeaderName, HeaderValue};

use super::{Compiler, fields};
use crate::config::ResponseFields;
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{List, Response, Written};

impl Compiler<'_> {
    /// `[response]`; `None`: it changes nothing.
    pub(super) fn response(&self, raw: &Response) -> Option<ResponseFields> {
        let entries = raw.remove.iter().flat_map(List::iter);
        let mut known = HashSet::new();
        let fields = ResponseFields {
            remove: entries
                .filter_map(|entry| self.response_field(entry.text, &entry.spot()))
                .collect(),
            set: raw
                .set
                .iter()
                .filter_map(|(name, value)| {
                    let field = self.response_field(&name.value, &name.spot)?;
                    if !known.insert(field.clone()) {
                        self.findings.add(set_twice(name));
                    }
                    Some((field, self.response_value(value)?))
                })
                .collect(),
        };
        Some(fields).filter(|fields| *fields != ResponseFields::default())
    }

    fn response_field(&self, text: &str, spot: &Spot) -> Option<HeaderName> {
        let refuse = |finding: Finding| {
            self.findings.add(finding);
            None
        };
        match HeaderName::from_bytes(text.as_bytes()) {
            Err(_) => {
                let finding = spot.error(format!("{} is not a field name", quoted(text)));
                let finding = finding.label("not a field name");
                refuse(finding.allowed("letters, digits and `-`: \"x-served-by\""))
            }
            Ok(name) if fields::is_taken_in_responses(name.as_str()) => {
                let message = format!("{} is not for `[response]` to change", quoted(text));
                let finding = spot.error(message).label("not this field");
                refuse(finding.note(why_not(name.as_str())).help("take it out"))
            }
            Ok(name) => Some(name),
        }
    }

    fn response_value(&self, written: &Written<String>) -> Option<HeaderValue> {
        let text = written.value.trim();
        let spot = &written.spot;
        if text.is_empty() {
            let finding = spot.error("there is no value").label("empty");
            let help = "write a value, or name the field in `remove`";
            self.findings.add(finding.help(help));
            return None;
        }
        let plain = text
            .bytes()
            .all(|byte| byte == b'\t' || (b' '..0x7f).contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| plain);
        if value.is_none() {
            let finding = spot.error(format!("{} is not the value of a field", quoted(text)));
            let finding = finding.label("not a field value");
            let allowed = "one line of ASCII without control characters";
            self.findings.add(finding.allowed(allowed));
        }
        value
    }
}

fn set_twice(name: &Written<String>) -> Finding {
    let message = format!("{} is set already, in another case", quoted(&name.value));
    let finding = name.spot.error(message).label("the same field");
    finding
        .note("field names have no case")
        .help("take one of them out")
}

/// Why a response field is left alone.
fn why_not(name: &str) -> &'static str {
    match name {
        "vary" => "without all of it, a cache in front serves one client what is meant for another",
        "date" | "age" => "caches work out by it how old a response is",
        "via" | "cache-status" | "proxy-status" => "it tells what proxies did, and loops by it",
        "content-encoding" | "content-length" | "content-range" | "transfer-encoding"
        | "trailer" => "it says how the body is to be read",
        _ if name.starts_with("portcullis-") => "it marks what Portcullis itself answered",
        _ => "it is about one connection, and never passed on",
    }
}
