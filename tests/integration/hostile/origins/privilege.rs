//! What the program does to the system (issue "Hostile": least privilege).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::run::Run;
use crate::support::{Client, Origin, is_installed};

/// What a program would do to write, to run another, or to reach somebody.
const WATCHED: &str = "trace=open,openat,openat2,creat,truncate,execve,execveat,fork,vfork,clone,\
    clone3,connect,sendto,sendmsg,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,link,\
    linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchownat,mknodat,ptrace,setuid,mount";

/// A read-only root, but for the folder of the log; then no rights.
const CONFINED: &str = "mount --make-rprivate / && mount --bind \"$1\" \"$1\" && \
    mount -o remount,bind,ro / && shift && exec \"$@\"";

fn confined(log: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", CONFINED, "sh"])
        .arg(log)
        .args([
            "setpriv",
            "--reuid=65532",
            "--regid=65532",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--no-new-privs",
            "strace",
            "-f",
            "-qq",
            "-e",
            WATCHED,
            "-o",
        ]);
    command
        .arg(log.join("trace"))
        .arg(env!("CARGO_BIN_EXE_portcullis"));
    command
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Defence: there is no code for anything else. As a user without rights and
/// on a read-only root it serves, reloads and stops, writes nothing but its
/// log, starts no program, and contacts nobody but its origin.
#[test]
fn it_needs_no_rights_and_uses_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::create_dir(&log).unwrap();
    mode(folder.path(), 0o755);
    mode(&log, 0o777);
    let missing = ["strace", "unshare", "setpriv"]
        .iter()
        .any(|program| !is_installed(program));
    let tried = confined(&log).arg("--version").output();
    if missing || !tried.is_ok_and(|tried| tried.status.success()) {
        println!(
            "SKIPPED: this is not root with namespaces, strace and setpriv, or the program is out of reach"
        );
        return;
    }
    let origin = Origin::ok();
    let access = log.join("access.ndjson");
    fs::write(folder.path().join("list"), "203.0.113.0/24\n").unwrap();
    let policy = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 2\n[origin]\nurl = \"http://{}\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n[access.ip]\nblock_files = [\"list\"]\n[log]\naccess = \"{}\"\n",
        origin.address,
        access.display()
    );
    let file = folder.path().join("portcullis.toml");
    fs::write(&file, policy).unwrap();
    let mut command = confined(&log);
    command.args(["run", "--config"]).arg(&file);
    let run = Run::start(command, folder.path());
    let address = run.addresses()[0];
    for turn in 0..3 {
        let mut client = Client::connect(address);
        assert_eq!(client.get(&format!("/{turn}"), "").text(), "ok");
        client
            .ask("POST", "/", "Content-Length: 4\r\n")
            .send("body");
        assert_eq!(client.reply().text(), "ok");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", run.inner())).unwrap();
    assert!(status.contains("Uid:\t65532\t65532"), "{status}");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    run.signal("HUP");
    run.says("generation=2");
    assert_eq!(Client::connect(address).get("/", "").text(), "ok");
    run.stop();
    assert_eq!(fs::read_to_string(&access).unwrap().lines().count(), 7);
    let trace = fs::read_to_string(log.join("trace")).unwrap();
    harmless(&trace, &access, origin.address.port());
}

fn harmless(trace: &str, log: &Path, origin: u16) {
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| !line.contains("resumed>"))
        .collect();
    let of = |names: &'static [&str]| {
        let is = move |line: &&&str| {
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            names
                .iter()
                .any(|name| call.starts_with(&format!("{name}(")))
        };
        calls.iter().filter(is).copied()
    };
    let succeeds = |line: &&str| !line.contains("= -1 ");
    let shown = log.display().to_string();
    let written: Vec<&str> = of(&["open", "openat", "openat2"])
        .filter(|line| {
            line.contains("O_WRONLY") || line.contains("O_RDWR") || line.contains("O_CREAT")
        })
        .collect();
    assert!(!written.is_empty(), "strace saw nothing: {trace}");
    assert!(
        written.iter().all(|line| line.contains(&shown)),
        "{written:#?}"
    );
    assert_eq!(
        of(&["execve", "execveat"]).count(),
        1,
        "it starts no other program"
    );
    let forks: Vec<&str> = of(&["fork", "vfork", "clone", "clone3"])
        .filter(|line| !line.contains("CLONE_THREAD"))
        .collect();
    assert!(forks.is_empty(), "{forks:#?}");
    let port = format!("htons({origin})");
    let reached: Vec<&str> = of(&["connect"]).collect();
    assert!(
        !reached.is_empty() && reached.iter().all(|line| line.contains(&port)),
        "{reached:#?}"
    );
    let others: Vec<&str> = of(&[
        "creat",
        "truncate",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "mkdir",
        "mkdirat",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "chmod",
        "fchmod",
        "fchmodat",
        "chown",
        "fchownat",
        "mknodat",
        "ptrace",
        "setuid",
        "mount",
    ])
    .filter(succeeds)
    .collect();
    // Among setpriv's and strace's own none is seen: they come before.
    assert!(others.is_empty(), "{others:#?}");
    let addressed: Vec<&str> = of(&["sendto", "sendmsg"])
        .filter(|line| line.contains("sa_family"))
        .collect();
    assert!(addressed.is_empty(), "{addressed:#?}");
}
