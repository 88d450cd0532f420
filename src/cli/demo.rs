//! `portcullis demo`: the proxy with a policy, a country database and an
//! origin that are all part of the program. It writes no file.

mod origin;
mod samples;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use self::samples::SAMPLES;
use super::complain::complain;
use super::run::open_access_log;
use super::signals::{Obeyed, Signals};
use super::{CliError, Exit};
use crate::access::country::CountryDatabase;
use crate::config::{ConfigErrors, Snapshot, load_embedded};
use crate::server::Server;

const POLICY: &str = include_str!("demo/policy.toml");
const DATABASE: &[u8] = include_bytes!("../../tests/fixtures/country/country.mmdb");

/// Serves until it is told to stop.
pub(super) fn run(listen: SocketAddr) -> Result<Exit, CliError> {
    let origin = origin::start().map_err(|error| CliError::Io("start the origin", error))?;
    let policy = match policy(listen, origin) {
        Ok(policy) => policy,
        Err(errors) => {
            complain(errors);
            return Ok(Exit::Config);
        }
    };
    let signals = Signals::listen()?;
    let log = open_access_log(&policy)?;
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    let server = Server::start(&policy, &log.spool()).inspect_err(|_| {
        complain("portcullis: `portcullis demo --listen 127.0.0.1:0` takes a port that is free");
    })?;
    let proxy = server.addresses().first().copied().unwrap_or(listen);
    io::stdout()
        .write_all(told(reachable(proxy)).as_bytes())
        .map_err(|error| CliError::Io("write to standard output", error))?;
    let closed = server.stop().clone();
    signals.obey(Obeyed {
        stop: server.stop().clone(),
        on_stop: Box::new(|| {}),
        // A demo whose terminal is gone is over.
        on_hangup: Box::new(move || closed.drain()),
        on_hand_over: Box::new(|| tracing::warn!("a demo is not handed over")),
    });
    server.wait();
    Ok(Exit::Done)
}

/// The embedded policy, for a proxy at `listen` in front of `origin`. It is
/// refused if these are one address.
fn policy(listen: SocketAddr, origin: SocketAddr) -> Result<Snapshot, ConfigErrors> {
    let text = POLICY
        .replace("[\"127.0.0.1:8080\"]", &format!("[\"{listen}\"]"))
        .replace("\"http://127.0.0.1:9000\"", &format!("\"http://{origin}\""));
    let name = "country.mmdb";
    let database = CountryDatabase::from_bytes(DATABASE.to_vec(), Path::new(name))
        .expect("the embedded database is one that the tests read");
    let (policy, _) = load_embedded("demo.toml", &text, [(name, database)])?;
    Ok(policy)
}

/// Where to reach a listener.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let loopback = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(loopback, listener.port())
}

/// All that is printed for a proxy at `proxy`.
fn told(proxy: SocketAddr) -> String {
    let mut text = format!(
        "# Portcullis demo: http://{proxy} stands in front of an origin of its own.\n\
         # Paste these lines into another shell; what each answers stands behind its #.\n\
         # (zsh: `setopt interactivecomments` first. The rule that denied is shown by curl 7.84 and newer.)\n\
         # Ctrl-C ends the demo.\n"
    );
    for sample in SAMPLES {
        text.push('\n');
        text.push_str(&sample.lines(proxy));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::samples::{Answer, Sample};
    use super::*;
    use crate::access::RuleId;
    use crate::config::TestRequest;
    use crate::plan::{Decided, Explanation, Question, run_tests};

    fn demo() -> Snapshot {
        policy(
            "127.0.0.1:8081".parse().unwrap(),
            "127.0.0.1:9001".parse().unwrap(),
        )
        .unwrap()
    }

    fn decided(sample: &Sample) -> Decided {
        let fields = sample.fields.iter();
        let request = TestRequest {
            url: format!("http://127.0.0.1:8081{}", sample.path),
            method: sample.posts.map(|_| "POST".to_owned()),
            peer: Some("127.0.0.1".parse().unwrap()),
            client: None,
            headers: fields
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        };
        match Question::new(&request).unwrap().answer(&demo()) {
            Explanation::Decided(told) => *told,
            rejected => panic!("{sample:?}: {rejected:?}"),
        }
    }

    #[test]
    fn the_policy_keeps_its_promises() {
        let policy = demo();
        assert_eq!(run_tests(&policy), []);
        assert_eq!(policy.server.listen, ["127.0.0.1:8081".parse().unwrap()]);
        assert!(
            policy
                .routes
                .iter()
                .all(|route| route.origin.url.port == 9001)
        );
        assert!(policy.sources.is_empty());
    }

    #[test]
    fn every_line_gets_the_answer_beside_it() {
        for sample in SAMPLES {
            let told = decided(sample);
            match sample.answer {
                Answer::Denied(rule) => assert_eq!(told.rule, Some(rule.as_str()), "{sample:?}"),
                Answer::Passed(kind) => {
                    assert_eq!(told.verdict, "forward", "{sample:?}");
                    assert_eq!(told.variant == "webp", kind == "image/webp", "{sample:?}");
                }
            }
        }
    }

    #[test]
    fn every_rule_denies_something() {
        let denied: BTreeSet<&str> = SAMPLES
            .iter()
            .filter_map(|sample| decided(sample).rule)
            .collect();
        let all: BTreeSet<&str> = RuleId::ALL.into_iter().map(RuleId::as_str).collect();
        assert_eq!(denied, all);
    }

    /// `policy` may name IPv6 addresses and port 0.
    #[test]
    fn any_address_may_be_listened_on() {
        for listen in ["[::1]:0", "0.0.0.0:80", "127.0.0.1:0"] {
            let listen: SocketAddr = listen.parse().unwrap();
            let policy = policy(listen, "127.0.0.1:9000".parse().unwrap()).unwrap();
            assert_eq!(policy.server.listen, [listen.into()]);
        }
        let origin = "127.0.0.1:9000".parse().unwrap();
        assert!(policy(origin, origin).is_err());
        assert_eq!(
            reachable("[::]:80".parse().unwrap()),
            "[::1]:80".parse().unwrap()
        );
    }

    #[test]
    fn a_line_is_one_line_for_a_shell() {
        let text = told("127.0.0.1:8081".parse().unwrap());
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("curl "))
            .collect();
        assert_eq!(lines.len(), SAMPLES.len());
        for line in lines {
            let (command, answer) = line.split_once("  # ").unwrap();
            assert!(
                answer.starts_with("200 ") || answer.starts_with("403 "),
                "{line}"
            );
            assert_eq!(command.matches('\'').count() % 2, 0, "{line}");
            assert!(!command.contains('#') && !answer.contains('#'), "{line}");
        }
        let rest = text.lines().filter(|line| !line.starts_with("curl "));
        assert!(
            rest.clone()
                .all(|line| line.is_empty() || line.starts_with('#'))
        );
    }
}
