//! nginx as an origin that is reached by https.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Authority, Portcullis, eventually, private};

/// nginx, ended when dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nginx {
    /// Runs it on a port of its own with the certificate in `folder`, serving
    /// and taking files; `None` where it is not installed.
    fn start(folder: &Path) -> Option<(Self, u16)> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::write(folder.join("nginx.conf"), nginx_conf(folder, port)).unwrap();
        let nginx = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stdout(Stdio::null())
            .spawn();
        let nginx = match nginx {
            Ok(child) => Self(child),
            Err(error) => {
                eprintln!("SKIPPED: nginx as a TLS origin: {error}");
                return None;
            }
        };
        eventually("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some((nginx, port))
    }
}

fn nginx_conf(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/tmp;\n"))
        .collect();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 64; }}
        http {{
            access_log off; {temporary}
            server {{
                listen 127.0.0.1:{port} ssl;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate {folder}/certificate.pem;
                ssl_certificate_key {folder}/key.pem;
                location / {{
                    root {folder}/files; dav_methods PUT; client_max_body_size 64m;
                    add_header x-resumed \"$ssl_session_reused $ssl_protocol\";
                }}
            }}
        }}"
    )
}

#[test]
fn nginx_is_an_origin() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("files/bucket")).unwrap();
    std::fs::write(at("certificate.pem"), &issued.pem).unwrap();
    std::fs::write(at("key.pem"), issued.key.serialize_pem()).unwrap();
    std::fs::write(at("ca.pem"), authority.pem()).unwrap();
    let Some((_nginx, port)) = Nginx::start(folder.path()) else {
        return;
    };
    let url = format!("https://localhost:{port}/bucket");
    let policy = private(&url, &at("ca.pem"), "");
    let portcullis = Portcullis::start_at(([127, 0, 0, 1], port).into(), &policy);
    let mut client = portcullis.client();
    let body: Vec<u8> = (0..4_u32 << 20).map(|at| (at / 5) as u8).collect();
    client.send(format!(
        "PUT /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.send(&body).reply().status, 201);
    assert!(std::fs::read(at("files/bucket/a.bin")).unwrap() == body);
    let got = client.get("/a.bin", "");
    assert!(got.body == body, "{}", got.head);
    assert_eq!(got.field("x-resumed").unwrap(), ". TLSv1.3");
    assert_eq!(
        client.get("/a.bin", "Range: bytes=5-9\r\n").body,
        body[5..10]
    );
    assert_eq!(client.get("/../bucket/a.bin", "").status, 400);
}
