//! `DescribeNetworkInterfaces` and the description of an ENI.

use super::{Filter, GroupIdentifier, Ipv4Prefix, Ipv6Prefix, Set, Tag};

request! {
    /// Asks for ENIs by id or by condition, page by page.
    "DescribeNetworkInterfaces"
    DescribeNetworkInterfacesRequest -> DescribeNetworkInterfacesResponse {
        /// Only these ENIs; an unknown one fails the call. Not together with `max_results`.
        network_interface_ids: Vec<String> = "NetworkInterfaceId",
        /// Only ENIs that meet every condition.
        filters: Vec<Filter> = "Filter",
        /// Where the previous page ended.
        next_token: Option<String> = "NextToken",
        /// Page size, 5 to 1000.
        max_results: Option<i32> = "MaxResults",
        /// Whether ENIs that AWS manages are listed too.
        include_managed_resources: Option<bool> = "IncludeManagedResources",
        /// Only check the permission.
        dry_run: Option<bool> = "DryRun",
    }
}

response! {
    /// ENIs.
    DescribeNetworkInterfacesResponse {
        /// The ENIs, in no particular order.
        network_interfaces: Set<NetworkInterface> = "networkInterfaceSet",
        /// Where the next page begins; absent or empty on the last one.
        next_token: Option<String> = "nextToken",
    }
}

element! {
    /// An ENI as `DescribeNetworkInterfaces` and `CreateNetworkInterface` describe it.
    NetworkInterface {
        /// `eni-…`.
        network_interface_id: Option<String> = "networkInterfaceId",
        /// `subnet-…`.
        subnet_id: Option<String> = "subnetId",
        /// `vpc-…`.
        vpc_id: Option<String> = "vpcId",
        /// The name of the availability zone, for example `us-west-2a`.
        availability_zone: Option<String> = "availabilityZone",
        /// The availability zone's id, the same in every account.
        availability_zone_id: Option<String> = "availabilityZoneId",
        /// Free text, given at creation.
        description: Option<String> = "description",
        /// The account that owns the ENI.
        owner_id: Option<String> = "ownerId",
        /// The account or service that created it on the owner's behalf.
        requester_id: Option<String> = "requesterId",
        /// Whether an AWS service manages it.
        requester_managed: Option<bool> = "requesterManaged",
        /// `available`, `associated`, `attaching`, `in-use` or `detaching`.
        status: Option<String> = "status",
        /// Six hexadecimal bytes with colons.
        mac_address: Option<String> = "macAddress",
        /// The primary private IPv4 address.
        private_ip_address: Option<String> = "privateIpAddress",
        /// The DNS name of the primary address.
        private_dns_name: Option<String> = "privateDnsName",
        /// The public DNS name, if there is a public address.
        public_dns_name: Option<String> = "publicDnsName",
        /// Whether packets must carry an address of the ENI.
        source_dest_check: Option<bool> = "sourceDestCheck",
        /// The security groups.
        groups: Set<GroupIdentifier> = "groupSet",
        /// The attachment to an instance, if any.
        attachment: Option<NetworkInterfaceAttachment> = "attachment",
        /// The public address of the primary address, if any.
        association: Option<NetworkInterfaceAssociation> = "association",
        /// The tags.
        tag_set: Set<Tag> = "tagSet",
        /// All private IPv4 addresses, the primary first.
        private_ip_addresses: Set<NetworkInterfacePrivateIpAddress> = "privateIpAddressesSet",
        /// The IPv4 prefixes; absent if there are none.
        ipv4_prefixes: Option<Set<Ipv4Prefix>> = "ipv4PrefixSet",
        /// The IPv6 addresses.
        ipv6_addresses: Set<NetworkInterfaceIpv6Address> = "ipv6AddressesSet",
        /// The IPv6 prefixes; absent if there are none.
        ipv6_prefixes: Option<Set<Ipv6Prefix>> = "ipv6PrefixSet",
        /// The primary IPv6 address, if any.
        ipv6_address: Option<String> = "ipv6Address",
        /// Whether the subnet has IPv6 only.
        ipv6_native: Option<bool> = "ipv6Native",
        /// `interface`, `efa`, `efa-only`, `trunk`, `branch` and others of AWS services.
        interface_type: Option<String> = "interfaceType",
        /// Time-outs of the security groups' connection tracking, where set.
        connection_tracking_configuration: Option<ConnectionTracking> =
            "connectionTrackingConfiguration",
        /// Whether traffic to and from internet gateways is denied.
        deny_all_igw_traffic: Option<bool> = "denyAllIgwTraffic",
        /// The service that operates the ENI, if any.
        operator: Option<Operator> = "operator",
    }
}

