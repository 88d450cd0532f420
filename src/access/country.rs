//! Not yet.
use std::net::IpAddr;
/// A country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountryCode(u16);
impl std::fmt::Display for CountryCode { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.0) } }
/// A database.
#[derive(Debug)]
pub struct CountryDatabase;
impl CountryDatabase {
    /// x
    pub fn lookup(&self, _a: IpAddr) -> Option<CountryCode> { unimplemented!() }
    /// x
    pub fn networks(&self, _deny: impl Fn(Option<CountryCode>) -> bool) -> crate::network::NetworkSet { unimplemented!() }
}
