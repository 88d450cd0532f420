//! Whether the policies mean the same: every peer gets requests that each
//! kind of rule denies, and some that none does.

use std::net::IpAddr;

use crate::Outcome;
use crate::client::{Client, Reply};
use crate::load::request::{Clients, Profile, Request};
use crate::origin::{self, Origin, SEEN_IMAGE, SEEN_STORED, SEEN_TEXT};
use crate::peers::Instance;
use crate::policy::{HOST, Policy, shop};
use crate::rules::{APPS, BLOCKED_AGENTS};

/// A request and what every peer has to answer.
struct Case {
    about: String,
    request: Request,
    status: u16,
}

/// All that is asked of each peer, whether it has a cache or not.
#[derive(Debug)]
pub(crate) struct Check {
    cases: Vec<(String, Request, u16)>,
}

impl Check {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut clients = Clients::new(policy);
        let mut cases = addresses(policy, &mut clients);
        cases.extend(agents(&mut clients));
        cases.extend(pages(policy, &mut clients));
        let cases = cases.into_iter();
        let cases = cases.map(|case| (case.about, case.request, case.status));
        Self {
            cases: cases.collect(),
        }
    }

    /// How many requests it is.
    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    /// What `instance` answers otherwise than it should.
    pub(crate) fn run(
        &self,
        instance: &Instance,
        origin: &Origin,
        is_cached: bool,
    ) -> Outcome<Vec<String>> {
        let mut client = instance.client()?;
        let scheme = instance.scheme();
        let mut wrong = Vec::new();
        for (about, request, status) in &self.cases {
            let reply = client.ask(&request.get(SEEN_IMAGE))?;
            if reply.status != *status {
                wrong.push(format!("{about}: {} instead of {status}", reply.status));
            } else if reply.status == 200 {
                wrong.extend(varies(&reply, about));
                wrong.extend(seen(
                    &reply,
                    request,
                    (request.canonical_accept(), scheme),
                    about,
                ));
            }
            if reply
                .field("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"))
            {
                wrong.push(format!("{about}: closes the connection"));
                client = instance.client()?;
            }
        }
        wrong.extend(self.without_variants(&mut client, scheme)?);
        if is_cached {
            wrong.extend(self.stored(&mut client, origin)?);
        }
        Ok(wrong)
    }

    /// One passing request of each profile.
    fn admitted(&self) -> impl Iterator<Item = &Request> {
        let passing = self.cases.iter().filter(|(_, _, status)| *status == 200);
        passing.map(|(_, request, _)| request).take(4)
    }

    /// A path that is no image keeps the client's `Accept`.
    fn without_variants(&self, client: &mut Client, scheme: &str) -> Outcome<Vec<String>> {
        let mut wrong = Vec::new();
        for request in self.admitted() {
            let reply = client.ask(&request.get(SEEN_TEXT))?;
            let accept = request.accept().unwrap_or_default();
            wrong.extend(seen(&reply, request, (accept, scheme), SEEN_TEXT));
        }
        Ok(wrong)
    }

    /// Two variants are stored, and none is asked for twice.
    fn stored(&self, client: &mut Client, origin: &Origin) -> Outcome<Vec<String>> {
        let before = origin.requests()?;
        let mut wrong = Vec::new();
        for round in 0..3 {
            for request in self.admitted() {
                let reply = client.ask(&request.get(SEEN_STORED))?;
                let has_webp = reply.text().contains("image/webp");
                if reply.status != 200 || has_webp != (request.profile != Profile::Preview) {
                    let profile = request.profile;
                    wrong.push(format!(
                        "stored, {profile:?}, round {round}: {}",
                        reply.text().trim()
                    ));
                }
            }
        }
        let asked = origin.requests()? - before - 1; // the second of the two questions counts
        if asked != 2 {
            wrong.push(format!(
                "the origin was asked {asked} times for two variants"
            ));
        }
        Ok(wrong)
    }
}

/// What is wrong with what caches behind the peer are told.
fn varies(reply: &Reply, about: &str) -> Option<String> {
    let vary = reply.field("vary").unwrap_or_default().to_ascii_lowercase();
    let names: Vec<&str> = vary.split(',').map(str::trim).collect();
    let is_told = ["accept", "user-agent"]
        .iter()
        .all(|name| names.contains(name));
    (!is_told).then(|| format!("{about}: Vary is {vary:?}"))
}

/// What is wrong with what the origin saw.
fn seen(
    reply: &Reply,
    request: &Request,
    (accept, scheme): (&str, &str),
    about: &str,
) -> Vec<String> {
    let text = reply.text();
    let mut lines = text.lines();
    let mut wrong = Vec::new();
    let seen = lines.next().unwrap_or_default();
    if seen != accept {
        wrong.push(format!(
            "{about}: the origin saw Accept {seen:?} instead of {accept:?}"
        ));
    }
    let client = lines.next().unwrap_or_default();
    let first = client.split(',').next().unwrap_or_default();
    if first.parse() != Ok(request.client) {
        wrong.push(format!("{about}: the origin saw the client {client:?}"));
    }
    let host = lines.next().unwrap_or_default();
    if host != format!("{HOST} {scheme} {HOST}") {
        wrong.push(format!(
            "{about}: the origin saw the host and scheme {host:?}"
        ));
    }
    if reply.field("access-control-allow-origin") != Some("*") {
        wrong.push(format!("{about}: Access-Control-Allow-Origin is gone"));
    }
    wrong
}

