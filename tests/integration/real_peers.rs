//! nginx as the origin and curl as the client: what scripts of our own might
//! only agree about with ourselves. Skipped where one is missing.

use std::fs;

use crate::support::{Nginx, Portcullis, curl, is_installed};

const DIRECTIVES: &str = "client_max_body_size 64k; absolute_redirect off;\n\
    gzip on; gzip_min_length 1; gzip_types text/plain; gzip_vary on; gzip_proxied any;\n\
    location /list/ { autoindex on; }\n\
    location /moved { return 302 /a.txt; }\n\
    location /nothing { return 204; }\n\
    location /dav/ { dav_methods PUT DELETE; create_full_put_path on; }\n\
    location /told { return 200 \"$request_method $server_protocol $http_host $http_x_forwarded_for $http_expect.\"; }\n";

/// nginx with some files, and the proxy in front; `None`: skipped.
fn peers() -> Option<(Nginx, Portcullis)> {
    if !is_installed("nginx") || !is_installed("curl") {
        return None;
    }
    let nginx = Nginx::start(DIRECTIVES);
    fs::write(nginx.file("a.txt"), "0123456789").unwrap();
    fs::write(nginx.file("text.txt"), "abc ".repeat(5000)).unwrap();
    fs::write(nginx.file("large.jpg"), large()).unwrap();
    fs::create_dir(nginx.file("list")).unwrap();
    fs::write(nginx.file("list/one.txt"), "1").unwrap();
    fs::create_dir(nginx.file("dav")).unwrap();
    let portcullis = Portcullis::start_at(nginx.address, "");
    Some((nginx, portcullis))
}

/// 8 MiB of which no two places look alike.
fn large() -> Vec<u8> {
    (0..2_u32 << 20)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b1).to_le_bytes())
        .collect()
}

fn url(portcullis: &Portcullis, path: &str) -> String {
    format!("http://{}{path}", portcullis.address)
}

#[test]
fn files_ranges_and_conditions() {
    let Some((_nginx, portcullis)) = peers() else {
        return;
    };
    let at = |path: &str| url(&portcullis, path);
    assert_eq!(curl(&[&at("/a.txt")]).text(), "0123456789");
    assert_eq!(curl(&["--http1.0", &at("/a.txt")]).text(), "0123456789");
    assert_eq!(curl(&["-r", "2-4", &at("/a.txt")]).text(), "234");
    assert_eq!(curl(&["-r", "-3", &at("/a.txt")]).text(), "789");
    let several = curl(&["-i", "-r", "0-1,8-9", &at("/a.txt")]);
    assert!(
        several.text().starts_with("HTTP/1.1 206 "),
        "{}",
        several.text()
    );
    assert!(
        several
            .text()
            .contains("content-type: multipart/byteranges; boundary=")
    );
    assert!(
        several
            .text()
            .contains("Content-Range: bytes 8-9/10\r\n\r\n89")
    );
    let beyond = curl(&["-i", "-r", "99-", &at("/a.txt")]);
    assert!(
        beyond.text().starts_with("HTTP/1.1 416 "),
        "{}",
        beyond.text()
    );
    assert!(beyond.text().contains("content-range: bytes */10\r\n"));
    let head = curl(&["-I", &at("/a.txt")]).text().to_owned();
    assert!(
        head.contains("content-length: 10\r\n") && head.contains("server: nginx"),
        "{head}"
    );
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let same = format!("If-None-Match: {etag}");
    let not_modified = curl(&["-i", "-H", &same, &at("/a.txt")]);
    assert!(
        not_modified.text().starts_with("HTTP/1.1 304 "),
        "{}",
        not_modified.text()
    );
    assert!(not_modified.text().contains(etag));
    let other = "If-Range: \"other\"";
    assert_eq!(
        curl(&["-r", "2-4", "-H", other, &at("/a.txt")]).text(),
        "0123456789"
    );
}

#[test]
fn a_download_that_broke_off_is_resumed() {
    let Some((_nginx, portcullis)) = peers() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("got");
    let all = large();
    fs::write(&file, &all[..3_000_000]).unwrap();
    let target = url(&portcullis, "/large.jpg");
    let done = curl(&["-C", "-", "-o", file.to_str().unwrap(), &target]);
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert!(
        fs::read(&file).unwrap() == all,
        "sendfile through us, from the middle"
    );
    assert!(curl(&["--limit-rate", "16M", &target]).output == all);
}

