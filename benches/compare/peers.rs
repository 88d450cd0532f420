//! Who is compared, and how each is started.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::TempDir;
use tokio_rustls::rustls::ClientConfig;

use crate::client::Client;
use crate::policy::{Policy, Setting, haproxy, nginx, portcullis, varnish};
use crate::process::{self, Core, Guard};
use crate::tls::{self, Identity};
use crate::workload::Wire;
use crate::{Outcome, interrupt};

/// Long enough for Varnish to have its policy compiled.
const START: Duration = Duration::from_secs(40);

const GEOIP2: &str = "ngx_http_geoip2_module.so";

/// Whose answer is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    Portcullis,
    /// Portcullis with its access log on.
    PortcullisLog,
    Nginx,
    Haproxy,
    Varnish,
    /// The bare responder.
    Floor,
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Portcullis => "Portcullis",
            Self::PortcullisLog => "Portcullis, log on",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Varnish => "Varnish",
            Self::Floor => "floor",
        })
    }
}

/// A program that is there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: Name,
    pub(crate) version: String,
    #[serde(skip)]
    program: PathBuf,
}

/// Those that are there, and of the others what has to be installed.
pub(crate) fn installed(portcullis: &Path) -> (Vec<Peer>, Vec<String>) {
    let mut peers = vec![Peer {
        name: Name::Portcullis,
        version: version(portcullis, "--version"),
        program: portcullis.to_owned(),
    }];
    let mut missing = Vec::new();
    let others = [
        (Name::Nginx, "nginx", "-v", "nginx"),
        (Name::Haproxy, "haproxy", "-v", "haproxy"),
        (Name::Varnish, "varnishd", "-V", "varnish"),
    ];
    for (name, file, flag, package) in others {
        match program(file) {
            Some(_) if name == Name::Nginx && geoip2().is_none() => {
                missing.push("nginx has no geoip2 (Debian: libnginx-mod-http-geoip2)".to_owned());
            }
            Some(program) => peers.push(Peer {
                name,
                version: version(&program, flag),
                program,
            }),
            None => missing.push(format!("there is no {name} (Debian: {package})")),
        }
    }
    (peers, missing)
}

/// Where it is: servers often lie where a user's PATH does not look.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

fn geoip2() -> Option<PathBuf> {
    let folders = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let mut files = folders
        .map(|folder| Path::new(folder).join(GEOIP2))
        .into_iter();
    files.find(|file| file.is_file())
}

/// The first line that it prints about itself.
fn version(program: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "unknown".to_owned();
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// What an instance is started for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    /// Bytes that may be stored; none where the cache is off.
    pub(crate) cache: Option<u64>,
    pub(crate) log: bool,
    pub(crate) wire: Wire,
}

impl Purpose {
    /// In the clear, without a log.
    pub(crate) fn clear(cache: Option<u64>) -> Self {
        Self {
            cache,
            log: false,
            wire: Wire::Clear,
        }
    }
}

impl Peer {
    /// Starts one with the policy, in a folder of its own.
    pub(crate) fn start(
        &self,
        policy: &Policy,
        origin: SocketAddr,
        purpose: Purpose,
        identity: &Identity,
        scratch: &Path,
    ) -> Outcome<Instance> {
        let folder = tempfile::tempdir_in(scratch)?;
        let setting = Setting {
            folder: folder.path().to_owned(),
            listen: process::free_address()?,
            origin,
            cache: purpose.cache,
            log: purpose.log,
            wire: purpose.wire,
            identity: identity.clone(),
        };
        let mut command = process::command(Core::Proxy, &self.program)?;
        match self.name {
            Name::Portcullis | Name::PortcullisLog | Name::Floor => {
                let admin = process::free_address()?;
                let file = portcullis::write(policy, &setting, admin)?;
                command.args(["run", "--config"]).arg(file);
            }
            Name::Nginx => {
                let module = geoip2().ok_or("there is no geoip2 for nginx")?;
                let file = nginx::write(policy, &setting, &module)?;
                command.arg("-p").arg(folder.path()).arg("-c").arg(file);
            }
            Name::Haproxy => {
                let file = haproxy::write(policy, &setting)?;
                command.args(["-db", "-f"]).arg(file);
            }
            Name::Varnish => {
                let file = varnish::write(policy, &setting)?;
                command
                    .args(varnish_arguments(&setting))
                    .arg("-f")
                    .arg(file);
            }
        }
        let named = |error| format!("{} does not start: {error}", self.name);
        let mut instance = Instance::start(&mut command, setting.listen, folder).map_err(named)?;
        if purpose.wire != Wire::Clear {
            instance.tls = Some(tls::client(&identity.certificate, false)?);
        }
        Ok(instance)
    }
}

