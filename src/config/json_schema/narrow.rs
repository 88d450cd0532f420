//! What is refused only when a file is compiled, in the words of JSON Schema.
//! All of it here refuses nothing that Portcullis takes.

use serde_json::{Value, json};

use crate::access::RuleId;
use crate::config::compile::fields::{ADDRESSES, TAKEN, TAKEN_IN_RESPONSES};
use crate::config::compile::origin::METHODS;
use crate::config::units;
use crate::images::Variant;

/// A number of 16 bits, with or without zeros before it.
const PORT: &str =
    "0*(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
/// A port that there is not, or that nobody can be reached at.
const NO_PORT: &str =
    "0*(?:0|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}|[1-9][0-9]{5,})";
const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
/// Nearly one: no pattern of a sane length counts its groups.
const IPV6: &str = "[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f.]*){2,8}";
/// The value of a field in ASCII, and blanks around it.
const PLAIN_VALUE: &str = r"^\s*[!-~](?:[ -~\t]*[!-~])?\s*$";
/// The same in any alphabet.
const FIELD_VALUE: &str =
    r"^\s*[^\s\x00-\x1F\x7F](?:[^\x00-\x08\x0A-\x1F\x7F]*[^\s\x00-\x1F\x7F])?\s*$";
const UNIX: &str = r"unix:/\S.*";
/// Without control characters but tabs.
const LINE: &str = r"^\s*[^\x00-\x08\x0A-\x1F\x7F]*\s*$";
/// Of a host name, in ASCII or any alphabet.
const LABEL: &str = r"[^\x00-,./:-@\[-^`{-\x7F]";
const ASCII_LABEL: &str = "[A-Za-z0-9_-]";
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
        // Somewhere it has to listen.
        "server" => when(
            &empty("listen"),
            &json!({ "required": ["tls"], "properties": { "tls": listed("listen") } }),
        ),
        "server.tls" => when(&listed("listen"), &listed("certificates")),
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
        ("server", "max_header_bytes") => json!({ "pattern": units::positive_size_pattern() }),
        // Somebody may write, or nobody could connect.
        ("server", "socket_mode") => {
            json!({ "pattern": "^0?(?:[2367][0-7]{2}|[0-7][2367][0-7]|[0-7]{2}[2367])$" })
        }
        ("server", "listen" | "redirect_https") | ("server.tls", "listen") => {
            entries(&format!("{}|{UNIX}", listener()))
        }
        ("admin", "listen") => json!({ "pattern": format!("^(?:{})?$", listener()) }),
        ("client", "trusted_proxies") | ("access.ip", "block" | "exempt") => entries(&network()),
        ("client", "header") => {
            let other = TAKEN.iter().filter(|name| !ADDRESSES.contains(name));
            field_name(&format!("{}|{}", in_any_case(other), x_forwarded()))
        }
        ("cache_key", "field") => json!({
            "pattern": r"^\s*[0-9A-Za-z-]*\s*$",
            "not": whole(&format!("{}|{}.*", in_any_case(TAKEN), in_any_case(["x-forwarded-"]))),
        }),
        ("cache_key", "drop" | "only") => entries(r"[^*=&?\s][^*=&?]*\*?|\*"),
        ("response", "remove") => {
            let mut list = entries(FIELD_NAME);
            list["items"]["not"] = whole(&taken_in_responses());
            list
        }
        ("response", "set") => json!({
            "propertyNames": field_name(&taken_in_responses()),
            "additionalProperties": { "type": "string", "pattern": PLAIN_VALUE },
        }),
        ("origin", "url") => origin_url(),
        ("origin", "host") => {
            let host = host(ASCII_LABEL);
            json!({ "pattern": format!(r"^\s*{host}(?::(?:{PORT})?)?\s*$") })
        }
        ("origin", "methods") => at_least_one(methods()),
        _ => value_of_policy(section, key),
    }
}

