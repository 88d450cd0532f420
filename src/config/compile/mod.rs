//! The configuration as written, made into a [`Snapshot`], unit by unit.

mod admin;
mod agents;
mod cache;
mod certificates;
pub(super) mod fields;
mod geo;
mod key;
mod listeners;
mod networks;
pub(super) mod origin;
mod pages;
mod response;
mod route;
mod rule;
mod server;
mod tests;
mod tls;
mod units;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::rule::{ListLimits, is_on};
use self::tls::Trusts;
use self::units::Units;
use super::file::{ConfigFile, Maybe};
use super::reader::Findings;
use super::{Held, Snapshot, SourceFile};
use crate::access::country::CountryDatabase;
use crate::network::{ListenAddress, NetworkSet};
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
    /// Where we listen ourselves, by the key that says so.
    listeners: Vec<(&'static str, ListenAddress)>,
    trusted: Arc<NetworkSet>,
    /// `cache.memory`, in bytes.
    memory: u64,
    /// What is opened once, whoever uses it.
    databases: Databases,
    trusts: Trusts,
    /// The files read so far.
    sources: &'a mut Vec<SourceFile>,
}

/// Compiles `file`, which was read from `path`; `databases` are open already.
/// Every file that it names is added to `sources`.
/// `None` if anything in it is wrong; all of it is among the findings then.
pub(super) fn compile(
    file: &ConfigFile,
    path: &Path,
    databases: Databases,
    sources: &mut Vec<SourceFile>,
    findings: &Findings,
) -> Option<Snapshot> {
    let mut compiler = Compiler {
        findings,
        base: path.parent().map(Path::to_owned).unwrap_or_default(),
        limits: ListLimits::new(&file.limits),
        listeners: Vec::new(),
        trusted: Arc::default(),
        memory: 0,
        databases,
        trusts: Trusts::new(),
        sources,
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
        let admin = self.admin(&file.admin, &file.spot);
        let client = self.client(&file.client);
        self.memory = self.cache_memory(&file.memory);
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
            admin,
            log,
            cache_memory: self.memory,
            tests,
            sources: Vec::new(),
        })
    }

    /// Reads the file in an entry, whose path starts at the folder of the
    /// configuration file; it is remembered as one that the configuration
    /// depends on, with the very bytes that are compiled.
    fn read_source(&mut self, written: &str) -> (PathBuf, io::Result<Vec<u8>>) {
        let path = self.base.join(written);
        let (file, bytes) = SourceFile::read_regular(&path);
        // Read for another route already: a change between is one of the first.
        if !self.sources.iter().any(|known| known.path == path) {
            self.sources.push(file);
        }
        (path, bytes)
    }

    /// What the file at `path` turned out to hold.
    fn holds(&mut self, path: &Path, held: Held) {
        if let Some(file) = self.sources.iter_mut().find(|file| file.path == path) {
            file.held = held;
        }
    }
}

fn written_or<T: Copy>(written: &Maybe<T>, default: T) -> T {
    written.as_ref().map_or(default, |written| written.value)
}
