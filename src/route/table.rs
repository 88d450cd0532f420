//! Which route a host and path belong to: the first that matches.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::index::PathIndex;
use super::path::decode_delimiters;
use super::{HostPattern, NormalPath, PathError, PathPattern, Reading};

/// A route with more pairs of a host and a path has an index of its own, which
/// its hosts share: no table grows with the product of its lists.
const MANY: usize = 1024;

/// Finds a route by its place in the file. A request looks up its host and
/// each parent of it, and in each set of routes so found one path among the
/// sorted ones: the cost hardly grows with the number of routes.
#[derive(Clone, Debug)]
pub struct RouteMatcher {
    exact: HashMap<String, Arc<Paths>, RandomState>,
    /// By the parent of `*.parent`.
    below: HashMap<String, Arc<Paths>, RandomState>,
    /// Of the routes for every host.
    any: Arc<Paths>,
}

/// Collects routes in their order.
#[derive(Debug, Default)]
pub struct RouteMatcherBuilder {
    routes: Vec<(Vec<HostPattern>, Option<Vec<PathPattern>>)>,
}

impl RouteMatcherBuilder {
    /// Adds the next route. No hosts: every host. `None` for paths: every path.
    pub fn add(&mut self, hosts: Vec<HostPattern>, paths: Option<Vec<PathPattern>>) {
        self.routes.push((hosts, paths));
    }

    /// The finished matcher.
    pub fn build(self) -> RouteMatcher {
        self.build_with(MANY)
    }

    fn build_with(self, many: usize) -> RouteMatcher {
        let mut any = Vec::new();
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut below: HashMap<String, Vec<usize>> = HashMap::new();
        let (hosts, paths): (Vec<_>, Vec<_>) = self.routes.into_iter().unzip();
        let mut apart: HashMap<usize, Arc<Paths>> = HashMap::new();
        for (route, hosts) in hosts.into_iter().enumerate() {
            let count = paths[route].as_ref().map_or(0, Vec::len);
            if hosts.len() > 1 && hosts.len().saturating_mul(count) > many {
                apart.insert(
                    route,
                    Arc::new(Paths::new(&[route], &paths, &HashMap::new())),
                );
            }
            if hosts.is_empty() {
                any.push(route);
            }
            for host in hosts {
                let places = match host {
                    HostPattern::Exact(name) => exact.entry(name),
                    HostPattern::Below(parent) => below.entry(parent),
                };
                places.or_default().push(route);
            }
        }
        // Hosts are often many for the same routes.
        let mut known: HashMap<Vec<usize>, Arc<Paths>> = HashMap::new();
        let mut shared = |routes: Vec<usize>| {
            let paths = known
                .entry(routes)
                .or_insert_with_key(|routes| Arc::new(Paths::new(routes, &paths, &apart)));
            Arc::clone(paths)
        };
        let mut by_name = |places: HashMap<String, Vec<usize>>| {
            (places.into_iter())
                .map(|(name, routes)| (name, shared(routes)))
                .collect()
        };
        RouteMatcher {
            exact: by_name(exact),
            below: by_name(below),
            any: shared(any),
        }
    }
}

impl RouteMatcher {
    /// The first route for `host` (normalised) and `path`; `None`: the
    /// catch-all.
    ///
    /// # Errors
    ///
    /// [`PathError::Ambiguous`] if a reading of the path meets another one.
    pub fn find(&self, host: &str, path: &NormalPath<'_>) -> Result<Option<usize>, PathError> {
        let found = self.first(host, |paths, end| paths.first(path.matched(), end));
        let differs = |reading: &Reading| match reading.is_decoded() {
            true => self.first(host, |paths, end| paths.first_decoded(&reading.path, end)) != found,
            false => {
                let path = decode_delimiters(&reading.path);
                self.first(host, |paths, end| paths.first(&path, end)) != found
            }
        };
        match path.readings().iter().any(differs) {
            true => Err(PathError::Ambiguous),
            false => Ok((found != usize::MAX).then_some(found)),
        }
    }

    /// The first route of all that `host` meets. Asked of each is its first
    /// before the one found so far, or else that one.
    fn first(&self, host: &str, ask: impl Fn(&Paths, usize) -> usize) -> usize {
        let mut first = ask(&self.any, usize::MAX);
        if let Some(paths) = self.exact.get(host) {
            first = ask(paths, first);
        }
        if self.below.is_empty() {
            return first;
        }
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(paths) = self.below.get(parent) {
                first = ask(paths, first);
            }
            rest = parent;
        }
        first
    }
}

/// The paths of the routes that a host can meet by one of its names.
#[derive(Debug)]
struct Paths {
    /// The first route that takes every path; `usize::MAX`: none does.
    every: usize,
    normal: PathIndex,
    /// For decoded readings; `None`: no pattern has an escape.
    decoded: Option<PathIndex>,
    /// Routes that are not in the indexes here.
    apart: Box<[Arc<Self>]>,
}

