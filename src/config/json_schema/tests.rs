//! The schema against the files that there are, and against the reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::super::kinds::Kinds;
use super::super::load_embedded;
use super::super::parse::parse;
use super::super::reader::Findings;
use super::super::reference::Reference;
use super::super::schema::{SECTIONS, unsupported};
use super::super::source::Source;
use super::json_schema;

const SHIPPED: &str = "config/portcullis.schema.json";

/// What is wrong with these, no schema can tell.
const BEYOND: &[(&str, &str)] = &[
    ("admin-default", "a default of one key and another key"),
    ("admin-origin", "a default of one key and another key"),
    ("bad-database", "what is in files"),
    ("bad-list-file", "what is in files"),
    ("ca-files", "what is in files"),
    ("certificate-names", "what is in files"),
    ("key-twice", "not TOML"),
    ("list-not-closed", "not TOML"),
    ("missing-files", "what is in files"),
    ("missing-quotes", "not TOML"),
    ("over-the-limits", "a length that another key sets"),
    ("syntax-twice", "not TOML"),
];

/// Keys with values that fit and are refused all the same, and why no schema
/// can tell.
const BEYOND_VALUES: &[(&str, &str)] = &[
    ("access.exempt_paths", SLASHES),
    ("access.ip.block_files", "what is in files"),
    ("admin.token_file", "what is in files"),
    ("cache.memory", "how large a size is"),
    ("origin.ca_file", "what is in files"),
    ("route.access.exempt_paths", SLASHES),
    ("route.paths", SLASHES),
    ("server.max_header_bytes", "how large a size is"),
    ("server.tls.certificates.cert_file", "what is in files"),
    ("server.tls.certificates.key_file", "what is in files"),
];

const SLASHES: &str = "whether another key merges slashes";

