use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::ops::{Add, RangeInclusive, Sub};
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader, WithinOptions};
use serde::de::IgnoredAny;
use thiserror::Error;

use super::CountryCode;
use crate::network::{LOCAL_V4, LOCAL_V6, NetworkSet, is_local};

/// Where a record may have a country, the first that is there counts.
const FIELDS: [&[PathElement<'_>]; 3] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
    &[
        PathElement::Key("registered_country"),
        PathElement::Key("iso_code"),
    ],
];

/// IPv4 is seen four times in a common database: in its place and as three
/// aliases. One that shows more than this many networks a node is no real one,
/// and walking it might never end.
const MAX_NETWORKS_A_NODE: usize = 16;

/// A country database, read into memory and verified: a file that is rewritten
/// while we run changes nothing.
#[derive(Debug)]
pub struct CountryDatabase {
    reader: Reader<Vec<u8>>,
    /// By the place of a record in the file; records without a country are not
    /// there. Databases have few records, which many networks share.
    countries: HashMap<usize, CountryCode, RandomState>,
}

/// Why a country database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// It is missing, or may not be read.
    #[error("the country database {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has no byte.
    #[error("the country database {} is empty: was it cut while being written?", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be walked to its end.
    #[error(
        "the country database {} is damaged, cut short or not in the MaxMind DB format: fetch it again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MaxMindDbError,
    },
    /// No record has a country.
    #[error(
        "{} is not a country database (its type is `{database_type}`): none of its records has country.iso_code, country_code or registered_country.iso_code",
        path.display()
    )]
    NoCountries {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        database_type: String,
    },
}

impl DatabaseError {
    /// The file at `path` cannot be read.
    pub fn unread(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Read { path, source }
    }
}

impl CountryDatabase {
    /// Reads and verifies the file: its tree, and every record.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let bytes = fs::read(path).map_err(|error| DatabaseError::unread(path, error))?;
        Self::from_bytes(bytes, path)
    }

    /// Verifies what was read already; errors name it `path`.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, DatabaseError> {
        if bytes.is_empty() {
            let path = path.to_owned();
            return Err(DatabaseError::Empty { path });
        }
        let damaged = |source| DatabaseError::Damaged {
            path: path.to_owned(),
            source,
        };
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        // First the walk that has an end: nodes that share what is below them
        // can make a tree of 2^128 networks in a kilobyte.
        let countries = countries(&reader).map_err(damaged)?;
        verify(&reader).map_err(damaged)?;
        let countries = countries.ok_or_else(|| DatabaseError::NoCountries {
            path: path.to_owned(),
            database_type: reader.metadata().database_type.clone(),
        })?;
        Ok(Self { reader, countries })
    }

    /// When it was built, in seconds since 1970.
    pub fn build_epoch(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Nodes of its search tree: it grows with what the database tells apart.
    pub fn nodes(&self) -> u64 {
        self.reader.metadata().node_count.into()
    }

    /// What it says it is, such as `GeoLite2-Country`.
    pub fn database_type(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// The country of `address`, which must be canonical: `country.iso_code`,
    /// where that is absent `country_code`, else `registered_country.iso_code`.
    /// A value that is there but no country code (`ZZ`, `EU`) means that the
    /// country is not known; what comes after it is not asked. Local addresses
    /// have none whatever the database says. Allocates nothing.
    pub fn lookup(&self, address: IpAddr) -> Option<CountryCode> {
        if is_local(address) || (self.is_ipv4_only() && address.is_ipv6()) {
            return None;
        }
        // `open` has been everywhere, so that there is no error to see here
        let found = self.reader.lookup(address).ok()?;
        self.countries.get(&found.offset()?).copied()
    }

    /// All addresses, IPv4 and IPv6, for whose country `deny` is true. For every
    /// canonical address, covered by the database or not, `contains` is
    /// `deny(lookup(address))`.
    pub fn networks(&self, deny: impl Fn(Option<CountryCode>) -> bool) -> NetworkSet {
        let mut denied = Ranges::default();
        for network in walk(&self.reader) {
            let network = network.expect("the whole tree was walked by `open`");
            let country = network
                .offset()
                .and_then(|offset| self.countries.get(&offset));
            if deny(country.copied()) {
                let network = network.network().expect("a prefix as deep as the tree");
                denied.add(network.ip(), network.prefix(), self.is_ipv4_only());
            }
        }
        if deny(None) {
            denied.add_unknown(self.is_ipv4_only());
        }
        NetworkSet::from_ranges(denied.v4, denied.v6)
    }

    fn is_ipv4_only(&self) -> bool {
        self.reader.metadata().ip_version == 4
    }
}

/// Ranges of addresses that are being collected; none holds a local address
/// until [`Ranges::add_unknown`].
#[derive(Default)]
struct Ranges {
    v4: Vec<RangeInclusive<u32>>,
    v6: Vec<RangeInclusive<u128>>,
}

impl Ranges {
    /// A network of the tree. In an IPv6 tree, IPv4 is what lies below `::/96`.
    fn add(&mut self, first: IpAddr, prefix: u8, ipv4_only: bool) {
        match first {
            IpAddr::V4(first) => {
                let (first, hosts) = (first.to_bits(), low_bits(prefix + 96) as u32);
                self.add_v4(first, first | hosts);
                if !ipv4_only {
                    self.add_v6(first.into(), (first | hosts).into());
                }
            }
            IpAddr::V6(first) => {
                let first = first.to_bits();
                self.add_v6(first, first | low_bits(prefix));
                if first == 0 && prefix <= 96 {
                    self.add_v4(0, u32::MAX); // the tree ends above where IPv4 begins
                }
            }
        }
    }

    fn add_v4(&mut self, first: u32, last: u32) {
        outside(first, last, &LOCAL_V4, |range| self.v4.push(range));
    }

    fn add_v6(&mut self, first: u128, last: u128) {
        let mapped = first >> 32 == 0xffff; // ::ffff:0:0/96 is never canonical
        if !mapped {
            outside(first, last, &LOCAL_V6, |range| self.v6.push(range));
        }
    }

    /// What has no country whatever stands in the tree.
    fn add_unknown(&mut self, ipv4_only: bool) {
        self.v4.extend(LOCAL_V4.map(|(first, last)| first..=last));
        self.v6.extend(LOCAL_V6.map(|(first, last)| first..=last));
        if ipv4_only {
            self.v6.push(0..=u128::MAX);
        }
    }
}

/// The reader's own check. It refuses good databases that do not describe
/// themselves (those of ip-location-db); for them there is only our own walk,
/// which reads the whole tree and every record too.
fn verify(reader: &Reader<Vec<u8>>) -> Result<(), MaxMindDbError> {
    let metadata = reader.metadata();
    if metadata.description.is_empty() || metadata.database_type.is_empty() {
        return Ok(());
    }
    reader.verify()
}

/// Every network of the tree, with those that have no record, and with each
/// alias of IPv4 as often as a lookup can see it.
fn walk(
    reader: &Reader<Vec<u8>>,
) -> impl Iterator<Item = Result<LookupResult<'_, Vec<u8>>, MaxMindDbError>> {
    let options = WithinOptions::default()
        .include_aliased_networks()
        .include_networks_without_data();
    let networks = reader.networks(options);
    networks.expect("all of what the tree is for is asked of it")
}

