//! Which addresses the lab uses: one VPC, and two hosts outside of it.
//!
//! The VPC is private (RFC 1918), everything outside is from the blocks that RFC 5737 sets aside
//! for documentation, so nothing in the lab can be mistaken for a real host.
//!
//! ```text
//!  node1 10.0.1.0/24 ─┐                      ┌─ 198.51.100.9  on-premises, no translation
//!                     ├─ router (10.0.x.1) ──┤
//!  node2 10.0.2.0/24 ─┘                      └─ 203.0.113.9   internet, behind the gateway
//! ```

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

/// The VPC's block.
pub const VPC_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 16);

/// The internet's block: the public addresses of instances are in it too.
pub const INTERNET_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24);

/// A host on a network that is connected to the VPC without address translation, as by a VPN.
pub const ON_PREMISES: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// The router's own address towards [`ON_PREMISES`].
pub const ON_PREMISES_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// Prefix length of the on-premises network.
pub const ON_PREMISES_LENGTH: u8 = 24;

/// A host on the internet: it is reached through the internet gateway only, which gives a packet
/// the public address of the instance whose primary address it comes from.
pub const INTERNET: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// The router's own address towards [`INTERNET`].
pub const INTERNET_GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// Where the daemons reach the EC2 API, inside the lab.
pub const EC2_API: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// The port of [`EC2_API`].
pub const EC2_API_PORT: u16 = 8000;

/// Where instance metadata answers (EC2 user guide, "Access instance metadata").
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// The port of [`METADATA`].
pub const METADATA_PORT: u16 = 80;

/// How large the nodes' subnets are, by the length of their prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetLength(u8);

/// Two larger ones are not in [`VPC_CIDR`], and smaller ones are none of EC2's.
pub const SUBNET_LENGTHS: RangeInclusive<u8> = 18..=28;

/// A length that is none of [`SUBNET_LENGTHS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no length of a subnet of the lab; allowed: 18 to 28")]
pub struct NoSubnetLength(u8);

impl Default for SubnetLength {
    fn default() -> SubnetLength {
        SubnetLength(24)
    }
}

impl TryFrom<u8> for SubnetLength {
    type Error = NoSubnetLength;

    fn try_from(length: u8) -> Result<SubnetLength, NoSubnetLength> {
        if SUBNET_LENGTHS.contains(&length) {
            Ok(SubnetLength(length))
        } else {
            Err(NoSubnetLength(length))
        }
    }
}

impl SubnetLength {
    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// The subnet of node `number` (1, 2), the numbered one of its length in [`VPC_CIDR`]: usually
/// 10.0.1.0/24 and 10.0.2.0/24.
#[must_use]
pub fn subnet_of_node(number: u8, length: SubnetLength) -> Ipv4Net {
    let offset = u32::from(number) << (32 - length.0);
    let network = Ipv4Addr::from(u32::from(VPC_CIDR.network()) + offset);
    Ipv4Net::new_assert(network, length.0)
}

/// The primary address of node `number` (1, 2), the tenth of its subnet: usually 10.0.1.10 and
/// 10.0.2.10.
#[must_use]
pub fn address_of_node(number: u8, length: SubnetLength) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet_of_node(number, length).network()) + 10)
}

/// The public address of node `number` (1, 2): 203.0.113.11, 203.0.113.12.
#[must_use]
pub fn public_address_of_node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number.saturating_add(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_of_all_lengths_lie_beside_each_other_in_the_vpc() {
        for length in SUBNET_LENGTHS {
            let length = SubnetLength::try_from(length).unwrap();
            let [one, two] = [1, 2].map(|number| subnet_of_node(number, length));
            assert!(VPC_CIDR.contains(&one) && VPC_CIDR.contains(&two));
            assert!(!one.contains(&two) && !two.contains(&one));
            assert!(one.contains(&address_of_node(1, length)));
        }
        assert!(SubnetLength::try_from(17).is_err());
        let usual = subnet_of_node(2, SubnetLength::default());
        assert_eq!(usual.to_string(), "10.0.2.0/24");
    }
}
