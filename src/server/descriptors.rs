//! File descriptors: a connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Snapshot;

/// For listeners, logs, files that are read, and connections being refused.
const OTHERS: u64 = 256;

/// Takes as many as the system allows, and tells if that is too few for what
/// is configured.
pub(super) fn prepare(snapshot: &Snapshot) {
    let limit = raised();
    let clients = snapshot.server.max_connections as u64;
    let origins = origin_connections(snapshot);
    let needed = clients + origins + OTHERS;
    if let Some(allowed) = limit.filter(|limit| *limit < needed) {
        tracing::warn!(
            allowed,
            needed,
            "too few open files are allowed for server.max_connections = {clients} and \
             {origins} origin connections: raise the limit (`ulimit -n`, LimitNOFILE of systemd), \
             or lower server.max_connections"
        );
    }
}

/// The limit after raising it; `None`: there is none.
fn raised() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let hard = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum && setrlimit(Resource::Nofile, hard).is_ok() {
        return maximum;
    }
    current
}

/// `origin.max_connections` of every origin.
fn origin_connections(snapshot: &Snapshot) -> u64 {
    let mut origins: Vec<_> = Vec::new();
    for route in &snapshot.routes {
        if !origins.contains(&&route.origin) {
            origins.push(&route.origin);
        }
    }
    origins
        .iter()
        .map(|origin| origin.max_connections as u64)
        .sum()
}