fn validator() -> Validator {
    let schema = json_schema();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// `None` if it is not TOML.
fn json(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(serde_json::to_value(table).unwrap())
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// The TOML files in a ConfigMap, which are written as blocks.
fn policies_in(map: &Path) -> Vec<String> {
    let text = fs::read_to_string(map).unwrap();
    let blocks = text.split(".toml: |\n").skip(1);
    let block = |block: &str| -> String {
        let lines = block
            .lines()
            .take_while(|line| line.is_empty() || line.starts_with("    "));
        lines
            .map(|line| format!("{}\n", line.trim_start_matches("    ")))
            .collect()
    };
    blocks.map(block).collect()
}

#[test]
fn what_is_shipped_fits() {
    let validator = validator();
    let mut files = Vec::new();
    for folder in [
        "config",
        "config/examples",
        "src/cli/demo",
        "tests/fixtures/config/valid",
    ] {
        for path in toml_files(folder) {
            files.push((
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    let pods = policies_in(Path::new("config/kubernetes/configmap.yaml"));
    assert!(!pods.is_empty());
    files.extend(pods.into_iter().map(|text| ("a pod's".to_owned(), text)));
    assert!(files.len() >= 20, "only {} files", files.len());
    for (name, text) in files {
        assert_eq!(
            complaints(&validator, &json(&text).unwrap()),
            [""; 0],
            "{name}"
        );
    }
}

#[test]
fn what_is_wrong_does_not_fit() {
    let validator = validator();
    let mut beyond: Vec<String> = Vec::new();
    for path in toml_files("tests/fixtures/config/invalid") {
        let value = json(&fs::read_to_string(&path).unwrap());
        if value.is_none_or(|value| validator.is_valid(&value)) {
            beyond.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    let listed: Vec<&str> = BEYOND.iter().map(|(name, _)| *name).collect();
    assert_eq!(beyond, listed);
}

/// A new key cannot be forgotten: its reader says what it takes, and the
/// reference what it is for.
#[test]
fn every_key_has_a_kind_and_a_description() {
    let (kinds, reference, schema) = (Kinds::of_all(), Reference::read(), json_schema());
    for section in SECTIONS {
        let table = match section.name {
            "" => &schema,
            name => &schema["$defs"][name],
        };
        assert_eq!(table["additionalProperties"], false, "{}", section.name);
        for key in section.keys {
            let name = format!("{}.{key}", section.name);
            let described = &table["properties"][key]["description"];
            assert!(
                described.as_str().is_some_and(|text| text.len() > 5),
                "{name}"
            );
            if unsupported(section, key).is_none() {
                assert!(kinds.get(section, key).is_some(), "nobody reads {name}");
                let told = reference.of(section.name, key);
                assert!(
                    told.is_some(),
                    "{name} has no comment in config/portcullis.toml"
                );
            }
        }
        let properties = table["properties"].as_object().unwrap();
        assert_eq!(properties.len(), section.keys.len());
    }
}

/// A value of each type, of each pattern and beyond each range.
fn pool() -> Vec<Value> {
    let mut pool = vec![
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1000),
        json!(1001),
        json!(10_000_001),
        json!(1.5),
        json!([]),
        json!([1]),
        json!([" "]),
        json!([["a"]]),
        json!({}),
        json!({ "no-such-key": 1 }),
        json!([{}]),
        json!([{ "no-such-key": 1 }]),
    ];
    for text in [
        "",
        " ",
        "x",
        "0",
        "0s",
        "10s",
        "1 h",
        "5 min",
        "1.5s",
        "-1s",
        "10",
        "365d",
        "0 B",
        "1 MiB",
        "2MiB",
        "1 MB",
        "16 KiB",
        "off",
        "block",
        "allow",
        "infer",
        "public",
        "keep",
        "sort",
        "info",
        "json",
        "full",
        "1.3",
        "preserve",
        "127.0.0.1:1",
        "[::1]:1",
        "[::]:0080",
        "[::1]:65535",
        "[::1]:65536",
        "[fe80::1%2]:1",
        "127.0.0.1:0",
        "127.0.0.1:99999",
        "127.0.0.1:100000",
        "127.0.0.1:-1",
        "127.0.0.256:1",
        "1.2.3:1",
        ":8080",
        "localhost:1",
        "unix:/run/x",
        "unix:run/x",
        "127.0.0.1",
        "10.0.0.0/8",
        "10.0.0.0/08",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.300",
        "010.0.0.1",
        "::/0",
        "::1/128",
        "::1/129",
        "1:2:3:4:5:6:7:8",
        "1:2",
        "::1",
        "fe80::/10",
        "::ffff:10.0.0.1",
        "DE",
        "de",
        "DEU",
        "GET",
        "get",
        "G T",
        "webp",
        "original",
        "jpg",
        ".jpg",
        "a.b",
        "/a/**",
        "a/**",
        "img.example.com",
        "*.example.com",
        "a.example:8080",
        "[::1]",
        "münchen.example",
        "b\u{fc}cher.de",
        "http://img.example.com/a",
        "http://img.example.com:8080",
        "http://img.example.com:0",
        "http://img.example.com:00080/a",
        "http://img.example.com:65535/",
        "http://img.example.com:65536/",
        "https://[::1]:99999",
        "https://[::1]:9999",
        "http://a:b@img.example.com",
        "http://img.example.com/?a",
        "http://img.example.com/#a",
        "http://img.example.com/a@b:99999",
        "http:img.example.com",
        "http://",
        "ftp://img.example.com",
        "image/webp,*/*;q=0.8",
        "a\u{7f}b",
        "a\nb",
        "caf\u{e9}",
        "HTTPS://img.example.com",
        "https://*.example.com",
        "//a",
        "https:///a",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "x-forwarded-f",
        "Content-Length",
        "portcullis-ref",
        "Trace",
        "BREW",
        "1.2.3.4.",
        "a.1b.2c",
        "a..b",
        "x y",
        "660",
        "0660",
        "666",
        "899",
        "444",
        "forward",
        "forward:webp",
        "deny",
        "deny:geo.allow",
        "deny:geo",
        "reject",
        "premium",
        "default",
        "utm_*",
        "\u{a0}DE",
        "curl",
    ] {
        pool.push(json!(text));
        pool.push(json!([text]));
        pool.push(json!([format!(" {text} ")]));
    }
    pool
}

/// Values for tables of free keys.
fn pairs(section: &str, key: &str) -> Vec<Value> {
    let names = ["x-a", "", "x y", "X-A", "vary", "caf\u{e9}"];
    let values = ["a", "", " ", " a ", "a\nb", "caf\u{e9}"];
    match (section, key) {
        ("response", "set") | ("test.request", "headers") => {
            let pairs = names
                .iter()
                .flat_map(|name| values.map(|value| (*name, value)));
            pairs
                .map(|(name, value)| json!({ (name): value }))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A file with `value` at `name`, and all else that has to stand there.
fn file_with(section: &str, key: &str, value: Value) -> Value {
    let mut file = json!({ "origin": { "url": "http://127.0.0.1:9000" } });
    let mut table = &mut file;
    let mut name = String::new();
    for part in section.split('.').filter(|part| !part.is_empty()) {
        name = match name.as_str() {
            "" => part.to_owned(),
            name => format!("{name}.{part}"),
        };
        let needed = match name.as_str() {
            "route" => json!([{ "name": "a" }]),
            "test" => {
                json!([{ "name": "a", "request": { "url": "http://a/" }, "expect": "forward" }])
            }
            "server.tls.certificates" => json!([{ "cert_file": "c.pem", "key_file": "k.pem" }]),
            "images.clients" => json!([{ "user_agents": ["a"], "accept": "image/webp" }]),
            _ => json!({}),
        };
        if table.get(part).is_none() {
            table[part] = needed;
        }
        table = &mut table[part];
        if table.is_array() {
            table = &mut table[0];
        }
    }
    table[key] = value;
    file
}

/// Whatever is written for a key: what its reader refuses does not fit, what
/// does not fit is not taken, and what fits is taken, but for what no schema can
/// tell.
#[test]
fn what_fits_is_what_is_taken() {
    let validator = validator();
    let (mut wrong, mut taken, mut refused) = (Vec::new(), 0, 0);
    let mut beyond: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (section, key) in SECTIONS.iter().flat_map(|section| {
        let keys = section.keys.iter();
        keys.map(|key| (section.name, *key))
    }) {
        for value in pool().into_iter().chain(pairs(section, key)) {
            let written = value.to_string();
            let file = file_with(section, key, value);
            let text = toml_of(&file);
            let read = reads(&text);
            let fits = validator.is_valid(&file);
            if fits && !read {
                wrong.push(format!("fits, and is not read: {text}"));
            }
            let works = read && load_embedded("a.toml", &text, []).is_ok();
            match (fits, works) {
                (true, true) => taken += 1,
                (true, false) => {
                    let name = format!("{section}.{key}");
                    beyond.entry(name).or_default().push(written);
                }
                (false, true) => {
                    let said = complaints(&validator, &file);
                    wrong.push(format!("is taken, and does not fit: {text}{said:?}"));
                }
                (false, false) => refused += 1,
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(taken > 1000, "{taken} taken, {refused} refused");
    assert!(refused > 10_000, "{taken} taken, {refused} refused");
    let known: Vec<&str> = BEYOND_VALUES.iter().map(|(key, _)| *key).collect();
    assert!(beyond.keys().eq(known.iter()), "{beyond:#?}");
}

/// Whether the reader has nothing against it.
fn reads(text: &str) -> bool {
    let findings = Findings::default();
    parse(&Source::new("a.toml", text), &findings).is_some() && !findings.has_errors()
}

/// JSON as TOML: what both have, inline.
fn toml_of(value: &Value) -> String {
    let table = value.as_object().unwrap();
    let lines = table
        .iter()
        .map(|(key, value)| format!("{key} = {}\n", inline(value)));
    lines.collect()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) => {
            let entries: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", inline(&json!(key)), inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // Which JSON has as it is.
        other => other.to_string().replace('\u{7f}', r"\u007f"),
    }
}

/// `UPDATE_FIXTURES=1 cargo test json_schema` writes it anew.
#[test]
fn the_shipped_schema_is_this_one() {
    let schema = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(SHIPPED, &schema).unwrap();
    }
    let shipped = fs::read_to_string(SHIPPED).unwrap_or_default();
    assert_eq!(
        shipped, schema,
        "write it anew: portcullis schema > {SHIPPED}"
    );
}
