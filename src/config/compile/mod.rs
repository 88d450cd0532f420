//! The configuration as written, made into a [`Snapshot`], unit by unit.

mod agents;
mod fields;
mod geo;
mod key;
mod networks;
mod origin;
mod pages;
mod response;
mod route;
mod rule;
mod server;
mod tests;
mod tls;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::rule::{ListLimits, is_on};
use self::tls::Trusts;
use self::units::Units;
use super::Snapshot;
use super::file::{ConfigFile, Maybe};
use super::reader::Findings;
use crate::access::country::CountryDatabase;
use crate::network::NetworkSet;
use crate::route::RouteMatcherBuilder;

/// By path; `None`: it could not be opened.
pub(super) type Databases = BTreeMap<PathBuf, Option<Arc<CountryDatabase>>>;

/// What compiling one file needs and collects.
#[derive(Debug)]
struct Compiler<'a> {
    findings: &'a Findings,
    /// The folder that relative paths start at.
    base: PathBuf,
    limits: ListLimits,
    listeners: Vec<SocketAddr>,
    trusted: Arc<NetworkSet>,
    /// What is opened once, whoever uses it.
    databases: Databases,
    trusts: Trusts,
    /// The files read so far.
    sources: Vec<PathBuf>,
}

/// Compiles `file`, which was read from `path`; `databases` are open already.
/// `None` if anything in it is wrong; all of it is among the findings then.
pub(super) fn compile(
    file: &ConfigFile,
    path: &Path,
    databases: Databases,
    findings: &Findings,
) -> Option<Snapshot> {
    let mut compiler = Compiler {
        findings,
        base: path.parent().map(Path::to_owned).unwrap_or_default(),
        limits: ListLimits::new(&file.limits),
        listeners: Vec::new(),
        trusted: Arc::default(),
        databases,
        trusts: Trusts::new(),
        sources: vec![path.to_owned()],
    };
    let snapshot = compiler.snapshot(file);
    snapshot.filter(|_| !findings.has_errors())
}

impl Compiler<'_> {
    fn snapshot(&mut self, file: &ConfigFile) -> Option<Snapshot> {
        if let Some(list) = &file.client.trusted_proxies {
            self.trusted = Arc::new(self.networks(list).into_iter().collect());
        }
        let server = self.server(&file.server);
        self.listeners.clone_from(&server.listen);
        let client = self.client(&file.client);
        let log = self.log(&file.log);
        let tests = self.tests(&file.tests);
        let names = self.names(&file.routes);
        let mut matcher = RouteMatcherBuilder::default();
        let top = Units::top(self, file);
        let mut routes = Vec::with_capacity(names.len() + 1);
        for (raw, name) in file.routes.iter().zip(names) {
            matcher.add(
                self.route_hosts(raw.hosts.as_ref()),
                self.route_paths(raw.paths.as_ref()),
            );
            routes.push(top.inherited(self, &raw.policy).route(name));
        }
        routes.push(top.route(route::DEFAULT.to_owned()));
        Some(Snapshot {
            generation: 1,
            server,
            client,
            disclose: is_on(file.disclose.as_ref()),
            routes: routes.into_iter().collect::<Option<_>>()?,
            matcher: matcher.build(),
            log,
            tests,
            sources: std::mem::take(&mut self.sources),
        })
    }

    /// The path in an entry, from the folder of the configuration file on;
    /// remembered as one that the configuration depends on.
    fn source(&mut self, written: &str) -> PathBuf {
        let path = self.base.join(written);
        if !self.sources.contains(&path) {
            self.sources.push(path.clone());
        }
        path
    }
}

fn written_or<T: Copy>(written: &Maybe<T>, default: T) -> T {
    written.as_ref().map_or(default, |written| written.value)
}