fn case(about: impl Into<String>, request: Request, status: u16) -> Case {
    let about = about.into();
    Case {
        about,
        request,
        status,
    }
}

fn addresses(policy: &Policy, clients: &mut Clients<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for profile in Profile::ALL {
        let request = Request::new(profile, clients.admitted(), 3);
        cases.push(case(format!("{profile:?}"), request, 200));
    }
    let chrome = |client: IpAddr| Request::new(Profile::Chrome, client, 3);
    for network in &policy.networks {
        for client in [network.network(), network.broadcast()] {
            cases.push(case(format!("client in {network}"), chrome(client), 403));
        }
    }
    let networks = &policy.countries.networks;
    for network in networks.iter().step_by(networks.len() / 40 + 1) {
        for client in [network.network(), network.broadcast()] {
            cases.push(case(
                format!("client in a country, {network}"),
                chrome(client),
                403,
            ));
        }
    }
    for _ in 0..100 {
        let client = clients.admitted();
        cases.push(case(format!("client {client}"), chrome(client), 200));
    }
    cases
}

fn agents(clients: &mut Clients<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for word in BLOCKED_AGENTS {
        for word in [
            word.to_owned(),
            word.to_ascii_uppercase(),
            word.to_ascii_lowercase(),
        ] {
            let mut request = Request::new(Profile::Preview, clients.admitted(), 3);
            request.agent = Some(format!("Mozilla/5.0 (compatible; {word} 1.0)"));
            cases.push(case(format!("agent {word}"), request, 403));
        }
    }
    for word in APPS {
        let mut request = Request::new(Profile::App, clients.admitted(), 3);
        request.agent = Some(format!("Shop/3.1 ({}; build 7)", word.to_ascii_uppercase()));
        cases.push(case(format!("app {word}"), request, 200));
    }
    cases
}

fn pages(policy: &Policy, clients: &mut Clients<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |origin: Option<String>, referer: Option<String>, status| {
        let mut request = Request::new(Profile::Chrome, clients.admitted(), 3);
        let about = format!("Origin {origin:?}, Referer {referer:?}");
        (request.origin, request.referer) = (origin, referer);
        cases.push(case(about, request, status));
    };
    for number in 0..policy.globs.len() {
        let site = |label: &str| format!("https://{label}.{}", shop(number));
        // which kinds of globs take the label, see `policy::glob`
        for (label, kinds) in [
            ("www", &[0, 1, 2, 3, 4][..]),
            ("static", &[0, 2]),
            ("wwz", &[0, 3]),
            ("zww", &[0]),
            ("aww", &[0, 4]),
        ] {
            let status = if kinds.contains(&(number % 5)) {
                200
            } else {
                403
            };
            add(Some(site(label)), None, status);
        }
        add(Some(site("a.www")), None, 403);
        add(Some(site("www") + ":8443"), None, 200);
        add(Some(site("WWW")), None, 200);
        add(
            Some(format!("https://{}.evil.example", shop(number))),
            None,
            403,
        );
        add(None, Some(site("www") + "/page"), 200);
    }
    for (number, host) in policy.referrers.iter().enumerate() {
        let stands_in = if number < policy.globs.len() {
            200
        } else {
            403
        };
        add(None, Some(format!("https://{host}/")), stands_in);
        add(
            Some(format!("https://www.{}", shop(1))),
            Some(format!("http://{host}:8080/a?b")),
            200,
        );
    }
    add(
        Some("null".to_owned()),
        Some(format!("https://www.{}/", shop(1))),
        200,
    );
    add(
        Some("null".to_owned()),
        Some("https://leech.example/".to_owned()),
        403,
    );
    add(None, Some(format!("https://img.{}/", shop(5))), 403);
    add(None, Some("https://leech.example/".to_owned()), 403);
    add(
        Some(format!("https://www.{}", shop(1))),
        Some(format!("https://www.{}.leech.example/", shop(1))),
        403,
    );
    add(
        Some("https://leech.example".to_owned()),
        Some(format!("https://www.{}/", shop(1))),
        403,
    );
    add(None, Some(format!("https://{HOST}/")), 403);
    add(None, None, 200);
    cases
}

/// Whether a body of this size comes as it is.
pub(crate) fn body(client: &mut Client, request: &Request, size: usize) -> Outcome<Reply> {
    let reply = client.ask(&request.get(&origin::path(size)))?;
    if reply.status != 200 || reply.body != origin::body(size) {
        return Err(format!(
            "{} bytes with status {} are not the {size} bytes of the origin",
            reply.body.len(),
            reply.status
        )
        .into());
    }
    Ok(reply)
}
