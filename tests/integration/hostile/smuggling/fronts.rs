//! Real proxies in front of us, which keep their connections to us and send
//! many clients' requests on them: what they take for one request must be one
//! here, or a client gets the answer to another's.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::KIND;
use super::grammar::attack;
use super::origin::Recorder;
use super::requests::agree;
use crate::support::{Haproxy, Nginx, Portcullis, is_installed, tried, untried};

const COUNT: usize = 400;

/// Sends attacks through `front`, with another client after each.
fn play(front: SocketAddr, recorder: &Recorder, from: usize) {
    for number in from..from + COUNT {
        let attack = attack(number);
        let before = recorder.count();
        let answers = all(front, &attack.bytes);
        let shown = || {
            format!(
                "{}\n{}",
                attack.bytes.escape_ascii(),
                answers.escape_ascii()
            )
        };
        let victim = format!("/victim{number}");
        let request = format!("GET {victim} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let seen = all(front, request.as_bytes());
        let expected = format!("\r\n\r\nGET {victim} 0");
        assert!(
            seen.ends_with(expected.as_bytes()),
            "{}: {}",
            seen.escape_ascii(),
            shown()
        );
        for asked in recorder.since(before) {
            let target = asked.target();
            let own = target.contains(&attack.tag) || target == victim || target == "/kept/a.jpg";
            assert!(own, "{target} by {}", shown());
        }
        let text = String::from_utf8_lossy(&answers).into_owned();
        for echo in text
            .split("X-Method: ")
            .chain(text.split("x-method: "))
            .skip(1)
        {
            let Some((_, body)) = echo.split_once("\r\n\r\n") else {
                continue;
            };
            let line = body.lines().next().unwrap_or_default();
            let foreign = line.contains(" /t") && !line.contains(&attack.tag);
            assert!(!foreign && !line.contains("/victim"), "{}", shown());
        }
    }
    recorder.streams().iter().for_each(|stream| agree(stream));
    assert!(recorder.count() > COUNT, "{}", recorder.count());
    tried(KIND, COUNT);
}

/// All that comes for these bytes, or as much as comes soon.
fn all(front: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(front).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen);
    seen
}

#[test]
fn behind_nginx() {
    if !is_installed("nginx") {
        return untried(KIND, "nginx");
    }
    let recorder = Recorder::start();
    let portcullis = Portcullis::start(&recorder.origin, "");
    // The last brace of these is the one of the `server` that they stand in.
    let nginx = Nginx::start(&format!(
        "ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;\n\
         location / {{ proxy_pass http://edge; proxy_http_version 1.1; proxy_set_header Connection '';\n\
           proxy_set_header Host $http_host; proxy_request_buffering off; proxy_ignore_client_abort on; }}\n\
         }}\nupstream edge {{ server {}; keepalive 4;",
        portcullis.address
    ));
    play(nginx.address, &recorder, 400_000);
}

#[test]
fn behind_haproxy() {
    if !is_installed("haproxy") {
        return untried(KIND, "haproxy");
    }
    let recorder = Recorder::start();
    let portcullis = Portcullis::start(&recorder.origin, "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = listener.local_addr().unwrap();
    drop(listener);
    // Sections of its own, that look into what they pass on.
    let sections = format!(
        "\nfrontend web\n  mode http\n  option accept-invalid-http-request\n  bind {front}\n  default_backend edge\n\
         backend edge\n  mode http\n  http-reuse always\n  server p {}",
        portcullis.address
    );
    let _haproxy = Haproxy::start("127.0.0.1", portcullis.address, &sections);
    play(front, &recorder, 500_000);
}
