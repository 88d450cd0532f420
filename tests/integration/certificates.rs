//! `[server.tls]`: what its files compile to, and what becomes of it when they
//! change.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use portcullis::config::{self, Snapshot, TlsSettings, Warnings};
use portcullis::reload::{self, Handle, Reloader, Status};
use rcgen::{CertificateParams, IsCa};
use tempfile::TempDir;

use crate::support::{Authority, Issued, eventually};

const POLICY: &str = r#"
[server.tls]
listen = ["127.0.0.1:8443"]
[[server.tls.certificates]]
cert_file = "a.pem"
key_file = "a.key"
[origin]
url = "http://127.0.0.1:9000"
[admin]
listen = ""
[[test]]
name = "all"
request = { url = "https://a.example/" }
expect = "forward"
"#;

const SECOND: &str = r#"
[[server.tls.certificates]]
cert_file = "b.pem"
key_file = "b.key"
"#;

/// A policy and its certificates in a folder.
struct Files(TempDir);

impl Files {
    fn new(policy: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        std::fs::write(files.policy(), policy).unwrap();
        files
    }

    /// With `a.pem` and `a.key` for these names.
    fn with(policy: &str, names: &[&str]) -> Self {
        let files = Self::new(policy);
        files.put("a", &Authority::new().issue(names));
        files
    }

    fn policy(&self) -> PathBuf {
        self.0.path().join("portcullis.toml")
    }

    fn put(&self, name: &str, issued: &Issued) {
        self.put_certificate(name, &issued.pem);
        self.put_key(name, issued);
    }

    fn put_certificate(&self, name: &str, pem: &str) {
        std::fs::write(self.0.path().join(format!("{name}.pem")), pem).unwrap();
    }

