//! The kinds of request that are counted, and what each is to be answered.

use std::fmt::Write as _;

/// One kind: the requests of one figure.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    pub(crate) work: Work,
    /// Of the body that the origin has, in bytes.
    pub(crate) size: usize,
    /// Requests in one batch. A multiple of [`ROUND`].
    pub(crate) batch: usize,
}

/// What Portcullis has to do for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A page that is not listed embeds the picture.
    Deny,
    /// Answer from the cache.
    Hit,
    /// Answer 304 from the cache.
    NotModified,
    /// Pass on what may not be stored.
    Forward,
    /// Pass on what is stored on the way, each under a key of its own.
    Store,
}

/// After so many requests a sequence begins anew: profiles, clients and
/// objects come round together.
pub(crate) const ROUND: usize = 20;

const KIB: usize = 1024;

const fn kind(name: &'static str, work: Work, size: usize, batch: usize) -> Kind {
    Kind {
        name,
        work,
        size,
        batch,
    }
}

pub(crate) const KINDS: [Kind; 11] = [
    kind("403", Work::Deny, 0, 200),
    kind("304", Work::NotModified, KIB, 200),
    kind("hit-1k", Work::Hit, KIB, 200),
    kind("hit-10k", Work::Hit, 10 * KIB, 200),
    kind("hit-100k", Work::Hit, 100 * KIB, 100),
    kind("hit-1m", Work::Hit, 1024 * KIB, 100),
    kind("forward-1k", Work::Forward, KIB, 200),
    kind("forward-10k", Work::Forward, 10 * KIB, 200),
    kind("forward-100k", Work::Forward, 100 * KIB, 100),
    kind("forward-1m", Work::Forward, 1024 * KIB, 60),
    kind("store-1k", Work::Store, KIB, 200),
];

/// What a kind of client sends besides target, Host and who it is.
struct Profile {
    agent: &'static str,
    fields: &'static str,
    /// The number of the site whose page it is on, if it names that.
    site: Option<usize>,
    sends_origin: bool,
}

const PROFILES: [Profile; 4] = [
    Profile {
        agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
        fields: "sec-ch-ua-platform: \"Windows\"\r\nsec-ch-ua-mobile: ?0\r\n\
                 Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n\
                 Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n\
                 Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n",
        site: Some(0),
        sends_origin: false,
    },
    Profile {
        agent: "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
        fields: "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n\
                 Accept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
                 Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n\
                 Priority: u=4, i\r\n",
        site: Some(3),
        sends_origin: true,
    },
    Profile {
        agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 \
                (KHTML, like Gecko) Version/19.2 Mobile/15E148 Safari/604.1",
        fields: "Accept: image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,\
                 image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n\
                 Sec-Fetch-Dest: image\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n\
                 Accept-Language: fr-FR,fr;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\n",
        site: Some(1),
        sends_origin: false,
    },
    Profile {
        agent: "okhttp/4.12.0",
        fields: "Accept-Encoding: gzip\r\n",
        site: None,
        sends_origin: false,
    },
];

/// Addresses of networks in none of the blocked countries.
const CLIENTS: [&str; 5] = [
    "17.5.7.11",
    "18.64.3.9",
    "52.95.1.2",
    "84.46.1.20",
    "12.1.2.3",
];

/// With these behind its name, a kind has the access log written, to a file.
const LOGGED: &str = "+log";

/// The kind of this name, and whether its requests are logged.
pub(crate) fn find(name: &str) -> Option<(&'static Kind, bool)> {
    let logged = name.ends_with(LOGGED);
    let kind = KINDS.iter().find(|kind| kind.name(logged) == name)?;
    Some((kind, logged))
}

impl Kind {
    pub(crate) fn name(&self, logged: bool) -> String {
        let end = if logged { LOGGED } else { "" };
        format!("{}{end}", self.name)
    }

    /// Appends request `n` of the sequence to `to`. The sequence repeats after
    /// [`ROUND`] requests, but for the keys of what is to be stored, which do not.
    pub(crate) fn write(&self, n: usize, to: &mut String) {
        let profile = match (&PROFILES[n % PROFILES.len()], self.work) {
            // An app names no page, so it would not be denied.
            (Profile { site: None, .. }, Work::Deny) => &PROFILES[0],
            (profile, _) => profile,
        };
        let object = match self.work {
            Work::Store => n,
            _ => n % 10,
        };
        let Self { work, size, .. } = self;
        let folder = work.folder();
        let client = CLIENTS[n % CLIENTS.len()];
        let mut line =
            |text: std::fmt::Arguments<'_>| to.write_fmt(text).expect("a String takes all");
        line(format_args!(
            "GET /{folder}/{size}/picture-{object}.jpg?w=640&h=480 HTTP/1.1\r\n\
             Host: img.example.com\r\nUser-Agent: {}\r\n{}",
            profile.agent, profile.fields
        ));
        if let Some(site) = profile.site {
            let page = match work {
                Work::Deny => "leech.example".to_owned(),
                _ => format!("www.site{site}.example.com"),
            };
            if profile.sends_origin {
                line(format_args!("Origin: https://{page}\r\n"));
            }
            line(format_args!("Referer: https://{page}/\r\n"));
        }
        if *work == Work::NotModified {
            line(format_args!("If-None-Match: {ETAG}\r\n"));
        }
        line(format_args!(
            "X-Forwarded-For: {client}\r\nX-Forwarded-Proto: https\r\n\r\n"
        ));
    }

    /// The status and the length of the body of every answer.
    pub(crate) fn expected(&self) -> (u16, usize) {
        match self.work {
            Work::Deny => (403, "Forbidden\nReference: 0123456789abcdefghij\n".len()),
            Work::NotModified => (304, 0),
            Work::Hit | Work::Forward | Work::Store => (200, self.size),
        }
    }

    /// Whether this `Cache-Status` is that of an answer of this kind.
    pub(crate) fn admits(&self, status: &str) -> bool {
        match self.work {
            Work::Deny => status.is_empty(),
            Work::Hit | Work::NotModified => status.starts_with("portcullis; hit"),
            Work::Forward => status.contains("fwd=") && !status.contains("stored"),
            Work::Store => status.contains("fwd=") && status.contains("stored"),
        }
    }
}

/// The one entity tag of the origin.
pub(crate) const ETAG: &str = "\"5f1d7a84-400\"";

impl Work {
    /// The folder at the origin, which says whether a response may be stored.
    fn folder(self) -> &'static str {
        match self {
            Self::Forward => UNSTORED,
            Self::Store => "new",
            Self::Deny | Self::Hit | Self::NotModified => "stored",
        }
    }
}

/// The origin's folder of responses that may not be stored.
pub(crate) const UNSTORED: &str = "unstored";
