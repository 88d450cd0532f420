//! Another policy while requests are answered.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis::config::{self, Snapshot, TestRequest};
use portcullis::plan::{Decided, Explanation, Question};
use portcullis::reload::{self, Handle, Reloader};

use crate::support::eventually;

fn policy(name: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n[[route]]\nname = \"{name}\"\npaths = [\"/x\"]\n"
    )
}

fn watch(file: &Path) -> (Arc<ArcSwap<Snapshot>>, Handle) {
    let file = file.to_owned();
    let load = move || config::load(&file).map(|(snapshot, _)| snapshot);
    let policy = Arc::new(ArcSwap::from_pointee(load().unwrap()));
    let reloader = Reloader::new(
        Arc::clone(&policy),
        Box::new(load),
        Box::new(|_| Ok(Box::new(|| {}))),
    );
    (policy, reload::start(reloader).unwrap())
}

fn in_force(policy: &ArcSwap<Snapshot>, name: &str, generation: u64) {
    let start = Instant::now();
    eventually(name, || policy.load().routes[0].name == name);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(policy.load().generation, generation);
}

#[test]
fn writing_in_place_renaming_and_a_burst() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, policy("one")).unwrap();
    let (current, _handle) = watch(&file);
    std::fs::write(&file, policy("two")).unwrap();
    in_force(&current, "two", 2);
    let new = folder.path().join("new");
    std::fs::write(&new, policy("three")).unwrap();
    std::fs::rename(&new, &file).unwrap();
    in_force(&current, "three", 3);
    for index in 0..10 {
        std::fs::write(&file, policy(&format!("burst{index}"))).unwrap();
        std::thread::sleep(Duration::from_millis(30));
    }
    in_force(&current, "burst9", 4);
}

#[test]
fn a_folder_swapped_by_a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["one", "two", "three"] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("p.toml"), policy(name)).unwrap();
    }
    symlink("one", at("..data")).unwrap();
    symlink("..data/p.toml", at("p.toml")).unwrap();
    let (current, _handle) = watch(&at("p.toml"));
    for (name, generation) in [("two", 2), ("three", 3)] {
        symlink(name, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        in_force(&current, name, generation);
    }
}

#[test]
fn what_does_not_compile_is_not_taken_and_the_next_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, policy("one")).unwrap();
    let (current, handle) = watch(&file);
    std::fs::write(&file, "nonsense").unwrap();
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(
        (
            current.load().generation,
            current.load().routes[0].name.as_str()
        ),
        (1, "one")
    );
    std::fs::write(&file, policy("two")).unwrap();
    in_force(&current, "two", 2);
    // SIGHUP reloads also what has not changed.
    handle.reload();
    eventually("reloaded", || current.load().generation == 3);
}

const OF_OTHER_FILES: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[origin]
url = "http://127.0.0.1:9"
[access.ip]
block_files = ["list.txt"]
[access.geo]
mode = "block"
countries = ["RE"]
database = "country.mmdb"
unknown = "allow"
"#;

fn fixture(name: &str) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/country").join(name)
}

/// What becomes of a request from a client.
fn asked(policy: &ArcSwap<Snapshot>, client: &str) -> Decided {
    let request = TestRequest {
        url: "https://img.example.com/a.jpg".to_owned(),
        client: Some(client.parse().unwrap()),
        ..TestRequest::default()
    };
    match Question::new(&request).unwrap().answer(&policy.load()) {
        Explanation::Decided(decided) => *decided,
        rejected @ Explanation::Rejected { .. } => panic!("{rejected:?}"),
    }
}

#[test]
fn a_changed_list_and_a_replaced_database() {
    const LISTED: &str = "192.0.2.1";
    const IN_REUNION: &str = "2001:db8:d000::1";
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("p.toml"), OF_OTHER_FILES).unwrap();
    std::fs::write(at("list.txt"), "# nobody\n").unwrap();
    // It knows no IPv6 address.
    std::fs::copy(fixture("ipv4-only.mmdb"), at("country.mmdb")).unwrap();
    let (current, _handle) = watch(&at("p.toml"));
    let (listed, abroad) = (asked(&current, LISTED), asked(&current, IN_REUNION));
    assert_eq!((listed.rule, abroad.rule), (None, None));
    assert_eq!(abroad.country, None);

    std::fs::write(at("list.txt"), format!("{LISTED}\n")).unwrap();
    eventually("the list is in force", || {
        asked(&current, LISTED).rule == Some("ip.block")
    });
    assert_eq!(current.load().generation, 2);
    assert_eq!(asked(&current, IN_REUNION).rule, None);

    std::fs::copy(fixture("country.mmdb"), at("new")).unwrap();
    std::fs::rename(at("new"), at("country.mmdb")).unwrap();
    eventually("the database is in force", || {
        asked(&current, IN_REUNION).rule == Some("geo.block")
    });
    assert_eq!(current.load().generation, 3);
    assert_eq!(asked(&current, IN_REUNION).country.as_deref(), Some("RE"));
    assert_eq!(asked(&current, LISTED).rule, Some("ip.block"));
}
