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

/// The subnet of node `number` (1, 2): 10.0.1.0/24, 10.0.2.0/24.
#[must_use]
pub fn subnet_of_node(number: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, number, 0), 24)
}

/// The primary address of node `number` (1, 2): 10.0.1.10, 10.0.2.10.
#[must_use]
pub fn address_of_node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, number, 10)
}

/// The public address of node `number` (1, 2): 203.0.113.11, 203.0.113.12.
#[must_use]
pub fn public_address_of_node(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number.saturating_add(10))
}
