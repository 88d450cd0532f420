use std::fmt::Display;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually;

/// Whether a program is installed; says loudly that a test is skipped if not.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: no {program}");
    }
    found
}

/// nginx as an origin, with a folder of files. Dropping it kills it.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Starts it with these directives in its `server`.
    pub(crate) fn start(directives: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        // Free a moment ago, and asked of the system at random.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration(folder.path(), address, directives)).unwrap();
        let child = in_sbin("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let nginx = Self {
            address,
            child,
            folder,
        };
        eventually("nginx listens", || TcpStream::connect(address).is_ok());
        nginx
    }

    /// A file that it serves, or the folder of them.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("www").join(name)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that may stand where only root looks.
fn in_sbin(program: &str) -> Command {
    let sbin = Path::new("/usr/sbin").join(program);
    match sbin.is_file() {
        true => Command::new(sbin),
        false => Command::new(program),
    }
}

/// One process, which dies with its handle; without root, `user` says nothing.
fn configuration(folder: &Path, address: SocketAddr, directives: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; user root; pid {folder}/pid;\n\
         events {{}}\n\
         http {{\n\
           access_log off; sendfile on; keepalive_timeout 60;\n\
           client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n\
           types {{ text/plain txt; image/jpeg jpg; text/html html; }}\n\
           server {{ listen {address}; root {folder}/www;\n{directives}\n}}\n\
         }}\n"
    )
}

/// HAProxy in front of another server. Dropping it kills it.
pub(crate) struct Haproxy {
    pub(crate) address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Haproxy {
    /// Starts it at `address`, whose port is found, passing whatever comes on
    /// to `server` with these keywords.
    pub(crate) fn start(address: &str, server: impl Display, keywords: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago, and asked of the system at random.
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let file = folder.path().join("haproxy.cfg");
        let configuration = format!(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
             frontend clients\n  bind {address}\n  default_backend behind\n\
             backend behind\n  server one {server} {keywords}\n"
        );
        fs::write(&file, configuration).unwrap();
        let child = in_sbin("haproxy")
            .args(["-db", "-q", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let haproxy = Self {
            address,
            child,
            _folder: folder,
        };
        eventually("HAProxy listens", || TcpStream::connect(address).is_ok());
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What curl printed, and its exit code.
pub(crate) struct Curled {
    pub(crate) output: Vec<u8>,
    pub(crate) said: String,
    pub(crate) code: Option<i32>,
}

/// curl with these arguments, its standard output and what `-v` says.
pub(crate) fn curl(arguments: &[&str]) -> Curled {
    let output = Command::new("curl")
        .args(["-q", "--noproxy", "*", "-sS", "--max-time", "60"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Curled {
        output: output.stdout,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

impl Curled {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.output).unwrap()
    }
}
