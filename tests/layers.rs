//! The order of the modules: a module imports only what is lower, and none
//! imports, by whatever way round, itself.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Low to high, as in the crate's documentation. Those of one line stand side
/// by side.
const LAYERS: [&[&str]; 11] = [
    &["message", "network", "log"],
    &["client", "route", "images", "tls"],
    &["access", "cache", "origin"],
    &["config"],
    &["plan"],
    &["proxy", "reload"],
    &["replay"],
    &["admin"],
    &["server"],
    &["cli"],
    &["main"],
];

/// The line of modules that do not know each other at all.
const APART: usize = 2;

/// An import: from which file, of which module.
#[derive(Debug)]
struct Import {
    file: PathBuf,
    from: String,
    of: String,
}

#[test]
fn modules_import_only_what_is_lower() {
    let imports = imports();
    assert!(
        imports.len() > 30,
        "only {} imports were found",
        imports.len()
    );
    let wrong: Vec<String> = imports
        .iter()
        .filter(|import| !is_allowed(layer(&import.from), layer(&import.of)))
        .map(|import| {
            format!(
                "{}: {} imports {}",
                import.file.display(),
                import.from,
                import.of
            )
        })
        .collect();
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn no_module_imports_itself_by_way_of_others() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for import in imports() {
        graph.entry(import.from).or_default().insert(import.of);
    }
    for module in graph.keys() {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&String> = graph[module].iter().collect();
        while let Some(other) = next.pop() {
            assert_ne!(other, module, "{module} imports itself, through {seen:?}");
            if seen.insert(other) {
                next.extend(graph.get(other).into_iter().flatten());
            }
        }
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let found = |text: &str| modules_in(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found("use crate::plan::Plan;"), ["plan"]);
    assert_eq!(
        found("use crate::{\n    plan::{A, B},\n    route::C,\n};"),
        ["plan", "route"]
    );
    assert_eq!(
        found("let a = crate::images::Variant::WebP; // crate::cli"),
        ["images"]
    );
    assert_eq!(found("//! [`crate::server`]\nuse std::fmt;"), [""; 0]);
    assert_eq!(
        found("use crate::a::B;\n#[cfg(test)]\nmod tests { use crate::c; }"),
        ["a"]
    );
}

fn is_allowed(from: usize, of: usize) -> bool {
    of < from || (of == from && from != APART)
}

fn layer(module: &str) -> usize {
    let place = LAYERS.iter().position(|layer| layer.contains(&module));
    place.unwrap_or_else(|| panic!("{module} has no place in the order of the modules"))
}

/// Every import of another module, in everything under `src/` but tests.
fn imports() -> Vec<Import> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = Vec::new();
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let from = first.trim_end_matches(".rs").to_owned();
        if from == "lib" || inside.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        imports.extend(
            modules_in(&text)
                .into_iter()
                .filter(|of| *of != from)
                .map(|of| Import {
                    file: inside.to_owned(),
                    from: from.clone(),
                    of,
                }),
        );
    }
    imports
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules of this crate that `text` names, up to its tests.
fn modules_in(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let paths = code.split("crate::").skip(1);
    paths
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => heads(group),
            None => vec![head(rest)],
        })
        .collect()
}

/// The first names of all entries of a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(head(group[start..at].trim()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

fn head(path: &str) -> String {
    path.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}
