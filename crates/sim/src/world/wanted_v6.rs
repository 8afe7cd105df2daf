//! What a request wants of a subnet's IPv6 network.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::wanted::number;
use crate::error::ApiError;

/// What a request wants of a subnet's IPv6 network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Addresses(usize),
    ExactAddresses(Vec<Ipv6Addr>),
    Prefixes(usize),
    ExactPrefixes(Vec<Ipv6Net>),
}

/// The four ways to ask, as they stand in a request.
pub(super) struct Asked {
    pub(super) count: Option<i32>,
    pub(super) addresses: Vec<Ipv6Addr>,
    pub(super) prefix_count: Option<i32>,
    pub(super) prefixes: Vec<Ipv6Net>,
}

impl Asked {
    /// At most one of the four ways may be used.
    pub(super) fn wanted(self) -> Result<Wanted, ApiError> {
        let mut ways = Vec::new();
        if let Some(count) = self.count {
            ways.push(Wanted::Addresses(number(count, "Ipv6AddressCount")?));
        }
        if let Some(count) = self.prefix_count {
            ways.push(Wanted::Prefixes(number(count, "Ipv6PrefixCount")?));
        }
        if !self.addresses.is_empty() {
            ways.push(Wanted::ExactAddresses(self.addresses));
        }
        if !self.prefixes.is_empty() {
            ways.push(Wanted::ExactPrefixes(self.prefixes));
        }
        if ways.len() > 1 {
            return Err(ApiError::client(
                "InvalidParameterCombination",
                "Only one of IPv6 addresses, a count of them, prefixes and a count of prefixes \
                 may be specified",
            ));
        }
        Ok(ways.pop().unwrap_or(Wanted::Nothing))
    }
}

impl Wanted {
    /// What it counts against the limit of addresses: a prefix counts as one.
    pub(super) fn slots(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Addresses(count) | Self::Prefixes(count) => *count,
            Self::ExactAddresses(addresses) => addresses.len(),
            Self::ExactPrefixes(prefixes) => prefixes.len(),
        }
    }

    pub(super) fn has_prefixes(&self) -> bool {
        match self {
            Self::Prefixes(_) | Self::ExactPrefixes(_) => true,
            Self::Nothing | Self::Addresses(_) | Self::ExactAddresses(_) => false,
        }
    }
}
