//! What one decision costs: the full policy filled to the default limits,
//! asked about 131,072 distinct client addresses, half of them listed, in
//! turn with 20 different browser requests (a head that was just parsed lies
//! in the processor's nearest cache; an address does not choose where in a
//! list it lands). Means come from criterion; p50 and p99 of single
//! decisions are printed beside them, the clock's own price taken off.
//!
//! `PORTCULLIS_COUNTRY_MMDB` names a real country database; without it the
//! small one of the tests is used, and the output says so.
#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

#[path = "random/mod.rs"]
mod random;
#[path = "rules/mod.rs"]
mod rules;
#[path = "rules/sites.rs"]
mod sites;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use portcullis::access::Decision;
use portcullis::client::{ClientAddr, PeerAddr};
use portcullis::config::{Snapshot, load};
use portcullis::message::Scheme;
use portcullis::plan::{Arrival, Plan, Received};
use portcullis::route::Target;

use random::Random;
use rules::{GLOBS, NETWORKS, REFERRERS};
use sites::Sites;

/// Client addresses.
const CLIENTS: usize = 1 << 17;

/// Request heads.
const HEADS: usize = 20;

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                      (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36";

impl Random {
    fn address(&mut self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.next().to_le_bytes();
        Ipv4Addr::new(a % 222 + 1, b, c, d)
    }
}

/// Which tables a policy has.
#[derive(Clone, Copy, PartialEq)]
enum Tables {
    Addresses,
    All,
}

/// A policy at the default limits, with `networks` blocked from a file.
fn policy(folder: &std::path::Path, tables: Tables, networks: &[String]) -> Snapshot {
    let top =
        "[origin]\nurl = \"http://127.0.0.1:9\"\n[client]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    std::fs::write(folder.join("networks.txt"), networks.join("\n")).expect("the folder is ours");
    let mut toml = top.to_owned() + &rules::address_tables("block_files = [\"networks.txt\"]");
    if tables == Tables::All {
        toml.push_str(&rules::field_tables(&Sites::new().pages("allow")));
    }
    let path = folder.join("portcullis.toml");
    std::fs::write(&path, toml).expect("the folder is ours");
    match load(&path) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => panic!("{errors}"),
    }
}

/// An `Origin` that one of the globs admits; every kind in turn.
fn any_origin(n: usize) -> String {
    let site = n % GLOBS;
    match site % 5 {
        0 => format!("https://www.site{site}.example.com"),
        1 => format!("https://shop.site{site}.example.com"),
        2 => format!("https://my-site{site}.net"),
        3 => format!("https://a.b.site{site}.example.com"),
        _ => format!("https://app-1.site{site}.example.com:8443"),
    }
}

/// Networks to block: /32 to /24, spread over the whole space.
fn networks(count: usize) -> Vec<String> {
    let mut random = Random(7);
    let network = |_| {
        let prefix = [32, 32, 32, 29, 24][(random.next() % 5) as usize];
        ipnet::Ipv4Net::new_assert(random.address(), prefix)
            .trunc()
            .to_string()
    };
    (0..count).map(network).collect()
}

/// Clients, half of them in one of `networks`.
fn clients(networks: &[String]) -> Vec<Ipv4Addr> {
    let mut random = Random(11);
    (0..CLIENTS)
        .map(|n| match n % 2 {
            0 => random.address(),
            _ => {
                let listed = &networks[(random.next() % networks.len() as u64) as usize];
                listed
                    .split('/')
                    .next()
                    .and_then(|a| a.parse().ok())
                    .expect("made above")
            }
        })
        .collect()
}

/// A browser's request: eight fields.
fn browser(n: usize, origin: String) -> Received {
    let mut headers = HeaderMap::new();
    let mut field = |name: &'static str, value: String| {
        let value = HeaderValue::try_from(value).expect("ASCII");
        headers.append(HeaderName::from_static(name), value);
    };
    let site = n % REFERRERS;
    field("host", "img.example.com".to_owned());
    field("user-agent", CHROME.to_owned());
    field(
        "accept",
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8".to_owned(),
    );
    field("accept-encoding", "gzip, deflate, br, zstd".to_owned());
    field("accept-language", "en-GB,en;q=0.9".to_owned());
    field("origin", origin);
    field(
        "referer",
        format!("https://www.site{site}.example.com/gallery/{n:06}/page?from=home"),
    );
    field("sec-fetch-site", "cross-site".to_owned());
    let uri = format!("/gallery/{}/picture-{n}.jpg?w=640&h=480", n % 97);
    Received::new(Method::GET, Uri::try_from(uri).expect("a path"), headers)
}

/// One policy and the clients that it is asked about.
struct Case {
    snapshot: Snapshot,
    /// Half of them listed.
    clients: Vec<Ipv4Addr>,
    heads: Vec<Received>,
}

impl Case {
    fn new(tables: Tables, count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let networks = networks(count);
        Self {
            snapshot: policy(folder.path(), tables, &networks),
            clients: clients(&networks),
            heads: (0..HEADS).map(|n| browser(n, any_origin(n))).collect(),
        }
    }

