//! Whole files, and the whole text of what is said about them.
//!
//! `UPDATE_FIXTURES=1 cargo test config` writes the texts anew; read the
//! difference before it is committed.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use toml::de::{DeTable, DeValue};

use super::compile::{Databases, compile};
use super::parse::parse;
use super::reader::Findings;
use super::schema::{self, SECTIONS};
use super::source::Source;
use super::warn::warn;
use super::{Snapshot, load};
use crate::cache::settings::{CacheSettings, SetCookie};

const SHIPPED: &str = "config/portcullis.toml";

/// The `.toml` files in a folder of `tests/fixtures/config`, in order.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/fixtures/config").join(folder);
    let entries = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

/// Compares `said` with the text beside `path`.
fn assert_said(path: &Path, said: &str) {
    let expected = path.with_extension("txt");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&expected, format!("{said}\n")).unwrap();
    }
    let expected = fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(expected, format!("{said}\n"), "{}", path.display());
}

#[test]
fn what_is_wrong_is_said_in_full() {
    let files = fixtures("invalid");
    assert!(files.len() >= 20, "only {} fixtures", files.len());
    for path in files {
        let errors = load(&path)
            .map(|_| ())
            .expect_err(&path.display().to_string());
        assert_said(&path, &errors.to_string());
    }
}

#[test]
fn what_is_risky_is_said_in_full() {
    let files = fixtures("valid");
    assert!(files.len() >= 3, "only {} fixtures", files.len());
    for path in files {
        let (_, warnings) = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        assert_said(&path, &warnings.to_string());
    }
}

fn compiled(text: &str) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    fs::write(&path, text).unwrap();
    let (mut snapshot, _) = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    snapshot.sources.clear();
    snapshot
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped = compiled(&fs::read_to_string(SHIPPED).unwrap());
    let bare = compiled("[origin]\nurl = \"http://127.0.0.1:9000\"\n");
    assert_eq!(format!("{shipped:#?}"), format!("{bare:#?}"));
}

#[test]
fn the_shipped_file_has_every_key_that_works() {
    let text = fs::read_to_string(SHIPPED).unwrap();
    let mut standing = Vec::new();
    let mut table = String::new();
    for line in text.lines().map(|line| line.trim_start_matches("# ")) {
        if let Some((name, _)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            table = name.trim_start_matches('[').to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            standing.push(format!("{table}.{key}"));
        }
    }
    let is_table = |name: &str| SECTIONS.iter().any(|section| section.name == name);
    for section in SECTIONS.iter().filter(|section| !section.name.is_empty()) {
        if section.name.starts_with("route") || section.name == "test.request" {
            continue;
        }
        for key in section.keys {
            let name = format!("{}.{key}", section.name);
            if schema::unsupported(section, key).is_none() && !is_table(&name) {
                assert!(standing.contains(&name), "{name} is not in {SHIPPED}");
            }
        }
    }
    for name in ["route.name", "route.hosts", "route.paths"] {
        assert!(standing.iter().any(|key| key == name), "{name}");
    }
}

