//! `[[test]]`: a promise about the policy.

use std::net::IpAddr;

use super::error::{Finding, Spot};
use crate::access::RuleId;
use crate::images::Variant;

/// One `[[test]]`.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// `name`.
    pub name: String,
    /// `request`.
    pub request: TestRequest,
    /// `expect`.
    pub expect: Expect,
    /// Where `request` and `expect` stand.
    pub(super) request_at: Spot,
    pub(super) expect_at: Spot,
}

impl PolicyTest {
    /// The error that something else happens than the test expects.
    pub fn fails(&self, expected: &str, found: &str) -> Finding {
        self.told(&self.expect_at, "not so", expected, found)
    }

    /// The error that no such request can be made; `why` says what is wrong
    /// with it.
    pub fn cannot_be_asked(&self, expected: &str, why: &str) -> Finding {
        self.told(&self.request_at, "this request", expected, why)
    }

    fn told(&self, at: &Spot, label: &str, expected: &str, found: &str) -> Finding {
        let finding = at.error(format!("test {:?} fails", self.name)).label(label);
        finding.expected(expected).found(found)
    }
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
