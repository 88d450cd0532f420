//! `access.ip`: blocked and exempt addresses (section 6.1).

use std::sync::Arc;

use ipnet::IpNet;

use super::Finding;
use crate::client::ClientAddr;
use crate::network::NetworkSet;

/// The `access.ip` table, compiled.
#[derive(Clone, Debug, Default)]
pub struct IpRule {
    /// `block` and all of `block_files`; `None`: neither is given.
    pub block: Option<NetworkSet>,
    /// `exempt`.
    pub exempt: NetworkSet,
    /// `client.trusted_proxies`: a proxy speaks for strangers, so its own
    /// address is never exempt.
    pub never_exempt: Arc<NetworkSet>,
    /// `shadow`.
    pub shadow: bool,
}

impl IpRule {
    /// Whether no rule applies to `client`.
    pub fn is_exempt(&self, client: ClientAddr) -> bool {
        self.exempt.contains(client.ip()) && !self.never_exempt.contains(client.ip())
    }

    /// Whether all addresses of `network` are alike to it.
    pub(super) fn judges_alike(&self, network: IpNet) -> bool {
        let block = self.block.as_ref();
        block.is_none_or(|set| set.is_alike_within(network)) && self.exempts_alike(network)
    }

    /// Whether all addresses of `network` are exempt, or none is.
    pub fn exempts_alike(&self, network: IpNet) -> bool {
        let sets = [&self.exempt, &*self.never_exempt];
        self.exempt.is_empty() || sets.into_iter().all(|set| set.is_alike_within(network))
    }

    /// What `ip.block` finds; `None`: it is off.
    pub fn judge(&self, client: ClientAddr) -> Option<Finding<'static>> {
        let listed = self.block.as_ref()?.contains(client.ip());
        Some(if listed {
            Finding::AddressListed
        } else {
            Finding::AddressNotListed
        })
    }
}
