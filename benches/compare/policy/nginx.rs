//! The policy as users of nginx with `ngx_http_geoip2_module` write it: the
//! lists in `geo`, `map` and `valid_referers`, one regular expression a rule
//! and not one an entry, the variant in the cache's key.

use std::fs;
use std::path::{Path, PathBuf};

use super::{EXTENSIONS, ORIGINAL_ACCEPT, Policy, Setting, WEBP_ACCEPT, glob};
use crate::Outcome;
use crate::rules::{APP_ACCEPT, APPS, BLOCKED_AGENTS, COUNTRIES};
use crate::workload::Wire;

pub(crate) fn write(policy: &Policy, setting: &Setting, module: &Path) -> Outcome<PathBuf> {
    let path = setting.folder.join("nginx.conf");
    let text = format!(
        "load_module {};\n{}events {{ worker_connections 16000; }}\nhttp {{\n{}{}{}}}\n",
        module.display(),
        main(&setting.folder),
        http(&setting.folder),
        rules(policy),
        server(policy, setting),
    );
    fs::write(&path, text)?;
    Ok(path)
}

/// What stands before `events`, also for the origin.
pub(crate) fn main(folder: &Path) -> String {
    // as root it would become somebody who may not enter our folder
    let user = if rustix::process::geteuid().is_root() {
        "user root root;\n"
    } else {
        ""
    };
    format!(
        "{user}worker_processes 1;\nworker_rlimit_nofile {};\npcre_jit on;\ndaemon off;\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n",
        crate::process::file_limit().min(20_000),
        folder = folder.display(),
    )
}

/// What stands first in `http`, also for the origin.
pub(crate) fn http(folder: &Path) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
        .concat();
    format!(
        "{temporary}access_log off;\nsendfile on;\nmsie_padding off;\nkeepalive_timeout 75s;\n\
         keepalive_requests 1000000000;\ntypes {{ }}\ndefault_type application/octet-stream;\n"
    )
}

fn rules(policy: &Policy) -> String {
    let list = |entries: &mut dyn Iterator<Item = String>| entries.collect::<Vec<_>>().join("\n");
    format!(
        r#"set_real_ip_from 127.0.0.1;
real_ip_header X-Forwarded-For;
geo $blocked_network {{
default 0;
{networks}
}}
geoip2 {database} {{ $country {field}; }}
map $country $blocked_country {{
default 0;
{countries}
}}
map $http_user_agent $blocked_agent {{ default 0; "~*{agents}" 1; }}
map $http_origin $page {{ default $http_origin; "" $http_referer; "null" $http_referer; }}
map $page $foreign_origin {{ default 1; "" 0; "~*{globs}" 0; }}
map $uri $image {{ default 0; "~*{extensions}" 1; }}
map $http_user_agent $app {{ default 0; "~*{apps}" 1; }}
map $image$app $wanted {{ default $http_accept; 11 "{APP_ACCEPT}"; }}
map $image$wanted $variant {{ default original; "~*^1.*image/webp(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))" webp; }}
map $image$app$variant $accept {{
default $http_accept;
10webp "{WEBP_ACCEPT}";
11webp "{APP_ACCEPT}";
10original "{ORIGINAL_ACCEPT}";
}}
"#,
        networks = list(
            &mut policy
                .networks
                .iter()
                .map(|network| format!("{network} 1;"))
        ),
        database = policy.countries.database.display(),
        field = policy.countries.field,
        countries = list(&mut COUNTRIES.iter().map(|code| format!("{code} 1;"))),
        agents = glob::words(&BLOCKED_AGENTS),
        globs = glob::any(&policy.globs),
        extensions = glob::extensions(&EXTENSIONS),
        apps = glob::words(&APPS),
    )
}

fn server(policy: &Policy, setting: &Setting) -> String {
    let (store, cache) = match setting.cache {
        Some(bytes) => (store(&setting.folder, bytes), CACHE),
        None => (String::new(), ""),
    };
    let log = if setting.log {
        format!("access_log {}/access.log;\n", setting.folder.display())
    } else {
        String::new()
    };
    format!(
        r#"{store}{log}upstream origin {{ server {origin}; keepalive 64; keepalive_requests 1000000000; }}
server {{
listen {listen} backlog=4096{encrypted};
referer_hash_bucket_size 128;
valid_referers none {referrers};
if ($blocked_network) {{ return 403; }}
if ($blocked_agent) {{ return 403; }}
if ($blocked_country) {{ return 403; }}
if ($foreign_origin) {{ return 403; }}
if ($invalid_referer) {{ return 403; }}
location / {{
proxy_pass http://origin;
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $host;
proxy_set_header Accept $accept;
proxy_set_header X-Forwarded-For "$remote_addr, $realip_remote_addr";
proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host $host;
proxy_hide_header Vary;
add_header Vary "Accept, User-Agent";
{cache}}}
}}
"#,
        origin = setting.origin,
        listen = setting.listen,
        encrypted = encrypted(setting),
        referrers = policy.referrers.join(" "),
    )
}

/// What stands behind the address. Of itself nginx 1.22 has no TLS 1.3.
fn encrypted(setting: &Setting) -> String {
    let protocol = match setting.wire {
        Wire::Clear => return String::new(),
        Wire::Tls => "ssl",
        Wire::Http2 => "ssl http2",
    };
    format!(
        " {protocol};\nssl_protocols TLSv1.2 TLSv1.3;\nssl_certificate {};\nssl_certificate_key {}",
        setting.identity.certificate.display(),
        setting.identity.key.display(),
    )
}

/// The origin's `Vary: Accept` is kept by the variant in the key: of itself
/// nginx would store each spelling of `Accept` apart.
const CACHE: &str = r#"proxy_cache store;
proxy_cache_key "$scheme://$host$request_uri $variant";
proxy_cache_lock on;
proxy_ignore_headers Vary;
"#;

fn store(folder: &Path, bytes: u64) -> String {
    format!(
        "proxy_cache_path {}/store levels=1:2 keys_zone=store:64m max_size={}m inactive=1h use_temp_path=off;\n",
        folder.display(),
        bytes >> 20
    )
}
