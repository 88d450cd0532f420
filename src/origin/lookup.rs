//! The addresses of an origin's name.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::{OriginError, OriginUrl};

/// What a lookup finds, or why it fails.
type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// After this long another lookup is begun beside the one that runs, in case
/// that one was stuck when the network came back.
const STUCK: Duration = Duration::from_secs(5);

/// The lookups of one origin's name. A lookup takes a thread until the
/// system's resolver is done, which may be long after everyone has gone away
/// (30 seconds, as resolvers come); so whoever comes meanwhile waits for the
/// one that runs, and a resolver that hangs takes a handful of threads.
#[derive(Debug, Default)]
pub(super) struct Lookup(RefCell<Option<Running>>);

#[derive(Debug)]
struct Running {
    since: Instant,
    found: watch::Receiver<Option<Found>>,
}

impl Lookup {
    /// The addresses of the host of `url`, which is always the same, in the
    /// order to try them. Never empty.
    pub(super) async fn addresses(&self, url: &OriginUrl) -> Result<Vec<SocketAddr>, OriginError> {
        if let Ok(address) = url.bare_host().parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, url.port)]);
        }
        let mut running = self.running(url);
        let found = match running.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => None,
        };
        match found {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Some(Err(error)) => Err(OriginError::Dns(io::Error::new(error.kind(), error))),
            Some(Ok(_)) | None => Err(OriginError::Dns(io::ErrorKind::NotFound.into())),
        }
    }

    /// The lookup that runs, or a new one.
    fn running(&self, url: &OriginUrl) -> watch::Receiver<Option<Found>> {
        let mut running = self.0.borrow_mut();
        if let Some(known) = running.as_ref().filter(|known| known.can_be_waited_for()) {
            return known.found.clone();
        }
        let (sender, found) = watch::channel(None);
        let (host, port) = (url.host.clone(), url.port);
        spawn_local(async move {
            let found = lookup_host((host, port)).await;
            let found = found.map(|found| alternating(found.collect()));
            sender.send_replace(Some(found.map_err(Arc::new)));
        });
        *running = Some(Running {
            since: Instant::now(),
            found: found.clone(),
        });
        found
    }
}

impl Running {
    fn can_be_waited_for(&self) -> bool {
        // Without a sender it has ended, with a result or with none.
        self.found.has_changed().is_ok() && self.since.elapsed() < STUCK
    }
}

/// The families in turn, beginning with the one that the system prefers (RFC
/// 8305 section 4): if one of them leads nowhere, the other is tried second.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == preferred);
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return mixed,
            (one, other) => mixed.extend(one.into_iter().chain(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let order = |addresses: &[&str]| -> Vec<String> {
            let parsed = addresses.iter().map(|text| text.parse().unwrap());
            let mixed = alternating(parsed.collect());
            mixed.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            order(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]
        );
        assert_eq!(
            order(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]),
            ["1.1.1.1:1", "[::1]:1", "[::2]:1"]
        );
        assert!(order(&[]).is_empty());
    }
}
