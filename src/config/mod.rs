//! The configuration: one TOML file to one [`Snapshot`], or every error in it.
//!
//! `parse` makes a text into `file::ConfigFile`, which is what is written
//! and where (`reader` reads tables, `schema` knows their keys);
//! `compile` makes that into what requests are handled by, `warn` looks
//! for what is allowed and risky. What is wrong is an `error::Finding`.

mod compile;
mod error;
mod file;
mod json_schema;
mod kinds;
mod load;
mod masked;
mod parse;
mod policy_test;
mod read;
mod reader;
mod reference;
mod schema;
mod snapshot;
mod source;
mod source_file;
mod spelling;
mod token;
mod units;
mod warn;

#[cfg(test)]
mod tests;

pub use error::{ConfigErrors, Finding, Level, Warnings};
pub use json_schema::json_schema;
pub use load::{load, load_again, load_embedded};
pub use policy_test::{Expect, PolicyTest, TestRequest};
pub use snapshot::{
    AdminSettings, ResponseFields, Route, ServerSettings, ShownCertificate, Snapshot, TlsSettings,
};
pub use source_file::{Held, SourceFile};
pub use token::{Token, TokenError};
pub use units::written_size;
