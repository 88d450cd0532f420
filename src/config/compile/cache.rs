//! `[cache]` and `[route.cache]`.

use super::{Compiler, written_or};
use crate::cache::settings::CacheSettings;
use crate::config::file::{Cache, Maybe, Written};

/// `cache.memory` where it is not written: 128 MiB.
const MEMORY: u64 = 128 << 20;

/// Less than this would be all heads and no bodies.
const LEAST_MEMORY: u64 = 1 << 20;

impl Compiler<'_> {
    /// `cache.memory`, in bytes.
    pub(super) fn cache_memory(&self, written: &Maybe<u64>) -> u64 {
        let memory = written_or(written, MEMORY);
        if let Some(written) = written
            && (1..LEAST_MEMORY).contains(&memory)
        {
            let finding = written.spot.error("there is no room for a cache in this");
            let finding = finding.label("too small");
            self.findings
                .add(finding.allowed("\"1 MiB\" or more; \"0\": no cache"));
        }
        memory
    }

    /// `[cache]` but its `memory`, or `[route.cache]`.
    pub(super) fn cache(&self, raw: &Cache) -> CacheSettings {
        if let Some(written) = &raw.max_object {
            self.max_object(written);
        }
        let default = self.default_cache();
        CacheSettings {
            enabled: default.enabled && written_or(&raw.enabled, true),
            max_object: written_or(&raw.max_object, default.max_object).min(self.memory),
            default_ttl: written_or(&raw.default_ttl, default.default_ttl),
            stale_while_revalidate: written_or(
                &raw.stale_while_revalidate,
                default.stale_while_revalidate,
            ),
            stale_if_error: written_or(&raw.stale_if_error, default.stale_if_error),
            set_cookie: written_or(&raw.set_cookie, default.set_cookie),
        }
    }

    /// Where nothing is written.
    pub(super) fn default_cache(&self) -> CacheSettings {
        let default = CacheSettings::default();
        CacheSettings {
            enabled: self.memory > 0,
            max_object: default.max_object.min(self.memory),
            ..default
        }
    }

    fn max_object(&self, written: &Written<u64>) {
        if written.value == 0 {
            let finding = written.spot.error("nothing could be stored").label("zero");
            let help = match written.spot.key.starts_with("route[") {
                true => "write `enabled = false` for a route without a cache",
                false => "write `memory = \"0\"` for no cache at all",
            };
            let finding = finding.allowed("more than nothing: \"64 MiB\"");
            self.findings.add(finding.help(help));
        }
    }
}
