//! The policy that every request is judged by: each rule at its default limit.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Programs that people block.
const BLOCKED_AGENTS: [&str; 10] = [
    "python-requests",
    "Scrapy",
    "curl/",
    "Wget",
    "Go-http-client",
    "HTTrack",
    "libwww-perl",
    "AhrefsBot",
    "Bytespider",
    "HeadlessChrome",
];

/// Apps that show WebP and do not say so.
const APPS: [&str; 10] = [
    "okhttp",
    "Android 11",
    "Dalvik/",
    "CFNetwork",
    "Alamofire",
    "ExoPlayer",
    "FBAN/",
    "Instagram",
    "Pinterest/",
    "ShopApp/",
];

const COUNTRIES: [&str; 10] = ["CN", "RU", "IR", "KP", "SY", "CU", "BY", "VE", "MM", "ZW"];

/// A real country database, if `PORTCULLIS_COUNTRY_MMDB` names one, else the
/// small one of the tests; with the word that the record has for it.
pub(crate) fn country_database() -> (PathBuf, &'static str) {
    match std::env::var_os("PORTCULLIS_COUNTRY_MMDB") {
        Some(path) => (path.into(), "real"),
        None => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            (root.join("tests/fixtures/country/country.mmdb"), "tests")
        }
    }
}

/// Writes the policy into a folder of its own in `folder`, since the folder of a
/// policy is watched, and whatever is written there costs; its path. One
/// worker, so that a sequence of requests is one sequence of steps.
pub(crate) fn write(folder: &Path, origin: SocketAddr, logged: bool) -> io::Result<PathBuf> {
    let watched = folder.join("policy");
    std::fs::create_dir(&watched)?;
    let path = watched.join("portcullis.toml");
    std::fs::write(&path, text(folder, origin, logged))?;
    Ok(path)
}

fn text(folder: &Path, origin: SocketAddr, logged: bool) -> String {
    let log = match logged {
        true => folder.join("access.log"),
        false => "off".into(),
    };
    let mut toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
         [admin]\nlisten = \"\"\n\
         [log]\naccess = {log:?}\n\
         [origin]\nurl = \"http://{origin}\"\n\
         [client]\ntrusted_proxies = [\"127.0.0.1\"]\n"
    );
    let mut table = |text: String| writeln!(toml, "{text}").expect("a String takes all");
    table(format!("[access.ip]\nblock = {:?}", networks()));
    let (database, _) = country_database();
    table(format!(
        "[access.geo]\nmode = \"block\"\ndatabase = {database:?}\ncountries = {COUNTRIES:?}"
    ));
    table(format!("[access.user_agent]\nblock = {BLOCKED_AGENTS:?}"));
    let urls = sites(30, |n| format!("https://www.site{n}.example.com/"));
    table(format!(
        "[access.referrer]\nmode = \"allow\"\nmissing = \"infer\"\nurls = {urls:?}"
    ));
    let globs = sites(20, glob);
    for name in ["upload", "delivery"] {
        table(format!(
            "[access.origins.{name}]\nmissing = \"infer\"\npatterns = {globs:?}"
        ));
    }
    table(format!(
        "[[images.clients]]\nuser_agents = {APPS:?}\naccept = \"image/webp,image/apng,*/*;q=0.8\""
    ));
    toml
}

fn sites(count: usize, make: impl FnMut(usize) -> String) -> Vec<String> {
    (0..count).map(make).collect()
}

/// Globs of every kind in turn.
fn glob(n: usize) -> String {
    match n % 5 {
        0 => format!("www.site{n}.example.com"),
        1 => format!("*.site{n}.example.com"),
        2 => format!("[a-n]*site{n}.{{com,org,net}}"),
        3 => format!("**.site{n}.example.com"),
        _ => format!("app-?.site{n}.example.com:8443"),
    }
}

/// A hundred networks, /32 to /24, in address space that is nobody's client
/// here (198.18.0.0/15 is for benchmarks: RFC 2544).
fn networks() -> Vec<String> {
    let network = |n: u32| match n % 5 {
        0 => format!("198.18.{n}.0/24"),
        1 => format!("198.19.{n}.{}/29", n / 8 * 8),
        _ => format!("198.19.{n}.{}", n * 2),
    };
    (0..100).map(network).collect()
}