    /// For nobody else to read, from its first byte.
    fn put_key(&self, name: &str, issued: &Issued) {
        let (new, file) = (self.0.path().join("new"), format!("{name}.key"));
        std::fs::write(&new, issued.key.serialize_pem()).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&new, private).unwrap();
        std::fs::rename(&new, self.0.path().join(file)).unwrap();
    }

    fn load(&self) -> (Snapshot, Warnings) {
        config::load(&self.policy()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn tls(&self) -> TlsSettings {
        self.load().0.server.tls.unwrap()
    }

    /// The warnings, each on a line.
    fn warnings(&self) -> Vec<String> {
        let (_, warnings) = self.load();
        warnings.iter().map(config::Finding::summary).collect()
    }

    fn refused(&self) -> String {
        let refused = config::load(&self.policy()).map(|_| ());
        refused.expect_err("refused").to_string()
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// Valid from so long ago until so long from now.
fn for_days(before: u64, after: i64) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        let now = SystemTime::now();
        params.not_before = (now - days(before)).into();
        params.not_after = match after < 0 {
            true => (now - days(after.unsigned_abs())).into(),
            false => (now + days(after.unsigned_abs())).into(),
        };
    }
}

#[test]
fn with_tls_there_is_a_plain_listener_only_where_one_is_asked_for() {
    let files = Files::with(POLICY, &["a.example", "*.a.example"]);
    let (snapshot, warnings) = files.load();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(snapshot.server.listen, []);
    let tls = snapshot.server.tls.unwrap();
    let listen: SocketAddr = "127.0.0.1:8443".parse().unwrap();
    assert_eq!(tls.listen, [listen.into()]);
    assert_eq!(tls.handshake_timeout, Duration::from_secs(10));
    let [shown] = tls.certificates.as_slice() else {
        panic!("{:?}", tls.certificates)
    };
    assert_eq!(shown.file, "a.pem");
    assert_eq!(shown.names, ["a.example", "*.a.example"]);
    let named = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let sources = snapshot.sources.iter().map(|file| named(&file.path));
    assert_eq!(
        sources.collect::<Vec<_>>(),
        ["portcullis.toml", "a.pem", "a.key"]
    );

    let plain = "[server]\nlisten = [\"127.0.0.1:8080\"]\nredirect_https = [\"[::1]:8080\"]\n";
    std::fs::write(files.policy(), format!("{plain}{POLICY}")).unwrap();
    let (snapshot, warnings) = files.load();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(snapshot.server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(
        snapshot.server.redirect_https,
        ["[::1]:8080".parse().unwrap()]
    );
    assert!(snapshot.server.tls.is_some());
}

#[test]
fn nothing_that_is_said_of_a_snapshot_has_the_key_in_it() {
    let files = Files::with(POLICY, &["a.example"]);
    let said = format!("{:?}", files.load());
    let pem = std::fs::read_to_string(files.0.path().join("a.key")).unwrap();
    let bytes = std::fs::read(files.0.path().join("a.key")).unwrap();
    for line in pem.lines().filter(|line| !line.starts_with('-')) {
        assert!(!said.contains(line));
    }
    for part in bytes.windows(8) {
        let numbers: Vec<String> = part.iter().map(ToString::to_string).collect();
        assert!(!said.contains(&numbers.join(", ")));
    }
}

#[test]
fn a_certificate_without_names_can_only_be_the_only_one() {
    let files = Files::with(POLICY, &[]);
    assert_eq!(files.tls().certificates[0].names, [""; 0]);
    std::fs::write(files.policy(), format!("{POLICY}{SECOND}")).unwrap();
    files.put("b", &Authority::new().issue(&["b.example"]));
    let said = files.refused();
    assert!(
        said.contains("certificates[0].cert_file") && said.contains("common name"),
        "{said}"
    );
    // One for an address is for who names no host.
    files.put("a", &Authority::new().issue(&["127.0.0.1"]));
    assert_eq!(files.tls().certificates[0].names, ["127.0.0.1"]);
    files.put("a", &Authority::new().issue(&["a.example"]));
    files.put("b", &Authority::new().issue(&["127.0.0.1"]));
    let said = files.refused();
    assert!(
        said.contains("certificates[1].cert_file") && said.contains("can be the first"),
        "{said}"
    );
}

#[test]
fn streams_without_http2_are_told_of() {
    let with = |keys| {
        let files = Files::with(&POLICY.replace("[server.tls]", keys), &["a.example"]);
        files.warnings()
    };
    assert_eq!(with("[server.tls]\nmax_streams = 9"), [""; 0]);
    assert_eq!(with("[server.tls]\nhttp2 = false"), [""; 0]);
    let said = with("[server.tls]\nhttp2 = false\nmax_streams = 9");
    assert!(
        said[0].contains("server.tls.max_streams: no stream"),
        "{said:?}"
    );
}

#[test]
fn what_is_risky_is_said() {
    let one = |issued: &Issued| {
        let files = Files::new(POLICY);
        files.put("a", issued);
        files.warnings()
    };
    let authority = Authority::new();
    let issued = |before, after| authority.issue_with(&["a.example"], for_days(before, after));
    assert_eq!(one(&issued(60, 30)), [""; 0]);
    // One that lives for a week is renewed every few days.
    assert_eq!(one(&issued(4, 2)), [""; 0]);
    for (before, after) in [(80, 10), (6, 1)] {
        let said = one(&issued(before, after));
        assert!(said[0].contains("a.pem: it is valid until "), "{said:?}");
    }
    let mut with_old_issuer = issued(1, 90);
    let old = authority.issue_with(&["old.example"], for_days(60, -30));
    with_old_issuer.pem.push_str(&old.pem);
    let said = one(&with_old_issuer);
    assert!(said[0].contains("number 2: it has expired"), "{said:?}");

    let files = Files::with(&format!("{POLICY}{SECOND}"), &["a.example", "x.example"]);
    files.put("b", &authority.issue(&["X.example", "b.example"]));
    let said = files.warnings();
    let [twin] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(
        twin.starts_with("server.tls.certificates[1]: ") && twin.ends_with(" shown for x.example"),
        "{twin}"
    );
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(files.0.path().join("b.key"), open).unwrap();
    let said = files.warnings();
    assert!(
        said.iter()
            .any(|line| line.contains("may read") && line.contains("b.key")),
        "{said:?}"
    );
}

#[test]
fn certificates_that_nobody_is_shown_and_redirects_to_nobody_are_said() {
    let off = POLICY.replace("listen = [\"127.0.0.1:8443\"]", "listen = []");
    let redirect = "[server]\nredirect_https = [\"127.0.0.1:8081\"]\n";
    let files = Files::with(&format!("{redirect}{off}"), &["a.example"]);
    let (snapshot, _) = files.load();
    assert!(snapshot.server.tls.is_none());
    assert_eq!(snapshot.server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    let said = files.warnings();
    assert!(said[0].starts_with("server.redirect_https: "), "{said:?}");
    assert!(said[1].contains("nothing listens for TLS"), "{said:?}");
    // They are looked at all the same.
    std::fs::write(files.0.path().join("a.pem"), "").unwrap();
    assert!(files.refused().contains("it is empty"));
}

#[test]
fn one_file_can_hold_both() {
    let policy = POLICY.replace("a.key", "a.pem");
    let files = Files::new(&policy);
    let issued = Authority::new().issue(&["a.example"]);
    files.put_certificate(
        "a",
        &format!("{}{}", issued.key.serialize_pem(), issued.pem),
    );
    assert_eq!(files.tls().certificates[0].names, ["a.example"]);
    let by_itself = Issued::by_itself(&["b.example"], IsCa::NoCa);
    files.put_certificate(
        "a",
        &format!("{}{}", by_itself.pem, issued.key.serialize_pem()),
    );
    assert!(files.refused().contains("the key of another certificate"));
}

#[test]
fn over_https_alone_a_missing_referer_is_inferred() {
    let infer = "[access.referrer]\nmode = \"block\"\nurls = [\"https://b.example\"]\nmissing = \"infer\"\n";
    let files = Files::with(&format!("{POLICY}{infer}"), &["a.example"]);
    assert_eq!(files.warnings(), [""; 0]);
    let plain = "[server]\nlisten = [\"127.0.0.1:8080\"]\n";
    std::fs::write(files.policy(), format!("{plain}{POLICY}{infer}")).unwrap();
    assert!(files.warnings()[0].contains("access.referrer.missing"));
}

#[test]
fn hosts_that_no_certificate_is_for_are_said_where_all_is_https() {
    let hosts = "[[route]]\nname = \"a\"\nhosts = [\"A.example\", \"x.a.example\", \"*.a.example\", \
                 \"b.example\", \"y.x.a.example\", \"*.b.example\", \"127.0.0.1\"]\n";
    let files = Files::with(&format!("{POLICY}{hosts}"), &["a.example", "*.a.example"]);
    let said = files.warnings();
    let told = |index: usize, host: &str| {
        format!("route[0].hosts[{index}]: no certificate is for `{host}`")
    };
    let expected = [
        told(3, "b.example"),
        told(4, "y.x.a.example"),
        told(5, "*.b.example"),
    ];
    let of_certificates = said.iter().filter(|line| line.contains("no certificate"));
    assert_eq!(
        of_certificates.collect::<Vec<_>>(),
        expected.iter().collect::<Vec<_>>()
    );
    let plain = "[server]\nlisten = [\"127.0.0.1:8080\"]\n";
    std::fs::write(files.policy(), format!("{plain}{POLICY}{hosts}")).unwrap();
    assert!(
        !files
            .warnings()
            .iter()
            .any(|line| line.contains("no certificate"))
    );
}

fn watch(files: &Files) -> (Arc<ArcSwap<Snapshot>>, Handle, Status) {
    let file = files.policy();
    let load = move || config::load(&file).map(|(snapshot, _)| snapshot);
    let policy = Arc::new(ArcSwap::from_pointee(load().unwrap()));
    let prepare = Box::new(|_: &Snapshot| Ok(Box::new(|| {}) as reload::Commit));
    let reloader = Reloader::new(Arc::clone(&policy), Box::new(load), prepare);
    let status = reloader.status().clone();
    (policy, reload::start(reloader).unwrap(), status)
}

fn first_name(policy: &ArcSwap<Snapshot>) -> String {
    let snapshot = policy.load();
    snapshot.server.tls.as_ref().unwrap().certificates[0].names[0].clone()
}

#[test]
fn a_renewed_certificate_comes_into_force_and_a_bad_one_does_not() {
    let files = Files::with(POLICY, &["a.example"]);
    let (policy, handle, status) = watch(&files);
    let config = || Arc::clone(&policy.load().server.tls.as_ref().unwrap().config);
    let before = config();
    let authority = Authority::new();
    let failed = |word: &str| {
        eventually(word, || {
            status
                .last_failure()
                .is_some_and(|failure| failure.newest && failure.why.contains(word))
        });
        assert!(Arc::ptr_eq(&before, &config()), "{word}");
    };
    // Between its two files, a renewal is no pair.
    let next = authority.issue(&["b.example"]);
    files.put_certificate("a", &next.pem);
    failed("the key of another certificate");
    files.put("a", &authority.issue_with(&["b.example"], for_days(90, -1)));
    failed("it has expired");
    files.put(
        "a",
        &authority.issue_with(&["b.example"], |params| {
            params.not_before = (SystemTime::now() + days(1)).into();
        }),
    );
    failed("it is not valid before");
    std::fs::remove_file(files.0.path().join("a.key")).unwrap();
    handle.reload();
    failed("there is no such file");
    assert_eq!(first_name(&policy), "a.example");
    files.put("a", &next);
    eventually("renewed", || first_name(&policy) == "b.example");
    assert!(!status.last_failure().unwrap().newest);
    assert!(!Arc::ptr_eq(&before, &config()));
}
