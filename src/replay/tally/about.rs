//! What there is to tell of a request.

use std::borrow::Cow;

use crate::access::referrer::page_host;
use crate::client::ClientAddr;
use crate::replay::decide::Decided;
use crate::replay::frequent::shortened;
use crate::replay::line::Logged;
use crate::replay::report::Sample;
use crate::replay::request::{Request, Sender};

/// The country as logged, else by the new configuration; empty: there is none.
/// `None`: that does not look at it, or not all of the address is there.
pub(super) fn country<'r>(request: &'r Request<'_>, after: &Decided<'_>) -> Option<Cow<'r, str>> {
    let logged = first(&request.line.country);
    if !logged.is_empty() {
        return Some(logged.into());
    }
    let geo = after.route.and_then(|route| route.rules.geo())?;
    let whole = matches!(request.sender, Sender::At(_));
    let client = after.client.filter(|_| whole).map(ClientAddr::new)?;
    let found = geo.country(client);
    Some(found.map_or("".into(), |code| code.to_string().into()))
}

pub(super) fn referrer<'r>(request: &'r Request<'_>) -> Cow<'r, str> {
    host(first(&request.line.referer))
}

pub(super) fn host(url: &str) -> Cow<'_, str> {
    match url {
        "" | "about:blank" => "".into(),
        url => page_host(url).map_or("(not understood)".into(), |page| {
            page.host.to_string().into()
        }),
    }
}

pub(in crate::replay) fn first<'l>(logged: &'l Logged<'_>) -> &'l str {
    logged.lines().first().map_or("", |line| shortened(line))
}

/// The request as a sample of that change.
pub(super) fn sample(
    change: &'static str,
    request: &Request<'_>,
    after: &Decided<'_>,
    country: &str,
    (before, now): (String, String),
) -> Sample {
    let line = request.line;
    let text = |logged: &Logged<'_>| {
        Some(first(logged))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Sample {
        change,
        reference: text(&line.reference),
        time: text(&line.time),
        method: shortened(request.method.as_str()).to_owned(),
        url: first(&line.url).to_owned(),
        client: text(&line.client),
        country: Some(country.to_owned()).filter(|country| !country.is_empty()),
        referer: text(&line.referer),
        origin_field: text(&line.origin_field),
        user_agent: text(&line.user_agent),
        route: after.route.map(|route| route.name.clone()),
        before,
        after: now,
    }
}
