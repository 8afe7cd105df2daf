//! IPv6 addresses and prefixes of an ENI: assign, unassign.

use super::Set;

request! {
    /// Assigns IPv6 addresses or prefixes to an ENI. Exactly one of the four ways to ask may be
    /// used.
    "AssignIpv6Addresses" AssignIpv6AddressesRequest -> AssignIpv6AddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// Exact addresses.
        ipv6_addresses: Vec<String> = "Ipv6Addresses",
        /// How many addresses EC2 is to choose.
        ipv6_address_count: Option<i32> = "Ipv6AddressCount",
        /// Exact /80 prefixes in CIDR form.
        ipv6_prefixes: Vec<String> = "Ipv6Prefix",
        /// How many /80 prefixes EC2 is to choose.
        ipv6_prefix_count: Option<i32> = "Ipv6PrefixCount",
    }
}

response! {
    /// What was assigned.
    AssignIpv6AddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "networkInterfaceId",
        /// The addresses.
        assigned_ipv6_addresses: Set<String> = "assignedIpv6Addresses",
        /// The prefixes.
        assigned_ipv6_prefixes: Set<String> = "assignedIpv6PrefixSet",
    }
}

request! {
    /// Takes IPv6 addresses or prefixes from an ENI.
    "UnassignIpv6Addresses" UnassignIpv6AddressesRequest -> UnassignIpv6AddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// The addresses.
        ipv6_addresses: Vec<String> = "Ipv6Addresses",
        /// The prefixes in CIDR form.
        ipv6_prefixes: Vec<String> = "Ipv6Prefix",
    }
}

response! {
    /// They are no longer the ENI's.
    UnassignIpv6AddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "networkInterfaceId",
        /// The addresses.
        unassigned_ipv6_addresses: Set<String> = "unassignedIpv6Addresses",
        /// The prefixes.
        unassigned_ipv6_prefixes: Set<String> = "unassignedIpv6PrefixSet",
    }
}
