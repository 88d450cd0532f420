//! The program under test, in a process of its own, and its policy.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::wire::{Length, Reader};
use crate::world::World;

/// Ports that were free just now.
pub(crate) fn ports<const COUNT: usize>() -> [u16; COUNT] {
    let taken = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    taken.map(|listener| listener.local_addr().unwrap().port())
}

/// Its folder and where it is.
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    /// Plain, IPv6, TLS, admin, origin.
    pub(crate) ports: [u16; 5],
    authority: CertifiedIssuer<'static, KeyPair>,
}

const TOKEN: &str = "a-token-of-the-soak";

impl Site {
    pub(crate) fn new(folder: PathBuf) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Root of the soak");
        let key = KeyPair::generate().unwrap();
        let site = Self {
            folder,
            ports: ports(),
            authority: CertifiedIssuer::self_signed(params, key).unwrap(),
        };
        site.write("token", TOKEN);
        site.write_list(false);
        site.new_certificate();
        site.write_policy(false);
        site
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.authority.der().clone()
    }

    /// Replaces a file at once.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.folder.join(format!("{name}.new"));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.join(name)).unwrap();
    }

    pub(crate) fn write_list(&self, second: bool) {
        let first = 33 + 16 * u32::from(second);
        let lines: Vec<String> = (first..first + 15)
            .map(|last| format!("198.51.100.{last}\n"))
            .collect();
        self.write("blocked.txt", &lines.concat());
    }

    /// Returns the new one.
    pub(crate) fn new_certificate(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["img.example.com".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write("site.key.pem", &key.serialize_pem());
        self.write("site.pem", &certificate.pem());
        certificate.der().clone()
    }

    pub(crate) fn write_policy(&self, second: bool) {
        self.write("portcullis.toml", &self.policy(second));
    }

    pub(crate) fn policy(&self, second: bool) -> String {
        let country =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/country/country.mmdb");
        let [plain, six, tls, admin, origin] = self.ports;
        let (network, marker) = if second { (16, "second") } else { (0, "first") };
        let text = include_str!("policy.toml");
        [
            ("PLAIN", plain.to_string()),
            ("SIX", six.to_string()),
            ("SECURE", tls.to_string()),
            ("ADMIN", admin.to_string()),
            ("ORIGIN", origin.to_string()),
            ("NETWORK", network.to_string()),
            ("MARKER", marker.to_owned()),
            ("FOLDER", self.folder.display().to_string()),
            ("COUNTRY", country.display().to_string()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("@{name}@"), value)
        })
    }

    /// Asks its admin listener: status and text.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.try_admin(method, path, body)
            .await
            .unwrap_or_else(|error| (0, error.to_string()))
    }

    async fn try_admin(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.ports[3])).await?;
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await?;
        let mut reader = Reader::new(stream);
        let head = reader.head().await?.unwrap_or_default();
        let mut answer = Vec::new();
        reader
            .body(Length::of(&head, Length::Close)?, &mut answer)
            .await?;
        let status = head.start.get(9..12).and_then(|status| status.parse().ok());
        Ok((
            status.unwrap_or(0),
            String::from_utf8_lossy(&answer).into_owned(),
        ))
    }
}

/// The process. It ends with this.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    pub(crate) fn start(world: &Arc<World>, site: &Site) -> Self {
        let mut command = Command::new(&world.options.program);
        command
            .args(["run", "--config"])
            .arg(site.folder.join("portcullis.toml"));
        // An interrupt of the soak is not one of it.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", world.options.program));
        let said = BufReader::new(child.stderr.take().unwrap());
        let listener = Arc::clone(world);
        let (ready, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if line.contains("listening") {
                    let _ = ready.send(());
                }
                heard(&listener, &line);
            }
        });
        if started.recv_timeout(Duration::from_secs(30)).is_err() {
            let _ = child.kill();
            panic!("it did not start within 30 seconds");
        }
        Self { child }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        self.signal(rustix::process::Signal::TERM);
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of its own log: errors are of reloads that were to fail.
fn heard(world: &World, line: &str) {
    let expected = ["the configuration is not taken"];
    if line.contains("panicked") {
        return world.wrong("a panic", line);
    }
    if !line.contains("ERROR") {
        if line.contains(" WARN ") {
            world.count("warnings", 1);
        }
        return;
    }
    world.count("errors logged", 1);
    if !expected.iter().any(|word| line.contains(word)) {
        world.wrong("an unexpected error in its log", line);
    }
}
