//! Which image format a request gets (section 7).

mod accept;

use std::fmt;

use hyper::Method;
use hyper::header::HeaderValue;

use crate::message::fields::{Fields, Name};
use crate::message::substrings::SubstringSet;

/// The image format class of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// What the origin has.
    Original,
    /// WebP.
    WebP,
    /// AVIF.
    Avif,
}

impl Variant {
    /// The name in keys, logs and tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::WebP => "webp",
            Self::Avif => "avif",
        }
    }

    /// The variant with that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Original, Self::WebP, Self::Avif]
            .into_iter()
            .find(|v| v.as_str() == name)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An `[[images.clients]]` entry: apps that show a format but do not say so.
#[derive(Clone, Debug)]
pub struct ImageClient {
    accept: HeaderValue,
    named: accept::Named,
}

impl ImageClient {
    /// An entry whose `accept` replaces the request's own.
    pub fn new(accept: HeaderValue) -> Self {
        Self {
            named: accept::named([accept.as_bytes()].into_iter()),
            accept,
        }
    }

    /// Whether `accept` names that format with a q above 0.
    pub fn names(&self, format: Variant) -> bool {
        match format {
            Variant::Original => false,
            Variant::WebP => self.named.webp.is_wanted(),
            Variant::Avif => self.named.avif.is_wanted(),
        }
    }
}

/// The `[images]` table, compiled.
#[derive(Clone, Debug)]
pub struct Images {
    extensions: Vec<String>,
    webp: bool,
    avif: bool,
    clients: Vec<ImageClient>,
    /// The substrings of all entries.
    agents: SubstringSet,
    /// By substring: the entry it belongs to.
    entry_of: Vec<usize>,
    vary: HeaderValue,
}

/// What section 7 makes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice<'a> {
    /// The variant.
    pub variant: Variant,
    /// The canonical `Accept` for the origin; `None`: the request's own stays.
    pub accept: Option<&'a HeaderValue>,
    /// What the response has to say in `Vary`; `None`: nothing of ours.
    pub vary: Option<&'a HeaderValue>,
}

const UNTOUCHED: Choice<'static> = Choice {
    variant: Variant::Original,
    accept: None,
    vary: None,
};

static AVIF: HeaderValue = HeaderValue::from_static("image/avif,image/webp,*/*;q=0.8");
static WEBP: HeaderValue = HeaderValue::from_static("image/webp,*/*;q=0.8");
static ANY: HeaderValue = HeaderValue::from_static("*/*");

impl Images {
    /// Compiles the table. `extensions` without a dot; `formats` are the
    /// variants the origin can produce; `clients` with their substrings.
    ///
    /// # Errors
    ///
    /// If the substrings are too many for an automaton.
    pub fn new(
        extensions: &[String],
        formats: &[Variant],
        clients: Vec<(Vec<String>, ImageClient)>,
    ) -> Result<Self, aho_corasick::BuildError> {
        let mut substrings = Vec::new();
        let mut entry_of = Vec::new();
        for (entry, (agents, _)) in clients.iter().enumerate() {
            substrings.extend(agents.iter().map(String::as_str));
            entry_of.resize(substrings.len(), entry);
        }
        Ok(Self {
            extensions: extensions.iter().map(|e| e.to_ascii_lowercase()).collect(),
            webp: formats.contains(&Variant::WebP),
            avif: formats.contains(&Variant::Avif),
            agents: SubstringSet::new(&substrings)?,
            entry_of,
            vary: HeaderValue::from_static(match clients.is_empty() {
                true => "Accept",
                false => "Accept, User-Agent",
            }),
            clients: clients.into_iter().map(|(_, client)| client).collect(),
        })
    }

    /// Whether some User-Agents stand for an `Accept`.
    pub fn has_clients(&self) -> bool {
        !self.agents.is_empty()
    }

