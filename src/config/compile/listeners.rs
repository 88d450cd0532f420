//! Where clients may connect to: `server.listen`, `server.redirect_https` and
//! `server.tls.listen`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Compiler;
use crate::config::error::{Finding, Spot, quoted};
use crate::config::file::{Entry, List, Maybe, Server};
use crate::network::{ListenAddress, ListenAddressError, UnixPathError};

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// `server.socket_mode` where it is not written: whom the administrator puts
/// into its group may connect, and nobody else.
const SOCKET_MODE: u32 = 0o660;

const REDIRECT: &str = "server.redirect_https";

/// The addresses of the three kinds of listeners for clients.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) plain: Vec<ListenAddress>,
    pub(super) redirect: Vec<ListenAddress>,
    pub(super) tls: Vec<ListenAddress>,
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

    fn default_listener(&mut self) -> Vec<ListenAddress> {
        self.listeners.push(("server.listen", LISTEN.into()));
        vec![LISTEN.into()]
    }

    /// Each once: a second socket would find its port taken by the first.
    fn listeners_of(&mut self, key: &'static str, list: &List) -> Vec<ListenAddress> {
        let mut listen = Vec::new();
        for entry in list.iter() {
            let Some(address) = self.listener(entry) else {
                continue;
            };
            if !listen.contains(&address) {
                let help = match &address {
                    ListenAddress::Tcp(_) => "give each of them a port of its own",
                    ListenAddress::Unix(_) => "give each of them a path of its own",
                };
                self.claim(key, address.clone(), &entry.spot(), help);
                listen.push(address);
            }
        }
        listen
    }

    fn listener(&self, entry: Entry<'_>) -> Option<ListenAddress> {
        let address = entry.text.parse();
        match &address {
            Ok(_) => {}
            Err(ListenAddressError::Path(error)) => self.findings.add(bad_path(entry, *error)),
            Err(ListenAddressError::Address(_)) => self.findings.add(bad_listener(entry)),
        }
        address.ok()
    }

    /// `socket_mode`.
    pub(super) fn socket_mode(&self, written: &Maybe<String>) -> u32 {
        let Some(written) = written else {
            return SOCKET_MODE;
        };
        let text = written.value.as_str();
        let is_octal =
            matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok();
        let why = match mode.filter(|mode| is_octal && *mode <= 0o777) {
            None => format!("{} is not a mode in octal", quoted(text)),
            // Who connects writes (unix(7)).
            Some(mode) if mode & 0o222 == 0 => "nobody could connect".to_owned(),
            Some(mode) => return mode,
        };
        let finding = written.spot.error(why).label("not this mode");
        self.findings.add(finding.allowed(
            "\"660\" for its user and group, \"600\" for its user, \"666\" for everybody on this machine",
        ));
        SOCKET_MODE
    }

    /// Where we listen by `key` from now on, if nobody does so by another one.
    pub(super) fn claim(
        &mut self,
        key: &'static str,
        address: ListenAddress,
        spot: &Spot,
        help: &str,
    ) {
        let mut others = self.listeners.iter().filter(|(other, _)| *other != key);
        if let Some((other, taken)) = others.find(|(_, taken)| clash(&address, taken)) {
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

fn bad_path(entry: Entry<'_>, error: UnixPathError) -> Finding {
    let finding = entry.error(format!("{}: {error}", quoted(entry.text)));
    let finding = finding.label("not a Unix socket");
    finding.allowed("\"unix:/run/portcullis/http.sock\"")
}

fn bad_listener(entry: Entry<'_>) -> Finding {
    let text = entry.text;
    let finding = entry.error(format!("{} is not an address and port", quoted(text)));
    let finding = finding.label("not an address and port");
    let finding = finding
        .allowed("\"127.0.0.1:8080\", \"0.0.0.0:80\" for all of IPv4, \"[::]:80\", \"unix:/path\"");
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_port = port.parse::<u16>().is_ok();
    finding.help(match host {
        _ if text.starts_with('/') => format!("write `\"unix:{text}\"` for a Unix socket"),
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
fn clash(one: &ListenAddress, other: &ListenAddress) -> bool {
    let (Some(one), Some(other)) = (one.tcp(), other.tcp()) else {
        return one == other;
    };
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
        let clash = |a: &str, b: &str| clash(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(clash("127.0.0.1:9900", "127.0.0.1:9900"));
        assert!(clash("127.0.0.1:9900", "0.0.0.0:9900"));
        assert!(clash("[::]:9900", "[::1]:9900"));
        assert!(!clash("127.0.0.1:9900", "127.0.0.1:9901"));
        assert!(!clash("127.0.0.1:9900", "127.0.0.2:9900"));
        assert!(!clash("127.0.0.1:9900", "[::]:9900"));
        assert!(!clash("127.0.0.1:0", "127.0.0.1:0"));
        assert!(clash("unix:/run/a", "unix:/run//a"));
        assert!(!clash("unix:/run/a", "unix:/run/b"));
        assert!(!clash("unix:/run/a", "127.0.0.1:9900"));
    }
}