element! {
    /// The attachment of an ENI to an instance.
    NetworkInterfaceAttachment {
        /// `eni-attach-…`.
        attachment_id: Option<String> = "attachmentId",
        /// The instance.
        instance_id: Option<String> = "instanceId",
        /// The account that owns the instance.
        instance_owner_id: Option<String> = "instanceOwnerId",
        /// The position on the network card.
        device_index: Option<i32> = "deviceIndex",
        /// The network card.
        network_card_index: Option<i32> = "networkCardIndex",
        /// `attaching`, `attached`, `detaching` or `detached`.
        status: Option<String> = "status",
        /// When the attachment was asked for, ISO 8601.
        attach_time: Option<String> = "attachTime",
        /// Whether the ENI is deleted with the instance.
        delete_on_termination: Option<bool> = "deleteOnTermination",
    }
}

element! {
    /// The public address that stands for a private one.
    NetworkInterfaceAssociation {
        /// The allocation of an Elastic IP address.
        allocation_id: Option<String> = "allocationId",
        /// The association of an Elastic IP address.
        association_id: Option<String> = "associationId",
        /// Who owns the address; `amazon` unless it is an Elastic IP address.
        ip_owner_id: Option<String> = "ipOwnerId",
        /// The public DNS name.
        public_dns_name: Option<String> = "publicDnsName",
        /// The public address.
        public_ip: Option<String> = "publicIp",
    }
}

element! {
    /// A private IPv4 address of an ENI.
    NetworkInterfacePrivateIpAddress {
        /// Its public address, if any.
        association: Option<NetworkInterfaceAssociation> = "association",
        /// Whether it is the ENI's primary address.
        primary: Option<bool> = "primary",
        /// Its DNS name.
        private_dns_name: Option<String> = "privateDnsName",
        /// The address.
        private_ip_address: Option<String> = "privateIpAddress",
    }
}

element! {
    /// An IPv6 address of an ENI.
    NetworkInterfaceIpv6Address {
        /// The address.
        ipv6_address: Option<String> = "ipv6Address",
        /// Whether it is the ENI's primary IPv6 address.
        is_primary_ipv6: Option<bool> = "isPrimaryIpv6",
    }
}

element! {
    /// Idle time-outs of connection tracking, in seconds.
    ConnectionTracking {
        /// Established TCP connections: 60 to 432000.
        tcp_established_timeout: Option<i32> = "tcpEstablishedTimeout",
        /// UDP flows with traffic both ways: 60 to 180.
        udp_stream_timeout: Option<i32> = "udpStreamTimeout",
        /// UDP flows with one request: 30 to 60.
        udp_timeout: Option<i32> = "udpTimeout",
    }
}
impl_part!(ConnectionTracking {
    tcp_established_timeout = "TcpEstablishedTimeout",
    udp_stream_timeout = "UdpStreamTimeout",
    udp_timeout = "UdpTimeout",
});

element! {
    /// The service that operates a resource on the owner's behalf.
    Operator {
        /// Whether one does.
        managed: Option<bool> = "managed",
        /// Which.
        principal: Option<String> = "principal",
    }
}
