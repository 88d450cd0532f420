//! What is refused only when a file is compiled, in the words of JSON Schema.
//! All of it here refuses nothing that Portcullis takes.

use serde_json::{Value, json};

use crate::access::RuleId;
use crate::config::units;
use crate::images::Variant;

/// An address and a port; the host of one has no name.
const LISTENER: &str = r"(?:[0-9.]+|\[[0-9A-Fa-f:.%]+\]):[0-9]{1,5}";
const UNIX: &str = r"unix:/\S.*";
const NETWORK: &str = r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?";
const HOST: &str = r"[^/@?#\s][^/@?#]*";
const FIELD_NAME: &str = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+";

/// The keys that a table cannot do without.
const REQUIRED: &[(&str, &[&str])] = &[
    ("", &["origin"]),
    ("origin", &["url"]),
    ("server.tls.certificates", &["cert_file", "key_file"]),
    ("images.clients", &["user_agents", "accept"]),
    ("route", &["name"]),
    ("test", &["name", "request", "expect"]),
    ("test.request", &["url"]),
];

pub(super) fn is_required(section: &str, key: &str) -> bool {
    let found = REQUIRED.iter().find(|(name, _)| *name == section);
    found.is_some_and(|(_, keys)| keys.contains(&key))
}

/// What holds for several keys of a table together.
pub(super) fn table(section: &str) -> Value {
    let mut narrowed = match section {
        "access.geo" => json!({ "allOf": [
            when(&listed("countries"), &json!({ "required": ["mode"] })),
            when(&mode(&["block", "allow"]), &listed("countries")),
            when(&mode(&["allow"]), &json!({ "required": ["unknown"] })),
        ] }),
        "access.referrer" => json!({ "allOf": [
            when(&listed("urls"), &json!({ "required": ["mode"] })),
            when(&mode(&["block", "allow"]), &listed("urls")),
            when(&mode(&["allow"]), &json!({ "required": ["missing"] })),
        ] }),
        "access.origins.upload" | "access.origins.delivery" => {
            when(&listed("patterns"), &json!({ "required": ["missing"] }))
        }
        "cache_key" => when(
            &json!({ "required": ["query"], "properties": { "query": { "const": "drop" } } }),
            &json!({ "properties": { "drop": { "maxItems": 0 }, "only": { "maxItems": 0 } } }),
        ),
        _ => json!({}),
    };
    let required = REQUIRED.iter().find(|(name, _)| *name == section);
    if let Some((_, keys)) = required {
        narrowed["required"] = json!(keys);
    }
    narrowed
}

/// What holds for one key, beside what its reader wants.
pub(super) fn value(section: &str, key: &str) -> Value {
    match (section, key) {
        ("server", "header_timeout" | "idle_timeout" | "stall_timeout")
        | ("server.tls", "handshake_timeout")
        | ("origin", "connect_timeout" | "response_timeout") => {
            json!({ "pattern": units::positive_duration_pattern() })
        }
        ("cache" | "route.cache", "max_object") => {
            json!({ "pattern": units::positive_size_pattern() })
        }
        ("server", "socket_mode") => json!({ "pattern": "^0?[0-7]{3}$" }),
        ("server", "listen" | "redirect_https") | ("server.tls", "listen") => {
            entries(&format!("{LISTENER}|{UNIX}"))
        }
        ("admin", "listen") => json!({ "pattern": format!("^(?:{LISTENER})?$") }),
        ("client", "trusted_proxies") | ("access.ip", "block" | "exempt") => entries(NETWORK),
        ("client", "header") => json!({ "pattern": format!("^{FIELD_NAME}$") }),
        ("cache_key", "field") => json!({ "pattern": r"^\s*[0-9A-Za-z-]*\s*$" }),
        ("response", "remove") => entries(FIELD_NAME),
        ("response", "set") => json!({ "propertyNames": { "pattern": format!("^{FIELD_NAME}$") } }),
        ("origin", "url") => json!({ "pattern": r"^\s*(?:[Hh][Tt][Tt][Pp][Ss]?:|unix:/)" }),
        ("origin", "methods") => at_least_one(entries(FIELD_NAME)),
        ("server" | "admin", "hosts") => entries(HOST),
        ("route", "hosts") => at_least_one(entries(HOST)),
        ("route", "paths") => at_least_one(entries("/.*")),
        ("access", "exempt_paths") | ("route.access", "exempt_paths") => entries("/.*"),
        ("access.geo", "countries") => entries("[A-Za-z]{2}"),
        ("access.referrer", "urls") => entries(r".*://[^/\\#*?].*"),
        ("access.origins.upload" | "access.origins.delivery", "patterns") => {
            entries(r"[^()\\\s][^()\\]*")
        }
        ("images", "extensions") => entries(r"[^./*\s][^./*]*"),
        // Words to choose from for editors, and blanks around them as in any list.
        ("images", "formats") => json!({ "items": { "anyOf": [
            { "enum": ["webp", "avif"] },
            { "type": "string", "pattern": r"^\s*(?:webp|avif)\s*$" },
        ] } }),
        ("images.clients", "user_agents") => json!({ "minItems": 1 }),
        ("log", "access") | ("server.tls.certificates", "cert_file" | "key_file") => {
            json!({ "minLength": 1 })
        }
        ("route", "name") => json!({ "pattern": r"\S", "not": { "const": "default" } }),
        ("test", "expect") => json!({ "pattern": expectations() }),
        ("test.request", "url") => json!({ "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]" }),
        ("test.request", "method") => json!({ "pattern": format!("^{FIELD_NAME}$") }),
        ("test.request", "client" | "peer") => json!({ "pattern": r"^[0-9A-Fa-f:.]+$" }),
        _ => json!({}),
    }
}

/// A list whose entries are such; the reader trims them.
fn entries(pattern: &str) -> Value {
    json!({ "items": { "type": "string", "pattern": format!(r"^\s*(?:{pattern})\s*$") } })
}

fn at_least_one(mut list: Value) -> Value {
    list["minItems"] = json!(1);
    list
}

fn when(this: &Value, that: &Value) -> Value {
    json!({ "if": this, "then": that })
}

/// `key` is there, and not empty.
fn listed(key: &str) -> Value {
    json!({ "required": [key], "properties": { (key): { "minItems": 1 } } })
}

fn mode(words: &[&str]) -> Value {
    json!({ "required": ["mode"], "properties": { "mode": { "enum": words } } })
}

/// The grammar of `expect`.
fn expectations() -> String {
    let variants = [Variant::Original, Variant::WebP, Variant::Avif].map(Variant::as_str);
    let variants = variants.join("|");
    let rules = RuleId::ALL.map(|rule| rule.as_str().replace('.', r"\."));
    let rules = rules.join("|");
    format!("^(?:forward(?::(?:{variants}))?|deny(?::(?:{rules}))?|reject)$")
}
