//! Which route a host and path belong to: the first that matches.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{HostPattern, NormalPath, PathError, PathPattern};

/// Finds a route by its place in the file. Which routes a host can meet is
/// worked out when this is built, so a request only compares paths.
#[derive(Clone, Debug)]
pub struct RouteMatcher {
    exact: HashMap<String, Arc<[usize]>, RandomState>,
    /// By the parent of `*.parent`.
    below: HashMap<String, Arc<[usize]>, RandomState>,
    any: Arc<[usize]>,
    /// By route; `None`: every path.
    paths: Vec<Option<Vec<PathPattern>>>,
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
        let (hosts, paths): (Vec<_>, Vec<_>) = self.routes.into_iter().unzip();
        let mut names: (BTreeSet<&String>, BTreeSet<&String>) = Default::default();
        for pattern in hosts.iter().flatten() {
            match pattern {
                HostPattern::Exact(name) => names.0.insert(name),
                HostPattern::Below(parent) => names.1.insert(parent),
            };
        }
        let candidates = |fits: &dyn Fn(&HostPattern) -> bool| -> Arc<[usize]> {
            let fits =
                |patterns: &Vec<HostPattern>| patterns.is_empty() || patterns.iter().any(fits);
            (0..hosts.len())
                .filter(|route| fits(&hosts[*route]))
                .collect()
        };
        // A host below `parent` that nothing more exact is known about.
        let below = |parent: &str, pattern: &HostPattern| match pattern {
            HostPattern::Exact(_) => false,
            HostPattern::Below(other) => other == parent || pattern.matches(parent),
        };
        RouteMatcher {
            exact: (names.0.iter())
                .map(|name| {
                    (
                        (*name).clone(),
                        candidates(&|pattern| pattern.matches(name)),
                    )
                })
                .collect(),
            below: (names.1.iter())
                .map(|parent| {
                    (
                        (*parent).clone(),
                        candidates(&|pattern| below(parent, pattern)),
                    )
                })
                .collect(),
            any: candidates(&|_| false),
            paths,
        }
    }
}

impl RouteMatcher {
    /// The first route for `host` (normalised) and `path`; `None`: the
    /// catch-all.
    ///
    /// # Errors
    ///
    /// [`PathError::Ambiguous`] if the path's plain reading meets another one.
    pub fn find(&self, host: &str, path: &NormalPath<'_>) -> Result<Option<usize>, PathError> {
        let candidates = self.candidates(host);
        let find = |fits: &dyn Fn(&PathPattern) -> bool| {
            candidates
                .iter()
                .copied()
                .find(|route| match &self.paths[*route] {
                    None => true,
                    Some(patterns) => patterns.iter().any(fits),
                })
        };
        let found = find(&|pattern| pattern.matches(path.matched()));
        match path.plain() {
            Some(plain) if find(&|pattern| pattern.matches_plain(plain)) != found => {
                Err(PathError::Ambiguous)
            }
            _ => Ok(found),
        }
    }

    /// The routes that `host` can meet, in order.
    fn candidates(&self, host: &str) -> &[usize] {
        if let Some(routes) = self.exact.get(host) {
            return routes;
        }
        if !self.below.is_empty() {
            let mut rest = host;
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(routes) = self.below.get(parent) {
                    return routes;
                }
                rest = parent;
            }
        }
        &self.any
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

    proptest! {
        #[test]
        fn equals_a_scan_of_all_routes(
            routes in proptest::collection::vec(
                (proptest::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,2}", 0..3), proptest::option::of("/[ab]/\\*\\*")),
                0..6,
            ),
            host in "[ab](\\.[ab]){0,3}",
            path in "/[ab]",
        ) {
            let mut builder = RouteMatcherBuilder::default();
            let parsed: Vec<(Vec<HostPattern>, Option<Vec<PathPattern>>)> = routes.iter().map(|(hosts, path)| (
                hosts.iter().map(|h| HostPattern::parse(h).unwrap()).collect(),
                path.as_ref().map(|p| vec![PathPattern::parse(p).unwrap()]),
            )).collect();
            for (hosts, paths) in parsed.clone() {
                builder.add(hosts, paths);
            }
            let expected = parsed.iter().position(|(hosts, paths)| {
                (hosts.is_empty() || hosts.iter().any(|h| h.matches(&host)))
                    && paths.as_ref().is_none_or(|p| p.iter().any(|p| p.matches(path.as_bytes())))
            });
            prop_assert_eq!(find(&builder.build(), &host, &path), Ok(expected));
        }
    }
}
