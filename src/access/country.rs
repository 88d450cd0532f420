//! Countries: their codes, and the database that knows which address is where.

mod code;
mod database;

pub use self::code::{CountryCode, CountryCodeError};
pub use self::database::{CountryDatabase, DatabaseError};
