//! Decision time by the length of a list, for every kind of rule.

use std::fmt::Write as _;
use std::net::IpAddr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use portcullis::client::{ClientAddr, PeerAddr};
use portcullis::message::Scheme;
use portcullis::plan::{Arrival, Plan, Received};

use super::{Chart, compiled, curve, nanoseconds};
use crate::Outcome;
use crate::load::random::Random;
use crate::policy::country;
use crate::rules;

const SIZES: [usize; 6] = [10, 100, 1000, 10_000, 100_000, 1_000_000];
const COUNTRIES: [usize; 3] = [1, 10, 100];

/// Requests; half of them are about an entry of the list.
const REQUESTS: usize = 1 << 14;

const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                     (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36";

pub(super) fn chart() -> Outcome<Chart> {
    let mut curves = Vec::new();
    for kind in [
        Kind::V4,
        Kind::V6,
        Kind::Referrers,
        Kind::Globs,
        Kind::Agents,
    ] {
        curves.push(curve(kind.name(), &SIZES, |size| point(kind, size))?);
    }
    let known = country::codes()?.len();
    let mut sizes = COUNTRIES.to_vec();
    sizes.retain(|size| *size < known);
    sizes.push(known);
    curves.push(curve(Kind::Countries.name(), &sizes, |size| {
        point(Kind::Countries, size)
    })?);
    Ok(Chart {
        file: "decisions",
        title: "Decision time by the length of a list",
        across: "entries",
        up: "nanoseconds a decision",
        curves,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    V4,
    V6,
    Referrers,
    Globs,
    Agents,
    Countries,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4 networks",
            Self::V6 => "IPv6 networks",
            Self::Referrers => "referrers",
            Self::Globs => "Origin globs",
            Self::Agents => "user agents",
            Self::Countries => "countries",
        }
    }

    fn address(self, random: &mut Random) -> IpAddr {
        match self {
            Self::V6 => random.ipv6().into(),
            _ => random.ipv4().into(),
        }
    }

    /// The rule's table, with so many entries.
    fn table(self, size: usize) -> Outcome<String> {
        let mut random = Random::new(5);
        let entry = |n: usize| match self {
            Self::V4 => format!("{}/32", random.ipv4()),
            Self::V6 => format!("{}/128", random.ipv6()),
            Self::Referrers => format!("https://www.site{n}.example.com"),
            Self::Globs => format!("*.site{n}.example.com"),
            Self::Agents => format!("bot{n}x/"),
            Self::Countries => String::new(),
        };
        let entries: Vec<String> = match self {
            Self::Countries => country::codes()?.into_iter().take(size).collect(),
            _ => (0..size).map(entry).collect(),
        };
        Ok(match self {
            Self::V4 | Self::V6 => format!("[access.ip]\nblock = {entries:?}\n"),
            Self::Referrers => format!(
                "[access.referrer]\nmode = \"allow\"\nmissing = \"allow\"\nurls = {entries:?}\n"
            ),
            Self::Globs => {
                format!("[access.origins.delivery]\nmissing = \"allow\"\npatterns = {entries:?}\n")
            }
            Self::Agents => format!("[access.user_agent]\nblock = {entries:?}\n"),
            Self::Countries => format!(
                "[access.geo]\nmode = \"block\"\ncountries = {entries:?}\ndatabase = {:?}\n",
                rules::country_database()
            ),
        })
    }

    /// A request about the entry of this number.
    fn request(self, n: usize) -> Received {
        let mut headers = HeaderMap::new();
        let mut field = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).expect("ASCII");
            headers.append(HeaderName::from_static(name), value);
        };
        field("host", "img.example.com".to_owned());
        let agent = match self {
            Self::Agents if n.is_multiple_of(2) => format!("{AGENT} bot{n}x/1.0"),
            _ => AGENT.to_owned(),
        };
        field("user-agent", agent);
        if matches!(self, Self::Globs) {
            field("origin", format!("https://www.site{n}.example.com"));
        }
        field(
            "referer",
            format!("https://www.site{n}.example.com/gallery"),
        );
        Received::new(Method::GET, Uri::from_static("/a.jpg"), headers)
    }
}

fn point(kind: Kind, size: usize) -> Outcome<(f64, std::time::Duration)> {
    let mut text = "[origin]\nurl = \"http://127.0.0.1:9\"\n[limits]\n".to_owned();
    for key in ["ip_entries", "referrers", "origin_patterns", "user_agents"] {
        writeln!(text, "{key} = 1000000")?;
    }
    let (snapshot, took) = compiled(&(text + &kind.table(size)?))?;
    let mut random = Random::new(6);
    // twice the list, so that half is not in it
    let requests: Vec<Received> = (0..REQUESTS)
        .map(|_| kind.request(random.below(2 * size)))
        .collect();
    let mut listed = Random::new(5);
    let clients: Vec<IpAddr> = (0..REQUESTS)
        .map(|n| match n % 2 == 0 && n / 2 < size {
            true => kind.address(&mut listed),
            false => kind.address(&mut random),
        })
        .collect();
    let plans: Result<Vec<Plan<'_>>, _> = requests
        .iter()
        .zip(&clients)
        .map(|(request, client)| Plan::new(&snapshot, request, &arrival(*client)))
        .collect();
    let plans = plans.map_err(|_| "a request that cannot be read")?;
    let inputs: Vec<(&Plan<'_>, IpAddr)> = plans.iter().zip(clients).collect();
    let rules = &snapshot.route(None).rules;
    let decide =
        |(plan, client): &(&Plan<'_>, IpAddr)| rules.decide(&plan.head(), ClientAddr::new(*client));
    Ok((nanoseconds(&inputs, decide), took))
}

pub(super) fn arrival(client: IpAddr) -> Arrival {
    Arrival {
        scheme: Scheme::Https,
        peer: PeerAddr::new(client),
        given: None,
        fallback: None,
        https_port: None,
    }
}