/// The countries of all records, or nothing if no record has any of the fields.
fn countries(
    reader: &Reader<Vec<u8>>,
) -> Result<Option<HashMap<usize, CountryCode, RandomState>>, MaxMindDbError> {
    let most = (reader.metadata().node_count as usize).saturating_mul(MAX_NETWORKS_A_NODE);
    let mut found: HashMap<usize, Option<Option<CountryCode>>, RandomState> = HashMap::default();
    for (count, network) in walk(reader).enumerate() {
        let network = network?;
        if count > most {
            let message = "its search tree shows the same networks again and again";
            return Err(MaxMindDbError::invalid_database(message));
        }
        if let Some(offset) = network.offset()
            && let Entry::Vacant(place) = found.entry(offset)
        {
            network.decode::<IgnoredAny>()?; // all of the record can be read
            place.insert(country(&network));
        }
    }
    let any = found.values().any(Option::is_some);
    let known = |(offset, country): (usize, Option<Option<_>>)| Some((offset, country??));
    Ok(any.then(|| found.into_iter().filter_map(known).collect()))
}

/// The first field that is there, and the country in it if it is one.
fn country(record: &LookupResult<'_, Vec<u8>>) -> Option<Option<CountryCode>> {
    FIELDS.into_iter().find_map(|path| {
        // an error: what should hold the field is no map, and so has no field
        record.decode_path::<IgnoredAny>(path).ok().flatten()?;
        let text = record.decode_path::<&str>(path).ok().flatten();
        Some(text.and_then(CountryCode::known))
    })
}

/// The parts of `first..=last` that are in none of `holes`, which are in order.
fn outside<T>(first: T, last: T, holes: &[(T, T)], mut found: impl FnMut(RangeInclusive<T>))
where
    T: Copy + Ord + Add<Output = T> + Sub<Output = T> + From<u8>,
{
    let one = T::from(1);
    let mut start = first;
    for (hole_first, hole_last) in holes.iter().copied() {
        if hole_last < start || last < hole_first {
            continue;
        }
        if start < hole_first {
            found(start..=hole_first - one);
        }
        if last <= hole_last {
            return;
        }
        start = hole_last + one;
    }
    found(start..=last);
}

/// As many ones as an IPv6 prefix leaves.
fn low_bits(prefix: u8) -> u128 {
    u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