/// One pool, of as few threads as there may be at first; it grows to what
/// there is to do. Its log in memory is off, as everybody's log is.
fn varnish_arguments(setting: &Setting) -> Vec<String> {
    let parameters = [
        "thread_pools=1",
        "thread_pool_min=10",
        "timeout_idle=75",
        "auto_restart=off",
        &vsl_mask(),
    ];
    let mut arguments = vec!["-F".to_owned(), "-j".to_owned(), "none".to_owned()];
    arguments.extend(["-T", "none", "-n"].map(str::to_owned));
    arguments.push(setting.folder.join("work").display().to_string());
    arguments.extend(["-a".to_owned(), setting.listen.to_string(), "-s".to_owned()]);
    arguments.push(format!("malloc,{}", setting.cache.unwrap_or(16 << 20)));
    for parameter in parameters {
        arguments.extend(["-p".to_owned(), parameter.to_owned()]);
    }
    arguments
}

/// Masks all that it would log of a request.
fn vsl_mask() -> String {
    let messages = ["Req", "Resp", "Bereq", "Beresp"];
    let parts = [
        "Method", "URL", "Protocol", "Status", "Reason", "Header", "Unset",
    ];
    let of_messages = messages
        .iter()
        .flat_map(|message| parts.map(|part| format!("-{message}{part}")));
    let others = [
        "Begin",
        "End",
        "Link",
        "SessOpen",
        "SessClose",
        "ReqStart",
        "ReqAcct",
        "BereqAcct",
        "PipeAcct",
        "Timestamp",
        "VCL_call",
        "VCL_return",
        "VCL_acl",
        "VCL_use",
        "Hit",
        "HitMiss",
        "HitPass",
        "Storage",
        "TTL",
        "Fetch_Body",
        "Length",
        "Filters",
        "Backend",
        "BackendOpen",
        "BackendClose",
        "BackendReuse",
        "BackendStart",
    ];
    let others = others.iter().map(|tag| format!("-{tag}"));
    let tags: Vec<String> = of_messages.chain(others).collect();
    format!("vsl_mask={}", tags.join(","))
}

/// One that runs; ended, and its folder removed, when this is dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    guard: Guard,
    pub(crate) address: SocketAddr,
    /// How we speak to it; none: in the clear.
    tls: Option<Arc<ClientConfig>>,
    _folder: TempDir,
}

impl Instance {
    /// Returns when it takes connections at `address`.
    pub(crate) fn start(
        command: &mut Command,
        address: SocketAddr,
        folder: TempDir,
    ) -> Outcome<Self> {
        let output = folder.path().join("output");
        let file = File::create(&output)?;
        command.stdout(file.try_clone()?).stderr(file);
        let mut guard = Guard::spawn(command)?;
        let end = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            interrupt::check()?;
            if guard.has_ended() || Instant::now() > end {
                let said = fs::read_to_string(&output).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(tail.join("\n").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self {
            guard,
            address,
            tls: None,
            _folder: folder,
        })
    }

    /// A connection of our own.
    pub(crate) fn client(&self) -> io::Result<Client> {
        match &self.tls {
            Some(config) => Client::connect_tls(self.address, config),
            None => Client::connect(self.address),
        }
    }

    /// As it stands in URLs of what is asked here.
    pub(crate) fn scheme(&self) -> &'static str {
        self.tls.as_ref().map_or("http", |_| "https")
    }

    pub(crate) fn process(&self) -> u32 {
        self.guard.id()
    }
}
