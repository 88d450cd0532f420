//! Another policy while requests are answered.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis::config::{self, Snapshot, TestRequest};
use portcullis::plan::{Decided, Explanation, Question};
use portcullis::reload::{self, Handle, Reloader, Status};

use crate::support::eventually;

fn policy(name: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n[[route]]\nname = \"{name}\"\npaths = [\"/x\"]\n"
    )
}

fn watch(file: &Path) -> (Arc<ArcSwap<Snapshot>>, Handle) {
    let (policy, handle, _) = watch_and_status(file);
    (policy, handle)
}

fn watch_and_status(file: &Path) -> (Arc<ArcSwap<Snapshot>>, Handle, Status) {
    let file = file.to_owned();
    let load = move || config::load(&file).map(|(snapshot, _)| snapshot);
    let policy = Arc::new(ArcSwap::from_pointee(load().unwrap()));
    let reloader = Reloader::new(
        Arc::clone(&policy),
        Box::new(load),
        Box::new(|_| Ok(Box::new(|| {}))),
    );
    let status = reloader.status().clone();
    (policy, reload::start(reloader).unwrap(), status)
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

const IN_REUNION: &str = "2001:db8:d000::1";

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

/// A policy that denies what `list.txt` lists.
const OF_A_LIST: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[origin]
url = "http://127.0.0.1:9"
[access.ip]
block_files = ["list.txt"]
"#;

fn addresses(count: usize) -> String {
    (0..count).map(|n| format!("192.0.2.{n}\n")).collect()
}

fn denies(policy: &ArcSwap<Snapshot>, client: &str) -> bool {
    asked(policy, client).rule == Some("ip.block")
}

/// Asked for a reload, and told why there was none.
fn refused(handle: &Handle) -> String {
    handle.reload_and_wait(Duration::from_secs(20)).unwrap_err()
}

#[test]
fn a_list_or_database_that_lost_much_is_taken_over_when_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("p.toml"), OF_OTHER_FILES).unwrap();
    std::fs::write(at("list.txt"), addresses(9)).unwrap();
    std::fs::copy(fixture("country.mmdb"), at("country.mmdb")).unwrap();
    let (current, handle, status) = watch_and_status(&at("p.toml"));
    let mut failed = 0;
    for short in [
        "",
        "# nobody\n",
        "192.0.2.0\n192.0.2.1\n192.0.2.2\n192.0.2.3\n",
        "192.0.2.0\n192.0.2.9",
    ] {
        std::fs::write(at("list.txt"), short).unwrap();
        failed += 1;
        eventually("refused", || status.reloads().failed == failed);
        let why = status.last_failure().unwrap().why;
        assert!(
            why.contains("list.txt") && why.contains("9 entries before"),
            "{why}"
        );
        assert!(why.contains("SIGHUP or POST /-/reload"), "{why}");
        assert!(denies(&current, "192.0.2.8"));
    }
    assert_eq!(current.load().generation, 1);
    assert_eq!(handle.reload_and_wait(Duration::from_secs(20)), Ok(2));
    assert!(denies(&current, "192.0.2.9") && !denies(&current, "192.0.2.8"));

    // A change elsewhere does not doubt what was confirmed.
    std::fs::write(at("p.toml"), format!("{OF_OTHER_FILES}# more\n")).unwrap();
    eventually("the change is in force", || current.load().generation == 3);

    std::fs::copy(fixture("ipv4-only.mmdb"), at("country.mmdb")).unwrap();
    eventually("refused", || status.reloads().failed == failed + 1);
    let why = status.last_failure().unwrap().why;
    assert!(why.contains("country.mmdb lost more than half"), "{why}");
    assert_eq!(asked(&current, IN_REUNION).rule, Some("geo.block"));
    assert_eq!(handle.reload_and_wait(Duration::from_secs(20)), Ok(4));
    assert_eq!(asked(&current, IN_REUNION).rule, None);
}

/// Writes a list, a line at a time, into the file that is in force; whether
/// the writer never paused for long enough to seem done.
fn write_slowly(file: &Path, count: usize) -> bool {
    let mut file = std::fs::File::create(file).unwrap();
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    for n in 0..count {
        writeln!(file, "192.0.2.{n}").unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis([100, 300, 200][n % 3]));
    }
    longest < Duration::from_millis(450)
}