#[test]
fn compressed_text_redirects_and_listings() {
    let Some((_nginx, portcullis)) = peers() else {
        return;
    };
    let at = |path: &str| url(&portcullis, path);
    let plain = curl(&[&at("/text.txt")]).output;
    assert_eq!(plain.len(), 20_000);
    let packed = curl(&["-v", "--compressed", &at("/text.txt")]);
    assert!(
        packed.said.contains("< content-encoding: gzip"),
        "{}",
        packed.said
    );
    assert!(
        packed
            .said
            .to_lowercase()
            .contains("< vary: accept-encoding")
    );
    assert!(packed.output == plain);
    let old = curl(&["--http1.0", "--compressed", &at("/text.txt")]);
    assert!(old.output == plain);
    let moved = curl(&["-i", &at("/moved")]);
    assert!(
        moved.text().contains("location: /a.txt\r\n"),
        "{}",
        moved.text()
    );
    assert_eq!(curl(&["-L", &at("/moved")]).text(), "0123456789");
    assert!(
        curl(&["-L", &at("/list")])
            .text()
            .contains("href=\"one.txt\"")
    );
    let nothing = curl(&["-i", &at("/nothing")]);
    assert!(
        nothing.text().starts_with("HTTP/1.1 204 ") && !nothing.text().contains("content-length")
    );
    assert_eq!(
        curl(&["-o", "/dev/null", "-w", "%{http_code}", &at("/none")]).text(),
        "404"
    );
}

#[test]
fn uploads_with_and_without_expect() {
    let Some((nginx, portcullis)) = peers() else {
        return;
    };
    let at = |path: &str| url(&portcullis, path);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("up");
    let content = &large()[..50_000];
    fs::write(&file, content).unwrap();
    let file = file.to_str().unwrap();
    for (name, more) in [
        ("length", &["-H", "Expect:"][..]),
        ("expect", &["-H", "Expect: 100-continue"]),
        (
            "chunked",
            &["-H", "Transfer-Encoding: chunked", "-H", "Expect:"],
        ),
        ("old", &["--http1.0"]),
    ] {
        let target = at(&format!("/dav/{name}"));
        let arguments = [
            &["-v", "-T", file, "-o", "/dev/null", "-w", "%{http_code}"][..],
            more,
            &[&target],
        ];
        let done = curl(&arguments.concat());
        assert_eq!(done.text(), "201", "{name}: {}", done.said);
        assert!(
            fs::read(nginx.file(&format!("dav/{name}"))).unwrap() == content,
            "{name}"
        );
        assert_eq!(
            done.said.contains("< HTTP/1.1 100 Continue"),
            name == "expect",
            "{}",
            done.said
        );
    }
    assert_eq!(
        curl(&[
            "-X",
            "DELETE",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &at("/dav/old")
        ])
        .text(),
        "204"
    );
    let told = curl(&["-d", "x", &at("/told")]);
    let host = portcullis.address;
    assert_eq!(told.text(), format!("POST HTTP/1.1 {host} 127.0.0.1 ."));
}

#[test]
fn an_upload_that_the_origin_refuses_gets_the_origins_answer() {
    let Some((nginx, portcullis)) = peers() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("up");
    fs::write(&file, &large()[..200_000]).unwrap();
    let target = url(&portcullis, "/dav/large");
    let file = file.to_str().unwrap();
    let done = curl(&["-T", file, "-o", "/dev/null", "-w", "%{http_code}", &target]);
    assert_eq!(done.text(), "413", "{}", done.said);
    assert!(!nginx.file("dav/large").exists());
    assert_eq!(
        curl(&[&url(&portcullis, "/a.txt")]).text(),
        "0123456789",
        "and the next is served"
    );
}

#[test]
fn one_connection_for_several_files() {
    let Some((_nginx, portcullis)) = peers() else {
        return;
    };
    let paths = [
        "/a.txt",
        "/none",
        "/moved",
        "/text.txt",
        "/nothing",
        "/a.txt",
    ];
    let urls: Vec<String> = paths.iter().map(|path| url(&portcullis, path)).collect();
    let mut arguments = vec!["-w", "%{stderr}%{num_connects} %{http_code}\n"];
    arguments.extend(urls.iter().map(String::as_str));
    let done = curl(&arguments);
    let lines: Vec<&str> = done.said.lines().collect();
    assert_eq!(
        lines,
        ["1 200", "0 404", "0 302", "0 200", "0 204", "0 200"]
    );
    let heads = curl(&[
        "-I",
        &urls[0],
        &urls[3],
        &urls[0],
        "-w",
        "%{num_connects}\n",
    ]);
    assert_eq!(heads.text().matches("\n0\n").count(), 2, "{}", heads.text());
}
