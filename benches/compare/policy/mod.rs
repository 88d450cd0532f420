//! The policy that all peers have: the rules of all benches, with networks and
//! sites that everybody can be told of. A file beside this one writes it in
//! each peer's own words.

pub(crate) mod country;
pub(crate) mod glob;
pub(crate) mod haproxy;
pub(crate) mod nginx;
pub(crate) mod portcullis;
pub(crate) mod varnish;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Outcome;
use crate::load::random::Random;
use crate::rules::{GLOBS, NETWORKS, REFERRERS};
use crate::tls::Identity;
use crate::workload::Wire;
use country::Countries;

/// `Accept` towards the origin for a client that shows WebP.
pub(crate) const WEBP_ACCEPT: &str = "image/webp,*/*;q=0.8";

/// `Accept` towards the origin for a client that does not.
pub(crate) const ORIGINAL_ACCEPT: &str = "*/*";

/// Paths that have variants.
pub(crate) const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "png", "gif", "webp", "avif", "bmp", "tif", "tiff",
];

/// The host that clients ask for.
pub(crate) const HOST: &str = "img.example.com";

/// What every peer does alike.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) networks: Vec<IpNet>,
    pub(crate) countries: Countries,
    /// Exact hosts.
    pub(crate) referrers: Vec<String>,
    pub(crate) globs: Vec<String>,
}

/// What a peer's configuration needs to know beside the policy.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// A folder of this instance alone.
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) origin: SocketAddr,
    /// Bytes that may be stored; none where the cache is off.
    pub(crate) cache: Option<u64>,
    /// Whether an access log is written, to a file.
    pub(crate) log: bool,
    pub(crate) wire: Wire,
    /// What is shown by TLS.
    pub(crate) identity: Identity,
}

impl Policy {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self {
            networks: networks(),
            countries: Countries::find()?,
            referrers: (0..REFERRERS).map(|n| format!("www.{}", shop(n))).collect(),
            globs: (0..GLOBS).map(glob).collect(),
        })
    }

    /// Whether a client address is one that no address rule denies.
    pub(crate) fn admits(&self, client: IpAddr) -> bool {
        let listed = self
            .networks
            .iter()
            .any(|network| network.contains(&client));
        !listed && !self.countries.contains(client)
    }
}

/// The site that a referrer and a glob of the same number are about.
pub(crate) fn shop(number: usize) -> String {
    format!("shop{number}.example.com")
}

/// One of each kind in turn; all take `www.` and the shop's name.
fn glob(number: usize) -> String {
    let shop = shop(number);
    match number % 5 {
        0 => format!("*.{shop}"),
        1 => format!("www.{shop}"),
        2 => format!("{{www,static}}.{shop}"),
        3 => format!("ww?.{shop}"),
        _ => format!("[a-w]ww.{shop}"),
    }
}

/// Of the lengths that people block, nine in ten of IPv4.
fn networks() -> Vec<IpNet> {
    let mut random = Random::new(1);
    let mut networks = Vec::with_capacity(NETWORKS);
    while networks.len() < NETWORKS {
        let network = if networks.len() % 10 == 9 {
            let address = random.ipv6();
            Ipv6Net::new(address, [32, 48, 64][networks.len() % 3]).map(|net| net.trunc().into())
        } else {
            let address = random.ipv4();
            let prefix = [16, 20, 24, 24, 28, 32][networks.len() % 6];
            Ipv4Net::new(address, prefix).map(|net| net.trunc().into())
        };
        let network: IpNet = network.expect("a prefix that the family has");
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}

/// Whether the rules about countries leave an address out: it is local.
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || shared
                || address == Ipv4Addr::UNSPECIFIED)
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            !(first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || address == Ipv6Addr::LOCALHOST)
        }
    }
}
