//! Rules behind something that may be a cache.

use super::Findings;
use crate::config::Snapshot;
use crate::config::error::{Spot, quoted};
use crate::config::file::{ConfigFile, Downstream};

pub(super) fn warn(file: &ConfigFile, snapshot: &Snapshot, findings: &Findings) {
    let proxies = file.client.trusted_proxies.as_ref();
    let Some(proxies) = proxies.filter(|list| !list.is_empty()) else {
        return;
    };
    let written = file.downstream.as_ref();
    if written.is_some_and(|written| written.value == Downstream::Private) {
        return;
    }
    let Some(route) = snapshot.routes.iter().find(|route| route.rules.may_deny()) else {
        return;
    };
    let spot = written.map_or(&proxies.spot, |written| &written.spot);
    let spot = Spot {
        key: "access.downstream".to_owned(),
        ..spot.clone()
    };
    let message = format!(
        "is \"public\", and route {} has rules behind a trusted peer",
        quoted(&route.name)
    );
    findings.add(
        spot.warning(message)
            .label("a cache there answers without asking")
            .note("what one client may see, a cache in front serves to the next one, who may not")
            .help("write `downstream = \"private\"` in `[access]`"),
    );
}