    /// The variant and `Accept` of a request for a path with `extension`.
    pub fn choose(&self, method: &Method, extension: Option<&str>, headers: &Fields) -> Choice<'_> {
        if !self.varies(method, extension) {
            return UNTOUCHED;
        }
        let own = accept::named(headers.lines(Name::ACCEPT));
        let client = self
            .client(headers)
            .filter(|client| !own.refuses_one_of(client.named));
        let named = client.map_or(own, |client| client.named);
        let variant = if self.avif && named.avif.is_wanted() {
            Variant::Avif
        } else if self.webp && named.webp.is_wanted() {
            Variant::WebP
        } else {
            Variant::Original
        };
        let accept = match (variant, client) {
            (Variant::Original, _) => &ANY,
            (_, Some(client)) => &client.accept,
            (Variant::Avif, None) => &AVIF,
            (Variant::WebP, None) => &WEBP,
        };
        Choice {
            variant,
            accept: Some(accept),
            vary: Some(&self.vary),
        }
    }

    /// Whether a request for a path with `extension` may get another variant
    /// than what the origin has.
    #[inline]
    pub fn varies(&self, method: &Method, extension: Option<&str>) -> bool {
        let fetches = matches!(*method, Method::GET | Method::HEAD);
        (self.webp || self.avif) && fetches && self.is_image(extension)
    }

    fn is_image(&self, extension: Option<&str>) -> bool {
        extension.is_some_and(|extension| {
            self.extensions
                .iter()
                .any(|known| known.eq_ignore_ascii_case(extension))
        })
    }

    /// The first entry that a User-Agent line belongs to.
    fn client(&self, headers: &Fields) -> Option<&ImageClient> {
        if self.agents.is_empty() {
            return None;
        }
        let lines = headers.lines(Name::USER_AGENT);
        let first = lines.filter_map(|line| self.agents.first(line)).min()?;
        Some(&self.clients[self.entry_of[first]])
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::header::{ACCEPT, HeaderName};

    use super::*;

    fn images(formats: &[Variant]) -> Images {
        let entry = |agents: &[&str], accept: &'static str| {
            let agents = agents.iter().map(ToString::to_string).collect();
            (agents, ImageClient::new(HeaderValue::from_static(accept)))
        };
        Images::new(
            &["jpg".to_owned(), "PNG".to_owned()],
            formats,
            vec![
                entry(&["Android 11", "okhttp"], "image/webp,image/apng,*/*;q=0.8"),
                entry(&["Android"], "image/avif,*/*"),
                entry(&["plain"], "*/*"),
            ],
        )
        .unwrap()
    }

    fn choose(
        formats: &[Variant],
        extension: Option<&str>,
        fields: &[(&'static str, &'static str)],
    ) -> (Variant, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let images = images(formats);
        let choice = images.choose(&Method::GET, extension, &headers.into());
        assert_eq!(choice.accept.is_some(), choice.vary.is_some());
        (
            choice.variant,
            choice.accept.map(|a| a.to_str().unwrap().to_owned()),
        )
    }

    const CHROME: (&str, &str) = (
        "accept",
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    );

    #[test]
    fn three_canonical_values_and_one_for_each_entry() {
        use Variant::{Avif, Original, WebP};
        let both = &[Variant::WebP, Variant::Avif][..];
        let webp = &[Variant::WebP][..];
        const BROWSER_AVIF: &str = "image/avif,image/webp,*/*;q=0.8";
        const BROWSER_WEBP: &str = "image/webp,*/*;q=0.8";
        const APP_WEBP: &str = "image/webp,image/apng,*/*;q=0.8";
        for (formats, fields, (variant, accept)) in [
            (both, &[CHROME][..], (Avif, BROWSER_AVIF)),
            (webp, &[CHROME], (WebP, BROWSER_WEBP)),
            (webp, &[("accept", "*/*")], (Original, "*/*")),
            (webp, &[], (Original, "*/*")),
            (
                webp,
                &[("user-agent", "x OKHTTP/4"), ("accept", "*/*")],
                (WebP, APP_WEBP),
            ),
            (
                both,
                &[("user-agent", "Android 11"), CHROME],
                (WebP, APP_WEBP),
            ),
            (
                both,
                &[("user-agent", "Android 12")],
                (Avif, "image/avif,*/*"),
            ),
            (webp, &[("user-agent", "Android 12")], (Original, "*/*")),
            (webp, &[("user-agent", "plain"), CHROME], (Original, "*/*")),
            (
                webp,
                &[("user-agent", "okhttp"), ("accept", "image/webp;q=0")],
                (Original, "*/*"),
            ),
            (
                webp,
                &[("user-agent", "okhttp"), ("accept", "image/avif;q=0")],
                (WebP, APP_WEBP),
            ),
            (
                both,
                &[("user-agent", "Android 9"), ("user-agent", "okhttp")],
                (WebP, APP_WEBP),
            ),
        ] {
            let expected = (variant, Some(accept.to_owned()));
            assert_eq!(
                choose(formats, Some("jpg"), fields),
                expected,
                "{formats:?} {fields:?}"
            );
        }
    }

    #[test]
    fn everything_else_is_untouched() {
        let webp = &[Variant::WebP][..];
        assert_eq!(choose(webp, Some("JPG"), &[CHROME]).0, Variant::WebP);
        assert_eq!(choose(webp, Some("png"), &[CHROME]).0, Variant::WebP);
        assert_eq!(
            choose(webp, Some("css"), &[CHROME]),
            (Variant::Original, None)
        );
        assert_eq!(choose(webp, None, &[CHROME]), (Variant::Original, None));
        assert_eq!(
            choose(&[], Some("jpg"), &[CHROME]),
            (Variant::Original, None)
        );
        let images = images(webp);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("image/webp"));
        let headers = headers.into();
        assert_eq!(
            images.choose(&Method::POST, Some("jpg"), &headers),
            UNTOUCHED
        );
        assert_eq!(
            images.choose(&Method::HEAD, Some("jpg"), &headers).variant,
            Variant::WebP
        );
    }
}
