//! The server behind the peers: nginx with files, on the core of the load.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::Outcome;
use crate::client::Client;
use crate::load::objects;
use crate::load::random::Random;
use crate::peers::{Instance, program};
use crate::policy::nginx;
use crate::process::{self, Core};

/// Bodies that the workloads ask for, in bytes.
pub(crate) const SIZES: [usize; 4] = [1 << 10, 10 << 10, 100 << 10, 1 << 20];

/// Answers with what it got, never stored, with and without variants: a line
/// with `Accept`, one with `X-Forwarded-For`, and one with the host and scheme.
pub(crate) const SEEN_IMAGE: &str = "/seen.jpg";
pub(crate) const SEEN_TEXT: &str = "/seen.txt";

/// The same, stored where there is a cache.
pub(crate) const SEEN_STORED: &str = "/seen/stored.jpg";

/// Where a body of this size is.
pub(crate) fn path(size: usize) -> String {
    format!("/{size}.jpg")
}

/// The same bytes in every run, hard to compress.
pub(crate) fn body(size: usize) -> Vec<u8> {
    let mut random = Random::new(4);
    (0..size).map(|_| random.next() as u8).collect()
}

#[derive(Debug)]
pub(crate) struct Origin {
    instance: Instance,
}

impl Origin {
    pub(crate) fn start(scratch: &Path) -> Outcome<Self> {
        let nginx = program("nginx").ok_or("there is no nginx for the origin (Debian: nginx)")?;
        let folder = tempfile::tempdir_in(scratch)?;
        let address = process::free_address()?;
        for size in SIZES {
            fs::write(folder.path().join(format!("{size}.jpg")), body(size))?;
        }
        for class in objects::classes() {
            let body = body(objects::size(class));
            fs::write(folder.path().join(format!("class{class}")), body)?;
        }
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text(folder.path(), address))?;
        let mut command = process::command(Core::Load, nginx)?;
        command.arg("-p").arg(folder.path()).arg("-c").arg(file);
        let instance = Instance::start(&mut command, address, folder)?;
        Ok(Self { instance })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.instance.address
    }

    /// How many requests it has answered, without those that ask for this.
    pub(crate) fn requests(&self) -> Outcome<u64> {
        let mut client = Client::connect(self.address())?;
        let reply = client.ask("GET /status HTTP/1.1\r\nHost: origin\r\n\r\n")?;
        let text = reply.text();
        let numbers = text.lines().nth(2).unwrap_or_default();
        let requests: Option<u64> = numbers
            .split_whitespace()
            .nth(2)
            .and_then(|n| n.parse().ok());
        Ok(requests.ok_or("the origin does not tell how often it was asked")?)
    }
}

/// WebP is told by its type alone: the bytes are the same, so that lengths
/// are, and a cache that keeps variants apart has to.
fn text(folder: &Path, address: SocketAddr) -> String {
    let fields = r"add_header Vary Accept; add_header Access-Control-Allow-Origin *;";
    let seen = r#"return 200 "$http_accept\n$http_x_forwarded_for\n$http_host $http_x_forwarded_proto $http_x_forwarded_host\n";"#;
    let variant = |name: &str, kind: &str| {
        format!(
            "location /{name}/ {{ internal; default_type {kind}; alias {}/; {fields} add_header Cache-Control max-age=3600; }}\n\
             location /{name}/seen {{ internal; default_type {kind}; {fields} add_header Cache-Control max-age=3600; {seen} }}\n",
            folder.display(),
        )
    };
    format!(
        r#"{main}events {{ worker_connections 4096; }}
http {{
{http}open_file_cache max=1000 inactive=1h;
map $http_accept $variant {{ default original; "~image/webp" webp; }}
server {{
listen {address} backlog=4096;
rewrite ^/seen/ /$variant/seen last;
rewrite ^/mix/(?<class>[0-9]+)/ /$variant/class$class last;
rewrite ^/(?<size>[0-9]+)\.jpg$ /$variant/$size.jpg last;
{original}{webp}location /seen {{ default_type text/plain; {fields} add_header Cache-Control no-store; {seen} }}
location = /status {{ stub_status; }}
}}
}}
"#,
        main = nginx::main(folder),
        http = nginx::http(folder),
        original = variant("original", "image/jpeg"),
        webp = variant("webp", "image/webp"),
    )
}
