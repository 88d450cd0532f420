//! `[admin]`.

use std::net::SocketAddr;
use std::path::Path;

use super::Compiler;
use crate::config::AdminSettings;
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{Admin, Written};
use crate::config::source::why_unreadable;
use crate::config::token::{Token, TokenError};

const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9900);

impl Compiler<'_> {
    /// `[admin]`; its listener is one of ours from now on. `top` is the start
    /// of the file.
    pub(super) fn admin(&mut self, raw: &Admin, top: &Spot) -> AdminSettings {
        let listen = match &raw.listen {
            None => Some(LISTEN),
            Some(written) if written.value.is_empty() => None,
            Some(written) => self.admin_listener(written),
        };
        let spot = match &raw.listen {
            Some(written) => written.spot.clone(),
            None => Spot {
                key: "admin.listen".to_owned(),
                ..top.clone()
            },
        };
        if let Some(address) = listen {
            let help = "give the admin listener a port of its own, or `\"\"` for none";
            self.claim("admin.listen", address.into(), &spot, help);
        }
        let file = raw.token_file.as_ref();
        let token = file
            .filter(|written| !written.value.is_empty())
            .and_then(|written| self.token(written));
        let is_open = listen.is_some_and(|address| !address.ip().to_canonical().is_loopback());
        if is_open && file.is_none_or(|written| written.value.is_empty()) {
            self.findings.add(nobody_may_ask(&spot));
        }
        AdminSettings {
            listen,
            token,
            hosts: self.hosts(raw.hosts.as_ref()),
        }
    }

    fn admin_listener(&self, written: &Written<String>) -> Option<SocketAddr> {
        let text = written.value.as_str();
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let message = format!("{} is not an address and port", quoted(text));
            let finding = written.spot.error(message).label("not an address and port");
            let finding = finding.allowed("\"127.0.0.1:9900\", \"[::1]:9900\", or \"\" for none");
            self.findings.add(match text.starts_with("unix:") {
                true => finding.help("the admin listener takes no Unix socket"),
                false => finding,
            });
        }
        parsed
    }

    fn token(&mut self, written: &Written<String>) -> Option<Token> {
        let (path, contents) = self.read_source(&written.value);
        let refuse = |why: String, help: &str| {
            let finding = written.spot.error(why).label("this file");
            self.findings.add(finding.help(help));
            None
        };
        let contents = match contents {
            Ok(contents) => contents,
            Err(error) => {
                let why = format!("cannot read {}: {}", path.display(), why_unreadable(&error));
                return refuse(
                    why,
                    "a relative path starts at the folder of the configuration file",
                );
            }
        };
        match Token::read(&contents) {
            Ok(token) => {
                if is_open(&path) {
                    self.findings.add(everyone_reads(written, &path));
                }
                Some(token)
            }
            Err(error) => refuse(format!("{}: {error}", path.display()), way_out(error)),
        }
    }
}

fn way_out(error: TokenError) -> &'static str {
    match error {
        TokenError::Empty | TokenError::Short | TokenError::Characters => {
            "make one with `head -c 32 /dev/urandom | base64`"
        }
        TokenError::Lines => "leave one line in it, the token",
    }
}

fn nobody_may_ask(spot: &Spot) -> Finding {
    let message = "others than this machine can reach the admin listener, and there is no token";
    let finding = spot.warning(message).label("not only this machine");
    finding.help(
        "give `admin.token_file`: without it only /healthz, /readyz and /metrics are answered",
    )
}

pub(super) fn everyone_reads(written: &Written<String>, path: &Path) -> Finding {
    let message = format!("everyone on this machine may read {}", path.display());
    let finding = written.spot.warning(message).label("this file");
    finding.help(format!("chmod o-r {}", path.display()))
}

/// Whether any user may read a file.
pub(super) fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}
