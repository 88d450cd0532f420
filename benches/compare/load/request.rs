//! Requests as four kinds of clients send them, each from an address of its
//! own behind the trusted proxy.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::random::Random;
use crate::policy::{HOST, Policy, shop};
use crate::rules::{APP_ACCEPT, BLOCKED_AGENTS, GLOBS};

/// How many requests are prepared.
pub(crate) const PREPARED: usize = 2000;

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                      (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/26.6.1 Mobile/15E148 Safari/604.1";
const APP: &str = "okhttp/4.12.0";
const PREVIEW: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";

/// Kinds of clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Profile {
    /// Shows an image on a page.
    Chrome,
    /// Fetches one from a script of a page.
    Safari,
    /// Shows WebP and does not say so.
    App,
    /// Does not show it.
    Preview,
}

impl Profile {
    pub(crate) const ALL: [Self; 4] = [Self::Chrome, Self::Safari, Self::App, Self::Preview];

    fn agent(self) -> &'static str {
        match self {
            Self::Chrome => CHROME,
            Self::Safari => SAFARI,
            Self::App => APP,
            Self::Preview => PREVIEW,
        }
    }

    /// The fields that do not depend on the page.
    fn fields(self) -> &'static str {
        match self {
            Self::Chrome => {
                "sec-ch-ua: \"Google Chrome\";v=\"153\", \"Chromium\";v=\"153\", \"Not A(Brand\";v=\"24\"\r\n\
                 sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Windows\"\r\n\
                 Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n\
                 Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n\
                 Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"
            }
            Self::Safari => {
                "Accept: image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n\
                 Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: image\r\n\
                 Accept-Encoding: gzip, deflate, br\r\nAccept-Language: de-DE,de;q=0.9\r\n"
            }
            Self::App => "Accept-Encoding: gzip\r\n",
            Self::Preview => "Accept: */*\r\nAccept-Encoding: deflate, gzip\r\n",
        }
    }
}

/// What a request says.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) profile: Profile,
    pub(crate) client: IpAddr,
    /// In place of the profile's own.
    pub(crate) agent: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) referer: Option<String>,
}

impl Request {
    /// As the profile sends it from a page of the shop of this number.
    pub(crate) fn new(profile: Profile, client: IpAddr, number: usize) -> Self {
        let site = format!("https://www.{}", shop(number % GLOBS));
        let has_page = matches!(profile, Profile::Chrome | Profile::Safari);
        Self {
            profile,
            client,
            agent: None,
            referer: has_page.then(|| format!("{site}/catalogue/{number}")),
            origin: (profile == Profile::Safari).then_some(site),
        }
    }

    /// All that stands behind the target.
    pub(crate) fn head(&self) -> String {
        let agent = self.agent.as_deref().unwrap_or(self.profile.agent());
        let line = |name: &str, value: &Option<String>| {
            let value = value.as_ref();
            value.map_or_else(String::new, |value| format!("{name}: {value}\r\n"))
        };
        format!(
            " HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {agent}\r\n{}{}{}X-Forwarded-For: {}\r\n\r\n",
            self.profile.fields(),
            line("Origin", &self.origin),
            line("Referer", &self.referer),
            self.client,
        )
    }

    /// The fields behind `Host`, each as it is written.
    pub(crate) fn fields(&self) -> Vec<String> {
        let head = self.head();
        let lines = head.split("\r\n").skip(2);
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The whole of it.
    pub(crate) fn get(&self, path: &str) -> String {
        format!("GET {path}{}", self.head())
    }

    /// What `Accept` says: nothing for the app.
    pub(crate) fn accept(&self) -> Option<&'static str> {
        let lines = self.profile.fields().split("\r\n");
        lines
            .into_iter()
            .find_map(|line| line.strip_prefix("Accept: "))
    }

    /// What the origin should be asked for, of a path with variants.
    pub(crate) fn canonical_accept(&self) -> &'static str {
        match self.profile {
            Profile::App => APP_ACCEPT,
            Profile::Preview => crate::policy::ORIGINAL_ACCEPT,
            Profile::Chrome | Profile::Safari => crate::policy::WEBP_ACCEPT,
        }
    }
}

/// Gives every request an address that no other has.
#[derive(Debug)]
pub(crate) struct Clients<'a> {
    policy: &'a Policy,
    random: Random,
    given: HashSet<IpAddr>,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            random: Random::new(2),
            given: HashSet::new(),
        }
    }

    /// One that no rule denies; one in twenty has IPv6.
    pub(crate) fn admitted(&mut self) -> IpAddr {
        loop {
            let address: IpAddr = match self.random.below(20) {
                0 => self.random.ipv6().into(),
                _ => self.random.ipv4().into(),
            };
            if self.policy.admits(address) && self.given.insert(address) {
                return address;
            }
        }
    }

    /// One of a network, the same one again only where it is small.
    pub(crate) fn within(&mut self, network: IpNet) -> IpAddr {
        for _ in 0..100 {
            let address = self.somewhere(network);
            if self.given.insert(address) {
                return address;
            }
        }
        network.network()
    }

    fn somewhere(&mut self, network: IpNet) -> IpAddr {
        match network {
            IpNet::V4(network) => {
                let host = self.random.next() as u32 & !network.netmask().to_bits();
                std::net::Ipv4Addr::from_bits(network.network().to_bits() | host).into()
            }
            IpNet::V6(network) => {
                let host = u128::from(self.random.next()) & !network.netmask().to_bits();
                std::net::Ipv6Addr::from_bits(network.network().to_bits() | host).into()
            }
        }
    }
}

/// Requests that pass every rule, the profiles in turn.
pub(crate) fn admitted(clients: &mut Clients<'_>) -> Vec<Request> {
    let request = |n: usize| Request::new(Profile::ALL[n % 4], clients.admitted(), n / 4);
    (0..PREPARED).map(request).collect()
}

/// Requests of which each is denied by one rule, the five rules in turn.
pub(crate) fn denied(clients: &mut Clients<'_>) -> Vec<Request> {
    (0..PREPARED).map(|n| deny(clients, n % 5, n / 5)).collect()
}

fn deny(clients: &mut Clients<'_>, rule: usize, number: usize) -> Request {
    let policy = clients.policy;
    let client = clients.admitted();
    let browser = Profile::ALL[number % 2];
    let mut request = Request::new(Profile::ALL[number % 4], client, number);
    match rule {
        0 => request.client = clients.within(policy.networks[number % policy.networks.len()]),
        1 => {
            request.agent = Some(format!(
                "{}/2.{number}",
                BLOCKED_AGENTS[number % 10].trim_end_matches('/')
            ))
        }
        2 => {
            let networks = &policy.countries.networks;
            request.client = clients.within(networks[number * 7919 % networks.len()]);
        }
        3 => {
            request = Request::new(browser, client, number);
            request.origin = Some(format!("https://www.leech{number}.example.net"));
        }
        _ => {
            request = Request::new(Profile::Safari, client, number);
            request.referer = Some(format!("https://www.leech{number}.example.net/copied"));
        }
    }
    request
}

/// Nine admitted to each one denied.
pub(crate) fn mixed(admitted: &[Request], denied: &[Request]) -> Vec<Request> {
    let one = |(n, request): (usize, &Request)| match n % 10 {
        9 => denied[n / 10].clone(),
        _ => request.clone(),
    };
    admitted.iter().enumerate().map(one).collect()
}
