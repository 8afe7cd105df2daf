//! Secondary addresses and prefixes of an ENI: assign, unassign.

use super::{Ipv4Prefix, Set};

request! {
    /// Assigns secondary addresses or prefixes to an ENI. Exactly one of the four ways to ask may
    /// be used.
    "AssignPrivateIpAddresses"
    AssignPrivateIpAddressesRequest -> AssignPrivateIpAddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// Exact addresses.
        private_ip_addresses: Vec<String> = "PrivateIpAddress",
        /// How many addresses EC2 is to choose.
        secondary_private_ip_address_count: Option<i32> = "SecondaryPrivateIpAddressCount",
        /// Exact /28 prefixes in CIDR form.
        ipv4_prefixes: Vec<String> = "Ipv4Prefix",
        /// How many /28 prefixes EC2 is to choose.
        ipv4_prefix_count: Option<i32> = "Ipv4PrefixCount",
        /// Whether exact addresses may be taken from another ENI.
        allow_reassignment: Option<bool> = "AllowReassignment",
    }
}

response! {
    /// What was assigned.
    AssignPrivateIpAddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "networkInterfaceId",
        /// The addresses.
        assigned_private_ip_addresses: Set<AssignedPrivateIpAddress> =
            "assignedPrivateIpAddressesSet",
        /// The prefixes; absent if none were asked for.
        assigned_ipv4_prefixes: Option<Set<Ipv4Prefix>> = "assignedIpv4PrefixSet",
    }
}

element! {
    /// An address that was assigned.
    AssignedPrivateIpAddress {
        /// The address.
        private_ip_address: Option<String> = "privateIpAddress",
    }
}

request! {
    /// Takes secondary addresses or prefixes from an ENI.
    "UnassignPrivateIpAddresses"
    UnassignPrivateIpAddressesRequest -> UnassignPrivateIpAddressesResponse {
        /// The ENI.
        network_interface_id: Option<String> = "NetworkInterfaceId",
        /// The addresses.
        private_ip_addresses: Vec<String> = "PrivateIpAddress",
        /// The prefixes in CIDR form.
        ipv4_prefixes: Vec<String> = "Ipv4Prefix",
    }
}

response! {
    /// They are no longer the ENI's.
    UnassignPrivateIpAddressesResponse {
        /// Always true.
        r#return: Option<bool> = "return",
    }
}
