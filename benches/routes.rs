//! What finding the route costs among 1 to 10,000: told apart by host, and by
//! paths of several shapes; beside it, what it costs to build them.
#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::route::{HostPattern, NormalPath, PathPattern, RouteMatcher, RouteMatcherBuilder};

const SIZES: [usize; 5] = [1, 10, 100, 1000, 10_000];

/// Routes asked for in turn, in an order without pattern.
const ASKED: usize = 1 << 12;

/// How routes are told apart.
struct Shape {
    name: &'static str,
    pattern: fn(usize) -> String,
    /// A path that fits the pattern of that number.
    path: fn(usize) -> String,
    by_host: bool,
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "by host",
        pattern: |n| format!("h{n}.example.com"),
        path: |_| "/a.jpg".to_owned(),
        by_host: true,
    },
    Shape {
        name: "by the first segment",
        pattern: |n| format!("/p{n}/**"),
        path: |n| format!("/p{n}/a.jpg"),
        by_host: false,
    },
    Shape {
        name: "by the third segment",
        pattern: |n| format!("/shops/of-the-north/p{n}/**"),
        path: |n| format!("/shops/of-the-north/p{n}/a.jpg"),
        by_host: false,
    },
    Shape {
        name: "by the start of a segment",
        pattern: |n| format!("/p{n}-*"),
        path: |n| format!("/p{n}-a.jpg"),
        by_host: false,
    },
    Shape {
        name: "by what follows a wildcard",
        pattern: |n| format!("/*/p{n}/**"),
        path: |n| format!("/shops/p{n}/a.jpg"),
        by_host: false,
    },
];

impl Shape {
    fn build(&self, size: usize) -> RouteMatcher {
        let mut builder = RouteMatcherBuilder::default();
        for n in 0..size {
            let text = (self.pattern)(n);
            if self.by_host {
                let host = HostPattern::parse(&text).expect("a host");
                builder.add(vec![host], None);
            } else {
                let path = PathPattern::parse(&text).expect("a path pattern");
                builder.add(Vec::new(), Some(vec![path]));
            }
        }
        builder.build()
    }

    /// Hosts and paths of routes up to `size`, with the route that each is of.
    fn requests(&self, size: usize) -> Vec<(String, String, usize)> {
        let request = |n: usize| {
            let route = n.wrapping_mul(7919) % size;
            let host = match self.by_host {
                true => (self.pattern)(route),
                false => "img.example.com".to_owned(),
            };
            (host, (self.path)(route), route)
        };
        (0..ASKED).map(request).collect()
    }
}

fn find(criterion: &mut Criterion) {
    for shape in &SHAPES {
        let mut group = criterion.benchmark_group(shape.name);
        for size in SIZES {
            let matcher = shape.build(size);
            let requests = shape.requests(size);
            let requests: Vec<(&str, NormalPath<'_>, usize)> = (requests.iter())
                .map(|(host, path, route)| {
                    let path = NormalPath::new(path, true).expect("a path");
                    (host.as_str(), path, *route)
                })
                .collect();
            for (host, path, route) in &requests {
                assert_eq!(matcher.find(host, path), Ok(Some(*route)));
            }
            let mut asked = requests.iter().cycle();
            group.bench_function(size.to_string(), |bencher| {
                bencher.iter(|| {
                    let (host, path, _) = asked.next().expect("it begins again");
                    black_box(matcher.find(black_box(host), black_box(path)))
                });
            });
        }
        group.finish();
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build 10,000");
    group.sample_size(10);
    for shape in &SHAPES {
        group.bench_function(shape.name, |bencher| bencher.iter(|| shape.build(10_000)));
    }
    group.finish();
}

criterion_group!(benches, find, build);
criterion_main!(benches);
