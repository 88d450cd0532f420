//! What `missing` says where it cannot do what it says.

use super::{Findings, networks};
use crate::access::Missing;
use crate::config::Snapshot;
use crate::config::file::{ConfigFile, List, Maybe, Mode, Policy, Written};

pub(super) fn warn(policy: &Policy, file: &ConfigFile, snapshot: &Snapshot, findings: &Findings) {
    let mut proxies = networks(file.client.trusted_proxies.as_ref());
    let plain = proxies.next().is_none() && !snapshot.server.listen.is_empty();
    for origins in [&policy.upload, &policy.delivery].into_iter().flatten() {
        if has_entries(origins.patterns.as_ref()) {
            without_fetch_fields(&origins.missing, plain, findings);
        } else {
            without_patterns(&origins.missing, findings);
        }
    }
    if let Some(referrer) = &policy.referrer {
        let mode = referrer.mode.as_ref().map_or(Mode::Off, |mode| mode.value);
        // A blocklist infers, too.
        if mode != Mode::Off {
            without_fetch_fields(&referrer.missing, plain, findings);
        }
    }
}

fn has_entries(list: Option<&List>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// Browsers send Sec-Fetch fields over https only.
fn without_fetch_fields(missing: &Maybe<Missing>, plain: bool, findings: &Findings) {
    let Some(missing) = missing.as_ref().filter(|missing| plain && infers(missing)) else {
        return;
    };
    let message = "\"infer\" reads Sec-Fetch fields, and browsers send none to a plain listener";
    findings.add(
        missing
            .spot
            .warning(message)
            .label("infers nothing over http")
            .note("a field that is missing then passes, as with \"allow\"")
            .help("listen by server.tls only, or serve https in front of this listener and list that proxy in client.trusted_proxies"),
    );
}

fn infers(missing: &Written<Missing>) -> bool {
    missing.value == Missing::Infer
}

/// Without patterns there is no rule, whatever `missing` says.
fn without_patterns(missing: &Maybe<Missing>, findings: &Findings) {
    let Some(missing) = missing.as_ref().filter(|m| m.value != Missing::Allow) else {
        return;
    };
    let finding = missing
        .spot
        .warning("there are no patterns beside it, so nothing is restricted");
    findings.add(
        finding
            .label("does nothing")
            .note("a table without patterns is no rule: every page passes, and who sends no such field")
            .help("write `patterns = [\"example.com\", \"**.example.com\"]`, or take this key out"),
    );
}
