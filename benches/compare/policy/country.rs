//! The networks of the blocked countries, out of the database.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use maxminddb::{LookupResult, PathElement, Reader, WithinOptions};
use portcullis::access::country::CountryCode;

use super::is_global;
use crate::Outcome;
use crate::rules::{COUNTRIES, country_database, real_country_database};

/// Where a record may have its country, and what nginx's module calls it.
const FIELDS: [(&[PathElement<'_>], &str); 2] = [
    (
        &[PathElement::Key("country"), PathElement::Key("iso_code")],
        "country iso_code",
    ),
    (&[PathElement::Key("country_code")], "country_code"),
];

/// A database, and what of it is blocked.
#[derive(Debug)]
pub(crate) struct Countries {
    pub(crate) database: PathBuf,
    /// Its own name and the date it was built.
    pub(crate) about: String,
    /// Whether it is the small one of the tests.
    pub(crate) is_small: bool,
    /// The field that nginx has to read.
    pub(crate) field: &'static str,
    /// In order, none within another.
    pub(crate) networks: Vec<IpNet>,
}

impl Countries {
    /// Reads the database that `PORTCULLIS_COUNTRY_MMDB` names, or the small
    /// one of the tests, and says so.
    pub(crate) fn find() -> Outcome<Self> {
        let is_small = real_country_database().is_none();
        if is_small {
            eprintln!(
                "NO REAL COUNTRY DATABASE: PORTCULLIS_COUNTRY_MMDB is not set, so the small one of the tests is used"
            );
        }
        Self::read(&country_database(), is_small)
    }

    fn read(path: &Path, is_small: bool) -> Outcome<Self> {
        let reader = open(path)?;
        let mut found: [Vec<IpNet>; FIELDS.len()] = Default::default();
        for record in reader.networks(WithinOptions::default())? {
            let record = record?;
            for ((field, _), networks) in FIELDS.iter().zip(&mut found) {
                if is_blocked(&record, field)? {
                    networks.extend(network(&record)?);
                }
            }
        }
        let [nested, flat] = found;
        let used = usize::from(nested.is_empty());
        let networks = IpNet::aggregate(&if used == 0 { nested } else { flat });
        if networks.is_empty() {
            return Err(format!("{}: none of {COUNTRIES:?} is in it", path.display()).into());
        }
        let metadata = reader.metadata();
        Ok(Self {
            database: path.to_owned(),
            about: format!("{}, {} nodes", metadata.database_type, metadata.node_count),
            is_small,
            field: FIELDS[used].1,
            networks,
        })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        // they stand in order, so that only the last that begins before it may hold it
        let after = self.networks.partition_point(|network| {
            network.addr().is_ipv4() >= address.is_ipv4() && network.network() <= address
                || network.addr().is_ipv4() && address.is_ipv6()
        });
        after > 0 && self.networks[after - 1].contains(&address)
    }
}

fn open(path: &Path) -> Outcome<Reader<Vec<u8>>> {
    let opened = Reader::open_readfile(path);
    Ok(opened.map_err(|error| format!("the country database {}: {error}", path.display()))?)
}

/// The codes of all countries that the database has.
pub(crate) fn codes() -> Outcome<Vec<String>> {
    let reader = open(&country_database())?;
    let mut codes = BTreeSet::new();
    for record in reader.networks(WithinOptions::default())? {
        let record = record?;
        for (field, _) in FIELDS {
            let code: Option<&str> = record.decode_path(field)?;
            codes.extend(
                code.filter(|code| CountryCode::parse(code).is_ok())
                    .map(str::to_owned),
            );
        }
    }
    Ok(codes.into_iter().collect())
}

fn is_blocked(record: &LookupResult<'_, Vec<u8>>, field: &[PathElement<'_>]) -> Outcome<bool> {
    let code: Option<&str> = record.decode_path(field)?;
    Ok(code.is_some_and(|code| COUNTRIES.contains(&code)))
}

/// Local networks are of no country, whatever the database says.
fn network(record: &LookupResult<'_, Vec<u8>>) -> Outcome<Option<IpNet>> {
    let network = record.network()?;
    let network = IpNet::new(network.ip(), network.prefix())?;
    Ok(is_global(network.addr()).then_some(network))
}
