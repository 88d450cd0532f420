//! Which keys stand in which table, and which of them do not work yet.

/// A table of the configuration: its name, without the route it may stand
/// in, and its keys. `[route.access]` and `[route.cache]` hold less than the
/// top level's.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) keys: &'static [&'static str],
}

/// All tables, in the order of `config/portcullis.toml`.
#[rustfmt::skip]
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "", keys: &["server", "client", "limits", "origin", "access", "images", "cache_key", "cache", "response", "admin", "log", "route", "test"] },
    Section { name: "server", keys: &["listen", "hosts", "workers", "max_connections", "header_timeout", "idle_timeout", "stall_timeout", "max_header_bytes", "max_body", "merge_slashes", "drain_timeout", "redirect_https", "socket_mode", "tls"] },
    Section { name: "server.tls", keys: &["listen", "min_version", "handshake_timeout", "http2", "max_streams", "certificates"] },
    Section { name: "server.tls.certificates", keys: &["cert_file", "key_file"] },
    Section { name: "client", keys: &["trusted_proxies", "header", "proxy_protocol"] },
    Section { name: "limits", keys: &["ip_entries", "referrers", "origin_patterns", "user_agents"] },
    Section { name: "origin", keys: &["url", "host", "methods", "ca_file", "connect_timeout", "response_timeout", "max_connections", "retries"] },
    Section { name: "access", keys: &["exempt_paths", "disclose", "downstream", "ip", "user_agent", "geo", "origins", "referrer"] },
    Section { name: "access.ip", keys: &["block", "block_files", "exempt", "shadow"] },
    Section { name: "access.user_agent", keys: &["block", "shadow"] },
    Section { name: "access.geo", keys: &["mode", "countries", "database", "unknown", "shadow"] },
    Section { name: "access.origins", keys: &["upload", "delivery"] },
    Section { name: "access.origins.upload", keys: &["patterns", "missing", "shadow"] },
    Section { name: "access.origins.delivery", keys: &["patterns", "missing", "shadow"] },
    Section { name: "access.referrer", keys: &["mode", "urls", "missing", "shadow"] },
    Section { name: "images", keys: &["extensions", "formats", "clients"] },
    Section { name: "images.clients", keys: &["user_agents", "accept"] },
    Section { name: "cache_key", keys: &["query", "drop", "only", "field"] },
    Section { name: "cache", keys: &["memory", "disk", "disk_size", "max_object", "default_ttl", "stale_while_revalidate", "stale_if_error", "set_cookie"] },
    Section { name: "response", keys: &["set", "remove"] },
    Section { name: "admin", keys: &["listen", "token_file", "hosts"] },
    Section { name: "log", keys: &["level", "format", "access", "client_address"] },
    Section { name: "route", keys: &["name", "hosts", "paths", "origin", "access", "images", "cache_key", "cache", "response"] },
    Section { name: "route.access", keys: &["exempt_paths", "ip", "user_agent", "geo", "origins", "referrer"] },
    Section { name: "route.cache", keys: &["enabled", "max_object", "default_ttl", "stale_while_revalidate", "stale_if_error", "set_cookie"] },
    Section { name: "test", keys: &["name", "request", "expect"] },
    Section { name: "test.request", keys: &["url", "method", "client", "peer", "headers"] },
];

/// What a key that does not work yet accepts: the value that turns it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// There is no such value.
    Never,
    Text(&'static str),
}

/// The keys that do not work yet. The change that makes one work deletes its
/// line, and reads it.
const UNSUPPORTED: &[(&str, Off)] = &[
    ("cache.disk", Off::Text("")),
    ("cache.disk_size", Off::Never),
];

/// The table of that name, which must be one of [`SECTIONS`].
pub(super) fn section(name: &str) -> &'static Section {
    let found = SECTIONS.iter().find(|section| section.name == name);
    found.expect("readers name tables that are in SECTIONS")
}

/// What `key` of the table `section` accepts while it does not work; `None`
/// if it works.
pub(super) fn unsupported(section: &Section, key: &str) -> Option<Off> {
    let matches = |name: &str| name.strip_prefix(section.name) == Some(&format!(".{key}"));
    let found = UNSUPPORTED.iter().find(|(name, _)| matches(name));
    found.map(|(_, off)| *off)
}

impl Off {
    /// Whether `value` is the one that turns the key off.
    pub(super) fn accepts(self, value: &toml::de::DeValue<'_>) -> bool {
        match self {
            Self::Never => false,
            Self::Text(off) => value.as_str() == Some(off),
        }
    }

    /// JSON Schema of the accepted value.
    pub(super) fn schema(self) -> serde_json::Value {
        let why = "does not work yet";
        match self {
            Self::Never => serde_json::json!({ "not": {}, "description": why }),
            Self::Text(off) => serde_json::json!({ "const": off, "description": why }),
        }
    }

    /// The accepted value as it is written, if there is one.
    pub(super) fn as_written(self) -> Option<String> {
        match self {
            Self::Never => None,
            Self::Text(off) => Some(format!("\"{off}\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_yet_is_a_key() {
        for (name, _) in UNSUPPORTED {
            let (table, key) = name.rsplit_once('.').unwrap();
            assert!(section(table).keys.contains(&key), "{name}");
            assert!(unsupported(section(table), key).is_some(), "{name}");
        }
    }

    #[test]
    fn a_section_is_a_key_of_its_parent() {
        for section in SECTIONS.iter().filter(|section| !section.name.is_empty()) {
            let (parent, key) = section.name.rsplit_once('.').unwrap_or(("", section.name));
            assert!(
                super::section(parent).keys.contains(&key),
                "{}",
                section.name
            );
        }
    }
}
