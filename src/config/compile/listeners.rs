//! Where clients may connect to: `server.listen`, `server.redirect_https` and
//! `server.tls.listen`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Compiler;
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{Entry, List, Server};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const REDIRECT: &str = "server.redirect_https";

/// The addresses of the three kinds of listeners for clients.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) plain: Vec<SocketAddr>,
    pub(super) redirect: Vec<SocketAddr>,
    pub(super) tls: Vec<SocketAddr>,
}

impl Compiler<'_> {
    /// They are ours from now on. Where nothing is said of a plain listener,
    /// there is one only if there is none for TLS.
    pub(super) fn listeners(&mut self, raw: &Server) -> Listeners {
        let tls = raw.tls.as_ref().and_then(|tls| tls.listen.as_ref());
        let has_tls = tls.is_some_and(|list| !list.is_empty());
        let plain = match &raw.listen {
            Some(list) => self.listeners_of("server.listen", list),
            None if has_tls => Vec::new(),
            None => self.default_listener(),
        };
        if let Some(list) = raw.listen.as_ref().filter(|list| list.is_empty())
            && !has_tls
        {
            let finding = list.spot.error("no address is listed").label("empty");
            self.findings
                .add_first(finding.help(format!("write `listen = [\"{LISTEN}\"]`")));
        }
        let redirect = raw.redirect_https.as_ref();
        if let Some(list) = redirect.filter(|list| !has_tls && !list.is_empty()) {
            self.findings.add(leads_nowhere(list));
        }
        Listeners {
            plain,
            redirect: redirect.map_or_else(Vec::new, |list| self.listeners_of(REDIRECT, list)),
            tls: tls.map_or_else(Vec::new, |list| {
                self.listeners_of("server.tls.listen", list)
            }),
        }
    }

    fn default_listener(&mut self) -> Vec<SocketAddr> {
        self.listeners.push(("server.listen", LISTEN));
        vec![LISTEN]
    }

    /// Each once: a second socket would find its port taken by the first.
    fn listeners_of(&mut self, key: &'static str, list: &List) -> Vec<SocketAddr> {
        let mut listen = Vec::new();
        for entry in list.iter() {
            let Some(address) = self.listener(entry) else {
                continue;
            };
            if !listen.contains(&address) {
                let help = "give each of them a port of its own";
                self.claim(key, address, &entry.spot(), help);
                listen.push(address);
            }
        }
        listen
    }

    fn listener(&self, entry: Entry<'_>) -> Option<SocketAddr> {
        let address = entry.text.parse().ok();
        if address.is_none() {
            self.findings.add(bad_listener(entry));
        }
        address
    }

    /// Where we listen by `key` from now on, if nobody does so by another one.
    pub(super) fn claim(
        &mut self,
        key: &'static str,
        address: SocketAddr,
        spot: &Spot,
        help: &str,
    ) {
        let mut others = self.listeners.iter().filter(|(other, _)| *other != key);
        if let Some((other, taken)) = others.find(|(_, taken)| clash(address, *taken)) {
            let finding = spot.error(format!("{address} is taken by {other} ({taken})"));
            self.findings.add(finding.label("taken").help(help));
        }
        self.listeners.push((key, address));
    }
}

fn leads_nowhere(list: &List) -> Finding {
    let message = "there is no listener here for those who are sent to https";
    let finding = list.spot.warning(message).label("redirects only");
    finding.help("give `server.tls.listen`, unless something else answers https for these hosts")
}

fn bad_listener(entry: Entry<'_>) -> Finding {
    let text = entry.text;
    let finding = entry.error(format!("{} is not an address and port", quoted(text)));
    let finding = finding.label("not an address and port");
    let finding =
        finding.allowed("\"127.0.0.1:8080\", \"0.0.0.0:80\" for all of IPv4, \"[::]:80\"");
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_port = port.parse::<u16>().is_ok();
    finding.help(match host {
        "" | "*" if is_port => {
            format!("write `\"0.0.0.0:{port}\"` for every address of this machine")
        }
        "localhost" if is_port => format!("write `\"127.0.0.1:{port}\"`"),
        _ if text.parse::<std::net::Ipv4Addr>().is_ok() => {
            format!("add the port: `\"{text}:8080\"`")
        }
        _ if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("add the port: `\"[{text}]:8080\"`")
        }
        _ => String::new(),
    })
}

/// Whether not both can be listened on. Port 0 is any that is free.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_clash() {
        let clash = |a: &str, b: &str| clash(a.parse().unwrap(), b.parse().unwrap());
        assert!(clash("127.0.0.1:9900", "127.0.0.1:9900"));
        assert!(clash("127.0.0.1:9900", "0.0.0.0:9900"));
        assert!(clash("[::]:9900", "[::1]:9900"));
        assert!(!clash("127.0.0.1:9900", "127.0.0.1:9901"));
        assert!(!clash("127.0.0.1:9900", "127.0.0.2:9900"));
        assert!(!clash("127.0.0.1:9900", "[::]:9900"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"));
    }
}