#[test]
fn a_list_that_is_written_slowly_is_never_short() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("p.toml"), OF_A_LIST).unwrap();
    std::fs::write(at("list.txt"), addresses(12)).unwrap();
    let (current, _handle) = watch(&at("p.toml"));
    // On a machine that stops the writer for half a second, nobody can tell.
    for tries in 1.. {
        let before = current.load().generation;
        std::fs::write(at("list.txt"), addresses(12)).unwrap();
        let list = at("list.txt");
        let writer = std::thread::spawn(move || write_slowly(&list, 13));
        let mut gaps = 0;
        while !writer.is_finished() {
            gaps += (0..12)
                .filter(|n| !denies(&current, &format!("192.0.2.{n}")))
                .count();
            std::thread::sleep(Duration::from_millis(5));
        }
        if writer.join().unwrap() {
            assert_eq!(gaps, 0);
            eventually("the longer list is in force", || {
                denies(&current, "192.0.2.12")
            });
            assert_eq!(current.load().generation, before + 1);
            return;
        }
        assert!(
            tries < 5,
            "the machine is too busy to write a line every 450 ms"
        );
        eprintln!("the writer was held up: once more");
        eventually("settled", || denies(&current, "192.0.2.12"));
    }
}

#[test]
fn a_list_that_is_named_while_it_is_written_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("p.toml"), policy("one")).unwrap();
    let (current, _handle) = watch(&at("p.toml"));
    let list = at("list.txt");
    let writer = std::thread::spawn(move || write_slowly(&list, 13));
    eventually("it is begun", || at("list.txt").exists());
    std::fs::write(at("p.toml"), OF_A_LIST).unwrap();
    let mut early = false;
    while !writer.is_finished() {
        early |= current.load().generation > 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    // On a machine that stops the writer for half a second, nobody can tell.
    assert!(!early || !writer.join().unwrap());
    eventually("the list is in force", || denies(&current, "192.0.2.12"));
}

#[test]
fn mending_a_file_that_a_refused_configuration_names_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("p.toml"), policy("one")).unwrap();
    let (current, handle) = watch(&at("p.toml"));
    for (list, why) in [
        (None, "there is no such file"),
        (Some("not an address\n"), "not an address"),
    ] {
        if let Some(list) = list {
            std::fs::write(at("list.txt"), list).unwrap();
        }
        std::fs::write(at("p.toml"), OF_A_LIST).unwrap();
        assert!(refused(&handle).contains(why));
    }
    assert_eq!(current.load().generation, 1);
    std::fs::write(at("list.txt"), addresses(1)).unwrap();
    eventually("in force", || current.load().generation == 2);
    assert!(denies(&current, "192.0.2.0"));
}

#[test]
fn a_folder_that_goes_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let file = inside.join("p.toml");
    std::fs::write(&file, policy("one")).unwrap();
    let (current, handle) = watch(&file);
    std::fs::remove_dir_all(&inside).unwrap();
    assert!(refused(&handle).contains("there is no such file"));
    for (name, generation) in [("two", 2), ("three", 3)] {
        let _ = std::fs::create_dir(&inside);
        std::fs::write(&file, policy(name)).unwrap();
        in_force(&current, name, generation);
    }
}

#[test]
fn a_config_map_with_its_list_is_taken_over_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fill = |name: &str, index: usize| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("list.txt"), format!("192.0.2.{index}\n")).unwrap();
        let named = OF_A_LIST.replace("[origin]", &format!("hosts = [\"h{index}\"]\n[origin]"));
        std::fs::write(at(name).join("p.toml"), named).unwrap();
        symlink(name, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    fill("..0", 0);
    symlink("..data/p.toml", at("p.toml")).unwrap();
    symlink("..data/list.txt", at("list.txt")).unwrap();
    let (current, _handle) = watch(&at("p.toml"));
    for index in 1..4 {
        fill(&format!("..{index}"), index);
        std::fs::remove_dir_all(at(&format!("..{}", index - 1))).unwrap();
        eventually("in force", || current.load().generation == index as u64 + 1);
        let hosts = format!("{:?}", current.load().server.hosts);
        assert!(hosts.contains(&format!("h{index}")), "{hosts}");
        let rules = current.load();
        let block = rules.routes[0].rules.ip.block.as_ref().unwrap();
        let listed = |n: usize| block.contains(format!("192.0.2.{n}").parse().unwrap());
        assert!(listed(index) && !listed(index - 1));
    }
}

#[test]
fn one_reload_answers_all_who_asked_while_files_came_to_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    std::fs::write(&file, policy("one")).unwrap();
    let (current, handle) = watch(&file);
    std::fs::write(&file, policy("two")).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    handle.reload();
    handle.reload();
    eventually("in force", || current.load().routes[0].name == "two");
    let generation = handle.reload_and_wait(Duration::from_secs(20)).unwrap();
    assert!(generation <= 4, "{generation}");
    // The change that was asked for is not found once more.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(current.load().generation, generation);
}
