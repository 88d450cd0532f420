//! Clients as they are installed.

use std::process::{Command, Stdio};

use super::start;
use crate::support::{Origin, eventually, is_installed};

fn large() -> Origin {
    let body = "0123456789abcdef".repeat(1 << 12);
    Origin::answered_by(move |asked| {
        let length = asked.body.len() + body.len();
        format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {length}\r\n\r\n{body}{}",
            String::from_utf8_lossy(&asked.body)
        )
    })
}

/// What it printed, if it is installed and went well.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    if !is_installed(program) {
        let package = match program {
            "curl" | "chromium" => program,
            _ => "nghttp2-client",
        };
        eprintln!("SKIPPED: {program} is not installed (package {package})");
        return None;
    }
    let output = Command::new("timeout")
        .args(["120", program])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn curl_one_by_one_and_many_at_a_time() {
    let edge = start(&large(), "");
    let port = edge.address().port();
    let resolve = format!("img.example.com:{port}:127.0.0.1");
    let root = edge.root().display().to_string();
    let url = |path: &str| format!("https://img.example.com:{port}{path}");
    let mut base = vec![
        "-q",
        "-sS",
        "--http2",
        "--max-time",
        "20",
        "--resolve",
        &resolve,
        "--cacert",
        &root,
    ];
    base.extend([
        "-w",
        "\n%{http_version} %{http_code} %{size_download}\n",
        "-o",
        "/dev/null",
    ]);
    let one = url("/a");
    let Some(told) = run("curl", &[&base[..], &[&one]].concat()) else {
        return;
    };
    assert_eq!(told.trim(), "2 200 65536");
    let many = url("/[1-200]");
    let parallel = [
        "--parallel",
        "--parallel-max",
        "100",
        &many,
        "-o",
        "/dev/null",
    ];
    let told = run("curl", &[&base[..11], &base[11..13], &parallel].concat()).unwrap();
    assert_eq!(told.matches("2 200 65536").count(), 200, "{told}");
    let upload = ["-X", "PUT", "--data-binary", "abcdef", &one];
    assert_eq!(
        run("curl", &[&base[..], &upload].concat()).unwrap().trim(),
        "2 200 65542"
    );
    let head = run("curl", &[&base[..], &["-I", &one]].concat()).unwrap();
    assert!(head.contains("2 200 0"), "{head}");
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
}

#[test]
fn nghttp_and_h2load() {
    let edge = start(&large(), "");
    let port = edge.address().port();
    let url = |path: &str| format!("https://127.0.0.1:{port}{path}");
    let authority = ["-H", ":authority: img.example.com", "--no-verify-peer"];
    let one = url("/a");
    if let Some(told) = run(
        "nghttp",
        &[&authority[..], &["-nvs", "-m", "50", &one]].concat(),
    ) {
        assert!(told.contains(":status: 200"), "{told}");
        assert!(!told.contains("recv RST_STREAM"), "{told}");
    }
    for more in [&["-c1", "-m1"], &["-c4", "-m128"], &["-c1", "-m100"]] {
        let load = ["-n2000", "-H", ":authority: img.example.com", &one];
        if let Some(told) = run("h2load", &[&more[..], &load].concat()) {
            assert!(
                told.contains("2000 succeeded, 0 failed, 0 errored"),
                "{told}"
            );
        }
    }
    // Windows so small that each frame is acknowledged.
    let small = [
        "-n200",
        "-m20",
        "-w14",
        "-W14",
        "-H",
        ":authority: img.example.com",
        &one,
    ];
    if let Some(told) = run("h2load", &small) {
        assert!(
            told.contains("200 succeeded, 0 failed, 0 errored"),
            "{told}"
        );
    }
    assert_eq!(edge.counted(|c| c.floods.get()), 0);
    assert_eq!(edge.counted(|c| c.refused_streams.get()), 0);
    eventually("closed", || edge.counted(|c| c.open.get()) == 0);
}

/// A page with so many pictures; its title tells how many came, and by what.
const PICTURES: usize = 300;

const PAGE: &str = r#"<!doctype html><title></title><script>
const count = @count@, pictures = [];
for (let i = 0; i < count; i++) pictures.push(`<img src="/${i}.svg">`);
document.write(pictures.join(""));
onload = () => {
    const came = [...document.images].filter(picture => picture.naturalWidth > 0).length;
    const by = performance.getEntriesByType("resource").map(one => one.nextHopProtocol);
    document.title = `${came} by ${[...new Set(by)]}`;
};
</script>"#;

#[test]
fn a_browser_loads_a_page_with_many_pictures() {
    let origin = Origin::answered_by(|asked| {
        let (kind, body) = match asked.target().ends_with(".svg") {
            true => (
                "image/svg+xml",
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>"#.to_owned(),
            ),
            false => ("text/html", PAGE.replace("@count@", &PICTURES.to_string())),
        };
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
    });
    let edge = start(&origin, "");
    let profile = tempfile::tempdir().unwrap();
    let profile = format!("--user-data-dir={}", profile.path().display());
    let url = format!("https://127.0.0.1:{}/", edge.address().port());
    let told = run(
        "chromium",
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--ignore-certificate-errors",
            &profile,
            "--virtual-time-budget=60000",
            "--dump-dom",
            &url,
        ],
    );
    let Some(told) = told else { return };
    let title = format!("<title>{PICTURES} by h2</title>");
    assert!(told.contains(&title), "{told:.300}");
    assert_eq!(edge.counted(|connections| connections.floods.get()), 0);
}
