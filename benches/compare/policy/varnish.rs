//! The policy in VCL, as users of Varnish write it. It reads no MaxMind DB, so
//! it gets the networks of the countries as an ACL; the variant goes into the
//! hash, in place of the origin's `Vary`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ipnet::IpNet;

use super::{EXTENSIONS, ORIGINAL_ACCEPT, Policy, Setting, WEBP_ACCEPT, glob};
use crate::Outcome;
use crate::rules::{APP_ACCEPT, APPS, BLOCKED_AGENTS};

pub(crate) fn write(policy: &Policy, setting: &Setting) -> Outcome<PathBuf> {
    let path = setting.folder.join("policy.vcl");
    let text = format!(
        "{}{}{}",
        head(policy, setting),
        receive(policy),
        rest(setting)
    );
    fs::write(&path, text)?;
    Ok(path)
}

fn head(policy: &Policy, setting: &Setting) -> String {
    format!(
        "vcl 4.1;\nimport std;\nbackend assets {{ .host = \"{}\"; .port = \"{}\"; }}\n\
         acl trusted {{ \"127.0.0.1\"; }}\n{}{}",
        setting.origin.ip(),
        setting.origin.port(),
        // the shorter list as code, which is faster; the longer would take too long to compile
        acl("blocked", &policy.networks),
        acl("country +table", &policy.countries.networks),
    )
}

fn acl(name: &str, networks: &[IpNet]) -> String {
    let mut text = format!("acl {name} {{\n");
    for network in networks {
        writeln!(text, "\"{}\"/{};", network.addr(), network.prefix_len())
            .expect("a String takes all");
    }
    text + "}\n"
}

/// Varnish has put the peer behind what `X-Forwarded-For` said before this.
fn receive(policy: &Policy) -> String {
    let referrers: Vec<&str> = policy.referrers.iter().map(String::as_str).collect();
    format!(
        r#"sub vcl_recv {{
  if (client.ip ~ trusted) {{
    set req.http.X-Client = regsub(req.http.X-Forwarded-For, "^(?:.*, *)?([^, ]+), *[^, ]+$", "\1");
  }} else {{
    set req.http.X-Client = client.ip;
  }}
  if (std.ip(req.http.X-Client, client.ip) ~ blocked) {{ return (synth(403)); }}
  if (req.http.User-Agent ~ "(?i){agents}") {{ return (synth(403)); }}
  if (std.ip(req.http.X-Client, client.ip) ~ country) {{ return (synth(403)); }}
  if (req.http.Origin && req.http.Origin != "null") {{
    if (req.http.Origin !~ "(?i){globs}") {{ return (synth(403)); }}
  }} else if (req.http.Referer && req.http.Referer !~ "(?i){globs}") {{
    return (synth(403));
  }}
  if (req.http.Referer && req.http.Referer !~ "(?i)^https?://{referrers}(?::[0-9]+)?(?:[/?#]|$)") {{
    return (synth(403));
  }}
  if (req.url ~ "(?i){extensions}") {{
    if (req.http.User-Agent ~ "(?i){apps}") {{
      set req.http.Accept = "{APP_ACCEPT}";
      set req.http.X-Variant = "webp";
    }} else if (req.http.Accept ~ "(?i)image/webp(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))") {{
      set req.http.Accept = "{WEBP_ACCEPT}";
      set req.http.X-Variant = "webp";
    }} else {{
      set req.http.Accept = "{ORIGINAL_ACCEPT}";
      set req.http.X-Variant = "original";
    }}
  }}
  set req.http.X-Forwarded-Proto = "http";
  set req.http.X-Forwarded-Host = req.http.Host;
"#,
        agents = glob::words(&BLOCKED_AGENTS),
        globs = glob::any(&policy.globs),
        referrers = glob::words(&referrers),
        extensions = glob::extensions(&EXTENSIONS).replace('$', r"(?:\?|$)"),
        apps = glob::words(&APPS),
    )
}

fn rest(setting: &Setting) -> String {
    let then = if setting.cache.is_some() {
        "hash"
    } else {
        "pass"
    };
    format!(
        r#"  return ({then});
}}
sub vcl_hash {{ hash_data(req.http.X-Variant); }}
sub vcl_backend_fetch {{
  unset bereq.http.X-Variant;
  unset bereq.http.X-Client;
}}
sub vcl_backend_response {{ unset beresp.http.Vary; }}
sub vcl_deliver {{ set resp.http.Vary = "Accept, User-Agent"; }}
"#
    )
}