/// Puts a date, which no key takes, in the place of every value in turn: a
/// key that is known but never read would take it.
#[test]
fn every_known_key_is_read() {
    let text = fs::read_to_string(SHIPPED).unwrap();
    let root = DeTable::parse(&text).unwrap();
    let mut values = Vec::new();
    collect(&DeValue::Table(root.into_inner()), "", &mut values);
    assert!(values.len() > 50, "only {} values", values.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    for (key, span) in values {
        let mut broken = text.clone();
        broken.replace_range(span, "1979-05-27");
        fs::write(&path, broken).unwrap();
        let errors = load(&path).map(|_| ()).expect_err(&key);
        assert!(
            errors.iter().any(|error| error.key() == key),
            "{key}: {errors}"
        );
    }
}

fn collect(value: &DeValue<'_>, key: &str, values: &mut Vec<(String, std::ops::Range<usize>)>) {
    let Some(table) = value.as_table() else {
        return;
    };
    for (name, value) in table {
        let key = format!("{key}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(_) => collect(value.get_ref(), &format!("{key}."), values),
            _ => values.push((key, value.span())),
        }
    }
}

#[test]
fn what_a_file_depends_on_is_known() {
    let (snapshot, _) = load(Path::new("tests/fixtures/config/valid/lists.toml")).unwrap();
    let names = ["lists.toml", "lists/abusers.txt"];
    let expected = names.map(|name| Path::new("tests/fixtures/config/valid").join(name));
    let sources = snapshot.sources.iter().map(|file| file.path.clone());
    assert_eq!(sources.collect::<Vec<_>>(), expected);
}

#[test]
fn an_address_that_is_listed_twice_is_listened_on_once() {
    let listen = r#"["127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8080"]"#;
    let origin = "[origin]\nurl = \"http://127.0.0.1:9000\"";
    let snapshot = compiled(&format!("[server]\nlisten = {listen}\n{origin}\n"));
    let addresses = ["127.0.0.1:8080", "[::1]:8080"].map(|text| text.parse().unwrap());
    assert_eq!(snapshot.server.listen, addresses);
}

#[test]
fn routes_share_what_they_inherit() {
    let snapshot = compiled(
        r#"
        [origin]
        url = "http://127.0.0.1:9000"
        [access.ip]
        block = ["10.0.0.0/8"]
        [access.user_agent]
        block = ["curl"]
        [[route]]
        name = "a"
        paths = ["/a/**"]
        access.ip = {}
        "#,
    );
    let [a, default] = snapshot.routes.as_slice() else {
        panic!()
    };
    assert_eq!(default.name, "default");
    assert!(std::sync::Arc::ptr_eq(
        &a.rules.user_agent,
        &default.rules.user_agent
    ));
    assert!(std::sync::Arc::ptr_eq(&a.origin, &default.origin));
    // A table given in a route replaces that one whole, also by nothing.
    assert!(a.rules.ip.block.is_none() && default.rules.ip.block.is_some());
}

#[test]
fn a_route_has_a_cache_table_of_its_own_or_the_top_levels() {
    let origin = "[origin]\nurl = \"http://127.0.0.1:9000\"\n";
    let routes = "[[route]]\nname = \"own\"\ncache = { max_object = \"2 MiB\" }\n\
                  [[route]]\nname = \"none\"\ncache.enabled = false\n\
                  [[route]]\nname = \"inherited\"\n";
    let table = |cache: &str| compiled(&format!("[cache]\n{cache}\n{origin}{routes}"));
    let snapshot = table("memory = \"4 MiB\"\ndefault_ttl = \"1s\"\nset_cookie = \"keep\"");
    assert_eq!(snapshot.cache_memory, 4 << 20);
    let [own, none, inherited, default] = snapshot.routes.as_slice() else {
        panic!()
    };
    let bare = CacheSettings {
        max_object: 4 << 20,
        ..CacheSettings::default()
    };
    let of_two = CacheSettings {
        max_object: 2 << 20,
        ..bare
    };
    assert_eq!(own.cache, of_two, "replaced whole");
    let off = CacheSettings {
        enabled: false,
        ..bare
    };
    assert_eq!(none.cache, off);
    assert_eq!(inherited.cache, default.cache);
    let of_top = CacheSettings {
        default_ttl: std::time::Duration::from_secs(1),
        set_cookie: SetCookie::Keep,
        ..bare
    };
    assert_eq!(default.cache, of_top);
    let off = table("memory = \"0\"");
    assert!(off.routes.iter().all(|route| !route.cache.enabled));
    let bare = compiled(origin);
    assert_eq!(bare.cache_memory, 128 << 20);
    assert_eq!(bare.routes[0].cache, CacheSettings::default());
}

/// What is wrong with the file at `path` as a whole.
fn refused(path: &Path) -> String {
    load(path).map(|_| ()).expect_err("refused").to_string()
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(
        path("latin1.toml"),
        b"[origin]\nurl = \"http://m\xfcnchen\"\n",
    )
    .unwrap();
    for (path, expected) in [
        (path("none.toml"), "there is no such file"),
        (folder.path().to_owned(), "this is a directory, not a file"),
        (path("latin1.toml"), "not UTF-8 text: see line 2"),
        (
            path("latin1.toml/x"),
            "a part of this path is not a directory",
        ),
    ] {
        let said = refused(&path);
        assert!(said.starts_with("error: the configuration "), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(
            said.contains(&format!("--> {}\n", path.display())),
            "{said}"
        );
    }
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_fine() {
    let snapshot = compiled("\u{feff}[origin]\r\nurl = \"http://127.0.0.1:9000\"\r\n");
    assert_eq!(snapshot.routes[0].origin.url.port, 9000);
}

#[test]
fn each_default_in_the_list_of_what_does_not_work_is_accepted_in_a_route_too() {
    let text = "[origin]\nurl = \"http://127.0.0.1:9000\"\n[[route]]\nname = \"a\"\n\
                response = { remove = [] }\n\
                origin = { url = \"http://127.0.0.1:9001\", ca_file = \"\" }\n";
    assert_eq!(compiled(text).routes[0].origin.url.port, 9001);
}

proptest! {
    /// Whatever is cut out of a file and typed into it, the answer is a
    /// snapshot or errors that have a place.
    #[test]
    fn no_file_panics(
        at in 0.0..1.0f64,
        length in 0usize..40,
        typed in "[\\[\\]{}=\"'\\\\a-c.,#*/:\u{e4} \n0-9-]{0,20}",
    ) {
        let mut text = ALL_TABLES.to_owned();
        let start = text.floor_char_boundary((at * text.len() as f64) as usize);
        let end = text.floor_char_boundary(start + length);
        text.replace_range(start..end, &typed);
        let path = Path::new("tests/fixtures/config/valid/mutated.toml");
        let findings = Findings::default();
        let source = Source::new(path, text);
        if let Some(file) = parse(&source, &findings)
            && let Some(snapshot) = compile(&file, path, Databases::new(), &mut Vec::new(), &findings)
        {
            warn(&file, &snapshot, &findings);
        }
        for finding in findings.into_inner() {
            prop_assert!(finding.to_string().contains("mutated.toml") || finding.path() != path);
        }
    }
}

/// Something in every table.
const ALL_TABLES: &str = r#"
[server]
listen = ["127.0.0.1:8080"]
hosts = ["img.example.com", "*.example.com"]
drain_timeout = "30s"
[client]
trusted_proxies = ["10.0.0.0/8"]
header = "forwarded"
[limits]
referrers = 3
[origin]
url = "http://127.0.0.1:9000/assets"
methods = ["GET", "HEAD"]
[access]
exempt_paths = ["/public/**"]
[access.ip]
block = ["192.0.2.1", "2001:db8::/32"]
block_files = ["lists/abusers.txt"]
exempt = ["10.1.0.0/16"]
[access.user_agent]
block = ["curl"]
[access.geo]
mode = "block"
countries = ["DE"]
database = "../../country/country.mmdb"
[access.origins.delivery]
patterns = ["**.example.{com,org}", "m[a-d]m.example:*", "capacitor://localhost"]
missing = "infer"
[access.referrer]
mode = "allow"
urls = ["https://www.example.com"]
missing = "block"
[images]
formats = ["webp", "avif"]
[[images.clients]]
user_agents = ["Android 11"]
accept = "image/webp,*/*;q=0.8"
[cache_key]
query = "sort"
drop = ["utm_*"]
[[route]]
name = "premium"
hosts = ["img.example.com"]
paths = ["/premium/**"]
access.ip = { block = [] }
[[test]]
name = "out"
request = { url = "https://img.example.com/a.jpg", client = "192.0.2.1", headers = { referer = ["a", "b"] } }
expect = "deny:ip.block"
"#;
