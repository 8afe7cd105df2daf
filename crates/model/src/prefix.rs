//! The /28 blocks of prefix delegation.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// A /28 that EC2 assigned to an ENI: sixteen addresses, aligned. EC2 knows no other IPv4 prefix
/// length for ENIs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ipv4Net", into = "Ipv4Net")]
pub struct Ipv4Prefix(Ipv4Addr);

/// A network that is not an aligned /28.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("IPv4 prefix is {0}; allowed: an aligned /28")]
pub struct PrefixError(String);

impl Ipv4Prefix {
    /// Addresses in a prefix.
    pub const SIZE: u32 = 16;

    /// The prefix that contains `address`.
    #[must_use]
    pub fn containing(address: Ipv4Addr) -> Self {
        Self(Ipv4Addr::from(u32::from(address) & !(Self::SIZE - 1)))
    }

    /// The lowest address. EC2 lets pods use it, as it does the highest: both are ordinary hosts.
    #[must_use]
    pub fn first(self) -> Ipv4Addr {
        self.0
    }

    /// All sixteen addresses, in order.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> + Clone {
        let first = u32::from(self.0);
        (0..Self::SIZE).map(move |offset| Ipv4Addr::from(first + offset))
    }

    /// Whether `address` lies in the prefix.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        Self::containing(address) == self
    }
}

impl TryFrom<Ipv4Net> for Ipv4Prefix {
    type Error = PrefixError;

    fn try_from(net: Ipv4Net) -> Result<Self, PrefixError> {
        if net.prefix_len() == 28 && net.network() == net.addr() {
            Ok(Self(net.addr()))
        } else {
            Err(PrefixError(net.to_string()))
        }
    }
}

impl From<Ipv4Prefix> for Ipv4Net {
    fn from(prefix: Ipv4Prefix) -> Ipv4Net {
        Ipv4Net::new_assert(prefix.0, 28)
    }
}

impl FromStr for Ipv4Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let net: Ipv4Net = text.parse().map_err(|_| PrefixError(text.to_owned()))?;
        net.try_into()
    }
}

impl fmt::Display for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/28", self.0)
    }
}

impl fmt::Debug for Ipv4Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aligned_28s_are_prefixes() {
        assert_eq!(
            "10.0.0.16/28"
                .parse::<Ipv4Prefix>()
                .unwrap()
                .addresses()
                .count(),
            16
        );
        for bad in ["10.0.0.1/28", "10.0.0.0/27", "10.0.0.0", "x"] {
            assert!(bad.parse::<Ipv4Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_belongs_to_the_prefix_it_names() {
        let address = Ipv4Addr::new(10, 0, 0, 31);
        let prefix = Ipv4Prefix::containing(address);
        assert_eq!(prefix.first(), Ipv4Addr::new(10, 0, 0, 16));
        assert!(prefix.contains(address));
        assert!(!prefix.contains(Ipv4Addr::new(10, 0, 0, 32)));
    }
}
