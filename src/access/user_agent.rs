//! `access.user_agent`: blocked programs (section 6.2).

use super::{Finding, RequestHead};
use crate::message::fields::Name;
use crate::message::substrings::SubstringSet;

/// The `access.user_agent` table, compiled.
#[derive(Clone, Debug)]
pub struct UserAgentRule {
    /// `block`; `None`: the rule is off.
    pub block: Option<SubstringSet>,
    /// `shadow`.
    pub shadow: bool,
}

impl UserAgentRule {
    /// What `user_agent.block` finds; `None`: it is off.
    pub fn judge(&self, head: &RequestHead<'_>) -> Option<Finding<'_>> {
        let block = self.block.as_ref()?;
        let mut lines = head.headers.lines(Name::USER_AGENT);
        let found = lines.find_map(|line| block.first(line));
        Some(match found {
            Some(entry) => Finding::AgentListed(block.entry(entry)),
            None => Finding::AgentNotListed,
        })
    }
}