/// The same of what says who may ask for what.
fn value_of_policy(section: &str, key: &str) -> Value {
    match (section, key) {
        ("server" | "admin", "hosts") => entries(&format!(r"(?:\*\.)?{}", host(LABEL))),
        ("route", "hosts") => at_least_one(entries(&format!(r"(?:\*\.)?{}", host(LABEL)))),
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
        ("images.clients", "accept") => json!({ "pattern": FIELD_VALUE }),
        ("log", "access") | ("server.tls.certificates", "cert_file" | "key_file") => {
            json!({ "minLength": 1 })
        }
        ("route", "name") => json!({
            "pattern": r"^[^\x00-\x1F\x7F]*[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]*$",
            "not": { "const": "default" },
        }),
        ("test", "expect") => json!({ "pattern": expectations() }),
        ("test.request", "url") => json!({ "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]" }),
        ("test.request", "method") => json!({ "pattern": format!("^{FIELD_NAME}$") }),
        ("test.request", "client" | "peer") => whole(&format!("{}|{IPV6}", ipv4())),
        ("test.request", "headers") => json!({
            "propertyNames": { "pattern": format!("^{FIELD_NAME}$") },
            "additionalProperties": { "anyOf": [
                { "type": "string", "pattern": LINE },
                { "type": "array", "items": { "allOf": [{ "pattern": r"\S" }, { "type": "string", "pattern": LINE }] } },
            ] },
        }),
        _ => json!({}),
    }
}

fn ipv4() -> String {
    format!(r"{BYTE}(?:\.{BYTE}){{3}}")
}

/// An address and a port; the host of one has no name.
fn listener() -> String {
    let ipv4 = ipv4();
    format!(r"(?:{ipv4}|\[{IPV6}(?:%[0-9]+)?\]):{PORT}")
}

/// An address, or one with the length of a prefix.
fn network() -> String {
    let ipv4 = ipv4();
    let (short, long) = (
        "(?:3[0-2]|[12]?[0-9])",
        "(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])",
    );
    format!("{ipv4}(?:/{short})?|{IPV6}(?:/{long})?")
}

/// A name whose last label is not a number, or an address.
fn host(label: &str) -> String {
    let letter = label.replace("/:-@", "/0-9:-@").replace("z0-9", "z");
    let ipv4 = ipv4();
    format!(r"(?:{ipv4}\.?|\[{IPV6}\]|(?:{label}+\.)*[0-9]*{letter}{label}*\.?)")
}

/// What is no method to ask an origin by, or a usual one in another case.
fn methods() -> Value {
    let mut list = entries(FIELD_NAME);
    list["items"]["not"] = whole(&in_any_case(["trace", "connect"]));
    let usual = whole(&METHODS.join("|"));
    let misspelt = whole(&in_any_case(METHODS));
    list["items"]["anyOf"] = json!([usual, { "not": misspelt }]);
    list
}

/// The name of a field, but for those.
fn field_name(but_for: &str) -> Value {
    json!({ "pattern": format!("^{FIELD_NAME}$"), "not": whole(but_for) })
}

fn taken_in_responses() -> String {
    let marks = in_any_case(["portcullis-"]);
    format!("{}|{marks}.*", in_any_case(TAKEN_IN_RESPONSES))
}

/// Those that tell something else than whom they come from.
fn x_forwarded() -> String {
    let but_for = "[^Ff].*|[Ff](?:[^Oo].*|[Oo](?:[^Rr].*|[Rr].+)?)?";
    format!("{}(?:{but_for})?", in_any_case(["x-forwarded-"]))
}

/// All of a text, and blanks around it.
fn whole(pattern: &str) -> Value {
    json!({ "pattern": format!(r"^\s*(?:{pattern})\s*$") })
}

/// Any of these words, however their letters are written.
fn in_any_case<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let in_any_case = |letter: char| match letter.is_ascii_alphabetic() {
        true => format!(
            "[{}{}]",
            letter.to_ascii_uppercase(),
            letter.to_ascii_lowercase()
        ),
        false => letter.to_string(),
    };
    let words = words
        .into_iter()
        .map(|word| word.as_ref().chars().map(in_any_case).collect());
    words.collect::<Vec<String>>().join("|")
}

/// Without a user, a query or a fragment.
fn origin_url() -> Value {
    const HTTP: &str = r"\s*[Hh][Tt][Tt][Pp][Ss]?:[/\\]{0,2}(?::?@)?[^/\\?#@*]+(?:[/\\][^?#]*)?";
    json!({
        "pattern": format!("^(?:{HTTP}|{UNIX})$"),
        "not": { "pattern": format!(r"^\s*[A-Za-z]+:[/\\]*[^/\\]*:{NO_PORT}\s*(?:[/\\]|$)") },
    })
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

/// `key` is there, and empty.
fn empty(key: &str) -> Value {
    json!({ "required": [key], "properties": { (key): { "maxItems": 0 } } })
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