impl Paths {
    /// Of these routes, in their order. `paths` are those of all routes,
    /// `apart` has the routes with an index of their own.
    fn new(
        routes: &[usize],
        paths: &[Option<Vec<PathPattern>>],
        apart: &HashMap<usize, Arc<Self>>,
    ) -> Self {
        let every = routes.iter().find(|route| paths[**route].is_none());
        let before = || routes.iter().take_while(|route| Some(*route) != every);
        let patterns = || {
            let merged = before().filter(|route| !apart.contains_key(route));
            merged.flat_map(|route| paths[*route].iter().flatten().map(|path| (*route, path)))
        };
        let differs = patterns().any(|(_, path)| path.normal() != path.decoded());
        Self {
            every: every.map_or(usize::MAX, |route| *route),
            normal: PathIndex::new(patterns().map(|(route, path)| (route, path.normal()))),
            decoded: differs
                .then(|| PathIndex::new(patterns().map(|(route, path)| (route, path.decoded())))),
            apart: before()
                .filter_map(|route| apart.get(route).cloned())
                .collect(),
        }
    }

    /// The first route for what a path is matched by, if it comes before the
    /// route `end`; else `end`.
    fn first(&self, path: &[u8], end: usize) -> usize {
        let first = self.normal.first(path, end.min(self.every));
        (self.apart.iter()).fold(first, |first, route| route.first(path, first))
    }

