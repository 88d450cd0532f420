//! The policy as users of HAProxy write it. It reads no MaxMind DB, so it gets
//! the networks of the countries as a list; its cache cannot vary on `Accept`,
//! so the variant is put into the path for the time of the lookup.

use std::fs;
use std::path::{Path, PathBuf};

use super::{EXTENSIONS, ORIGINAL_ACCEPT, Policy, Setting, WEBP_ACCEPT, glob};
use crate::Outcome;
use crate::rules::{APP_ACCEPT, APPS, BLOCKED_AGENTS};
use crate::workload::Wire;

pub(crate) fn write(policy: &Policy, setting: &Setting) -> Outcome<PathBuf> {
    let folder = &setting.folder;
    let networks = policy.networks.iter().map(ToString::to_string);
    list(folder, "networks", networks)?;
    let countries = policy.countries.networks.iter().map(ToString::to_string);
    list(folder, "countries", countries)?;
    list(folder, "agents", BLOCKED_AGENTS.iter().copied())?;
    list(folder, "apps", APPS.iter().copied())?;
    list(folder, "referrers", policy.referrers.iter())?;
    let path = folder.join("haproxy.cfg");
    fs::write(&path, text(policy, setting))?;
    Ok(path)
}

fn list(
    folder: &Path,
    name: &str,
    entries: impl Iterator<Item = impl std::fmt::Display>,
) -> Outcome<()> {
    let text: String = entries.map(|entry| format!("{entry}\n")).collect();
    Ok(fs::write(folder.join(format!("{name}.lst")), text)?)
}

fn text(policy: &Policy, setting: &Setting) -> String {
    let (cache, lookup, store) = setting.cache.map_or_else(Default::default, |bytes| {
        (self::cache(bytes), LOOKUP, STORE)
    });
    let (encrypted, scheme) = match setting.wire {
        Wire::Clear => (String::new(), "http"),
        Wire::Tls | Wire::Http2 => (encrypted(setting), "https"),
    };
    format!(
        r#"global
  nbthread 1
  maxconn 7000
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 30s
  timeout http-request 10s
  timeout http-keep-alive 75s
{cache}frontend clients
  bind {listen} backlog 4096{encrypted}
  acl image path_end -i {extensions}
  acl app req.fhdr(user-agent) -m sub -i -f {folder}/apps.lst
  http-request set-src req.hdr_ip(x-forwarded-for,-1) if {{ src 127.0.0.1 }}
  http-request deny if {{ src -f {folder}/networks.lst }}
  http-request deny if {{ req.fhdr(user-agent) -m sub -i -f {folder}/agents.lst }}
  http-request deny if {{ src -f {folder}/countries.lst }}
  http-request set-var(txn.page) req.fhdr(origin)
  http-request set-var(txn.page) req.fhdr(referer) if !{{ var(txn.page) -m found }} or {{ var(txn.page) -m str null }}
  http-request deny if {{ var(txn.page) -m found }} !{{ var(txn.page) -m reg -i '{globs}' }}
  http-request deny if {{ req.fhdr(referer) -m found }} !{{ req.fhdr(referer),field(3,/),field(1,:),lower -m str -f {folder}/referrers.lst }}
  http-request set-header Accept '{APP_ACCEPT}' if image app
  http-request set-var(txn.variant) str(original) if image
  http-request set-var(txn.variant) str(webp) if image {{ req.fhdr(accept) -m reg -i 'image/webp(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))' }}
  http-request set-header Accept '{WEBP_ACCEPT}' if {{ var(txn.variant) -m str webp }} !app
  http-request set-header Accept '{ORIGINAL_ACCEPT}' if {{ var(txn.variant) -m str original }}
  http-request set-header X-Forwarded-For "%[src], 127.0.0.1"
  http-request set-header X-Forwarded-Proto {scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-after-response set-header Vary "Accept, User-Agent" if {{ status 200 }}
  default_backend assets
backend assets
  http-reuse always
{lookup}{store}  server origin {origin}
"#,
        listen = setting.listen,
        origin = setting.origin,
        folder = setting.folder.display(),
        extensions = EXTENSIONS.map(|name| format!(".{name}")).join(" "),
        globs = glob::any(&policy.globs),
    )
}

fn encrypted(setting: &Setting) -> String {
    let file = setting.identity.both.display();
    format!(" ssl crt {file} alpn h2,http/1.1")
}

const LOOKUP: &str = "  http-request set-var(txn.path) path
  http-request set-path /%[var(txn.variant)]%[path] if { var(txn.variant) -m found }
  http-request cache-use store
  http-request set-path %[var(txn.path)]
";

/// Without the origin's `Vary`, which would keep it from storing.
const STORE: &str = "  http-response del-header Vary
  http-response cache-store store
";

fn cache(bytes: u64) -> String {
    let mebibytes = (bytes >> 20).clamp(3, 4095);
    let longest = (bytes / 2 - 1).min(64 << 20);
    format!(
        "cache store\n  total-max-size {mebibytes}\n  max-object-size {longest}\n  max-age 3600\n"
    )
}
