//! The access rules (section 6): may this request pass, and if not, which
//! rule says so. Pure: no clock, no I/O, no allocation on the usual path.

pub mod country;
mod fetch;
mod findings;
pub mod geo;
pub mod ip;
pub mod origins;
pub mod referrer;
mod rule;
mod ruleset;
pub mod user_agent;

pub use fetch::Missing;
pub use findings::{Finding, Outcome, RuleReport};
pub use rule::{Decision, RuleId, RuleIds};
pub use ruleset::{ExemptPaths, Judgement, Ruleset};

use hyper::Method;

use crate::message::Scheme;
use crate::message::authority::Authority;
use crate::message::fields::Fields;
use crate::route::NormalPath;

/// Everything of a request that a rule may see.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, as sent.
    pub method: &'a Method,
    /// The fields, without those that Connection names.
    pub headers: &'a Fields,
    /// The request's own scheme.
    pub scheme: Scheme,
    /// The request's own host and port.
    pub authority: &'a Authority<'a>,
    /// The path.
    pub path: &'a NormalPath<'a>,
}