    /// The same for a decoded reading.
    fn first_decoded(&self, path: &[u8], end: usize) -> usize {
        let index = self.decoded.as_ref().unwrap_or(&self.normal);
        let first = index.first(path, end.min(self.every));
        (self.apart.iter()).fold(first, |first, route| route.first_decoded(path, first))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher(routes: &[(&[&str], &[&str])]) -> RouteMatcher {
        let mut builder = RouteMatcherBuilder::default();
        for (hosts, paths) in routes {
            let paths = paths
                .iter()
                .map(|p| PathPattern::parse(p).unwrap())
                .collect::<Vec<_>>();
            builder.add(
                hosts
                    .iter()
                    .map(|h| HostPattern::parse(h).unwrap())
                    .collect(),
                Some(paths).filter(|paths| !paths.is_empty()),
            );
        }
        builder.build()
    }

    fn find(matcher: &RouteMatcher, host: &str, path: &str) -> Result<Option<usize>, PathError> {
        matcher.find(host, &NormalPath::new(path, true).unwrap())
    }

    #[test]
    fn the_first_match_wins() {
        let matcher = matcher(&[
            (&["img.example.com", "*.cdn.example.com"], &["/premium/**"]),
            (&["*.example.com"], &[]),
            (&[], &["/public/**"]),
        ]);
        assert_eq!(find(&matcher, "img.example.com", "/premium/a"), Ok(Some(0)));
        assert_eq!(find(&matcher, "img.example.com", "/a"), Ok(Some(1)));
        assert_eq!(
            find(&matcher, "x.y.cdn.example.com", "/premium"),
            Ok(Some(0))
        );
        assert_eq!(find(&matcher, "cdn.example.com", "/premium"), Ok(Some(1)));
        assert_eq!(find(&matcher, "example.com", "/public/a"), Ok(Some(2)));
        assert_eq!(find(&matcher, "example.com", "/a"), Ok(None));
    }

    #[test]
    fn another_reading_on_another_route_is_refused() {
        let matcher = matcher(&[(&[], &["/premium/**"])]);
        for path in [
            "/x/..%2fpremium/a",
            "/x/%252e%252e/premium/a",
            "/premium;v=1/a",
            "/x%5c..%5cpremium/a",
        ] {
            assert_eq!(
                find(&matcher, "a", path),
                Err(PathError::Ambiguous),
                "{path}"
            );
        }
        assert_eq!(find(&matcher, "a", "/premium/a;v=1"), Ok(Some(0)));
        assert_eq!(
            find(&matcher, "a", "/%2570remium/a"),
            Err(PathError::Ambiguous)
        );
    }

    #[test]
    fn hosts_of_the_same_routes_share_them() {
        let hosts: Vec<String> = (0..100).map(|n| format!("h{n}.example.com")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let matcher = matcher(&[(&hosts, &["/a/**"]), (&hosts[1..], &["/b"])]);
        assert!(Arc::ptr_eq(
            &matcher.exact["h1.example.com"],
            &matcher.exact["h99.example.com"]
        ));
        assert_eq!(find(&matcher, "h0.example.com", "/b"), Ok(None));
        assert_eq!(find(&matcher, "h1.example.com", "/b"), Ok(Some(1)));
    }

    #[test]
    fn many_hosts_share_many_paths() {
        let hosts: Vec<String> = (0..40).map(|n| format!("h{n}.example.com")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let paths: Vec<String> = (0..40).map(|n| format!("/p{n}/**")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let mut routes: Vec<(&[&str], &[&str])> = Vec::new();
        routes.extend(hosts.chunks(1).map(|host| (host, &["/own"][..])));
        routes.push((&hosts, &paths));
        let matcher = matcher(&routes);
        let [a, b] = ["h1.example.com", "h2.example.com"].map(|host| &matcher.exact[host].apart);
        assert!(Arc::ptr_eq(&a[0], &b[0]));
        assert_eq!(find(&matcher, "h1.example.com", "/own"), Ok(Some(1)));
        assert_eq!(find(&matcher, "h1.example.com", "/p7/a"), Ok(Some(40)));
        assert_eq!(find(&matcher, "h1.example.com", "/p40/a"), Ok(None));
    }

    #[test]
    fn decoded_readings_share_the_index_if_they_can() {
        assert!(matcher(&[(&[], &["/a/*"])]).any.decoded.is_none());
        assert!(matcher(&[(&[], &["/a%20b"])]).any.decoded.is_some());
    }

    #[test]
    fn no_reading_slips_past_a_route() {
        let matcher = matcher(&[(&[], &["/premium/**"])]);
        for raw in [
            "/premium;%2F..%2Fx/a",
            "/x%2F..%2Fpremium%2F..%252Fx%252Fa",
            "/x%2F..%2Fpremium%2Fa%3B%252F..%252F..%252Fx",
            "/x%5C..%5Cpremium%5C..%255Cx",
            "/x/a%252Fb%2F..%2F..%2Fpremium",
            "/premium%2500/x",
            "/premium%3Bx/a",
            "/premium/..%2Fx",
        ] {
            let found = find(&matcher, "a", raw);
            assert_eq!(found, Err(PathError::Ambiguous), "{raw}");
        }
        for (raw, route) in [
            ("/premium/a%20b;c", Some(0)),
            ("/x/a%2Fpremium;c%252F", None),
        ] {
            assert_eq!(find(&matcher, "a", raw), Ok(route), "{raw}");
        }
    }

    type Route = (Vec<HostPattern>, Option<Vec<PathPattern>>);

    /// What [`RouteMatcher::find`] has to answer, found by asking each route.
    fn scan(
        routes: &[Route],
        host: &str,
        path: &NormalPath<'_>,
    ) -> Result<Option<usize>, PathError> {
        let first = |fits: &dyn Fn(&PathPattern) -> bool| {
            routes.iter().position(|(hosts, paths)| {
                (hosts.is_empty() || hosts.iter().any(|pattern| pattern.matches(host)))
                    && paths.as_ref().is_none_or(|paths| paths.iter().any(fits))
            })
        };
        let found = first(&|pattern| pattern.matches(path.matched()));
        let differs = |reading| first(&|pattern| pattern.matches_reading(reading)) != found;
        match path.readings().iter().any(differs) {
            true => Err(PathError::Ambiguous),
            false => Ok(found),
        }
    }

    /// Routes whose names, literals and wildcards get in each other's way.
    fn routes() -> impl Strategy<Value = Vec<Route>> {
        let host =
            "(\\*\\.)?[ab](\\.[ab]){0,2}".prop_map(|text| HostPattern::parse(&text).unwrap());
        let path = prop_oneof![
            4 => "(/([aAb]{0,2}|[ab]?\\*[ab]?\\*?|a%20b|a,b|a%2Cb|%2525)){1,4}(/\\*\\*)?",
            2 => "/same/same(/[ab]{1,2}|[ab]|\\*){0,2}(/\\*\\*)?",
            1 => "/|/\\*\\*|/\\*",
        ];
        let path =
            path.prop_filter_map("not a path pattern", |text| PathPattern::parse(&text).ok());
        let hosts = proptest::collection::vec(host, 0..3);
        let paths = proptest::option::weighted(0.9, proptest::collection::vec(path, 0..5));
        proptest::collection::vec((hosts, paths), 0..12)
    }

    fn raw_path() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "(/{1,2}([aAb]{0,2}|a%20b|a(,|%2C|%2c)b|%2561|%252561|a;v|\\.\\.|%2e|b%2fa)){1,5}/?",
            2 => "/same/{1,2}same(/[ab]{0,2}|[ab]){0,3}/?",
            1 => "/|\\*|/same?",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]
        #[test]
        fn equals_a_scan_of_all_routes(
            routes in routes(),
            host in "[ab](\\.[ab]){0,3}",
            raw in raw_path(),
            merge_slashes: bool,
            many in prop_oneof![Just(MANY), 0_usize..6],
        ) {
            let mut builder = RouteMatcherBuilder::default();
            for (hosts, paths) in routes.clone() {
                builder.add(hosts, paths);
            }
            if let Ok(path) = NormalPath::new(&raw, merge_slashes) {
                let matcher = builder.build_with(many);
                prop_assert_eq!(matcher.find(&host, &path), scan(&routes, &host, &path));
            }
        }
    }
}
