//! The configuration: one TOML file to one snapshot, or every error in it.
//!
//! [`source`] is the text, [`reader`] a cursor over what TOML makes of it,
//! [`file`] the tables and keys as they are written, [`schema`] which there
//! are.

mod error;
mod file;
mod parse;
mod read;
mod reader;
mod schema;
mod source;
mod spelling;
mod units;

pub use error::{ConfigErrors, Finding, Level, Warnings};
