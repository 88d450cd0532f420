//! The access log: a JSON line a request.
//!
//! A line is formatted by hand while the request's head is at hand
//! ([`Draft`]), finished when its response is over, and collected in the
//! worker's [`Journal`]; chunks of lines go to the one thread that writes. The
//! newest denials stay in memory ([`Kept`]), whether there is a log or not.

mod address;
mod draft;
mod escape;
mod journal;
mod kept;
mod raw;
mod stamp;
mod text;
mod writer;

pub use address::{shown, shown_in_field};
pub(crate) use draft::key;
pub use draft::{Draft, Key, Outcome};
pub use journal::Journal;
pub(super) use kept::read;
pub use kept::{AllKept, Block, Entry, Keeper, Kept, MOST_KEPT};
pub use raw::{
    CLIENT_FROM, CLIENT_HEADER, Country, Derived, Facts, Kind, METHODS, Raw, RuleNames, Sink,
};
pub use stamp::rfc3339;
pub use writer::{AccessLog, AccessLogError, Opened, Spool};