    /// One plan for each head, for the parts that do not look at the client.
    fn plans(&self) -> Vec<Plan<'_>> {
        let plan = |head| Plan::new(&self.snapshot, head, &arrival(self.clients[0]));
        self.heads
            .iter()
            .map(|head| plan(head).expect("a good request"))
            .collect()
    }
}

fn arrival(client: Ipv4Addr) -> Arrival {
    Arrival {
        scheme: Scheme::Https,
        peer: PeerAddr::new(IpAddr::V4(client)),
        given: None,
        fallback: None,
        https_port: None,
    }
}

/// Measures `work` over all clients in turn.
fn over<T: Copy>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    inputs: &[T],
    mut work: impl FnMut(usize, T),
) {
    let mut at = 0;
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            at = if at + 1 == inputs.len() { 0 } else { at + 1 };
            work(at % HEADS, inputs[at]);
        });
    });
    print_percentiles(name, inputs, &mut work);
}

/// Times single calls; what an empty pair of clock readings costs is taken off.
fn print_percentiles<T: Copy>(name: &str, inputs: &[T], work: &mut impl FnMut(usize, T)) {
    let mut empty: Vec<u128> = (0..10_000)
        .map(|_| Instant::now().elapsed().as_nanos())
        .collect();
    empty.sort_unstable();
    let clock = empty[empty.len() / 2];
    let mut times: Vec<u128> = (inputs.iter().enumerate())
        .map(|(at, input)| {
            let start = Instant::now();
            work(at % HEADS, *input);
            start.elapsed().as_nanos().saturating_sub(clock)
        })
        .collect();
    times.sort_unstable();
    let percentile = |p: usize| times[times.len() * p / 100];
    println!(
        "{name}: single calls p50 {} ns, p99 {} ns",
        percentile(50),
        percentile(99)
    );
}

fn address_rules(criterion: &mut Criterion) {
    if rules::real_country_database().is_none() {
        eprintln!("no PORTCULLIS_COUNTRY_MMDB: the small database of the tests is used");
    }
    let mut group = criterion.benchmark_group("ip.block and geo.block");
    for count in [NETWORKS, 1_000_000] {
        let case = Case::new(Tables::Addresses, count);
        let rules = &case.snapshot.route(None).rules;
        let geo = rules.geo().expect("the policy has it");
        over(
            &mut group,
            &format!("{count} networks"),
            &case.clients,
            |_, client| {
                let client = ClientAddr::new(IpAddr::V4(client));
                black_box(rules.ip.judge(client));
                black_box(geo.denies(client));
            },
        );
    }
    group.finish();
}

fn decisions(criterion: &mut Criterion) {
    let case = Case::new(Tables::All, NETWORKS);
    let rules = &case.snapshot.route(None).rules;
    let plans = case.plans();
    let passing: Vec<Ipv4Addr> = (case.clients.iter().copied())
        .filter(|client| {
            let client = ClientAddr::new(IpAddr::V4(*client));
            let judged = rules.decide(&plans[0].head(), client).expect("a good path");
            judged.decision == Decision::Forward
        })
        .collect();
    assert!(
        passing.len() > CLIENTS / 4,
        "every head is meant to pass the other rules"
    );
    // A site's own pages come from a host that is listed as it is.
    let usual: Vec<Received> = (0..HEADS)
        .map(|n| browser(n, format!("https://www.site{}.example.com", n / 5 * 5)))
        .collect();
    let usual: Vec<Plan<'_>> = (usual.iter())
        .map(|head| Plan::new(&case.snapshot, head, &arrival(passing[0])).expect("a good request"))
        .collect();
    let mut group = criterion.benchmark_group("decide");
    over(
        &mut group,
        "every rule, all pass, Origin listed as it is",
        &passing,
        |head, client| {
            let client = ClientAddr::new(IpAddr::V4(client));
            let _ = black_box(rules.decide(&usual[head].head(), client));
        },
    );
    for (name, clients) in [
        ("every rule, all pass, Origin by any kind of glob", &passing),
        ("half denied by address", &case.clients),
    ] {
        over(&mut group, name, clients, |head, client| {
            let client = ClientAddr::new(IpAddr::V4(client));
            let _ = black_box(rules.decide(&plans[head].head(), client));
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let case = Case::new(Tables::All, NETWORKS);
    let plans = case.plans();
    let mut group = criterion.benchmark_group("plan");
    let matcher = &case.snapshot.matcher;
    over(&mut group, "host and path", &case.clients, |head, _| {
        let Received { uri, headers, .. } = &case.heads[head];
        let _ = black_box(Target::read(uri, headers, Scheme::Https, None, true));
    });
    over(&mut group, "route", &case.clients, |head, _| {
        let target = &plans[head].target;
        let _ = black_box(matcher.find(&target.authority.host, &target.path));
    });
    over(&mut group, "variant", &case.clients, |head, _| {
        black_box(plans[head].choice());
    });
    over(&mut group, "key", &case.clients, |head, _| {
        black_box(plans[head].cache_key(&plans[head].choice()));
    });
    over(&mut group, "all of it", &case.clients, |head, client| {
        let plan = Plan::new(&case.snapshot, &case.heads[head], &arrival(client));
        let plan = plan.expect("a good request");
        black_box(plan.cache_key(&plan.choice()));
    });
    group.finish();
}

criterion_group!(benches, address_rules, decisions, parts);
criterion_main!(benches);
