//! The policy as Portcullis has it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Policy, Setting};
use crate::Outcome;
use crate::rules::{self, Pages};
use crate::workload::Wire;

/// Writes the file. What it does not name is at its default; the admin
/// listener is on, at a port that is free.
pub(crate) fn write(policy: &Policy, setting: &Setting, admin: SocketAddr) -> Outcome<PathBuf> {
    let path = setting.folder.join("portcullis.toml");
    fs::write(&path, text(policy, setting, admin))?;
    Ok(path)
}

fn text(policy: &Policy, setting: &Setting, admin: SocketAddr) -> String {
    let networks: Vec<String> = policy.networks.iter().map(ToString::to_string).collect();
    let referrers: Vec<String> = policy
        .referrers
        .iter()
        .map(|host| format!("https://{host}"))
        .collect();
    let log = if setting.log {
        setting.folder.join("access.ndjson").display().to_string()
    } else {
        "off".to_owned()
    };
    format!(
        r#"[server]
{listen}

[client]
trusted_proxies = ["127.0.0.1"]

[origin]
url = "http://{origin}"

{addresses}{fields}[cache]
memory = "{memory}"

[admin]
listen = "{admin}"

[log]
access = {log:?}
"#,
        listen = listen(setting),
        origin = setting.origin,
        addresses = rules::address_tables(&format!("block = {networks:?}")),
        fields = rules::field_tables(&Pages {
            referrers: &referrers,
            globs: &policy.globs,
            origins: &["delivery"],
            missing: "allow",
        }),
        memory = setting
            .cache
            .map_or_else(|| "0".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
    )
}

fn listen(setting: &Setting) -> String {
    let listen = setting.listen;
    match setting.wire {
        Wire::Clear => format!("listen = [\"{listen}\"]\nworkers = 1"),
        Wire::Tls | Wire::Http2 => format!(
            "workers = 1\n\n[server.tls]\nlisten = [\"{listen}\"]\n\n\
             [[server.tls.certificates]]\ncert_file = {:?}\nkey_file = {:?}",
            setting.identity.certificate, setting.identity.key,
        ),
    }
}
