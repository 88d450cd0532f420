//! Time to plan a request by the number of routes.

use std::fmt::Write as _;

use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use portcullis::plan::{Plan, Received};

use super::decisions::arrival;
use super::{Chart, compiled, curve, nanoseconds};
use crate::Outcome;
use crate::load::random::Random;

const SIZES: [usize; 5] = [1, 10, 100, 1000, 10_000];
const REQUESTS: usize = 1 << 12;

#[derive(Clone, Copy)]
enum Told {
    ByHost,
    ByPath,
    /// All have the same first segments.
    ByThirdSegment,
    BelowWildcard,
}

pub(super) fn chart() -> Outcome<Chart> {
    let kinds = [
        (Told::ByHost, "told apart by host"),
        (Told::ByPath, "told apart by path"),
        (Told::ByThirdSegment, "by the third segment"),
        (Told::BelowWildcard, "by what follows a wildcard"),
    ];
    let curves: Outcome<Vec<_>> = kinds
        .into_iter()
        .map(|(told, name)| curve(name, &SIZES, |size| point(told, size)))
        .collect();
    Ok(Chart {
        file: "routes",
        title: "Time for client, route, decision, variant and key by the number of routes",
        across: "routes",
        up: "nanoseconds a request",
        curves: curves?,
    })
}

fn point(told: Told, size: usize) -> Outcome<(f64, std::time::Duration)> {
    let mut text = "[origin]\nurl = \"http://127.0.0.1:9\"\n".to_owned();
    for n in 0..size {
        let (key, entry) = match told {
            Told::ByHost => ("hosts", format!("h{n}.example.com")),
            Told::ByPath => ("paths", format!("/p{n}/**")),
            Told::ByThirdSegment => ("paths", format!("/shops/north/p{n}/**")),
            Told::BelowWildcard => ("paths", format!("/*/*/p{n}/**")),
        };
        writeln!(text, "[[route]]\nname = \"r{n}\"\n{key} = [{entry:?}]")?;
    }
    let (snapshot, took) = compiled(&text)?;
    let mut random = Random::new(7);
    let requests: Vec<Received> = (0..REQUESTS)
        .map(|_| request(told, random.below(size)))
        .collect::<Outcome<_>>()?;
    let arrival = arrival(random.ipv4().into());
    let plan = |request: &Received| {
        let plan = Plan::new(&snapshot, request, &arrival);
        plan.map(|plan| plan.cache_key(&plan.choice()))
    };
    if requests.iter().any(|request| plan(request).is_err()) {
        return Err("a request that cannot be read".into());
    }
    Ok((nanoseconds(&requests, plan), took))
}

fn request(told: Told, n: usize) -> Outcome<Received> {
    let host = match told {
        Told::ByHost => format!("h{n}.example.com"),
        _ => "img.example.com".to_owned(),
    };
    let path = match told {
        Told::ByHost => "/a.jpg".to_owned(),
        Told::ByPath => format!("/p{n}/a.jpg"),
        Told::ByThirdSegment | Told::BelowWildcard => format!("/shops/north/p{n}/a.jpg"),
    };
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::try_from(host)?)]);
    Ok(Received::new(Method::GET, Uri::try_from(path)?, headers))
}
