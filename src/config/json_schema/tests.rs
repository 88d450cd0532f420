//! The schema against the files that there are, and against the reader.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::super::kinds::Kinds;
use super::super::load;
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
    ("client-header", "which fields have a meaning of their own"),
    ("key-twice", "not TOML"),
    ("list-not-closed", "not TOML"),
    ("missing-files", "what is in files"),
    ("missing-quotes", "not TOML"),
    ("no-certificate", "addresses that overlap"),
    ("over-the-limits", "a length that another key sets"),
    ("syntax-twice", "not TOML"),
];

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
        "[fe80::1%2]:1",
        "localhost:1",
        "unix:/run/x",
        "unix:run/x",
        "127.0.0.1",
        "10.0.0.0/8",
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
        "HTTPS://img.example.com",
        "https://*.example.com",
        "//a",
        "https:///a",
        "x-forwarded-for",
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

/// Whatever is written for a key: what its reader refuses does not fit, and
/// what does not fit is not taken.
#[test]
fn what_fits_is_what_is_taken() {
    let validator = validator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let (mut wrong, mut taken, mut refused) = (Vec::new(), 0, 0);
    for (section, key) in SECTIONS.iter().flat_map(|section| {
        let keys = section.keys.iter();
        keys.map(|key| (section.name, *key))
    }) {
        for value in pool() {
            let file = file_with(section, key, value);
            let text = toml_of(&file);
            let read = reads(&text);
            match validator.is_valid(&file) {
                true if read => taken += 1,
                true => wrong.push(format!("fits, and is not read: {text}")),
                false => {
                    refused += 1;
                    fs::write(&path, &text).unwrap();
                    if read && load(&path).is_ok() {
                        let said = complaints(&validator, &file);
                        wrong.push(format!("is taken, and does not fit: {text}{said:?}"));
                    }
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(taken > 1000, "{taken} taken, {refused} refused");
    assert!(refused > 10_000, "{taken} taken, {refused} refused");
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
                .map(|(key, value)| format!("{key} = {}", inline(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
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
