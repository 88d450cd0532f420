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
/// x
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct StubError;
impl CountryCode {
    /// x
    pub fn parse(_t: &str) -> Result<Self, StubError> { Ok(Self(0)) }
}
impl CountryDatabase {
    /// x
    pub fn open(_p: &std::path::Path) -> Result<Self, StubError> { Err(StubError) }
}
