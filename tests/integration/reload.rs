//! Another policy while requests are answered.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis::config::{self, Snapshot};
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
    let reloader = Reloader::new(Arc::clone(&policy), Box::new(load), Box::new(|_| {}));
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
