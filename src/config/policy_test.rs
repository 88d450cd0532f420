//! `[[test]]`: a promise about the policy.

use std::net::IpAddr;

use crate::access::RuleId;
use crate::images::Variant;

/// One `[[test]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTest {
    /// `name`.
    pub name: String,
    /// `request`.
    pub request: TestRequest,
    /// `expect`.
    pub expect: Expect,
    /// The line of the file that the test starts on, counted from 1.
    pub line: usize,
}

/// A request that somebody asks about: a `[[test]]`, or `explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestRequest {
    /// The URL, as written.
    pub url: String,
    /// The method; `None`: GET.
    pub method: Option<String>,
    /// The client's address, if it is given.
    pub client: Option<IpAddr>,
    /// The peer's address, if it is given.
    pub peer: Option<IpAddr>,
    /// The fields, a line each.
    pub headers: Vec<(String, String)>,
}

/// What a test expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `forward`, or `forward:<variant>`.
    Forward(Option<Variant>),
    /// `deny`, or `deny:<rule>`.
    Deny(Option<RuleId>),
    /// `reject`: 400, 405 or 421.
    Reject,
}

impl Expect {
    /// Reads the grammar of section 3.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "forward" => Some(Self::Forward(None)),
            None if text == "deny" => Some(Self::Deny(None)),
            None if text == "reject" => Some(Self::Reject),
            Some(("forward", variant)) => Variant::parse(variant).map(|v| Self::Forward(Some(v))),
            Some(("deny", rule)) => RuleId::parse(rule).map(|r| Self::Deny(Some(r))),
            _ => None,
        }
    }
}
