//! Origins at a Unix socket.

use std::fs;
use std::io::{Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{Conversation, Origin, Portcullis, eventually};

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    (folder, path)
}

/// In front of what is at `path`.
fn start(origin: &Origin, path: &Path, prefix: &str, more: &str) -> Portcullis {
    let path = path.display();
    let policy = format!("[origin]\nurl = \"unix:{path}{prefix}\"\n{more}\n");
    Portcullis::start(origin, &policy)
}

/// Answers every request with its own body.
fn echo(conversation: &mut Conversation<UnixStream>) {
    while let Some(asked) = conversation.request() {
        let length = asked.body.len();
        conversation.say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ));
        conversation.say(&asked.body);
    }
}

#[test]
fn it_is_asked_like_any_other() {
    let (_folder, path) = place();
    let origin = Origin::at_socket(&path, echo);
    let portcullis = start(&origin, &path, "", "");
    let mut client = portcullis.client();
    for _ in 0..3 {
        assert_eq!(client.get("/a?b", "").status, 200);
    }
    let asked = origin.asked();
    assert!(asked[0].head.starts_with("GET /a?b HTTP/1.1\r\n"));
    assert!(asked[0].head.contains("img.example.com"));
    // One connection, kept.
    assert!(asked.iter().all(|asked| asked.connection == 0));
    let body = "b".repeat(1 << 20);
    let length = body.len();
    client.ask("POST", "/", &format!("Content-Length: {length}\r\n"));
    assert_eq!(client.send(&body).reply().text(), body);
    client.ask("PUT", "/", "Transfer-Encoding: chunked\r\n");
    client.send("3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    portcullis.finish();
}

#[test]
fn its_own_host_is_localhost_and_a_path_may_stand_before() {
    for (host, expected) in [
        ("", "Host: img.example.com\r\n"),
        ("host = \"origin\"", "Host: localhost\r\n"),
        ("host = \"app.example\"", "Host: app.example\r\n"),
    ] {
        let (_folder, path) = place();
        let origin = Origin::at_socket(&path, echo);
        let portcullis = start(&origin, &path, ":/bucket", host);
        assert_eq!(portcullis.client().get("/a", "").status, 200);
        let head = origin.only().head;
        assert!(head.starts_with("GET /bucket/a HTTP/1.1\r\n"), "{head}");
        let head = head.to_lowercase();
        assert!(head.contains(&expected.to_lowercase()), "{head}");
        portcullis.finish();
    }
}

/// Two origins with the same host and port are not one.
#[test]
fn each_socket_is_an_origin_of_its_own() {
    let ((_one, path), (_other, second)) = (place(), place());
    let [origin, other] = [&path, &second].map(|path| Origin::at_socket(path, echo));
    let more = format!(
        "[[route]]\nname = \"b\"\npaths = [\"/b/**\"]\n[route.origin]\nurl = \"unix:{}\"\n",
        second.display()
    );
    let portcullis = start(&origin, &path, "", &more);
    let mut client = portcullis.client();
    for path in ["/a", "/b/c", "/a", "/b/c"] {
        assert_eq!(client.get(path, "").status, 200);
    }
    assert_eq!((origin.count(), other.count()), (2, 2));
    portcullis.finish();
}

#[test]
fn its_failures_are_told_by_their_names() {
    let nowhere = Origin::ok();
    let fails = |path: &Path, expected: (u16, &str)| {
        let portcullis = start(&nowhere, path, "", "connect_timeout = \"200ms\"");
        let status = portcullis.client().get("/", "").status;
        let lines = portcullis.stop();
        let line = &lines[0];
        assert_eq!(
            (status, line["error"].as_str().unwrap()),
            expected,
            "{line}"
        );
    };
    let (_folder, path) = place();
    fails(&path, (502, "connection_refused"));
    // Of one that is gone.
    drop(UnixListener::bind(&path).unwrap());
    fails(&path, (502, "connection_refused"));
    // Whose queue is full.
    let (_folder, path) = place();
    let full = UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&full).listen(0).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    fails(&path, (504, "connection_timeout"));
    // That says nothing of HTTP, or goes away.
    for (answer, expected) in [
        ("what\r\n\r\n", (502, "http_protocol_error")),
        ("", (502, "connection_terminated")),
    ] {
        let (_folder, path) = place();
        let _origin = Origin::at_socket(&path, move |conversation| {
            conversation.head();
            conversation.say(answer);
        });
        fails(&path, expected);
    }
    // That this user may not write to; root may.
    let (_folder, path) = place();
    let _origin = Origin::at_socket(&path, echo);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if UnixStream::connect(&path).is_err() {
        fails(&path, (502, "destination_ip_prohibited"));
    }
}

/// One that is full for a moment is waited for.
#[test]
fn one_that_is_full_is_tried_again() {
    let (_folder, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    let portcullis = start(&Origin::ok(), &path, "", "");
    let mut client = portcullis.client();
    client.ask("GET", "/", "");
    drop(waiting);
    let (first, _) = listener.accept().unwrap();
    drop(first);
    let (mut second, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        second.read_exact(&mut byte).unwrap();
        asked.push(byte[0]);
    }
    Write::write_all(&mut second, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    assert_eq!(client.reply().status, 204);
    portcullis.finish();
}

/// nginx, ended when dropped.
struct Nginx(std::process::Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_is_an_origin() {
    let (folder, path) = place();
    let at = folder.path().display();
    fs::write(folder.path().join("a.txt"), "a".repeat(300_000)).unwrap();
    let configuration = format!(
        "daemon off; master_process off; pid {at}/pid;\nevents {{}}\nhttp {{ access_log off;\n\
         client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
         server {{ listen unix:{}; root {at};\n\
         location /up {{ dav_methods PUT; create_full_put_path on; }} }} }}\n",
        path.display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let nginx = Command::new("nginx")
        .args(["-e", "stderr", "-p"])
        .arg(folder.path())
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _nginx = match nginx {
        Ok(child) => Nginx(child),
        Err(error) => return eprintln!("SKIPPED: nginx at a Unix socket: {error}"),
    };
    eventually("nginx listens", || UnixStream::connect(&path).is_ok());
    let portcullis = start(&Origin::ok(), &path, "", "");
    let mut client = portcullis.client();
    for _ in 0..3 {
        let reply = client.get("/a.txt", "");
        assert_eq!((reply.status, reply.body.len()), (200, 300_000));
    }
    let part = client.get("/a.txt", "Range: bytes=0-9\r\nCache-Control: no-cache\r\n");
    assert_eq!((part.status, part.text()), (206, "aaaaaaaaaa"));
    let body = "b".repeat(200_000);
    client.ask("PUT", "/up/b.txt", "Content-Length: 200000\r\n");
    assert_eq!(client.send(&body).reply().status, 201);
    let stored = fs::read_to_string(folder.path().join("up/b.txt"));
    assert_eq!(stored.unwrap(), body);
    portcullis.finish();
}
